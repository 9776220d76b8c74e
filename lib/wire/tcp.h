// TCP headers and options (RFC 9293 3.1, 3.2; RFC 7323; RFC 2018).
#ifndef TERN_WIRE_TCP_H_
#define TERN_WIRE_TCP_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/seq_num.h"
#include "wire/endian.h"
#include "wire/ip_protocol.h"
#include "wire/parse_error.h"

namespace tern::wire {

inline constexpr size_t kTcpMinHeader = 20;
inline constexpr size_t kTcpMaxHeader = 60;
inline constexpr size_t kTcpMaxOptions = kTcpMaxHeader - kTcpMinHeader;
// RFC 7323 2.3: a larger shift is taken as this one.
inline constexpr uint8_t kTcpMaxWindowShift = 14;

// The eight control bits as they stand in the header.
using TcpFlags = uint8_t;
inline constexpr TcpFlags kFin = 0x01;
inline constexpr TcpFlags kSyn = 0x02;
inline constexpr TcpFlags kRst = 0x04;
inline constexpr TcpFlags kPsh = 0x08;
inline constexpr TcpFlags kAck = 0x10;
inline constexpr TcpFlags kUrg = 0x20;
inline constexpr TcpFlags kEce = 0x40;
inline constexpr TcpFlags kCwr = 0x80;

// "SYN,ACK"; "none" for no flag. Allocates: for people, not for the packet path.
std::string FlagsToString(TcpFlags flags);

struct TcpHeader {
  uint16_t src_port = 0;
  uint16_t dst_port = 0;
  SeqNum seq;
  SeqNum ack;  // as it stands on the wire, also where kAck is not set
  TcpFlags flags = 0;
  uint8_t data_offset = kTcpMinHeader;  // bytes from the header's first to the data's first: 20..60, by 4
  uint16_t window = 0;                  // as on the wire, not scaled
  uint16_t urgent = 0;
};

// Octets [start, end) held by the receiver.
struct SackBlock {
  SeqNum start;
  SeqNum end;
  constexpr bool operator==(const SackBlock&) const = default;
};

// The options that tern understands. What is not marked present has no meaning.
struct TcpOptions {
  static constexpr size_t kMaxSackBlocks = 4;

  uint32_t tsval = 0;
  uint32_t tsecr = 0;
  uint16_t mss = 0;
  uint8_t wscale = 0;  // at most kTcpMaxWindowShift
  uint8_t sack_count = 0;
  bool has_timestamp = false;
  bool has_mss = false;
  bool has_wscale = false;
  bool sack_permitted = false;
  // The list broke off: an option shorter than its own two octets, or one that overruns the header. What came
  // before it stands.
  bool malformed = false;
  std::array<SackBlock, kMaxSackBlocks> sack;

  // Nothing is present. Values without a meaning are left as they are: half a cache line less to write.
  constexpr void Clear() {
    sack_count = 0;
    has_timestamp = has_mss = has_wscale = sack_permitted = malformed = false;
  }
};

// Two NOPs, kind 8, length 10: RFC 7323 appendix A's layout, which nearly every segment on the Internet
// carries.
inline constexpr uint32_t kAlignedTimestamp = 0x0101080a;

namespace internal {
// The whole grammar of options, out of line: `bytes` is what lies between the fixed header and the data.
void ParseTcpOptions(std::span<const uint8_t> bytes, bool syn, TcpOptions& out);
size_t WriteAllTcpOptions(const TcpOptions& options, uint8_t* out);
}  // namespace internal

// Reads a segment's header and options; the checksum is not looked at (checksum.h). Errors: kTruncated,
// kBadHeaderLength. Hostile options are not an error:
//  - unknown kinds, and known kinds with a wrong length, are skipped by their length;
//  - of duplicates the last wins; an MSS of 0 counts as absent; a window shift above 14 reads as 14;
//  - MSS, window scale and SACK-permitted are seen only on a SYN, where alone they have a meaning (RFC
//  9293 3.2,
//    RFC 7323 2.2, RFC 2018 2), SACK blocks only on other segments.
inline ParseError ParseTcp(std::span<const uint8_t> segment, TcpHeader& header, TcpOptions& options) {
  if (segment.size() < kTcpMinHeader) return ParseError::kTruncated;
  const uint8_t* p = segment.data();
  const size_t data_offset = static_cast<size_t>(p[12] >> 4) * 4;
  if (data_offset < kTcpMinHeader || data_offset > segment.size()) return ParseError::kBadHeaderLength;
  header.src_port = LoadBe16(p);
  header.dst_port = LoadBe16(p + 2);
  header.seq = SeqNum(LoadBe32(p + 4));
  header.ack = SeqNum(LoadBe32(p + 8));
  header.data_offset = static_cast<uint8_t>(data_offset);
  header.flags = p[13];
  header.window = LoadBe16(p + 14);
  header.urgent = LoadBe16(p + 18);
  options.Clear();
  if (data_offset == kTcpMinHeader) return ParseError::kNone;
  if (data_offset == kTcpMinHeader + 12 && LoadBe32(p + 20) == kAlignedTimestamp) {
    options.has_timestamp = true;
    options.tsval = LoadBe32(p + 24);
    options.tsecr = LoadBe32(p + 28);
    return ParseError::kNone;
  }
  internal::ParseTcpOptions(segment.subspan(kTcpMinHeader, data_offset - kTcpMinHeader),
                            (header.flags & kSyn) != 0, options);
  return ParseError::kNone;
}

// SACK blocks that WriteTcpOptions finds room for: all four, or three beside a timestamp.
size_t SackBlocksThatFit(const TcpOptions& options);

// Bytes that WriteTcpOptions will write: a multiple of 4, at most kTcpMaxOptions.
size_t TcpOptionsLength(const TcpOptions& options);

// Writes the options in the order and alignment that deployed stacks use, so that receivers take their fast
// paths: MSS, SACK-permitted, timestamp, window scale; then SACK blocks, as many as fit. Returns
// TcpOptionsLength(). REQUIRES: `out` has room for that.
inline size_t WriteTcpOptions(const TcpOptions& options, uint8_t* out);

inline size_t WriteTcpOptions(const TcpOptions& options, uint8_t* out) {
  if (options.has_mss || options.has_wscale || options.sack_permitted || options.sack_count != 0) {
    return internal::WriteAllTcpOptions(options, out);
  }
  if (!options.has_timestamp) return 0;
  StoreBe32(out, kAlignedTimestamp);
  StoreBe32(out + 4, options.tsval);
  StoreBe32(out + 8, options.tsecr);
  return 12;
}

// Writes the fixed 20 bytes with a checksum of zero. REQUIRES: header.data_offset states the options' length
// too.
inline void WriteTcpHeader(const TcpHeader& header, uint8_t* out) {
  StoreBe16(out, header.src_port);
  StoreBe16(out + 2, header.dst_port);
  StoreBe32(out + 4, header.seq.value());
  StoreBe32(out + 8, header.ack.value());
  out[12] = static_cast<uint8_t>(header.data_offset / 4 << 4);
  out[13] = header.flags;
  StoreBe16(out + 14, header.window);
  StoreBe16(out + 16, 0);
  StoreBe16(out + 18, header.urgent);
}

// Header and options at once, data_offset worked out from the options. Returns the length: where the data
// begins. REQUIRES: kTcpMaxHeader writable bytes.
inline size_t WriteTcp(const TcpHeader& header, const TcpOptions& options, uint8_t* out) {
  const size_t length = kTcpMinHeader + WriteTcpOptions(options, out + kTcpMinHeader);
  WriteTcpHeader(header, out);
  out[12] = static_cast<uint8_t>(length / 4 << 4);
  return length;
}

// Where the checksum stands in a header: for offloads that fill it in.
inline constexpr size_t kTcpChecksumOffset = 16;

}  // namespace tern::wire

#endif  // TERN_WIRE_TCP_H_
