#include "wire/ip_address.h"

#include <gtest/gtest.h>

#include "wire/endian.h"

namespace tern::wire {
namespace {

std::string Canonical(std::string_view text) {
  const auto ip = IpAddress::Parse(text);
  return ip ? ip->ToString() : "refused";
}

TEST(Endian, IsBigEndianAtAnyAlignment) {
  uint8_t bytes[24] = {};
  for (size_t at = 0; at < 8; ++at) {
    StoreBe64(bytes + at, 0x0102030405060708);
    EXPECT_EQ(bytes[at], 1);
    EXPECT_EQ(bytes[at + 7], 8);
    EXPECT_EQ(LoadBe64(bytes + at), 0x0102030405060708u);
    EXPECT_EQ(LoadBe32(bytes + at), 0x01020304u);
    EXPECT_EQ(LoadBe16(bytes + at), 0x0102u);
    StoreBe32(bytes + at, 0xa1b2c3d4);
    StoreBe16(bytes + at + 4, 0xe5f6);
    EXPECT_EQ(LoadBe64(bytes + at), 0xa1b2c3d4e5f60708u);
  }
}

TEST(IpAddress, V4IsMapped) {
  const auto ip = IpAddress::FromV4(0x0a4d0001);
  EXPECT_TRUE(ip.IsV4());
  EXPECT_EQ(ip.v4(), 0x0a4d0001u);
  EXPECT_EQ(ip, IpAddress::FromV4(10, 77, 0, 1));
  EXPECT_EQ(ip, *IpAddress::Parse("::ffff:10.77.0.1"));
  EXPECT_EQ(ip, *IpAddress::Parse("::ffff:a4d:1"));
  EXPECT_EQ(ip.bytes()[10], 0xff);
  EXPECT_FALSE(IpAddress::Parse("::fffe:10.77.0.1")->IsV4());
  EXPECT_FALSE(IpAddress::Parse("1::ffff:10.77.0.1")->IsV4());
  EXPECT_FALSE(IpAddress().IsV4());
}

TEST(IpAddress, TextRoundTrips) {
  EXPECT_EQ(Canonical("0.0.0.0"), "0.0.0.0");
  EXPECT_EQ(Canonical("255.255.255.255"), "255.255.255.255");
  EXPECT_EQ(Canonical("10.77.0.1"), "10.77.0.1");
  EXPECT_EQ(Canonical("::"), "::");
  EXPECT_EQ(Canonical("::1"), "::1");
  EXPECT_EQ(Canonical("1::"), "1::");
  EXPECT_EQ(Canonical("FD77:0:0::00a1"), "fd77::a1");
  // RFC 5952 4.2: a single zero group is not shortened; the longest run is; the first of two equal ones.
  EXPECT_EQ(Canonical("2001:db8:0:1:1:1:1:1"), "2001:db8:0:1:1:1:1:1");
  EXPECT_EQ(Canonical("2001:0:0:1:0:0:0:1"), "2001:0:0:1::1");
  EXPECT_EQ(Canonical("2001:db8:0:0:1:0:0:1"), "2001:db8::1:0:0:1");
  EXPECT_EQ(Canonical("1:2:3:4:5:6:7::"), "1:2:3:4:5:6:7:0");
  EXPECT_EQ(Canonical("1:2:3:4:5:6:1.2.3.4"), "1:2:3:4:5:6:102:304");
  EXPECT_EQ(Canonical("64:ff9b::192.0.2.33"), "64:ff9b::c000:221");
}

TEST(IpAddress, RefusesWhatIsNotAnAddress) {
  for (const char* text : {"",
                           "1",
                           "1.2.3",
                           "1.2.3.4.5",
                           "1.2.3.256",
                           "1.2.3.04",
                           "1.2.3.",
                           ".1.2.3",
                           "1.2.3.4 ",
                           "1.2.3.-4",
                           ":",
                           ":::",
                           "1:2:3:4:5:6:7",
                           "1:2:3:4:5:6:7:8:9",
                           "1::2::3",
                           "::12345",
                           "::g",
                           ":1::",
                           "1:",
                           "::1:",
                           "::1%eth0",
                           "1.2.3.4::",
                           "::1.2.3",
                           "1:2:3:4:5:6:7:1.2.3.4",
                           "::+1",
                           "1:2:3:4::5:6:7:8",
                           "::1/64"}) {
    EXPECT_EQ(Canonical(text), "refused") << text;
  }
}

TEST(IpAddress, Classifies) {
  const auto ip = [](const char* text) { return *IpAddress::Parse(text); };
  EXPECT_TRUE(ip("224.0.0.1").IsMulticast());
  EXPECT_TRUE(ip("239.255.255.255").IsMulticast());
  EXPECT_FALSE(ip("240.0.0.0").IsMulticast());
  EXPECT_TRUE(ip("ff02::1").IsMulticast());
  EXPECT_FALSE(ip("fe80::1").IsMulticast());
  EXPECT_TRUE(ip("127.1.2.3").IsLoopback());
  EXPECT_TRUE(ip("::1").IsLoopback());
  EXPECT_FALSE(ip("::2").IsLoopback());
  EXPECT_TRUE(ip("169.254.7.7").IsLinkLocal());
  EXPECT_TRUE(ip("febf::1").IsLinkLocal());
  EXPECT_FALSE(ip("fec0::1").IsLinkLocal());
  EXPECT_TRUE(ip("0.0.0.0").IsUnspecified());
  EXPECT_TRUE(ip("::").IsUnspecified());
  EXPECT_TRUE(ip("255.255.255.255").IsBroadcast());
  EXPECT_FALSE(ip("10.0.0.255").IsBroadcast());
  EXPECT_TRUE(ip("10.0.0.1").IsValidUnicast());
  EXPECT_FALSE(ip("255.255.255.255").IsValidUnicast());
  EXPECT_FALSE(ip("ff02::1").IsValidUnicast());
  EXPECT_LT(ip("10.0.0.1"), ip("10.0.1.0"));
  EXPECT_LT(ip("fd77::1"), ip("fd77::2"));
}

TEST(IpAddress, DerivesMulticastAndLinkLocal) {
  const auto ip = *IpAddress::Parse("fd77::12:3456");
  EXPECT_EQ(ip.SolicitedNode().ToString(), "ff02::1:ff12:3456");
  EXPECT_EQ(MacAddress::ForMulticast(ip.SolicitedNode()).ToString(), "33:33:ff:12:34:56");
  EXPECT_EQ(MacAddress::ForMulticast(*IpAddress::Parse("239.129.2.3")).ToString(), "01:00:5e:01:02:03");
  EXPECT_EQ(IpAddress::AllNodes().ToString(), "ff02::1");
  EXPECT_EQ(IpAddress::AllRouters().ToString(), "ff02::2");
  EXPECT_EQ(IpAddress::LinkLocalFor(*MacAddress::Parse("02:00:5e:10:00:01")).ToString(), "fe80::5eff:fe10:1");
}

TEST(IpPrefix, ParsesAndContains) {
  const auto pool = *IpPrefix::Parse("10.77.1.0/24");
  EXPECT_TRUE(pool.Contains(*IpAddress::Parse("10.77.1.255")));
  EXPECT_FALSE(pool.Contains(*IpAddress::Parse("10.77.2.0")));
  EXPECT_FALSE(pool.Contains(*IpAddress::Parse("fd77::1")));
  EXPECT_EQ(pool.ToString(), "10.77.1.0/24");

  const auto interface = *IpPrefix::Parse("10.77.129.66/17");
  EXPECT_EQ(interface.Network().ToString(), "10.77.128.0");
  EXPECT_TRUE(interface.Contains(*IpAddress::Parse("10.77.255.1")));
  EXPECT_FALSE(interface.Contains(*IpAddress::Parse("10.77.127.1")));
  EXPECT_TRUE(interface.IsBroadcast(*IpAddress::Parse("10.77.255.255")));
  EXPECT_FALSE(interface.IsBroadcast(*IpAddress::Parse("10.77.255.254")));
  EXPECT_FALSE(IpPrefix::Parse("10.0.0.0/31")->IsBroadcast(*IpAddress::Parse("10.0.0.1")));

  const auto six = *IpPrefix::Parse("fd77:0:0:1::9/63");
  EXPECT_TRUE(six.Contains(*IpAddress::Parse("fd77::5")));
  EXPECT_FALSE(six.Contains(*IpAddress::Parse("fd77:0:0:2::5")));
  EXPECT_FALSE(IpPrefix::Parse("::/0")->Contains(*IpAddress::Parse("10.0.0.1")));
  EXPECT_TRUE(IpPrefix::Parse("0.0.0.0/0")->Contains(*IpAddress::Parse("10.0.0.1")));
  EXPECT_TRUE(IpPrefix::Parse("::/0")->Contains(*IpAddress::Parse("fd77::1")));
  EXPECT_EQ(IpPrefix::Parse("10.0.0.1")->length, 32);
  EXPECT_EQ(IpPrefix::Parse("::1")->length, 128);

  for (const char* text : {"10.0.0.0/33", "10.0.0.0/", "/24", "::/129", "10.0.0.0/024", "10.0.0.0/-1",
                           "10.0.0/8", "10.0.0.0/24/8", ""}) {
    EXPECT_FALSE(IpPrefix::Parse(text).has_value()) << text;
  }
}

TEST(MacAddress, ParsesFormatsClassifies) {
  const auto mac = *MacAddress::Parse("02:00:5E:10:aB:01");
  EXPECT_EQ(mac.ToString(), "02:00:5e:10:ab:01");
  EXPECT_EQ(mac, *MacAddress::Parse("02-00-5e-10-ab-01"));
  EXPECT_FALSE(mac.IsMulticast());
  EXPECT_TRUE(MacAddress().IsZero());
  EXPECT_TRUE(MacAddress::Broadcast().IsBroadcast());
  EXPECT_TRUE(MacAddress::Parse("01:00:5e:00:00:01")->IsMulticast());
  for (const char* text : {"", "02:00:5e:10:ab", "02:00:5e:10:ab:0", "02:00:5e:10:ab:0g", "02:00:5e:10:ab-01",
                           "02:00:5e:10:ab:011", "020:0:5e:10:ab:01"}) {
    EXPECT_FALSE(MacAddress::Parse(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace tern::wire
