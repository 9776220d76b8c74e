// How many challenge ACKs a shard sends (RFC 5961 7).
#ifndef TERN_TCP_CHALLENGE_LIMIT_H_
#define TERN_TCP_CHALLENGE_LIMIT_H_

#include <cstdint>

#include "base/instant.h"
#include "base/prng.h"

namespace tern::tcp {

// The limit of all connections together. RFC 5961 10 leaves open what CVE-2016-5696 then used: whoever can
// count exactly how many challenges are left in a second learns from them what another's connection answered.
// So each second's number is drawn afresh, around `per_second`; each connection has a limit of its own
// besides.
class ChallengeLimit {
 public:
  ChallengeLimit(uint32_t per_second, uint64_t seed) : prng_(seed), per_second_(per_second) {}

  // True: one challenge ACK may go.
  bool Take(Instant now) {
    if (now >= next_draw_) {
      left_ = per_second_ / 2 + prng_.Below(uint64_t{per_second_} + 1);
      next_draw_ = now + Duration::Seconds(1);
    }
    if (left_ == 0) return false;
    --left_;
    return true;
  }

 private:
  Prng prng_;
  uint32_t per_second_;
  uint64_t left_ = 0;
  Instant next_draw_;
};

}  // namespace tern::tcp

#endif  // TERN_TCP_CHALLENGE_LIMIT_H_
