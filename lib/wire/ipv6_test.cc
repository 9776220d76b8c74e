#include "wire/ipv6.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace tern::wire {
namespace {

using Bytes = std::vector<uint8_t>;

// fd77::1 > fd77::2 with `next_header` and what follows the fixed header.
Bytes Packet(uint8_t next_header, const Bytes& rest) {
  Bytes packet(kIpv6Header + rest.size());
  WriteIpv6({.src = *IpAddress::Parse("fd77::1"),
             .dst = *IpAddress::Parse("fd77::2"),
             .payload_length = static_cast<uint16_t>(rest.size()),
             .hop_limit = 64,
             .protocol = next_header},
            packet.data());
  std::copy(rest.begin(), rest.end(), packet.begin() + kIpv6Header);
  return packet;
}

TEST(Ipv6, WritesKnownBytes) {
  const Bytes known = {0x60, 0,    0, 0, 0, 1, 6, 64,                          //
                       0xfd, 0x77, 0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 1,  //
                       0xfd, 0x77, 0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 2, 'x'};
  EXPECT_EQ(Packet(kProtocolTcp, {'x'}), known);
}

// Extension headers one after another; each names the next, the last names TCP, followed by four bytes of it.
struct Extension {
  uint8_t kind;
  Bytes bytes;
};
Bytes Chain(std::vector<Extension> chain) {
  Bytes rest;
  for (size_t i = 0; i < chain.size(); ++i) {
    chain[i].bytes[0] = i + 1 < chain.size() ? chain[i + 1].kind : kProtocolTcp;
    rest.insert(rest.end(), chain[i].bytes.begin(), chain[i].bytes.end());
  }
  rest.insert(rest.end(), {'d', 'a', 't', 'a'});
  return Packet(chain.empty() ? kProtocolTcp : chain[0].kind, rest);
}

const Bytes kPadding = {0, 0, 1, 4, 0, 0, 0, 0};
const Bytes kAtomic = {0, 0, 0, 0, 1, 2, 3, 4};

ParseError ErrorOf(const Bytes& packet) {
  Ipv6Header header;
  return ParseIpv6(packet, header);
}

TEST(Ipv6, FixedHeaderRoundTrips) {
  Bytes packet = Packet(kProtocolTcp, {'d', 'a', 't', 'a'});
  StoreBe32(packet.data(), 0x6a512345);
  Ipv6Header header;
  ASSERT_EQ(ParseIpv6(packet, header), ParseError::kNone);
  EXPECT_EQ(header.src.ToString(), "fd77::1");
  EXPECT_EQ(header.dst.ToString(), "fd77::2");
  EXPECT_EQ(header.traffic_class, 0xa5);
  EXPECT_EQ(header.flow_label, 0x12345u);
  EXPECT_EQ(header.payload_length, 4);
  EXPECT_EQ(header.protocol, kProtocolTcp);
  EXPECT_EQ(header.hop_limit, 64);
  EXPECT_EQ(header.Payload(packet).size(), 4u);
  Bytes again = packet;
  std::fill_n(again.begin(), kIpv6Header, uint8_t{0xee});
  EXPECT_EQ(WriteIpv6(header, again.data()), kIpv6Header);
  EXPECT_EQ(again, packet);
}

TEST(Ipv6, LengthsAndVersion) {
  Bytes packet = Packet(kProtocolTcp, {1, 2, 3, 4});
  Ipv6Header header;
  EXPECT_EQ(ParseIpv6(std::span(packet).first(39), header), ParseError::kTruncated);
  EXPECT_EQ(ParseIpv6(std::span(packet).first(43), header), ParseError::kTruncated);
  Bytes padded = packet;
  padded.resize(60);
  ASSERT_EQ(ParseIpv6(padded, header), ParseError::kNone);
  EXPECT_EQ(header.Payload(padded).size(), 4u);
  packet[0] = 0x45;
  EXPECT_EQ(ErrorOf(packet), ParseError::kBadVersion);
}

TEST(Ipv6, MappedAddressesAreRefused) {
  for (const size_t at : {8u, 24u}) {
    Bytes packet = Packet(kProtocolTcp, {});
    IpAddress::FromV4(10, 0, 0, 1).StoreV6(&packet[at]);
    EXPECT_EQ(ErrorOf(packet), ParseError::kBadField);
  }
}

TEST(Ipv6, WalksAllKindsOfExtensions) {
  const Bytes packet =
      Chain({{kProtocolHopByHop, {0, 0, 5, 2, 0, 0, 1, 0}},
             {kProtocolDestinationOptions, {0, 1, 0, 0, 0x1e, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 0}},
             {kProtocolRouting, {0, 0, 4, 0, 0, 0, 0, 0}},
             {kProtocolFragment, kAtomic},
             {kProtocolDestinationOptions, kPadding}});
  Ipv6Header header;
  ASSERT_EQ(ParseIpv6(packet, header), ParseError::kNone);
  EXPECT_EQ(header.protocol, kProtocolTcp);
  EXPECT_EQ(header.header_length, 40 + 8 + 16 + 8 + 8 + 8);
  EXPECT_EQ(header.protocol_offset, header.header_length - 8);
  EXPECT_FALSE(header.is_fragment);
  EXPECT_EQ(header.Payload(packet)[0], 'd');
}

TEST(Ipv6, WhatIsNoExtensionIsLeftToTheCaller) {
  Ipv6Header header;
  for (const uint8_t protocol : {kProtocolUdp, kProtocolNoNext, uint8_t{50}, uint8_t{200}}) {
    ASSERT_EQ(ParseIpv6(Packet(protocol, {1}), header), ParseError::kNone);
    EXPECT_EQ(header.protocol, protocol);
    EXPECT_EQ(header.header_length, 40);
  }
}

TEST(Ipv6, TheWalkIsBounded) {
  std::vector<Extension> chain(kMaxExtensionHeaders, {kProtocolDestinationOptions, kPadding});
  EXPECT_EQ(ErrorOf(Chain(chain)), ParseError::kNone);
  chain.push_back(chain[0]);
  EXPECT_EQ(ErrorOf(Chain(chain)), ParseError::kBadExtension);
}

TEST(Ipv6, TruncatedExtensions) {
  EXPECT_EQ(ErrorOf(Packet(kProtocolHopByHop, {6, 0, 1, 4, 0, 0, 0})), ParseError::kTruncated);
  EXPECT_EQ(ErrorOf(Packet(kProtocolHopByHop, {6, 1, 1, 4, 0, 0, 0, 0})), ParseError::kTruncated);
  EXPECT_EQ(ErrorOf(Packet(kProtocolFragment, {6, 0, 0})), ParseError::kTruncated);
  EXPECT_EQ(ErrorOf(Packet(kProtocolRouting, {})), ParseError::kTruncated);
}

TEST(Ipv6, MisplacedHopByHopIsAnUnknownNextHeader) {
  Ipv6Header header;
  const Bytes packet = Chain({{kProtocolDestinationOptions, kPadding}, {kProtocolHopByHop, kPadding}});
  ASSERT_EQ(ParseIpv6(packet, header), ParseError::kBadExtension);
  EXPECT_TRUE(header.problem.report);
  EXPECT_EQ(header.problem.code, kParameterUnknownNextHeader);
  EXPECT_EQ(header.problem.pointer, 40u);
}

TEST(Ipv6, RoutingHeaderWithSegmentsLeftIsReported) {
  Ipv6Header header;
  const Bytes packet = Chain({{kProtocolRouting, {0, 0, 0, 1, 0, 0, 0, 0}}});
  ASSERT_EQ(ParseIpv6(packet, header), ParseError::kBadExtension);
  EXPECT_EQ(header.problem.code, kParameterErroneousField);
  EXPECT_EQ(header.problem.pointer, 42u);
}

TEST(Ipv6, UnknownOptionsActAsTheirTypeSays) {
  Ipv6Header header;
  const auto parse = [&](uint8_t type) {
    return ParseIpv6(Chain({{kProtocolHopByHop, {0, 0, 0, type, 3, 0, 0, 0}}}), header);
  };
  EXPECT_EQ(parse(0x3f), ParseError::kNone);
  EXPECT_EQ(parse(0x7f), ParseError::kBadOption);
  EXPECT_FALSE(header.problem.report);
  EXPECT_EQ(parse(0xbf), ParseError::kBadOption);
  EXPECT_TRUE(header.problem.report && header.problem.report_if_multicast);
  EXPECT_EQ(header.problem.code, kParameterUnknownOption);
  EXPECT_EQ(header.problem.pointer, 43u);
  EXPECT_EQ(parse(0xc2), ParseError::kBadOption);  // jumbo payload
  EXPECT_TRUE(header.problem.report && !header.problem.report_if_multicast);
}

TEST(Ipv6, OptionsThatOverrunAreRefused) {
  EXPECT_EQ(ErrorOf(Chain({{kProtocolHopByHop, {0, 0, 1, 5, 0, 0, 0, 0}}})), ParseError::kBadOption);
  EXPECT_EQ(ErrorOf(Chain({{kProtocolHopByHop, {0, 0, 0, 0, 0, 0, 0, 1}}})), ParseError::kBadOption);
  EXPECT_EQ(ErrorOf(Chain({{kProtocolHopByHop, {0, 0, 0, 0, 0, 0, 1, 0}}})), ParseError::kNone);
}

TEST(Ipv6, Fragments) {
  Ipv6Header header;
  const auto parse = [&](uint16_t field, size_t length) {
    Bytes rest = {kProtocolTcp, 0, 0, 0, 0xde, 0xad, 0xbe, 0xef};
    StoreBe16(&rest[2], field);
    rest.resize(8 + length);
    return ParseIpv6(Packet(kProtocolFragment, rest), header);
  };
  ASSERT_EQ(parse(0x0001, 16), ParseError::kNone);
  EXPECT_TRUE(header.is_fragment && header.fragment.more);
  EXPECT_EQ(header.fragment.offset, 0);
  EXPECT_EQ(header.fragment.identification, 0xdeadbeefu);
  EXPECT_EQ(header.fragment.header_offset, 40);
  EXPECT_EQ(header.fragment.previous_next_header, 6);
  EXPECT_EQ(header.protocol, kProtocolTcp);
  EXPECT_EQ(header.header_length, 48);
  ASSERT_EQ(parse(0x0010, 5), ParseError::kNone);
  EXPECT_EQ(header.fragment.offset, 16);
  EXPECT_FALSE(header.fragment.more);
  EXPECT_EQ(parse(0x0001, 12), ParseError::kBadFragment);
  EXPECT_EQ(header.problem.pointer, 4u);
  EXPECT_EQ(parse(0x0001, 0), ParseError::kBadFragment);
  EXPECT_EQ(parse(0xfff8, 8), ParseError::kBadFragment);
  EXPECT_EQ(header.problem.pointer, 42u);
  ASSERT_EQ(parse(0x0000, 5), ParseError::kNone);
  EXPECT_FALSE(header.is_fragment);
}

// A first fragment whose header names `next`; `rest` stands behind it.
Bytes FirstFragment(uint8_t next, const Bytes& rest) {
  Bytes bytes = {next, 0, 0, 1, 1, 2, 3, 4};
  bytes.insert(bytes.end(), rest.begin(), rest.end());
  bytes.resize((bytes.size() + 7) / 8 * 8);
  return Packet(kProtocolFragment, bytes);
}

TEST(Ipv6, AFirstFragmentIsWalkedToItsUpperLayer) {
  const auto walk = [](const Bytes& packet, Ipv6Header& header) {
    EXPECT_EQ(ParseIpv6(packet, header), ParseError::kNone);
    EXPECT_TRUE(header.is_fragment && header.has_fragment_header);
    return WalkFirstFragment(packet, header);
  };
  Ipv6Header header;
  const Bytes options = {kProtocolUdp, 0, 1, 4, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
  ASSERT_EQ(walk(FirstFragment(kProtocolDestinationOptions, options), header), ParseError::kNone);
  EXPECT_EQ(header.protocol, kProtocolUdp);
  EXPECT_EQ(header.header_length, 56);
  EXPECT_EQ(header.protocol_offset, 48);
  // RFC 7112: the chain goes on behind the end.
  EXPECT_EQ(walk(FirstFragment(kProtocolDestinationOptions, {kProtocolUdp, 1, 1, 4, 0, 0, 0, 0}), header),
            ParseError::kTruncated);
  EXPECT_EQ(walk(FirstFragment(kProtocolFragment, {kProtocolUdp, 0, 0, 8, 0, 0, 0, 0}), header),
            ParseError::kBadFragment);
  EXPECT_EQ(walk(FirstFragment(kProtocolDestinationOptions, {kProtocolUdp, 0, 0x80, 4, 0, 0, 0, 0}), header),
            ParseError::kBadOption);
  EXPECT_EQ(header.problem.pointer, 50u);
}

TEST(Ipv6, AStrippedFirstFragmentIsThePacketWithoutItsFragmentHeader) {
  // Options in front of the fragment header, whose next-header byte has to change, and without.
  const Bytes data = {'s', 'o', 'm', 'e', 'd', 'a', 't', 'a'};
  Bytes fragment = {kProtocolUdp, 0, 0, 1, 9, 9, 9, 9};
  fragment.insert(fragment.end(), data.begin(), data.end());
  Bytes behind_options = {kProtocolFragment, 0, 1, 4, 0, 0, 0, 0};
  behind_options.insert(behind_options.end(), fragment.begin(), fragment.end());
  Bytes expected_options = {kProtocolUdp, 0, 1, 4, 0, 0, 0, 0};
  expected_options.insert(expected_options.end(), data.begin(), data.end());
  const auto strip = [](Bytes packet) {
    Ipv6Header header;
    EXPECT_EQ(ParseIpv6(packet, header), ParseError::kNone);
    const size_t begin = StripFragmentHeader(packet, header);
    return Bytes(packet.begin() + static_cast<ptrdiff_t>(begin), packet.end());
  };
  EXPECT_EQ(strip(Packet(kProtocolFragment, fragment)), Packet(kProtocolUdp, data));
  EXPECT_EQ(strip(Packet(kProtocolDestinationOptions, behind_options)),
            Packet(kProtocolDestinationOptions, expected_options));
}

TEST(Ipv6, AFragmentsPayloadIsNotWalked) {
  // What stands behind a later fragment's header is data, even where it names an extension.
  Bytes rest = {kProtocolDestinationOptions, 0, 0, 8, 0, 0, 0, 1, 0xff, 0xff};
  Ipv6Header header;
  ASSERT_EQ(ParseIpv6(Packet(kProtocolFragment, rest), header), ParseError::kNone);
  EXPECT_TRUE(header.is_fragment);
  EXPECT_EQ(header.Payload(Packet(kProtocolFragment, rest)).size(), 2u);
}

}  // namespace
}  // namespace tern::wire
