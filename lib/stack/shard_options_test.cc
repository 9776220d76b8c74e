// What RFC 9293 asks of a host around the connection itself: choices of the application, ICMP, limits,
// defaults.
#include "stack/shard_for_test.h"

namespace tern::stack {
namespace {

using wire::kAck;
using wire::kFin;
using wire::kRst;
using wire::kSyn;
using wire::kUrg;

class ShardOptionsTest : public ShardTest {
 protected:
  void SetUp() override { Start(); }

  // An ICMP error about `sent`, from a router or the host itself.
  Bytes IcmpAbout(const SentFrame& sent, uint8_t type, uint8_t code) {
    Bytes quote(sent.bytes.begin() + 14, sent.bytes.end());
    const bool v4 = sent.src.IsV4();
    quote.resize(v4 ? 28 : 48);
    Bytes body(8 + quote.size());
    const wire::IcmpMessage message{.type = type, .code = code, .body = quote};
    if (v4) {
      wire::WriteIcmp(message, body.data());
      return IpFrame(sent.dst, sent.src, wire::kProtocolIcmp, body);
    }
    wire::WriteIcmpv6(message, sent.dst, sent.src, body.data());
    return IpFrame(sent.dst, sent.src, wire::kProtocolIcmpv6, body);
  }
  SentFrame ConnectTo(const char* remote, ConnHandle* handle) {
    EXPECT_EQ(shard().Connect({.remote = Ip(remote), .remote_port = 80}, now_, handle), OpenResult::kOk);
    return TakeOne();
  }
  static uint8_t TrafficClass(const SentFrame& f) {
    return f.src.IsV4() ? f.bytes[15] : static_cast<uint8_t>(f.bytes[14] << 4 | f.bytes[15] >> 4);
  }
  TestFlow flow_;
};

// RFC 9293 MUST-48, MUST-49, SHLD-21, SHLD-22.
TEST_F(ShardOptionsTest, TtlAndDiffservAreTheApplications) {
  for (const char* source : {"10.77.0.2", "fd77::2"}) {
    SCOPED_TRACE(source);
    Listen(source[0] == '1' ? 7 : 8);
    TestFlow flow = flow_;
    if (source[0] != '1') flow = {.src = Ip("fd77::2"), .dst = Ip("fd77::1"), .dst_port = 8};
    uint32_t isn = 0;
    const ConnHandle handle = Accept(flow, &isn);
    SendText(handle, "a");
    const SentFrame before = TakeOne();
    EXPECT_EQ(before.hop_limit, 64);
    EXPECT_EQ(TrafficClass(before), 0);
    GiveTcp(flow, kAck, 1001, isn + 2);
    shard().SetIp(handle, 17, 46);
    SendText(handle, "b");
    const SentFrame after = TakeOne();
    EXPECT_EQ(after.hop_limit, 17);
    EXPECT_EQ(TrafficClass(after), 46 << 2);
    GiveTcp(flow, kAck, 1001, isn + 3);
    shard().SetIp(handle, 0, 10);
    SendText(handle, "c");
    const SentFrame last = TakeOne();
    EXPECT_EQ(last.hop_limit, 64) << "the shard's";
    EXPECT_EQ(TrafficClass(last), 10 << 2);
  }
}

class ShardTtlTest : public ShardTest {};

TEST_F(ShardTtlTest, TheConfigurationsHoldForAll) {
  config_.ttl = 99;
  config_.dscp = 8;
  Start();
  Listen();
  GiveTcp({}, kSyn, 1000, 0);
  const SentFrame synack = TakeOne();
  EXPECT_EQ(synack.hop_limit, 99);
  GiveTcp({}, kAck, 1001, synack.tcp.seq.value() + 1, Text("x"));
  const SentFrame ack = TakeOne();
  EXPECT_EQ(ack.hop_limit, 99);
  EXPECT_EQ(ack.bytes[15], 8 << 2);
}

// MUST-54, MUST-56, SHLD-25: soft errors are told and end nothing, not even an opening connection.
TEST_F(ShardOptionsTest, SoftIcmpErrorsAreTold) {
  struct Case {
    const char* remote;
    uint8_t type;
    uint8_t code;
    tcp::Trouble trouble;
  };
  const Case cases[] = {
      {"10.77.0.2", wire::kIcmpDestinationUnreachable, wire::kUnreachableNetwork, tcp::Trouble::kUnreachable},
      {"10.77.0.2", wire::kIcmpDestinationUnreachable, wire::kUnreachableHost, tcp::Trouble::kUnreachable},
      {"10.77.0.2", wire::kIcmpDestinationUnreachable, wire::kUnreachableSourceRouteFailed,
       tcp::Trouble::kUnreachable},
      {"10.77.0.2", wire::kIcmpTimeExceeded, 0, tcp::Trouble::kTimeExceeded},
      {"10.77.0.2", wire::kIcmpParameterProblem, 0, tcp::Trouble::kBadHeader},
      {"fd77::2", wire::kIcmpv6DestinationUnreachable, wire::kUnreachable6NoRoute,
       tcp::Trouble::kUnreachable},
      {"fd77::2", wire::kIcmpv6DestinationUnreachable, wire::kUnreachable6Address,
       tcp::Trouble::kUnreachable},
      {"fd77::2", wire::kIcmpv6TimeExceeded, 0, tcp::Trouble::kTimeExceeded},
      {"fd77::2", wire::kIcmpv6ParameterProblem, 0, tcp::Trouble::kBadHeader},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(testing::Message() << c.remote << " type " << int{c.type} << " code " << int{c.code});
    ConnHandle handle;
    const SentFrame syn = ConnectTo(c.remote, &handle);
    Give(IcmpAbout(syn, c.type, c.code));
    EXPECT_EQ(OneEvent().events, tcp::kEventTrouble);
    EXPECT_EQ(shard().LastTrouble(handle), c.trouble);
    EXPECT_TRUE(shard().IsLive(handle));
    // SHLD-20.
    shard().SetTroubleReports(handle, false);
    Give(IcmpAbout(syn, c.type, c.code));
    EXPECT_TRUE(Events().empty());
    shard().Abort(handle, now_);
    Events();
  }
}

// SHLD-26.
TEST_F(ShardOptionsTest, HardIcmpErrorsEndAnOpeningConnection) {
  for (const uint8_t code :
       {wire::kUnreachableProtocol, wire::kUnreachablePort, wire::kUnreachableProhibited}) {
    ConnHandle handle;
    const SentFrame syn = ConnectTo("10.77.0.2", &handle);
    Give(IcmpAbout(syn, wire::kIcmpDestinationUnreachable, code));
    EXPECT_EQ(OneEvent().reason,
              code == wire::kUnreachablePort ? tcp::CloseReason::kRefused : tcp::CloseReason::kUnreachable);
  }
  for (const uint8_t code : {wire::kUnreachable6Prohibited, wire::kUnreachable6Port}) {
    ConnHandle handle;
    const SentFrame syn = ConnectTo("fd77::2", &handle);
    Give(IcmpAbout(syn, wire::kIcmpv6DestinationUnreachable, code));
    EXPECT_EQ(OneEvent().reason,
              code == wire::kUnreachable6Port ? tcp::CloseReason::kRefused : tcp::CloseReason::kUnreachable);
  }
}

// MUST-55.
TEST_F(ShardOptionsTest, SourceQuenchIsDiscarded) {
  constexpr uint8_t kSourceQuench = 4;
  ConnHandle handle;
  const SentFrame syn = ConnectTo("10.77.0.2", &handle);
  const uint32_t cwnd = shard().Tcp(handle)->cwnd;
  ExpectDrop(IcmpAbout(syn, kSourceQuench, 0), DropReason::kIcmpTypeUnknown);
  EXPECT_TRUE(Events().empty());
  EXPECT_EQ(shard().Tcp(handle)->cwnd, cwnd);
  ExpectSilence();
}

// MUST-20 (a): negative advice to the layer below, which asks the next hop again.
TEST_F(ShardOptionsTest, ASilentRouteIsDoubted) {
  Listen();
  uint32_t isn = 0;
  const ConnHandle handle = Accept(flow_, &isn);
  SendText(handle, "x");
  EXPECT_EQ(TakeOne().payload, Text("x"));
  size_t resent = 0;
  size_t asked = 0;
  for (int i = 0; i < 400 && asked == 0; ++i) {
    for (const SentFrame& f : Advance(Duration::Millis(10))) {
      if (f.protocol == wire::kProtocolTcp) ++resent;
      if (f.protocol == 0) {
        ++asked;
        EXPECT_EQ(f.ethernet.dst, kPeerMac) << "it is still used meanwhile";
      }
    }
  }
  EXPECT_EQ(asked, 1u);
  EXPECT_GE(resent, 3u);
  EXPECT_LE(resent, 4u);
  EXPECT_TRUE(OneEvent().events & tcp::kEventTrouble);
  EXPECT_EQ(shard().LastTrouble(handle), tcp::Trouble::kRetransmitting);
}

// MUST-15, MUST-16: 536 octets over IPv4 and 1220 over IPv6 where the peer does not say.
TEST_F(ShardOptionsTest, APeerThatDoesNotSayTakesTheDefaultSegment) {
  Listen();
  uint32_t isn = 0;
  const ConnHandle v4 = Accept(flow_, &isn);
  EXPECT_EQ(shard().Tcp(v4)->mss, 536);
  const ConnHandle v6 = Accept({.src = Ip("fd77::2"), .dst = Ip("fd77::1")}, &isn);
  EXPECT_EQ(shard().Tcp(v6)->mss, 1220);
  // And what our own options take is off.
  const wire::TcpOptions options{.tsval = 5, .mss = 1000, .has_timestamp = true, .has_mss = true};
  TestFlow other = flow_;
  other.src_port = 9;
  Handshake(other, 1000, options);
  EXPECT_EQ(shard().Tcp(OneEvent().handle)->mss, 1000 - 12);
}

// MUST-65.
TEST_F(ShardOptionsTest, OnlyASynAnnouncesASegmentSize) {
  Listen();
  uint32_t isn = 0;
  const ConnHandle handle = Accept(flow_, &isn);
  SendText(handle, "x");
  EXPECT_FALSE(TakeOne().options.has_mss);
  GiveTcp(flow_, kAck, 1001, isn + 2, Text("y"));
  EXPECT_FALSE(TakeOne().options.has_mss);
  shard().Close(handle, now_);
  EXPECT_FALSE(TakeOne().options.has_mss);
}

// MUST-41, MUST-42, MUST-10: listening disturbs nothing that is there, also on the port of a connection, and
// on one address beside all.
TEST_F(ShardOptionsTest, ListeningLeavesOthersAlone) {
  ConnHandle handle;
  ASSERT_EQ(shard().Connect({.remote = Ip("10.77.0.2"), .remote_port = 80, .local_port = 7}, now_, &handle),
            OpenResult::kOk);
  const SentFrame syn = TakeOne();
  Listen(7);
  uint32_t one = 0;
  EXPECT_EQ(shard().Listen({.address = Ip("10.77.0.1"), .port = 7}, &one), OpenResult::kOk);
  GiveTcp({.src_port = 80, .dst_port = 7}, kSyn | kAck, 9000, syn.tcp.seq.value() + 1);
  EXPECT_EQ(TakeOne().tcp.flags, kAck);
  EXPECT_TRUE(OneEvent().events & tcp::kEventConnected);
  uint32_t isn = 0;
  Accept(flow_, &isn);
}

// RFC 5961 7, for entries that are no connections too.
TEST_F(ShardOptionsTest, ChallengesOfTheShardAreLimited) {
  Listen();
  GiveTcp(flow_, kSyn, 1000, 0);
  Take();
  size_t sent = 0;
  constexpr size_t kTried = 4'000;
  for (size_t i = 0; i < kTried; ++i) {
    GiveTcp(flow_, kRst, 1002, 0);
    sent += Take().size();
  }
  const uint32_t limit = config_.tcp.challenges_per_second;
  EXPECT_GE(sent, limit / 2);
  EXPECT_LE(sent, limit * 3 / 2);
  EXPECT_EQ(Dropped(DropReason::kTcpRstChallenged), kTried);
  EXPECT_EQ(shard().counters().tx_drops[DropReason::kTcpChallengeLimited], kTried - sent);
  EXPECT_EQ(shard().usage().half_open, 1u);
}

TEST_F(ShardOptionsTest, UrgentDataBothWays) {
  Listen();
  uint32_t isn = 0;
  const ConnHandle handle = Accept(flow_, &isn);
  shard().SetUrgentOutOfLine(handle, true);
  Bytes segment = TcpBytes(flow_, kAck | kUrg, 1001, isn + 1, Text("abc"));
  wire::StoreBe16(segment.data() + 18, 3);
  wire::StoreBe16(segment.data() + wire::kTcpChecksumOffset, 0);
  wire::StoreBe16(segment.data() + wire::kTcpChecksumOffset,
                  wire::TransportChecksum(flow_.src, flow_.dst, wire::kProtocolTcp, segment));
  Give(IpFrame(flow_.src, flow_.dst, wire::kProtocolTcp, segment));
  EXPECT_EQ(OneEvent().events, tcp::kEventReadable | tcp::kEventUrgent);
  EXPECT_EQ(shard().UrgentAhead(handle), 2u);
  EXPECT_EQ(shard().TakeUrgentOctet(handle), 'c');
  EXPECT_EQ(ReceiveText(handle), "ab");
  Take();
  BufferChain chain;
  chain.PushBack(pool_.AllocateWith(Text("xy")));
  EXPECT_EQ(shard().SendUrgent(handle, chain, now_), tcp::SendResult::kOk);
  const std::vector<SentFrame> sent = Take();
  ASSERT_FALSE(sent.empty());
  EXPECT_TRUE(sent[0].tcp.flags & kUrg);
  EXPECT_EQ(sent[0].tcp.urgent, 2);
  EXPECT_EQ(sent[0].payload, Text("xy"));
}

TEST_F(ShardOptionsTest, TimersOfTheApplicationRunByTheWheel) {
  answers_arp_ = true;
  Listen();
  const tcp::KeepaliveTimes times{
      .idle = Duration::Seconds(4), .interval = Duration::Seconds(1), .probes = 2};
  uint32_t isn = 0;
  const ConnHandle kept = Accept(flow_, &isn);
  shard().SetKeepalive(kept, &times, now_);
  Advance(Duration::Seconds(30));
  EXPECT_EQ(OneEvent().reason, tcp::CloseReason::kTimedOut);

  const ConnHandle bounded = Accept(flow_, &isn);
  SendText(bounded, "x");
  shard().SetUserTimeout(bounded, Duration::Seconds(3));
  Advance(Duration::Millis(3'500));
  const ShardEvent event = OneEvent();
  EXPECT_EQ(event.handle, bounded);
  EXPECT_EQ(event.reason, tcp::CloseReason::kTimedOut);

  const ConnHandle closed = Accept(flow_, &isn);
  SendText(closed, "x");
  shard().CloseWithin(closed, Duration::Seconds(2), now_);
  Advance(Duration::Millis(2'500));
  EXPECT_EQ(OneEvent().reason, tcp::CloseReason::kTimedOut);

  const ConnHandle at_once = Accept(flow_, &isn);
  Take();
  shard().CloseWithin(at_once, Duration::Zero(), now_);
  EXPECT_TRUE(TakeOne().tcp.flags & kRst);
  EXPECT_EQ(OneEvent().reason, tcp::CloseReason::kAborted);
}

TEST_F(ShardOptionsTest, CorkHoldsUntilPulled) {
  Listen();
  uint32_t isn = 0;
  const ConnHandle handle = Accept(flow_, &isn);
  shard().SetCork(handle, true);
  SendText(handle, "ab");
  ExpectSilence();
  shard().SetCork(handle, false);
  EXPECT_EQ(TakeOne().payload, Text("ab"));
}

TEST_F(ShardOptionsTest, StaleHandlesAreHarmless) {
  const ConnHandle nobody{5, 5};
  const tcp::KeepaliveTimes times;
  BufferChain chain;
  shard().SetCork(nobody, true);
  shard().SetKeepalive(nobody, &times, now_);
  shard().SetUserTimeout(nobody, Duration::Seconds(1));
  shard().SetIp(nobody, 1, 1);
  shard().SetTroubleReports(nobody, false);
  shard().SetUrgentOutOfLine(nobody, true);
  shard().CloseWithin(nobody, Duration::Seconds(1), now_);
  EXPECT_EQ(shard().SendUrgent(nobody, chain, now_), tcp::SendResult::kNotOpen);
  EXPECT_EQ(shard().UrgentAhead(nobody), 0u);
  EXPECT_EQ(shard().TakeUrgentOctet(nobody), -1);
  EXPECT_EQ(shard().LastTrouble(nobody), tcp::Trouble::kNone);
}

}  // namespace
}  // namespace tern::stack
