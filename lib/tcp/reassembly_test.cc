#include "tcp/reassembly.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/memory_source.h"
#include "tcp/coalesce.h"
#include "tcp/random_for_test.h"

namespace tern::tcp {
namespace {

// Heap buffers, each accounted for.
class Heap {
 public:
  Buffer* Make(const std::string& bytes, uint32_t cost, uint32_t tailroom = 0) {
    Block& block = blocks_.emplace_back(std::make_unique<Owned>());
    block->memory.assign(bytes.begin(), bytes.end());
    block->memory.resize(bytes.size() + tailroom);
    Buffer& buffer = block->buffer;
    buffer.data = block->memory.data();
    buffer.length = static_cast<uint32_t>(bytes.size());
    buffer.tailroom = tailroom;
    buffer.cost = cost;
    live_.insert(&buffer);
    return &buffer;
  }
  // Returns the bytes of the chain and takes its buffers back.
  std::string Drain(BufferChain& chain) {
    std::string bytes;
    while (Buffer* buffer = chain.PopFront()) {
      bytes.append(reinterpret_cast<const char*>(buffer->data), buffer->length);
      EXPECT_EQ(live_.erase(buffer), 1u) << "released twice";
    }
    return bytes;
  }
  size_t live() const { return live_.size(); }

 private:
  struct Owned {
    Buffer buffer;
    std::vector<uint8_t> memory;
  };
  using Block = std::unique_ptr<Owned>;
  std::vector<Block> blocks_;
  std::set<Buffer*> live_;
};

class ReassemblyTest : public testing::Test {
 protected:
  SeqNum Seq(uint32_t offset) const { return base_ + offset; }
  SeqRange Range(uint32_t from, uint32_t to) const { return {Seq(from), Seq(to)}; }
  InsertResult Insert(uint32_t offset, const std::string& bytes, bool fin = false) {
    const InsertResult result = queue_.Insert(pool_, limits_, heap_.Make(bytes, kCost, tailroom_),
                                              Seq(offset), fin, Seq(nxt_), Seq(nxt_ + window_), released_);
    heap_.Drain(released_);
    return result;
  }
  std::string Take(bool* fin = nullptr) {
    BufferChain out;
    const Reassembly::Taken taken = queue_.TakeInOrder(pool_, Seq(nxt_), out, released_);
    heap_.Drain(released_);
    std::string bytes = heap_.Drain(out);
    EXPECT_EQ(taken.octets, bytes.size());
    nxt_ += taken.octets;
    if (fin != nullptr) *fin = taken.fin;
    return bytes;
  }
  std::vector<SeqRange> Blocks(size_t max) const {
    std::vector<SeqRange> blocks(max);
    blocks.resize(queue_.SackBlocks(pool_, blocks));
    return blocks;
  }
  void TearDown() override {
    queue_.Clear(pool_, released_);
    heap_.Drain(released_);
    EXPECT_EQ(heap_.live(), 0u);
    EXPECT_EQ(pool_.in_use(), 0u);
    EXPECT_EQ(queue_.cost(), 0u);
    EXPECT_EQ(queue_.octets(), 0u);
    EXPECT_EQ(queue_.range_count(), 0u);
  }

  static constexpr uint32_t kCost = 100;
  Heap heap_;
  ReassemblyPool pool_{HeapMemory(), 64};
  Reassembly queue_;
  BufferChain released_;
  ReassemblyLimits limits_{.max_cost = 100'000, .max_ranges = 16};
  SeqNum base_{0xffffffe0};
  uint32_t nxt_ = 0;
  uint32_t window_ = 1000;
  uint32_t tailroom_ = 0;
};

TEST_F(ReassemblyTest, TheRunAroundAnOctet) {
  EXPECT_TRUE(IsEmpty(queue_.RunAround(pool_, Seq(3))));
  Insert(2, "CDE");
  Insert(8, "IJ");
  EXPECT_TRUE(IsEmpty(queue_.RunAround(pool_, Seq(1))));
  EXPECT_EQ(queue_.RunAround(pool_, Seq(2)), Range(2, 5));
  EXPECT_EQ(queue_.RunAround(pool_, Seq(4)), Range(2, 5));
  EXPECT_TRUE(IsEmpty(queue_.RunAround(pool_, Seq(5))));
  EXPECT_EQ(queue_.RunAround(pool_, Seq(9)), Range(8, 10));
  EXPECT_TRUE(IsEmpty(queue_.RunAround(pool_, Seq(10))));
}

TEST_F(ReassemblyTest, HoldsUntilTheGapIsFilled) {
  EXPECT_EQ(Insert(5, "fghij").stored, 5u);
  EXPECT_EQ(Take(), "");
  EXPECT_EQ(queue_.octets(), 5u);
  EXPECT_EQ(Insert(0, "abcde").stored, 5u);
  EXPECT_EQ(Take(), "abcdefghij");
  EXPECT_TRUE(queue_.empty());
}

TEST_F(ReassemblyTest, FirstCopyWinsWhereverItIsOverlapped) {
  Insert(10, "KLMNO");
  const InsertResult front = Insert(8, "ijxx");  // runs into the held one
  EXPECT_EQ(front.stored, 2u);
  EXPECT_EQ(front.duplicate, Range(10, 12));
  const InsertResult back = Insert(13, "yyPQ");  // begins inside it
  EXPECT_EQ(back.stored, 2u);
  EXPECT_EQ(back.duplicate, Range(13, 15));
  const InsertResult inside = Insert(9, "zzz");
  EXPECT_EQ(inside.drop, DropReason::kTcpDuplicatePayload);
  EXPECT_EQ(inside.duplicate, Range(9, 12));
  const InsertResult around = Insert(0, "abcdefghzzzzzzzzzRST");
  EXPECT_EQ(around.stored, 11u);
  EXPECT_EQ(around.duplicate, Range(8, 17));
  EXPECT_EQ(Take(), "abcdefghijKLMNOPQRST");
}

TEST_F(ReassemblyTest, OneSegmentSurroundsSeveral) {
  Insert(2, "C");
  Insert(4, "E");
  Insert(6, "GH");
  const InsertResult result = Insert(1, "bxdxfxxi");
  EXPECT_EQ(result.stored, 4u);
  EXPECT_EQ(result.duplicate, Range(2, 3));
  EXPECT_EQ(queue_.range_count(), 1u);
  Insert(0, "a");
  EXPECT_EQ(Take(), "abCdEfGHi");
}

TEST_F(ReassemblyTest, CutsWhatLiesOutsideTheWindow) {
  window_ = 10;
  nxt_ = 5;
  const InsertResult before = Insert(3, "defg");
  EXPECT_EQ(before.stored, 2u);
  EXPECT_EQ(before.duplicate, Range(3, 5));
  EXPECT_EQ(Insert(0, "abcde").drop, DropReason::kTcpDuplicatePayload);
  EXPECT_EQ(Insert(13, "nopq").stored, 2u);
  EXPECT_EQ(Insert(15, "p").drop, DropReason::kTcpOutOfWindow);
  EXPECT_EQ(Insert(40, "x").drop, DropReason::kTcpOutOfWindow);
  EXPECT_EQ(Insert(7, "hijklm").stored, 6u);
  EXPECT_EQ(Take(), "fghijklmno");
}

TEST_F(ReassemblyTest, FinWaitsForItsPlace) {
  EXPECT_TRUE(Insert(3, "def", true).fin_stored);
  EXPECT_TRUE(queue_.has_fin());
  EXPECT_EQ(queue_.fin_seq(), Seq(6));
  bool fin = true;
  EXPECT_EQ(Take(&fin), "");
  EXPECT_FALSE(fin);
  // Beyond the FIN there is nothing; an earlier or a later FIN contradicts it.
  EXPECT_EQ(Insert(6, "g").drop, DropReason::kTcpDataAfterClose);
  EXPECT_EQ(Insert(5, "fgh").drop, DropReason::kTcpDuplicatePayload);
  EXPECT_FALSE(Insert(0, "a", true).fin_stored);
  EXPECT_EQ(queue_.fin_seq(), Seq(6));
  Insert(1, "bc");
  EXPECT_EQ(Take(&fin), "abcdef");
  EXPECT_TRUE(fin);
  EXPECT_TRUE(queue_.empty());
  Take(&fin);
  EXPECT_FALSE(fin);
}

TEST_F(ReassemblyTest, FinWithoutDataAndAtTheEdge) {
  window_ = 4;
  EXPECT_FALSE(Insert(5, "", true).fin_stored);
  EXPECT_TRUE(Insert(4, "", true).fin_stored);
  EXPECT_FALSE(queue_.has_data());
  EXPECT_FALSE(queue_.empty());
  Insert(0, "abcd");
  bool fin = false;
  EXPECT_EQ(Take(&fin), "abcd");
  EXPECT_TRUE(fin);
}

TEST_F(ReassemblyTest, FinBelowHeldDataIsIgnored) {
  nxt_ = 2;
  EXPECT_FALSE(Insert(0, "a", true).fin_stored);
  Insert(5, "fg");
  EXPECT_FALSE(Insert(2, "c", true).fin_stored);
  EXPECT_FALSE(queue_.has_fin());
}

// RFC 2018 5: the left edge is at 5000, segments of 500 octets.
class Rfc2018Test : public ReassemblyTest {
 protected:
  void SetUp() override {
    base_ = SeqNum(0);
    nxt_ = 5000;
    window_ = 10'000;
  }
  void Arrive(uint32_t seq) { Insert(seq, std::string(500, 'x')); }
};

TEST_F(Rfc2018Test, CaseTwoFirstLostOthersArrive) {
  Arrive(5500);
  EXPECT_EQ(Blocks(3), (std::vector<SeqRange>{Range(5500, 6000)}));
  Arrive(6000);
  EXPECT_EQ(Blocks(3), (std::vector<SeqRange>{Range(5500, 6500)}));
  Arrive(6500);
  EXPECT_EQ(Blocks(3), (std::vector<SeqRange>{Range(5500, 7000)}));
}

TEST_F(Rfc2018Test, CaseThreeEveryOtherIsLost) {
  Arrive(5000);
  EXPECT_EQ(Take().size(), 500u);
  Arrive(6000);
  EXPECT_EQ(Blocks(3), (std::vector<SeqRange>{Range(6000, 6500)}));
  Arrive(7000);
  EXPECT_EQ(Blocks(3), (std::vector<SeqRange>{Range(7000, 7500), Range(6000, 6500)}));
  Arrive(8000);
  EXPECT_EQ(Blocks(3), (std::vector<SeqRange>{Range(8000, 8500), Range(7000, 7500), Range(6000, 6500)}));
  // The fourth segment (6500) fills a hole between two blocks.
  Arrive(6500);
  EXPECT_EQ(Blocks(3), (std::vector<SeqRange>{Range(6000, 7500), Range(8000, 8500)}));
  // The second (5500) fills the first hole.
  Arrive(5500);
  EXPECT_EQ(Take().size(), 2000u);
  EXPECT_EQ(Blocks(3), (std::vector<SeqRange>{Range(8000, 8500)}));
}

TEST_F(Rfc2018Test, OnlyTheMostRecentFit) {
  for (uint32_t seq = 6000; seq < 12'000; seq += 1000) Arrive(seq);
  Arrive(7000);  // a duplicate: its block is the latest news
  EXPECT_EQ(Blocks(3),
            (std::vector<SeqRange>{Range(7000, 7500), Range(11'000, 11'500), Range(10'000, 10'500)}));
  EXPECT_EQ(Blocks(0).size(), 0u);
}

TEST_F(ReassemblyTest, TheFarthestGoesFirst) {
  limits_.max_cost = 3 * kCost;
  Insert(10, "k");
  Insert(20, "u");
  Insert(30, "E");
  // Farther than all: itself.
  EXPECT_EQ(Insert(40, "O").drop, DropReason::kTcpReassemblyFull);
  EXPECT_EQ(queue_.range_count(), 3u);
  EXPECT_EQ(Insert(31, "F").drop, DropReason::kTcpReassemblyFull);
  // Nearer than some: those.
  EXPECT_EQ(Insert(5, "f").stored, 1u);
  EXPECT_EQ(Blocks(4), (std::vector<SeqRange>{Range(5, 6), Range(20, 21), Range(10, 11)}));
  EXPECT_LE(queue_.cost(), limits_.max_cost);
}

TEST_F(ReassemblyTest, WhatCostsMoreThanAllTheRoomIsRefused) {
  limits_.max_cost = kCost - 1;
  EXPECT_EQ(Insert(10, "k").drop, DropReason::kTcpReassemblyFull);
  limits_.max_cost = kCost;
  EXPECT_EQ(Insert(10, "k").drop, DropReason::kNone);
}

// In-order data that came another way may have overtaken what is held.
TEST_F(ReassemblyTest, WhatFellBehindIsReleased) {
  Insert(5, "fg");
  Insert(7, "h");
  Insert(10, "klm");
  Insert(20, "u");
  nxt_ = 8;
  EXPECT_EQ(Take(), "");
  EXPECT_EQ(queue_.range_count(), 2u);
  nxt_ = 11;
  BufferChain out;
  const Reassembly::Taken taken = queue_.TakeInOrder(pool_, Seq(nxt_), out, released_);
  EXPECT_EQ(taken.octets, 2u);
  EXPECT_EQ(taken.cost, kCost);
  ASSERT_FALSE(out.empty());
  EXPECT_EQ(SeqNum(out.front()->tag), Seq(11));
  EXPECT_EQ(heap_.Drain(out), "lm");
}

TEST_F(ReassemblyTest, ALongRangeLosesOnlyItsEnd) {
  limits_.max_cost = 16 * kCost;
  for (uint32_t i = 0; i < 16; ++i) Insert(100 + i, "x");
  EXPECT_EQ(queue_.cost(), 16 * kCost);
  EXPECT_EQ(Insert(50, "y").stored, 1u);
  EXPECT_EQ(queue_.octets(), 15u);  // an eighth of 16 is two
  EXPECT_EQ(Blocks(2)[1], Range(100, 114));
}

TEST_F(ReassemblyTest, RangesAreBoundedToo) {
  limits_.max_ranges = 3;
  for (const uint32_t at : {10u, 20u, 30u}) Insert(at, "x");
  EXPECT_EQ(Insert(40, "x").drop, DropReason::kTcpReassemblyFull);
  EXPECT_EQ(Insert(15, "x").stored, 1u);
  EXPECT_EQ(Blocks(4), (std::vector<SeqRange>{Range(15, 16), Range(20, 21), Range(10, 11)}));
  // What touches a range needs no new one.
  EXPECT_EQ(Insert(21, "x").stored, 1u);
  EXPECT_EQ(Insert(19, "x").stored, 1u);
  EXPECT_EQ(Blocks(1), (std::vector<SeqRange>{Range(19, 22)}));
  EXPECT_EQ(queue_.range_count(), 3u);
}

TEST_F(ReassemblyTest, TheShardsPoolMayRunDry) {
  limits_.max_ranges = 1000;
  std::vector<uint32_t> others;
  while (pool_.in_use() < pool_.limit() - 1) others.push_back(pool_.Allocate());
  EXPECT_EQ(Insert(20, "x").stored, 1u);
  EXPECT_EQ(Insert(30, "x").drop, DropReason::kTcpReassemblyFull);
  EXPECT_EQ(Insert(10, "x").stored, 1u);
  EXPECT_EQ(Blocks(4), (std::vector<SeqRange>{Range(10, 11)}));
  for (const uint32_t index : others) pool_.Release(index);
}

TEST_F(ReassemblyTest, SmallSegmentsShareABuffer) {
  tailroom_ = 50;
  for (uint32_t i = 0; i < 40; ++i) EXPECT_EQ(Insert(10 + i, "x").stored, 1u);
  EXPECT_EQ(queue_.cost(), kCost);
  EXPECT_EQ(heap_.live(), 1u);
  // Full ones do not.
  Insert(50, std::string(kCost / 2, 'y'));
  EXPECT_EQ(queue_.cost(), 2 * kCost);
}

TEST_F(ReassemblyTest, ShedTakesFromTheEnd) {
  for (const uint32_t at : {10u, 20u, 30u}) Insert(at, "x");
  Insert(40, "x");
  EXPECT_EQ(queue_.Shed(pool_, kCost, released_), kCost);
  EXPECT_EQ(queue_.Shed(pool_, kCost + 1, released_), 2 * kCost);
  EXPECT_EQ(queue_.Shed(pool_, 1'000'000, released_), kCost);
  EXPECT_EQ(queue_.Shed(pool_, 1, released_), 0u);
  heap_.Drain(released_);
}

TEST(TryCoalesce, OnlyWhenItFitsAndPays) {
  Heap heap;
  BufferChain done;
  Buffer* tail = heap.Make("abc", 1000, 10);
  Buffer* next = heap.Make("defg", 1000, 0);
  Buffer* big = heap.Make("hijklmnop", 1000, 0);
  Buffer* dear = heap.Make("h", kCoalesceGain - 1, 0);
  EXPECT_TRUE(TryCoalesce(tail, next));
  EXPECT_EQ(tail->length, 7u);
  EXPECT_EQ(tail->tailroom, 6u);
  EXPECT_EQ(next->length, 0u);
  EXPECT_FALSE(TryCoalesce(tail, big));
  EXPECT_FALSE(TryCoalesce(tail, dear));
  Buffer* exact = heap.Make("hijklm", 6 * kCoalesceGain, 0);
  EXPECT_TRUE(TryCoalesce(tail, exact));
  EXPECT_EQ(tail->tailroom, 0u);
  for (Buffer* buffer : {tail, next, big, dear, exact}) done.PushBack(buffer);
  EXPECT_EQ(heap.Drain(done), "abcdefghijklmhijklmnoph");
}

// Against a map of octets in which the first copy stays.
class ReassemblyModelTest : public ReassemblyTest, public testing::WithParamInterface<uint32_t> {
 protected:
  struct Expected {
    uint32_t stored = 0;
    SeqRange duplicate;
  };
  Expected ModelInsert(uint32_t offset, const std::string& bytes) {
    Expected expected;
    const uint32_t end = std::min<uint32_t>(offset + static_cast<uint32_t>(bytes.size()), nxt_ + window_);
    bool first_run = true;
    bool in_run = false;
    for (uint32_t at = offset; at < end; ++at) {
      const bool duplicate = at < nxt_ || model_.contains(at);
      if (duplicate && first_run) {
        if (!in_run) expected.duplicate.start = Seq(at);
        in_run = true;
        expected.duplicate.end = Seq(at + 1);
      } else if (in_run) {
        first_run = false;
      }
      if (!duplicate) {
        model_[at] = bytes[at - offset];
        ++expected.stored;
      }
    }
    return expected;
  }
  std::string ModelTake() {
    std::string bytes;
    for (auto it = model_.find(nxt_); it != model_.end() && it->first == nxt_ + bytes.size();
         it = model_.erase(it)) {
      bytes.push_back(it->second);
    }
    return bytes;
  }
  std::vector<SeqRange> ModelRanges() const {
    std::vector<SeqRange> ranges;
    for (const auto& [at, byte] : model_) {
      if (ranges.empty() || ranges.back().end != Seq(at)) ranges.push_back({Seq(at), Seq(at)});
      ranges.back().end = Seq(at + 1);
    }
    return ranges;
  }
  std::map<uint32_t, char> model_;
};

TEST_P(ReassemblyModelTest, IsByteExact) {
  Random random(GetParam());
  limits_ = {.max_cost = 1'000'000, .max_ranges = 64};
  window_ = 400;
  for (int step = 0; step < 8'000; ++step) {
    const uint32_t low = nxt_ > 20 ? nxt_ - 20 : 0;
    const uint32_t offset = low + random.Below(random.OneIn(3) ? 40 : 450);
    std::string bytes(1 + random.Below(random.OneIn(4) ? 200 : 20), ' ');
    for (char& byte : bytes) byte = static_cast<char>(random.Below(256));
    tailroom_ = random.OneIn(2) ? random.Below(60) : 0;
    const Expected expected = ModelInsert(offset, bytes);
    const InsertResult result = Insert(offset, bytes);
    ASSERT_EQ(result.stored, expected.stored) << "seed " << GetParam() << " step " << step;
    ASSERT_EQ(result.drop == DropReason::kNone, expected.stored > 0);
    ASSERT_EQ(result.duplicate.start, expected.duplicate.start) << "seed " << GetParam() << " step " << step;
    ASSERT_EQ(result.duplicate.end, expected.duplicate.end) << "seed " << GetParam() << " step " << step;
    std::vector<SeqRange> blocks = Blocks(64);
    if (expected.stored > 0) {
      const SeqNum last = Seq(std::max(offset, nxt_));
      EXPECT_TRUE(Contains(blocks[0], last) || !IsEmpty(result.duplicate));
    }
    std::sort(blocks.begin(), blocks.end(), [](SeqRange a, SeqRange b) { return a.start.Before(b.start); });
    ASSERT_EQ(blocks, ModelRanges()) << "seed " << GetParam() << " step " << step;
    ASSERT_EQ(queue_.octets(), model_.size());
    if (random.OneIn(3)) {
      const std::string taken = ModelTake();
      ASSERT_EQ(Take(), taken) << "seed " << GetParam() << " step " << step;
    }
  }
}

// Little room and a peer that never lies: whatever is dropped, what is delivered is the stream.
TEST_P(ReassemblyModelTest, NeverDeliversWrongBytesWhenRoomIsShort) {
  Random random(GetParam());
  limits_ = {.max_cost = 12 * kCost, .max_ranges = 5};
  window_ = 2000;
  const auto byte_at = [](uint32_t at) { return static_cast<char>(at * 31 + at / 256); };
  uint32_t delivered = 0;
  for (int step = 0; step < 8'000; ++step) {
    const uint32_t offset = nxt_ + (random.OneIn(8) ? 0 : random.Below(2100));
    std::string bytes(1 + random.Below(200), ' ');
    for (uint32_t i = 0; i < bytes.size(); ++i) bytes[i] = byte_at(offset + i);
    tailroom_ = random.Below(300);
    Insert(offset, bytes);
    ASSERT_LE(queue_.cost(), limits_.max_cost);
    ASSERT_LE(queue_.range_count(), limits_.max_ranges);
    ASSERT_LE(heap_.live(), 12u);
    if (random.OneIn(50)) {
      queue_.Shed(pool_, random.Below(500) + 1, released_);
      heap_.Drain(released_);
    }
    const std::string taken = Take();
    for (const char byte : taken)
      ASSERT_EQ(byte, byte_at(delivered++)) << "seed " << GetParam() << " step " << step;
    uint32_t octets = 0;
    for (const SeqRange& block : Blocks(64)) octets += Length(block);
    ASSERT_EQ(queue_.octets(), octets);
  }
  EXPECT_GT(delivered, 4'000u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, ReassemblyModelTest, testing::Values(1u, 2u, 3u, 4u));

}  // namespace
}  // namespace tern::tcp
