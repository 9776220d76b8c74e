// A rate limit, sans clock.
#ifndef TERN_BASE_TOKEN_BUCKET_H_
#define TERN_BASE_TOKEN_BUCKET_H_

#include <algorithm>
#include <cstdint>

#include "base/instant.h"

namespace tern {

// Lets through `burst` at once and then one each `interval`; true when there is one left. What was taken so
// far is paid up to `paid_until`, which is all the state there is; credit for more than the burst is
// forfeited.
constexpr bool TakeToken(Instant& paid_until, Duration interval, int64_t burst, Instant now) {
  const Instant base = std::max(paid_until, now - interval * burst);
  if (base + interval > now) return false;
  paid_until = base + interval;
  return true;
}
inline constexpr Instant kNothingTaken = Instant::FromNanos(INT64_MIN / 2);

class TokenBucket {
 public:
  constexpr TokenBucket(Duration interval, uint32_t burst) : interval_(interval), burst_(burst) {}
  constexpr bool Take(Instant now) { return TakeToken(paid_until_, interval_, burst_, now); }
  // Whether Take would succeed.
  constexpr bool Ready(Instant now) const {
    Instant paid_until = paid_until_;
    return TakeToken(paid_until, interval_, burst_, now);
  }

 private:
  Duration interval_;
  int64_t burst_;
  Instant paid_until_ = kNothingTaken;
};

}  // namespace tern

#endif  // TERN_BASE_TOKEN_BUCKET_H_
