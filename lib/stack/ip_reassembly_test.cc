#include "stack/ip_reassembly.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/heap_buffer_pool.h"
#include "base/prng.h"

namespace tern::stack {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint16_t kLink = 14;

FragmentKey Key4(uint32_t id, uint8_t host = 2) {
  return {.src = wire::IpAddress::FromV4(10, 77, 0, host),
          .dst = wire::IpAddress::FromV4(10, 77, 0, 1),
          .identification = id,
          .protocol = wire::kProtocolUdp};
}
FragmentKey Key6(uint32_t id) {
  return {.src = *wire::IpAddress::Parse("fd77::2"),
          .dst = *wire::IpAddress::Parse("fd77::1"),
          .identification = id};
}

// What the packet `id` carries at `offset`.
Bytes Content(uint32_t id, uint32_t offset, uint32_t length) {
  Bytes bytes(length);
  for (uint32_t i = 0; i < length; ++i)
    bytes[i] = static_cast<uint8_t>((offset + i) * 7 + (offset + i) / 251 + id);
  return bytes;
}

class IpReassemblyTest : public testing::Test {
 protected:
  explicit IpReassemblyTest(uint32_t capacity = 2'048) : pool_({.capacity = capacity}) {}
  ~IpReassemblyTest() override {
    if (table_ != nullptr) table_->Clear(released_);
    pool_.Release(released_.TakeAll());
    EXPECT_EQ(pool_.outstanding(), 0u);
  }

  IpReassembly& table() {
    if (table_ == nullptr) table_ = std::make_unique<IpReassembly>(HeapMemory(), limits_, HashKey{1, 2});
    return *table_;
  }

  ReassemblyResult Give(const FragmentKey& key, uint16_t offset, const Bytes& payload, bool more,
                        uint8_t ecn = 0, uint32_t headers = 0) {
    if (headers == 0) headers = key.src.IsV4() ? 20 : 48;
    Bytes frame(kLink + headers, 0xaa);
    frame.insert(frame.end(), payload.begin(), payload.end());
    Buffer* buffer = pool_.AllocateWith(frame);
    const ReassemblyResult result = table().Insert({.key = key,
                                                    .buffer = buffer,
                                                    .payload_at = kLink + headers,
                                                    .network_at = kLink,
                                                    .offset = offset,
                                                    .more = more,
                                                    .ecn = ecn},
                                                   now_, released_, drops_);
    if (result.drop != DropReason::kNone) pool_.Release(buffer);
    pool_.Release(released_.TakeAll());
    EXPECT_EQ(table().fragments(), pool_.outstanding() - (result.complete ? result.datagram.fragments : 0u));
    return result;
  }
  // A piece of the packet's true content.
  ReassemblyResult Piece(const FragmentKey& key, uint16_t offset, uint32_t length, bool more) {
    return Give(key, offset, Content(key.identification, offset, length), more);
  }

  // The octets, and lets go of the buffers.
  Bytes Take(const Datagram& whole) {
    Bytes bytes;
    uint32_t fragments = 0;
    const auto append = [&](const Buffer* b, uint32_t from) {
      EXPECT_EQ(b->tag, bytes.size());
      bytes.insert(bytes.end(), b->data + from, b->data + b->length);
      ++fragments;
    };
    if (whole.first != nullptr) append(whole.first, whole.payload_at);
    const size_t in_first = bytes.size();
    for (const Buffer* b = whole.rest; b != nullptr; b = b->next) append(b, 0);
    EXPECT_EQ(fragments, whole.fragments);
    EXPECT_EQ(whole.rest_octets, bytes.size() - in_first);
    pool_.Release(whole.first);
    pool_.Release(whole.rest);
    return bytes;
  }
  void ExpectWhole(const ReassemblyResult& result, const FragmentKey& key, uint32_t length) {
    EXPECT_EQ(result.drop, DropReason::kNone);
    ASSERT_TRUE(result.complete);
    EXPECT_EQ(result.datagram.key, key);
    EXPECT_EQ(Take(result.datagram), Content(key.identification, 0, length));
  }

  HeapBufferPool pool_;
  ReassemblyLimits limits_{.max_cost = 100 << 20, .max_source_cost = 100 << 20};
  Instant now_ = Instant::FromNanos(5'000'000'000);
  BufferChain released_;
  DropCounters drops_;
  std::unique_ptr<IpReassembly> table_;
};

TEST_F(IpReassemblyTest, AnyOrderOfBothFamilies) {
  for (const FragmentKey& key : {Key4(1), Key6(1)}) {
    const std::vector<std::pair<uint16_t, uint32_t>> pieces = {{0, 16}, {16, 8}, {24, 1480}, {1504, 3}};
    std::vector<size_t> order = {0, 1, 2, 3};
    do {
      for (size_t i = 0; i < order.size(); ++i) {
        const auto [offset, length] = pieces[order[i]];
        const ReassemblyResult result = Piece(key, offset, length, order[i] != 3);
        if (i + 1 < order.size()) {
          EXPECT_FALSE(result.complete);
        } else {
          ExpectWhole(result, key, 1507);
        }
      }
      EXPECT_EQ(table().datagrams(), 0u);
      EXPECT_EQ(table().cost(), 0u);
    } while (std::next_permutation(order.begin(), order.end()));
  }
  EXPECT_EQ(drops_.total(), 0u);
}

TEST_F(IpReassemblyTest, WhatDiffersInOneFieldOfTheKeyIsAnotherPacket) {
  const FragmentKey base = Key4(1);
  std::vector<FragmentKey> keys(6, base);
  keys[1].src = wire::IpAddress::FromV4(10, 77, 0, 3);
  keys[2].dst = wire::IpAddress::FromV4(10, 77, 0, 4);
  keys[3].identification = 2;
  keys[4].interface = 1;
  keys[5].protocol = wire::kProtocolTcp;
  for (const FragmentKey& key : keys) EXPECT_EQ(Piece(key, 0, 8, true).drop, DropReason::kNone);
  EXPECT_EQ(table().datagrams(), 6u);
  for (const FragmentKey& key : keys) ExpectWhole(Piece(key, 8, 5, false), key, 13);
}

TEST_F(IpReassemblyTest, OverlapsEndTheirPacket) {
  struct Case {
    uint16_t offset;
    uint32_t length;
    bool more;
  };
  // Held: [16,32) and [48,64).
  for (const Case c : {Case{8, 16, true}, Case{24, 8, true}, Case{16, 24, true}, Case{0, 24, true},
                       Case{40, 16, true}, Case{8, 64, true}, Case{16, 8, true}, Case{24, 32, true},
                       Case{16, 16, false}, Case{40, 5, false}, Case{48, 16, false}}) {
    SCOPED_TRACE(testing::Message() << c.offset << "+" << c.length << (c.more ? "" : " last"));
    drops_ = DropCounters();
    Piece(Key4(1), 16, 16, true);
    Piece(Key4(1), 48, 16, true);
    Piece(Key4(2), 48, 16, true);
    const ReassemblyResult result = Piece(Key4(1), c.offset, c.length, c.more);
    EXPECT_EQ(result.drop, DropReason::kIpFragmentOverlap);
    EXPECT_EQ(result.abandoned, 2u);
    EXPECT_EQ(drops_[DropReason::kIpFragmentOverlap], 2u);
    EXPECT_EQ(table().datagrams(), 1u) << "the other packet stays";
    table().Clear(released_);
    pool_.Release(released_.TakeAll());
  }
}

TEST_F(IpReassemblyTest, NothingLiesBehindTheEnd) {
  Piece(Key4(1), 16, 5, false);
  EXPECT_EQ(Piece(Key4(1), 24, 8, true).drop, DropReason::kIpFragmentOverlap);
  Piece(Key4(1), 16, 8, false);
  EXPECT_EQ(Piece(Key4(1), 8, 16, true).drop, DropReason::kIpFragmentOverlap) << "more, where the end is";
  Piece(Key4(1), 16, 5, false);
  EXPECT_EQ(Piece(Key4(1), 8, 5, false).drop, DropReason::kIpFragmentOverlap) << "another end";
  EXPECT_EQ(table().datagrams(), 0u);
}

TEST_F(IpReassemblyTest, ADuplicateIsDroppedAlone) {
  Piece(Key4(1), 8, 8, true);
  EXPECT_EQ(Piece(Key4(1), 8, 8, true).drop, DropReason::kIpFragmentDuplicate);
  Piece(Key4(1), 16, 4, false);
  EXPECT_EQ(Piece(Key4(1), 16, 4, false).drop, DropReason::kIpFragmentDuplicate);
  EXPECT_EQ(Piece(Key4(1), 8, 8, true).drop, DropReason::kIpFragmentDuplicate);
  ExpectWhole(Piece(Key4(1), 0, 8, true), Key4(1), 20);
  // The same place and other octets: no duplicate.
  Piece(Key4(1), 8, 8, true);
  EXPECT_EQ(Give(Key4(1), 8, Bytes(8, 0), true).drop, DropReason::kIpFragmentOverlap);
  EXPECT_EQ(table().datagrams(), 0u);
}

class LargeIpReassemblyTest : public IpReassemblyTest {
 protected:
  LargeIpReassemblyTest() : IpReassemblyTest(70'000) {}
};

TEST_F(LargeIpReassemblyTest, SizesThatCannotBe) {
  EXPECT_EQ(Piece(Key4(1), 0, 0, true).drop, DropReason::kIpFragmentMalformed);
  EXPECT_EQ(Piece(Key4(1), 8, 0, false).drop, DropReason::kIpFragmentMalformed);
  EXPECT_EQ(Piece(Key4(1), 65'528, 8, false).drop, DropReason::kIpFragmentMalformed);
  EXPECT_EQ(table().datagrams(), 0u);
  // The largest that can: with 20 octets of header, 65515.
  Piece(Key4(1), 0, 65'512, true);
  ExpectWhole(Piece(Key4(1), 65'512, 3, false), Key4(1), 65'515);
  Piece(Key4(2), 0, 65'512, true);
  const ReassemblyResult result = Piece(Key4(2), 65'512, 4, false);
  EXPECT_FALSE(result.complete);
  EXPECT_EQ(result.abandoned, 2u) << "the fragment that completed it is counted with the other";
  EXPECT_EQ(drops_[DropReason::kIpFragmentTooLong], 2u);
  // IPv6 does not count its fixed header, and the fragment header is gone; extension headers do count.
  Piece(Key6(3), 0, 65'528, true);
  ExpectWhole(Piece(Key6(3), 65'528, 7, false), Key6(3), 65'535);
  Give(Key6(4), 0, Content(4, 0, 65'528), true, 0, 48 + 8);
  EXPECT_FALSE(Piece(Key6(4), 65'528, 7, false).complete);
  EXPECT_EQ(drops_[DropReason::kIpFragmentTooLong], 4u);
}

TEST_F(IpReassemblyTest, CongestionMarksAreJoined) {
  const auto join = [&](uint8_t a, uint8_t b) {
    Give(Key4(1), 0, Bytes(8), true, a);
    const ReassemblyResult result = Give(Key4(1), 8, Bytes(8), false, b);
    if (!result.complete) return -1;
    Take(result.datagram);
    return result.datagram.congestion_experienced ? 1 : 0;
  };
  EXPECT_EQ(join(wire::kEcnCapable0, wire::kEcnCapable0), 0);
  EXPECT_EQ(join(wire::kEcnCapable0, wire::kEcnCongestion), 1);
  EXPECT_EQ(join(wire::kEcnCongestion, wire::kEcnCapable1), 1);
  EXPECT_EQ(join(wire::kEcnNotCapable, wire::kEcnNotCapable), 0);
  EXPECT_EQ(join(wire::kEcnNotCapable, wire::kEcnCongestion), -1);
  EXPECT_EQ(drops_[DropReason::kIpFragmentEcn], 2u);
}

TEST_F(IpReassemblyTest, TimeEndsWhatIsNotWhole) {
  EXPECT_EQ(table().NextDeadline(), Instant::Never());
  Piece(Key6(1), 0, 8, true);
  now_ = now_ + Duration::Seconds(1);
  Piece(Key4(2), 8, 8, true);
  now_ = now_ + Duration::Seconds(20);
  Piece(Key4(2), 16, 8, true);  // does not start the clock anew
  Datagram gone;
  EXPECT_FALSE(table().TakeExpired(now_, &gone));
  EXPECT_EQ(table().NextDeadline(), now_ + Duration::Seconds(10));
  now_ = now_ + Duration::Seconds(10);
  ASSERT_TRUE(table().TakeExpired(now_, &gone));
  EXPECT_EQ(gone.key, Key4(2));
  EXPECT_EQ(gone.first, nullptr);
  EXPECT_EQ(gone.fragments, 2u);
  pool_.Release(gone.rest);
  EXPECT_FALSE(table().TakeExpired(now_, &gone));
  now_ = now_ + Duration::Seconds(29);
  ASSERT_TRUE(table().TakeExpired(now_, &gone));
  EXPECT_EQ(gone.key, Key6(1));
  ASSERT_NE(gone.first, nullptr);
  EXPECT_EQ(gone.network_at, kLink);
  pool_.Release(gone.first);
  EXPECT_EQ(table().NextDeadline(), Instant::Never());
}

TEST_F(IpReassemblyTest, TheOldestMakesRoom) {
  limits_.max_datagrams = 4;
  limits_.max_per_source = 3;
  for (uint8_t host = 10; host < 14; ++host) {
    Piece(Key4(1, host), 0, 8, true);
    now_ = now_ + Duration::Millis(1);
  }
  EXPECT_EQ(drops_.total(), 0u);
  Piece(Key6(1), 0, 8, true);
  EXPECT_EQ(table().datagrams(), 4u);
  EXPECT_EQ(drops_[DropReason::kIpFragmentTableFull], 1u);
  // The rest of the first finds nothing; that of the second does.
  EXPECT_FALSE(Piece(Key4(1, 10), 8, 8, false).complete);  // and makes room for itself, at the second's cost
  ExpectWhole(Piece(Key4(1, 12), 8, 8, false), Key4(1, 12), 16);
}

TEST_F(IpReassemblyTest, ASourceOverItsShareLosesItsOwn) {
  limits_.max_per_source = 3;
  Piece(Key4(1, 9), 0, 8, true);
  for (uint32_t id = 1; id <= 5; ++id) Piece(Key4(id), 0, 8, true);
  EXPECT_EQ(drops_[DropReason::kIpFragmentSourceFull], 2u);
  EXPECT_EQ(table().datagrams(), 4u);
  ExpectWhole(Piece(Key4(1, 9), 8, 8, false), Key4(1, 9), 16);
  ExpectWhole(Piece(Key4(3), 8, 8, false), Key4(3), 16);
}

TEST_F(IpReassemblyTest, TooManyFragmentsEndTheirPacket) {
  limits_.max_fragments = 4;
  for (uint16_t i = 0; i < 4; ++i) EXPECT_EQ(Piece(Key4(1), i * 8, 8, true).drop, DropReason::kNone);
  EXPECT_EQ(Piece(Key4(1), 32, 8, true).drop, DropReason::kIpFragmentTooMany);
  EXPECT_EQ(drops_[DropReason::kIpFragmentTooMany], 4u);
  EXPECT_EQ(table().datagrams(), 0u);
}

TEST_F(IpReassemblyTest, MemoryIsCountedAtWhatItCosts) {
  Buffer* probe = pool_.AllocateOne();
  const uint32_t cost = probe->cost;
  pool_.Release(probe);
  limits_.max_cost = 5 * cost;
  limits_.max_source_cost = 3 * cost;
  // An octet a fragment or nearly so, and still no more than five buffers.
  for (uint8_t host = 10; host < 14; ++host) {
    Piece(Key4(1, host), 0, 8, true);
    Piece(Key4(1, host), 8, 8, true);
    EXPECT_LE(table().cost(), 5 * cost);
  }
  EXPECT_EQ(drops_[DropReason::kIpFragmentMemoryFull], 4u);
  ExpectWhole(Piece(Key4(1, 13), 16, 8, false), Key4(1, 13), 24);
  // One packet alone may not have more than its source's share, and a source's second makes its first go.
  for (uint16_t i = 0; i < 3; ++i) EXPECT_EQ(Piece(Key4(7, 20), i * 8, 8, true).drop, DropReason::kNone);
  EXPECT_EQ(Piece(Key4(7, 20), 24, 8, true).drop, DropReason::kIpFragmentMemoryFull);
  EXPECT_EQ(Piece(Key4(8, 20), 0, 8, true).drop, DropReason::kNone);
  EXPECT_EQ(Piece(Key4(8, 20), 8, 8, true).drop, DropReason::kNone);
  EXPECT_EQ(Piece(Key4(9, 20), 0, 8, true).drop, DropReason::kNone);
  EXPECT_EQ(Piece(Key4(9, 20), 8, 8, true).drop, DropReason::kNone);
  EXPECT_EQ(drops_[DropReason::kIpFragmentSourceFull], 2u);
}

TEST_F(IpReassemblyTest, MayBeOff) {
  limits_.max_datagrams = 0;
  EXPECT_EQ(Piece(Key4(1), 0, 8, true).drop, DropReason::kIpFragmentTableFull);
  EXPECT_EQ(table().NextDeadline(), Instant::Never());
}

// ---- Against a model that is slow and plain ----

class Model {
 public:
  struct Outcome {
    DropReason drop = DropReason::kNone;
    std::optional<Bytes> whole;
  };
  explicit Model(size_t max_fragments) : max_fragments_(max_fragments) {}

  Outcome Give(uint32_t id, uint16_t offset, const Bytes& payload, bool more) {
    const uint32_t end = static_cast<uint32_t>(offset + payload.size());
    if (payload.empty() || end > 65'535) return {DropReason::kIpFragmentMalformed, {}};
    Packet& packet = packets_[id];
    const auto refuse = [&](DropReason why) -> Outcome {
      if (why != DropReason::kIpFragmentDuplicate) packets_.erase(id);
      return {why, {}};
    };
    for (const Held& h : packet.held) {
      const bool duplicate = h.offset == offset && h.payload == payload && h.more == more;
      if (duplicate) return refuse(DropReason::kIpFragmentDuplicate);
    }
    for (const Held& h : packet.held) {
      const uint32_t held_end = static_cast<uint32_t>(h.offset + h.payload.size());
      const bool overlap = h.offset < end && offset < held_end;
      const bool behind_end = (!h.more && end > held_end) || (!more && held_end > end);
      if (overlap || behind_end) return refuse(DropReason::kIpFragmentOverlap);
    }
    if (packet.held.size() >= max_fragments_) return refuse(DropReason::kIpFragmentTooMany);
    packet.held.push_back({offset, payload, more});
    std::map<uint16_t, const Held*> sorted;
    for (const Held& h : packet.held) sorted[h.offset] = &h;
    Bytes whole;
    for (const auto& [at, h] : sorted) {
      if (at != whole.size()) return {};
      whole.insert(whole.end(), h->payload.begin(), h->payload.end());
      if (!h->more) {
        packets_.erase(id);
        return {DropReason::kNone, whole};
      }
    }
    return {};
  }
  size_t size() const { return packets_.size(); }

 private:
  struct Held {
    uint16_t offset;
    Bytes payload;
    bool more;
  };
  struct Packet {
    std::vector<Held> held;
  };
  std::map<uint32_t, Packet> packets_;
  size_t max_fragments_;
};

TEST_F(IpReassemblyTest, AgreesWithAPlainModel) {
  Prng rng(815);
  limits_.max_fragments = 4;
  Model model(4);
  std::map<DropReason, int> seen;
  int wholes = 0;
  for (int i = 0; i < 20'000; ++i) {
    const auto id = static_cast<uint32_t>(rng.Below(24));
    const FragmentKey key = id % 2 == 0 ? Key4(id) : Key6(id);
    // Small packets on a coarse grid, so that pieces meet; now and then anything at all.
    auto offset = static_cast<uint16_t>(rng.Below(5) * 8);
    auto length = static_cast<uint32_t>(8 + rng.Below(2) * 8);
    bool more = offset < 32;
    if (rng.Bernoulli(60'000)) offset = static_cast<uint16_t>(rng.Below(8'192) * 8);
    if (rng.Bernoulli(60'000)) length = static_cast<uint32_t>(rng.Below(40));
    if (rng.Bernoulli(60'000)) more = !more;
    if (!more) length = 1 + id % 7;
    if (more) length = length / 8 * 8;
    Bytes payload = Content(id, offset, length);
    if (length != 0 && rng.Bernoulli(20'000)) payload[rng.Below(length)] ^= 1;
    const ReassemblyResult result = Give(key, offset, payload, more);
    const Model::Outcome expected = model.Give(id, offset, payload, more);
    ASSERT_EQ(result.drop, expected.drop) << "step " << i;
    ASSERT_EQ(result.complete, expected.whole.has_value()) << "step " << i;
    if (result.complete) {
      ASSERT_EQ(Take(result.datagram), *expected.whole) << "step " << i;
      ++wholes;
    }
    ASSERT_EQ(table().datagrams(), model.size()) << "step " << i;
    ++seen[result.drop];
  }
  // The seed has to reach all of it.
  EXPECT_GT(wholes, 200);
  for (const DropReason reason : {DropReason::kIpFragmentOverlap, DropReason::kIpFragmentDuplicate,
                                  DropReason::kIpFragmentMalformed, DropReason::kIpFragmentTooMany}) {
    EXPECT_GT(seen[reason], 20) << DropReasonName(reason);
  }
}

TEST_F(IpReassemblyTest, ExhaustedInEveryWayItHoldsItsBoundsAndRecovers) {
  Prng rng(1);
  Buffer* probe = pool_.AllocateOne();
  const uint32_t cost = probe->cost;
  pool_.Release(probe);
  limits_ = {.max_datagrams = 16,
             .max_per_source = 6,
             .max_fragments = 5,
             .max_cost = 40 * cost,
             .max_source_cost = 20 * cost};
  uint64_t given = 0;
  uint64_t whole = 0;
  uint64_t refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    // Some that go on with what is there, among many that begin anew.
    const bool fresh = rng.Bernoulli(400'000);
    const auto host = static_cast<uint8_t>(10 + rng.Below(fresh ? 12 : 3));
    const FragmentKey key = Key4(static_cast<uint32_t>(rng.Below(fresh ? 40 : 2)), host);
    const auto place = static_cast<uint16_t>(rng.Below(4));
    const ReassemblyResult result = Piece(key, place * 8, 8, place != 3);
    ++given;
    if (result.drop != DropReason::kNone) ++refused;
    if (result.complete) {
      whole += result.datagram.fragments;
      ExpectWhole(result, key, 32);
    }
    ASSERT_LE(table().datagrams(), 16u);
    ASSERT_LE(table().cost(), 40 * cost);
    ASSERT_EQ(given, whole + refused + drops_.total() + table().fragments());
    Datagram gone;
    now_ = now_ + Duration::Millis(50);
    while (table().TakeExpired(now_, &gone)) {
      drops_.Count(DropReason::kIpFragmentTimeout, gone.fragments);
      Take(gone);
    }
  }
  EXPECT_GT(drops_[DropReason::kIpFragmentTableFull] + drops_[DropReason::kIpFragmentMemoryFull], 1'000u);
  EXPECT_GT(drops_[DropReason::kIpFragmentSourceFull], 10u);
  EXPECT_GT(whole, 100u);
  Piece(Key4(99, 99), 0, 8, true);
  ExpectWhole(Piece(Key4(99, 99), 8, 8, false), Key4(99, 99), 16);
}

}  // namespace
}  // namespace tern::stack
