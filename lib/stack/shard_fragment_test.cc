// A whole shard and packets in fragments, or behind extension headers.
#include <array>

#include "base/prng.h"
#include "stack/shard_for_test.h"
#include "stack/steering.h"

namespace tern::stack {
namespace {

const wire::IpAddress kPeer4 = Ip("10.77.0.2");
const wire::IpAddress kOurs4 = Ip("10.77.0.1");
const wire::IpAddress kPeer6 = Ip("fd77::2");
const wire::IpAddress kOurs6 = Ip("fd77::1");

Bytes Pattern(size_t length) {
  Bytes bytes(length);
  for (size_t i = 0; i < length; ++i) bytes[i] = static_cast<uint8_t>('a' + i % 26 + i / 1'000 % 5);
  return bytes;
}
std::string AsText(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

struct PieceAt {
  size_t offset = 0;
  size_t length = 0;
};

// One fragment of a packet that carries `body`. `end`: where the last one ends.
Bytes FragmentFrame(const wire::IpAddress& src, const wire::IpAddress& dst, uint8_t protocol, uint32_t id,
                    const Bytes& body, PieceAt at, size_t end, uint8_t traffic_class = 0) {
  const bool more = at.offset + at.length < end;
  Bytes packet;
  if (dst.IsV4()) {
    packet.resize(20);
    wire::WriteIpv4({.src = src,
                     .dst = dst,
                     .total_length = static_cast<uint16_t>(20 + at.length),
                     .identification = static_cast<uint16_t>(id),
                     .fragment_offset = static_cast<uint16_t>(at.offset),
                     .more_fragments = more,
                     .traffic_class = traffic_class,
                     .ttl = 64,
                     .protocol = protocol},
                    packet.data());
  } else {
    packet.resize(48);
    wire::WriteIpv6({.src = src,
                     .dst = dst,
                     .payload_length = static_cast<uint16_t>(8 + at.length),
                     .traffic_class = traffic_class,
                     .hop_limit = 64,
                     .protocol = wire::kProtocolFragment},
                    packet.data());
    packet[40] = protocol;
    wire::StoreBe16(&packet[42], static_cast<uint16_t>(at.offset | (more ? 1 : 0)));
    wire::StoreBe32(&packet[44], id);
  }
  const auto from = body.begin() + static_cast<ptrdiff_t>(at.offset);
  packet.insert(packet.end(), from, from + static_cast<ptrdiff_t>(at.length));
  return LinkFrame(dst.IsV4() ? wire::kEtherTypeIpv4 : wire::kEtherTypeIpv6, packet);
}

// All of them, each with `piece` octets at most.
std::vector<Bytes> Split(const wire::IpAddress& src, const wire::IpAddress& dst, uint8_t protocol,
                         uint32_t id, const Bytes& body, size_t piece, uint8_t traffic_class = 0) {
  std::vector<Bytes> frames;
  for (size_t at = 0; at < body.size(); at += piece) {
    const PieceAt where{at, std::min(piece, body.size() - at)};
    frames.push_back(FragmentFrame(src, dst, protocol, id, body, where, body.size(), traffic_class));
  }
  return frames;
}

class ShardFragmentTest : public ShardTest {
 protected:
  void GiveAll(const std::vector<Bytes>& frames) {
    for (const Bytes& frame : frames) Give(frame);
  }
  TestFlow Flow(bool v6) const {
    return v6 ? TestFlow{.src = kPeer6, .dst = kOurs6} : TestFlow{.src = kPeer4, .dst = kOurs4};
  }
  std::vector<Bytes> SplitTcp(const TestFlow& flow, uint8_t flags, uint32_t seq, uint32_t ack,
                              const Bytes& payload, size_t piece = 1'400, uint32_t id = 77) {
    return Split(flow.src, flow.dst, wire::kProtocolTcp, id, TcpBytes(flow, flags, seq, ack, payload), piece);
  }
  Bytes EchoBody(bool v6, const Bytes& data) {
    Bytes body(8 + data.size());
    wire::IcmpMessage message{.body = data};
    message.SetEcho(7, 1);
    message.type = v6 ? wire::kIcmpv6EchoRequest : wire::kIcmpEchoRequest;
    if (v6) {
      wire::WriteIcmpv6(message, kPeer6, kOurs6, body.data());
    } else {
      wire::WriteIcmp(message, body.data());
    }
    return body;
  }
  // Puts together what the shard sent as fragments of one packet.
  Bytes Join(const std::vector<SentFrame>& sent, uint32_t id) {
    Bytes whole;
    for (size_t i = 0; i < sent.size(); ++i) {
      EXPECT_TRUE(sent[i].fragment);
      EXPECT_EQ(sent[i].identification, id);
      EXPECT_EQ(sent[i].fragment_offset, whole.size());
      EXPECT_EQ(sent[i].more_fragments, i + 1 < sent.size());
      EXPECT_LE(sent[i].bytes.size(), 1'514u);
      whole.insert(whole.end(), sent[i].payload.begin(), sent[i].payload.end());
    }
    return whole;
  }
  uint64_t Held() { return shard().usage().fragments; }
};

TEST_F(ShardFragmentTest, EchoRequestsInPiecesAreAnsweredInPieces) {
  Start();
  const Bytes data = Pattern(4'000);
  for (const bool v6 : {false, true}) {
    for (const bool reversed : {false, true}) {
      const uint8_t protocol = v6 ? wire::kProtocolIcmpv6 : wire::kProtocolIcmp;
      std::vector<Bytes> frames =
          Split(v6 ? kPeer6 : kPeer4, v6 ? kOurs6 : kOurs4, protocol, 0x1234, EchoBody(v6, data), 1'448);
      if (reversed) std::reverse(frames.begin(), frames.end());
      GiveAll(frames);
      const Bytes whole = Join(Take(), 0x1234);
      wire::IcmpMessage reply;
      const wire::ParseError error =
          v6 ? wire::ParseIcmpv6(whole, kOurs6, kPeer6, reply) : wire::ParseIcmp(whole, reply);
      ASSERT_EQ(error, wire::ParseError::kNone) << "the checksum covers all pieces";
      EXPECT_EQ(reply.type, v6 ? wire::kIcmpv6EchoReply : wire::kIcmpEchoReply);
      EXPECT_EQ(reply.identifier(), 7);
      EXPECT_EQ(Bytes(reply.body.begin(), reply.body.end()), data);
      EXPECT_EQ(pool_.outstanding(), 0u);
    }
  }
  EXPECT_EQ(shard().counters().drops.total(), 0u);
}

TEST_F(ShardFragmentTest, TheLargestEchoIsAnswered) {
  Start();
  const Bytes data = Pattern(65'507);
  GiveAll(Split(kPeer4, kOurs4, wire::kProtocolIcmp, 9, EchoBody(false, data), 1'480));
  EXPECT_EQ(Join(Take(), 9).size(), 65'515u);
}

TEST_F(ShardFragmentTest, AnEchoThatWouldNotFitTheLinkIsNotAnswered) {
  config_.interfaces[0].mtu = 1'300;
  Start();
  GiveAll(Split(kPeer4, kOurs4, wire::kProtocolIcmp, 9, EchoBody(false, Pattern(2'000)), 1'400));
  ExpectSilence();
  EXPECT_EQ(Dropped(DropReason::kTxTooLong), 1u);
}

TEST_F(ShardFragmentTest, ASegmentInPiecesIsReceivedWhole) {
  Start();
  Listen();
  for (const bool v6 : {false, true}) {
    const TestFlow flow = Flow(v6);
    uint32_t isn = 0;
    const ConnHandle handle = Accept(flow, &isn);
    const Bytes text = Pattern(5'000);
    GiveAll(SplitTcp(flow, wire::kAck | wire::kPsh, 1'001, isn + 1, text));
    EXPECT_EQ(ReceiveText(handle), AsText(text));
    const std::vector<SentFrame> sent = Advance(Duration::Millis(50));
    ASSERT_FALSE(sent.empty());
    EXPECT_EQ(sent.back().tcp.ack.value(), 6'001u);
    // The FIN stands behind the last piece.
    std::vector<Bytes> frames = SplitTcp(flow, wire::kAck | wire::kFin, 6'001, isn + 1, text, 1'400, 78);
    std::reverse(frames.begin(), frames.end());
    GiveAll(frames);
    bool ended = false;
    EXPECT_EQ(ReceiveText(handle, &ended), AsText(text));
    EXPECT_TRUE(ended);
    shard().Abort(handle, now_);
    Events();
    Take();
  }
  EXPECT_EQ(shard().counters().drops.total(), 0u);
}

TEST_F(ShardFragmentTest, AHeaderAloneInTheFirstPiece) {
  Start();
  Listen();
  uint32_t isn = 0;
  const TestFlow flow = Flow(false);
  wire::TcpOptions options;
  options.has_timestamp = true;
  const uint32_t our_isn = Handshake(flow, 1'000, options);
  const ConnHandle handle = OneEvent().handle;
  static_cast<void>(isn);
  // 20 octets of header and 12 of timestamps make 32: the first piece ends with them.
  const Bytes segment = TcpBytes(flow, wire::kAck, 1'001, our_isn + 1, Text("payload"), options);
  ASSERT_EQ(segment.size(), 32u + 7u);
  GiveAll(Split(flow.src, flow.dst, wire::kProtocolTcp, 5, segment, 32));
  EXPECT_EQ(ReceiveText(handle), "payload");
}

TEST_F(ShardFragmentTest, TheHandshakesThirdSegmentMayComeInPieces) {
  Start();
  Listen();
  const TestFlow flow = Flow(true);
  GiveTcp(flow, wire::kSyn, 1'000, 0);
  const uint32_t isn = TakeOne().tcp.seq.value();
  const Bytes text = Pattern(3'000);
  GiveAll(SplitTcp(flow, wire::kAck, 1'001, isn + 1, text));
  EXPECT_EQ(ReceiveText(OneEvent().handle), AsText(text));
  Take();
}

TEST_F(ShardFragmentTest, ARefusalCountsAllPieces) {
  Start();
  TestFlow flow = Flow(false);
  flow.dst_port = 9;
  GiveAll(SplitTcp(flow, wire::kSyn, 1'000, 0, Pattern(3'000)));
  const SentFrame reset = TakeOne();
  EXPECT_EQ(reset.tcp.flags, wire::kRst | wire::kAck);
  EXPECT_EQ(reset.tcp.ack.value(), 4'001u);
  EXPECT_EQ(Dropped(DropReason::kTcpNoListener), 1u);
  // A SYN for a listener opens; what it carries comes again later.
  Listen();
  flow.dst_port = 7;
  GiveAll(SplitTcp(flow, wire::kSyn, 1'000, 0, Pattern(3'000)));
  EXPECT_EQ(TakeOne().tcp.flags, wire::kSyn | wire::kAck);
  EXPECT_EQ(pool_.outstanding(), 0u);
}

TEST_F(ShardFragmentTest, ChecksumsCoverAllPieces) {
  Start();
  Listen();
  uint32_t isn = 0;
  Accept(Flow(false), &isn);
  const auto damaged = [](std::vector<Bytes> frames) {
    frames.back().back() ^= 0x10;
    return frames;
  };
  GiveAll(damaged(SplitTcp(Flow(false), wire::kAck, 1'001, isn + 1, Pattern(3'000))));
  EXPECT_EQ(Dropped(DropReason::kTcpChecksum), 1u);
  GiveAll(damaged(Split(kPeer4, kOurs4, wire::kProtocolIcmp, 1, EchoBody(false, Pattern(3'000)), 1'400)));
  GiveAll(damaged(Split(kPeer6, kOurs6, wire::kProtocolIcmpv6, 1, EchoBody(true, Pattern(3'000)), 1'400)));
  EXPECT_EQ(Dropped(DropReason::kIcmpChecksum), 2u);
  EXPECT_EQ(shard().counters().drops.total(), 3u) << "a packet in pieces is one drop";
  EXPECT_EQ(pool_.outstanding(), 0u);
}

TEST_F(ShardFragmentTest, UdpInPiecesIsRefusedWithTheWholeLengthQuoted) {
  Start();
  for (const bool v6 : {false, true}) {
    const wire::IpAddress src = v6 ? kPeer6 : kPeer4;
    const wire::IpAddress dst = v6 ? kOurs6 : kOurs4;
    Bytes udp = {0x12, 0x34, 0, 53, 0, 0, 0, 0};
    const Bytes data = Pattern(3'001);
    udp.insert(udp.end(), data.begin(), data.end());
    wire::StoreBe16(&udp[4], static_cast<uint16_t>(udp.size()));
    wire::StoreBe16(&udp[6], wire::TransportChecksum(src, dst, wire::kProtocolUdp, udp));
    GiveAll(Split(src, dst, wire::kProtocolUdp, 3, udp, 1'400));
    const SentFrame error = TakeOne();
    EXPECT_EQ(error.icmp.type, v6 ? wire::kIcmpv6DestinationUnreachable : wire::kIcmpDestinationUnreachable);
    const std::span<const uint8_t> quote = error.icmp.body;
    if (v6) {
      EXPECT_EQ(wire::LoadBe16(&quote[4]), 3'009);
      EXPECT_EQ(quote[6], wire::kProtocolUdp) << "no fragment header in it";
      EXPECT_EQ(quote.size(), 1'280u - 48u);
    } else {
      EXPECT_EQ(wire::LoadBe16(&quote[2]), 3'029);
      EXPECT_EQ(wire::LoadBe16(&quote[6]), 0) << "neither offset nor more to come";
      EXPECT_TRUE(wire::SumOf(quote.first(20)).IsValid());
    }
    udp[6] ^= 1;
    GiveAll(Split(src, dst, wire::kProtocolUdp, 4, udp, 1'400));
    ExpectSilence();
  }
  EXPECT_EQ(Dropped(DropReason::kUdpClosed), 2u);
  EXPECT_EQ(Dropped(DropReason::kUdpMalformed), 2u);
}

TEST_F(ShardFragmentTest, TheFirstPieceHoldsAllHeaders) {
  Start();
  Listen();
  const Bytes tcp4 = TcpBytes(Flow(false), wire::kSyn, 1'000, 0);
  ExpectDrop(FragmentFrame(kPeer4, kOurs4, wire::kProtocolTcp, 1, tcp4, {0, 8}, 20),
             DropReason::kIpFragmentHeaders);
  ExpectSilence();
  const auto expect_code_3 = [&] {
    const SentFrame error = TakeOne();
    EXPECT_EQ(error.icmp.type, wire::kIcmpv6ParameterProblem);
    EXPECT_EQ(error.icmp.code, wire::kParameterIncompleteChain);
    EXPECT_EQ(error.icmp.rest, 0u);
  };
  const Bytes tcp6 = TcpBytes(Flow(true), wire::kSyn, 1'000, 0);
  ExpectDrop(FragmentFrame(kPeer6, kOurs6, wire::kProtocolTcp, 1, tcp6, {0, 16}, 20),
             DropReason::kIpFragmentHeaders);
  expect_code_3();
  // The chain of extension headers goes on behind the end.
  Bytes chain = {wire::kProtocolDestinationOptions, 0, 1, 4, 0, 0, 0, 0};
  chain.insert(chain.end(), {wire::kProtocolTcp, 0, 1, 4, 0, 0, 0, 0});
  chain.insert(chain.end(), tcp6.begin(), tcp6.end());
  ExpectDrop(FragmentFrame(kPeer6, kOurs6, wire::kProtocolDestinationOptions, 2, chain, {0, 8}, chain.size()),
             DropReason::kIpFragmentHeaders);
  expect_code_3();
  EXPECT_EQ(Held(), 0u);
  // With all of it there, the chain is followed.
  GiveAll(Split(kPeer6, kOurs6, wire::kProtocolDestinationOptions, 3, chain, 40));
  const std::vector<SentFrame> none = Take();
  EXPECT_EQ(none.size(), 1u) << "36 octets are one piece, so this was an atomic fragment";
  Bytes longer = chain;
  const Bytes syn = TcpBytes(Flow(true), wire::kSyn, 1'000, 0, Pattern(100));
  longer.resize(16);
  longer.insert(longer.end(), syn.begin(), syn.end());
  GiveAll(Split(kPeer6, kOurs6, wire::kProtocolDestinationOptions, 4, longer, 40));
  EXPECT_EQ(TakeOne().tcp.flags, wire::kSyn | wire::kAck);
}

TEST_F(ShardFragmentTest, TimeOutsAreReportedWhenTheFirstPieceCame) {
  Start();
  const Bytes body4 = EchoBody(false, Pattern(2'000));
  const Bytes body6 = EchoBody(true, Pattern(2'000));
  const auto give = [&](uint32_t id, PieceAt at) {
    Give(FragmentFrame(kPeer4, kOurs4, wire::kProtocolIcmp, id, body4, at, body4.size()));
    Give(FragmentFrame(kPeer6, kOurs6, wire::kProtocolIcmpv6, id, body6, at, body6.size()));
  };
  give(1, {0, 800});
  give(1, {1'600, 8});
  give(2, {800, 800});
  EXPECT_EQ(Held(), 6u);
  EXPECT_EQ(shard().counters().rx_consumed, shard().counters().rx_frames);
  const auto errors = [&](Duration by) {
    std::vector<SentFrame> found;
    for (SentFrame& f : Advance(by)) {
      const bool is_error = (f.protocol == wire::kProtocolIcmp && f.icmp.type == wire::kIcmpTimeExceeded) ||
                            (f.protocol == wire::kProtocolIcmpv6 && f.icmp.type == wire::kIcmpv6TimeExceeded);
      if (is_error) found.push_back(std::move(f));
    }
    return found;
  };
  EXPECT_TRUE(errors(Duration::Millis(29'900)).empty());
  const std::vector<SentFrame> v4 = errors(Duration::Millis(200));
  ASSERT_EQ(v4.size(), 1u);
  EXPECT_EQ(v4[0].dst, kPeer4);
  EXPECT_EQ(v4[0].icmp.code, wire::kTimeExceededReassembly);
  EXPECT_EQ(wire::LoadBe16(&v4[0].icmp.body[4]), 1) << "the fragment as it came is quoted";
  EXPECT_EQ(Dropped(DropReason::kIpFragmentTimeout), 3u);
  const std::vector<SentFrame> v6 = errors(Duration::Seconds(30));
  ASSERT_EQ(v6.size(), 1u);
  EXPECT_EQ(v6[0].icmp.code, wire::kTimeExceededReassembly);
  EXPECT_EQ(v6[0].icmp.body[6], wire::kProtocolFragment);
  EXPECT_EQ(Dropped(DropReason::kIpFragmentTimeout), 6u);
  CheckCounters();
  EXPECT_EQ(pool_.outstanding(), 0u);
}

TEST_F(ShardFragmentTest, NoErrorAboutAnError) {
  Start();
  Bytes error(1'000);
  error[0] = wire::kIcmpDestinationUnreachable;
  Give(FragmentFrame(kPeer4, kOurs4, wire::kProtocolIcmp, 1, error, {0, 800}, error.size()));
  error[0] = wire::kIcmpv6PacketTooBig;
  Give(FragmentFrame(kPeer6, kOurs6, wire::kProtocolIcmpv6, 1, error, {0, 800}, error.size()));
  for (const SentFrame& f : Advance(Duration::Seconds(61))) EXPECT_NE(f.icmp.type, wire::kIcmpTimeExceeded);
  EXPECT_EQ(Dropped(DropReason::kIpFragmentTimeout), 2u);
}

TEST_F(ShardFragmentTest, RoomIsOnlyForWhatCouldBeOfUse) {
  Start();
  const Bytes body = Pattern(100);
  const auto drops = [&](const char* src, const char* dst, DropReason why) {
    ExpectDrop(FragmentFrame(Ip(src), Ip(dst), wire::kProtocolUdp, 1, body, {0, 8}, 100), why);
  };
  drops("10.77.0.2", "10.77.0.9", DropReason::kIpNotOurs);
  drops("fd77::2", "fd77::9", DropReason::kIpNotOurs);
  drops("224.0.0.1", "10.77.0.1", DropReason::kIpSourceMulticast);
  drops("10.77.0.255", "10.77.0.1", DropReason::kIpSourceBroadcast);
  drops("127.0.0.1", "10.77.0.1", DropReason::kIpSourceMartian);
  drops("::", "fd77::1", DropReason::kIpSourceMartian);
  drops("10.77.0.1", "10.77.0.1", DropReason::kIpSourceIsOurs);
  ExpectDrop(FragmentFrame(kPeer4, kOurs4, wire::kProtocolUdp, 1, body, {96, 0}, 96),
             DropReason::kIpFragmentMalformed);
  EXPECT_EQ(Held(), 0u);
}

TEST_F(ShardFragmentTest, OverlapsAndDuplicatesByName) {
  Start();
  const Bytes body = Pattern(100);
  const auto piece = [&](PieceAt at) {
    return FragmentFrame(kPeer6, kOurs6, wire::kProtocolUdp, 1, body, at, 100);
  };
  Give(piece({0, 16}));
  ExpectDrop(piece({0, 16}), DropReason::kIpFragmentDuplicate);
  Give(piece({32, 16}));
  Give(piece({8, 16}));
  EXPECT_EQ(Dropped(DropReason::kIpFragmentOverlap), 3u);
  EXPECT_EQ(Held(), 0u);
  ExpectSilence();  // RFC 8200 4.5: without a word
}

TEST_F(ShardFragmentTest, CongestionMarksAreJoined) {
  Start();
  const Bytes body = EchoBody(false, Pattern(100));
  const auto piece = [&](PieceAt at, uint8_t ecn, uint32_t id) {
    return FragmentFrame(kPeer4, kOurs4, wire::kProtocolIcmp, id, body, at, body.size(), ecn);
  };
  Give(piece({0, 56}, wire::kEcnCapable0, 1));
  Give(piece({56, body.size() - 56}, wire::kEcnCongestion, 1));
  EXPECT_EQ(Take().size(), 2u);
  Give(piece({0, 56}, wire::kEcnNotCapable, 2));
  Give(piece({56, body.size() - 56}, wire::kEcnCongestion, 2));
  ExpectSilence();
  EXPECT_EQ(Dropped(DropReason::kIpFragmentEcn), 2u);
}

TEST_F(ShardFragmentTest, NeighbourDiscoveryInFragmentsIsIgnored) {
  Start();
  Bytes body(wire::kNdpMaxMessage);
  const wire::NeighborAdvert advert{.target = kPeer6, .override = true, .target_mac = kOurMac};
  body.resize(wire::WriteNeighborAdvert(advert, kPeer6, kOurs6, body.data()));
  std::vector<Bytes> atomic = Split(kPeer6, kOurs6, wire::kProtocolIcmpv6, 1, body, 2'000);
  ASSERT_EQ(atomic.size(), 1u);
  ExpectDrop(atomic[0], DropReason::kNdpMalformed);
  std::vector<Bytes> pieces = Split(kPeer6, kOurs6, wire::kProtocolIcmpv6, 2, body, 24);
  Give(pieces[0]);
  ExpectDrop(pieces[1], DropReason::kNdpMalformed);
}

TEST_F(ShardFragmentTest, TheEndLetsGoOfWhatWaits) {
  Start();
  const Bytes body = Pattern(100);
  Give(FragmentFrame(kPeer4, kOurs4, wire::kProtocolUdp, 1, body, {0, 16}, 100));
  EXPECT_EQ(pool_.outstanding(), 1u);
  shard().CloseAll(false, now_);
  Recycle();
  EXPECT_EQ(pool_.outstanding(), 0u);
  EXPECT_EQ(Dropped(DropReason::kShuttingDown), 1u);
  ExpectDrop(FragmentFrame(kPeer4, kOurs4, wire::kProtocolUdp, 1, body, {0, 16}, 100),
             DropReason::kShuttingDown);
}

TEST_F(ShardFragmentTest, AnotherWorkersPacketIsHandedOn) {
  config_.worker_count = 2;
  for (size_t i = 0; i < config_.rss_key.size(); ++i) config_.rss_key[i] = static_cast<uint8_t>(i * 37 + 11);
  Start();
  const Steering steering(config_.rss_key, 2);
  ShardConfig other_config = config_;
  other_config.worker = 1;
  Shard other(other_config, HeapMemory(), now_);
  for (const bool v6 : {false, true}) {
    TestFlow flow = Flow(v6);
    const auto owner = [&] { return steering.OwnerOf({flow.dst, flow.src, flow.dst_port, flow.src_port}); };
    while (owner() != 1) ++flow.src_port;
    GiveAll(SplitTcp(flow, wire::kSyn, 1'000, 0, Pattern(3'000)));
    std::vector<ForeignFrame> foreign(4);
    ASSERT_EQ(shard().TakeForeign(foreign), 1u);
    EXPECT_EQ(foreign[0].owner, 1);
    ExpectSilence();
    other.Input({&foreign[0].frame, 1}, foreign[0].interface, now_);
    EXPECT_EQ(other.counters().drops[DropReason::kTcpNoListener], v6 ? 2u : 1u);
    // One of its own stays.
    while (owner() != 0) ++flow.src_port;
    GiveAll(SplitTcp(flow, wire::kSyn, 1'000, 0, Pattern(3'000)));
    EXPECT_EQ(shard().TakeForeign(foreign), 0u);
    EXPECT_EQ(TakeOne().tcp.ack.value(), 4'001u);
  }
  // The same for a segment whose ports RSS did not find.
  TestFlow flow = Flow(true);
  while (steering.OwnerOf({flow.dst, flow.src, flow.dst_port, flow.src_port}) != 1) ++flow.src_port;
  Bytes body = {wire::kProtocolTcp, 0, 1, 4, 0, 0, 0, 0};
  const Bytes syn = TcpBytes(flow, wire::kSyn, 1'000, 0);
  body.insert(body.end(), syn.begin(), syn.end());
  Give(IpFrame(flow.src, flow.dst, wire::kProtocolDestinationOptions, body));
  // Nobody takes it: the end does.
  shard().CloseAll(true, now_);
  pool_.Release(other.TakeReleased());
  other.CloseAll(true, now_);
  pool_.Release(other.TakeReleased());
}

TEST_F(ShardFragmentTest, ADeviceMayNotClaimReassembly) {
  Start();
  RxFrame frame{.buffer = pool_.AllocateWith(EchoRequest(kPeer4))};
  frame.buffer->next = pool_.AllocateWith(Text("rest"));
  GiveFrame(frame);
  EXPECT_EQ(Dropped(DropReason::kFrameMultiSegment), 1u);
}

// Whole shards under fragments of all kinds, with little room for them.
TEST_F(ShardFragmentTest, AnyFragmentsInAnyOrder) {
  config_.reassembly = {.max_datagrams = 12, .max_per_source = 5, .max_fragments = 10, .max_cost = 60'000};
  Start();
  Listen();
  Prng rng(791);
  std::array<uint32_t, 2> seq = {1'001, 1'001};
  std::array<uint32_t, 2> isn{};
  std::array<ConnHandle, 2> handles;
  for (const bool v6 : {false, true}) handles[v6] = Accept(Flow(v6), &isn[v6]);
  size_t received = 0;
  size_t echoes = 0;
  std::vector<Bytes> frames;
  for (int i = 0; i < 3'000; ++i) {
    const bool v6 = rng.Bernoulli(500'000);
    const auto id = static_cast<uint32_t>(rng.Below(1 << 16));
    const size_t piece = 8 * (5 + rng.Below(60));
    const Bytes data = Pattern(1 + rng.Below(1'400));
    const bool echo = rng.Bernoulli(300'000);
    const std::vector<Bytes> more =
        echo ? Split(v6 ? kPeer6 : kPeer4, v6 ? kOurs6 : kOurs4,
                     v6 ? wire::kProtocolIcmpv6 : wire::kProtocolIcmp, id, EchoBody(v6, data), piece)
             : SplitTcp(Flow(v6), wire::kAck, seq[v6], isn[v6] + 1, data, piece, id);
    frames.insert(frames.end(), more.begin(), more.end());
    while (frames.size() > rng.Below(12)) {
      const size_t at = rng.Bernoulli(700'000) ? 0 : rng.Below(frames.size());
      Bytes frame = frames[at];
      if (rng.Bernoulli(950'000)) frames.erase(frames.begin() + static_cast<ptrdiff_t>(at));
      if (rng.Bernoulli(30'000)) continue;
      if (rng.Bernoulli(30'000)) {
        frame[14 + rng.Below(frame.size() - 14)] ^= static_cast<uint8_t>(1u << rng.Below(8));
      }
      Give(frame);
    }
    for (const bool family : {false, true}) {
      const size_t got = ReceiveText(handles[family]).size();
      received += got;
      seq[family] += static_cast<uint32_t>(got);
    }
    for (const SentFrame& f : Take()) echoes += f.fragment && !f.more_fragments ? 1 : 0;
    EXPECT_LE(Held(), 60'000u / 2'048);
    if (rng.Bernoulli(50'000)) {
      Advance(Duration::Seconds(static_cast<int64_t>(rng.Below(20))));
      Resolve(kPeer4);  // or it would be given up by now
      Resolve(kPeer6);
    }
    Events();
  }
  Advance(Duration::Seconds(61));
  EXPECT_EQ(Held(), 0u);
  EXPECT_GT(received, 50'000u);
  EXPECT_GT(echoes, 100u);
  for (const DropReason reason :
       {DropReason::kIpFragmentOverlap, DropReason::kIpFragmentDuplicate, DropReason::kIpFragmentTimeout,
        DropReason::kIpFragmentTooMany, DropReason::kIpFragmentSourceFull}) {
    EXPECT_GT(Dropped(reason), 0u) << DropReasonName(reason);
  }
  // And as good as new.
  Resolve(kPeer4);
  GiveAll(Split(kPeer4, kOurs4, wire::kProtocolIcmp, 9, EchoBody(false, Pattern(3'000)), 1'400));
  EXPECT_GE(Take().size(), 3u);
}

// ---- Extension headers ----

class ShardExtensionTest : public ShardFragmentTest {
 protected:
  // A SYN behind extension headers, the last of which names TCP.
  Bytes SynBehind(uint8_t first, Bytes headers, const wire::IpAddress& dst = kOurs6) {
    const TestFlow flow{.src = kPeer6, .dst = dst};
    const Bytes syn = TcpBytes(flow, wire::kSyn, 1'000, 0);
    headers.insert(headers.end(), syn.begin(), syn.end());
    return IpFrame(flow.src, flow.dst, first, headers);
  }
  Bytes WithOption(uint8_t option, const wire::IpAddress& dst = kOurs6) {
    return SynBehind(wire::kProtocolDestinationOptions, {wire::kProtocolTcp, 0, option, 4, 0, 0, 0, 0}, dst);
  }
  void ExpectProblem(uint8_t code, uint32_t pointer) {
    const SentFrame error = TakeOne();
    EXPECT_EQ(error.icmp.type, wire::kIcmpv6ParameterProblem);
    EXPECT_EQ(error.icmp.code, code);
    EXPECT_EQ(error.icmp.rest, pointer);
    EXPECT_EQ(error.dst, kPeer6);
    EXPECT_EQ(error.src, kOurs6);
  }
  void ExpectSynAck() {
    EXPECT_EQ(TakeOne().tcp.flags, wire::kSyn | wire::kAck);
    GiveTcp({.src = kPeer6, .dst = kOurs6}, wire::kRst, 1'001, 0);
  }
};

TEST_F(ShardExtensionTest, KnownHeadersAreWalked) {
  Start();
  Listen();
  Give(WithOption(1));  // PadN
  ExpectSynAck();
  Give(SynBehind(wire::kProtocolHopByHop, {wire::kProtocolTcp, 0, 5, 2, 0, 0, 1, 0}));  // router alert
  ExpectSynAck();
  // RFC 5095: type 0 is a type like any that is not known; with no segments left it is passed over.
  Give(SynBehind(wire::kProtocolRouting, {wire::kProtocolTcp, 0, 0, 0, 0, 0, 0, 0}));
  ExpectSynAck();
  Give(SynBehind(wire::kProtocolFragment, {wire::kProtocolTcp, 0, 0, 0, 1, 2, 3, 4}));  // RFC 6946
  ExpectSynAck();
  EXPECT_EQ(shard().counters().drops.total(), 0u);
}

TEST_F(ShardExtensionTest, UnknownOptionsActAsTheirTypeSays) {
  Start();
  Listen();
  Give(WithOption(0x1e));
  ExpectSynAck();
  ExpectDrop(WithOption(0x5e), DropReason::kIp6ExtensionMalformed);
  ExpectSilence();
  ExpectDrop(WithOption(0x9e), DropReason::kIp6ExtensionMalformed);
  ExpectProblem(wire::kParameterUnknownOption, 42);
  ExpectDrop(WithOption(0xde), DropReason::kIp6ExtensionMalformed);
  ExpectProblem(wire::kParameterUnknownOption, 42);
  // To a group: only 10 is reported, and only where we are in the group.
  ExpectDrop(WithOption(0xde, wire::IpAddress::AllNodes()), DropReason::kIp6ExtensionMalformed);
  ExpectDrop(WithOption(0x9e, Ip("ff02::1234")), DropReason::kIp6ExtensionMalformed);
  ExpectSilence();
  ExpectDrop(WithOption(0x9e, wire::IpAddress::AllNodes()), DropReason::kIp6ExtensionMalformed);
  ExpectProblem(wire::kParameterUnknownOption, 42);
  ExpectDrop(WithOption(0x9e, kOurs6.SolicitedNode()), DropReason::kIp6ExtensionMalformed);
  ExpectProblem(wire::kParameterUnknownOption, 42);
}

TEST_F(ShardExtensionTest, RoutingHeadersWithSegmentsLeftAreRefused) {
  Start();
  Listen();
  for (const uint8_t type : std::to_array<uint8_t>({0, 2, 4, 200})) {
    ExpectDrop(SynBehind(wire::kProtocolRouting, {wire::kProtocolTcp, 0, type, 1, 0, 0, 0, 0}),
               DropReason::kIp6ExtensionUnsupported);
    ExpectProblem(wire::kParameterErroneousField, 42);
  }
}

TEST_F(ShardExtensionTest, NoNextHeaderIsNotUnknown) {
  Start();
  ExpectDrop(IpFrame(kPeer6, kOurs6, wire::kProtocolNoNext, Text("whatever")),
             DropReason::kIpProtocolUnknown);
  ExpectSilence();
}

TEST_F(ShardExtensionTest, FragmentsThatCannotBeAreReported) {
  Start();
  const Bytes body = Pattern(64);
  ExpectDrop(FragmentFrame(kPeer6, kOurs6, wire::kProtocolUdp, 1, body, {0, 12}, 64),
             DropReason::kIpFragmentMalformed);
  ExpectProblem(wire::kParameterErroneousField, 4);
  // A fragment header inside a first fragment.
  Bytes nested = {wire::kProtocolUdp, 0, 0, 1, 0, 0, 0, 9};
  nested.resize(64);
  ExpectDrop(FragmentFrame(kPeer6, kOurs6, wire::kProtocolFragment, 1, nested, {0, 32}, 64),
             DropReason::kIpFragmentMalformed);
  ExpectSilence();
  // Options behind the fragment header are looked at with the first piece.
  Bytes options = {wire::kProtocolUdp, 0, 0x9e, 4, 0, 0, 0, 0};
  options.resize(64);
  ExpectDrop(FragmentFrame(kPeer6, kOurs6, wire::kProtocolDestinationOptions, 1, options, {0, 32}, 64),
             DropReason::kIp6ExtensionMalformed);
  ExpectProblem(wire::kParameterUnknownOption, 50);
  EXPECT_EQ(Held(), 0u);
}

}  // namespace
}  // namespace tern::stack
