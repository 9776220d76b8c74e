// What an application may ask of one connection, and what it may hear of trouble: RFC
// 9293 3.8.3, 3.8.4, 3.9.1.8.
#include "tcp/internal.h"

namespace tern::tcp {
namespace {

KeepaliveProgress ProgressOf(const Connection& conn) {
  return {.rcv_nxt = conn.rcv_nxt,
          .snd_una = conn.snd_una,
          .outstanding = conn.snd_una != conn.snd_nxt || Unsent(conn) != 0};
}

// The states in which slow_at is keepalive's; in the others a wait of their own runs, or none.
bool MayKeepAlive(const Connection& conn) {
  switch (conn.state) {
    case State::kEstablished:
    case State::kCloseWait:
    case State::kFinWait1:
    case State::kFinWait2:
      return !conn.Is(kAppClosed);
    default:
      return false;
  }
}

}  // namespace

void SetKeepalive(Connection& conn, Environment& env, const KeepaliveTimes* times, Instant now) {
  if (conn.cold == kNoSlot || conn.Is(kAppClosed) || conn.state == State::kTimeWait) return;
  Keepalive& keepalive = (*env.cold)[conn.cold].keepalive;
  if (times == nullptr) {
    keepalive.TurnOff();
    conn.slow_at.Clear();
    return;
  }
  keepalive.TurnOn(*times, ProgressOf(conn), now);
  conn.slow_at.Set(std::min(keepalive.next(), now + kLongestWait));
}

void OnKeepaliveDeadline(const Context& ctx) {
  Connection& conn = ctx.conn;
  Keepalive& keepalive = ctx.cold().keepalive;
  if (!keepalive.on()) return;
  const bool waits = !MayKeepAlive(conn);  // the handshake is not over: its own timer judges
  if (waits) keepalive.OnHeard(ctx.now);
  switch (keepalive.OnDeadline(ProgressOf(conn), ctx.now)) {
    case KeepaliveVerdict::kWait:
      break;
    case KeepaliveVerdict::kProbe:
      conn.Set(kSlowPathOnly);
      ctx.cold().keepalive_pending = true;
      ctx.effects.transmit = true;
      break;
    case KeepaliveVerdict::kDead:
      // The peer may be alive and merely deaf: a RST tells it.
      ctx.effects.reply = {
          .wanted = true, .flags = wire::kRst | wire::kAck, .seq = ControlSeq(conn), .ack = conn.rcv_nxt};
      Terminate(conn, CloseReason::kTimedOut, ctx.effects);
      return;
  }
  conn.slow_at.Set(std::min(keepalive.next(), ctx.now + kLongestWait));
}

void SetUserTimeout(Connection& conn, Environment& env, Duration timeout) {
  if (conn.cold != kNoSlot) (*env.cold)[conn.cold].user_timeout = std::max(timeout, Duration::Zero());
}

void SetTroubleReports(Connection& conn, Environment& env, bool on) {
  if (conn.cold != kNoSlot) (*env.cold)[conn.cold].reports_trouble = on;
}

Trouble LastTrouble(const Connection& conn, const Environment& env) {
  return conn.cold == kNoSlot ? Trouble::kNone : (*env.cold)[conn.cold].trouble;
}

void NoteTrouble(const Context& ctx, Trouble trouble) {
  ColdState& cold = ctx.cold();
  // What ICMP said about a connection that opens is the reason to give, should it come to that.
  const bool opening = ctx.conn.state == State::kSynSent || ctx.conn.state == State::kSynReceived;
  const bool known = opening && cold.trouble == Trouble::kUnreachable;
  if (!known || trouble != Trouble::kRetransmitting) cold.trouble = trouble;
  // MUST-47, SHLD-20: the application hears of it, and may say that it does not want to.
  if (cold.reports_trouble) ctx.effects.events |= kEventTrouble;
}

void SetCork(Connection& conn, bool on, Effects& effects) {
  if (on) {
    conn.Set(kCork);
    return;
  }
  conn.Clear(kCork);
  effects.transmit = true;
}

void SetQuickAck(Connection& conn, bool on, Effects& effects) {
  if (!on) {
    conn.ack_debt.StopQuick();
    return;
  }
  conn.ack_debt.StartQuick();
  conn.ack_debt.Hurry();
  if (conn.ack_debt.Decision() == AckDecision::kNow) effects.transmit = true;
}

void OnIcmpError(Connection& conn, Environment& env, SeqNum quoted, Trouble trouble, CloseReason end,
                 Instant now, Effects& effects) {
  if (conn.state == State::kClosed || conn.cold == kNoSlot) return;
  // RFC 5927 4.1.
  const bool in_flight = quoted.AtOrAfter(conn.snd_una) && quoted.Before(conn.snd_nxt);
  if (!in_flight) return;
  const bool opening = conn.state == State::kSynSent || conn.state == State::kSynReceived;
  // RFC 9293 3.9.2.2: a hard error ends the connection (SHLD-26), while it opens; later on anybody could have
  // sent it, and the peer's own silence is the better witness (RFC 5927 5.2). A soft error ends none
  // (MUST-56).
  if (end != CloseReason::kNone && opening) {
    Terminate(conn, end, effects);
    return;
  }
  NoteTrouble({conn, env, now, effects}, trouble);
}

}  // namespace tern::tcp
