// A whole shard below TCP: link, ARP and NDP, ICMP, and everything that must be dropped by name.
#include "stack/shard_for_test.h"

namespace tern::stack {
namespace {

const wire::IpAddress kPeer4 = wire::IpAddress::FromV4(10, 77, 0, 2);

class ShardIpTest : public ShardTest {};

TEST_F(ShardIpTest, AnswersArpForItsAddress) {
  Give(Arp(wire::ArpOperation::kRequest, kPeer4, kPeerMac, Ip("10.77.0.1"), wire::MacAddress::Broadcast()));
  const SentFrame reply = TakeOne();
  EXPECT_EQ(reply.arp.operation, wire::ArpOperation::kReply);
  EXPECT_EQ(reply.arp.sender_ip, Ip("10.77.0.1"));
  EXPECT_EQ(reply.arp.sender_mac, kOurMac);
  EXPECT_EQ(reply.arp.target_ip, kPeer4);
  EXPECT_EQ(reply.ethernet.dst, kPeerMac);
  ExpectDrop(Arp(wire::ArpOperation::kRequest, Ip("10.77.0.8"), kPeerMac, Ip("10.77.0.9"),
                 wire::MacAddress::Broadcast()),
             DropReason::kArpNotOurs);
  ExpectDrop(LinkFrame(wire::kEtherTypeArp, Bytes(10)), DropReason::kArpMalformed);
  ExpectSilence();
}

TEST_F(ShardIpTest, DefendsItsAddressNowAndThen) {
  const auto claim = [this] {
    ExpectDrop(ArpReply(Ip("10.77.0.1"), kPeerMac), DropReason::kArpConflict);
    return Take();
  };
  const std::vector<SentFrame> said = claim();
  ASSERT_EQ(said.size(), 1u);
  EXPECT_TRUE(said[0].ethernet.dst.IsBroadcast());
  EXPECT_TRUE(said[0].arp.IsAnnouncement());
  EXPECT_EQ(said[0].arp.operation, wire::ArpOperation::kRequest);
  EXPECT_EQ(said[0].arp.sender_ip, Ip("10.77.0.1"));
  EXPECT_EQ(said[0].arp.sender_mac, kOurMac);
  now_ = now_ + Duration::Seconds(9);
  EXPECT_TRUE(claim().empty()) << "RFC 5227 2.4: or two defenders never end";
  now_ = now_ + Duration::Seconds(1);
  EXPECT_EQ(claim().size(), 1u);
  // Our own announcement, sent back by somebody, is no conflict.
  ExpectDrop(LinkFrame(wire::kEtherTypeArp, Bytes(said[0].bytes.begin() + 14, said[0].bytes.end()),
                       wire::MacAddress::Broadcast()),
             DropReason::kArpNotOurs);
  EXPECT_EQ(shard().usage().neighbours, 0u);
}

TEST_F(ShardIpTest, WhoAsksForUsIsKnown) {
  Give(Arp(wire::ArpOperation::kRequest, kPeer4, kPeerMac, Ip("10.77.0.1"), wire::MacAddress::Broadcast()));
  Take();
  Give(EchoRequest(kPeer4));
  EXPECT_EQ(TakeOne().icmp.type, wire::kIcmpEchoReply);
  // Nobody confirmed the address, and nobody does: in the end there is a question to it alone.
  const std::vector<SentFrame> sent = Advance(Duration::Millis(5'100));
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].arp.target_ip, kPeer4);
  EXPECT_EQ(sent[0].ethernet.dst, kPeerMac);
  // A host that cannot be on this link makes no entry.
  const uint32_t before = shard().usage().neighbours;
  Give(Arp(wire::ArpOperation::kRequest, Ip("192.0.2.1"), kPeerMac, Ip("10.77.0.1"),
           wire::MacAddress::Broadcast()));
  EXPECT_EQ(shard().usage().neighbours, before);
  Take();
}

TEST_F(ShardIpTest, EveryAddressOfAPoolIsAnswered) {
  config_.interfaces[0].addresses.push_back({wire::IpPrefix::Parse("10.78.0.0/24").value(), true});
  for (const char* address : {"10.78.0.1", "10.78.0.200"}) {
    Give(Arp(wire::ArpOperation::kRequest, Ip("10.78.0.77"), kPeerMac, Ip(address),
             wire::MacAddress::Broadcast()));
    Take();  // the sender itself claims an address of the pool: no answer, at most a defence
    Give(Arp(wire::ArpOperation::kRequest, kPeer4, kPeerMac, Ip(address), wire::MacAddress::Broadcast()));
    EXPECT_EQ(TakeOne().arp.sender_ip, Ip(address));
  }
}

TEST_F(ShardIpTest, ResolvesBeforeItAnswers) {
  Give(EchoRequest(kPeer4));
  const SentFrame question = TakeOne();
  EXPECT_EQ(question.arp.operation, wire::ArpOperation::kRequest);
  EXPECT_EQ(question.arp.target_ip, kPeer4);
  EXPECT_EQ(question.arp.sender_ip, Ip("10.77.0.1"));
  EXPECT_TRUE(question.ethernet.dst.IsBroadcast());
  EXPECT_GT(pool_.outstanding(), 0u);  // the answer waits, with its data
  Give(ArpReply(kPeer4, kPeerMac));
  const SentFrame reply = TakeOne();
  EXPECT_EQ(reply.icmp.type, wire::kIcmpEchoReply);
  EXPECT_EQ(reply.ethernet.dst, kPeerMac);
}

TEST_F(ShardIpTest, HoldsFewFramesForANeighbour) {
  for (int i = 0; i < 6; ++i) Give(EchoRequest(kPeer4));
  EXPECT_EQ(Take().size(), 1u);
  EXPECT_EQ(shard().counters().tx_drops[DropReason::kNeighborQueueFull], 2u);
  Give(ArpReply(kPeer4, kPeerMac));
  EXPECT_EQ(Take().size(), 4u);
}

TEST_F(ShardIpTest, ANeighbourThatNeverAnswersFailsTheConnect) {
  ConnHandle handle;
  ASSERT_EQ(shard().Connect({.remote = kPeer4, .remote_port = 80}, now_, &handle), OpenResult::kOk);
  Give(EchoRequest(kPeer4));
  const std::vector<SentFrame> sent = Advance(Duration::Seconds(4));
  ASSERT_EQ(sent.size(), 3u);
  for (const SentFrame& f : sent) EXPECT_EQ(f.arp.target_ip, kPeer4);
  const ShardEvent event = OneEvent();
  EXPECT_EQ(event.events, tcp::kEventClosed);
  EXPECT_EQ(event.reason, tcp::CloseReason::kUnreachable);
  EXPECT_EQ(shard().counters().tx_drops[DropReason::kNeighborUnresolved], 1u);
  EXPECT_EQ(pool_.outstanding(), 0u);
}

TEST_F(ShardIpTest, AConnectWaitsForItsNeighbour) {
  ConnHandle handle;
  ASSERT_EQ(shard().Connect({.remote = kPeer4, .remote_port = 80}, now_, &handle), OpenResult::kOk);
  EXPECT_EQ(TakeOne().arp.target_ip, kPeer4);
  now_ = now_ + Duration::Millis(500);
  Give(ArpReply(kPeer4, kPeerMac));
  const SentFrame syn = TakeOne();
  EXPECT_EQ(syn.tcp.flags, wire::kSyn);
  EXPECT_EQ(syn.ethernet.dst, kPeerMac);
}

TEST_F(ShardIpTest, AnEstablishedConnectionOutlivesASilentNeighbour) {
  Start();
  Listen();
  uint32_t isn = 0;
  const TestFlow flow;
  const ConnHandle handle = Accept(flow, &isn);
  Advance(Duration::Seconds(36));  // reachable runs out
  SendText(handle, "are you there");
  Advance(Duration::Seconds(9));  // five of delay; probes go unanswered
  size_t segments = 0;
  for (const SentFrame& f : Advance(Duration::Seconds(10)))
    segments += f.protocol == wire::kProtocolTcp ? 1 : 0;
  EXPECT_EQ(segments, 0u);
  EXPECT_TRUE(shard().IsLive(handle));
  EXPECT_GE(shard().counters().tx_drops[DropReason::kNeighborUnresolved], 1u);
  // It comes back: the next try of TCP finds it.
  std::vector<SentFrame> sent;
  for (int i = 0; i < 300 && sent.empty(); ++i) {
    for (SentFrame& f : Advance(Duration::Millis(100))) {
      if (f.protocol == 0) Give(ArpReply(kPeer4, kPeerMac));
      if (f.protocol == wire::kProtocolTcp) sent.push_back(std::move(f));
    }
  }
  ASSERT_FALSE(sent.empty());
  EXPECT_EQ(sent[0].payload, Text("are you there"));
}

// RFC 4861 7.3: the next that is sent after its time goes out, and only if nothing comes back it is asked.
TEST_F(ShardIpTest, ProbesANeighbourOfWhomNothingIsHeard) {
  Start();
  Listen();
  uint32_t isn = 0;
  const ConnHandle handle = Accept(TestFlow(), &isn);
  EXPECT_EQ(Advance(Duration::Seconds(31)).size(), 0u);
  SendText(handle, "x");
  EXPECT_EQ(TakeOne().payload, Text("x"));
  const std::vector<SentFrame> sent = Advance(Duration::Millis(5'100));
  const auto probe =
      std::find_if(sent.begin(), sent.end(), [](const SentFrame& f) { return f.protocol == 0; });
  ASSERT_NE(probe, sent.end());
  EXPECT_EQ(probe->ethernet.dst, kPeerMac);
  Give(ArpReply(kPeer4, kPeerMac));
  GiveTcp({}, wire::kAck, 1001, isn + 2);
  EXPECT_EQ(Advance(Duration::Seconds(5)).size(), 0u);
}

// RFC 4861 7.3.1: what TCP achieves says as much as an answer, in either direction.
TEST_F(ShardIpTest, ProgressOfAConnectionSparesTheQuestion) {
  Start();
  Listen();
  uint32_t isn = 0;
  const ConnHandle handle = Accept(TestFlow(), &isn);
  Advance(Duration::Seconds(31));
  for (uint32_t i = 0; i < 2; ++i) {
    SendText(handle, "x");
    EXPECT_EQ(TakeOne().payload, Text("x"));
    GiveTcp({}, wire::kAck, 1001, isn + 2 + i);
  }
  EXPECT_EQ(Advance(Duration::Seconds(29)).size(), 0u) << "as if it had answered";
  Advance(Duration::Seconds(2));
  for (uint32_t i = 0; i < 2; ++i) {
    GiveTcp({}, wire::kAck | wire::kPsh, 1001 + i, isn + 3, Text("y"));
    Advance(Duration::Millis(50));
  }
  EXPECT_EQ(ReceiveText(handle), "yy");
  EXPECT_EQ(Advance(Duration::Seconds(29)).size(), 0u);
}

TEST_F(ShardIpTest, AnswersNeighbourSolicitation) {
  const wire::IpAddress target = Ip("fd77::1");
  const wire::IpAddress group = target.SolicitedNode();
  Bytes body(wire::kNdpMaxMessage);
  body.resize(wire::WriteNeighborSolicit({.target = target, .source_mac = kPeerMac}, Ip("fd77::2"), group,
                                         body.data()));
  const Bytes packet = IpPacket(Ip("fd77::2"), group, wire::kProtocolIcmpv6, body, 255);
  Give(LinkFrame(wire::kEtherTypeIpv6, packet, wire::MacAddress::ForMulticast(group)));
  const SentFrame advert = TakeOne();
  EXPECT_EQ(advert.icmp.type, wire::kIcmpv6NeighborAdvert);
  EXPECT_EQ(advert.hop_limit, 255);
  EXPECT_EQ(advert.dst, Ip("fd77::2"));
  EXPECT_EQ(advert.ethernet.dst, kPeerMac);
  wire::NeighborAdvert na;
  ASSERT_EQ(
      wire::ParseNeighborAdvert(advert.icmp, {.src = advert.src, .dst = advert.dst, .hop_limit = 255}, na),
      wire::ParseError::kNone);
  EXPECT_EQ(na.target, target);
  EXPECT_EQ(na.target_mac, kOurMac);
  EXPECT_TRUE(na.solicited && na.override);
  // RFC 4861 7.1.1: whoever lowered the hop limit is not on this link.
  ExpectDrop(
      LinkFrame(wire::kEtherTypeIpv6, IpPacket(Ip("fd77::2"), group, wire::kProtocolIcmpv6, body, 254)),
      DropReason::kNdpMalformed);
}

TEST_F(ShardIpTest, DefendsItsAddressAgainstDuplicateDetection) {
  const wire::IpAddress target = Ip("fd77::1");
  const wire::IpAddress group = target.SolicitedNode();
  Bytes body(wire::kNdpMaxMessage);
  body.resize(wire::WriteNeighborSolicit({.target = target}, wire::IpAddress(), group, body.data()));
  Give(LinkFrame(wire::kEtherTypeIpv6, IpPacket(wire::IpAddress(), group, wire::kProtocolIcmpv6, body, 255),
                 wire::MacAddress::ForMulticast(group)));
  const SentFrame advert = TakeOne();
  EXPECT_EQ(advert.dst, wire::IpAddress::AllNodes());
  EXPECT_EQ(advert.ethernet.dst, wire::MacAddress::ForMulticast(wire::IpAddress::AllNodes()));
}

TEST_F(ShardIpTest, ResolvesByNeighbourDiscovery) {
  ConnHandle handle;
  ASSERT_EQ(shard().Connect({.remote = Ip("fd77::2"), .remote_port = 80}, now_, &handle), OpenResult::kOk);
  const SentFrame question = TakeOne();
  EXPECT_EQ(question.icmp.type, wire::kIcmpv6NeighborSolicit);
  EXPECT_EQ(question.dst, Ip("fd77::2").SolicitedNode());
  EXPECT_EQ(question.src, Ip("fd77::1"));
  EXPECT_EQ(question.hop_limit, 255);
  Give(Advert(Ip("fd77::2"), kPeerMac));
  const SentFrame syn = TakeOne();
  EXPECT_EQ(syn.tcp.flags, wire::kSyn);
  EXPECT_EQ(syn.ethernet.dst, kPeerMac);
  EXPECT_EQ(syn.src, Ip("fd77::1"));
}

TEST_F(ShardIpTest, MulticastGroupsAreNamed) {
  const std::vector<wire::MacAddress> groups = shard().MulticastGroups(0);
  const auto has = [&](const wire::IpAddress& group) {
    return std::find(groups.begin(), groups.end(), wire::MacAddress::ForMulticast(group)) != groups.end();
  };
  EXPECT_TRUE(has(wire::IpAddress::AllNodes()));
  EXPECT_TRUE(has(Ip("fd77::1").SolicitedNode()));
  EXPECT_TRUE(has(wire::IpAddress::LinkLocalFor(kOurMac).SolicitedNode()));
  EXPECT_FALSE(has(Ip("fd77::9999").SolicitedNode()));
}

TEST_F(ShardIpTest, WorkersShareWhatTheyLearn) {
  config_.worker_count = 2;
  // The answer to the other worker's question arrives here.
  Give(ArpReply(kPeer4, kPeerMac));
  std::vector<LinkNotice> notices(4);
  ASSERT_EQ(shard().TakeLinkNotices(notices), 1u);
  EXPECT_EQ(notices[0].address, kPeer4);
  EXPECT_EQ(notices[0].mac, kPeerMac);
  EXPECT_EQ(shard().TakeLinkNotices(notices), 0u);
  // And the other way round: a notice ends the wait.
  Give(EchoRequest(Ip("10.77.0.5")));
  Take();
  shard().OnLinkNotice({.address = Ip("10.77.0.5"), .mac = kPeerMac}, now_);
  EXPECT_EQ(TakeOne().icmp.type, wire::kIcmpEchoReply);
}

TEST_F(ShardIpTest, EchoesBothFamilies) {
  Start();
  Give(EchoRequest(kPeer4, Text("some data of odd length")));
  const SentFrame v4 = TakeOne();
  EXPECT_EQ(v4.icmp.type, wire::kIcmpEchoReply);
  EXPECT_EQ(v4.icmp.identifier(), 7);
  EXPECT_EQ(Bytes(v4.icmp.body.begin(), v4.icmp.body.end()), Text("some data of odd length"));
  Give(EchoRequest(Ip("fd77::2"), Bytes(1400, 0x5a)));
  const SentFrame v6 = TakeOne();
  EXPECT_EQ(v6.icmp.type, wire::kIcmpv6EchoReply);
  EXPECT_EQ(v6.icmp.body.size(), 1400u);
  Give(EchoRequest(Ip("fd77::2"), Text("all"), "ff02::1"));
  EXPECT_EQ(TakeOne().src, Ip("fd77::1"));
  Give(EchoRequest(kPeer4, {}));
  EXPECT_EQ(TakeOne().icmp.body.size(), 0u);
}

TEST_F(ShardIpTest, UdpIsRefusedAtALimitedRate) {
  Start();
  Bytes udp = {0x12, 0x34, 0, 53, 0, 12, 0, 0, 'd', 'a', 't', 'a'};
  Give(IpFrame(kPeer4, Ip("10.77.0.1"), wire::kProtocolUdp, udp));
  const SentFrame error = TakeOne();
  EXPECT_EQ(error.icmp.type, wire::kIcmpDestinationUnreachable);
  EXPECT_EQ(error.icmp.code, wire::kUnreachablePort);
  EXPECT_EQ(error.icmp.body.size(), 20u + 12u);
  EXPECT_EQ(Dropped(DropReason::kUdpClosed), 1u);
  for (int i = 0; i < 200; ++i) Give(IpFrame(kPeer4, Ip("10.77.0.1"), wire::kProtocolUdp, udp));
  EXPECT_LT(Take().size(), 60u);
  EXPECT_GT(Dropped(DropReason::kIcmpRateLimited), 140u);
  udp[5] = 200;
  ExpectDrop(IpFrame(kPeer4, Ip("10.77.0.1"), wire::kProtocolUdp, udp), DropReason::kUdpMalformed);
}

TEST_F(ShardIpTest, UnknownProtocolsAreReported) {
  Start();
  Give(IpFrame(kPeer4, Ip("10.77.0.1"), 99, Text("what?")));
  EXPECT_EQ(TakeOne().icmp.code, wire::kUnreachableProtocol);
  Give(IpFrame(Ip("fd77::2"), Ip("fd77::1"), 99, Text("what?")));
  const SentFrame v6 = TakeOne();
  EXPECT_EQ(v6.icmp.type, wire::kIcmpv6ParameterProblem);
  EXPECT_EQ(v6.icmp.code, wire::kParameterUnknownNextHeader);
  EXPECT_EQ(v6.icmp.rest, 6u);
  EXPECT_EQ(Dropped(DropReason::kIpProtocolUnknown), 2u);
}

TEST_F(ShardIpTest, AnUnreachableEndsAnOpeningConnection) {
  Start();
  ConnHandle handle;
  ASSERT_EQ(shard().Connect({.remote = kPeer4, .remote_port = 80}, now_, &handle), OpenResult::kOk);
  const SentFrame syn = TakeOne();
  const auto error = [&](Bytes quoted) {
    quoted.resize(28);
    Bytes body(8 + quoted.size());
    const wire::IcmpMessage message{
        .type = wire::kIcmpDestinationUnreachable, .code = wire::kUnreachableProhibited, .body = quoted};
    wire::WriteIcmp(message, body.data());
    return IpFrame(Ip("10.77.0.254"), Ip("10.77.0.1"), wire::kProtocolIcmp, body);
  };
  Bytes quote(syn.bytes.begin() + 14, syn.bytes.end());
  Bytes forged = quote;
  forged[20 + 4] ^= 0x40;  // another sequence number: somebody guesses
  ExpectDrop(error(forged), DropReason::kIcmpQuoteUnknown);
  EXPECT_TRUE(Events().empty());
  Give(error(quote));
  const ShardEvent event = OneEvent();
  EXPECT_EQ(event.events, tcp::kEventClosed);
  EXPECT_EQ(event.reason, tcp::CloseReason::kUnreachable);
  ExpectDrop(error(quote), DropReason::kIcmpQuoteUnknown);
}

TEST_F(ShardIpTest, AnUnreachablePortRefuses) {
  Start();
  ConnHandle handle;
  ASSERT_EQ(shard().Connect({.remote = kPeer4, .remote_port = 80}, now_, &handle), OpenResult::kOk);
  const SentFrame syn = TakeOne();
  const Bytes quote(syn.bytes.begin() + 14, syn.bytes.begin() + 14 + 28);
  Bytes body(8 + quote.size());
  wire::WriteIcmp({.type = wire::kIcmpDestinationUnreachable, .code = wire::kUnreachablePort, .body = quote},
                  body.data());
  Give(IpFrame(Ip("10.77.0.254"), Ip("10.77.0.1"), wire::kProtocolIcmp, body));
  EXPECT_EQ(OneEvent().reason, tcp::CloseReason::kRefused);
  EXPECT_EQ(shard().counters().resets_received, 0u);
}

TEST_F(ShardIpTest, AnUnreachableDoesNotEndAnEstablishedConnection) {
  Start();
  Listen();
  uint32_t isn = 0;
  const ConnHandle handle = Accept(TestFlow(), &isn);
  SendText(handle, "x");
  Bytes quote = TakeOne().bytes;
  quote.erase(quote.begin(), quote.begin() + 14);
  quote.resize(28);
  Bytes body(8 + quote.size());
  wire::WriteIcmp({.type = wire::kIcmpDestinationUnreachable, .code = wire::kUnreachablePort, .body = quote},
                  body.data());
  Give(IpFrame(kPeer4, Ip("10.77.0.1"), wire::kProtocolIcmp, body));
  EXPECT_EQ(OneEvent().events, tcp::kEventTrouble);
  EXPECT_TRUE(shard().IsLive(handle));
}

struct DropCase {
  const char* what;
  Bytes frame;
  DropReason reason;
};

Bytes Changed(Bytes frame, size_t at, uint8_t value) {
  frame[at] = value;
  return frame;
}
// The same with the IPv4 header checksum made good again.
Bytes ChangedIp(Bytes frame, size_t at, uint8_t value) {
  frame[at] = value;
  wire::StoreBe16(frame.data() + 14 + 10, 0);
  wire::StoreBe16(frame.data() + 14 + 10, wire::InternetChecksum(std::span(frame).subspan(14, 20)));
  return frame;
}

std::vector<DropCase> DropCases() {
  const TestFlow flow;
  const auto tcp = [](const TestFlow& f, uint8_t flags = wire::kSyn) {
    return IpFrame(f.src, f.dst, wire::kProtocolTcp, TcpBytes(f, flags, 1000, 0));
  };
  const auto from = [&](const char* src) { return tcp({.src = Ip(src)}); };
  const Bytes good = tcp(flow);
  Bytes short_tcp = TcpBytes(flow, wire::kSyn, 1, 0);
  short_tcp.resize(12);
  const Bytes land = tcp({.src = flow.dst, .dst = flow.dst, .src_port = 7, .dst_port = 7});
  return {
      {"runt", Bytes(13), DropReason::kFrameTooShort},
      {"802.3 length", LinkFrame(0x0026, Bytes(46)), DropReason::kEthertypeUnknown},
      {"unknown ethertype", LinkFrame(0x88cc, Bytes(46)), DropReason::kEthertypeUnknown},
      {"another station", LinkFrame(wire::kEtherTypeIpv4, Bytes(46), kPeerMac), DropReason::kMacNotOurs},
      {"group as source", LinkFrame(wire::kEtherTypeIpv4, Bytes(46), kOurMac, wire::MacAddress::Broadcast()),
       DropReason::kMacBadSource},
      {"a VLAN we are not in", LinkFrame(wire::kEtherTypeIpv4, Bytes(46), kOurMac, kPeerMac, 5),
       DropReason::kVlanNotOurs},
      {"version 6 as IPv4", Changed(good, 14, 0x65), DropReason::kIpVersion},
      {"IHL 4", Changed(good, 14, 0x44), DropReason::kIpHeaderShort},
      {"IP checksum", Changed(good, 14 + 10, 0), DropReason::kIpChecksum},
      {"longer than the frame", ChangedIp(good, 14 + 2, 0x20), DropReason::kIpLength},
      {"a piece of 20 octets with more to come", ChangedIp(good, 14 + 6, 0x20),
       DropReason::kIpFragmentMalformed},
      {"TCP checksum", Changed(good, 14 + 20 + 16, 0), DropReason::kTcpChecksum},
      {"TCP too short", IpFrame(flow.src, flow.dst, wire::kProtocolTcp, short_tcp),
       DropReason::kTcpHeaderShort},
      {"data offset 15", Changed(good, 14 + 20 + 12, 0xf0), DropReason::kTcpBadDataOffset},
      {"port zero", tcp({.src_port = 0}), DropReason::kTcpBadPort},
      {"SYN and RST", tcp(flow, wire::kSyn | wire::kRst), DropReason::kTcpNoConnection},
      {"not our address", tcp({.dst = Ip("10.77.0.3")}), DropReason::kIpNotOurs},
      {"to a group", tcp({.dst = Ip("224.0.0.1")}), DropReason::kTcpNotUnicast},
      {"to the subnet's broadcast", tcp({.dst = Ip("10.77.0.255")}), DropReason::kTcpNotUnicast},
      {"by link broadcast",
       LinkFrame(wire::kEtherTypeIpv4, IpPacket(flow.src, flow.dst, 6, TcpBytes(flow, wire::kSyn, 1, 0)),
                 wire::MacAddress::Broadcast()),
       DropReason::kTcpNotUnicast},
      {"from loopback", from("127.0.0.1"), DropReason::kIpSourceMartian},
      {"from nowhere", from("0.0.0.0"), DropReason::kIpSourceMartian},
      {"from class E", from("240.0.0.1"), DropReason::kIpSourceMartian},
      {"from a group", from("224.0.0.1"), DropReason::kIpSourceMulticast},
      {"from the broadcast address", from("10.77.0.255"), DropReason::kIpSourceBroadcast},
      {"from ourselves (land)", land, DropReason::kIpSourceIsOurs},
      {"mapped address on the wire", Changed(tcp({.src = Ip("fd77::2"), .dst = Ip("fd77::1")}), 12, 0x86),
       DropReason::kNone},
      {"ICMP checksum",
       Changed(IpFrame(flow.src, flow.dst, wire::kProtocolIcmp, {8, 0, 0, 0, 0, 0, 0, 0}), 34 + 3, 1),
       DropReason::kIcmpChecksum},
      {"ICMP too short", IpFrame(flow.src, flow.dst, wire::kProtocolIcmp, {8, 0}),
       DropReason::kIcmpMalformed},
  };
}

TEST_F(ShardIpTest, EveryDropHasItsName) {
  Start();
  Listen(7, 1000);
  for (const DropCase& c : DropCases()) {
    if (c.reason == DropReason::kNone) continue;
    SCOPED_TRACE(c.what);
    ExpectDrop(c.frame, c.reason);
  }
  ExpectSilence();
}

TEST_F(ShardIpTest, AFrameInPiecesIsDroppedWhole) {
  RxFrame frame{.buffer = pool_.AllocateWith(EchoRequest(kPeer4))};
  frame.buffer->next = pool_.AllocateWith(Text("the rest"));
  GiveFrame(frame);
  EXPECT_EQ(Dropped(DropReason::kFrameMultiSegment), 1u);
  EXPECT_EQ(pool_.outstanding(), 0u);
}

TEST_F(ShardIpTest, TheDeviceMayVouchForChecksums) {
  Start();
  Listen();
  Bytes syn =
      IpFrame(TestFlow().src, TestFlow().dst, wire::kProtocolTcp, TcpBytes(TestFlow(), wire::kSyn, 1000, 0));
  syn[14 + 20 + 16] ^= 1;
  GiveFrame({.buffer = pool_.AllocateWith(syn), .l4_checksum = ChecksumState::kGood});
  EXPECT_EQ(TakeOne().tcp.flags, wire::kSyn | wire::kAck);
  GiveFrame({.buffer = pool_.AllocateWith(syn), .l4_checksum = ChecksumState::kBad});
  EXPECT_EQ(Dropped(DropReason::kTcpChecksum), 1u);
}

TEST_F(ShardIpTest, TagsFramesOfItsVlan) {
  config_.interfaces[0].vlan = 5;
  const Bytes request =
      Arp(wire::ArpOperation::kRequest, kPeer4, kPeerMac, Ip("10.77.0.1"), wire::MacAddress::Broadcast());
  ExpectDrop(request, DropReason::kVlanNotOurs);
  // Stripped by the device, or still in the frame.
  GiveFrame({.buffer = pool_.AllocateWith(request), .vlan_tci = 5, .vlan_stripped = true});
  const SentFrame reply = TakeOne();
  EXPECT_TRUE(reply.ethernet.tagged);
  EXPECT_EQ(reply.ethernet.vlan_id(), 5);
  Bytes tagged = request;
  tagged.insert(tagged.begin() + 12, {0x81, 0x00, 0x00, 0x05});
  Give(tagged);
  EXPECT_EQ(Take().size(), 1u);
}

TEST_F(ShardIpTest, AGatewayCarriesWhatIsNotOnLink) {
  config_.routes.push_back({wire::IpPrefix::Parse("0.0.0.0/0").value(), Ip("10.77.0.254"), 0});
  ConnHandle handle;
  ASSERT_EQ(shard().Connect({.remote = Ip("192.0.2.9"), .remote_port = 80}, now_, &handle), OpenResult::kOk);
  EXPECT_EQ(TakeOne().arp.target_ip, Ip("10.77.0.254"));
  Give(ArpReply(Ip("10.77.0.254"), kPeerMac));
  const SentFrame syn = TakeOne();
  EXPECT_EQ(syn.dst, Ip("192.0.2.9"));
  EXPECT_EQ(syn.ethernet.dst, kPeerMac);
}

TEST_F(ShardIpTest, ChecksumsAreLeftToADeviceThatOffers) {
  config_.interfaces[0].tx_tcp_checksum_offload = config_.interfaces[0].tx_ip_checksum_offload = true;
  Start();
  Listen();
  uint32_t isn = 0;
  const ConnHandle handle = Accept(TestFlow(), &isn);
  SendText(handle, "x");
  std::vector<TxFrame> frames(4);
  ASSERT_EQ(shard().PollTransmit(0, now_, frames), 1u);
  EXPECT_TRUE(frames[0].needs_tcp_checksum && frames[0].needs_ip_checksum);
  const wire::InetSum pseudo = wire::PseudoHeaderSum(Ip("10.77.0.1"), kPeer4, wire::kProtocolTcp, 21);
  EXPECT_EQ(wire::LoadBe16(frames[0].header.data() + 14 + 20 + 16), pseudo.Folded());
}

}  // namespace
}  // namespace tern::stack
