#include "tern/option_checks.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <optional>
#include <string>

namespace tern {
namespace {

using wire::IpAddress;
using wire::IpPrefix;

// RFC 8200 5 asks 1280 of every link; 9000 is the largest frame tern builds buffers for.
constexpr uint64_t kMinMtu = 1'280;
constexpr uint64_t kMaxMtu = 9'000;
constexpr uint64_t kMaxVlan = 4'094;
constexpr size_t kMostLcores = 128;

absl::Status Expected(std::string_view what) { return absl::InvalidArgumentError(std::string(what)); }

}  // namespace

absl::StatusOr<IpPrefix> CheckAddress(std::string_view text, bool pool) {
  const std::optional<IpPrefix> prefix = IpPrefix::Parse(text);
  if (!prefix || text.find('/') == text.npos) {
    return Expected("an address with its prefix length, as 10.77.0.1/24 or fd77::1/64");
  }
  if (pool) return *prefix;
  if (!prefix->address.IsValidUnicast()) return Expected("a unicast address");
  if (prefix->IsBroadcast(prefix->address) ||
      (prefix->length + 1 < prefix->max_length() && prefix->Network() == prefix->address)) {
    return Expected("a host's address, not the network's own (a range of addresses is a pool)");
  }
  return *prefix;
}

absl::StatusOr<IpAddress> CheckGateway(std::string_view text) {
  const std::optional<IpAddress> gateway = IpAddress::Parse(text);
  if (!gateway || !gateway->IsValidUnicast()) return Expected("a gateway's address");
  return *gateway;
}

absl::Status CheckRoute(std::string_view text) {
  absl::Status bad = Expected("\"PREFIX via GATEWAY\", \"default via GATEWAY\" or \"PREFIX dev N\"");
  const std::vector<std::string> words = absl::StrSplit(std::string(text), ' ', absl::SkipEmpty());
  if (words.size() != 3) return bad;
  const std::optional<IpPrefix> destination = IpPrefix::Parse(words[0]);
  if (!destination && words[0] != "default") return bad;
  if (words[1] == "via") {
    const absl::StatusOr<IpAddress> gateway = CheckGateway(words[2]);
    if (!gateway.ok()) return gateway.status();
    if (destination && destination->address.IsV4() != gateway->IsV4()) {
      return Expected("destination and gateway of one family");
    }
    return absl::OkStatus();
  }
  uint32_t interface = 0;
  return words[1] == "dev" && destination && absl::SimpleAtoi(words[2], &interface) ? absl::OkStatus() : bad;
}

absl::StatusOr<wire::MacAddress> CheckMac(std::string_view text) {
  const std::optional<wire::MacAddress> mac = wire::MacAddress::Parse(text);
  if (!mac || mac->IsMulticast() || mac->IsZero()) {
    return Expected("a station's address, as 02:00:00:00:00:01");
  }
  return *mac;
}

absl::Status CheckMtu(uint64_t octets) {
  if (octets == 0 || (octets >= kMinMtu && octets <= kMaxMtu)) return absl::OkStatus();
  return Expected("1280 to 9000 octets, or 0 for the device's own");
}

absl::Status CheckVlan(uint64_t id) {
  return id <= kMaxVlan ? absl::OkStatus() : Expected("1 to 4094, or 0 for none");
}

absl::Status CheckDadTransmits(uint64_t times) {
  // More only puts off what nobody is going to answer any more.
  return times <= 10 ? absl::OkStatus() : Expected("0 (never) to 10 times");
}

absl::Status CheckLcores(const std::vector<int>& cpus) {
  if (cpus.size() > kMostLcores) return Expected(absl::StrCat("a list of at most ", kMostLcores, " CPUs"));
  std::vector<int> sorted = cpus;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    return Expected("each CPU once: one worker runs on each");
  }
  return absl::OkStatus();
}

}  // namespace tern
