// The rarer calls of the shard's face: what an application asks of one connection.
#include "stack/shard.h"
#include "stack/shard_impl.h"

namespace tern::stack {

void Shard::CloseWithin(ConnHandle handle, Duration limit, Instant now) {
  impl_->now = now;
  Slot* slot = impl_->Live(handle);
  if (slot == nullptr) return;
  // Close has to do with lists of the shard as well; what TCP adds to it is a deadline.
  if (limit <= Duration::Zero()) {
    impl_->Abort(handle.slot);
    return;
  }
  impl_->Close(handle.slot);
  slot = impl_->Live(handle);
  if (slot == nullptr) return;
  tcp::BoundClose(slot->conn, limit, now);
  impl_->UpdateTimer(handle.slot, *slot);
}

void Shard::SetCork(ConnHandle handle, bool on) {
  Slot* slot = impl_->Live(handle);
  if (slot == nullptr) return;
  tcp::Effects effects;
  tcp::SetCork(slot->conn, on, effects);
  impl_->Settle(handle.slot, effects);
}

void Shard::SetQuickAck(ConnHandle handle, bool on) {
  Slot* slot = impl_->Live(handle);
  if (slot == nullptr) return;
  tcp::Effects effects;
  tcp::SetQuickAck(slot->conn, on, effects);
  impl_->Settle(handle.slot, effects);
}

void Shard::SetReceiveBuffer(ConnHandle handle, uint32_t octets, Instant now) {
  impl_->now = now;
  Slot* slot = impl_->Live(handle);
  if (slot == nullptr) return;
  slot->conn.rcv_limit = octets;
  slot->conn.Clear(tcp::kAutotune);
}

void Shard::SetCongestion(ConnHandle handle, tcp::CongestionAlgorithm algorithm) {
  const Slot* slot = impl_->Live(handle);
  if (slot == nullptr || slot->conn.cold == kNoSlot) return;
  impl_->cold[slot->conn.cold].congestion.algorithm = algorithm;
}

void Shard::SetKeepalive(ConnHandle handle, const tcp::KeepaliveTimes* times, Instant now) {
  impl_->now = now;
  Slot* slot = impl_->Live(handle);
  if (slot == nullptr) return;
  tcp::SetKeepalive(slot->conn, impl_->env, times, now);
  impl_->UpdateTimer(handle.slot, *slot);
}

void Shard::SetUserTimeout(ConnHandle handle, Duration timeout) {
  if (Slot* slot = impl_->Live(handle); slot != nullptr) tcp::SetUserTimeout(slot->conn, impl_->env, timeout);
}

void Shard::SetIp(ConnHandle handle, uint8_t ttl, uint8_t dscp) {
  Slot* slot = impl_->Live(handle);
  if (slot == nullptr || slot->conn.cold == kNoSlot) return;
  tcp::ColdState& cold = impl_->cold[slot->conn.cold];
  cold.ttl = ttl;
  cold.dscp = dscp & 0x3f;
  slot->own_ip = true;
}

void Shard::SetTroubleReports(ConnHandle handle, bool on) {
  if (Slot* slot = impl_->Live(handle); slot != nullptr) tcp::SetTroubleReports(slot->conn, impl_->env, on);
}

tcp::Trouble Shard::LastTrouble(ConnHandle handle) const {
  const Slot* slot = impl_->Live(handle);
  return slot == nullptr ? tcp::Trouble::kNone : tcp::LastTrouble(slot->conn, impl_->env);
}

tcp::SendResult Shard::SendUrgent(ConnHandle handle, BufferChain& data, Instant now) {
  impl_->now = now;
  Slot* slot = impl_->Live(handle);
  if (slot == nullptr) return tcp::SendResult::kNotOpen;
  tcp::Effects effects;
  const tcp::SendResult result = tcp::SendUrgent(slot->conn, impl_->env, data, now, effects);
  impl_->Settle(handle.slot, effects);
  return result;
}

uint32_t Shard::UrgentAhead(ConnHandle handle) const {
  const Slot* slot = impl_->Live(handle);
  return slot == nullptr ? 0 : tcp::UrgentAhead(slot->conn, impl_->env);
}

void Shard::SetUrgentOutOfLine(ConnHandle handle, bool on) {
  if (Slot* slot = impl_->Live(handle); slot != nullptr) tcp::SetUrgentOutOfLine(slot->conn, impl_->env, on);
}

int Shard::TakeUrgentOctet(ConnHandle handle) {
  Slot* slot = impl_->Live(handle);
  return slot == nullptr ? -1 : tcp::TakeUrgentOctet(slot->conn, impl_->env);
}

}  // namespace tern::stack
