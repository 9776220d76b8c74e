// Ethernet II frames with at most one 802.1Q tag.
#ifndef TERN_WIRE_ETHERNET_H_
#define TERN_WIRE_ETHERNET_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "wire/endian.h"
#include "wire/mac_address.h"
#include "wire/parse_error.h"

namespace tern::wire {

inline constexpr uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr uint16_t kEtherTypeArp = 0x0806;
inline constexpr uint16_t kEtherTypeVlan = 0x8100;  // 802.1Q
inline constexpr uint16_t kEtherTypeQinq = 0x88a8;  // 802.1ad
inline constexpr uint16_t kEtherTypeIpv6 = 0x86dd;

inline constexpr size_t kEthernetHeader = 14;
inline constexpr size_t kVlanTag = 4;
inline constexpr uint16_t kVlanIdMask = 0x0fff;

struct EthernetHeader {
  MacAddress dst;
  MacAddress src;
  uint16_t ether_type = 0;  // of what the frame carries, behind the tag
  bool tagged = false;
  uint16_t vlan_tci = 0;  // priority, DEI and id; meaningful when tagged

  // 0 when untagged, and for a tag that carries nothing but a priority.
  uint16_t vlan_id() const { return tagged ? vlan_tci & kVlanIdMask : 0; }
  // Where the payload begins.
  size_t header_length() const { return tagged ? kEthernetHeader + kVlanTag : kEthernetHeader; }
};

// Errors: kTruncated; kUnsupported for 802.3 length fields and for a second tag. The payload may be followed
// by padding: what it carries states its own length.
inline ParseError ParseEthernet(std::span<const uint8_t> frame, EthernetHeader& out) {
  constexpr uint16_t kFirstEtherType = 0x0600;  // IEEE 802.3 3.2.6: what is smaller is a length
  if (frame.size() < kEthernetHeader) return ParseError::kTruncated;
  const uint8_t* p = frame.data();
  out.dst = MacAddress::Load(p);
  out.src = MacAddress::Load(p + 6);
  out.ether_type = LoadBe16(p + 12);
  out.tagged = false;
  out.vlan_tci = 0;
  if (out.ether_type == kEtherTypeVlan) {
    if (frame.size() < kEthernetHeader + kVlanTag) return ParseError::kTruncated;
    out.tagged = true;
    out.vlan_tci = LoadBe16(p + 14);
    out.ether_type = LoadBe16(p + 16);
    if (out.ether_type == kEtherTypeVlan) return ParseError::kUnsupported;
  }
  if (out.ether_type < kFirstEtherType || out.ether_type == kEtherTypeQinq) return ParseError::kUnsupported;
  return ParseError::kNone;
}

// Returns header_length(). REQUIRES: that many writable bytes.
inline size_t WriteEthernet(const EthernetHeader& header, uint8_t* out) {
  header.dst.Store(out);
  header.src.Store(out + 6);
  if (!header.tagged) {
    StoreBe16(out + 12, header.ether_type);
    return kEthernetHeader;
  }
  StoreBe16(out + 12, kEtherTypeVlan);
  StoreBe16(out + 14, header.vlan_tci);
  StoreBe16(out + 16, header.ether_type);
  return kEthernetHeader + kVlanTag;
}

}  // namespace tern::wire

#endif  // TERN_WIRE_ETHERNET_H_
