// The connections of a shard: what a segment touches, in three cache lines.
#ifndef TERN_STACK_CONNECTION_TABLE_H_
#define TERN_STACK_CONNECTION_TABLE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/instant.h"
#include "base/memory_source.h"
#include "base/slot_pool.h"
#include "tcp/connection.h"
#include "wire/flow_key.h"

namespace tern::stack {

inline constexpr uint16_t kNoNeighbour = 0xffff;

// Bits of Slot::bits. The low ones are the tcp::EventBits that the application has not been given yet.
enum SlotBits : uint16_t {
  kSlotEventMask = 0x3f | tcp::kEventUrgent | tcp::kEventTrouble,
  kSlotPassive = 1u << 6,      // came through a listener
  kSlotSeen = 1u << 7,         // the application has the handle
  kSlotClosed = 1u << 8,       // holds no resources and is in no table; waits until no list names it any more
  kSlotEventQueued = 1u << 9,  // in the ring of connections with events
  kSlotTxQueued = 1u << 10,    // in a list of connections to drain, or waiting for a neighbour
  kSlotArmed = 1u << 11,       // the timing wheel holds a valid entry
  kSlotBlackhole = 1u << 12,   // the next hop is dead: what it sends this time is lost on purpose
  kSlotLingering = 1u << 13,   // CLOSED in order, but received data waits for the application
};

// One connection. The first two lines are TCP's; the third is what the shard needs to find, route and wake
// it.
struct Slot {
  tcp::Connection conn;
  wire::FlowKey key;
  // The application's value. Before it was told of a passive connection: the listener's id, and kDeferred.
  uint64_t user = 0;
  uint32_t generation = 0;            // 0: free
  uint32_t next = kNoSlot;            // in the list that kSlotTxQueued speaks of
  uint16_t armed = 0;                 // when the wheel's entry comes, in units of kArmShift, modulo 2^16
  uint16_t neighbour = kNoNeighbour;  // next hop; it knows the interface
  uint16_t bits = 0;                  // SlotBits
  uint8_t arm_number = 0;             // tells the wheel's valid entry from older ones
  tcp::CloseReason reason : 4 = tcp::CloseReason::kNone;
  bool own_ip : 1 = false;  // the cold state says what goes into the IP header
  bool ipv6 : 1 = false;    // what `key` says, without asking it

  // The accept event waits for data.
  static constexpr uint64_t kDeferred = uint64_t{1} << 32;
  bool deferred() const { return !Is(kSlotSeen) && (user & kDeferred) != 0; }

  bool Is(uint16_t bit) const { return (bits & bit) != 0; }
  void Set(uint16_t bit) { bits = static_cast<uint16_t>(bits | bit); }
  void Clear(uint16_t bit) { bits = static_cast<uint16_t>(bits & ~bit); }

  // Whether the flow table names this slot for `wanted`: it is in use and not over.
  bool IsInTable(const wire::FlowKey& wanted) const {
    return generation != 0 && !Is(kSlotClosed | kSlotLingering) && key == wanted;
  }

  // 2^16 ns: sixteen bits then span 4.3 s, and kMaxArm keeps every entry inside half of that.
  static constexpr int kArmShift = 16;
  static uint16_t ArmUnit(Instant at) { return static_cast<uint16_t>(at.nanos() >> kArmShift); }
  // Whether `at` comes before the wheel would look at this connection by itself.
  bool ComesBeforeArmed(Instant at) const {
    return !Is(kSlotArmed) || static_cast<int16_t>(ArmUnit(at) - armed) < 0;
  }
  // The same for `ahead` ticks of tcp::Deadline from now, as a first and quick look: false is final. What
  // lies beyond kMaxArm comes to the wheel as if it lay there.
  bool ComesBeforeArmed(uint32_t now_ticks, int32_t ahead) const {
    constexpr int kFiner = kArmShift - tcp::Deadline::kShift;
    constexpr int32_t kMostAhead = 1 << 16;  // a bit more than kMaxArm
    const auto unit = static_cast<uint16_t>(
        (now_ticks + static_cast<uint32_t>(std::clamp(ahead, 0, kMostAhead))) >> kFiner);
    return !Is(kSlotArmed) || static_cast<int16_t>(unit - armed) < 0;
  }
  // What the wheel carries to know this arming again: an older entry of the slot does not match.
  uint32_t WheelGeneration() const { return generation << 8 | arm_number; }
};
static_assert(sizeof(Slot) == 192, "two lines of TCP and one of key");
static_assert(offsetof(Slot, key) == 128, "the key line begins behind TCP's lines");

// No entry of the wheel lies farther ahead. A connection whose long deadline is overtaken by a short one
// leaves a stale entry behind; so bounded, each has a few dozen of them at the most, and not one for each
// delayed ACK of a minute.
inline constexpr Duration kMaxArm = Duration::Seconds(1);

// The slots by number. A generation is never given twice in 2^32 opens, so stale handles find nothing.
class ConnectionTable {
 public:
  ConnectionTable(MemorySource& memory, uint32_t limit) : slots_(memory, limit) {}

  // A fresh slot with a generation of its own, or kNoSlot.
  uint32_t Allocate() {
    const uint32_t index = slots_.Allocate();
    if (index == kNoSlot) return kNoSlot;
    if (++last_generation_ == 0) ++last_generation_;
    slots_[index].generation = last_generation_;
    return index;
  }
  void Release(uint32_t index) {
    slots_[index].generation = 0;
    slots_.Release(index);
  }

  Slot& operator[](uint32_t index) { return slots_[index]; }
  const Slot& operator[](uint32_t index) const { return slots_[index]; }

  // nullptr when the slot is free or somebody else's by now. Any numbers are allowed.
  Slot* Find(uint32_t index, uint32_t generation) {
    if (index >= slots_.high_water() || generation == 0) return nullptr;
    Slot& slot = slots_[index];
    return slot.generation == generation ? &slot : nullptr;
  }
  const Slot* Find(uint32_t index, uint32_t generation) const {
    return const_cast<ConnectionTable*>(this)->Find(index, generation);
  }

  uint32_t in_use() const { return slots_.in_use(); }
  uint32_t high_water() const { return slots_.high_water(); }
  size_t bytes_held() const { return slots_.bytes_held(); }

 private:
  SlotPool<Slot> slots_;
  uint32_t last_generation_ = 0;
};

}  // namespace tern::stack

#endif  // TERN_STACK_CONNECTION_TABLE_H_
