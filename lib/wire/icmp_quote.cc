#include "wire/icmp_quote.h"

#include "wire/ipv4.h"
#include "wire/ipv6.h"

namespace tern::wire {
namespace {

constexpr size_t kMinTransport = 8;

ParseError TakeTransport(std::span<const uint8_t> transport, IcmpQuote& out) {
  if (transport.size() < kMinTransport) return ParseError::kTruncated;
  out.src_port = LoadBe16(&transport[0]);
  out.dst_port = LoadBe16(&transport[2]);
  out.seq = SeqNum(LoadBe32(&transport[4]));
  out.transport = transport;
  return ParseError::kNone;
}

// Options of a packet that we sent ourselves need no judgement: only the way past the headers.
struct Extension {
  uint8_t next = 0;
  size_t length = 0;
};
Extension ExtensionAt(uint8_t kind, std::span<const uint8_t> bytes) {
  constexpr size_t kUnit = 8;
  return {bytes[0], kind == kProtocolFragment ? kUnit : (bytes[1] + 1u) * kUnit};
}

}  // namespace

ParseError ParseIcmpQuote(std::span<const uint8_t> body, IcmpQuote& out) {
  if (body.size() < kIpv4MinHeader) return ParseError::kTruncated;
  if (body[0] >> 4 != 4) return ParseError::kBadVersion;
  const size_t header_length = static_cast<size_t>(body[0] & 0xf) * 4;
  if (header_length < kIpv4MinHeader) return ParseError::kBadHeaderLength;
  if (header_length > body.size()) return ParseError::kTruncated;
  if ((LoadBe16(&body[6]) & 0x1fff) != 0) return ParseError::kBadFragment;
  out.src = IpAddress::LoadV4(&body[12]);
  out.dst = IpAddress::LoadV4(&body[16]);
  out.total_length = LoadBe16(&body[2]);
  out.protocol = body[9];
  return TakeTransport(body.subspan(header_length), out);
}

ParseError ParseIcmpv6Quote(std::span<const uint8_t> body, IcmpQuote& out) {
  if (body.size() < kIpv6Header) return ParseError::kTruncated;
  if (body[0] >> 4 != 6) return ParseError::kBadVersion;
  out.src = IpAddress::LoadV6(&body[8]);
  out.dst = IpAddress::LoadV6(&body[24]);
  out.total_length = static_cast<uint32_t>(kIpv6Header) + LoadBe16(&body[4]);
  if (out.src.IsV4() || out.dst.IsV4()) return ParseError::kBadField;
  out.protocol = body[6];
  std::span<const uint8_t> rest = body.subspan(kIpv6Header);
  for (int walked = 0; IsIpv6Extension(out.protocol); ++walked) {
    if (walked == kMaxExtensionHeaders) return ParseError::kBadExtension;
    if (rest.size() < 8) return ParseError::kTruncated;
    if (out.protocol == kProtocolFragment && (LoadBe16(&rest[2]) & 0xfff8) != 0)
      return ParseError::kBadFragment;
    const Extension extension = ExtensionAt(out.protocol, rest);
    if (extension.length > rest.size()) return ParseError::kTruncated;
    out.protocol = extension.next;
    rest = rest.subspan(extension.length);
  }
  return TakeTransport(rest, out);
}

}  // namespace tern::wire
