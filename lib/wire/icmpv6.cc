#include "wire/icmpv6.h"

namespace tern::wire {

ParseError ParseIcmpv6(std::span<const uint8_t> message, const IpAddress& src, const IpAddress& dst,
                       IcmpMessage& out, ChecksumCheck check) {
  if (message.size() < kIcmpHeader) return ParseError::kTruncated;
  if (check == ChecksumCheck::kVerify && !TransportChecksumValid(src, dst, kProtocolIcmpv6, message)) {
    return ParseError::kBadChecksum;
  }
  // The fixed words are those of ICMP.
  return ParseIcmp(message, out, ChecksumCheck::kTrusted);
}

size_t WriteIcmpv6(const IcmpMessage& message, const IpAddress& src, const IpAddress& dst, uint8_t* out) {
  const size_t length = WriteIcmp(message, out);
  // That sum lacks only the pseudo-header.
  InetSum sum = PseudoHeaderSum(src, dst, kProtocolIcmpv6, static_cast<uint32_t>(length));
  sum.AddField16(static_cast<uint16_t>(~LoadBe16(out + 2)));
  StoreBe16(out + 2, sum.Checksum());
  return length;
}

}  // namespace tern::wire
