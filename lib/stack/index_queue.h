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
    PushBack(pool, index, pool[index]);
  }
  // `item` is pool[index], for who has it at hand.
  template <typename Pool, typename Item>
  void PushBack(Pool& pool, uint32_t index, Item& item) {
    item.next = kNoSlot;
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
    if (index != kNoSlot) DropFront(pool[index]);
    return index;
  }
  // REQUIRES: `item` is pool[head].
  template <typename Item>
  void DropFront(const Item& item) {
    head = item.next;
    if (head == kNoSlot) tail = kNoSlot;
  }
};

}  // namespace tern::stack

#endif  // TERN_STACK_INDEX_QUEUE_H_
