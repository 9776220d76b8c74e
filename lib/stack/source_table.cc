#include "stack/source_table.h"

#include <algorithm>
#include <array>
#include <bit>

namespace tern::stack {
namespace {

wire::IpAddress SourceOf(const wire::IpAddress& address) {
  if (address.IsV4() || address.IsLinkLocal()) return address;
  wire::IpAddress::Bytes bytes{};
  std::copy_n(address.bytes().begin(), 8, bytes.begin());
  return wire::IpAddress(bytes);
}

}  // namespace

SourceTable::SourceTable(MemorySource& memory, uint32_t limit, const HashKey& secret)
    : secret_(secret),
      heads_(std::bit_ceil(std::max<size_t>(limit / 2, 1)), kNoSlot),
      entries_(memory, limit) {}

// REQUIRES: `source` came from SourceOf.
size_t SourceTable::Bucket(uint32_t listener, const wire::IpAddress& source) const {
  const auto words = std::bit_cast<std::array<uint64_t, 2>>(source.bytes());
  const uint64_t hash = SipHash13(secret_, words[0] ^ listener, words[1]);
  return hash & (heads_.size() - 1);
}

uint32_t SourceTable::Find(uint32_t listener, const wire::IpAddress& source) const {
  uint32_t i = heads_[Bucket(listener, source)];
  while (i != kNoSlot && (entries_[i].listener != listener || entries_[i].source != source))
    i = entries_[i].next;
  return i;
}

SourceTable::Verdict SourceTable::Add(uint32_t listener, const wire::IpAddress& address, uint32_t bound) {
  const wire::IpAddress source = SourceOf(address);
  uint32_t i = Find(listener, source);
  if (i != kNoSlot && entries_[i].count >= bound) return Verdict::kAtBound;
  if (i == kNoSlot) {
    i = entries_.Allocate();
    if (i == kNoSlot) return Verdict::kTableFull;
    uint32_t& head = heads_[Bucket(listener, source)];
    entries_[i].source = source;
    entries_[i].listener = listener;
    entries_[i].next = head;
    head = i;
  }
  ++entries_[i].count;
  return Verdict::kCounted;
}

void SourceTable::Remove(uint32_t listener, const wire::IpAddress& address) {
  if (entries_.in_use() == 0) return;
  const wire::IpAddress source = SourceOf(address);
  uint32_t* link = &heads_[Bucket(listener, source)];
  while (*link != kNoSlot && (entries_[*link].listener != listener || entries_[*link].source != source)) {
    link = &entries_[*link].next;
  }
  const uint32_t i = *link;
  if (i == kNoSlot || --entries_[i].count != 0) return;
  *link = entries_[i].next;
  entries_.Release(i);
}

uint32_t SourceTable::Count(uint32_t listener, const wire::IpAddress& address) const {
  const uint32_t i = Find(listener, SourceOf(address));
  return i == kNoSlot ? 0 : entries_[i].count;
}

}  // namespace tern::stack
