#include "base/timing_wheel.h"

#include <bit>

namespace tern {

TimingWheel::TimingWheel(MemorySource& memory, uint32_t max_entries, Instant start)
    : current_tick_(FloorTick(start)),
      max_entries_(max_entries),
      chunks_(memory, max_entries / kEntriesPerChunk + kPartialChunks) {
  heads_.fill(kNoSlot);
}

bool TimingWheel::Arm(uint32_t slot, uint32_t generation, Instant deadline) {
  if (deadline == Instant::Never()) return true;
  if (entries_ == max_entries_) return false;
  if (entries_ == secured_entries_) {
    // Memory is secured ahead, for the worst spread over buckets, because moving an entry down a level must
    // not be able to fail: its timer would be lost.
    constexpr uint32_t kStep = 1024 * kEntriesPerChunk;
    const uint32_t wanted = entries_ + std::min(kStep, max_entries_ - entries_);
    if (!chunks_.Reserve(wanted / kEntriesPerChunk + kPartialChunks)) return false;
    secured_entries_ = wanted;
  }
  ++entries_;
  Place({slot, generation}, deadline);
  return true;
}

// The level is that of the highest byte in which the tick differs from the current one. Within a level every
// occupied bucket then lies ahead, and all of a lower level comes before any of a higher one.
unsigned TimingWheel::BucketFor(uint64_t tick) const {
  const unsigned highest_bit = 63u - static_cast<unsigned>(std::countl_zero(tick ^ current_tick_));
  const unsigned level = highest_bit / kLevelBits;
  if (level >= kLevels) return kParked;
  return level * kBuckets + static_cast<unsigned>(tick >> (level * kLevelBits) & (kBuckets - 1));
}

void TimingWheel::MarkOccupied(unsigned bucket) {
  if (bucket == kParked) return;
  occupied_[bucket / 64] |= uint64_t{1} << (bucket % 64);
  occupied_words_ |= 1u << (bucket / 64);
}

void TimingWheel::MarkEmpty(unsigned bucket) {
  if (bucket == kParked) return;
  uint64_t& word = occupied_[bucket / 64];
  word &= ~(uint64_t{1} << (bucket % 64));
  if (word == 0) occupied_words_ &= ~(1u << (bucket / 64));
}

void TimingWheel::Place(Entry entry, Instant deadline) {
  const uint64_t tick = std::max(CeilTick(deadline), current_tick_ + 1);
  const unsigned bucket = BucketFor(tick);
  uint32_t head = heads_[bucket];
  if (head == kNoSlot || chunks_[head].count == kEntriesPerChunk) {
    const uint32_t fresh = chunks_.Allocate();  // cannot fail: Arm secured it
    Chunk& chunk = chunks_[fresh];
    if (head == kNoSlot) tails_[bucket] = fresh;
    chunk.next = head;
    chunk.count = 0;
    heads_[bucket] = head = fresh;
    MarkOccupied(bucket);
  }
  Chunk& chunk = chunks_[head];
  chunk.entries[chunk.count++] = entry;
}

std::pair<uint64_t, unsigned> TimingWheel::EarliestBucket() const {
  if (occupied_words_ != 0) {
    const auto word = static_cast<unsigned>(std::countr_zero(occupied_words_));
    const unsigned bucket = word * 64 + static_cast<unsigned>(std::countr_zero(occupied_[word]));
    const unsigned shift = bucket / kBuckets * kLevelBits;
    const uint64_t above = current_tick_ >> (shift + kLevelBits) << (shift + kLevelBits);
    return {above | uint64_t{bucket % kBuckets} << shift, bucket};
  }
  constexpr unsigned kHorizonBits = kLevels * kLevelBits;
  return {((current_tick_ >> kHorizonBits) + 1) << kHorizonBits, kParked};
}

bool TimingWheel::CollectDue(uint64_t tick) {
  while (entries_ != 0) {
    const auto [start, bucket] = EarliestBucket();
    if (start > tick) break;
    const uint32_t head = std::exchange(heads_[bucket], kNoSlot);
    if (head == kNoSlot) break;  // the parking bucket, when all there was is in hand
    MarkEmpty(bucket);
    if (due_head_ == kNoSlot) {
      due_head_ = head;
    } else {
      chunks_[due_tail_].next = head;
    }
    due_tail_ = tails_[bucket];
  }
  // No bucket left starts at or before `tick`, so every entry keeps its level when seen from there.
  current_tick_ = std::max(current_tick_, tick);
  return due_head_ != kNoSlot;
}

TimingWheel::Entry TimingWheel::PopDue() {
  Chunk& chunk = chunks_[due_head_];
  const Entry entry = chunk.entries[--chunk.count];
  if (chunk.count == 0) {
    const uint32_t next = chunk.next;
    chunks_.Release(due_head_);
    due_head_ = next;
  }
  return entry;
}

Instant TimingWheel::NextExpiry() const {
  if (entries_ == 0) return Instant::Never();
  const uint64_t tick = due_head_ != kNoSlot ? current_tick_ : EarliestBucket().first;
  // Parked entries may lie beyond the last instant that the type can name.
  constexpr uint64_t kLastTick = static_cast<uint64_t>(Instant::Never().nanos()) >> kTickShift;
  return Instant::FromNanos(static_cast<int64_t>(std::min(tick, kLastTick) << kTickShift));
}

}  // namespace tern
