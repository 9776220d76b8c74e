#include "drivers_glue/ethdev_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <thread>
#include <vector>

#include "drivers_glue/frames_for_test.h"
#include "drivers_glue/glue_env_for_test.h"
#include "drivers_glue/open.h"

namespace tern {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

DeviceOptions Options(const char* spec) {
  DeviceOptions options;
  options.spec = spec;
  options.buffers = 1024;
  options.rx_ring = options.tx_ring = 128;
  return options;
}

class EthdevTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(TestEal()); }

  void Open(const DeviceOptions& options) {
    absl::StatusOr<std::unique_ptr<Device>> device = OpenDevice(options);
    ASSERT_TRUE(device.ok()) << device.status();
    device_ = *std::move(device);
  }
  std::unique_ptr<Device> device_;
};

// DPDK's ring driver gives back on its receive side what it was sent.
TEST_F(EthdevTest, CarriesFramesAndGivesEveryBufferBack) {
  for (int round = 0; round < 3; ++round) {  // closed and opened again under the same name
    Open(Options("vdev:net_ring7"));
    EXPECT_EQ(device_->info().driver, "net_ring");
    for (uint32_t i = 0; i < 1000; ++i) {
      std::vector<Buffer*> owners;
      const uint32_t length = i % 1480;
      ASSERT_GE(device_->TransmitRoom(0), 1u);
      const TxFrame frame = MakeTestFrame(device_->pool(0), i, length, 1 + i % 8, owners);
      device_->Transmit(0, std::span(&frame, 1));
      ReleaseAll(device_->pool(0), owners);
      const auto received = ReceiveAll(*device_);
      ASSERT_EQ(received.size(), 1u);
      ASSERT_TRUE(PayloadIsIntact(received[0], length)) << i;
    }
    EXPECT_EQ(device_->counters().tx_frames, 1000u);
    EXPECT_EQ(device_->counters().rx_frames, 1000u);
    EXPECT_EQ(device_->buffers_outstanding(), 0u);
    device_->Stop();
    device_->Stop();
    EXPECT_EQ(device_->buffers_outstanding(), 0u);
    EXPECT_EQ(device_->counters().rx_frames, 1000u);
    EXPECT_EQ(device_->TransmitRoom(0), 0u);
    device_ = nullptr;
  }
}

// Nobody receives: the driver's ring fills, then the staging, then there is no room; nothing is lost.
TEST_F(EthdevTest, AFullDriverIsNoRoomAndLosesNothing) {
  Open(Options("vdev:net_ring8"));
  uint32_t sent = 0;
  std::vector<Buffer*> owners;
  for (size_t room = device_->TransmitRoom(0); room > 0 && sent < 100'000; room = device_->TransmitRoom(0)) {
    for (size_t i = 0; i < room; ++i) {
      const TxFrame frame = MakeTestFrame(device_->pool(0), sent++, 20, 1, owners);
      device_->Transmit(0, std::span(&frame, 1));
      ReleaseAll(device_->pool(0), owners);
    }
  }
  ASSERT_LT(sent, 100'000u);
  uint32_t expected = 0;
  for (int tries = 0; tries < 1000 && expected < sent; ++tries) {
    device_->Flush(0);
    for (const auto& bytes : ReceiveAll(*device_)) ASSERT_EQ(NumberOf(bytes), expected++);
  }
  EXPECT_EQ(expected, sent);
  EXPECT_GT(device_->TransmitRoom(0), 0u);
  device_->Stop();
  EXPECT_EQ(device_->buffers_outstanding(), 0u);
}

TEST_F(EthdevTest, StoppingTakesBackWhatIsStagedAndInTheRing) {
  Open(Options("vdev:net_null3"));
  std::vector<Buffer*> owners;
  ASSERT_GE(device_->TransmitRoom(0), 1u);
  const TxFrame frame = MakeTestFrame(device_->pool(0), 1, 1000, 1, owners);
  device_->Transmit(0, std::span(&frame, 1));
  ReleaseAll(device_->pool(0), owners);
  std::array<RxFrame, 8> in;
  const size_t n = device_->Receive(0, in);
  ASSERT_GT(n, 0u);
  EXPECT_EQ(device_->buffers_outstanding(), n);
  device_->Stop();
  EXPECT_EQ(device_->buffers_outstanding(), n);  // the stack still holds them, and is told so
  for (size_t i = 0; i < n; ++i) device_->pool(0).Release(in[i].buffer);
  EXPECT_EQ(device_->buffers_outstanding(), 0u);
}

TEST_F(EthdevTest, TooLongIsRejectedAndDoesNotBlockTheQueue) {
  Open(Options("vdev:net_ring9"));
  std::vector<Buffer*> owners;
  ASSERT_GE(device_->TransmitRoom(0), 2u);
  const std::array<TxFrame, 2> frames = {MakeTestFrame(device_->pool(0), 1, 1600, 1, owners),
                                         MakeTestFrame(device_->pool(0), 2, 100, 1, owners)};
  device_->Transmit(0, frames);
  ReleaseAll(device_->pool(0), owners);
  const auto received = ReceiveAll(*device_);
  ASSERT_EQ(received.size(), 1u);
  EXPECT_EQ(NumberOf(received[0]), 2u);
  EXPECT_EQ(device_->counters().tx_rejected, 1u);
}

TEST_F(EthdevTest, TheGivenMacIsInForce) {
  DeviceOptions options = Options("vdev:net_null4");
  options.mac = {0x02, 1, 2, 3, 4, 5};
  Open(options);
  EXPECT_EQ(device_->info().mac, *options.mac);
}

TEST_F(EthdevTest, DriversWithoutInterruptsSaySo) {
  Open(Options("vdev:net_null5"));
  EXPECT_FALSE(device_->info().rx_interrupt);
  EXPECT_FALSE(device_->WaitForReceive(0, -1, Duration::Seconds(3600)));
}

std::string ErrorOf(const DeviceOptions& options) {
  const absl::StatusOr<std::unique_ptr<Device>> device = OpenDevice(options);
  EXPECT_FALSE(device.ok());
  return device.ok() ? "" : std::string(device.status().message());
}

TEST_F(EthdevTest, ErrorsNameTheThing) {
  EXPECT_THAT(ErrorOf(Options("vdev:net_nosuch0")), HasSubstr("DPDK cannot create net_nosuch0"));
  EXPECT_THAT(ErrorOf(Options("vdev:crypto_null0")), HasSubstr("no DPDK driver made a port of crypto_null0"));
  DeviceOptions options = Options("vdev:net_null6");
  options.queues = 5000;
  EXPECT_THAT(ErrorOf(options), AllOf(HasSubstr("queues = 5000"), HasSubstr(": use fewer workers on it")));
  options = Options("vdev:net_null6");
  options.mtu = 9001;
  EXPECT_THAT(ErrorOf(options), HasSubstr("mtu = 9001, expected an MTU from 576 to 9000"));
  options = Options("vdev:net_null6");
  options.impairment = "loss=often";
  EXPECT_THAT(ErrorOf(options), HasSubstr("loss=often"));
  options = Options("vdev:net_null6");
  Open(options);
  EXPECT_THAT(ErrorOf(options), HasSubstr("is open already: close it, or choose another name"));
}

// Makes the calling thread's loopback interface one of a network of its own, with this MTU.
bool OwnLoopback(int mtu) {
  if (unshare(CLONE_NEWNET) != 0) return false;
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_mtu = mtu;
  const bool done = ioctl(fd, SIOCSIFMTU, &request) == 0;
  close(fd);
  return done;
}

TEST_F(EthdevTest, WhatTheKernelsInterfaceCannotIsSaid) {
  bool allowed = false;
  std::string above, narrow;
  std::thread([&] {
    allowed = OwnLoopback(1000);
    if (!allowed) return;
    DeviceOptions options = Options("af_packet:lo");
    options.mtu = 1400;
    above = ErrorOf(options);
    // A ring whose frames are larger than the buffers that they are to go into.
    narrow = ErrorOf(Options("vdev:net_af_packet77,iface=lo,framesz=8192,blocksz=8192,framecnt=64"));
  }).join();
  if (!allowed) GTEST_SKIP() << "a network of one's own is for root";
  EXPECT_THAT(
      above,
      HasSubstr(
          "is above the interface's 1000: lower it, or raise the interface's (ip link set lo mtu 1400"));
  EXPECT_THAT(narrow, HasSubstr("the driver refuses to receive on queue 0"));
}

}  // namespace
}  // namespace tern
