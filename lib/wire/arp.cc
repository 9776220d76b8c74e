#include "wire/arp.h"

#include "wire/endian.h"
#include "wire/ethernet.h"

namespace tern::wire {
namespace {

constexpr uint16_t kHardwareEthernet = 1;
constexpr uint16_t kAddressLengths = 0x0604;  // hardware 6, protocol 4

}  // namespace

ParseError ParseArp(std::span<const uint8_t> packet, ArpPacket& out) {
  if (packet.size() < kArpPacket) return ParseError::kTruncated;
  const uint8_t* p = packet.data();
  if (LoadBe16(p) != kHardwareEthernet || LoadBe16(p + 2) != kEtherTypeIpv4 ||
      LoadBe16(p + 4) != kAddressLengths) {
    return ParseError::kUnsupported;
  }
  const uint16_t operation = LoadBe16(p + 6);
  if (operation != static_cast<uint16_t>(ArpOperation::kRequest) &&
      operation != static_cast<uint16_t>(ArpOperation::kReply)) {
    return ParseError::kUnsupported;
  }
  out.operation = static_cast<ArpOperation>(operation);
  out.sender_mac = MacAddress::Load(p + 8);
  out.sender_ip = IpAddress::LoadV4(p + 14);
  out.target_mac = MacAddress::Load(p + 18);
  out.target_ip = IpAddress::LoadV4(p + 24);
  return ParseError::kNone;
}

size_t WriteArp(const ArpPacket& packet, uint8_t* out) {
  StoreBe16(out, kHardwareEthernet);
  StoreBe16(out + 2, kEtherTypeIpv4);
  StoreBe16(out + 4, kAddressLengths);
  StoreBe16(out + 6, static_cast<uint16_t>(packet.operation));
  packet.sender_mac.Store(out + 8);
  packet.sender_ip.StoreV4(out + 14);
  packet.target_mac.Store(out + 18);
  packet.target_ip.StoreV4(out + 24);
  return kArpPacket;
}

}  // namespace tern::wire
