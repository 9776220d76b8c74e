#include "runtime/clock.h"

#include <gtest/gtest.h>

namespace tern::runtime {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kS = 1'000'000'000;

TEST(SteadyTime, FollowsTheRawClock) {
  SteadyTime time(5 * kMs);
  EXPECT_EQ(time.Advance(6 * kMs, Duration::Zero()).nanos(), 6 * kMs);
  EXPECT_EQ(time.Advance(7 * kMs, Duration::Zero()).nanos(), 7 * kMs);
  EXPECT_EQ(time.jumps(), 0u);
}

TEST(SteadyTime, APausedMachineDoesNotFireEveryTimer) {
  SteadyTime time(0);
  time.Advance(kMs, Duration::Zero());
  // Ten seconds pass while nobody looks: an RTO of 200 ms armed just before must not pass by that.
  const Instant after = time.Advance(10 * kS, Duration::Zero());
  EXPECT_LE(after.nanos(), kMs + SteadyTime::kMaxStep.nanos());
  EXPECT_EQ(time.jumps(), 1u);
  EXPECT_EQ(time.behind().nanos(), 10 * kS - after.nanos());
}

TEST(SteadyTime, CatchesUpSlowly) {
  SteadyTime time(0);
  time.Advance(10 * kS, Duration::Zero());
  int64_t raw = 10 * kS;
  Instant last = time.now();
  while (time.behind() > Duration::Zero()) {
    raw += kMs;
    const Instant now = time.Advance(raw, Duration::Zero());
    ASSERT_LE((now - last).nanos(), kMs + kMs / SteadyTime::kCatchUp);
    ASSERT_GT(now, last);
    last = now;
  }
  EXPECT_EQ(time.now().nanos(), raw);
  EXPECT_EQ(time.jumps(), 1u);
}

TEST(SteadyTime, AnIntendedSleepIsNoJump) {
  SteadyTime time(0);
  EXPECT_EQ(time.Advance(5 * kS, Duration::Seconds(5)).nanos(), 5 * kS);
  EXPECT_EQ(time.jumps(), 0u);
}

TEST(SteadyTime, NeverStepsBack) {
  SteadyTime time(0);
  time.Advance(10 * kMs, Duration::Zero());
  EXPECT_EQ(time.Advance(9 * kMs, Duration::Zero()).nanos(), 10 * kMs);
  EXPECT_EQ(time.Advance(10 * kMs, Duration::Zero()).nanos(), 10 * kMs);
  EXPECT_EQ(time.Advance(11 * kMs, Duration::Zero()).nanos(), 11 * kMs);
}

TEST(SteadyTime, ARawClockThatStartsAnewIsFollowed) {
  SteadyTime time(100 * kS);
  EXPECT_EQ(time.Advance(0, Duration::Zero()).nanos(), 100 * kS);
  EXPECT_EQ(time.Advance(3 * kMs, Duration::Zero()).nanos(), 100 * kS + 3 * kMs);
  EXPECT_EQ(time.jumps(), 1u);
}

TEST(SteadyTime, PeekDoesNotMoveIt) {
  SteadyTime time(0);
  time.Advance(kMs, Duration::Zero());
  EXPECT_EQ(time.Peek(kMs + 500).nanos(), kMs + 500);
  EXPECT_EQ(time.now().nanos(), kMs);
}

TEST(TscScale, ConvertsAndStaysContinuous) {
  TscScale scale(2'000'000'000, {.tsc = 1'000, .system_nanos = 77});
  EXPECT_EQ(scale.Nanos(1'000), 0);
  EXPECT_EQ(scale.Nanos(2'001'000), kMs);
  EXPECT_EQ(scale.Nanos(998), -1);
  // The real frequency is 0.1 per cent higher than was measured at first.
  const uint64_t tsc = 1'000 + 2'002'000'000;
  const int64_t before = scale.Nanos(tsc);
  EXPECT_TRUE(scale.Check({.tsc = tsc, .system_nanos = 77 + kS}));
  EXPECT_EQ(scale.Nanos(tsc), before);
  EXPECT_EQ(scale.frequency(), 2'002'000'000u);
  EXPECT_NEAR(static_cast<double>(scale.Nanos(tsc + 2'002'000'000) - before), 1e9, 2);
}

TEST(TscScale, ALeapOfOneClockStartsTheMeasuringAnew) {
  TscScale scale(1'000'000'000, {.tsc = 0, .system_nanos = 0});
  EXPECT_TRUE(scale.Check({.tsc = 1'000'000'000, .system_nanos = kS}));
  EXPECT_FALSE(scale.Check({.tsc = 2'000'000'000, .system_nanos = 60 * kS}));
  EXPECT_EQ(scale.frequency(), 1'000'000'000u);
  EXPECT_TRUE(scale.Check({.tsc = 3'000'000'000, .system_nanos = 61 * kS}));
  EXPECT_EQ(scale.frequency(), 1'000'000'000u);
}

TEST(Clock, TwoOfOneOriginAgree) {
  const ClockPair origin = ReadBothClocks();
  Clock a(origin);
  Clock b(origin);
  const Instant before = a.StartTurn(Duration::Zero());
  const Instant between = b.StartTurn(Duration::Zero());
  const Instant after = a.StartTurn(Duration::Zero());
  EXPECT_LE(before, between);
  EXPECT_LE(between, after);
  EXPECT_GE(a.Read(), a.now());
}

}  // namespace
}  // namespace tern::runtime
