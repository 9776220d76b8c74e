// A bounded ring from one thread to one other, without a lock.
#ifndef TERN_BASE_SPSC_RING_H_
#define TERN_BASE_SPSC_RING_H_

#include <algorithm>
#include <atomic>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

#include "base/memory_source.h"

namespace tern {

// The ring owns the memory; its two ends are handles that can be moved but not copied, each to be held by one
// thread at a time. The ring outlives both. What the producer wrote before a push, the consumer sees after
// the pop.
//
// Each end keeps its own index and a copy of the other's, and looks at the other's cache line only when the
// copy says that there is no room (or nothing to take): with work in flight an end runs on lines of its own.
template <typename T>
class SpscRing {
  static_assert(std::is_trivially_copyable_v<T>, "elements move as bytes");
  static constexpr size_t kLine = 64;

 public:
  class Producer;
  class Consumer;

  // Room for `capacity` elements, rounded up to a power of two. Without memory the ring is not ok() and is
  // always full and empty.
  SpscRing(MemorySource& memory, size_t capacity)
      : memory_(&memory), capacity_(std::bit_ceil(std::max<size_t>(capacity, 1))) {
    slots_ = static_cast<T*>(memory.Allocate(capacity_ * sizeof(T)));
    if (slots_ == nullptr) capacity_ = 0;
  }
  ~SpscRing() {
    if (slots_ != nullptr) memory_->Free(slots_, capacity_ * sizeof(T));
  }
  SpscRing(const SpscRing&) = delete;
  SpscRing& operator=(const SpscRing&) = delete;

  bool ok() const { return slots_ != nullptr; }
  size_t capacity() const { return capacity_; }

  // Hand out the ends, each once, before the threads that use them meet the ring.
  Producer TakeProducer() {
    assert(!producer_taken_);
    producer_taken_ = true;
    return Producer(this);
  }
  Consumer TakeConsumer() {
    assert(!consumer_taken_);
    consumer_taken_ = true;
    return Consumer(this);
  }

 private:
  // Free-running counts: element i lies in slot i mod capacity, and 2^64 is never reached.
  alignas(kLine) std::atomic<uint64_t> pushed_{0};  // written by the producer alone
  alignas(kLine) std::atomic<uint64_t> popped_{0};  // written by the consumer alone
  // Constant from here on.
  alignas(kLine) MemorySource* memory_;
  T* slots_ = nullptr;
  size_t capacity_;
  bool producer_taken_ = false;
  bool consumer_taken_ = false;
};

// The end that pushes. Aligned to a line so that an end beside it in somebody's struct does not share one.
template <typename T>
class alignas(SpscRing<T>::kLine) SpscRing<T>::Producer {
 public:
  Producer() = default;
  Producer(Producer&& other) noexcept { *this = std::move(other); }
  Producer& operator=(Producer&& other) noexcept {
    ring_ = std::exchange(other.ring_, nullptr);
    slots_ = other.slots_;
    capacity_ = std::exchange(other.capacity_, 0);  // an end moved from is always full
    pushed_ = other.pushed_;
    popped_seen_ = std::exchange(other.popped_seen_, other.pushed_);
    return *this;
  }

  explicit operator bool() const { return ring_ != nullptr; }

  // False when the ring is full.
  bool Push(const T& element) { return PushSome({&element, 1}) == 1; }
  // Pushes as many from the front as there is room for, and says how many.
  size_t PushSome(std::span<const T> elements) {
    const size_t count = std::min(elements.size(), Room(elements.size()));
    if (count == 0) return 0;
    const size_t first = pushed_ & (capacity_ - 1);
    const size_t before_wrap = std::min(count, capacity_ - first);
    std::copy_n(elements.data(), before_wrap, slots_ + first);
    std::copy_n(elements.data() + before_wrap, count - before_wrap, slots_);
    pushed_ += count;
    ring_->pushed_.store(pushed_, std::memory_order_release);
    return count;
  }
  // Elements that can be pushed now; more may fit by the time it is asked again, never fewer.
  size_t room() { return Room(capacity_); }

 private:
  friend class SpscRing;
  explicit Producer(SpscRing* ring) : ring_(ring), slots_(ring->slots_), capacity_(ring->capacity_) {}

  // Looks at the consumer's line only if less than `wanted` seems free.
  size_t Room(size_t wanted) {
    size_t room = capacity_ - (pushed_ - popped_seen_);
    if (room < wanted && ring_ != nullptr) {
      popped_seen_ = ring_->popped_.load(std::memory_order_acquire);
      room = capacity_ - (pushed_ - popped_seen_);
    }
    return room;
  }

  SpscRing* ring_ = nullptr;
  T* slots_ = nullptr;
  size_t capacity_ = 0;
  uint64_t pushed_ = 0;
  uint64_t popped_seen_ = 0;
};

// The end that pops.
template <typename T>
class alignas(SpscRing<T>::kLine) SpscRing<T>::Consumer {
 public:
  Consumer() = default;
  Consumer(Consumer&& other) noexcept { *this = std::move(other); }
  Consumer& operator=(Consumer&& other) noexcept {
    ring_ = std::exchange(other.ring_, nullptr);
    slots_ = other.slots_;
    capacity_ = other.capacity_;
    popped_ = other.popped_;
    pushed_seen_ = std::exchange(other.pushed_seen_, other.popped_);  // an end moved from is always empty
    return *this;
  }

  explicit operator bool() const { return ring_ != nullptr; }

  // False when the ring is empty; `element` is then untouched.
  bool Pop(T& element) { return PopSome({&element, 1}) == 1; }
  // Fills `out` from the front with what there is, oldest first, and says how many.
  size_t PopSome(std::span<T> out) {
    const size_t count = std::min(out.size(), Waiting(out.size()));
    if (count == 0) return 0;
    const size_t first = popped_ & (capacity_ - 1);
    const size_t before_wrap = std::min(count, capacity_ - first);
    std::copy_n(slots_ + first, before_wrap, out.data());
    std::copy_n(slots_, count - before_wrap, out.data() + before_wrap);
    popped_ += count;
    ring_->popped_.store(popped_, std::memory_order_release);
    return count;
  }
  // Elements that can be popped now; more may come by the time it is asked again, never fewer.
  size_t waiting() { return Waiting(capacity_); }
  bool empty() { return Waiting(1) == 0; }

 private:
  friend class SpscRing;
  explicit Consumer(SpscRing* ring) : ring_(ring), slots_(ring->slots_), capacity_(ring->capacity_) {}

  // Looks at the producer's line only if fewer than `wanted` seem to wait.
  size_t Waiting(size_t wanted) {
    size_t waiting = pushed_seen_ - popped_;
    if (waiting < wanted && ring_ != nullptr) {
      pushed_seen_ = ring_->pushed_.load(std::memory_order_acquire);
      waiting = pushed_seen_ - popped_;
    }
    return waiting;
  }

  SpscRing* ring_ = nullptr;
  T* slots_ = nullptr;
  size_t capacity_ = 0;
  uint64_t popped_ = 0;
  uint64_t pushed_seen_ = 0;
};

}  // namespace tern

#endif  // TERN_BASE_SPSC_RING_H_
