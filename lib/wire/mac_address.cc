#include "wire/mac_address.h"

#include "wire/ip_address.h"

namespace tern::wire {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

MacAddress MacAddress::ForMulticast(const IpAddress& group) {
  const auto& ip = group.bytes();
  if (group.IsV4()) {
    return MacAddress({0x01, 0x00, 0x5e, static_cast<uint8_t>(ip[13] & 0x7f), ip[14], ip[15]});
  }
  return MacAddress({0x33, 0x33, ip[12], ip[13], ip[14], ip[15]});
}

std::optional<MacAddress> MacAddress::Parse(std::string_view text) {
  constexpr size_t kTextSize = 17;
  if (text.size() != kTextSize) return std::nullopt;
  const char separator = text[2];
  if (separator != ':' && separator != '-') return std::nullopt;
  MacAddress mac;
  for (size_t i = 0; i < kSize; ++i) {
    const int high = HexValue(text[3 * i]);
    const int low = HexValue(text[3 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    if (i > 0 && text[3 * i - 1] != separator) return std::nullopt;
    mac.bytes_[i] = static_cast<uint8_t>(high * 16 + low);
  }
  return mac;
}

std::string MacAddress::ToString() const {
  std::string text;
  for (const uint8_t byte : bytes_) {
    if (!text.empty()) text += ':';
    text += kHexDigits[byte >> 4];
    text += kHexDigits[byte & 0xf];
  }
  return text;
}

}  // namespace tern::wire
