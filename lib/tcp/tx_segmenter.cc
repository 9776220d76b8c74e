#include "tcp/tx_segmenter.h"

#include <algorithm>

namespace tern::tcp {
namespace {

SendDecision Send(const SendInputs& in, uint32_t length) {
  return {.length = length, .push = length == in.unsent, .hold = SendHold::kNone};
}

SendDecision Hold(SendHold hold) { return {.hold = hold}; }

// Whether a short segment that empties the queue may go, with or without data in flight before it.
SendHold JudgeLastShort(const SendInputs& in, bool in_flight) {
  if (in.overridden || in.fin_queued) return SendHold::kNone;
  if (in.cork) return SendHold::kCork;
  // RFC 9293 3.7.4 (Nagle): while data is unacknowledged, short segments wait; the switch turns it off
  // (MUST-17).
  return in_flight && !in.nodelay ? SendHold::kNagle : SendHold::kNone;
}

// At least one full segment can go.
SendDecision DecideFull(const SendInputs& in, uint32_t allowed) {
  const uint32_t tail = allowed % in.mss;
  if (tail == 0) return Send(in, allowed);
  // A long segment is cut up behind us: its short end follows full ones, as if they had been sent one by one.
  const bool with_tail = allowed == in.unsent && JudgeLastShort(in, true) == SendHold::kNone;
  return Send(in, with_tail ? allowed : allowed - tail);
}

}  // namespace

SendDecision DecideSend(const SendInputs& in) {
  if (in.unsent == 0) return Hold(SendHold::kNothing);
  if (in.usable == 0) return Hold(SendHold::kWindow);
  const uint32_t longest = std::max(in.budget / in.mss, 1u) * in.mss;
  const uint32_t offered = std::min({in.unsent, in.usable, longest});  // min(D, U)
  const uint32_t allowed = std::min(offered, in.cwnd_room);
  if (allowed == 0) return Hold(SendHold::kCongestion);
  // RFC 9293 3.8.6.2.1 (1): a full segment.
  if (allowed >= in.mss) return DecideFull(in, allowed);
  // cwnd is no reason to cut a segment short while an ACK is on its way that makes room.
  if (allowed < offered) return in.in_flight ? Hold(SendHold::kCongestion) : Send(in, allowed);
  // (2): all that is queued fits; the application pushes always.
  if (allowed == in.unsent) {
    const SendHold hold = JudgeLastShort(in, in.in_flight);
    if (hold == SendHold::kNone) return Send(in, allowed);
    return Hold(hold);
  }
  // (3): the window is short. Half of the largest that was ever offered is worth it; (4): and so is any after
  // the override time.
  const bool idle_or_eager = !in.in_flight || in.nodelay;
  if (in.overridden || (idle_or_eager && allowed >= in.snd_wnd_max / 2)) return Send(in, allowed);
  return Hold(SendHold::kWindow);
}

}  // namespace tern::tcp
