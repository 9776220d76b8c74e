#include "base/buffer.h"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <vector>

#include "base/prng.h"

namespace tern {
namespace {

// The chain's buffers by their tags, walked from the front, checking the back on the way.
std::vector<uint32_t> Tags(const BufferChain& chain) {
  std::vector<uint32_t> tags;
  const Buffer* last = nullptr;
  for (const Buffer* b = chain.front(); b != nullptr; b = b->next) {
    tags.push_back(b->tag);
    last = b;
  }
  EXPECT_EQ(chain.back(), last);
  EXPECT_EQ(chain.empty(), tags.empty());
  return tags;
}

TEST(Buffer, TrimsAtBothEnds) {
  std::array<uint8_t, 8> bytes = {0, 1, 2, 3, 4, 5, 6, 7};
  Buffer buffer{.data = bytes.data(), .length = 8};
  buffer.TrimFront(3);
  buffer.TrimBack(2);
  const std::vector<uint8_t> left(buffer.bytes().begin(), buffer.bytes().end());
  EXPECT_EQ(left, (std::vector<uint8_t>{3, 4, 5}));
  buffer.TrimFront(3);
  EXPECT_TRUE(buffer.bytes().empty());
}

TEST(BufferChain, AppendsAndPopsInOrder) {
  std::array<Buffer, 3> buffers;
  BufferChain chain;
  EXPECT_EQ(chain.PopFront(), nullptr);
  for (uint32_t i = 0; i < 3; ++i) {
    buffers[i].tag = i;
    buffers[i].next = &buffers[0];  // stale link from another chain
    chain.PushBack(&buffers[i]);
  }
  EXPECT_EQ(Tags(chain), (std::vector<uint32_t>{0, 1, 2}));
  for (uint32_t i = 0; i < 3; ++i) {
    Buffer* popped = chain.PopFront();
    ASSERT_EQ(popped, &buffers[i]);
    EXPECT_EQ(popped->next, nullptr);
  }
  EXPECT_EQ(Tags(chain), std::vector<uint32_t>{});
}

TEST(BufferChain, SpliceOfAndIntoEmpty) {
  Buffer only{.tag = 7};
  BufferChain chain;
  BufferChain other;
  chain.Splice(other);
  EXPECT_TRUE(chain.empty());
  other.PushBack(&only);
  chain.Splice(other);
  EXPECT_EQ(Tags(chain), std::vector<uint32_t>{7});
  EXPECT_EQ(Tags(other), std::vector<uint32_t>{});
  chain.Splice(other);
  EXPECT_EQ(Tags(chain), std::vector<uint32_t>{7});
  const BufferChain moved = std::move(chain);
  EXPECT_EQ(Tags(moved), std::vector<uint32_t>{7});
  EXPECT_TRUE(chain.empty());  // NOLINT(bugprone-use-after-move): left empty by contract
}

TEST(BufferChain, TakeAllGivesARawList) {
  std::array<Buffer, 2> buffers;
  BufferChain chain;
  EXPECT_EQ(chain.TakeAll(), nullptr);
  for (Buffer& b : buffers) chain.PushBack(&b);
  Buffer* list = chain.TakeAll();
  EXPECT_EQ(list, &buffers[0]);
  EXPECT_EQ(list->next, &buffers[1]);
  EXPECT_EQ(list->next->next, nullptr);
  EXPECT_EQ(Tags(chain), std::vector<uint32_t>{});
}

TEST(BufferChain, AgreesWithDeques) {
  std::array<Buffer, 30> buffers;
  std::vector<Buffer*> idle;
  for (uint32_t i = 0; i < buffers.size(); ++i) {
    buffers[i].tag = i;
    idle.push_back(&buffers[i]);
  }
  std::array<BufferChain, 3> chains;
  std::array<std::deque<uint32_t>, 3> models;
  Prng prng(1);
  for (int step = 0; step < 20'000; ++step) {
    const uint64_t which = prng.Below(3);
    const uint64_t from = (which + 1 + prng.Below(2)) % 3;
    switch (prng.Below(5)) {
      case 0:
        chains[which].Splice(chains[from]);
        models[which].insert(models[which].end(), models[from].begin(), models[from].end());
        models[from].clear();
        break;
      case 1:
        if (Buffer* popped = chains[which].PopFront(); popped != nullptr) {
          ASSERT_EQ(popped->tag, models[which].front());
          models[which].pop_front();
          idle.push_back(popped);
        } else {
          ASSERT_TRUE(models[which].empty());
        }
        break;
      default:
        if (idle.empty()) break;
        chains[which].PushBack(idle.back());
        models[which].push_back(idle.back()->tag);
        idle.pop_back();
    }
    ASSERT_EQ(Tags(chains[which]), std::vector<uint32_t>(models[which].begin(), models[which].end()));
    ASSERT_EQ(Tags(chains[from]), std::vector<uint32_t>(models[from].begin(), models[from].end()));
  }
}

}  // namespace
}  // namespace tern
