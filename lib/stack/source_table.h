// How many pending connections each source has at each listener: for the bound on one source.
#ifndef TERN_STACK_SOURCE_TABLE_H_
#define TERN_STACK_SOURCE_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/hash.h"
#include "base/memory_source.h"
#include "base/slot_pool.h"
#include "wire/ip_address.h"

namespace tern::stack {

// A source is an IPv4 address, or the /64 of an IPv6 address, since a host has all of those; link-local
// addresses share one /64 and count each for itself. Bounded: a source that has nothing pending takes no
// entry.
class SourceTable {
 public:
  SourceTable(MemorySource& memory, uint32_t limit, const HashKey& secret);

  enum class Verdict : uint8_t { kCounted, kAtBound, kTableFull };
  // One more of `source` at `listener`, unless it has `bound` already. Only kCounted changes anything.
  Verdict Add(uint32_t listener, const wire::IpAddress& source, uint32_t bound);
  // One less. Harmless when none was counted.
  void Remove(uint32_t listener, const wire::IpAddress& source);

  uint32_t Count(uint32_t listener, const wire::IpAddress& source) const;
  uint32_t in_use() const { return entries_.in_use(); }

 private:
  struct Entry {
    wire::IpAddress source;
    uint32_t listener = 0;
    uint32_t count = 0;
    uint32_t next = kNoSlot;
  };

  size_t Bucket(uint32_t listener, const wire::IpAddress& source) const;
  uint32_t Find(uint32_t listener, const wire::IpAddress& source) const;

  HashKey secret_;
  std::vector<uint32_t> heads_;
  SlotPool<Entry, 8> entries_;
};

}  // namespace tern::stack

#endif  // TERN_STACK_SOURCE_TABLE_H_
