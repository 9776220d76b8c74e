#include "drivers_glue/loopback_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rte_thash.h>

#include <set>
#include <vector>

#include "drivers_glue/frames_for_test.h"
#include "drivers_glue/glue_env_for_test.h"
#include "drivers_glue/open.h"

namespace tern {
namespace {

using ::testing::HasSubstr;

DeviceOptions Small() {
  DeviceOptions options;
  options.spec = "loopback";
  options.buffers = 1024;
  options.rx_ring = options.tx_ring = 128;
  return options;
}

class LoopbackTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(TestEal()); }

  void OpenPair(const DeviceOptions& a, const DeviceOptions& b) {
    auto pair = OpenLoopbackPair(a, b);
    ASSERT_TRUE(pair.ok()) << pair.status();
    a_ = std::move(pair->first);
    b_ = std::move(pair->second);
  }
  // Sends one frame and lets go of its payload at once.
  static void Send(Device& device, uint32_t number, uint32_t length, size_t pieces = 1) {
    std::vector<Buffer*> owners;
    ASSERT_GE(device.TransmitRoom(0), 1u);
    const TxFrame frame = MakeTestFrame(device.pool(0), number, length, pieces, owners);
    device.Transmit(0, std::span(&frame, 1));
    ReleaseAll(device.pool(0), owners);
  }
  void ExpectNothingLeft() {
    a_->Stop();
    b_->Stop();
    EXPECT_EQ(a_->buffers_outstanding(), 0u);
    EXPECT_EQ(b_->buffers_outstanding(), 0u);
  }

  std::unique_ptr<Device> a_, b_;
};

TEST_F(LoopbackTest, CarriesFramesOfEverySizeBothWays) {
  OpenPair(Small(), Small());
  EXPECT_TRUE(a_->LinkUp());
  EXPECT_NE(a_->info().mac, b_->info().mac);
  for (uint32_t length = 0; length <= 1482; length += 19) {
    Send(*a_, length, length, 1 + length % 8);
    Send(*b_, length + 5000, length);
    const auto at_b = ReceiveAll(*b_);
    const auto at_a = ReceiveAll(*a_);
    ASSERT_EQ(at_b.size(), 1u);
    ASSERT_EQ(at_a.size(), 1u);
    EXPECT_EQ(NumberOf(at_b[0]), length);
    EXPECT_TRUE(PayloadIsIntact(at_b[0], length));
    EXPECT_EQ(NumberOf(at_a[0]), length + 5000);
    EXPECT_TRUE(PayloadIsIntact(at_a[0], length));
  }
  EXPECT_EQ(a_->counters().tx_frames, b_->counters().rx_frames);
  EXPECT_EQ(a_->counters().tx_bytes, b_->counters().rx_bytes);
  ExpectNothingLeft();
}

// The device of the design that keeps what it was given: until b polls, a's payload is in use, though a has
// let go.
TEST_F(LoopbackTest, HoldsWhatItWasGivenUntilThePeerReceives) {
  OpenPair(Small(), Small());
  constexpr uint32_t kFrames = 100;
  for (uint32_t i = 0; i < kFrames; ++i) Send(*a_, i, 1000);
  EXPECT_EQ(a_->buffers_outstanding(), 0u);
  // a goes on: its new buffers must not be the ones on their way.
  std::vector<Buffer*> busy(800);
  ASSERT_TRUE(a_->pool(0).Allocate(busy));
  for (Buffer* buffer : busy) std::memset(buffer->data, 0xEE, buffer->tailroom);
  ReleaseAll(a_->pool(0), busy);
  const auto received = ReceiveAll(*b_);
  ASSERT_EQ(received.size(), kFrames);
  for (uint32_t i = 0; i < kFrames; ++i) {
    EXPECT_EQ(NumberOf(received[i]), i);
    EXPECT_TRUE(PayloadIsIntact(received[i], 1000));
  }
  ExpectNothingLeft();
}

TEST_F(LoopbackTest, StoppingTakesBackWhatNobodyFetched) {
  OpenPair(Small(), Small());
  for (uint32_t i = 0; i < 50; ++i) Send(*a_, i, 1000);
  ExpectNothingLeft();
  EXPECT_FALSE(a_->LinkUp());
}

TEST_F(LoopbackTest, AFullCableLosesFramesAndNothingElse) {
  OpenPair(Small(), Small());
  for (uint32_t i = 0; i < 2000; ++i) {
    if (a_->TransmitRoom(0) > 0) Send(*a_, i, 400);
  }
  const size_t first = ReceiveAll(*b_).size();
  EXPECT_GE(first, 128u);
  EXPECT_LT(first, 2000u);
  Send(*a_, 1, 400);
  EXPECT_EQ(ReceiveAll(*b_).size(), 1u);
  ExpectNothingLeft();
}

TEST_F(LoopbackTest, TooLongIsRejectedAndCounted) {
  OpenPair(Small(), Small());
  Send(*a_, 1, 1505);
  EXPECT_EQ(a_->counters().tx_rejected, 1u);
  EXPECT_TRUE(ReceiveAll(*b_).empty());
  ExpectNothingLeft();
}

TEST_F(LoopbackTest, JumboFramesFit) {
  DeviceOptions jumbo = Small();
  jumbo.mtu = 9000;
  OpenPair(jumbo, jumbo);
  Send(*a_, 3, 8990, 2);
  const auto received = ReceiveAll(*b_);
  ASSERT_EQ(received.size(), 1u);
  EXPECT_TRUE(PayloadIsIntact(received[0], 8990));
  ExpectNothingLeft();
}

TxFrame TcpHeader(uint16_t source_port, bool ipv6) {
  TxFrame frame;
  frame.header.fill(0);
  uint8_t* h = frame.header.data();
  h[12] = ipv6 ? 0x86 : 0x08;
  h[13] = ipv6 ? 0xDD : 0x00;
  uint8_t* ip = h + 14;
  ip[0] = ipv6 ? 0x60 : 0x45;
  ip[ipv6 ? 6 : 9] = 6;
  for (int i = 0; i < (ipv6 ? 32 : 8); ++i) ip[(ipv6 ? 8 : 12) + i] = static_cast<uint8_t>(i * 3 + 1);
  uint8_t* tcp = ip + (ipv6 ? 40 : 20);
  tcp[0] = static_cast<uint8_t>(source_port >> 8);
  tcp[1] = static_cast<uint8_t>(source_port);
  tcp[3] = 80;
  frame.header_length = static_cast<uint16_t>(14 + (ipv6 ? 40 : 20) + 20);
  return frame;
}

// DPDK's own Toeplitz over the same tuple.
uint32_t DpdkHash(const TxFrame& frame, bool ipv6, const std::vector<uint8_t>& key) {
  const uint8_t* ip = frame.header.data() + 14;
  std::vector<uint32_t> tuple;
  const auto word = [](const uint8_t* at) {
    return uint32_t{at[0]} << 24 | uint32_t{at[1]} << 16 | uint32_t{at[2]} << 8 | at[3];
  };
  for (int i = 0; i < (ipv6 ? 9 : 3); ++i) tuple.push_back(word(ip + (ipv6 ? 8 : 12) + 4 * i));
  return rte_softrss(tuple.data(), static_cast<uint32_t>(tuple.size()), key.data());
}

TEST_F(LoopbackTest, SpreadsFlowsLikeANic) {
  DeviceOptions four = Small();
  four.queues = 4;
  OpenPair(Small(), four);
  const DeviceInfo& info = b_->info();
  ASSERT_TRUE(info.rss);
  ASSERT_EQ(info.rss_table.size(), 128u);
  std::set<uint16_t> used;
  for (const bool ipv6 : {false, true}) {
    for (uint16_t port = 1000; port < 1100; ++port) {
      const TxFrame frame = TcpHeader(port, ipv6);
      ASSERT_GE(a_->TransmitRoom(0), 1u);
      a_->Transmit(0, std::span(&frame, 1));
      const uint32_t hash = DpdkHash(frame, ipv6, info.rss_key);
      const uint16_t queue = info.rss_table[hash % info.rss_table.size()];
      std::array<RxFrame, 4> in;
      ASSERT_EQ(b_->Receive(queue, in), 1u);
      EXPECT_TRUE(in[0].has_rss_hash);
      EXPECT_EQ(in[0].rss_hash, hash);
      b_->pool(queue).Release(in[0].buffer);
      used.insert(queue);
    }
  }
  EXPECT_EQ(used.size(), 4u);
  ExpectNothingLeft();
}

TEST_F(LoopbackTest, AloneItHearsItself) {
  absl::StatusOr<std::unique_ptr<Device>> device = OpenDevice(Small());
  ASSERT_TRUE(device.ok()) << device.status();
  Send(**device, 9, 700);
  const auto received = ReceiveAll(**device);
  ASSERT_EQ(received.size(), 1u);
  EXPECT_TRUE(PayloadIsIntact(received[0], 700));
  (*device)->Stop();
  EXPECT_EQ((*device)->buffers_outstanding(), 0u);
}

TEST_F(LoopbackTest, NamedEndsFindEachOtherAgainAndAgain) {
  DeviceOptions options = Small();
  options.spec = "loopback,pair=test";
  for (int round = 0; round < 3; ++round) {
    absl::StatusOr<std::unique_ptr<Device>> a = OpenDevice(options);
    ASSERT_TRUE(a.ok()) << a.status();
    EXPECT_FALSE((*a)->LinkUp());
    Send(**a, 1, 10);  // to nobody
    absl::StatusOr<std::unique_ptr<Device>> b = OpenDevice(options);
    ASSERT_TRUE(b.ok()) << b.status();
    EXPECT_TRUE((*a)->LinkUp());
    const absl::StatusOr<std::unique_ptr<Device>> c = OpenDevice(options);
    ASSERT_FALSE(c.ok());
    EXPECT_THAT(std::string(c.status().message()),
                HasSubstr("both ends of \"test\" are in use: close one, or choose another name"));
    Send(**a, 2, 1000);
    Send(**b, 3, 1000);
    ASSERT_EQ(ReceiveAll(**b).size(), 1u);
    ASSERT_EQ(ReceiveAll(**a).size(), 1u);
    // One end goes and comes back while the other stays.
    (*b)->Stop();
    EXPECT_EQ((*b)->buffers_outstanding(), 0u);
    EXPECT_FALSE((*a)->LinkUp());
    b = OpenDevice(options);
    ASSERT_TRUE(b.ok()) << b.status();
    Send(**a, 4, 1000);
    ASSERT_EQ(ReceiveAll(**b).size(), 1u);
    (*a)->Stop();
    (*b)->Stop();
    EXPECT_EQ((*a)->buffers_outstanding(), 0u);
    EXPECT_EQ((*b)->buffers_outstanding(), 0u);
  }
}

TEST_F(LoopbackTest, UnknownArgumentsAreErrors) {
  DeviceOptions options = Small();
  options.spec = "loopback,par=x";
  const absl::StatusOr<std::unique_ptr<Device>> device = OpenDevice(options);
  ASSERT_FALSE(device.ok());
  EXPECT_THAT(std::string(device.status().message()),
              HasSubstr("unknown argument \"par\"; expected pair=NAME"));
}

TEST_F(LoopbackTest, QueuesThatCannotBeAreErrors) {
  DeviceOptions options = Small();
  options.queues = 0;
  EXPECT_THAT(std::string(OpenDevice(options).status().message()),
              HasSubstr("queues = 0, expected 1 or more"));
  options.queues = 20'000;  // DPDK has names for some thousand rings
  EXPECT_THAT(std::string(OpenDevice(options).status().message()),
              HasSubstr("no memory for a loopback ring of 256 frames"));
}

}  // namespace
}  // namespace tern
