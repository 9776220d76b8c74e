#include "tcp/keepalive.h"

#include <gtest/gtest.h>

#include "tcp/pair_for_test.h"

namespace tern::tcp {
namespace {

constexpr KeepaliveTimes kTimes{
    .idle = Duration::Seconds(60), .interval = Duration::Seconds(10), .probes = 3};

void TurnOn(Pair& pair, const KeepaliveTimes& times = kTimes) {
  SetKeepalive(pair.client.conn, pair.client.env, &times, pair.now);
}
size_t SentByClient(const Pair& pair) { return pair.Sent(true).size(); }

// RFC 9293 MUST-28.
TEST(Keepalive, TwoHoursUnlessAsked) { EXPECT_GE(KeepaliveTimes().idle, Duration::Seconds(7'200)); }

// MUST-25.
TEST(Keepalive, IsOffUntilAskedFor) {
  Pair pair;
  Establish(pair, Duration::Seconds(1));
  const size_t before = pair.log.size();
  pair.RunFor(Duration::Seconds(48 * 3'600));
  EXPECT_EQ(pair.log.size(), before);
  EXPECT_EQ(pair.client.conn.state, State::kEstablished);
}

// MUST-24, MUST-26, SHLD-12.
TEST(Keepalive, ProbesAnIdlePeerWithoutDataAndIsAnswered) {
  Pair pair;
  Establish(pair, Duration::Seconds(1));
  TurnOn(pair);
  const size_t before = SentByClient(pair);
  pair.RunFor(Duration::Seconds(59));
  EXPECT_EQ(SentByClient(pair), before);
  pair.RunFor(Duration::Seconds(2));
  ASSERT_EQ(SentByClient(pair), before + 1);
  const WireSegment probe = pair.Sent(true).back();
  EXPECT_EQ(probe.flags, wire::kAck);
  EXPECT_EQ(probe.seq, pair.client.conn.snd_nxt - 1);
  EXPECT_TRUE(probe.payload.empty());
  EXPECT_EQ(pair.Sent(false).back().ack, pair.client.conn.snd_nxt) << "the peer had to answer";
  pair.RunFor(Duration::Seconds(3'600));
  EXPECT_EQ(pair.client.conn.state, State::kEstablished);
  EXPECT_LE(SentByClient(pair), before + 1 + 3'600 / 60);
  EXPECT_GE(SentByClient(pair), before + 3'600 / 80);
}

// MUST-26: what comes counts, by the fast path too.
TEST(Keepalive, AConnectionInUseIsNotProbed) {
  Pair pair;
  Establish(pair, Duration::Seconds(1));
  TurnOn(pair);
  for (int i = 0; i < 20; ++i) {
    pair.RunFor(Duration::Seconds(30));
    pair.Write(pair.server, Pattern(static_cast<size_t>(i), 1));
  }
  pair.RunFor(Duration::Seconds(1));
  for (const WireSegment& s : pair.Sent(true))
    EXPECT_FALSE(s.seq == pair.client.conn.snd_nxt - 1 && !s.Has(wire::kSyn));
  EXPECT_EQ(pair.client.received.size(), 20u);
}

// MUST-29: one lost answer is not the end; three are.
TEST(Keepalive, OnlySeveralUnansweredProbesEndAConnection) {
  Pair pair;
  Establish(pair, Duration::Seconds(1));
  TurnOn(pair);
  int lost = 0;
  pair.drop = [&](const WireSegment& s) { return !s.from_client && ++lost <= 2; };
  pair.RunFor(Duration::Seconds(100));
  EXPECT_EQ(pair.client.conn.state, State::kEstablished);
  EXPECT_EQ(lost, 3) << "the third answer came through";
  pair.drop = [](const WireSegment& s) { return !s.from_client; };
  pair.RunFor(Duration::Seconds(60 + 3 * 10 + 20));
  EXPECT_EQ(pair.client.conn.state, State::kClosed);
  EXPECT_EQ(pair.client.reason, CloseReason::kTimedOut);
  EXPECT_TRUE(pair.Sent(true).back().Has(wire::kRst));
}

// MUST-27.
TEST(Keepalive, TheIntervalIsTheApplications) {
  Pair pair;
  Establish(pair, Duration::Seconds(1));
  TurnOn(pair, {.idle = Duration::Seconds(1), .interval = Duration::Seconds(1), .probes = 2});
  const size_t before = SentByClient(pair);
  pair.RunFor(Duration::Seconds(10));
  EXPECT_GE(SentByClient(pair), before + 7);
  SetKeepalive(pair.client.conn, pair.client.env, nullptr, pair.now);
  const size_t after = SentByClient(pair);
  pair.RunFor(Duration::Seconds(100));
  EXPECT_EQ(SentByClient(pair), after);
}

// RFC 9293 3.8.4: while data is outstanding, its retransmission judges the peer.
TEST(Keepalive, LeavesOutstandingDataToRetransmission) {
  TcpConfig config;
  config.data_retries = 100;
  Pair pair(config, config);
  Establish(pair, Duration::Seconds(1));
  TurnOn(pair, {.idle = Duration::Seconds(1), .interval = Duration::Seconds(1), .probes = 2});
  pair.drop = [](const WireSegment&) { return true; };
  pair.Write(pair.client, Pattern(0, 10));
  pair.RunFor(Duration::Seconds(600));
  EXPECT_EQ(pair.client.conn.state, State::kEstablished);
}

TEST(Keepalive, AWaitLongerThanADeadlineReachesIsWalkedInSteps) {
  Pair pair;
  Establish(pair, Duration::Seconds(1));
  TurnOn(pair, {.idle = Duration::Seconds(5 * 24 * 3'600), .interval = Duration::Seconds(10), .probes = 2});
  const size_t before = SentByClient(pair);
  pair.RunFor(Duration::Seconds(5 * 24 * 3'600 - 1));
  EXPECT_EQ(SentByClient(pair), before);
  pair.RunFor(Duration::Seconds(2));
  EXPECT_EQ(SentByClient(pair), before + 1);
}

TEST(Keepalive, EndsWithTheApplicationsInterest) {
  Pair pair;
  Establish(pair, Duration::Seconds(1));
  TurnOn(pair, {.idle = Duration::Seconds(1), .interval = Duration::Seconds(1), .probes = 2});
  pair.Close(pair.client);
  pair.RunFor(Duration::Millis(100));
  EXPECT_EQ(pair.client.conn.state, State::kFinWait2);
  const size_t before = SentByClient(pair);
  pair.RunFor(Duration::Seconds(50));
  EXPECT_EQ(SentByClient(pair), before);
  pair.RunFor(Duration::Seconds(20));
  EXPECT_EQ(pair.client.reason, CloseReason::kGraceful);
}

}  // namespace
}  // namespace tern::tcp
