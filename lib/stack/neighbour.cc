#include "stack/neighbour.h"

#include <algorithm>
#include <bit>

namespace tern::stack {

NeighbourTable::NeighbourTable(MemorySource& memory, uint32_t limit, const HashKey& secret)
    : secret_(secret),
      heads_(std::bit_ceil(std::max<size_t>(limit, 16)), kNoSlot),
      // Connections name neighbours by 16 bits.
      entries_(memory, std::min<uint32_t>(limit, 0xfffe)) {}

uint32_t& NeighbourTable::Head(uint16_t interface, const wire::IpAddress& address) {
  // Keyed: on a /64 a peer picks its own addresses, and must not be able to pick a chain.
  const HashKey key{secret_.k0 ^ interface, secret_.k1};
  const uint64_t hash = SipHash13(key, std::span<const uint8_t>(address.bytes()));
  return heads_[hash & (heads_.size() - 1)];
}

uint32_t NeighbourTable::Find(uint16_t interface, const wire::IpAddress& address) const {
  uint32_t i = const_cast<NeighbourTable*>(this)->Head(interface, address);
  while (i != kNoSlot && (entries_[i].address != address || entries_[i].interface != interface)) {
    i = entries_[i].hash_next;
  }
  return i;
}

uint32_t NeighbourTable::FindOrAdd(uint16_t interface, const wire::IpAddress& address, Instant now) {
  const uint32_t found = Find(interface, address);
  return found != kNoSlot ? found : Add(interface, address, now);
}

uint32_t NeighbourTable::Add(uint16_t interface, const wire::IpAddress& address, Instant now) {
  uint32_t index = entries_.Allocate();
  if (index == kNoSlot && MakeRoom()) index = entries_.Allocate();
  if (index == kNoSlot) return kNoSlot;
  Neighbour& n = entries_[index];
  n.address = address;
  n.interface = interface;
  uint32_t& head = Head(interface, address);
  n.hash_next = head;
  head = index;
  // Who asked may not come to use it: it must not stay for ever.
  Schedule(index, now);
  return index;
}

bool NeighbourTable::Disposable(const Neighbour& n) {
  return n.users == 0 && n.held_frames == 0 && n.waiting.empty() && n.state != NeighbourState::kIncomplete;
}

// Looks at a bounded number of entries.
bool NeighbourTable::MakeRoom() {
  constexpr uint32_t kLooks = 32;
  // The entries that rest or were confirmed longest ago go first.
  for (TimerList* list : {&resting_, &reachable_, &delayed_}) {
    uint32_t i = list->front();
    for (uint32_t looks = 0; i != kNoSlot && looks < kLooks; ++looks) {
      const uint32_t next = TimerList::Next(entries_, i);
      if (Disposable(entries_[i])) {
        Remove(i);
        return true;
      }
      i = next;
    }
  }
  return false;
}

void NeighbourTable::Remove(uint32_t index) {
  Unschedule(index);
  uint32_t* link = &Head(entries_[index].interface, entries_[index].address);
  while (*link != index) link = &entries_[*link].hash_next;
  *link = entries_[index].hash_next;
  entries_.Release(index);
}

NeighbourTable::TimerList& NeighbourTable::ListFor(const Neighbour& n) {
  switch (n.state) {
    case NeighbourState::kIncomplete:
    case NeighbourState::kProbe:
      return retrying_;
    case NeighbourState::kReachable:
      return reachable_;
    case NeighbourState::kDelay:
      return delayed_;
    default:
      return resting_;
  }
}

void NeighbourTable::Unschedule(uint32_t index) {
  Neighbour& n = entries_[index];
  if (n.timer.linked()) ListFor(n).Remove(entries_, index);
}

// Call after `state` was set; the entry must not be in a list.
void NeighbourTable::Schedule(uint32_t index, Instant now) {
  Neighbour& n = entries_[index];
  TimerList& list = ListFor(n);
  Duration wait = kNeighbourReachable;
  if (&list == &retrying_) wait = retry_time_;
  if (&list == &reachable_) wait = reachable_time_;
  if (&list == &delayed_) wait = kNeighbourDelay;
  n.due = now + wait;
  if (!list.empty()) n.due = std::max(n.due, entries_[list.back()].due);
  list.PushBack(entries_, index);
}

// For a change of state of an entry that is in a list.
void NeighbourTable::Enter(uint32_t index, NeighbourState state, Instant now) {
  Unschedule(index);
  Neighbour& n = entries_[index];
  n.state = state;
  n.tries = state == NeighbourState::kProbe || state == NeighbourState::kIncomplete ? 1 : 0;
  n.doubted = false;
  n.witness = kNoSlot;
  Schedule(index, now);
}

void NeighbourTable::SetTimes(Duration reachable, Duration retry) {
  if (reachable > Duration::Zero()) reachable_time_ = reachable;
  if (retry > Duration::Zero()) retry_time_ = retry;
}

NeighbourAction NeighbourTable::Use(uint32_t index, Instant now) {
  const Neighbour& n = entries_[index];
  switch (n.state) {
    case NeighbourState::kIdle:
      Enter(index, NeighbourState::kIncomplete, now);
      return NeighbourAction::kAskAll;
    case NeighbourState::kStale:
      // RFC 4861 7.3.3: what was known goes on being used while it is asked about.
      if (n.doubted) {
        Enter(index, NeighbourState::kProbe, now);
        return NeighbourAction::kAskOne;
      }
      Enter(index, NeighbourState::kDelay, now);
      return NeighbourAction::kNone;
    default:
      return NeighbourAction::kNone;
  }
}

void NeighbourTable::Witness(uint32_t index, uint32_t connection, uint32_t generation, uint32_t mark,
                             Instant now) {
  Neighbour& n = entries_[index];
  if (n.state != NeighbourState::kDelay && n.state != NeighbourState::kProbe) return;
  if (n.witness == connection && n.witness_generation == generation) {
    if (n.witness_mark != mark) Enter(index, NeighbourState::kReachable, now);
    return;
  }
  if (n.witness != kNoSlot && now < n.witness_since + kWitnessPatience) return;
  n.witness = connection;
  n.witness_generation = generation;
  n.witness_mark = mark;
  n.witness_since = now;
}

void NeighbourTable::Doubt(uint32_t index, Instant now) {
  if (entries_[index].state == NeighbourState::kReachable) Enter(index, NeighbourState::kStale, now);
  if (entries_[index].state == NeighbourState::kStale) entries_[index].doubted = true;
}

LearnResult NeighbourTable::Learn(uint16_t interface, const wire::IpAddress& address,
                                  const wire::MacAddress& mac, bool confirmed, bool may_override,
                                  Instant now) {
  const uint32_t index = Find(interface, address);
  // RFC 4861 7.2.5, and prudence with ARP: what nobody asked for makes no entry.
  if (index == kNoSlot) return LearnResult::kUnknown;
  Neighbour& n = entries_[index];
  const bool was_usable = n.usable();
  const bool differs = !was_usable || n.mac != mac;
  // RFC 4861 7.2.5: without the override flag another address for a known neighbour is not believed, only
  // doubted.
  if (was_usable && differs && !may_override) {
    Doubt(index, now);
    return LearnResult::kKept;
  }
  if (!confirmed && !differs) return LearnResult::kKept;
  n.mac = mac;
  Enter(index, confirmed ? NeighbourState::kReachable : NeighbourState::kStale, now);
  if (!was_usable) return LearnResult::kResolved;
  return differs ? LearnResult::kChanged : LearnResult::kKept;
}

NeighbourAction NeighbourTable::OnRetryDue(uint32_t index, Instant now) {
  Neighbour& n = entries_[index];
  if (n.tries < kNeighbourTries) {
    Unschedule(index);
    ++n.tries;
    Schedule(index, now);
    return n.state == NeighbourState::kProbe ? NeighbourAction::kAskOne : NeighbourAction::kAskAll;
  }
  // RFC 4861 7.3.3: the link address is forgotten; whoever still needs it asks from the beginning.
  Enter(index, NeighbourState::kIdle, now);
  return NeighbourAction::kFailed;
}

uint32_t NeighbourTable::TakeDue(Instant now, NeighbourAction* action) {
  if (const uint32_t i = retrying_.front(); i != kNoSlot && entries_[i].due <= now) {
    *action = OnRetryDue(i, now);
    return i;
  }
  // Nobody could say meanwhile that it is still there.
  if (const uint32_t i = delayed_.front(); i != kNoSlot && entries_[i].due <= now) {
    Enter(i, NeighbourState::kProbe, now);
    *action = NeighbourAction::kAskOne;
    return i;
  }
  for (uint32_t i; (i = reachable_.front()) != kNoSlot && entries_[i].due <= now;) {
    Enter(i, NeighbourState::kStale, now);
  }
  for (uint32_t i; (i = resting_.front()) != kNoSlot && entries_[i].due <= now;) {
    if (Disposable(entries_[i])) {
      Remove(i);
    } else {
      Unschedule(i);
      Schedule(i, now);
    }
  }
  return kNoSlot;
}

Instant NeighbourTable::NextDeadline() const {
  Instant earliest = Instant::Never();
  for (const TimerList* list : {&retrying_, &reachable_, &delayed_, &resting_}) {
    if (!list->empty()) earliest = std::min(earliest, entries_[list->front()].due);
  }
  return earliest;
}

}  // namespace tern::stack
