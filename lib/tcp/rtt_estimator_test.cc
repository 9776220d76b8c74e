#include "tcp/rtt_estimator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

namespace tern::tcp {
namespace {

constexpr RtoLimits kLimits{.min = Duration::Millis(200),
                            .max = Duration::Seconds(60),
                            .initial = Duration::Seconds(1),
                            .granularity = Duration::Micros(16)};

TEST(RttEstimator, InitialTimeoutUntilASample) {
  RttEstimator rtt;
  EXPECT_FALSE(rtt.has_sample());
  EXPECT_EQ(rtt.Rto(kLimits, 0), Duration::Seconds(1));
  EXPECT_EQ(rtt.Rto(kLimits, 3), Duration::Seconds(8));
}

TEST(RttEstimator, FirstSampleIsMeanAndTwiceTheDeviation) {
  RttEstimator rtt;
  rtt.Update(Duration::Millis(400));
  EXPECT_EQ(rtt.srtt(), Duration::Millis(400));
  EXPECT_EQ(rtt.rttvar(), Duration::Millis(200));
  EXPECT_EQ(rtt.Rto(kLimits, 0), Duration::Millis(1200));  // R + 4 * R/2
}

TEST(RttEstimator, SecondSampleByTheFormula) {
  RttEstimator rtt;
  rtt.Update(Duration::Millis(400));
  rtt.Update(Duration::Millis(800));
  EXPECT_EQ(rtt.rttvar(), Duration::Millis(250));  // 3/4 * 200 + 1/4 * 400
  EXPECT_EQ(rtt.srtt(), Duration::Millis(450));    // 7/8 * 400 + 1/8 * 800
  EXPECT_EQ(rtt.Rto(kLimits, 0), Duration::Millis(1450));
}

// The textbook's exercise: SampleRTT of 106, 120, 140, 90 and 115 ms after an EstimatedRTT of 100 and a
// DevRTT of 5. We start from the first sample instead, so the numbers are worked out from there.
TEST(RttEstimator, FollowsTheExactFormula) {
  RttEstimator rtt;
  double srtt = 0;
  double var = 0;
  bool first = true;
  for (const int ms : {100, 106, 120, 140, 90, 115, 115, 400, 20}) {
    rtt.Update(Duration::Millis(ms));
    const double r = ms * 1000.0;
    if (first) {
      srtt = r;
      var = r / 2;
      first = false;
    } else {
      var = 0.75 * var + 0.25 * std::abs(srtt - r);
      srtt = 0.875 * srtt + 0.125 * r;
    }
    EXPECT_NEAR(static_cast<double>(rtt.srtt().micros()), srtt, 8.0);
    EXPECT_NEAR(static_cast<double>(rtt.rttvar().micros()), var, 8.0);
  }
}

TEST(RttEstimator, ClampsToMinimumAndMaximum) {
  RttEstimator rtt;
  rtt.Update(Duration::Micros(50));
  EXPECT_EQ(rtt.Rto(kLimits, 0), kLimits.min);
  EXPECT_EQ(rtt.Rto(kLimits, 1), Duration::Millis(400));
  EXPECT_EQ(rtt.Rto(kLimits, 2), Duration::Millis(800));
  EXPECT_EQ(rtt.Rto(kLimits, 200), kLimits.max);
  RttEstimator slow;
  slow.Update(Duration::Seconds(50));
  EXPECT_EQ(slow.Rto(kLimits, 0), kLimits.max);
}

TEST(RttEstimator, SteadyPathKeepsGranularityAboveTheMean) {
  RttEstimator rtt;
  for (int i = 0; i < 200; ++i) rtt.Update(Duration::Millis(300));
  EXPECT_EQ(rtt.srtt(), Duration::Millis(300));
  // The deviation decays to a few microseconds, where G takes over.
  EXPECT_GE(rtt.Rto(kLimits, 0), Duration::Millis(300) + kLimits.granularity);
  EXPECT_LE(rtt.Rto(kLimits, 0), Duration::Millis(301));
}

TEST(RttEstimator, TakesAnySample) {
  RttEstimator rtt;
  rtt.Update(Duration::Nanos(-5));
  EXPECT_TRUE(rtt.has_sample());
  EXPECT_EQ(rtt.srtt(), Duration::Micros(1));
  for (int i = 0; i < 100; ++i) rtt.Update(Duration::Seconds(100'000));
  EXPECT_LE(rtt.srtt(), Duration::Seconds(120));
  EXPECT_GE(rtt.srtt(), Duration::Seconds(119));
}

}  // namespace
}  // namespace tern::tcp
