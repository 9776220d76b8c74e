#include "runtime/clock.h"

#include <time.h>

#include <algorithm>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace tern::runtime {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kCalibration = 10'000'000;  // 10 ms: the clocks' jitter of some 50 ns is then 5 ppm

constexpr int64_t kLeastBaseline = kSecond / 2;

// REQUIRES: `end` is later on both clocks.
uint64_t RateBetween(ClockPair start, ClockPair end) {
  return static_cast<uint64_t>(Wide{end.tsc - start.tsc} * kSecond /
                               static_cast<uint64_t>(end.system_nanos - start.system_nanos));
}

uint64_t MeasureFrequency() {
  const ClockPair start = ReadBothClocks();
  ClockPair end;
  do {
    const timespec pause = {0, kCalibration / 10};
    nanosleep(&pause, nullptr);
    end = ReadBothClocks();
  } while (end.system_nanos - start.system_nanos < kCalibration);
  return RateBetween(start, end);
}

}  // namespace

uint64_t ReadTsc() {
#if defined(__x86_64__)
  return __rdtsc();
#else
  return static_cast<uint64_t>(SystemNanos());
#endif
}

int64_t SystemNanos() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<int64_t>(t.tv_sec) * kSecond + t.tv_nsec;
}

ClockPair ReadBothClocks() {
  // Of several tries the one that took least, since an interrupt in between would tear the clocks apart.
  ClockPair pair;
  uint64_t best = UINT64_MAX;
  for (int i = 0; i < 5; ++i) {
    const uint64_t before = ReadTsc();
    const int64_t between = SystemNanos();
    const uint64_t took = ReadTsc() - before;
    if (took >= best) continue;
    best = took;
    pair = {before + took / 2, between};
  }
  return pair;
}

uint64_t TscFrequency() {
  static const uint64_t frequency = MeasureFrequency();
  return frequency;
}

TscScale::TscScale(uint64_t frequency, ClockPair origin)
    : anchor_tsc_(origin.tsc), first_(origin), last_system_(origin.system_nanos) {
  SetFrequency(frequency);
}

void TscScale::SetFrequency(uint64_t frequency) {
  frequency_ = std::max<uint64_t>(frequency, 1);
  multiplier_ = static_cast<uint64_t>((Wide{static_cast<uint64_t>(kSecond)} << 32) / frequency_);
}

int64_t TscScale::Nanos(uint64_t tsc) const {
  const auto ticks = static_cast<int64_t>(tsc - anchor_tsc_);
  // A TSC that reads a little before the anchor (another core) must not wrap around.
  const uint64_t size = ticks < 0 ? uint64_t{0} - static_cast<uint64_t>(ticks) : static_cast<uint64_t>(ticks);
  const auto nanos = static_cast<int64_t>((Wide{size} * multiplier_) >> 32);
  return anchor_nanos_ + (ticks < 0 ? -nanos : nanos);
}

bool TscScale::Check(ClockPair now) {
  const int64_t nanos = Nanos(now.tsc);
  const int64_t by_tsc = nanos - anchor_nanos_;
  const int64_t by_system = now.system_nanos - last_system_;
  anchor_nanos_ = nanos;
  anchor_tsc_ = now.tsc;
  last_system_ = now.system_nanos;
  const int64_t apart = by_tsc > by_system ? by_tsc - by_system : by_system - by_tsc;
  if (apart > 10'000'000 && apart > by_system / 100) {
    first_ = now;
    return false;
  }
  if (now.system_nanos - first_.system_nanos >= kLeastBaseline && now.tsc > first_.tsc) {
    SetFrequency(RateBetween(first_, now));
  }
  return true;
}

Instant SteadyTime::Advance(int64_t raw_nanos, Duration slept) {
  int64_t step = raw_nanos - raw_;
  raw_ = raw_nanos;
  if (step < -kMaxStep.nanos()) {
    ++jumps_;
    return now();
  }
  if (step <= 0) {
    // What the raw clock takes back it will give again: the time stands still until then.
    raw_ -= step;
    return now();
  }
  const int64_t most = kMaxStep.nanos() + std::max<int64_t>(slept.nanos(), 0);
  if (step > most) {
    ++jumps_;
    behind_ += step - most;
    step = most;
  } else if (behind_ > 0) {
    const int64_t extra = std::min(behind_, step / kCatchUp);
    behind_ -= extra;
    step += extra;
  }
  now_ += step;
  return now();
}

Instant SteadyTime::Peek(int64_t raw_nanos) const {
  return Instant::FromNanos(now_ + std::clamp<int64_t>(raw_nanos - raw_, 0, kMaxStep.nanos()));
}

Clock::Clock(ClockPair origin)
    : scale_(TscFrequency(), origin),
      time_(scale_.Nanos(ReadTsc())),
      turn_tsc_(ReadTsc()),
      next_check_tsc_(turn_tsc_ + scale_.frequency()) {}

Instant Clock::StartTurn(Duration slept) {
  turn_tsc_ = ReadTsc();
  if (turn_tsc_ >= next_check_tsc_) {
    next_check_tsc_ = turn_tsc_ + scale_.frequency();
    if (!scale_.Check(ReadBothClocks())) ++system_jumps_;
  }
  return time_.Advance(scale_.Nanos(turn_tsc_), slept);
}

}  // namespace tern::runtime
