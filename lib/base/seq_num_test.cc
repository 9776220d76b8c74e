#include "base/seq_num.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/prng.h"

namespace tern {
namespace {

constexpr uint32_t kHalf = 0x80000000;

// Values around everything that wraps or changes sign.
std::vector<uint32_t> Interesting() {
  std::vector<uint32_t> values;
  for (const uint32_t centre : {0u, 0x7fffu, 0xffffu, 0x3fffffffu, kHalf, 0xc0000000u, 0x12345678u}) {
    for (uint32_t offset = 0; offset < 5; ++offset) values.push_back(centre + offset - 2);
  }
  return values;
}

TEST(SeqNum, OrdersAcrossTheWrap) {
  const SeqNum last(0xffffffff);
  EXPECT_TRUE(last.Before(last + 1));
  EXPECT_EQ((last + 1).value(), 0u);
  EXPECT_EQ(last.DistanceTo(SeqNum(9)), 10u);
  EXPECT_EQ((SeqNum(3) - 5).value(), 0xfffffffeu);
  SeqNum moving(0xfffffffe);
  moving += 4;
  EXPECT_EQ(moving, SeqNum(2));
}

TEST(SeqNum, HalfTheCircleAheadIsAfter) {
  const SeqNum here(100);
  EXPECT_TRUE(here.Before(here + (kHalf - 1)));
  EXPECT_FALSE(here.Before(here - (kHalf - 1)));
  EXPECT_TRUE(here.After(here - (kHalf - 1)));
  // Opposite points: each is before the other. Nothing a peer sends may depend on it, but it must have a
  // value.
  EXPECT_TRUE(here.Before(here + kHalf));
  EXPECT_TRUE((here + kHalf).Before(here));
}

TEST(SeqNum, RelationsAreConsistentForEveryInterestingPair) {
  for (const uint32_t a : Interesting()) {
    for (const uint32_t b : Interesting()) {
      SCOPED_TRACE(testing::Message() << a << " " << b);
      const SeqNum x(a);
      const SeqNum y(b);
      const uint32_t ahead = b - a;
      EXPECT_EQ(x.DistanceTo(y), ahead);
      EXPECT_EQ(x + ahead, y);
      EXPECT_EQ(y - ahead, x);
      EXPECT_EQ(x == y, a == b);
      // By counting: y is ahead of x when it is reached in at most half a circle.
      EXPECT_EQ(x.Before(y), ahead != 0 && ahead <= kHalf);
      EXPECT_EQ(x.After(y), y.Before(x));
      EXPECT_EQ(x.AtOrBefore(y), !x.After(y));
      EXPECT_EQ(x.AtOrAfter(y), !x.Before(y));
      if (ahead != kHalf) {
        EXPECT_EQ(x.Before(y) + y.Before(x) + (x == y), 1) << "exactly one holds";
        EXPECT_EQ(Later(x, y), x.Before(y) ? y : x);
        EXPECT_EQ(Earlier(x, y), x.Before(y) ? x : y);
        EXPECT_EQ(Later(x, y), Later(y, x));
      }
    }
  }
}

TEST(SeqNum, WindowMembershipIsCounting) {
  for (const uint32_t start : Interesting()) {
    for (const uint32_t size : {0u, 1u, 2u, 65535u, 65536u, 0x3fffc000u, kHalf, 0xffffffffu}) {
      SCOPED_TRACE(testing::Message() << start << " +" << size);
      const SeqNum first(start);
      EXPECT_EQ(first.InWindow(first, size), size > 0);
      EXPECT_EQ((first + (size - 1)).InWindow(first, size), size > 0);
      EXPECT_FALSE((first + size).InWindow(first, size));
      EXPECT_FALSE((first - 1).InWindow(first, size));
    }
  }
}

TEST(SeqNum, RelationsDoNotDependOnWhereTheCircleStarts) {
  Prng prng(1);
  for (int i = 0; i < 100'000; ++i) {
    const SeqNum x(prng.Next32());
    const SeqNum y(prng.Next32());
    const uint32_t turn = prng.Next32();
    const uint32_t size = prng.Next32();
    ASSERT_EQ(x.Before(y), (x + turn).Before(y + turn));
    ASSERT_EQ(x.InWindow(y, size), (x + turn).InWindow(y + turn, size));
  }
}

}  // namespace
}  // namespace tern
