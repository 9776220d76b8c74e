#include "drivers_glue/mbuf_pool.h"

#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_memory.h>
#include <rte_mempool.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "drivers_glue/eal.h"

namespace tern {
namespace {

// Bulk of one exchange with the mempool; the cache of a worker holds several.
constexpr size_t kBulk = 64;
constexpr uint32_t kCacheSize = 256;
// A ring that a preempted thread does not block: workers share CPUs with other programs on small machines.
constexpr const char* kMempoolOps = "ring_mt_rts";

void InitialiseBuffer(rte_mempool* /*pool*/, void* /*unused*/, void* object, unsigned /*index*/) {
  auto* mbuf = static_cast<rte_mbuf*>(object);
  auto* buffer = new (rte_mbuf_to_priv(mbuf)) Buffer;
  buffer->handle = mbuf;
}

uint32_t RealSize(const rte_mempool* mempool) {
  return mempool->header_size + mempool->elt_size + mempool->trailer_size;
}

class HugeMemorySource final : public MemorySource {
 public:
  void* Allocate(size_t bytes) override {
    void* block = rte_zmalloc(nullptr, bytes, RTE_CACHE_LINE_SIZE);
    if (block != nullptr) return block;
    block = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return block == MAP_FAILED ? nullptr : block;
  }
  void Free(void* block, size_t bytes) override {
    if (block == nullptr) return;
    if (rte_mem_virt2memseg_list(block) != nullptr) {
      rte_free(block);
    } else {
      munmap(block, bytes);
    }
  }
};

}  // namespace

absl::StatusOr<rte_mempool*> CreateMbufMempool(const std::string& name, uint32_t count, uint32_t room,
                                               int socket) {
  const uint32_t data_room = room == 0 ? 0 : room + RTE_PKTMBUF_HEADROOM;
  if (data_room > UINT16_MAX) {
    return absl::InvalidArgumentError(absl::StrCat("a buffer of ", room,
                                                   " bytes was asked for, but an mbuf holds at "
                                                   "most ",
                                                   UINT16_MAX - RTE_PKTMBUF_HEADROOM, ": lower the MTU"));
  }
  const uint32_t cache = count >= 4 * kCacheSize ? kCacheSize : 0;
  rte_mempool* mempool = rte_pktmbuf_pool_create_by_ops(
      name.c_str(), count, cache, kMbufPrivateSize, static_cast<uint16_t>(data_room), socket, kMempoolOps);
  if (mempool == nullptr) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for pool ", name, ": ", count, " buffers of ", room, " bytes (",
                     uint64_t{count} * (data_room + 256) >> 20, " MiB) (", rte_strerror(rte_errno),
                     "): ", TakeDpdkLog(), "; lower buffers, or give more memory (memory_mib, huge pages)"));
  }
  rte_mempool_obj_iter(mempool, InitialiseBuffer, nullptr);
  return mempool;
}

void FreeMbufs(std::span<rte_mbuf*> mbufs) {
  rte_pktmbuf_free_bulk(mbufs.data(), static_cast<unsigned>(mbufs.size()));
}

absl::StatusOr<std::unique_ptr<MbufPool>> MbufPool::Create(const Options& options) {
  absl::StatusOr<rte_mempool*> mempool =
      CreateMbufMempool(options.name, options.count, options.room, options.socket);
  if (!mempool.ok()) return mempool.status();
  return std::unique_ptr<MbufPool>(new MbufPool(*mempool, options));
}

MbufPool::MbufPool(rte_mempool* mempool, const Options& options)
    : mempool_(mempool), room_(options.room), cost_(RealSize(mempool)), budget_(options.budget) {}

MbufPool::~MbufPool() {
  if (in_use() == 0) rte_mempool_free(mempool_);
}

bool MbufPool::Allocate(std::span<Buffer*> out) {
  if (budget_ != 0 && held() + static_cast<int64_t>(out.size()) > budget_) return false;
  size_t done = 0;
  while (done < out.size()) {
    std::array<rte_mbuf*, kBulk> mbufs;
    const size_t n = std::min(kBulk, out.size() - done);
    if (rte_pktmbuf_alloc_bulk(mempool_, mbufs.data(), static_cast<unsigned>(n)) != 0) {
      for (size_t i = 0; i + 1 < done; ++i) out[i]->next = out[i + 1];
      taken_.Add(done);
      if (done > 0) Release(out[0]);
      return false;
    }
    for (size_t i = 0; i < n; ++i) out[done + i] = Describe(mbufs[i]);
    done += n;
  }
  taken_.Add(done);
  return true;
}

void MbufPool::Release(Buffer* list) {
  std::array<rte_mbuf*, kBulk> mbufs;
  while (list != nullptr) {
    size_t n = 0;
    while (n < kBulk && list != nullptr) {
      Buffer* next = list->next;
      mbufs[n++] = MbufOf(list);
      list = next;
      if (list != nullptr) __builtin_prefetch(list->handle);
    }
    // Gives back those nobody else refers to; the rest follow when the device lets go of them.
    FreeMbufs(std::span(mbufs.data(), n));
    released_.Add(n);
  }
}

MemorySource& HugeMemory() {
  static HugeMemorySource source;
  return source;
}

}  // namespace tern
