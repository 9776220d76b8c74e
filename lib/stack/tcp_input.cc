// Segments: to the connection, the half-open entry or the TIME-WAIT entry they belong to, or to nobody.
#include "stack/shard_impl.h"
#include "wire/tcp.h"

namespace tern::stack {

namespace {

// Whoever begins a connection, or may begin one anew, sends neither with its SYN, and scanners probe with
// them. CLOSED refuses such a segment like any other, and a connection's own rules of RST and SYN say what it
// is.
bool NoBeginning(const tcp::SegmentView& segment) {
  return segment.Has(wire::kSyn) && (segment.Has(wire::kFin) || segment.Has(wire::kRst));
}

void PrefetchSlot(const Slot& slot) {
  const auto* line = reinterpret_cast<const uint8_t*>(&slot);
  for (size_t offset = 0; offset < sizeof(Slot); offset += 64) __builtin_prefetch(line + offset, 1);
}

}  // namespace

FlowId Shard::Impl::FindFlow(const wire::FlowKey& key, uint64_t hash) const {
  return flows.Find(hash, [&](FlowId id) {
    if (id.kind() == FlowKind::kConnection) [[likely]]
      return slots[id.index()].key == key;
    switch (id.kind()) {
      case FlowKind::kHalfOpen:
        return half_open[id.index()].key == key;
      case FlowKind::kTimeWait:
        return time_wait[id.index()].Matches(key);
      case FlowKind::kConnection:
      case FlowKind::kNone:
        break;
    }
    return false;
  });
}

DropReason Shard::Impl::InputTcp(RxPacket& p) {
  // The candidate is as old as the burst: what it named may have ended since, and its slot be another's.
  if (p.slot != nullptr && p.slot->IsInTable(p.key)) [[likely]] {
    const DropReason drop = OnConnection(p.candidate.index(), *p.slot, p);
    if (p.segment.payload_length != 0) p.buffer = p.segment.payload;
    return drop;
  }
  const FlowId id = FindFlow(p.key, p.hash);
  DropReason drop = DropReason::kNone;
  switch (id.kind()) {
    case FlowKind::kConnection:
      drop = OnConnection(id.index(), slots[id.index()], p);
      break;
    case FlowKind::kHalfOpen:
      drop = NoBeginning(p.segment) ? DropReason::kTcpBadFlags : OnHalfOpen(id.index(), p);
      break;
    case FlowKind::kTimeWait:
      drop = NoBeginning(p.segment) ? DropReason::kTcpBadFlags : OnTimeWait(id.index(), p);
      break;
    case FlowKind::kNone:
      drop = OnNoFlow(p);
      break;
  }
  // Whoever took the payload has set it to nullptr.
  if (p.segment.payload_length != 0) p.buffer = p.segment.payload;
  return drop;
}

// Each look-up begins with what the hash alone suggests, so that all slots are on their way before the first
// key is compared.
void Shard::Impl::InputSegments(std::span<RxPacket> packets) {
  for (RxPacket& p : packets) {
    p.candidate = flows.FirstCandidate(p.hash);
    p.slot = p.candidate.kind() == FlowKind::kConnection ? &slots[p.candidate.index()] : nullptr;
    if (p.slot != nullptr) PrefetchSlot(*p.slot);
  }
  for (RxPacket& p : packets) Finish(p, p.rest == nullptr ? InputTcp(p) : InputTcpInPieces(p));
}

DropReason Shard::Impl::OnTimeWait(uint32_t index, RxPacket& p) {
  const TimeWaitEntry& entry = time_wait[index];
  switch (JudgeTimeWait(entry, p.segment, config.tcp.timestamps)) {
    case TimeWaitAction::kIgnore:
      return p.segment.Has(wire::kRst) ? DropReason::kTcpRstTimeWait : DropReason::kNone;
    case TimeWaitAction::kAckAndRestart:
      time_wait.Restart(index, now);
      SendTimeWaitAck(entry);
      return DropReason::kNone;
    case TimeWaitAction::kAck:
      if (MayChallenge()) SendTimeWaitAck(entry);
      return p.segment.Has(wire::kSyn) ? DropReason::kTcpSynInWindow : DropReason::kTcpOutOfWindow;
    case TimeWaitAction::kReuse:
      break;
  }
  const uint32_t listener = listeners.Find(p.key.local, p.key.local_port);
  if (listener != 0) return OnSyn(listener, p, index);
  // Ours was the active side: nobody here wants a new connection, and the old one's peace is not to be
  // broken.
  SendTimeWaitAck(entry);
  return DropReason::kTcpSynInWindow;
}

// RFC 9293 3.10.7.1 and 3.10.7.2: CLOSED and LISTEN.
DropReason Shard::Impl::OnNoFlow(RxPacket& p) {
  if (const DropReason drop = CheckSource(p.key.remote); drop != DropReason::kNone) return drop;
  const wire::IpAddress& dst = p.key.local;
  if (!addresses.IsOurs(dst)) {
    const bool group = dst.IsMulticast() || addresses.IsBroadcast(dst);
    return group ? DropReason::kTcpNotUnicast : DropReason::kIpNotOurs;
  }
  if (p.segment.Has(wire::kRst)) return DropReason::kTcpNoConnection;
  const uint32_t listener = listeners.Find(p.key.local, p.key.local_port);
  if (listener == 0) {
    if (config.closed_ports == PortPolicy::kSilent) return DropReason::kTcpPortSilent;
    return RefuseSegment(p, DropReason::kTcpNoListener);
  }
  if (NoBeginning(p.segment)) return DropReason::kTcpBadFlags;
  // LISTEN, second: any ACK is of something that is not, or of a SYN cookie; third: a SYN begins a
  // connection.
  if (p.segment.Has(wire::kAck)) return OnListenAck(listener, p);
  if (p.segment.Has(wire::kSyn)) return OnSyn(listener, p, kNoSlot);
  return DropReason::kTcpNoAck;
}

// RFC 9293 3.5.2, group 1, and 3.10.7.1.
DropReason Shard::Impl::RefuseSegment(const RxPacket& p, DropReason why) {
  const tcp::SegmentView& segment = p.segment;
  TcpControl reset{.flags = wire::kRst};
  if (segment.Has(wire::kAck)) {
    reset.seq = segment.ack;
  } else {
    reset.flags = wire::kRst | wire::kAck;
    reset.ack = segment.seq + segment.SequenceLength();
  }
  const uint32_t neighbour = NeighbourTowards(p.key.remote, p.key.local);
  if (neighbour != kNoSlot) SendTcpControl(p.key, neighbour, reset);
  return why;
}

}  // namespace tern::stack
