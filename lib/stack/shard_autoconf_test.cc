// IPv6 addresses that come by themselves: RFC 4862 and the host's part of RFC 4861 6.3, with a hand-made
// router.
#include "stack/shard_for_test.h"

namespace tern::stack {
namespace {

constexpr uint32_t kForEver = 0xffffffff;
const wire::MacAddress kRouterMac({2, 0, 0, 0, 0, 0x10});
const wire::MacAddress kRouter2Mac({2, 0, 0, 0, 0, 0x20});
const wire::IpAddress kRouter = Ip("fe80::10");
const wire::IpAddress kRouter2 = Ip("fe80::20");
const wire::IpAddress kLinkLocal = wire::IpAddress::LinkLocalFor(kOurMac);
const wire::IpAddress kFormed = Ip("2001:db8::ff:fe00:1");

wire::RouterAdvert Announce(const char* prefix = "2001:db8::/64", uint32_t valid_s = 86'400,
                            uint32_t preferred_s = 14'400) {
  wire::RouterAdvert advert{.lifetime_s = 1'800, .source_mac = kRouterMac, .prefix_count = 1};
  advert.prefixes[0] = {.prefix = wire::IpPrefix::Parse(prefix).value(),
                        .on_link = true,
                        .autonomous = true,
                        .valid_s = valid_s,
                        .preferred_s = preferred_s};
  return advert;
}

Bytes AdvertFrame(const wire::RouterAdvert& advert, const wire::IpAddress& from = kRouter,
                  uint8_t hop_limit = 255) {
  const wire::IpAddress to = wire::IpAddress::AllNodes();
  Bytes body(wire::kNdpMaxMessage);
  body.resize(wire::WriteRouterAdvert(advert, from, to, body.data()));
  return LinkFrame(wire::kEtherTypeIpv6, IpPacket(from, to, wire::kProtocolIcmpv6, body, hop_limit),
                   wire::MacAddress::ForMulticast(to), kRouterMac);
}

// A question from nowhere: somebody wants `target`.
Bytes Probe(const wire::IpAddress& target, std::optional<uint64_t> nonce = {},
            const wire::MacAddress& from = kPeerMac) {
  const wire::IpAddress to = target.SolicitedNode();
  Bytes body(wire::kNdpMaxMessage);
  body.resize(
      wire::WriteNeighborSolicit({.target = target, .nonce = nonce}, wire::IpAddress(), to, body.data()));
  return LinkFrame(wire::kEtherTypeIpv6,
                   IpPacket(wire::IpAddress(), to, wire::kProtocolIcmpv6, body, wire::kNdpHopLimit),
                   wire::MacAddress::ForMulticast(to), from);
}

// An advertisement of a neighbour's, to all.
Bytes Claim(const wire::IpAddress& target, const wire::MacAddress& mac, bool router = false) {
  const wire::IpAddress to = wire::IpAddress::AllNodes();
  Bytes body(wire::kNdpMaxMessage);
  body.resize(wire::WriteNeighborAdvert(
      {.target = target, .router = router, .override = true, .target_mac = mac}, target, to, body.data()));
  return LinkFrame(wire::kEtherTypeIpv6,
                   IpPacket(target, to, wire::kProtocolIcmpv6, body, wire::kNdpHopLimit),
                   wire::MacAddress::ForMulticast(to), mac);
}

class AutoconfTest : public ShardTest {
 protected:
  AutoconfTest() {
    config_.interfaces[0].addresses = {{wire::IpPrefix::Parse("10.77.0.1/24").value()}};
    config_.interfaces[0].autoconf.on = true;
  }

  // Asked by a neighbour who says nothing of himself, so that nobody is asked back.
  bool Answers(const wire::IpAddress& address) {
    const wire::IpAddress from = Ip("fe80::2");
    const wire::IpAddress to = address.SolicitedNode();
    Bytes body(wire::kNdpMaxMessage);
    body.resize(wire::WriteNeighborSolicit({.target = address}, from, to, body.data()));
    Give(IpFrame(from, to, wire::kProtocolIcmpv6, body, wire::kNdpHopLimit));
    const std::vector<SentFrame> sent = Take();
    return sent.size() == 1 && sent[0].icmp.type == wire::kIcmpv6NeighborAdvert && sent[0].src == address;
  }
  // Until the link-local address is there and the first question for routers is out.
  void ComeUp() {
    shard();
    Advance(Duration::Millis(2'100));
    Events6();
  }
  std::vector<LinkEvent> Events6() {
    std::vector<LinkEvent> events(64);
    events.resize(shard().TakeLinkEvents(events));
    return events;
  }
  void ExpectOnly(LinkEvent::Kind kind, const wire::IpAddress& address) {
    const std::vector<LinkEvent> events = Events6();
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].kind, kind);
    EXPECT_EQ(events[0].address, address);
  }
  // With an address by the router's prefix.
  void ComeUpWithRouter(const wire::RouterAdvert& advert = Announce()) {
    ComeUp();
    Give(AdvertFrame(advert));
    Advance(Duration::Millis(2'100));
    Events6();
  }
  static wire::NeighborSolicit Question(const SentFrame& frame) {
    wire::NeighborSolicit solicit;
    EXPECT_EQ(frame.icmp.type, wire::kIcmpv6NeighborSolicit);
    EXPECT_EQ(wire::ParseNeighborSolicit(
                  frame.icmp, {.src = frame.src, .dst = frame.dst, .hop_limit = frame.hop_limit}, solicit),
              wire::ParseError::kNone);
    return solicit;
  }
  // A connection to `remote`, as far as its SYN; the next hop is asked for and answers with `mac`.
  std::vector<SentFrame> Open(const wire::IpAddress& remote, ConnHandle* handle) {
    EXPECT_EQ(shard().Connect({.remote = remote, .remote_port = 80}, now_, handle), OpenResult::kOk);
    return Take();
  }
};

TEST_F(AutoconfTest, ComesUpAskingForItsAddressAndThenForRouters) {
  shard();
  EXPECT_FALSE(Answers(kLinkLocal)) << "tentative";
  std::vector<SentFrame> sent = Advance(Duration::Millis(1'000));
  ASSERT_EQ(sent.size(), 1u) << "within the random second";
  EXPECT_EQ(Question(sent[0]).target, kLinkLocal);
  EXPECT_FALSE(Question(sent[0]).source_mac.has_value());
  EXPECT_TRUE(sent[0].src.IsUnspecified());
  EXPECT_EQ(sent[0].dst, kLinkLocal.SolicitedNode());
  EXPECT_EQ(sent[0].ethernet.dst, wire::MacAddress::ForMulticast(kLinkLocal.SolicitedNode()));
  const std::vector<wire::MacAddress> groups = shard().MulticastGroups(0);
  EXPECT_NE(std::find(groups.begin(), groups.end(), sent[0].ethernet.dst), groups.end());

  sent = Advance(Duration::Millis(1'000));
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].icmp.type, wire::kIcmpv6RouterSolicit);
  EXPECT_EQ(sent[0].src, kLinkLocal);
  EXPECT_EQ(sent[0].dst, wire::IpAddress::AllRouters());
  EXPECT_EQ(sent[0].hop_limit, 255);
  EXPECT_TRUE(Answers(kLinkLocal));
  // RFC 4861 6.3.7: three in all.
  EXPECT_EQ(Advance(Duration::Seconds(4)).size(), 1u);
  EXPECT_EQ(Advance(Duration::Seconds(4)).size(), 1u);
  EXPECT_EQ(Advance(Duration::Seconds(60)).size(), 0u);
}

TEST_F(AutoconfTest, StartsAtItsOwnRandomMoment) {
  shard();
  const Instant first = shard().NextDeadline(now_);
  shard_.reset();
  config_.seed = 99;
  EXPECT_NE(shard().NextDeadline(now_), first);
}

TEST_F(AutoconfTest, WithoutDetectionItIsThereAtOnce) {
  config_.interfaces[0].autoconf.dad_transmits = 0;
  shard();
  EXPECT_TRUE(Answers(kLinkLocal));
  Give(AdvertFrame(Announce()));
  EXPECT_TRUE(Answers(kFormed));
}

TEST_F(AutoconfTest, SeveralTransmitsTakeSeveralSeconds) {
  config_.interfaces[0].autoconf.dad_transmits = 3;
  shard();
  Advance(Duration::Millis(2'900));
  EXPECT_FALSE(Answers(kLinkLocal));
  Advance(Duration::Millis(1'200));
  EXPECT_TRUE(Answers(kLinkLocal));
}

TEST_F(AutoconfTest, ARouterGivesAnAddressAndTheWayOut) {
  ComeUp();
  Give(AdvertFrame(Announce()));
  EXPECT_EQ(shard().counters().router_adverts, 1u);
  ExpectOnly(LinkEvent::Kind::kRouterFound, kRouter);
  EXPECT_FALSE(Answers(kFormed)) << "tentative";
  const std::vector<SentFrame> sent = Advance(Duration::Millis(2'050));
  const auto probes = std::count_if(sent.begin(), sent.end(), [](const SentFrame& f) {
    return f.icmp.type == wire::kIcmpv6NeighborSolicit && f.src.IsUnspecified();
  });
  EXPECT_EQ(probes, 1);
  EXPECT_TRUE(std::none_of(sent.begin(), sent.end(), [](const SentFrame& f) {
    return f.icmp.type == wire::kIcmpv6RouterSolicit;
  })) << "the question is answered";
  ExpectOnly(LinkEvent::Kind::kAddressFormed, kFormed);
  EXPECT_TRUE(Answers(kFormed));

  // Out through the router, whose address came with the advertisement; from the address, not the link-local
  // one.
  ConnHandle handle;
  std::vector<SentFrame> out = Open(Ip("2001:db8:99::1"), &handle);
  ASSERT_FALSE(out.empty());
  EXPECT_EQ(out[0].src, kFormed);
  EXPECT_EQ(out[0].ethernet.dst, kRouterMac);
  // On link: the host itself is asked for.
  out = Open(Ip("2001:db8::77"), &handle);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(Question(out[0]).target, Ip("2001:db8::77"));
}

TEST_F(AutoconfTest, APrefixThatIsNotOnLinkLeadsThroughTheRouter) {
  wire::RouterAdvert advert = Announce();
  advert.prefixes[0].on_link = false;
  ComeUpWithRouter(advert);
  ConnHandle handle;
  const std::vector<SentFrame> out = Open(Ip("2001:db8::77"), &handle);
  ASSERT_FALSE(out.empty());
  EXPECT_EQ(out[0].ethernet.dst, kRouterMac);
}

// ---- Duplicates ----

TEST_F(AutoconfTest, AnAnswerMeansThatSomebodyHasIt) {
  shard();
  Advance(Duration::Millis(1'000));
  ExpectDrop(Claim(kLinkLocal, kPeerMac), DropReason::kNdpConflict);
  EXPECT_EQ(shard().counters().duplicate_addresses, 1u);
  ExpectOnly(LinkEvent::Kind::kAddressDuplicate, kLinkLocal);
  EXPECT_EQ(Advance(Duration::Seconds(60)).size(), 0u) << "and no router is asked";
  EXPECT_FALSE(Answers(kLinkLocal));
  // RFC 4862 5.4.5: nothing more is made of this station address.
  ExpectDrop(AdvertFrame(Announce()), DropReason::kNdpRouterIgnored);
  ExpectDrop(Claim(kLinkLocal, kPeerMac), DropReason::kNdpNotOurs);
  ExpectDrop(Probe(kLinkLocal), DropReason::kNdpNotOurs);
}

TEST_F(AutoconfTest, TwoThatAskAtTheSameTimeBothGiveWay) {
  ComeUp();
  Give(AdvertFrame(Announce()));
  Events6();
  ExpectDrop(Probe(kFormed), DropReason::kNdpConflict);
  ExpectOnly(LinkEvent::Kind::kAddressDuplicate, kFormed);
  // The router's next word does not bring it back.
  Advance(Duration::Seconds(3));
  Give(AdvertFrame(Announce()));
  Advance(Duration::Seconds(3));
  EXPECT_FALSE(Answers(kFormed));
  EXPECT_TRUE(Answers(kLinkLocal));
}

TEST_F(AutoconfTest, OnesOwnQuestionThatComesBackIsNoDuplicate) {
  shard();
  const std::vector<SentFrame> sent = Advance(Duration::Millis(1'000));
  ASSERT_EQ(sent.size(), 1u);
  const std::optional<uint64_t> nonce = Question(sent[0]).nonce;
  ASSERT_TRUE(nonce.has_value());
  ExpectDrop(sent[0].bytes, DropReason::kNdpLooped);
  Advance(Duration::Millis(1'100));
  EXPECT_TRUE(Answers(kLinkLocal));
  // Nor later; but a twin, whose station address is ours as well, has another nonce.
  ExpectDrop(sent[0].bytes, DropReason::kNdpLooped);
  ExpectSilence();
  Give(Probe(kLinkLocal, *nonce ^ 1, kOurMac));
  EXPECT_EQ(TakeOne().icmp.type, wire::kIcmpv6NeighborAdvert);
}

TEST_F(AutoconfTest, ATwinWithOurStationAddressIsADuplicate) {
  shard();
  ExpectDrop(Probe(kLinkLocal, 12'345, kOurMac), DropReason::kNdpConflict);
  EXPECT_FALSE(Answers(kLinkLocal));
}

TEST_F(AutoconfTest, WhoAsksForATentativeAddressHasToWait) {
  shard();
  const wire::IpAddress to = kLinkLocal.SolicitedNode();
  Bytes body(wire::kNdpMaxMessage);
  body.resize(wire::WriteNeighborSolicit({.target = kLinkLocal, .source_mac = kPeerMac}, Ip("fe80::2"), to,
                                         body.data()));
  ExpectDrop(IpFrame(Ip("fe80::2"), to, wire::kProtocolIcmpv6, body, 255), DropReason::kNdpTentative);
  ExpectSilence();
}

TEST_F(AutoconfTest, AnAddressInUseIsDefendedAndAClaimIsCounted) {
  ComeUpWithRouter();
  Give(Probe(kFormed));
  const SentFrame answer = TakeOne();
  EXPECT_EQ(answer.icmp.type, wire::kIcmpv6NeighborAdvert);
  EXPECT_EQ(answer.dst, wire::IpAddress::AllNodes());
  ExpectDrop(Claim(kFormed, kPeerMac), DropReason::kNdpConflict);
  ExpectDrop(Claim(kFormed, kOurMac), DropReason::kNdpLooped);
  EXPECT_TRUE(Answers(kFormed));
}

TEST_F(AutoconfTest, ConfiguredAddressesAreUsedAtOnceUnlessAskedFor) {
  config_.interfaces[0].addresses.push_back({wire::IpPrefix::Parse("fd77::1/64").value()});
  shard();
  EXPECT_TRUE(Answers(Ip("fd77::1")));
  shard_.reset();
  config_.interfaces[0].autoconf = {.on = false, .dad_configured = true};
  shard();
  EXPECT_FALSE(Answers(Ip("fd77::1")));
  EXPECT_FALSE(Answers(kLinkLocal));
  // It may be listened on, and is not spoken from.
  uint32_t listener = 0;
  EXPECT_EQ(shard().Listen({.address = Ip("fd77::1"), .port = 7}, &listener), OpenResult::kOk);
  ConnHandle handle;
  EXPECT_EQ(shard().Connect({.remote = Ip("fd77::2"), .remote_port = 80}, now_, &handle),
            OpenResult::kNoRoute);
  EXPECT_EQ(Advance(Duration::Millis(2'100)).size(), 2u) << "two questions, and none for routers";
  EXPECT_TRUE(Answers(Ip("fd77::1")));
  EXPECT_TRUE(Answers(kLinkLocal));
  ExpectDrop(AdvertFrame(Announce()), DropReason::kNdpRouterIgnored);
}

// ---- Time ----

TEST_F(AutoconfTest, AnAddressAgesAndGoes) {
  ComeUpWithRouter(Announce("2001:db8::/64", 7'200, 100));
  Listen();
  const TestFlow flow{.src = Ip("2001:db8::2"), .dst = kFormed};
  Give(EchoRequest(flow.src, Text("ping"), kFormed.ToString().c_str()));
  Take();
  Give(Claim(flow.src, kPeerMac));
  Take();
  uint32_t isn = 0;
  const ConnHandle handle = Accept(flow, &isn);
  EXPECT_TRUE(shard().IsLive(handle));
  Advance(Duration::Seconds(200));
  // Deprecated: it still answers, and is spoken from only for want of another.
  EXPECT_TRUE(Answers(kFormed));
  ConnHandle out;
  Open(Ip("2001:db8:99::1"), &out);
  EXPECT_EQ(shard().Key(out)->local, kFormed);
  shard().Abort(out, now_);
  Give(AdvertFrame(Announce("2001:db8:0:5::/64")));
  Advance(Duration::Seconds(3));
  Open(Ip("2001:db8:99::1"), &out);
  EXPECT_EQ(shard().Key(out)->local, Ip("2001:db8:0:5:0:ff:fe00:1"));
  shard().Abort(out, now_);
  Events();
  Events6();
  // And when it is over, so is what it carried.
  EXPECT_TRUE(shard().IsLive(handle));
  Advance(Duration::Seconds(7'000));
  EXPECT_FALSE(shard().IsLive(handle));
  EXPECT_FALSE(Answers(kFormed));
  EXPECT_TRUE(Answers(Ip("2001:db8:0:5:0:ff:fe00:1")));
  const std::vector<LinkEvent> events = Events6();
  const auto told = [&](LinkEvent::Kind kind, const wire::IpAddress& address) {
    return std::count_if(events.begin(), events.end(), [&](const LinkEvent& event) {
      return event.kind == kind && event.address == address;
    });
  };
  EXPECT_EQ(told(LinkEvent::Kind::kAddressGone, kFormed), 1);
  EXPECT_EQ(told(LinkEvent::Kind::kRouterGone, kRouter), 1);
}

TEST_F(AutoconfTest, ConnectionsEndWithTheirAddress) {
  ComeUpWithRouter(Announce("2001:db8::/64", 10, 10));
  ConnHandle handle;
  Open(Ip("2001:db8:99::1"), &handle);
  Advance(Duration::Seconds(10));
  const ShardEvent event = OneEvent();
  EXPECT_EQ(event.reason, tcp::CloseReason::kUnreachable);
  EXPECT_FALSE(shard().IsLive(handle));
  const std::vector<LinkEvent> events = Events6();
  EXPECT_TRUE(std::any_of(events.begin(), events.end(), [](const LinkEvent& e) {
    return e.kind == LinkEvent::Kind::kAddressGone && e.address == kFormed;
  }));
}

TEST_F(AutoconfTest, AHostileZeroLifetimeLeavesTwoHours) {
  ComeUpWithRouter(Announce("2001:db8::/64", kForEver, kForEver));
  Give(AdvertFrame(Announce("2001:db8::/64", 0, 0)));
  EXPECT_TRUE(Answers(kFormed));
  Advance(Duration::Seconds(7'190));
  EXPECT_TRUE(Answers(kFormed));
  Advance(Duration::Seconds(11));
  EXPECT_FALSE(Answers(kFormed));
}

// ---- Routers ----

TEST_F(AutoconfTest, ARouterThatSaysSoIsNoneAnyMore) {
  ComeUpWithRouter();
  wire::RouterAdvert advert = Announce();
  advert.lifetime_s = 0;
  Give(AdvertFrame(advert));
  ExpectOnly(LinkEvent::Kind::kRouterGone, kRouter);
  ConnHandle handle;
  EXPECT_EQ(shard().Connect({.remote = Ip("2001:db8:99::1"), .remote_port = 80}, now_, &handle),
            OpenResult::kNoRoute);
  Give(AdvertFrame(Announce()));
  Events6();
  // RFC 4861 7.2.5: nor is one that turns host.
  Give(Claim(kRouter, kRouterMac, /*router=*/true));
  EXPECT_EQ(Events6().size(), 0u);
  Give(Claim(kRouter, kRouterMac, /*router=*/false));
  ExpectOnly(LinkEvent::Kind::kRouterGone, kRouter);
}

TEST_F(AutoconfTest, WhenARouterDiesWhatWentThroughItTakesTheNext) {
  ComeUpWithRouter();
  wire::RouterAdvert second = Announce();
  second.source_mac = kRouter2Mac;
  Give(AdvertFrame(second, kRouter2));
  Events6();
  ConnHandle handle;
  std::vector<SentFrame> out = Open(Ip("2001:db8:99::1"), &handle);
  ASSERT_FALSE(out.empty());
  EXPECT_EQ(out[0].ethernet.dst, kRouterMac);
  // Nobody answers: after 5 s of delay it is asked three times, a second apart.
  std::vector<SentFrame> later = Advance(Duration::Seconds(30));
  const auto asked = std::count_if(later.begin(), later.end(), [](const SentFrame& f) {
    return f.icmp.type == wire::kIcmpv6NeighborSolicit && f.dst == kRouter;
  });
  EXPECT_EQ(asked, 3);
  const std::vector<LinkEvent> events = Events6();
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events[0].kind, LinkEvent::Kind::kRouterFailed);
  const auto tcp = std::find_if(later.rbegin(), later.rend(),
                                [](const SentFrame& f) { return f.protocol == wire::kProtocolTcp; });
  ASSERT_NE(tcp, later.rend());
  EXPECT_EQ(tcp->ethernet.dst, kRouter2Mac) << "the same connection, through the other";
  EXPECT_TRUE(shard().IsLive(handle));
}

TEST_F(AutoconfTest, MtuAndHopLimitGoToConnectionsThatBegin) {
  wire::RouterAdvert advert = Announce();
  advert.mtu = 1'400;
  advert.hop_limit = 77;
  ComeUpWithRouter(advert);
  ConnHandle handle;
  std::vector<SentFrame> out = Open(Ip("2001:db8:99::1"), &handle);
  ASSERT_FALSE(out.empty());
  EXPECT_EQ(out[0].options.mss, 1'400 - 60);
  EXPECT_EQ(out[0].hop_limit, 77);
  // Larger than the device can, and no hop at all: not believed. IPv4 is not concerned.
  advert.mtu = 9'000;
  advert.hop_limit = 1;
  Give(AdvertFrame(advert));
  out = Open(Ip("2001:db8:99::2"), &handle);
  EXPECT_EQ(out[0].options.mss, 1'400 - 60);
  EXPECT_EQ(out[0].hop_limit, 77);
  answers_arp_ = true;
  out = Open(Ip("10.77.0.2"), &handle);
  ASSERT_FALSE(out.empty());
  EXPECT_EQ(out[0].options.mss, 1'460);
  EXPECT_EQ(out[0].hop_limit, 64);
}

TEST_F(AutoconfTest, RetransTimerPacesQuestions) {
  wire::RouterAdvert advert = Announce();
  advert.retrans_ms = 5'000;
  ComeUpWithRouter(advert);
  Advance(Duration::Seconds(10));
  ConnHandle handle;
  EXPECT_EQ(Open(Ip("2001:db8::77"), &handle).size(), 1u);
  EXPECT_EQ(Advance(Duration::Millis(4'900)).size(), 0u);
  EXPECT_EQ(Advance(Duration::Millis(200)).size(), 1u);
}

// ---- What is not believed ----

TEST_F(AutoconfTest, AdvertisementsThatFailTheChecks) {
  ComeUp();
  ExpectDrop(AdvertFrame(Announce(), kRouter, 254), DropReason::kNdpMalformed);
  ExpectDrop(AdvertFrame(Announce(), Ip("2001:db8::10")), DropReason::kNdpMalformed);
  ExpectDrop(AdvertFrame(Announce(), kLinkLocal), DropReason::kIpSourceIsOurs);
  constexpr size_t kMessage = 14 + 40;
  // A wrong sum; an option of no length, one that overruns, a message that ends before its fixed part.
  Bytes bad = AdvertFrame(Announce());
  bad[kMessage + 20] ^= 1;
  ExpectDrop(bad, DropReason::kIcmpChecksum);
  const auto with = [&](size_t offset, uint8_t value) {
    Bytes body(wire::kNdpMaxMessage);
    body.resize(wire::WriteRouterAdvert(Announce(), kRouter, wire::IpAddress::AllNodes(), body.data()));
    body[offset] = value;
    wire::StoreBe16(body.data() + 2, 0);
    wire::StoreBe16(body.data() + 2, wire::TransportChecksum(kRouter, wire::IpAddress::AllNodes(),
                                                             wire::kProtocolIcmpv6, body));
    return IpFrame(kRouter, wire::IpAddress::AllNodes(), wire::kProtocolIcmpv6, body, 255);
  };
  ExpectDrop(with(1, 1), DropReason::kNdpMalformed);       // a code
  ExpectDrop(with(16 + 1, 0), DropReason::kNdpMalformed);  // the first option's length
  ExpectDrop(with(16 + 1, 200), DropReason::kNdpMalformed);
  EXPECT_EQ(shard().counters().router_adverts, 0u);
  EXPECT_EQ(Events6().size(), 0u);
}

TEST_F(AutoconfTest, PrefixesThatMayNotBe) {
  ComeUp();
  for (const char* prefix : {"fe80::/64", "ff02::/64", "::/0"}) Give(AdvertFrame(Announce(prefix)));
  wire::RouterAdvert advert = Announce("2001:db8::/64", 10, 20);
  advert.prefixes[0].on_link = false;
  Give(AdvertFrame(advert));
  EXPECT_EQ(shard().counters().prefixes_ignored, 4u);
  // Learned, but only that far: too long for an address.
  Give(AdvertFrame(Announce("2001:db8::/80")));
  EXPECT_EQ(shard().counters().prefixes_ignored, 4u);
  Advance(Duration::Seconds(3));
  ExpectOnly(LinkEvent::Kind::kRouterFound, kRouter);
}

TEST_F(AutoconfTest, AFloodOfPrefixesAndRoutersEndsAtTheTables) {
  ComeUp();
  for (uint8_t i = 1; i < 200; ++i) {
    wire::RouterAdvert advert = Announce();
    wire::IpAddress::Bytes bytes = Ip("2001:db8::").bytes();
    bytes[7] = i;
    advert.prefixes[0].prefix.address = wire::IpAddress(bytes);
    wire::IpAddress::Bytes from = Ip("fe80::").bytes();
    from[15] = i;
    Give(AdvertFrame(advert, wire::IpAddress(from)));
    Take();
  }
  EXPECT_EQ(shard().counters().router_adverts, 199u);
  EXPECT_EQ(shard().counters().prefixes_ignored, 199u - 8);
  Advance(Duration::Seconds(3));
  int answered = 0;
  for (uint8_t i = 1; i < 200; ++i) {
    wire::IpAddress::Bytes bytes = kFormed.bytes();
    bytes[7] = i;
    if (Answers(wire::IpAddress(bytes))) ++answered;
  }
  EXPECT_EQ(answered, 8);
}

TEST_F(AutoconfTest, RoutersAreNotHeardWhereAddressesAreGivenByHand) {
  config_.interfaces[0].autoconf.on = false;
  config_.interfaces[0].addresses.push_back({wire::IpPrefix::Parse("fd77::1/64").value()});
  ExpectDrop(AdvertFrame(Announce()), DropReason::kNdpRouterIgnored);
  EXPECT_EQ(Advance(Duration::Seconds(10)).size(), 0u);
}

TEST_F(AutoconfTest, RedirectsOfBothFamiliesAreIgnoredByName) {
  ComeUpWithRouter();
  Bytes body(40);
  wire::WriteIcmpv6({.type = wire::kIcmpv6Redirect, .body = Bytes(32)}, kRouter, kFormed, body.data());
  ExpectDrop(IpFrame(kRouter, kFormed, wire::kProtocolIcmpv6, body, 255), DropReason::kIcmpRedirect);
  Bytes body4(8 + 28);
  wire::WriteIcmp({.type = wire::kIcmpRedirect, .code = 1, .body = Bytes(28)}, body4.data());
  ExpectDrop(IpFrame(Ip("10.77.0.254"), Ip("10.77.0.1"), wire::kProtocolIcmp, body4),
             DropReason::kIcmpRedirect);
}

// ---- Several workers ----

TEST_F(AutoconfTest, OtherShardsAreToldAndAskNothing) {
  config_.worker_count = 2;
  for (size_t i = 0; i < config_.rss_key.size(); ++i) config_.rss_key[i] = static_cast<uint8_t>(i * 37 + 1);
  ShardConfig other_config = config_;
  other_config.worker = 1;
  Shard other(other_config, HeapMemory(), now_);
  const auto share = [&] {
    std::vector<LinkNotice> notices(64);
    notices.resize(shard().TakeLinkNotices(notices));
    for (const LinkNotice& notice : notices) other.OnLinkNotice(notice, now_);
    return notices.size();
  };
  ConnHandle handle;
  const ConnectSpec out{.remote = Ip("2001:db8:99::1"), .remote_port = 80};
  ComeUp();
  EXPECT_EQ(other.NextDeadline(now_), Instant::Never()) << "it asks nothing by itself";
  EXPECT_GT(share(), 0u);
  Give(AdvertFrame(Announce("2001:db8::/64", 100, 100)));
  EXPECT_GT(share(), 0u);
  EXPECT_EQ(other.Connect(out, now_, &handle), OpenResult::kNoRoute) << "tentative";
  Advance(Duration::Millis(2'100));
  EXPECT_GT(share(), 0u);
  ASSERT_EQ(other.Connect(out, now_, &handle), OpenResult::kOk);
  EXPECT_EQ(other.Key(handle)->local, kFormed);
  other.AdvanceTimers(now_ + Duration::Seconds(101));
  EXPECT_FALSE(other.IsLive(handle)) << "and each sees by itself that it is over";
  other.CloseAll(true, now_);
  std::vector<LinkEvent> events(8);
  EXPECT_EQ(other.TakeLinkEvents(events), 0u);
}

}  // namespace
}  // namespace tern::stack
