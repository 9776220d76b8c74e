// Sequence numbers of TCP: a point on a circle of 2^32 (RFC 9293 3.4).
#ifndef TERN_BASE_SEQ_NUM_H_
#define TERN_BASE_SEQ_NUM_H_

#include <cstdint>

namespace tern {

// A sequence number. The relations below are total: any two values may be compared and nothing asserts. They
// mean what an RFC means by "<" only for values less than 2^31 apart, which is why there is no operator<
// here.
class SeqNum {
 public:
  constexpr SeqNum() = default;
  constexpr explicit SeqNum(uint32_t value) : value_(value) {}

  constexpr uint32_t value() const { return value_; }

  constexpr bool Before(SeqNum other) const { return static_cast<int32_t>(value_ - other.value_) < 0; }
  constexpr bool AtOrBefore(SeqNum other) const { return !other.Before(*this); }
  constexpr bool After(SeqNum other) const { return other.Before(*this); }
  constexpr bool AtOrAfter(SeqNum other) const { return !Before(other); }

  // Octets from here forward to `later`, modulo 2^32.
  constexpr uint32_t DistanceTo(SeqNum later) const { return later.value_ - value_; }

  // start <= *this < start + size. False for an empty window.
  constexpr bool InWindow(SeqNum start, uint32_t size) const { return value_ - start.value_ < size; }

  constexpr bool operator==(const SeqNum&) const = default;
  constexpr SeqNum operator+(uint32_t octets) const { return SeqNum(value_ + octets); }
  constexpr SeqNum operator-(uint32_t octets) const { return SeqNum(value_ - octets); }
  constexpr SeqNum& operator+=(uint32_t octets) {
    value_ += octets;
    return *this;
  }

 private:
  uint32_t value_ = 0;
};

constexpr SeqNum Later(SeqNum a, SeqNum b) { return a.Before(b) ? b : a; }
constexpr SeqNum Earlier(SeqNum a, SeqNum b) { return a.Before(b) ? a : b; }

}  // namespace tern

#endif  // TERN_BASE_SEQ_NUM_H_
