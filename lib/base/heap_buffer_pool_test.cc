#include "base/heap_buffer_pool.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

namespace tern {
namespace {

using Faults = std::vector<std::string>;

// A pool whose faults this test takes itself.
HeapBufferPool::Options Provoked(uint32_t limit = 100) {
  return {.limit = limit, .trap_access_after_release = false};
}

TEST(HeapBufferPool, HandsOutEmptyBuffersWithRoom) {
  HeapBufferPool pool;
  Buffer* buffer = pool.AllocateOne();
  ASSERT_NE(buffer, nullptr);
  EXPECT_EQ(buffer->next, nullptr);
  EXPECT_EQ(buffer->length, 0u);
  EXPECT_EQ(buffer->tailroom, 2048u);
  EXPECT_EQ(buffer->cost, 2048u + 128u + 192u);
  EXPECT_EQ(buffer->tag, 0u);
  EXPECT_NE(buffer->handle, nullptr);
  EXPECT_EQ(pool.buffer_capacity(), 2048u);
  // All of headroom and tailroom may be written.
  std::memset(buffer->data - 128, 1, 128 + 2048);
  buffer->data -= 128;
  buffer->length = 128 + 2048;
  buffer->tailroom = 0;
  pool.Release(buffer);
  EXPECT_EQ(pool.TakeFaults(true), Faults{});
}

TEST(HeapBufferPool, CapacityIsConfigurable) {
  HeapBufferPool pool({.capacity = 9000, .headroom = 0});
  const std::vector<uint8_t> bytes(9000, 7);
  Buffer* buffer = pool.AllocateWith(bytes);
  ASSERT_NE(buffer, nullptr);
  EXPECT_EQ(buffer->length, 9000u);
  EXPECT_EQ(buffer->tailroom, 0u);
  EXPECT_EQ(std::memcmp(buffer->data, bytes.data(), 9000), 0);
  EXPECT_EQ(pool.AllocateWith(std::vector<uint8_t>(9001)), nullptr);
  pool.Release(buffer);
}

TEST(HeapBufferPool, AllOrNothingUpToTheLimit) {
  HeapBufferPool pool(Provoked(4));
  std::array<Buffer*, 3> three{};
  std::array<Buffer*, 2> two{};
  EXPECT_TRUE(pool.Allocate(three));
  EXPECT_FALSE(pool.Allocate(two));
  EXPECT_EQ(two[0], nullptr);
  EXPECT_EQ(pool.outstanding(), 3u);
  EXPECT_EQ(pool.refusals(), 1u);
  Buffer* fourth = pool.AllocateOne();
  EXPECT_NE(fourth, nullptr);
  EXPECT_EQ(pool.AllocateOne(), nullptr);
  pool.set_limit(1);
  pool.Release(fourth);
  EXPECT_EQ(pool.AllocateOne(), nullptr) << "three are still out";
  three[0]->next = three[1];
  three[1]->next = three[2];
  pool.Release(three[0]);
  pool.Release(nullptr);
  EXPECT_EQ(pool.outstanding(), 0u);
  EXPECT_EQ(pool.peak_outstanding(), 4u);
  EXPECT_EQ(pool.allocations(), 4u);
  EXPECT_EQ(pool.TakeFaults(true), Faults{});
}

TEST(HeapBufferPool, TellsOfLeaks) {
  HeapBufferPool pool(Provoked());
  Buffer* kept = pool.AllocateOne();
  pool.Release(pool.AllocateOne());
  EXPECT_EQ(pool.TakeFaults(), Faults{});
  EXPECT_EQ(pool.TakeFaults(true), Faults{"buffer 0 (allocation 0): never released"});
  pool.Release(kept);
}

TEST(HeapBufferPool, TellsOfDoubleRelease) {
  HeapBufferPool pool(Provoked());
  Buffer* buffer = pool.AllocateOne();
  pool.Release(buffer);
  pool.Release(buffer);
  EXPECT_EQ(pool.TakeFaults(true), Faults{"buffer 0 (allocation 0): released twice"});
  EXPECT_EQ(pool.outstanding(), 0u);
}

TEST(HeapBufferPool, TellsOfForeignBuffers) {
  HeapBufferPool pool(Provoked());
  HeapBufferPool other(Provoked());
  Buffer* foreign = other.AllocateOne();
  pool.Release(foreign);
  EXPECT_EQ(pool.TakeFaults(true), Faults{"released a buffer that is not from this pool"});
  other.Release(foreign);
}

TEST(HeapBufferPool, TellsOfWritesAfterRelease) {
  HeapBufferPool pool(Provoked());
  Buffer* buffer = pool.AllocateOne();
  uint8_t* data = buffer->data;
  pool.Release(buffer);
  data[5] = 1;
  EXPECT_EQ(pool.TakeFaults(), Faults{"buffer 0 (allocation 0): written to after it was released"});
  EXPECT_EQ(pool.TakeFaults(), Faults{}) << "told once";
  // Also when the block is used again before anybody asks, and when it is the descriptor that is written.
  buffer->length = 3;
  Buffer* again = pool.AllocateOne();
  EXPECT_EQ(again, buffer);
  EXPECT_EQ(pool.TakeFaults(), Faults{"buffer 0 (allocation 0): written to after it was released"});
  pool.Release(again);
}

TEST(HeapBufferPool, TellsOfWritesOutsideTheRoom) {
  HeapBufferPool pool(Provoked());
  Buffer* low = pool.AllocateOne();
  Buffer* high = pool.AllocateOne();
  low->data[-129] = 0;
  high->data[2048] = 0;
  pool.Release(low);
  pool.Release(high);
  const Faults faults = pool.TakeFaults();
  ASSERT_EQ(faults.size(), 2u);
  EXPECT_EQ(faults[0], "buffer 0 (allocation 0): written to before its headroom");
  EXPECT_EQ(faults[1], "buffer 1 (allocation 1): written to past its capacity");
}

TEST(HeapBufferPool, TellsOfDescriptorsThatLie) {
  HeapBufferPool pool(Provoked());
  Buffer* buffer = pool.AllocateOne();
  buffer->length = 1;  // tailroom not adjusted
  EXPECT_EQ(pool.TakeFaults().size(), 1u);
  buffer->tailroom -= 1;
  EXPECT_EQ(pool.TakeFaults(), Faults{});
  buffer->data -= 129;
  EXPECT_EQ(pool.TakeFaults().size(), 1u);
  buffer->data += 129;
  void* handle = buffer->handle;
  buffer->handle = nullptr;
  EXPECT_EQ(pool.TakeFaults(), Faults{"buffer 0 (allocation 0): its handle was changed"});
  buffer->handle = handle;
  pool.Release(buffer);
}

TEST(HeapBufferPool, ReusesTheOldestReleasedFirst) {
  HeapBufferPool pool;
  Buffer* first = pool.AllocateOne();
  Buffer* second = pool.AllocateOne();
  pool.Release(second);
  pool.Release(first);
  EXPECT_EQ(pool.AllocateOne(), second);
  EXPECT_EQ(pool.AllocateOne(), first);
  first->next = second;
  pool.Release(first);
}

#if GTEST_HAS_DEATH_TEST
TEST(HeapBufferPoolDeathTest, EndsLoudlyWhenFaultsWereNotTaken) {
  EXPECT_DEATH(
      {
        HeapBufferPool pool;
        (void)pool.AllocateOne();
      },
      "never released");
}
#endif

}  // namespace
}  // namespace tern
