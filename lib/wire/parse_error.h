// Why bytes were refused.
#ifndef TERN_WIRE_PARSE_ERROR_H_
#define TERN_WIRE_PARSE_ERROR_H_

#include <cstdint>
#include <string_view>

namespace tern::wire {

// What every parser of this room returns. The result parameter is meaningful only with kNone. Parsers are
// total: any bytes give an answer, and none outside the span are read.
enum class [[nodiscard]] ParseError : uint8_t{
    kNone,
    kTruncated,        // the bytes end before the header, or before the length that it states
    kBadVersion,       // an IP version that its EtherType does not allow
    kBadHeaderLength,  // the header states a length that it cannot have
    kBadTotalLength,   // the datagram states less than its own header
    kBadChecksum,
    kBadFragment,   // a fragment that no datagram can contain (past 65535, or not in units of 8)
    kBadExtension,  // an IPv6 extension header out of place, unknown to us, or too many of them
    kBadOption,     // an option of length zero, one that overruns, or one that forbids us to go on
    kBadField,      // a fixed field with a value that the RFC refuses
    kUnsupported,   // well formed, but nothing that we speak (802.3 length, QinQ, ARP for another medium)
};

constexpr std::string_view ToString(ParseError error) {
  switch (error) {
    case ParseError::kNone:
      return "none";
    case ParseError::kTruncated:
      return "truncated";
    case ParseError::kBadVersion:
      return "bad_version";
    case ParseError::kBadHeaderLength:
      return "bad_header_length";
    case ParseError::kBadTotalLength:
      return "bad_total_length";
    case ParseError::kBadChecksum:
      return "bad_checksum";
    case ParseError::kBadFragment:
      return "bad_fragment";
    case ParseError::kBadExtension:
      return "bad_extension";
    case ParseError::kBadOption:
      return "bad_option";
    case ParseError::kBadField:
      return "bad_field";
    case ParseError::kUnsupported:
      return "unsupported";
  }
  return "unknown";
}

}  // namespace tern::wire

#endif  // TERN_WIRE_PARSE_ERROR_H_
