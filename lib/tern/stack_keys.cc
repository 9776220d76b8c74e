// The keys by which a stack is configured.
#include <algorithm>

#include "tern/config.h"
#include "tern/option_checks.h"

namespace tern {
namespace {

using InterfaceOf = std::function<InterfaceOptions&()>;

// What a setter says to a value: what was expected, or nothing.
using Check = std::function<absl::Status(std::string_view text)>;

void AddText(ConfigTable& table, ConfigTable::Custom key, InterfaceOf interface,
             std::string InterfaceOptions::*field, Check check = nullptr) {
  key.set = [interface = std::move(interface), field, check = std::move(check)](std::string_view text) {
    if (absl::Status status = check ? check(text) : absl::OkStatus(); !status.ok()) return status;
    interface().*field = std::string(text);
    return absl::OkStatus();
  };
  table.Add(std::move(key));
}

void AddTexts(ConfigTable& table, ConfigTable::Custom key, InterfaceOf interface,
              std::vector<std::string> InterfaceOptions::*field, Check check) {
  key.repeats = true;
  key.set = [interface, field, check = std::move(check)](std::string_view text) {
    if (absl::Status status = check(text); !status.ok()) return status;
    (interface().*field).emplace_back(text);
    return absl::OkStatus();
  };
  key.reset = [interface = std::move(interface), field] { (interface().*field).clear(); };
  table.Add(std::move(key));
}

void AddNumber(ConfigTable& table, std::string name, std::string help, InterfaceOf interface,
               uint16_t InterfaceOptions::*field, absl::Status (*check)(uint64_t),
               std::string default_text = "0") {
  table.Add({.name = std::move(name),
             .placeholder = "N",
             .default_text = std::move(default_text),
             .help = std::move(help),
             .set = [interface = std::move(interface), field, check](std::string_view text) {
               const absl::StatusOr<uint64_t> number = ParseSize(text);
               // What is no number is met with the same words as one out of range.
               if (absl::Status status = check(number.value_or(UINT64_MAX)); !status.ok()) return status;
               interface().*field = static_cast<uint16_t>(*number);
               return absl::OkStatus();
             }});
}

void AddInterfaceKeys(ConfigTable& table, const InterfaceOf& interface) {
  AddText(
      table,
      {.name = "device",
       .placeholder = "DEVICE",
       .help = "af_packet:IF, af_xdp:IF, tap:NAME, memif:PATH, virtio_user:PATH, vhost:PATH, pci:ADDRESS, "
               "loopback, pcap:FILE or vdev:...; arguments of the driver follow a comma",
       .instead_of_twice = "flags describe one interface: give several as [[interface]] tables of a file "
                           "that --config names"},
      interface, &InterfaceOptions::device);
  AddTexts(table,
           {.name = "address",
            .placeholder = "ADDR/LEN",
            .help = "address of ours with its prefix length, of either family"},
           interface, &InterfaceOptions::addresses,
           [](std::string_view text) { return CheckAddress(text, false).status(); });
  AddTexts(table,
           {.name = "pool",
            .placeholder = "ADDR/LEN",
            .help = "prefix of which every address is ours: sources to connect from"},
           interface, &InterfaceOptions::pools,
           [](std::string_view text) { return CheckAddress(text, true).status(); });
  AddText(table,
          {.name = "mac", .placeholder = "MAC", .help = "station address; the device's own if not given"},
          interface, &InterfaceOptions::mac,
          [](std::string_view text) { return text.empty() ? absl::OkStatus() : CheckMac(text).status(); });
  table.AddBool(
      "autoconf", [interface]() -> bool& { return interface().autoconf; },
      "IPv6 addresses and the way out from routers on the link (RFC 4862); --address may be left out");
  AddNumber(table, "dad_transmits",
            "times the link is asked whether somebody has an IPv6 address before it is used; 0: never",
            interface, &InterfaceOptions::dad_transmits, &CheckDadTransmits, "1");
  table.AddBool(
      "dad_configured", [interface]() -> bool& { return interface().dad_configured; },
      "ask for the IPv6 addresses of --address, too, which then answer a second later");
  AddNumber(table, "mtu", "octets of the largest IP packet, 1280 to 9000; 0: the device's own", interface,
            &InterfaceOptions::mtu, &CheckMtu);
  AddNumber(table, "vlan", "802.1Q id of all frames; 0: untagged", interface, &InterfaceOptions::vlan,
            &CheckVlan);
  AddText(table,
          {.name = "impairment",
           .placeholder = "SPEC",
           .help = "a bad network before the device, as loss=1%,delay=10ms,seed=7"},
          interface, &InterfaceOptions::impairment);
}

// A list that is checked as it is read.
void AddCheckedList(ConfigTable& table, ConfigTable::Custom key, std::vector<std::string>* values,
                    Check check) {
  key.repeats = true;
  key.set = [values, check = std::move(check)](std::string_view text) {
    if (absl::Status status = check(text); !status.ok()) return status;
    values->emplace_back(text);
    return absl::OkStatus();
  };
  key.reset = [values] { values->clear(); };
  table.Add(std::move(key));
}

void AddSizeKey(ConfigTable& table, std::string name, uint32_t* octets, std::string help) {
  table.Add({.name = std::move(name),
             .placeholder = "SIZE",
             .default_text = std::to_string(*octets / 1024) + "KiB",
             .help = std::move(help),
             .set = [octets](std::string_view text) {
               const absl::StatusOr<uint64_t> size = ParseSize(text);
               if (!size.ok()) return size.status();
               if (*size > UINT32_MAX) return absl::InvalidArgumentError("a size below 4GiB");
               *octets = static_cast<uint32_t>(*size);
               return absl::OkStatus();
             }});
}

void AddWorkerKeys(ConfigTable& table, Options* options) {
  table.Section("Workers and memory");
  table.Add({.name = "lcores",
             .placeholder = "LIST",
             .help = "CPUs to run workers on, one worker each, as 1 or 1,3 or 2-5 (default: one worker)",
             .set = [options](std::string_view text) {
               absl::StatusOr<std::vector<int>> cpus = ParseCpuList(text);
               if (!cpus.ok()) return cpus.status();
               if (absl::Status status = CheckLcores(*cpus); !status.ok()) return status;
               options->lcores = *std::move(cpus);
               return absl::OkStatus();
             }});
  table.AddChoice("hugepages", &options->huge_pages,
                  {{"auto", HugePages::kAuto}, {"on", HugePages::kOn}, {"off", HugePages::kOff}},
                  "packet memory in huge pages");
  table.AddUint32("memory_mib", &options->memory_mib, 0, 1u << 20, "MiB of packet memory; 0: by need");
  table.AddChoice(
      "idle", &options->idle,
      {{"adaptive", IdlePolicy::kAdaptive}, {"yield", IdlePolicy::kYield}, {"spin", IdlePolicy::kSpin}},
      "what a worker does that has nothing to do: poll a while and then sleep, poll and let others "
      "run, or poll");
  table.AddDuration("idle_spin", &options->idle_spin, "how long an adaptive worker polls before it yields");
  table.AddList("eal", &options->eal_arguments, "ARG", "argument passed to DPDK's EAL as it is");
}

void AddTcpKeys(ConfigTable& table, Options* options) {
  table.Section("TCP");
  table.AddUint32("max_connections", &options->max_connections, 1, 1u << 24, "connections of one worker");
  AddSizeKey(table, "receive_buffer", &options->receive_buffer, "window offered to a peer");
  AddSizeKey(table, "send_buffer", &options->send_buffer,
             "data taken and not acknowledged, of one connection");
  AddSizeKey(table, "receive_buffer_max", &options->receive_buffer_max,
             "how far a connection's receive_buffer grows when its path takes more");
  AddSizeKey(table, "send_buffer_max", &options->send_buffer_max,
             "how far a connection's send_buffer grows when its path takes more");
  table.AddChoice<std::string>("congestion", &options->congestion,
                               {{"cubic", "cubic"}, {"newreno", "newreno"}},
                               "congestion control (RFC 9438, RFC 5681)");
  table.AddBool("nodelay", &options->nodelay, "send small segments at once (Nagle off)");
  table.AddUint16("ttl", &options->ttl, 1, 255, "TTL or hop limit of TCP segments");
  table.AddUint16("dscp", &options->dscp, 0, 63, "Diffserv code point of TCP segments (RFC 2474)");
  table.AddBool("path_mtu_discovery", &options->path_mtu_discovery,
                "believe routers that say a packet was too big (RFC 1191, RFC 8201)");
  table.AddChoice(
      "plpmtud", &options->plpmtud,
      {{"off", PathProbing::kOff}, {"blackhole", PathProbing::kBlackHole}, {"always", PathProbing::kAlways}},
      "find out what a path carries by probes of larger segments (RFC 8899): never, when large "
      "ones vanish, or always");
  table.AddBool("timestamps", &options->timestamps, "offer timestamps (RFC 7323)");
  table.AddBool("sack", &options->sack, "offer selective acknowledgements (RFC 2018)");
  table.AddBool("window_scale", &options->window_scale, "offer window scaling (RFC 7323)");
  table.AddChoice("closed_ports", &options->closed_ports,
                  {{"refuse", ClosedPorts::kRefuse}, {"silent", ClosedPorts::kSilent}},
                  "what a SYN to a port gets on which nobody listens");
  table.AddChoice(
      "syn_cookies", &options->syn_cookies,
      {{"off", SynCookies::kOff},
       {"past_backlog", SynCookies::kPastBacklog},
       {"always", SynCookies::kAlways}},
      "answer SYNs without keeping anything (RFC 4987): never, when the backlog is full, or always; window "
      "scale and SACK survive it only with timestamps");
  table.AddUint32("synack_retries", &options->synack_retries, 0, 15,
                  "times an unanswered SYN-ACK is sent again, with doubled waits from 1s");
  table.AddUint64("seed", &options->seed, 0, UINT64_MAX,
                  "draw secrets and ports from this number, for tests only; 0: from the system");
}

}  // namespace

void AddListenKeys(ConfigTable& table, ListenOptions* options) {
  table.Section("Listeners, each, of one worker");
  table.AddUint32("backlog", &options->backlog, 1, 1u << 24, "connections half-open or not yet accepted");
  table.AddUint32("accept_rate", &options->accept_rate, 0, 1'000'000'000,
                  "connections taken a second; SYNs beyond are dropped; 0: no limit");
  table.AddUint32("source_limit", &options->source_limit, 0, 1u << 24,
                  "of the backlog, for one IPv4 address or IPv6 /64; 0: no limit");
  table.AddDuration("defer_accept", &options->defer_accept,
                    "accept a connection only when data has come, or after this long; 0s: at once");
}

void AddStackKeys(ConfigTable& table, Options* options) {
  if (options->interfaces.empty()) options->interfaces.emplace_back();
  table.Section("Network");
  AddInterfaceKeys(table, [options]() -> InterfaceOptions& { return options->interfaces.front(); });
  table.AddTables(
      "interface",
      [options](ConfigTable& keys) {
        // The first of the tables is the first interface, unless the file has named a device before them.
        if (options->interfaces.size() != 1 || !options->interfaces.front().device.empty()) {
          options->interfaces.emplace_back();
        }
        const size_t index = options->interfaces.size() - 1;
        AddInterfaceKeys(keys,
                         [options, index]() -> InterfaceOptions& { return options->interfaces[index]; });
      },
      "several devices, each with the keys above");
  AddCheckedList(table,
                 {.name = "gateway", .placeholder = "ADDR", .help = "default gateway, one of each family"},
                 &options->gateways, [](std::string_view text) { return CheckGateway(text).status(); });
  AddCheckedList(
      table, {.name = "route", .placeholder = "ROUTE", .help = "\"PREFIX via GATEWAY\" or \"PREFIX dev N\""},
      &options->routes, &CheckRoute);
  AddWorkerKeys(table, options);
  AddTcpKeys(table, options);
}

}  // namespace tern
