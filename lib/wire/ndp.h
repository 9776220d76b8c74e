// Neighbour discovery messages (RFC 4861, RFC 4862) inside ICMPv6.
#ifndef TERN_WIRE_NDP_H_
#define TERN_WIRE_NDP_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "wire/icmpv6.h"
#include "wire/ip_address.h"
#include "wire/mac_address.h"
#include "wire/parse_error.h"

namespace tern::wire {

// How the datagram came: the validity checks of RFC 4861 look at it.
struct NdpContext {
  IpAddress src;
  IpAddress dst;
  uint8_t hop_limit = 0;
};
// RFC 4861 7.1.1: a packet that any router forwarded has less. Send with it, refuse all else.
inline constexpr uint8_t kNdpHopLimit = 255;

struct NeighborSolicit {
  IpAddress target;
  std::optional<MacAddress> source_mac;  // absent in duplicate address detection
  // RFC 7527 4, RFC 3971 5.3.2: tells a question of our own that came back from somebody else's. The low 48
  // bits; others' nonces may be longer, and are then not seen.
  std::optional<uint64_t> nonce;
};

struct NeighborAdvert {
  IpAddress target;
  bool router = false;
  bool solicited = false;
  bool override = false;
  std::optional<MacAddress> target_mac;
};

struct RouterSolicit {
  std::optional<MacAddress> source_mac;
};

// RFC 4861 4.6.2. Lifetimes in seconds; 0xffffffff is for ever.
struct NdpPrefix {
  IpPrefix prefix;
  bool on_link = false;
  bool autonomous = false;
  uint32_t valid_s = 0;
  uint32_t preferred_s = 0;
  constexpr bool operator==(const NdpPrefix&) const = default;
};

// Zero means "not specified by this router" wherever RFC 4861 4.2 says so.
struct RouterAdvert {
  static constexpr size_t kMaxPrefixes = 4;  // more are legal and ignored here

  uint8_t hop_limit = 0;
  bool managed = false;
  bool other_config = false;
  uint16_t lifetime_s = 0;  // 0: not a default router
  uint32_t reachable_ms = 0;
  uint32_t retrans_ms = 0;
  std::optional<MacAddress> source_mac;
  uint32_t mtu = 0;  // 0: no such option
  uint8_t prefix_count = 0;
  std::array<NdpPrefix, kMaxPrefixes> prefixes;
};

// Each makes all of the RFC's validity checks (6.1.1, 6.1.2, 7.1.1, 7.1.2) but for the checksum, which
// ParseIcmpv6 did. Errors: kBadField for a failed check, kTruncated, kBadOption. Unknown options are skipped;
// of duplicates the first wins, prefixes apart. REQUIRES: message.type is the one that the function's name
// says.
ParseError ParseNeighborSolicit(const IcmpMessage& message, const NdpContext& context, NeighborSolicit& out);
ParseError ParseNeighborAdvert(const IcmpMessage& message, const NdpContext& context, NeighborAdvert& out);
ParseError ParseRouterSolicit(const IcmpMessage& message, const NdpContext& context, RouterSolicit& out);
ParseError ParseRouterAdvert(const IcmpMessage& message, const NdpContext& context, RouterAdvert& out);

// Each writes a whole ICMPv6 message, checksum included, and returns its length, at most kNdpMaxMessage.
// REQUIRES: kNdpMaxMessage writable bytes.
inline constexpr size_t kNdpMaxMessage = 16 + 8 + 8 + RouterAdvert::kMaxPrefixes * 32;
size_t WriteNeighborSolicit(const NeighborSolicit& value, const IpAddress& src, const IpAddress& dst,
                            uint8_t* out);
size_t WriteNeighborAdvert(const NeighborAdvert& value, const IpAddress& src, const IpAddress& dst,
                           uint8_t* out);
size_t WriteRouterSolicit(const RouterSolicit& value, const IpAddress& src, const IpAddress& dst,
                          uint8_t* out);
size_t WriteRouterAdvert(const RouterAdvert& value, const IpAddress& src, const IpAddress& dst, uint8_t* out);

}  // namespace tern::wire

#endif  // TERN_WIRE_NDP_H_
