#include "wire/ndp.h"

#include <algorithm>

namespace tern::wire {
namespace {

enum OptionType : uint8_t {
  kSourceLinkAddress = 1,
  kTargetLinkAddress = 2,
  kPrefixInformation = 3,
  kMtu = 5,
  kNonce = 14,
};
constexpr size_t kOptionUnit = 8;       // options are counted in these
constexpr size_t kLinkAddressSize = 8;  // type, length, six bytes
constexpr size_t kPrefixSize = 32;
constexpr size_t kMtuSize = 8;
constexpr size_t kNonceSize = 8;  // type, length, six bytes

// What the body of each message holds before its options; the second word of the message is in
// IcmpMessage::rest.
constexpr size_t kNeighborFixed = 16;
constexpr size_t kRouterAdvertFixed = 8;

constexpr uint32_t kFlagRouter = 0x80000000;
constexpr uint32_t kFlagSolicited = 0x40000000;
constexpr uint32_t kFlagOverride = 0x20000000;
constexpr uint32_t kFlagManaged = 0x00800000;
constexpr uint32_t kFlagOther = 0x00400000;
constexpr uint8_t kPrefixOnLink = 0x80;
constexpr uint8_t kPrefixAutonomous = 0x40;

// Calls take(option) for each option, its type and length bytes included. Each step moves on by 8 bytes or
// more.
template <typename Take>
ParseError ForEachOption(std::span<const uint8_t> bytes, Take take) {
  while (!bytes.empty()) {
    // RFC 4861 4.6: a packet with an option of length zero is discarded whole.
    if (bytes.size() < 2 || bytes[1] == 0) return ParseError::kBadOption;
    const size_t size = bytes[1] * kOptionUnit;
    if (size > bytes.size()) return ParseError::kBadOption;
    take(bytes.first(size));
    bytes = bytes.subspan(size);
  }
  return ParseError::kNone;
}

void TakeLinkAddress(std::span<const uint8_t> option, OptionType wanted, std::optional<MacAddress>& out) {
  if (option[0] != wanted || option.size() != kLinkAddressSize || out) return;
  const MacAddress mac = MacAddress::Load(&option[2]);
  // No station has a group address or none at all; believing one would turn unicast into flooding.
  if (!mac.IsMulticast() && !mac.IsZero()) out = mac;
}

void TakePrefix(std::span<const uint8_t> option, RouterAdvert& out) {
  if (option.size() != kPrefixSize || option[2] > 128 || out.prefix_count == RouterAdvert::kMaxPrefixes)
    return;
  const IpAddress address = IpAddress::LoadV6(&option[16]);
  // A mapped prefix would read as an IPv4 one with an impossible length.
  if (address.IsV4()) return;
  out.prefixes[out.prefix_count++] = {{address, option[2]},
                                      (option[3] & kPrefixOnLink) != 0,
                                      (option[3] & kPrefixAutonomous) != 0,
                                      LoadBe32(&option[4]),
                                      LoadBe32(&option[8])};
}

// The checks that all four messages share, and how long the fixed part must be.
ParseError CheckMessage(const IcmpMessage& message, const NdpContext& context, size_t fixed) {
  if (context.hop_limit != kNdpHopLimit || message.code != 0) return ParseError::kBadField;
  return message.body.size() < fixed ? ParseError::kTruncated : ParseError::kNone;
}

uint8_t* WriteLinkAddress(OptionType type, const std::optional<MacAddress>& mac, uint8_t* out) {
  if (!mac) return out;
  out[0] = type;
  out[1] = 1;
  mac->Store(out + 2);
  return out + kLinkAddressSize;
}

uint8_t* WritePrefix(const NdpPrefix& value, uint8_t* out) {
  out[0] = kPrefixInformation;
  out[1] = kPrefixSize / kOptionUnit;
  out[2] = value.prefix.length;
  out[3] =
      static_cast<uint8_t>((value.on_link ? kPrefixOnLink : 0) | (value.autonomous ? kPrefixAutonomous : 0));
  StoreBe32(out + 4, value.valid_s);
  StoreBe32(out + 8, value.preferred_s);
  StoreBe32(out + 12, 0);
  value.prefix.address.StoreV6(out + 16);
  return out + kPrefixSize;
}

// The body is in its place, from out + kIcmpHeader to `end`; puts the header and the checksum before it.
size_t Finish(uint8_t type, uint32_t rest, const IpAddress& src, const IpAddress& dst, uint8_t* out,
              const uint8_t* end) {
  const uint8_t* body = out + kIcmpHeader;
  return WriteIcmpv6({.type = type, .rest = rest, .body = {body, static_cast<size_t>(end - body)}}, src, dst,
                     out);
}

}  // namespace

ParseError ParseNeighborSolicit(const IcmpMessage& message, const NdpContext& context, NeighborSolicit& out) {
  ParseError error = CheckMessage(message, context, kNeighborFixed);
  if (error != ParseError::kNone) return error;
  out = {.target = IpAddress::LoadV6(message.body.data())};
  if (out.target.IsMulticast() || out.target.IsV4()) return ParseError::kBadField;
  error = ForEachOption(message.body.subspan(kNeighborFixed), [&](std::span<const uint8_t> option) {
    TakeLinkAddress(option, kSourceLinkAddress, out.source_mac);
    if (option[0] == kNonce && option.size() == kNonceSize && !out.nonce) {
      out.nonce = uint64_t{LoadBe16(&option[2])} << 32 | LoadBe32(&option[4]);
    }
  });
  if (error != ParseError::kNone) return error;
  // RFC 4861 7.1.1: who has no address yet asks only the solicited-node group, and names no link address.
  if (context.src.IsUnspecified() && (context.dst != out.target.SolicitedNode() || out.source_mac)) {
    return ParseError::kBadField;
  }
  return ParseError::kNone;
}

ParseError ParseNeighborAdvert(const IcmpMessage& message, const NdpContext& context, NeighborAdvert& out) {
  const ParseError error = CheckMessage(message, context, kNeighborFixed);
  if (error != ParseError::kNone) return error;
  out = {.target = IpAddress::LoadV6(message.body.data()),
         .router = (message.rest & kFlagRouter) != 0,
         .solicited = (message.rest & kFlagSolicited) != 0,
         .override = (message.rest & kFlagOverride) != 0};
  if (out.target.IsMulticast() || out.target.IsV4()) return ParseError::kBadField;
  // RFC 4861 7.1.2: nothing sent to a group can have been solicited.
  if (context.dst.IsMulticast() && out.solicited) return ParseError::kBadField;
  return ForEachOption(message.body.subspan(kNeighborFixed), [&](std::span<const uint8_t> option) {
    TakeLinkAddress(option, kTargetLinkAddress, out.target_mac);
  });
}

ParseError ParseRouterSolicit(const IcmpMessage& message, const NdpContext& context, RouterSolicit& out) {
  ParseError error = CheckMessage(message, context, 0);
  if (error != ParseError::kNone) return error;
  out = {};
  error = ForEachOption(message.body, [&](std::span<const uint8_t> option) {
    TakeLinkAddress(option, kSourceLinkAddress, out.source_mac);
  });
  if (error != ParseError::kNone) return error;
  // RFC 4861 6.1.1: without a source address there is no link address to give.
  if (context.src.IsUnspecified() && out.source_mac) return ParseError::kBadField;
  return ParseError::kNone;
}

ParseError ParseRouterAdvert(const IcmpMessage& message, const NdpContext& context, RouterAdvert& out) {
  const ParseError error = CheckMessage(message, context, kRouterAdvertFixed);
  if (error != ParseError::kNone) return error;
  // RFC 4861 6.1.2: routers speak from their link-local address.
  if (context.src.IsV4() || !context.src.IsLinkLocal()) return ParseError::kBadField;
  out = {.hop_limit = static_cast<uint8_t>(message.rest >> 24),
         .managed = (message.rest & kFlagManaged) != 0,
         .other_config = (message.rest & kFlagOther) != 0,
         .lifetime_s = static_cast<uint16_t>(message.rest),
         .reachable_ms = LoadBe32(&message.body[0]),
         .retrans_ms = LoadBe32(&message.body[4])};
  return ForEachOption(message.body.subspan(kRouterAdvertFixed), [&](std::span<const uint8_t> option) {
    TakeLinkAddress(option, kSourceLinkAddress, out.source_mac);
    if (option[0] == kMtu && option.size() == kMtuSize && out.mtu == 0) out.mtu = LoadBe32(&option[4]);
    if (option[0] == kPrefixInformation) TakePrefix(option, out);
  });
}

size_t WriteNeighborSolicit(const NeighborSolicit& value, const IpAddress& src, const IpAddress& dst,
                            uint8_t* out) {
  value.target.StoreV6(out + kIcmpHeader);
  uint8_t* end = WriteLinkAddress(kSourceLinkAddress, value.source_mac, out + kIcmpHeader + kNeighborFixed);
  if (value.nonce) {
    end[0] = kNonce;
    end[1] = kNonceSize / kOptionUnit;
    StoreBe16(end + 2, static_cast<uint16_t>(*value.nonce >> 32));
    StoreBe32(end + 4, static_cast<uint32_t>(*value.nonce));
    end += kNonceSize;
  }
  return Finish(kIcmpv6NeighborSolicit, 0, src, dst, out, end);
}

size_t WriteNeighborAdvert(const NeighborAdvert& value, const IpAddress& src, const IpAddress& dst,
                           uint8_t* out) {
  const uint32_t flags = (value.router ? kFlagRouter : 0) | (value.solicited ? kFlagSolicited : 0) |
                         (value.override ? kFlagOverride : 0);
  value.target.StoreV6(out + kIcmpHeader);
  const uint8_t* end =
      WriteLinkAddress(kTargetLinkAddress, value.target_mac, out + kIcmpHeader + kNeighborFixed);
  return Finish(kIcmpv6NeighborAdvert, flags, src, dst, out, end);
}

size_t WriteRouterSolicit(const RouterSolicit& value, const IpAddress& src, const IpAddress& dst,
                          uint8_t* out) {
  const uint8_t* end = WriteLinkAddress(kSourceLinkAddress, value.source_mac, out + kIcmpHeader);
  return Finish(kIcmpv6RouterSolicit, 0, src, dst, out, end);
}

size_t WriteRouterAdvert(const RouterAdvert& value, const IpAddress& src, const IpAddress& dst,
                         uint8_t* out) {
  const uint32_t rest = static_cast<uint32_t>(value.hop_limit) << 24 | (value.managed ? kFlagManaged : 0) |
                        (value.other_config ? kFlagOther : 0) | value.lifetime_s;
  StoreBe32(out + kIcmpHeader, value.reachable_ms);
  StoreBe32(out + kIcmpHeader + 4, value.retrans_ms);
  uint8_t* p = WriteLinkAddress(kSourceLinkAddress, value.source_mac, out + kIcmpHeader + kRouterAdvertFixed);
  if (value.mtu != 0) {
    p[0] = kMtu;
    p[1] = kMtuSize / kOptionUnit;
    StoreBe16(p + 2, 0);
    StoreBe32(p + 4, value.mtu);
    p += kMtuSize;
  }
  const size_t prefixes = std::min<size_t>(value.prefix_count, RouterAdvert::kMaxPrefixes);
  for (size_t i = 0; i < prefixes; ++i) p = WritePrefix(value.prefixes[i], p);
  return Finish(kIcmpv6RouterAdvert, rest, src, dst, out, p);
}

}  // namespace tern::wire
