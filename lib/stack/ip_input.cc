// IPv4 and IPv6 packets up to their transport: RFC 1122 3.2.1, RFC 8200.
#include "stack/shard_impl.h"
#include "wire/arp.h"
#include "wire/checksum.h"
#include "wire/tcp.h"

namespace tern::stack {
namespace {

DropReason Ipv4Drop(wire::ParseError error, size_t available) {
  switch (error) {
    case wire::ParseError::kNone:
      return DropReason::kNone;
    case wire::ParseError::kTruncated:
      return available < wire::kIpv4MinHeader ? DropReason::kIpHeaderShort : DropReason::kIpLength;
    case wire::ParseError::kBadVersion:
      return DropReason::kIpVersion;
    case wire::ParseError::kBadHeaderLength:
      return DropReason::kIpHeaderShort;
    case wire::ParseError::kBadChecksum:
      return DropReason::kIpChecksum;
    case wire::ParseError::kBadFragment:
      return DropReason::kIpFragmentMalformed;
    default:
      return DropReason::kIpLength;
  }
}

DropReason Ipv6Drop(wire::ParseError error, size_t available) {
  switch (error) {
    case wire::ParseError::kNone:
      return DropReason::kNone;
    case wire::ParseError::kTruncated:
      return available < wire::kIpv6Header ? DropReason::kIpHeaderShort : DropReason::kIpLength;
    case wire::ParseError::kBadVersion:
      return DropReason::kIpVersion;
    case wire::ParseError::kBadField:
      return DropReason::kIpSourceMartian;
    case wire::ParseError::kBadExtension:
      return DropReason::kIp6ExtensionUnsupported;
    case wire::ParseError::kBadFragment:
      return DropReason::kIpFragmentMalformed;
    default:
      return DropReason::kIp6ExtensionMalformed;
  }
}

// RFC 7126 4.3, 4.4: source routes are not followed, and what carries one is dropped. Everything else may be
// ignored (RFC 1122 3.2.1.8), as long as the list can be walked.
bool OptionsAreHarmless(std::span<const uint8_t> options) {
  constexpr uint8_t kEnd = 0;
  constexpr uint8_t kNop = 1;
  constexpr uint8_t kLooseRoute = 131;
  constexpr uint8_t kStrictRoute = 137;
  for (size_t i = 0; i < options.size();) {
    const uint8_t kind = options[i];
    if (kind == kEnd) return true;
    if (kind == kNop) {
      ++i;
      continue;
    }
    if (kind == kLooseRoute || kind == kStrictRoute) return false;
    if (i + 1 >= options.size() || options[i + 1] < 2 || i + options[i + 1] > options.size()) return false;
    i += options[i + 1];
  }
  return true;
}

// RSS finds the ports in a packet that is whole and has them right behind its IP header.
bool MissedSteering(const RxPacket& p) {
  return p.fragmented || (p.ipv6 && p.protocol_pointer != wire::Ipv6Header::kNextHeaderField);
}

}  // namespace

DropReason Shard::Impl::InputNetwork(RxPacket& p, uint16_t interface, bool* is_tcp) {
  DropReason drop = DropReason::kEthertypeUnknown;
  switch (p.ethernet.ether_type) {
    case wire::kEtherTypeIpv4:
      drop = ParseIpv4(p, interface);
      break;
    case wire::kEtherTypeIpv6:
      drop = ParseIpv6(p, interface);
      break;
    case wire::kEtherTypeArp:
      return InputArp(p, interface);
    default:
      break;
  }
  // A fragment that waits for the others has no buffer any more.
  if (drop != DropReason::kNone || p.buffer == nullptr) return drop;
  if (p.protocol == wire::kProtocolTcp && config.worker_count > 1 && MissedSteering(p) &&
      HandOver(p, interface, &drop)) {
    return drop;
  }
  if (p.rest != nullptr) NoteWholeLength(p);
  if (p.protocol != wire::kProtocolTcp) return InputTransport(p, interface);
  drop = ParseTcpSegment(p);
  *is_tcp = drop == DropReason::kNone;
  return drop;
}

DropReason Shard::Impl::ParseIpv4(RxPacket& p, uint16_t interface) {
  if (p.ip_checksum == ChecksumState::kBad) return DropReason::kIpChecksum;
  const bool trusted = p.ip_checksum == ChecksumState::kGood;
  const std::span<const uint8_t> packet = p.buffer->bytes().subspan(p.network_offset);
  wire::Ipv4Header ip;
  const wire::ParseError error =
      wire::ParseIpv4(packet, ip, trusted ? wire::ChecksumCheck::kTrusted : wire::ChecksumCheck::kVerify);
  if (error != wire::ParseError::kNone) return Ipv4Drop(error, packet.size());
  if (ip.header_length > wire::kIpv4MinHeader &&
      !OptionsAreHarmless(packet.subspan(wire::kIpv4MinHeader, ip.header_length - wire::kIpv4MinHeader))) {
    return DropReason::kIpOptionMalformed;
  }
  if (ip.IsFragment()) return InputFragment4(p, ip, interface);
  p.ipv6 = false;
  p.protocol = ip.protocol;
  p.hop_limit = ip.ttl;
  p.traffic_class = ip.traffic_class;
  p.network_length = ip.total_length;
  p.src = ip.src;
  p.dst = ip.dst;
  p.body = ip.Payload(packet);
  return DropReason::kNone;
}

DropReason Shard::Impl::ParseIpv6(RxPacket& p, uint16_t interface) {
  const std::span<const uint8_t> packet = p.buffer->bytes().subspan(p.network_offset);
  wire::Ipv6Header ip;
  const wire::ParseError error = wire::ParseIpv6(packet, ip);
  if (error == wire::ParseError::kTruncated || error == wire::ParseError::kBadVersion) {
    return Ipv6Drop(error, packet.size());
  }
  p.ipv6 = true;
  p.protocol = ip.protocol;
  p.hop_limit = ip.hop_limit;
  p.traffic_class = ip.traffic_class;
  p.network_length = static_cast<uint32_t>(wire::kIpv6Header + ip.payload_length);
  p.protocol_pointer = ip.protocol_offset;
  p.src = ip.src;
  p.dst = ip.dst;
  if (error == wire::ParseError::kBadField) return Ipv6Drop(error, packet.size());
  if (error != wire::ParseError::kNone) return RefuseExtension(p, error, ip.problem);
  p.fragmented = ip.has_fragment_header;
  if (ip.is_fragment) return InputFragment6(p, ip, interface);
  p.body = ip.Payload(packet);
  return DropReason::kNone;
}

// RFC 8200 4: what cannot be processed is reported where the header asks for it.
DropReason Shard::Impl::RefuseExtension(RxPacket& p, wire::ParseError error,
                                        const wire::Ipv6Problem& problem) {
  const DropReason why = Ipv6Drop(error, p.network_length);
  if (!problem.report) return why;
  p.body = {};
  if (problem.report_if_multicast && p.dst.IsMulticast()) return ReportToGroup(p, problem, why);
  return SendIcmpError(p, wire::kIcmpv6ParameterProblem, problem.code, problem.pointer, why);
}

DropReason Shard::Impl::ParseTcpSegment(RxPacket& p) {
  // RFC 9293 3.9.2.3, MUST-57: a segment for a group or broadcast address is discarded; so is one that came
  // by a link-layer broadcast (RFC 1122 3.3.6).
  if (p.link_group) return DropReason::kTcpNotUnicast;
  wire::TcpHeader header;
  tcp::SegmentView& segment = p.segment;
  const wire::ParseError error = wire::ParseTcp(p.body, header, segment.options);
  if (error == wire::ParseError::kTruncated) return DropReason::kTcpHeaderShort;
  if (error != wire::ParseError::kNone) return DropReason::kTcpBadDataOffset;
  // RFC 9293 3.1, MUST-3: the checksum is verified, by the device or here.
  if (p.l4_checksum == ChecksumState::kBad) return DropReason::kTcpChecksum;
  if (p.l4_checksum == ChecksumState::kUnknown) {
    const bool good = p.rest == nullptr
                          ? wire::TransportChecksumValid(p.src, p.dst, wire::kProtocolTcp, p.body)
                          : TransportSumIsGood(p, wire::kProtocolTcp);
    if (!good) return DropReason::kTcpChecksum;
  }
  if (header.src_port == 0 || header.dst_port == 0) return DropReason::kTcpBadPort;
  p.key = {.local = p.dst, .remote = p.src, .local_port = header.dst_port, .remote_port = header.src_port};
  segment.seq = header.seq;
  segment.ack = header.ack;
  segment.window = header.window;
  segment.urgent = header.urgent;
  segment.flags = header.flags;
  segment.congestion_experienced = (p.traffic_class & wire::kEcnMask) == wire::kEcnCongestion;
  segment.payload_length = static_cast<uint32_t>(p.body.size() - header.data_offset);
  segment.payload = nullptr;
  if (segment.payload_length != 0) {
    // From here on the buffer is the payload: headers in front and padding behind are cut off.
    p.buffer->TrimFront(static_cast<uint32_t>(p.body.data() - p.buffer->data) + header.data_offset);
    p.buffer->TrimBack(p.buffer->length - segment.payload_length);
    segment.payload = p.buffer;
  }
  return DropReason::kNone;
}

DropReason Shard::Impl::CheckSource(const wire::IpAddress& src) const {
  // RFC 1122 3.2.1.3: sources that no host can have are silently discarded.
  if (src.IsMulticast()) return DropReason::kIpSourceMulticast;
  if (addresses.IsBroadcast(src)) return DropReason::kIpSourceBroadcast;
  if (!src.IsValidUnicast() || src.IsLoopback()) return DropReason::kIpSourceMartian;
  if (addresses.IsOurs(src)) return DropReason::kIpSourceIsOurs;
  return DropReason::kNone;
}

// Everything but TCP, which checks its addresses when it finds no connection.
DropReason Shard::Impl::InputTransport(RxPacket& p, uint16_t interface) {
  // RFC 4862 5.4.2: duplicate address detection asks from the unspecified address; NDP checks that itself.
  const bool may_lack_source = p.protocol == wire::kProtocolIcmpv6 && p.src.IsUnspecified();
  // Who has an address of ours, too, speaks from it; NDP says what that is.
  const bool may_claim = p.protocol == wire::kProtocolIcmpv6 && p.ipv6 && !p.body.empty() &&
                         p.body[0] == wire::kIcmpv6NeighborAdvert;
  if (!may_lack_source) {
    const DropReason drop = CheckSource(p.src);
    if (drop != DropReason::kNone && !(drop == DropReason::kIpSourceIsOurs && may_claim)) return drop;
  }
  if (p.protocol == wire::kProtocolIcmpv6 && p.ipv6) {
    // Groups that we are in are all-nodes and solicited-node; NDP looks at the target, echo answers both.
    if (!p.dst.IsMulticast() && !addresses.IsOurs(p.dst)) return DropReason::kIpNotOurs;
    return InputIcmpv6(p, interface);
  }
  if (!addresses.IsOurs(p.dst)) return DropReason::kIpNotOurs;
  if (p.protocol == wire::kProtocolIcmp && !p.ipv6) return InputIcmp(p, interface);
  if (p.protocol == wire::kProtocolUdp) return InputUdp(p);
  // RFC 8200 4.7: no next header is nothing unknown; there is just nothing to do.
  if (p.ipv6 && p.protocol == wire::kProtocolNoNext) return DropReason::kIpProtocolUnknown;
  // RFC 1122 3.2.2.1 and RFC 8200 4: an unknown protocol is reported.
  if (p.ipv6) {
    return SendIcmpError(p, wire::kIcmpv6ParameterProblem, wire::kParameterUnknownNextHeader,
                         p.protocol_pointer, DropReason::kIpProtocolUnknown);
  }
  return SendIcmpError(p, wire::kIcmpDestinationUnreachable, wire::kUnreachableProtocol, 0,
                       DropReason::kIpProtocolUnknown);
}

}  // namespace tern::stack
