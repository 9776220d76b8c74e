#include "tern/address.h"

#include <charconv>

#include "absl/strings/str_cat.h"
#include "wire/ip_address.h"

namespace tern {
namespace {

std::optional<uint16_t> ParsePort(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return port;
}

}  // namespace

std::optional<Address> Address::Parse(std::string_view text) {
  const std::optional<wire::IpAddress> ip = wire::IpAddress::Parse(text);
  if (!ip) return std::nullopt;
  return Address(ip->bytes());
}

bool Address::IsV4() const { return wire::IpAddress(bytes_).IsV4(); }
bool Address::IsUnspecified() const { return wire::IpAddress(bytes_).IsUnspecified(); }
std::string Address::ToString() const { return wire::IpAddress(bytes_).ToString(); }

std::optional<Endpoint> Endpoint::Parse(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::optional<uint16_t> port = ParsePort(text.substr(colon + 1));
  if (!port) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  if (host.empty()) return Endpoint{Address(), *port};
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  // Without brackets nobody could tell the port from the last group of an IPv6 address.
  if (!bracketed && host.find(':') != std::string_view::npos) return std::nullopt;
  const std::optional<Address> address = Address::Parse(host);
  if (!address) return std::nullopt;
  return Endpoint{*address, *port};
}

std::string Endpoint::ToString() const {
  const std::string host = address.ToString();
  const std::string suffix = ":" + std::to_string(port);
  return address.IsV4() ? host + suffix : absl::StrCat("[", host, "]", suffix);
}

}  // namespace tern
