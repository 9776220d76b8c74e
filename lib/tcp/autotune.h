// Buffers that follow the path: from the configured size up to a bound, and no farther than is used.
#ifndef TERN_TCP_AUTOTUNE_H_
#define TERN_TCP_AUTOTUNE_H_

#include <algorithm>
#include <cstdint>

#include "base/instant.h"
#include "base/seq_num.h"

namespace tern::tcp {

// Dynamic right-sizing (Fisk and Feng, 2001): what the application took in a round trip is what the sender's
// window let through in one, so room for twice of it lets a sender in slow start double, and stops growing
// when the path or the reader is the limit. Never shrinks (RFC 9293 SHLD-14). Twelve bytes of cold state;
// zero is a tuner that has not begun.
//
// The round trip is the smoothed one of our own samples. An end that only receives knows the handshake's,
// without the queues that its own stream builds up: the window then covers the path, and is not made to fill
// the queues.
class ReceiveTuner {
 public:
  // Beyond twice of what was used: as much as a new sender's first windows.
  static constexpr uint32_t kSlackSegments = 16;

  // The application has read up to `taken`. Returns the octets to offer from now on, at least `limit` and,
  // unless that is more, at most `most`. `srtt` zero: no sample yet, nothing grows.
  uint32_t OnRead(SeqNum taken, Instant now, Duration srtt, uint32_t mss, uint32_t limit, uint32_t most) {
    if (srtt <= Duration::Zero()) return limit;
    const Duration round = now - since_;
    if (since_ != Instant() && round < srtt) return limit;
    const uint32_t octets = since_ == Instant() ? 0 : mark_.DistanceTo(taken);
    mark_ = taken;
    since_ = now;
    // A reader that comes seldom has collected several round trips' octets.
    const uint64_t in_one =
        octets * static_cast<uint64_t>(srtt.micros() + 1) / static_cast<uint64_t>(round.micros() + 1);
    const uint64_t wanted = 2 * in_one + uint64_t{kSlackSegments} * mss;
    return static_cast<uint32_t>(std::max<uint64_t>(limit, std::min<uint64_t>(wanted, most)));
  }

 private:
  SeqNum mark_;
  Instant since_;
};

// Octets that the send buffer takes: what is in flight and as much again behind it, so that an ACK always
// finds something to send. It follows cwnd in both directions; what was taken stays.
constexpr uint32_t SendBufferFor(uint32_t cwnd, uint32_t least, uint32_t most) {
  return std::max(least, static_cast<uint32_t>(std::min<uint64_t>(uint64_t{2} * cwnd, most)));
}

}  // namespace tern::tcp

#endif  // TERN_TCP_AUTOTUNE_H_
