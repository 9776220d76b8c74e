// What follows from what TCP did: events, timers, ends, and the application's view of them.
#include <algorithm>

#include "stack/shard_impl.h"

namespace tern::stack {

void Shard::Impl::SettleRare(uint32_t index, const tcp::Effects& effects) {
  Slot& slot = slots[index];
  if (effects.reply.wanted) {
    const tcp::ControlReply& reply = effects.reply;
    SendTcpControl(slot.key, slot.neighbour, {.flags = reply.flags, .seq = reply.seq, .ack = reply.ack});
  }
  if (effects.challenge_withheld) counters.tx_drops.Count(DropReason::kTcpChallengeLimited);
  if (effects.path.kind != tcp::PathNews::Kind::kNone) OnPathNews(index, effects.path);
  // RFC 9293 MUST-20: negative advice to IP.
  if (effects.doubt_route) neighbours.Doubt(slot.neighbour, now);
  if (effects.transmit || (effects.events & tcp::kEventClosed) == 0) MarkDirty(index, slot);
  if ((effects.events & tcp::kEventConnected) != 0) {
    ++(slot.Is(kSlotPassive) ? counters.accepted : counters.connected);
  }
  constexpr uint16_t kTold = tcp::kEventConnected | tcp::kEventReadable | tcp::kEventWritable |
                             tcp::kEventPeerClosed | tcp::kEventUrgent | tcp::kEventTrouble;
  const auto told = static_cast<uint16_t>(effects.events & kTold);
  // Who let go is told of the end and of nothing else.
  if (told != 0 && !slot.conn.Is(tcp::kAppClosed)) QueueEvent(index, slot, told);
  if ((effects.events & tcp::kEventClosed) != 0) {
    EndConnection(index, effects.reason);
  } else if ((effects.events & tcp::kEventTimeWait) != 0) {
    MaybeCompact(index);
  }
}

void Shard::Impl::ArmTimer(uint32_t index, Slot& slot) {
  const Instant at = std::clamp(tcp::NextDeadline(slot.conn, now), now, now + kMaxArm);
  if (!slot.ComesBeforeArmed(at)) return;
  ++slot.arm_number;
  if (!wheel.Arm(index, slot.WheelGeneration(), at)) {
    // No room: the older entry, if there is one, stays the valid one and comes late rather than never.
    --slot.arm_number;
    return;
  }
  slot.armed = Slot::ArmUnit(at);
  if (slot.Is(kSlotArmed)) return;
  slot.Set(kSlotArmed);
  ++armed;
}

void Shard::Impl::EndConnection(uint32_t index, tcp::CloseReason reason) {
  Slot& slot = slots[index];
  const uint64_t hash = flows.Hash(slot.key);
  const uint32_t entry = CookieStillGood(slot) ? AddTimeWait(slot) : kNoSlot;
  if (entry != kNoSlot) {
    flows.Replace(hash, IdOf(index), FlowId(FlowKind::kTimeWait, entry));
  } else {
    flows.Remove(hash, IdOf(index));
  }
  // What arrived in order is still the application's, even though the connection is over.
  if (reason == tcp::CloseReason::kGraceful && slot.conn.rcv_queued != 0 && !slot.conn.Is(tcp::kAppClosed)) {
    slot.Set(kSlotLingering);
    return;
  }
  Retire(index, reason);
}

// REQUIRES: the flow table no longer names the slot.
void Shard::Impl::Retire(uint32_t index, tcp::CloseReason reason) {
  Slot& slot = slots[index];
  if (slot.Is(kSlotArmed)) --armed;
  tcp::ReleaseAll(slot.conn, env, released);
  slot.conn.state = tcp::State::kClosed;
  slot.conn.retransmit_at.Clear();
  slot.conn.ack_at.Clear();
  slot.conn.slow_at.Clear();
  --neighbours[slot.neighbour].users;
  slot.reason = reason;
  slot.Clear(kSlotArmed | kSlotLingering | tcp::kEventReadable | tcp::kEventWritable);
  slot.Set(kSlotClosed);
  ++counters.closed;
  if (reason == tcp::CloseReason::kReset || reason == tcp::CloseReason::kRefused) ++counters.resets_received;
  if (slot.Is(kSlotSeen)) {
    QueueEvent(index, slot, tcp::kEventClosed);
    return;
  }
  // The application never heard of it and never will.
  slot.Clear(kSlotEventMask);
  LeaveUnaccepted(slot);
  slot.generation = 0;
  MaybeFree(index);
}

void Shard::Impl::MaybeFree(uint32_t index) {
  const Slot& slot = slots[index];
  if (slot.Is(kSlotClosed) && !slot.Is(kSlotEventQueued | kSlotTxQueued)) slots.Release(index);
}

void Shard::Impl::RecycleOldestTimeWait() {
  const uint32_t oldest = time_wait.Oldest();
  if (oldest == kNoSlot) return;
  const TimeWaitEntry& entry = time_wait[oldest];
  const wire::FlowKey key = entry.Key();
  if (entry.yielded) {
    half_open[FindFlow(key, flows.Hash(key)).index()].time_wait = kNoSlot;
  } else {
    flows.Remove(flows.Hash(key), FlowId(FlowKind::kTimeWait, oldest));
  }
  time_wait.Remove(oldest);
}

// When the table is full the oldest makes room.
uint32_t Shard::Impl::AddTimeWait(const Slot& slot) {
  const uint32_t entry = time_wait.Add(slot.key, tcp::MakeTimeWait(slot.conn), now);
  if (entry != kNoSlot) return entry;
  ++counters.time_wait_recycled;
  RecycleOldestTimeWait();
  return time_wait.Add(slot.key, tcp::MakeTimeWait(slot.conn), now);
}

void Shard::Impl::MaybeCompact(uint32_t index) {
  Slot& slot = slots[index];
  tcp::Connection& conn = slot.conn;
  if (conn.state != tcp::State::kTimeWait || (conn.rcv_queued != 0 && !conn.Is(tcp::kAppClosed))) return;
  const uint32_t entry = AddTimeWait(slot);
  if (entry == kNoSlot) {
    EndConnection(index, tcp::CloseReason::kGraceful);
    return;
  }
  flows.Replace(flows.Hash(slot.key), IdOf(index), FlowId(FlowKind::kTimeWait, entry));
  // The ACK of the peer's FIN, if the connection did not get to send it.
  if (conn.ack_debt.Decision() != tcp::AckDecision::kNone) SendTimeWaitAck(time_wait[entry]);
  Retire(index, tcp::CloseReason::kGraceful);
}

size_t Shard::Impl::PollEvents(std::span<ShardEvent> out) {
  size_t count = 0;
  while (count < out.size() && !event_ring.empty()) {
    const uint32_t index = event_ring.Pop();
    Slot& slot = slots[index];
    slot.Clear(kSlotEventQueued);
    const auto events = static_cast<uint16_t>(slot.bits & kSlotEventMask);
    if (events != 0 && !slot.Is(kSlotSeen)) {
      Listener* listener = listeners.Get(static_cast<uint32_t>(slot.user));
      if (listener == nullptr) {
        Abort(index);  // nobody is left to accept it; this frees the slot
        continue;
      }
      LeaveUnaccepted(slot);
      slot.user = listener->user;
      slot.Set(kSlotSeen);
    }
    if (events != 0) {
      out[count++] = {.handle = {index, slot.generation},
                      .user = slot.user,
                      .events = events,
                      .reason = slot.reason,
                      .passive = slot.Is(kSlotPassive)};
      slot.Clear(kSlotEventMask);
    }
    // The handle is stale from here on, even where a transmit queue still names the slot.
    if (slot.Is(kSlotClosed)) slot.generation = 0;
    MaybeFree(index);
  }
  return count;
}

}  // namespace tern::stack
