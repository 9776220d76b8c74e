// Where the large tables of the pure rooms get their memory.
#ifndef TERN_BASE_MEMORY_SOURCE_H_
#define TERN_BASE_MEMORY_SOURCE_H_

#include <cstddef>

namespace tern {

// Gives big, long-lived blocks: huge pages in production, the heap in tests. Called when a shard is built and
// when a pool grows by a chunk, never per packet.
class MemorySource {
 public:
  virtual ~MemorySource() = default;
  // Zeroed memory, aligned to a cache line or more; nullptr when there is none left.
  virtual void* Allocate(size_t bytes) = 0;
  virtual void Free(void* block, size_t bytes) = 0;
};

// The process heap. Lives as long as the program.
MemorySource& HeapMemory();

}  // namespace tern

#endif  // TERN_BASE_MEMORY_SOURCE_H_
