// The commonest frame in one go: an untagged TCP segment without SYN, FIN, RST or URG, to our link address,
// of either family, without IP options or extension headers, and with no TCP option but an aligned timestamp.
//
// Everything else, and everything that is wrong with such a frame, is left to the parsers of lib/wire, which
// know each error by name. What is accepted here they would accept with the same result; a test holds both to
// that.
#include "stack/shard_impl.h"
#include "wire/checksum.h"
#include "wire/endian.h"
#include "wire/ip_protocol.h"
#include "wire/tcp.h"

namespace tern::stack {
namespace {

using wire::LoadRaw;
using wire::internal::AddCarry;

constexpr uint16_t kNetIpv4 = wire::NetworkOrder(wire::kEtherTypeIpv4);
constexpr uint16_t kNetIpv6 = wire::NetworkOrder(wire::kEtherTypeIpv6);
// More fragments, and the offset: an unfragmented datagram has none of these bits.
constexpr uint16_t kNetFragmentMask = wire::NetworkOrder(uint16_t{0x3fff});
constexpr uint8_t kVersion4NoOptions = 0x45;
constexpr uint8_t kRareFlags = wire::kSyn | wire::kFin | wire::kRst | wire::kUrg;
constexpr size_t kWithTimestamp = wire::kTcpMinHeader + 12;

bool SameMac(const uint8_t* a, const uint8_t* b) {
  return ((LoadRaw<uint32_t>(a) ^ LoadRaw<uint32_t>(b)) |
          static_cast<uint32_t>(LoadRaw<uint16_t>(a + 4) ^ LoadRaw<uint16_t>(b + 4))) == 0;
}

// What the network layer says, ready for the transport.
struct Network {
  const uint8_t* tcp = nullptr;
  uint32_t length = 0;     // of header and text
  uint64_t addresses = 0;  // their ones' complement sum
  uint8_t traffic_class = 0;
};

bool ReadIpv4(const uint8_t* ip, uint32_t room, ChecksumState checksum, wire::FlowKey& key, Network& out) {
  if (ip[0] != kVersion4NoOptions || ip[9] != wire::kProtocolTcp) return false;
  if ((LoadRaw<uint16_t>(ip + 6) & kNetFragmentMask) != 0) return false;
  const uint32_t total = wire::LoadBe16(ip + 2);
  if (total > room || total < wire::kIpv4MinHeader + wire::kTcpMinHeader) return false;
  const auto addresses = LoadRaw<uint64_t>(ip + 12);
  if (checksum != ChecksumState::kGood) {
    const uint64_t sum = AddCarry(AddCarry(LoadRaw<uint64_t>(ip), LoadRaw<uint32_t>(ip + 8)), addresses);
    if (checksum == ChecksumState::kBad || wire::internal::FoldTo16(sum) != 0xffff) return false;
  }
  key.remote = wire::IpAddress::LoadV4(ip + 12);
  key.local = wire::IpAddress::LoadV4(ip + 16);
  out = {.tcp = ip + wire::kIpv4MinHeader,
         .length = total - static_cast<uint32_t>(wire::kIpv4MinHeader),
         .addresses = addresses,
         .traffic_class = ip[1]};
  return true;
}

bool ReadIpv6(const uint8_t* ip, uint32_t room, wire::FlowKey& key, Network& out) {
  constexpr uint8_t kMulticast = 0xff;
  if (room < wire::kIpv6Header + wire::kTcpMinHeader) return false;
  if (ip[0] >> 4 != 6 || ip[6] != wire::kProtocolTcp || ip[8] == kMulticast) return false;
  const uint32_t length = wire::LoadBe16(ip + 4);
  if (length > room - wire::kIpv6Header || length < wire::kTcpMinHeader) return false;
  key.remote = wire::IpAddress::LoadV6(ip + 8);
  key.local = wire::IpAddress::LoadV6(ip + 24);
  // A mapped address is none on the wire: the slow path says so.
  if (key.remote.IsV4() || key.local.IsV4()) return false;
  out = {.tcp = ip + wire::kIpv6Header,
         .length = length,
         .addresses = AddCarry(AddCarry(LoadRaw<uint64_t>(ip + 8), LoadRaw<uint64_t>(ip + 16)),
                               AddCarry(LoadRaw<uint64_t>(ip + 24), LoadRaw<uint64_t>(ip + 32))),
         .traffic_class = static_cast<uint8_t>(wire::LoadBe16(ip) >> 4)};
  return true;
}

bool SumIsGood(const Network& network) {
  // The pseudo-header of both families: addresses, length, protocol.
  const uint64_t pseudo =
      AddCarry(network.addresses, uint64_t{wire::NetworkOrder(static_cast<uint32_t>(network.length))} +
                                      uint64_t{wire::NetworkOrder(uint16_t{wire::kProtocolTcp})});
  const uint64_t sum = wire::internal::AddBytes(pseudo, network.tcp, network.length);
  return wire::internal::FoldTo16(sum) == 0xffff;
}

}  // namespace

bool Shard::Impl::ParseCommon(const RxFrame& frame, const InterfaceConfig& own, RxPacket& p) {
  constexpr uint32_t kLeast = wire::kEthernetHeader + wire::kIpv4MinHeader + wire::kTcpMinHeader;
  Buffer* const buffer = frame.buffer;
  const uint8_t* const bytes = buffer->data;
  if (buffer->length < kLeast || buffer->next != nullptr || frame.vlan_stripped || own.vlan != 0)
    return false;
  if (!SameMac(bytes, own.mac.bytes().data()) || (bytes[6] & 1) != 0) return false;
  const uint8_t* const ip = bytes + wire::kEthernetHeader;
  const uint32_t room = buffer->length - static_cast<uint32_t>(wire::kEthernetHeader);
  Network network;
  const auto type = LoadRaw<uint16_t>(bytes + 12);
  if (type == kNetIpv4) {
    if (!ReadIpv4(ip, room, frame.ip_checksum, p.key, network)) return false;
  } else if (type != kNetIpv6 || !ReadIpv6(ip, room, p.key, network)) {
    return false;
  }
  const uint8_t* const tcp = network.tcp;
  const uint32_t header = static_cast<uint32_t>(tcp[12] >> 4) * 4;
  const uint8_t flags = tcp[13];
  if (header > network.length || (flags & kRareFlags) != 0) return false;
  const bool timestamp = header == kWithTimestamp && wire::LoadBe32(tcp + 20) == wire::kAlignedTimestamp;
  if (!timestamp && header != wire::kTcpMinHeader) return false;
  if (frame.l4_checksum != ChecksumState::kGood &&
      (frame.l4_checksum == ChecksumState::kBad || !SumIsGood(network))) {
    return false;
  }
  p.key.remote_port = wire::LoadBe16(tcp);
  p.key.local_port = wire::LoadBe16(tcp + 2);
  if (p.key.remote_port == 0 || p.key.local_port == 0) return false;
  p.buffer = buffer;
  p.link_group = false;
  p.ipv6 = type == kNetIpv6;
  p.hash = p.ipv6 ? flows.HashV6(p.key) : flows.HashV4(p.key);
  tcp::SegmentView& segment = p.segment;
  segment.seq = SeqNum(wire::LoadBe32(tcp + 4));
  segment.ack = SeqNum(wire::LoadBe32(tcp + 8));
  segment.window = wire::LoadBe16(tcp + 14);
  segment.urgent = wire::LoadBe16(tcp + 18);
  segment.flags = flags;
  segment.congestion_experienced = (network.traffic_class & wire::kEcnMask) == wire::kEcnCongestion;
  segment.options.Clear();
  if (timestamp) {
    segment.options.has_timestamp = true;
    segment.options.tsval = wire::LoadBe32(tcp + 24);
    segment.options.tsecr = wire::LoadBe32(tcp + 28);
  }
  segment.payload_length = network.length - header;
  segment.payload = nullptr;
  if (segment.payload_length != 0) {
    buffer->data = const_cast<uint8_t*>(tcp) + header;
    buffer->length = segment.payload_length;
    segment.payload = buffer;
  }
  return true;
}

}  // namespace tern::stack
