// Stateless address autoconfiguration: what RFC 4862 and RFC 4861 decide from values, and what an interface
// remembers of it. Who asks, and what becomes of the answers, is in autoconf_handler.cc.
#ifndef TERN_STACK_AUTOCONF_H_
#define TERN_STACK_AUTOCONF_H_

#include <cstdint>

#include "base/instant.h"
#include "base/prng.h"
#include "stack/addresses.h"
#include "stack/neighbour.h"
#include "wire/ndp.h"

namespace tern::stack {

// RFC 4861 10.
inline constexpr Duration kMaxSolicitDelay = Duration::Seconds(1);
inline constexpr Duration kSolicitInterval = Duration::Seconds(4);
inline constexpr uint8_t kMaxSolicits = 3;
// RFC 4862 5.5.3 (e): an unauthenticated message does not cut what is left below this.
inline constexpr Duration kLeastValid = Duration::Seconds(2 * 3'600);
// The only length that together with an EUI-64 makes an address (RFC 4862 5.5.3 d, RFC 2464 4).
inline constexpr uint8_t kAutoconfPrefixLength = 64;

// Whether a prefix says anything about what is on link (RFC 4861 6.3.4), or gives an address (RFC 4862 5.5.3
// a to d). Neither is ever true of link-local, multicast and loopback ranges, whatever the routers say.
bool GivesOnLink(const wire::NdpPrefix& prefix);
bool GivesAddress(const wire::NdpPrefix& prefix);
// The prefix' first 64 bits with the modified EUI-64 of the station (RFC 4291 appendix A). The same for all
// prefixes, so its solicited-node group is the link-local address' own, which the device already hears.
wire::IpAddress FormAddress(const wire::IpPrefix& prefix, const wire::MacAddress& mac);

// Of a prefix that is new. Seconds of all ones never end.
Lifetimes FirstLifetimes(const wire::NdpPrefix& prefix, Instant now);
// Of an address that is there already: the two-hour rule of RFC 4862 5.5.3 (e).
Lifetimes RenewedLifetimes(const Lifetimes& old, const wire::NdpPrefix& prefix, Instant now);

// What routers may set of a link, and how far they are believed: nobody may stop the interface with a number.
struct LinkValues {
  // RFC 4861 6.3.4: not above the device's own MTU, not below 1280 (RFC 8200 5). 0: not a value to use.
  static uint16_t Mtu(uint32_t advertised, uint16_t device);
  // 0: keep what is there. Below 32 large parts of the net cannot be reached, and no router has reason to.
  static uint8_t HopLimit(uint8_t advertised);
  // RFC 4861 6.3.2: uniformly between half and one and a half of the base. Zero: keep what is there.
  static Duration Reachable(uint32_t advertised_ms, Prng& random);
  static Duration Retrans(uint32_t advertised_ms);
};

// Asking for routers (RFC 4861 6.3.7).
class RouterQuest {
 public:
  // The first question goes out at `at`.
  void Begin(Instant at) {
    left_ = kMaxSolicits;
    next_ = at;
  }
  // A router has answered that is one.
  void End() { *this = RouterQuest(); }
  // True when a question is due; counts it as asked.
  bool Take(Instant now);
  Instant next() const { return next_; }

 private:
  uint8_t left_ = 0;
  Instant next_ = Instant::Never();
};

// What one interface remembers.
struct LinkAutoconf {
  RouterQuest quest;
  bool begun = false;         // the quest: it waits for the link-local address
  uint16_t mtu = 0;           // of IPv6 packets; 0: the device's
  uint8_t hop_limit = 0;      // 0: the configured one
  uint64_t nonce = 0;         // of our questions after duplicates (RFC 7527)
  uint32_t reachable_ms = 0;  // as last advertised: drawn anew when it changes
};

}  // namespace tern::stack

#endif  // TERN_STACK_AUTOCONF_H_
