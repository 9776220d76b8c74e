// The datagram that an ICMP or ICMPv6 error quotes: which flow it is about.
#ifndef TERN_WIRE_ICMP_QUOTE_H_
#define TERN_WIRE_ICMP_QUOTE_H_

#include <cstdint>
#include <span>

#include "base/seq_num.h"
#include "wire/ip_address.h"
#include "wire/parse_error.h"

namespace tern::wire {

// RFC 792: the internet header and at least 64 bits behind it. Both families, one value. `src` is whoever
// sent the quoted datagram: for an error that concerns us, one of our own addresses.
struct IcmpQuote {
  IpAddress src;
  IpAddress dst;
  uint8_t protocol = 0;
  uint16_t src_port = 0;  // of TCP and UDP; for other protocols the bytes that stand there
  uint16_t dst_port = 0;
  SeqNum seq;                          // of TCP
  uint32_t total_length = 0;           // of the whole datagram, if the quote is to be believed
  std::span<const uint8_t> transport;  // all that was quoted of the upper layer: 8 bytes or more
};

// Errors: kTruncated when fewer than 8 upper-layer bytes were quoted; kBadVersion, kBadHeaderLength,
// kBadExtension; kBadFragment for a quote of a later fragment, which names no ports. Neither the quoted
// lengths (the quote is cut short) nor checksums (routers may have changed the header) have to be right.
ParseError ParseIcmpQuote(std::span<const uint8_t> body, IcmpQuote& out);    // body of an IPv4 error
ParseError ParseIcmpv6Quote(std::span<const uint8_t> body, IcmpQuote& out);  // body of an IPv6 error

}  // namespace tern::wire

#endif  // TERN_WIRE_ICMP_QUOTE_H_
