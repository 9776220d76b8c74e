// A pool of equal slots named by index, growing by chunks and never moving what it holds.
#ifndef TERN_BASE_SLOT_POOL_H_
#define TERN_BASE_SLOT_POOL_H_

#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/memory_source.h"

namespace tern {

inline constexpr uint32_t kNoSlot = 0xffffffff;

// Slots of T addressed by a 32-bit index. Allocation and release are O(1); a slot's address is stable; memory
// grows by chunks of 2^kChunkBits slots from a MemorySource up to `limit` slots. One owner, one thread.
template <typename T, unsigned kChunkBits = 10>
class SlotPool {
  static_assert(std::is_trivially_destructible_v<T>, "slots are reused without destruction");

 public:
  SlotPool(MemorySource& memory, uint32_t limit) : memory_(&memory), limit_(limit) {
    chunks_.reserve((static_cast<size_t>(limit) + kChunkSize - 1) / kChunkSize);
  }
  ~SlotPool() {
    for (Cell* chunk : chunks_) memory_->Free(chunk, sizeof(Cell) * kChunkSize);
  }
  SlotPool(const SlotPool&) = delete;
  SlotPool& operator=(const SlotPool&) = delete;

  // A fresh value-initialised slot, or kNoSlot at the limit (or when memory is out).
  uint32_t Allocate() {
    uint32_t index = free_head_;
    if (index != kNoSlot) {
      free_head_ = CellAt(index).next_free;
    } else {
      if (next_unused_ >= limit_) return kNoSlot;
      if (next_unused_ == capacity() && !Grow()) return kNoSlot;
      index = next_unused_++;
    }
    ::new (static_cast<void*>(&CellAt(index).value)) T();
    ++in_use_;
    return index;
  }

  // Fetches memory now, so that Allocate cannot fail until `slots` (or the limit, if less) are in use. False
  // when memory is out; what was fetched is kept.
  bool Reserve(uint32_t slots) {
    const uint32_t wanted = slots < limit_ ? slots : limit_;
    while (capacity() < wanted) {
      if (!Grow()) return false;
    }
    return true;
  }

  // REQUIRES: `index` came from Allocate and was not released since.
  void Release(uint32_t index) {
    CellAt(index).next_free = free_head_;
    free_head_ = index;
    --in_use_;
  }

  T& operator[](uint32_t index) { return CellAt(index).value; }
  const T& operator[](uint32_t index) const { return const_cast<SlotPool*>(this)->CellAt(index).value; }

  uint32_t in_use() const { return in_use_; }
  uint32_t limit() const { return limit_; }
  // Indices at or above this were never handed out.
  uint32_t high_water() const { return next_unused_; }
  size_t bytes_held() const { return chunks_.size() * kChunkSize * sizeof(Cell); }

 private:
  union Cell {
    Cell() : next_free(kNoSlot) {}
    T value;
    uint32_t next_free;
  };
  static constexpr uint32_t kChunkSize = 1u << kChunkBits;
  static constexpr uint32_t kChunkMask = kChunkSize - 1;

  // Slots that the memory held so far has room for.
  uint64_t capacity() const { return uint64_t{chunks_.size()} << kChunkBits; }

  Cell& CellAt(uint32_t index) { return chunks_[index >> kChunkBits][index & kChunkMask]; }

  bool Grow() {
    void* block = memory_->Allocate(sizeof(Cell) * kChunkSize);
    if (block == nullptr) return false;
    chunks_.push_back(static_cast<Cell*>(block));
    return true;
  }

  MemorySource* memory_;
  uint32_t limit_;
  uint32_t next_unused_ = 0;
  uint32_t free_head_ = kNoSlot;
  uint32_t in_use_ = 0;
  std::vector<Cell*> chunks_;
};

}  // namespace tern

#endif  // TERN_BASE_SLOT_POOL_H_
