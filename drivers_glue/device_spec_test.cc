#include "drivers_glue/device_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rte_config.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

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
  EXPECT_THAT(ParseError("tap:a-name-of-16-chr"),
              HasSubstr("the interface name \"a-name-of-16-chr\" has 16 characters, at most 15 are"));
  EXPECT_THAT(ParseError("pci:1:0"), HasSubstr("is not a PCI address; expected one like 0000:01:00.0"));
  EXPECT_THAT(ParseError("memif:/a,role"), HasSubstr("expected ,key=value but found \"role\""));
  EXPECT_THAT(ParseError("memif:/a,,role=server"), HasSubstr("key=value"));
  EXPECT_THAT(ParseError("memif:/a,role=server,role=client"), HasSubstr("\"role\" is given twice"));
  EXPECT_THAT(ParseError("loopback:x"), HasSubstr("nothing may follow \"loopback\" but ,key=value"));
  EXPECT_THAT(ParseError("vhost:/" + std::string(200, 'a')),
              HasSubstr("at most 107 are allowed: use a shorter one"));
  EXPECT_THAT(ParseError(""), HasSubstr("unknown kind \"\"; expected one of"));
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
  EXPECT_THAT(CheckError("af_packet:no-such-if"), AllOf(HasSubstr("no-such-if"), HasSubstr("lo"),
                                                        HasSubstr("name one of these, create it (ip ")));
  EXPECT_THAT(CheckError("vhost:/no-such-directory/s"),
              HasSubstr("the socket's directory /no-such-directory does not exist: create it"));
  EXPECT_THAT(CheckError("virtio_user:" + ::testing::TempDir() + "/no-such-socket"),
              HasSubstr("start the vhost side first, or add server=1"));
  EXPECT_THAT(CheckError("pcap:/no-such-file"), HasSubstr("cannot read /no-such-file: No such file"));
  EXPECT_THAT(CheckError("pci:ffff:ff:1f.7"), HasSubstr("no PCI device has this address"));
}

// Root may do anything, so it becomes somebody else for a moment.
class AsNobody {
 public:
  AsNobody() { ok_ = getuid() != 0 || setresuid(65'534, 65'534, 0) == 0; }
  ~AsNobody() {
    if (getuid() == 65'534) {
      EXPECT_EQ(setresuid(0, 0, 0), 0);
    }
  }
  bool ok() const { return ok_; }

 private:
  bool ok_;
};

TEST(DeviceSpec, CheckFindsWhatIsNotAllowed) {
  const AsNobody nobody;
  ASSERT_TRUE(nobody.ok());
  EXPECT_THAT(CheckError("af_packet:lo"),
              HasSubstr("lacks cap_net_raw: run it as root, or give the program the capability"));
  EXPECT_THAT(CheckError("vhost:/proc/s"),
              HasSubstr("/proc is not writable for this user: choose another or change its mode"));
}

// Hides `directory` from the calling thread behind an empty one.
bool Hide(const char* directory) {
  return unshare(CLONE_NEWNS) == 0 && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("none", directory, "tmpfs", 0, nullptr) == 0;
}

TEST(DeviceSpec, CheckFindsWhatTheMachineLacks) {
  if (geteuid() != 0) GTEST_SKIP() << "mounts of one's own are for root";
  std::thread([] {
    if (std::filesystem::exists("/dev/net/tun")) {
      ASSERT_TRUE(Hide("/dev/net"));
    }
    EXPECT_THAT(CheckError("tap:t0"), HasSubstr("/dev/net/tun is missing or closed to this user"));
  }).join();
  if (!std::filesystem::is_directory(RTE_EAL_PMD_PATH)) return;  // a DPDK with its drivers inside
  std::thread([] {
    ASSERT_TRUE(Hide(RTE_EAL_PMD_PATH));
    EXPECT_THAT(CheckError("tap:t0"), HasSubstr("DPDK's driver librte_net_tap.so is not in"));
  }).join();
}

TEST(DeviceSpec, KernelMtuOfAMissingInterfaceIsZero) {
  EXPECT_EQ(KernelInterfaceMtu("no-such-if"), 0);
  EXPECT_EQ(KernelInterfaceMtu("lo"), 65535);
}

}  // namespace
}  // namespace tern
