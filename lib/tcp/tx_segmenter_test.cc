#include "tcp/tx_segmenter.h"

#include <gtest/gtest.h>

namespace tern::tcp {
namespace {

constexpr uint32_t kMss = 1000;

SendInputs Idle(uint32_t unsent) {
  return {.unsent = unsent,
          .usable = 64'000,
          .cwnd_room = 10'000,
          .mss = kMss,
          .budget = kMss,
          .snd_wnd_max = 64'000};
}

TEST(DecideSend, NothingToSend) { EXPECT_EQ(DecideSend(Idle(0)).hold, SendHold::kNothing); }

TEST(DecideSend, FullSegmentsGoOneByOneWithoutPush) {
  const SendDecision d = DecideSend(Idle(2500));
  EXPECT_EQ(d.length, kMss);
  EXPECT_FALSE(d.push);
}

TEST(DecideSend, LastSegmentIsPushed) {
  EXPECT_EQ(DecideSend(Idle(1000)).length, 1000u);
  EXPECT_TRUE(DecideSend(Idle(1000)).push);
  EXPECT_EQ(DecideSend(Idle(7)).length, 7u);
  EXPECT_TRUE(DecideSend(Idle(7)).push);
}

TEST(DecideSend, NagleHoldsAShortSegmentBehindDataInFlight) {
  SendInputs in = Idle(7);
  in.in_flight = true;
  EXPECT_EQ(DecideSend(in).hold, SendHold::kNagle);
  EXPECT_FALSE(NeedsPersistTimer(DecideSend(in).hold, in.in_flight));
  in.nodelay = true;
  EXPECT_EQ(DecideSend(in).length, 7u);
  in.nodelay = false;
  in.fin_queued = true;
  EXPECT_EQ(DecideSend(in).length, 7u);
}

TEST(DecideSend, CorkHoldsEvenWhenIdle) {
  SendInputs in = Idle(7);
  in.cork = in.nodelay = true;
  EXPECT_EQ(DecideSend(in).hold, SendHold::kCork);
  EXPECT_TRUE(NeedsPersistTimer(SendHold::kCork, false));
  in.overridden = true;
  EXPECT_EQ(DecideSend(in).length, 7u);
  in.overridden = false;
  in.unsent = 1007;
  EXPECT_EQ(DecideSend(in).length, 1000u);
}

TEST(DecideSend, ClosedWindowNeedsThePersistTimer) {
  SendInputs in = Idle(500);
  in.usable = 0;
  EXPECT_EQ(DecideSend(in).hold, SendHold::kWindow);
  EXPECT_TRUE(NeedsPersistTimer(SendHold::kWindow, false));
  EXPECT_FALSE(NeedsPersistTimer(SendHold::kWindow, true));
}

TEST(DecideSend, SillyWindowIsLeftAloneUntilOverridden) {
  SendInputs in = Idle(5000);
  in.usable = 400;
  EXPECT_EQ(DecideSend(in).hold, SendHold::kWindow);
  in.overridden = true;
  EXPECT_EQ(DecideSend(in).length, 400u);
  EXPECT_FALSE(DecideSend(in).push);
}

TEST(DecideSend, HalfOfTheLargestWindowIsWorthIt) {
  SendInputs in = Idle(5000);
  in.snd_wnd_max = 800;
  in.usable = 399;
  EXPECT_EQ(DecideSend(in).hold, SendHold::kWindow);
  in.usable = 400;
  EXPECT_EQ(DecideSend(in).length, 400u);
  in.in_flight = true;
  EXPECT_EQ(DecideSend(in).hold, SendHold::kWindow);
  in.nodelay = true;
  EXPECT_EQ(DecideSend(in).length, 400u);
}

TEST(DecideSend, CongestionDoesNotCutSegments) {
  SendInputs in = Idle(5000);
  in.in_flight = true;
  in.cwnd_room = 999;
  EXPECT_EQ(DecideSend(in).hold, SendHold::kCongestion);
  in.cwnd_room = 0;
  EXPECT_EQ(DecideSend(in).hold, SendHold::kCongestion);
  // With nothing in flight no ACK would come: send what there is.
  in.in_flight = false;
  in.cwnd_room = 999;
  EXPECT_EQ(DecideSend(in).length, 999u);
}

TEST(DecideSend, LongSegmentsAreWholeMultiples) {
  SendInputs in = Idle(20'300);
  in.cwnd_room = 64'000;
  in.budget = 8'700;
  EXPECT_EQ(DecideSend(in).length, 8'000u);
  in.budget = 64'000;
  // Nagle: the short end would follow full segments that are unacknowledged.
  EXPECT_EQ(DecideSend(in).length, 20'000u);
  EXPECT_FALSE(DecideSend(in).push);
  in.nodelay = true;
  EXPECT_EQ(DecideSend(in).length, 20'300u);
  EXPECT_TRUE(DecideSend(in).push);
  in.cwnd_room = 10'500;
  EXPECT_EQ(DecideSend(in).length, 10'000u);
  in.usable = 3'999;
  EXPECT_EQ(DecideSend(in).length, 3'000u);
}

}  // namespace
}  // namespace tern::tcp
