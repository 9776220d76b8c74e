#include "drivers_glue/frame_checksum.h"

#include <rte_ip.h>
#include <rte_tcp.h>

#include <cstring>

namespace tern {
namespace {

constexpr size_t kIpChecksumOffset = 10;  // RFC 791 3.1

void Store(uint8_t* field, uint16_t sum) {
  const auto complement = static_cast<uint16_t>(~sum);
  std::memcpy(field, &complement, sizeof(complement));
}

}  // namespace

void FillIpChecksum(std::span<uint8_t> frame, size_t ip_offset, size_t ip_length) {
  if (ip_length < sizeof(rte_ipv4_hdr) || ip_offset + ip_length > frame.size()) return;
  uint8_t* header = frame.data() + ip_offset;
  std::memset(header + kIpChecksumOffset, 0, sizeof(uint16_t));
  Store(header + kIpChecksumOffset, rte_raw_cksum(header, ip_length));
}

void FillIpChecksum(rte_mbuf* frame, size_t ip_offset, size_t ip_length) {
  FillIpChecksum({rte_pktmbuf_mtod(frame, uint8_t*), frame->data_len}, ip_offset, ip_length);
}

void FillTcpChecksum(std::span<uint8_t> frame, size_t tcp_offset) {
  if (tcp_offset + sizeof(rte_tcp_hdr) > frame.size()) return;
  uint8_t* field = frame.data() + tcp_offset + kTcpChecksumOffset;
  Store(field, rte_raw_cksum(frame.data() + tcp_offset, frame.size() - tcp_offset));
}

void FillTcpChecksum(rte_mbuf* frame, size_t tcp_offset) {
  if (tcp_offset + sizeof(rte_tcp_hdr) > frame->data_len) return;
  uint16_t sum = 0;
  const auto offset = static_cast<uint32_t>(tcp_offset);
  if (rte_raw_cksum_mbuf(frame, offset, frame->pkt_len - offset, &sum) != 0) return;
  Store(rte_pktmbuf_mtod_offset(frame, uint8_t*, tcp_offset + kTcpChecksumOffset), sum);
}

}  // namespace tern
