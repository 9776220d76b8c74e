#include "tcp/rx_acceptable.h"

#include <gtest/gtest.h>

namespace tern::tcp {
namespace {

constexpr SeqNum kNxt(0xfffffff8);  // the window wraps
constexpr uint32_t kWnd = 100;

TEST(IsAcceptable, TheFourCasesOfTheTable) {
  // Empty segment, closed window: only RCV.NXT itself.
  EXPECT_TRUE(IsAcceptable(kNxt, 0, kNxt, 0));
  EXPECT_FALSE(IsAcceptable(kNxt + 1, 0, kNxt, 0));
  EXPECT_FALSE(IsAcceptable(kNxt - 1, 0, kNxt, 0));
  // Empty segment, open window: inside.
  EXPECT_TRUE(IsAcceptable(kNxt, 0, kNxt, kWnd));
  EXPECT_TRUE(IsAcceptable(kNxt + 99, 0, kNxt, kWnd));
  EXPECT_FALSE(IsAcceptable(kNxt + 100, 0, kNxt, kWnd));
  EXPECT_FALSE(IsAcceptable(kNxt - 1, 0, kNxt, kWnd));
  // Octets and a closed window: never.
  EXPECT_FALSE(IsAcceptable(kNxt, 1, kNxt, 0));
  // Octets and an open window: the first or the last is inside.
  EXPECT_TRUE(IsAcceptable(kNxt - 10, 11, kNxt, kWnd));
  EXPECT_FALSE(IsAcceptable(kNxt - 10, 10, kNxt, kWnd));
  EXPECT_TRUE(IsAcceptable(kNxt + 99, 500, kNxt, kWnd));
  EXPECT_FALSE(IsAcceptable(kNxt + 100, 500, kNxt, kWnd));
}

TEST(TrimToWindow, WholeSegmentInside) {
  const TrimmedSegment t = TrimToWindow(kNxt, 50, false, true, kNxt, kWnd);
  EXPECT_EQ(t.seq, kNxt);
  EXPECT_EQ(t.skip, 0u);
  EXPECT_EQ(t.length, 50u);
  EXPECT_TRUE(t.fin);
  EXPECT_FALSE(t.front_cut);
  EXPECT_FALSE(t.back_cut);
}

TEST(TrimToWindow, CutsTheFront) {
  const TrimmedSegment t = TrimToWindow(kNxt - 20, 50, false, false, kNxt, kWnd);
  EXPECT_EQ(t.seq, kNxt);
  EXPECT_EQ(t.skip, 20u);
  EXPECT_EQ(t.length, 30u);
  EXPECT_TRUE(t.front_cut);
}

TEST(TrimToWindow, CutsTheBackAndTheFinWithIt) {
  const TrimmedSegment t = TrimToWindow(kNxt + 80, 50, false, true, kNxt, kWnd);
  EXPECT_EQ(t.length, 20u);
  EXPECT_FALSE(t.fin);
  EXPECT_TRUE(t.back_cut);
}

TEST(TrimToWindow, FinAtTheEdgeIsKept) {
  const TrimmedSegment t = TrimToWindow(kNxt + 80, 20, false, true, kNxt, kWnd);
  EXPECT_EQ(t.length, 20u);
  EXPECT_TRUE(t.fin);
  EXPECT_FALSE(t.back_cut);
  EXPECT_TRUE(TrimToWindow(kNxt, 0, false, true, kNxt, 0).fin);
}

TEST(TrimToWindow, AllOldDataKeepsNothing) {
  const TrimmedSegment t = TrimToWindow(kNxt - 50, 20, false, true, kNxt, kWnd);
  EXPECT_EQ(t.length, 0u);
  EXPECT_FALSE(t.fin);
  EXPECT_TRUE(t.front_cut);
  // Old data whose FIN is the next thing expected.
  const TrimmedSegment fin = TrimToWindow(kNxt - 20, 20, false, true, kNxt, kWnd);
  EXPECT_EQ(fin.length, 0u);
  EXPECT_TRUE(fin.fin);
  EXPECT_TRUE(fin.front_cut);
}

TEST(TrimToWindow, SynCountsOne) {
  const TrimmedSegment t = TrimToWindow(kNxt - 1, 10, true, false, kNxt, kWnd);
  EXPECT_FALSE(t.syn);
  EXPECT_EQ(t.skip, 0u);
  EXPECT_EQ(t.seq, kNxt);
  EXPECT_EQ(t.length, 10u);
  EXPECT_TRUE(t.front_cut);
  EXPECT_TRUE(TrimToWindow(kNxt, 0, true, false, kNxt, kWnd).syn);
}

TEST(TrimToWindow, WhatBeginsAtTheEdgeOfTheWindowIsNotCut) {
  EXPECT_FALSE(TrimToWindow(kNxt, 10, true, false, kNxt, kWnd).front_cut);
  EXPECT_FALSE(TrimToWindow(kNxt, 0, false, true, kNxt, kWnd).front_cut);
  EXPECT_TRUE(TrimToWindow(kNxt - 1, 0, false, true, kNxt, kWnd).front_cut);
}

// Against octet-by-octet counting, at and around the edges.
TEST(TrimToWindow, AgreesWithCountingOctets) {
  for (int start = -12; start <= 24; ++start) {
    for (uint32_t payload = 0; payload <= 24; ++payload) {
      for (const uint32_t wnd : {0u, 1u, 10u}) {
        uint32_t inside = 0;
        uint32_t before = 0;
        for (uint32_t i = 0; i < payload; ++i) {
          const int at = start + static_cast<int>(i);
          if (at < 0) ++before;
          if (at >= 0 && at < static_cast<int>(wnd)) ++inside;
        }
        const SeqNum seq = kNxt + static_cast<uint32_t>(start);
        const TrimmedSegment t = TrimToWindow(seq, payload, false, false, kNxt, wnd);
        ASSERT_EQ(t.length, inside) << start << " " << payload << " " << wnd;
        ASSERT_EQ(t.skip, before) << start << " " << payload << " " << wnd;
        ASSERT_EQ(t.back_cut, before + inside < payload);
      }
    }
  }
}

TEST(Paws, OlderTimestampsAreRejectedForTwentyFourDays) {
  EXPECT_TRUE(PawsRejects(99, 100, Duration::Zero()));
  EXPECT_FALSE(PawsRejects(100, 100, Duration::Zero()));
  EXPECT_FALSE(PawsRejects(5, 0xfffffff0, Duration::Zero()));  // wrapped
  EXPECT_TRUE(PawsRejects(0xfffffff0, 5, Duration::Zero()));
  EXPECT_TRUE(PawsRejects(99, 100, kPawsHorizon));
  EXPECT_FALSE(PawsRejects(99, 100, kPawsHorizon + Duration::Nanos(1)));
}

TEST(TsRecent, FollowsTheSegmentThatTheNextAckCovers) {
  const SeqNum last_ack(1000);
  EXPECT_TRUE(TsRecentFollows(51, 50, false, SeqNum(1000), last_ack));
  EXPECT_TRUE(TsRecentFollows(50, 50, false, SeqNum(900), last_ack));
  EXPECT_FALSE(TsRecentFollows(51, 50, false, SeqNum(1001), last_ack));  // out of order: not yet
  EXPECT_FALSE(TsRecentFollows(49, 50, false, SeqNum(1000), last_ack));
  EXPECT_TRUE(TsRecentFollows(49, 50, true, SeqNum(1000), last_ack));
}

TEST(JudgeRst, ExactInWindowOutside) {
  EXPECT_EQ(JudgeRst(kNxt, kNxt, kWnd), RstVerdict::kReset);
  EXPECT_EQ(JudgeRst(kNxt, kNxt, 0), RstVerdict::kReset);
  EXPECT_EQ(JudgeRst(kNxt + 1, kNxt, kWnd), RstVerdict::kChallenge);
  EXPECT_EQ(JudgeRst(kNxt + 99, kNxt, kWnd), RstVerdict::kChallenge);
  EXPECT_EQ(JudgeRst(kNxt + 100, kNxt, kWnd), RstVerdict::kDrop);
  EXPECT_EQ(JudgeRst(kNxt - 1, kNxt, kWnd), RstVerdict::kDrop);
  EXPECT_EQ(JudgeRst(kNxt + 1, kNxt, 0), RstVerdict::kDrop);
}

TEST(JudgeAck, TheRangesOfRfc5961) {
  const SeqNum una(0xffffff00);
  const SeqNum nxt(0x100);
  const uint32_t max_wnd = 1000;
  EXPECT_EQ(JudgeAck(una, una, nxt, max_wnd), AckVerdict::kDuplicate);
  EXPECT_EQ(JudgeAck(una + 1, una, nxt, max_wnd), AckVerdict::kNew);
  EXPECT_EQ(JudgeAck(nxt, una, nxt, max_wnd), AckVerdict::kNew);
  EXPECT_EQ(JudgeAck(nxt + 1, una, nxt, max_wnd), AckVerdict::kUnsent);
  EXPECT_EQ(JudgeAck(una - 1, una, nxt, max_wnd), AckVerdict::kDuplicate);
  EXPECT_EQ(JudgeAck(una - 1000, una, nxt, max_wnd), AckVerdict::kDuplicate);
  EXPECT_EQ(JudgeAck(una - 1001, una, nxt, max_wnd), AckVerdict::kTooOld);
  EXPECT_EQ(JudgeAck(una, una, una, max_wnd), AckVerdict::kDuplicate);
  EXPECT_EQ(JudgeAck(una + 1, una, una, max_wnd), AckVerdict::kUnsent);
}

}  // namespace
}  // namespace tern::tcp
