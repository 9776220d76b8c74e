// Which addresses are ours, and which of them to send from.
#ifndef TERN_STACK_ADDRESSES_H_
#define TERN_STACK_ADDRESSES_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "stack/shard.h"
#include "wire/ip_address.h"

namespace tern::stack {

// The addresses of all interfaces: single ones, pools, and for IPv6 each interface's link-local address.
class LocalAddresses {
 public:
  explicit LocalAddresses(std::span<const InterfaceConfig> interfaces);

  bool IsOurs(const wire::IpAddress& ip) const;
  // 255.255.255.255, or the directed broadcast of a subnet we are on.
  bool IsBroadcast(const wire::IpAddress& ip) const;
  // Whether the interface's own prefixes contain it.
  bool OnLink(uint16_t interface, const wire::IpAddress& ip) const;

  // An address of `interface` to reach `next_hop` from: the one that shares the longest configured prefix
  // with it, and of equals a pool, whose addresses are given in turn. Nothing when the interface has none of
  // that family.
  std::optional<wire::IpAddress> SourceFor(uint16_t interface, const wire::IpAddress& next_hop);
  // The same for a question to `target` about its link address: always the same answer.
  std::optional<wire::IpAddress> SolicitFrom(uint16_t interface, const wire::IpAddress& target) const;

  struct Entry {
    wire::IpPrefix prefix;
    uint16_t interface = 0;
    bool pool = false;
    bool link_local = false;  // made by us, not configured
    uint32_t turn = 0;
  };
  std::span<const Entry> entries() const { return entries_; }

 private:
  const Entry* Best(uint16_t interface, const wire::IpAddress& next_hop) const;

  std::vector<Entry> entries_;
};

// The n-th usable host address of a pool, modulo their number. An IPv4 subnet's own and broadcast addresses
// are none of them (RFC 1122 3.2.1.3), nor is an IPv6 subnet's all-routers anycast address (RFC 4291 2.6.1).
wire::IpAddress PoolAddress(const wire::IpPrefix& prefix, uint32_t n);
// How many there are; large pools end at 2^24.
uint32_t PoolSize(const wire::IpPrefix& prefix);

}  // namespace tern::stack

#endif  // TERN_STACK_ADDRESSES_H_
