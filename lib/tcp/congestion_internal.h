// What the algorithms of congestion.h are, one by one. For congestion.cc and the algorithms' tests.
#ifndef TERN_TCP_CONGESTION_INTERNAL_H_
#define TERN_TCP_CONGESTION_INTERNAL_H_

#include <cstdint>

#include "tcp/congestion.h"

namespace tern::tcp::congestion_internal {

// cwnd beyond this means nothing: no window is larger (RFC 7323 2.3).
inline constexpr uint32_t kMaxWindow = 1u << 30;

// Congestion avoidance: cwnd >= ssthresh, limited by cwnd. Returns the new cwnd.
uint32_t NewRenoAvoid(CongestionState& state, uint32_t cwnd, const AckSample& sample);
uint32_t CubicAvoid(CongestionState& state, uint32_t cwnd, const AckSample& sample);

// The new ssthresh after loss, before the floor of two segments. `base`: what was in flight, cwnd at most.
inline uint32_t NewRenoReduced(uint32_t base) { return base / 2; }
// With `timeout`, the next curve starts without memory of this one.
uint32_t CubicReduced(CongestionState& state, uint32_t cwnd, uint32_t base, bool timeout);

// Time in which nothing was sent for want of data does not count (RFC 9438 5.8).
void CubicPause(CubicState& cubic, const AckSample& sample);

// The integer cube root, rounded down.
uint32_t CubeRoot(uint64_t value);

}  // namespace tern::tcp::congestion_internal

#endif  // TERN_TCP_CONGESTION_INTERNAL_H_
