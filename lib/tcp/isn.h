// Initial sequence numbers (RFC 6528) and the timestamp clock (RFC 7323 5.4).
#ifndef TERN_TCP_ISN_H_
#define TERN_TCP_ISN_H_

#include <cstdint>

#include "base/instant.h"
#include "base/seq_num.h"

namespace tern::tcp {

// ISN = M + F(tuple, secret). `tuple_hash` is the keyed hash F of both addresses and ports, with a secret
// that serves nothing else. M is a clock of 4 us (RFC 9293 3.4.1, RFC 6528 3), so that a later connection of
// the same tuple starts beyond where an earlier one at moderate speed can have been.
constexpr SeqNum InitialSequence(uint64_t tuple_hash, Instant now) {
  const auto clock_4us = static_cast<uint32_t>(now.nanos() / 4'000);
  return SeqNum(static_cast<uint32_t>(tuple_hash) + clock_4us);
}

// The offset that hides our clock from the peer and keeps it monotone per tuple. The upper half of the same
// hash: an observer of the ISN learns nothing about it.
constexpr uint32_t TimestampOffset(uint64_t tuple_hash) { return static_cast<uint32_t>(tuple_hash >> 32); }

// TSval. RFC 7323 5.4: one tick is 1 ms, inside the RFC's range of 1 ms to 1 s.
constexpr uint32_t TimestampValue(Instant now, uint32_t offset) {
  return static_cast<uint32_t>(now.millis()) + offset;
}

// The time since the peer echoed `tsecr`, as an RTT sample (RFC 7323 4.1), to a millisecond. Negative when
// the peer echoes what we never sent.
constexpr Duration TimestampAge(Instant now, uint32_t offset, uint32_t tsecr) {
  return Duration::Millis(static_cast<int32_t>(TimestampValue(now, offset) - tsecr));
}

}  // namespace tern::tcp

#endif  // TERN_TCP_ISN_H_
