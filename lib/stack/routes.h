// Where a destination is reached: longest prefix over subnets and configured routes.
#ifndef TERN_STACK_ROUTES_H_
#define TERN_STACK_ROUTES_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "stack/addresses.h"
#include "stack/shard.h"
#include "wire/ip_address.h"

namespace tern::stack {

struct NextHop {
  wire::IpAddress address;  // whom to ask for a link address: the gateway, or the destination itself
  uint16_t interface = 0;
};

// A handful of routes, longest first. Looked at when a connection opens or a control frame leaves, not per
// segment.
class RouteTable {
 public:
  RouteTable(const LocalAddresses& addresses, std::span<const Route> routes);

  // Nothing when no route leads there. `arrived_on` says on which link a link-local destination lives; it is
  // not used for others.
  std::optional<NextHop> Lookup(const wire::IpAddress& destination, uint16_t arrived_on = 0) const;

 private:
  std::vector<Route> routes_;
};

}  // namespace tern::stack

#endif  // TERN_STACK_ROUTES_H_
