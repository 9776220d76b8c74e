// Receiving: mbufs to frames, and sleeping for them.
#include "drivers_glue/ethdev_device.h"

namespace tern {
namespace {

ChecksumState StateOf(uint64_t flags, uint64_t good, uint64_t bad, uint64_t none) {
  // DPDK spells four states in two bits. "None": the sum in the packet is not valid but the device vouches
  // for the data, as between a virtio guest and its host.
  const uint64_t bits = flags & (good | bad | none);
  if (bits == good || bits == none) return ChecksumState::kGood;
  if (bits == bad) return ChecksumState::kBad;
  return ChecksumState::kUnknown;
}

// Splits an mbuf chain into buffers of their own, chained by Buffer::next.
Buffer* AdoptChain(MbufPool& pool, rte_mbuf* mbuf) {
  Buffer* first = nullptr;
  Buffer** link = &first;
  while (mbuf != nullptr) {
    rte_mbuf* next = mbuf->next;
    mbuf->next = nullptr;
    mbuf->nb_segs = 1;
    Buffer* buffer = pool.Adopt(mbuf);
    if (!RTE_MBUF_DIRECT(mbuf)) buffer->tailroom = 0;  // its bytes belong to a sender in this process
    *link = buffer;
    link = &buffer->next;
    mbuf = next;
  }
  return first;
}

}  // namespace

size_t EthdevDevice::Receive(uint16_t q, std::span<RxFrame> out) {
  Queue& queue = *queues_[q];
  std::array<rte_mbuf*, kBurst> mbufs;
  const auto want = static_cast<uint16_t>(std::min(out.size(), kBurst));
  uint16_t count = 0;
  while (queue.early_count > 0 && count < want) {
    mbufs[count++] = queue.early[0];
    --queue.early_count;
    std::copy_n(queue.early.begin() + 1, queue.early_count, queue.early.begin());
  }
  if (count < want) {
    count = static_cast<uint16_t>(
        count + rte_eth_rx_burst(port_, q, mbufs.data() + count, static_cast<uint16_t>(want - count)));
  }
  if (count == 0) return 0;

  uint64_t bytes = 0;
  MbufPool& pool = *queue.pool;
  constexpr uint16_t kAhead = 4;
  for (uint16_t i = 0; i < count && i < kAhead; ++i) rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void*));
  for (uint16_t i = 0; i < count; ++i) {
    rte_mbuf* mbuf = mbufs[i];
    if (i + kAhead < count) {
      rte_prefetch0(BufferOf(mbufs[i + kAhead]));
      rte_prefetch0(rte_pktmbuf_mtod(mbufs[i + kAhead], void*));
    }
    bytes += mbuf->pkt_len;
    const uint64_t flags = mbuf->ol_flags;
    RxFrame& frame = out[i];
    frame.rss_hash = mbuf->hash.rss;
    frame.has_rss_hash = (flags & RTE_MBUF_F_RX_RSS_HASH) != 0 && info_.rss;
    frame.vlan_tci = mbuf->vlan_tci;
    frame.vlan_stripped = (flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0;
    frame.ip_checksum =
        StateOf(flags, RTE_MBUF_F_RX_IP_CKSUM_GOOD, RTE_MBUF_F_RX_IP_CKSUM_BAD, RTE_MBUF_F_RX_IP_CKSUM_NONE);
    frame.l4_checksum =
        StateOf(flags, RTE_MBUF_F_RX_L4_CKSUM_GOOD, RTE_MBUF_F_RX_L4_CKSUM_BAD, RTE_MBUF_F_RX_L4_CKSUM_NONE);
    frame.buffer = mbuf->next == nullptr ? pool.Adopt(mbuf) : AdoptChain(pool, mbuf);
  }
  pool.CountAdopted();
  queue.rx_frames.Add(count);
  queue.rx_bytes.Add(bytes);
  return count;
}

bool EthdevDevice::WaitForReceive(uint16_t q, int fd_wake, Duration timeout) {
  Queue& queue = *queues_[q];
  if (queue.waiter.source() == RxWaiter::Source::kNone) return false;
  if (queue.early_count > 0) return true;
  if (!queue.waiter.Arm()) return false;
  if (queue.waiter.source() == RxWaiter::Source::kInterrupt) {
    // What came between the last poll and arming raises no interrupt: look once more.
    queue.early_count = rte_eth_rx_burst(port_, q, queue.early.data(), kBurst);
  }
  if (queue.early_count == 0) queue.waiter.Sleep(fd_wake, timeout);
  queue.waiter.Disarm();
  return true;
}

}  // namespace tern
