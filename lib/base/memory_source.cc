#include "base/memory_source.h"

#include <cstdlib>
#include <cstring>

namespace tern {
namespace {

class Heap final : public MemorySource {
 public:
  void* Allocate(size_t bytes) override {
    const size_t rounded = (bytes + kAlignment - 1) & ~(kAlignment - 1);
    void* block = std::aligned_alloc(kAlignment, rounded);
    if (block != nullptr) std::memset(block, 0, rounded);
    return block;
  }
  void Free(void* block, size_t) override { std::free(block); }

 private:
  static constexpr size_t kAlignment = 64;
};

// Never destroyed: pools with static lifetime may give memory back after the statics of this file would be
// gone. And constant-initialised: no guard, which would be a lock, in a room that has none.
union Everlasting {
  constexpr Everlasting() : heap() {}
  ~Everlasting() {}
  Heap heap;
};
constinit Everlasting everlasting;

}  // namespace

MemorySource& HeapMemory() { return everlasting.heap; }

}  // namespace tern
