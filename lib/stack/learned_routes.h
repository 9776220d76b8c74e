// What routers say of the link: who of them leads further, and which prefixes are on it (RFC 4861 5.1, 6.3).
#ifndef TERN_STACK_LEARNED_ROUTES_H_
#define TERN_STACK_LEARNED_ROUTES_H_

#include <cstdint>
#include <span>
#include <vector>

#include "base/instant.h"
#include "wire/ip_address.h"

namespace tern::stack {

// The Default Router List and the Prefix List, small and bounded: who announces more is not heard. Nothing is
// allocated after construction.
class LearnedRoutes {
 public:
  // Of one interface each.
  static constexpr size_t kMaxRouters = 4;
  static constexpr size_t kMaxPrefixes = 8;

  // `learning`: interfaces that learn at all.
  explicit LearnedRoutes(size_t learning);

  struct Router {
    wire::IpAddress address;
    uint16_t interface = 0;
    bool failed = false;  // did not answer when last asked (RFC 4861 7.3)
    Instant valid_until;
  };
  struct OnLinkPrefix {
    wire::IpPrefix prefix;
    uint16_t interface = 0;
    Instant valid_until;
  };

  // `lifetime` zero: it leads nowhere (any more). False when nothing changed but times: it is known as it
  // was, or there is no room for it.
  bool SetRouter(uint16_t interface, const wire::IpAddress& address, Duration lifetime, Instant now);
  // `valid_until` not after `now`: it is not on link (any more). False when there is no room for it.
  bool SetPrefix(uint16_t interface, const wire::IpPrefix& prefix, Instant valid_until, Instant now);

  // A router that does not answer comes last, until it is heard again (RFC 4861 6.3.6: of routers of which
  // none answers each gets its turn). False when it is none.
  bool SetFailed(uint16_t interface, const wire::IpAddress& address);
  void SetHeard(uint16_t interface, const wire::IpAddress& address);

  // The most specific prefix that holds `ip`, or nullptr.
  const OnLinkPrefix* Covering(const wire::IpAddress& ip) const;
  bool OnLink(uint16_t interface, const wire::IpAddress& ip) const;
  // The default router to use, or nullptr: one of interface `near` before others, unless it failed.
  const Router* Default(uint16_t near) const;
  bool IsRouter(uint16_t interface, const wire::IpAddress& address) const;

  // Takes out one router whose time is over; false when there is none. Prefixes leave by themselves.
  bool TakeExpired(Instant now, Router* gone);
  Instant NextDeadline() const;

  std::span<const Router> routers() const { return routers_; }
  std::span<const OnLinkPrefix> prefixes() const { return prefixes_; }

 private:
  std::vector<Router>::iterator Find(uint16_t interface, const wire::IpAddress& address);

  std::vector<Router> routers_;  // those that did not fail come first
  std::vector<OnLinkPrefix> prefixes_;
};

}  // namespace tern::stack

#endif  // TERN_STACK_LEARNED_ROUTES_H_
