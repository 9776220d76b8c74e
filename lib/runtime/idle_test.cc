#include "runtime/idle.h"

#include <gtest/gtest.h>

namespace tern::runtime {
namespace {

constexpr Duration kSpin = Duration::Micros(50);

Instant At(int64_t us) { return Instant::FromNanos(us * 1'000); }

TEST(IdleGovernor, SpinsThenYieldsThenSleeps) {
  IdleGovernor governor(IdlePolicy::kAdaptive, kSpin);
  EXPECT_EQ(governor.FoundNothing(At(0), Instant::Never(), true).step, IdleStep::kPoll);
  EXPECT_EQ(governor.FoundNothing(At(49), Instant::Never(), true).step, IdleStep::kPoll);
  EXPECT_EQ(governor.FoundNothing(At(50), Instant::Never(), true).step, IdleStep::kYield);
  EXPECT_EQ(governor.FoundNothing(At(99), Instant::Never(), true).step, IdleStep::kYield);
  const IdleDecision sleep = governor.FoundNothing(At(100), Instant::Never(), true);
  EXPECT_EQ(sleep.step, IdleStep::kSleep);
  EXPECT_EQ(sleep.longest, IdleGovernor::kLongestWait);
}

TEST(IdleGovernor, WorkStartsItAnew) {
  IdleGovernor governor(IdlePolicy::kAdaptive, kSpin);
  governor.FoundNothing(At(0), Instant::Never(), true);
  EXPECT_EQ(governor.FoundNothing(At(500), Instant::Never(), true).step, IdleStep::kSleep);
  governor.FoundWork();
  EXPECT_EQ(governor.FoundNothing(At(501), Instant::Never(), true).step, IdleStep::kPoll);
  EXPECT_EQ(governor.FoundNothing(At(540), Instant::Never(), true).step, IdleStep::kPoll);
}

TEST(IdleGovernor, NapsDoubleWhereAPacketWakesNobody) {
  IdleGovernor governor(IdlePolicy::kAdaptive, kSpin);
  governor.FoundNothing(At(0), Instant::Never(), false);
  Duration expected = IdleGovernor::kFirstNap;
  for (int i = 0; i < 10; ++i) {
    const IdleDecision nap = governor.FoundNothing(At(200 + i), Instant::Never(), false);
    ASSERT_EQ(nap.step, IdleStep::kSleep);
    EXPECT_EQ(nap.longest, expected);
    expected = std::min(expected * 2, IdleGovernor::kLongestNap);
  }
  governor.FoundWork();
  governor.FoundNothing(At(1'000), Instant::Never(), false);
  EXPECT_EQ(governor.FoundNothing(At(1'200), Instant::Never(), false).longest, IdleGovernor::kFirstNap);
}

TEST(IdleGovernor, NeverSleepsPastTheDeadline) {
  IdleGovernor governor(IdlePolicy::kAdaptive, kSpin);
  governor.FoundNothing(At(0), Instant::Never(), true);
  EXPECT_EQ(governor.FoundNothing(At(200), At(230), true).longest, Duration::Micros(30));
  EXPECT_EQ(governor.FoundNothing(At(200), At(230), false).longest, Duration::Micros(20));
  // Too close to be worth a sleep, or past already.
  EXPECT_EQ(governor.FoundNothing(At(200), At(202), true).step, IdleStep::kYield);
  EXPECT_EQ(governor.FoundNothing(At(200), At(100), true).step, IdleStep::kYield);
}

TEST(IdleGovernor, FixedPoliciesStayFixed) {
  IdleGovernor spin(IdlePolicy::kSpin, kSpin);
  IdleGovernor yield(IdlePolicy::kYield, kSpin);
  for (int64_t us = 0; us < 10'000; us += 1'000) {
    EXPECT_EQ(spin.FoundNothing(At(us), Instant::Never(), true).step, IdleStep::kPoll);
    EXPECT_EQ(yield.FoundNothing(At(us), Instant::Never(), true).step, IdleStep::kYield);
  }
}

}  // namespace
}  // namespace tern::runtime
