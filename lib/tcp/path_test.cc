// Connections on paths that carry less than their link: with routers that say so, and without.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tcp/pair_for_test.h"
#include "wire/tcp.h"

namespace tern::tcp {
namespace {

TcpConfig With(PathProbing probing) {
  TcpConfig config;
  config.plpmtud = probing;
  return config;
}

// What the client sends of more than `carries` octets, options and text, is lost.
struct NarrowPath {
  explicit NarrowPath(const TcpConfig& config, uint16_t narrow = 1460) : pair(config), carries(narrow) {
    pair.drop = [this](const WireSegment& s) { return Judge(s); };
    pair.Connect();
    pair.RunFor(Duration::Millis(50));
  }

  bool Judge(const WireSegment& s) {
    if (!s.from_client || s.Has(wire::kSyn)) return false;
    const size_t size = s.payload.size() + wire::TcpOptionsLength(s.options);
    largest = std::max(largest, size);
    if (also_lost && also_lost(s)) return true;
    if (size <= carries) return false;
    ++too_big;
    if (speaks) Report(s.seq, carries);
    return true;
  }
  TooBigVerdict Report(SeqNum quoted, uint16_t mss) {
    Effects effects;
    last_verdict = OnPacketTooBig(client().conn, client().env, quoted, mss, pair.now, effects);
    if (effects.path.kind != PathNews::Kind::kNone) news = effects.path;
    return last_verdict;
  }
  bool Transfer(size_t octets) {
    return pair.Transfer(client(), pair.server, octets, Duration::Seconds(120));
  }
  Endpoint& client() { return pair.client; }
  const ColdState& cold() { return client().cold[client().conn.cold]; }
  uint16_t mss() { return client().conn.mss; }
  bool cwnd_was_cut() { return cold().congestion.ssthresh != CongestionState::kNoThreshold; }

  Pair pair;
  uint16_t carries;
  bool speaks = false;  // a router says so
  Pair::DropRule also_lost;
  int too_big = 0;
  size_t largest = 0;
  TooBigVerdict last_verdict = TooBigVerdict::kNoNews;
  PathNews news;
};

// ---- Black holes ----

TEST(Path, DataFlowsThroughABlackHole) {
  for (const bool sack : {true, false}) {
    for (const bool timestamps : {true, false}) {
      TcpConfig config = With(PathProbing::kBlackHole);
      config.sack = sack;
      config.timestamps = timestamps;
      SCOPED_TRACE(std::to_string(sack) + std::to_string(timestamps));
      NarrowPath path(config, 1'240);
      ASSERT_TRUE(path.Transfer(400'000));
      // RFC 8899 4.3: three time-outs, then none: what the search loses costs no more of them.
      EXPECT_EQ(path.cold().timeouts, 3u);
      EXPECT_LE(path.cold().path.mss(), 1'240);
      EXPECT_GT(path.cold().path.mss() + PathMtu::kGrain, 1'240);
      EXPECT_EQ(path.mss(), path.cold().path.mss() - (timestamps ? 12 : 0));
      EXPECT_FALSE(path.cold().path.searching());
    }
  }
}

TEST(Path, ABlackHoleThatNotEvenTheBasePasses) {
  NarrowPath path(With(PathProbing::kBlackHole), 600);
  ASSERT_TRUE(path.Transfer(2'000'000));
  EXPECT_EQ(path.cold().timeouts, 6u);
  EXPECT_GT(path.cold().path.mss() + PathMtu::kGrain, 600);
}

TEST(Path, WithoutProbesABlackHoleStaysOne) {
  NarrowPath path(With(PathProbing::kOff), 1'240);
  EXPECT_FALSE(path.Transfer(20'000));
  EXPECT_EQ(path.mss(), 1'448);
}

TEST(Path, AfterAnOutageTheSizeIsWhatItWas) {
  NarrowPath path(With(PathProbing::kBlackHole));
  ASSERT_TRUE(path.Transfer(100'000));
  path.also_lost = [](const WireSegment&) { return true; };
  path.pair.Write(path.client(), Pattern(0, 20'000));
  path.pair.RunFor(Duration::Seconds(4));
  EXPECT_EQ(path.mss(), 1'012);
  path.also_lost = nullptr;
  path.pair.RunFor(Duration::Seconds(10));
  path.pair.server.received.clear();
  ASSERT_TRUE(path.Transfer(100'000));
  EXPECT_EQ(path.mss(), 1'448);
}

// ---- Probes ----

TEST(Path, AProbeThatIsLostIsNoSignOfCongestion) {
  for (const bool sack : {true, false}) {
    TcpConfig config = With(PathProbing::kAlways);
    config.sack = sack;
    NarrowPath path(config, 1'300);
    ASSERT_TRUE(path.Transfer(4'000'000));
    EXPECT_GT(path.too_big, 3);
    EXPECT_EQ(path.cold().timeouts, 0u);
    EXPECT_FALSE(path.cwnd_was_cut()) << sack;
    EXPECT_GT(path.cold().path.mss() + PathMtu::kGrain, 1'300);
  }
}

// The other loss is.
TEST(Path, WhatElseIsLostIsASignOfCongestion) {
  NarrowPath path(With(PathProbing::kAlways), 1'300);
  bool lost = false;
  path.also_lost = [&](const WireSegment& s) {
    if (lost || path.too_big == 0 || s.retransmission || s.payload.size() > 1'012) return false;
    return lost = true;
  };
  ASSERT_TRUE(path.Transfer(400'000));
  EXPECT_TRUE(lost);
  EXPECT_TRUE(path.cwnd_was_cut());
}

TEST(Path, OnAPathThatCarriesAllNothingIsSentTwice) {
  NarrowPath path(With(PathProbing::kAlways));
  EXPECT_EQ(path.mss(), 1'012);
  ASSERT_TRUE(path.Transfer(200'000));
  EXPECT_EQ(path.mss(), 1'448);
  EXPECT_EQ(path.cold().retransmitted_segments, 0u);
  EXPECT_FALSE(path.client().conn.Is(kSlowPathOnly));
}

TEST(Path, ALittleDataIsNoOccasionForAProbe) {
  NarrowPath path(With(PathProbing::kAlways));
  ASSERT_TRUE(path.Transfer(4'000));
  EXPECT_EQ(path.mss(), 1'012);
  EXPECT_LE(path.largest, 1'024u);
}

// ---- Routers ----

TEST(Path, ARoutersWordCostsNoTimeoutAndNoWindow) {
  NarrowPath path(With(PathProbing::kBlackHole), 1'360);
  path.speaks = true;
  const Instant start = path.pair.now;
  ASSERT_TRUE(path.Transfer(400'000));
  EXPECT_EQ(path.mss(), 1'348);
  EXPECT_EQ(path.news.kind, PathNews::Kind::kLowered);
  EXPECT_EQ(path.news.mss, 1'360);
  EXPECT_TRUE(path.news.settled);
  EXPECT_TRUE(path.news.watch);
  EXPECT_EQ(path.cold().timeouts, 0u);
  EXPECT_FALSE(path.cwnd_was_cut());
  EXPECT_LT(path.pair.now - start, Duration::Seconds(1));
}

// Beside segments that were too big, small ones were on their way, and their SACKs come back.
TEST(Path, SmallSegmentsBetweenAreNotBlamed) {
  TcpConfig config = With(PathProbing::kBlackHole);
  config.nodelay = true;
  NarrowPath path(config, 1'360);
  path.speaks = true;
  size_t at = 0;
  for (const size_t length : {1'448, 100, 1'448, 100, 100, 100, 100, 1'448}) {
    path.pair.Write(path.client(), Pattern(at, length));
    at += length;
    path.pair.RunFor(Duration::Micros(100));
  }
  path.pair.RunFor(Duration::Seconds(2));
  EXPECT_EQ(path.pair.server.received, Pattern(0, at));
  EXPECT_EQ(path.cold().timeouts, 0u);
  EXPECT_FALSE(path.cwnd_was_cut());
}

// RFC 5927 7.2.
TEST(Path, APathThatNarrowsIsBelievedAfterOneTimeout) {
  NarrowPath path(With(PathProbing::kBlackHole));
  path.speaks = true;
  ASSERT_TRUE(path.Transfer(100'000));
  path.carries = 1'360;
  path.pair.server.received.clear();
  ASSERT_TRUE(path.Transfer(100'000));
  EXPECT_EQ(path.mss(), 1'348);
  EXPECT_EQ(path.cold().timeouts, 1u);
  EXPECT_FALSE(path.cwnd_was_cut());
}

TEST(Path, AForgeryInMidStreamChangesNothing) {
  NarrowPath path(With(PathProbing::kBlackHole));
  ASSERT_TRUE(path.Transfer(100'000));
  path.pair.Write(path.client(), Pattern(0, 20'000));
  EXPECT_EQ(path.Report(path.client().conn.snd_una, 600), TooBigVerdict::kDeferred);
  path.pair.RunFor(Duration::Seconds(1));
  path.pair.server.received.clear();
  ASSERT_TRUE(path.Transfer(100'000));
  EXPECT_EQ(path.mss(), 1'448);
  EXPECT_EQ(path.cold().retransmitted_segments, 0u);
}

TEST(Path, ASynIsNeverTooBig) {
  Pair pair;
  pair.Connect();
  Effects effects;
  EXPECT_EQ(OnPacketTooBig(pair.client.conn, pair.client.env, pair.client_iss, 600, pair.now, effects),
            TooBigVerdict::kNotInFlight);
}

TEST(Path, WhatAnotherConnectionLearntCounts) {
  NarrowPath path(With(PathProbing::kBlackHole), 1'360);
  Effects effects;
  LearnPathMss(path.client().conn, path.client().env, 1'360, path.pair.now, effects);
  ASSERT_TRUE(path.Transfer(50'000));
  EXPECT_EQ(path.too_big, 0);
}

// ---- Ageing ----

TEST(Path, AfterTenMinutesAProbeFindsThatThePathHasGrown) {
  NarrowPath path(With(PathProbing::kBlackHole), 1'360);
  path.speaks = true;
  ASSERT_TRUE(path.Transfer(100'000));
  path.carries = 1'460;
  const auto aged = [&] {
    Effects effects;
    return OnPathAged(path.client().conn, path.client().env, path.pair.now, effects);
  };
  EXPECT_EQ(aged(), path.cold().path.next_raise());  // too early: nothing changes
  EXPECT_FALSE(path.cold().path.searching());
  path.pair.RunFor(Duration::Seconds(600));
  EXPECT_NE(aged(), Instant::Never());
  path.pair.server.received.clear();
  ASSERT_TRUE(path.Transfer(100'000));
  EXPECT_EQ(path.mss(), 1'448);
  EXPECT_EQ(aged(), Instant::Never());
}

}  // namespace
}  // namespace tern::tcp
