// Two devices joined by a wire of memory, for tests of the runtime. Any thread may be at either end.
#ifndef TERN_RUNTIME_MEMORY_DEVICE_TEST_UTIL_H_
#define TERN_RUNTIME_MEMORY_DEVICE_TEST_UTIL_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/heap_buffer_pool.h"
#include "runtime/device.h"

namespace tern::runtime {

// One watching pool behind a lock, so that workers can release one another's buffers. A device may hold on to
// buffers that the stack has released already.
class SharedPool final : public BufferPool {
 public:
  explicit SharedPool(uint32_t limit) : pool_({.limit = limit}) {}

  bool Allocate(std::span<Buffer*> out) override {
    const std::lock_guard lock(mutex_);
    return pool_.Allocate(out);
  }
  void Release(Buffer* list) override {
    const std::lock_guard lock(mutex_);
    while (list != nullptr) {
      Buffer* buffer = std::exchange(list, list->next);
      buffer->next = nullptr;
      const auto held = holds_.find(buffer);
      if (held == holds_.end()) {
        pool_.Release(buffer);
      } else {
        EXPECT_FALSE(std::exchange(held->second.released, true)) << "released twice";
      }
    }
  }
  uint32_t buffer_capacity() const override { return pool_.buffer_capacity(); }

  Buffer* AllocateWith(std::span<const uint8_t> bytes) {
    const std::lock_guard lock(mutex_);
    return pool_.AllocateWith(bytes);
  }
  void Hold(Buffer* buffer) {
    const std::lock_guard lock(mutex_);
    ++holds_[buffer].count;
  }
  void LetGo(Buffer* buffer) {
    const std::lock_guard lock(mutex_);
    const auto held = holds_.find(buffer);
    if (--held->second.count != 0) return;
    const bool released = held->second.released;
    holds_.erase(held);
    if (released) pool_.Release(buffer);
  }
  uint32_t outstanding() {
    const std::lock_guard lock(mutex_);
    return pool_.outstanding();
  }
  void set_limit(uint32_t buffers) {
    const std::lock_guard lock(mutex_);
    pool_.set_limit(buffers);
  }

 private:
  struct Held {
    uint32_t count = 0;
    bool released = false;
  };
  std::mutex mutex_;
  HeapBufferPool pool_;
  std::map<Buffer*, Held> holds_;
};

// One direction of the wire.
struct MemoryWire {
  std::mutex mutex;
  std::deque<std::vector<uint8_t>> frames;
};

// Receives on whichever queue asks: as wrong as steering can be, so that workers have to hand frames over.
class MemoryDevice final : public Device {
 public:
  MemoryDevice(std::string name, uint8_t number, uint16_t queues, std::shared_ptr<MemoryWire> in,
               std::shared_ptr<MemoryWire> out)
      : pool_(65'536), in_(std::move(in)), out_(std::move(out)) {
    info_.name = std::move(name);
    info_.driver = "memory";
    info_.mac = {2, 0, 0, 0, 0, number};
    info_.queue_count = queues;
    info_.offload_summary = "none";
  }

  const DeviceInfo& info() const override { return info_; }
  BufferPool& pool(uint16_t) override { return pool_; }

  size_t Receive(uint16_t, std::span<RxFrame> out) override {
    size_t count = 0;
    const std::lock_guard lock(in_->mutex);
    while (count < out.size() && !in_->frames.empty()) {
      Buffer* buffer = pool_.AllocateWith(in_->frames.front());
      if (buffer == nullptr) break;  // the frame waits, as in a ring
      in_->frames.pop_front();
      out[count++] = {.buffer = buffer};
    }
    return count;
  }

  size_t TransmitRoom(uint16_t) override { return room_.load(std::memory_order_relaxed); }

  void Transmit(uint16_t, std::span<const TxFrame> frames) override {
    const std::lock_guard lock(mutex_);
    ASSERT_LE(frames.size(), room_.load(std::memory_order_relaxed));
    for (const TxFrame& frame : frames) held_.push_back(Take(frame));
    if (!holding_) PassOn();
  }

  void Flush(uint16_t) override {}
  bool WaitForReceive(uint16_t, int, Duration) override { return false; }
  DeviceCounters counters() const override { return {}; }
  bool LinkUp() const override { return true; }
  bool AddMulticast(const std::array<uint8_t, 6>&) override { return true; }
  void Stop() override { set_holding(false); }
  uint64_t buffers_outstanding() const override { return pool_.outstanding(); }

  // Frames taken by each Transmit at the most; zero: the device is full.
  void set_room(size_t frames) { room_.store(frames, std::memory_order_relaxed); }
  // Holds what it is given, by reference, until told otherwise.
  void set_holding(bool on) {
    const std::lock_guard lock(mutex_);
    holding_ = on;
    if (!on) PassOn();
  }
  SharedPool& shared_pool() { return pool_; }

 private:
  struct Held {
    std::vector<uint8_t> at_transmit;  // the bytes as they were
    std::vector<uint8_t> header;
    std::vector<TxSlice> slices;
  };

  static std::vector<uint8_t> Flatten(const Held& held) {
    std::vector<uint8_t> bytes = held.header;
    for (const TxSlice& slice : held.slices) bytes.insert(bytes.end(), slice.data, slice.data + slice.length);
    return bytes;
  }
  Held Take(const TxFrame& frame) {
    Held held;
    held.header.assign(frame.header.begin(), frame.header.begin() + frame.header_length);
    held.slices.assign(frame.slices.begin(), frame.slices.begin() + frame.slice_count);
    for (const TxSlice& slice : held.slices) pool_.Hold(slice.owner);
    held.at_transmit = Flatten(held);
    return held;
  }
  void PassOn() {
    const std::lock_guard lock(out_->mutex);
    for (const Held& held : held_) {
      // Nobody may have written into what a device holds.
      EXPECT_EQ(Flatten(held), held.at_transmit);
      out_->frames.push_back(held.at_transmit);
      for (const TxSlice& slice : held.slices) pool_.LetGo(slice.owner);
    }
    held_.clear();
  }

  DeviceInfo info_;
  mutable SharedPool pool_;
  std::shared_ptr<MemoryWire> in_;
  std::shared_ptr<MemoryWire> out_;
  std::atomic<size_t> room_{32};
  std::mutex mutex_;
  bool holding_ = false;
  std::vector<Held> held_;
};

struct MemoryPair {
  std::unique_ptr<MemoryDevice> a;
  std::unique_ptr<MemoryDevice> b;
};

inline MemoryPair MakeMemoryPair(uint16_t queues) {
  auto there = std::make_shared<MemoryWire>();
  auto back = std::make_shared<MemoryWire>();
  return {std::make_unique<MemoryDevice>("memory:a", 1, queues, back, there),
          std::make_unique<MemoryDevice>("memory:b", 2, queues, there, back)};
}

}  // namespace tern::runtime

#endif  // TERN_RUNTIME_MEMORY_DEVICE_TEST_UTIL_H_
