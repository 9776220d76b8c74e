// Which addresses are ours, and which of them to send from.
#ifndef TERN_STACK_ADDRESSES_H_
#define TERN_STACK_ADDRESSES_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/instant.h"
#include "stack/shard.h"
#include "wire/ip_address.h"

namespace tern::stack {

// An address on its way from unsure to gone (RFC 4862 5.4, 5.5.4).
enum class AddressState : uint8_t {
  kTentative,   // the link is being asked whether somebody has it: neither used nor answered
  kPreferred,   // ours
  kDeprecated,  // ours, but nothing new is begun from it as long as there is another
  kDuplicate,   // somebody else has it: neither used nor answered
};

// How long an address, or a prefix, may be used.
struct Lifetimes {
  Instant preferred_until = Instant::Never();
  Instant valid_until = Instant::Never();
  bool operator==(const Lifetimes&) const = default;
};

// The addresses of all interfaces: single ones, pools, and for IPv6 each interface's link-local address; and
// those learned from routers, of which each interface has room for a few.
class LocalAddresses {
 public:
  static constexpr uint32_t kMaxLearned = 8;  // of one interface

  explicit LocalAddresses(std::span<const InterfaceConfig> interfaces);

  // Neither tentative nor a duplicate.
  bool IsOurs(const wire::IpAddress& ip) const;
  // Ours, or about to be: what may be listened on.
  bool IsAssigned(const wire::IpAddress& ip) const;
  // Whose address it is: `otherwise` when it is that one's, too, or nobody's.
  uint16_t InterfaceOf(const wire::IpAddress& ip, uint16_t otherwise) const;
  // 255.255.255.255, or the directed broadcast of a subnet we are on.
  bool IsBroadcast(const wire::IpAddress& ip) const;
  // Whether the interface's own prefixes contain it.
  bool OnLink(uint16_t interface, const wire::IpAddress& ip) const;

  // An address of `interface` to reach `next_hop` from: the one that shares the longest configured prefix
  // with it, and of equals a pool, whose addresses are given in turn. Of IPv6 addresses one of the same scope
  // comes first, then one that is not deprecated (RFC 6724 5, rules 2, 3 and 8). Nothing when the interface
  // has none of that family. Where the next hop is link-local only because routers are, `next_hop` is the
  // destination.
  std::optional<wire::IpAddress> SourceFor(uint16_t interface, const wire::IpAddress& next_hop);
  // The same for a question to `target` about its link address: always the same answer.
  std::optional<wire::IpAddress> SolicitFrom(uint16_t interface, const wire::IpAddress& target) const;

  struct Entry {
    wire::IpPrefix prefix;
    uint16_t interface = 0;
    bool pool = false;
    bool link_local = false;  // made by us, not configured
    bool learned = false;     // from a router's prefix, which does not say that it is on link
    AddressState state = AddressState::kPreferred;
    uint8_t probes_left = 0;              // questions still to be asked of the link
    Instant probe_at = Instant::Never();  // the next of them, or the end of waiting for an answer to the last
    Lifetimes lifetimes;
    uint32_t turn = 0;

    bool usable() const { return state == AddressState::kPreferred || state == AddressState::kDeprecated; }
  };
  std::span<const Entry> entries() const { return entries_; }
  std::span<Entry> entries() { return entries_; }
  // The single address `ip` of `interface`, in whatever state; nullptr when it has none such. Stays valid
  // until the next AddLearned or Remove.
  Entry* Find(uint16_t interface, const wire::IpAddress& ip);
  // An address of the learned prefix; nullptr when the interface has its fill. It is preferred, for ever.
  Entry* AddLearned(uint16_t interface, const wire::IpPrefix& prefix);
  // REQUIRES: an index of entries().
  void Remove(size_t index) { entries_.erase(entries_.begin() + static_cast<ptrdiff_t>(index)); }

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
