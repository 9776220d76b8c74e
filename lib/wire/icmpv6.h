// ICMPv6 (RFC 4443): echo, errors, packet too big. Neighbour discovery is in ndp.h.
#ifndef TERN_WIRE_ICMPV6_H_
#define TERN_WIRE_ICMPV6_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "wire/icmp.h"
#include "wire/ip_address.h"
#include "wire/parse_error.h"

namespace tern::wire {

inline constexpr uint8_t kIcmpv6DestinationUnreachable = 1;
inline constexpr uint8_t kIcmpv6PacketTooBig = 2;
inline constexpr uint8_t kIcmpv6TimeExceeded = 3;
inline constexpr uint8_t kIcmpv6ParameterProblem = 4;  // codes: kParameter... in ipv6.h
inline constexpr uint8_t kIcmpv6EchoRequest = 128;
inline constexpr uint8_t kIcmpv6EchoReply = 129;
inline constexpr uint8_t kIcmpv6RouterSolicit = 133;
inline constexpr uint8_t kIcmpv6RouterAdvert = 134;
inline constexpr uint8_t kIcmpv6NeighborSolicit = 135;
inline constexpr uint8_t kIcmpv6NeighborAdvert = 136;
inline constexpr uint8_t kIcmpv6Redirect = 137;

// Codes of kIcmpv6DestinationUnreachable.
inline constexpr uint8_t kUnreachable6NoRoute = 0;
inline constexpr uint8_t kUnreachable6Prohibited = 1;
inline constexpr uint8_t kUnreachable6BeyondScope = 2;
inline constexpr uint8_t kUnreachable6Address = 3;
inline constexpr uint8_t kUnreachable6Port = 4;
inline constexpr uint8_t kUnreachable6SourcePolicy = 5;
inline constexpr uint8_t kUnreachable6RejectRoute = 6;

// RFC 4443 2.1: the types whose high bit is clear.
constexpr bool IsIcmpv6Error(uint8_t type) { return type < 128; }

// IcmpMessage::rest holds the MTU of a packet-too-big, the pointer of a parameter problem, the flags of a
// neighbour advertisement, identifier and sequence of an echo. Errors: kTruncated, kBadChecksum. The checksum
// covers the pseudo-header (RFC 4443 2.3), hence the addresses.
ParseError ParseIcmpv6(std::span<const uint8_t> message, const IpAddress& src, const IpAddress& dst,
                       IcmpMessage& out, ChecksumCheck check = ChecksumCheck::kVerify);

// As WriteIcmp, for the addresses that the datagram will carry.
size_t WriteIcmpv6(const IcmpMessage& message, const IpAddress& src, const IpAddress& dst, uint8_t* out);

}  // namespace tern::wire

#endif  // TERN_WIRE_ICMPV6_H_
