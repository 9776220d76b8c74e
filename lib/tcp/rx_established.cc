// Segments of synchronized connections: RFC 9293 3.10.7.4, its steps in its own order. What takes their place
// when nothing but in-order data or a plain ACK has come is in fast_path.cc.
#include <utility>

#include "tcp/internal.h"
#include "tcp/rx_acceptable.h"

namespace tern::tcp {
namespace {

Duration TsRecentAge(const Context& ctx) {
  const uint32_t units = CoarseClock(ctx.now) - ctx.conn.ts_recent_at;
  return Duration::Nanos(static_cast<int64_t>(units) << 30);
}

// ---- The steps ----

// Before the first: RFC 7323 5.3 R1, and 3.2 for a segment without the agreed option.
bool TimestampIsGood(const Context& ctx, const SegmentView& segment) {
  const Connection& conn = ctx.conn;
  if (!conn.Is(kUseTimestamps) || segment.Has(wire::kRst)) return true;
  if (!segment.options.has_timestamp) {
    // RFC 5961 4.2: a SYN is challenged whatever it carries; a peer that restarted may offer other options
    // than before.
    if (segment.Has(wire::kSyn)) return true;
    ctx.effects.Drop(DropReason::kTcpMissingTimestamp);
    return false;
  }
  if (!PawsRejects(segment.options.tsval, conn.ts_recent, TsRecentAge(ctx))) return true;
  ctx.effects.Drop(DropReason::kTcpPaws);
  OweAckOfUnacceptable(ctx, segment);
  return false;
}

// First: is any of it in the window?
bool SequenceIsGood(const Context& ctx, const SegmentView& segment) {
  const Connection& conn = ctx.conn;
  const uint32_t window = ReceiveWindowSize(conn);
  if (IsAcceptable(segment.seq, segment.SequenceLength(), conn.rcv_nxt, window)) return true;
  // RFC 9293 3.10.7.4: with the window closed, what stands at RCV.NXT still brings a valid ACK or RST.
  if (window == 0 && segment.seq == conn.rcv_nxt) return true;
  if (segment.Has(wire::kRst)) {
    ctx.effects.Drop(DropReason::kTcpRstOutOfWindow);
    return false;
  }
  const bool text = segment.payload_length != 0 || segment.Has(wire::kFin);
  const bool seen = text && (segment.seq + segment.SequenceLength()).AtOrBefore(conn.rcv_nxt);
  ctx.effects.Drop(seen ? DropReason::kTcpDuplicatePayload : DropReason::kTcpOutOfWindow);
  // RFC 9293 3.10.7.4: the FIN seen again means that its ACK was lost; TIME-WAIT starts anew.
  const bool fin_again = segment.Has(wire::kFin) && segment.seq + segment.SequenceLength() == conn.rcv_nxt;
  if (conn.state == State::kTimeWait && fin_again) {
    ctx.conn.slow_at.Set(ctx.now + ctx.config().msl * 2);
  }
  OweAckOfUnacceptable(ctx, segment);
  return false;
}

// Second, with RFC 5961 3.2. True when the segment has been dealt with.
bool TakeReset(const Context& ctx, const SegmentView& segment) {
  if (!segment.Has(wire::kRst)) return false;
  Connection& conn = ctx.conn;
  // RFC 1337 3 (F1): a RST must not cut TIME-WAIT short. As none is obeyed, none is challenged either.
  if (conn.state == State::kTimeWait) {
    ctx.effects.Drop(DropReason::kTcpRstTimeWait);
    return true;
  }
  switch (JudgeRst(segment.seq, conn.rcv_nxt, ReceiveWindowSize(conn))) {
    case RstVerdict::kDrop:
      ctx.effects.Drop(DropReason::kTcpRstOutOfWindow);
      break;
    case RstVerdict::kChallenge:
      ctx.effects.Drop(DropReason::kTcpRstChallenged);
      OweChallenge(ctx);
      break;
    case RstVerdict::kReset: {
      const bool opening = conn.state == State::kSynReceived;
      Terminate(conn, opening ? CloseReason::kRefused : CloseReason::kReset, ctx.effects);
      break;
    }
  }
  return true;
}

// Fourth, with RFC 5961 4.2: a SYN here is old, or an attack, or a peer that restarted; our ACK lets a real
// one find out.
bool TakeSyn(const Context& ctx, const SegmentView& segment) {
  if (!segment.Has(wire::kSyn)) return false;
  ctx.effects.Drop(DropReason::kTcpSynInWindow);
  OweChallenge(ctx);
  return true;
}

// Fifth, in SYN-RECEIVED: the handshake ends here, or the segment is not part of it.
bool CompleteHandshake(const Context& ctx, const SegmentView& segment) {
  Connection& conn = ctx.conn;
  if (!segment.ack.After(conn.snd_una) || segment.ack.After(conn.snd_nxt)) {
    ctx.effects.Drop(DropReason::kTcpBadAck);
    ctx.effects.reply = {.wanted = true, .flags = wire::kRst, .seq = segment.ack};
    return false;
  }
  conn.snd_una = conn.snd_una + 1;
  conn.snd_wnd = static_cast<uint32_t>(segment.window) << conn.snd_scale;
  conn.snd_wl1 = segment.seq;
  conn.snd_wl2 = segment.ack;
  ColdState& cold = ctx.cold();
  cold.snd_wnd_max = std::max(cold.snd_wnd_max, conn.snd_wnd);
  Establish(ctx);
  return true;
}

// Fifth, elsewhere: RFC 5961 5.2 says which ACK numbers are worth looking at.
bool TakeAckField(const Context& ctx, const SegmentView& segment) {
  Connection& conn = ctx.conn;
  const bool opening = conn.state == State::kSynReceived;
  if (opening && !CompleteHandshake(ctx, segment)) return false;
  const AckVerdict verdict = JudgeAck(segment.ack, conn.snd_una, conn.snd_nxt, ctx.cold().snd_wnd_max);
  if (verdict == AckVerdict::kUnsent || verdict == AckVerdict::kTooOld) {
    ctx.effects.Drop(DropReason::kTcpBadAck);
    OweChallenge(ctx);
    return false;
  }
  ctx.cold().keepalive.OnHeard(ctx.now);
  TakeAck(ctx, segment);
  if (opening) DeliverEarlyText(ctx);
  return true;
}

// Fifth, what follows from it in the closing states.
void StepAfterFinAcked(const Context& ctx) {
  Connection& conn = ctx.conn;
  if (!FinAcked(conn)) return;
  const State before = std::exchange(conn.state, After(conn.state, Step::kFinAcked));
  if (conn.state == before) return;
  if (conn.state == State::kFinWait2 && conn.Is(kAppClosed)) {
    conn.slow_at.Set(ctx.now + ctx.config().fin_wait2);
  }
  if (conn.state == State::kTimeWait) EnterTimeWait(ctx);
  if (conn.state == State::kClosed) Terminate(conn, CloseReason::kGraceful, ctx.effects);
}

// RFC 9293 figure 8: in a simultaneous open the peer's SYN comes again, with the ACK of ours. Its SYN was
// counted when it came first; what is left of the segment is the ACK.
void StripRepeatedSyn(const Connection& conn, SegmentView& segment) {
  const bool repeated = conn.state == State::kSynReceived && segment.Has(wire::kSyn) &&
                        segment.Has(wire::kAck) && segment.seq + 1 == conn.rcv_nxt &&
                        segment.ack == conn.snd_nxt;
  if (!repeated) return;
  segment.seq += 1;
  segment.flags = static_cast<uint8_t>(segment.flags & ~wire::kSyn);
}

}  // namespace

void InputSynchronized(const Context& ctx, SegmentView& segment) {
  StripRepeatedSyn(ctx.conn, segment);
  if (!TimestampIsGood(ctx, segment) || !SequenceIsGood(ctx, segment)) return;
  if (TakeReset(ctx, segment) || TakeSyn(ctx, segment)) return;
  if (!segment.Has(wire::kAck)) {
    ctx.effects.Drop(DropReason::kTcpNoAck);
    return;
  }
  FollowTimestamp(ctx, segment);
  if (!TakeAckField(ctx, segment)) return;
  StepAfterFinAcked(ctx);
  if (ctx.conn.state == State::kClosed) return;
  if (segment.Has(wire::kUrg)) TakeUrgent(ctx, segment);
  TakeText(ctx, segment);
}

void InputSlow(const Context& ctx, SegmentView& segment) {
  const State state = ctx.conn.state;
  if (state == State::kSynSent) {
    InputSynSent(ctx, segment);
  } else if (state != State::kClosed) {
    InputSynchronized(ctx, segment);
  }
}

}  // namespace tern::tcp
