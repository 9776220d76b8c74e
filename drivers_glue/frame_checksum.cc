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
  // Not rte_raw_cksum_mbuf: in DPDK 22.11 it loses carries of pieces that begin at an odd place.
  uint64_t sum = 0;
  size_t done = 0;
  size_t skip = tcp_offset;
  for (const rte_mbuf* piece = frame; piece != nullptr; piece = piece->next) {
    const size_t length = piece->data_len - skip;
    const uint16_t part = rte_raw_cksum(rte_pktmbuf_mtod_offset(piece, const uint8_t*, skip), length);
    sum += done % 2 == 0 ? part : rte_bswap16(part);
    done += length;
    skip = 0;
  }
  while (sum > UINT16_MAX) sum = (sum & UINT16_MAX) + (sum >> 16);
  Store(rte_pktmbuf_mtod_offset(frame, uint8_t*, tcp_offset + kTcpChecksumOffset),
        static_cast<uint16_t>(sum));
}

}  // namespace tern
