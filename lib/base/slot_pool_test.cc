#include "base/slot_pool.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <set>
#include <vector>

#include "base/prng.h"

namespace tern {
namespace {

struct Thing {
  uint64_t id = 77;
  uint32_t extra = 5;
};

// Counts what it gives and takes back, and gives at most `blocks` blocks.
class CountingMemory final : public MemorySource {
 public:
  explicit CountingMemory(int blocks) : left_(blocks) {}
  ~CountingMemory() override { EXPECT_TRUE(given_.empty()) << "memory was not given back"; }
  void* Allocate(size_t bytes) override {
    if (left_ == 0) return nullptr;
    --left_;
    void* block = HeapMemory().Allocate(bytes);
    given_[block] = bytes;
    return block;
  }
  void Free(void* block, size_t bytes) override {
    EXPECT_EQ(given_[block], bytes) << "freed with another size";
    given_.erase(block);
    HeapMemory().Free(block, bytes);
  }
  void AllowMore(int blocks) { left_ += blocks; }
  size_t blocks_out() const { return given_.size(); }

 private:
  int left_;
  std::map<void*, size_t> given_;
};

TEST(HeapMemory, GivesZeroedAlignedBlocks) {
  for (const size_t bytes : {size_t{1}, size_t{64}, size_t{100}, size_t{1} << 20}) {
    auto* block = static_cast<uint8_t*>(HeapMemory().Allocate(bytes));
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % 64, 0u);
    EXPECT_EQ(std::vector<uint8_t>(block, block + bytes), std::vector<uint8_t>(bytes));
    std::memset(block, 0xff, bytes);
    HeapMemory().Free(block, bytes);
  }
}

TEST(SlotPool, FreshSlotsAreValueInitialisedAlsoWhenReused) {
  SlotPool<Thing> pool(HeapMemory(), 10);
  const uint32_t slot = pool.Allocate();
  EXPECT_EQ(pool[slot].id, 77u);
  pool[slot] = {1, 2};
  pool.Release(slot);
  const uint32_t again = pool.Allocate();
  EXPECT_EQ(again, slot) << "the warmest slot comes back first";
  EXPECT_EQ(pool[again].id, 77u);
  EXPECT_EQ(pool[again].extra, 5u);
}

TEST(SlotPool, LimitIsExact) {
  SlotPool<Thing, 2> pool(HeapMemory(), 6);
  std::set<uint32_t> slots;
  for (int i = 0; i < 6; ++i) slots.insert(pool.Allocate());
  EXPECT_EQ(slots.size(), 6u);
  EXPECT_EQ(*slots.rbegin(), 5u);
  EXPECT_EQ(pool.Allocate(), kNoSlot);
  EXPECT_EQ(pool.in_use(), 6u);
  EXPECT_EQ(pool.high_water(), 6u);
  pool.Release(3);
  EXPECT_EQ(pool.Allocate(), 3u);
  EXPECT_EQ(pool.Allocate(), kNoSlot);
  SlotPool<Thing> none(HeapMemory(), 0);
  EXPECT_EQ(none.Allocate(), kNoSlot);
  EXPECT_EQ(none.bytes_held(), 0u);
}

TEST(SlotPool, AddressesStayWhileItGrows) {
  SlotPool<Thing, 3> pool(HeapMemory(), 1000);
  std::vector<Thing*> addresses;
  for (uint32_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(pool.Allocate(), i);
    pool[i].id = i;
    addresses.push_back(&pool[i]);
  }
  const SlotPool<Thing, 3>& reader = pool;
  for (uint32_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(&pool[i], addresses[i]);
    EXPECT_EQ(reader[i].id, i);
  }
}

TEST(SlotPool, GrowsByChunksAndGivesMemoryBack) {
  CountingMemory memory(100);
  {
    SlotPool<Thing, 2> pool(memory, 100);
    EXPECT_EQ(memory.blocks_out(), 0u) << "nothing before it is needed";
    for (int i = 0; i < 5; ++i) pool.Allocate();
    EXPECT_EQ(memory.blocks_out(), 2u);
    EXPECT_EQ(pool.bytes_held(), 8 * sizeof(Thing));
  }
  EXPECT_EQ(memory.blocks_out(), 0u);
}

TEST(SlotPool, OutOfMemoryIsAnAnswerAndPasses) {
  CountingMemory memory(1);
  SlotPool<Thing, 2> pool(memory, 100);
  for (uint32_t i = 0; i < 4; ++i) EXPECT_EQ(pool.Allocate(), i);
  EXPECT_EQ(pool.Allocate(), kNoSlot);
  EXPECT_EQ(pool.Allocate(), kNoSlot);
  EXPECT_EQ(pool.in_use(), 4u);
  pool.Release(1);
  EXPECT_EQ(pool.Allocate(), 1u) << "what it has still works";
  memory.AllowMore(1);
  EXPECT_EQ(pool.Allocate(), 4u);
}

TEST(SlotPool, ReserveFetchesMemoryAhead) {
  CountingMemory memory(2);
  SlotPool<Thing, 2> pool(memory, 10);
  EXPECT_TRUE(pool.Reserve(0));
  EXPECT_EQ(memory.blocks_out(), 0u);
  EXPECT_TRUE(pool.Reserve(5));
  EXPECT_EQ(memory.blocks_out(), 2u);
  EXPECT_TRUE(pool.Reserve(8));
  for (uint32_t i = 0; i < 8; ++i) EXPECT_EQ(pool.Allocate(), i);
  EXPECT_FALSE(pool.Reserve(9));
  EXPECT_EQ(pool.Allocate(), kNoSlot);
  memory.AllowMore(1);
  EXPECT_TRUE(pool.Reserve(0xffffffff)) << "the limit is enough";
  EXPECT_EQ(pool.Allocate(), 8u);
  EXPECT_EQ(pool.Allocate(), 9u);
  EXPECT_EQ(pool.Allocate(), kNoSlot);
}

TEST(SlotPool, NeverGivesOneSlotTwice) {
  SlotPool<Thing, 4> pool(HeapMemory(), 200);
  std::map<uint32_t, uint64_t> held;
  Prng prng(1);
  for (uint64_t step = 0; step < 50'000; ++step) {
    if (prng.Below(2) == 0) {
      const uint32_t slot = pool.Allocate();
      if (held.size() == 200) {
        ASSERT_EQ(slot, kNoSlot);
        continue;
      }
      ASSERT_TRUE(held.emplace(slot, step).second);
      pool[slot].id = step;
    } else if (!held.empty()) {
      const auto it = std::next(held.begin(), static_cast<ptrdiff_t>(prng.Below(held.size())));
      ASSERT_EQ(pool[it->first].id, it->second);
      pool.Release(it->first);
      held.erase(it);
    }
    ASSERT_EQ(pool.in_use(), held.size());
  }
}

}  // namespace
}  // namespace tern
