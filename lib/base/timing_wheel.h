// A hierarchical timing wheel of handles: millions of timers, none of which it knows the deadline of.
#ifndef TERN_BASE_TIMING_WHEEL_H_
#define TERN_BASE_TIMING_WHEEL_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "base/instant.h"
#include "base/memory_source.h"
#include "base/slot_pool.h"

namespace tern {

// Entries are {slot, generation}; the deadline stays with the owner, in the state it reads anyway, so that
// moving a deadline later (every ACK does) or dropping it (every close does) touches the wheel not at all.
// When an entry's time comes the owner is asked, and answers with the time the entry should next be looked
// at.
//
// How an owner uses it:
// - No entry in the wheel: Arm.
// - Deadline moves later: nothing. The entry comes at the old time and the owner answers with the new one.
// - Deadline is cancelled: nothing. The owner answers Never, now or because the generation is no longer its
// own.
// - Deadline moves earlier than the entry: Arm again under a new generation. The older entry is then stale,
// and the
//   owner answers Never to it; answering with a deadline would keep two entries alive for ever.
//
// Time is cut into ticks of 2^14 ns. Four levels of 256 buckets hold the ticks that share all but their low
// 1, 2, 3 or 4 bytes with the current one (4.2 ms, 1.07 s, 4.6 min, 19.5 h at most); whatever lies beyond is
// parked until the horizon moves. An entry never comes early in the bottom level; from an upper level it
// comes early, at the start of its bucket, and the owner's answer puts it lower: at most four times.
//
// Arm is O(1) and touches no other timer's state. Advance does work in proportion to the entries it presents,
// however far the clock has jumped. One owner, one thread. No pointer into itself but the pool's: not
// copyable.
class TimingWheel {
 public:
  static constexpr unsigned kTickShift = 14;
  static constexpr Duration kTick = Duration::Nanos(int64_t{1} << kTickShift);

  // Room for `max_entries` entries, stale ones included. Memory comes from `memory` as entries do.
  TimingWheel(MemorySource& memory, uint32_t max_entries, Instant start);
  TimingWheel(const TimingWheel&) = delete;
  TimingWheel& operator=(const TimingWheel&) = delete;

  // The entry comes at or after `deadline`, less than a tick late if Advance is called in time; one already
  // past comes at the next tick. False, and no entry, when there are max_entries or memory is out. Never arms
  // nothing and is true. May be called from inside Advance.
  bool Arm(uint32_t slot, uint32_t generation, Instant deadline);

  // Presents entries whose bucket is due at `now`, at most `max_fires` of them, and returns how many it did.
  // If that is max_fires there may be more: call again, before or after other work.
  //   owner(slot, generation, now) -> Instant: when to present this entry again, Never to forget it.
  // An answer not later than `now` counts as the next tick: no entry comes twice in a call, save once more in
  // a call that took up what an earlier one left. Entries come in order of their buckets, within one in a
  // repeatable order. REQUIRES: `now` does not step back; owner does not call Advance.
  template <typename F>
  uint32_t Advance(Instant now, uint32_t max_fires, F&& owner) {
    // A poll loop comes here many times a tick.
    const uint64_t tick = FloorTick(now);
    if (tick <= current_tick_ && due_head_ == kNoSlot) return 0;
    uint32_t fires = 0;
    while (fires < max_fires && (due_head_ != kNoSlot || CollectDue(tick))) {
      const Entry entry = PopDue();
      ++fires;
      const Instant again = owner(entry.slot, entry.generation, now);
      // The entry stays counted while its owner is asked, so that nothing armed meanwhile can take its place.
      if (again == Instant::Never()) {
        --entries_;
      } else {
        Place(entry, again);
      }
    }
    return fires;
  }

  // When to call Advance next: not later than a tick after the earliest deadline armed (or after the last
  // Advance, for a deadline before that), possibly earlier. Never when the wheel is empty.
  Instant NextExpiry() const;

  // Entries held, stale ones included.
  uint32_t entries() const { return entries_; }
  uint32_t max_entries() const { return max_entries_; }
  size_t bytes_held() const { return chunks_.bytes_held(); }
  // For leak checks: chunks that hold entries.
  uint32_t chunks_in_use() const { return chunks_.in_use(); }

 private:
  struct Entry {
    uint32_t slot;
    uint32_t generation;
  };
  static constexpr uint32_t kEntriesPerChunk = 7;
  // Only the first chunk of a bucket's list may be other than full, so a bucket wastes less than a line.
  struct alignas(64) Chunk {
    uint32_t next;
    uint32_t count;
    Entry entries[kEntriesPerChunk];
  };
  static_assert(sizeof(Chunk) == 64, "a chunk is one cache line");

  static constexpr unsigned kLevels = 4;
  static constexpr unsigned kLevelBits = 8;
  static constexpr unsigned kBuckets = 1u << kLevelBits;
  static constexpr unsigned kParked = kLevels * kBuckets;  // the bucket beyond the top level
  // Chunks that entries can need beyond the full ones: one for each bucket, and one for each bucket's list
  // among those in hand.
  static constexpr uint32_t kPartialChunks = 2 * (kParked + 1);

  static uint64_t FloorTick(Instant t) {
    return static_cast<uint64_t>(std::max<int64_t>(t.nanos(), 0)) >> kTickShift;
  }
  static uint64_t CeilTick(Instant t) {
    return (static_cast<uint64_t>(std::max<int64_t>(t.nanos(), 0)) + (uint64_t{1} << kTickShift) - 1) >>
           kTickShift;
  }

  unsigned BucketFor(uint64_t tick) const;
  void MarkOccupied(unsigned bucket);
  void MarkEmpty(unsigned bucket);
  void Place(Entry entry, Instant deadline);
  // The first tick of the earliest bucket that holds anything, and that bucket. REQUIRES: some bucket does.
  std::pair<uint64_t, unsigned> EarliestBucket() const;
  // Moves the current tick to `tick` and takes the lists of all buckets that start no later in hand, in
  // order, in time bounded by the number of buckets. False if there were none. REQUIRES: nothing is in hand.
  bool CollectDue(uint64_t tick);
  Entry PopDue();

  uint64_t current_tick_;        // every bucket that starts at or before this tick is empty
  uint32_t due_head_ = kNoSlot;  // the lists in hand, joined: taken out of due buckets, not yet presented
  uint32_t due_tail_ = kNoSlot;
  uint32_t entries_ = 0;
  uint32_t max_entries_;
  uint32_t secured_entries_ = 0;  // so many entries fit, wherever they fall, into memory already held
  std::array<uint64_t, kParked / 64> occupied_{};  // a bit for each bucket of the levels
  uint32_t occupied_words_ = 0;                    // a bit for each word of these
  std::array<uint32_t, kParked + 1> heads_;
  std::array<uint32_t, kParked + 1> tails_{};  // meaningful where the head is not kNoSlot
  SlotPool<Chunk> chunks_;
};

}  // namespace tern

#endif  // TERN_BASE_TIMING_WHEEL_H_
