// A deadline in four bytes.
#ifndef TERN_TCP_DEADLINE_H_
#define TERN_TCP_DEADLINE_H_

#include <algorithm>
#include <cstdint>

#include "base/instant.h"

namespace tern::tcp {

// A point in time in units of 2^14 ns (16.384 us), modulo 2^32: good for deadlines less than 9 hours from
// `now`, which every call is given. Zero means not set. Longer waits are walked in several steps.
class Deadline {
 public:
  static constexpr int kShift = 14;

  constexpr bool IsSet() const { return ticks_ != 0; }
  constexpr void Clear() { ticks_ = 0; }
  // Rounds up, so that it never passes early.
  constexpr void Set(Instant at) {
    const auto ticks = static_cast<uint32_t>((at.nanos() + (int64_t{1} << kShift) - 1) >> kShift);
    ticks_ = ticks == 0 ? 1 : ticks;
  }
  // As Set(now + wait), for waits of some minutes at the most: no Never to look out for.
  constexpr void SetIn(Instant now, Duration wait) { Set(Instant::FromNanos(now.nanos() + wait.nanos())); }
  constexpr bool Passed(Instant now) const {
    return IsSet() && static_cast<int32_t>(static_cast<uint32_t>(now.nanos() >> kShift) - ticks_) >= 0;
  }
  // Never when not set.
  constexpr Instant At(Instant now) const { return Earliest(now, *this, Deadline(), Deadline()); }
  // The first of three, in one go: this is asked after every event of a connection.
  static constexpr Instant Earliest(Instant now, Deadline a, Deadline b, Deadline c) {
    const int64_t now_ticks = now.nanos() >> kShift;
    const int32_t ahead = TicksAhead(static_cast<uint32_t>(now_ticks), a, b, c);
    return ahead == kUnset ? Instant::Never() : Instant::FromNanos((now_ticks + ahead) << kShift);
  }
  // The same in ticks from `now_ticks` on (now >> kShift, modulo 2^32); kUnset when none is set.
  static constexpr int32_t kUnset = INT32_MAX;
  static constexpr int32_t TicksAhead(uint32_t now_ticks, Deadline a, Deadline b, Deadline c) {
    return std::min(std::min(a.Ahead(now_ticks), b.Ahead(now_ticks)), c.Ahead(now_ticks));
  }

 private:
  constexpr int32_t Ahead(uint32_t now_ticks) const {
    return IsSet() ? static_cast<int32_t>(ticks_ - now_ticks) : kUnset;
  }

  uint32_t ticks_ = 0;
};

}  // namespace tern::tcp

#endif  // TERN_TCP_DEADLINE_H_
