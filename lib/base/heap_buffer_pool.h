// A BufferPool on the heap that watches its users. For tests, simulators and fuzzers; production does not
// link it.
#ifndef TERN_BASE_HEAP_BUFFER_POOL_H_
#define TERN_BASE_HEAP_BUFFER_POOL_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/buffer.h"

namespace tern {

// Finds, and tells in words: buffers never released, released twice or not from here, written to after
// release or outside their room, and descriptors that point outside their block. Fresh buffers are filled
// with a pattern, so that a use of bytes nobody wrote repeats from run to run; released ones wait as long as
// possible before they are used again, and under the address sanitizer may not even be read.
//
// Deterministic, given the same calls: which block comes next never depends on addresses.
class HeapBufferPool final : public BufferPool {
 public:
  struct Options {
    uint32_t capacity = 2048;     // bytes that one buffer holds
    uint32_t headroom = 128;      // bytes before its data
    uint32_t limit = 0xffffffff;  // buffers out at a time
    // Under the address sanitizer: end the program at the offending access itself. Off where a test provokes
    // one.
    bool trap_access_after_release = true;
  };

  HeapBufferPool() : HeapBufferPool(Options{}) {}
  explicit HeapBufferPool(const Options& options);
  // Prints and aborts if there are faults that nobody took with TakeFaults, leaks included: a test that
  // forgets to ask must not pass.
  ~HeapBufferPool() override;
  HeapBufferPool(const HeapBufferPool&) = delete;
  HeapBufferPool& operator=(const HeapBufferPool&) = delete;

  bool Allocate(std::span<Buffer*> out) override;
  // Released buffers that are not ours or not out are faults, and end the list there: what follows is not
  // known.
  void Release(Buffer* list) override;
  uint32_t buffer_capacity() const override { return options_.capacity; }

  // For tests: one buffer, nullptr at the limit; and one that holds `bytes` already (at most the capacity).
  Buffer* AllocateOne();
  Buffer* AllocateWith(std::span<const uint8_t> bytes);

  // Buffers allocated and not yet released. A lower limit than that refuses until enough come back.
  uint32_t outstanding() const { return outstanding_; }
  void set_limit(uint32_t buffers) { options_.limit = buffers; }
  uint64_t allocations() const { return allocations_; }
  uint64_t refusals() const { return refusals_; }  // calls that gave nothing for want of buffers
  uint32_t peak_outstanding() const { return peak_outstanding_; }

  // What went wrong up to now, one line each, and forgets it. Looks at every block, those waiting for reuse
  // included. Buffers still out are not faults here: they become so when the pool ends, or with
  // `expect_idle`.
  std::vector<std::string> TakeFaults(bool expect_idle = false);

 private:
  struct Block;

  Block* FreshBlock();
  void Hand(Block& block);
  void Retire(Block& block);
  // The block whose buffer this is; nullptr for a pointer that is none of ours.
  Block* Find(const Buffer* buffer) const;
  void CheckLive(const Block& block);
  void CheckReleased(Block& block);
  void Fault(const Block* block, const std::string& what);
  void Poison(Block& block, bool on) const;

  Options options_;
  std::vector<std::unique_ptr<Block>> blocks_;                // by number
  std::vector<std::pair<const Buffer*, Block*>> by_address_;  // sorted
  std::deque<Block*> waiting_;                                // released, oldest first
  uint32_t outstanding_ = 0;
  uint32_t peak_outstanding_ = 0;
  uint64_t allocations_ = 0;
  uint64_t refusals_ = 0;
  std::vector<std::string> faults_;
};

}  // namespace tern

#endif  // TERN_BASE_HEAP_BUFFER_POOL_H_
