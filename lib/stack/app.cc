// The calls of applications on one connection.
#include "stack/shard_impl.h"

namespace tern::stack {

uint32_t Shard::Impl::Receive(ConnHandle handle, uint32_t max_octets, BufferChain& out, bool* ended) {
  *ended = false;
  Slot* slot = Live(handle);
  if (slot == nullptr) return 0;
  tcp::Connection& conn = slot->conn;
  tcp::Effects effects;
  const uint32_t taken = tcp::Receive(conn, env, max_octets, now, out, effects);
  const bool drained = conn.rcv_queued == 0;
  *ended = drained && conn.Is(tcp::kFinReceived);
  if (slot->Is(kSlotLingering)) {
    released.Splice(effects.released);
    if (drained) Retire(handle.slot, tcp::CloseReason::kGraceful);
    return taken;
  }
  // All that reading can lead to is a window update.
  if (effects.transmit) MarkDirty(handle.slot, *slot);
  if (drained && conn.state == tcp::State::kTimeWait) MaybeCompact(handle.slot);
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
