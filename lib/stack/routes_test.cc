// Addresses, routes, ports, steering and the rate limit.
#include "stack/routes.h"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <vector>

#include "base/token_bucket.h"
#include "stack/addresses.h"
#include "stack/ports.h"
#include "stack/steering.h"

namespace tern::stack {
namespace {

wire::IpAddress Ip(const char* text) { return wire::IpAddress::Parse(text).value(); }
wire::IpPrefix Prefix(const char* text) { return wire::IpPrefix::Parse(text).value(); }

InterfaceConfig Interface(std::vector<LocalAddress> addresses, uint8_t number = 1) {
  InterfaceConfig config;
  config.mac = wire::MacAddress({2, 0, 0, 0, 0, number});
  config.addresses = std::move(addresses);
  return config;
}

TEST(LocalAddresses, KnowsOursOnLinkAndBroadcast) {
  const std::vector<InterfaceConfig> config = {
      Interface({{Prefix("10.77.0.1/24")}, {Prefix("fd77::1/64")}, {Prefix("10.88.0.0/30"), true}})};
  const LocalAddresses local(config);
  EXPECT_TRUE(local.IsOurs(Ip("10.77.0.1")));
  EXPECT_FALSE(local.IsOurs(Ip("10.77.0.2")));
  EXPECT_TRUE(local.IsOurs(Ip("fd77::1")));
  EXPECT_TRUE(local.IsOurs(Ip("10.88.0.1")));
  EXPECT_TRUE(local.IsOurs(Ip("10.88.0.2")));
  EXPECT_FALSE(local.IsOurs(Ip("10.88.0.0")));
  EXPECT_FALSE(local.IsOurs(Ip("10.88.0.3")));
  EXPECT_TRUE(local.IsOurs(wire::IpAddress::LinkLocalFor(config[0].mac)));
  EXPECT_TRUE(local.IsBroadcast(Ip("10.77.0.255")));
  EXPECT_TRUE(local.IsBroadcast(Ip("255.255.255.255")));
  EXPECT_FALSE(local.IsBroadcast(Ip("10.77.0.254")));
  EXPECT_TRUE(local.OnLink(0, Ip("10.77.0.77")));
  EXPECT_FALSE(local.OnLink(1, Ip("10.77.0.77")));
  EXPECT_FALSE(local.OnLink(0, Ip("10.99.0.77")));
}

TEST(LocalAddresses, SourcesComeFromTheNearestPrefixAndPoolsInTurn) {
  const std::vector<InterfaceConfig> config = {Interface({{Prefix("10.77.0.1/24")},
                                                          {Prefix("10.77.1.0/30"), true},
                                                          {Prefix("fd77::1/64")},
                                                          {Prefix("fd88::5/64")}})};
  LocalAddresses local(config);
  EXPECT_EQ(local.SourceFor(0, Ip("10.77.0.9")), Ip("10.77.0.1"));
  EXPECT_EQ(local.SourceFor(0, Ip("10.77.1.2")), Ip("10.77.1.1"));
  EXPECT_EQ(local.SourceFor(0, Ip("10.77.1.2")), Ip("10.77.1.2"));
  EXPECT_EQ(local.SourceFor(0, Ip("10.77.1.2")), Ip("10.77.1.1"));
  EXPECT_EQ(local.SolicitFrom(0, Ip("10.77.1.2")), Ip("10.77.1.1"));
  EXPECT_EQ(local.SourceFor(0, Ip("fd88::9")), Ip("fd88::5"));
  EXPECT_EQ(local.SourceFor(0, Ip("fd77::9")), Ip("fd77::1"));
  EXPECT_EQ(local.SourceFor(0, Ip("fe80::9")), wire::IpAddress::LinkLocalFor(config[0].mac));
  EXPECT_FALSE(local.SourceFor(1, Ip("10.77.0.9")).has_value());
}

TEST(LocalAddresses, PoolsLeaveOutWhatIsNoHost) {
  EXPECT_EQ(PoolSize(Prefix("10.0.0.0/24")), 254u);
  EXPECT_EQ(PoolSize(Prefix("10.0.0.4/31")), 2u);
  EXPECT_EQ(PoolSize(Prefix("10.0.0.4/32")), 1u);
  EXPECT_EQ(PoolSize(Prefix("fd77::/120")), 255u);
  EXPECT_EQ(PoolSize(Prefix("fd77::/64")), 1u << 24);
  EXPECT_EQ(PoolAddress(Prefix("10.0.0.0/24"), 253), Ip("10.0.0.254"));
  EXPECT_EQ(PoolAddress(Prefix("10.0.0.0/24"), 254), Ip("10.0.0.1"));
  EXPECT_EQ(PoolAddress(Prefix("10.0.0.4/31"), 0), Ip("10.0.0.4"));
  EXPECT_EQ(PoolAddress(Prefix("fd77::/64"), 0), Ip("fd77::1"));
}

TEST(RouteTable, LongestPrefixWins) {
  const std::vector<InterfaceConfig> config = {Interface({{Prefix("10.77.0.1/24")}, {Prefix("fd77::1/64")}}),
                                               Interface({{Prefix("10.78.0.1/24")}}, 2)};
  const LocalAddresses local(config);
  const std::vector<Route> routes = {{Prefix("0.0.0.0/0"), Ip("10.77.0.254"), 0},
                                     {Prefix("10.99.0.0/16"), Ip("10.78.0.254"), 1},
                                     {Prefix("10.99.5.0/24"), wire::IpAddress(), 1},
                                     {Prefix("::/0"), Ip("fd77::ffff"), 0}};
  const RouteTable table(local, routes);
  const auto expect = [&](const char* to, const char* via, uint16_t interface) {
    const auto hop = table.Lookup(Ip(to));
    ASSERT_TRUE(hop.has_value()) << to;
    EXPECT_EQ(hop->address, Ip(via)) << to;
    EXPECT_EQ(hop->interface, interface) << to;
  };
  expect("10.77.0.9", "10.77.0.9", 0);
  expect("10.78.0.9", "10.78.0.9", 1);
  expect("8.8.8.8", "10.77.0.254", 0);
  expect("10.99.1.1", "10.78.0.254", 1);
  expect("10.99.5.1", "10.99.5.1", 1);
  expect("2001:db8::1", "fd77::ffff", 0);
  expect("fd77::9", "fd77::9", 0);
  EXPECT_EQ(table.Lookup(Ip("fe80::9"), 1)->interface, 1);
}

TEST(RouteTable, OfEqualRoutesThatOfTheAddressComesFirst) {
  const std::vector<InterfaceConfig> config = {
      Interface({{Prefix("10.77.0.1/24")}, {Prefix("fd77::1/64")}}),
      Interface({{Prefix("10.78.0.1/24")}, {Prefix("fd78::1/64")}}, 2)};
  const LocalAddresses local(config);
  const std::vector<Route> routes = {{Prefix("0.0.0.0/0"), Ip("10.77.0.254"), 0},
                                     {Prefix("0.0.0.0/0"), Ip("10.78.0.254"), 1},
                                     {Prefix("10.99.0.0/16"), Ip("10.77.0.253"), 0}};
  RouteTable table(local, routes, 2);
  const auto hop = [&](const char* to, const char* from) {
    const std::optional<NextHop> found =
        table.Lookup(Ip(to), local.InterfaceOf(Ip(from), /*otherwise=*/kAnyInterface));
    return found ? found->address : wire::IpAddress();
  };
  EXPECT_EQ(hop("8.8.8.8", "10.77.0.1"), Ip("10.77.0.254"));
  EXPECT_EQ(hop("8.8.8.8", "10.78.0.1"), Ip("10.78.0.254"));
  EXPECT_EQ(hop("8.8.8.8", "0.0.0.0"), Ip("10.77.0.254")) << "configured first";
  EXPECT_EQ(hop("10.99.0.1", "10.78.0.1"), Ip("10.77.0.253")) << "a longer prefix decides before";
  const Instant now = Instant::FromNanos(0);
  table.learned().SetRouter(0, Ip("fe80::7"), Duration::Seconds(9), now);
  table.learned().SetRouter(1, Ip("fe80::8"), Duration::Seconds(9), now);
  EXPECT_EQ(hop("2001:db8::1", "fd77::1"), Ip("fe80::7"));
  EXPECT_EQ(hop("2001:db8::1", "fd78::1"), Ip("fe80::8"));
  EXPECT_EQ(hop("2001:db8::1", "::"), Ip("fe80::7"));
  table.learned().SetFailed(1, Ip("fe80::8"));
  EXPECT_EQ(hop("2001:db8::1", "fd78::1"), Ip("fe80::7")) << "unless it does not answer";
  EXPECT_EQ(local.InterfaceOf(Ip("fd78::1"), 0), 1);
  EXPECT_EQ(local.InterfaceOf(Ip("fd99::1"), 5), 5);
}

TEST(RouteTable, NoRouteIsSaid) {
  const std::vector<InterfaceConfig> config = {Interface({{Prefix("10.77.0.1/24")}})};
  const RouteTable table(LocalAddresses(config), {});
  EXPECT_FALSE(table.Lookup(Ip("10.78.0.1")).has_value());
  EXPECT_FALSE(table.Lookup(Ip("fd77::1")).has_value());
}

TEST(PortChooser, GivesEachPortOnceThenSaysNo) {
  PortChooser chooser(HashKey{1, 2});
  wire::FlowKey key{Ip("10.77.0.1"), Ip("10.77.0.2"), 0, 7};
  std::set<uint16_t> taken;
  const auto usable = [&](const wire::FlowKey& k) { return taken.insert(k.local_port).second; };
  for (uint32_t i = 0; i < PortChooser::kCount; ++i) {
    ASSERT_TRUE(chooser.Choose(key, usable));
    ASSERT_GE(key.local_port, PortChooser::kFirst);
  }
  EXPECT_FALSE(chooser.Choose(key, usable));
  EXPECT_EQ(key.local_port, 0);
}

TEST(PortChooser, DestinationsStartElsewhere) {
  PortChooser chooser(HashKey{1, 2});
  std::set<uint16_t> starts;
  for (uint16_t port = 1; port <= 50; ++port) {
    wire::FlowKey key{Ip("10.77.0.1"), Ip("10.77.0.2"), 0, port};
    ASSERT_TRUE(chooser.Choose(key, [](const wire::FlowKey&) { return true; }));
    starts.insert(key.local_port);
  }
  EXPECT_GT(starts.size(), 45u);
}

// The key and hashes that NIC vendors publish for verifying receive-side scaling.
constexpr std::array<uint8_t, 40> kPublishedKey = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

TEST(Steering, HashesAsPublished) {
  const Steering steering(kPublishedKey, 4);
  const wire::FlowKey v4{Ip("161.142.100.80"), Ip("66.9.149.187"), 1766, 2794};
  EXPECT_EQ(steering.HashOf(v4), 0x51ccc178u);
  const wire::FlowKey v6{Ip("3ffe:2501:200:3::1"), Ip("3ffe:2501:200:1fff::7"), 1766, 2794};
  EXPECT_EQ(steering.HashOf(v6), 0x40207d3du);
  EXPECT_EQ(steering.OwnerOf(v4), (0x78 & 127) % 4);
}

std::vector<uint8_t> Ipv4Frame(const wire::IpAddress& src, const wire::IpAddress& dst, uint8_t protocol,
                               const std::vector<uint8_t>& payload) {
  std::vector<uint8_t> f(14 + 20, 0);
  f[12] = 0x08;
  f[14] = 0x45;
  f[14 + 9] = protocol;
  src.StoreV4(f.data() + 14 + 12);
  dst.StoreV4(f.data() + 14 + 16);
  f.insert(f.end(), payload.begin(), payload.end());
  return f;
}

TEST(Steering, FramesGoToTheOwnerOfTheirTuple) {
  const Steering steering(kPublishedKey, 5);
  const wire::FlowKey key{Ip("161.142.100.80"), Ip("66.9.149.187"), 1766, 2794};
  const uint16_t owner = steering.OwnerOf(key);
  const auto here = static_cast<uint16_t>((owner + 1) % 5);
  const std::vector<uint8_t> ports = {2794 >> 8, 2794 & 0xff, 1766 >> 8, 1766 & 0xff, 0, 0, 0, 0};
  const std::vector<uint8_t> frame = Ipv4Frame(key.remote, key.local, wire::kProtocolTcp, ports);
  EXPECT_EQ(steering.OwnerOfFrame(frame, here), owner);
  for (size_t n = 0; n < frame.size(); ++n) {
    EXPECT_EQ(steering.OwnerOfFrame(std::span(frame).first(n), here), here);
  }
  std::vector<uint8_t> tagged = frame;
  tagged.insert(tagged.begin() + 12, {0x81, 0x00, 0x00, 0x05});
  EXPECT_EQ(steering.OwnerOfFrame(tagged, here), owner);
  std::vector<uint8_t> fragment = frame;
  fragment[14 + 6] = 0x20;
  // All of a packet's fragments meet, ports or none, at the worker that RSS chooses without ports.
  const uint16_t meets = steering.OwnerOf({key.local, key.remote, 0, 0});
  EXPECT_EQ(steering.OwnerOfFrame(fragment, here), meets);
  fragment[14 + 7] = 0xb9;
  fragment.resize(14 + 20 + 1);
  EXPECT_EQ(steering.OwnerOfFrame(fragment, here), meets);
  EXPECT_EQ(steering.OwnerOfFrame(Ipv4Frame(key.remote, key.local, wire::kProtocolUdp, ports), here), here);
  EXPECT_EQ(Steering(kPublishedKey, 1).OwnerOfFrame(frame, 0), 0);
}

TEST(Steering, IcmpErrorsFollowWhatTheyQuote) {
  const Steering steering(kPublishedKey, 5);
  const wire::FlowKey key{Ip("161.142.100.80"), Ip("66.9.149.187"), 1766, 2794};
  const auto here = static_cast<uint16_t>((steering.OwnerOf(key) + 1) % 5);
  // What we sent: from our port 1766 to 2794.
  const std::vector<uint8_t> quoted = Ipv4Frame(key.local, key.remote, wire::kProtocolTcp,
                                                {1766 >> 8, 1766 & 0xff, 2794 >> 8, 2794 & 0xff, 0, 0, 0, 0});
  std::vector<uint8_t> icmp = {3, 1, 0, 0, 0, 0, 0, 0};
  icmp.insert(icmp.end(), quoted.begin() + 14, quoted.end());
  const std::vector<uint8_t> error = Ipv4Frame(Ip("66.9.149.1"), key.local, wire::kProtocolIcmp, icmp);
  EXPECT_EQ(steering.OwnerOfFrame(error, here), steering.OwnerOf(key));
  icmp[0] = 8;  // an echo request that happens to carry the same bytes
  EXPECT_EQ(steering.OwnerOfFrame(Ipv4Frame(Ip("66.9.149.1"), key.local, wire::kProtocolIcmp, icmp), here),
            here);
}

// RFC 4862: one worker configures addresses for all, and hears what concerns that.
TEST(Steering, WhatConfiguresAddressesGoesToOneWorker) {
  const Steering steering(kPublishedKey, 5);
  constexpr uint16_t kHere = 3;
  const auto owner = [&](uint8_t type, const char* src, const char* dst) {
    std::vector<uint8_t> f(14 + 40 + 24, 0);
    f[12] = 0x86;
    f[13] = 0xdd;
    f[14] = 0x60;
    f[14 + 6] = wire::kProtocolIcmpv6;
    Ip(src).StoreV6(f.data() + 14 + 8);
    Ip(dst).StoreV6(f.data() + 14 + 24);
    f[14 + 40] = type;
    return steering.OwnerOfFrame(f, kHere);
  };
  EXPECT_EQ(owner(wire::kIcmpv6RouterAdvert, "fe80::1", "ff02::1"), Steering::kSpeaker);
  EXPECT_EQ(owner(wire::kIcmpv6RouterAdvert, "fe80::1", "fe80::2"), Steering::kSpeaker);
  EXPECT_EQ(owner(wire::kIcmpv6NeighborSolicit, "::", "ff02::1:ff00:1"), Steering::kSpeaker);
  EXPECT_EQ(owner(wire::kIcmpv6NeighborAdvert, "fd77::1", "ff02::1"), Steering::kSpeaker);
  // Ordinary resolution stays where it arrived; what it teaches is told to all.
  EXPECT_EQ(owner(wire::kIcmpv6NeighborSolicit, "fd77::2", "ff02::1:ff00:1"), kHere);
  EXPECT_EQ(owner(wire::kIcmpv6NeighborAdvert, "fd77::1", "fd77::2"), kHere);
  EXPECT_EQ(owner(wire::kIcmpv6EchoRequest, "fd77::1", "fd77::2"), kHere);
}

TEST(TokenBucket, LetsABurstThroughThenAPace) {
  TokenBucket bucket(Duration::Millis(10), 3);
  const auto take = [&](int64_t millis) { return bucket.Take(Instant::FromNanos(millis * 1'000'000)); };
  EXPECT_TRUE(take(1000) && take(1000) && take(1000));
  EXPECT_FALSE(take(1000));
  EXPECT_FALSE(take(1009));
  EXPECT_TRUE(take(1010));
  EXPECT_FALSE(take(1011));
  EXPECT_TRUE(take(5000) && take(5000) && take(5000));
  EXPECT_FALSE(take(5000));
}

}  // namespace
}  // namespace tern::stack
