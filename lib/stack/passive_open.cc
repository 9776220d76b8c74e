// From SYN to accepted connection: LISTEN and SYN-RECEIVED of RFC 9293 3.10.7.
#include <algorithm>

#include "stack/shard_impl.h"
#include "tcp/isn.h"
#include "wire/tcp.h"

namespace tern::stack {
namespace {

constexpr uint32_t kLargestUnscaledWindow = 0xffff;
// RFC 9293 3.10.7.4: a tuple that is reused starts beyond what its last connection used; beyond its window,
// too.
constexpr uint32_t kReuseGap = 0x10000;

uint32_t SynWindow(const tcp::TcpConfig& config) {
  return std::min(config.receive_buffer, kLargestUnscaledWindow);
}

}  // namespace

DropReason Shard::Impl::OnSyn(uint32_t listener_id, RxPacket& p, std::optional<SeqNum> not_before) {
  if (closing) return DropReason::kShuttingDown;
  Listener& listener = *listeners.Get(listener_id);
  if (listener.pending >= listener.backlog) return DropReason::kTcpBacklogFull;
  const uint32_t index = half_open.Add(now);
  if (index == kNoSlot) return DropReason::kHalfOpenTableFull;
  if (!flows.Insert(p.hash, FlowId(FlowKind::kHalfOpen, index))) {
    half_open.Remove(index);
    return DropReason::kHalfOpenTableFull;
  }
  ++listener.pending;
  const wire::TcpOptions& options = p.segment.options;
  HalfOpen& entry = half_open[index];
  entry.key = p.key;
  entry.listener = listener_id;
  entry.irs = p.segment.seq;
  entry.iss = tcp::InitialSequence(TupleHash(p.key), now);
  if (not_before && !entry.iss.After(*not_before + kReuseGap)) entry.iss = *not_before + kReuseGap + 1;
  entry.peer_mss = options.has_mss ? options.mss : 0;
  entry.peer_window = p.segment.window;
  entry.peer_scale =
      config.tcp.window_scale && options.has_wscale ? static_cast<int8_t>(options.wscale) : int8_t{-1};
  entry.timestamps = config.tcp.timestamps && options.has_timestamp;
  entry.ts_recent = options.tsval;
  entry.sack = config.tcp.sack && options.sack_permitted;
  SendSynAck(index);
  return DropReason::kNone;
}

void Shard::Impl::SendSynAck(uint32_t index) {
  const HalfOpen& entry = half_open[index];
  const uint32_t neighbour = NeighbourTowards(entry.key.remote);
  if (neighbour == kNoSlot) return;
  wire::TcpOptions options = SynAckOptions(entry, LinkMss(entry.key, neighbours[neighbour].interface),
                                           tcp::ReceiveScale(config.tcp.receive_buffer));
  options.tsval = tcp::TimestampValue(now, tcp::TimestampOffset(TupleHash(entry.key)));
  SendTcpControl(entry.key, neighbour,
                 {.flags = wire::kSyn | wire::kAck,
                  .seq = entry.iss,
                  .ack = entry.rcv_nxt(),
                  .window = static_cast<uint16_t>(SynWindow(config.tcp))},
                 options);
}

void Shard::Impl::SendHalfOpenAck(const HalfOpen& entry) {
  const uint32_t neighbour = NeighbourTowards(entry.key.remote);
  if (neighbour == kNoSlot) return;
  wire::TcpOptions options;
  if (entry.timestamps) {
    options.has_timestamp = true;
    options.tsval = tcp::TimestampValue(now, tcp::TimestampOffset(TupleHash(entry.key)));
    options.tsecr = entry.ts_recent;
  }
  uint32_t window = SynWindow(config.tcp);
  if (entry.peer_scale >= 0) window >>= tcp::ReceiveScale(config.tcp.receive_buffer);
  SendTcpControl(entry.key, neighbour,
                 {.flags = wire::kAck,
                  .seq = entry.snd_nxt(),
                  .ack = entry.rcv_nxt(),
                  .window = static_cast<uint16_t>(window)},
                 options);
}

DropReason Shard::Impl::OnHalfOpen(uint32_t index, RxPacket& p) {
  const HalfOpenVerdict verdict = JudgeHalfOpen(half_open[index], p.segment, SynWindow(config.tcp));
  switch (verdict.action) {
    case HalfOpenAction::kIgnore:
      break;
    case HalfOpenAction::kResend:
      // RFC 7323 4.3: what we echo is the latest SYN's; and the sample can no longer be told apart (Karn).
      half_open[index].ts_recent = p.segment.options.tsval;
      half_open[index].resent = true;
      SendSynAck(index);
      break;
    case HalfOpenAction::kAck:
      SendHalfOpenAck(half_open[index]);
      break;
    case HalfOpenAction::kReset: {
      const uint32_t neighbour = NeighbourTowards(p.key.remote);
      if (neighbour != kNoSlot) {
        SendTcpControl(p.key, neighbour, {.flags = wire::kRst, .seq = p.segment.ack});
      }
      break;
    }
    case HalfOpenAction::kForget:
      ++counters.resets_received;
      ForgetHalfOpen(index);
      break;
    case HalfOpenAction::kComplete:
      return Promote(index, p);
  }
  return verdict.drop;
}

// The third segment of the handshake: a connection takes the entry's place in the table, and the segment goes
// to it with whatever it carries. Where something is missing the entry stays, and the peer's next segment
// tries again.
DropReason Shard::Impl::Promote(uint32_t index, RxPacket& p) {
  const HalfOpen& entry = half_open[index];
  const uint32_t neighbour = NeighbourTowards(entry.key.remote);
  if (neighbour == kNoSlot) return DropReason::kNeighborTableFull;
  const uint32_t slot_index = slots.Allocate();
  if (slot_index == kNoSlot) return DropReason::kTcpNoSlot;
  Slot& slot = slots[slot_index];
  tcp::PassiveParams params;
  params.open = ParamsFor(entry.key, neighbours[neighbour].interface);
  params.open.iss = entry.iss;
  params.irs = entry.irs;
  params.peer_mss = entry.peer_mss != 0 ? entry.peer_mss : params.open.default_peer_mss;
  params.peer_window = entry.peer_window;
  params.ts_recent = entry.ts_recent;
  params.peer_scale = entry.peer_scale;
  params.timestamps = entry.timestamps;
  params.sack = entry.sack;
  if (entry.tries == 0 && !entry.resent) params.synack_sent_at = entry.synack_sent_at;
  if (!tcp::OpenPassive(slot.conn, env, params, now)) {
    slots.Release(slot_index);
    return DropReason::kTcpNoSlot;
  }
  slot.key = entry.key;
  slot.user = entry.listener;
  slot.neighbour = static_cast<uint16_t>(neighbour);
  ++neighbours[neighbour].users;
  slot.Set(kSlotPassive);
  if (const Listener* listener = listeners.Get(entry.listener); listener != nullptr && listener->nodelay) {
    slot.conn.Set(tcp::kNoDelay);
  }
  flows.Replace(p.hash, FlowId(FlowKind::kHalfOpen, index), IdOf(slot_index));
  // The listener's count of pending connections passes on to the slot.
  half_open.Remove(index);
  const DropReason drop = OnConnection(slot_index, slots[slot_index], p);
  // The entry's checks are TCP's own, so this cannot be; if it were, nothing would ever wake the connection.
  if (slot.conn.state == tcp::State::kSynReceived) Abort(slot_index);
  return drop;
}

void Shard::Impl::ForgetHalfOpen(uint32_t index) {
  const HalfOpen& entry = half_open[index];
  if (Listener* listener = listeners.Get(entry.listener); listener != nullptr) --listener->pending;
  flows.Remove(flows.Hash(entry.key), FlowId(FlowKind::kHalfOpen, index));
  half_open.Remove(index);
}

// One entry whose SYN-ACK went unanswered; false when there is none.
bool Shard::Impl::RetryHalfOpen() {
  const uint32_t index = half_open.Due(now);
  if (index == kNoSlot) return false;
  if (half_open.Retry(index, now)) {
    SendSynAck(index);
  } else {
    ForgetHalfOpen(index);
  }
  return true;
}

void Shard::Impl::DropHalfOpenOf(uint32_t listener_id) {
  half_open.ForEach([&](uint32_t i) {
    if (half_open[i].listener == listener_id) ForgetHalfOpen(i);
  });
}

}  // namespace tern::stack
