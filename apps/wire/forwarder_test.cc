#include "apps/wire/forwarder.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "drivers_glue/impairment_device.h"

namespace tern::apps {
namespace {

using Bytes = std::vector<uint8_t>;

// A port in memory. Frames to receive are queued as lists of pieces; frames sent are kept flat.
class MemoryPort : public Device, private BufferPool {
 public:
  void Arrive(const std::vector<Bytes>& pieces) {
    Buffer* first = nullptr;
    Buffer** link = &first;
    for (const Bytes& bytes : pieces) {
      auto* memory = new Bytes(bytes);
      *link = new Buffer{
          .data = memory->data(), .length = static_cast<uint32_t>(memory->size()), .handle = memory};
      link = &(*link)->next;
      ++held;
    }
    waiting.push_back(first);
  }

  const DeviceInfo& info() const override { return info_; }
  BufferPool& pool(uint16_t) override { return *this; }
  size_t Receive(uint16_t, std::span<RxFrame> out) override {
    size_t count = 0;
    while (count < out.size() && !waiting.empty()) {
      out[count++] = {.buffer = waiting.front()};
      waiting.pop_front();
    }
    return count;
  }
  size_t TransmitRoom(uint16_t) override { return room; }
  void Transmit(uint16_t, std::span<const TxFrame> frames) override {
    ASSERT_LE(frames.size(), room);
    for (const TxFrame& frame : frames) {
      Bytes flat(frame.header.begin(), frame.header.begin() + frame.header_length);
      for (size_t i = 0; i < frame.slice_count; ++i) {
        flat.insert(flat.end(), frame.slices[i].data, frame.slices[i].data + frame.slices[i].length);
      }
      sent.push_back(flat);
    }
  }
  void Flush(uint16_t) override { ++flushes; }
  bool WaitForReceive(uint16_t, int, Duration) override { return false; }
  DeviceCounters counters() const override { return {}; }
  bool LinkUp() const override { return true; }
  bool AddMulticast(const std::array<uint8_t, 6>&) override { return false; }
  void Stop() override {}
  uint64_t buffers_outstanding() const override { return held; }

  std::deque<Buffer*> waiting;
  std::vector<Bytes> sent;
  size_t room = 100;
  uint64_t held = 0;
  int flushes = 0;

 private:
  bool Allocate(std::span<Buffer*>) override { return false; }
  void Release(Buffer* list) override {
    while (list != nullptr) {
      Buffer* next = list->next;
      delete static_cast<Bytes*>(list->handle);
      delete list;
      list = next;
      --held;
    }
  }
  uint32_t buffer_capacity() const override { return 2048; }

  DeviceInfo info_;
};

Bytes Numbered(size_t size, uint8_t first = 0) {
  Bytes bytes(size);
  std::iota(bytes.begin(), bytes.end(), first);
  return bytes;
}

TEST(OneWay, FramesOfAnySizeArriveWhole) {
  MemoryPort a, b;
  OneWay wire(&a, &b);
  const size_t sizes[] = {14, 60, 63, 64, 65, 159, 160, 161, 1514, 9014};
  for (const size_t size : sizes) a.Arrive({Numbered(size)});
  EXPECT_EQ(wire.Turn(), std::size(sizes));
  ASSERT_EQ(b.sent.size(), std::size(sizes));
  for (size_t i = 0; i < std::size(sizes); ++i) EXPECT_EQ(b.sent[i], Numbered(sizes[i]));
  EXPECT_EQ(a.held, 0u);
  EXPECT_EQ(wire.frames(), std::size(sizes));
  EXPECT_EQ(wire.octets(), std::accumulate(std::begin(sizes), std::end(sizes), size_t{0}));
}

TEST(OneWay, PiecesAreJoined) {
  MemoryPort a, b;
  OneWay wire(&a, &b);
  a.Arrive({Numbered(20), Numbered(100, 20), Numbered(80, 120)});
  a.Arrive({Numbered(64), Numbered(10, 64)});
  wire.Turn();
  ASSERT_EQ(b.sent.size(), 2u);
  EXPECT_EQ(b.sent[0], Numbered(200));
  EXPECT_EQ(b.sent[1], Numbered(74));
  EXPECT_EQ(a.held, 0u);
}

TEST(OneWay, TooManyPiecesAreDroppedAndCounted) {
  MemoryPort a, b;
  OneWay wire(&a, &b);
  a.Arrive(std::vector<Bytes>(TxFrame::kMaxSlices + 2, Numbered(100)));
  a.Arrive({Numbered(60)});
  EXPECT_EQ(wire.Turn(), 2u);
  EXPECT_EQ(b.sent, std::vector<Bytes>{Numbered(60)});
  EXPECT_EQ(wire.dropped(), 1u);
  EXPECT_EQ(a.held, 0u);
}

TEST(OneWay, TheReportSaysWhatTheImpairmentDid) {
  MemoryPort a;
  ImpairmentDevice b(std::make_unique<MemoryPort>(), *ParseImpairment("loss=20%,duplicate=10%,seed=3"),
                     [] { return Instant::FromNanos(1); });
  OneWay wire(&a, &b);
  for (int i = 0; i < 20; ++i) {
    for (int k = 0; k < 30; ++k) a.Arrive({Numbered(60)});
    wire.Turn();
  }
  const ImpairmentCounters& did = b.sent(0);
  ASSERT_GT(did.lost.value(), 0u);
  ASSERT_GT(did.duplicated.value(), 0u);
  Report report;
  report.Section("ab", "a -> b");
  wire.AddTo(report);
  const std::string json = report.ToJson();
  const auto says = [&](const std::string& key, uint64_t value) {
    return json.find("\"" + key + "\": " + std::to_string(value)) != std::string::npos;
  };
  EXPECT_TRUE(says("frames", 600)) << json;
  EXPECT_TRUE(says("impairment_seen", 600)) << json;
  EXPECT_TRUE(says("impairment_lost", did.lost.value())) << json;
  EXPECT_TRUE(says("impairment_duplicated", did.duplicated.value())) << json;
  EXPECT_NE(report.ToText().find("lost by it"), std::string::npos);
  // Of a port without one there is nothing to say.
  MemoryPort c;
  Report plain;
  OneWay(&a, &c).AddTo(plain);
  EXPECT_EQ(plain.ToJson().find("impairment"), std::string::npos);
}

TEST(OneWay, AFullPortHoldsTheOtherBack) {
  MemoryPort a, b;
  OneWay wire(&a, &b);
  for (int i = 0; i < 10; ++i) a.Arrive({Numbered(60)});
  b.room = 0;
  EXPECT_EQ(wire.Turn(), 0u);
  EXPECT_EQ(a.waiting.size(), 10u);
  EXPECT_EQ(b.flushes, 1);
  b.room = 3;
  EXPECT_EQ(wire.Turn(), 3u);
  EXPECT_EQ(a.waiting.size(), 7u);
  b.room = 100;
  EXPECT_EQ(wire.Turn(), 7u);
  EXPECT_EQ(a.held, 0u);
}

}  // namespace
}  // namespace tern::apps
