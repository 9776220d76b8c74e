// From what a user says to what the runtime needs.
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <optional>

#include "runtime/stack_core.h"
#include "tern/dispatch.h"
#include "tern/option_checks.h"

namespace tern {
namespace {

using wire::IpAddress;
using wire::IpPrefix;

constexpr std::chrono::nanoseconds kMaxDeferAccept = std::chrono::hours(1);

absl::Status Bad(std::string_view option, std::string_view value, std::string_view expected) {
  return absl::InvalidArgumentError(
      absl::StrCat(std::string(option), " \"", std::string(value), "\": expected ", std::string(expected)));
}

absl::Status Bad(std::string_view option, std::string_view value, const absl::Status& expected) {
  return Bad(option, value, std::string_view(expected.message().data(), expected.message().size()));
}

absl::Status AddAddresses(const std::vector<std::string>& texts, bool pool,
                          stack::InterfaceConfig& interface) {
  const char* option = pool ? "pool" : "address";
  for (const std::string& text : texts) {
    const absl::StatusOr<IpPrefix> prefix = CheckAddress(text, pool);
    if (!prefix.ok()) return Bad(option, text, prefix.status());
    interface.addresses.push_back({*prefix, pool});
  }
  return absl::OkStatus();
}

absl::Status AddInterface(const InterfaceOptions& options, stack::ShardConfig& shard) {
  stack::InterfaceConfig interface;
  interface.mtu = options.mtu;
  interface.vlan = options.vlan;
  if (options.device.empty()) {
    return absl::InvalidArgumentError("an interface without a device: give one, as af_packet:veth1");
  }
  if (absl::Status s = CheckMtu(options.mtu); !s.ok()) return Bad("mtu", absl::StrCat(options.mtu), s);
  if (absl::Status s = CheckVlan(options.vlan); !s.ok()) return Bad("vlan", absl::StrCat(options.vlan), s);
  if (absl::Status s = CheckDadTransmits(options.dad_transmits); !s.ok()) {
    return Bad("dad_transmits", absl::StrCat(options.dad_transmits), s);
  }
  interface.autoconf = {.on = options.autoconf,
                        .dad_transmits = static_cast<uint8_t>(options.dad_transmits),
                        .dad_configured = options.dad_configured};
  if (!options.mac.empty()) {
    const absl::StatusOr<wire::MacAddress> mac = CheckMac(options.mac);
    if (!mac.ok()) return Bad("mac", options.mac, mac.status());
    interface.mac = *mac;
  }
  if (absl::Status s = AddAddresses(options.addresses, false, interface); !s.ok()) return s;
  if (absl::Status s = AddAddresses(options.pools, true, interface); !s.ok()) return s;
  shard.interfaces.push_back(std::move(interface));
  return absl::OkStatus();
}

std::optional<uint16_t> InterfaceTowards(const stack::ShardConfig& shard, const IpAddress& neighbour) {
  for (size_t i = 0; i < shard.interfaces.size(); ++i) {
    for (const stack::LocalAddress& local : shard.interfaces[i].addresses) {
      if (!local.pool && local.prefix.Contains(neighbour)) return static_cast<uint16_t>(i);
    }
  }
  return std::nullopt;
}

absl::Status AddVia(std::string_view option, std::string_view text, std::optional<IpPrefix> destination,
                    std::string_view gateway_text, stack::ShardConfig& shard) {
  const absl::StatusOr<IpAddress> gateway = CheckGateway(gateway_text);
  if (!gateway.ok()) return Bad(option, text, gateway.status());
  if (!destination) {
    destination = IpPrefix{gateway->IsV4() ? IpAddress::UnspecifiedV4() : IpAddress(), 0};
  }
  const std::optional<uint16_t> interface = InterfaceTowards(shard, *gateway);
  if (!interface) {
    return Bad(option, text, "a gateway inside the prefix of one of the addresses: check the prefix lengths");
  }
  shard.routes.push_back({*destination, *gateway, *interface});
  return absl::OkStatus();
}

absl::Status AddRoute(const std::string& text, stack::ShardConfig& shard) {
  if (absl::Status s = CheckRoute(text); !s.ok()) return Bad("route", text, s);
  const std::vector<std::string> words = absl::StrSplit(text, ' ', absl::SkipEmpty());
  std::optional<IpPrefix> destination;
  if (words[0] != "default") destination = IpPrefix::Parse(words[0]);
  if (words[1] == "via") return AddVia("route", text, destination, words[2], shard);
  uint32_t interface = 0;
  if (!absl::SimpleAtoi(words[2], &interface) || interface >= shard.interfaces.size()) {
    return Bad("route", text, absl::StrCat("an interface below ", shard.interfaces.size()));
  }
  shard.routes.push_back({*destination, IpAddress(), static_cast<uint16_t>(interface)});
  return absl::OkStatus();
}

absl::Status SetTcp(const Options& options, tcp::TcpConfig& tcp) {
  if (options.congestion == "cubic") {
    tcp.congestion = tcp::CongestionAlgorithm::kCubic;
  } else if (options.congestion == "newreno") {
    tcp.congestion = tcp::CongestionAlgorithm::kNewReno;
  } else {
    return Bad("congestion", options.congestion, "cubic or newreno");
  }
  // RFC 7323 2.2: a window is at most 2^30 octets. Below a few segments nothing flows.
  for (const auto& [name, size] :
       {std::pair("receive_buffer", options.receive_buffer), std::pair("send_buffer", options.send_buffer)}) {
    if (size < 4'096 || size > (1u << 30)) return Bad(name, absl::StrCat(size), "4 KiB to 1 GiB");
  }
  tcp.receive_buffer = options.receive_buffer;
  tcp.send_buffer = options.send_buffer;
  for (const auto& [name, size] : {std::pair("receive_buffer_max", options.receive_buffer_max),
                                   std::pair("send_buffer_max", options.send_buffer_max)}) {
    if (size > (1u << 30)) return Bad(name, absl::StrCat(size), "at most 1 GiB");
  }
  tcp.receive_buffer_max = options.receive_buffer_max;
  tcp.send_buffer_max = options.send_buffer_max;
  // Beyond this the waits have grown to hours.
  if (options.synack_retries > 15)
    return Bad("synack_retries", absl::StrCat(options.synack_retries), "0 to 15 retries");
  tcp.synack_retries = static_cast<uint8_t>(options.synack_retries);
  tcp.nodelay = options.nodelay;
  tcp.path_mtu_discovery = options.path_mtu_discovery;
  tcp.plpmtud = static_cast<tcp::PathProbing>(options.plpmtud);
  tcp.timestamps = options.timestamps;
  tcp.sack = options.sack;
  tcp.window_scale = options.window_scale;
  return absl::OkStatus();
}

// What people are told of a link.
void LogLinkEvent(const Options& options, const stack::LinkEvent& event) {
  using Kind = stack::LinkEvent::Kind;
  LogLevel level = LogLevel::kInfo;
  const char* said = "";
  switch (event.kind) {
    case Kind::kAddressFormed:
      said = "is an address of ours from now on, by a router's prefix";
      break;
    case Kind::kAddressGone:
      level = LogLevel::kWarning;
      said = "is no address of ours any more: no router renewed its prefix in time";
      break;
    case Kind::kAddressDuplicate:
      level = LogLevel::kError;
      said = "is not used: another host on the link has it (give this one another mac or address)";
      break;
    case Kind::kRouterFound:
      said = "is a router";
      break;
    case Kind::kRouterGone:
      level = LogLevel::kWarning;
      said = "is no router any more";
      break;
    case Kind::kRouterFailed:
      level = LogLevel::kWarning;
      said = "is a router that does not answer: the next one is used, if there is one";
      break;
  }
  options.log(level, absl::StrCat(options.interfaces[event.interface].device, ": ", event.address.ToString(),
                                  " ", said));
}

}  // namespace

absl::Status TranslateOptions(const Options& options, runtime::StackConfig* config) {
  stack::ShardConfig& shard = config->shard;
  if (options.interfaces.empty()) {
    return absl::InvalidArgumentError("no device: give one, as af_packet:veth1 or pci:0000:01:00.0");
  }
  for (const InterfaceOptions& interface : options.interfaces) {
    if (absl::Status s = AddInterface(interface, shard); !s.ok()) return s;
  }
  for (const std::string& gateway : options.gateways) {
    if (absl::Status s = AddVia("gateway", gateway, std::nullopt, gateway, shard); !s.ok()) return s;
  }
  for (const std::string& route : options.routes) {
    if (absl::Status s = AddRoute(route, shard); !s.ok()) return s;
  }
  if (absl::Status s = SetTcp(options, shard.tcp); !s.ok()) return s;

  if (options.max_connections == 0 || options.max_connections > (1u << 24)) {
    return Bad("max_connections", absl::StrCat(options.max_connections), "1 to 16777216");
  }
  shard.closed_ports =
      options.closed_ports == ClosedPorts::kSilent ? stack::PortPolicy::kSilent : stack::PortPolicy::kRefuse;
  if (options.ttl < 1 || options.ttl > 255) return Bad("ttl", absl::StrCat(options.ttl), "1 to 255 hops");
  if (options.dscp > 63) return Bad("dscp", absl::StrCat(options.dscp), "a code point, 0 to 63");
  shard.ttl = static_cast<uint8_t>(options.ttl);
  shard.dscp = static_cast<uint8_t>(options.dscp);
  shard.syn_cookies = static_cast<stack::SynCookies>(options.syn_cookies);
  shard.max_connections = options.max_connections;
  shard.max_time_wait = options.max_connections;
  shard.max_half_open = std::clamp<uint32_t>(options.max_connections / 4, 1'024, 16'384);

  if (absl::Status s = CheckLcores(options.lcores); !s.ok()) {
    return Bad("lcores", absl::StrJoin(options.lcores, ","), s);
  }
  config->workers = static_cast<uint16_t>(std::max<size_t>(options.lcores.size(), 1));
  config->idle = static_cast<runtime::IdlePolicy>(options.idle);
  config->idle_spin = Duration::Nanos(options.idle_spin.count());
  config->seed = options.seed;
  if (options.log) {
    config->on_link_event = [options](const stack::LinkEvent& event) { LogLinkEvent(options, event); };
  }
  return absl::OkStatus();
}

absl::Status TranslateListen(const ListenOptions& options, const tcp::TcpConfig& tcp,
                             stack::ListenSpec* spec) {
  const std::string where = absl::StrCat("cannot listen on ", options.local.ToString(), ": ");
  if (options.local.port == 0) return absl::InvalidArgumentError(where + "give a port, 1 to 65535");
  if (options.defer_accept.count() < 0 || options.defer_accept > kMaxDeferAccept) {
    return absl::InvalidArgumentError(absl::StrCat(where, "defer_accept of ", options.defer_accept.count(),
                                                   " ns: expected 0 (off) to one hour"));
  }
  *spec = {.address = wire::IpAddress(options.local.address.bytes()),
           .port = options.local.port,
           .backlog = options.backlog,
           .nodelay = options.nodelay || tcp.nodelay,
           .accept_rate = options.accept_rate,
           .source_limit = options.source_limit,
           .defer_accept = Duration::Nanos(options.defer_accept.count())};
  return absl::OkStatus();
}

static_assert(static_cast<int>(SynCookies::kOff) == static_cast<int>(stack::SynCookies::kOff));
static_assert(static_cast<int>(SynCookies::kPastBacklog) ==
              static_cast<int>(stack::SynCookies::kPastBacklog));
static_assert(static_cast<int>(SynCookies::kAlways) == static_cast<int>(stack::SynCookies::kAlways));
static_assert(static_cast<int>(PathProbing::kOff) == static_cast<int>(tcp::PathProbing::kOff));
static_assert(static_cast<int>(PathProbing::kBlackHole) == static_cast<int>(tcp::PathProbing::kBlackHole));
static_assert(static_cast<int>(PathProbing::kAlways) == static_cast<int>(tcp::PathProbing::kAlways));
static_assert(static_cast<int>(IdlePolicy::kAdaptive) == static_cast<int>(runtime::IdlePolicy::kAdaptive));
static_assert(static_cast<int>(IdlePolicy::kYield) == static_cast<int>(runtime::IdlePolicy::kYield));
static_assert(static_cast<int>(IdlePolicy::kSpin) == static_cast<int>(runtime::IdlePolicy::kSpin));

}  // namespace tern
