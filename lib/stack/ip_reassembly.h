// Fragments of IP packets until all of a packet is there: RFC 791 3.2, RFC 815, RFC 8200 4.5.
#ifndef TERN_STACK_IP_REASSEMBLY_H_
#define TERN_STACK_IP_REASSEMBLY_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "base/buffer.h"
#include "base/drop_reason.h"
#include "base/hash.h"
#include "base/instant.h"
#include "base/intrusive_list.h"
#include "base/memory_source.h"
#include "base/slot_pool.h"
#include "stack/shard.h"
#include "wire/ip_address.h"

namespace tern::stack {

// What fragments of one packet have in common. The interface is part of it: link-local addresses mean
// something on their own link only.
struct FragmentKey {
  wire::IpAddress src;
  wire::IpAddress dst;
  uint32_t identification = 0;
  uint16_t interface = 0;
  uint16_t protocol = 0;  // IPv4 only (RFC 791 3.2); RFC 8200 4.5 leaves it out

  constexpr std::array<uint64_t, 5> Words() const { return std::bit_cast<std::array<uint64_t, 5>>(*this); }
  constexpr bool operator==(const FragmentKey&) const = default;
};
static_assert(sizeof(FragmentKey) == 40 && std::has_unique_object_representations_v<FragmentKey>);

// One fragment, its header checked: in units of 8 octets where more follow, none ends past 65535.
struct Fragment {
  FragmentKey key;
  Buffer* buffer = nullptr;  // the frame from its first octet, up to the fragment's last: no padding behind
  uint32_t payload_at = 0;   // where in the buffer the fragment's own octets begin; at most its length
  uint16_t network_at = 0;   // where its IP header does
  uint16_t offset = 0;       // of those octets in the packet, octets
  bool more = false;
  bool link_group = false;  // came by a link-layer group or broadcast address
  uint8_t ecn = 0;          // the two bits of its header
};

// A packet that has left the table, whole or given up. Whoever gets it owns its buffers.
struct Datagram {
  FragmentKey key;
  Buffer* first = nullptr;   // offset 0, with its headers as they came; nullptr when it never did
  Buffer* rest = nullptr;    // the others by offset, nothing but payload; Buffer::tag is the offset
  uint32_t payload_at = 0;   // of `first`
  uint16_t network_at = 0;   // of `first`
  uint16_t fragments = 0;    // how many buffers those are
  uint32_t rest_octets = 0;  // in `rest`
  bool link_group = false;
  bool congestion_experienced = false;  // one of them was marked (RFC 3168 5.3)
};

struct ReassemblyResult {
  DropReason drop = DropReason::kNone;  // not kNone: refused, and the buffer is still the caller's
  bool complete = false;                // the packet is whole: it is in `datagram`
  uint32_t abandoned = 0;               // fragments held until now that are so no more, see `drops`
  Datagram datagram;
};

// Bounded in every direction: packets in all and per source, fragments per packet, true cost of the buffers
// in all and per source. What is full loses its oldest packet, so that nobody keeps others out for longer
// than it takes to send; a source that is over its share loses its own. Sources are told apart by a keyed
// hash: two may share one bound, and who they are cannot be aimed at.
//
// A fragment that overlaps another, or contradicts it about the packet's end, ends its packet (RFC 5722 4,
// and the same for IPv4: no sender makes such fragments, and what hosts make of them differs). One that was
// there already, octet for octet, is dropped alone (RFC 8200 4.5): networks duplicate.
class IpReassembly {
 public:
  IpReassembly(MemorySource& memory, const ReassemblyLimits& limits, const HashKey& secret);

  // Takes the fragment's buffer unless it says why not. Fragments of packets that had to make room, or that
  // ended with this one, go to `released` and are counted in `drops`, each as one.
  ReassemblyResult Insert(const Fragment& fragment, Instant now, BufferChain& released, DropCounters& drops);

  // A packet whose time is over at `now` (RFC 1122 3.3.2, RFC 8200 4.5: counted from the fragment that came
  // first), false when there is none.
  bool TakeExpired(Instant now, Datagram* out);
  Instant NextDeadline() const;

  // Gives up everything; returns how many fragments that were.
  uint32_t Clear(BufferChain& released);

  uint32_t datagrams() const { return entries_.in_use(); }
  uint32_t fragments() const { return fragments_; }  // buffers held
  uint32_t cost() const { return cost_; }            // their true cost, octets

 private:
  struct Entry {
    ListLinks by_age;
    ListLinks by_source;
    uint32_t next = kNoSlot;  // in the bucket
    FragmentKey key;
    Instant began;
    Buffer* head = nullptr;  // by offset, which is Buffer::tag
    Buffer* tail = nullptr;
    uint32_t payload_at = 0;  // of the fragment at offset 0
    uint32_t octets = 0;      // received, all different
    uint32_t end = 0;         // of the packet, 0: not known yet
    uint32_t cost = 0;
    uint16_t count = 0;
    uint16_t network_at = 0;  // of the fragment at offset 0
    uint8_t ecn_seen = 0;     // a bit for each code point
    bool has_first = false;
    bool link_group = false;
  };
  struct Source {
    IntrusiveList<Entry, &Entry::by_source> entries;  // oldest first
    uint32_t cost = 0;
  };
  using AgeList = IntrusiveList<Entry, &Entry::by_age>;
  // Where the buffers go that make room, and under what names.
  struct Bin {
    BufferChain& released;
    DropCounters& drops;
    uint32_t abandoned = 0;
  };

  static uint32_t OctetsOf(const Entry& entry, const Buffer* buffer) {
    return buffer->length - (buffer->tag == 0 ? entry.payload_at : 0);
  }
  uint32_t& BucketOf(const FragmentKey& key) { return buckets_[SipHash13(secret_, key.Words()) & mask_]; }
  Source& SourceOf(const FragmentKey& key);
  AgeList& AgesOf(const FragmentKey& key) { return key.src.IsV4() ? ages4_ : ages6_; }
  Duration TimeoutOf(const FragmentKey& key) const {
    return key.src.IsV4() ? limits_.timeout4 : limits_.timeout6;
  }

  uint32_t Find(const FragmentKey& key);
  uint32_t Open(const FragmentKey& key, Instant now, Bin& bin);
  DropReason Judge(const Entry& entry, const Fragment& fragment) const;
  DropReason JudgePlace(const Entry& entry, const Fragment& fragment) const;
  DropReason MakeRoom(uint32_t index, uint32_t cost, Bin& bin);
  uint32_t OldestBut(uint32_t spared) const;
  void Attach(Entry& entry, const Fragment& fragment);
  static DropReason JudgeWhole(const Entry& entry);
  void Abandon(uint32_t index, DropReason why, Bin& bin);
  Datagram TakeOut(uint32_t index);

  ReassemblyLimits limits_;
  HashKey secret_;
  SlotPool<Entry, 6> entries_;
  std::vector<uint32_t> buckets_;
  std::vector<Source> sources_;
  uint64_t mask_;
  AgeList ages4_;  // each in the order of its members' beginnings, so of their ends too
  AgeList ages6_;
  uint32_t fragments_ = 0;
  uint32_t cost_ = 0;
};

}  // namespace tern::stack

#endif  // TERN_STACK_IP_REASSEMBLY_H_
