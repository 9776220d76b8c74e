// What a listener asks of connections, and what becomes of a tuple that begins anew.
#include "stack/shard_for_test.h"

namespace tern::stack {
namespace {

using wire::kAck;
using wire::kFin;
using wire::kRst;
using wire::kSyn;

class ShardListenTest : public ShardTest {
 protected:
  void SetUp() override {
    config_.syn_cookies = SynCookies::kOff;
    answers_arp_ = true;
  }
  uint32_t ListenWith(ListenSpec spec) {
    Start();
    spec.port = 7;
    spec.user = 99;
    uint32_t id = 0;
    EXPECT_EQ(shard().Listen(spec, &id), OpenResult::kOk);
    return id;
  }
  static TestFlow From(const char* src, uint16_t port) {
    TestFlow flow{.src = Ip(src), .src_port = port};
    if (!flow.src.IsV4()) flow.dst = Ip("fd77::1");
    return flow;
  }
  // Whether a SYN of that flow is answered with a SYN-ACK.
  bool Answered(const TestFlow& flow) {
    GiveTcp(flow, kSyn, 1000, 0);
    const std::vector<SentFrame> sent = Take();
    return sent.size() == 1 && sent[0].tcp.flags == (kSyn | kAck);
  }
  TestFlow flow_;
};

// ---- Accept rate ----

TEST_F(ShardListenTest, SynsBeyondTheRateAreDropped) {
  ListenWith({.accept_rate = 10});
  now_ = now_ + Duration::Seconds(5);  // credit does not grow beyond a second's
  uint16_t port = 1;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(Answered(From("10.77.0.2", port++)));
  EXPECT_FALSE(Answered(From("10.77.0.2", port++)));
  EXPECT_EQ(Dropped(DropReason::kTcpAcceptRate), 1u);
  now_ = now_ + Duration::Millis(100);
  EXPECT_TRUE(Answered(From("10.77.0.2", port++)));
  EXPECT_FALSE(Answered(From("10.77.0.2", port++)));
  // A SYN that came before is none of it.
  EXPECT_TRUE(Answered(From("10.77.0.2", 1)));
  EXPECT_EQ(Dropped(DropReason::kTcpAcceptRate), 2u);
}

// With cookies the rate counts connections made: SYNs that come to nothing use none of it up.
TEST_F(ShardListenTest, AFloodDoesNotUseUpTheRate) {
  config_.syn_cookies = SynCookies::kAlways;
  ListenWith({.accept_rate = 2});
  for (uint16_t port = 1; port <= 50; ++port) EXPECT_TRUE(Answered(From("10.77.0.2", port)));
  std::vector<uint32_t> acks;
  for (uint16_t port = 51; port <= 53; ++port) {
    GiveTcp(From("10.77.0.2", port), kSyn, 1000, 0);
    acks.push_back(TakeOne().tcp.seq.value() + 1);
  }
  for (uint16_t port = 51; port <= 53; ++port) GiveTcp(From("10.77.0.2", port), kAck, 1001, acks[port - 51u]);
  EXPECT_EQ(shard().counters().accepted, 2u);
  EXPECT_EQ(Dropped(DropReason::kTcpAcceptRate), 1u);
  EXPECT_FALSE(Answered(From("10.77.0.2", 54)));
  // The cookie stays good.
  now_ = now_ + Duration::Millis(500);
  GiveTcp(From("10.77.0.2", 53), kAck, 1001, acks[2]);
  EXPECT_EQ(shard().counters().accepted, 3u);
}

// ---- One source ----

TEST_F(ShardListenTest, OneSourceHasOnlySoManyPending) {
  ListenWith({.source_limit = 2});
  EXPECT_TRUE(Answered(From("10.77.0.2", 1)));
  uint32_t isn = Handshake(From("10.77.0.2", 2));
  EXPECT_FALSE(Answered(From("10.77.0.2", 3)));
  EXPECT_EQ(Dropped(DropReason::kTcpSourceLimit), 1u);
  EXPECT_TRUE(Answered(From("10.77.0.3", 3)));
  EXPECT_EQ(shard().usage().sources, 2u);
  // Accepted: no longer pending.
  const ShardEvent event = OneEvent();
  EXPECT_TRUE(Answered(From("10.77.0.2", 3)));
  EXPECT_FALSE(Answered(From("10.77.0.2", 4)));
  // Given up: neither.
  GiveTcp(From("10.77.0.2", 1), kRst, 1001, 0);
  EXPECT_TRUE(Answered(From("10.77.0.2", 4)));
  EXPECT_FALSE(Answered(From("10.77.0.2", 5)));
  // Reset before it was accepted: neither.
  GiveTcp(From("10.77.0.2", 4), kRst, 1001, 0);
  isn = Handshake(From("10.77.0.2", 5));
  GiveTcp(From("10.77.0.2", 5), kRst, 1001, 0);
  EXPECT_TRUE(Answered(From("10.77.0.2", 6)));
  EXPECT_NE(isn, 0u);
  shard().Abort(event.handle, now_);
  Take();
  Advance(Duration::Seconds(70));  // the half-open ones time out
  Events();
  EXPECT_EQ(shard().usage().sources, 0u);
}

TEST_F(ShardListenTest, AnIpv6SourceIsItsSubnet) {
  config_.routes = {{wire::IpPrefix::Parse("fd99::/16").value(), Ip("fd77::2"), 0}};
  ListenWith({.source_limit = 1});
  EXPECT_TRUE(Answered(From("fd99::1", 1)));
  EXPECT_FALSE(Answered(From("fd99::2", 1)));
  EXPECT_TRUE(Answered(From("fd99:0:0:1::2", 1)));
  EXPECT_EQ(Dropped(DropReason::kTcpSourceLimit), 1u);
}

TEST_F(ShardListenTest, TheBoundHoldsForCookiesToo) {
  config_.syn_cookies = SynCookies::kAlways;
  ListenWith({.source_limit = 1});
  std::vector<uint32_t> isns;
  for (uint16_t port = 1; port <= 2; ++port) {
    GiveTcp(From("10.77.0.2", port), kSyn, 1000, 0);
    isns.push_back(TakeOne().tcp.seq.value());
  }
  for (uint16_t port = 1; port <= 2; ++port) {
    GiveTcp(From("10.77.0.2", port), kAck, 1001, isns[port - 1] + 1);
  }
  EXPECT_EQ(Dropped(DropReason::kTcpSourceLimit), 1u);
  EXPECT_FALSE(Answered(From("10.77.0.2", 3)));
  EXPECT_EQ(Dropped(DropReason::kTcpSourceLimit), 2u);
  EXPECT_EQ(Events().size(), 1u);
  GiveTcp(From("10.77.0.2", 2), kAck, 1001, isns[1] + 1);
  EXPECT_EQ(Events().size(), 1u);
}

TEST_F(ShardListenTest, TheTableOfSourcesIsBounded) {
  // As many as the half-open table holds; accepted ones wait in the backlog and count on.
  config_.max_half_open = 2;
  ListenWith({.source_limit = 5});
  Handshake(From("10.77.0.2", 1));
  Handshake(From("10.77.0.3", 1));
  EXPECT_FALSE(Answered(From("10.77.0.4", 1)));
  EXPECT_EQ(Dropped(DropReason::kTcpSourceTableFull), 1u);
  EXPECT_TRUE(Answered(From("10.77.0.2", 2)));
  Events();
  EXPECT_TRUE(Answered(From("10.77.0.4", 1)));
}

TEST_F(ShardListenTest, AClosedListenerLeavesNoSourcesBehind) {
  const uint32_t listener = ListenWith({.source_limit = 5});
  EXPECT_TRUE(Answered(From("10.77.0.2", 1)));
  Handshake(From("10.77.0.3", 1));
  EXPECT_EQ(shard().usage().sources, 2u);
  shard().CloseListener(listener);
  EXPECT_TRUE(Events().empty());
  Take();
  EXPECT_EQ(shard().usage().sources, 0u);
}

// ---- Deferred accept ----

TEST_F(ShardListenTest, AcceptWaitsForData) {
  ListenWith({.defer_accept = Duration::Seconds(5)});
  const uint32_t isn = Handshake(flow_);
  EXPECT_TRUE(Events().empty());
  EXPECT_EQ(shard().usage().deferred, 1u);
  Advance(Duration::Seconds(3));
  EXPECT_TRUE(Events().empty());
  GiveTcp(flow_, kAck, 1001, isn + 1, Text("GET"));
  const ShardEvent event = OneEvent();
  EXPECT_EQ(event.events, tcp::kEventConnected | tcp::kEventReadable);
  EXPECT_EQ(event.user, 99u);
  EXPECT_EQ(shard().usage().deferred, 0u);
  EXPECT_EQ(ReceiveText(event.handle), "GET");
  // Told once: the timer that is left over says nothing.
  Advance(Duration::Seconds(10));
  EXPECT_TRUE(Events().empty());
}

TEST_F(ShardListenTest, AcceptDoesNotWaitForEver) {
  ListenWith({.defer_accept = Duration::Seconds(5)});
  Handshake(flow_);
  Advance(Duration::Millis(4'990));
  EXPECT_TRUE(Events().empty());
  Advance(Duration::Millis(20));
  const ShardEvent event = OneEvent();
  EXPECT_EQ(event.events, tcp::kEventConnected);
  EXPECT_EQ(shard().usage().deferred, 0u);
  EXPECT_TRUE(shard().IsLive(event.handle));
}

TEST_F(ShardListenTest, DataThatComesAlongOrAFinNeedsNoWait) {
  ListenWith({.defer_accept = Duration::Seconds(5)});
  GiveTcp(flow_, kSyn, 1000, 0);
  GiveTcp(flow_, kAck, 1001, TakeOne().tcp.seq.value() + 1, Text("now"));
  EXPECT_EQ(OneEvent().events, tcp::kEventConnected | tcp::kEventReadable);
  Take();
  const TestFlow other{.src_port = 2};
  const uint32_t isn = Handshake(other);
  EXPECT_TRUE(Events().empty());
  GiveTcp(other, kAck | kFin, 1001, isn + 1);
  EXPECT_TRUE(OneEvent().events & tcp::kEventPeerClosed);
}

TEST_F(ShardListenTest, ADeferredConnectionThatIsResetIsNeverSeen) {
  const uint32_t listener = ListenWith({.backlog = 2, .defer_accept = Duration::Seconds(5)});
  Handshake(flow_);
  Handshake({.src_port = 2});
  // They count against the backlog all the while.
  EXPECT_FALSE(Answered({.src_port = 3}));
  EXPECT_EQ(Dropped(DropReason::kTcpBacklogFull), 1u);
  GiveTcp(flow_, kRst, 1001, 0);
  EXPECT_EQ(shard().usage().deferred, 1u);
  EXPECT_TRUE(Answered({.src_port = 3}));
  // The slot is somebody else's before the first timer comes.
  Handshake({.src_port = 3});
  shard().CloseListener(listener);
  EXPECT_TRUE(Events().empty());
  size_t resets = 0;
  for (const SentFrame& f : Take()) resets += (f.tcp.flags & kRst) != 0 ? 1 : 0;
  EXPECT_EQ(resets, 2u);
  EXPECT_EQ(shard().usage().deferred, 0u);
  EXPECT_EQ(shard().usage().connections, 0u);
  Advance(Duration::Seconds(10));
  EXPECT_TRUE(Events().empty());
}

// ---- A tuple that begins anew ----

TEST_F(ShardListenTest, ANewSynInTheWindowTakesTheHalfOpenEntryOver) {
  ListenWith({});
  GiveTcp(flow_, kSyn, 1000, 0, {}, {.mss = 1'000, .wscale = 3, .has_mss = true, .has_wscale = true});
  Take();
  now_ = now_ + Duration::Millis(10);
  GiveTcp(flow_, kSyn, 9000, 0);
  const SentFrame synack = TakeOne();
  EXPECT_EQ(synack.tcp.flags, kSyn | kAck);
  EXPECT_EQ(synack.tcp.ack, SeqNum(9001));
  EXPECT_FALSE(synack.options.has_wscale);
  EXPECT_EQ(shard().usage().half_open, 1u);
  GiveTcp(flow_, kAck, 9001, synack.tcp.seq.value() + 1);
  const ShardEvent event = OneEvent();
  EXPECT_EQ(shard().Cold(event.handle)->peer_mss, 536);
}

// RFC 5961 4: elsewhere it may be anybody's. Who really began anew answers the challenge with a RST, and the
// next SYN is heard.
TEST_F(ShardListenTest, ANewSynElsewhereIsChallengedFirst) {
  ListenWith({});
  GiveTcp(flow_, kSyn, 1000, 0);
  const SentFrame first = TakeOne();
  GiveTcp(flow_, kSyn, 500'000, 0);
  const SentFrame challenge = TakeOne();
  EXPECT_EQ(challenge.tcp.flags, kAck);
  EXPECT_EQ(challenge.tcp.ack, SeqNum(1001));
  EXPECT_EQ(challenge.tcp.seq, first.tcp.seq + 1);
  EXPECT_EQ(shard().usage().half_open, 1u);
  GiveTcp(flow_, kRst, challenge.tcp.ack.value(), 0);
  EXPECT_EQ(shard().usage().half_open, 0u);
  GiveTcp(flow_, kSyn, 500'000, 0);
  EXPECT_EQ(TakeOne().tcp.ack, SeqNum(500'001));
}

class ShardTimeWaitTest : public ShardListenTest {
 protected:
  // Leaves one entry behind; returns SND.NXT. RCV.NXT is 1002.
  uint32_t EnterTimeWait(const wire::TcpOptions& options = {}) {
    const uint32_t isn = Handshake(flow_, 1000, options);
    const wire::TcpOptions later{.tsval = options.tsval, .has_timestamp = options.has_timestamp};
    shard().Close(OneEvent().handle, now_);
    Take();
    GiveTcp(flow_, kAck | kFin, 1001, isn + 2, {}, later);
    Take();
    Events();
    EXPECT_EQ(shard().usage().time_wait, 1u);
    return isn + 2;
  }
};

// RFC 9293 3.10.7.4 (MUST-13's second condition): the SYN turns out to be an old duplicate.
TEST_F(ShardTimeWaitTest, AnOldDuplicateSynGoesBackToTimeWait) {
  ListenWith({});
  const uint32_t snd_nxt = EnterTimeWait();
  GiveTcp(flow_, kSyn, 5000, 0);
  EXPECT_EQ(TakeOne().tcp.flags, kSyn | kAck);
  EXPECT_EQ(shard().usage().half_open, 1u);
  GiveTcp(flow_, kRst, 5001, 0);  // the peer knows nothing of that SYN
  EXPECT_EQ(shard().usage().half_open, 0u);
  EXPECT_EQ(shard().usage().time_wait, 1u);
  // And TIME-WAIT still answers for the old connection.
  GiveTcp(flow_, kAck | kFin, 1001, snd_nxt);
  const SentFrame ack = TakeOne();
  EXPECT_EQ(ack.tcp.flags, kAck);
  EXPECT_EQ(ack.tcp.seq, SeqNum(snd_nxt));
  EXPECT_EQ(ack.tcp.ack, SeqNum(1002));
  Advance(Duration::Seconds(61));
  EXPECT_EQ(shard().usage().time_wait, 0u);
}

TEST_F(ShardTimeWaitTest, ItsTimeMayEndWhileAnEntryStandsInItsPlace) {
  config_.tcp.synack_retries = 6;
  ListenWith({});
  EnterTimeWait();
  Advance(Duration::Seconds(50));
  GiveTcp(flow_, kSyn, 5000, 0);
  const SentFrame synack = TakeOne();
  Advance(Duration::Seconds(20));
  EXPECT_EQ(shard().usage().time_wait, 0u);
  EXPECT_EQ(shard().usage().half_open, 1u);
  GiveTcp(flow_, kAck, 5001, synack.tcp.seq.value() + 1);
  EXPECT_EQ(OneEvent().events, tcp::kEventConnected);
}

TEST_F(ShardTimeWaitTest, ARefusedSynLeavesItAsItWas) {
  ListenWith({.backlog = 1});
  EnterTimeWait();
  GiveTcp({.src_port = 2}, kSyn, 1, 0);
  Take();
  GiveTcp(flow_, kSyn, 5000, 0);
  ExpectSilence();
  EXPECT_EQ(Dropped(DropReason::kTcpBacklogFull), 1u);
  EXPECT_EQ(shard().usage().time_wait, 1u);
}

TEST_F(ShardTimeWaitTest, WithoutAListenerNothingTakesItsPlace) {
  const uint32_t listener = ListenWith({});
  const uint32_t snd_nxt = EnterTimeWait();
  shard().CloseListener(listener);
  GiveTcp(flow_, kSyn, 5000, 0);
  const SentFrame ack = TakeOne();
  EXPECT_EQ(ack.tcp.flags, kAck);
  EXPECT_EQ(ack.tcp.seq, SeqNum(snd_nxt));
  EXPECT_EQ(shard().usage().time_wait, 1u);
}

// RFC 6191 2, each of its cases, on the wire.
TEST_F(ShardTimeWaitTest, TimestampsDecideAboutReuse) {
  ListenWith({});
  const wire::TcpOptions stamped{.tsval = 700, .has_timestamp = true};
  struct Reuse {
    const char* what;
    bool old_stamped;
    uint32_t seq;
    wire::TcpOptions syn;
    bool honoured;
  };
  const Reuse cases[] = {
      {"later timestamp, older sequence", true, 10, {.tsval = 701, .has_timestamp = true}, true},
      {"same timestamp, later sequence", true, 5000, {.tsval = 700, .has_timestamp = true}, true},
      {"same timestamp, older sequence", true, 10, {.tsval = 700, .has_timestamp = true}, false},
      {"older timestamp, later sequence", true, 5000, {.tsval = 699, .has_timestamp = true}, false},
      {"no timestamp any more, later sequence", true, 5000, {}, true},
      {"no timestamp any more, older sequence", true, 10, {}, false},
      {"a timestamp where there was none, older sequence",
       false,
       10,
       {.tsval = 1, .has_timestamp = true},
       true},
      {"none at all, later sequence", false, 5000, {}, true},
      {"none at all, older sequence", false, 10, {}, false},
  };
  for (const Reuse& c : cases) {
    SCOPED_TRACE(c.what);
    ++flow_.src_port;
    EnterTimeWait(c.old_stamped ? stamped : wire::TcpOptions{});
    GiveTcp(flow_, kSyn, c.seq, 0, {}, c.syn);
    EXPECT_EQ(TakeOne().tcp.flags, c.honoured ? kSyn | kAck : kAck);
    if (c.honoured) GiveTcp(flow_, kRst, c.seq + 1, 0);
    Advance(Duration::Seconds(61));
    EXPECT_EQ(shard().usage().time_wait, 0u);
  }
}

// RFC 1337: neither a RST nor old data ends TIME-WAIT or gets into what comes after it.
TEST_F(ShardTimeWaitTest, OldDuplicatesDoNoHarm) {
  ListenWith({});
  const uint32_t snd_nxt = EnterTimeWait();
  for (const uint32_t seq : {1000u, 1001u, 1002u, 1003u, 900'000u}) {
    GiveTcp(flow_, kRst, seq, 0);
    GiveTcp(flow_, kRst | kAck, seq, snd_nxt);
    ExpectSilence();
  }
  GiveTcp(flow_, kAck, 990, snd_nxt, Text("old data"));
  const SentFrame ack = TakeOne();
  EXPECT_EQ(ack.tcp.flags, kAck);
  EXPECT_EQ(ack.tcp.ack, SeqNum(1002));
  GiveTcp(flow_, kAck, 1002, snd_nxt);  // two that disagree must not answer each other for ever
  ExpectSilence();
  EXPECT_EQ(shard().usage().time_wait, 1u);
  EXPECT_TRUE(Events().empty());
}

}  // namespace
}  // namespace tern::stack
