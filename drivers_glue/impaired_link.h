// One direction of an impaired queue: which frames go on, when, and how they look then.
#ifndef TERN_DRIVERS_GLUE_IMPAIRED_LINK_H_
#define TERN_DRIVERS_GLUE_IMPAIRED_LINK_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/instant.h"
#include "base/packet.h"
#include "base/prng.h"
#include "drivers_glue/counter.h"
#include "drivers_glue/impairment.h"

namespace tern {

// What an impairment did. One thread writes, any may read.
struct ImpairmentCounters {
  Counter seen;
  Counter lost;
  Counter overflowed;  // lost because the queue was full
  Counter duplicated;
  Counter reordered;
  Counter corrupted;
  Counter delivered;
};

// Holds copies, so that a delay takes no packet buffers from the stack. Deterministic, given the seed and the
// times and lengths of the calls. Not thread-safe.
class ImpairedLink {
 public:
  ImpairedLink(const Impairment& impairment, uint64_t seed) : impairment_(impairment), prng_(seed) {}

  // What becomes of a frame of `length` bytes that enters at `now`.
  struct Fate {
    bool lost = false;
    bool duplicated = false;
    bool corrupted = false;
    uint64_t corrupt_bit = 0;  // to flip, when corrupted
    Instant leaves;
  };
  Fate Decide(size_t length, Instant now);

  // Keeps a copy until `leaves`, and beside it what the device said of the frame (`about`, whose buffer is
  // left alone); false (and counted as overflow) when the queue is full.
  bool Hold(std::span<const uint8_t> frame, Instant leaves, const RxFrame& about = {});

  // The frame that leaves next if its time has come, else an empty span. Valid until Pop, which REQUIRES one.
  std::span<const uint8_t> Due(Instant now) const;
  void Pop();
  // What was said of the frame that leaves next, without a buffer. REQUIRES: one is held.
  const RxFrame& about() const { return heap_.front().about; }

  // When the next frame leaves; Never when none is held.
  Instant NextDeparture() const { return heap_.empty() ? Instant::Never() : heap_.front().leaves; }
  bool empty() const { return heap_.empty(); }
  void Clear();

  ImpairmentCounters& counters() { return counters_; }
  const ImpairmentCounters& counters() const { return counters_; }

 private:
  struct Held {
    Instant leaves;
    uint64_t order = 0;  // among those that leave together: as they came
    std::vector<uint8_t> bytes;
    RxFrame about;
  };
  static bool LeavesLater(const Held& a, const Held& b);

  Impairment impairment_;
  Prng prng_;
  Instant line_free_;    // when the rate-limited line has sent all that came before
  Instant last_leaves_;  // jitter does not reorder
  uint64_t next_order_ = 0;
  std::vector<Held> heap_;                     // earliest first
  std::vector<std::vector<uint8_t>> storage_;  // of frames that left, for reuse
  ImpairmentCounters counters_;
};

// Flips bit `bit` of `frame`, numbered from its first byte's lowest bit and wrapping round.
void FlipBit(std::span<uint8_t> frame, uint64_t bit);

}  // namespace tern

#endif  // TERN_DRIVERS_GLUE_IMPAIRED_LINK_H_
