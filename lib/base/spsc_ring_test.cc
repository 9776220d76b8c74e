#include "base/spsc_ring.h"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <thread>
#include <type_traits>
#include <vector>

#include "base/hash.h"

namespace tern {
namespace {

using Ring = SpscRing<uint64_t>;
static_assert(!std::is_copy_constructible_v<Ring::Producer> && !std::is_copy_assignable_v<Ring::Producer>);
static_assert(!std::is_copy_constructible_v<Ring::Consumer> && !std::is_copy_assignable_v<Ring::Consumer>);
static_assert(alignof(Ring::Producer) == 64 && alignof(Ring::Consumer) == 64);
static_assert(sizeof(Ring::Producer) == 64 && sizeof(Ring::Consumer) == 64);

TEST(SpscRing, HoldsExactlyItsCapacityInOrder) {
  Ring ring(HeapMemory(), 5);
  ASSERT_TRUE(ring.ok());
  EXPECT_EQ(ring.capacity(), 8u);
  Ring::Producer producer = ring.TakeProducer();
  Ring::Consumer consumer = ring.TakeConsumer();
  EXPECT_TRUE(consumer.empty());
  for (uint64_t i = 0; i < 8; ++i) EXPECT_TRUE(producer.Push(i));
  EXPECT_FALSE(producer.Push(99));
  EXPECT_EQ(producer.room(), 0u);
  EXPECT_EQ(consumer.waiting(), 8u);
  uint64_t value = 0;
  for (uint64_t i = 0; i < 8; ++i) {
    ASSERT_TRUE(consumer.Pop(value));
    EXPECT_EQ(value, i);
  }
  value = 1234;
  EXPECT_FALSE(consumer.Pop(value));
  EXPECT_EQ(value, 1234u);
  EXPECT_EQ(producer.room(), 8u);
}

TEST(SpscRing, CapacityOfOneAndZero) {
  Ring ring(HeapMemory(), 0);
  EXPECT_EQ(ring.capacity(), 1u);
  Ring::Producer producer = ring.TakeProducer();
  Ring::Consumer consumer = ring.TakeConsumer();
  for (uint64_t i = 0; i < 3; ++i) {
    uint64_t value = 0;
    EXPECT_TRUE(producer.Push(i));
    EXPECT_FALSE(producer.Push(i));
    EXPECT_TRUE(consumer.Pop(value));
    EXPECT_EQ(value, i);
  }
}

class NoMemory final : public MemorySource {
 public:
  void* Allocate(size_t) override { return nullptr; }
  void Free(void*, size_t) override { ADD_FAILURE() << "nothing was given"; }
};

TEST(SpscRing, WithoutMemoryIsFullAndEmpty) {
  NoMemory memory;
  Ring ring(memory, 16);
  EXPECT_FALSE(ring.ok());
  Ring::Producer producer = ring.TakeProducer();
  Ring::Consumer consumer = ring.TakeConsumer();
  uint64_t value = 0;
  EXPECT_FALSE(producer.Push(1));
  EXPECT_FALSE(consumer.Pop(value));
}

TEST(SpscRing, AnEndThatWasMovedFromDoesNothing) {
  Ring ring(HeapMemory(), 4);
  Ring::Producer first = ring.TakeProducer();
  Ring::Consumer taker = ring.TakeConsumer();
  ASSERT_TRUE(first.Push(1));
  ASSERT_TRUE(first.Push(2));
  uint64_t value = 0;
  ASSERT_TRUE(taker.Pop(value));
  Ring::Producer second = std::move(first);
  Ring::Consumer other = std::move(taker);
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): that is the point
  EXPECT_FALSE(first.Push(7));
  EXPECT_EQ(first.room(), 0u);
  EXPECT_FALSE(taker);  // NOLINT(bugprone-use-after-move)
  EXPECT_FALSE(taker.Pop(value));
  EXPECT_TRUE(second.Push(3));
  std::array<uint64_t, 4> out{};
  EXPECT_EQ(other.PopSome(out), 2u);
  EXPECT_EQ(out[0], 2u);
  EXPECT_EQ(out[1], 3u);
  Ring::Producer none;
  EXPECT_FALSE(none);
  EXPECT_FALSE(none.Push(1));
}

#if GTEST_HAS_DEATH_TEST
TEST(SpscRingDeathTest, EachEndIsGivenOnce) {
  Ring ring(HeapMemory(), 4);
  const Ring::Producer producer = ring.TakeProducer();
  EXPECT_TRUE(producer);
  EXPECT_DEATH((void)ring.TakeProducer(), "producer_taken_");
}
#endif

TEST(SpscRing, AgreesWithADequeUnderRandomBulks) {
  for (const size_t capacity : {1u, 2u, 8u, 64u}) {
    Ring ring(HeapMemory(), capacity);
    Ring::Producer producer = ring.TakeProducer();
    Ring::Consumer consumer = ring.TakeConsumer();
    std::deque<uint64_t> model;
    uint64_t next = 0;
    uint64_t state = capacity;
    const auto below = [&](uint64_t n) { return MixBits(state += 0x9e3779b97f4a7c15) % n; };
    for (int step = 0; step < 20'000; ++step) {
      std::vector<uint64_t> bulk(below(capacity * 3 / 2 + 2));
      if (below(2) == 0) {
        for (uint64_t& value : bulk) value = next++;
        const size_t pushed = producer.PushSome(bulk);
        ASSERT_EQ(pushed, std::min(bulk.size(), capacity - model.size()));
        model.insert(model.end(), bulk.begin(), bulk.begin() + static_cast<ptrdiff_t>(pushed));
      } else {
        const size_t popped = consumer.PopSome(bulk);
        ASSERT_EQ(popped, std::min(bulk.size(), model.size()));
        for (size_t i = 0; i < popped; ++i) {
          ASSERT_EQ(bulk[i], model.front());
          model.pop_front();
        }
      }
      ASSERT_EQ(consumer.waiting(), model.size());
      ASSERT_EQ(producer.room(), capacity - model.size());
    }
  }
}

// Elements wider than a word and naming memory outside the ring: a torn element or a payload that is not yet
// visible shows as a mismatch, and as a race under the thread sanitizer.
TEST(SpscRing, TwoThreadsPassOwnershipOfMemory) {
  struct Message {
    uint64_t sequence;
    uint64_t* payload;
    uint64_t check;
  };
  constexpr uint64_t kMessages = 200'000;
  constexpr size_t kBlocks = 256;
  std::vector<uint64_t> blocks(kBlocks);
  SpscRing<Message> there(HeapMemory(), 64);
  SpscRing<uint64_t*> back(HeapMemory(), kBlocks);

  std::thread consumer_thread([in = there.TakeConsumer(), out = back.TakeProducer()]() mutable {
    std::array<Message, 17> messages{};
    for (uint64_t expected = 0; expected < kMessages;) {
      const size_t count = in.PopSome(messages);
      if (count == 0) std::this_thread::yield();
      for (size_t i = 0; i < count; ++i, ++expected) {
        const Message& m = messages[i];
        EXPECT_EQ(m.sequence, expected);
        EXPECT_EQ(m.check, MixBits(expected));
        EXPECT_EQ(*m.payload, ~expected);
        *m.payload = 0;
        EXPECT_TRUE(out.Push(m.payload)) << "as many places as blocks";
      }
    }
  });

  SpscRing<Message>::Producer out = there.TakeProducer();
  SpscRing<uint64_t*>::Consumer in = back.TakeConsumer();
  std::vector<uint64_t*> idle;
  for (uint64_t& block : blocks) idle.push_back(&block);
  std::vector<Message> bulk;
  uint64_t sequence = 0;
  uint64_t delivered = 0;
  while (delivered < kMessages) {
    uint64_t* block = nullptr;
    while (in.Pop(block)) {
      EXPECT_EQ(*block, 0u);
      idle.push_back(block);
    }
    while (!idle.empty() && bulk.size() < 23 && sequence < kMessages) {
      *idle.back() = ~sequence;
      bulk.push_back({sequence, idle.back(), MixBits(sequence)});
      idle.pop_back();
      ++sequence;
    }
    const size_t pushed = out.PushSome(bulk);
    if (pushed == 0) std::this_thread::yield();
    bulk.erase(bulk.begin(), bulk.begin() + static_cast<ptrdiff_t>(pushed));
    delivered += pushed;
  }
  consumer_thread.join();
}

}  // namespace
}  // namespace tern
