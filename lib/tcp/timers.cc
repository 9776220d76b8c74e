// What deadlines do: RFC 6298 5, RFC 9293 3.8.3 (giving up), 3.8.6.1 (probing a closed window), RFC
// 1122 4.2.3.2.
#include "tcp/internal.h"

namespace tern::tcp {
namespace {

void SaturatingIncrement(uint8_t& counter) {
  if (counter < UINT8_MAX) ++counter;
}

// RFC 6298 5.5, 5.6.
void BackOff(const Context& ctx) {
  Connection& conn = ctx.conn;
  SaturatingIncrement(ctx.cold().backoff);
  conn.Set(kSlowPathOnly);
  conn.retransmit_at.Set(ctx.now + CurrentRto(conn, ctx.env));
}

void OnSynTimeout(const Context& ctx) {
  Connection& conn = ctx.conn;
  ColdState& cold = ctx.cold();
  const uint8_t retries =
      conn.state == State::kSynSent ? ctx.config().syn_retries : ctx.config().synack_retries;
  if (cold.syn_tries > retries) {
    Terminate(conn, CloseReason::kTimedOut, ctx.effects);
    return;
  }
  conn.Set(kSynPending);
  ctx.effects.transmit = true;
  BackOff(ctx);
}

// RFC 9293 3.8.6.1: the window is closed, or too small to be worth a segment, and nothing in flight will tell
// when it opens. As long as the peer answers, the connection stays (MUST-37).
void OnPersistTimeout(const Context& ctx) {
  Connection& conn = ctx.conn;
  ColdState& cold = ctx.cold();
  if (cold.unanswered >= ctx.config().data_retries) {
    Terminate(conn, CloseReason::kTimedOut, ctx.effects);
    return;
  }
  // A window that is merely small, or a shortage of our own, is no silence of the peer's.
  if (conn.snd_wnd == 0) SaturatingIncrement(cold.unanswered);
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
  if (cold.unanswered >= ctx.config().data_retries) {
    Terminate(conn, CloseReason::kTimedOut, ctx.effects);
    return;
  }
  ++cold.timeouts;
  const uint32_t flight = conn.snd_una.DistanceTo(conn.snd_nxt);
  const bool repeated = cold.backoff > 0;
  conn.cwnd = OnTimeout(cold.congestion, conn.cwnd, flight, repeated, ctx.now);
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

// FIN-WAIT-2 with nobody left to read, or the end of TIME-WAIT.
void OnSlowDeadline(const Context& ctx) {
  ctx.conn.slow_at.Clear();
  if (ctx.conn.state == State::kFinWait2 || ctx.conn.state == State::kTimeWait) {
    Terminate(ctx.conn, CloseReason::kGraceful, ctx.effects);
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
