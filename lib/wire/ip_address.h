// IP addresses and prefixes of both families in one type.
#ifndef TERN_WIRE_IP_ADDRESS_H_
#define TERN_WIRE_IP_ADDRESS_H_

#include <array>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "wire/endian.h"
#include "wire/mac_address.h"

namespace tern::wire {

// Sixteen bytes in wire order; IPv4 lives in the mapped range ::ffff:a.b.c.d (RFC 4291 2.5.5.2), so whoever
// compares, hashes or stores addresses never asks for the family. Mapped addresses are not legal on an IPv6
// wire, which is why the two cannot be confused. Default: `::`. Aligned to 8 so that equality is two word
// compares.
class alignas(8) IpAddress {
 public:
  static constexpr size_t kSize = 16;
  using Bytes = std::array<uint8_t, kSize>;

  constexpr IpAddress() = default;
  constexpr explicit IpAddress(const Bytes& bytes) : bytes_(bytes) {}

  // From a host-order integer: 10.77.0.1 is 0x0a4d0001.
  static constexpr IpAddress FromV4(uint32_t v) { return FromRawV4(NetworkOrder(v)); }
  static constexpr IpAddress FromV4(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
    return IpAddress(Bytes{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d});
  }
  // REQUIRES: 4 (or 16) readable bytes at `p`.
  static IpAddress LoadV4(const uint8_t* p) { return FromRawV4(LoadRaw<uint32_t>(p)); }
  static IpAddress LoadV6(const uint8_t* p) {
    IpAddress ip;
    std::memcpy(ip.bytes_.data(), p, kSize);
    return ip;
  }
  // Dotted decimal without leading zeros, or any form of RFC 4291 2.2. No zone, no prefix, no blanks.
  // "::ffff:10.0.0.1" gives the same value as "10.0.0.1".
  static std::optional<IpAddress> Parse(std::string_view text);

  static constexpr IpAddress UnspecifiedV4() { return FromV4(0); }
  static constexpr IpAddress BroadcastV4() { return FromV4(0xffffffff); }
  static constexpr IpAddress AllNodes() { return Multicast6(1); }    // ff02::1
  static constexpr IpAddress AllRouters() { return Multicast6(2); }  // ff02::2
  // RFC 4291 appendix A: fe80:: and the modified EUI-64 of the hardware address.
  static IpAddress LinkLocalFor(const MacAddress& mac);

  constexpr const Bytes& bytes() const { return bytes_; }
  constexpr bool IsV4() const {
    const auto words = Words();
    return words[0] == 0 && (words[1] & kMappedMask) == kMappedTag;
  }
  // The IPv4 address in host order. Meaningless unless IsV4().
  constexpr uint32_t v4() const { return NetworkOrder(raw_v4()); }
  // The same in memory order, for hashing and for copying into headers. Meaningless unless IsV4().
  constexpr uint32_t raw_v4() const { return static_cast<uint32_t>(Words()[1] >> kRawShift); }
  // REQUIRES: 4 (or 16) writable bytes at `p`.
  void StoreV4(uint8_t* p) const { std::memcpy(p, bytes_.data() + 12, 4); }
  void StoreV6(uint8_t* p) const { std::memcpy(p, bytes_.data(), kSize); }

  // `::` and 0.0.0.0.
  constexpr bool IsUnspecified() const { return *this == IpAddress() || *this == UnspecifiedV4(); }
  // 127.0.0.0/8 and ::1.
  constexpr bool IsLoopback() const;
  // 224.0.0.0/4 and ff00::/8.
  constexpr bool IsMulticast() const { return IsV4() ? v4() >> 28 == 0xe : bytes_[0] == 0xff; }
  // 169.254.0.0/16 and fe80::/10.
  constexpr bool IsLinkLocal() const {
    return IsV4() ? v4() >> 16 == 0xa9fe : bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
  }
  // 255.255.255.255 only: the broadcast address of a subnet is IpPrefix::IsBroadcast.
  constexpr bool IsBroadcast() const { return *this == BroadcastV4(); }
  // RFC 1122 3.2.1.3, RFC 4291 2.7: what no datagram from one host to another may carry as its source.
  constexpr bool IsValidUnicast() const {
    return !IsUnspecified() && !IsMulticast() && !(IsV4() && v4() >> 28 == 0xf);
  }

  // RFC 4291 2.7.1: ff02::1:ffXX:XXXX with the low 24 bits of this address.
  constexpr IpAddress SolicitedNode() const {
    return IpAddress(
        Bytes{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, bytes_[13], bytes_[14], bytes_[15]});
  }

  // Dotted decimal, or RFC 5952's one canonical form. Allocates: for people, not for the packet path.
  std::string ToString() const;

  constexpr bool operator==(const IpAddress& other) const { return Words() == other.Words(); }
  // Numeric order; every IPv4 address sorts among the IPv6 ones at ::ffff:0:0.
  constexpr auto operator<=>(const IpAddress& other) const { return bytes_ <=> other.bytes_; }

 private:
  // Where the last four bytes stand in the second word.
  static constexpr unsigned kRawShift = std::endian::native == std::endian::little ? 32 : 0;
  static constexpr IpAddress FromRawV4(uint32_t raw) {
    const std::array<uint64_t, 2> words{0, kMappedTag | uint64_t{raw} << kRawShift};
    return IpAddress(std::bit_cast<Bytes>(words));
  }
  static constexpr uint64_t kMappedMask = NetworkOrder(uint64_t{0xffffffff00000000});
  static constexpr uint64_t kMappedTag = NetworkOrder(uint64_t{0x0000ffff00000000});
  static constexpr IpAddress Multicast6(uint8_t group) {
    return IpAddress(Bytes{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, group});
  }
  constexpr std::array<uint64_t, 2> Words() const { return std::bit_cast<std::array<uint64_t, 2>>(bytes_); }

  Bytes bytes_{};
};

static_assert(sizeof(IpAddress) == 16 && alignof(IpAddress) == 8);

constexpr bool IpAddress::IsLoopback() const {
  return IsV4() ? v4() >> 24 == 127
                : *this == IpAddress(Bytes{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
}

// An address with a prefix length: an interface's address and its subnet, a pool, a route. `address` keeps
// its host bits; `length` counts in the address's own family (0..32 or 0..128).
struct IpPrefix {
  IpAddress address;
  uint8_t length = 0;

  // "10.77.1.0/24", "fd77::1/64"; without a slash the prefix is that one host.
  static std::optional<IpPrefix> Parse(std::string_view text);

  constexpr uint8_t max_length() const { return address.IsV4() ? 32 : 128; }
  // False for the other family: ::/0 holds no IPv4 address.
  bool Contains(const IpAddress& ip) const;
  // The address with its host bits cleared.
  IpAddress Network() const;
  // Whether `ip` is the directed broadcast of this IPv4 subnet. /31 and /32 have none (RFC 3021).
  bool IsBroadcast(const IpAddress& ip) const;
  std::string ToString() const;

  constexpr bool operator==(const IpPrefix&) const = default;
};

}  // namespace tern::wire

#endif  // TERN_WIRE_IP_ADDRESS_H_
