// The calls of applications on one connection.
#include "stack/shard_impl.h"

namespace tern::stack {

// The application took `effects.released`, or has it in its hands: what that means for the slot.
void Shard::Impl::AfterRead(uint32_t index, Slot& slot, tcp::Effects& effects) {
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

uint32_t Shard::Impl::Receive(ConnHandle handle, uint32_t max_octets, BufferChain& out, Behind* behind) {
  *behind = Behind::kNothing;
  Slot* slot = Live(handle);
  if (slot == nullptr) return 0;
  tcp::Connection& conn = slot->conn;
  tcp::Effects effects;
  const uint32_t taken = tcp::Receive(conn, env, max_octets, now, out, effects);
  if (conn.rcv_queued != 0) {
    *behind = Behind::kMore;
  } else if (conn.Is(tcp::kFinReceived)) {
    *behind = Behind::kEnd;
  }
  AfterRead(handle.slot, *slot, effects);
  return taken;
}

uint32_t Shard::Impl::Discard(ConnHandle handle, uint32_t octets) {
  Slot* slot = Live(handle);
  if (slot == nullptr) return 0;
  tcp::Effects effects;
  const uint32_t taken = tcp::Discard(slot->conn, octets, effects);
  AfterRead(handle.slot, *slot, effects);
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

uint32_t Shard::SendRoom(ConnHandle handle) {
  Slot* slot = impl_->Live(handle);
  return slot == nullptr ? 0 : tcp::AskSendRoom(slot->conn, impl_->env);
}

tcp::SendResult Shard::Send(ConnHandle handle, BufferChain& data, Instant now) {
  Impl& impl = *impl_;
  impl.now = now;
  Slot* slot = impl.Live(handle);
  if (slot == nullptr) return tcp::SendResult::kNotOpen;
  tcp::Effects effects;
  const tcp::SendResult result = tcp::Send(slot->conn, impl.env, data, now, effects);
  impl.released.Splice(effects.released);
  if (effects.transmit) impl.MarkDirty(handle.slot, *slot);
  return result;
}

uint32_t Shard::Receive(ConnHandle handle, uint32_t max_octets, Instant now, BufferChain& out,
                        Behind* behind) {
  impl_->now = now;
  return impl_->Receive(handle, max_octets, out, behind);
}

}  // namespace tern::stack
