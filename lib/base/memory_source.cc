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

}  // namespace

MemorySource& HeapMemory() {
  static Heap heap;
  return heap;
}

}  // namespace tern
