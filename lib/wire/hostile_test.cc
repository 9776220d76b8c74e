// Every parser against random bytes and damaged packets from a fixed seed. Under AddressSanitizer a read
// outside the span is an error, because each input has a heap block of exactly its size; in any build what
// comes out must keep the promises of the headers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "wire/arp.h"
#include "wire/ethernet.h"
#include "wire/icmp.h"
#include "wire/icmp_quote.h"
#include "wire/icmpv6.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/ndp.h"
#include "wire/tcp.h"

namespace tern::wire {
namespace {

using Bytes = std::vector<uint8_t>;
using Span = std::span<const uint8_t>;

constexpr uint32_t kSeed = 20240607;
constexpr int kRounds = 60000;

const IpAddress kSix1 = *IpAddress::Parse("fe80::1");
const IpAddress kSix2 = *IpAddress::Parse("fd77::2");

// How often each parser accepted its input: a test that feeds only refused bytes tests little.
struct Accepted {
  int ethernet, arp, ipv4, ipv6, tcp, icmp_quote, icmpv6_quote, first_fragment, solicit, advert,
      router_solicit, router_advert;
};
Accepted accepted;

bool Inside(Span inner, Span outer) {
  if (inner.empty()) return true;
  return inner.data() >= outer.data() && inner.data() + inner.size() <= outer.data() + outer.size();
}

void TryTcp(Span input) {
  TcpHeader header;
  TcpOptions options;
  if (ParseTcp(input, header, options) != ParseError::kNone) return;
  ++accepted.tcp;
  ASSERT_GE(header.data_offset, kTcpMinHeader);
  ASSERT_LE(header.data_offset, input.size());
  ASSERT_LE(options.sack_count, TcpOptions::kMaxSackBlocks);
  ASSERT_LE(options.wscale, kTcpMaxWindowShift);
  ASSERT_TRUE(!options.has_mss || options.mss != 0);
  // Whatever was understood can be said again, and means the same.
  uint8_t again[kTcpMaxHeader];
  const size_t length = WriteTcp(header, options, again);
  ASSERT_LE(length, sizeof(again));
  TcpHeader header2;
  TcpOptions options2;
  ASSERT_EQ(ParseTcp({again, length}, header2, options2), ParseError::kNone);
  ASSERT_FALSE(options2.malformed);
  ASSERT_EQ(header2.seq, header.seq);
  ASSERT_EQ(header2.flags, header.flags);
  ASSERT_EQ(options2.has_timestamp, options.has_timestamp);
  ASSERT_EQ(options2.tsval, options.tsval);
  ASSERT_EQ(options2.mss, options.mss);
  ASSERT_EQ(options2.wscale, options.wscale);
  ASSERT_EQ(options2.sack_count, SackBlocksThatFit(options));
}

void TryNdp(Span input, uint8_t hop_limit) {
  IcmpMessage message;
  if (ParseIcmpv6(input, kSix1, kSix2, message, ChecksumCheck::kTrusted) != ParseError::kNone) return;
  ASSERT_TRUE(Inside(message.body, input));
  const NdpContext context{kSix1, kSix2, hop_limit};
  NeighborSolicit solicit;
  if (ParseNeighborSolicit(message, context, solicit) == ParseError::kNone) {
    ++accepted.solicit;
    ASSERT_FALSE(solicit.target.IsMulticast());
  }
  NeighborAdvert advert;
  if (ParseNeighborAdvert(message, context, advert) == ParseError::kNone) {
    ++accepted.advert;
    ASSERT_FALSE(advert.target.IsMulticast());
  }
  RouterSolicit router_solicit;
  if (ParseRouterSolicit(message, context, router_solicit) == ParseError::kNone &&
      router_solicit.source_mac) {
    ++accepted.router_solicit;
    ASSERT_FALSE(router_solicit.source_mac->IsMulticast());
  }
  RouterAdvert router;
  if (ParseRouterAdvert(message, context, router) == ParseError::kNone) {
    ++accepted.router_advert;
    ASSERT_LE(router.prefix_count, RouterAdvert::kMaxPrefixes);
    for (size_t i = 0; i < router.prefix_count; ++i) ASSERT_LE(router.prefixes[i].prefix.length, 128);
  }
}

void TryQuotes(Span input) {
  IcmpQuote quote;
  if (ParseIcmpQuote(input, quote) == ParseError::kNone) {
    ++accepted.icmp_quote;
    ASSERT_TRUE(Inside(quote.transport, input));
    ASSERT_GE(quote.transport.size(), 8u);
  }
  if (ParseIcmpv6Quote(input, quote) == ParseError::kNone) {
    ++accepted.icmpv6_quote;
    ASSERT_TRUE(Inside(quote.transport, input));
    ASSERT_GE(quote.transport.size(), 8u);
  }
}

void TryIcmp(Span input) {
  IcmpMessage message;
  if (ParseIcmp(input, message, ChecksumCheck::kTrusted) == ParseError::kNone) {
    ASSERT_TRUE(Inside(message.body, input));
    ASSERT_NO_FATAL_FAILURE(TryQuotes(message.body));
  }
  ASSERT_NO_FATAL_FAILURE(TryQuotes(input));
  ASSERT_NO_FATAL_FAILURE(TryNdp(input, kNdpHopLimit));
}

void TryTransport(Span payload) {
  ASSERT_NO_FATAL_FAILURE(TryTcp(payload));
  ASSERT_NO_FATAL_FAILURE(TryIcmp(payload));
}

// Walked on, it stays inside; stripped, it parses as a packet without its fragment header.
void TryFirstFragment(Span packet, const Ipv6Header& header) {
  ++accepted.first_fragment;
  Ipv6Header walked = header;
  if (WalkFirstFragment(packet, walked) == ParseError::kNone) {
    ASSERT_TRUE(Inside(walked.Payload(packet), packet));
  }
  Bytes copy(packet.begin(), packet.end());
  const size_t begin = StripFragmentHeader(copy, header);
  Ipv6Header stripped;
  const ParseError error = ParseIpv6(Span(copy).subspan(begin), stripped);
  ASSERT_NE(error, ParseError::kBadVersion);
  ASSERT_EQ(stripped.src, header.src);
  ASSERT_EQ(stripped.payload_length + kIpv6FragmentHeader, header.payload_length);
}

void TryIp(Span input) {
  Ipv4Header v4;
  if (ParseIpv4(input, v4, ChecksumCheck::kTrusted) == ParseError::kNone) {
    ++accepted.ipv4;
    const Span payload = v4.Payload(input);
    ASSERT_TRUE(Inside(payload, input));
    ASSERT_TRUE(v4.src.IsV4() && v4.dst.IsV4());
    ASSERT_NO_FATAL_FAILURE(TryTransport(payload));
  }
  Ipv6Header v6;
  if (ParseIpv6(input, v6) == ParseError::kNone) {
    ++accepted.ipv6;
    const Span payload = v6.Payload(input);
    ASSERT_TRUE(Inside(payload, input));
    ASSERT_FALSE(v6.src.IsV4() || v6.dst.IsV4());
    ASSERT_LT(v6.protocol_offset, v6.header_length);
    ASSERT_EQ(input[v6.protocol_offset], v6.protocol);
    ASSERT_NO_FATAL_FAILURE(TryTransport(payload));
    if (v6.is_fragment && v6.fragment.offset == 0) {
      ASSERT_NO_FATAL_FAILURE(TryFirstFragment(input.first(kIpv6Header + v6.payload_length), v6));
    }
  }
}

void TryAll(Span input) {
  EthernetHeader ethernet;
  if (ParseEthernet(input, ethernet) == ParseError::kNone) {
    ++accepted.ethernet;
    ASSERT_LE(ethernet.header_length(), input.size());
    ASSERT_NO_FATAL_FAILURE(TryIp(input.subspan(ethernet.header_length())));
  }
  ArpPacket arp;
  if (ParseArp(input, arp) == ParseError::kNone) {
    ++accepted.arp;
    ASSERT_TRUE(arp.sender_ip.IsV4() && arp.target_ip.IsV4());
  }
  ASSERT_NO_FATAL_FAILURE(TryIp(input));
  ASSERT_NO_FATAL_FAILURE(TryTransport(input));
}

// A copy in a heap block of exactly its size.
void TryExactly(const Bytes& bytes) {
  const auto block = std::make_unique<uint8_t[]>(bytes.size());
  if (!bytes.empty()) std::memcpy(block.get(), bytes.data(), bytes.size());
  ASSERT_NO_FATAL_FAILURE(TryAll({block.get(), bytes.size()}));
}

Bytes TcpSegment(TcpFlags flags, const TcpOptions& options, size_t payload) {
  Bytes bytes(kTcpMaxHeader);
  bytes.resize(
      WriteTcp({.src_port = 40000, .dst_port = 7, .seq = SeqNum(42), .ack = SeqNum(79), .flags = flags},
               options, bytes.data()) +
      payload);
  return bytes;
}

Bytes InIpv4(uint8_t protocol, const Bytes& payload) {
  Bytes bytes(kIpv4MinHeader + payload.size());
  WriteIpv4({.src = IpAddress::FromV4(10, 77, 0, 1),
             .dst = IpAddress::FromV4(10, 77, 0, 2),
             .total_length = static_cast<uint16_t>(bytes.size()),
             .ttl = 64,
             .protocol = protocol},
            bytes.data());
  std::copy(payload.begin(), payload.end(), bytes.begin() + kIpv4MinHeader);
  return bytes;
}

Bytes InIpv6(uint8_t protocol, const Bytes& payload) {
  Bytes bytes(kIpv6Header + payload.size());
  WriteIpv6({.src = kSix1,
             .dst = kSix2,
             .payload_length = static_cast<uint16_t>(payload.size()),
             .hop_limit = 255,
             .protocol = protocol},
            bytes.data());
  std::copy(payload.begin(), payload.end(), bytes.begin() + kIpv6Header);
  return bytes;
}

Bytes InEthernet(uint16_t type, bool tagged, const Bytes& payload) {
  const EthernetHeader header{.ether_type = type, .tagged = tagged, .vlan_tci = 5};
  Bytes bytes(header.header_length() + payload.size());
  WriteEthernet(header, bytes.data());
  std::copy(payload.begin(), payload.end(), bytes.begin() + static_cast<long>(header.header_length()));
  return bytes;
}

// One of everything, as frames and as bare datagrams and messages, so that damage lands at every depth.
std::vector<Bytes> Corpus() {
  TcpOptions syn{
      .tsval = 1, .mss = 1460, .wscale = 7, .has_timestamp = true, .has_mss = true, .has_wscale = true};
  syn.sack_permitted = true;
  TcpOptions sack{.tsval = 1, .tsecr = 2, .sack_count = 3, .has_timestamp = true};
  const Bytes syn_segment = TcpSegment(kSyn, syn, 0);
  const Bytes sack_segment = TcpSegment(kAck, sack, 11);
  const Bytes data_segment = TcpSegment(kAck | kPsh, {.has_timestamp = true}, 40);

  RouterAdvert router{.source_mac = MacAddress({2, 0, 0, 0, 0, 1}), .mtu = 1500, .prefix_count = 3};
  Bytes ra(kNdpMaxMessage);
  ra.resize(WriteRouterAdvert(router, kSix1, kSix2, ra.data()));
  Bytes ns(kNdpMaxMessage);
  ns.resize(WriteNeighborSolicit({kSix2, MacAddress({2, 0, 0, 0, 0, 1})}, kSix1, kSix2, ns.data()));

  Bytes na(kNdpMaxMessage);
  na.resize(WriteNeighborAdvert({.target = kSix2, .target_mac = MacAddress({2, 0, 0, 0, 0, 1})}, kSix1, kSix2,
                                na.data()));
  Bytes rs(kNdpMaxMessage);
  rs.resize(WriteRouterSolicit({MacAddress({2, 0, 0, 0, 0, 1})}, kSix1, kSix2, rs.data()));

  const Bytes quoted4 = InIpv4(kProtocolTcp, data_segment);
  const Bytes quoted6 = InIpv6(kProtocolTcp, data_segment);
  Bytes unreachable(kIcmpHeader + quoted4.size());
  WriteIcmp({.type = kIcmpDestinationUnreachable, .code = 4, .rest = 1400, .body = quoted4},
            unreachable.data());
  Bytes too_big(kIcmpHeader + quoted6.size());
  WriteIcmpv6({.type = kIcmpv6PacketTooBig, .rest = 1280, .body = quoted6}, kSix1, kSix2, too_big.data());

  Bytes extensions = {
      kProtocolDestinationOptions, 0, 5, 2, 0, 0, 1, 0, kProtocolRouting, 0, 1, 4, 0, 0, 0, 0,
      kProtocolFragment,           0, 4, 0, 0, 0, 0, 0, kProtocolTcp,     0, 0, 0, 1, 2, 3, 4};
  extensions.insert(extensions.end(), sack_segment.begin(), sack_segment.end());
  // The same as the first of several fragments: more is to come, in units of 8.
  Bytes first_fragment = extensions;
  first_fragment[24 + 3] |= 1;
  first_fragment.resize(first_fragment.size() / 8 * 8);
  Bytes arp(kArpPacket);
  WriteArp({.sender_ip = IpAddress::FromV4(1), .target_ip = IpAddress::FromV4(2)}, arp.data());

  std::vector<Bytes> corpus = {syn_segment, sack_segment, ra,      ns,      na, rs,
                               unreachable, too_big,      quoted4, quoted6, arp};
  for (const bool tagged : {false, true}) {
    corpus.push_back(InEthernet(kEtherTypeIpv4, tagged, InIpv4(kProtocolTcp, syn_segment)));
    corpus.push_back(InEthernet(kEtherTypeIpv4, tagged, InIpv4(kProtocolIcmp, unreachable)));
    corpus.push_back(InEthernet(kEtherTypeIpv6, tagged, InIpv6(kProtocolHopByHop, extensions)));
    corpus.push_back(InEthernet(kEtherTypeIpv6, tagged, InIpv6(kProtocolHopByHop, first_fragment)));
    corpus.push_back(InEthernet(kEtherTypeIpv6, tagged, InIpv6(kProtocolIcmpv6, too_big)));
    corpus.push_back(InEthernet(kEtherTypeIpv6, tagged, InIpv6(kProtocolIcmpv6, ra)));
    corpus.push_back(InEthernet(kEtherTypeArp, tagged, arp));
  }
  return corpus;
}

class Damage {
 public:
  uint32_t Below(size_t n) { return static_cast<uint32_t>(engine_() % n); }

  void Apply(Bytes& bytes) {
    // Values at which lengths, offsets and sign tests turn.
    constexpr uint8_t kEdges[] = {0,    1,    2,    3,    4,    5,    7,    8,   0x0f,
                                  0x10, 0x3f, 0x40, 0x7f, 0x80, 0xf0, 0xfe, 0xff};
    if (bytes.empty()) return;
    const size_t at = Below(bytes.size());
    switch (Below(5)) {
      case 0:
        bytes[at] ^= static_cast<uint8_t>(1u << Below(8));
        return;
      case 1:
        bytes[at] = kEdges[Below(std::size(kEdges))];
        return;
      case 2:
        bytes[at] = static_cast<uint8_t>(engine_());
        return;
      case 3:
        bytes.resize(at);
        return;
      default: {
        // A piece moved over another: lengths and kinds in places where they do not belong.
        const size_t to = Below(bytes.size());
        const size_t n = 1 + Below(std::min({bytes.size() - at, bytes.size() - to, size_t{16}}));
        std::memmove(&bytes[to], &bytes[at], n);
        return;
      }
    }
  }

  Bytes Random() {
    Bytes bytes(Below(160));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(engine_());
    // Else nearly all of them fall at the first nibble.
    if (!bytes.empty() && Below(2) == 0) bytes[0] = Below(2) == 0 ? 0x45 : 0x60;
    return bytes;
  }

 private:
  std::mt19937 engine_{kSeed};
};

TEST(Hostile, TheCorpusReachesEveryParser) {
  accepted = {};
  for (const Bytes& bytes : Corpus()) ASSERT_NO_FATAL_FAILURE(TryExactly(bytes));
  EXPECT_GE(accepted.ethernet, 12);
  EXPECT_GE(accepted.arp, 1);
  EXPECT_GE(accepted.ipv4, 5);
  EXPECT_GE(accepted.ipv6, 7);
  EXPECT_GE(accepted.tcp, 8);
  EXPECT_GE(accepted.icmp_quote, 2);
  EXPECT_GE(accepted.icmpv6_quote, 2);
  EXPECT_GE(accepted.first_fragment, 1);
  EXPECT_GE(accepted.solicit, 1);
  EXPECT_GE(accepted.advert, 1);
  EXPECT_GE(accepted.router_solicit, 1);
  EXPECT_GE(accepted.router_advert, 2);
}

TEST(Hostile, EveryTruncationOfEveryPacket) {
  for (const Bytes& bytes : Corpus()) {
    for (size_t n = 0; n < bytes.size(); ++n) {
      ASSERT_NO_FATAL_FAILURE(TryExactly(Bytes(bytes.begin(), bytes.begin() + static_cast<long>(n))));
    }
  }
}

TEST(Hostile, DamagedPackets) {
  const std::vector<Bytes> corpus = Corpus();
  Damage damage;
  for (int round = 0; round < kRounds; ++round) {
    Bytes bytes = corpus[damage.Below(corpus.size())];
    for (uint32_t blows = 1 + damage.Below(4); blows > 0; --blows) damage.Apply(bytes);
    ASSERT_NO_FATAL_FAILURE(TryExactly(bytes)) << "round " << round << " of seed " << kSeed;
  }
}

TEST(Hostile, RandomBytes) {
  Damage damage;
  for (int round = 0; round < kRounds; ++round) {
    ASSERT_NO_FATAL_FAILURE(TryExactly(damage.Random())) << "round " << round << " of seed " << kSeed;
  }
}

TEST(Hostile, RandomTcpOptions) {
  Damage damage;
  for (int round = 0; round < kRounds; ++round) {
    Bytes bytes = TcpSegment(round % 2 == 0 ? kSyn : kAck, {}, kTcpMaxOptions);
    bytes[12] = static_cast<uint8_t>((5 + damage.Below(11)) << 4);
    // Kinds and lengths from the small values that mean something.
    for (size_t i = kTcpMinHeader; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(damage.Below(12));
    ASSERT_NO_FATAL_FAILURE(TryExactly(bytes)) << "round " << round << " of seed " << kSeed;
  }
}

}  // namespace
}  // namespace tern::wire
