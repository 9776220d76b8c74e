// Ethernet hardware addresses.
#ifndef TERN_WIRE_MAC_ADDRESS_H_
#define TERN_WIRE_MAC_ADDRESS_H_

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace tern::wire {

class IpAddress;

// Six bytes in wire order. A trivially copyable value.
class MacAddress {
 public:
  static constexpr size_t kSize = 6;

  constexpr MacAddress() = default;
  constexpr explicit MacAddress(const std::array<uint8_t, kSize>& bytes) : bytes_(bytes) {}

  static constexpr MacAddress Broadcast() { return MacAddress({0xff, 0xff, 0xff, 0xff, 0xff, 0xff}); }
  // REQUIRES: six readable bytes at `p`.
  static MacAddress Load(const uint8_t* p) {
    MacAddress mac;
    std::memcpy(mac.bytes_.data(), p, kSize);
    return mac;
  }
  // Where a multicast group's frames go. RFC 1112 6.4: 01:00:5e and the low 23 bits of the IPv4 group; RFC
  // 2464 7: 33:33 and the low 32 bits of the IPv6 group. REQUIRES: `group` is multicast.
  static MacAddress ForMulticast(const IpAddress& group);
  // "02:00:5e:10:00:01", either case, ':' or '-' throughout; nothing before or after.
  static std::optional<MacAddress> Parse(std::string_view text);

  // REQUIRES: six writable bytes at `p`.
  void Store(uint8_t* p) const { std::memcpy(p, bytes_.data(), kSize); }
  constexpr const std::array<uint8_t, kSize>& bytes() const { return bytes_; }

  constexpr bool IsBroadcast() const { return *this == Broadcast(); }
  // The group bit: broadcast is multicast too.
  constexpr bool IsMulticast() const { return (bytes_[0] & 1) != 0; }
  constexpr bool IsZero() const { return *this == MacAddress(); }

  // Lower case with colons. Allocates: for people, not for the packet path.
  std::string ToString() const;

  constexpr auto operator<=>(const MacAddress&) const = default;

 private:
  std::array<uint8_t, kSize> bytes_{};
};

static_assert(sizeof(MacAddress) == MacAddress::kSize);

}  // namespace tern::wire

#endif  // TERN_WIRE_MAC_ADDRESS_H_
