// A queue of slots of some pool, linked by index through their `next`.
#ifndef TERN_STACK_INDEX_QUEUE_H_
#define TERN_STACK_INDEX_QUEUE_H_

#include <cstdint>

#include "base/slot_pool.h"

namespace tern::stack {

struct IndexQueue {
  uint32_t head = kNoSlot;
  uint32_t tail = kNoSlot;

  bool empty() const { return head == kNoSlot; }

  // REQUIRES: `index` is in no queue through the same link.
  template <typename Pool>
  void PushBack(Pool& pool, uint32_t index) {
    pool[index].next = kNoSlot;
    if (tail == kNoSlot) {
      head = index;
    } else {
      pool[tail].next = index;
    }
    tail = index;
  }
  // kNoSlot when empty.
  template <typename Pool>
  uint32_t PopFront(Pool& pool) {
    const uint32_t index = head;
    if (index == kNoSlot) return kNoSlot;
    head = pool[index].next;
    if (head == kNoSlot) tail = kNoSlot;
    return index;
  }
};

}  // namespace tern::stack

#endif  // TERN_STACK_INDEX_QUEUE_H_
