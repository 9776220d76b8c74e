// From a tuple to whatever holds its state: connection, half-open entry or TIME-WAIT entry.
#ifndef TERN_STACK_FLOW_TABLE_H_
#define TERN_STACK_FLOW_TABLE_H_

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/hash.h"
#include "base/memory_source.h"
#include "wire/flow_key.h"

namespace tern::stack {

enum class FlowKind : uint8_t { kNone = 0, kConnection = 1, kHalfOpen = 2, kTimeWait = 3 };

// Which table, and which slot of it. The zero value names nothing, so that fresh zeroed memory is an empty
// table.
class FlowId {
 public:
  static constexpr uint32_t kMaxIndex = (1u << 30) - 1;

  constexpr FlowId() = default;
  // REQUIRES: index <= kMaxIndex.
  constexpr FlowId(FlowKind kind, uint32_t index) : raw_(static_cast<uint32_t>(kind) << 30 | index) {}

  constexpr FlowKind kind() const { return static_cast<FlowKind>(raw_ >> 30); }
  constexpr uint32_t index() const { return raw_ & kMaxIndex; }
  constexpr explicit operator bool() const { return raw_ != 0; }
  constexpr bool operator==(const FlowId&) const = default;

 private:
  uint32_t raw_ = 0;
};

// A hash table of {tag, id} in buckets of one cache line. The keys stay in the slots that the ids name, and
// the caller compares them, so a look-up reads one or two lines here and the line of the slot it wants
// anyway.
//
// Every key has two candidate buckets and never more: a look-up is bounded whatever a peer sends, and since
// the hash is keyed nobody outside can aim at one pair. Sized for half load, both being full does not happen
// by chance; Insert then fails and the caller refuses the flow.
class FlowTable {
 public:
  // Room for `flows` flows. Fails soft: without memory every Insert is refused.
  FlowTable(MemorySource& memory, uint32_t flows, const HashKey& secret);
  ~FlowTable();
  FlowTable(const FlowTable&) = delete;
  FlowTable& operator=(const FlowTable&) = delete;

  uint64_t Hash(const wire::FlowKey& key) const {
    return key.local.IsV4() && key.remote.IsV4() ? HashV4(key) : HashV6(key);
  }
  // For who knows the family. Twelve bytes hold an IPv4 tuple; by their number the two inputs cannot be
  // confused.
  uint64_t HashV4(const wire::FlowKey& key) const {
    return SipHash13Of12(secret_, uint64_t{key.local.raw_v4()} << 32 | key.remote.raw_v4(),
                         uint32_t{key.local_port} << 16 | key.remote_port);
  }
  uint64_t HashV6(const wire::FlowKey& key) const { return SipHash13(secret_, key.Words()); }

  // For bursts: hash all, Prefetch all, then FirstCandidate (and prefetch its slot) for all, then Find.
  void Prefetch(uint64_t hash) const { __builtin_prefetch(&buckets_[First(hash)]); }

  // An id that Find would try, without comparing keys: good for a prefetch only.
  FlowId FirstCandidate(uint64_t hash) const {
    return Find(hash, [](FlowId) { return true; });
  }

  // The id whose key is the right one: `matches(id)` compares. The zero id when there is none.
  template <typename F>
  FlowId Find(uint64_t hash, F&& matches) const {
    const FlowId found = FindIn(buckets_[First(hash)], Tag(hash), matches);
    return found ? found : FindIn(buckets_[Second(hash)], Tag(hash), matches);
  }

  // False, and nothing changed, when both buckets are full. REQUIRES: id is not zero and not in the table.
  bool Insert(uint64_t hash, FlowId id);
  // False when it was not there.
  bool Remove(uint64_t hash, FlowId id);
  // Puts `to` in the place of `from`: how a half-open flow becomes a connection without a chance to fail.
  // False when `from` was not there.
  bool Replace(uint64_t hash, FlowId from, FlowId to);

  uint32_t size() const { return size_; }
  uint32_t capacity() const { return static_cast<uint32_t>((mask_ + 1) * kWays); }

 private:
  static constexpr size_t kWays = 8;
  // The second bucket's line is touched only by flows that found the first one this full.
  static constexpr size_t kCrowded = 6;
  struct alignas(64) Bucket {
    std::array<uint32_t, kWays> tags;
    std::array<FlowId, kWays> ids;
  };
  static_assert(sizeof(Bucket) == 64, "a bucket is one cache line");

  // A bit for each way whose tag is this one, whether or not it is in use.
  static uint32_t WaysWithTag(const Bucket& bucket, uint32_t tag) {
#if defined(__SSE2__)
    const __m128i wanted = _mm_set1_epi32(static_cast<int>(tag));
    const auto* tags = reinterpret_cast<const __m128i*>(bucket.tags.data());
    const int low = _mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(_mm_load_si128(tags), wanted)));
    const int high = _mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(_mm_load_si128(tags + 1), wanted)));
    return static_cast<uint32_t>(low | high << 4);
#else
    uint32_t ways = 0;
    for (size_t i = 0; i < kWays; ++i) ways |= (bucket.tags[i] == tag ? 1u : 0u) << i;
    return ways;
#endif
  }
  template <typename F>
  static FlowId FindIn(const Bucket& bucket, uint32_t tag, F&& matches) {
    for (uint32_t ways = WaysWithTag(bucket, tag); ways != 0; ways &= ways - 1) {
      const FlowId id = bucket.ids[static_cast<size_t>(std::countr_zero(ways))];
      if (id && matches(id)) return id;
    }
    return FlowId();
  }

  static uint32_t Tag(uint64_t hash) { return static_cast<uint32_t>(hash >> 32); }
  size_t First(uint64_t hash) const { return hash & mask_; }
  // Drawn from all bits, so that flows which share a first bucket scatter over second ones.
  size_t Second(uint64_t hash) const { return (MixBits(hash) >> 7) & mask_; }
  static size_t Load(const Bucket& bucket);
  FlowId* Locate(uint64_t hash, FlowId id);

  HashKey secret_;
  Bucket none_{};  // stands in when there is no memory
  Bucket* buckets_ = &none_;
  size_t mask_ = 0;
  uint32_t size_ = 0;
  MemorySource& memory_;
};

}  // namespace tern::stack

#endif  // TERN_STACK_FLOW_TABLE_H_
