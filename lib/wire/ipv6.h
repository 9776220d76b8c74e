// IPv6 headers and the walk over their extensions (RFC 8200).
#ifndef TERN_WIRE_IPV6_H_
#define TERN_WIRE_IPV6_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "wire/endian.h"
#include "wire/ip_address.h"
#include "wire/ip_protocol.h"
#include "wire/parse_error.h"

namespace tern::wire {

inline constexpr size_t kIpv6Header = 40;
inline constexpr size_t kIpv6FragmentHeader = 8;
// More extension headers than any sender has a reason for (RFC 8504 5.3 lets a host set such a limit).
inline constexpr int kMaxExtensionHeaders = 8;

// RFC 4443 3.4: what a parameter-problem message about a refused packet must say.
struct Ipv6Problem {
  bool report = false;               // false: drop without a word
  bool report_if_multicast = false;  // RFC 8200 4.2: also when the packet was sent to a group
  uint8_t code = 0;      // kParameterErroneousField, kParameterUnknownNextHeader, ...UnknownOption
  uint32_t pointer = 0;  // offset of the offending byte from the first of the IPv6 header
};
inline constexpr uint8_t kParameterErroneousField = 0;
inline constexpr uint8_t kParameterUnknownNextHeader = 1;
inline constexpr uint8_t kParameterUnknownOption = 2;
inline constexpr uint8_t kParameterIncompleteChain = 3;  // RFC 7112 5

// RFC 8200 4.5, as it stands in a packet.
struct Ipv6Fragment {
  uint32_t identification = 0;
  uint16_t offset = 0;  // bytes
  bool more = false;
  uint16_t header_offset = 0;         // of the fragment header in the packet: what stands before it is kept
  uint16_t previous_next_header = 0;  // offset of the next-header byte that names the fragment header
};

struct Ipv6Header {
  IpAddress src;
  IpAddress dst;
  uint32_t flow_label = 0;
  uint16_t payload_length = 0;  // of everything behind the fixed 40 bytes
  uint8_t traffic_class = 0;    // DSCP and ECN
  uint8_t hop_limit = 0;
  uint8_t protocol = 0;  // what stands behind the last extension header that was walked
  bool is_fragment = false;
  bool has_fragment_header = false;             // of an atomic fragment (RFC 6946) too
  uint16_t header_length = kIpv6Header;         // bytes up to that protocol's first
  uint16_t protocol_offset = kNextHeaderField;  // of the byte that names it
  Ipv6Fragment fragment;                        // meaningful when is_fragment
  Ipv6Problem problem;                          // meaningful when the walk refused

  static constexpr uint16_t kNextHeaderField = 6;

  // The upper layer's bytes, or a fragment's piece, without the link's padding. REQUIRES: `packet` is what
  // this header was parsed from.
  std::span<const uint8_t> Payload(std::span<const uint8_t> packet) const {
    return packet.subspan(header_length, kIpv6Header + payload_length - header_length);
  }
};

// The extension headers that are walked; authentication and encryption are not spoken here.
constexpr bool IsIpv6Extension(uint8_t protocol) {
  return protocol == kProtocolHopByHop || protocol == kProtocolRouting || protocol == kProtocolFragment ||
         protocol == kProtocolDestinationOptions;
}

namespace internal {
// Walks the extension headers of a packet cut to its stated length, from header_length on. Moves
// header.protocol and header_length.
ParseError WalkIpv6Extensions(std::span<const uint8_t> packet, Ipv6Header& header);
}  // namespace internal

// Reads the fixed header and walks hop-by-hop options, destination options, routing headers without segments
// left, and atomic fragments (RFC 6946). A real fragment ends the walk: is_fragment, `protocol` is what it
// names (of the first fragment's payload), `header_length` is behind the fragment header. Anything else is
// left as `protocol`. Errors: kTruncated, kBadVersion, kBadExtension, kBadOption, kBadFragment; the last
// three fill in `problem`. `packet` may be longer than the datagram. No jumbograms (RFC 2675).
inline ParseError ParseIpv6(std::span<const uint8_t> packet, Ipv6Header& out) {
  if (packet.size() < kIpv6Header) return ParseError::kTruncated;
  const uint8_t* p = packet.data();
  const uint32_t first = LoadBe32(p);
  if (first >> 28 != 6) return ParseError::kBadVersion;
  out.traffic_class = static_cast<uint8_t>(first >> 20);
  out.flow_label = first & 0xfffff;
  out.payload_length = LoadBe16(p + 4);
  out.protocol = p[6];
  out.hop_limit = p[7];
  out.src = IpAddress::LoadV6(p + 8);
  out.dst = IpAddress::LoadV6(p + 24);
  out.is_fragment = out.has_fragment_header = false;
  out.header_length = kIpv6Header;
  out.protocol_offset = Ipv6Header::kNextHeaderField;
  if (kIpv6Header + out.payload_length > packet.size()) return ParseError::kTruncated;
  // Mapped addresses mean IPv4 inside this stack and are not legal on the wire (RFC 4038 4.2, RFC 6890): from
  // here they would let an IPv6 packet pass for IPv4.
  if (out.src.IsV4() || out.dst.IsV4()) return ParseError::kBadField;
  if (out.protocol == kProtocolTcp || out.protocol == kProtocolIcmpv6) return ParseError::kNone;
  return internal::WalkIpv6Extensions(packet.first(kIpv6Header + out.payload_length), out);
}

// Goes on behind the fragment header of a first fragment, as if it were the entire datagram. RFC 7112 5: all
// headers up to the upper layer's are to be there; when they are not, kTruncated. A fragment header among
// them is kBadFragment: nobody fragments fragments. `problem` points into the fragment as it stands.
// REQUIRES: `header` is what ParseIpv6 made of `packet`, is_fragment, at offset 0.
inline ParseError WalkFirstFragment(std::span<const uint8_t> packet, Ipv6Header& header) {
  header.is_fragment = false;
  const ParseError error =
      internal::WalkIpv6Extensions(packet.first(kIpv6Header + header.payload_length), header);
  return header.is_fragment ? ParseError::kBadFragment : error;
}

// Makes a first fragment the whole packet that it would be if nothing followed (RFC 8200 4.5): the fragment
// header goes, what stood before it moves up to what stood behind. Returns where the packet now begins, which
// is kIpv6FragmentHeader into `packet`. REQUIRES: as above, but not walked on.
size_t StripFragmentHeader(std::span<uint8_t> packet, const Ipv6Header& header);

// Writes the fixed header; `protocol` becomes its next header. Returns kIpv6Header. REQUIRES: that many
// writable bytes.
inline size_t WriteIpv6(const Ipv6Header& header, uint8_t* out) {
  StoreBe32(out,
            6u << 28 | static_cast<uint32_t>(header.traffic_class) << 20 | (header.flow_label & 0xfffff));
  StoreBe16(out + 4, header.payload_length);
  out[6] = header.protocol;
  out[7] = header.hop_limit;
  header.src.StoreV6(out + 8);
  header.dst.StoreV6(out + 24);
  return kIpv6Header;
}

}  // namespace tern::wire

#endif  // TERN_WIRE_IPV6_H_
