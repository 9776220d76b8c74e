// Whole connections against each other, in virtual time: the textbook's cases, by name.
#include "tcp/connection.h"

#include <gtest/gtest.h>

#include "base/prng.h"
#include "tcp/pair_for_test.h"

namespace tern::tcp {
namespace {

// Segments with data sent by one side.
std::vector<WireSegment> DataSent(const Pair& pair, bool by_client) {
  std::vector<WireSegment> data;
  for (const WireSegment& s : pair.Sent(by_client)) {
    if (!s.payload.empty()) data.push_back(s);
  }
  return data;
}

TEST(Handshake, SynAckCarriesClientIsnPlusOne) {
  Pair pair;
  Establish(pair);
  ASSERT_GE(pair.log.size(), 3u);
  EXPECT_EQ(pair.log[0].flags, wire::kSyn);
  EXPECT_EQ(pair.log[0].seq, pair.client_iss);
  EXPECT_EQ(pair.log[1].flags, wire::kSyn | wire::kAck);
  EXPECT_EQ(pair.log[1].ack, pair.client_iss + 1);
  EXPECT_EQ(pair.log[2].flags, wire::kAck);
  EXPECT_EQ(pair.log[2].seq, pair.client_iss + 1);
  EXPECT_EQ(pair.log[2].ack, pair.server_iss + 1);
  EXPECT_TRUE(pair.client.events & kEventConnected);
  EXPECT_TRUE(pair.server.events & kEventConnected);
}

TEST(Handshake, LostSynIsSentAgainAfterOneSecondThenTwo) {
  Pair pair;
  pair.drop = [](const WireSegment& s) { return s.Has(wire::kSyn) && s.from_client && s.number <= 2; };
  pair.Connect();
  pair.RunFor(Duration::Millis(999));
  EXPECT_EQ(pair.log.size(), 1u);
  pair.RunFor(Duration::Millis(2));
  EXPECT_EQ(pair.log.size(), 2u);
  pair.RunFor(Duration::Millis(1'997));
  EXPECT_EQ(pair.log.size(), 2u);
  pair.RunFor(Duration::Millis(100));
  EXPECT_EQ(pair.client.conn.state, State::kEstablished);
}

TEST(Handshake, GivesUpAfterTheConfiguredRetries) {
  Pair pair;
  pair.drop = [](const WireSegment&) { return true; };
  pair.Connect();
  pair.RunFor(Duration::Seconds(300));
  EXPECT_EQ(pair.client.conn.state, State::kClosed);
  EXPECT_EQ(pair.client.reason, CloseReason::kTimedOut);
  EXPECT_EQ(pair.log.size(), 1u + pair.client.config.syn_retries);
}

TEST(Handshake, RstToSynIsARefusal) {
  Pair pair;
  pair.drop = [](const WireSegment&) { return true; };
  pair.Connect();
  pair.Inject(pair.client, {.ack = pair.client_iss + 1, .flags = wire::kRst | wire::kAck});
  EXPECT_EQ(pair.client.conn.state, State::kClosed);
  EXPECT_EQ(pair.client.reason, CloseReason::kRefused);
}

TEST(Handshake, BadAckInSynSentDrawsARst) {
  Pair pair;
  pair.drop = [](const WireSegment&) { return true; };
  pair.Connect();
  pair.Inject(pair.client, {.seq = SeqNum(77), .ack = pair.client_iss + 9, .flags = wire::kSyn | wire::kAck});
  EXPECT_EQ(pair.client.conn.state, State::kSynSent);
  EXPECT_EQ(pair.log.back().flags, wire::kRst);
  EXPECT_EQ(pair.log.back().seq, pair.client_iss + 9);
}

TEST(Handshake, BothOpenAtOnce) {
  Pair pair;
  Pair::DropRule lose_all = [](const WireSegment&) { return true; };
  pair.drop = lose_all;
  pair.Connect();
  // The peer's SYN crosses ours, then its SYN-ACK (RFC 9293 figure 8).
  pair.Inject(pair.client, {.seq = SeqNum(300), .flags = wire::kSyn, .window = 1'000});
  EXPECT_EQ(pair.client.conn.state, State::kSynReceived);
  EXPECT_EQ(pair.log.back().flags, wire::kSyn | wire::kAck);
  EXPECT_EQ(pair.log.back().ack, SeqNum(301));
  pair.Inject(
      pair.client,
      {.seq = SeqNum(300), .ack = pair.client_iss + 1, .flags = wire::kSyn | wire::kAck, .window = 1'000});
  EXPECT_EQ(pair.client.conn.state, State::kEstablished);
}

// The telnet echo: the client types 'C' with sequence number 42, the server echoes it from 79.
TEST(Textbook, TelnetEcho) {
  Pair pair;
  pair.client_iss = SeqNum(41);
  pair.server_iss = SeqNum(78);
  Establish(pair);
  pair.Write(pair.client, {'C'});
  pair.RunFor(Duration::Millis(11));
  pair.Write(pair.server, {'C'});
  pair.RunFor(Duration::Millis(100));
  const WireSegment typed = DataSent(pair, true).at(0);
  EXPECT_EQ(typed.seq, SeqNum(42));
  EXPECT_EQ(typed.ack, SeqNum(79));
  const WireSegment echo = DataSent(pair, false).at(0);
  EXPECT_EQ(echo.seq, SeqNum(79));
  EXPECT_EQ(echo.ack, SeqNum(43));
  const WireSegment last = pair.Sent(true).back();
  EXPECT_EQ(last.seq, SeqNum(43));
  EXPECT_EQ(last.ack, SeqNum(80));
  EXPECT_EQ(pair.client.received, std::vector<uint8_t>{'C'});
}

// Sequence number 92, eight octets: the ACK is lost, the segment comes again, the receiver drops the copy.
TEST(Textbook, LostAck) {
  Pair pair;
  pair.client_iss = SeqNum(91);
  Establish(pair);
  bool lose = true;
  pair.drop = [&](const WireSegment& s) { return !s.from_client && std::exchange(lose, false); };
  pair.Write(pair.client, Pattern(0, 8));
  pair.RunFor(Duration::Seconds(2));
  const auto data = DataSent(pair, true);
  ASSERT_EQ(data.size(), 2u);
  EXPECT_EQ(data[0].seq, SeqNum(92));
  EXPECT_EQ(data[1].seq, SeqNum(92));
  EXPECT_TRUE(data[1].retransmission);
  EXPECT_EQ(pair.Sent(false).back().ack, SeqNum(100));
  EXPECT_EQ(pair.server.received, Pattern(0, 8));
  EXPECT_EQ(pair.client.conn.snd_una, SeqNum(100));
}

// Two segments, 92 and 100; the timer fires before their ACKs come: only the first is sent again, and the ACK
// of the second covers both.
TEST(Textbook, EarlyTimeoutResendsOnlyTheFirst) {
  TcpConfig config;
  config.nodelay = true;
  Pair pair(config, config);
  pair.client_iss = SeqNum(91);
  Establish(pair);
  pair.delay = Duration::Millis(150);  // longer than the timeout learned in the handshake
  pair.Write(pair.client, Pattern(0, 8));
  pair.Write(pair.client, Pattern(8, 20));
  pair.RunFor(Duration::Seconds(3));
  const auto data = DataSent(pair, true);
  ASSERT_EQ(data.size(), 3u);
  EXPECT_EQ(data[0].seq, SeqNum(92));
  EXPECT_EQ(data[1].seq, SeqNum(100));
  EXPECT_EQ(data[2].seq, SeqNum(92));
  EXPECT_EQ(pair.client.conn.snd_una, SeqNum(120));
  EXPECT_EQ(pair.server.received, Pattern(0, 28));
}

// The ACK of 92 is lost, that of 100 arrives in time: it covers both, and nothing is sent again.
TEST(Textbook, CumulativeAckCoversALostOne) {
  TcpConfig config;
  config.nodelay = true;
  Pair pair(config, config);
  pair.client_iss = SeqNum(91);
  Establish(pair);
  bool lose = true;
  pair.drop = [&](const WireSegment& s) { return !s.from_client && std::exchange(lose, false); };
  pair.Write(pair.client, Pattern(0, 8));
  pair.RunFor(Duration::Millis(1));
  pair.Write(pair.client, Pattern(8, 20));
  pair.RunFor(Duration::Seconds(2));
  EXPECT_EQ(DataSent(pair, true).size(), 2u);
  EXPECT_EQ(pair.client.conn.snd_una, SeqNum(120));
}

TEST(Textbook, TimeoutDoublesAndReturns) {
  Pair pair;
  Establish(pair);
  std::vector<int64_t> sent_ms;
  pair.drop = [&](const WireSegment& s) {
    if (s.from_client && !s.payload.empty()) sent_ms.push_back(pair.now.millis());
    return sent_ms.size() <= 4;
  };
  pair.Write(pair.client, Pattern(0, 100));
  pair.RunFor(Duration::Seconds(10));
  ASSERT_EQ(sent_ms.size(), 5u);
  const int64_t first = sent_ms[1] - sent_ms[0];
  EXPECT_NEAR(static_cast<double>(first), 200, 2);
  EXPECT_NEAR(static_cast<double>(sent_ms[2] - sent_ms[1]), static_cast<double>(2 * first), 2);
  EXPECT_NEAR(static_cast<double>(sent_ms[3] - sent_ms[2]), static_cast<double>(4 * first), 2);
  EXPECT_NEAR(static_cast<double>(sent_ms[4] - sent_ms[3]), static_cast<double>(8 * first), 2);
  // Acknowledged: the next loss waits for one plain timeout again.
  sent_ms.clear();
  pair.drop = [&](const WireSegment& s) {
    if (s.from_client && !s.payload.empty()) sent_ms.push_back(pair.now.millis());
    return sent_ms.size() == 1;
  };
  pair.Write(pair.client, Pattern(100, 100));
  pair.RunFor(Duration::Seconds(10));
  ASSERT_EQ(sent_ms.size(), 2u);
  EXPECT_LT(sent_ms[1] - sent_ms[0], 300);
}

TEST(Textbook, ThreeDuplicateAcksBringFastRetransmit) {
  for (const bool sack : {false, true}) {
    TcpConfig config;
    config.sack = sack;
    config.nodelay = true;
    Pair pair(config, config);
    Establish(pair);
    ASSERT_TRUE(pair.Transfer(pair.client, pair.server, 100'000, Duration::Seconds(10)));
    bool lose = true;
    pair.drop = [&](const WireSegment& s) {
      return s.from_client && !s.payload.empty() && std::exchange(lose, false);
    };
    const size_t before = pair.log.size();
    const Instant start = pair.now;
    ASSERT_TRUE(pair.Transfer(pair.client, pair.server, 8 * 1'448, Duration::Seconds(5)));
    int duplicates = 0;
    int resent = 0;
    for (size_t i = before; i < pair.log.size(); ++i) {
      if (pair.log[i].retransmission) {
        ++resent;
        EXPECT_GE(duplicates, 3) << "sack " << sack;
      }
      if (!pair.log[i].from_client && pair.log[i].payload.empty()) ++duplicates;
    }
    EXPECT_EQ(resent, 1) << "sack " << sack;
    EXPECT_LT((pair.now - start).millis(), 150) << "by the timer, not by duplicates";
  }
}

TEST(Textbook, ZeroWindowIsProbedAndOpens) {
  Pair pair;
  Establish(pair);
  pair.server.reading = false;
  size_t written = 0;
  for (int i = 0; i < 400; ++i) {
    const uint32_t room = SendRoom(pair.client.conn, pair.client.env);
    if (room != 0) {
      pair.Write(pair.client, Pattern(written, 1'448));
      written += 1'448;
    }
    pair.RunFor(Duration::Millis(5));
  }
  EXPECT_EQ(pair.client.conn.snd_wnd, 0u);
  const size_t before = pair.Sent(true).size();
  pair.RunFor(Duration::Seconds(600));
  EXPECT_EQ(pair.client.conn.state, State::kEstablished) << "a peer that answers probes is alive (MUST-37)";
  const size_t probes = pair.Sent(true).size() - before;
  EXPECT_GE(probes, 8u);
  EXPECT_LE(probes, 40u) << "probes back off";
  pair.server.reading = true;
  pair.Read(pair.server);
  pair.RunFor(Duration::Seconds(5));
  ASSERT_EQ(pair.server.received.size(), written);
  EXPECT_EQ(pair.server.received, Pattern(0, written));
}

TEST(Textbook, WalkThroughTheStatesOfClientAndServer) {
  Pair pair;
  EXPECT_EQ(pair.client.conn.state, State::kClosed);
  pair.Connect();
  EXPECT_EQ(pair.client.conn.state, State::kSynSent);
  pair.RunFor(Duration::Millis(100));
  EXPECT_EQ(pair.client.conn.state, State::kEstablished);
  pair.Close(pair.client);
  EXPECT_EQ(pair.client.conn.state, State::kFinWait1);
  pair.RunFor(Duration::Millis(15));
  EXPECT_EQ(pair.server.conn.state, State::kCloseWait);
  EXPECT_TRUE(pair.server.events & kEventPeerClosed);
  pair.RunFor(Duration::Millis(100));
  EXPECT_EQ(pair.client.conn.state, State::kFinWait2);
  pair.Close(pair.server);
  EXPECT_EQ(pair.server.conn.state, State::kLastAck);
  pair.RunFor(Duration::Millis(15));
  EXPECT_EQ(pair.client.conn.state, State::kTimeWait);
  pair.RunFor(Duration::Millis(15));
  EXPECT_EQ(pair.server.conn.state, State::kClosed);
  EXPECT_EQ(pair.server.reason, CloseReason::kGraceful);
  pair.RunFor(Duration::Seconds(59));
  EXPECT_EQ(pair.client.conn.state, State::kTimeWait);
  pair.RunFor(Duration::Seconds(2));
  EXPECT_EQ(pair.client.conn.state, State::kClosed);
  EXPECT_EQ(pair.client.reason, CloseReason::kGraceful);
}

TEST(Closing, BothAtOnceGoThroughClosing) {
  Pair pair;
  Establish(pair);
  pair.Close(pair.client);
  pair.Close(pair.server);
  pair.RunFor(Duration::Millis(12));
  EXPECT_EQ(pair.client.conn.state, State::kClosing);
  EXPECT_EQ(pair.server.conn.state, State::kClosing);
  pair.RunFor(Duration::Millis(12));
  EXPECT_EQ(pair.client.conn.state, State::kTimeWait);
  EXPECT_EQ(pair.server.conn.state, State::kTimeWait);
}

TEST(Closing, HalfCloseStillReceives) {
  Pair pair;
  Establish(pair);
  pair.Write(pair.client, Pattern(0, 500));
  pair.Shutdown(pair.client);
  pair.RunFor(Duration::Millis(100));
  EXPECT_EQ(pair.client.conn.state, State::kFinWait2);
  EXPECT_EQ(pair.server.received, Pattern(0, 500));
  ASSERT_TRUE(pair.Transfer(pair.server, pair.client, 200'000, Duration::Seconds(20)));
  pair.RunFor(Duration::Seconds(300));
  EXPECT_EQ(pair.client.conn.state, State::kFinWait2) << "someone still reads: no limit on the wait";
  pair.Shutdown(pair.server);
  pair.RunFor(Duration::Millis(100));
  EXPECT_EQ(pair.client.conn.state, State::kTimeWait);
  EXPECT_EQ(pair.server.conn.state, State::kClosed);
}

TEST(Closing, LostFinIsSentAgain) {
  Pair pair;
  Establish(pair);
  int fins = 0;
  pair.drop = [&](const WireSegment& s) { return s.from_client && s.Has(wire::kFin) && ++fins <= 2; };
  pair.Close(pair.client);
  pair.RunFor(Duration::Seconds(3));
  EXPECT_EQ(fins, 3);
  EXPECT_EQ(pair.server.conn.state, State::kCloseWait);
  EXPECT_EQ(pair.client.conn.state, State::kFinWait2);
}

TEST(Closing, UnreadDataTurnsCloseIntoReset) {
  Pair pair;
  Establish(pair);
  pair.server.reading = false;
  pair.Write(pair.client, Pattern(0, 100));
  pair.RunFor(Duration::Millis(100));
  pair.Close(pair.server);
  EXPECT_EQ(pair.server.conn.state, State::kClosed);
  pair.RunFor(Duration::Millis(100));
  EXPECT_EQ(pair.client.conn.state, State::kClosed);
  EXPECT_EQ(pair.client.reason, CloseReason::kReset);
}

TEST(Closing, DataAfterCloseIsAnsweredWithRst) {
  Pair pair;
  Establish(pair);
  pair.Close(pair.server);
  pair.RunFor(Duration::Millis(100));
  pair.Write(pair.client, Pattern(0, 10));
  pair.RunFor(Duration::Millis(100));
  EXPECT_EQ(pair.server.conn.state, State::kClosed);
  EXPECT_EQ(pair.server.reason, CloseReason::kAborted);
  EXPECT_EQ(pair.client.reason, CloseReason::kReset);
}

TEST(Reset, OnlyAtRcvNxtOtherwiseChallenged) {
  Pair pair;
  Establish(pair);
  const SeqNum nxt = pair.client.conn.rcv_nxt;
  pair.Inject(pair.client, {.seq = nxt + 10, .flags = wire::kRst});
  EXPECT_EQ(pair.client.conn.state, State::kEstablished);
  EXPECT_EQ(pair.log.back().flags, wire::kAck);
  EXPECT_EQ(pair.log.back().ack, nxt);
  pair.Inject(pair.client, {.seq = nxt - 1, .flags = wire::kRst});
  EXPECT_EQ(pair.client.conn.state, State::kEstablished);
  pair.Inject(pair.client, {.seq = nxt, .flags = wire::kRst});
  EXPECT_EQ(pair.client.conn.state, State::kClosed);
  EXPECT_EQ(pair.client.reason, CloseReason::kReset);
}

TEST(Reset, SynOnAnEstablishedConnectionIsChallenged) {
  Pair pair;
  Establish(pair);
  for (const bool timestamp : {true, false}) {
    // A peer that restarted may offer other options than before.
    WireSegment syn{.seq = pair.server.conn.rcv_nxt, .flags = wire::kSyn};
    syn.options.has_timestamp = timestamp;
    syn.options.tsval = pair.server.conn.ts_recent;
    const size_t before = pair.log.size();
    pair.Inject(pair.server, syn);
    EXPECT_EQ(pair.server.conn.state, State::kEstablished);
    ASSERT_EQ(pair.log.size(), before + 1) << timestamp;
    EXPECT_EQ(pair.log.back().flags, wire::kAck);
    EXPECT_EQ(pair.log.back().ack, pair.server.conn.rcv_nxt);
  }
}

// A probe has put SND.NXT beyond the window: what we then say must still be acceptable to the peer.
TEST(ShutWindow, AcksAndResetsStandAtItsEdge) {
  Pair pair;
  Establish(pair);
  pair.server.reading = false;
  pair.Transfer(pair.client, pair.server, 1 << 20, Duration::Seconds(5));
  ASSERT_EQ(pair.client.conn.snd_wnd, 0u);
  ASSERT_EQ(pair.client.conn.snd_nxt, pair.client.conn.snd_una + 1) << "the probe's octet is out";
  const SeqNum edge = pair.server.conn.rcv_nxt;
  pair.Write(pair.server, Pattern(0, 100));
  pair.RunFor(Duration::Millis(200));
  EXPECT_EQ(pair.client.received.size(), 100u);
  EXPECT_EQ(pair.server.conn.snd_una, pair.server.conn.snd_nxt) << "the ACK was taken";
  pair.Abort(pair.client);
  EXPECT_EQ(pair.log.back().seq, edge);
  pair.RunFor(Duration::Millis(100));
  EXPECT_EQ(pair.server.reason, CloseReason::kReset);
}

TEST(Paws, OldTimestampIsDroppedAndAcknowledged) {
  Pair pair;
  Establish(pair);
  pair.Write(pair.client, Pattern(0, 10));
  pair.RunFor(Duration::Millis(100));
  WireSegment old{.seq = pair.server.conn.rcv_nxt, .ack = pair.server.conn.snd_nxt, .flags = wire::kAck};
  old.options.has_timestamp = true;
  old.options.tsval = pair.server.conn.ts_recent - 1;
  old.payload = Pattern(10, 5);
  pair.server.drops.clear();
  pair.Inject(pair.server, old);
  ASSERT_EQ(pair.server.drops.size(), 1u);
  EXPECT_EQ(pair.server.drops[0], DropReason::kTcpPaws);
  EXPECT_EQ(pair.server.received.size(), 10u);
  EXPECT_EQ(pair.log.back().flags, wire::kAck);
}

TEST(Nagle, ShortSegmentsWaitForTheAckUnlessSwitchedOff) {
  for (const bool nodelay : {false, true}) {
    TcpConfig config;
    config.nodelay = nodelay;
    Pair pair(config, config);
    Establish(pair);
    for (int i = 0; i < 5; ++i) pair.Write(pair.client, Pattern(static_cast<size_t>(i), 1));
    EXPECT_EQ(DataSent(pair, true).size(), nodelay ? 5u : 1u);
    pair.RunFor(Duration::Millis(200));
    EXPECT_EQ(DataSent(pair, true).size(), nodelay ? 5u : 2u);
    EXPECT_EQ(pair.server.received, Pattern(0, 5));
  }
}

TEST(DelayedAck, EverySecondSegmentOrFortyMilliseconds) {
  Pair pair;
  Establish(pair);
  ASSERT_TRUE(pair.Transfer(pair.client, pair.server, 100 * 1'448, Duration::Seconds(20)));
  pair.RunFor(Duration::Millis(100));
  const size_t before = pair.Sent(false).size();
  pair.Write(pair.client, Pattern(0, 100));
  pair.RunFor(Duration::Millis(45));
  EXPECT_EQ(pair.Sent(false).size(), before);
  pair.RunFor(Duration::Millis(10));
  EXPECT_EQ(pair.Sent(false).size(), before + 1);
}

TEST(Sequence, WrapsInTheMiddleOfATransfer) {
  Pair pair;
  pair.client_iss = SeqNum(0xffffff00);
  pair.server_iss = SeqNum(0x7fffff00);
  Establish(pair);
  EXPECT_TRUE(pair.Transfer(pair.client, pair.server, 300'000, Duration::Seconds(20)));
  EXPECT_TRUE(pair.Transfer(pair.server, pair.client, 300'000, Duration::Seconds(20)));
}

TEST(InitialWindow, TenSegments) {
  Pair pair;
  Establish(pair);
  pair.Write(pair.client, Pattern(0, 40 * 1'448));
  EXPECT_EQ(DataSent(pair, true).size(), 10u);
}

// ---- Packet memory is short ----

void SetTight(Endpoint& end, bool tight) { end.env.memory_tight = tight; }

TEST(MemoryTight, WhoReadsGoesOn) {
  Pair pair;
  Establish(pair);
  SetTight(pair.server, true);
  EXPECT_TRUE(pair.Transfer(pair.client, pair.server, 100'000, Duration::Seconds(20)));
  EXPECT_TRUE(pair.server.drops.empty());
}

TEST(MemoryTight, WhoDoesNotReadIsRefusedAndGetsItLater) {
  Pair pair;
  Establish(pair);
  pair.server.reading = false;
  SetTight(pair.server, true);
  pair.Write(pair.client, Pattern(0, 5'000));
  pair.RunFor(Duration::Seconds(2));
  EXPECT_EQ(pair.server.conn.rcv_queued, 1'448u) << "the first segment found an empty queue";
  ASSERT_FALSE(pair.server.drops.empty());
  EXPECT_EQ(pair.server.drops[0], DropReason::kTcpReceiveBufferFull);
  SetTight(pair.server, false);
  pair.server.reading = true;
  pair.Read(pair.server);
  pair.RunFor(Duration::Seconds(20));
  EXPECT_EQ(pair.server.received, Pattern(0, 5'000));
}

TEST(MemoryTight, WhatIsHeldOutOfOrderGoesFirst) {
  Pair pair;
  Establish(pair);
  pair.drop = [](const WireSegment& s) {
    return s.from_client && !s.payload.empty() && !s.retransmission && s.seq == SeqNum(1'001);
  };
  pair.Write(pair.client, Pattern(0, 3 * 1'448));
  pair.RunFor(Duration::Millis(15));
  ASSERT_TRUE((*pair.server.env.cold)[pair.server.conn.cold].reassembly.has_data());
  SetTight(pair.server, true);
  pair.Write(pair.client, Pattern(3 * 1'448, 1'448));
  pair.RunFor(Duration::Millis(11));
  EXPECT_FALSE((*pair.server.env.cold)[pair.server.conn.cold].reassembly.has_data());
  pair.RunFor(Duration::Seconds(20));
  EXPECT_EQ(pair.server.received, Pattern(0, 4 * 1'448)) << "the sender finds out that it was given up";
}

// RFC 5681 4.1.
TEST(IdleRestart, AfterAPauseTheInitialWindowAgain) {
  Pair pair;
  Establish(pair);
  ASSERT_TRUE(pair.Transfer(pair.client, pair.server, 400'000, Duration::Seconds(20)));
  ASSERT_GT(pair.client.conn.cwnd, 40u * 1'448);
  const size_t before = DataSent(pair, true).size();
  pair.Write(pair.client, Pattern(0, 40 * 1'448));
  EXPECT_EQ(DataSent(pair, true).size() - before, 40u) << "no pause, the whole window";
  pair.RunFor(Duration::Seconds(5));
  pair.Write(pair.client, Pattern(0, 40 * 1'448));
  EXPECT_EQ(DataSent(pair, true).size() - before, 50u);
  pair.RunFor(Duration::Seconds(5));
  EXPECT_EQ(DataSent(pair, true).size() - before, 80u);
}

// RFC 6298 5.7.
TEST(Handshake, AfterALostSynDataWaitsThreeSecondsForItsAck) {
  TcpConfig config;
  config.timestamps = false;
  Pair pair(config, config);
  pair.drop = [](const WireSegment& s) { return s.from_client && (s.number == 1 || !s.payload.empty()); };
  pair.Connect();
  pair.RunFor(Duration::Millis(1'500));
  ASSERT_EQ(pair.client.conn.state, State::kEstablished);
  pair.Write(pair.client, Pattern(0, 10));
  pair.RunFor(Duration::Millis(2'990));
  EXPECT_EQ(DataSent(pair, true).size(), 1u);
  pair.RunFor(Duration::Millis(20));
  EXPECT_EQ(DataSent(pair, true).size(), 2u);
}

// Random loss in both directions, with and without each option, and the fast path on and off.
TEST(Loss, EveryByteArrivesWhateverIsLost) {
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    Prng prng(seed);
    TcpConfig config;
    config.sack = prng.Below(2) != 0;
    config.timestamps = prng.Below(2) != 0;
    config.window_scale = prng.Below(2) != 0;
    config.nodelay = prng.Below(2) != 0;
    config.congestion = prng.Below(2) != 0 ? CongestionAlgorithm::kCubic : CongestionAlgorithm::kNewReno;
    config.receive_buffer = 4'096u << prng.Below(7);
    Pair pair(config, config);
    pair.client.env.fast_path = prng.Below(2) != 0;
    Establish(pair);
    const uint32_t loss_ppm = static_cast<uint32_t>(prng.Below(150'000));
    pair.drop = [&](const WireSegment&) { return prng.Bernoulli(loss_ppm); };
    EXPECT_TRUE(pair.Transfer(pair.client, pair.server, 150'000, Duration::Seconds(3'000)))
        << "seed " << seed << " loss " << loss_ppm << " got " << pair.server.received.size() << " sack "
        << config.sack << " rcvbuf " << config.receive_buffer;
    pair.Close(pair.client);
    pair.RunFor(Duration::Seconds(20));
    pair.Close(pair.server);
    pair.RunFor(Duration::Seconds(400));
    EXPECT_EQ(pair.client.conn.state, State::kClosed) << "seed " << seed << StateName(pair.client.conn.state);
    EXPECT_EQ(pair.server.conn.state, State::kClosed) << "seed " << seed << StateName(pair.server.conn.state);
    EXPECT_EQ(pair.client.buffers.outstanding(), 0u) << "seed " << seed;
    EXPECT_EQ(pair.server.buffers.outstanding(), 0u) << "seed " << seed;
    EXPECT_EQ(pair.client.records.in_use(), 0u) << "seed " << seed;
    if (::testing::Test::HasFailure()) break;
  }
}

}  // namespace
}  // namespace tern::tcp
