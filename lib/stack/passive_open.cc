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

uint32_t SynWindow(uint32_t receive_buffer) { return std::min(receive_buffer, kLargestUnscaledWindow); }

}  // namespace

uint32_t Shard::Impl::ReceiveBufferOf(const HalfOpen& entry) {
  const Listener* listener = listeners.Get(entry.listener);
  return listener == nullptr ? config.tcp.receive_buffer : listener->receive_buffer;
}

uint16_t Shard::Impl::MssOf(const HalfOpen& entry, uint16_t interface) {
  const uint16_t link = LinkMss(entry.key, interface);
  const Listener* listener = listeners.Get(entry.listener);
  return listener == nullptr || listener->max_segment == 0 ? link : std::min(link, listener->max_segment);
}

// LISTEN, third: what the listener is willing to take on, then a half-open entry or a cookie.
DropReason Shard::Impl::OnSyn(uint32_t listener_id, RxPacket& p, uint32_t old) {
  if (closing) return DropReason::kShuttingDown;
  const Listener& listener = *listeners.Get(listener_id);
  if (!listener.accept_rate.Ready(now)) return DropReason::kTcpAcceptRate;
  if (listener.source_limit != 0 && sources.Count(listener_id, p.key.remote) >= listener.source_limit) {
    return DropReason::kTcpSourceLimit;
  }
  // Where the application is behind, cookies would only add to its burden.
  if (listener.unaccepted >= listener.backlog) return DropReason::kTcpBacklogFull;
  const bool past_backlog = listener.pending() >= listener.backlog;
  // A cookie's ISN can be anything, and its timestamp a little behind the clock: neither may follow on a
  // connection whose segments may still be under way (RFC 9293 3.10.7.4, TIME-WAIT). Who got that far has
  // proved its address.
  if (old == kNoSlot && config.syn_cookies != SynCookies::kOff) {
    const bool wanted = past_backlog || half_open.full() || config.syn_cookies == SynCookies::kAlways;
    if (wanted) return SendCookie(listener_id, p);
  }
  if (past_backlog) return DropReason::kTcpBacklogFull;
  return AddHalfOpen(listener_id, p, old);
}

DropReason Shard::Impl::AddHalfOpen(uint32_t listener_id, RxPacket& p, uint32_t old) {
  if (half_open.full()) return DropReason::kHalfOpenTableFull;
  if (const DropReason drop = CountSource(listener_id, p.key.remote); drop != DropReason::kNone) return drop;
  const uint32_t index = half_open.Add(now);
  const FlowId id(FlowKind::kHalfOpen, index);
  const FlowId old_id(FlowKind::kTimeWait, old);
  if (index == kNoSlot || !(old == kNoSlot ? flows.Insert(p.hash, id) : flows.Replace(p.hash, old_id, id))) {
    if (index != kNoSlot) half_open.Remove(index);
    sources.Remove(listener_id, p.key.remote);
    return DropReason::kHalfOpenTableFull;
  }
  Listener& listener = *listeners.Get(listener_id);
  ++listener.half_open;
  listener.accept_rate.Take(now);
  HalfOpen& entry = half_open[index];
  DescribeSyn(listener_id, p, entry);
  entry.iss = tcp::InitialSequence(TupleHash(p.key), now);
  if (old != kNoSlot) {
    entry.time_wait = old;
    time_wait[old].yielded = true;
    const SeqNum least = time_wait[old].snd_nxt + kReuseGap + 1;
    if (!entry.iss.AtOrAfter(least)) entry.iss = least;
  }
  SendSynAck(entry, TimestampOf(entry.key));
  return DropReason::kNone;
}

void Shard::Impl::DescribeSyn(uint32_t listener_id, const RxPacket& p, HalfOpen& entry) const {
  const wire::TcpOptions& options = p.segment.options;
  entry.key = p.key;
  entry.listener = listener_id;
  entry.irs = p.segment.seq;
  entry.peer_mss = options.has_mss ? options.mss : 0;
  entry.peer_window = p.segment.window;
  entry.peer_scale =
      config.tcp.window_scale && options.has_wscale ? static_cast<int8_t>(options.wscale) : int8_t{-1};
  entry.timestamps = config.tcp.timestamps && options.has_timestamp;
  entry.ts_recent = options.tsval;
  entry.sack = config.tcp.sack && options.sack_permitted;
}

uint32_t Shard::Impl::TimestampOf(const wire::FlowKey& key) const {
  return tcp::TimestampValue(now, tcp::TimestampOffset(TupleHash(key)));
}

bool Shard::Impl::SendSynAck(const HalfOpen& entry, uint32_t tsval) {
  const uint32_t neighbour = NeighbourTowards(entry.key.remote, entry.key.local);
  if (neighbour == kNoSlot) return false;
  wire::TcpOptions options = SynAckOptions(entry, MssOf(entry, neighbours[neighbour].interface),
                                           tcp::ReceiveScale(ReceiveBufferOf(entry), config.tcp));
  options.tsval = tsval;
  SendTcpControl(entry.key, neighbour,
                 {.flags = wire::kSyn | wire::kAck,
                  .seq = entry.iss,
                  .ack = entry.rcv_nxt(),
                  .window = static_cast<uint16_t>(SynWindow(ReceiveBufferOf(entry)))},
                 options);
  return true;
}

void Shard::Impl::SendHalfOpenAck(const HalfOpen& entry) {
  const uint32_t neighbour = NeighbourTowards(entry.key.remote, entry.key.local);
  if (neighbour == kNoSlot) return;
  wire::TcpOptions options;
  if (entry.timestamps) {
    options.has_timestamp = true;
    options.tsval = TimestampOf(entry.key);
    options.tsecr = entry.ts_recent;
  }
  uint32_t window = SynWindow(ReceiveBufferOf(entry));
  if (entry.peer_scale >= 0) window >>= tcp::ReceiveScale(ReceiveBufferOf(entry), config.tcp);
  SendTcpControl(entry.key, neighbour,
                 {.flags = wire::kAck,
                  .seq = entry.snd_nxt(),
                  .ack = entry.rcv_nxt(),
                  .window = static_cast<uint16_t>(window)},
                 options);
}

DropReason Shard::Impl::OnHalfOpen(uint32_t index, RxPacket& p) {
  const HalfOpenVerdict verdict =
      JudgeHalfOpen(half_open[index], p.segment, SynWindow(ReceiveBufferOf(half_open[index])));
  switch (verdict.action) {
    case HalfOpenAction::kIgnore:
      break;
    case HalfOpenAction::kResend:
      // RFC 7323 4.3: what we echo is the latest SYN's; and the sample can no longer be told apart (Karn).
      half_open[index].ts_recent = p.segment.options.tsval;
      half_open[index].resent = true;
      SendSynAck(half_open[index], TimestampOf(p.key));
      break;
    case HalfOpenAction::kAck:
      if (MayChallenge()) SendHalfOpenAck(half_open[index]);
      break;
    case HalfOpenAction::kReset: {
      // The peer's first SYN may have had a cookie for an answer, and only its second an entry.
      const HalfOpen& entry = half_open[index];
      HalfOpen from_cookie;
      const CookieVerdict cookie = entry.time_wait != kNoSlot
                                       ? CookieVerdict::kInvalid
                                       : EntryFromCookie(entry.listener, p, &from_cookie);
      if (cookie == CookieVerdict::kNotFirst) return DropReason::kTcpCookieNotFirst;
      if (cookie == CookieVerdict::kGood) {
        ForgetHalfOpen(index);
        return AcceptCookie(from_cookie, p);
      }
      const uint32_t neighbour = NeighbourTowards(p.key.remote, p.key.local);
      if (neighbour != kNoSlot) {
        SendTcpControl(p.key, neighbour, {.flags = wire::kRst, .seq = p.segment.ack});
      }
      break;
    }
    case HalfOpenAction::kForget:
      ++counters.resets_received;
      ForgetHalfOpen(index);
      break;
    case HalfOpenAction::kRestart: {
      const HalfOpen entry = half_open[index];
      ForgetHalfOpen(index);
      // What was in TIME-WAIT before is so again, and judges the new SYN by itself.
      return entry.time_wait != kNoSlot ? OnTimeWait(entry.time_wait, p) : OnSyn(entry.listener, p, kNoSlot);
    }
    case HalfOpenAction::kComplete:
      return Promote(index, p);
  }
  return verdict.drop;
}

// The third segment of the handshake: a connection takes the entry's place. Where something is missing the
// entry stays, and the peer's next segment tries again.
DropReason Shard::Impl::Promote(uint32_t index, RxPacket& p) {
  const HalfOpen entry = half_open[index];
  uint32_t slot = kNoSlot;
  const DropReason drop = MakeConnection(entry, FlowId(FlowKind::kHalfOpen, index), p, &slot);
  if (drop != DropReason::kNone) return drop;
  half_open.Remove(index);
  if (entry.time_wait != kNoSlot) time_wait.Remove(entry.time_wait);
  if (Listener* listener = listeners.Get(entry.listener); listener != nullptr) --listener->half_open;
  return Begin(slot, p);
}

DropReason Shard::Impl::MakeConnection(const HalfOpen& entry, FlowId from, const RxPacket& p,
                                       uint32_t* made) {
  const uint32_t neighbour = NeighbourTowards(entry.key.remote, entry.key.local);
  if (neighbour == kNoSlot) return DropReason::kNeighborTableFull;
  const uint32_t slot_index = slots.Allocate();
  if (slot_index == kNoSlot) return DropReason::kTcpNoSlot;
  Slot& slot = slots[slot_index];
  tcp::PassiveParams params;
  params.open = ParamsFor(entry.key, neighbours[neighbour].interface);
  params.open.iss = entry.iss;
  params.open.receive_buffer = ReceiveBufferOf(entry);
  params.open.link_mss = MssOf(entry, neighbours[neighbour].interface);
  params.irs = entry.irs;
  params.peer_mss = entry.peer_mss != 0 ? entry.peer_mss : params.open.default_peer_mss;
  params.peer_window = entry.peer_window;
  params.ts_recent = entry.ts_recent;
  params.peer_scale = entry.peer_scale;
  params.timestamps = entry.timestamps;
  params.sack = entry.sack;
  params.synack_resent = entry.tries != 0 || entry.resent;
  if (!params.synack_resent) params.synack_sent_at = entry.synack_sent_at;
  if (!tcp::OpenPassive(slot.conn, env, params, now)) {
    slots.Release(slot_index);
    return DropReason::kTcpNoSlot;
  }
  const bool placed =
      from ? flows.Replace(p.hash, from, IdOf(slot_index)) : flows.Insert(p.hash, IdOf(slot_index));
  if (!placed) {
    tcp::ReleaseAll(slot.conn, env, released);
    slots.Release(slot_index);
    return DropReason::kTcpNoSlot;
  }
  slot.key = entry.key;
  slot.ipv6 = !entry.key.remote.IsV4();
  slot.user = entry.listener;
  slot.neighbour = static_cast<uint16_t>(neighbour);
  ++neighbours[neighbour].users;
  SetHopLimit(slot);
  slot.Set(kSlotPassive);
  *made = slot_index;
  return DropReason::kNone;
}

DropReason Shard::Impl::Begin(uint32_t index, RxPacket& p) {
  Slot& slot = slots[index];
  if (Listener* listener = listeners.Get(static_cast<uint32_t>(slot.user)); listener != nullptr) {
    ++listener->unaccepted;
    if (listener->nodelay) slot.conn.Set(tcp::kNoDelay);
  }
  const DropReason drop = OnConnection(index, slot, p);
  // The entry's checks are TCP's own, so this cannot be; if it were, nothing would ever wake the connection.
  if (slot.conn.state == tcp::State::kSynReceived) Abort(index);
  return drop;
}

void Shard::Impl::ForgetHalfOpen(uint32_t index) {
  const HalfOpen& entry = half_open[index];
  if (Listener* listener = listeners.Get(entry.listener); listener != nullptr) --listener->half_open;
  sources.Remove(entry.listener, entry.key.remote);
  const uint64_t hash = flows.Hash(entry.key);
  const FlowId id(FlowKind::kHalfOpen, index);
  if (entry.time_wait != kNoSlot) {
    // RFC 9293 3.10.7.4, MUST-13's second condition: the SYN was an old duplicate, or nothing came of it.
    flows.Replace(hash, id, FlowId(FlowKind::kTimeWait, entry.time_wait));
    time_wait[entry.time_wait].yielded = false;
  } else {
    flows.Remove(hash, id);
  }
  half_open.Remove(index);
}

// One entry whose SYN-ACK went unanswered; false when there is none.
bool Shard::Impl::RetryHalfOpen() {
  const uint32_t index = half_open.Due(now);
  if (index == kNoSlot) return false;
  if (half_open.Retry(index, now)) {
    SendSynAck(half_open[index], TimestampOf(half_open[index].key));
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
