#include "stack/flow_table.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace tern::stack {
namespace {

constexpr HashKey kSecret{0x0123456789abcdef, 0xfedcba9876543210};

wire::FlowKey KeyNumber(uint32_t n) {
  return {wire::IpAddress::FromV4(0x0a4d0001), wire::IpAddress::FromV4(0x0a4d0100 + (n >> 16)), 7,
          static_cast<uint16_t>(n)};
}

// Gives nothing from the start.
class NoMemory final : public MemorySource {
 public:
  void* Allocate(size_t) override { return nullptr; }
  void Free(void*, size_t) override {}
};

TEST(FlowTable, FindsWhatWasInsertedAndNothingElse) {
  FlowTable table(HeapMemory(), 1000, kSecret);
  std::vector<wire::FlowKey> keys;
  for (uint32_t i = 0; i < 1000; ++i) {
    keys.push_back(KeyNumber(i));
    ASSERT_TRUE(table.Insert(table.Hash(keys[i]), FlowId(FlowKind::kConnection, i)));
  }
  EXPECT_EQ(table.size(), 1000u);
  for (uint32_t i = 0; i < 2000; ++i) {
    const wire::FlowKey key = KeyNumber(i);
    const FlowId id = table.Find(table.Hash(key), [&](FlowId f) { return keys[f.index()] == key; });
    EXPECT_EQ(static_cast<bool>(id), i < 1000);
    if (i < 1000) {
      EXPECT_EQ(id.index(), i);
    }
  }
}

TEST(FlowTable, KindAndIndexSurvivePacking) {
  const FlowId id(FlowKind::kTimeWait, FlowId::kMaxIndex);
  EXPECT_EQ(id.kind(), FlowKind::kTimeWait);
  EXPECT_EQ(id.index(), FlowId::kMaxIndex);
  EXPECT_FALSE(FlowId());
  EXPECT_TRUE(FlowId(FlowKind::kConnection, 0));
}

TEST(FlowTable, HashIsKeyedAndSeparatesFamilies) {
  FlowTable a(HeapMemory(), 16, kSecret);
  FlowTable b(HeapMemory(), 16, HashKey{1, 2});
  const wire::FlowKey key = KeyNumber(1);
  EXPECT_NE(a.Hash(key), b.Hash(key));
  EXPECT_EQ(a.Hash(key), a.Hash(key));
  EXPECT_NE(a.Hash(key), a.Hash(key.Reversed()));
  wire::FlowKey v6 = key;
  v6.local = *wire::IpAddress::Parse("fd77::1");
  v6.remote = *wire::IpAddress::Parse("fd77::2");
  EXPECT_NE(a.Hash(v6), a.Hash(key));
  wire::FlowKey other_port = v6;
  other_port.local_port = 8;
  EXPECT_NE(a.Hash(v6), a.Hash(other_port));
}

// All keys with one hash: the two candidate buckets fill, then Insert says no, and Find still tells them
// apart.
TEST(FlowTable, CollidingKeysFillTwoBucketsThenFail) {
  FlowTable table(HeapMemory(), 4096, kSecret);
  const uint64_t hash = 0x1234567800000005;
  uint32_t held = 0;
  while (table.Insert(hash, FlowId(FlowKind::kHalfOpen, held))) ++held;
  EXPECT_EQ(held, 16u);
  EXPECT_EQ(table.size(), 16u);
  for (uint32_t i = 0; i < held; ++i) {
    uint32_t compared = 0;
    const FlowId id = table.Find(hash, [&](FlowId f) { return ++compared, f.index() == i; });
    EXPECT_EQ(id.index(), i);
    EXPECT_LE(compared, 16u);
  }
  EXPECT_TRUE(table.Remove(hash, FlowId(FlowKind::kHalfOpen, 3)));
  EXPECT_FALSE(table.Remove(hash, FlowId(FlowKind::kHalfOpen, 3)));
  EXPECT_TRUE(table.Insert(hash, FlowId(FlowKind::kConnection, 77)));
  EXPECT_FALSE(table.Insert(hash, FlowId(FlowKind::kConnection, 78)));
}

TEST(FlowTable, ReplaceKeepsThePlaceEvenWhenFull) {
  FlowTable table(HeapMemory(), 64, kSecret);
  const uint64_t hash = 99;
  for (uint32_t i = 0; i < 16; ++i) ASSERT_TRUE(table.Insert(hash, FlowId(FlowKind::kHalfOpen, i)));
  EXPECT_TRUE(table.Replace(hash, FlowId(FlowKind::kHalfOpen, 9), FlowId(FlowKind::kConnection, 1)));
  EXPECT_FALSE(table.Replace(hash, FlowId(FlowKind::kHalfOpen, 9), FlowId(FlowKind::kConnection, 2)));
  EXPECT_EQ(table.Find(hash, [](FlowId f) { return f.kind() == FlowKind::kConnection; }).index(), 1u);
  EXPECT_EQ(table.size(), 16u);
}

TEST(FlowTable, HoldsItsPromisedNumberOfFlows) {
  constexpr uint32_t kFlows = 1 << 17;
  FlowTable table(HeapMemory(), kFlows, kSecret);
  for (uint32_t i = 0; i < kFlows; ++i) {
    ASSERT_TRUE(table.Insert(table.Hash(KeyNumber(i)), FlowId(FlowKind::kConnection, i))) << i;
  }
}

TEST(FlowTable, WithoutMemoryRefuses) {
  NoMemory none;
  FlowTable table(none, 1000, kSecret);
  EXPECT_FALSE(table.Insert(1, FlowId(FlowKind::kConnection, 1)));
  EXPECT_FALSE(table.Find(1, [](FlowId) { return true; }));
}

// Random inserts and removals against an ordered map.
TEST(FlowTable, AgreesWithAModel) {
  FlowTable table(HeapMemory(), 512, kSecret);
  std::map<uint32_t, FlowId> model;
  uint64_t random = 42;
  for (uint32_t step = 0; step < 50'000; ++step) {
    random = MixBits(random + step);
    const auto n = static_cast<uint32_t>(random % 700);
    const uint64_t hash = table.Hash(KeyNumber(n));
    const auto held = model.find(n);
    if (held != model.end()) {
      EXPECT_EQ(table.Find(hash, [&](FlowId f) { return f.index() == n; }), held->second);
      EXPECT_TRUE(table.Remove(hash, held->second));
      model.erase(held);
    } else if (model.size() < 512) {
      EXPECT_FALSE(table.Find(hash, [&](FlowId f) { return f.index() == n; }));
      const FlowId id(n % 2 == 0 ? FlowKind::kConnection : FlowKind::kTimeWait, n);
      ASSERT_TRUE(table.Insert(hash, id));
      model.emplace(n, id);
    }
    ASSERT_EQ(table.size(), model.size());
  }
}

}  // namespace
}  // namespace tern::stack
