#include "base/prng.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace tern {
namespace {

TEST(Prng, MatchesTheReferenceGenerator) {
  Prng prng(std::array<uint64_t, 4>{1, 2, 3, 4});
  for (const uint64_t expected :
       {uint64_t{11520}, uint64_t{0}, uint64_t{1509978240}, uint64_t{1215971899390074240},
        uint64_t{1216172134540287360}, uint64_t{607988272756665600}, uint64_t{16172922978634559625u}}) {
    EXPECT_EQ(prng.Next64(), expected);
  }
}

TEST(Prng, SameSeedSameSequenceAtCompileTimeToo) {
  constexpr uint64_t kTenth = [] {
    Prng prng(42);
    for (int i = 0; i < 9; ++i) prng.Next64();
    return prng.Next64();
  }();
  Prng prng(42);
  for (int i = 0; i < 9; ++i) prng.Next64();
  EXPECT_EQ(prng.Next64(), kTenth);
  EXPECT_NE(Prng(42).Next64(), Prng(43).Next64());
  EXPECT_NE(Prng(0).Next64(), 0u);
}

TEST(Prng, BelowReachesAllAndOnlyItsRange) {
  Prng prng(1);
  for (const uint64_t n : {1u, 2u, 3u, 7u, 8u, 9u, 100u}) {
    std::vector<int> counts(n);
    for (uint64_t i = 0; i < 1000 * n; ++i) {
      const uint64_t value = prng.Below(n);
      ASSERT_LT(value, n);
      ++counts[value];
    }
    // A thousand expected in each, five standard deviations allowed.
    for (const int count : counts) EXPECT_NEAR(count, 1000, 160) << n;
  }
  EXPECT_EQ(prng.Below(0), 0u);
  const uint64_t huge = (uint64_t{1} << 63) + 1;
  for (int i = 0; i < 100; ++i) EXPECT_LT(prng.Below(huge), huge);
}

TEST(Prng, BetweenIncludesBothEnds) {
  Prng prng(2);
  std::set<int64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(prng.Between(-2, 2));
  EXPECT_EQ(seen, (std::set<int64_t>{-2, -1, 0, 1, 2}));
  EXPECT_EQ(prng.Between(INT64_MIN, INT64_MIN), INT64_MIN);
  EXPECT_LT(prng.Between(INT64_MIN, INT64_MAX - 1), INT64_MAX);
}

TEST(Prng, BernoulliKeepsItsOdds) {
  Prng prng(3);
  int hits = 0;
  for (int i = 0; i < 1'000'000; ++i) hits += prng.Bernoulli(10'000) ? 1 : 0;
  EXPECT_NEAR(hits, 10'000, 500);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_FALSE(prng.Bernoulli(0));
    EXPECT_TRUE(prng.Bernoulli(1'000'000));
  }
}

TEST(Prng, FillIsTheSequenceAsBytesAndForksDiffer) {
  Prng filler(4);
  std::vector<uint8_t> bytes(11);
  filler.Fill(bytes);
  Prng words(4);
  const uint64_t first = words.Next64();
  const uint64_t second = words.Next64();
  EXPECT_EQ(hash_internal::LoadLittle64(bytes.data()), first);
  EXPECT_EQ(bytes[10], static_cast<uint8_t>(second >> 16));
  Prng parent(5);
  Prng child = parent.Fork();
  EXPECT_NE(child.Next64(), parent.Next64());
}

}  // namespace
}  // namespace tern
