// Segments in SYN-SENT: RFC 9293 3.10.7.3.
#include "tcp/internal.h"

namespace tern::tcp {
namespace {

// RFC 9293 3.2, RFC 7323, RFC 2018: what both sides said in their SYNs is agreed.
void AgreeOnOptions(const Context& ctx, const SegmentView& syn) {
  Connection& conn = ctx.conn;
  ColdState& cold = ctx.cold();
  const wire::TcpOptions& options = syn.options;
  if (options.has_mss) cold.peer_mss = options.mss;
  if (ctx.config().sack && options.sack_permitted) conn.Set(kUseSack);
  if (ctx.config().timestamps && options.has_timestamp) {
    conn.Set(kUseTimestamps);
    conn.ts_recent = options.tsval;
    conn.ts_recent_at = CoarseClock(ctx.now);
  }
  if (ctx.config().window_scale && options.has_wscale) {
    conn.snd_scale = options.wscale & 0xf;
    conn.rcv_scale = cold.announced_scale & 0xf;
  } else {
    conn.Clear(kAutotune);  // there is no way to tell of more
  }
  // RFC 7323 2.2: the window of a segment with SYN is never scaled.
  conn.snd_wnd = syn.window;
  cold.snd_wnd_max = std::max(cold.snd_wnd_max, conn.snd_wnd);
  conn.snd_wl1 = syn.seq;
  conn.snd_wl2 = syn.Has(wire::kAck) ? syn.ack : conn.snd_una;
}

// What the SYN brought besides itself is worked on as any segment's (3.10.7.3, fourth).
void TakeRest(const Context& ctx, SegmentView& segment) {
  segment.seq += 1;
  segment.flags = static_cast<uint8_t>(segment.flags & ~wire::kSyn);
  if (ctx.conn.state == State::kSynReceived) {
    QueueEarlyText(ctx, segment);
    return;
  }
  // The pointer counts from the SYN.
  if (segment.Has(wire::kUrg) && segment.urgent != 0) {
    --segment.urgent;
    TakeUrgent(ctx, segment);
  }
  TakeText(ctx, segment);
}

}  // namespace

void InputSynSent(const Context& ctx, SegmentView& segment) {
  Connection& conn = ctx.conn;
  // First: an ACK has to be for our SYN.
  const bool acks = segment.Has(wire::kAck);
  if (acks && (segment.ack.AtOrBefore(conn.snd_una) || segment.ack.After(conn.snd_nxt))) {
    ctx.effects.Drop(DropReason::kTcpBadAck);
    if (!segment.Has(wire::kRst)) {
      ctx.effects.reply = {.wanted = true, .flags = wire::kRst, .seq = segment.ack};
    }
    return;
  }
  // Second: RST. Without an ACK of our SYN anybody could have sent it.
  if (segment.Has(wire::kRst)) {
    if (acks) {
      Terminate(conn, CloseReason::kRefused, ctx.effects);
    } else {
      ctx.effects.Drop(DropReason::kTcpRstOutOfWindow);
    }
    return;
  }
  // Fourth and fifth: nothing else opens a connection.
  if (!segment.Has(wire::kSyn)) {
    ctx.effects.Drop(DropReason::kTcpBadFlags);
    return;
  }
  ctx.cold().irs = segment.seq;
  conn.rcv_nxt = segment.seq + 1;
  // RFC 7323 2.2: the window that our SYN offered was not scaled, and not counted from anything.
  conn.rcv_adv = conn.rcv_nxt + std::min<uint32_t>(conn.rcv_limit, 0xffff);
  conn.last_ack_sent = conn.rcv_nxt;
  AgreeOnOptions(ctx, segment);
  if (acks) {
    conn.snd_una = segment.ack;
    Establish(ctx);
    NoteAckDecision(ctx, conn.ack_debt.OnUrgent());
  } else {
    // Both sides opened at once (RFC 9293 3.5, figure 8): our SYN goes again, with an ACK.
    conn.state = After(conn.state, Step::kSyn);
    conn.Set(kSynPending);
    ctx.effects.transmit = true;
  }
  TakeRest(ctx, segment);
}

}  // namespace tern::tcp
