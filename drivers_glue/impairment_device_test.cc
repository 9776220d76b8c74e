#include "drivers_glue/impairment_device.h"

#include <gtest/gtest.h>

#include <bit>
#include <map>
#include <vector>

#include "drivers_glue/frames_for_test.h"
#include "drivers_glue/glue_env_for_test.h"
#include "drivers_glue/loopback_device.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/tcp.h"

namespace tern {
namespace {

class ImpairmentDeviceTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(TestEal()); }

  // Puts `text` around one end of a loopback.
  void Open(const char* text) {
    DeviceOptions options;
    options.buffers = 1024;
    auto pair = OpenLoopbackPair(options, options);
    ASSERT_TRUE(pair.ok()) << pair.status();
    const absl::StatusOr<Impairment> impairment = ParseImpairment(text);
    ASSERT_TRUE(impairment.ok()) << impairment.status();
    near_ = std::make_unique<ImpairmentDevice>(std::move(pair->first), *impairment, [this] { return now_; });
    far_ = std::move(pair->second);
  }
  void Send(Device& device, uint32_t number, uint32_t length) {
    std::vector<Buffer*> owners;
    if (device.TransmitRoom(0) == 0) return;
    const TxFrame frame = MakeTestFrame(device.pool(0), number, length, 1, owners);
    device.Transmit(0, std::span(&frame, 1));
    ReleaseAll(device.pool(0), owners);
  }
  void ExpectNothingLeft() {
    near_->Stop();
    far_->Stop();
    EXPECT_EQ(near_->buffers_outstanding(), 0u);
    EXPECT_EQ(far_->buffers_outstanding(), 0u);
  }
  void Advance(Duration by) { now_ = now_ + by; }

  Instant now_ = Instant::FromNanos(1'000'000);
  std::unique_ptr<ImpairmentDevice> near_;
  std::unique_ptr<Device> far_;
};

TEST_F(ImpairmentDeviceTest, WithoutImpairmentFramesPassAtOnce) {
  Open("");
  Send(*near_, 1, 1000);
  Send(*far_, 2, 1000);
  EXPECT_EQ(ReceiveAll(*far_).size(), 1u);
  EXPECT_EQ(ReceiveAll(*near_).size(), 1u);
  EXPECT_EQ(near_->NextInternalEvent(0), Instant::Never());
  ExpectNothingLeft();
}

TEST_F(ImpairmentDeviceTest, DelayHoldsBothWaysAndSaysUntilWhen) {
  Open("delay=10ms");
  Send(*near_, 1, 1000);
  Send(*far_, 2, 1000);
  EXPECT_TRUE(ReceiveAll(*near_).empty());
  EXPECT_TRUE(ReceiveAll(*far_).empty());
  EXPECT_EQ(near_->NextInternalEvent(0), now_ + Duration::Millis(10));
  EXPECT_EQ(near_->buffers_outstanding(), 0u);  // a long delay takes nothing from the stack
  Advance(Duration::Millis(10) - Duration::Nanos(1));
  near_->Flush(0);
  EXPECT_TRUE(ReceiveAll(*near_).empty());
  EXPECT_TRUE(ReceiveAll(*far_).empty());
  Advance(Duration::Nanos(1));
  near_->Flush(0);
  const auto at_far = ReceiveAll(*far_);
  const auto at_near = ReceiveAll(*near_);
  ASSERT_EQ(at_far.size(), 1u);
  ASSERT_EQ(at_near.size(), 1u);
  EXPECT_TRUE(PayloadIsIntact(at_far[0], 1000));
  EXPECT_TRUE(PayloadIsIntact(at_near[0], 1000));
  ExpectNothingLeft();
}

TEST_F(ImpairmentDeviceTest, LossAndDuplicationAddUp) {
  Open("loss=20%,duplicate=10%,seed=5");
  constexpr uint32_t kFrames = 5000;
  std::map<uint32_t, int> seen;
  for (uint32_t i = 0; i < kFrames; ++i) {
    Send(*near_, i, i % 1400);
    near_->Flush(0);
    for (const auto& bytes : ReceiveAll(*far_)) {
      ASSERT_TRUE(PayloadIsIntact(bytes, NumberOf(bytes) % 1400));
      ++seen[NumberOf(bytes)];
    }
  }
  const ImpairmentCounters& c = near_->sent(0);
  uint64_t received = 0;
  for (const auto& [number, times] : seen) received += static_cast<uint64_t>(times);
  EXPECT_EQ(c.seen.value(), kFrames);
  EXPECT_EQ(seen.size(), kFrames - c.lost.value());
  EXPECT_EQ(received, kFrames - c.lost.value() + c.duplicated.value());
  EXPECT_EQ(c.delivered.value(), received);
  const DeviceCounters counters = near_->counters();
  EXPECT_TRUE(counters.impaired);
  EXPECT_EQ(counters.tx_impairment.seen, kFrames);
  EXPECT_EQ(counters.tx_impairment.lost, c.lost.value());
  EXPECT_EQ(counters.tx_impairment.duplicated, c.duplicated.value());
  EXPECT_EQ(counters.rx_impairment.seen, 0u);
  EXPECT_NEAR(static_cast<double>(c.lost.value()), 1000, 142);  // five standard deviations; the seed is fixed
  ExpectNothingLeft();
}

TEST_F(ImpairmentDeviceTest, CorruptionFlipsOneBitOfACopy) {
  Open("corrupt=100%");
  std::vector<Buffer*> owners;
  ASSERT_GE(near_->TransmitRoom(0), 1u);
  const TxFrame frame = MakeTestFrame(near_->pool(0), 3, 1000, 1, owners);
  near_->Transmit(0, std::span(&frame, 1));
  std::vector<uint8_t> expected(frame.header.begin(), frame.header.begin() + frame.header_length);
  for (uint32_t i = 0; i < 1000; ++i) expected.push_back(TestByte(3, i));
  EXPECT_EQ(0,
            std::memcmp(owners[0]->data, expected.data() + kTestHeader, 1000));  // the sender's stays whole
  ReleaseAll(near_->pool(0), owners);
  const auto received = ReceiveAll(*far_);
  ASSERT_EQ(received.size(), 1u);
  ASSERT_EQ(received[0].size(), expected.size());
  int flipped = 0;
  for (size_t i = 0; i < expected.size(); ++i)
    flipped += std::popcount(static_cast<uint8_t>(received[0][i] ^ expected[i]));
  EXPECT_EQ(flipped, 1);

  Send(*far_, 4, 1000);
  const auto back = ReceiveAll(*near_);
  ASSERT_EQ(back.size(), 1u);
  EXPECT_EQ(near_->received(0).corrupted.value(), 1u);
  ExpectNothingLeft();
}

TEST_F(ImpairmentDeviceTest, ReorderedFramesComeLater) {
  Open("reorder=30%,reorder_by=1ms,seed=2");
  for (uint32_t i = 0; i < 100; ++i) Send(*near_, i, 500);
  std::vector<uint32_t> order;
  for (int step = 0; step < 3; ++step) {
    near_->Flush(0);
    for (const auto& bytes : ReceiveAll(*far_)) order.push_back(NumberOf(bytes));
    Advance(Duration::Millis(1));
  }
  const uint64_t moved = near_->sent(0).reordered.value();
  ASSERT_EQ(order.size(), 100u);
  ASSERT_GT(moved, 0u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end() - static_cast<ptrdiff_t>(moved)));
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
  ExpectNothingLeft();
}

TEST_F(ImpairmentDeviceTest, RateAndQueueBoundWhatGetsThrough) {
  Open("rate=8mbit,queue=10");                             // a byte per microsecond
  for (uint32_t i = 0; i < 30; ++i) Send(*near_, i, 982);  // 1000 bytes each
  EXPECT_EQ(near_->sent(0).overflowed.value(), 20u);
  size_t received = 0;
  for (int ms = 0; ms < 10; ++ms) {
    Advance(Duration::Millis(1));
    near_->Flush(0);
    const size_t n = ReceiveAll(*far_).size();
    EXPECT_EQ(n, 1u) << ms;
    received += n;
  }
  EXPECT_EQ(received, 10u);
  ExpectNothingLeft();
}

TEST_F(ImpairmentDeviceTest, StoppingForgetsWhatIsHeld) {
  Open("delay=1s");
  for (uint32_t i = 0; i < 100; ++i) {
    Send(*near_, i, 1000);
    Send(*far_, i, 1000);
  }
  EXPECT_TRUE(ReceiveAll(*near_).empty());
  ExpectNothingLeft();
}

TEST_F(ImpairmentDeviceTest, WaitsNoLongerThanForItsOwnFrames) {
  Open("delay=1ms");
  Send(*near_, 1, 100);
  Advance(Duration::Millis(2));
  EXPECT_TRUE(near_->WaitForReceive(0, -1, Duration::Seconds(3600)));  // due already: at once
  near_->Flush(0);
  ReceiveAll(*far_);
  EXPECT_FALSE(near_->WaitForReceive(0, -1, Duration::Seconds(3600)));  // as the loopback: it cannot wait
  ExpectNothingLeft();
}

TEST_F(ImpairmentDeviceTest, OffloadsThatWouldHideDamageAreOff) {
  Open("corrupt=1%");
  EXPECT_FALSE(near_->info().tx_tcp_checksum);
  EXPECT_FALSE(near_->info().tx_ip_checksum);
  EXPECT_FALSE(near_->info().tso);
}

// Receives as virtio does: sums are vouched for, though the frame holds only the pseudo-header's.
class VouchingDevice final : public Device {
 public:
  explicit VouchingDevice(std::unique_ptr<Device> inner) : inner_(std::move(inner)) {}

  const DeviceInfo& info() const override { return inner_->info(); }
  BufferPool& pool(uint16_t q) override { return inner_->pool(q); }
  size_t Receive(uint16_t q, std::span<RxFrame> out) override {
    const size_t count = inner_->Receive(q, out);
    for (RxFrame& frame : out.first(count)) {
      frame.ip_checksum = frame.l4_checksum = ChecksumState::kGood;
      frame.has_rss_hash = frame.vlan_stripped = true;
      frame.rss_hash = 0x12345678;
      frame.vlan_tci = 77;
    }
    return count;
  }
  size_t TransmitRoom(uint16_t q) override { return inner_->TransmitRoom(q); }
  void Transmit(uint16_t q, std::span<const TxFrame> frames) override { inner_->Transmit(q, frames); }
  void Flush(uint16_t q) override { inner_->Flush(q); }
  bool WaitForReceive(uint16_t, int, Duration) override { return false; }
  DeviceCounters counters() const override { return inner_->counters(); }
  bool LinkUp() const override { return true; }
  bool AddMulticast(const std::array<uint8_t, 6>& mac) override { return inner_->AddMulticast(mac); }
  void Stop() override { inner_->Stop(); }
  uint64_t buffers_outstanding() const override { return inner_->buffers_outstanding(); }

 private:
  std::unique_ptr<Device> inner_;
};

class UnfinishedSumTest : public ImpairmentDeviceTest {
 protected:
  void OpenVouching(const char* text) {
    DeviceOptions options;
    options.buffers = 1024;
    auto pair = OpenLoopbackPair(options, options);
    ASSERT_TRUE(pair.ok()) << pair.status();
    near_ = std::make_unique<ImpairmentDevice>(std::make_unique<VouchingDevice>(std::move(pair->first)),
                                               *ParseImpairment(text), [this] { return now_; });
    far_ = std::move(pair->second);
  }
  // A segment of 101 octets of text; its sum is whole, or only the pseudo-header's.
  static std::vector<uint8_t> Segment(bool v6, bool finished) {
    const auto src = wire::IpAddress::Parse(v6 ? "fd77::2" : "10.77.0.2").value();
    const auto dst = wire::IpAddress::Parse(v6 ? "fd77::1" : "10.77.0.1").value();
    constexpr size_t kSegment = 20 + 101;
    std::vector<uint8_t> bytes(14 + 40 + kSegment);
    size_t at = wire::WriteEthernet({.dst = wire::MacAddress({2, 0, 0, 0, 0, 1}),
                                     .src = wire::MacAddress({2, 0, 0, 0, 0, 2}),
                                     .ether_type = v6 ? wire::kEtherTypeIpv6 : wire::kEtherTypeIpv4},
                                    bytes.data());
    at += v6 ? wire::WriteIpv6({.src = src,
                                .dst = dst,
                                .payload_length = kSegment,
                                .hop_limit = 64,
                                .protocol = wire::kProtocolTcp},
                               bytes.data() + at)
             : wire::WriteIpv4({.src = src,
                                .dst = dst,
                                .total_length = 20 + kSegment,
                                .ttl = 64,
                                .protocol = wire::kProtocolTcp},
                               bytes.data() + at);
    bytes.resize(at + kSegment);
    const std::span<uint8_t> segment = std::span(bytes).subspan(at);
    wire::WriteTcp({.src_port = 7, .dst_port = 8, .seq = SeqNum(1), .flags = wire::kAck}, {}, segment.data());
    for (size_t i = 20; i < segment.size(); ++i) segment[i] = TestByte(9, i);
    wire::StoreBe16(segment.data() + wire::kTcpChecksumOffset,
                    finished ? wire::TransportChecksum(src, dst, wire::kProtocolTcp, segment)
                             : wire::PseudoHeaderSum(src, dst, wire::kProtocolTcp, kSegment).Folded());
    return bytes;
  }
  void SendBytes(std::span<const uint8_t> bytes) {
    TxFrame frame;
    frame.header_length = static_cast<uint16_t>(std::min(bytes.size(), TxFrame::kMaxHeader));
    std::copy_n(bytes.begin(), frame.header_length, frame.header.begin());
    const std::span<const uint8_t> rest = bytes.subspan(frame.header_length);
    Buffer* buffer = nullptr;
    ASSERT_TRUE(far_->pool(0).Allocate({&buffer, 1}));
    std::copy(rest.begin(), rest.end(), buffer->data);
    buffer->length = static_cast<uint32_t>(rest.size());
    if (!rest.empty()) frame.slices[frame.slice_count++] = {buffer->data, buffer->length, buffer};
    ASSERT_GE(far_->TransmitRoom(0), 1u);
    far_->Transmit(0, {&frame, 1});
    far_->pool(0).Release(buffer);
  }
};

TEST_F(UnfinishedSumTest, AHeldFrameKeepsWhatTheDeviceSaidOfIt) {
  for (const char* text : {"", "delay=1ms", "duplicate=100%", "delay=1ms,duplicate=100%", "rate=1mbit"}) {
    SCOPED_TRACE(text);
    OpenVouching(text);
    const std::vector<uint8_t> sent = Segment(false, false);
    SendBytes(sent);
    size_t received = 0;
    for (int step = 0; step < 4; ++step) {
      std::array<RxFrame, 8> frames;
      const size_t count = near_->Receive(0, frames);
      for (size_t i = 0; i < count; ++i) {
        EXPECT_EQ(BytesOf(frames[i].buffer), sent);
        EXPECT_EQ(frames[i].l4_checksum, ChecksumState::kGood);
        EXPECT_EQ(frames[i].ip_checksum, ChecksumState::kGood);
        EXPECT_TRUE(frames[i].has_rss_hash && frames[i].vlan_stripped);
        EXPECT_EQ(frames[i].rss_hash, 0x12345678u);
        EXPECT_EQ(frames[i].vlan_tci, 77);
        near_->pool(0).Release(frames[i].buffer);
      }
      received += count;
      Advance(Duration::Millis(1));
    }
    EXPECT_EQ(received, std::string_view(text).find("duplicate") == std::string_view::npos ? 1u : 2u);
    ExpectNothingLeft();
  }
}

TEST_F(UnfinishedSumTest, DamageIsDoneToAFinishedSum) {
  for (const bool v6 : {false, true}) {
    for (const char* text : {"corrupt=100%", "corrupt=100%,delay=1ms"}) {
      SCOPED_TRACE(text);
      OpenVouching(text);
      SendBytes(Segment(v6, false));
      std::array<RxFrame, 8> frames;
      size_t count = near_->Receive(0, frames);
      Advance(Duration::Millis(1));
      if (count == 0) count = near_->Receive(0, frames);
      ASSERT_EQ(count, 1u);
      EXPECT_EQ(frames[0].l4_checksum, ChecksumState::kUnknown);
      EXPECT_EQ(frames[0].ip_checksum, ChecksumState::kUnknown);
      const std::vector<uint8_t> whole = Segment(v6, true);
      const std::vector<uint8_t> bytes = BytesOf(frames[0].buffer);
      ASSERT_EQ(bytes.size(), whole.size());
      int flipped = 0;
      for (size_t i = 0; i < whole.size(); ++i) {
        flipped += std::popcount(static_cast<uint8_t>(bytes[i] ^ whole[i]));
      }
      EXPECT_EQ(flipped, 1);
      near_->pool(0).Release(frames[0].buffer);
      ExpectNothingLeft();
    }
  }
}

}  // namespace
}  // namespace tern
