// What a bad network does to packets, as numbers.
#ifndef TERN_DRIVERS_GLUE_IMPAIRMENT_H_
#define TERN_DRIVERS_GLUE_IMPAIRMENT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/instant.h"

namespace tern {

// Each direction of each queue meets all of this on its own.
struct Impairment {
  // Chances in a million, per frame.
  uint32_t loss_ppm = 0;
  uint32_t duplicate_ppm = 0;
  uint32_t reorder_ppm = 0;  // a frame chosen is held back by reorder_by more than the others
  uint32_t corrupt_ppm = 0;  // one bit of a frame chosen is flipped
  Duration delay;
  Duration jitter;  // delay varies by up to this much either way; frames stay in order
  Duration reorder_by = Duration::Millis(1);
  uint64_t rate_bps = 0;  // bits of frame per second; zero: no bound
  size_t queue = 1000;    // most frames held at once; more are lost, as at a full router
  uint64_t seed = 1;

  // True when nothing is asked for.
  bool IsNone() const;
};

// "loss=1%,delay=10ms,jitter=1ms,rate=100mbit,reorder=0.5%,reorder_by=2ms,duplicate=0.1%,corrupt=0.01%,seed=7,
// queue=1000". Chances are per cent or "200ppm"; times take ns, us, ms, s; rates bit, kbit, mbit, gbit.
// Empty: none.
absl::StatusOr<Impairment> ParseImpairment(std::string_view text);

}  // namespace tern

#endif  // TERN_DRIVERS_GLUE_IMPAIRMENT_H_
