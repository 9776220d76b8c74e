// Drop reasons that no other test provokes.
#include "stack/shard_for_test.h"

namespace tern::stack {
namespace {

class DropTest : public ShardTest {
 protected:
  // A SYN whose IPv4 header carries `options`, a multiple of four octets.
  static Bytes WithOptions(const Bytes& options) {
    const TestFlow flow;
    Bytes packet = IpPacket(flow.src, flow.dst, wire::kProtocolTcp, TcpBytes(flow, wire::kSyn, 1000, 0));
    packet.insert(packet.begin() + 20, options.begin(), options.end());
    const size_t header = 20 + options.size();
    packet[0] = static_cast<uint8_t>(0x40 | header / 4);
    wire::StoreBe16(packet.data() + 2, static_cast<uint16_t>(packet.size()));
    wire::StoreBe16(packet.data() + 10, 0);
    wire::StoreBe16(packet.data() + 10, wire::InternetChecksum(std::span(packet).first(header)));
    return LinkFrame(wire::kEtherTypeIpv4, packet);
  }
  // A SYN behind an IPv6 extension header.
  static Bytes Behind(uint8_t kind, Bytes extension) {
    const TestFlow flow{.src = Ip("fd77::2"), .dst = Ip("fd77::1")};
    extension[0] = wire::kProtocolTcp;
    const Bytes tcp = TcpBytes(flow, wire::kSyn, 1000, 0);
    extension.insert(extension.end(), tcp.begin(), tcp.end());
    return IpFrame(flow.src, flow.dst, kind, extension);
  }
};

// RFC 9293 MUST-50: what TCP does not understand of the IP options is ignored. MUST-51 to MUST-53: no source
// route is followed, so none is sent back either (RFC 7126 4.3).
TEST_F(DropTest, SourceRoutesAreRefusedAndOtherOptionsIgnored) {
  Start();
  Listen();
  ExpectDrop(WithOptions({131, 7, 4, 10, 77, 0, 9, 0}), DropReason::kIpOptionMalformed);
  ExpectDrop(WithOptions({137, 7, 4, 10, 77, 0, 9, 0}), DropReason::kIpOptionMalformed);
  ExpectDrop(WithOptions({7, 77, 4, 0}),
             DropReason::kIpOptionMalformed);  // record route that overruns the header
  ExpectSilence();
  Give(WithOptions({0x94, 4, 0, 0}));  // router alert
  EXPECT_EQ(TakeOne().tcp.flags, wire::kSyn | wire::kAck);
  TestFlow flow;
  GiveTcp(flow, wire::kRst, 1001, 0);
  Give(WithOptions({1, 1, 0, 0}));  // padding
  EXPECT_EQ(TakeOne().tcp.flags, wire::kSyn | wire::kAck);
}

TEST_F(DropTest, ExtensionHeadersThatAreNotFollowed) {
  Start();
  Listen();
  ExpectDrop(Behind(43, {0, 0, 0, 1, 0, 0, 0, 0}), DropReason::kIp6ExtensionUnsupported);  // one segment left
  EXPECT_EQ(TakeOne().icmp.type, wire::kIcmpv6ParameterProblem);
  ExpectDrop(Behind(0, {0, 0, 1, 77, 0, 0, 0, 0}),
             DropReason::kIp6ExtensionMalformed);  // the option overruns
}

TEST_F(DropTest, AnErrorWhoseQuoteIsTooShort) {
  Start();
  Bytes body(8 + 12);
  const Bytes quote(12, 0x45);
  wire::WriteIcmp({.type = wire::kIcmpDestinationUnreachable, .code = 1, .body = quote}, body.data());
  ExpectDrop(IpFrame(Ip("10.77.0.2"), Ip("10.77.0.1"), wire::kProtocolIcmp, body),
             DropReason::kIcmpQuoteMalformed);
}

TEST_F(DropTest, NeighbourDiscoveryAboutOthers) {
  Start();
  ExpectDrop(Advert(Ip("fd77::77"), kPeerMac), DropReason::kNdpNotOurs);
  ExpectSilence();
}

TEST_F(DropTest, WithoutRoomForANeighbour) {
  config_.max_neighbours = 1;
  Resolve(Ip("10.77.0.2"));
  Listen();
  uint32_t isn = 0;
  Accept(TestFlow(), &isn);
  ExpectDrop(EchoRequest(Ip("10.77.0.3")), DropReason::kNoRoute);
  EXPECT_EQ(shard().counters().tx_drops[DropReason::kNeighborTableFull], 1u);
  // And no SYN is answered whose answer has no way.
  TestFlow other;
  other.src = Ip("10.77.0.4");
  GiveTcp(other, wire::kSyn, 1000, 0);
  ExpectSilence();
  EXPECT_EQ(shard().counters().tx_drops[DropReason::kNeighborTableFull], 2u);
}

TEST_F(DropTest, WithoutRoomForAnAnswer) {
  Start();
  size_t asked = 0;
  while (Dropped(DropReason::kTxNoBuffer) == 0 && asked < 10'000) {
    Give(EchoRequest(Ip("10.77.0.2")));
    ++asked;
  }
  EXPECT_EQ(Dropped(DropReason::kTxNoBuffer), 1u);
  EXPECT_EQ(Take().size(), asked - 1);
  Give(EchoRequest(Ip("10.77.0.2")));
  EXPECT_EQ(Take().size(), 1u) << "and then goes on";
}

}  // namespace
}  // namespace tern::stack
