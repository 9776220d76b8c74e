#include "drivers_glue/tx_composer.h"

#include <rte_ip.h>
#include <rte_mempool.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "absl/strings/str_cat.h"
#include "drivers_glue/frame_checksum.h"
#include "drivers_glue/mbuf_pool.h"

namespace tern {
namespace {

// Longest IP packet that a device can be asked to cut up: its length field has 16 bits.
constexpr uint32_t kMaxTsoFrame = 65535;

// mbufs straight from a mempool have no owner's state but what freeing left: one reference, no next.
bool Refill(rte_mempool* pool, rte_mbuf** stock, size_t& count, size_t capacity) {
  const auto missing = static_cast<unsigned>(capacity - count);
  if (rte_mempool_get_bulk(pool, reinterpret_cast<void**>(stock + count), missing) != 0) return false;
  count = capacity;
  return true;
}

void Return(rte_mempool* pool, rte_mbuf** stock, size_t& count) {
  if (count > 0) rte_mempool_put_bulk(pool, reinterpret_cast<void**>(stock), static_cast<unsigned>(count));
  count = 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TxComposer>> TxComposer::Create(const Options& options) {
  // What can be out at once: the driver's ring, what is staged before it, the stock, and the caches of the
  // thread that sends and of one that reclaims, which hold up to one and a half times their size.
  constexpr uint32_t kInCaches = 2 * 384;
  const uint32_t frames = options.ring_size + 4 * static_cast<uint32_t>(kBurst) + kInCaches;
  const bool attaches = options.max_segments > 1;
  // Room for a whole frame even where payload is attached: payload that lies outside DPDK's memory is copied.
  const uint32_t room = std::max(options.max_frame, static_cast<uint32_t>(TxFrame::kMaxHeader) + kCopyLimit);
  absl::StatusOr<rte_mempool*> frame_pool =
      CreateMbufMempool(absl::StrCat(options.name, "_tx"), frames, (room + 63) / 64 * 64, options.socket);
  if (!frame_pool.ok()) return frame_pool.status();
  rte_mempool* link_pool = nullptr;
  if (attaches) {
    // A driver may need one slot for a whole chain, so the worst case counts slices, not slots.
    const uint32_t links =
        (options.ring_size + 4 * static_cast<uint32_t>(kBurst)) * static_cast<uint32_t>(TxFrame::kMaxSlices) +
        kInCaches;
    absl::StatusOr<rte_mempool*> created =
        CreateMbufMempool(absl::StrCat(options.name, "_ln"), links, 0, options.socket);
    if (!created.ok()) {
      rte_mempool_free(*frame_pool);
      return created.status();
    }
    link_pool = *created;
  }
  return std::unique_ptr<TxComposer>(new TxComposer(options, *frame_pool, link_pool));
}

TxComposer::~TxComposer() {
  DropStock();
  // A driver that still holds some would write into freed memory.
  if (rte_mempool_full(frames_) == 1) rte_mempool_free(frames_);
  if (links_ != nullptr && rte_mempool_full(links_) == 1) rte_mempool_free(links_);
}

size_t TxComposer::room() {
  if (frame_count_ < kBurst && !Refill(frames_, frame_stock_.data(), frame_count_, kBurst) &&
      frame_count_ == 0) {
    return 0;
  }
  if (links_ == nullptr) return frame_count_;
  if (link_count_ < link_stock_.size()) Refill(links_, link_stock_.data(), link_count_, link_stock_.size());
  return std::min(frame_count_, link_count_ / TxFrame::kMaxSlices);
}

bool TxComposer::CanAttach(const TxFrame& frame) const {
  if (links_ == nullptr || frame.slice_count + 1 > options_.max_segments) return false;
  for (size_t i = 0; i < frame.slice_count; ++i) {
    if (!LivesInMbuf(frame.slices[i].owner) || frame.slices[i].length > UINT16_MAX) return false;
  }
  return true;
}

rte_mbuf* TxComposer::Compose(const TxFrame& frame) {
  const uint32_t payload = frame.payload_length();
  const uint32_t total = frame.header_length + payload;
  const bool cut_up = frame.tso_segment != 0;
  if (frame.header_length > TxFrame::kMaxHeader || frame_count_ == 0) return nullptr;
  if (cut_up ? (!options_.tso || total > kMaxTsoFrame) : total > options_.max_frame) return nullptr;

  rte_mbuf* head = frame_stock_[frame_count_ - 1];
  rte_pktmbuf_reset(head);
  const bool copy = payload <= kCopyLimit || !CanAttach(frame);
  if (copy && total > rte_pktmbuf_tailroom(head)) return nullptr;
  --frame_count_;
  // Nearly every header fits; a copy of known length needs no call, and what is too much is written over.
  constexpr size_t kUsualHeader = 96;
  static_assert(kUsualHeader <= TxFrame::kMaxHeader);
  if (frame.header_length <= kUsualHeader) [[likely]] {
    std::memcpy(rte_pktmbuf_mtod(head, void*), frame.header.data(), kUsualHeader);
  } else {
    std::memcpy(rte_pktmbuf_mtod(head, void*), frame.header.data(), frame.header_length);
  }
  head->data_len = frame.header_length;
  head->pkt_len = total;
  if (copy) {
    CopyPayload(frame, head);
  } else {
    AttachPayload(frame, head);
  }
  if (frame.needs_ip_checksum || frame.needs_tcp_checksum || cut_up) SetOffloads(frame, head);
  return head;
}

void TxComposer::CopyPayload(const TxFrame& frame, rte_mbuf* head) const {
  auto* to = rte_pktmbuf_mtod_offset(head, uint8_t*, frame.header_length);
  for (size_t i = 0; i < frame.slice_count; ++i) {
    if (frame.slices[i].length == 0) continue;
    std::memcpy(to, frame.slices[i].data, frame.slices[i].length);
    to += frame.slices[i].length;
  }
  head->data_len = static_cast<uint16_t>(head->pkt_len);
}

void TxComposer::AttachPayload(const TxFrame& frame, rte_mbuf* head) {
  rte_mbuf* last = head;
  for (size_t i = 0; i < frame.slice_count; ++i) {
    const TxSlice& slice = frame.slices[i];
    if (slice.length == 0) continue;
    rte_mbuf* link = link_stock_[--link_count_];
    rte_mbuf* owner = MbufOf(slice.owner);
    rte_pktmbuf_reset(link);
    rte_pktmbuf_attach(link, owner);
    link->data_off = static_cast<uint16_t>(slice.data - static_cast<const uint8_t*>(link->buf_addr));
    link->data_len = static_cast<uint16_t>(slice.length);
    link->pkt_len = slice.length;
    last->next = link;
    last = link;
    ++head->nb_segs;
  }
}

void TxComposer::SetOffloads(const TxFrame& frame, rte_mbuf* head) const {
  const bool cut_up = frame.tso_segment != 0;
  head->l2_len = frame.l2_length & 0x7F;  // the field has seven bits
  head->l3_len = frame.l3_length;
  head->l4_len = frame.l4_length;
  uint64_t flags = frame.is_ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
  const bool ip = frame.needs_ip_checksum && !frame.is_ipv6;
  const bool tcp = frame.needs_tcp_checksum;
  // Cutting up implies both sums: every piece has its own.
  if ((ip || (cut_up && !frame.is_ipv6)) && options_.ip_checksum) flags |= RTE_MBUF_F_TX_IP_CKSUM;
  if ((tcp || cut_up) && options_.tcp_checksum) flags |= RTE_MBUF_F_TX_TCP_CKSUM;
  if (cut_up) {
    flags |= RTE_MBUF_F_TX_TCP_SEG;
    head->tso_segsz = frame.tso_segment;
  }
  if (ip && !options_.ip_checksum) FillIpChecksum(head, frame.l2_length, frame.l3_length);
  if (tcp && !cut_up && !options_.tcp_checksum) FillTcpChecksum(head, frame.l2_length + frame.l3_length);
  if ((flags & (RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_TCP_SEG)) == 0) return;
  head->ol_flags |= flags;
  if (cut_up) {
    // DPDK's convention for a frame to be cut up is a pseudo-header sum without the length, which differs per
    // piece.
    auto* ip_header = rte_pktmbuf_mtod_offset(head, uint8_t*, frame.l2_length);
    const uint16_t sum =
        frame.is_ipv6 ? rte_ipv6_phdr_cksum(reinterpret_cast<const rte_ipv6_hdr*>(ip_header), head->ol_flags)
                      : rte_ipv4_phdr_cksum(reinterpret_cast<const rte_ipv4_hdr*>(ip_header), head->ol_flags);
    std::memcpy(ip_header + frame.l3_length + kTcpChecksumOffset, &sum, sizeof(sum));
  }
}

void TxComposer::DropStock() {
  Return(frames_, frame_stock_.data(), frame_count_);
  if (links_ != nullptr) Return(links_, link_stock_.data(), link_count_);
}

uint32_t TxComposer::in_use() const {
  return rte_mempool_in_use_count(frames_) + (links_ != nullptr ? rte_mempool_in_use_count(links_) : 0);
}

}  // namespace tern
