#include "tcp/autotune.h"

#include <gtest/gtest.h>

#include "tcp/pair_for_test.h"

namespace tern::tcp {
namespace {

constexpr uint32_t kMss = 1000;
constexpr uint32_t kLeast = 64 * 1024;
constexpr uint32_t kMost = 6 * 1024 * 1024;
constexpr Duration kRtt = Duration::Millis(10);

Instant At(int64_t ms) { return Instant::FromNanos(1'000'000'000 + ms * 1'000'000); }

TEST(ReceiveTuner, GrowsToTwiceWhatOneRoundTripBrought) {
  ReceiveTuner tuner;
  EXPECT_EQ(tuner.OnRead(SeqNum(0), At(0), kRtt, kMss, kLeast, kMost), kLeast);  // the first round begins
  EXPECT_EQ(tuner.OnRead(SeqNum(50'000), At(5), kRtt, kMss, kLeast, kMost), kLeast);  // it is not over
  EXPECT_NEAR(tuner.OnRead(SeqNum(100'000), At(10), kRtt, kMss, kLeast, kMost), 216'000, 100);
}

TEST(ReceiveTuner, ReaderThatComesSeldomIsJudgedByItsRate) {
  ReceiveTuner tuner;
  tuner.OnRead(SeqNum(0), At(0), kRtt, kMss, kLeast, kMost);
  // A million octets, but in ten round trips.
  EXPECT_NEAR(tuner.OnRead(SeqNum(1'000'000), At(100), kRtt, kMss, kLeast, kMost), 216'000, 100);
}

TEST(ReceiveTuner, NeverShrinksAndStopsAtTheBound) {
  ReceiveTuner tuner;
  tuner.OnRead(SeqNum(0), At(0), kRtt, kMss, kLeast, kMost);
  EXPECT_EQ(tuner.OnRead(SeqNum(10), At(10), kRtt, kMss, kMost - 1, kMost), kMost - 1);
  EXPECT_EQ(tuner.OnRead(SeqNum(100'000'000), At(20), kRtt, kMss, kLeast, kMost), kMost);
  EXPECT_EQ(tuner.OnRead(SeqNum(200'000'000), At(30), kRtt, kMss, 2 * kMost, kMost), 2 * kMost);
}

TEST(ReceiveTuner, SequenceNumbersWrap) {
  ReceiveTuner tuner;
  tuner.OnRead(SeqNum(0xffff'ff00), At(0), kRtt, kMss, kLeast, kMost);
  EXPECT_NEAR(tuner.OnRead(SeqNum(99'744), At(10), kRtt, kMss, kLeast, kMost), 216'000, 100);
}

TEST(ReceiveTuner, WaitsForASample) {
  ReceiveTuner tuner;
  EXPECT_EQ(tuner.OnRead(SeqNum(1'000'000), At(0), Duration::Zero(), kMss, kLeast, kMost), kLeast);
}

TEST(SendBufferFor, IsTwiceTheWindowWithinItsBounds) {
  EXPECT_EQ(SendBufferFor(1'000, kLeast, kMost), kLeast);
  EXPECT_EQ(SendBufferFor(100'000, kLeast, kMost), 200'000u);
  EXPECT_EQ(SendBufferFor(0xffff'ffff, kLeast, kMost), kMost);
  EXPECT_EQ(SendBufferFor(100'000, kLeast, 0), kLeast);  // no tuning
}

// ---- Connections ----

TcpConfig Tuned() {
  TcpConfig config;
  config.receive_buffer = config.send_buffer = 64 * 1024;
  config.receive_buffer_max = kMost;
  config.send_buffer_max = 4 * 1024 * 1024;
  return config;
}

TEST(Autotune, BulkOverALongPathFillsIt) {
  Pair pair(Tuned(), Tuned());
  pair.delay = Duration::Millis(50);
  pair.Connect();
  const Instant begin = pair.now;
  ASSERT_TRUE(pair.Transfer(pair.client, pair.server, 20'000'000, Duration::Seconds(60)));
  EXPECT_GT(pair.server.conn.rcv_limit, 1'000'000u);
  EXPECT_LE(pair.server.conn.rcv_limit, kMost);
  EXPECT_EQ(pair.client.conn.rcv_limit, 64u * 1024);  // nothing came here
  // With 64 KiB a round trip of 100 ms it would take half a minute.
  EXPECT_LT((pair.now - begin).millis(), 8'000);
}

TEST(Autotune, OffStaysAsConfigured) {
  TcpConfig config = Tuned();
  config.receive_buffer_max = config.send_buffer_max = 0;
  Pair pair(config, config);
  pair.Connect();
  ASSERT_TRUE(pair.Transfer(pair.client, pair.server, 2'000'000, Duration::Seconds(60)));
  EXPECT_EQ(pair.server.conn.rcv_limit, 64u * 1024);
}

TEST(Autotune, SmallMessagesDoNotGrowIt) {
  Pair pair(Tuned(), Tuned());
  pair.Connect();
  for (int i = 0; i < 100; ++i) {
    pair.Write(pair.client, Pattern(0, 64));
    pair.RunFor(Duration::Millis(100));
  }
  EXPECT_EQ(pair.server.conn.rcv_limit, 64u * 1024);
}

TEST(Autotune, WithoutWindowScalingThereIsNothingToGrowInto) {
  TcpConfig no_scale = Tuned();
  no_scale.window_scale = false;
  Pair pair(no_scale, Tuned());
  pair.Connect();
  ASSERT_TRUE(pair.Transfer(pair.client, pair.server, 2'000'000, Duration::Seconds(60)));
  EXPECT_EQ(pair.server.conn.rcv_limit, 64u * 1024);
}

TEST(Autotune, TheScaleAnnouncedReachesTheBound) {
  Pair pair(Tuned(), Tuned());
  pair.Connect();
  pair.RunFor(Duration::Millis(100));
  EXPECT_EQ(pair.log[0].options.wscale, 7);  // 65535 << 7 is the first to reach 6 MiB
  EXPECT_EQ(pair.client.conn.rcv_scale, 7);
}

}  // namespace
}  // namespace tern::tcp
