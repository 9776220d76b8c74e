// The known stream that the servers send and check, and a running hash of any stream. Both are simple enough
// to write again in a few lines of another language; apps/demo_client.py does.
//
// The pattern. P = 131071 words of 8 bytes, 1,048,568 bytes in all, repeated for ever. Word k, little-endian,
// is Mix((k + 1) * 0x9e3779b97f4a7c15 mod 2^64), k in 0..P-1, where Mix is the finaliser of SplitMix64:
//     x ^= x >> 30; x *= 0xbf58476d1ce4e5b9; x ^= x >> 27; x *= 0x94d049bb133111eb; x ^= x >> 31   (mod 2^64)
// P is prime, so that no power of two (a window, a buffer, a page) is a multiple of the period. A stream may
// start at any word, its phase. Mix is one to one, so the first 8 bytes of a stream tell its phase: a
// receiver can check streams that differ from one another without being told how, and bytes that strayed from
// one connection into another show. (k + 1, because Mix(0) is 0 and a stream of zeros shall not pass for a
// pattern.)
//
// The hash. H of a stream is the integer whose base-256 digits are 1 and then the stream's bytes, the first
// byte most significant, modulo the prime 2^64 - 59. Appending: H' = (H * 256^n + bytes as a big-endian
// integer) mod p. It depends on every byte, its position and the length; it finds accidents, it is no defence
// against an enemy.
#ifndef TERN_APPS_PATTERN_H_
#define TERN_APPS_PATTERN_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace tern::apps {

inline constexpr uint64_t kPatternWords = 131'071;
inline constexpr uint64_t kPatternBytes = kPatternWords * 8;

// The word at index k mod P.
uint64_t PatternWord(uint64_t k);

// Writes the bytes of the pattern from byte `position` of a stream whose first word is `phase`.
void FillPattern(uint64_t phase, uint64_t position, std::span<uint8_t> out);

// Where `bytes` first differ from that stream at `position`; bytes.size() when they do not.
size_t ComparePattern(uint64_t phase, uint64_t position, std::span<const uint8_t> bytes);

// The phase of a stream that starts with these 8 bytes, if it is a pattern's.
std::optional<uint64_t> PatternPhase(std::span<const uint8_t, 8> first);

// Checks a stream as it comes, in pieces of any size. A stream whose first 8 bytes are not of the pattern is
// unknown and is only counted.
class PatternChecker {
 public:
  enum class Verdict : uint8_t {
    kUnknown,   // shorter than 8 bytes so far, or not of the pattern
    kMatches,   // every byte so far
    kMismatch,  // began as the pattern and left it
  };

  // With an expected phase there is no unknown stream: every byte counts from the first.
  PatternChecker() = default;
  explicit PatternChecker(uint64_t phase) : phase_(phase), verdict_(Verdict::kMatches) {}

  void Add(std::span<const uint8_t> bytes);

  Verdict verdict() const { return verdict_; }
  uint64_t octets() const { return octets_; }
  // Position of the first wrong byte. Meaningful for kMismatch.
  uint64_t first_mismatch() const { return first_mismatch_; }

 private:
  void Learn(std::span<const uint8_t> bytes);

  uint64_t phase_ = 0;
  uint64_t octets_ = 0;
  uint64_t first_mismatch_ = 0;
  uint8_t first_[8] = {};
  bool given_up_ = false;
  Verdict verdict_ = Verdict::kUnknown;
};

class StreamHash {
 public:
  void Add(std::span<const uint8_t> bytes);
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 1;
};

}  // namespace tern::apps

#endif  // TERN_APPS_PATTERN_H_
