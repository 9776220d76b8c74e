// What autoconfiguration decides from values, and what it keeps of routers.
#include "stack/autoconf.h"

#include <gtest/gtest.h>

#include "stack/learned_routes.h"
#include "stack/routes.h"

namespace tern::stack {
namespace {

constexpr uint32_t kForEver = 0xffffffff;
constexpr Instant At(int64_t seconds) { return Instant::FromNanos(seconds * 1'000'000'000); }
wire::IpAddress Ip(const char* text) { return wire::IpAddress::Parse(text).value(); }
wire::IpPrefix Prefix(const char* text) { return wire::IpPrefix::Parse(text).value(); }

wire::NdpPrefix Announced(const char* prefix, uint32_t valid_s = 3'600, uint32_t preferred_s = 1'800) {
  return {.prefix = Prefix(prefix),
          .on_link = true,
          .autonomous = true,
          .valid_s = valid_s,
          .preferred_s = preferred_s};
}

TEST(Autoconf, WhichPrefixesAreUsed) {
  EXPECT_TRUE(GivesAddress(Announced("2001:db8::/64")));
  EXPECT_TRUE(GivesOnLink(Announced("2001:db8::/64")));
  // RFC 4862 5.5.3 (d): an EUI-64 needs 64 bits before it. On link may be any length.
  EXPECT_FALSE(GivesAddress(Announced("2001:db8::/63")));
  EXPECT_FALSE(GivesAddress(Announced("2001:db8::/65")));
  EXPECT_TRUE(GivesOnLink(Announced("2001:db8::/48")));
  // (c)
  EXPECT_FALSE(GivesAddress(Announced("2001:db8::/64", 100, 101)));
  EXPECT_TRUE(GivesAddress(Announced("2001:db8::/64", 100, 100)));
  // (b), and what no host has.
  for (const char* bad : {"fe80::/64", "ff02::/64", "::/64", "::1/128", "::/0"}) {
    EXPECT_FALSE(GivesAddress(Announced(bad))) << bad;
    EXPECT_FALSE(GivesOnLink(Announced(bad))) << bad;
  }
  // (a), and RFC 4861 6.3.4.
  wire::NdpPrefix flags = Announced("2001:db8::/64");
  flags.autonomous = false;
  EXPECT_FALSE(GivesAddress(flags));
  flags = Announced("2001:db8::/64");
  flags.on_link = false;
  EXPECT_FALSE(GivesOnLink(flags));
}

TEST(Autoconf, AddressesAreMadeOfTheStations) {
  const wire::MacAddress mac({0x02, 0x11, 0x22, 0x33, 0x44, 0x55});
  EXPECT_EQ(FormAddress(Prefix("2001:db8:0:7:ffff::/64"), mac), Ip("2001:db8:0:7:11:22ff:fe33:4455"));
}

TEST(Autoconf, TheTwoHourRule) {
  const auto renewed = [](int64_t left, uint32_t advertised) {
    const Lifetimes old{.preferred_until = At(0), .valid_until = At(1'000 + left)};
    const wire::NdpPrefix prefix = Announced("2001:db8::/64", advertised, std::min(advertised, 10u));
    const Lifetimes now = RenewedLifetimes(old, prefix, At(1'000));
    EXPECT_EQ(now.preferred_until, At(1'000 + std::min<int64_t>(advertised, 10))) << "always as advertised";
    return now.valid_until - At(1'000);
  };
  const auto seconds = [](int64_t n) { return Duration::Seconds(n); };
  EXPECT_EQ(renewed(86'400, 7'201), seconds(7'201)) << "1: more than two hours";
  EXPECT_EQ(renewed(100, 101), seconds(101)) << "1: more than is left";
  EXPECT_EQ(renewed(7'200, 5), seconds(7'200)) << "2: two hours or less are left";
  EXPECT_EQ(renewed(100, 0), seconds(100)) << "2";
  EXPECT_EQ(renewed(86'400, 7'200), seconds(7'200)) << "3";
  EXPECT_EQ(renewed(86'400, 0), seconds(7'200)) << "3: nobody ends an address at once";
  EXPECT_EQ(RenewedLifetimes({}, Announced("2001:db8::/64", kForEver, kForEver), At(5)), Lifetimes());
  EXPECT_EQ(RenewedLifetimes({}, Announced("2001:db8::/64", 0, 0), At(5)).valid_until, At(7'205));
  EXPECT_EQ(FirstLifetimes(Announced("2001:db8::/64", kForEver - 1, 7), At(5)).preferred_until, At(12));
}

TEST(Autoconf, NumbersThatWouldStopTheInterfaceAreNotBelieved) {
  EXPECT_EQ(LinkValues::Mtu(0, 1'500), 0);
  EXPECT_EQ(LinkValues::Mtu(1'279, 1'500), 0);
  EXPECT_EQ(LinkValues::Mtu(1'280, 1'500), 1'280);
  EXPECT_EQ(LinkValues::Mtu(1'500, 1'500), 1'500);
  EXPECT_EQ(LinkValues::Mtu(1'501, 1'500), 0);
  EXPECT_EQ(LinkValues::Mtu(0x10000 + 1'400, 9'000), 0);
  EXPECT_EQ(LinkValues::HopLimit(0), 0);
  EXPECT_EQ(LinkValues::HopLimit(31), 0);
  EXPECT_EQ(LinkValues::HopLimit(32), 32);
  EXPECT_EQ(LinkValues::HopLimit(255), 255);
  EXPECT_EQ(LinkValues::Retrans(0), Duration::Zero());
  EXPECT_EQ(LinkValues::Retrans(1), Duration::Millis(100));
  EXPECT_EQ(LinkValues::Retrans(2'000), Duration::Millis(2'000));
  EXPECT_EQ(LinkValues::Retrans(UINT32_MAX), Duration::Seconds(10));
  Prng random(7);
  EXPECT_EQ(LinkValues::Reachable(0, random), Duration::Zero());
  bool below = false;
  bool above = false;
  for (int i = 0; i < 100; ++i) {
    const Duration drawn = LinkValues::Reachable(20'000, random);
    EXPECT_GE(drawn, Duration::Seconds(10));
    EXPECT_LE(drawn, Duration::Seconds(30));
    below = below || drawn < Duration::Seconds(20);
    above = above || drawn > Duration::Seconds(20);
  }
  EXPECT_TRUE(below && above);
  EXPECT_GE(LinkValues::Reachable(1, random), Duration::Millis(500));
  EXPECT_LE(LinkValues::Reachable(UINT32_MAX, random), Duration::Seconds(5'400));
}

TEST(RouterQuest, AsksThreeTimesFourSecondsApart) {
  RouterQuest quest;
  EXPECT_FALSE(quest.Take(At(100)));
  quest.Begin(At(1));
  EXPECT_FALSE(quest.Take(At(0)));
  EXPECT_TRUE(quest.Take(At(1)));
  EXPECT_FALSE(quest.Take(At(4)));
  EXPECT_TRUE(quest.Take(At(5)));
  EXPECT_EQ(quest.next(), At(9));
  EXPECT_TRUE(quest.Take(At(9)));
  EXPECT_EQ(quest.next(), Instant::Never());
  EXPECT_FALSE(quest.Take(At(1'000)));
  quest.Begin(At(1'000));
  quest.End();
  EXPECT_FALSE(quest.Take(At(1'000)));
}

TEST(LearnedRoutes, RoutersComeGoAndFail) {
  LearnedRoutes learned(1);
  EXPECT_EQ(learned.Default(0), nullptr);
  EXPECT_FALSE(learned.SetRouter(0, Ip("fe80::1"), Duration::Zero(), At(0)));
  EXPECT_TRUE(learned.SetRouter(0, Ip("fe80::1"), Duration::Seconds(10), At(0)));
  EXPECT_TRUE(learned.SetRouter(0, Ip("fe80::2"), Duration::Seconds(30), At(0)));
  EXPECT_FALSE(learned.SetRouter(0, Ip("fe80::1"), Duration::Seconds(20), At(0)));
  EXPECT_EQ(learned.Default(0)->address, Ip("fe80::1"));
  EXPECT_FALSE(learned.SetFailed(0, Ip("fe80::9")));
  EXPECT_FALSE(learned.SetFailed(1, Ip("fe80::1"))) << "on another interface";
  EXPECT_TRUE(learned.SetFailed(0, Ip("fe80::1")));
  EXPECT_EQ(learned.Default(0)->address, Ip("fe80::2"));
  // A new one comes before those that failed; and of those each has its turn.
  EXPECT_TRUE(learned.SetRouter(0, Ip("fe80::3"), Duration::Seconds(40), At(0)));
  EXPECT_TRUE(learned.SetFailed(0, Ip("fe80::2")));
  EXPECT_EQ(learned.Default(0)->address, Ip("fe80::3"));
  EXPECT_TRUE(learned.SetFailed(0, Ip("fe80::3")));
  EXPECT_EQ(learned.Default(0)->address, Ip("fe80::1"));
  learned.SetHeard(0, Ip("fe80::3"));
  EXPECT_EQ(learned.Default(0)->address, Ip("fe80::3"));
  EXPECT_EQ(learned.NextDeadline(), At(20));
  LearnedRoutes::Router gone;
  EXPECT_FALSE(learned.TakeExpired(At(19), &gone));
  EXPECT_TRUE(learned.TakeExpired(At(30), &gone));
  EXPECT_TRUE(learned.TakeExpired(At(30), &gone));
  EXPECT_FALSE(learned.TakeExpired(At(30), &gone));
  EXPECT_EQ(learned.routers().size(), 1u);
  EXPECT_TRUE(learned.SetRouter(0, Ip("fe80::3"), Duration::Zero(), At(31)));
  EXPECT_EQ(learned.Default(0), nullptr);
}

TEST(LearnedRoutes, TablesAreBounded) {
  LearnedRoutes learned(1);
  for (uint8_t i = 1; i < 100; ++i) {
    wire::IpAddress::Bytes bytes = Ip("fe80::").bytes();
    bytes[15] = i;
    EXPECT_EQ(learned.SetRouter(0, wire::IpAddress(bytes), Duration::Seconds(9), At(0)),
              i <= LearnedRoutes::kMaxRouters);
    bytes = Ip("2001:db8::").bytes();
    bytes[7] = i;
    EXPECT_EQ(learned.SetPrefix(0, {wire::IpAddress(bytes), 64}, At(9), At(0)),
              i <= LearnedRoutes::kMaxPrefixes);
  }
  EXPECT_TRUE(learned.SetPrefix(0, Prefix("2001:db8:0:1::/64"), At(0), At(0))) << "gone";
  EXPECT_TRUE(learned.SetPrefix(0, Prefix("2001:db8:0:ff::/64"), At(9), At(0))) << "room again";
  EXPECT_FALSE(LearnedRoutes(0).SetRouter(0, Ip("fe80::1"), Duration::Seconds(9), At(0)));
}

TEST(RouteTable, WhatIsConfiguredBeatsWhatIsLearned) {
  InterfaceConfig interface;
  interface.mac = wire::MacAddress({2, 0, 0, 0, 0, 1});
  interface.addresses = {{Prefix("fd77::1/64")}};
  const std::vector<InterfaceConfig> config(2, interface);
  const LocalAddresses local(config);
  RouteTable learned_only(local, {}, 2);
  const std::vector<Route> routes = {{Prefix("::/0"), Ip("fd77::fe"), 0},
                                     {Prefix("2001:db8:1::/48"), Ip("fd77::fd"), 0}};
  RouteTable both(local, routes, 2);
  const auto hop = [](RouteTable& table, const char* to) {
    const std::optional<NextHop> found = table.Lookup(Ip(to));
    return found ? found->address.ToString() + "%" + std::to_string(found->interface) : "none";
  };
  EXPECT_EQ(hop(learned_only, "2001:db8::9"), "none");
  for (RouteTable* table : {&learned_only, &both}) {
    table->learned().SetRouter(1, Ip("fe80::1"), Duration::Seconds(9), At(0));
    table->learned().SetPrefix(1, Prefix("2001:db8:1:1::/64"), At(9), At(0));
    table->learned().SetPrefix(1, Prefix("fd77::/64"), At(9), At(0));
  }
  EXPECT_EQ(hop(learned_only, "2001:db8::9"), "fe80::1%1");
  EXPECT_EQ(hop(both, "2001:db8::9"), "fd77::fe%0");
  EXPECT_EQ(hop(both, "2001:db8:1:2::9"), "fd77::fd%0");
  EXPECT_EQ(hop(both, "2001:db8:1:1::9"), "2001:db8:1:1::9%1") << "the longer prefix";
  EXPECT_EQ(hop(both, "fd77::9"), "fd77::9%0") << "of equal ones the configured";
  EXPECT_EQ(hop(learned_only, "10.9.9.9"), "none");
}

}  // namespace
}  // namespace tern::stack
