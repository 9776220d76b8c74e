// Round-trip time and the retransmission timeout that follows from it (RFC 6298).
#ifndef TERN_TCP_RTT_ESTIMATOR_H_
#define TERN_TCP_RTT_ESTIMATOR_H_

#include <algorithm>
#include <cstdint>

#include "base/instant.h"

namespace tern::tcp {

// What configuration says about the timeout. REQUIRES: 0 < min <= max and 0 < initial <= max.
struct RtoLimits {
  Duration min;
  Duration max;
  Duration initial;      // while there is no sample
  Duration granularity;  // G: one tick of the timing wheel
};

// SRTT and RTTVAR in eight bytes, for it lives in the hot state. Microseconds, scaled by 8 and 4 so that the
// RFC's gains of 1/8 and 1/4 are shifts that lose nothing. Trivially copyable; all zero means no sample yet.
//
// Which samples may be used is Karn's question, answered by the caller (RetransmitQueue::AckTo, or
// timestamps).
class RttEstimator {
 public:
  // Takes one sample. Below a microsecond it counts as one; above kLongestSample, and below zero (a clock
  // that jumped), it is clamped.
  constexpr void Update(Duration sample) {
    const auto rtt_us =
        static_cast<uint32_t>(std::clamp(sample, Duration::Micros(1), kLongestSample).micros());
    if (!has_sample()) {
      // RFC 6298 2.2: the first sample is the mean, half of it the deviation.
      srtt_us8_ = rtt_us * 8;
      rttvar_us4_ = rtt_us * 2;
      return;
    }
    // RFC 6298 2.3: the deviation first, against the old mean; then the mean.
    const uint32_t srtt_us = srtt_us8_ / 8;
    const uint32_t deviation_us = srtt_us > rtt_us ? srtt_us - rtt_us : rtt_us - srtt_us;
    rttvar_us4_ += deviation_us - rttvar_us4_ / 4;
    srtt_us8_ += rtt_us - srtt_us;
  }

  constexpr bool has_sample() const { return srtt_us8_ != 0; }
  constexpr Duration srtt() const { return Duration::Micros(srtt_us8_ / 8); }
  constexpr Duration rttvar() const { return Duration::Micros(rttvar_us4_ / 4); }

  // The timeout when there is a sample and nothing to back off from: every segment sent asks for it.
  constexpr Duration PlainRto(const RtoLimits& limits) const {
    return std::clamp(srtt() + std::max(limits.granularity, Duration::Micros(rttvar_us4_)), limits.min,
                      limits.max);
  }

  // The timeout after `backoff` timeouts in a row without an acknowledgement of new data.
  constexpr Duration Rto(const RtoLimits& limits, unsigned backoff) const {
    // RFC 6298 2.1, 2.3: SRTT + max(G, 4 * RTTVAR), and the configured initial value before any sample.
    Duration rto = limits.initial;
    // RFC 6298 2.4, 2.5: rounded up to the minimum; a maximum is allowed.
    if (has_sample()) rto = PlainRto(limits);
    // RFC 6298 5.5: doubled for each timeout, up to the maximum.
    for (; backoff > 0 && rto < limits.max; --backoff) rto = rto * 2;
    return std::min(rto, limits.max);
  }

 private:
  static constexpr Duration kLongestSample = Duration::Seconds(120);  // times 8 still fits 32 bits of us

  uint32_t srtt_us8_ = 0;    // 8 * SRTT; 0: no sample
  uint32_t rttvar_us4_ = 0;  // 4 * RTTVAR
};
static_assert(sizeof(RttEstimator) == 8, "lives in the hot state");

}  // namespace tern::tcp

#endif  // TERN_TCP_RTT_ESTIMATOR_H_
