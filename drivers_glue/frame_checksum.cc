#include "drivers_glue/frame_checksum.h"

#include <netinet/in.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace tern {
namespace {

constexpr size_t kIpChecksumOffset = 10;  // RFC 791 3.1

void Store(uint8_t* field, uint16_t sum) {
  const auto complement = static_cast<uint16_t>(~sum);
  std::memcpy(field, &complement, sizeof(complement));
}

uint16_t LoadBe16(const uint8_t* from) { return static_cast<uint16_t>(from[0] << 8 | from[1]); }

uint16_t Folded(uint64_t sum) {
  while (sum > UINT16_MAX) sum = (sum & UINT16_MAX) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

// Where in a frame the transport's part lies, and the sum of its pseudo-header.
struct Transport {
  size_t offset = 0;
  uint16_t length = 0;  // octets, by the IP header: padding is none of it
  uint8_t protocol = 0;
  uint64_t pseudo_header = 0;
};

// False when there is none that could be summed. Fills in the IPv4 header's own sum by the way.
bool FindTransport(std::span<uint8_t> bytes, Transport& out) {
  size_t ip = sizeof(rte_ether_hdr);
  if (bytes.size() < ip + sizeof(rte_vlan_hdr)) return false;
  uint16_t type = LoadBe16(bytes.data() + ip - sizeof(type));
  if (type == RTE_ETHER_TYPE_VLAN) {
    ip += sizeof(rte_vlan_hdr);
    type = LoadBe16(bytes.data() + ip - sizeof(type));
  }
  const uint8_t* const header = bytes.data() + ip;
  std::span<const uint8_t> addresses;
  if (type == RTE_ETHER_TYPE_IPV4 && bytes.size() >= ip + sizeof(rte_ipv4_hdr)) {
    const uint16_t header_length = static_cast<uint16_t>(4 * (header[0] & 0x0f));
    const uint16_t total = LoadBe16(header + 2);
    if (header_length < sizeof(rte_ipv4_hdr) || total < header_length) return false;
    FillIpChecksum(bytes, ip, header_length);
    if ((LoadBe16(header + 6) & 0x3fff) != 0) return false;  // RFC 791 3.1: MF and offset, so a fragment
    out.protocol = header[9];
    out.length = static_cast<uint16_t>(total - header_length);
    out.offset = ip + header_length;
    addresses = {header + offsetof(rte_ipv4_hdr, src_addr), 2 * 4};
  } else if (type == RTE_ETHER_TYPE_IPV6 && bytes.size() >= ip + sizeof(rte_ipv6_hdr)) {
    out.protocol = header[6];
    out.length = LoadBe16(header + 4);
    out.offset = ip + sizeof(rte_ipv6_hdr);
    addresses = {header + offsetof(rte_ipv6_hdr, src_addr), 2 * 16};
  } else {
    return false;
  }
  out.pseudo_header = uint64_t{rte_raw_cksum(addresses.data(), addresses.size())} +
                      rte_cpu_to_be_16(out.length) + rte_cpu_to_be_16(out.protocol);
  return true;
}

// The sum over a frame's octets from `skip` on, `length` of them, as 16-bit words of memory.
template <typename Piece, typename BytesOf>
uint64_t SumPieces(const Piece* piece, size_t skip, size_t length, const BytesOf& bytes_of) {
  uint64_t sum = 0;
  size_t done = 0;
  for (; piece != nullptr && done < length; piece = piece->next) {
    const std::span<const uint8_t> bytes = bytes_of(piece).subspan(skip);
    const size_t count = std::min(bytes.size(), length - done);
    const uint16_t part = rte_raw_cksum(bytes.data(), count);
    // Behind an odd number of octets the two of each word change places (RFC 1071 2(B)).
    sum += done % 2 == 0 ? part : rte_bswap16(part);
    done += count;
    skip = 0;
  }
  return sum;
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
  const uint64_t sum = SumPieces(frame, tcp_offset, SIZE_MAX, [](const rte_mbuf* piece) {
    return std::span(rte_pktmbuf_mtod(piece, const uint8_t*), piece->data_len);
  });
  Store(rte_pktmbuf_mtod_offset(frame, uint8_t*, tcp_offset + kTcpChecksumOffset), Folded(sum));
}

void FinishChecksums(Buffer* frame) {
  constexpr size_t kUdpChecksumOffset = 6;  // RFC 768
  const std::span<uint8_t> bytes(frame->data, frame->length);
  Transport transport;
  if (!FindTransport(bytes, transport)) return;
  const bool tcp = transport.protocol == IPPROTO_TCP;
  if (!tcp && transport.protocol != IPPROTO_UDP) return;
  const size_t header = tcp ? sizeof(rte_tcp_hdr) : sizeof(rte_udp_hdr);
  if (transport.length < header || transport.offset + header > bytes.size()) return;
  uint8_t* const field = bytes.data() + transport.offset + (tcp ? kTcpChecksumOffset : kUdpChecksumOffset);
  std::memset(field, 0, sizeof(uint16_t));
  const uint16_t sum =
      Folded(transport.pseudo_header + SumPieces(frame, transport.offset, transport.length,
                                                 [](const Buffer* b) { return b->bytes(); }));
  // RFC 768: a UDP checksum of zero would say that there is none; its other zero says the same sum.
  Store(field, !tcp && sum == UINT16_MAX ? 0 : sum);
}

}  // namespace tern
