// The calls of applications on one connection.
#include "stack/shard_impl.h"

namespace tern::stack {

// The application took `effects.released`, or has it in its hands: what that means for the slot.
void Shard::Impl::AfterRead(uint32_t index, tcp::Effects& effects) {
  Slot& slot = slots[index];
  const bool drained = slot.conn.rcv_queued == 0;
  released.Splice(effects.released);
  if (slot.Is(kSlotLingering)) {
    if (drained) Retire(index, tcp::CloseReason::kGraceful);
    return;
  }
  // All that reading can lead to is a window update.
  if (effects.transmit) MarkDirty(index, slot);
  if (drained && slot.conn.state == tcp::State::kTimeWait) MaybeCompact(index);
}

uint32_t Shard::Impl::Receive(ConnHandle handle, uint32_t max_octets, BufferChain& out, bool* ended) {
  *ended = false;
  Slot* slot = Live(handle);
  if (slot == nullptr) return 0;
  tcp::Connection& conn = slot->conn;
  tcp::Effects effects;
  const uint32_t taken = tcp::Receive(conn, env, max_octets, now, out, effects);
  *ended = conn.rcv_queued == 0 && conn.Is(tcp::kFinReceived);
  AfterRead(handle.slot, effects);
  return taken;
}

uint32_t Shard::Impl::Discard(ConnHandle handle, uint32_t octets) {
  Slot* slot = Live(handle);
  if (slot == nullptr) return 0;
  tcp::Effects effects;
  const uint32_t taken = tcp::Discard(slot->conn, octets, effects);
  AfterRead(handle.slot, effects);
  return taken;
}

void Shard::Impl::Close(uint32_t index) {
  Slot& slot = slots[index];
  // Who lets go wants to hear of the end only.
  slot.Clear(kSlotEventMask & ~tcp::kEventClosed);
  if (slot.Is(kSlotLingering)) {
    Retire(index, tcp::CloseReason::kGraceful);
    return;
  }
  tcp::Effects effects;
  tcp::Close(slot.conn, env, now, effects);
  Settle(index, effects);
  if (!slot.Is(kSlotClosed)) MaybeCompact(index);
}

void Shard::Impl::Abort(uint32_t index) {
  Slot& slot = slots[index];
  slot.Clear(kSlotEventMask & ~tcp::kEventClosed);
  if (slot.Is(kSlotLingering)) {
    Retire(index, tcp::CloseReason::kAborted);
    return;
  }
  tcp::Effects effects;
  tcp::Abort(slot.conn, env, now, effects);
  Settle(index, effects);
}

}  // namespace tern::stack
