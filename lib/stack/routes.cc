#include "stack/routes.h"

#include <algorithm>

namespace tern::stack {

RouteTable::RouteTable(const LocalAddresses& addresses, std::span<const Route> routes) {
  for (const LocalAddresses::Entry& e : addresses.entries()) {
    routes_.push_back({.destination = e.prefix, .interface = e.interface});
  }
  routes_.insert(routes_.end(), routes.begin(), routes.end());
  std::stable_sort(routes_.begin(), routes_.end(), [](const Route& a, const Route& b) {
    return a.destination.length > b.destination.length;
  });
}

std::optional<NextHop> RouteTable::Lookup(const wire::IpAddress& destination, uint16_t arrived_on) const {
  // RFC 4007 9: a link-local address means something only together with its link.
  if (destination.IsLinkLocal() && !destination.IsV4()) return NextHop{destination, arrived_on};
  for (const Route& route : routes_) {
    if (!route.destination.Contains(destination)) continue;
    const bool on_link = route.gateway.IsUnspecified();
    return NextHop{on_link ? destination : route.gateway, route.interface};
  }
  return std::nullopt;
}

}  // namespace tern::stack
