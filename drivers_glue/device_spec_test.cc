#include "drivers_glue/device_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace tern {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

EalDevice Eal(std::string_view text, const DeviceShape& shape = {}) {
  absl::StatusOr<DeviceSpec> spec = ParseDeviceSpec(text);
  EXPECT_TRUE(spec.ok()) << spec.status();
  return spec.ok() ? ToEalDevice(*spec, shape) : EalDevice{};
}

std::string ParseError(std::string_view text) {
  const absl::StatusOr<DeviceSpec> spec = ParseDeviceSpec(text);
  EXPECT_FALSE(spec.ok()) << text;
  return spec.ok() ? "" : std::string(spec.status().message());
}

std::string CheckError(std::string_view text) {
  const absl::StatusOr<DeviceSpec> spec = ParseDeviceSpec(text);
  EXPECT_TRUE(spec.ok()) << spec.status();
  const absl::Status status = CheckDeviceSpec(*spec);
  EXPECT_FALSE(status.ok()) << text;
  return std::string(status.message());
}

TEST(DeviceSpec, SplitsKindTargetAndArguments) {
  const absl::StatusOr<DeviceSpec> spec =
      ParseDeviceSpec("memif:/run/a.sock,role=server,socket-abstract=no,rsize=10");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->kind, DeviceKind::kMemif);
  EXPECT_EQ(spec->target, "/run/a.sock");
  ASSERT_EQ(spec->arguments.size(), 3u);
  ASSERT_NE(spec->Find("role"), nullptr);
  EXPECT_EQ(*spec->Find("role"), "server");
  EXPECT_EQ(spec->Find("bsize"), nullptr);
}

TEST(DeviceSpec, EveryKindParses) {
  for (const char* text : {"af_packet:veth1", "af_xdp:veth1", "tap:tern0", "memif:/a", "virtio_user:/a",
                           "vhost:/a", "loopback", "loopback,pair=x", "pci:0000:01:00.0", "pcap:a.pcap",
                           "vdev:net_null0,copy=1", "pci:0000:01:00.0,representor=0"}) {
    EXPECT_TRUE(ParseDeviceSpec(text).ok()) << text;
  }
}

TEST(DeviceSpec, ErrorsNameTheThingAndWhatWasExpected) {
  EXPECT_THAT(ParseError("af_paket:veth1"), AllOf(HasSubstr("af_paket"), HasSubstr("af_packet:veth1")));
  EXPECT_THAT(ParseError("af_packet"), HasSubstr("an interface"));
  EXPECT_THAT(ParseError("af_packet:"), HasSubstr("an interface"));
  EXPECT_THAT(ParseError("tap:a-name-of-16-chr"), HasSubstr("at most 15"));
  EXPECT_THAT(ParseError("pci:1:0"), HasSubstr("0000:01:00.0"));
  EXPECT_THAT(ParseError("memif:/a,role"), HasSubstr("key=value"));
  EXPECT_THAT(ParseError("memif:/a,,role=server"), HasSubstr("key=value"));
  EXPECT_THAT(ParseError("memif:/a,role=server,role=client"), HasSubstr("twice"));
  EXPECT_THAT(ParseError("loopback:x"), HasSubstr("loopback"));
  EXPECT_THAT(ParseError("vhost:/" + std::string(200, 'a')), HasSubstr("at most 107"));
  EXPECT_THAT(ParseError(""), HasSubstr("expected one of"));
}

TEST(DeviceSpec, OwnArgumentsComeFirstAndGivenOnesReplaceThem) {
  DeviceShape shape;
  shape.queues = 2;
  shape.serial = 3;
  const EalDevice plain = Eal("af_packet:veth1", shape);
  EXPECT_EQ(plain.bus, "vdev");
  EXPECT_EQ(plain.name, "net_af_packet3");
  EXPECT_THAT(plain.arguments,
              AllOf(HasSubstr("iface=veth1"), HasSubstr("qpairs=2"), HasSubstr("framesz=2048")));
  const EalDevice given = Eal("af_packet:veth1,framesz=4096,qdisc_bypass=0", shape);
  EXPECT_THAT(given.arguments, AllOf(HasSubstr("framesz=4096"), HasSubstr("qdisc_bypass=0")));
  EXPECT_THAT(given.arguments, AllOf(Not(HasSubstr("framesz=2048")), Not(HasSubstr("qdisc_bypass=1"))));
  EXPECT_THAT(Eal("memif:/a,rsize=8").arguments, AllOf(HasSubstr("socket=/a"), HasSubstr("rsize=8")));
  EXPECT_EQ(Eal("pci:0000:01:00.0,a=1").bus, "pci");
  EXPECT_EQ(Eal("vdev:net_null0,copy=1").name, "net_null0");
  EXPECT_EQ(Eal("vdev:net_null0,copy=1").arguments, "copy=1");
}

// The driver steps through the mapping frame by frame, and the kernel wants whole pages and whole frames per
// block.
TEST(DeviceSpec, PacketRingsSuitKernelAndDriverForEveryMtu) {
  const absl::StatusOr<DeviceSpec> spec = ParseDeviceSpec("af_packet:veth1");
  ASSERT_TRUE(spec.ok());
  for (const uint16_t mtu : std::initializer_list<uint16_t>{576, 1280, 1500, 2000, 4000, 9000}) {
    DeviceShape shape;
    shape.mtu = mtu;
    const std::string arguments = ToEalDevice(*spec, shape).arguments;
    const auto value = [&](const std::string& key) {
      return static_cast<uint32_t>(std::stoul(arguments.substr(arguments.find(key + "=") + key.size() + 1)));
    };
    EXPECT_EQ(value("blocksz") % 4096, 0u) << mtu;
    EXPECT_EQ(value("blocksz") % value("framesz"), 0u) << mtu;
    EXPECT_EQ(value("framecnt") % (value("blocksz") / value("framesz")), 0u) << mtu;
    EXPECT_GE(value("framecnt"), shape.ring_size) << mtu;
    EXPECT_GE(value("framesz"), mtu + 18u + 52u) << mtu;  // Ethernet with a tag, TPACKET2_HDRLEN
    EXPECT_GE(RequiredDataRoom(*spec, mtu), value("framesz") - 32) << mtu;
  }
}

TEST(DeviceSpec, BuffersHoldAFrameOfTheMtu) {
  const absl::StatusOr<DeviceSpec> spec = ParseDeviceSpec("vhost:/a");
  ASSERT_TRUE(spec.ok());
  EXPECT_EQ(RequiredDataRoom(*spec, 1500), 2048u);
  EXPECT_GE(RequiredDataRoom(*spec, 9000), 9000u + 22);
  const absl::StatusOr<DeviceSpec> larger = ParseDeviceSpec("af_packet:veth1,framesz=8192");
  ASSERT_TRUE(larger.ok());
  EXPECT_GE(RequiredDataRoom(*larger, 1500), 8192u - 32);
}

TEST(DeviceSpec, CheckFindsWhatIsMissing) {
  EXPECT_THAT(CheckError("af_packet:no-such-if"),
              AllOf(HasSubstr("no-such-if"), HasSubstr("lo"), HasSubstr("ip ")));
  EXPECT_THAT(CheckError("vhost:/no-such-directory/s"),
              AllOf(HasSubstr("/no-such-directory"), HasSubstr("create")));
  EXPECT_THAT(CheckError("virtio_user:" + ::testing::TempDir() + "/no-such-socket"), HasSubstr("server=1"));
  EXPECT_THAT(CheckError("pcap:/no-such-file"), HasSubstr("No such file"));
  EXPECT_THAT(CheckError("pci:ffff:ff:1f.7"), HasSubstr("lspci"));
}

TEST(DeviceSpec, KernelMtuOfAMissingInterfaceIsZero) {
  EXPECT_EQ(KernelInterfaceMtu("no-such-if"), 0);
  EXPECT_EQ(KernelInterfaceMtu("lo"), 65535);
}

}  // namespace
}  // namespace tern
