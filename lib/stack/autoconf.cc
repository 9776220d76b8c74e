#include "stack/autoconf.h"

#include <algorithm>

namespace tern::stack {
namespace {

constexpr uint32_t kForEver = 0xffffffff;  // RFC 4861 4.6.2
constexpr uint32_t kLeastMtu = 1'280;
constexpr uint8_t kLeastHopLimit = 32;
constexpr uint32_t kMaxReachableMs = 3'600'000;  // RFC 4861 4.2 and 6.2.1 have routers keep to that
constexpr uint32_t kLeastReachableMs = 1'000;
constexpr uint32_t kLeastRetransMs = 100;
constexpr uint32_t kMaxRetransMs = 10'000;

Instant Until(uint32_t seconds, Instant now) {
  return seconds == kForEver ? Instant::Never() : now + Duration::Seconds(seconds);
}

// Whether hosts of a link may have addresses of that range from a router.
bool IsOrdinary(const wire::IpPrefix& prefix) {
  const wire::IpAddress network = prefix.Network();
  return prefix.length != 0 && !network.IsLinkLocal() && !network.IsMulticast() && !network.IsLoopback() &&
         !network.IsUnspecified();
}

}  // namespace

bool GivesOnLink(const wire::NdpPrefix& prefix) { return prefix.on_link && IsOrdinary(prefix.prefix); }

bool GivesAddress(const wire::NdpPrefix& prefix) {
  return prefix.autonomous && prefix.prefix.length == kAutoconfPrefixLength && IsOrdinary(prefix.prefix) &&
         prefix.preferred_s <= prefix.valid_s;
}

wire::IpAddress FormAddress(const wire::IpPrefix& prefix, const wire::MacAddress& mac) {
  wire::IpAddress::Bytes bytes = wire::IpAddress::LinkLocalFor(mac).bytes();
  std::copy_n(prefix.address.bytes().begin(), 8, bytes.begin());
  return wire::IpAddress(bytes);
}

Lifetimes FirstLifetimes(const wire::NdpPrefix& prefix, Instant now) {
  return {.preferred_until = Until(prefix.preferred_s, now), .valid_until = Until(prefix.valid_s, now)};
}

Lifetimes RenewedLifetimes(const Lifetimes& old, const wire::NdpPrefix& prefix, Instant now) {
  Lifetimes renewed = FirstLifetimes(prefix, now);
  const Instant least = now + kLeastValid;
  // RFC 4862 5.5.3 (e): 1, more than two hours or more than is left; 2, two hours or less are left; 3, else.
  if (renewed.valid_until > least || renewed.valid_until > old.valid_until) return renewed;
  renewed.valid_until = std::min(old.valid_until, least);
  return renewed;
}

uint16_t LinkValues::Mtu(uint32_t advertised, uint16_t device) {
  return advertised < kLeastMtu || advertised > device ? 0 : static_cast<uint16_t>(advertised);
}

uint8_t LinkValues::HopLimit(uint8_t advertised) { return advertised < kLeastHopLimit ? 0 : advertised; }

Duration LinkValues::Reachable(uint32_t advertised_ms, Prng& random) {
  if (advertised_ms == 0) return Duration::Zero();
  const int64_t base = std::clamp(advertised_ms, kLeastReachableMs, kMaxReachableMs);
  return Duration::Millis(random.Between(base / 2, base + base / 2));
}

Duration LinkValues::Retrans(uint32_t advertised_ms) {
  if (advertised_ms == 0) return Duration::Zero();
  return Duration::Millis(std::clamp(advertised_ms, kLeastRetransMs, kMaxRetransMs));
}

bool RouterQuest::Take(Instant now) {
  if (left_ == 0 || next_ > now) return false;
  --left_;
  next_ = left_ == 0 ? Instant::Never() : now + kSolicitInterval;
  return true;
}

}  // namespace tern::stack
