// Where a destination is reached: longest prefix over subnets, configured routes, and what routers say.
#ifndef TERN_STACK_ROUTES_H_
#define TERN_STACK_ROUTES_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "stack/addresses.h"
#include "stack/learned_routes.h"
#include "stack/shard.h"
#include "wire/ip_address.h"

namespace tern::stack {

struct NextHop {
  wire::IpAddress address;  // whom to ask for a link address: the gateway, or the destination itself
  uint16_t interface = 0;
};

inline constexpr uint16_t kAnyInterface = 0xffff;

// A handful of routes, longest first. Looked at when a connection opens or a control frame leaves, not per
// segment.
class RouteTable {
 public:
  // `learning`: interfaces that believe routers.
  RouteTable(const LocalAddresses& addresses, std::span<const Route> routes, size_t learning = 0);

  // Nothing when no route leads there. `near` is the interface that has the address to send from: link-local
  // destinations live there, and of equally long prefixes one that leads out there comes first, so that with
  // several ports what comes in by one is answered by it. Otherwise the one that was configured first counts,
  // and then what was learned: a configured default route beats every router.
  std::optional<NextHop> Lookup(const wire::IpAddress& destination, uint16_t near = kAnyInterface) const;

  LearnedRoutes& learned() { return learned_; }
  const LearnedRoutes& learned() const { return learned_; }

 private:
  std::vector<Route> routes_;
  LearnedRoutes learned_;
};

}  // namespace tern::stack

#endif  // TERN_STACK_ROUTES_H_
