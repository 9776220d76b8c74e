#include "apps/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace tern::apps {
namespace {

constexpr double kPercents[] = {0.1, 1, 10, 25, 50, 75, 90, 99, 99.9, 99.99, 100};

TEST(Histogram, EmptyIsAllZero) {
  const Histogram h;
  EXPECT_EQ(h.count(), 0u);
  EXPECT_EQ(h.min(), 0);
  EXPECT_EQ(h.max(), 0);
  EXPECT_EQ(h.mean(), 0);
  EXPECT_EQ(h.Percentile(50), 0);
}

TEST(Histogram, SmallValuesAreExact) {
  Histogram h;
  for (int64_t v = 1; v <= 2000; ++v) h.Record(v);
  EXPECT_EQ(h.count(), 2000u);
  EXPECT_EQ(h.min(), 1);
  EXPECT_EQ(h.max(), 2000);
  EXPECT_DOUBLE_EQ(h.mean(), 1000.5);
  EXPECT_EQ(h.Percentile(50), 1000);
  EXPECT_EQ(h.Percentile(99), 1980);
  EXPECT_EQ(h.Percentile(0), 1);
  EXPECT_EQ(h.Percentile(100), 2000);
}

TEST(Histogram, OutsideTheRangeCountsAsTheNearestEnd) {
  Histogram h;
  h.Record(-5);
  h.Record(0);
  h.Record(Histogram::kMaxNanos + 1);
  h.Record(INT64_MAX);
  EXPECT_EQ(h.count(), 4u);
  EXPECT_EQ(h.min(), 1);
  EXPECT_EQ(h.max(), Histogram::kMaxNanos);
}

// Against the sorted list of everything recorded, over all magnitudes.
TEST(Histogram, PercentilesAreRightToThreeDigits) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> exponent(0, 12.5);
  Histogram h;
  std::vector<int64_t> all;
  for (int i = 0; i < 50'000; ++i) {
    all.push_back(static_cast<int64_t>(std::pow(10.0, exponent(random))));
    h.Record(all.back());
  }
  std::sort(all.begin(), all.end());
  for (const double percent : kPercents) {
    const auto rank = static_cast<size_t>(std::ceil(percent / 100 * static_cast<double>(all.size())));
    const int64_t exact = all[std::max<size_t>(rank, 1) - 1];
    EXPECT_GE(h.Percentile(percent), exact) << percent;
    EXPECT_LE(h.Percentile(percent), exact + exact / 1000 + 1) << percent;
  }
}

TEST(Histogram, EveryPowerOfTwoBoundaryKeepsItsDigits) {
  for (int64_t v = 1; v < Histogram::kMaxNanos; v *= 2) {
    for (const int64_t near : {v - 1, v, v + 1}) {
      if (near < 1) continue;
      Histogram h;
      h.Record(near);
      h.Record(Histogram::kMaxNanos);  // so that max() does not clamp the answer
      EXPECT_GE(h.Percentile(50), near);
      EXPECT_LE(h.Percentile(50), near + near / 1000 + 1);
    }
  }
}

TEST(Histogram, MergeEqualsRecordingTogether) {
  Histogram left, right, both;
  std::mt19937_64 random(11);
  for (int i = 0; i < 10'000; ++i) {
    const auto v = static_cast<int64_t>(random() % 10'000'000);
    (i % 3 == 0 ? left : right).Record(v);
    both.Record(v);
  }
  left.Merge(right);
  left.Merge(Histogram());
  EXPECT_EQ(left.count(), both.count());
  EXPECT_EQ(left.min(), both.min());
  EXPECT_EQ(left.max(), both.max());
  EXPECT_DOUBLE_EQ(left.mean(), both.mean());
  for (const double percent : kPercents) EXPECT_EQ(left.Percentile(percent), both.Percentile(percent));
}

TEST(Histogram, ClearForgets) {
  Histogram h;
  h.Record(100);
  h.Clear();
  EXPECT_EQ(h.count(), 0u);
  h.Record(5);
  EXPECT_EQ(h.min(), 5);
  EXPECT_EQ(h.Percentile(100), 5);
}

TEST(Histogram, OmittedRequestsAreCounted) {
  Histogram h;
  h.RecordWithExpectedInterval(1000, 100);  // 1000, and 900, 800, ... 100 for those that could not be sent
  EXPECT_EQ(h.count(), 10u);
  EXPECT_DOUBLE_EQ(h.mean(), 550);
  EXPECT_EQ(h.min(), 100);
  EXPECT_EQ(h.max(), 1000);
  h.Clear();
  h.RecordWithExpectedInterval(99, 100);  // in time: nothing was omitted
  EXPECT_EQ(h.count(), 1u);
  h.RecordWithExpectedInterval(1000, 0);
  EXPECT_EQ(h.count(), 2u);
}

// The walk by buckets against the plain loop it stands for.
TEST(Histogram, OmittedRequestsMatchThePlainLoop) {
  std::mt19937_64 random(13);
  for (int round = 0; round < 200; ++round) {
    const auto interval = static_cast<int64_t>(random() % 5000 + 1);
    const auto value = static_cast<int64_t>(random() % 20'000'000);
    Histogram fast, plain;
    fast.RecordWithExpectedInterval(value, interval);
    plain.Record(value);
    for (int64_t v = value - interval; v >= interval; v -= interval) plain.Record(v);
    ASSERT_EQ(fast.count(), plain.count()) << value << " every " << interval;
    EXPECT_DOUBLE_EQ(fast.mean(), plain.mean());
    EXPECT_EQ(fast.min(), plain.min());
    for (const double percent : kPercents) EXPECT_EQ(fast.Percentile(percent), plain.Percentile(percent));
  }
}

TEST(Histogram, AnHourAtTheHighestRateIsBounded) {
  Histogram h;
  h.RecordWithExpectedInterval(Histogram::kMaxNanos, 1);
  EXPECT_EQ(h.count(), static_cast<uint64_t>(Histogram::kMaxNanos));
  EXPECT_NEAR(static_cast<double>(h.Percentile(50)), 1.8e12, 1.8e9);
}

}  // namespace
}  // namespace tern::apps
