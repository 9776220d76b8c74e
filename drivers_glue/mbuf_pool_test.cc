#include "drivers_glue/mbuf_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "drivers_glue/glue_env_for_test.h"

namespace tern {
namespace {

class MbufPoolTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(TestEal());
    pool_ = Make();
    ASSERT_NE(pool_, nullptr);
  }

  static std::unique_ptr<MbufPool> Make() {
    static int serial = 0;
    MbufPool::Options options;
    options.name = "pool_test_" + std::to_string(serial++);
    options.count = 300;
    options.room = 2048;
    options.budget = 200;
    absl::StatusOr<std::unique_ptr<MbufPool>> made = MbufPool::Create(options);
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? *std::move(made) : nullptr;
  }

  static Buffer* Chain(std::vector<Buffer*>& buffers) {
    for (size_t i = 0; i + 1 < buffers.size(); ++i) buffers[i]->next = buffers[i + 1];
    return buffers.empty() ? nullptr : buffers.front();
  }

  std::unique_ptr<MbufPool> pool_;
};

TEST_F(MbufPoolTest, BuffersComeEmptyWithTheirWholeRoom) {
  std::vector<Buffer*> buffers(100);
  ASSERT_TRUE(pool_->Allocate(buffers));
  EXPECT_EQ(pool_->held(), 100);
  for (Buffer* buffer : buffers) {
    EXPECT_EQ(buffer->length, 0u);
    EXPECT_EQ(buffer->tailroom, 2048u);
    EXPECT_EQ(buffer->next, nullptr);
    EXPECT_GE(buffer->cost, 2048u + RTE_PKTMBUF_HEADROOM + sizeof(rte_mbuf) + kMbufPrivateSize);
    EXPECT_TRUE(LivesInMbuf(buffer));
    std::memset(buffer->data, 0xA5, buffer->tailroom);
  }
  std::sort(buffers.begin(), buffers.end());
  EXPECT_EQ(std::unique(buffers.begin(), buffers.end()), buffers.end());
  pool_->Release(Chain(buffers));
  EXPECT_EQ(pool_->held(), 0);
  EXPECT_EQ(pool_->in_use(), 0u);
}

std::string CreateError(const MbufPool::Options& options) {
  return std::string(MbufPool::Create(options).status().message());
}

TEST_F(MbufPoolTest, WhatCannotBeMadeIsSaidWithTheFix) {
  MbufPool::Options options;
  options.name = "pool_test_wide";
  options.count = 300;
  options.room = 70'000;
  EXPECT_NE(CreateError(options).find("bytes was asked for, but an mbuf holds at most"), std::string::npos);
  options.name = "pool_test_large";
  options.count = 100'000'000;
  options.room = 2048;
  EXPECT_NE(CreateError(options).find("; lower buffers, or give more memory (memory_mib, huge pages)"),
            std::string::npos)
      << CreateError(options);
}

TEST_F(MbufPoolTest, PoolsAreNumberedAndTheNumbersEnd) {
  std::vector<std::unique_ptr<MbufPool>> pools;
  absl::Status status;
  while (status.ok() && pools.size() <= MbufPool::kMaxPools) {
    MbufPool::Options options;
    options.name = "pool_test_n" + std::to_string(pools.size());
    options.count = 1;
    options.room = 64;
    absl::StatusOr<std::unique_ptr<MbufPool>> made = MbufPool::Create(options);
    status = made.status();
    if (made.ok()) pools.push_back(*std::move(made));
  }
  EXPECT_NE(status.message().find("already, one for each queue of each device; open fewer"),
            std::string::npos)
      << status;
}

TEST_F(MbufPoolTest, AllOrNothingAtTheBudget) {
  std::vector<Buffer*> most(200);
  ASSERT_TRUE(pool_->Allocate(most));
  std::vector<Buffer*> more(1);
  EXPECT_FALSE(pool_->Allocate(more));
  EXPECT_EQ(pool_->in_use(), 200u);
  pool_->Release(Chain(most));
  EXPECT_TRUE(pool_->Allocate(more));
  pool_->Release(more[0]);
  EXPECT_EQ(pool_->in_use(), 0u);
}

TEST_F(MbufPoolTest, TightBeforeTheBudgetIsUsedUp) {
  EXPECT_FALSE(pool_->Tight());
  std::vector<Buffer*> most(176);  // of 200
  ASSERT_TRUE(pool_->Allocate(most));
  EXPECT_TRUE(pool_->Tight());
  pool_->Release(most.back());
  most.pop_back();
  EXPECT_FALSE(pool_->Tight());
  pool_->Release(Chain(most));
}

// A frame received on one worker's queue and handed to its owner goes back through the owner's pool.
TEST_F(MbufPoolTest, WhatGoesBackThroughAnotherPoolIsCreditedToItsOwn) {
  const std::unique_ptr<MbufPool> other = Make();
  ASSERT_NE(other, nullptr);
  for (int round = 0; round < 100; ++round) {
    std::vector<Buffer*> handed(150);
    ASSERT_TRUE(pool_->Allocate(handed)) << round;
    EXPECT_EQ(pool_->held(), 150);
    // Mixed with some of the releaser's own.
    std::vector<Buffer*> own(30);
    ASSERT_TRUE(other->Allocate(own)) << round;
    for (size_t i = 0; i < own.size(); ++i)
      handed.insert(handed.begin() + static_cast<ptrdiff_t>(i * 5), own[i]);
    other->Release(Chain(handed));
    EXPECT_EQ(pool_->held(), 0);
    EXPECT_EQ(other->held(), 0);
  }
  // And what was handed away counts against its own pool, not the holder's, as long as it is held.
  std::vector<Buffer*> most(200);
  std::vector<Buffer*> more(1);
  ASSERT_TRUE(pool_->Allocate(most));
  EXPECT_FALSE(pool_->Allocate(more));
  EXPECT_TRUE(other->Allocate(more));
  other->Release(more[0]);
  other->Release(Chain(most));
  EXPECT_TRUE(pool_->Allocate(more));
  pool_->Release(more[0]);
  EXPECT_EQ(pool_->in_use(), 0u);
  EXPECT_EQ(other->in_use(), 0u);
}

TEST_F(MbufPoolTest, APoolBeginsEvenWhateverItsNumberDidBefore) {
  for (int i = 0; i < 3; ++i) {
    std::unique_ptr<MbufPool> made = Make();
    ASSERT_NE(made, nullptr);
    EXPECT_EQ(made->held(), 0);
    std::vector<Buffer*> buffers(200);
    ASSERT_TRUE(made->Allocate(buffers));
    pool_->Release(Chain(buffers));
    EXPECT_EQ(made->held(), 0);
    EXPECT_EQ(pool_->held(), 0);
  }
}

TEST_F(MbufPoolTest, AllOrNothingWhenThePoolIsEmpty) {
  // The driver's share, taken past the budget.
  std::vector<rte_mbuf*> rings(250);
  ASSERT_EQ(rte_pktmbuf_alloc_bulk(pool_->mempool(), rings.data(), 250), 0);
  std::vector<Buffer*> buffers(128);
  EXPECT_FALSE(pool_->Allocate(buffers));
  EXPECT_EQ(pool_->held(), 0);
  EXPECT_EQ(pool_->in_use(), 250u);
  FreeMbufs(rings);
  EXPECT_EQ(pool_->in_use(), 0u);
}

TEST_F(MbufPoolTest, ReuseForgetsWhatTheLastOwnerDid) {
  for (int round = 0; round < 1000; ++round) {
    std::vector<Buffer*> buffers(64);
    ASSERT_TRUE(pool_->Allocate(buffers));
    for (Buffer* buffer : buffers) {
      ASSERT_EQ(buffer->length, 0u);
      ASSERT_EQ(buffer->tailroom, 2048u);
      buffer->data += 100;
      buffer->length = 1000;
      buffer->tailroom = 3;
      buffer->tag = 0xFFFF;
    }
    pool_->Release(Chain(buffers));
  }
  EXPECT_EQ(pool_->in_use(), 0u);
}

TEST_F(MbufPoolTest, AReleasedBufferStaysWhileSomebodyElseRefersToIt) {
  Buffer* buffer = nullptr;
  ASSERT_TRUE(pool_->Allocate(std::span(&buffer, 1)));
  rte_mbuf* mbuf = MbufOf(buffer);
  rte_mbuf_refcnt_update(mbuf, 1);
  pool_->Release(buffer);
  EXPECT_EQ(pool_->held(), 0);
  EXPECT_EQ(pool_->in_use(), 1u);
  rte_pktmbuf_free(mbuf);
  EXPECT_EQ(pool_->in_use(), 0u);
}

TEST_F(MbufPoolTest, NobodyElsesBuffersAreTakenForMbufs) {
  std::vector<uint8_t> block(1024);
  Buffer foreign;
  foreign.handle = block.data();
  EXPECT_FALSE(LivesInMbuf(&foreign));
  foreign.handle = nullptr;
  EXPECT_FALSE(LivesInMbuf(&foreign));
  EXPECT_FALSE(LivesInMbuf(nullptr));
}

TEST(MbufPool, TooMuchIsAnErrorThatNamesTheFix) {
  ASSERT_TRUE(TestEal());
  MbufPool::Options options;
  options.name = "pool_test_huge";
  options.count = 10'000'000;
  const absl::StatusOr<std::unique_ptr<MbufPool>> pool = MbufPool::Create(options);
  ASSERT_FALSE(pool.ok());
  EXPECT_NE(pool.status().message().find("lower buffers"), absl::string_view::npos) << pool.status();
}

TEST(HugeMemory, GivesZeroedBlocksAndFallsBackToTheKernel) {
  ASSERT_TRUE(TestEal());
  for (const size_t bytes :
       {size_t{100}, size_t{1} << 20, size_t{1} << 30}) {  // the last is beyond the EAL's 512 MiB
    auto* block = static_cast<uint8_t*>(HugeMemory().Allocate(bytes));
    ASSERT_NE(block, nullptr) << bytes;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % 64, 0u);
    EXPECT_EQ(block[0], 0);
    EXPECT_EQ(block[bytes - 1], 0);
    block[bytes - 1] = 1;
    HugeMemory().Free(block, bytes);
  }
  HugeMemory().Free(nullptr, 1);
}

}  // namespace
}  // namespace tern
