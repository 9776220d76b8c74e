// A doubly linked list of pool slots, linked by index.
#ifndef TERN_BASE_INTRUSIVE_LIST_H_
#define TERN_BASE_INTRUSIVE_LIST_H_

#include <cstdint>

#include "base/slot_pool.h"

namespace tern {

// The links, as a member of the slot's type; one for each list a slot can be on at the same time.
struct ListLinks {
  // In no list: not kNoSlot, which is the link of a list's last element.
  static constexpr uint32_t kUnlinked = 0xfffffffe;

  uint32_t prev = kUnlinked;
  uint32_t next = kUnlinked;

  constexpr bool linked() const { return next != kUnlinked; }
};

// A list of slots of some pool of T, through its member `kLinks`. It holds no pointer, so that the state it
// is part of can be moved as bytes; every call is given the pool: anything with `T& operator[](uint32_t)`.
// All O(1).
template <typename T, ListLinks T::*kLinks>
class IntrusiveList {
 public:
  bool empty() const { return head_ == kNoSlot; }
  uint32_t size() const { return size_; }
  // kNoSlot when empty.
  uint32_t front() const { return head_; }
  uint32_t back() const { return tail_; }

  // The neighbours of an element, kNoSlot at the ends. REQUIRES: `index` is on a list.
  template <typename Pool>
  static uint32_t Next(Pool& pool, uint32_t index) {
    return (pool[index].*kLinks).next;
  }
  template <typename Pool>
  static uint32_t Prev(Pool& pool, uint32_t index) {
    return (pool[index].*kLinks).prev;
  }

  // REQUIRES, for all that add: `index` is on no list through these links.
  template <typename Pool>
  void PushBack(Pool& pool, uint32_t index) {
    Link(pool, index, tail_, kNoSlot);
  }
  template <typename Pool>
  void PushFront(Pool& pool, uint32_t index) {
    Link(pool, index, kNoSlot, head_);
  }
  // Puts `index` before `position`, which is on this list.
  template <typename Pool>
  void InsertBefore(Pool& pool, uint32_t position, uint32_t index) {
    Link(pool, index, Prev(pool, position), position);
  }

  // REQUIRES: `index` is on this list.
  template <typename Pool>
  void Remove(Pool& pool, uint32_t index) {
    ListLinks& links = pool[index].*kLinks;
    SetNext(pool, links.prev, links.next);
    SetPrev(pool, links.next, links.prev);
    links = ListLinks{};
    --size_;
  }
  // kNoSlot when empty.
  template <typename Pool>
  uint32_t PopFront(Pool& pool) {
    const uint32_t index = head_;
    if (index != kNoSlot) Remove(pool, index);
    return index;
  }

 private:
  template <typename Pool>
  void Link(Pool& pool, uint32_t index, uint32_t prev, uint32_t next) {
    pool[index].*kLinks = {prev, next};
    SetNext(pool, prev, index);
    SetPrev(pool, next, index);
    ++size_;
  }
  // Before the first element and after the last comes the list itself.
  template <typename Pool>
  void SetNext(Pool& pool, uint32_t index, uint32_t next) {
    (index == kNoSlot ? head_ : (pool[index].*kLinks).next) = next;
  }
  template <typename Pool>
  void SetPrev(Pool& pool, uint32_t index, uint32_t prev) {
    (index == kNoSlot ? tail_ : (pool[index].*kLinks).prev) = prev;
  }

  uint32_t head_ = kNoSlot;
  uint32_t tail_ = kNoSlot;
  uint32_t size_ = 0;
};

}  // namespace tern

#endif  // TERN_BASE_INTRUSIVE_LIST_H_
