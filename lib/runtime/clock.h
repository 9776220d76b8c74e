// Where the stack's time comes from: the TSC, checked against the system clock, with leaps absorbed.
#ifndef TERN_RUNTIME_CLOCK_H_
#define TERN_RUNTIME_CLOCK_H_

#include <cstdint>

#include "base/instant.h"

namespace tern::runtime {

// The CPU's time stamp counter. Monotonic and common to all cores on the machines tern runs on (invariant
// TSC).
uint64_t ReadTsc();

// Nanoseconds of CLOCK_MONOTONIC.
int64_t SystemNanos();

// One moment on both clocks.
struct ClockPair {
  uint64_t tsc = 0;
  int64_t system_nanos = 0;
};
ClockPair ReadBothClocks();

// Ticks to nanoseconds, and what it takes to keep them in step with the system clock. Plain value, no system
// call.
class TscScale {
 public:
  // `frequency` in ticks a second, > 0.
  TscScale(uint64_t frequency, ClockPair origin);

  // Nanoseconds since the scale was made. REQUIRES: `tsc` is not more than some hours from the last Check.
  int64_t Nanos(uint64_t tsc) const;

  // Compares the two clocks, about once a second. Small differences correct the frequency, over the whole
  // time since the start, without a step. False: they differ by more than 1 per cent and 10 ms since the last
  // Check (one of them leapt): measuring starts anew from here, without a step either.
  bool Check(ClockPair now);

  uint64_t frequency() const { return frequency_; }

 private:
  void SetFrequency(uint64_t frequency);

  uint64_t frequency_ = 1;
  uint64_t multiplier_ = 0;  // nanoseconds a tick, in 2^-32
  uint64_t anchor_tsc_;      // Nanos(anchor_tsc_) == anchor_nanos_
  int64_t anchor_nanos_ = 0;
  ClockPair first_;  // the baseline that the frequency is measured over
  int64_t last_system_;
};

// Turns raw time, which can leap when the machine was paused or this thread not run, into time that does not.
// What exceeds the expected is paid out slowly, so that timers get their due order and peers' packets, which
// wait in the device, are seen before anything times out.
class SteadyTime {
 public:
  // Longest step taken at face value, beyond a sleep that was intended. Longer than a scheduler keeps a
  // thread waiting on a busy machine, shorter than the least RTO (200 ms).
  static constexpr Duration kMaxStep = Duration::Millis(100);
  // After a leap time runs faster by 1/8 until it has caught up.
  static constexpr int64_t kCatchUp = 8;

  explicit SteadyTime(int64_t raw_nanos) : raw_(raw_nanos), now_(raw_nanos) {}

  // The time for raw clock `raw_nanos`, when the caller meant to sleep up to `slept` since the last call.
  // Never steps back: while the raw clock reads a little less than before, time stands still; when it falls
  // far back, it is followed from there.
  Instant Advance(int64_t raw_nanos, Duration slept);

  Instant now() const { return Instant::FromNanos(now_); }
  // `raw_nanos` on this clock, without moving it.
  Instant Peek(int64_t raw_nanos) const;
  uint64_t jumps() const { return jumps_; }
  // How far behind the raw clock.
  Duration behind() const { return Duration::Nanos(behind_); }

 private:
  int64_t raw_;
  int64_t now_;
  int64_t behind_ = 0;
  uint64_t jumps_ = 0;
};

// TSC ticks a second: measured once for the process, in about 10 ms, at the first call.
uint64_t TscFrequency();

// A worker's clock. One thread.
class Clock {
 public:
  // Clocks made with one `origin` agree with one another.
  explicit Clock(ClockPair origin);

  // Starts a turn: reads the TSC and moves the time on. `slept` as in SteadyTime.
  Instant StartTurn(Duration slept);
  Instant now() const { return time_.now(); }
  // TSC at the start of this turn.
  uint64_t turn_tsc() const { return turn_tsc_; }
  // The time at this very moment.
  Instant Read() const { return time_.Peek(scale_.Nanos(ReadTsc())); }

  uint64_t jumps() const { return time_.jumps() + system_jumps_; }
  uint64_t frequency() const { return scale_.frequency(); }

 private:
  TscScale scale_;
  SteadyTime time_;
  uint64_t turn_tsc_;
  uint64_t next_check_tsc_;
  uint64_t system_jumps_ = 0;
};

}  // namespace tern::runtime

#endif  // TERN_RUNTIME_CLOCK_H_
