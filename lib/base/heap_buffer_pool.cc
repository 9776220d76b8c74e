#include "base/heap_buffer_pool.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#define TERN_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TERN_ADDRESS_SANITIZER 1
#endif
#endif
#ifdef TERN_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#endif

namespace tern {
namespace {

constexpr uint8_t kFresh = 0xa5;     // never written since it was allocated
constexpr uint8_t kReleased = 0xdd;  // nobody's
constexpr uint8_t kCanary = 0xc7;    // nobody's ever
constexpr uint32_t kCanaryBytes = 64;
// What a real pool spends on a buffer beside its bytes: a descriptor of two lines and a private area of one.
constexpr uint32_t kDescriptorCost = 192;

// REQUIRES: count > 0. Compares the bytes with themselves one further on: memcmp is far faster than a loop,
// and every allocation comes through here.
bool AllEqual(const uint8_t* bytes, size_t count, uint8_t value) {
  return bytes[0] == value && std::memcmp(bytes, bytes + 1, count - 1) == 0;
}

}  // namespace

// canary | headroom | capacity | canary, and the Buffer beside it so that a write past the data cannot reach
// it.
struct HeapBufferPool::Block {
  uint32_t number = 0;
  bool out = false;
  uint64_t allocation = 0;  // which allocation handed it out last: names a leak
  Buffer buffer;
  std::unique_ptr<uint8_t[]> memory;

  uint8_t* room() const { return memory.get() + kCanaryBytes; }
};

HeapBufferPool::HeapBufferPool(const Options& options) : options_(options) {
  options_.capacity = std::max(options_.capacity, 1u);
}

HeapBufferPool::~HeapBufferPool() {
  const std::vector<std::string> faults = TakeFaults(/*expect_idle=*/true);
  for (const auto& block : blocks_) Poison(*block, false);
  if (faults.empty()) return;
  for (const std::string& fault : faults) std::fprintf(stderr, "HeapBufferPool: %s\n", fault.c_str());
  std::abort();
}

HeapBufferPool::Block* HeapBufferPool::FreshBlock() {
  const size_t room = size_t{options_.headroom} + options_.capacity;
  auto block = std::make_unique<Block>();
  block->number = static_cast<uint32_t>(blocks_.size());
  block->memory = std::make_unique_for_overwrite<uint8_t[]>(room + 2 * kCanaryBytes);
  std::memset(block->memory.get(), kCanary, kCanaryBytes);
  std::memset(block->room() + room, kCanary, kCanaryBytes);
  const std::pair<const Buffer*, Block*> entry{&block->buffer, block.get()};
  by_address_.insert(std::lower_bound(by_address_.begin(), by_address_.end(), entry), entry);
  blocks_.push_back(std::move(block));
  return entry.second;
}

bool HeapBufferPool::Allocate(std::span<Buffer*> out) {
  if (out.size() > options_.limit || outstanding_ > options_.limit - out.size()) {
    ++refusals_;
    return false;
  }
  for (Buffer*& slot : out) {
    Block* block = nullptr;
    if (waiting_.empty()) {
      block = FreshBlock();
    } else {
      block = waiting_.front();
      waiting_.pop_front();
      CheckReleased(*block);
    }
    Hand(*block);
    slot = &block->buffer;
  }
  return true;
}

void HeapBufferPool::Hand(Block& block) {
  Poison(block, false);
  std::memset(block.room(), kFresh, size_t{options_.headroom} + options_.capacity);
  block.out = true;
  block.allocation = allocations_++;
  block.buffer = Buffer{.data = block.room() + options_.headroom,
                        .tailroom = options_.capacity,
                        .cost = options_.capacity + options_.headroom + kDescriptorCost,
                        .handle = &block};
  ++outstanding_;
  peak_outstanding_ = std::max(peak_outstanding_, outstanding_);
}

void HeapBufferPool::Release(Buffer* list) {
  while (list != nullptr) {
    Block* block = Find(list);
    if (block == nullptr) return Fault(nullptr, "released a buffer that is not from this pool");
    if (!block->out) return Fault(block, "released twice");
    Buffer* next = list->next;
    CheckLive(*block);
    Retire(*block);
    list = next;
  }
}

void HeapBufferPool::Retire(Block& block) {
  std::memset(block.room(), kReleased, size_t{options_.headroom} + options_.capacity);
  std::memset(static_cast<void*>(&block.buffer), kReleased, sizeof(Buffer));
  block.out = false;
  waiting_.push_back(&block);
  --outstanding_;
  Poison(block, true);
}

Buffer* HeapBufferPool::AllocateOne() {
  Buffer* buffer = nullptr;
  return Allocate({&buffer, 1}) ? buffer : nullptr;
}

Buffer* HeapBufferPool::AllocateWith(std::span<const uint8_t> bytes) {
  if (bytes.size() > options_.capacity) return nullptr;
  Buffer* buffer = AllocateOne();
  if (buffer == nullptr || bytes.empty()) return buffer;
  std::memcpy(buffer->data, bytes.data(), bytes.size());
  buffer->length = static_cast<uint32_t>(bytes.size());
  buffer->tailroom -= buffer->length;
  return buffer;
}

HeapBufferPool::Block* HeapBufferPool::Find(const Buffer* buffer) const {
  const auto found = std::lower_bound(by_address_.begin(), by_address_.end(), buffer,
                                      [](const auto& entry, const Buffer* b) { return entry.first < b; });
  return found != by_address_.end() && found->first == buffer ? found->second : nullptr;
}

void HeapBufferPool::CheckLive(const Block& block) {
  const Buffer& buffer = block.buffer;
  const size_t room = size_t{options_.headroom} + options_.capacity;
  if (!AllEqual(block.memory.get(), kCanaryBytes, kCanary)) Fault(&block, "written to before its headroom");
  if (!AllEqual(block.room() + room, kCanaryBytes, kCanary)) Fault(&block, "written to past its capacity");
  if (buffer.handle != &block) Fault(&block, "its handle was changed");
  const uint8_t* end = block.room() + room;
  if (buffer.data < block.room() || buffer.data > end ||
      uint64_t{buffer.length} + buffer.tailroom > static_cast<uint64_t>(end - buffer.data)) {
    Fault(&block, "its data, length and tailroom do not lie inside its block");
  }
}

void HeapBufferPool::CheckReleased(Block& block) {
  Poison(block, false);
  const size_t room = size_t{options_.headroom} + options_.capacity;
  const auto* descriptor = reinterpret_cast<const uint8_t*>(&block.buffer);
  if (!AllEqual(block.room(), room, kReleased) || !AllEqual(descriptor, sizeof(Buffer), kReleased)) {
    Fault(&block, "written to after it was released");
    std::memset(block.room(), kReleased, room);
    std::memset(static_cast<void*>(&block.buffer), kReleased, sizeof(Buffer));
  }
  Poison(block, true);
}

std::vector<std::string> HeapBufferPool::TakeFaults(bool expect_idle) {
  for (const auto& block : blocks_) {
    if (!block->out) {
      CheckReleased(*block);
      continue;
    }
    CheckLive(*block);
    if (expect_idle) Fault(block.get(), "never released");
  }
  return std::exchange(faults_, {});
}

void HeapBufferPool::Fault(const Block* block, const std::string& what) {
  // A broken run would otherwise say the same thing for ever.
  constexpr size_t kMostFaults = 100;
  if (faults_.size() >= kMostFaults) return;
  faults_.push_back(block == nullptr ? what
                                     : "buffer " + std::to_string(block->number) + " (allocation " +
                                           std::to_string(block->allocation) + "): " + what);
}

void HeapBufferPool::Poison(Block& block, bool on) const {
#ifdef TERN_ADDRESS_SANITIZER
  if (!options_.trap_access_after_release) return;
  const size_t room = size_t{options_.headroom} + options_.capacity;
  if (on) {
    ASAN_POISON_MEMORY_REGION(block.room(), room);
  } else {
    ASAN_UNPOISON_MEMORY_REGION(block.room(), room);
  }
#else
  (void)block;
  (void)on;
#endif
}

}  // namespace tern
