// Protocol numbers shared by IPv4 and IPv6, and the ECN field that both carry.
#ifndef TERN_WIRE_IP_PROTOCOL_H_
#define TERN_WIRE_IP_PROTOCOL_H_

#include <cstdint>

namespace tern::wire {

inline constexpr uint8_t kProtocolHopByHop = 0;
inline constexpr uint8_t kProtocolIcmp = 1;
inline constexpr uint8_t kProtocolTcp = 6;
inline constexpr uint8_t kProtocolUdp = 17;
inline constexpr uint8_t kProtocolRouting = 43;
inline constexpr uint8_t kProtocolFragment = 44;
inline constexpr uint8_t kProtocolIcmpv6 = 58;
inline constexpr uint8_t kProtocolNoNext = 59;
inline constexpr uint8_t kProtocolDestinationOptions = 60;

// RFC 3168 5: the low two bits of the traffic class.
inline constexpr uint8_t kEcnMask = 0x3;
inline constexpr uint8_t kEcnNotCapable = 0x0;
inline constexpr uint8_t kEcnCapable1 = 0x1;
inline constexpr uint8_t kEcnCapable0 = 0x2;
inline constexpr uint8_t kEcnCongestion = 0x3;

}  // namespace tern::wire

#endif  // TERN_WIRE_IP_PROTOCOL_H_
