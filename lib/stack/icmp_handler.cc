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

// RFC 9293 3.9.2.2, RFC 5461 2: that there is no way to a net or host may change in a moment. That a port is
// closed, or that somebody forbids it, will not. kNone: nothing ends for it.
tcp::CloseReason EndOfUnreachable4(uint8_t code) {
  if (code == wire::kUnreachablePort) return tcp::CloseReason::kRefused;
  const bool hard = code == wire::kUnreachableProtocol || code == wire::kUnreachableNetworkProhibited ||
                    code == wire::kUnreachableHostProhibited || code == wire::kUnreachableProhibited;
  return hard ? tcp::CloseReason::kUnreachable : tcp::CloseReason::kNone;
}
tcp::CloseReason EndOfUnreachable6(uint8_t code) {
  if (code == wire::kUnreachable6Port) return tcp::CloseReason::kRefused;
  const bool hard = code == wire::kUnreachable6Prohibited || code == wire::kUnreachable6SourcePolicy ||
                    code == wire::kUnreachable6RejectRoute;
  return hard ? tcp::CloseReason::kUnreachable : tcp::CloseReason::kNone;
}

// Cuts `buffer` down to the bytes of `part`, which lies in it.
void CutTo(Buffer* buffer, std::span<const uint8_t> part) {
  buffer->TrimFront(static_cast<uint32_t>(part.data() - buffer->data));
  buffer->TrimBack(buffer->length - static_cast<uint32_t>(part.size()));
}

// Writes the eight octets of a message whose body follows elsewhere.
struct BodySum {
  explicit BodySum(std::span<const uint8_t> body) : sum(wire::SumOf(body)), length(body.size()) {}
  void Add(std::span<const uint8_t> more) {
    sum.Add(more);
    length += more.size();
  }
  wire::InetSum sum;
  size_t length;
};
void WriteIcmpHeader(bool ipv6, const wire::IpAddress& src, const wire::IpAddress& dst, uint8_t type,
                     uint8_t code, uint32_t rest, const BodySum& body, uint8_t* out) {
  out[0] = type;
  out[1] = code;
  wire::StoreBe16(out + 2, 0);
  wire::StoreBe32(out + 4, rest);
  wire::InetSum sum;
  if (ipv6) {
    sum = wire::PseudoHeaderSum(src, dst, wire::kProtocolIcmpv6,
                                static_cast<uint32_t>(wire::kIcmpHeader + body.length));
  }
  sum.Add({out, wire::kIcmpHeader});
  sum.Add(body.sum);
  wire::StoreBe16(out + 2, sum.Checksum());
}

wire::ChecksumCheck CheckFor(bool in_pieces) {
  return in_pieces ? wire::ChecksumCheck::kTrusted : wire::ChecksumCheck::kVerify;
}

}  // namespace

DropReason Shard::Impl::InputIcmp(RxPacket& p, uint16_t) {
  wire::IcmpMessage message;
  const bool in_pieces = p.rest != nullptr;
  if (in_pieces && !SumInPieces(p, {}).IsValid()) return DropReason::kIcmpChecksum;
  const wire::ParseError error = wire::ParseIcmp(p.body, message, CheckFor(in_pieces));
  if (error == wire::ParseError::kBadChecksum) return DropReason::kIcmpChecksum;
  if (error != wire::ParseError::kNone) return DropReason::kIcmpMalformed;
  switch (message.type) {
    case wire::kIcmpEchoRequest:
      return AnswerEcho(p, message);
    case wire::kIcmpDestinationUnreachable:
      // Code 4 speaks of size, not of reachability.
      if (message.code == wire::kUnreachableFragmentationNeeded) {
        return OnPacketTooBig(p, message, message.next_hop_mtu());
      }
      return OnIcmpError(p, message, tcp::Trouble::kUnreachable, EndOfUnreachable4(message.code));
    case wire::kIcmpTimeExceeded:
      return OnIcmpError(p, message, tcp::Trouble::kTimeExceeded);
    case wire::kIcmpParameterProblem:
      return OnIcmpError(p, message, tcp::Trouble::kBadHeader);
    case wire::kIcmpRedirect:
      // Routes come from the configuration: whoever could send a redirect could take the connection over.
      return DropReason::kIcmpRedirect;
    default:
      // RFC 9293 3.9.2.2: source quench is ignored (MUST-55).
      return DropReason::kIcmpTypeUnknown;
  }
}

DropReason Shard::Impl::InputIcmpv6(RxPacket& p, uint16_t interface) {
  wire::IcmpMessage message;
  const bool in_pieces = p.rest != nullptr;
  if (in_pieces && !TransportSumIsGood(p, wire::kProtocolIcmpv6)) return DropReason::kIcmpChecksum;
  const wire::ParseError error = wire::ParseIcmpv6(p.body, p.src, p.dst, message, CheckFor(in_pieces));
  if (error == wire::ParseError::kBadChecksum) return DropReason::kIcmpChecksum;
  if (error != wire::ParseError::kNone) return DropReason::kIcmpMalformed;
  // RFC 6980 5: no part of neighbour discovery comes in fragments, and what does is ignored.
  if (p.fragmented && message.type >= wire::kIcmpv6RouterSolicit && message.type <= wire::kIcmpv6Redirect) {
    return DropReason::kNdpMalformed;
  }
  switch (message.type) {
    case wire::kIcmpv6NeighborSolicit:
      return InputNeighborSolicit(p, message, interface);
    case wire::kIcmpv6NeighborAdvert:
      return InputNeighborAdvert(p, message, interface);
    case wire::kIcmpv6RouterAdvert:
      return InputRouterAdvert(p, message, interface);
    case wire::kIcmpv6Redirect:
      // Routers say enough by their advertisements; a redirect would let anybody on the link choose our way.
      return DropReason::kIcmpRedirect;
    case wire::kIcmpv6EchoRequest:
      return AnswerEcho(p, message);
    case wire::kIcmpv6DestinationUnreachable:
      return OnIcmpError(p, message, tcp::Trouble::kUnreachable, EndOfUnreachable6(message.code));
    case wire::kIcmpv6PacketTooBig:
      return OnPacketTooBig(p, message, message.rest);
    case wire::kIcmpv6TimeExceeded:
      return OnIcmpError(p, message, tcp::Trouble::kTimeExceeded);
    case wire::kIcmpv6ParameterProblem:
      return OnIcmpError(p, message, tcp::Trouble::kBadHeader);
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
  const uint32_t neighbour = NeighbourTowards(p.src, from);
  if (neighbour == kNoSlot) return DropReason::kNoRoute;
  const uint8_t type = p.ipv6 ? wire::kIcmpv6EchoReply : wire::kIcmpEchoReply;
  if (p.rest != nullptr) {
    EchoReply reply{.src = from, .dst = p.src, .neighbour = neighbour, .first_body = message.body};
    BodySum data(message.body);
    for (const Buffer* piece = p.rest; piece != nullptr; piece = piece->next) data.Add(piece->bytes());
    WriteIcmpHeader(p.ipv6, from, p.src, type, 0, message.rest, data, reply.icmp.data());
    return AnswerEchoInPieces(p, reply);
  }
  uint32_t index = kNoSlot;
  ControlFrame* frame = NewControl(rx_interface, &index);
  if (frame == nullptr) return DropReason::kTxNoBuffer;
  WriteNetwork(*frame, from, p.src, p.ipv6 ? wire::kProtocolIcmpv6 : wire::kProtocolIcmp,
               wire::kIcmpHeader + message.body.size(), kTtl);
  frame->transport_length = wire::kIcmpHeader;
  WriteIcmpHeader(p.ipv6, from, p.src, type, 0, message.rest, BodySum(message.body), frame->transport());
  if (!message.body.empty()) {
    CutTo(p.buffer, message.body);
    frame->payload = p.buffer;
    p.buffer = nullptr;
  }
  SendVia(neighbour, index);
  return DropReason::kNone;
}

// The connection of which an error quotes a segment.
DropReason Shard::Impl::FindQuoted(const RxPacket& p, const wire::IcmpMessage& message,
                                   wire::IcmpQuote* quote, uint32_t* index) const {
  const wire::ParseError error =
      p.ipv6 ? wire::ParseIcmpv6Quote(message.body, *quote) : wire::ParseIcmpQuote(message.body, *quote);
  if (error != wire::ParseError::kNone) return DropReason::kIcmpQuoteMalformed;
  if (quote->protocol != wire::kProtocolTcp) return DropReason::kIcmpQuoteUnknown;
  const wire::FlowKey key{.local = quote->src,
                          .remote = quote->dst,
                          .local_port = quote->src_port,
                          .remote_port = quote->dst_port};
  const FlowId id = FindFlow(key, flows.Hash(key));
  if (id.kind() != FlowKind::kConnection) return DropReason::kIcmpQuoteUnknown;
  *index = id.index();
  return DropReason::kNone;
}

// An error about something we are said to have sent. Only what quotes a segment in flight is believed (RFC
// 5927 4.1).
DropReason Shard::Impl::OnIcmpError(RxPacket& p, const wire::IcmpMessage& message, tcp::Trouble trouble,
                                    tcp::CloseReason end) {
  wire::IcmpQuote quote;
  uint32_t index = kNoSlot;
  const DropReason unknown = FindQuoted(p, message, &quote, &index);
  if (unknown != DropReason::kNone) return unknown;
  tcp::Connection& conn = slots[index].conn;
  if (quote.seq.Before(conn.snd_una) || quote.seq.AtOrAfter(conn.snd_nxt))
    return DropReason::kIcmpQuoteUnknown;
  tcp::Effects effects;
  tcp::OnIcmpError(conn, env, quote.seq, trouble, end, now, effects);
  const uint64_t resets = counters.resets_received;
  Settle(index, effects);
  counters.resets_received = resets;  // refused, but by no RST
  return DropReason::kNone;
}

DropReason Shard::Impl::InputUdp(RxPacket& p) {
  if (p.body.size() < kUdpHeader) return DropReason::kUdpMalformed;
  const size_t length = wire::LoadBe16(p.body.data() + 4);
  const bool in_pieces = p.rest != nullptr;
  if (length < kUdpHeader) return DropReason::kUdpMalformed;
  // In pieces there is no telling where the datagram ends but by where the packet does.
  if (in_pieces ? length != p.body.size() + p.rest_octets : length > p.body.size()) {
    return DropReason::kUdpMalformed;
  }
  // RFC 768: zero means that the sender did not sum; RFC 8200 8.1 does not allow that.
  const bool summed = wire::LoadBe16(p.body.data() + 6) != 0;
  if (!summed && p.ipv6) return DropReason::kUdpMalformed;
  if (summed && p.l4_checksum != ChecksumState::kGood) {
    const bool good =
        in_pieces ? TransportSumIsGood(p, wire::kProtocolUdp)
                  : wire::TransportChecksumValid(p.src, p.dst, wire::kProtocolUdp, p.body.first(length));
    if (!good) return DropReason::kUdpMalformed;
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
  return EmitIcmpError(p, p.dst, {type, code, rest}, why);
}

// RFC 8200 4.2, RFC 4443 2.4 (e.3): an option may ask to be reported even when it went to a group. We are in
// those of all nodes and of our own solicited-node addresses.
DropReason Shard::Impl::ReportToGroup(RxPacket& p, const wire::Ipv6Problem& problem, DropReason why) {
  if (config.closed_ports == PortPolicy::kSilent || CheckSource(p.src) != DropReason::kNone) return why;
  const auto entries = addresses.entries();
  const bool ours = p.dst == wire::IpAddress::AllNodes() ||
                    std::any_of(entries.begin(), entries.end(), [&](const LocalAddresses::Entry& e) {
                      return e.interface == rx_interface && e.prefix.address.SolicitedNode() == p.dst;
                    });
  const std::optional<wire::IpAddress> own = addresses.SolicitFrom(rx_interface, p.src);
  if (!ours || !own) return why;
  return EmitIcmpError(p, *own, {wire::kIcmpv6ParameterProblem, problem.code, problem.pointer}, why);
}

DropReason Shard::Impl::EmitIcmpError(RxPacket& p, const wire::IpAddress& from, const IcmpError& error,
                                      DropReason why) {
  // RFC 4443 2.4 (f), and the same for IPv4.
  if (!icmp_limit.Take(now)) return DropReason::kIcmpRateLimited;
  const uint32_t neighbour = NeighbourTowards(p.src, from);
  if (neighbour == kNoSlot) return why;
  uint32_t index = kNoSlot;
  ControlFrame* frame = NewControl(rx_interface, &index);
  if (frame == nullptr) return why;
  const size_t limit = p.ipv6 ? kMaxQuote6 : kMaxQuote4;
  CutTo(p.buffer, p.buffer->bytes().subspan(p.network_offset, std::min<size_t>(p.network_length, limit)));
  WriteNetwork(*frame, from, p.src, p.ipv6 ? wire::kProtocolIcmpv6 : wire::kProtocolIcmp,
               wire::kIcmpHeader + p.buffer->length, kTtl);
  frame->transport_length = wire::kIcmpHeader;
  WriteIcmpHeader(p.ipv6, from, p.src, error.type, error.code, error.rest, BodySum(p.buffer->bytes()),
                  frame->transport());
  frame->payload = p.buffer;
  p.buffer = nullptr;
  SendVia(neighbour, index);
  return why;
}

}  // namespace tern::stack
