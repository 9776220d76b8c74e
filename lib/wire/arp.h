// ARP for IPv4 over Ethernet (RFC 826, RFC 5227).
#ifndef TERN_WIRE_ARP_H_
#define TERN_WIRE_ARP_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "wire/ip_address.h"
#include "wire/mac_address.h"
#include "wire/parse_error.h"

namespace tern::wire {

inline constexpr size_t kArpPacket = 28;

enum class ArpOperation : uint16_t { kRequest = 1, kReply = 2 };

struct ArpPacket {
  ArpOperation operation = ArpOperation::kRequest;
  MacAddress sender_mac;
  IpAddress sender_ip;  // IPv4; 0.0.0.0 in a probe (RFC 5227 2.1.1)
  MacAddress target_mac;
  IpAddress target_ip;  // IPv4

  // RFC 5227 2.1.1, 2.3: asks whether anybody has the address; says that the sender has it.
  bool IsProbe() const { return sender_ip == IpAddress::UnspecifiedV4(); }
  bool IsAnnouncement() const { return sender_ip == target_ip; }
};

// Errors: kTruncated; kUnsupported for other media, protocols and operations. Bytes behind the packet are
// padding.
ParseError ParseArp(std::span<const uint8_t> packet, ArpPacket& out);

// Returns kArpPacket. REQUIRES: that many writable bytes; both addresses IPv4.
size_t WriteArp(const ArpPacket& packet, uint8_t* out);

}  // namespace tern::wire

#endif  // TERN_WIRE_ARP_H_
