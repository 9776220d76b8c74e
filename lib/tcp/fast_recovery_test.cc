#include "tcp/fast_recovery.h"

#include <gtest/gtest.h>

namespace tern::tcp {
namespace {

constexpr SeqNum kUna(1000);
constexpr SeqNum kNxt(9000);

TEST(IsDuplicateAck, AllFiveConditions) {
  const AckShape shape{.ack = kUna, .snd_una = kUna, .snd_nxt = kNxt};
  EXPECT_TRUE(IsDuplicateAck(shape));
  AckShape s = shape;
  s.snd_nxt = kUna;
  EXPECT_FALSE(IsDuplicateAck(s));
  s = shape;
  s.payload = 1;
  EXPECT_FALSE(IsDuplicateAck(s));
  s = shape;
  s.syn_or_fin = true;
  EXPECT_FALSE(IsDuplicateAck(s));
  s = shape;
  s.window_changed = true;
  EXPECT_FALSE(IsDuplicateAck(s));
  s = shape;
  s.ack = kUna + 1;
  EXPECT_FALSE(IsDuplicateAck(s));
}

TEST(FastRecovery, ThirdDuplicateEnters) {
  FastRecovery r;
  EXPECT_EQ(r.OnDuplicateAck(kUna, kNxt, false), DupAckAction::kLimitedTransmit);
  EXPECT_EQ(r.OnDuplicateAck(kUna, kNxt, false), DupAckAction::kLimitedTransmit);
  EXPECT_EQ(r.OnDuplicateAck(kUna, kNxt, false), DupAckAction::kEnterRecovery);
  EXPECT_EQ(r.phase(), RecoveryPhase::kRecovery);
  EXPECT_EQ(r.recovery_point(), kNxt);
  EXPECT_EQ(r.OnDuplicateAck(kUna, kNxt + 500, false), DupAckAction::kInRecovery);
  EXPECT_EQ(r.recovery_point(), kNxt);
}

TEST(FastRecovery, NewAckStartsTheCountAgain) {
  FastRecovery r;
  r.OnDuplicateAck(kUna, kNxt, false);
  r.OnDuplicateAck(kUna, kNxt, false);
  EXPECT_EQ(r.OnNewAck(kUna + 100), NewAckAction::kNormal);
  EXPECT_EQ(r.OnDuplicateAck(kUna + 100, kNxt, false), DupAckAction::kLimitedTransmit);
}

TEST(FastRecovery, SackEvidenceEntersAtOnce) {
  FastRecovery r;
  EXPECT_EQ(r.OnDuplicateAck(kUna, kNxt, true), DupAckAction::kEnterRecovery);
}

TEST(FastRecovery, PartialAcksUntilThePoint) {
  FastRecovery r;
  r.OnDuplicateAck(kUna, kNxt, true);
  EXPECT_EQ(r.OnNewAck(kUna + 1), NewAckAction::kPartial);
  EXPECT_EQ(r.OnNewAck(kNxt - 1), NewAckAction::kPartial);
  EXPECT_EQ(r.OnNewAck(kNxt), NewAckAction::kExit);
  EXPECT_EQ(r.phase(), RecoveryPhase::kOpen);
  EXPECT_EQ(r.OnNewAck(kNxt + 1), NewAckAction::kNormal);
}

TEST(FastRecovery, DuplicatesAtThePointAreNotTrusted) {
  FastRecovery r;
  r.OnTimeout(kNxt);
  EXPECT_EQ(r.phase(), RecoveryPhase::kLoss);
  EXPECT_EQ(r.OnDuplicateAck(kUna, kNxt, false), DupAckAction::kNothing);
  EXPECT_EQ(r.OnNewAck(kNxt - 5), NewAckAction::kNormal);
  EXPECT_EQ(r.phase(), RecoveryPhase::kLoss);
  EXPECT_EQ(r.OnNewAck(kNxt), NewAckAction::kNormal);
  EXPECT_EQ(r.phase(), RecoveryPhase::kOpen);
  // RFC 6582 4: needless retransmissions cause duplicates of the point itself.
  r.OnDuplicateAck(kNxt, kNxt + 5000, false);
  r.OnDuplicateAck(kNxt, kNxt + 5000, false);
  EXPECT_EQ(r.OnDuplicateAck(kNxt, kNxt + 5000, false), DupAckAction::kNothing);
  EXPECT_EQ(r.OnDuplicateAck(kNxt, kNxt + 5000, true), DupAckAction::kEnterRecovery);
}

TEST(FastRecovery, ThePointIsForgottenOncePassed) {
  FastRecovery r;
  r.OnDuplicateAck(kUna, kNxt, true);
  r.OnNewAck(kNxt);
  SeqNum una = kNxt;
  // Far around the circle the old point would seem to lie ahead.
  for (int i = 0; i < 3; ++i) {
    una += 1u << 30;
    r.OnNewAck(una);
  }
  r.OnDuplicateAck(una, una + 5000, false);
  r.OnDuplicateAck(una, una + 5000, false);
  EXPECT_EQ(r.OnDuplicateAck(una, una + 5000, false), DupAckAction::kEnterRecovery);
}

TEST(FastRecovery, ASecondLossAtThePointNeedsEvidenceToo) {
  FastRecovery r;
  for (int i = 0; i < 3; ++i) r.OnDuplicateAck(kUna, kNxt, false);
  ASSERT_EQ(r.OnNewAck(kNxt), NewAckAction::kExit);
  EXPECT_TRUE(r.remembers_point());
  for (int i = 0; i < 2; ++i) r.OnDuplicateAck(kNxt, kNxt + 5000, false);
  EXPECT_EQ(r.OnDuplicateAck(kNxt, kNxt + 5000, false), DupAckAction::kNothing);
  r.OnNewAck(kNxt + 1);
  EXPECT_FALSE(r.remembers_point());
}

TEST(FastRecovery, ATimeoutStartsTheCountAgain) {
  FastRecovery r;
  for (int i = 0; i < 2; ++i) r.OnDuplicateAck(kUna, kNxt, false);
  r.OnTimeout(kNxt);
  EXPECT_EQ(r.dup_acks(), 0);
}

TEST(FastRecovery, ManyDuplicatesDoNotWrapTheCount) {
  FastRecovery r;
  r.OnTimeout(kNxt);
  r.OnNewAck(kNxt);
  for (int i = 0; i < 1000; ++i) r.OnDuplicateAck(kNxt, kNxt + 5000, false);
  EXPECT_EQ(r.dup_acks(), 255);
}

TEST(FastRecovery, UndoReopens) {
  FastRecovery r;
  r.OnDuplicateAck(kUna, kNxt, true);
  r.OnUndo();
  EXPECT_EQ(r.phase(), RecoveryPhase::kOpen);
}

}  // namespace
}  // namespace tern::tcp
