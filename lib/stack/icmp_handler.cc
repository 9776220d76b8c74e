// ICMP and ICMPv6: echo, errors that arrive, errors that we send (RFC 792, RFC 1122 3.2.2, RFC 4443).
#include <algorithm>

#include "stack/shard_impl.h"
#include "wire/checksum.h"
#include "wire/icmp_quote.h"

namespace tern::stack {
namespace {

// RFC 1812 4.3.2.3 and RFC 4443 2.4 (c): as much of the packet as fits into what every path carries.
constexpr size_t kMaxQuote4 = 576 - wire::kIpv4MinHeader - wire::kIcmpHeader;
constexpr size_t kMaxQuote6 = 1280 - wire::kIpv6Header - wire::kIcmpHeader;

// Cuts `buffer` down to the bytes of `part`, which lies in it.
void CutTo(Buffer* buffer, std::span<const uint8_t> part) {
  buffer->TrimFront(static_cast<uint32_t>(part.data() - buffer->data));
  buffer->TrimBack(buffer->length - static_cast<uint32_t>(part.size()));
}

// Writes the eight octets of a message whose body follows elsewhere.
void WriteIcmpHeader(bool ipv6, const wire::IpAddress& src, const wire::IpAddress& dst, uint8_t type,
                     uint8_t code, uint32_t rest, std::span<const uint8_t> body, uint8_t* out) {
  out[0] = type;
  out[1] = code;
  wire::StoreBe16(out + 2, 0);
  wire::StoreBe32(out + 4, rest);
  wire::InetSum sum;
  if (ipv6) {
    sum = wire::PseudoHeaderSum(src, dst, wire::kProtocolIcmpv6,
                                static_cast<uint32_t>(wire::kIcmpHeader + body.size()));
  }
  sum.Add({out, wire::kIcmpHeader});
  sum.Add(body);
  wire::StoreBe16(out + 2, sum.Checksum());
}

}  // namespace

DropReason Shard::Impl::InputIcmp(RxPacket& p, uint16_t) {
  wire::IcmpMessage message;
  const wire::ParseError error = wire::ParseIcmp(p.body, message);
  if (error == wire::ParseError::kBadChecksum) return DropReason::kIcmpChecksum;
  if (error != wire::ParseError::kNone) return DropReason::kIcmpMalformed;
  switch (message.type) {
    case wire::kIcmpEchoRequest:
      return AnswerEcho(p, message);
    case wire::kIcmpDestinationUnreachable:
      // Code 4 speaks of size, not of reachability.
      if (message.code == wire::kUnreachableFragmentationNeeded) return DropReason::kIcmpTypeUnknown;
      return OnUnreachable(p, message);
    default:
      // RFC 9293 3.9.2.2: source quench is ignored (MUST-55); redirects are a router's affair; time exceeded
      // and parameter problem are soft errors, on which nothing depends.
      return DropReason::kIcmpTypeUnknown;
  }
}

DropReason Shard::Impl::InputIcmpv6(RxPacket& p, uint16_t interface) {
  wire::IcmpMessage message;
  const wire::ParseError error = wire::ParseIcmpv6(p.body, p.src, p.dst, message);
  if (error == wire::ParseError::kBadChecksum) return DropReason::kIcmpChecksum;
  if (error != wire::ParseError::kNone) return DropReason::kIcmpMalformed;
  switch (message.type) {
    case wire::kIcmpv6NeighborSolicit:
      return InputNeighborSolicit(p, message, interface);
    case wire::kIcmpv6NeighborAdvert:
      return InputNeighborAdvert(p, message, interface);
    case wire::kIcmpv6EchoRequest:
      return AnswerEcho(p, message);
    case wire::kIcmpv6DestinationUnreachable:
      return OnUnreachable(p, message);
    default:
      return DropReason::kIcmpTypeUnknown;
  }
}

// The reply refers to the request's own buffer for its data: nothing is copied, and the sum alone is
// computed.
DropReason Shard::Impl::AnswerEcho(RxPacket& p, const wire::IcmpMessage& message) {
  if (p.src.IsUnspecified()) return DropReason::kIpSourceMartian;
  wire::IpAddress from = p.dst;
  if (p.dst.IsMulticast()) {
    // RFC 4443 4.2: an echo to a group we are in is answered from an address of our own.
    if (p.dst != wire::IpAddress::AllNodes()) return DropReason::kIpNotOurs;
    const std::optional<wire::IpAddress> own = addresses.SolicitFrom(rx_interface, p.src);
    if (!own) return DropReason::kIpNotOurs;
    from = *own;
  }
  const uint32_t neighbour = NeighbourTowards(p.src);
  if (neighbour == kNoSlot) return DropReason::kNoRoute;
  uint32_t index = kNoSlot;
  ControlFrame* frame = NewControl(rx_interface, &index);
  if (frame == nullptr) return DropReason::kTxNoBuffer;
  WriteNetwork(*frame, from, p.src, p.ipv6 ? wire::kProtocolIcmpv6 : wire::kProtocolIcmp,
               wire::kIcmpHeader + message.body.size(), kTtl);
  frame->transport_length = wire::kIcmpHeader;
  WriteIcmpHeader(p.ipv6, from, p.src, p.ipv6 ? wire::kIcmpv6EchoReply : wire::kIcmpEchoReply, 0,
                  message.rest, message.body, frame->transport());
  if (!message.body.empty()) {
    CutTo(p.buffer, message.body);
    frame->payload = p.buffer;
    p.buffer = nullptr;
  }
  SendVia(neighbour, index);
  return DropReason::kNone;
}

// An error about something we are said to have sent. Only what quotes a segment in flight is believed (RFC
// 5927 4.1).
DropReason Shard::Impl::OnUnreachable(RxPacket& p, const wire::IcmpMessage& message) {
  wire::IcmpQuote quote;
  const wire::ParseError error =
      p.ipv6 ? wire::ParseIcmpv6Quote(message.body, quote) : wire::ParseIcmpQuote(message.body, quote);
  if (error != wire::ParseError::kNone) return DropReason::kIcmpQuoteMalformed;
  if (quote.protocol != wire::kProtocolTcp) return DropReason::kIcmpQuoteUnknown;
  const wire::FlowKey key{
      .local = quote.src, .remote = quote.dst, .local_port = quote.src_port, .remote_port = quote.dst_port};
  const FlowId id = FindFlow(key, flows.Hash(key));
  if (id.kind() != FlowKind::kConnection) return DropReason::kIcmpQuoteUnknown;
  tcp::Connection& conn = slots[id.index()].conn;
  if (quote.seq.Before(conn.snd_una) || quote.seq.AtOrAfter(conn.snd_nxt))
    return DropReason::kIcmpQuoteUnknown;
  tcp::Effects effects;
  const uint8_t port_code = p.ipv6 ? wire::kUnreachable6Port : wire::kUnreachablePort;
  const bool refused = message.code == port_code;
  tcp::OnUnreachable(conn, quote.seq, refused ? tcp::CloseReason::kRefused : tcp::CloseReason::kUnreachable,
                     effects);
  const uint64_t resets = counters.resets_received;
  Settle(id.index(), effects);
  counters.resets_received = resets;  // refused, but by no RST
  return DropReason::kNone;
}

DropReason Shard::Impl::InputUdp(RxPacket& p) {
  constexpr size_t kUdpHeader = 8;
  if (p.body.size() < kUdpHeader) return DropReason::kUdpMalformed;
  const size_t length = wire::LoadBe16(p.body.data() + 4);
  if (length < kUdpHeader || length > p.body.size()) return DropReason::kUdpMalformed;
  // RFC 768: zero means that the sender did not sum; RFC 8200 8.1 does not allow that.
  const bool summed = wire::LoadBe16(p.body.data() + 6) != 0;
  if (!summed && p.ipv6) return DropReason::kUdpMalformed;
  if (summed && p.l4_checksum != ChecksumState::kGood &&
      !wire::TransportChecksumValid(p.src, p.dst, wire::kProtocolUdp, p.body.first(length))) {
    return DropReason::kUdpMalformed;
  }
  if (p.ipv6) {
    return SendIcmpError(p, wire::kIcmpv6DestinationUnreachable, wire::kUnreachable6Port, 0,
                         DropReason::kUdpClosed);
  }
  return SendIcmpError(p, wire::kIcmpDestinationUnreachable, wire::kUnreachablePort, 0,
                       DropReason::kUdpClosed);
}

// Returns `why`, or that the rate limit forbade the answer.
DropReason Shard::Impl::SendIcmpError(RxPacket& p, uint8_t type, uint8_t code, uint32_t rest,
                                      DropReason why) {
  if (config.closed_ports == PortPolicy::kSilent) return why;
  // RFC 1122 3.2.2 and RFC 4443 2.4 (e): never about what was sent to a group, nor to a source that is not
  // one host.
  if (p.link_group || !addresses.IsOurs(p.dst) || CheckSource(p.src) != DropReason::kNone) return why;
  // RFC 4443 2.4 (f), and the same for IPv4.
  if (!icmp_limit.Take(now)) return DropReason::kIcmpRateLimited;
  const uint32_t neighbour = NeighbourTowards(p.src);
  if (neighbour == kNoSlot) return why;
  uint32_t index = kNoSlot;
  ControlFrame* frame = NewControl(rx_interface, &index);
  if (frame == nullptr) return why;
  const size_t limit = p.ipv6 ? kMaxQuote6 : kMaxQuote4;
  CutTo(p.buffer, p.buffer->bytes().subspan(p.network_offset, std::min<size_t>(p.network_length, limit)));
  WriteNetwork(*frame, p.dst, p.src, p.ipv6 ? wire::kProtocolIcmpv6 : wire::kProtocolIcmp,
               wire::kIcmpHeader + p.buffer->length, kTtl);
  frame->transport_length = wire::kIcmpHeader;
  WriteIcmpHeader(p.ipv6, p.dst, p.src, type, code, rest, p.buffer->bytes(), frame->transport());
  frame->payload = p.buffer;
  p.buffer = nullptr;
  SendVia(neighbour, index);
  return why;
}

}  // namespace tern::stack
