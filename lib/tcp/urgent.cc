#include "tcp/urgent.h"

#include <cstring>
#include <utility>

#include "tcp/buffer_ring.h"
#include "tcp/internal.h"

namespace tern::tcp {
namespace {

// Takes one octet out of `buffer`, which is ours alone.
uint8_t CutOctet(Buffer* buffer, uint32_t offset) {
  const uint8_t octet = buffer->data[offset];
  std::memmove(buffer->data + offset, buffer->data + offset + 1, buffer->length - offset - 1);
  buffer->TrimBack(1);
  return octet;
}

}  // namespace

void TakeUrgent(const Context& ctx, const SegmentView& segment) {
  Connection& conn = ctx.conn;
  if (!ReceivesText(conn.state)) return;
  const SeqNum unread = conn.rcv_nxt - conn.rcv_queued;
  if (!ctx.cold().urgent_receive.OnPointer(segment.seq + segment.urgent, unread)) return;
  ctx.effects.events |= kEventUrgent;
  RefreshSlowPath(ctx);
}

void PullUrgent(const Context& ctx) {
  Connection& conn = ctx.conn;
  UrgentReceive& urgent = ctx.cold().urgent_receive;
  if (!urgent.awaited() || urgent.mark().AtOrAfter(conn.rcv_nxt)) return;
  const uint32_t from_end = urgent.mark().DistanceTo(conn.rcv_nxt);
  if (from_end > conn.rcv_queued) return;
  uint32_t offset = conn.rcv_queued - from_end;
  Buffer* before = conn.rx_tail;
  Buffer* buffer = RingFront(conn.rx_tail);
  while (offset >= buffer->length) {
    offset -= buffer->length;
    before = std::exchange(buffer, buffer->next);
  }
  urgent.Keep(CutOctet(buffer, offset));
  conn.rcv_queued -= 1;
  ctx.effects.events |= kEventUrgent;
  if (buffer->length != 0) return;
  RingRemove(conn.rx_tail, before, buffer);
  ctx.effects.released.PushBack(buffer);
}

// ---- What an application does ----

SendResult SendUrgent(Connection& conn, Environment& env, BufferChain& data, Instant now, Effects& effects) {
  const SeqNum end_before = conn.snd_end;
  const SendResult result = Send(conn, env, data, now, effects);
  if (conn.snd_end == end_before) return result;
  (*env.cold)[conn.cold].urgent_send.Mark(conn.snd_end);
  conn.Set(kSlowPathOnly);
  // RFC 9293 3.8.5: the peer is to know at once, also when its window or ours keeps the data back.
  if (conn.state != State::kSynSent && conn.state != State::kSynReceived) conn.ack_debt.OnUrgent();
  effects.transmit = true;
  return result;
}

uint32_t UrgentAhead(const Connection& conn, const Environment& env) {
  if (conn.cold == kNoSlot) return 0;
  return (*env.cold)[conn.cold].urgent_receive.Ahead(conn.rcv_nxt, conn.rcv_queued);
}

int TakeUrgentOctet(Connection& conn, Environment& env) {
  return conn.cold == kNoSlot ? -1 : (*env.cold)[conn.cold].urgent_receive.Take();
}

void SetUrgentOutOfLine(Connection& conn, Environment& env, bool on) {
  if (conn.cold != kNoSlot) (*env.cold)[conn.cold].urgent_receive.SetOutOfLine(on);
}

}  // namespace tern::tcp
