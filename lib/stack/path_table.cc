#include "stack/path_table.h"

#include <algorithm>
#include <array>
#include <bit>

#include "tcp/path_mtu.h"

namespace tern::stack {

PathTable::PathTable(MemorySource& memory, uint32_t limit, const HashKey& secret)
    : secret_(secret),
      heads_(std::bit_ceil(std::max<size_t>(limit / 2, 1)), kNoSlot),
      entries_(memory, limit) {}

size_t PathTable::Bucket(const wire::IpAddress& destination) const {
  const auto words = std::bit_cast<std::array<uint64_t, 2>>(destination.bytes());
  return SipHash13(secret_, words[0], words[1]) & (heads_.size() - 1);
}

uint32_t PathTable::Index(const wire::IpAddress& destination) const {
  if (entries_.in_use() == 0) return kNoSlot;
  uint32_t i = heads_[Bucket(destination)];
  while (i != kNoSlot && entries_[i].destination != destination) i = entries_[i].hash_next;
  return i;
}

PathTable::Known PathTable::Find(const wire::IpAddress& destination, Instant now) const {
  const uint32_t i = Index(destination);
  return i == kNoSlot || entries_[i].expires <= now ? Known() : entries_[i].known;
}

void PathTable::Lower(const wire::IpAddress& destination, Known known, Instant now) {
  while (order_.front() != kNoSlot && entries_[order_.front()].expires <= now) Remove(order_.front());
  uint32_t i = Index(destination);
  if (i != kNoSlot) {
    if (entries_[i].known.mss <= known.mss) return;
    order_.Remove(entries_, i);
  } else {
    i = entries_.Allocate();
    if (i == kNoSlot && order_.front() != kNoSlot) {
      Remove(order_.front());
      i = entries_.Allocate();
    }
    if (i == kNoSlot) return;  // others will have to find out for themselves
    uint32_t& head = heads_[Bucket(destination)];
    entries_[i].destination = destination;
    entries_[i].hash_next = head;
    head = i;
  }
  entries_[i].known = known;
  entries_[i].expires = now + tcp::PathMtu::kAge;
  order_.PushBack(entries_, i);
}

void PathTable::Raise(const wire::IpAddress& destination, Known known) {
  const uint32_t i = Index(destination);
  if (i == kNoSlot || known.mss < entries_[i].known.mss) return;
  entries_[i].known = known;
}

void PathTable::Remove(uint32_t index) {
  uint32_t* link = &heads_[Bucket(entries_[index].destination)];
  while (*link != index) link = &entries_[*link].hash_next;
  *link = entries_[index].hash_next;
  order_.Remove(entries_, index);
  entries_.Release(index);
}

}  // namespace tern::stack
