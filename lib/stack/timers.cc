// Time: connections by the wheel, the other tables by their own sorted lists.
#include <algorithm>

#include "stack/shard_impl.h"

namespace tern::stack {

bool Shard::Impl::AdvanceTimers() {
  const uint32_t fired = wheel.Advance(
      now, kTimersPerCall,
      [this](uint32_t index, uint32_t generation, Instant) { return OnWheel(index, generation); });
  bool more = fired == kTimersPerCall;
  uint32_t retried = 0;
  while (retried < kTimersPerCall && RetryHalfOpen()) ++retried;
  more = more || retried == kTimersPerCall;
  more = ExpireTimeWait() || more;
  more = ExpireFragments() || more;
  more = AdvanceDeferred() || more;
  more = AdvanceRaises() || more;
  more = AdvanceAutoconf() || more;
  return AdvanceNeighbours() || more;
}

Instant Shard::Impl::OnWheel(uint32_t index, uint32_t generation) {
  Slot& slot = slots[index];
  const auto stale = [&] {
    return slot.generation == 0 || slot.WheelGeneration() != generation || !slot.Is(kSlotArmed);
  };
  if (stale()) return Instant::Never();
  if (tcp::NextDeadline(slot.conn, now) <= now) {
    // While the entry is out of the wheel it counts as armed for now, so that nothing arms a second one.
    slot.armed = Slot::ArmUnit(now);
    const uint64_t timeouts = cold[slot.conn.cold].timeouts;
    tcp::Effects effects;
    tcp::OnTimer(slot.conn, env, now, effects);
    const bool timed_out = cold[slot.conn.cold].timeouts != timeouts;
    counters.timeouts += timed_out ? 1 : 0;
    Settle(index, effects);
    if (!stale() && timed_out) ConsultPaths(index);
    if (stale()) return Instant::Never();
  }
  const Instant next = tcp::NextDeadline(slot.conn, now);
  if (next == Instant::Never()) {
    slot.Clear(kSlotArmed);
    --armed;
    return Instant::Never();
  }
  const Instant at = std::min(next, now + kMaxArm);
  slot.armed = Slot::ArmUnit(at);
  return at;
}

bool Shard::Impl::ExpireTimeWait() {
  for (uint32_t i = 0; i < kTimersPerCall; ++i) {
    if (time_wait.Expired(now) == kNoSlot) return false;
    RecycleOldestTimeWait();
  }
  return time_wait.Expired(now) != kNoSlot;
}

Instant Shard::Impl::NextDeadline() const {
  for (const Port& port : ports) {
    if (!port.control.empty() || !port.dirty.empty()) return now;
  }
  return std::min({wheel.NextExpiry(), half_open.NextDeadline(), time_wait.NextDeadline(now),
                   deferrals.NextExpiry(), raises.NextExpiry(), neighbours.NextDeadline(),
                   reassembly.NextDeadline(), autoconf_due});
}

}  // namespace tern::stack
