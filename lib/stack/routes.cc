#include "stack/routes.h"

#include <algorithm>

namespace tern::stack {

RouteTable::RouteTable(const LocalAddresses& addresses, std::span<const Route> routes, size_t learning)
    : learned_(learning) {
  for (const LocalAddresses::Entry& e : addresses.entries()) {
    routes_.push_back({.destination = e.prefix, .interface = e.interface});
  }
  routes_.insert(routes_.end(), routes.begin(), routes.end());
  std::stable_sort(routes_.begin(), routes_.end(), [](const Route& a, const Route& b) {
    return a.destination.length > b.destination.length;
  });
}

std::optional<NextHop> RouteTable::Lookup(const wire::IpAddress& destination, uint16_t near) const {
  // RFC 4007 9: a link-local address means something only together with its link.
  if (destination.IsLinkLocal() && !destination.IsV4()) {
    return NextHop{destination, near == kAnyInterface ? uint16_t{0} : near};
  }
  const Route* best = nullptr;
  for (const Route& route : routes_) {
    if (best != nullptr && route.destination.length < best->destination.length) break;
    if (!route.destination.Contains(destination)) continue;
    if (best == nullptr || (best->interface != near && route.interface == near)) best = &route;
  }
  const LearnedRoutes::OnLinkPrefix* on_link = learned_.Covering(destination);
  if (on_link != nullptr && (best == nullptr || on_link->prefix.length > best->destination.length)) {
    return NextHop{destination, on_link->interface};
  }
  if (best != nullptr) {
    return NextHop{best->gateway.IsUnspecified() ? destination : best->gateway, best->interface};
  }
  const LearnedRoutes::Router* router = destination.IsV4() ? nullptr : learned_.Default(near);
  if (router != nullptr) return NextHop{router->address, router->interface};
  return std::nullopt;
}

}  // namespace tern::stack
