#include "wire/ethernet.h"

#include <gtest/gtest.h>

#include <vector>

#include "wire/arp.h"

namespace tern::wire {
namespace {

using Bytes = std::vector<uint8_t>;

const MacAddress kDst = *MacAddress::Parse("02:00:00:00:00:02");
const MacAddress kSrc = *MacAddress::Parse("02:00:00:00:00:01");

TEST(Ethernet, UntaggedRoundTrips) {
  const Bytes bytes = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd};
  EthernetHeader header;
  ASSERT_EQ(ParseEthernet(bytes, header), ParseError::kNone);
  EXPECT_EQ(header.dst, kDst);
  EXPECT_EQ(header.src, kSrc);
  EXPECT_EQ(header.ether_type, kEtherTypeIpv6);
  EXPECT_FALSE(header.tagged);
  EXPECT_EQ(header.vlan_id(), 0);
  Bytes again(header.header_length());
  EXPECT_EQ(WriteEthernet(header, again.data()), 14u);
  EXPECT_EQ(again, bytes);
}

TEST(Ethernet, TaggedRoundTrips) {
  const Bytes bytes = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0x00, 0xa0, 0x64, 0x08, 0x00};
  EthernetHeader header;
  ASSERT_EQ(ParseEthernet(bytes, header), ParseError::kNone);
  EXPECT_EQ(header.ether_type, kEtherTypeIpv4);
  EXPECT_TRUE(header.tagged);
  EXPECT_EQ(header.vlan_id(), 100);
  EXPECT_EQ(header.vlan_tci >> 13, 5);
  Bytes again(header.header_length());
  EXPECT_EQ(WriteEthernet(header, again.data()), 18u);
  EXPECT_EQ(again, bytes);
}

TEST(Ethernet, RefusesShortDoubleTaggedAndLengthFrames) {
  EthernetHeader header;
  Bytes bytes = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0x00, 0, 5, 0x81, 0x00, 0, 6, 8, 0};
  EXPECT_EQ(ParseEthernet(bytes, header), ParseError::kUnsupported);
  bytes[12] = 0x88;
  bytes[13] = 0xa8;
  EXPECT_EQ(ParseEthernet(bytes, header), ParseError::kUnsupported);
  bytes[12] = 0x05;
  EXPECT_EQ(ParseEthernet(bytes, header), ParseError::kUnsupported);
  bytes[12] = 0x81;
  bytes[13] = 0x00;
  EXPECT_EQ(ParseEthernet(std::span(bytes).first(17), header), ParseError::kTruncated);
  EXPECT_EQ(ParseEthernet(std::span(bytes).first(13), header), ParseError::kTruncated);
}

TEST(Arp, RequestRoundTrips) {
  const Bytes bytes = {0,    1,    8, 0, 6, 4, 0, 1, 2, 0, 0,    0,    0, 1,
                       0x0a, 0x4d, 0, 1, 0, 0, 0, 0, 0, 0, 0x0a, 0x4d, 0, 2};
  ArpPacket packet;
  ASSERT_EQ(ParseArp(bytes, packet), ParseError::kNone);
  EXPECT_EQ(packet.operation, ArpOperation::kRequest);
  EXPECT_EQ(packet.sender_mac, kSrc);
  EXPECT_EQ(packet.sender_ip.ToString(), "10.77.0.1");
  EXPECT_TRUE(packet.target_mac.IsZero());
  EXPECT_EQ(packet.target_ip.ToString(), "10.77.0.2");
  EXPECT_FALSE(packet.IsProbe() || packet.IsAnnouncement());
  Bytes again(kArpPacket);
  EXPECT_EQ(WriteArp(packet, again.data()), kArpPacket);
  EXPECT_EQ(again, bytes);

  packet.sender_ip = IpAddress::UnspecifiedV4();
  EXPECT_TRUE(packet.IsProbe());
  packet.sender_ip = packet.target_ip;
  EXPECT_TRUE(packet.IsAnnouncement());
}

TEST(Arp, RefusesOtherMediaAndOperations) {
  ArpPacket packet;
  Bytes bytes(kArpPacket);
  WriteArp({.operation = ArpOperation::kReply}, bytes.data());
  ASSERT_EQ(ParseArp(bytes, packet), ParseError::kNone);
  EXPECT_EQ(packet.operation, ArpOperation::kReply);
  EXPECT_EQ(ParseArp(std::span(bytes).first(27), packet), ParseError::kTruncated);
  for (const size_t at : {1u, 2u, 4u, 5u, 7u}) {
    Bytes bad = bytes;
    bad[at] ^= 0x40;
    EXPECT_EQ(ParseArp(bad, packet), ParseError::kUnsupported) << at;
  }
}

}  // namespace
}  // namespace tern::wire
