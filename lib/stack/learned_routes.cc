#include "stack/learned_routes.h"

#include <algorithm>

namespace tern::stack {
namespace {

// How many of `list` belong to an interface.
template <typename List>
size_t CountOf(const List& list, uint16_t interface) {
  return static_cast<size_t>(std::count_if(
      list.begin(), list.end(), [interface](const auto& one) { return one.interface == interface; }));
}

}  // namespace

LearnedRoutes::LearnedRoutes(size_t learning) {
  routers_.reserve(learning * kMaxRouters);
  prefixes_.reserve(learning * kMaxPrefixes);
}

std::vector<LearnedRoutes::Router>::iterator LearnedRoutes::Find(uint16_t interface,
                                                                 const wire::IpAddress& address) {
  return std::find_if(routers_.begin(), routers_.end(), [&](const Router& router) {
    return router.interface == interface && router.address == address;
  });
}

bool LearnedRoutes::IsRouter(uint16_t interface, const wire::IpAddress& address) const {
  auto* self = const_cast<LearnedRoutes*>(this);
  return self->Find(interface, address) != self->routers_.end();
}

const LearnedRoutes::Router* LearnedRoutes::Default(uint16_t near) const {
  for (const Router& router : routers_) {
    if (router.interface == near && !router.failed) return &router;
  }
  return routers_.empty() ? nullptr : &routers_.front();
}

bool LearnedRoutes::SetRouter(uint16_t interface, const wire::IpAddress& address, Duration lifetime,
                              Instant now) {
  const auto found = Find(interface, address);
  if (lifetime <= Duration::Zero()) {
    if (found == routers_.end()) return false;
    routers_.erase(found);
    return true;
  }
  if (found != routers_.end()) {
    found->valid_until = now + lifetime;
    return false;
  }
  if (CountOf(routers_, interface) >= kMaxRouters || routers_.size() == routers_.capacity()) return false;
  const auto first_failed =
      std::find_if(routers_.begin(), routers_.end(), [](const Router& router) { return router.failed; });
  routers_.insert(first_failed,
                  Router{.address = address, .interface = interface, .valid_until = now + lifetime});
  return true;
}

bool LearnedRoutes::SetPrefix(uint16_t interface, const wire::IpPrefix& prefix, Instant valid_until,
                              Instant now) {
  const wire::IpPrefix network = {prefix.Network(), prefix.length};
  const auto found = std::find_if(prefixes_.begin(), prefixes_.end(), [&](const OnLinkPrefix& known) {
    return known.interface == interface && known.prefix == network;
  });
  if (valid_until <= now) {
    if (found != prefixes_.end()) prefixes_.erase(found);
    return true;
  }
  if (found != prefixes_.end()) {
    found->valid_until = valid_until;
    return true;
  }
  if (CountOf(prefixes_, interface) >= kMaxPrefixes || prefixes_.size() == prefixes_.capacity()) return false;
  prefixes_.push_back({.prefix = network, .interface = interface, .valid_until = valid_until});
  return true;
}

bool LearnedRoutes::SetFailed(uint16_t interface, const wire::IpAddress& address) {
  const auto found = Find(interface, address);
  if (found == routers_.end()) return false;
  found->failed = true;
  std::rotate(found, found + 1, routers_.end());
  return true;
}

void LearnedRoutes::SetHeard(uint16_t interface, const wire::IpAddress& address) {
  const auto found = Find(interface, address);
  if (found == routers_.end() || !found->failed) return;
  found->failed = false;
  // Behind those that never failed: what goes through them stays there.
  const auto first_failed = std::find_if(routers_.begin(), found, [](const Router& r) { return r.failed; });
  std::rotate(first_failed, found, found + 1);
}

const LearnedRoutes::OnLinkPrefix* LearnedRoutes::Covering(const wire::IpAddress& ip) const {
  const OnLinkPrefix* best = nullptr;
  for (const OnLinkPrefix& known : prefixes_) {
    if (known.prefix.Contains(ip) && (best == nullptr || known.prefix.length > best->prefix.length)) {
      best = &known;
    }
  }
  return best;
}

bool LearnedRoutes::OnLink(uint16_t interface, const wire::IpAddress& ip) const {
  return std::any_of(prefixes_.begin(), prefixes_.end(), [&](const OnLinkPrefix& known) {
    return known.interface == interface && known.prefix.Contains(ip);
  });
}

bool LearnedRoutes::TakeExpired(Instant now, Router* gone) {
  std::erase_if(prefixes_, [now](const OnLinkPrefix& known) { return known.valid_until <= now; });
  const auto found = std::find_if(routers_.begin(), routers_.end(),
                                  [now](const Router& router) { return router.valid_until <= now; });
  if (found == routers_.end()) return false;
  *gone = *found;
  routers_.erase(found);
  return true;
}

Instant LearnedRoutes::NextDeadline() const {
  Instant earliest = Instant::Never();
  for (const Router& router : routers_) earliest = std::min(earliest, router.valid_until);
  for (const OnLinkPrefix& known : prefixes_) earliest = std::min(earliest, known.valid_until);
  return earliest;
}

}  // namespace tern::stack
