// What deadlines do: RFC 6298 5, RFC 9293 3.8.3 (giving up), 3.8.6.1 (probing a closed window), RFC
// 1122 4.2.3.2.
#include "tcp/internal.h"

namespace tern::tcp {
namespace {

void SaturatingIncrement(uint8_t& counter) {
  if (counter < UINT8_MAX) ++counter;
}

// RFC 6298 5.5, 5.6; but not past the moment at which the application wants to give up.
void BackOff(const Context& ctx) {
  Connection& conn = ctx.conn;
  ColdState& cold = ctx.cold();
  SaturatingIncrement(cold.backoff);
  conn.Set(kSlowPathOnly);
  Instant next = ctx.now + CurrentRto(conn, ctx.env);
  if (cold.user_timeout > Duration::Zero() && cold.unanswered != 0) {
    next = std::min(next, cold.silent_since + cold.user_timeout);
  }
  conn.retransmit_at.Set(next);
}

// RFC 9293 3.8.3: what was sent `resent` + 1 times has gone unanswered once more. At R1 the next hop is in
// doubt; at R2, in numbers (`limit`) or as a time, the connection ends.
bool GivesUp(const Context& ctx, uint8_t resent, uint8_t limit) {
  Connection& conn = ctx.conn;
  ColdState& cold = ctx.cold();
  if (resent == 0) cold.silent_since = ctx.now - CurrentRto(conn, ctx.env);
  const bool timed = cold.user_timeout > Duration::Zero();
  if (timed ? ctx.now - cold.silent_since >= cold.user_timeout : resent >= limit) {
    const bool opening = conn.state == State::kSynSent || conn.state == State::kSynReceived;
    const bool known = opening && cold.trouble == Trouble::kUnreachable;
    Terminate(conn, known ? CloseReason::kUnreachable : CloseReason::kTimedOut, ctx.effects);
    return true;
  }
  if (resent == ctx.config().r1_retries) {
    ctx.effects.doubt_route = true;
    NoteTrouble(ctx, Trouble::kRetransmitting);
  }
  return false;
}

// RFC 9293 MUST-22: a SYN is given up in the same way as data.
void OnSynTimeout(const Context& ctx) {
  Connection& conn = ctx.conn;
  ColdState& cold = ctx.cold();
  const uint8_t retries = conn.Is(kActiveOpen) ? ctx.config().syn_retries : ctx.config().synack_retries;
  if (GivesUp(ctx, static_cast<uint8_t>(cold.syn_tries - 1), retries)) return;
  SaturatingIncrement(cold.unanswered);
  conn.Set(kSynPending);
  ctx.effects.transmit = true;
  BackOff(ctx);
}

// RFC 9293 3.8.6.1: the window is closed, or too small to be worth a segment, and nothing in flight will tell
// when it opens. As long as the peer answers, the connection stays (MUST-37).
void OnPersistTimeout(const Context& ctx) {
  Connection& conn = ctx.conn;
  ColdState& cold = ctx.cold();
  // A window that is merely small, or a shortage of our own, is no silence of the peer's.
  if (conn.snd_wnd == 0) {
    if (cold.unanswered == 0) {
      cold.silent_since = ctx.now;  // nothing is out yet that could be answered
    } else if (GivesUp(ctx, cold.unanswered, ctx.config().data_retries)) {
      return;
    }
    SaturatingIncrement(cold.unanswered);
  }
  if (conn.records.empty()) {
    conn.Set(kProbePending);
  } else {
    cold.scoreboard.OnTimeout(*ctx.env.records, conn.records);
    conn.Set(kForceResend);
  }
  conn.Set(kPersisting);
  ctx.effects.transmit = true;
  BackOff(ctx);
}

// RFC 6298 5.4 to 5.6, RFC 5681 3.1.
void OnRetransmitTimeout(const Context& ctx) {
  Connection& conn = ctx.conn;
  ColdState& cold = ctx.cold();
  if (GivesUp(ctx, cold.unanswered, ctx.config().data_retries)) return;
  ++cold.timeouts;
  if (TimedOutForItsSize(ctx)) {
    SaturatingIncrement(cold.unanswered);
    BackOff(ctx);
    return;
  }
  const uint32_t flight = conn.snd_una.DistanceTo(conn.snd_nxt);
  const bool repeated = cold.backoff > 0;
  conn.cwnd = OnTimeout(cold.congestion, conn.cwnd, flight, repeated, ctx.now);
  if (!repeated) cold.spurious.Begin(conn.snd_una, conn.snd_nxt);
  cold.recovery.OnTimeout(conn.snd_nxt);
  cold.scoreboard.OnTimeout(*ctx.env.records, conn.records);
  SaturatingIncrement(cold.unanswered);
  conn.Set(kForceResend);
  ctx.effects.transmit = true;
  BackOff(ctx);
}

void OnRetransmitDeadline(const Context& ctx) {
  Connection& conn = ctx.conn;
  conn.retransmit_at.Clear();
  if (conn.state == State::kSynSent || conn.state == State::kSynReceived) {
    OnSynTimeout(ctx);
  } else if (conn.records.empty() || conn.snd_wnd == 0) {
    OnPersistTimeout(ctx);
  } else {
    OnRetransmitTimeout(ctx);
  }
}

// FIN-WAIT-2 with nobody left to read, the end of TIME-WAIT, of BoundClose's patience, or of keepalive's.
void OnSlowDeadline(const Context& ctx) {
  Connection& conn = ctx.conn;
  conn.slow_at.Clear();
  if (conn.state == State::kTimeWait || (conn.state == State::kFinWait2 && conn.Is(kAppClosed))) {
    Terminate(conn, CloseReason::kGraceful, ctx.effects);
  } else if (conn.Is(kAppClosed)) {
    Abort(conn, ctx.env, ctx.now, ctx.effects);
    ctx.effects.reason = CloseReason::kTimedOut;
  } else {
    OnKeepaliveDeadline(ctx);
  }
}

}  // namespace

void OnTimer(Connection& conn, Environment& env, Instant now, Effects& effects) {
  const Context ctx{conn, env, now, effects};
  if (conn.ack_at.Passed(now)) {
    conn.ack_at.Clear();
    NoteAckDecision(ctx, conn.ack_debt.OnTimer());
  }
  if (conn.retransmit_at.Passed(now)) OnRetransmitDeadline(ctx);
  if (conn.slow_at.Passed(now)) OnSlowDeadline(ctx);
}

}  // namespace tern::tcp
