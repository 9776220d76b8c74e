#include "drivers_glue/impairment_device.h"

#include <gtest/gtest.h>

#include <bit>
#include <map>
#include <vector>

#include "drivers_glue/frames_for_test.h"
#include "drivers_glue/glue_env_for_test.h"
#include "drivers_glue/loopback_device.h"

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

}  // namespace
}  // namespace tern
