// Fragments in, packets in several buffers out, and what each protocol does with those.
//
// A reassembled packet stays in the buffers it came in: the first holds the headers and the first octets, the
// others hang on RxPacket::rest. Nothing is copied, because a shard has no pool to take a larger buffer from,
// and the pools that fill devices have none larger than a frame. For TCP nothing is lost by that: a segment
// in n buffers is n segments, one after the other. Everything else looks into the first buffer only.
#include <algorithm>
#include <cstring>
#include <utility>

#include "base/take_front.h"
#include "stack/shard_impl.h"
#include "wire/checksum.h"
#include "wire/tcp.h"

namespace tern::stack {
namespace {

// RFC 7112 5 for the upper layer's own header, and for IPv4 what RFC 1858 and RFC 3128 ask of TCP: what is
// decided by the first fragment is all in it.
bool HoldsUpperHeader(uint8_t protocol, std::span<const uint8_t> body) {
  switch (protocol) {
    case wire::kProtocolTcp:
      return body.size() >= wire::kTcpMinHeader && body.size() >= size_t{body[12]} / 16 * 4;
    case wire::kProtocolUdp:
      return body.size() >= kUdpHeader;
    case wire::kProtocolIcmp:
    case wire::kProtocolIcmpv6:
      return body.size() >= wire::kIcmpHeader;
    default:
      return true;
  }
}

std::span<uint8_t> Writable(Buffer* buffer, uint32_t from) {
  return {buffer->data + from, buffer->length - from};
}

// The whole packet's header from the first fragment's, with a length as if that were all.
void MakeWhole4(std::span<uint8_t> packet, bool congestion_experienced) {
  constexpr uint16_t kDontFragment = 0x4000;
  const size_t header = (packet[0] & 0xfu) * 4u;
  if (congestion_experienced) packet[1] |= wire::kEcnCongestion;
  wire::StoreBe16(&packet[6], wire::LoadBe16(&packet[6]) & kDontFragment);
  wire::StoreBe16(&packet[wire::kIpv4ChecksumOffset], 0);
  wire::StoreBe16(&packet[wire::kIpv4ChecksumOffset], wire::InternetChecksum(packet.first(header)));
}

}  // namespace

// ---- In ----

DropReason Shard::Impl::InputFragment4(RxPacket& p, const wire::Ipv4Header& ip, uint16_t interface) {
  p.src = ip.src;
  p.dst = ip.dst;
  p.buffer->TrimBack(p.buffer->length - p.network_offset - ip.total_length);
  const uint32_t payload_at = p.network_offset + ip.header_length;
  if (ip.fragment_offset == 0 && !HoldsUpperHeader(ip.protocol, p.buffer->bytes().subspan(payload_at))) {
    return DropReason::kIpFragmentHeaders;
  }
  return InputFragment(p, {.key = {.src = ip.src,
                                   .dst = ip.dst,
                                   .identification = ip.identification,
                                   .interface = interface,
                                   .protocol = ip.protocol},
                           .buffer = p.buffer,
                           .payload_at = payload_at,
                           .network_at = static_cast<uint16_t>(p.network_offset),
                           .offset = ip.fragment_offset,
                           .more = ip.more_fragments,
                           .link_group = p.link_group,
                           .ecn = static_cast<uint8_t>(ip.traffic_class & wire::kEcnMask)});
}

DropReason Shard::Impl::InputFragment6(RxPacket& p, const wire::Ipv6Header& ip, uint16_t interface) {
  p.buffer->TrimBack(p.buffer->length - p.network_offset - p.network_length);
  const std::span<const uint8_t> packet = p.buffer->bytes().subspan(p.network_offset);
  if (ip.fragment.offset == 0) {
    wire::Ipv6Header all = ip;
    const wire::ParseError error = wire::WalkFirstFragment(packet, all);
    const bool cut =
        error == wire::ParseError::kTruncated ||
        (error == wire::ParseError::kNone && !HoldsUpperHeader(all.protocol, all.Payload(packet)));
    // RFC 7112 5, RFC 8200 4.5: the source is told, with code 3 and a pointer of zero.
    if (cut) {
      return SendIcmpError(p, wire::kIcmpv6ParameterProblem, wire::kParameterIncompleteChain, 0,
                           DropReason::kIpFragmentHeaders);
    }
    // Anything else that is wrong would be found in the whole packet, and need not wait for it.
    if (error != wire::ParseError::kNone) return RefuseExtension(p, error, all.problem);
  }
  return InputFragment(p, {.key = {.src = ip.src,
                                   .dst = ip.dst,
                                   .identification = ip.fragment.identification,
                                   .interface = interface},
                           .buffer = p.buffer,
                           .payload_at = p.network_offset + ip.header_length,
                           .network_at = static_cast<uint16_t>(p.network_offset),
                           .offset = ip.fragment.offset,
                           .more = ip.fragment.more,
                           .link_group = p.link_group,
                           .ecn = static_cast<uint8_t>(ip.traffic_class & wire::kEcnMask)});
}

// kNone: taken. With `p.buffer` then nullptr it waits for the others; else `p` is the whole packet.
DropReason Shard::Impl::InputFragment(RxPacket& p, const Fragment& fragment) {
  if (closing) return DropReason::kShuttingDown;
  // Room is for those only whose packets could be of use.
  if (const DropReason drop = CheckSource(p.src); drop != DropReason::kNone) return drop;
  if (!addresses.IsOurs(p.dst) && p.dst != wire::IpAddress::AllNodes()) return DropReason::kIpNotOurs;
  const ReassemblyResult result = reassembly.Insert(fragment, now, released, counters.drops);
  if (result.drop == DropReason::kNone) p.buffer = nullptr;
  counters.rx_consumed -= result.abandoned;
  if (!result.complete) return result.drop;
  return TakeWhole(p, result.datagram);
}

// Puts the packet together so that it parses like any other, and parses it.
DropReason Shard::Impl::TakeWhole(RxPacket& p, const Datagram& whole) {
  Buffer* first = whole.first;
  p.buffer = first;
  p.rest = whole.rest;
  p.rest_octets = whole.rest_octets;
  p.network_offset = whole.network_at;
  p.link_group = whole.link_group;
  p.ip_checksum = ChecksumState::kGood;
  // A device that looked at the fragments has seen no checksum.
  p.l4_checksum = ChecksumState::kUnknown;
  p.identification = whole.key.identification;
  if (whole.key.src.IsV4()) {
    MakeWhole4(Writable(first, whole.network_at), whole.congestion_experienced);
    const DropReason drop = ParseIpv4(p, whole.key.interface);
    p.fragmented = true;
    return drop;
  }
  wire::Ipv6Header header;
  const std::span<uint8_t> packet = Writable(first, whole.network_at);
  // It was parsed when it came, and nobody has changed it.
  if (wire::ParseIpv6(packet, header) != wire::ParseError::kNone || !header.is_fragment) {
    return DropReason::kIpFragmentMalformed;
  }
  if (whole.congestion_experienced) packet[1] |= wire::kEcnCongestion << 4;
  const size_t moved = wire::StripFragmentHeader(packet, header);
  std::memmove(first->data + moved, first->data, whole.network_at);
  first->TrimFront(static_cast<uint32_t>(moved));
  const DropReason drop = ParseIpv6(p, whole.key.interface);
  p.fragmented = true;
  return drop;
}

// Until now the header spoke of the first buffer alone. What is quoted in an error speaks of all.
void Shard::Impl::NoteWholeLength(RxPacket& p) {
  const std::span<uint8_t> packet = Writable(p.buffer, p.network_offset);
  if (p.ipv6) {
    wire::StoreBe16(&packet[4], static_cast<uint16_t>(wire::LoadBe16(&packet[4]) + p.rest_octets));
    return;
  }
  wire::StoreBe16(&packet[2], static_cast<uint16_t>(wire::LoadBe16(&packet[2]) + p.rest_octets));
  MakeWhole4(packet, false);
}

void Shard::Impl::TakePieces(const RxFrame& frame, RxPacket& p) {
  p.rest = std::exchange(frame.buffer->next, nullptr);
  p.rest_octets = 0;
  for (const Buffer* piece = p.rest; piece != nullptr; piece = piece->next) p.rest_octets += piece->length;
}

wire::InetSum Shard::Impl::SumInPieces(const RxPacket& p, wire::InetSum sum) {
  sum.Add(p.body);
  for (const Buffer* piece = p.rest; piece != nullptr; piece = piece->next) sum.Add(piece->bytes());
  return sum;
}

bool Shard::Impl::TransportSumIsGood(const RxPacket& p, uint8_t protocol) {
  const auto length = static_cast<uint32_t>(p.body.size() + p.rest_octets);
  return SumInPieces(p, wire::PseudoHeaderSum(p.src, p.dst, protocol, length)).IsValid();
}

// ---- To the worker that owns the connection ----

// RSS and its twin look at neither fragments nor what stands behind extension headers, so such a segment
// comes to any worker. True when it was another's: then it is on its way, or `*drop` says why not.
bool Shard::Impl::HandOver(RxPacket& p, uint16_t interface, DropReason* drop) {
  if (p.body.size() < 4) return false;
  const wire::FlowKey key{.local = p.dst,
                          .remote = p.src,
                          .local_port = wire::LoadBe16(p.body.data() + 2),
                          .remote_port = wire::LoadBe16(p.body.data())};
  const uint16_t owner = steering.OwnerOf(key);
  if (owner == config.worker) return false;
  *drop = DropReason::kHandoverRingFull;
  if (foreign.size() == kMaxForeign) return true;
  *drop = DropReason::kNone;
  const uint16_t vlan = config.interfaces[interface].vlan;
  p.buffer->next = std::exchange(p.rest, nullptr);
  foreign.push_back({.frame = {.buffer = std::exchange(p.buffer, nullptr),
                               .vlan_tci = vlan,
                               .vlan_stripped = true,
                               .reassembled = true,
                               .ip_checksum = ChecksumState::kGood,
                               .l4_checksum = p.l4_checksum},
                     .interface = interface,
                     .owner = owner});
  return true;
}

size_t Shard::Impl::TakeForeign(std::span<ForeignFrame> out) { return TakeFront(foreign, out); }

// ---- TCP ----

// A segment in several buffers, as so many segments. Only a connection cares for the octets; everybody else
// is shown one segment of the whole length whose octets are not there.
DropReason Shard::Impl::InputTcpInPieces(RxPacket& p) {
  tcp::SegmentView whole = p.segment;
  Buffer* pieces = std::exchange(p.rest, nullptr);
  Buffer* head = std::exchange(p.buffer, nullptr);
  if (whole.payload_length == 0) {
    released.PushBack(head);
  } else {
    head->next = pieces;
    pieces = head;
  }
  const FlowKind kind = FindFlow(p.key, p.hash).kind();
  const bool takes_text = kind == FlowKind::kConnection || kind == FlowKind::kHalfOpen;
  if (!takes_text || whole.Has(wire::kSyn | wire::kRst)) {
    ReleaseList(pieces);
    p.segment.payload = nullptr;
    p.segment.payload_length = whole.payload_length + p.rest_octets;
    return InputTcp(p);
  }
  DropReason fate = DropReason::kNone;
  bool of_use = false;
  uint32_t at = 0;
  while (pieces != nullptr) {
    Buffer* piece = pieces;
    pieces = std::exchange(piece->next, nullptr);
    tcp::SegmentView& segment = p.segment;
    segment = whole;
    segment.seq = whole.seq + at;
    segment.payload = piece;
    segment.payload_length = piece->length;
    // What stands at the end of the segment stands in its last piece.
    if (pieces != nullptr) segment.flags &= static_cast<uint8_t>(~(wire::kFin | wire::kPsh));
    if (whole.urgent > at) {
      segment.urgent = static_cast<uint16_t>(whole.urgent - at);
    } else {
      segment.flags &= static_cast<uint8_t>(~wire::kUrg);
    }
    at += piece->length;
    // Looked up each time: the piece before may have completed a handshake or ended the connection.
    const DropReason drop = InputTcp(p);
    of_use |= drop == DropReason::kNone;
    if (fate == DropReason::kNone) fate = drop;
    if (p.buffer != nullptr) released.PushBack(std::exchange(p.buffer, nullptr));
  }
  return of_use ? DropReason::kNone : fate;
}

// ---- Echo ----

// The reply leaves as the request came, piece by piece: what fitted the link one way does so the other way,
// and the identification that is unique for the request's sender is so for the answers to it.
DropReason Shard::Impl::AnswerEchoInPieces(RxPacket& p, const EchoReply& reply) {
  Buffer* first = std::exchange(p.buffer, nullptr);
  Buffer* pieces = std::exchange(p.rest, nullptr);
  first->TrimFront(static_cast<uint32_t>(reply.first_body.data() - first->data));
  first->TrimBack(first->length - static_cast<uint32_t>(reply.first_body.size()));
  first->next = pieces;
  const size_t headers =
      p.ipv6 ? wire::kIpv6Header + wire::kIpv6FragmentHeader : size_t{wire::kIpv4MinHeader};
  const uint16_t mtu = MtuOf(neighbours[reply.neighbour].interface, p.ipv6);
  DropReason fate = DropReason::kNone;
  for (const Buffer* piece = first; piece != nullptr; piece = piece->next) {
    const size_t icmp = piece == first ? wire::kIcmpHeader : 0;
    if (headers + icmp + piece->length > mtu) fate = DropReason::kTxTooLong;
  }
  uint32_t offset = 0;
  for (Buffer* piece = first; piece != nullptr;) {
    Buffer* next = std::exchange(piece->next, nullptr);
    const size_t header = piece == first ? wire::kIcmpHeader : 0;
    const auto length = static_cast<uint32_t>(header + piece->length);
    uint32_t index = kNoSlot;
    ControlFrame* frame = fate == DropReason::kNone ? NewControl(rx_interface, &index) : nullptr;
    if (frame == nullptr) {
      // Without one of its pieces the rest is of no use to anybody.
      if (fate == DropReason::kNone) fate = DropReason::kTxNoBuffer;
      released.PushBack(piece);
    } else {
      WriteFragment(*frame, reply, p.identification, offset, length, next != nullptr);
      frame->transport_length = static_cast<uint8_t>(header);
      if (header != 0) std::memcpy(frame->transport(), reply.icmp.data(), header);
      frame->payload = piece;
      SendVia(reply.neighbour, index);
    }
    offset += length;
    piece = next;
  }
  return fate;
}

void Shard::Impl::WriteFragment(ControlFrame& frame, const EchoReply& reply, uint32_t identification,
                                uint32_t offset, uint32_t length, bool more) const {
  frame.ipv6 = !reply.dst.IsV4();
  if (!frame.ipv6) {
    frame.network_length = static_cast<uint8_t>(
        wire::WriteIpv4({.src = reply.src,
                         .dst = reply.dst,
                         .total_length = static_cast<uint16_t>(wire::kIpv4MinHeader + length),
                         .identification = static_cast<uint16_t>(identification),
                         .fragment_offset = static_cast<uint16_t>(offset),
                         .more_fragments = more,
                         .ttl = kTtl,
                         .protocol = wire::kProtocolIcmp},
                        frame.network()));
    return;
  }
  uint8_t* header =
      frame.network() +
      wire::WriteIpv6({.src = reply.src,
                       .dst = reply.dst,
                       .payload_length = static_cast<uint16_t>(wire::kIpv6FragmentHeader + length),
                       .hop_limit = kTtl,
                       .protocol = wire::kProtocolFragment},
                      frame.network());
  header[0] = wire::kProtocolIcmpv6;
  header[1] = 0;
  wire::StoreBe16(header + 2, static_cast<uint16_t>(offset | (more ? 1u : 0u)));
  wire::StoreBe32(header + 4, identification);
  frame.network_length = wire::kIpv6Header + wire::kIpv6FragmentHeader;
}

// ---- Time ----

// True when more is due already.
bool Shard::Impl::ExpireFragments() {
  Datagram gone;
  for (uint32_t i = 0; i < kTimersPerCall; ++i) {
    if (!reassembly.TakeExpired(now, &gone)) return false;
    counters.rx_consumed -= gone.fragments;
    counters.drops.Count(DropReason::kIpFragmentTimeout, gone.fragments);
    ReleaseList(gone.rest);
    if (gone.first != nullptr) ReportTimeout(gone);
  }
  return true;
}

// RFC 1122 3.3.2, RFC 8200 4.5: the sender is told if the first fragment, which says what it was, did come.
void Shard::Impl::ReportTimeout(const Datagram& gone) {
  RxPacket p;
  p.buffer = gone.first;
  p.network_offset = gone.network_at;
  p.network_length = gone.first->length - gone.network_at;
  p.ipv6 = !gone.key.src.IsV4();
  p.src = gone.key.src;
  p.dst = gone.key.dst;
  p.link_group = gone.link_group;
  rx_interface = gone.key.interface;
  uint8_t protocol = static_cast<uint8_t>(gone.key.protocol);
  const std::span<const uint8_t> packet = gone.first->bytes().subspan(gone.network_at);
  size_t upper = gone.payload_at - gone.network_at;
  if (p.ipv6) {
    wire::Ipv6Header ip;
    const bool walked = wire::ParseIpv6(packet, ip) == wire::ParseError::kNone && ip.is_fragment &&
                        wire::WalkFirstFragment(packet, ip) == wire::ParseError::kNone;
    protocol = walked ? ip.protocol : wire::kProtocolNoNext;
    upper = ip.header_length;
  }
  // RFC 1122 3.2.2, RFC 4443 2.4 (e.1): no error about an error. HoldsUpperHeader has seen that the type is
  // there.
  const bool about_error = (protocol == wire::kProtocolIcmp && wire::IsIcmpError(packet[upper])) ||
                           (protocol == wire::kProtocolIcmpv6 && wire::IsIcmpv6Error(packet[upper]));
  if (!about_error) {
    static_cast<void>(SendIcmpError(p, p.ipv6 ? wire::kIcmpv6TimeExceeded : wire::kIcmpTimeExceeded,
                                    wire::kTimeExceededReassembly, 0, DropReason::kIpFragmentTimeout));
  }
  if (p.buffer != nullptr) released.PushBack(p.buffer);
}

void Shard::Impl::ReleaseList(Buffer* list) {
  while (list != nullptr) {
    Buffer* next = list->next;
    released.PushBack(list);
    list = next;
  }
}

// At the end of the shard.
void Shard::Impl::DropFragments() {
  const uint32_t fragments = reassembly.Clear(released);
  counters.rx_consumed -= fragments;
  counters.drops.Count(DropReason::kShuttingDown, fragments);
  for (const ForeignFrame& frame : foreign) {
    ReleaseList(frame.frame.buffer);
    --counters.rx_consumed;
    counters.drops.Count(DropReason::kShuttingDown);
  }
  foreign.clear();
}

}  // namespace tern::stack
