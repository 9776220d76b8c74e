#include "base/instant.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace tern {
namespace {

TEST(Duration, UnitsAgree) {
  EXPECT_EQ(Duration::Seconds(2), Duration::Millis(2000));
  EXPECT_EQ(Duration::Millis(2), Duration::Micros(2000));
  EXPECT_EQ(Duration::Micros(2), Duration::Nanos(2000));
  EXPECT_EQ(Duration::Seconds(3).nanos(), 3'000'000'000);
  EXPECT_EQ(Duration::Nanos(1'999'999).millis(), 1);
  EXPECT_EQ(Duration::Nanos(1'999'999).micros(), 1999);
  EXPECT_EQ(Duration().nanos(), 0);
  EXPECT_EQ(Duration(), Duration::Zero());
}

TEST(Duration, ArithmeticAndOrder) {
  EXPECT_EQ(Duration::Millis(5) + Duration::Millis(7), Duration::Millis(12));
  EXPECT_EQ(Duration::Millis(5) - Duration::Millis(7), Duration::Millis(-2));
  EXPECT_EQ(Duration::Millis(5) * 3, Duration::Millis(15));
  EXPECT_EQ(Duration::Millis(15) / 4, Duration::Micros(3750));
  EXPECT_LT(Duration::Millis(-1), Duration::Zero());
  EXPECT_GT(Duration::Micros(1), Duration::Nanos(999));
}

TEST(Instant, PointsAndDistances) {
  const Instant start = Instant::FromNanos(5'000'000'000);
  EXPECT_EQ(start.millis(), 5000);
  EXPECT_EQ(start.micros(), 5'000'000);
  EXPECT_EQ(start + Duration::Seconds(1) - start, Duration::Seconds(1));
  EXPECT_EQ(start - Duration::Seconds(6), Instant::FromNanos(-1'000'000'000));
  EXPECT_EQ(start + Duration::Seconds(-6), start - Duration::Seconds(6));
  EXPECT_LT(start, start + Duration::Nanos(1));
  EXPECT_EQ(Instant(), Instant::FromNanos(0));
}

TEST(Instant, NeverIsLastAndSticks) {
  EXPECT_GT(Instant::Never(), Instant::FromNanos(INT64_MAX - 1));
  EXPECT_EQ(Instant::Never() + Duration::Seconds(1), Instant::Never());
  EXPECT_EQ(Instant::Never() + Duration::Seconds(-1), Instant::Never());
  EXPECT_EQ(Instant::Never() + Duration::Zero(), Instant::Never());
  EXPECT_EQ(Instant::FromNanos(INT64_MAX - 5) + Duration::Nanos(4), Instant::FromNanos(INT64_MAX - 1));
  EXPECT_EQ(Instant::FromNanos(INT64_MAX - 5) + Duration::Nanos(5), Instant::Never());
  EXPECT_EQ(Instant::FromNanos(INT64_MAX - 5) + Duration::Nanos(6), Instant::Never());
  EXPECT_EQ(Instant::FromNanos(1) + Duration::Nanos(INT64_MAX), Instant::Never());
}

TEST(Instant, IsAConstantExpression) {
  static_assert(Instant::FromNanos(1) + Duration::Micros(1) == Instant::FromNanos(1001));
  static_assert(Instant::Never() > Instant());
}

}  // namespace
}  // namespace tern
