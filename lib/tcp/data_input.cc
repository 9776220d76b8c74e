// Text and FIN: RFC 9293 3.10.7.4 (seventh, eighth), RFC 2018 for what arrives ahead, RFC 5681 4.2 for the
// ACKs.
#include "tcp/buffer_ring.h"
#include "tcp/coalesce.h"
#include "tcp/internal.h"
#include "tcp/rx_acceptable.h"

namespace tern::tcp {
namespace {

// Out-of-order data may cost twice the window: the memory behind a full segment is not twice its octets.
constexpr uint32_t kReassemblyCostFactor = 2;
constexpr uint32_t kLeastReassemblyCost = 64 * 1024;

// RFC 9293 3.10.7.4, eighth: everything before the FIN has been taken.
void TakeFin(const Context& ctx) {
  Connection& conn = ctx.conn;
  conn.rcv_nxt += 1;
  conn.rcv_adv = Later(conn.rcv_adv, conn.rcv_nxt);
  conn.Set(kFinReceived);
  NoteAckDecision(ctx, conn.ack_debt.OnUrgent());
  ctx.effects.events |= kEventReadable | kEventPeerClosed;
  // From FIN-WAIT-1 to CLOSING: our FIN, had it been acknowledged, would have moved us to FIN-WAIT-2 already.
  conn.state = After(conn.state, Step::kFin);
  if (conn.state == State::kTimeWait) EnterTimeWait(ctx);
}

ReassemblyLimits LimitsFor(const Connection& conn) {
  return {.max_cost = std::max(conn.rcv_limit * kReassemblyCostFactor, kLeastReassemblyCost)};
}

// The buffer of `segment`, cut to what `part` keeps; nullptr when that is nothing.
Buffer* CutPayload(SegmentView& segment, const TrimmedSegment& part) {
  if (part.length == 0 || segment.payload == nullptr) return nullptr;
  Buffer* buffer = segment.payload;
  segment.payload = nullptr;
  buffer->TrimFront(part.skip);
  buffer->TrimBack(buffer->length - part.length);
  return buffer;
}

void HoldBack(const Context& ctx, SegmentView& segment, const TrimmedSegment& part) {
  Connection& conn = ctx.conn;
  const InsertResult inserted = ctx.cold().reassembly.Insert(
      *ctx.env.ranges, LimitsFor(conn), CutPayload(segment, part), part.seq, part.fin, conn.rcv_nxt,
      conn.rcv_nxt + ReceiveWindowSize(conn), ctx.effects.released);
  if (inserted.drop != DropReason::kNone) ctx.effects.Drop(inserted.drop);
  if (part.front_cut) {
    NoteOldText(ctx, segment);  // comes first in the segment, and RFC 2883 4 reports one run
  } else {
    NoteDuplicate(ctx, inserted.duplicate.start, inserted.duplicate.end);
  }
}

// What is in order of that by now.
void DeliverHeld(const Context& ctx) {
  Connection& conn = ctx.conn;
  ColdState& cold = ctx.cold();
  ReassemblyPool& pool = *ctx.env.ranges;
  BufferChain ready;
  const Reassembly::Taken taken =
      cold.reassembly.TakeInOrder(pool, conn.rcv_nxt, ready, ctx.effects.released);
  conn.rcv_nxt += taken.octets;
  while (Buffer* buffer = ready.PopFront()) QueueReceived(ctx, buffer);
  PullUrgent(ctx);
  // RFC 5681 4.2: a gap, what fills one, and a duplicate are each acknowledged at once.
  OweOwnAck(ctx);
  if (taken.fin) TakeFin(ctx);
  RefreshSlowPath(ctx);
}

void TakeOutOfOrder(const Context& ctx, SegmentView& segment, const TrimmedSegment& part) {
  HoldBack(ctx, segment, part);
  DeliverHeld(ctx);
}

// Packet memory is short. What is held out of order is the first to go (RFC 2018 8 allows it); text is
// refused where the application does not keep up, so that those who read go on, and ACKs, which free memory,
// are always heard.
void RefuseText(const Context& ctx) {
  Connection& conn = ctx.conn;
  if (conn.Is(kSlowPathOnly)) {
    Reassembly& held = ctx.cold().reassembly;
    held.Shed(*ctx.env.ranges, held.cost(), ctx.effects.released);
  }
  ctx.effects.Drop(DropReason::kTcpReceiveBufferFull);
  OweOwnAck(ctx);
  RefreshSlowPath(ctx);
}

}  // namespace

void NoteDuplicate(const Context& ctx, SeqNum start, SeqNum end) {
  if (!start.Before(end) || !ctx.conn.Is(kUseSack)) return;
  ctx.cold().duplicate = {start, end};
  ctx.conn.Set(kSlowPathOnly);
}

void NoteOldText(const Context& ctx, const SegmentView& segment) {
  const SeqNum end = segment.seq + segment.payload_length;
  NoteDuplicate(ctx, segment.seq, end.Before(ctx.conn.rcv_nxt) ? end : ctx.conn.rcv_nxt);
}

void QueueEarlyText(const Context& ctx, SegmentView& segment) {
  const Connection& conn = ctx.conn;
  const TrimmedSegment part = TrimToWindow(segment.seq, segment.payload_length, false,
                                           segment.Has(wire::kFin), conn.rcv_nxt, ReceiveWindowSize(conn));
  if (part.length != 0 || part.fin) HoldBack(ctx, segment, part);
}

void DeliverEarlyText(const Context& ctx) {
  if (!ctx.cold().reassembly.empty()) DeliverHeld(ctx);
}

void TakeText(const Context& ctx, SegmentView& segment) {
  Connection& conn = ctx.conn;
  const bool fin = segment.Has(wire::kFin);
  if (segment.payload_length == 0 && !fin) return;
  if (!ReceivesText(conn.state)) {
    // RFC 9293 3.10.7.4: after the peer's FIN there can be no text, and what claims to be some is ignored; a
    // FIN is acknowledged whenever it comes, and starts the wait of 2 MSL anew.
    ctx.effects.Drop(DropReason::kTcpDataAfterClose);
    if (!fin) return;
    if (conn.state == State::kTimeWait) conn.slow_at.Set(ctx.now + ctx.config().msl * 2);
    OweChallenge(ctx);
    return;
  }
  const TrimmedSegment part =
      TrimToWindow(segment.seq, segment.payload_length, false, fin, conn.rcv_nxt, ReceiveWindowSize(conn));
  if (part.length != 0 && conn.Is(kAppClosed)) {
    // RFC 1122 4.2.2.13: nobody will read this, and the peer has to know.
    ctx.effects.reply = {.wanted = true, .flags = wire::kRst, .seq = ControlSeq(conn)};
    ctx.effects.Drop(DropReason::kTcpDataAfterClose);
    Terminate(conn, CloseReason::kAborted, ctx.effects);
    return;
  }
  if (ctx.env.memory_tight && part.length != 0 && (conn.rcv_queued != 0 || part.seq != conn.rcv_nxt))
      [[unlikely]] {
    RefuseText(ctx);
    return;
  }
  const bool nothing_waits = !conn.Is(kSlowPathOnly) || ctx.cold().reassembly.empty();
  if (part.length == 0 && !part.fin) {
    // All of it was there before, or beyond the window.
    ctx.effects.Drop(part.back_cut ? DropReason::kTcpOutOfWindow : DropReason::kTcpDuplicatePayload);
    NoteOldText(ctx, segment);
    OweOwnAck(ctx);
    return;
  }
  if (part.seq != conn.rcv_nxt || !nothing_waits) {
    conn.Set(kSlowPathOnly);
    TakeOutOfOrder(ctx, segment, part);
    return;
  }
  if (part.front_cut) NoteOldText(ctx, segment);
  if (Buffer* buffer = CutPayload(segment, part)) TakeInOrder(ctx, buffer);
  if (part.front_cut || part.back_cut) OweOwnAck(ctx);
  if (part.fin) TakeFin(ctx);
}

}  // namespace tern::tcp
