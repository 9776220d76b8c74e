// CUBIC (RFC 9438) in integers: windows in octets, time in milliseconds, fractions in 1/1024 octets.
#include <algorithm>

#include "tcp/congestion_internal.h"

namespace tern::tcp::congestion_internal {
namespace {

constexpr uint32_t kFraction = 1024;
constexpr uint32_t kMostAcked = 1u << 24;  // per ACK; keeps the products below within 64 bits

// C * |d|^3 segments (RFC 9438 4.2, C = 0.4), in octets, for d in milliseconds.
uint64_t CubicOffset(uint64_t d_ms, uint32_t smss) {
  constexpr uint64_t kLongest = 1'000'000;  // a quarter of an hour: the curve has left every window by then
  const uint64_t d = std::min(d_ms, kLongest);
  // 0.4 / 10^9 = (2 / 5) / 10^5 / 10^4, divided in two steps so that neither product overflows.
  return d * d * d / 100'000 * smss * 2 / (5 * 10'000);
}

// W_cubic at `t_ms` from the start of the epoch.
uint64_t CubicWindow(const CubicState& cubic, uint32_t smss, int64_t t_ms) {
  const int64_t d = t_ms - cubic.k_ms;
  if (d >= 0) return cubic.w_max + CubicOffset(static_cast<uint64_t>(d), smss);
  const uint64_t below = CubicOffset(static_cast<uint64_t>(-d), smss);
  return cubic.w_max > below ? cubic.w_max - below : 0;
}

// RFC 9438 4.2: K is the time the curve takes from cwnd up to W_max: cube root of their distance over C.
uint32_t TimeToPlateau(uint32_t w_max, uint32_t cwnd, uint32_t smss) {
  // In ms: (distance / smss / 0.4) s^3 = distance * 2.5 * 10^9 / smss ms^3.
  return CubeRoot(uint64_t{w_max - cwnd} * 2'500'000'000 / smss);
}

void StartEpoch(CubicState& cubic, uint32_t cwnd, uint32_t smss, Instant now) {
  cubic.in_epoch = true;
  cubic.epoch_start = now;
  cubic.w_est = cwnd;
  cubic.w_est_part = cubic.cwnd_part = 0;
  if (cubic.has_loss && cwnd < cubic.w_max) {
    cubic.k_ms = TimeToPlateau(cubic.w_max, cwnd, smss);
  } else {
    // RFC 9438 4.8, 4.10: after a timeout, or without a loss, the curve begins on its flat, here.
    cubic.k_ms = 0;
    cubic.w_max = cwnd;
  }
}

// RFC 9438 4.3: the window that Reno would have, with an increase that matches CUBIC's gentler decrease.
void GrowRenoEstimate(CubicState& cubic, uint32_t cwnd, uint32_t acked, uint32_t smss) {
  // alpha = 3 * (1 - beta) / (1 + beta) = 9/17, and 1 once the window of the last loss is regained.
  const bool regained = cubic.w_est >= cubic.cwnd_prior;
  const uint64_t alpha_num = regained ? 1 : 9;
  const uint64_t alpha_den = regained ? 1 : 17;
  const uint64_t part =
      cubic.w_est_part + uint64_t{acked} * smss * kFraction * alpha_num / (alpha_den * cwnd);
  cubic.w_est = static_cast<uint32_t>(std::min<uint64_t>(cubic.w_est + part / kFraction, kMaxWindow));
  cubic.w_est_part = static_cast<uint32_t>(part % kFraction);
}

}  // namespace

uint32_t CubeRoot(uint64_t value) {
  // Bit by bit from the top: 2^21.33 is the largest root.
  uint64_t root = 0;
  for (uint64_t bit = uint64_t{1} << 21; bit != 0; bit >>= 1) {
    const uint64_t tried = root | bit;
    if (tried <= value / (tried * tried)) root = tried;  // not tried^3: it may not fit
  }
  return static_cast<uint32_t>(root);
}

void CubicPause(CubicState& cubic, const AckSample& sample) {
  const Duration since = sample.now - cubic.last_ack_at;
  cubic.last_ack_at = sample.now;
  if (!cubic.in_epoch) return;
  // Either we are told so, or no ACK came for longer than a full window ever takes.
  if (!sample.cwnd_limited) {
    cubic.epoch_start = cubic.epoch_start + since;
  } else if (sample.srtt > Duration::Zero() && since > sample.srtt * 2) {
    cubic.epoch_start = cubic.epoch_start + (since - sample.srtt);
  }
}

uint32_t CubicAvoid(CongestionState& state, uint32_t cwnd, const AckSample& sample) {
  CubicState& cubic = state.cubic;
  const uint32_t acked = std::min(sample.acked, kMostAcked);
  if (!cubic.in_epoch) StartEpoch(cubic, cwnd, state.smss, sample.now);
  GrowRenoEstimate(cubic, cwnd, acked, state.smss);

  const int64_t t_ms = (sample.now - cubic.epoch_start).millis();
  // RFC 9438 4.3: where Reno would have more, be Reno.
  if (CubicWindow(cubic, state.smss, t_ms) < cubic.w_est) {
    return std::min(std::max(cwnd, cubic.w_est), kMaxWindow);
  }
  // RFC 9438 4.2, 4.4, 4.5: towards where the curve will be in one RTT, by at most half as much again.
  const uint64_t ahead = CubicWindow(cubic, state.smss, t_ms + sample.srtt.millis());
  const uint64_t target = std::clamp<uint64_t>(ahead, cwnd, uint64_t{cwnd} + cwnd / 2);
  const uint64_t part = cubic.cwnd_part + (target - cwnd) * acked * kFraction / cwnd;
  cubic.cwnd_part = static_cast<uint32_t>(part % kFraction);
  return static_cast<uint32_t>(std::min<uint64_t>(cwnd + part / kFraction, kMaxWindow));
}

uint32_t CubicReduced(CongestionState& state, uint32_t cwnd, uint32_t base, bool timeout) {
  CubicState& cubic = state.cubic;
  // RFC 9438 4.7 (fast convergence): a loss below the last plateau means that others need room.
  cubic.w_max = cwnd < cubic.w_max ? static_cast<uint32_t>(uint64_t{cwnd} * 17 / 20) : cwnd;
  cubic.cwnd_prior = cwnd;
  cubic.has_loss = !timeout;
  cubic.in_epoch = false;
  return static_cast<uint32_t>(uint64_t{base} * 7 / 10);  // RFC 9438 4.6: beta = 0.7
}

}  // namespace tern::tcp::congestion_internal
