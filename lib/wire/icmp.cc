#include "wire/icmp.h"

namespace tern::wire {

ParseError ParseIcmp(std::span<const uint8_t> message, IcmpMessage& out, ChecksumCheck check) {
  if (message.size() < kIcmpHeader) return ParseError::kTruncated;
  if (check == ChecksumCheck::kVerify && !SumOf(message).IsValid()) return ParseError::kBadChecksum;
  out.type = message[0];
  out.code = message[1];
  out.rest = LoadBe32(&message[4]);
  out.body = message.subspan(kIcmpHeader);
  return ParseError::kNone;
}

size_t WriteIcmp(const IcmpMessage& message, uint8_t* out) {
  // The body first: if it is in place, nothing of it may be lost to the header.
  const InetSum body = CopyAndSum(out + kIcmpHeader, message.body);
  out[0] = message.type;
  out[1] = message.code;
  StoreBe16(out + 2, 0);
  StoreBe32(out + 4, message.rest);
  InetSum sum = SumOf({out, kIcmpHeader});
  sum.Add(body);
  StoreBe16(out + 2, sum.Checksum());
  return kIcmpHeader + message.body.size();
}

}  // namespace tern::wire
