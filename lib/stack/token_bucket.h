// A rate limit.
#ifndef TERN_STACK_TOKEN_BUCKET_H_
#define TERN_STACK_TOKEN_BUCKET_H_

#include <algorithm>
#include <cstdint>

#include "base/instant.h"

namespace tern::stack {

// Lets through `burst` at once and then one each `interval`.
class TokenBucket {
 public:
  constexpr TokenBucket(Duration interval, uint32_t burst) : interval_(interval), burst_(burst) {}

  constexpr bool Take(Instant now) {
    const Instant base = Base(now);
    if (base + interval_ > now) return false;
    paid_until_ = base + interval_;
    return true;
  }
  // Whether Take would succeed.
  constexpr bool Ready(Instant now) const { return Base(now) + interval_ <= now; }

 private:
  // What was taken so far is paid up to paid_until_; credit for more than the burst is forfeited.
  constexpr Instant Base(Instant now) const { return std::max(paid_until_, now - interval_ * burst_); }

  Duration interval_;
  int64_t burst_;
  Instant paid_until_ = Instant::FromNanos(INT64_MIN / 2);
};

}  // namespace tern::stack

#endif  // TERN_STACK_TOKEN_BUCKET_H_
