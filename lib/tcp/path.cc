// What becomes of a connection as its path turns out to carry less than was thought, or more: RFC 1191, RFC
// 8201, RFC 4821, RFC 8899.
#include "tcp/internal.h"
#include "tcp/sack_scoreboard.h"

namespace tern::tcp {
namespace {

// So many full segments have to be able to follow a probe: their SACKs or duplicate ACKs are what tells of
// its loss before a time-out does (RFC 4821 7.4).
constexpr uint32_t kFollowers = kDupThresh;

// RFC 9293 3.7.1: Eff.snd.MSS.
void TakeSegmentSize(const Context& ctx) {
  Connection& conn = ctx.conn;
  ColdState& cold = ctx.cold();
  conn.mss = static_cast<uint16_t>(cold.path.mss() - TimestampRoom(conn));
  OnMssChange(cold.congestion, conn.mss);
  // RFC 4821 7.1: the window stays what it is in octets; but none is less than a segment.
  conn.cwnd = std::max<uint32_t>(conn.cwnd, conn.mss);
}

void Tell(const Context& ctx, PathNews::Kind kind, uint16_t mss) {
  const PathMtu& path = ctx.cold().path;
  ctx.effects.path = {.kind = kind, .mss = mss, .settled = !path.searching(), .watch = path.below_most()};
}

// What is too long goes again at once, in segments that fit, whatever the congestion window is doing: it did
// not fail for congestion (RFC 1191 6.5, RFC 8201 5.4).
void Shrink(const Context& ctx) {
  Connection& conn = ctx.conn;
  ColdState& cold = ctx.cold();
  TakeSegmentSize(ctx);
  Tell(ctx, PathNews::Kind::kLowered, cold.path.mss());
  if (conn.records.empty()) return;
  cold.path.StartRepair(conn.snd_una, conn.snd_nxt);
  cold.scoreboard.MarkTooLongLost(*ctx.env.records, conn.records, cold.path.covered(), conn.mss);
  conn.Set(kSlowPathOnly | kForceResend);
  conn.retransmit_at.Set(ctx.now + CurrentRto(conn, ctx.env));
  ctx.effects.transmit = true;
}

// The probe in flight is gone, and nothing else: what it held goes again.
void ResendProbe(const Context& ctx) {
  Connection& conn = ctx.conn;
  ColdState& cold = ctx.cold();
  cold.scoreboard.MarkTooLongLost(*ctx.env.records, conn.records, cold.path.covered(), conn.mss);
  conn.Set(kSlowPathOnly | kForceResend);
  ctx.effects.transmit = true;
}

bool HasStream(const Connection& conn) {
  return conn.cold != kNoSlot && conn.state != State::kSynSent && conn.state != State::kSynReceived &&
         conn.state != State::kTimeWait;
}

}  // namespace

TooBigVerdict OnPacketTooBig(Connection& conn, Environment& env, SeqNum quoted, uint16_t mss, Instant now,
                             Effects& effects) {
  // A SYN is never too big.
  if (!HasStream(conn)) return TooBigVerdict::kNotInFlight;
  const Context ctx{conn, env, now, effects};
  ColdState& cold = ctx.cold();
  const TooBigVerdict verdict = cold.path.OnTooBig(
      {.mss = mss, .quoted = quoted, .una = conn.snd_una, .nxt = conn.snd_nxt, .first = cold.iss + 1}, now);
  switch (verdict) {
    case TooBigVerdict::kTaken:
      Shrink(ctx);
      break;
    case TooBigVerdict::kProbe:
      ResendProbe(ctx);
      break;
    case TooBigVerdict::kDeferred:
      conn.Set(kSlowPathOnly);
      break;
    case TooBigVerdict::kNotInFlight:
    case TooBigVerdict::kNoNews:
      break;
  }
  return verdict;
}

void LearnPathMss(Connection& conn, Environment& env, uint16_t mss, Instant now, Effects& effects) {
  if (!HasStream(conn) || !(*env.cold)[conn.cold].path.OnLearned(mss, now)) return;
  Shrink({conn, env, now, effects});
}

Instant OnPathAged(Connection& conn, Environment& env, Instant now, Effects& effects) {
  if (!HasStream(conn)) return Instant::Never();
  const Context ctx{conn, env, now, effects};
  PathMtu& path = ctx.cold().path;
  if (path.OnAged(now)) TakeSegmentSize(ctx);
  RefreshSlowPath(ctx);
  return path.below_most() ? path.next_raise() : Instant::Never();
}

ProbePlan PlanProbe(const Connection& conn, const Environment& env, uint32_t sack_blocks) {
  const ColdState& cold = (*env.cold)[conn.cold];
  const uint16_t size = cold.path.NextProbe();
  if (size == 0) return {};
  // Only when all is well, so that a loss is the probe's own, and nothing else needs the room of options or
  // the segment's boundaries.
  const bool calm = cold.recovery.phase() == RecoveryPhase::kOpen && cold.scoreboard.clean() &&
                    cold.backoff == 0 && !conn.Is(kPersisting | kProbePending) &&
                    !cold.urgent_send.pending() && sack_blocks == 0;
  if (!calm) return {};
  const uint32_t text = size - TimestampRoom(conn);
  const uint32_t with_followers = text + kFollowers * conn.mss;
  const uint32_t flight = conn.snd_una.DistanceTo(conn.snd_nxt);
  if (Unsent(conn) < with_followers || std::min(conn.cwnd, conn.snd_wnd) < with_followers) return {};
  const bool room = uint64_t{flight} + text <= conn.cwnd && uint64_t{flight} + with_followers <= conn.snd_wnd;
  return {.text = room ? text : 0, .wait = !room};
}

void NoteProbeSent(const Connection& conn, Environment& env, SeqNum seq, uint32_t text) {
  // What lies in many small buffers may have been cut shorter than was meant.
  if (text <= conn.mss) return;
  (*env.cold)[conn.cold].path.OnProbeSent(seq, seq + text, static_cast<uint16_t>(text + TimestampRoom(conn)));
}

void NotePathProgress(const Context& ctx) {
  PathMtu& path = ctx.cold().path;
  switch (path.OnAck(ctx.conn.snd_una)) {
    case PathMtu::Progress::kNone:
      break;
    case PathMtu::Progress::kConfirmed:
      Tell(ctx, PathNews::Kind::kLowered, path.mss());
      break;
    case PathMtu::Progress::kRaised:
      TakeSegmentSize(ctx);
      Tell(ctx, PathNews::Kind::kRaised, path.mss());
      break;
  }
}

bool LostForItsSize(const Context& ctx) {
  Connection& conn = ctx.conn;
  ColdState& cold = ctx.cold();
  if (conn.records.empty() || !cold.path.Covers(conn.snd_una)) return false;
  // Whatever else is lost is lost to congestion.
  if (cold.scoreboard.lost_octets() > conn.snd_una.DistanceTo(cold.path.covered().end)) return false;
  const bool head_lost = (*ctx.env.records)[conn.records.head()].Has(kLost);
  if (!cold.path.probe_in_flight()) return head_lost;
  if (!head_lost && cold.recovery.dup_acks() + 1u < kDupThresh) return false;
  cold.path.OnProbeLost();
  ResendProbe(ctx);
  return true;
}

bool TimedOutForItsSize(const Context& ctx) {
  Connection& conn = ctx.conn;
  ColdState& cold = ctx.cold();
  const uint32_t head = (*ctx.env.records)[conn.records.head()].length;
  const uint32_t size = std::min<uint32_t>(head, conn.mss) + TimestampRoom(conn);
  const auto in_row = static_cast<uint8_t>(std::min(cold.backoff + 1, UINT8_MAX));
  switch (cold.path.OnTimeout(conn.snd_una, in_row, size, ctx.now)) {
    case PathMtu::TimeoutVerdict::kOrdinary:
      break;
    case PathMtu::TimeoutVerdict::kDeferredTaken:
      Shrink(ctx);
      return true;
    case PathMtu::TimeoutVerdict::kBlackHole:
      // A time-out like any other but for the size of what goes again. Others are told once it arrives.
      TakeSegmentSize(ctx);
      Tell(ctx, PathNews::Kind::kBlackHole, 0);
      break;
  }
  return false;
}

}  // namespace tern::tcp
