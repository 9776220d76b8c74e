#include "wire/ipv6.h"

#include <cstring>

namespace tern::wire {
namespace {

constexpr uint8_t kOptionPad1 = 0;
constexpr uint8_t kOptionPadN = 1;
constexpr uint8_t kOptionRouterAlert = 5;

ParseError Refuse(Ipv6Header& header, ParseError error, uint8_t code, size_t pointer) {
  header.problem = {true, false, code, static_cast<uint32_t>(pointer)};
  return error;
}

// RFC 8200 4.2: what the two high bits of an unknown option's type tell us to do.
ParseError JudgeUnknownOption(uint8_t type, size_t at, Ipv6Header& header) {
  switch (type >> 6) {
    case 0:
      return ParseError::kNone;
    case 1:
      header.problem = {};
      return ParseError::kBadOption;
    default:
      header.problem = {true, type >> 6 == 2, kParameterUnknownOption, static_cast<uint32_t>(at)};
      return ParseError::kBadOption;
  }
}

// Walks the options in packet[at, end). Each step moves on by at least one byte.
ParseError CheckOptions(std::span<const uint8_t> packet, size_t at, size_t end, Ipv6Header& header) {
  while (at < end) {
    const uint8_t type = packet[at];
    if (type == kOptionPad1) {
      ++at;
      continue;
    }
    if (end - at < 2 || packet[at + 1] > end - at - 2) {
      return Refuse(header, ParseError::kBadOption, kParameterErroneousField, at);
    }
    if (type != kOptionPadN && type != kOptionRouterAlert) {
      const ParseError error = JudgeUnknownOption(type, at, header);
      if (error != ParseError::kNone) return error;
    }
    at += 2u + packet[at + 1];
  }
  return ParseError::kNone;
}

// REQUIRES: a whole fragment header at `at`. The walk goes on behind it if this is the entire datagram.
ParseError TakeFragment(std::span<const uint8_t> packet, size_t at, Ipv6Header& header) {
  header.has_fragment_header = true;
  const uint16_t field = LoadBe16(&packet[at + 2]);
  const auto offset = static_cast<uint16_t>(field & 0xfff8);
  const bool more = (field & 1) != 0;
  const size_t length = packet.size() - at - kIpv6FragmentHeader;
  if (offset == 0 && !more) return ParseError::kNone;
  // RFC 8200 4.5: a piece that is not the last and not in units of 8 is reported against the payload length,
  // one that would end past 65535 against the offset.
  if (more && (length % 8 != 0 || length == 0)) {
    return Refuse(header, ParseError::kBadFragment, kParameterErroneousField, 4);
  }
  if (offset + length > 0xffff) {
    return Refuse(header, ParseError::kBadFragment, kParameterErroneousField, at + 2);
  }
  header.is_fragment = true;
  header.fragment = {LoadBe32(&packet[at + 4]), offset, more, static_cast<uint16_t>(at),
                     header.protocol_offset};
  return ParseError::kNone;
}

// Checks one extension header of `kind` in packet[at, at + length).
ParseError CheckExtension(uint8_t kind, std::span<const uint8_t> packet, size_t at, size_t length,
                          Ipv6Header& header) {
  switch (kind) {
    case kProtocolHopByHop:
      // RFC 8200 4.1: only directly behind the fixed header; elsewhere it is an unknown next header.
      if (at != kIpv6Header) {
        return Refuse(header, ParseError::kBadExtension, kParameterUnknownNextHeader, header.protocol_offset);
      }
      return CheckOptions(packet, at + 2, at + length, header);
    case kProtocolDestinationOptions:
      return CheckOptions(packet, at + 2, at + length, header);
    case kProtocolRouting:
      // RFC 8200 4.4: no routing type is known here. One that is used up is skipped; else report the type.
      if (packet[at + 3] == 0) return ParseError::kNone;
      return Refuse(header, ParseError::kBadExtension, kParameterErroneousField, at + 2);
    default:
      return TakeFragment(packet, at, header);
  }
}

}  // namespace

namespace internal {

ParseError WalkIpv6Extensions(std::span<const uint8_t> packet, Ipv6Header& header) {
  constexpr size_t kUnit = 8;  // extension headers come in these
  size_t at = header.header_length;
  header.problem = {};
  for (int walked = 0; IsIpv6Extension(header.protocol); ++walked) {
    if (walked == kMaxExtensionHeaders) return ParseError::kBadExtension;
    if (packet.size() - at < kUnit) return ParseError::kTruncated;
    const uint8_t kind = header.protocol;
    const size_t length = kind == kProtocolFragment ? kUnit : (packet[at + 1] + 1u) * kUnit;
    if (length > packet.size() - at) return ParseError::kTruncated;
    const ParseError error = CheckExtension(kind, packet, at, length, header);
    if (error != ParseError::kNone) return error;
    header.protocol = packet[at];
    header.protocol_offset = static_cast<uint16_t>(at);
    at += length;
    header.header_length = static_cast<uint16_t>(at);
    if (header.is_fragment) return ParseError::kNone;
  }
  return ParseError::kNone;
}

}  // namespace internal

size_t StripFragmentHeader(std::span<uint8_t> packet, const Ipv6Header& header) {
  const size_t before = header.fragment.header_offset;
  packet[header.fragment.previous_next_header] = packet[before];
  StoreBe16(&packet[4], static_cast<uint16_t>(header.payload_length - kIpv6FragmentHeader));
  std::memmove(&packet[kIpv6FragmentHeader], packet.data(), before);
  return kIpv6FragmentHeader;
}

}  // namespace tern::wire
