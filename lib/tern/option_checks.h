// Not installed: what may be said of single options. The keys ask as they read a value, so that the error
// names file and line; Stack::Open asks again, for programs that fill in Options themselves. An error says
// only what was expected.
#ifndef TERN_TERN_OPTION_CHECKS_H_
#define TERN_TERN_OPTION_CHECKS_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "wire/ip_address.h"
#include "wire/mac_address.h"

namespace tern {

// "10.77.0.1/24": a host's address, or (`pool`) a range of them.
absl::StatusOr<wire::IpPrefix> CheckAddress(std::string_view text, bool pool);
absl::StatusOr<wire::IpAddress> CheckGateway(std::string_view text);
// "PREFIX via GATEWAY", "default via GATEWAY" or "PREFIX dev N": its form and its addresses, not whether
// there is such an interface.
absl::Status CheckRoute(std::string_view text);
absl::StatusOr<wire::MacAddress> CheckMac(std::string_view text);
absl::Status CheckMtu(uint64_t octets);
absl::Status CheckVlan(uint64_t id);
absl::Status CheckDadTransmits(uint64_t times);
// CPUs for workers, each named once.
absl::Status CheckLcores(const std::vector<int>& cpus);

}  // namespace tern

#endif  // TERN_TERN_OPTION_CHECKS_H_
