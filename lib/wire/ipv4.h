// IPv4 headers (RFC 791, RFC 1122 3.2.1, RFC 6864).
#ifndef TERN_WIRE_IPV4_H_
#define TERN_WIRE_IPV4_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "wire/checksum.h"
#include "wire/endian.h"
#include "wire/ip_address.h"
#include "wire/ip_protocol.h"
#include "wire/parse_error.h"

namespace tern::wire {

inline constexpr size_t kIpv4MinHeader = 20;
inline constexpr size_t kIpv4ChecksumOffset = 10;

// Whether a parser sums, or somebody (a NIC) has done so already.
enum class ChecksumCheck : uint8_t { kVerify, kTrusted };

struct Ipv4Header {
  IpAddress src;
  IpAddress dst;
  uint16_t total_length = 0;  // header and payload
  uint16_t identification = 0;
  uint16_t fragment_offset = 0;  // bytes
  bool dont_fragment = false;
  bool more_fragments = false;
  uint8_t traffic_class = 0;  // DSCP and ECN
  uint8_t ttl = 0;
  uint8_t protocol = 0;
  uint8_t header_length = kIpv4MinHeader;  // bytes: 20..60; more than 20 when there are options

  bool IsFragment() const { return more_fragments || fragment_offset != 0; }
  uint16_t payload_length() const { return static_cast<uint16_t>(total_length - header_length); }
  // The payload without the link's padding. REQUIRES: `packet` is what this header was parsed from.
  std::span<const uint8_t> Payload(std::span<const uint8_t> packet) const {
    return packet.subspan(header_length, payload_length());
  }
};

// Errors: kTruncated, kBadVersion, kBadHeaderLength, kBadTotalLength, kBadChecksum, kBadFragment. `packet`
// may be longer than the datagram. Options are skipped, not read; fragments are parsed like the rest and
// IsFragment().
inline ParseError ParseIpv4(std::span<const uint8_t> packet, Ipv4Header& out,
                            ChecksumCheck check = ChecksumCheck::kVerify) {
  if (packet.size() < kIpv4MinHeader) return ParseError::kTruncated;
  const uint8_t* p = packet.data();
  if (p[0] >> 4 != 4) return ParseError::kBadVersion;
  const size_t header_length = static_cast<size_t>(p[0] & 0xf) * 4;
  if (header_length < kIpv4MinHeader) return ParseError::kBadHeaderLength;
  const size_t total_length = LoadBe16(p + 2);
  if (total_length < header_length) return ParseError::kBadTotalLength;
  if (total_length > packet.size()) return ParseError::kTruncated;
  // RFC 1122 3.2.1.2: silently discard what fails the header checksum.
  if (check == ChecksumCheck::kVerify && !SumOf(packet.first(header_length)).IsValid()) {
    return ParseError::kBadChecksum;
  }
  const uint16_t fragment = LoadBe16(p + 6);
  out.header_length = static_cast<uint8_t>(header_length);
  out.traffic_class = p[1];
  out.total_length = static_cast<uint16_t>(total_length);
  out.identification = LoadBe16(p + 4);
  out.dont_fragment = (fragment & 0x4000) != 0;
  out.more_fragments = (fragment & 0x2000) != 0;
  out.fragment_offset = static_cast<uint16_t>((fragment & 0x1fff) * 8);
  out.ttl = p[8];
  out.protocol = p[9];
  out.src = IpAddress::LoadV4(p + 12);
  out.dst = IpAddress::LoadV4(p + 16);
  if (out.IsFragment()) [[unlikely]] {
    const size_t length = total_length - header_length;
    // RFC 791 3.2: all but the last come in units of 8; and the whole must fit into a datagram.
    if (out.more_fragments && (length % 8 != 0 || length == 0)) return ParseError::kBadFragment;
    if (out.fragment_offset + length + header_length > 0xffff) return ParseError::kBadFragment;
  }
  return ParseError::kNone;
}

// Writes 20 bytes, without options, checksum included; total_length is taken as it is. Returns
// kIpv4MinHeader. REQUIRES: that many writable bytes; both addresses IPv4; fragment_offset a multiple of 8.
inline size_t WriteIpv4(const Ipv4Header& header, uint8_t* out) {
  out[0] = 0x45;
  out[1] = header.traffic_class;
  StoreBe16(out + 2, header.total_length);
  StoreBe16(out + 4, header.identification);
  StoreBe16(out + 6,
            static_cast<uint16_t>((header.dont_fragment ? 0x4000 : 0) | (header.more_fragments ? 0x2000 : 0) |
                                  header.fragment_offset / 8));
  out[8] = header.ttl;
  out[9] = header.protocol;
  StoreBe16(out + kIpv4ChecksumOffset, 0);
  header.src.StoreV4(out + 12);
  header.dst.StoreV4(out + 16);
  StoreBe16(out + kIpv4ChecksumOffset, InternetChecksum({out, kIpv4MinHeader}));
  return kIpv4MinHeader;
}

}  // namespace tern::wire

#endif  // TERN_WIRE_IPV4_H_
