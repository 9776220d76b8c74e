// Sending: frames to mbufs, staged until the driver takes them.
#include "drivers_glue/ethdev_device.h"

namespace tern {
namespace {

// Flushes without anything to send that still try to get sent buffers back, after the last frame went out.
constexpr uint8_t kReclaimTries = 32;

constexpr uint64_t kDeviceWork = RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG;

}  // namespace

size_t EthdevDevice::TransmitRoom(uint16_t q) {
  Queue& queue = *queues_[q];
  if (!started_) return 0;
  if (queue.staged_count > kStaged - kBurst) {
    PushStaged(q, queue);
    // Only a whole burst of room is room, so that Transmit never has to move what is staged.
    if (queue.staged_count > kStaged - kBurst) return 0;
  }
  size_t room = queue.composer->room();
  if (room == 0 && can_reclaim_) {
    can_reclaim_ = rte_eth_tx_done_cleanup(port_, q, 0) != -ENOTSUP;
    room = queue.composer->room();
  }
  return room;
}

void EthdevDevice::Transmit(uint16_t q, std::span<const TxFrame> frames) {
  Queue& queue = *queues_[q];
  if (queue.staged_head + queue.staged_count + frames.size() > kStaged) {
    std::copy_n(queue.staged.begin() + static_cast<ptrdiff_t>(queue.staged_head), queue.staged_count,
                queue.staged.begin());
    queue.staged_head = 0;
  }
  uint64_t rejected = 0;
  uint64_t bytes = 0;
  for (const TxFrame& frame : frames) {
    rte_mbuf* mbuf = queue.composer->Compose(frame);
    if (mbuf == nullptr || queue.staged_head + queue.staged_count == kStaged) [[unlikely]] {
      // The second can only be when the caller broke the promise about room.
      rte_pktmbuf_free(mbuf);
      ++rejected;
      continue;
    }
    queue.staged_offloads |= (mbuf->ol_flags & kDeviceWork) != 0;
    bytes += mbuf->pkt_len;
    queue.staged[queue.staged_head + queue.staged_count++] = mbuf;
  }
  if (rejected > 0) queue.tx_rejected.Add(rejected);
  // Counted as they are staged: once the driver has them they may be gone.
  queue.tx_bytes.Add(bytes);
  PushStaged(q, queue);
}

void EthdevDevice::Flush(uint16_t q) {
  Queue& queue = *queues_[q];
  if (queue.staged_count > 0) {
    PushStaged(q, queue);
  } else if (queue.reclaim_tries > 0) {
    // Drivers reclaim sent buffers when they send. A queue that falls silent would sit on the last ones.
    --queue.reclaim_tries;
    if (can_reclaim_) can_reclaim_ = rte_eth_tx_done_cleanup(port_, q, 0) != -ENOTSUP;
  }
}

void EthdevDevice::DropRejected(Queue& queue, size_t index) {
  rte_pktmbuf_free(queue.staged[index]);
  const auto hole = queue.staged.begin() + static_cast<ptrdiff_t>(index);
  const auto end = queue.staged.begin() + static_cast<ptrdiff_t>(queue.staged_head + queue.staged_count);
  std::copy(hole + 1, end, hole);
  --queue.staged_count;
  queue.tx_rejected.Add(1);
}

// Lets the driver check and complete requests for its offloads. What it refuses is dropped and counted:
// waiting would not make it acceptable, and would block what follows.
bool EthdevDevice::PrepareStaged(uint16_t q, Queue& queue) {
  size_t& good = queue.prepared;
  while (good < queue.staged_count) {
    good += rte_eth_tx_prepare(port_, q, queue.staged.data() + queue.staged_head + good,
                               static_cast<uint16_t>(queue.staged_count - good));
    if (good < queue.staged_count) DropRejected(queue, queue.staged_head + good);
  }
  return queue.staged_count > 0;
}

void EthdevDevice::PushStaged(uint16_t q, Queue& queue) {
  if (queue.staged_count == 0) return;
  if (queue.staged_offloads && !PrepareStaged(q, queue)) return;
  uint64_t frames = 0;
  while (queue.staged_count > 0) {
    const auto count = static_cast<uint16_t>(std::min(queue.staged_count, kBurst));
    const uint16_t sent = rte_eth_tx_burst(port_, q, queue.staged.data() + queue.staged_head, count);
    frames += sent;
    queue.staged_head += sent;
    queue.staged_count -= sent;
    queue.prepared -= std::min<size_t>(queue.prepared, sent);
    if (sent < count) break;
  }
  if (frames > 0) {
    queue.tx_frames.Add(frames);
    queue.reclaim_tries = kReclaimTries;
  }
  if (queue.staged_count == 0) {
    queue.staged_head = 0;
    queue.prepared = 0;
    queue.staged_offloads = false;
  }
}

}  // namespace tern
