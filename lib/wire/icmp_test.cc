#include "wire/icmp.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "wire/icmpv6.h"
#include "wire/ipv6.h"

namespace tern::wire {
namespace {

using Bytes = std::vector<uint8_t>;

const IpAddress kOurs = *IpAddress::Parse("fd77::1");
const IpAddress kTheirs = *IpAddress::Parse("fd77::2");

Bytes ToBytes(std::span<const uint8_t> span) { return Bytes(span.begin(), span.end()); }

Bytes Icmp(const IcmpMessage& message) {
  Bytes bytes(kIcmpHeader + message.body.size(), 0xee);
  EXPECT_EQ(WriteIcmp(message, bytes.data()), bytes.size());
  return bytes;
}

TEST(Icmp, KnownEchoRoundTrips) {
  // Identifier 0x1234, sequence 1, data "abc"; the sum worked out by hand.
  const Bytes known = {8, 0, 0x21, 0x68, 0x12, 0x34, 0, 1, 'a', 'b', 'c'};
  IcmpMessage message;
  ASSERT_EQ(ParseIcmp(known, message), ParseError::kNone);
  EXPECT_EQ(message.type, kIcmpEchoRequest);
  EXPECT_EQ(message.identifier(), 0x1234);
  EXPECT_EQ(message.sequence(), 1);
  EXPECT_EQ(ToBytes(message.body), (Bytes{'a', 'b', 'c'}));
  EXPECT_EQ(Icmp(message), known);
  IcmpMessage again{.type = kIcmpEchoRequest, .body = message.body};
  again.SetEcho(0x1234, 1);
  EXPECT_EQ(Icmp(again), known);
}

TEST(Icmp, TheBodyMayStandInItsPlace) {
  for (size_t n = 0; n < 80; ++n) {
    Bytes bytes(kIcmpHeader + n);
    for (size_t i = 0; i < n; ++i) bytes[kIcmpHeader + i] = static_cast<uint8_t>(i * 7 + 1);
    const Bytes body(bytes.begin() + kIcmpHeader, bytes.end());
    WriteIcmp({.type = kIcmpEchoReply, .body = std::span(bytes).subspan(kIcmpHeader)}, bytes.data());
    IcmpMessage back;
    ASSERT_EQ(ParseIcmp(bytes, back), ParseError::kNone) << n;
    EXPECT_EQ(ToBytes(back.body), body);
  }
}

TEST(Icmp, RefusesShortAndDamaged) {
  IcmpMessage message;
  const Bytes good = Icmp({.type = kIcmpEchoRequest, .rest = 7});
  EXPECT_EQ(ParseIcmp(std::span(good).first(7), message), ParseError::kTruncated);
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes bad = good;
    bad[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    EXPECT_EQ(ParseIcmp(bad, message), ParseError::kBadChecksum) << bit;
    EXPECT_EQ(ParseIcmp(bad, message, ChecksumCheck::kTrusted), ParseError::kNone);
  }
}

// An IPv4 datagram as an error quotes it: the header claims more than is quoted.
Bytes QuotedV4(size_t transport_bytes) {
  Bytes bytes(kIpv4MinHeader + transport_bytes);
  WriteIpv4({.src = IpAddress::FromV4(10, 77, 0, 1),
             .dst = IpAddress::FromV4(10, 77, 0, 2),
             .total_length = 1500,
             .ttl = 1,
             .protocol = kProtocolTcp},
            bytes.data());
  const Bytes transport = {0x9c, 0x40, 0x00, 0x07, 0xff, 0xff, 0xff, 0xfe};
  std::copy_n(transport.begin(), std::min<size_t>(transport_bytes, 8), bytes.begin() + kIpv4MinHeader);
  return bytes;
}

TEST(Icmp, ErrorCarriesMtuAndQuote) {
  const Bytes quoted = QuotedV4(8);
  const Bytes bytes = Icmp({.type = kIcmpDestinationUnreachable,
                            .code = kUnreachableFragmentationNeeded,
                            .rest = 1400,
                            .body = quoted});
  IcmpMessage message;
  ASSERT_EQ(ParseIcmp(bytes, message), ParseError::kNone);
  EXPECT_TRUE(IsIcmpError(message.type));
  EXPECT_FALSE(IsIcmpError(kIcmpEchoRequest));
  EXPECT_EQ(message.next_hop_mtu(), 1400);
  IcmpQuote quote;
  ASSERT_EQ(ParseIcmpQuote(message.body, quote), ParseError::kNone);
  EXPECT_EQ(quote.src.ToString(), "10.77.0.1");
  EXPECT_EQ(quote.dst.ToString(), "10.77.0.2");
  EXPECT_EQ(quote.protocol, kProtocolTcp);
  EXPECT_EQ(quote.src_port, 40000);
  EXPECT_EQ(quote.dst_port, 7);
  EXPECT_EQ(quote.seq, SeqNum(0xfffffffe));
  EXPECT_EQ(quote.transport.size(), 8u);
}

TEST(IcmpQuote, RefusesWhatNamesNoFlow) {
  IcmpQuote quote;
  EXPECT_EQ(ParseIcmpQuote(QuotedV4(7), quote), ParseError::kTruncated);
  EXPECT_EQ(ParseIcmpQuote({}, quote), ParseError::kTruncated);
  Bytes bytes = QuotedV4(8);
  bytes[0] = 0x46;
  EXPECT_EQ(ParseIcmpQuote(bytes, quote), ParseError::kTruncated);
  bytes[0] = 0x44;
  EXPECT_EQ(ParseIcmpQuote(bytes, quote), ParseError::kBadHeaderLength);
  bytes[0] = 0x65;
  EXPECT_EQ(ParseIcmpQuote(bytes, quote), ParseError::kBadVersion);
  bytes = QuotedV4(8);
  bytes[7] = 1;
  EXPECT_EQ(ParseIcmpQuote(bytes, quote), ParseError::kBadFragment);
}

Bytes QuotedV6(uint8_t next_header, const Bytes& rest) {
  Bytes bytes(kIpv6Header + rest.size());
  WriteIpv6({.src = kOurs, .dst = kTheirs, .payload_length = 1400, .protocol = next_header}, bytes.data());
  std::copy(rest.begin(), rest.end(), bytes.begin() + kIpv6Header);
  return bytes;
}

TEST(IcmpQuote, ReadsIpv6BehindExtensions) {
  const Bytes fragment_then_tcp = {kProtocolTcp, 0, 0, 1, 0, 0, 0, 9, 0x9c, 0x40, 0, 7, 0, 0, 0, 5};
  IcmpQuote quote;
  ASSERT_EQ(ParseIcmpv6Quote(QuotedV6(kProtocolFragment, fragment_then_tcp), quote), ParseError::kNone);
  EXPECT_EQ(quote.src, kOurs);
  EXPECT_EQ(quote.dst, kTheirs);
  EXPECT_EQ(quote.protocol, kProtocolTcp);
  EXPECT_EQ(quote.src_port, 40000);
  EXPECT_EQ(quote.seq, SeqNum(5));

  Bytes later = fragment_then_tcp;
  later[3] = 0x08;
  EXPECT_EQ(ParseIcmpv6Quote(QuotedV6(kProtocolFragment, later), quote), ParseError::kBadFragment);
  EXPECT_EQ(ParseIcmpv6Quote(QuotedV6(kProtocolTcp, Bytes(7)), quote), ParseError::kTruncated);
  EXPECT_EQ(ParseIcmpv6Quote(QuotedV6(kProtocolDestinationOptions, {6, 9, 0, 0, 0, 0, 0, 0}), quote),
            ParseError::kTruncated);
  EXPECT_EQ(ParseIcmpv6Quote(QuotedV4(40), quote), ParseError::kBadVersion);
}

TEST(Icmpv6, ChecksumCoversTheAddresses) {
  const Bytes quoted = QuotedV6(kProtocolTcp, Bytes(8));
  Bytes bytes(kIcmpHeader + quoted.size());
  WriteIcmpv6({.type = kIcmpv6PacketTooBig, .rest = 1280, .body = quoted}, kTheirs, kOurs, bytes.data());
  EXPECT_TRUE(TransportChecksumValid(kTheirs, kOurs, kProtocolIcmpv6, bytes));
  IcmpMessage message;
  ASSERT_EQ(ParseIcmpv6(bytes, kTheirs, kOurs, message), ParseError::kNone);
  EXPECT_EQ(message.type, kIcmpv6PacketTooBig);
  EXPECT_EQ(message.rest, 1280u);
  EXPECT_TRUE(IsIcmpv6Error(message.type));
  EXPECT_FALSE(IsIcmpv6Error(kIcmpv6EchoRequest));
  EXPECT_EQ(ParseIcmpv6(bytes, kTheirs, *IpAddress::Parse("fd77::3"), message), ParseError::kBadChecksum);
  EXPECT_EQ(ParseIcmpv6(std::span(bytes).first(7), kTheirs, kOurs, message), ParseError::kTruncated);
}

TEST(Icmpv6, KnownEcho) {
  // ::1 to ::1, identifier 1, sequence 2, no data; 1 + 1 + 8 + 58 + 0x8000 + 1 + 2, complemented.
  const IpAddress loopback = *IpAddress::Parse("::1");
  Bytes bytes(kIcmpHeader);
  IcmpMessage message{.type = kIcmpv6EchoRequest};
  message.SetEcho(1, 2);
  WriteIcmpv6(message, loopback, loopback, bytes.data());
  EXPECT_EQ(bytes, (Bytes{0x80, 0, 0x7f, 0xb8, 0, 1, 0, 2}));
}

}  // namespace
}  // namespace tern::wire
