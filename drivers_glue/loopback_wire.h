// The cable between two loopback devices: a ring of mbufs per receiving queue.
#ifndef TERN_DRIVERS_GLUE_LOOPBACK_WIRE_H_
#define TERN_DRIVERS_GLUE_LOOPBACK_WIRE_H_

#include <rte_mbuf.h>
#include <rte_ring.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "base/toeplitz.h"

namespace tern {

// Where frames for one device arrive. Any worker of the other device puts them in.
class LoopbackInbox {
 public:
  static constexpr size_t kKeyLength = 40;
  static constexpr size_t kTableSize = 128;

  explicit LoopbackInbox(const std::array<uint8_t, kKeyLength>& key) : key_(key), toeplitz_(key) {}
  ~LoopbackInbox();
  LoopbackInbox(const LoopbackInbox&) = delete;
  LoopbackInbox& operator=(const LoopbackInbox&) = delete;

  absl::Status CreateRings(uint16_t queues, uint16_t ring_size, int socket);

  // Steers as a NIC would, and puts the hash into the mbuf.
  uint16_t QueueOf(rte_mbuf* frame) const;
  // Frames taken; the rest do not fit.
  bool Put(uint16_t q, rte_mbuf* frame) { return rte_ring_enqueue(rings_[q], frame) == 0; }
  size_t Take(uint16_t q, std::span<rte_mbuf*> out) {
    return rte_ring_dequeue_burst(rings_[q], reinterpret_cast<void**>(out.data()),
                                  static_cast<unsigned>(out.size()), nullptr);
  }
  // Frees what is inside.
  void Drain();

  size_t queue_count() const { return rings_.size(); }
  const std::array<uint8_t, kKeyLength>& key() const { return key_; }

 private:
  std::array<uint8_t, kKeyLength> key_;
  Toeplitz toeplitz_;
  std::vector<rte_ring*> rings_;
};

// Either end plugs its inbox in and out at any time; the other end sees it when it sends.
class LoopbackWire {
 public:
  // Index of a free end, or -1.
  int Claim();
  void Plug(int end, std::shared_ptr<LoopbackInbox> inbox);
  void Unplug(int end);
  // The inbox at `end`, or null; `cached` and `version` are the caller's, refreshed only when something was
  // plugged.
  void Refresh(int end, std::shared_ptr<LoopbackInbox>& cached, uint64_t& version) const;
  bool plugged(int end) const { return plugged_[static_cast<size_t>(end)].load(std::memory_order_acquire); }

 private:
  mutable std::mutex mutex_;
  std::array<bool, 2> claimed_{};
  std::array<std::shared_ptr<LoopbackInbox>, 2> inboxes_;
  std::array<std::atomic<bool>, 2> plugged_{};
  std::atomic<uint64_t> version_{1};
};

}  // namespace tern

#endif  // TERN_DRIVERS_GLUE_LOOPBACK_WIRE_H_
