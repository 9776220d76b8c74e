// SYN cookies by a whole shard: handshakes of which nothing was kept, floods, and what is no cookie.
#include "stack/shard_for_test.h"

namespace tern::stack {
namespace {

using wire::kAck;
using wire::kFin;
using wire::kRst;
using wire::kSyn;

constexpr Duration kPeriod = SynCookie::kPeriod;

wire::TcpOptions SynOptions(bool timestamps, bool sack, bool wscale, uint16_t mss = 1'460) {
  return {.tsval = 5'000,
          .mss = mss,
          .wscale = 9,
          .has_timestamp = timestamps,
          .has_mss = mss != 0,
          .has_wscale = wscale,
          .sack_permitted = sack};
}

wire::TcpOptions Echo(const SentFrame& synack, uint32_t tsval = 5'010) {
  return {.tsval = tsval, .tsecr = synack.options.tsval, .has_timestamp = synack.options.has_timestamp};
}

class ShardCookieTest : public ShardTest {
 protected:
  void StartWith(SynCookies mode) {
    config_.syn_cookies = mode;
    Start();
    answers_arp_ = true;
  }
  SentFrame Cookie(const TestFlow& flow, const wire::TcpOptions& options = {}, uint32_t isn = 1000) {
    GiveTcp(flow, kSyn, isn, 0, {}, options);
    SentFrame synack = TakeOne();
    EXPECT_EQ(synack.tcp.flags, kSyn | kAck);
    EXPECT_EQ(synack.tcp.ack, SeqNum(isn + 1));
    EXPECT_EQ(shard().usage().half_open, 0u);
    return synack;
  }
  void GiveAck(const TestFlow& flow, const SentFrame& synack, const Bytes& payload = {},
               uint32_t isn = 1000) {
    GiveTcp(flow, kAck, isn + 1, synack.tcp.seq.value() + 1, payload, Echo(synack), 500);
  }
  void ExpectReset(DropReason reason) {
    EXPECT_EQ(TakeOne().tcp.flags, kRst);
    EXPECT_EQ(Dropped(reason), 1u) << DropReasonName(reason);
    EXPECT_EQ(shard().usage().connections, 0u);
  }
  TestFlow flow_;
};

TEST_F(ShardCookieTest, EveryCombinationOfOptionsInBothFamilies) {
  StartWith(SynCookies::kAlways);
  Listen();
  const TestFlow six{.src = Ip("fd77::2"), .dst = Ip("fd77::1")};
  for (unsigned bits = 0; bits < 16; ++bits) {
    const bool timestamps = (bits & 1) != 0;
    const bool sack = (bits & 2) != 0;
    const bool wscale = (bits & 4) != 0;
    TestFlow flow = (bits & 8) != 0 ? six : flow_;
    flow.src_port = static_cast<uint16_t>(flow.src_port + bits);
    SCOPED_TRACE(bits);
    const SentFrame synack = Cookie(flow, SynOptions(timestamps, sack, wscale, 1'400));
    // Without timestamps there is nowhere to keep the rest, so it is not agreed to.
    EXPECT_EQ(synack.options.has_timestamp, timestamps);
    EXPECT_EQ(synack.options.sack_permitted, timestamps && sack);
    EXPECT_EQ(synack.options.has_wscale, timestamps && wscale);
    EXPECT_TRUE(synack.options.has_mss);
    EXPECT_EQ(synack.options.tsecr, timestamps ? 5'000u : 0u);

    now_ = now_ + Duration::Millis(30);
    GiveAck(flow, synack, Text("hello"));
    const ShardEvent event = OneEvent();
    EXPECT_EQ(event.events, tcp::kEventConnected | tcp::kEventReadable);
    const tcp::Connection& conn = *shard().Tcp(event.handle);
    EXPECT_EQ(conn.state, tcp::State::kEstablished);
    EXPECT_EQ(conn.Is(tcp::kUseTimestamps), timestamps);
    EXPECT_EQ(conn.Is(tcp::kUseSack), timestamps && sack);
    EXPECT_EQ(conn.snd_scale, timestamps && wscale ? 9 : 0);
    EXPECT_EQ(conn.snd_wnd, timestamps && wscale ? 500u << 9 : 500u);
    EXPECT_EQ(shard().Cold(event.handle)->peer_mss, 1'360);
    EXPECT_EQ(conn.mss, timestamps ? 1'348 : 1'360);
    EXPECT_EQ(ReceiveText(event.handle), "hello");
    Take();
    // The first window is as large as any (RFC 6928): nothing says that a SYN was lost.
    EXPECT_EQ(conn.cwnd, tcp::InitialWindow(conn.mss, config_.tcp.initial_window_segments));
    SendText(event.handle, "there");
    const SentFrame answer = TakeOne();
    EXPECT_EQ(answer.payload, Text("there"));
    EXPECT_EQ(answer.options.tsecr, timestamps ? 5'010u : 0u);
    shard().Abort(event.handle, now_);
    Take();
    Events();
  }
  EXPECT_EQ(shard().counters().syn_cookies_sent, 16u);
  EXPECT_EQ(shard().counters().syn_cookies_accepted, 16u);
  EXPECT_EQ(shard().counters().accepted, 16u);
}

TEST_F(ShardCookieTest, WhoDoesNotSayGetsTheDefaultMss) {
  StartWith(SynCookies::kAlways);
  Listen();
  for (const TestFlow& flow : {flow_, TestFlow{.src = Ip("fd77::2"), .dst = Ip("fd77::1")}}) {
    GiveAck(flow, Cookie(flow));
    EXPECT_EQ(shard().Cold(OneEvent().handle)->peer_mss, flow.src.IsV4() ? 536 : 1'220);
  }
}

// Through every millisecond of three times the step by which the SYN-ACK's timestamp is rounded.
TEST_F(ShardCookieTest, TimestampsNeverGoBack) {
  StartWith(SynCookies::kAlways);
  Listen();
  TestFlow flow;
  for (int step = 0; step < 192; ++step) {
    ++flow.src_port;
    const SentFrame synack = Cookie(flow, SynOptions(true, step % 2 == 0, step % 3 == 0));
    // The SYN again, a little later: the same cookie, and no older a timestamp.
    if (step % 5 == 0) now_ = now_ + Duration::Millis(step % 70);
    const SentFrame again = Cookie(flow, SynOptions(true, step % 2 == 0, step % 3 == 0));
    EXPECT_EQ(again.tcp.seq, synack.tcp.seq);
    EXPECT_GE(static_cast<int32_t>(again.options.tsval - synack.options.tsval), 0);
    GiveAck(flow, again, Text("x"));
    const ShardEvent event = OneEvent();
    uint32_t last = again.options.tsval;
    for (int i = 0; i < 3; ++i) {
      SendText(event.handle, "y");
      for (const SentFrame& f : Take()) {
        ASSERT_GE(static_cast<int32_t>(f.options.tsval - last), 0) << "step " << step;
        ASSERT_LE(f.options.tsval - again.options.tsval, 66u);
        last = f.options.tsval;
      }
      now_ = now_ + Duration::Millis(i);
    }
    shard().Abort(event.handle, now_);
    Take();
    Events();
  }
}

TEST_F(ShardCookieTest, OffDropsPastTheBacklog) {
  StartWith(SynCookies::kOff);
  Listen(7, 1);
  GiveTcp(flow_, kSyn, 1000, 0);
  Take();
  flow_.src_port = 2;
  GiveTcp(flow_, kSyn, 1000, 0);
  ExpectSilence();
  EXPECT_EQ(Dropped(DropReason::kTcpBacklogFull), 1u);
  GiveTcp(flow_, kAck, 1001, 77);
  ExpectReset(DropReason::kTcpNoConnection);
  EXPECT_EQ(shard().counters().syn_cookies_sent, 0u);
}

TEST_F(ShardCookieTest, AFullHalfOpenTableIsAReasonToo) {
  config_.max_half_open = 2;
  StartWith(SynCookies::kPastBacklog);
  Listen(7, 100);
  for (uint16_t port = 1; port <= 2; ++port) GiveTcp({.src_port = port}, kSyn, 1, 0);
  EXPECT_EQ(Take().size(), 2u);
  GiveTcp(flow_, kSyn, 1000, 0);
  GiveAck(flow_, TakeOne());
  EXPECT_EQ(OneEvent().events, tcp::kEventConnected);
  EXPECT_EQ(shard().usage().half_open, 2u);
}

TEST_F(ShardCookieTest, OldForeignAndForgedCookiesAreRefusedByName) {
  StartWith(SynCookies::kAlways);
  Listen();
  const SentFrame synack = Cookie(flow_, SynOptions(true, true, true));
  const auto refused = [&](const TestFlow& flow, uint32_t seq, uint32_t ack,
                           const wire::TcpOptions& options) {
    const uint64_t before = Dropped(DropReason::kTcpBadCookie);
    GiveTcp(flow, kAck, seq, ack, {}, options);
    const SentFrame reset = TakeOne();
    EXPECT_EQ(reset.tcp.flags, kRst);
    EXPECT_EQ(reset.tcp.seq, SeqNum(ack));
    EXPECT_EQ(Dropped(DropReason::kTcpBadCookie), before + 1);
    EXPECT_EQ(shard().usage().connections, 0u);
  };
  const uint32_t ack = synack.tcp.seq.value() + 1;
  TestFlow other = flow_;
  other.src_port = 40'001;
  refused(other, 1001, ack, Echo(synack));
  refused(flow_, 1001, ack + 1, Echo(synack));
  refused(flow_, 1001, ack - 1, Echo(synack));
  // Right but for what the SYN said: silence, since it may be data behind the first, and that is on its way.
  GiveTcp(flow_, kAck, 1001, ack);
  wire::TcpOptions lying = Echo(synack);
  lying.tsecr ^= 1;
  GiveTcp(flow_, kAck, 1001, ack, {}, lying);
  ExpectSilence();
  EXPECT_EQ(Dropped(DropReason::kTcpCookieNotFirst), 2u);
  now_ = now_ + kPeriod * 2;
  refused(flow_, 1001, ack, Echo(synack));
  EXPECT_EQ(shard().counters().syn_cookies_accepted, 0u);
}

// The ACK and the first data are lost; what comes behind them is not answered by a RST, and the first data,
// sent again, opens the connection.
TEST_F(ShardCookieTest, DataBehindLostDataDoesNoHarm) {
  for (const SynCookies mode : {SynCookies::kAlways, SynCookies::kPastBacklog}) {
    shard_.reset();
    StartWith(mode);
    Listen(7, 1);
    GiveTcp({.src_port = 1}, kSyn, 1, 0);
    Take();
    GiveTcp(flow_, kSyn, 1000, 0);
    const SentFrame synack = TakeOne();
    const uint32_t ack = synack.tcp.seq.value() + 1;
    // In the second mode there is an entry as well by now, with another ISN.
    if (mode == SynCookies::kPastBacklog) GiveTcp({.src_port = 1}, kRst, 2, 0);
    now_ = now_ + Duration::Seconds(1);
    GiveTcp(flow_, kSyn, 1000, 0);
    Take();
    EXPECT_EQ(shard().usage().half_open, mode == SynCookies::kAlways ? 0u : 1u);
    GiveTcp(flow_, kAck, 1006, ack, Text("world"));
    ExpectSilence();
    EXPECT_EQ(Dropped(DropReason::kTcpCookieNotFirst), 1u);
    GiveTcp(flow_, kAck, 1001, ack, Text("hello"));
    GiveTcp(flow_, kAck, 1006, ack, Text("world"));
    EXPECT_EQ(ReceiveText(OneEvent().handle), "helloworld");
  }
}

TEST_F(ShardCookieTest, ASynAckToAListenerIsNoCookie) {
  StartWith(SynCookies::kAlways);
  Listen();
  const SentFrame synack = Cookie(flow_);
  GiveTcp(flow_, kSyn | kAck, 1000, synack.tcp.seq.value() + 1);
  ExpectReset(DropReason::kTcpNoConnection);
}

// Once the connection is over, what opened it must not open another one: not by a duplicate that comes late,
// though the peer closed first and TIME-WAIT is its part.
TEST_F(ShardCookieTest, ADuplicateOfItOpensNothingTwice) {
  StartWith(SynCookies::kAlways);
  Listen();
  for (const bool reset : {false, true}) {
    ++flow_.src_port;
    const SentFrame synack = Cookie(flow_);
    const uint32_t ack = synack.tcp.seq.value() + 1;
    GiveAck(flow_, synack, Text("once"));
    const ConnHandle handle = OneEvent().handle;
    EXPECT_EQ(ReceiveText(handle), "once");
    Take();
    if (reset) {
      GiveTcp(flow_, kRst, 1005, 0);
    } else {
      GiveTcp(flow_, kAck | kFin, 1005, ack);
      shard().Close(handle, now_);
      Take();
      GiveTcp(flow_, kAck, 1006, ack + 1);
    }
    Events();
    Take();
    EXPECT_EQ(shard().usage().connections, 0u);
    now_ = now_ + Duration::Millis(100);
    GiveAck(flow_, synack);
    GiveAck(flow_, synack, Text("once"));
    EXPECT_TRUE(Events().empty());
    EXPECT_EQ(shard().usage().connections, 0u);
    Take();
    Advance(Duration::Seconds(61));
    EXPECT_EQ(shard().usage().time_wait, 0u);
  }
  // One that outlived its cookie needs none of this.
  ++flow_.src_port;
  GiveAck(flow_, Cookie(flow_));
  const ConnHandle handle = OneEvent().handle;
  Advance(kPeriod * 2);
  GiveTcp(flow_, kRst, 1001, 0);
  EXPECT_FALSE(shard().IsLive(handle));
  EXPECT_EQ(shard().usage().time_wait, 0u);
}

// Past the backlog, and for one period longer; then ACKs cost no hash any more, and no guess can hit.
TEST_F(ShardCookieTest, CookiesAreTakenWhileTheyAreGivenAndAPeriodLonger) {
  StartWith(SynCookies::kPastBacklog);
  Listen(7, 1);
  GiveTcp(flow_, kAck, 1001, 77);
  ExpectReset(DropReason::kTcpNoConnection);
  GiveTcp({.src_port = 1}, kSyn, 1, 0);
  Take();
  const auto late = [&](uint16_t port) {
    const TestFlow flow{.src_port = port};
    GiveTcp(flow, kSyn, 1000, 0);
    std::vector<SentFrame> sent = Take();
    EXPECT_EQ(sent.size(), 1u);
    return std::pair(flow, std::move(sent[0]));
  };
  const auto [a, a_synack] = late(2);
  const auto [b, b_synack] = late(3);
  GiveTcp({.src_port = 1}, kRst, 2, 0);  // room again, and no more cookies
  EXPECT_EQ(shard().usage().half_open, 0u);
  now_ = now_ + kPeriod - Duration::Millis(1);
  GiveAck(a, a_synack);
  EXPECT_EQ(OneEvent().events, tcp::kEventConnected);
  Take();
  now_ = now_ + Duration::Millis(1);
  GiveAck(b, b_synack);
  EXPECT_EQ(TakeOne().tcp.flags, kRst);
  EXPECT_EQ(Dropped(DropReason::kTcpNoConnection), 2u);
  EXPECT_EQ(Dropped(DropReason::kTcpBadCookie), 0u);
}

// The first SYN is answered by a cookie, and its second, when there is room again, by an entry with another
// ISN. The peer took the first SYN-ACK.
TEST_F(ShardCookieTest, ACookieStillCountsWhenAnEntryCameAfterIt) {
  StartWith(SynCookies::kPastBacklog);
  Listen(7, 1);
  GiveTcp({.src_port = 1}, kSyn, 1, 0);
  Take();
  GiveTcp(flow_, kSyn, 1000, 0, {}, SynOptions(true, true, true));
  const SentFrame cookie = TakeOne();
  GiveTcp({.src_port = 1}, kRst, 2, 0);
  now_ = now_ + Duration::Seconds(1);
  GiveTcp(flow_, kSyn, 1000, 0, {}, SynOptions(true, true, true));
  const SentFrame entry = TakeOne();
  EXPECT_EQ(shard().usage().half_open, 1u);
  EXPECT_NE(entry.tcp.seq, cookie.tcp.seq);
  GiveAck(flow_, cookie, Text("data"));
  const ShardEvent event = OneEvent();
  EXPECT_EQ(event.events, tcp::kEventConnected | tcp::kEventReadable);
  EXPECT_EQ(shard().usage().half_open, 0u);
  EXPECT_EQ(ReceiveText(event.handle), "data");
}

TEST_F(ShardCookieTest, TheThirdSegmentMayCarryDataAndFin) {
  StartWith(SynCookies::kAlways);
  Listen();
  const SentFrame synack = Cookie(flow_);
  GiveTcp(flow_, kAck | kFin, 1001, synack.tcp.seq.value() + 1, Text("all of it"));
  const ShardEvent event = OneEvent();
  EXPECT_TRUE(event.events & tcp::kEventConnected);
  bool ended = false;
  EXPECT_EQ(ReceiveText(event.handle, &ended), "all of it");
  ReceiveText(event.handle, &ended);
  EXPECT_TRUE(ended);
}

// What the application leaves lying is bounded as ever: past it neither SYN nor cookie gets in, and the
// peer's next segment does once there is room.
TEST_F(ShardCookieTest, UnacceptedConnectionsStayWithinTheBacklog) {
  StartWith(SynCookies::kAlways);
  Listen(7, 2);
  std::vector<SentFrame> synacks;
  for (uint16_t port = 1; port <= 3; ++port) synacks.push_back(Cookie({.src_port = port}));
  for (uint16_t port = 1; port <= 3; ++port) GiveAck({.src_port = port}, synacks[port - 1]);
  ExpectSilence();
  EXPECT_EQ(Dropped(DropReason::kTcpBacklogFull), 1u);
  EXPECT_EQ(shard().usage().connections, 2u);
  GiveTcp(flow_, kSyn, 1000, 0);
  ExpectSilence();
  EXPECT_EQ(Dropped(DropReason::kTcpBacklogFull), 2u);
  EXPECT_EQ(Events().size(), 2u);
  GiveAck({.src_port = 3}, synacks[2], Text("again"));
  EXPECT_EQ(OneEvent().events, tcp::kEventConnected | tcp::kEventReadable);
}

TEST_F(ShardCookieTest, WithoutASlotTheCookieStaysGood) {
  config_.max_connections = 1;
  StartWith(SynCookies::kAlways);
  Listen();
  const SentFrame first = Cookie({.src_port = 1});
  const SentFrame second = Cookie({.src_port = 2});
  GiveAck({.src_port = 1}, first);
  GiveAck({.src_port = 2}, second);
  EXPECT_EQ(Dropped(DropReason::kTcpNoSlot), 1u);
  shard().Abort(OneEvent().handle, now_);
  Events();
  Take();
  GiveAck({.src_port = 2}, second);
  EXPECT_EQ(OneEvent().events, tcp::kEventConnected);
}

// Both shards of a stack draw the same secret: a cookie that one gave is good at the other.
TEST_F(ShardCookieTest, AnotherShardTakesIt) {
  StartWith(SynCookies::kAlways);
  Listen();
  const SentFrame synack = Cookie(flow_, SynOptions(true, true, true));
  for (size_t i = 0; i < 16; ++i) config_.table_secret[i] = static_cast<uint8_t>(200 + i);
  shard_ = std::make_unique<Shard>(config_, HeapMemory(), now_);
  Start();
  Listen();
  GiveAck(flow_, synack, Text("moved"));
  EXPECT_EQ(ReceiveText(OneEvent().handle), "moved");
}

// TIME-WAIT keeps its promise of a later ISN and later timestamps: an entry, not a cookie, even under
// "always".
TEST_F(ShardCookieTest, TimeWaitIsFollowedByAnEntry) {
  StartWith(SynCookies::kAlways);
  Listen();
  const SentFrame synack = Cookie(flow_);
  GiveAck(flow_, synack);
  shard().Close(OneEvent().handle, now_);
  Take();
  GiveTcp(flow_, kAck | kFin, 1001, synack.tcp.seq.value() + 2);
  Take();
  Events();
  ASSERT_EQ(shard().usage().time_wait, 1u);
  GiveTcp(flow_, kSyn, 5000, 0);
  const SentFrame next = TakeOne();
  EXPECT_TRUE(next.tcp.seq.After(synack.tcp.seq + 2));
  EXPECT_EQ(shard().usage().half_open, 1u);
  GiveTcp(flow_, kAck, 5001, next.tcp.seq.value() + 1);
  EXPECT_EQ(OneEvent().events, tcp::kEventConnected);
  EXPECT_EQ(shard().usage().time_wait, 0u);
}

// A million SYNs from everywhere. The honest client gets in, nothing grows, and each SYN's fate has a name.
class ShardFloodTest : public ShardCookieTest {
 protected:
  static constexpr uint32_t kSyns = 1'000'000;

  // Takes what goes out without looking at it, for speed.
  size_t Drain() {
    std::array<TxFrame, 64> frames;
    size_t sent = 0;
    for (size_t n; (n = shard().PollTransmit(0, now_, frames)) != 0;) sent += n;
    Recycle();
    return sent;
  }
  void Flood(uint32_t from, uint32_t count) {
    std::vector<RxFrame> burst;
    for (uint32_t i = from; i < from + count; ++i) {
      TestFlow flow;
      flow.src = wire::IpAddress::FromV4(0x0b000000 + i * 2'654'435u % (1u << 24));
      flow.src_port = static_cast<uint16_t>(1'024 + i % 60'000);
      const Bytes frame = IpFrame(flow.src, flow.dst, wire::kProtocolTcp, TcpBytes(flow, kSyn, i * 7'919, 0));
      burst.push_back({.buffer = pool_.AllocateWith(frame)});
    }
    shard().Input(burst, 0, now_);
    Recycle();
    answers_ += Drain();
    now_ = now_ + Duration::Micros(count);  // a million a second
    shard().AdvanceTimers(now_);
  }
  uint64_t answers_ = 0;
};

TEST_F(ShardFloodTest, AnHonestClientGetsIn) {
  config_.routes = {{wire::IpPrefix::Parse("11.0.0.0/8").value(), Ip("10.77.0.2"), 0}};
  config_.max_half_open = 1'024;
  StartWith(SynCookies::kPastBacklog);
  Listen(7, 128);
  for (uint32_t i = 0; i < 192; i += 64) Flood(i, 64);
  uint32_t served = 0;
  for (uint32_t i = 192; i < kSyns; i += 64) {
    const uint32_t count = std::min<uint32_t>(64, kSyns - i);
    if (i % 128'000 != 192) {
      Flood(i, count);
      continue;
    }
    // In the middle of it: SYN, some flood, ACK with a request, some flood, the answer.
    TestFlow honest{.src_port = static_cast<uint16_t>(50'000 + served)};
    GiveTcp(honest, kSyn, 1000, 0, {}, SynOptions(true, true, true));
    const SentFrame synack = TakeOne();
    Flood(i, count);
    GiveAck(honest, synack, Text("request"));
    const ShardEvent event = OneEvent();
    ASSERT_EQ(ReceiveText(event.handle), "request");
    SendText(event.handle, "answer");
    bool answered = false;
    for (const SentFrame& f : Take()) answered = answered || f.payload == Text("answer");
    EXPECT_TRUE(answered);
    EXPECT_EQ(shard().Tcp(event.handle)->snd_scale, 9);
    shard().Abort(event.handle, now_);
    Take();
    Events();
    ++served;
    EXPECT_LE(shard().usage().half_open, 128u);
    EXPECT_EQ(shard().usage().connections, 0u);
    EXPECT_LE(shard().usage().neighbours, 3u);
  }
  EXPECT_EQ(served, 8u);
  const ShardCounters& c = shard().counters();
  // No SYN was lost: the first 128 have entries, all others got cookies, the honest ones among them.
  EXPECT_EQ(c.drops.total(), 0u);
  EXPECT_EQ(c.syn_cookies_sent, kSyns + served - 128);
  EXPECT_EQ(c.syn_cookies_accepted, served);
  EXPECT_GE(answers_, kSyns);
  EXPECT_EQ(c.tx_drops.total(), 0u);
}

TEST_F(ShardFloodTest, WithoutCookiesEverySynIsDroppedByName) {
  config_.routes = {{wire::IpPrefix::Parse("11.0.0.0/8").value(), Ip("10.77.0.2"), 0}};
  StartWith(SynCookies::kOff);
  Listen(7, 32);
  for (uint32_t i = 0; i < 6'400; i += 64) Flood(i, 64);
  EXPECT_EQ(Dropped(DropReason::kTcpBacklogFull), 6'400u - 32);
  EXPECT_EQ(shard().counters().drops.total(), 6'400u - 32);
}

}  // namespace
}  // namespace tern::stack
