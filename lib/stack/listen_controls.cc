// What a listener asks of connections before the application hears of them: bounds by source, and data.
#include "stack/shard_impl.h"

namespace tern::stack {

DropReason Shard::Impl::CountSource(uint32_t listener_id, const wire::IpAddress& source) {
  const Listener& listener = *listeners.Get(listener_id);
  if (listener.source_limit == 0) return DropReason::kNone;
  switch (sources.Add(listener_id, source, listener.source_limit)) {
    case SourceTable::Verdict::kCounted:
      break;
    case SourceTable::Verdict::kAtBound:
      return DropReason::kTcpSourceLimit;
    case SourceTable::Verdict::kTableFull:
      return DropReason::kTcpSourceTableFull;
  }
  return DropReason::kNone;
}

void Shard::Impl::LeaveUnaccepted(const Slot& slot) {
  const auto listener_id = static_cast<uint32_t>(slot.user);
  sources.Remove(listener_id, slot.key.remote);
  if (slot.deferred()) --deferred;
  if (Listener* listener = listeners.Get(listener_id); listener != nullptr) --listener->unaccepted;
}

bool Shard::Impl::HoldBack(uint32_t index) {
  Slot& slot = slots[index];
  constexpr uint16_t kWorthTelling = tcp::kEventReadable | tcp::kEventPeerClosed | tcp::kEventClosed;
  if (slot.deferred() || slot.Is(kWorthTelling)) return !slot.Is(kWorthTelling);
  const Listener* listener = listeners.Get(static_cast<uint32_t>(slot.user));
  if (listener == nullptr || listener->defer_accept <= Duration::Zero()) return false;
  // Without room for a timer nothing would end the wait.
  if (!deferrals.Arm(index, slot.generation, EndOfDeferral(slot))) return false;
  slot.user |= Slot::kDeferred;
  ++deferred;
  return true;
}

// The wait is over, whatever has come: told as if there had been none.
bool Shard::Impl::AdvanceDeferred() {
  const auto told = [this](uint32_t index, uint32_t generation, Instant) {
    Slot* slot = slots.Find(index, generation);
    if (slot == nullptr || !slot->deferred() || slot->Is(kSlotEventQueued)) return Instant::Never();
    // From its upper levels the wheel gives entries too early.
    const Instant end = EndOfDeferral(*slot);
    if (end > now) return end;
    Tell(index, *slot);
    return Instant::Never();
  };
  return deferrals.Advance(now, kTimersPerCall, told) == kTimersPerCall;
}

Instant Shard::Impl::EndOfDeferral(const Slot& slot) {
  const Listener* listener = listeners.Get(static_cast<uint32_t>(slot.user));
  if (listener == nullptr || slot.conn.cold == kNoSlot) return now;
  return cold[slot.conn.cold].started_at + listener->defer_accept;
}

// The listener is about to close: nobody is left to wait for.
void Shard::Impl::TellDeferredOf(uint32_t listener_id) {
  if (deferred == 0) return;
  for (uint32_t i = 0; i < slots.high_water(); ++i) {
    Slot& slot = slots[i];
    const bool waits = slot.generation != 0 && slot.deferred() && !slot.Is(kSlotEventQueued);
    if (waits && static_cast<uint32_t>(slot.user) == listener_id) Tell(i, slot);
  }
}

}  // namespace tern::stack
