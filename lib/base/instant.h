// Time as the pure rooms see it: integer nanoseconds that somebody else measured.
#ifndef TERN_BASE_INSTANT_H_
#define TERN_BASE_INSTANT_H_

#include <compare>
#include <cstdint>
#include <limits>

namespace tern {

// A span of time, signed, in nanoseconds.
class Duration {
 public:
  constexpr Duration() = default;
  static constexpr Duration Nanos(int64_t n) { return Duration(n); }
  static constexpr Duration Micros(int64_t n) { return Duration(n * 1'000); }
  static constexpr Duration Millis(int64_t n) { return Duration(n * 1'000'000); }
  static constexpr Duration Seconds(int64_t n) { return Duration(n * 1'000'000'000); }
  static constexpr Duration Zero() { return Duration(0); }

  constexpr int64_t nanos() const { return nanos_; }
  constexpr int64_t micros() const { return nanos_ / 1'000; }
  constexpr int64_t millis() const { return nanos_ / 1'000'000; }

  constexpr auto operator<=>(const Duration&) const = default;
  constexpr Duration operator+(Duration d) const { return Duration(nanos_ + d.nanos_); }
  constexpr Duration operator-(Duration d) const { return Duration(nanos_ - d.nanos_); }
  constexpr Duration operator*(int64_t n) const { return Duration(nanos_ * n); }
  constexpr Duration operator/(int64_t n) const { return Duration(nanos_ / n); }

 private:
  constexpr explicit Duration(int64_t nanos) : nanos_(nanos) {}
  int64_t nanos_ = 0;
};

// A point in time on a clock that never steps back. Zero is whenever the caller's clock began.
class Instant {
 public:
  constexpr Instant() = default;
  static constexpr Instant FromNanos(int64_t nanos) { return Instant(nanos); }
  // Later than every instant a clock can give; a deadline that is not set.
  static constexpr Instant Never() { return Instant(std::numeric_limits<int64_t>::max()); }

  constexpr int64_t nanos() const { return nanos_; }
  constexpr int64_t micros() const { return nanos_ / 1'000; }
  constexpr int64_t millis() const { return nanos_ / 1'000'000; }

  constexpr auto operator<=>(const Instant&) const = default;
  // Adding to Never, or past it, stays Never.
  constexpr Instant operator+(Duration d) const {
    if (d.nanos() > 0 && nanos_ > std::numeric_limits<int64_t>::max() - d.nanos()) return Never();
    if (*this == Never()) return Never();
    return Instant(nanos_ + d.nanos());
  }
  constexpr Instant operator-(Duration d) const { return Instant(nanos_ - d.nanos()); }
  constexpr Duration operator-(Instant other) const { return Duration::Nanos(nanos_ - other.nanos_); }

 private:
  constexpr explicit Instant(int64_t nanos) : nanos_(nanos) {}
  int64_t nanos_ = 0;
};

}  // namespace tern

#endif  // TERN_BASE_INSTANT_H_
