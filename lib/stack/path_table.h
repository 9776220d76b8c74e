// What paths carry that carry less than their link: what one connection learnt, for those that come after it.
#ifndef TERN_STACK_PATH_TABLE_H_
#define TERN_STACK_PATH_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/hash.h"
#include "base/instant.h"
#include "base/intrusive_list.h"
#include "base/memory_source.h"
#include "base/slot_pool.h"
#include "wire/ip_address.h"

namespace tern::stack {

// One entry a destination (RFC 8201 5.2: the least that a host may do), bounded: the oldest makes room. An
// entry is forgotten ten minutes after its last decrease (RFC 1191 6.3, RFC 8201 5.3), so that new
// connections try for more by themselves. Sizes are what an MSS option of the destination's family counts.
class PathTable {
 public:
  PathTable(MemorySource& memory, uint32_t limit, const HashKey& secret);

  struct Known {
    uint16_t mss = 0;     // 0: nothing is known
    bool settled = true;  // false: whoever found that is trying for more
  };
  Known Find(const wire::IpAddress& destination, Instant now) const;

  // Nothing larger arrives. Never makes an entry larger.
  void Lower(const wire::IpAddress& destination, Known known, Instant now);
  // Something as large did arrive. Makes no entry.
  void Raise(const wire::IpAddress& destination, Known known);

  uint32_t in_use() const { return entries_.in_use(); }

 private:
  struct Entry {
    wire::IpAddress destination;
    Instant expires;
    Known known;
    uint32_t hash_next = kNoSlot;
    ListLinks age;
  };

  size_t Bucket(const wire::IpAddress& destination) const;
  uint32_t Index(const wire::IpAddress& destination) const;
  void Remove(uint32_t index);

  HashKey secret_;
  std::vector<uint32_t> heads_;
  SlotPool<Entry, 8> entries_;
  IntrusiveList<Entry, &Entry::age> order_;  // by expiry: all live equally long
};

}  // namespace tern::stack

#endif  // TERN_STACK_PATH_TABLE_H_
