#include "tcp/ack_policy.h"

#include <gtest/gtest.h>

namespace tern::tcp {
namespace {

constexpr uint32_t kMss = 1460;

TEST(AckDebt, OneSegmentMayWaitTwoMayNot) {
  AckDebt debt;
  EXPECT_EQ(debt.Decision(), AckDecision::kNone);
  EXPECT_EQ(debt.OnInOrder(kMss, kMss), AckDecision::kDelay);
  EXPECT_EQ(debt.OnInOrder(kMss, kMss), AckDecision::kNow);
  debt.OnPureAckSent();
  EXPECT_EQ(debt.Decision(), AckDecision::kNone);
}

TEST(AckDebt, SmallSegmentsWaitUntilTwoFullOnesAreOwed) {
  AckDebt debt;
  for (uint32_t octets = 100; octets < 2 * kMss; octets += 100) {
    EXPECT_EQ(debt.OnInOrder(100, kMss), AckDecision::kDelay) << octets;
  }
  EXPECT_EQ(debt.OnInOrder(100, kMss), AckDecision::kNow);
}

TEST(AckDebt, AWholeBurstSharesOneAck) {
  AckDebt debt;
  for (int i = 0; i < 32; ++i) debt.OnInOrder(kMss, kMss);
  EXPECT_EQ(debt.Decision(), AckDecision::kNow);
  debt.OnPureAckSent();
  EXPECT_EQ(debt.Decision(), AckDecision::kNone);
}

TEST(AckDebt, TimerMakesItDue) {
  AckDebt debt;
  EXPECT_EQ(debt.OnTimer(), AckDecision::kNone);
  debt.OnInOrder(1, kMss);
  EXPECT_EQ(debt.OnTimer(), AckDecision::kNow);
}

TEST(AckDebt, OwnDebtsArePaidOneByOne) {
  AckDebt debt;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(debt.OnOwn(), AckDecision::kNow);
  for (int left = 3; left > 0; --left) {
    EXPECT_EQ(debt.own(), left);
    EXPECT_EQ(debt.Decision(), AckDecision::kNow);
    debt.OnPureAckSent();
  }
  EXPECT_EQ(debt.Decision(), AckDecision::kNone);
  for (int i = 0; i < 1000; ++i) debt.OnOwn();
  EXPECT_LE(debt.own(), 64);
}

TEST(AckDebt, DataPiggybacksOnlyWhatIsShared) {
  AckDebt debt;
  debt.OnInOrder(kMss, kMss);
  debt.OnSegmentSent();
  EXPECT_EQ(debt.Decision(), AckDecision::kNone);
  debt.OnOwn();
  debt.OnInOrder(kMss, kMss);
  debt.OnSegmentSent();
  EXPECT_EQ(debt.Decision(), AckDecision::kNow);
  debt.OnPureAckSent();
  EXPECT_EQ(debt.Decision(), AckDecision::kNone);
}

TEST(AckDebt, QuickAtTheStart) {
  AckDebt debt;
  debt.StartQuick();
  for (int i = 0; i < AckDebt::kQuickAcks; ++i) {
    EXPECT_EQ(debt.OnInOrder(1, kMss), AckDecision::kNow) << i;
    debt.OnPureAckSent();
  }
  EXPECT_EQ(debt.OnInOrder(1, kMss), AckDecision::kDelay);
}

TEST(AckDebt, UrgentSharesAndClearForgets) {
  AckDebt debt;
  EXPECT_EQ(debt.OnUrgent(), AckDecision::kNow);
  debt.OnSegmentSent();
  EXPECT_EQ(debt.Decision(), AckDecision::kNone);
  debt.OnOwn();
  debt.OnUrgent();
  debt.Clear();
  EXPECT_EQ(debt.Decision(), AckDecision::kNone);
}

TEST(AckDebt, HugeSegmentsSaturate) {
  AckDebt debt;
  EXPECT_EQ(debt.OnInOrder(0xffffffff, 0xffffffff), AckDecision::kNow);
  debt.OnPureAckSent();
  EXPECT_EQ(debt.OnInOrder(60'000, 65'000), AckDecision::kDelay);
  EXPECT_EQ(debt.OnInOrder(60'000, 65'000), AckDecision::kNow);
}

}  // namespace
}  // namespace tern::tcp
