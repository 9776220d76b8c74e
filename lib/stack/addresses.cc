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
  size_t room = 0;
  for (const InterfaceConfig& interface : interfaces) {
    room += interface.addresses.size() + 1 + (interface.autoconf.on ? kMaxLearned : 0);
  }
  entries_.reserve(room);
  for (size_t i = 0; i < interfaces.size(); ++i) {
    const auto number = static_cast<uint16_t>(i);
    bool ipv6 = interfaces[i].autoconf.on;
    for (const LocalAddress& local : interfaces[i].addresses) {
      entries_.push_back({.prefix = local.prefix, .interface = number, .pool = local.pool});
      ipv6 = ipv6 || !local.prefix.address.IsV4();
    }
    // RFC 4291 2.8: a node answers to a link-local address on every IPv6 interface. RFC 4862 5.3 and RFC 4291
    // appendix A: it is made from the station's address, so that whoever knows the one knows the other.
    if (ipv6) {
      const wire::IpAddress own = wire::IpAddress::LinkLocalFor(interfaces[i].mac);
      entries_.push_back({.prefix = {own, 64}, .interface = number, .link_local = true});
    }
  }
}

bool LocalAddresses::IsOurs(const wire::IpAddress& ip) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& e) {
    return e.pool ? InPool(e.prefix, ip) : e.prefix.address == ip && e.usable();
  });
}

bool LocalAddresses::IsAssigned(const wire::IpAddress& ip) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& e) {
    return e.pool ? InPool(e.prefix, ip) : e.prefix.address == ip && e.state != AddressState::kDuplicate;
  });
}

uint16_t LocalAddresses::InterfaceOf(const wire::IpAddress& ip, uint16_t otherwise) const {
  const Entry* found = nullptr;
  for (const Entry& e : entries_) {
    if (e.pool ? !InPool(e.prefix, ip) : e.prefix.address != ip) continue;
    if (e.interface == otherwise) return otherwise;
    if (found == nullptr) found = &e;
  }
  return found == nullptr ? otherwise : found->interface;
}

LocalAddresses::Entry* LocalAddresses::Find(uint16_t interface, const wire::IpAddress& ip) {
  for (Entry& e : entries_) {
    if (e.interface == interface && !e.pool && e.prefix.address == ip) return &e;
  }
  return nullptr;
}

LocalAddresses::Entry* LocalAddresses::AddLearned(uint16_t interface, const wire::IpPrefix& prefix) {
  const auto learned = std::count_if(entries_.begin(), entries_.end(),
                                     [&](const Entry& e) { return e.interface == interface && e.learned; });
  if (learned >= kMaxLearned) return nullptr;
  return &entries_.emplace_back(Entry{.prefix = prefix, .interface = interface, .learned = true});
}

bool LocalAddresses::IsBroadcast(const wire::IpAddress& ip) const {
  if (ip.IsBroadcast()) return true;
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const Entry& e) { return e.prefix.IsBroadcast(ip); });
}

bool LocalAddresses::OnLink(uint16_t interface, const wire::IpAddress& ip) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& e) {
    return e.interface == interface && !e.learned && e.prefix.Contains(ip);
  });
}

const LocalAddresses::Entry* LocalAddresses::Best(uint16_t interface, const wire::IpAddress& next_hop) const {
  const Entry* best = nullptr;
  int best_score = -1;
  for (const Entry& e : entries_) {
    const wire::IpAddress& own = e.prefix.address;
    if (e.interface != interface || own.IsV4() != next_hop.IsV4() || !e.usable()) continue;
    // What comes first outweighs all that follows; a prefix is at most 128 long.
    constexpr int kSameScope = 2'000;
    constexpr int kNotDeprecated = 1'000;
    int score = own.IsV4() || own.IsLinkLocal() == next_hop.IsLinkLocal() ? kSameScope : 0;
    if (e.state == AddressState::kPreferred) score += kNotDeprecated;
    if (e.prefix.Contains(next_hop)) score += 4 + 2 * e.prefix.length;
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
