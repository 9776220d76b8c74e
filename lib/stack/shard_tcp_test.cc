// A whole shard and a hand-made TCP peer, in virtual time.
#include "stack/shard_for_test.h"
#include "stack/steering.h"

namespace tern::stack {
namespace {

using wire::kAck;
using wire::kFin;
using wire::kPsh;
using wire::kRst;
using wire::kSyn;

class ShardTcpTest : public ShardTest {
 protected:
  void SetUp() override {
    Start();
    answers_arp_ = true;
  }
  TestFlow flow_;
};

TEST_F(ShardTcpTest, AnswersASynWithClientIsnPlusOne) {
  Listen();
  GiveTcp(flow_, kSyn, 1000, 0);
  const SentFrame synack = TakeOne();
  EXPECT_EQ(synack.tcp.flags, kSyn | kAck);
  EXPECT_EQ(synack.tcp.ack, SeqNum(1001));
  EXPECT_EQ(synack.ethernet.dst, kPeerMac);
  EXPECT_EQ(synack.ethernet.src, kOurMac);
  EXPECT_EQ(synack.src, flow_.dst);
  EXPECT_EQ(synack.tcp.src_port, 7);
  EXPECT_EQ(synack.tcp.dst_port, 40'000);
  EXPECT_TRUE(synack.options.has_mss);
  EXPECT_EQ(synack.options.mss, 1460);
  EXPECT_FALSE(synack.options.has_wscale || synack.options.has_timestamp || synack.options.sack_permitted);
  EXPECT_EQ(shard().usage().half_open, 1u);
  EXPECT_TRUE(Events().empty());
}

TEST_F(ShardTcpTest, NegotiatesWhatTheSynOffers) {
  Listen();
  wire::TcpOptions options{.tsval = 77,
                           .mss = 1400,
                           .wscale = 5,
                           .has_timestamp = true,
                           .has_mss = true,
                           .has_wscale = true,
                           .sack_permitted = true};
  GiveTcp(flow_, kSyn, 1000, 0, {}, options);
  const SentFrame synack = TakeOne();
  EXPECT_TRUE(synack.options.has_wscale && synack.options.has_timestamp && synack.options.sack_permitted);
  EXPECT_EQ(synack.options.tsecr, 77u);
  EXPECT_EQ(synack.options.wscale, tcp::ReceiveScale(config_.tcp.receive_buffer, config_.tcp));
}

TEST_F(ShardTcpTest, AcceptsEchoesAndCloses) {
  Listen(7, 16, 99);
  uint32_t isn = 0;
  const ConnHandle handle = Accept(flow_, &isn);
  EXPECT_EQ(shard().User(handle), 99u);
  EXPECT_EQ(shard().counters().accepted, 1u);
  EXPECT_EQ(shard().usage().half_open, 0u);
  GiveTcp(flow_, kAck | kPsh, 1001, isn + 1, Text("hello"));
  const ShardEvent readable = OneEvent();
  EXPECT_EQ(readable.events, tcp::kEventReadable);
  EXPECT_EQ(readable.handle, handle);
  EXPECT_TRUE(readable.passive);
  EXPECT_EQ(ReceiveText(handle), "hello");
  EXPECT_EQ(shard().counters().rx_payload, 5u);
  SendText(handle, "hello");
  const SentFrame echo = TakeOne();
  EXPECT_EQ(echo.payload, Text("hello"));
  EXPECT_EQ(echo.tcp.seq, SeqNum(isn + 1));
  EXPECT_EQ(echo.tcp.ack, SeqNum(1006));
  // The peer closes; then we do, from LAST-ACK to nothing.
  GiveTcp(flow_, kAck | kFin, 1006, isn + 6);
  EXPECT_EQ(OneEvent().events, tcp::kEventReadable | tcp::kEventPeerClosed);
  bool ended = false;
  EXPECT_EQ(ReceiveText(handle, &ended), "");
  EXPECT_TRUE(ended);
  shard().Close(handle, now_);
  const SentFrame fin = TakeOne();
  EXPECT_EQ(fin.tcp.flags & kFin, kFin);
  EXPECT_EQ(fin.tcp.ack, SeqNum(1007));
  GiveTcp(flow_, kAck, 1007, isn + 7);
  const ShardEvent closed = OneEvent();
  EXPECT_EQ(closed.events, tcp::kEventClosed);
  EXPECT_EQ(closed.reason, tcp::CloseReason::kGraceful);
  EXPECT_FALSE(shard().IsLive(handle));
  EXPECT_EQ(shard().Key(handle), nullptr);
  ExpectSilence();
  EXPECT_EQ(shard().usage().connections, 0u);
  EXPECT_EQ(shard().usage().time_wait, 0u);
}

TEST_F(ShardTcpTest, TheHandshakeOverIpv6) {
  Listen();
  const TestFlow flow{.src = Ip("fd77::2"), .dst = Ip("fd77::1")};
  GiveTcp(flow, kSyn, 1000, 0);
  const SentFrame synack = TakeOne();
  EXPECT_EQ(synack.tcp.ack, SeqNum(1001));
  EXPECT_EQ(synack.options.mss, 1440);
  GiveTcp(flow, kAck, 1001, synack.tcp.seq.value() + 1, Text("six"));
  const ShardEvent event = OneEvent();
  EXPECT_EQ(event.events, tcp::kEventConnected | tcp::kEventReadable);
  EXPECT_EQ(ReceiveText(event.handle), "six");
}

TEST_F(ShardTcpTest, RefusesAClosedPort) {
  GiveTcp(flow_, kSyn, 1000, 0);
  const SentFrame reset = TakeOne();
  EXPECT_EQ(reset.tcp.flags, kRst | kAck);
  EXPECT_EQ(reset.tcp.seq, SeqNum(0));
  EXPECT_EQ(reset.tcp.ack, SeqNum(1001));
  GiveTcp(flow_, kAck, 1000, 555, Text("x"));
  const SentFrame other = TakeOne();
  EXPECT_EQ(other.tcp.flags, kRst);
  EXPECT_EQ(other.tcp.seq, SeqNum(555));
  EXPECT_EQ(Dropped(DropReason::kTcpNoListener), 2u);
  EXPECT_EQ(shard().counters().resets_sent, 2u);
  // Never a RST for a RST.
  GiveTcp(flow_, kRst, 1000, 0);
  ExpectSilence();
  EXPECT_EQ(Dropped(DropReason::kTcpNoConnection), 1u);
}

TEST_F(ShardTcpTest, AListenerAnswersAStrayAckWithRst) {
  Listen();
  GiveTcp(flow_, kAck, 1000, 555);
  EXPECT_EQ(TakeOne().tcp.seq, SeqNum(555));
  GiveTcp(flow_, kFin, 1000, 0);
  ExpectSilence();
  EXPECT_EQ(Dropped(DropReason::kTcpNoAck), 1u);
}

class ShardSilentTest : public ShardTest {};

TEST_F(ShardSilentTest, ASilentPortSaysNothing) {
  config_.closed_ports = PortPolicy::kSilent;
  Start();
  GiveTcp({}, kSyn, 1000, 0);
  ExpectSilence();
  EXPECT_EQ(Dropped(DropReason::kTcpPortSilent), 1u);
}

TEST_F(ShardTcpTest, TheSynAckIsRepeatedThenForgotten) {
  Listen();
  GiveTcp(flow_, kSyn, 1000, 0);
  const SeqNum iss = TakeOne().tcp.seq;
  const std::vector<SentFrame> again = Advance(Duration::Seconds(70));
  size_t repeats = 0;
  for (const SentFrame& f : again) {
    if (f.protocol != wire::kProtocolTcp) continue;
    EXPECT_EQ(f.tcp.flags, kSyn | kAck);
    EXPECT_EQ(f.tcp.seq, iss);
    ++repeats;
  }
  EXPECT_EQ(repeats, config_.tcp.synack_retries);
  EXPECT_EQ(shard().usage().half_open, 0u);
}

TEST_F(ShardTcpTest, ADuplicateSynGetsTheSameSynAck) {
  Listen();
  GiveTcp(flow_, kSyn, 1000, 0);
  const SentFrame first = TakeOne();
  now_ = now_ + Duration::Millis(300);
  GiveTcp(flow_, kSyn, 1000, 0);
  const SentFrame second = TakeOne();
  EXPECT_EQ(first.tcp.seq, second.tcp.seq);
  EXPECT_EQ(shard().usage().half_open, 1u);
}

TEST_F(ShardTcpTest, ARstEndsAHalfOpen) {
  Listen();
  GiveTcp(flow_, kSyn, 1000, 0);
  Take();
  GiveTcp(flow_, kRst, 1000, 0);
  EXPECT_EQ(shard().usage().half_open, 1u);
  GiveTcp(flow_, kRst, 1001, 0);
  EXPECT_EQ(shard().usage().half_open, 0u);
  EXPECT_EQ(shard().counters().resets_received, 1u);
  EXPECT_TRUE(Events().empty());
}

TEST_F(ShardTcpTest, ABadAckOfAHalfOpenIsReset) {
  Listen();
  GiveTcp(flow_, kSyn, 1000, 0);
  const uint32_t iss = TakeOne().tcp.seq.value();
  GiveTcp(flow_, kAck, 1001, iss + 2);
  const SentFrame reset = TakeOne();
  EXPECT_EQ(reset.tcp.flags, kRst);
  EXPECT_EQ(reset.tcp.seq, SeqNum(iss + 2));
  EXPECT_EQ(Dropped(DropReason::kTcpBadAck), 1u);
  GiveTcp(flow_, kAck, 1001, iss + 1);
  EXPECT_TRUE(OneEvent().events & tcp::kEventConnected);
}

TEST_F(ShardTcpTest, WithoutASlotTheEntryStaysForAnotherTry) {
  Listen(7, 100);
  TestFlow flow = flow_;
  for (uint16_t i = 0; i < 64; ++i) {
    flow.src_port = static_cast<uint16_t>(100 + i);
    Handshake(flow);
  }
  EXPECT_EQ(Events().size(), 64u);
  flow.src_port = 999;
  const uint32_t isn = Handshake(flow);
  EXPECT_EQ(Dropped(DropReason::kTcpNoSlot), 1u);
  EXPECT_EQ(shard().usage().half_open, 1u);
  // One leaves; the next segment of the waiting peer completes the handshake.
  TestFlow first = flow_;
  first.src_port = 100;
  GiveTcp(first, kRst, 1001, 0);
  EXPECT_EQ(OneEvent().reason, tcp::CloseReason::kReset);
  GiveTcp(flow, kAck, 1001, isn + 1, Text("late"));
  const ShardEvent accepted = OneEvent();
  EXPECT_EQ(accepted.events, tcp::kEventConnected | tcp::kEventReadable);
  EXPECT_EQ(ReceiveText(accepted.handle), "late");
}

TEST_F(ShardTcpTest, AResetBeforeAcceptIsNeverSeen) {
  Listen();
  Handshake(flow_);
  GiveTcp(flow_, kRst, 1001, 0);
  EXPECT_TRUE(Events().empty());
  ExpectSilence();
  EXPECT_EQ(shard().usage().connections, 0u);
}

TEST_F(ShardTcpTest, AListenerThatClosesTakesTheUnacceptedAlong) {
  const uint32_t listener = Listen();
  TestFlow other = flow_;
  other.src_port = 2;
  Handshake(flow_);
  GiveTcp(other, kSyn, 5, 0);
  Take();
  shard().CloseListener(listener);
  EXPECT_EQ(shard().usage().half_open, 0u);
  EXPECT_TRUE(Events().empty());
  EXPECT_EQ(TakeOne().tcp.flags & kRst, kRst);
  EXPECT_EQ(shard().usage().connections, 0u);
  EXPECT_EQ(shard().usage().listeners, 0u);
}

TEST_F(ShardTcpTest, ConnectsAndIsToldOnce) {
  ConnHandle handle;
  ASSERT_EQ(shard().Connect({.remote = Ip("10.77.0.2"), .remote_port = 80, .user = 5}, now_, &handle),
            OpenResult::kOk);
  const SentFrame syn = TakeOne();
  EXPECT_EQ(syn.tcp.flags, kSyn);
  EXPECT_EQ(syn.src, Ip("10.77.0.1"));
  EXPECT_EQ(syn.tcp.dst_port, 80);
  const TestFlow back{.src_port = 80, .dst_port = syn.tcp.src_port};
  GiveTcp(back, kSyn | kAck, 7000, syn.tcp.seq.value() + 1);
  const SentFrame ack = TakeOne();
  EXPECT_EQ(ack.tcp.flags, kAck);
  EXPECT_EQ(ack.tcp.ack, SeqNum(7001));
  const ShardEvent event = OneEvent();
  EXPECT_EQ(event.events, tcp::kEventConnected);
  EXPECT_EQ(event.user, 5u);
  EXPECT_FALSE(event.passive);
  EXPECT_EQ(shard().counters().connected, 1u);
  shard().Abort(handle, now_);
  EXPECT_EQ(TakeOne().tcp.flags & kRst, kRst);
  const ShardEvent closed = OneEvent();
  EXPECT_EQ(closed.events, tcp::kEventClosed);
  EXPECT_EQ(closed.reason, tcp::CloseReason::kAborted);
  EXPECT_TRUE(Events().empty());
}

TEST_F(ShardTcpTest, ARefusedConnectSaysSo) {
  ConnHandle handle;
  ASSERT_EQ(shard().Connect({.remote = Ip("10.77.0.2"), .remote_port = 80}, now_, &handle), OpenResult::kOk);
  const SentFrame syn = TakeOne();
  GiveTcp({.src_port = 80, .dst_port = syn.tcp.src_port}, kRst | kAck, 0, syn.tcp.seq.value() + 1);
  const ShardEvent event = OneEvent();
  EXPECT_EQ(event.events, tcp::kEventClosed);
  EXPECT_EQ(event.reason, tcp::CloseReason::kRefused);
}

TEST_F(ShardTcpTest, ConnectChecksWhatItIsAskedFor) {
  ConnHandle handle;
  const auto connect = [&](const ConnectSpec& spec) { return shard().Connect(spec, now_, &handle); };
  EXPECT_EQ(connect({.remote = Ip("10.99.0.2"), .remote_port = 80}), OpenResult::kNoRoute);
  EXPECT_EQ(connect({.remote = Ip("224.0.0.1"), .remote_port = 80}), OpenResult::kNoRoute);
  EXPECT_EQ(connect({.remote = Ip("10.77.0.255"), .remote_port = 80}), OpenResult::kNoRoute);
  EXPECT_EQ(connect({.remote = Ip("10.77.0.2"), .remote_port = 80, .local = Ip("10.77.0.9")}),
            OpenResult::kAddressNotOurs);
  const ConnectSpec fixed{.remote = Ip("10.77.0.2"), .remote_port = 80, .local_port = 1234};
  EXPECT_EQ(connect(fixed), OpenResult::kOk);
  EXPECT_EQ(connect(fixed), OpenResult::kAddressInUse);
}

TEST_F(ShardTcpTest, TimeWaitIsCompactAndToldOnce) {
  Listen();
  uint32_t isn = 0;
  const ConnHandle handle = Accept(flow_, &isn);
  shard().Close(handle, now_);
  EXPECT_EQ(TakeOne().tcp.flags & kFin, kFin);
  GiveTcp(flow_, kAck | kFin, 1001, isn + 2);
  const SentFrame last = TakeOne();
  EXPECT_EQ(last.tcp.flags, kAck);
  EXPECT_EQ(last.tcp.ack, SeqNum(1002));
  const ShardEvent closed = OneEvent();
  EXPECT_EQ(closed.events, tcp::kEventClosed);
  EXPECT_EQ(closed.reason, tcp::CloseReason::kGraceful);
  EXPECT_EQ(shard().usage().connections, 0u);
  EXPECT_EQ(shard().usage().time_wait, 1u);
  // The FIN again: our ACK was lost. It is repeated, and 2 MSL begin anew.
  Advance(Duration::Seconds(50));
  GiveTcp(flow_, kAck | kFin, 1001, isn + 2);
  EXPECT_EQ(TakeOne().tcp.ack, SeqNum(1002));
  Advance(Duration::Seconds(50));
  EXPECT_EQ(shard().usage().time_wait, 1u);
  // RFC 1337: a RST changes nothing.
  GiveTcp(flow_, kRst, 1002, 0);
  EXPECT_EQ(shard().usage().time_wait, 1u);
  Advance(Duration::Seconds(11));
  EXPECT_EQ(shard().usage().time_wait, 0u);
  EXPECT_TRUE(Events().empty());
}

TEST_F(ShardTcpTest, TimeWaitYieldsToANewerSyn) {
  Listen();
  uint32_t isn = 0;
  const ConnHandle handle = Accept(flow_, &isn);
  shard().Close(handle, now_);
  Take();
  GiveTcp(flow_, kAck | kFin, 1001, isn + 2);
  Take();
  Events();
  GiveTcp(flow_, kSyn, 900, 0);  // older: an ACK tells it so
  EXPECT_EQ(TakeOne().tcp.flags, kAck);
  GiveTcp(flow_, kSyn, 5000, 0);
  const SentFrame synack = TakeOne();
  EXPECT_EQ(synack.tcp.flags, kSyn | kAck);
  EXPECT_EQ(synack.tcp.ack, SeqNum(5001));
  EXPECT_TRUE(synack.tcp.seq.After(SeqNum(isn + 2)));
  GiveTcp(flow_, kAck, 5001, synack.tcp.seq.value() + 1);
  EXPECT_EQ(shard().usage().time_wait, 0u);
  EXPECT_TRUE(OneEvent().events & tcp::kEventConnected);
}

TEST_F(ShardTcpTest, UnreadDataOutlivesTheEnd) {
  Listen();
  uint32_t isn = 0;
  const ConnHandle handle = Accept(flow_, &isn);
  GiveTcp(flow_, kAck | kFin | kPsh, 1001, isn + 1, Text("last words"));
  shard().ShutdownWrite(handle, now_);
  EXPECT_EQ(TakeOne().tcp.flags & kFin, kFin);
  GiveTcp(flow_, kAck, 1012, isn + 2);
  EXPECT_EQ(OneEvent().events, tcp::kEventReadable | tcp::kEventPeerClosed);
  EXPECT_TRUE(shard().IsLive(handle));
  bool ended = false;
  EXPECT_EQ(ReceiveText(handle, &ended), "last words");
  EXPECT_TRUE(ended);
  const ShardEvent closed = OneEvent();
  EXPECT_EQ(closed.events & tcp::kEventClosed, tcp::kEventClosed);
  EXPECT_EQ(closed.reason, tcp::CloseReason::kGraceful);
}

TEST_F(ShardTcpTest, LostDataIsRepeatedByTheWheel) {
  Listen();
  uint32_t isn = 0;
  const ConnHandle handle = Accept(flow_, &isn);
  SendText(handle, "lost");
  EXPECT_EQ(TakeOne().payload, Text("lost"));
  std::vector<SentFrame> again;
  for (int i = 0; i < 20 && again.empty(); ++i) again = Advance(Duration::Millis(100));
  ASSERT_FALSE(again.empty());
  EXPECT_EQ(again[0].payload, Text("lost"));
  EXPECT_EQ(again[0].tcp.seq, SeqNum(isn + 1));
  EXPECT_GE(shard().counters().timeouts, 1u);
  EXPECT_GE(shard().counters().retransmitted_segments, 1u);
  GiveTcp(flow_, kAck, 1001, isn + 5);
  EXPECT_EQ(Advance(Duration::Seconds(5)).size(), 0u);
}

TEST_F(ShardTcpTest, StaleHandlesDoNothing) {
  Listen();
  uint32_t isn = 0;
  const ConnHandle handle = Accept(flow_, &isn);
  GiveTcp(flow_, kRst, 1001, 0);
  EXPECT_EQ(OneEvent().reason, tcp::CloseReason::kReset);
  TestFlow other = flow_;
  other.src_port = 2;
  const ConnHandle newer = Accept(other, &isn);
  EXPECT_EQ(newer.slot, handle.slot);
  EXPECT_NE(newer, handle);
  BufferChain chain;
  chain.PushBack(pool_.AllocateWith(Text("x")));
  EXPECT_EQ(shard().Send(handle, chain, now_), tcp::SendResult::kNotOpen);
  pool_.Release(chain.TakeAll());
  shard().Close(handle, now_);
  shard().Abort(handle, now_);
  shard().SetUser(handle, 1);
  EXPECT_EQ(ReceiveText(handle), "");
  EXPECT_EQ(shard().SendRoom(handle), 0u);
  EXPECT_TRUE(shard().IsLive(newer));
  EXPECT_EQ(shard().User(newer), 99u);
  ExpectSilence();
}

TEST_F(ShardTcpTest, ConnectionsTakeTurns) {
  Listen();
  std::vector<ConnHandle> handles;
  TestFlow flow = flow_;
  for (uint16_t i = 0; i < 3; ++i) {
    flow.src_port = static_cast<uint16_t>(100 + i);
    uint32_t isn = 0;
    handles.push_back(Accept(flow, &isn));
  }
  ExpectSilence();
  for (const ConnHandle handle : handles) SendText(handle, "mine");
  const std::vector<SentFrame> sent = Take();
  ASSERT_EQ(sent.size(), 3u);
  for (uint16_t i = 0; i < 3; ++i) EXPECT_EQ(sent[i].tcp.dst_port, 100 + i);
}

// More than a turn's worth on each of two connections: neither waits for the other to finish.
TEST_F(ShardTcpTest, ALongTalkerDoesNotStarveOthers) {
  Listen();
  std::vector<ConnHandle> handles;
  std::vector<uint32_t> isns;
  TestFlow flow = flow_;
  wire::TcpOptions scaled{.mss = 1460, .wscale = 8, .has_mss = true, .has_wscale = true};
  for (uint16_t i = 0; i < 2; ++i) {
    flow.src_port = static_cast<uint16_t>(100 + i);
    isns.push_back(Handshake(flow, 1000, scaled));
    handles.push_back(OneEvent().handle);
  }
  ExpectSilence();
  // The congestion window is opened until a burst is longer than a turn.
  std::vector<SentFrame> sent;
  for (int round = 0; round < 12; ++round) {
    for (const ConnHandle handle : handles) {
      while (shard().SendRoom(handle) >= 2000) SendText(handle, std::string(2000, 'x'));
    }
    sent = Take();
    for (uint16_t i = 0; i < 2; ++i) {
      flow.src_port = static_cast<uint16_t>(100 + i);
      for (const SentFrame& f : sent) {
        if (f.tcp.dst_port != flow.src_port) continue;
        GiveTcp(flow, kAck, 1001, static_cast<uint32_t>(f.tcp.seq.value() + f.payload.size()));
      }
    }
    now_ = now_ + Duration::Millis(1);
    Events();
  }
  ASSERT_GT(sent.size(), 128u);
  size_t longest = 0;
  size_t run = 0;
  for (size_t i = 0; i < sent.size(); ++i) {
    run = i > 0 && sent[i].tcp.dst_port == sent[i - 1].tcp.dst_port ? run + 1 : 1;
    longest = std::max(longest, run);
  }
  EXPECT_LE(longest, 64u);
}

class ShardBoundsTest : public ShardTest {};

TEST_F(ShardBoundsTest, BacklogBoundsHalfOpenAndUnaccepted) {
  config_.syn_cookies = SynCookies::kOff;
  Start();
  Listen(7, 2);
  const TestFlow a{.src_port = 1};
  const TestFlow b{.src_port = 2};
  const TestFlow c{.src_port = 3};
  Handshake(a);
  GiveTcp(b, kSyn, 5, 0);
  Take();
  GiveTcp(c, kSyn, 5, 0);
  ExpectSilence();
  EXPECT_EQ(Dropped(DropReason::kTcpBacklogFull), 1u);
  // Accepting one makes room for another.
  EXPECT_EQ(Events().size(), 1u);
  GiveTcp(c, kSyn, 5, 0);
  EXPECT_EQ(TakeOne().tcp.flags, kSyn | kAck);
}

TEST_F(ShardBoundsTest, AFullTimeWaitTableGivesUpItsOldest) {
  config_.max_time_wait = 2;
  Start();
  Listen();
  TestFlow flow;
  for (uint16_t i = 0; i < 3; ++i) {
    flow.src_port = static_cast<uint16_t>(100 + i);
    uint32_t isn = 0;
    const ConnHandle handle = Accept(flow, &isn);
    shard().Close(handle, now_);
    Take();
    GiveTcp(flow, kAck | kFin, 1001, isn + 2);
    Take();
    EXPECT_EQ(OneEvent().reason, tcp::CloseReason::kGraceful);
  }
  EXPECT_EQ(shard().usage().time_wait, 2u);
  EXPECT_EQ(shard().counters().time_wait_recycled, 1u);
  // The oldest is forgotten: its FIN again meets a listener.
  flow.src_port = 100;
  GiveTcp(flow, kAck | kFin, 1001, 1);
  EXPECT_EQ(TakeOne().tcp.flags, kRst);
}

TEST_F(ShardBoundsTest, AFullHalfOpenTableRefusesSyns) {
  config_.max_half_open = 3;
  config_.syn_cookies = SynCookies::kOff;
  Start();
  Listen(7, 100);
  TestFlow flow;
  for (uint16_t i = 0; i < 5; ++i) {
    flow.src_port = static_cast<uint16_t>(100 + i);
    GiveTcp(flow, kSyn, 1, 0);
  }
  EXPECT_EQ(Take().size(), 3u);
  EXPECT_EQ(Dropped(DropReason::kHalfOpenTableFull), 2u);
}

TEST_F(ShardBoundsTest, WithSeveralWorkersAnswersComeHome) {
  config_.worker_count = 4;
  config_.worker = 2;
  for (size_t i = 0; i < config_.rss_key.size(); ++i) config_.rss_key[i] = static_cast<uint8_t>(i * 37 + 11);
  Start();
  const Steering steering(config_.rss_key, 4);
  for (int i = 0; i < 20; ++i) {
    ConnHandle handle;
    ASSERT_EQ(shard().Connect({.remote = Ip("10.77.0.2"), .remote_port = 80}, now_, &handle),
              OpenResult::kOk);
    EXPECT_EQ(steering.OwnerOf(*shard().Key(handle)), 2);
    const SentFrame syn = TakeOne();
    const TestFlow back{.src_port = 80, .dst_port = syn.tcp.src_port};
    EXPECT_EQ(
        steering.OwnerOfFrame(IpFrame(back.src, back.dst, wire::kProtocolTcp, TcpBytes(back, kAck, 1, 1)), 0),
        2);
  }
}

TEST_F(ShardBoundsTest, SourcesOfAPoolAreUsedInTurn) {
  config_.interfaces[0].addresses = {{wire::IpPrefix::Parse("10.77.0.0/24").value(), true}};
  std::vector<wire::IpAddress> sources;
  for (int i = 0; i < 3; ++i) {
    ConnHandle handle;
    // A pool's own prefix holds no peers: they are behind a route.
    config_.routes = {{wire::IpPrefix::Parse("10.99.0.0/16").value(), wire::IpAddress(), 0}};
    ASSERT_EQ(shard().Connect({.remote = Ip("10.99.0.2"), .remote_port = 80}, now_, &handle),
              OpenResult::kOk);
    sources.push_back(shard().Key(handle)->local);
  }
  EXPECT_EQ(sources, (std::vector<wire::IpAddress>{Ip("10.77.0.1"), Ip("10.77.0.2"), Ip("10.77.0.3")}));
  Take();
}

TEST_F(ShardTcpTest, CloseAllEndsEverything) {
  Listen();
  uint32_t isn = 0;
  const ConnHandle handle = Accept(flow_, &isn);
  shard().CloseAll(/*abort=*/false, now_);
  EXPECT_EQ(TakeOne().tcp.flags & kFin, kFin);
  EXPECT_TRUE(shard().IsLive(handle));
  TestFlow other = flow_;
  other.src_port = 2;
  GiveTcp(other, kSyn, 5, 0);
  EXPECT_EQ(TakeOne().tcp.flags, kRst | kAck);
  uint32_t id = 0;
  EXPECT_EQ(shard().Listen({.port = 8}, &id), OpenResult::kNoSlot);
  shard().CloseAll(/*abort=*/true, now_);
  EXPECT_EQ(OneEvent().reason, tcp::CloseReason::kAborted);
  EXPECT_EQ(shard().usage().connections, 0u);
}

// Many frames in one call: order within a flow is kept, and all is counted.
TEST_F(ShardTcpTest, ABurstIsWorkedOffInOrder) {
  Listen();
  uint32_t isn = 0;
  const ConnHandle handle = Accept(flow_, &isn);
  std::vector<RxFrame> burst;
  std::string expected;
  for (uint32_t i = 0; i < 100; ++i) {
    const std::string piece(1 + i % 7, static_cast<char>('a' + i % 26));
    const Bytes segment =
        TcpBytes(flow_, kAck, static_cast<uint32_t>(1001 + expected.size()), isn + 1, Text(piece));
    burst.push_back(
        {.buffer = pool_.AllocateWith(IpFrame(flow_.src, flow_.dst, wire::kProtocolTcp, segment))});
    expected += piece;
  }
  shard().Input(burst, 0, now_);
  Recycle();
  EXPECT_EQ(OneEvent().events, tcp::kEventReadable);
  std::string received;
  for (std::string part; !(part = ReceiveText(handle)).empty();) received += part;
  EXPECT_EQ(received, expected);
  CheckCounters();
}

}  // namespace
}  // namespace tern::stack
