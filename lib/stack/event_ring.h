// Connections that have something to tell, in the order in which they began to.
#ifndef TERN_STACK_EVENT_RING_H_
#define TERN_STACK_EVENT_RING_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/slot_pool.h"

namespace tern::stack {

// A ring of slot numbers. A slot is in it at most once (its own flag says so), so with room for every slot it
// cannot overflow.
class EventRing {
 public:
  explicit EventRing(uint32_t slots)
      : ring_(std::bit_ceil(std::max<size_t>(slots, 1))), mask_(ring_.size() - 1) {}

  bool empty() const { return head_ == tail_; }
  // REQUIRES: `slot` is not in the ring.
  void Push(uint32_t slot) { ring_[tail_++ & mask_] = slot; }
  // kNoSlot when empty.
  uint32_t Pop() { return empty() ? kNoSlot : ring_[head_++ & mask_]; }

 private:
  std::vector<uint32_t> ring_;
  size_t mask_;
  size_t head_ = 0;
  size_t tail_ = 0;
};

}  // namespace tern::stack

#endif  // TERN_STACK_EVENT_RING_H_
