#include "wire/ipv4.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace tern::wire {
namespace {

using Bytes = std::vector<uint8_t>;

// 10.77.0.1 > 10.77.0.2, TCP, DF, id 0x1c46, TTL 64, 24 bytes in all; the sum worked out by hand.
const Bytes kKnown = {0x45, 0x00, 0x00, 0x18, 0x1c, 0x46, 0x40, 0x00, 0x40, 0x06, 0x09, 0xfe,
                      0x0a, 0x4d, 0x00, 0x01, 0x0a, 0x4d, 0x00, 0x02, 'd',  'a',  't',  'a'};

Bytes WithFreshChecksum(Bytes packet) {
  const size_t header_length = static_cast<size_t>(packet[0] & 0xf) * 4;
  StoreBe16(&packet[kIpv4ChecksumOffset], 0);
  StoreBe16(&packet[kIpv4ChecksumOffset], InternetChecksum(std::span(packet).first(header_length)));
  return packet;
}

TEST(Ipv4, KnownPacketRoundTrips) {
  Ipv4Header header;
  ASSERT_EQ(ParseIpv4(kKnown, header), ParseError::kNone);
  EXPECT_EQ(header.src.ToString(), "10.77.0.1");
  EXPECT_EQ(header.dst.ToString(), "10.77.0.2");
  EXPECT_EQ(header.total_length, 24);
  EXPECT_EQ(header.header_length, 20);
  EXPECT_EQ(header.identification, 0x1c46);
  EXPECT_EQ(header.ttl, 64);
  EXPECT_EQ(header.protocol, kProtocolTcp);
  EXPECT_TRUE(header.dont_fragment);
  EXPECT_FALSE(header.IsFragment());
  const auto payload = header.Payload(kKnown);
  EXPECT_EQ(Bytes(payload.begin(), payload.end()), (Bytes{'d', 'a', 't', 'a'}));
  Bytes again = kKnown;
  std::fill_n(again.begin(), 20, 0xee);
  EXPECT_EQ(WriteIpv4(header, again.data()), 20u);
  EXPECT_EQ(again, kKnown);
}

TEST(Ipv4, PaddingIsNotPayload) {
  Bytes padded = kKnown;
  padded.resize(46);
  Ipv4Header header;
  ASSERT_EQ(ParseIpv4(padded, header), ParseError::kNone);
  EXPECT_EQ(header.Payload(padded).size(), 4u);
}

TEST(Ipv4, OptionsAreSkipped) {
  Bytes packet = kKnown;
  packet.insert(packet.begin() + 20, {0x94, 0x04, 0x00, 0x00});  // router alert
  packet[0] = 0x46;
  packet[3] = 28;
  packet = WithFreshChecksum(packet);
  Ipv4Header header;
  ASSERT_EQ(ParseIpv4(packet, header), ParseError::kNone);
  EXPECT_EQ(header.header_length, 24);
  EXPECT_EQ(header.Payload(packet)[0], 'd');
}

TEST(Ipv4, RefusesBadLengthsAndVersion) {
  Ipv4Header header;
  const auto error = [&](size_t at, uint8_t value) {
    Bytes packet = kKnown;
    packet[at] = value;
    return ParseIpv4(packet, header, ChecksumCheck::kTrusted);
  };
  EXPECT_EQ(error(0, 0x65), ParseError::kBadVersion);
  EXPECT_EQ(error(0, 0x44), ParseError::kBadHeaderLength);
  EXPECT_EQ(error(0, 0x4f), ParseError::kBadTotalLength);
  EXPECT_EQ(error(3, 19), ParseError::kBadTotalLength);
  EXPECT_EQ(error(3, 20), ParseError::kNone);
  EXPECT_EQ(error(3, 25), ParseError::kTruncated);
  EXPECT_EQ(ParseIpv4(std::span(kKnown).first(19), header), ParseError::kTruncated);
  EXPECT_EQ(ParseIpv4({}, header), ParseError::kTruncated);
}

TEST(Ipv4, ChecksumIsVerifiedUnlessTrusted) {
  Ipv4Header header;
  for (size_t bit = 0; bit < 160; ++bit) {
    Bytes packet = kKnown;
    packet[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    EXPECT_NE(ParseIpv4(packet, header), ParseError::kNone) << bit;
  }
  Bytes packet = kKnown;
  packet[10] ^= 1;
  EXPECT_EQ(ParseIpv4(packet, header), ParseError::kBadChecksum);
  EXPECT_EQ(ParseIpv4(packet, header, ChecksumCheck::kTrusted), ParseError::kNone);
}

TEST(Ipv4, Fragments) {
  const auto parse = [](uint16_t field, uint16_t payload, Ipv4Header& header) {
    Bytes packet(20u + payload);
    std::copy_n(kKnown.begin(), 20, packet.begin());
    StoreBe16(&packet[2], static_cast<uint16_t>(packet.size()));
    StoreBe16(&packet[6], field);
    return ParseIpv4(WithFreshChecksum(packet), header);
  };
  Ipv4Header header;
  ASSERT_EQ(parse(0x2000, 16, header), ParseError::kNone);  // the first of several
  EXPECT_TRUE(header.IsFragment() && header.more_fragments);
  ASSERT_EQ(parse(0x0003, 5, header), ParseError::kNone);  // the last
  EXPECT_TRUE(header.IsFragment());
  EXPECT_EQ(header.fragment_offset, 24);
  EXPECT_EQ(parse(0x2000, 12, header), ParseError::kBadFragment);  // not in units of 8
  EXPECT_EQ(parse(0x2000, 0, header), ParseError::kBadFragment);
  EXPECT_EQ(parse(0x1fff, 8, header), ParseError::kBadFragment);  // would end past 65535
  EXPECT_EQ(parse(0x1ffd, 8, header), ParseError::kBadFragment);  // fits only without its header
  ASSERT_EQ(parse(0x1ffa, 8, header), ParseError::kNone);
  uint8_t again[20];
  WriteIpv4(header, again);
  EXPECT_EQ(LoadBe16(again + 6), 0x1ffa);
}

}  // namespace
}  // namespace tern::wire
