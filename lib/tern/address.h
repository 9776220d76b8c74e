// IP addresses and endpoints of both families, as values.
#ifndef TERN_TERN_ADDRESS_H_
#define TERN_TERN_ADDRESS_H_

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tern/export.h"

namespace tern {

// An address of either family in 16 bytes, wire order; IPv4 in the mapped range ::ffff:0:0/96 (RFC 4291
// 2.5.5.2). The default is `::`, "unspecified", which stands for any or to-be-chosen. Plain value, any
// thread.
class TERN_EXPORT Address {
 public:
  using Bytes = std::array<uint8_t, 16>;

  constexpr Address() = default;
  constexpr explicit Address(const Bytes& bytes) : bytes_(bytes) {}

  // "10.77.0.1" or any form of RFC 4291 2.2 ("fd77::1"); no zone, no prefix, no brackets.
  static std::optional<Address> Parse(std::string_view text);

  bool IsV4() const;
  // `::` and 0.0.0.0.
  bool IsUnspecified() const;
  constexpr const Bytes& bytes() const { return bytes_; }
  // Dotted decimal, or RFC 5952's form. Allocates.
  std::string ToString() const;

  constexpr auto operator<=>(const Address&) const = default;

 private:
  Bytes bytes_{};
};

// An address and a TCP port (host order; 0: any or to be chosen).
struct TERN_EXPORT Endpoint {
  Address address;
  uint16_t port = 0;

  // "10.77.0.1:7", "[fd77::1]:7"; ":7" is port 7 of the unspecified address.
  static std::optional<Endpoint> Parse(std::string_view text);
  // As Parse reads it. Allocates.
  std::string ToString() const;

  constexpr auto operator<=>(const Endpoint&) const = default;
};

}  // namespace tern

#endif  // TERN_TERN_ADDRESS_H_
