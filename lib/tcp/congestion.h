// How much may be in flight: the congestion window, by algorithm.
#ifndef TERN_TCP_CONGESTION_H_
#define TERN_TCP_CONGESTION_H_

#include <cstdint>
#include <limits>
#include <type_traits>

#include "base/instant.h"

namespace tern::tcp {

enum class CongestionAlgorithm : uint8_t {
  kNewReno,  // RFC 5681, with RFC 3465's counting of octets
  kCubic,    // RFC 9438
};

// RFC 3465 2.1: one ACK opens the window in slow start by at most this many segments.
inline constexpr uint32_t kAbcLimit = 2;

// What one acknowledgement of new data looked like.
struct AckSample {
  Instant now;
  Duration srtt;              // zero while there is no sample
  uint32_t acked = 0;         // octets newly delivered
  bool cwnd_limited = false;  // cwnd, not the application or the peer's window, was what held sending back
};

// CUBIC's own variables (RFC 9438 4.1.2), in octets and nanoseconds.
struct CubicState {
  Instant epoch_start;  // when this stage of congestion avoidance began, pauses taken out
  Instant last_ack_at;  // to take pauses out (RFC 9438 5.8)
  uint32_t w_max = 0;  // where the curve has its flat: cwnd before the last reduction, after fast convergence
  uint32_t cwnd_prior = 0;  // cwnd before the last reduction
  uint32_t k_ms = 0;        // K
  uint32_t w_est = 0;       // Reno-friendly estimate
  uint32_t w_est_part = 0;  // and 1/1024 octets
  uint32_t cwnd_part = 0;   // 1/1024 octets towards cwnd
  bool in_epoch = false;
  bool has_loss = false;  // w_max is from fast recovery; false at first and after a timeout
};

// Cold state of the controller; the window itself is the caller's (hot) and passed through. Trivially
// copyable.
struct CongestionState {
  static constexpr uint32_t kNoThreshold = std::numeric_limits<uint32_t>::max();

  uint32_t ssthresh = kNoThreshold;  // RFC 5681 3.1: arbitrarily high at first
  uint32_t smss = 0;
  uint32_t bytes_acked = 0;  // RFC 3465 2.1: towards the next segment in congestion avoidance
  CongestionAlgorithm algorithm = CongestionAlgorithm::kNewReno;
  bool after_timeout = false;  // RFC 3465 2.3: slow start after a timeout counts one segment per ACK
  CubicState cubic;

  // What to go back to when the last reduction proves spurious (RFC 4015, RFC 9438 4.9).
  bool has_undo = false;
  uint32_t undo_cwnd = 0;
  uint32_t undo_ssthresh = 0;
  CubicState undo_cubic;
};
static_assert(std::is_trivially_copyable_v<CongestionState>);

// All windows are octets. Each function returns the new cwnd, never less than one segment. No virtual call:
// one switch on the algorithm. Growth while recovery lasts is not here: cwnd stays at what OnEnterRecovery
// gave and the scoreboard's pipe() decides (proportional rate reduction will be a leaf of its own in front of
// this).

// RFC 6928 2: `segments` (10) segments, but at least two and at most 14600 octets worth, as the RFC bounds
// it.
uint32_t InitialWindow(uint32_t smss, uint32_t segments);

// Starts afresh. REQUIRES: smss > 0.
void InitCongestion(CongestionState& state, CongestionAlgorithm algorithm, uint32_t smss);

// The segment size changed (path MTU). cwnd stays as it is, in octets.
void OnMssChange(CongestionState& state, uint32_t smss);

inline bool InSlowStart(const CongestionState& state, uint32_t cwnd) { return cwnd < state.ssthresh; }

// An acknowledgement of new data outside recovery (or in the slow start that follows a timeout).
uint32_t OnAck(CongestionState& state, uint32_t cwnd, const AckSample& sample);

// Loss found by duplicate ACKs or SACK, or (later) signalled by ECN. `flight` is FlightSize: SND.NXT -
// SND.UNA. Returns the window to recover with, which is the new ssthresh. Once per recovery.
uint32_t OnEnterRecovery(CongestionState& state, uint32_t cwnd, uint32_t flight, Instant now);

// Everything outstanding at the loss is acknowledged. `flight` is what is outstanding now.
uint32_t OnExitRecovery(CongestionState& state, uint32_t cwnd, uint32_t flight);

// The retransmission timer expired. `repeated`: the same segment had been resent by the timer before, so
// ssthresh stays (RFC 5681 3.1).
uint32_t OnTimeout(CongestionState& state, uint32_t cwnd, uint32_t flight, bool repeated, Instant now);

// RFC 5681 4.1: nothing was sent for longer than one RTO; `initial_window` from InitialWindow.
uint32_t OnIdleRestart(CongestionState& state, uint32_t cwnd, uint32_t initial_window);

// The last reduction was spurious: back to what it was before. Without one to undo, cwnd as it is.
uint32_t OnUndo(CongestionState& state, uint32_t cwnd);

}  // namespace tern::tcp

#endif  // TERN_TCP_CONGESTION_H_
