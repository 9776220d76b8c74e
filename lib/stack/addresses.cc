#include "stack/addresses.h"

#include <algorithm>

namespace tern::stack {
namespace {

// Whether the prefix sets addresses aside: all but host routes and point-to-point links (RFC 3021, RFC 6164).
bool HasReserved(const wire::IpPrefix& prefix) { return prefix.max_length() - prefix.length >= 2; }

bool InPool(const wire::IpPrefix& prefix, const wire::IpAddress& ip) {
  if (!prefix.Contains(ip)) return false;
  if (!HasReserved(prefix)) return true;
  return ip != prefix.Network() && !prefix.IsBroadcast(ip);
}

wire::IpAddress Plus(const wire::IpAddress& base, uint32_t n) {
  wire::IpAddress::Bytes bytes = base.bytes();
  wire::StoreBe32(bytes.data() + 12, wire::LoadBe32(bytes.data() + 12) + n);
  return wire::IpAddress(bytes);
}

}  // namespace

uint32_t PoolSize(const wire::IpPrefix& prefix) {
  const int bits = prefix.max_length() - prefix.length;
  if (bits >= 24) return 1u << 24;
  const uint32_t all = 1u << bits;
  if (!HasReserved(prefix)) return all;
  return prefix.address.IsV4() ? all - 2 : all - 1;
}

wire::IpAddress PoolAddress(const wire::IpPrefix& prefix, uint32_t n) {
  const uint32_t first = HasReserved(prefix) ? 1 : 0;
  return Plus(prefix.Network(), first + n % PoolSize(prefix));
}

LocalAddresses::LocalAddresses(std::span<const InterfaceConfig> interfaces) {
  for (size_t i = 0; i < interfaces.size(); ++i) {
    const auto number = static_cast<uint16_t>(i);
    bool ipv6 = false;
    for (const LocalAddress& local : interfaces[i].addresses) {
      entries_.push_back({.prefix = local.prefix, .interface = number, .pool = local.pool});
      ipv6 = ipv6 || !local.prefix.address.IsV4();
    }
    // RFC 4291 2.8: a node answers to a link-local address on every IPv6 interface.
    if (ipv6) {
      const wire::IpAddress own = wire::IpAddress::LinkLocalFor(interfaces[i].mac);
      entries_.push_back({.prefix = {own, 64}, .interface = number, .link_local = true});
    }
  }
}

bool LocalAddresses::IsOurs(const wire::IpAddress& ip) const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const Entry& e) { return e.pool ? InPool(e.prefix, ip) : e.prefix.address == ip; });
}

bool LocalAddresses::IsBroadcast(const wire::IpAddress& ip) const {
  if (ip.IsBroadcast()) return true;
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const Entry& e) { return e.prefix.IsBroadcast(ip); });
}

bool LocalAddresses::OnLink(uint16_t interface, const wire::IpAddress& ip) const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const Entry& e) { return e.interface == interface && e.prefix.Contains(ip); });
}

const LocalAddresses::Entry* LocalAddresses::Best(uint16_t interface, const wire::IpAddress& next_hop) const {
  const Entry* best = nullptr;
  int best_score = -1;
  for (const Entry& e : entries_) {
    if (e.interface != interface || e.prefix.address.IsV4() != next_hop.IsV4()) continue;
    // A link-local address speaks to link-local neighbours, and to others only for want of a better one.
    int score = 0;
    if (e.prefix.Contains(next_hop)) {
      score = 4 + 2 * e.prefix.length;
    } else if (!e.link_local) {
      score = 2;
    }
    if (e.pool) ++score;
    if (score > best_score) {
      best = &e;
      best_score = score;
    }
  }
  return best;
}

std::optional<wire::IpAddress> LocalAddresses::SourceFor(uint16_t interface,
                                                         const wire::IpAddress& next_hop) {
  const Entry* best = Best(interface, next_hop);
  if (best == nullptr) return std::nullopt;
  if (!best->pool) return best->prefix.address;
  return PoolAddress(best->prefix, entries_[static_cast<size_t>(best - entries_.data())].turn++);
}

std::optional<wire::IpAddress> LocalAddresses::SolicitFrom(uint16_t interface,
                                                           const wire::IpAddress& target) const {
  const Entry* best = Best(interface, target);
  if (best == nullptr) return std::nullopt;
  return best->pool ? PoolAddress(best->prefix, 0) : best->prefix.address;
}

}  // namespace tern::stack
