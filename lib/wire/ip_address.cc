#include "wire/ip_address.h"

#include <charconv>

namespace tern::wire {
namespace {

constexpr size_t kGroups = 8;  // of 16 bits in an IPv6 address

// Decimal without sign or leading zero (which some readers take for octal), at most `limit`.
std::optional<uint32_t> ParseDecimal(std::string_view text, uint32_t limit) {
  if (text.empty() || text.size() > 3 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  uint32_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<uint32_t>(c - '0');
  }
  if (value > limit) return std::nullopt;
  return value;
}

std::optional<uint32_t> ParseV4(std::string_view text) {
  uint32_t value = 0;
  for (int part = 0; part < 4; ++part) {
    const size_t dot = text.find('.');
    if ((dot == std::string_view::npos) != (part == 3)) return std::nullopt;
    const auto octet = ParseDecimal(text.substr(0, dot), 255);
    if (!octet) return std::nullopt;
    value = value << 8 | *octet;
    if (part < 3) text.remove_prefix(dot + 1);
  }
  return value;
}

std::optional<uint16_t> ParseGroup(std::string_view text) {
  if (text.empty() || text.size() > 4) return std::nullopt;
  uint16_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

// A run of groups separated by single colons, as stands on either side of "::". May be empty.
struct GroupRun {
  std::array<uint16_t, kGroups> groups{};
  size_t count = 0;

  // Dotted decimal may be the last element where `may_end_in_v4`, and counts for two groups.
  bool Parse(std::string_view text, bool may_end_in_v4) {
    if (text.empty()) return true;
    for (;;) {
      const size_t colon = text.find(':');
      const std::string_view part = text.substr(0, colon);
      const bool last = colon == std::string_view::npos;
      if (last && may_end_in_v4 && part.find('.') != std::string_view::npos) {
        const auto v4 = ParseV4(part);
        return v4 && Push(static_cast<uint16_t>(*v4 >> 16)) && Push(static_cast<uint16_t>(*v4));
      }
      const auto group = ParseGroup(part);
      if (!group || !Push(*group)) return false;
      if (last) return true;
      text.remove_prefix(colon + 1);
    }
  }
  bool Push(uint16_t group) {
    if (count == kGroups) return false;
    groups[count++] = group;
    return true;
  }
};

std::optional<IpAddress> ParseV6(std::string_view text) {
  const size_t gap = text.find("::");
  GroupRun head;
  GroupRun tail;
  if (gap == std::string_view::npos) {
    if (!head.Parse(text, true) || head.count != kGroups) return std::nullopt;
  } else {
    // A second "::" leaves an empty part in the tail, which ParseGroup refuses. The gap stands for at least
    // one group of zeros.
    if (!head.Parse(text.substr(0, gap), false) || !tail.Parse(text.substr(gap + 2), true))
      return std::nullopt;
    if (head.count + tail.count >= kGroups) return std::nullopt;
  }
  IpAddress::Bytes bytes{};
  for (size_t i = 0; i < head.count; ++i) StoreBe16(&bytes[2 * i], head.groups[i]);
  for (size_t i = 0; i < tail.count; ++i) StoreBe16(&bytes[2 * (kGroups - tail.count + i)], tail.groups[i]);
  return IpAddress(bytes);
}

void AppendNumber(std::string& text, unsigned value, int base) {
  char digits[8];
  const auto result = std::to_chars(digits, digits + sizeof(digits), value, base);
  text.append(digits, result.ptr);
}

// RFC 5952 4.2: the longest run of two or more zero groups, the first among equals. {0, 0} if there is none.
struct ZeroRun {
  size_t start = 0;
  size_t length = 0;
};
ZeroRun LongestZeroRun(const std::array<uint16_t, kGroups>& groups) {
  ZeroRun best;
  for (size_t i = 0; i < kGroups;) {
    size_t end = i;
    while (end < kGroups && groups[end] == 0) ++end;
    if (end - i >= 2 && end - i > best.length) best = {i, end - i};
    i = end + 1;
  }
  return best;
}

// Clears all but the first `keep` bits.
IpAddress Masked(const IpAddress& ip, unsigned keep) {
  IpAddress::Bytes bytes = ip.bytes();
  for (unsigned i = 0; i < IpAddress::kSize; ++i) {
    const unsigned bits_before = i * 8;
    if (bits_before >= keep) {
      bytes[i] = 0;
    } else if (keep - bits_before < 8) {
      bytes[i] = static_cast<uint8_t>(bytes[i] & (0xff00u >> (keep - bits_before)));
    }
  }
  return IpAddress(bytes);
}

// IPv4 sits in the low 32 of the 128 bits.
unsigned BitsToKeep(const IpPrefix& prefix) { return 128u - prefix.max_length() + prefix.length; }

}  // namespace

std::optional<IpAddress> IpAddress::Parse(std::string_view text) {
  if (text.find(':') != std::string_view::npos) return ParseV6(text);
  const auto v4 = ParseV4(text);
  if (!v4) return std::nullopt;
  return FromV4(*v4);
}

IpAddress IpAddress::LinkLocalFor(const MacAddress& mac) {
  const auto& m = mac.bytes();
  return IpAddress(Bytes{0xfe, 0x80, 0, 0, 0, 0, 0, 0, static_cast<uint8_t>(m[0] ^ 0x02), m[1], m[2], 0xff,
                         0xfe, m[3], m[4], m[5]});
}

std::string IpAddress::ToString() const {
  std::string text;
  if (IsV4()) {
    for (size_t i = 12; i < kSize; ++i) {
      if (i > 12) text += '.';
      AppendNumber(text, bytes_[i], 10);
    }
    return text;
  }
  std::array<uint16_t, kGroups> groups;
  for (size_t i = 0; i < kGroups; ++i) groups[i] = LoadBe16(&bytes_[2 * i]);
  const ZeroRun gap = LongestZeroRun(groups);
  for (size_t i = 0; i < kGroups; ++i) {
    if (gap.length != 0 && i == gap.start) {
      text += "::";
      i += gap.length - 1;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    AppendNumber(text, groups[i], 16);
  }
  return text;
}

std::optional<IpPrefix> IpPrefix::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  const auto address = IpAddress::Parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  IpPrefix prefix{*address, 0};
  prefix.length = prefix.max_length();
  if (slash == std::string_view::npos) return prefix;
  const auto length = ParseDecimal(text.substr(slash + 1), prefix.max_length());
  if (!length) return std::nullopt;
  prefix.length = static_cast<uint8_t>(*length);
  return prefix;
}

bool IpPrefix::Contains(const IpAddress& ip) const {
  return ip.IsV4() == address.IsV4() && Masked(ip, BitsToKeep(*this)) == Network();
}

IpAddress IpPrefix::Network() const { return Masked(address, BitsToKeep(*this)); }

bool IpPrefix::IsBroadcast(const IpAddress& ip) const {
  if (!address.IsV4() || length >= 31 || !Contains(ip)) return false;
  const uint32_t host_mask = 0xffffffffu >> length;
  return (ip.v4() & host_mask) == host_mask;
}

std::string IpPrefix::ToString() const {
  std::string text = address.ToString();
  text += '/';
  AppendNumber(text, length, 10);
  return text;
}

}  // namespace tern::wire
