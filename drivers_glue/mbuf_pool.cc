#include "drivers_glue/mbuf_pool.h"

#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_memory.h>
#include <rte_mempool.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <optional>
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

// Row: the pool that a buffer was released through, whose thread is the only one to write there. Column: the
// pool that it belongs to, which adds its column up when it needs to know. Never freed and never set back, so
// that nobody needs to know who else is still there; a pool begins where its column stands.
struct alignas(RTE_CACHE_LINE_SIZE) Returns {
  std::array<Counter, MbufPool::kMaxPools> of;
};
constinit std::array<Returns, MbufPool::kMaxPools> g_returns;

// Numbers in use. The last count, which only grows, bounds the rows that have ever been written.
std::mutex g_numbers_mutex;
std::array<bool, MbufPool::kMaxPools> g_numbers_taken;
std::atomic<uint16_t> g_numbers_end{0};

std::optional<uint16_t> TakeNumber() {
  const std::lock_guard lock(g_numbers_mutex);
  const auto free = std::find(g_numbers_taken.begin(), g_numbers_taken.end(), false);
  if (free == g_numbers_taken.end()) return std::nullopt;
  *free = true;
  const auto number = static_cast<uint16_t>(free - g_numbers_taken.begin());
  if (number >= g_numbers_end.load(std::memory_order_relaxed)) {
    g_numbers_end.store(static_cast<uint16_t>(number + 1), std::memory_order_relaxed);
  }
  return number;
}

void GiveNumberBack(uint16_t number) {
  const std::lock_guard lock(g_numbers_mutex);
  g_numbers_taken[number] = false;
}

void InitialiseBuffer(rte_mempool* /*pool*/, void* owner, void* object, unsigned /*index*/) {
  auto* mbuf = static_cast<rte_mbuf*>(object);
  auto* area = new (rte_mbuf_to_priv(mbuf)) MbufPrivate;
  area->buffer.handle = mbuf;
  area->owner = *static_cast<const uint16_t*>(owner);
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
                                               int socket, uint16_t owner) {
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
  rte_mempool_obj_iter(mempool, InitialiseBuffer, &owner);
  return mempool;
}

void FreeMbufs(std::span<rte_mbuf*> mbufs) {
  rte_pktmbuf_free_bulk(mbufs.data(), static_cast<unsigned>(mbufs.size()));
}

absl::StatusOr<std::unique_ptr<MbufPool>> MbufPool::Create(const Options& options) {
  const std::optional<uint16_t> number = TakeNumber();
  if (!number) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no number left for pool ", options.name, ": the process has ", kMaxPools,
                     " already, one for each queue of each device; open fewer devices or workers"));
  }
  absl::StatusOr<rte_mempool*> mempool =
      CreateMbufMempool(options.name, options.count, options.room, options.socket, *number);
  if (!mempool.ok()) {
    GiveNumberBack(*number);
    return mempool.status();
  }
  return std::unique_ptr<MbufPool>(new MbufPool(*mempool, *number, options));
}

MbufPool::MbufPool(rte_mempool* mempool, uint16_t number, const Options& options)
    : mempool_(mempool),
      number_(number),
      room_(options.room),
      cost_(RealSize(mempool)),
      budget_(options.budget),
      returned_seen_(Returned()) {
  taken_.Add(returned_seen_);
}

MbufPool::~MbufPool() {
  // Whoever holds a buffer of a pool that is gone still counts it under this number.
  if (in_use() != 0) return;
  rte_mempool_free(mempool_);
  GiveNumberBack(number_);
}

uint64_t MbufPool::Returned() const {
  uint64_t sum = 0;
  const uint16_t end = g_numbers_end.load(std::memory_order_relaxed);
  for (uint16_t row = 0; row < end; ++row) sum += g_returns[row].of[number_].value();
  return sum;
}

// Adding up touches what other threads write, so it is put off until what was returned when last asked does
// not do.
bool MbufPool::OverBudget(size_t more) {
  if (budget_ == 0) return false;
  const uint64_t wanted = taken_.value() + more;
  if (wanted - returned_seen_ <= budget_) return false;
  returned_seen_ = Returned();
  return wanted - returned_seen_ > budget_;
}

bool MbufPool::Allocate(std::span<Buffer*> out) {
  if (OverBudget(out.size())) return false;
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
  std::array<Counter, kMaxPools>& returns = g_returns[number_].of;
  while (list != nullptr) {
    size_t n = 0;
    uint16_t owner = PrivateOf(MbufOf(list))->owner;
    uint64_t run = 0;
    while (n < kBulk && list != nullptr) {
      Buffer* next = list->next;
      rte_mbuf* mbuf = MbufOf(list);
      if (PrivateOf(mbuf)->owner != owner) {
        returns[owner].Add(std::exchange(run, 0));
        owner = PrivateOf(mbuf)->owner;
      }
      ++run;
      mbufs[n++] = mbuf;
      list = next;
      if (list != nullptr) __builtin_prefetch(list->handle);
    }
    // Gives back those nobody else refers to; the rest follow when the device lets go of them.
    FreeMbufs(std::span(mbufs.data(), n));
    returns[owner].Add(run);
  }
}

MemorySource& HugeMemory() {
  static HugeMemorySource source;
  return source;
}

}  // namespace tern
