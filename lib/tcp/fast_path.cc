// What nearly every received segment is: the next text or a plain ACK in ESTABLISHED, with nothing unusual
// going on in either direction. Decided and done from the hot state; everything else takes the long way
// (rx_established.cc), and so may this, with the same result.
#include "tcp/internal.h"

namespace tern::tcp {
namespace {

// Is this exactly the next data or a plain ACK of something in flight, well timestamped?
bool FastPathApplies(const Context& ctx, const SegmentView& segment) {
  const Connection& conn = ctx.conn;
  if (conn.state != State::kEstablished || conn.Is(kSlowPathOnly) || !ctx.env.fast_path) return false;
  if ((segment.flags & ~wire::kPsh) != wire::kAck || segment.seq != conn.rcv_nxt) return false;
  if (conn.Is(kUseTimestamps) != segment.options.has_timestamp || segment.options.sack_count != 0)
    return false;
  // PAWS (RFC 7323 5.3) can only object to a timestamp that went back.
  if (segment.options.has_timestamp && SeqNum(segment.options.tsval).Before(SeqNum(conn.ts_recent)))
    return false;
  if (segment.payload_length > ReceiveWindowSize(conn)) return false;
  if (ctx.env.memory_tight && segment.payload_length != 0) return false;
  const uint32_t acked = conn.snd_una.DistanceTo(segment.ack);
  // An ACK that neither moves nor comes with data may be a duplicate or a window update: the slow path knows.
  return acked <= conn.snd_una.DistanceTo(conn.snd_nxt) && (acked | segment.payload_length) != 0;
}

// An ACK that moves SND.UNA while nothing is wrong and nothing is reported: TakeAck without what cannot
// apply.
void TakePlainAck(const Context& ctx, const SegmentView& segment) {
  Connection& conn = ctx.conn;
  const uint32_t flight_before = conn.snd_una.DistanceTo(conn.snd_nxt);
  uint32_t delivered = conn.snd_una.DistanceTo(segment.ack);
  if (Instant sent_at; conn.records.AckOnly(*ctx.env.records, segment.ack, &sent_at)) {
    conn.snd_una = segment.ack;
    ReleaseAcked(ctx);
    if (conn.Is(kWritableOwed)) TellOfSendRoom(ctx);
    conn.rtt.Update(ctx.now - sent_at);
    if (conn.tx_next != nullptr) ctx.effects.transmit = true;
    conn.retransmit_at.Clear();  // RFC 6298 5.2
  } else {
    delivered = Advance(ctx, segment);
    // RFC 6298 5.2, 5.3.
    conn.retransmit_at.Clear();
    if (!conn.records.empty()) StartRetransmitTimer(conn, ctx.env, ctx.now);
  }
  if (flight_before >= conn.cwnd / 2) GrowWindow(ctx, flight_before, delivered);
  NoteAllAcked(ctx);
}

void RunFastPath(const Context& ctx, SegmentView& segment) {
  FollowTimestamp(ctx, segment);
  if (segment.ack != ctx.conn.snd_una) TakePlainAck(ctx, segment);
  UpdateSendWindow(ctx, segment);
  if (segment.payload_length == 0) return;
  Buffer* buffer = segment.payload;
  segment.payload = nullptr;
  TakeInOrder(ctx, buffer);
}

}  // namespace

void OnSegment(Connection& conn, Environment& env, SegmentView& segment, Instant now, Effects& effects) {
  const Context ctx{conn, env, now, effects};
  if (FastPathApplies(ctx, segment)) [[likely]] {
    RunFastPath(ctx, segment);
  } else {
    InputSlow(ctx, segment);
  }
}

}  // namespace tern::tcp
