#include "wire/ndp.h"

#include <gtest/gtest.h>

#include <vector>

namespace tern::wire {
namespace {

using Bytes = std::vector<uint8_t>;

const IpAddress kOurs = *IpAddress::Parse("fd77::12:3456");
const IpAddress kTheirs = *IpAddress::Parse("fd77::2");
const IpAddress kRouter = *IpAddress::Parse("fe80::1");
const MacAddress kMac = *MacAddress::Parse("02:00:00:00:00:02");

// A message as it came, kept alive beside its view.
struct Received {
  Bytes bytes;
  NdpContext context;
  IcmpMessage message() const {
    IcmpMessage message;
    EXPECT_EQ(ParseIcmpv6(bytes, context.src, context.dst, message, ChecksumCheck::kTrusted),
              ParseError::kNone);
    return message;
  }
};

template <typename Value, typename Write>
Received Sent(Write write, const Value& value, const IpAddress& src, const IpAddress& dst) {
  Received received{Bytes(kNdpMaxMessage, 0xee), {src, dst, kNdpHopLimit}};
  received.bytes.resize(write(value, src, dst, received.bytes.data()));
  EXPECT_TRUE(TransportChecksumValid(src, dst, kProtocolIcmpv6, received.bytes));
  return received;
}

Received Solicit(std::optional<MacAddress> mac, const IpAddress& src) {
  return Sent(WriteNeighborSolicit, NeighborSolicit{kOurs, mac}, src, kOurs.SolicitedNode());
}

TEST(NeighborSolicit, KnownBytesRoundTrip) {
  const Received received = Solicit(kMac, kTheirs);
  Bytes known = {135, 0, 0, 0, 0, 0,    0,    0,    0xfd, 0x77, 0, 0, 0, 0, 0, 0,
                 0,   0, 0, 0, 0, 0x12, 0x34, 0x56, 1,    1,    2, 0, 0, 0, 0, 2};
  StoreBe16(&known[2], TransportChecksum(kTheirs, kOurs.SolicitedNode(), kProtocolIcmpv6, known));
  EXPECT_EQ(received.bytes, known);
  NeighborSolicit value;
  ASSERT_EQ(ParseNeighborSolicit(received.message(), received.context, value), ParseError::kNone);
  EXPECT_EQ(value.target, kOurs);
  EXPECT_EQ(value.source_mac, kMac);
}

TEST(NeighborSolicit, ValidityChecks) {
  NeighborSolicit value;
  const auto parse = [&](const Received& r) { return ParseNeighborSolicit(r.message(), r.context, value); };
  Received good = Solicit(std::nullopt, IpAddress());
  EXPECT_EQ(parse(good), ParseError::kNone);  // duplicate address detection
  EXPECT_FALSE(value.source_mac.has_value());
  good.context.dst = kOurs;
  EXPECT_EQ(parse(good), ParseError::kBadField);
  EXPECT_EQ(parse(Solicit(kMac, IpAddress())), ParseError::kBadField);

  good = Solicit(kMac, kTheirs);
  Received bad = good;
  bad.context.hop_limit = 254;
  EXPECT_EQ(parse(bad), ParseError::kBadField);
  bad = good;
  bad.bytes[1] = 1;
  EXPECT_EQ(parse(bad), ParseError::kBadField);
  bad = good;
  bad.bytes[8] = 0xff;
  EXPECT_EQ(parse(bad), ParseError::kBadField);
  bad = good;
  bad.bytes.resize(23);
  EXPECT_EQ(parse(bad), ParseError::kTruncated);
}

TEST(NeighborSolicit, Options) {
  NeighborSolicit value;
  Received received = Solicit(std::nullopt, kTheirs);
  const auto parse = [&](const Bytes& options) {
    Received r = received;
    r.bytes.reserve(256);
    r.bytes.insert(r.bytes.end(), options.begin(), options.end());
    return ParseNeighborSolicit(r.message(), r.context, value);
  };
  EXPECT_EQ(parse({1, 0, 2, 0, 0, 0, 0, 2}), ParseError::kBadOption);  // length zero
  EXPECT_EQ(parse({1, 2, 2, 0, 0, 0, 0, 2}), ParseError::kBadOption);  // overruns
  EXPECT_EQ(parse({1}), ParseError::kBadOption);
  EXPECT_EQ(parse({99, 1, 9, 9, 9, 9, 9, 9, 1, 1, 2, 0, 0, 0, 0, 2, 1, 1, 2, 0, 0, 0, 0, 3}),
            ParseError::kNone);
  EXPECT_EQ(value.source_mac, kMac);  // behind an unknown one; the first of two
  EXPECT_EQ(parse({1, 1, 3, 0, 0, 0, 0, 2}), ParseError::kNone);
  EXPECT_FALSE(value.source_mac.has_value());  // a group address is nobody's
  EXPECT_EQ(parse({2, 1, 2, 0, 0, 0, 0, 2}), ParseError::kNone);
  EXPECT_FALSE(value.source_mac.has_value());  // the target's, not the source's
}

TEST(NeighborSolicit, NonceRoundTripsBesideTheLinkAddress) {
  const NeighborSolicit sent{.target = kOurs, .source_mac = kMac, .nonce = 0x0102030405ff};
  Received received = Sent(WriteNeighborSolicit, sent, kTheirs, kOurs.SolicitedNode());
  EXPECT_EQ(received.bytes.size(), 24u + 8 + 8);
  NeighborSolicit value;
  ASSERT_EQ(ParseNeighborSolicit(received.message(), received.context, value), ParseError::kNone);
  EXPECT_EQ(value.source_mac, kMac);
  EXPECT_EQ(value.nonce, 0x0102030405ffu);
  received.bytes[33] = 2;  // longer than the packet
  EXPECT_EQ(ParseNeighborSolicit(received.message(), received.context, value), ParseError::kBadOption);
}

TEST(NeighborAdvert, RoundTripsWithEachFlag) {
  for (unsigned mask = 0; mask < 8; ++mask) {
    const NeighborAdvert sent{.target = kTheirs,
                              .router = (mask & 1) != 0,
                              .solicited = (mask & 2) != 0,
                              .override = (mask & 4) != 0,
                              .target_mac = kMac};
    const Received received = Sent(WriteNeighborAdvert, sent, kTheirs, kOurs);
    EXPECT_EQ(received.bytes[4], mask % 2 * 0x80 + (mask & 2) / 2 * 0x40 + mask / 4 * 0x20);
    NeighborAdvert value;
    ASSERT_EQ(ParseNeighborAdvert(received.message(), received.context, value), ParseError::kNone);
    EXPECT_EQ(value.target, kTheirs);
    EXPECT_EQ(value.router, sent.router);
    EXPECT_EQ(value.solicited, sent.solicited);
    EXPECT_EQ(value.override, sent.override);
    EXPECT_EQ(value.target_mac, kMac);
  }
}

TEST(NeighborAdvert, ValidityChecks) {
  NeighborAdvert value;
  Received r =
      Sent(WriteNeighborAdvert, NeighborAdvert{.target = kTheirs, .solicited = true}, kTheirs, kOurs);
  ASSERT_EQ(ParseNeighborAdvert(r.message(), r.context, value), ParseError::kNone);
  EXPECT_FALSE(value.target_mac.has_value());
  r.context.dst = IpAddress::AllNodes();
  EXPECT_EQ(ParseNeighborAdvert(r.message(), r.context, value), ParseError::kBadField);
  r.context.dst = kOurs;
  r.context.hop_limit = 64;
  EXPECT_EQ(ParseNeighborAdvert(r.message(), r.context, value), ParseError::kBadField);
}

TEST(RouterSolicit, RoundTripsAndChecks) {
  RouterSolicit value;
  Received r = Sent(WriteRouterSolicit, RouterSolicit{kMac}, kRouter, IpAddress::AllRouters());
  EXPECT_EQ(r.bytes.size(), 16u);
  ASSERT_EQ(ParseRouterSolicit(r.message(), r.context, value), ParseError::kNone);
  EXPECT_EQ(value.source_mac, kMac);
  r.context.src = IpAddress();
  EXPECT_EQ(ParseRouterSolicit(r.message(), r.context, value), ParseError::kBadField);
}

TEST(RouterAdvert, RoundTripsWithAllOptions) {
  RouterAdvert sent{.hop_limit = 64,
                    .managed = true,
                    .lifetime_s = 1800,
                    .reachable_ms = 30000,
                    .retrans_ms = 1000,
                    .source_mac = kMac,
                    .mtu = 1500,
                    .prefix_count = 2};
  sent.prefixes[0] = {*IpPrefix::Parse("fd77::/64"), true, true, 86400, 14400};
  sent.prefixes[1] = {*IpPrefix::Parse("2001:db8::/32"), true, false, 0xffffffff, 0xffffffff};
  const Received r = Sent(WriteRouterAdvert, sent, kRouter, IpAddress::AllNodes());
  EXPECT_EQ(r.bytes.size(), 16u + 8 + 8 + 64);
  EXPECT_EQ(LoadBe32(&r.bytes[4]), 0x40800708u);
  RouterAdvert value;
  ASSERT_EQ(ParseRouterAdvert(r.message(), r.context, value), ParseError::kNone);
  EXPECT_EQ(value.hop_limit, 64);
  EXPECT_TRUE(value.managed);
  EXPECT_FALSE(value.other_config);
  EXPECT_EQ(value.lifetime_s, 1800);
  EXPECT_EQ(value.reachable_ms, 30000u);
  EXPECT_EQ(value.retrans_ms, 1000u);
  EXPECT_EQ(value.source_mac, kMac);
  EXPECT_EQ(value.mtu, 1500u);
  ASSERT_EQ(value.prefix_count, 2);
  EXPECT_EQ(value.prefixes[0], sent.prefixes[0]);
  EXPECT_EQ(value.prefixes[1], sent.prefixes[1]);
}

TEST(RouterAdvert, ValidityChecks) {
  RouterAdvert sent;
  sent.prefix_count = 4;
  for (auto& prefix : sent.prefixes) prefix.prefix = *IpPrefix::Parse("fd77::/64");
  Received r = Sent(WriteRouterAdvert, sent, kRouter, IpAddress::AllNodes());
  EXPECT_EQ(r.bytes.size(), 16u + 128);
  RouterAdvert value;
  // A fifth prefix is ignored, an impossible length too.
  Bytes more(r.bytes.end() - 32, r.bytes.end());
  Received five = r;
  five.bytes.insert(five.bytes.end(), more.begin(), more.end());
  ASSERT_EQ(ParseRouterAdvert(five.message(), five.context, value), ParseError::kNone);
  EXPECT_EQ(value.prefix_count, 4);
  r.bytes[18] = 129;
  ASSERT_EQ(ParseRouterAdvert(r.message(), r.context, value), ParseError::kNone);
  EXPECT_EQ(value.prefix_count, 3);

  Received bad = r;
  bad.context.src = kTheirs;  // not link-local
  EXPECT_EQ(ParseRouterAdvert(bad.message(), bad.context, value), ParseError::kBadField);
  bad = r;
  bad.context.hop_limit = 1;
  EXPECT_EQ(ParseRouterAdvert(bad.message(), bad.context, value), ParseError::kBadField);
  bad = r;
  bad.bytes.resize(15);
  EXPECT_EQ(ParseRouterAdvert(bad.message(), bad.context, value), ParseError::kTruncated);
}

}  // namespace
}  // namespace tern::wire
