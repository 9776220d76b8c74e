#include "drivers_glue/loopback_wire.h"

#include <rte_errno.h>
#include <rte_ether.h>
#include <rte_ip.h>

#include <bit>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tern {
namespace {

std::atomic<unsigned> g_ring_serial{0};

uint16_t ReadBig16(const uint8_t* at) { return static_cast<uint16_t>(at[0] << 8 | at[1]); }

constexpr uint8_t kTcp = 6;  // protocol number, RFC 9293

}  // namespace

LoopbackInbox::~LoopbackInbox() {
  Drain();
  for (rte_ring* ring : rings_) rte_ring_free(ring);
}

absl::Status LoopbackInbox::CreateRings(uint16_t queues, uint16_t ring_size, int socket) {
  const unsigned size = std::bit_ceil(unsigned{ring_size} + 1);  // a DPDK ring holds one less than its size
  for (uint16_t q = 0; q < queues; ++q) {
    const std::string name = absl::StrCat("tern_loop_", g_ring_serial.fetch_add(1));
    // Any worker may put in, and either end may drain; no preempted thread blocks another.
    rte_ring* ring = rte_ring_create(name.c_str(), size, socket, RING_F_MP_RTS_ENQ | RING_F_MC_RTS_DEQ);
    if (ring == nullptr) {
      return absl::ResourceExhaustedError(absl::StrCat("no memory for a loopback ring of ", size, " frames (",
                                                       rte_strerror(rte_errno), "): lower rx_ring"));
    }
    rings_.push_back(ring);
  }
  return absl::OkStatus();
}

uint16_t LoopbackInbox::QueueOf(rte_mbuf* frame) const {
  if (rings_.size() < 2) return 0;
  // The composer keeps all headers in the first piece.
  const auto* bytes = rte_pktmbuf_mtod(frame, const uint8_t*);
  size_t offset = RTE_ETHER_HDR_LEN;
  if (frame->data_len < offset) return 0;
  uint16_t type = ReadBig16(bytes + offset - 2);
  if (type == RTE_ETHER_TYPE_VLAN && frame->data_len >= offset + 4) {
    offset += 4;
    type = ReadBig16(bytes + offset - 2);
  }
  const uint8_t* ip = bytes + offset;
  const size_t left = frame->data_len - offset;
  uint32_t hash = 0;
  if (type == RTE_ETHER_TYPE_IPV4 && left >= sizeof(rte_ipv4_hdr) && ip[9] == kTcp) {
    const size_t header = size_t{ip[0] & 0x0FU} * 4;
    const bool fragment = (ReadBig16(ip + 6) & 0x3FFF) != 0;
    if (fragment || left < header + 4) return 0;
    hash = toeplitz_.HashTuple<4>(std::span<const uint8_t, 4>(ip + 12, 4),
                                  std::span<const uint8_t, 4>(ip + 16, 4), ReadBig16(ip + header),
                                  ReadBig16(ip + header + 2));
  } else if (type == RTE_ETHER_TYPE_IPV6 && left >= sizeof(rte_ipv6_hdr) + 4 && ip[6] == kTcp) {
    hash = toeplitz_.HashTuple<16>(std::span<const uint8_t, 16>(ip + 8, 16),
                                   std::span<const uint8_t, 16>(ip + 24, 16), ReadBig16(ip + 40),
                                   ReadBig16(ip + 42));
  } else {
    return 0;
  }
  frame->hash.rss = hash;
  frame->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
  return static_cast<uint16_t>(hash % kTableSize % rings_.size());
}

void LoopbackInbox::Drain() {
  std::array<rte_mbuf*, 64> frames;
  const auto queues = static_cast<uint16_t>(rings_.size());
  for (uint16_t q = 0; q < queues; ++q) {
    for (size_t n = Take(q, frames); n > 0; n = Take(q, frames)) {
      rte_pktmbuf_free_bulk(frames.data(), static_cast<unsigned>(n));
    }
  }
}

int LoopbackWire::Claim() {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (int end = 0; end < 2; ++end) {
    bool& claimed = claimed_[static_cast<size_t>(end)];
    if (!std::exchange(claimed, true)) return end;
  }
  return -1;
}

void LoopbackWire::Plug(int end, std::shared_ptr<LoopbackInbox> inbox) {
  const std::lock_guard<std::mutex> lock(mutex_);
  inboxes_[static_cast<size_t>(end)] = std::move(inbox);
  plugged_[static_cast<size_t>(end)].store(true, std::memory_order_release);
  version_.fetch_add(1, std::memory_order_release);
}

void LoopbackWire::Unplug(int end) {
  const std::lock_guard<std::mutex> lock(mutex_);
  inboxes_[static_cast<size_t>(end)] = nullptr;
  claimed_[static_cast<size_t>(end)] = false;
  plugged_[static_cast<size_t>(end)].store(false, std::memory_order_release);
  version_.fetch_add(1, std::memory_order_release);
}

void LoopbackWire::Refresh(int end, std::shared_ptr<LoopbackInbox>& cached, uint64_t& version) const {
  if (version_.load(std::memory_order_acquire) == version) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  cached = inboxes_[static_cast<size_t>(end)];
  version = version_.load(std::memory_order_relaxed);
}

}  // namespace tern
