// Packet memory of one queue: DPDK mbufs that carry a Buffer in their private area.
#ifndef TERN_DRIVERS_GLUE_MBUF_POOL_H_
#define TERN_DRIVERS_GLUE_MBUF_POOL_H_

#include <rte_mbuf.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "base/buffer.h"
#include "base/memory_source.h"
#include "drivers_glue/counter.h"

namespace tern {

// The private area is a whole cache line, so that the Buffer shares none with the mbuf's own two.
inline constexpr uint16_t kMbufPrivateSize = RTE_CACHE_LINE_SIZE;

// What lies there.
struct MbufPrivate {
  Buffer buffer;
  uint16_t owner = 0;  // number of the MbufPool whose buffer it is
};
static_assert(sizeof(MbufPrivate) <= kMbufPrivateSize);

inline MbufPrivate* PrivateOf(rte_mbuf* mbuf) { return static_cast<MbufPrivate*>(rte_mbuf_to_priv(mbuf)); }
inline Buffer* BufferOf(rte_mbuf* mbuf) { return &PrivateOf(mbuf)->buffer; }
inline rte_mbuf* MbufOf(const Buffer* buffer) { return static_cast<rte_mbuf*>(buffer->handle); }
// True when `buffer` lies inside an mbuf of a pool of this room; others can be copied from but not referred
// to.
inline bool LivesInMbuf(const Buffer* buffer) {
  if (buffer == nullptr) return false;
  const auto behind_mbuf = reinterpret_cast<uintptr_t>(buffer->handle) + sizeof(rte_mbuf);
  return reinterpret_cast<uintptr_t>(buffer) == behind_mbuf;
}

// Thread: Allocate, Release, Adopt and CountAdopted are for the pool's own thread. Buffers may be released
// through any pool of the process: a frame that one worker receives and another one owns goes back through
// the other's. The account is settled with the pool that they came from.
class MbufPool final : public BufferPool {
 public:
  // Most pools that the process may have at once.
  static constexpr uint16_t kMaxPools = 512;

  struct Options {
    std::string name;       // unique in the process, at most 25 characters
    uint32_t count = 4096;  // buffers
    uint32_t room = 2048;   // bytes that one holds, headroom apart
    uint32_t budget = 0;    // most buffers the stack may hold before Allocate refuses; 0: no bound
    int socket = 0;         // NUMA node
  };

  static absl::StatusOr<std::unique_ptr<MbufPool>> Create(const Options& options);
  // A pool with buffers still out is not given back to DPDK: whoever holds them would write into freed
  // memory.
  ~MbufPool() override;

  bool Allocate(std::span<Buffer*> out) override;
  void Release(Buffer* list) override;
  // With seven eighths of the budget held.
  bool Tight() override { return budget_ != 0 && OverBudget(budget_ / 8); }
  uint32_t buffer_capacity() const override { return room_; }

  // Makes the Buffer of a received, direct, single mbuf describe its bytes, and counts it as held by the
  // stack.
  Buffer* Adopt(rte_mbuf* mbuf) {
    Buffer* buffer = Describe(mbuf);
    ++adopted_in_burst_;
    return buffer;
  }
  // Ends a burst of Adopt.
  void CountAdopted() {
    taken_.Add(adopted_in_burst_);
    adopted_in_burst_ = 0;
  }

  rte_mempool* mempool() const { return mempool_; }
  // How many of this pool's buffers the stack holds. Any thread; exact when those that take and release rest.
  int64_t held() const { return static_cast<int64_t>(taken_.value() - Returned()); }
  // Buffers that are not in the mempool or its caches, wherever they are. Slow.
  uint32_t in_use() const {
    return driver_forgotten_ ? static_cast<uint32_t>(held() < 0 ? 0 : held())
                             : rte_mempool_in_use_count(mempool_);
  }
  // From now on buffers that the stack does not hold count as free: the driver that has them is gone.
  void ForgetDriver() { driver_forgotten_ = true; }

 private:
  MbufPool(rte_mempool* mempool, uint16_t number, const Options& options);
  // Whether so many more would exceed the budget.
  bool OverBudget(size_t more);
  // Buffers of this pool released so far, through whichever pool.
  uint64_t Returned() const;
  Buffer* Describe(rte_mbuf* mbuf) {
    Buffer* buffer = BufferOf(mbuf);
    buffer->next = nullptr;
    buffer->data = rte_pktmbuf_mtod(mbuf, uint8_t*);
    buffer->length = mbuf->data_len;
    buffer->tailroom = rte_pktmbuf_tailroom(mbuf);
    buffer->cost = cost_;
    return buffer;
  }

  rte_mempool* mempool_;
  uint16_t number_;
  uint32_t room_;
  uint32_t cost_;
  uint32_t budget_;
  uint32_t adopted_in_burst_ = 0;
  bool driver_forgotten_ = false;
  Counter taken_;
  uint64_t returned_seen_ = 0;  // Returned() when it was last asked for; it only grows
};

// Creates a mempool of mbufs whose private area holds a Buffer with its handle set, of the pool numbered
// `owner`. `room` excludes the headroom; zero makes a pool of mbufs without data, to be attached to others.
absl::StatusOr<rte_mempool*> CreateMbufMempool(const std::string& name, uint32_t count, uint32_t room,
                                               int socket, uint16_t owner = 0);

// Frees `mbufs`, chains included, in bulk. Null entries are skipped.
void FreeMbufs(std::span<rte_mbuf*> mbufs);

// Huge pages where the EAL has them, falling back to the kernel's pages. REQUIRES: EalIsRunning() while used.
MemorySource& HugeMemory();

}  // namespace tern

#endif  // TERN_DRIVERS_GLUE_MBUF_POOL_H_
