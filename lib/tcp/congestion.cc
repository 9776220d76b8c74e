#include "tcp/congestion.h"

#include <algorithm>

#include "tcp/congestion_internal.h"

namespace tern::tcp {

using congestion_internal::CubicAvoid;
using congestion_internal::CubicPause;
using congestion_internal::CubicReduced;
using congestion_internal::kMaxWindow;
using congestion_internal::NewRenoAvoid;
using congestion_internal::NewRenoReduced;

namespace {

// RFC 5681 3.1 with RFC 3465: by what was acknowledged, up to L segments per ACK.
uint32_t SlowStart(CongestionState& state, uint32_t cwnd, uint32_t acked) {
  // RFC 3465 2.3: after a timeout an ACK may cover much that had arrived before; count one segment.
  const uint32_t limit = (state.after_timeout ? 1 : kAbcLimit) * state.smss;
  const uint64_t grown = uint64_t{cwnd} + std::min(acked, limit);
  state.cubic.in_epoch = false;
  return static_cast<uint32_t>(std::min<uint64_t>(grown, std::min(state.ssthresh, kMaxWindow)));
}

uint32_t Reduced(CongestionState& state, uint32_t cwnd, uint32_t flight, bool timeout) {
  // RFC 5681 3.2: what limited transmit sent beyond cwnd is not counted.
  const uint32_t base = std::min(flight, cwnd);
  const uint32_t reduced = state.algorithm == CongestionAlgorithm::kCubic
                               ? CubicReduced(state, cwnd, base, timeout)
                               : NewRenoReduced(base);
  // RFC 5681 equation (4), RFC 9438 4.6: never below two segments.
  return std::max(reduced, 2 * state.smss);
}

void TakeSnapshot(CongestionState& state, uint32_t cwnd) {
  state.has_undo = true;
  state.undo_cwnd = cwnd;
  state.undo_ssthresh = state.ssthresh;
  state.undo_cubic = state.cubic;
}

}  // namespace

uint32_t InitialWindow(uint32_t smss, uint32_t segments) {
  // RFC 6928 2: min(10 * MSS, max(2 * MSS, 14600)), for any number of segments.
  constexpr uint32_t kTypicalSegment = 1460;
  return std::min(segments * smss, std::max(2 * smss, segments * kTypicalSegment));
}

void InitCongestion(CongestionState& state, CongestionAlgorithm algorithm, uint32_t smss) {
  state = CongestionState();
  state.algorithm = algorithm;
  state.smss = smss;
}

void OnMssChange(CongestionState& state, uint32_t smss) { state.smss = smss; }

uint32_t OnAck(CongestionState& state, uint32_t cwnd, const AckSample& sample) {
  CubicPause(state.cubic, sample);
  // RFC 9438 5.8, RFC 7661 1: a window that is not used says nothing about the path.
  if (!sample.cwnd_limited) return cwnd;
  if (InSlowStart(state, cwnd)) return SlowStart(state, cwnd, sample.acked);
  state.after_timeout = false;
  switch (state.algorithm) {
    case CongestionAlgorithm::kCubic:
      return CubicAvoid(state, cwnd, sample);
    case CongestionAlgorithm::kNewReno:
      break;
  }
  return NewRenoAvoid(state, cwnd, sample);
}

uint32_t OnEnterRecovery(CongestionState& state, uint32_t cwnd, uint32_t flight, Instant /*now*/) {
  TakeSnapshot(state, cwnd);
  state.ssthresh = Reduced(state, cwnd, flight, false);
  state.bytes_acked = 0;
  state.after_timeout = false;
  return state.ssthresh;
}

uint32_t OnExitRecovery(CongestionState& state, uint32_t cwnd, uint32_t flight) {
  // RFC 6582 3.2 step 3, full acknowledgement, choice 1: to ssthresh, but no burst if little is in flight.
  const uint64_t gentle = uint64_t{std::max(flight, state.smss)} + state.smss;
  state.bytes_acked = 0;
  return static_cast<uint32_t>(
      std::max<uint64_t>(std::min<uint64_t>({cwnd, state.ssthresh, gentle}), state.smss));
}

uint32_t OnTimeout(CongestionState& state, uint32_t cwnd, uint32_t flight, bool repeated, Instant /*now*/) {
  if (!repeated) {
    TakeSnapshot(state, cwnd);
    state.ssthresh = Reduced(state, cwnd, flight, true);
  }
  state.bytes_acked = 0;
  state.after_timeout = true;
  state.cubic.in_epoch = false;
  return state.smss;  // RFC 5681 3.1: the loss window is one segment
}

uint32_t OnIdleRestart(CongestionState& state, uint32_t cwnd, uint32_t initial_window) {
  state.cubic.in_epoch = false;
  return std::min(cwnd, initial_window);
}

uint32_t OnUndo(CongestionState& state, uint32_t cwnd) {
  if (!state.has_undo) return cwnd;
  state.has_undo = false;
  state.ssthresh = state.undo_ssthresh;
  state.cubic = state.undo_cubic;
  state.after_timeout = false;
  return std::max(cwnd, state.undo_cwnd);
}

}  // namespace tern::tcp
