#include "stack/ip_reassembly.h"

#include <algorithm>
#include <cstring>

#include "wire/ip_protocol.h"
#include "wire/ipv6.h"

namespace tern::stack {
namespace {

constexpr uint32_t kLargestPacket = 0xffff;

uint32_t LengthOf(const Fragment& fragment) { return fragment.buffer->length - fragment.payload_at; }
uint32_t EndOf(const Fragment& fragment) { return fragment.offset + LengthOf(fragment); }

}  // namespace

IpReassembly::IpReassembly(MemorySource& memory, const ReassemblyLimits& limits, const HashKey& secret)
    : limits_(limits),
      secret_(secret),
      entries_(memory, limits.max_datagrams),
      buckets_(std::bit_ceil(std::max<size_t>(limits.max_datagrams, 1)), kNoSlot),
      sources_(buckets_.size()),
      mask_(buckets_.size() - 1) {}

IpReassembly::Source& IpReassembly::SourceOf(const FragmentKey& key) {
  const std::array<uint64_t, 5> words = key.Words();
  return sources_[SipHash13(secret_, words[0], words[1]) & mask_];
}

uint32_t IpReassembly::Find(const FragmentKey& key) {
  uint32_t index = BucketOf(key);
  while (index != kNoSlot && entries_[index].key != key) index = entries_[index].next;
  return index;
}

uint32_t IpReassembly::OldestBut(uint32_t spared) const {
  uint32_t oldest = kNoSlot;
  for (const AgeList* list : {&ages4_, &ages6_}) {
    uint32_t index = list->front();
    if (index != kNoSlot && index == spared) index = AgeList::Next(entries_, index);
    if (index == kNoSlot) continue;
    if (oldest == kNoSlot || entries_[index].began < entries_[oldest].began) oldest = index;
  }
  return oldest;
}

uint32_t IpReassembly::Open(const FragmentKey& key, Instant now, Bin& bin) {
  if (limits_.max_datagrams == 0 || limits_.max_per_source == 0) return kNoSlot;
  Source& source = SourceOf(key);
  if (source.entries.size() >= limits_.max_per_source) {
    Abandon(source.entries.front(), DropReason::kIpFragmentSourceFull, bin);
  }
  uint32_t index = entries_.Allocate();
  if (index == kNoSlot && entries_.in_use() != 0) {
    Abandon(OldestBut(kNoSlot), DropReason::kIpFragmentTableFull, bin);
    index = entries_.Allocate();
  }
  if (index == kNoSlot) return kNoSlot;
  Entry& entry = entries_[index];
  entry.key = key;
  entry.began = now;
  uint32_t& bucket = BucketOf(key);
  entry.next = bucket;
  bucket = index;
  AgesOf(key).PushBack(entries_, index);
  source.entries.PushBack(entries_, index);
  return index;
}

// Whether the octets lie between those that are there. The walk is bounded by max_fragments.
DropReason IpReassembly::JudgePlace(const Entry& entry, const Fragment& fragment) const {
  const uint32_t end = EndOf(fragment);
  if (entry.tail == nullptr) return DropReason::kNone;
  if (entry.tail->tag + OctetsOf(entry, entry.tail) <= fragment.offset) return DropReason::kNone;
  for (const Buffer* held = entry.head; held != nullptr && held->tag < end; held = held->next) {
    const uint32_t octets = OctetsOf(entry, held);
    if (held->tag + octets <= fragment.offset) continue;
    const bool same_place = held->tag == fragment.offset && held->tag + octets == end;
    const bool same = same_place && std::memcmp(held->data + (held->length - octets),
                                                fragment.buffer->data + fragment.payload_at, octets) == 0;
    // That its end is the packet's, or is not, has been looked at; a second last one is none of the others.
    if (same && fragment.more == (entry.end != end)) return DropReason::kIpFragmentDuplicate;
    return DropReason::kIpFragmentOverlap;
  }
  return DropReason::kNone;
}

DropReason IpReassembly::Judge(const Entry& entry, const Fragment& fragment) const {
  const uint32_t end = EndOf(fragment);
  if (entry.end != 0 && (fragment.more ? end >= entry.end : end != entry.end)) {
    return DropReason::kIpFragmentOverlap;
  }
  // A last fragment that ends before others do.
  if (!fragment.more && entry.tail != nullptr && entry.tail->tag + OctetsOf(entry, entry.tail) > end) {
    return DropReason::kIpFragmentOverlap;
  }
  const DropReason place = JudgePlace(entry, fragment);
  if (place != DropReason::kNone) return place;
  if (entry.count >= limits_.max_fragments) return DropReason::kIpFragmentTooMany;
  return DropReason::kNone;
}

// Until `cost` more fits, without touching packet `index` itself. kNone when it does.
DropReason IpReassembly::MakeRoom(uint32_t index, uint32_t cost, Bin& bin) {
  Source& source = SourceOf(entries_[index].key);
  if (entries_[index].cost + cost > std::min(limits_.max_cost, limits_.max_source_cost)) {
    return DropReason::kIpFragmentMemoryFull;
  }
  while (source.cost + cost > limits_.max_source_cost) {
    uint32_t victim = source.entries.front();
    if (victim == index) victim = source.entries.Next(entries_, victim);
    Abandon(victim, DropReason::kIpFragmentSourceFull, bin);
  }
  while (cost_ + cost > limits_.max_cost) {
    Abandon(OldestBut(index), DropReason::kIpFragmentMemoryFull, bin);
  }
  return DropReason::kNone;
}

// REQUIRES: Judge had no objection.
void IpReassembly::Attach(Entry& entry, const Fragment& fragment) {
  Buffer* buffer = fragment.buffer;
  const uint32_t octets = LengthOf(fragment);
  buffer->tag = fragment.offset;
  if (fragment.offset == 0) {
    entry.has_first = true;
    entry.payload_at = fragment.payload_at;
    entry.network_at = fragment.network_at;
  } else {
    buffer->TrimFront(fragment.payload_at);
  }
  Buffer* before = nullptr;
  if (entry.tail != nullptr && entry.tail->tag < buffer->tag) {
    before = entry.tail;
  } else {
    for (Buffer* held = entry.head; held != nullptr && held->tag < buffer->tag; held = held->next) {
      before = held;
    }
  }
  Buffer*& link = before == nullptr ? entry.head : before->next;
  buffer->next = link;
  link = buffer;
  if (buffer->next == nullptr) entry.tail = buffer;
  entry.octets += octets;
  if (!fragment.more) entry.end = fragment.offset + octets;
  entry.cost += buffer->cost;
  ++entry.count;
  entry.ecn_seen = static_cast<uint8_t>(entry.ecn_seen | 1u << (fragment.ecn & wire::kEcnMask));
  entry.link_group |= fragment.link_group;
  SourceOf(entry.key).cost += buffer->cost;
  cost_ += buffer->cost;
  ++fragments_;
}

// Of a packet that has all its octets.
DropReason IpReassembly::JudgeWhole(const Entry& entry) {
  constexpr uint8_t kNotCapable = 1u << wire::kEcnNotCapable;
  constexpr uint8_t kMarked = 1u << wire::kEcnCongestion;
  // RFC 3168 5.3: a mark on a packet whose sender said that it must not be marked is somebody's error.
  if ((entry.ecn_seen & kMarked) != 0 && (entry.ecn_seen & kNotCapable) != 0) {
    return DropReason::kIpFragmentEcn;
  }
  // RFC 791 3.1, RFC 8200 4.5: with its headers the whole has to be a packet. IPv6 does not count its fixed
  // header, and the fragment header goes.
  const size_t headers = entry.payload_at - entry.network_at;
  const size_t counted =
      entry.key.src.IsV4() ? headers : headers - wire::kIpv6Header - wire::kIpv6FragmentHeader;
  return counted + entry.end > kLargestPacket ? DropReason::kIpFragmentTooLong : DropReason::kNone;
}

ReassemblyResult IpReassembly::Insert(const Fragment& fragment, Instant now, BufferChain& released,
                                      DropCounters& drops) {
  ReassemblyResult result;
  Bin bin{released, drops};
  const auto refuse = [&](DropReason why) {
    result.drop = why;
    result.abandoned = bin.abandoned;
    return result;
  };
  // One without octets says nothing that the one before it could not have said.
  if (LengthOf(fragment) == 0 || EndOf(fragment) > kLargestPacket) {
    return refuse(DropReason::kIpFragmentMalformed);
  }
  uint32_t index = Find(fragment.key);
  if (index == kNoSlot) index = Open(fragment.key, now, bin);
  if (index == kNoSlot) return refuse(DropReason::kIpFragmentTableFull);
  DropReason why = Judge(entries_[index], fragment);
  if (why == DropReason::kIpFragmentDuplicate) return refuse(why);
  if (why == DropReason::kNone) why = MakeRoom(index, fragment.buffer->cost, bin);
  if (why != DropReason::kNone) {
    Abandon(index, why, bin);
    return refuse(why);
  }
  Attach(entries_[index], fragment);
  const Entry& entry = entries_[index];
  if (entry.end == 0 || entry.octets != entry.end) {
    result.abandoned = bin.abandoned;
    return result;
  }
  why = JudgeWhole(entry);
  if (why != DropReason::kNone) {
    // The buffer that completed it goes with the others, and is counted with them.
    Abandon(index, why, bin);
    result.abandoned = bin.abandoned;
    return result;
  }
  result.datagram = TakeOut(index);
  result.complete = true;
  result.abandoned = bin.abandoned;
  return result;
}

Datagram IpReassembly::TakeOut(uint32_t index) {
  Entry& entry = entries_[index];
  Datagram out{.key = entry.key,
               .rest = entry.head,
               .payload_at = entry.payload_at,
               .network_at = entry.network_at,
               .fragments = entry.count,
               .rest_octets = entry.octets,
               .link_group = entry.link_group,
               .congestion_experienced = (entry.ecn_seen & 1u << wire::kEcnCongestion) != 0};
  if (entry.has_first) {
    out.first = entry.head;
    out.rest = entry.head->next;
    out.first->next = nullptr;
    out.rest_octets -= OctetsOf(entry, out.first);
  }
  Source& source = SourceOf(entry.key);
  source.entries.Remove(entries_, index);
  source.cost -= entry.cost;
  cost_ -= entry.cost;
  fragments_ -= entry.count;
  AgesOf(entry.key).Remove(entries_, index);
  uint32_t* link = &BucketOf(entry.key);
  while (*link != index) link = &entries_[*link].next;
  *link = entry.next;
  entries_.Release(index);
  return out;
}

void IpReassembly::Abandon(uint32_t index, DropReason why, Bin& bin) {
  const Datagram gone = TakeOut(index);
  if (gone.first != nullptr) bin.released.PushBack(gone.first);
  for (Buffer* buffer = gone.rest; buffer != nullptr;) {
    Buffer* next = buffer->next;
    bin.released.PushBack(buffer);
    buffer = next;
  }
  bin.drops.Count(why, gone.fragments);
  bin.abandoned += gone.fragments;
}

bool IpReassembly::TakeExpired(Instant now, Datagram* out) {
  for (const AgeList* list : {&ages4_, &ages6_}) {
    const uint32_t index = list->front();
    if (index == kNoSlot) continue;
    const Entry& entry = entries_[index];
    if (entry.began + TimeoutOf(entry.key) > now) continue;
    *out = TakeOut(index);
    return true;
  }
  return false;
}

Instant IpReassembly::NextDeadline() const {
  Instant earliest = Instant::Never();
  for (const AgeList* list : {&ages4_, &ages6_}) {
    if (list->empty()) continue;
    const Entry& entry = entries_[list->front()];
    earliest = std::min(earliest, entry.began + TimeoutOf(entry.key));
  }
  return earliest;
}

uint32_t IpReassembly::Clear(BufferChain& released) {
  DropCounters uncounted;
  Bin bin{released, uncounted};
  while (entries_.in_use() != 0) Abandon(OldestBut(kNoSlot), DropReason::kShuttingDown, bin);
  return bin.abandoned;
}

}  // namespace tern::stack
