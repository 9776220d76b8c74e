// What an acknowledgement does: RFC 9293 3.10.7.4 (fifth), RFC 6298, RFC 5681, RFC 6582, RFC 6675.
#include <array>
#include <span>

#include "tcp/buffer_ring.h"
#include "tcp/internal.h"
#include "tcp/isn.h"
#include "tcp/rx_acceptable.h"

namespace tern::tcp {
namespace {

void SampleRtt(const Context& ctx, const SegmentView& segment, const AckResult& acked) {
  Connection& conn = ctx.conn;
  if (acked.has_rtt) {
    conn.rtt.Update(ctx.now - acked.rtt_sent_at);
  } else if (conn.Is(kUseTimestamps) && segment.options.has_timestamp && segment.options.tsecr != 0) {
    // RFC 7323 4.1: the echo tells which transmission was answered, where Karn's rule alone could not.
    const Duration age = TimestampAge(ctx.now, conn.ts_offset, segment.options.tsecr);
    if (age >= Duration::Zero()) conn.rtt.Update(age);
  }
}

SackUpdate TakeSack(const Context& ctx, const SegmentView& segment) {
  Connection& conn = ctx.conn;
  if (!conn.Is(kUseSack) || segment.options.sack_count == 0) return {};
  // With nothing in flight only the word of a duplicate is of use.
  if (conn.records.empty() && !ctx.cold().spurious.watches()) return {};
  std::array<SeqRange, wire::TcpOptions::kMaxSackBlocks> blocks;
  const size_t count = std::min<size_t>(segment.options.sack_count, blocks.size());
  for (size_t i = 0; i < count; ++i) {
    blocks[i] = {segment.options.sack[i].start, segment.options.sack[i].end};
  }
  ColdState& cold = ctx.cold();
  const SackUpdate update = cold.scoreboard.OnSack(
      *ctx.env.records, conn.records, std::span(blocks.data(), count), conn.snd_una, conn.snd_nxt);
  if (update.newly_sacked != 0) conn.Set(kSlowPathOnly);
  return update;
}

// RFC 6582 3.2 step 3 (and RFC 6675 5): SND.UNA moved while loss is being repaired.
void OnNewAckInRecovery(const Context& ctx, uint32_t flight_before, uint32_t delivered) {
  Connection& conn = ctx.conn;
  ColdState& cold = ctx.cold();
  switch (cold.recovery.OnNewAck(conn.snd_una)) {
    case NewAckAction::kExit:
      conn.cwnd = OnExitRecovery(cold.congestion, conn.cwnd, conn.snd_una.DistanceTo(conn.snd_nxt));
      cold.scoreboard.OnSegmentsAccounted(cold.scoreboard.departed_octets());
      break;
    case NewAckAction::kPartial:
      // What was acknowledged had left the network already and was counted as departed; RFC 6582 3.2 step 3
      // gives one segment back for the one that is resent.
      cold.scoreboard.OnSegmentsAccounted(delivered > conn.mss ? delivered - conn.mss : 0);
      if (!conn.Is(kUseSack)) {
        cold.scoreboard.MarkHeadLost(*ctx.env.records, conn.records, conn.mss);
        conn.Set(kForceResend);
      }
      break;
    case NewAckAction::kNormal:
      cold.scoreboard.OnSegmentsAccounted(delivered);
      GrowWindow(ctx, flight_before, delivered);
      break;
  }
  if (conn.Is(kUseSack)) cold.scoreboard.MarkLost(*ctx.env.records, conn.records, conn.mss);
}

// RFC 5681 3.2, RFC 6675 5: evidence that something is missing.
void OnDuplicate(const Context& ctx) {
  Connection& conn = ctx.conn;
  ColdState& cold = ctx.cold();
  RecordPool& pool = *ctx.env.records;
  conn.Set(kSlowPathOnly);
  if (conn.Is(kUseSack)) {
    cold.scoreboard.MarkLost(pool, conn.records, conn.mss);
  } else {
    cold.scoreboard.OnSegmentDeparted(conn.mss);
  }
  if (cold.path.active() && LostForItsSize(ctx)) {
    ctx.effects.transmit = true;
    return;
  }
  const bool head_lost = !conn.records.empty() && pool[conn.records.head()].Has(kLost);
  switch (cold.recovery.OnDuplicateAck(conn.snd_una, conn.snd_nxt, head_lost)) {
    case DupAckAction::kEnterRecovery:
      conn.cwnd = OnEnterRecovery(cold.congestion, conn.cwnd, conn.snd_una.DistanceTo(conn.snd_nxt), ctx.now);
      cold.spurious.Begin(conn.snd_una, conn.snd_nxt);
      cold.scoreboard.MarkHeadLost(pool, conn.records, conn.mss);
      conn.Set(kForceResend);
      break;
    // RFC 3042, and sending during recovery: pipe() has shrunk by what this ACK reported, so cwnd has room.
    case DupAckAction::kLimitedTransmit:
    case DupAckAction::kInRecovery:
    case DupAckAction::kNothing:
      break;
  }
  ctx.effects.transmit = true;
}

// RFC 4015: what was judged lost was not. The window is again what it was, and what still waits for its ACK
// is not sent again.
void UndoReduction(const Context& ctx) {
  Connection& conn = ctx.conn;
  ColdState& cold = ctx.cold();
  conn.cwnd = OnUndo(cold.congestion, conn.cwnd);
  if (cold.recovery.phase() == RecoveryPhase::kOpen) return;
  cold.recovery.OnUndo();
  cold.scoreboard.Forgive(*ctx.env.records, conn.records);
  cold.scoreboard.OnSegmentsAccounted(cold.scoreboard.departed_octets());
  conn.Clear(kForceResend);
}

// What this ACK says of the latest retransmissions. REQUIRES: SND.UNA and the scoreboard have taken it in.
bool FindsSpurious(const Context& ctx, const SegmentView& segment, bool advances, const SackUpdate& sacked) {
  ColdState& cold = ctx.cold();
  if (!cold.spurious.watches()) return false;
  const uint32_t tsecr = segment.options.has_timestamp ? segment.options.tsecr : 0;
  // RFC 2883 5: an old ACK may speak of an old duplicate.
  const bool twice = sacked.has_dsack && segment.ack == ctx.conn.snd_una;
  const bool by_echo = advances && cold.spurious.OnAdvance(tsecr);
  return (twice && cold.spurious.OnDuplicate(sacked.dsack)) || by_echo;
}

// RFC 6298 5.2, 5.3: all acknowledged, no timer; something new acknowledged, a fresh one.
void RestartTimer(const Context& ctx) {
  Connection& conn = ctx.conn;
  // While the window stays closed on data that waits, probing goes on at its own pace.
  const bool waits = Unsent(conn) != 0 || (conn.Is(kFinQueued) && !FinSent(conn));
  if (conn.Is(kPersisting) && conn.snd_wnd == 0 && conn.records.empty() && waits) return;
  conn.Clear(kPersisting | kProbePending);
  if (conn.records.empty()) {
    conn.retransmit_at.Clear();
  } else {
    conn.retransmit_at.Set(ctx.now + CurrentRto(conn, ctx.env));
  }
}

}  // namespace

uint32_t Advance(const Context& ctx, const SegmentView& segment) {
  Connection& conn = ctx.conn;
  const AckResult acked = conn.records.AckTo(*ctx.env.records, segment.ack);
  conn.snd_una = segment.ack;
  if (conn.Is(kSlowPathOnly)) {
    ColdState& cold = ctx.cold();
    cold.scoreboard.OnAck(acked, conn.snd_una);
    cold.backoff = 0;
    if (cold.path.active()) NotePathProgress(ctx);
  }
  ReleaseAcked(ctx);
  if (conn.Is(kWritableOwed)) TellOfSendRoom(ctx);
  SampleRtt(ctx, segment, acked);
  if (Unsent(conn) != 0 || conn.Is(kFinQueued)) ctx.effects.transmit = true;
  return acked.acked - acked.sacked;
}

void TellOfSendRoom(const Context& ctx) {
  Connection& conn = ctx.conn;
  const uint32_t used = conn.snd_una.DistanceTo(conn.snd_end);
  if (FinAcked(conn) || used <= SendLimit(conn, ctx.env) / 3 * 2) {
    conn.Clear(kWritableOwed);
    ctx.effects.events |= kEventWritable;
  }
}

void OnWindowOpened(const Context& ctx) {
  Connection& conn = ctx.conn;
  ctx.effects.transmit = true;
  ColdState& cold = ctx.cold();
  cold.snd_wnd_max = std::max(cold.snd_wnd_max, conn.snd_wnd);
  if (!conn.Is(kPersisting)) return;
  // The peer's window was closed, and what probed it was thrown away there: send it again without delay, and
  // without blaming the network.
  conn.Clear(kPersisting | kProbePending);
  conn.retransmit_at.Clear();
  cold.backoff = 0;
  if (!conn.records.empty()) {
    cold.scoreboard.OnTimeout(*ctx.env.records, conn.records);
    conn.retransmit_at.Set(ctx.now + CurrentRto(conn, ctx.env));
  }
}

void GrowWindow(const Context& ctx, uint32_t flight_before, uint32_t delivered) {
  Connection& conn = ctx.conn;
  // A window that is not half used needs no look at the cold state.
  if (delivered == 0 || flight_before < conn.cwnd / 2) return;
  ColdState& cold = ctx.cold();
  const bool limited = InSlowStart(cold.congestion, conn.cwnd) || flight_before + 2u * conn.mss >= conn.cwnd;
  const AckSample sample{
      .now = ctx.now, .srtt = conn.rtt.srtt(), .acked = delivered, .cwnd_limited = limited};
  conn.cwnd = OnAck(cold.congestion, conn.cwnd, sample);
}

void TakeAck(const Context& ctx, const SegmentView& segment) {
  Connection& conn = ctx.conn;
  const bool advances = segment.ack.After(conn.snd_una);
  const uint32_t flight_before = conn.snd_una.DistanceTo(conn.snd_nxt);
  const uint32_t window = static_cast<uint32_t>(segment.window) << conn.snd_scale;
  const bool duplicate = !advances && IsDuplicateAck({.ack = segment.ack,
                                                      .snd_una = conn.snd_una,
                                                      .snd_nxt = conn.snd_nxt,
                                                      .payload = segment.payload_length,
                                                      .syn_or_fin = segment.Has(wire::kSyn | wire::kFin),
                                                      .window_changed = window != conn.snd_wnd});
  const bool was_slow = conn.Is(kSlowPathOnly);
  if (was_slow) ctx.cold().unanswered = 0;
  uint32_t delivered = advances ? Advance(ctx, segment) : 0;
  UpdateSendWindow(ctx, segment);
  const SackUpdate sacked = TakeSack(ctx, segment);
  delivered += sacked.newly_sacked;
  if (sacked.has_rtt && !advances) conn.rtt.Update(ctx.now - sacked.rtt_sent_at);

  if ((was_slow || sacked.has_dsack) && FindsSpurious(ctx, segment, advances, sacked)) UndoReduction(ctx);
  if (advances && was_slow) {
    OnNewAckInRecovery(ctx, flight_before, delivered);
  } else if (advances) {
    GrowWindow(ctx, flight_before, delivered);
  }
  // RFC 6675 2: with SACK a duplicate is what brings new information; without it, what RFC 5681 2 describes.
  const bool evidence = conn.Is(kUseSack) ? sacked.newly_sacked != 0 : duplicate;
  if (evidence && !conn.records.empty()) OnDuplicate(ctx);
  if (advances) {
    RestartTimer(ctx);
    NoteAllAcked(ctx);
  }
  if (was_slow || conn.Is(kSlowPathOnly)) {
    ctx.effects.transmit = true;
    RefreshSlowPath(ctx);
  }
}

}  // namespace tern::tcp
