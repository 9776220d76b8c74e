// ICMP (RFC 792, RFC 1122 3.2.2, RFC 1191).
#ifndef TERN_WIRE_ICMP_H_
#define TERN_WIRE_ICMP_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "wire/icmp_quote.h"
#include "wire/ipv4.h"
#include "wire/parse_error.h"

namespace tern::wire {

inline constexpr size_t kIcmpHeader = 8;

inline constexpr uint8_t kIcmpEchoReply = 0;
inline constexpr uint8_t kIcmpDestinationUnreachable = 3;
inline constexpr uint8_t kIcmpSourceQuench = 4;
inline constexpr uint8_t kIcmpRedirect = 5;
inline constexpr uint8_t kIcmpEchoRequest = 8;
inline constexpr uint8_t kIcmpTimeExceeded = 11;
inline constexpr uint8_t kIcmpParameterProblem = 12;

// Codes of kIcmpDestinationUnreachable.
inline constexpr uint8_t kUnreachableNetwork = 0;
inline constexpr uint8_t kUnreachableHost = 1;
inline constexpr uint8_t kUnreachableProtocol = 2;
inline constexpr uint8_t kUnreachablePort = 3;
inline constexpr uint8_t kUnreachableFragmentationNeeded = 4;
inline constexpr uint8_t kUnreachableSourceRouteFailed = 5;
inline constexpr uint8_t kUnreachableNetworkProhibited = 9;
inline constexpr uint8_t kUnreachableHostProhibited = 10;
inline constexpr uint8_t kUnreachableProhibited = 13;  // RFC 1812 5.2.7.1
// Codes of kIcmpTimeExceeded.
inline constexpr uint8_t kTimeExceededInTransit = 0;
inline constexpr uint8_t kTimeExceededReassembly = 1;

// An ICMP or ICMPv6 message: what they share is their shape. `body` is a view of the bytes that were parsed:
// the data of an echo, the quoted datagram of an error, the options and fields of neighbour discovery.
struct IcmpMessage {
  uint8_t type = 0;
  uint8_t code = 0;
  uint32_t rest = 0;  // the second word, host order
  std::span<const uint8_t> body;

  // Echo.
  uint16_t identifier() const { return static_cast<uint16_t>(rest >> 16); }
  uint16_t sequence() const { return static_cast<uint16_t>(rest); }
  void SetEcho(uint16_t identifier, uint16_t sequence) {
    rest = static_cast<uint32_t>(identifier) << 16 | sequence;
  }
  // RFC 1191 4, of ICMP's fragmentation-needed: 0 from a router that does not know the RFC.
  uint16_t next_hop_mtu() const { return static_cast<uint16_t>(rest); }
};

// RFC 1122 3.2.2: errors are the types that quote a datagram, and never answer one another.
constexpr bool IsIcmpError(uint8_t type) {
  return type == kIcmpDestinationUnreachable || type == kIcmpSourceQuench || type == kIcmpRedirect ||
         type == kIcmpTimeExceeded || type == kIcmpParameterProblem;
}

// Errors: kTruncated, kBadChecksum. `message` is the whole payload of the datagram. Every type is read alike.
ParseError ParseIcmp(std::span<const uint8_t> message, IcmpMessage& out,
                     ChecksumCheck check = ChecksumCheck::kVerify);

// Writes header, body and checksum; returns kIcmpHeader + body.size(). REQUIRES: that many writable bytes.
// The body may stand in its place already (out + 8), else it does not overlap `out`.
size_t WriteIcmp(const IcmpMessage& message, uint8_t* out);

}  // namespace tern::wire

#endif  // TERN_WIRE_ICMP_H_
