#include "tcp/congestion.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tcp/congestion_internal.h"
#include "tcp/random_for_test.h"

namespace tern::tcp {
namespace {

constexpr uint32_t kMss = 1000;

Instant AtMs(int64_t ms) { return Instant::FromNanos(ms * 1'000'000); }

CongestionState Make(CongestionAlgorithm algorithm) {
  CongestionState state;
  InitCongestion(state, algorithm, kMss);
  return state;
}

AckSample Sample(uint32_t acked, int64_t now_ms = 0, int64_t rtt_ms = 100) {
  return {.now = AtMs(now_ms), .srtt = Duration::Millis(rtt_ms), .acked = acked, .cwnd_limited = true};
}

TEST(InitialWindow, AsRfc6928BoundsIt) {
  EXPECT_EQ(InitialWindow(1460, 10), 14'600u);
  EXPECT_EQ(InitialWindow(536, 10), 5'360u);
  EXPECT_EQ(InitialWindow(8'960, 10), 17'920u);  // two jumbo segments
  EXPECT_EQ(InitialWindow(4'000, 10), 14'600u);
}

TEST(SlowStart, DoublesEachRoundTripWithAnAckPerSegment) {
  for (const auto algorithm : {CongestionAlgorithm::kNewReno, CongestionAlgorithm::kCubic}) {
    CongestionState state = Make(algorithm);
    uint32_t cwnd = 10 * kMss;
    for (int i = 0; i < 10; ++i) cwnd = OnAck(state, cwnd, Sample(kMss));
    EXPECT_EQ(cwnd, 20 * kMss);
    // Delayed ACKs of two segments do not slow it down (RFC 3465), larger ones count as two.
    EXPECT_EQ(OnAck(state, cwnd, Sample(2 * kMss)), 22 * kMss);
    EXPECT_EQ(OnAck(state, cwnd, Sample(9 * kMss)), 22 * kMss);
    EXPECT_EQ(OnAck(state, cwnd, Sample(1)), 20 * kMss + 1);
  }
}

TEST(SlowStart, StopsAtTheThreshold) {
  CongestionState state = Make(CongestionAlgorithm::kNewReno);
  state.ssthresh = 10'500;
  EXPECT_EQ(OnAck(state, 10'000, Sample(kMss)), 10'500u);
}

TEST(Congestion, AWindowThatIsNotUsedDoesNotGrow) {
  for (const auto algorithm : {CongestionAlgorithm::kNewReno, CongestionAlgorithm::kCubic}) {
    CongestionState state = Make(algorithm);
    AckSample sample = Sample(kMss);
    sample.cwnd_limited = false;
    EXPECT_EQ(OnAck(state, 10'000, sample), 10'000u);
    state.ssthresh = 5'000;
    EXPECT_EQ(OnAck(state, 10'000, sample), 10'000u);
  }
}

TEST(NewReno, OneSegmentPerRoundTrip) {
  CongestionState state = Make(CongestionAlgorithm::kNewReno);
  state.ssthresh = 10 * kMss;
  uint32_t cwnd = 10 * kMss;
  for (int i = 0; i < 9; ++i) cwnd = OnAck(state, cwnd, Sample(kMss));
  EXPECT_EQ(cwnd, 10 * kMss);
  cwnd = OnAck(state, cwnd, Sample(kMss));
  EXPECT_EQ(cwnd, 11 * kMss);
  // However few ACKs it takes.
  EXPECT_EQ(OnAck(state, cwnd, Sample(11 * kMss)), 12 * kMss);
}

// The textbook's picture of Reno: ssthresh 8 segments, slow start 1, 2, 4, 8, then 9 .. 12; three duplicate
// ACKs at 12 set ssthresh to 6 and avoidance goes on from there.
TEST(NewReno, TheTextbooksSawtooth) {
  CongestionState state = Make(CongestionAlgorithm::kNewReno);
  state.ssthresh = 8 * kMss;
  uint32_t cwnd = kMss;
  for (const uint32_t expected : {2u, 4u, 8u, 9u, 10u, 11u, 12u}) {
    const uint32_t segments = cwnd / kMss;
    for (uint32_t i = 0; i < segments; ++i) cwnd = OnAck(state, cwnd, Sample(kMss));
    EXPECT_EQ(cwnd, expected * kMss);
  }
  cwnd = OnEnterRecovery(state, cwnd, 12 * kMss, AtMs(0));
  EXPECT_EQ(state.ssthresh, 6 * kMss);
  EXPECT_EQ(cwnd, 6 * kMss);
  cwnd = OnExitRecovery(state, cwnd, 6 * kMss);
  EXPECT_EQ(cwnd, 6 * kMss);
  for (uint32_t i = 0; i < 6; ++i) cwnd = OnAck(state, cwnd, Sample(kMss));
  EXPECT_EQ(cwnd, 7 * kMss);
}

TEST(Congestion, LimitedTransmitIsNotCountedInTheReduction) {
  CongestionState state = Make(CongestionAlgorithm::kNewReno);
  EXPECT_EQ(OnEnterRecovery(state, 10 * kMss, 12 * kMss, AtMs(0)), 5 * kMss);
}

TEST(Congestion, TimeoutGoesBackToOneSegment) {
  for (const auto algorithm : {CongestionAlgorithm::kNewReno, CongestionAlgorithm::kCubic}) {
    CongestionState state = Make(algorithm);
    EXPECT_EQ(OnTimeout(state, 20 * kMss, 20 * kMss, false, AtMs(0)), kMss);
    const uint32_t threshold = algorithm == CongestionAlgorithm::kCubic ? 14 * kMss : 10 * kMss;
    EXPECT_EQ(state.ssthresh, threshold);
    // RFC 5681 3.1: the same segment timing out again leaves ssthresh alone.
    EXPECT_EQ(OnTimeout(state, kMss, kMss, true, AtMs(0)), kMss);
    EXPECT_EQ(state.ssthresh, threshold);
    // RFC 3465 2.3: one segment per ACK afterwards.
    EXPECT_EQ(OnAck(state, kMss, Sample(8 * kMss)), 2 * kMss);
  }
}

TEST(Congestion, ThresholdIsNeverBelowTwoSegments) {
  for (const auto algorithm : {CongestionAlgorithm::kNewReno, CongestionAlgorithm::kCubic}) {
    CongestionState state = Make(algorithm);
    EXPECT_EQ(OnEnterRecovery(state, kMss, kMss, AtMs(0)), 2 * kMss);
    OnTimeout(state, kMss, 0, false, AtMs(0));
    EXPECT_EQ(state.ssthresh, 2 * kMss);
  }
}

TEST(Congestion, ExitWithLittleInFlightDoesNotBurst) {
  CongestionState state = Make(CongestionAlgorithm::kNewReno);
  const uint32_t cwnd = OnEnterRecovery(state, 40 * kMss, 40 * kMss, AtMs(0));
  EXPECT_EQ(OnExitRecovery(state, cwnd, 0), 2 * kMss);
  EXPECT_EQ(OnExitRecovery(state, cwnd, 5 * kMss), 6 * kMss);
  EXPECT_EQ(OnExitRecovery(state, cwnd, 30 * kMss), 20 * kMss);
}

TEST(Congestion, IdleRestartsFromTheInitialWindow) {
  CongestionState state = Make(CongestionAlgorithm::kCubic);
  EXPECT_EQ(OnIdleRestart(state, 100 * kMss, 10 * kMss), 10 * kMss);
  EXPECT_EQ(OnIdleRestart(state, 4 * kMss, 10 * kMss), 4 * kMss);
}

TEST(Congestion, UndoRestoresOnce) {
  for (const auto algorithm : {CongestionAlgorithm::kNewReno, CongestionAlgorithm::kCubic}) {
    CongestionState state = Make(algorithm);
    state.ssthresh = 30 * kMss;
    const uint32_t cwnd = OnEnterRecovery(state, 50 * kMss, 50 * kMss, AtMs(0));
    EXPECT_LT(cwnd, 50 * kMss);
    EXPECT_EQ(OnUndo(state, cwnd), 50 * kMss);
    EXPECT_EQ(state.ssthresh, 30 * kMss);
    EXPECT_EQ(state.cubic.w_max, 0u);
    EXPECT_EQ(OnUndo(state, cwnd), cwnd);
  }
}

TEST(CubeRoot, IsExact) {
  using congestion_internal::CubeRoot;
  EXPECT_EQ(CubeRoot(0), 0u);
  EXPECT_EQ(CubeRoot(7), 1u);
  EXPECT_EQ(CubeRoot(8), 2u);
  EXPECT_EQ(CubeRoot(UINT64_MAX), 2'642'245u);
  Random random(3);
  for (int i = 0; i < 10'000; ++i) {
    const uint64_t root = random.Below(2'642'245);
    EXPECT_EQ(CubeRoot(root * root * root), root);
    EXPECT_EQ(CubeRoot((root + 1) * (root + 1) * (root + 1) - 1), root);
  }
}

TEST(Cubic, ReducesBySevenTenthsAndConvergesFast) {
  CongestionState state = Make(CongestionAlgorithm::kCubic);
  EXPECT_EQ(OnEnterRecovery(state, 100 * kMss, 100 * kMss, AtMs(0)), 70 * kMss);
  EXPECT_EQ(state.cubic.w_max, 100 * kMss);
  // A second loss below the plateau: W_max drops further than cwnd did.
  EXPECT_EQ(OnEnterRecovery(state, 80 * kMss, 80 * kMss, AtMs(0)), 56 * kMss);
  EXPECT_EQ(state.cubic.w_max, 68 * kMss);
}

// RFC 9438 in floating point, segments and seconds, straight from its equations.
struct FloatCubic {
  double cwnd;
  double w_max;
  double cwnd_prior;
  double k = 0;
  double w_est = 0;
  double epoch = -1;

  double Curve(double t) const { return 0.4 * std::pow(t - k, 3) + w_max; }
  void OnAck(double now, double rtt, double acked) {
    if (epoch < 0) {
      epoch = now;
      k = std::cbrt((w_max - cwnd) / 0.4);
      w_est = cwnd;
    }
    const double alpha = w_est >= cwnd_prior ? 1.0 : 3 * (1 - 0.7) / (1 + 0.7);
    w_est += alpha * acked / cwnd;
    const double t = now - epoch;
    if (Curve(t) < w_est) {
      cwnd = std::max(cwnd, w_est);
      return;
    }
    const double target = std::clamp(Curve(t + rtt), cwnd, 1.5 * cwnd);
    cwnd += (target - cwnd) / cwnd * acked;
  }
};

class CubicCurve : public testing::TestWithParam<std::pair<uint32_t, int64_t>> {};

TEST_P(CubicCurve, FollowsTheFloatingPointReference) {
  const auto [segments, rtt_ms] = GetParam();
  CongestionState state = Make(CongestionAlgorithm::kCubic);
  uint32_t cwnd = OnEnterRecovery(state, segments * kMss, segments * kMss, AtMs(0));
  FloatCubic reference{
      .cwnd = cwnd / double{kMss}, .w_max = double(segments), .cwnd_prior = double(segments)};
  // One ACK per two segments, evenly over each round trip.
  double now_ms = 0;
  for (int round = 0; round < 300; ++round) {
    const uint32_t acks = std::max(cwnd / kMss / 2, 1u);
    for (uint32_t i = 0; i < acks; ++i) {
      now_ms += static_cast<double>(rtt_ms) / acks;
      const Instant now = Instant::FromNanos(static_cast<int64_t>(now_ms * 1e6));
      cwnd = OnAck(state, cwnd,
                   {.now = now, .srtt = Duration::Millis(rtt_ms), .acked = 2 * kMss, .cwnd_limited = true});
      reference.OnAck(now_ms / 1000, static_cast<double>(rtt_ms) / 1000, 2);
    }
    ASSERT_NEAR(cwnd / double{kMss} / reference.cwnd, 1.0, 0.01) << "round " << round;
    if (cwnd > 200'000 * kMss) break;
  }
  EXPECT_GT(cwnd, segments * kMss);
}

INSTANTIATE_TEST_SUITE_P(Paths, CubicCurve,
                         testing::Values(std::pair{100u, int64_t{100}}, std::pair{1000u, int64_t{50}},
                                         std::pair{20u, int64_t{10}}, std::pair{30u, int64_t{1}},
                                         std::pair{5000u, int64_t{200}}));

TEST(Cubic, RegainsThePlateauAtK) {
  CongestionState state = Make(CongestionAlgorithm::kCubic);
  uint32_t cwnd = OnEnterRecovery(state, 1000 * kMss, 1000 * kMss, AtMs(0));
  cwnd = OnAck(state, cwnd, Sample(kMss, 0));
  EXPECT_NEAR(state.cubic.k_ms, 1000 * std::cbrt(300 / 0.4), 1.0);  // 9.09 s
  // Halfway it is almost there already, and then it waits: the flat part.
  const double half = 1000 - 0.4 * std::pow(std::cbrt(750) / 2, 3);
  for (int64_t ms = 100; ms <= 4500; ms += 100) {
    for (uint32_t i = 0; i < 500; ++i) cwnd = OnAck(state, cwnd, Sample(2 * kMss, ms));
  }
  EXPECT_NEAR(cwnd / double{kMss}, half, 10.0);
}

TEST(Cubic, TimeWithoutDataDoesNotCount) {
  for (const bool silent : {false, true}) {
    SCOPED_TRACE(silent);
    CongestionState state = Make(CongestionAlgorithm::kCubic);
    uint32_t cwnd = OnEnterRecovery(state, 100 * kMss, 100 * kMss, AtMs(0));
    for (int64_t ms = 0; ms <= 1000; ms += 10) cwnd = OnAck(state, cwnd, Sample(kMss, ms));
    // Half a minute in which the application sends a little, or nothing at all.
    for (int64_t ms = 1010; !silent && ms <= 30'000; ms += 10) {
      AckSample sample = Sample(kMss, ms);
      sample.cwnd_limited = false;
      cwnd = OnAck(state, cwnd, sample);
    }
    for (uint32_t i = 0; i < 100; ++i) cwnd = OnAck(state, cwnd, Sample(kMss, 30'000 + i));
    // Where the curve stands 1.2 s into the epoch; with the pause counted it would be beyond the plateau.
    EXPECT_LE(cwnd, static_cast<uint32_t>(kMss * (100 - 0.4 * std::pow(std::cbrt(75) - 1.2, 3))));
  }
}

TEST(Cubic, AfterATimeoutTheCurveStartsFlat) {
  CongestionState state = Make(CongestionAlgorithm::kCubic);
  uint32_t cwnd = OnTimeout(state, 100 * kMss, 100 * kMss, false, AtMs(0));
  while (InSlowStart(state, cwnd)) cwnd = OnAck(state, cwnd, Sample(kMss, 10));
  EXPECT_EQ(cwnd, 70 * kMss);
  cwnd = OnAck(state, cwnd, Sample(kMss, 20));
  EXPECT_EQ(state.cubic.k_ms, 0u);
  EXPECT_EQ(state.cubic.w_max, 70 * kMss);
}

// Whatever comes, cwnd stays between one segment and the largest window, and nothing overflows.
TEST(Congestion, AnySequenceOfEventsStaysInBounds) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    Random random(seed);
    CongestionState state = Make(seed % 2 == 0 ? CongestionAlgorithm::kCubic : CongestionAlgorithm::kNewReno);
    InitCongestion(state, state.algorithm, 1 + random.Below(65'000));
    uint32_t cwnd = InitialWindow(state.smss, 10);
    int64_t now = 0;
    for (int step = 0; step < 20'000; ++step) {
      now += random.Below(10'000) * int64_t{random.Below(1'000'000)};
      const Instant at = Instant::FromNanos(now);
      const uint32_t flight = random.Below(4) == 0 ? 0xffffffff : random.Below(cwnd + 1);
      switch (random.Below(40)) {
        case 0:
          cwnd = OnEnterRecovery(state, cwnd, flight, at);
          break;
        case 1:
          cwnd = OnExitRecovery(state, cwnd, flight);
          break;
        case 2:
          cwnd = OnTimeout(state, cwnd, flight, random.OneIn(2), at);
          break;
        case 3:
          cwnd = OnIdleRestart(state, cwnd, InitialWindow(state.smss, 10));
          break;
        case 4:
          cwnd = OnUndo(state, cwnd);
          break;
        default:
          cwnd = OnAck(state, cwnd,
                       {.now = at,
                        .srtt = Duration::Micros(random.Below(2'000'000)),
                        .acked = random.OneIn(10) ? 0xffffffff : random.Below(100'000),
                        .cwnd_limited = !random.OneIn(5)});
      }
      ASSERT_GE(cwnd, state.smss) << "seed " << seed << " step " << step;
      ASSERT_LE(cwnd, 1u << 30) << "seed " << seed << " step " << step;
    }
  }
}

}  // namespace
}  // namespace tern::tcp
