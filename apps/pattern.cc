#include "apps/pattern.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace tern::apps {
namespace {

constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;

constexpr uint64_t Mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

constexpr uint64_t WordAt(uint64_t k) { return Mix((k + 1) * kGolden); }

// Of an odd number modulo 2^64, by Newton: each step doubles the bits that are right.
constexpr uint64_t Inverse(uint64_t odd) {
  uint64_t x = odd;
  for (int i = 0; i < 6; ++i) x *= 2 - odd * x;
  return x;
}

constexpr uint64_t UnshiftXor(uint64_t x, unsigned shift) {
  for (unsigned s = shift; s < 64; s *= 2) x ^= x >> s;
  return x;
}

constexpr uint64_t Unmix(uint64_t x) {
  x = UnshiftXor(x, 31) * Inverse(0x94d049bb133111eb);
  x = UnshiftXor(x, 27) * Inverse(0xbf58476d1ce4e5b9);
  return UnshiftXor(x, 30);
}
static_assert(Unmix(Mix(0x0123456789abcdef)) == 0x0123456789abcdef);

constexpr uint64_t LittleEndian(uint64_t x) {
  return std::endian::native == std::endian::little ? x : __builtin_bswap64(x);
}
constexpr uint64_t BigEndian(uint64_t x) {
  return std::endian::native == std::endian::big ? x : __builtin_bswap64(x);
}

// Calls visit(offset, word as bytes, first byte wanted, how many) over `size` bytes from `position` on, until
// it says false. Words that are wanted whole come with 0 and 8.
template <typename F>
void ForEachWord(uint64_t phase, uint64_t position, size_t size, F&& visit) {
  uint64_t k = (phase % kPatternWords + position / 8 % kPatternWords) % kPatternWords;
  size_t skip = position % 8;
  for (size_t offset = 0; offset < size;) {
    const size_t length = std::min(size_t{8} - skip, size - offset);
    if (!visit(offset, LittleEndian(WordAt(k)), skip, length)) return;
    offset += length;
    skip = 0;
    k = k + 1 == kPatternWords ? 0 : k + 1;
  }
}

}  // namespace

uint64_t PatternWord(uint64_t k) { return WordAt(k % kPatternWords); }

void FillPattern(uint64_t phase, uint64_t position, std::span<uint8_t> out) {
  ForEachWord(phase, position, out.size(), [&](size_t offset, uint64_t word, size_t skip, size_t length) {
    if (length == 8) {
      std::memcpy(out.data() + offset, &word, 8);
    } else {
      std::memcpy(out.data() + offset, reinterpret_cast<const uint8_t*>(&word) + skip, length);
    }
    return true;
  });
}

size_t ComparePattern(uint64_t phase, uint64_t position, std::span<const uint8_t> bytes) {
  size_t equal = bytes.size();
  ForEachWord(phase, position, bytes.size(), [&](size_t offset, uint64_t word, size_t skip, size_t length) {
    if (length == 8) {
      uint64_t seen;
      std::memcpy(&seen, bytes.data() + offset, 8);
      if (seen == word) return true;
    }
    const auto* expected = reinterpret_cast<const uint8_t*>(&word) + skip;
    for (size_t i = 0; i < length; ++i) {
      if (bytes[offset + i] != expected[i]) {
        equal = offset + i;
        return false;
      }
    }
    return true;
  });
  return equal;
}

std::optional<uint64_t> PatternPhase(std::span<const uint8_t, 8> first) {
  uint64_t word;
  std::memcpy(&word, first.data(), 8);
  const uint64_t k = Unmix(LittleEndian(word)) * Inverse(kGolden) - 1;
  if (k >= kPatternWords) return std::nullopt;
  return k;
}

void PatternChecker::Add(std::span<const uint8_t> bytes) {
  if (verdict_ == Verdict::kUnknown && !given_up_) {
    const size_t taken = std::min<size_t>(bytes.size(), octets_ < 8 ? 8 - octets_ : 0);
    Learn(bytes.first(taken));
    bytes = bytes.subspan(taken);
  }
  if (verdict_ == Verdict::kMatches) {
    const size_t equal = ComparePattern(phase_, octets_, bytes);
    if (equal != bytes.size()) {
      verdict_ = Verdict::kMismatch;
      first_mismatch_ = octets_ + equal;
    }
  }
  octets_ += bytes.size();
}

void PatternChecker::Learn(std::span<const uint8_t> bytes) {
  if (!bytes.empty()) std::memcpy(first_ + octets_, bytes.data(), bytes.size());
  octets_ += bytes.size();
  if (octets_ < 8) return;
  if (const auto phase = PatternPhase(first_)) {
    phase_ = *phase;
    verdict_ = Verdict::kMatches;
  } else {
    given_up_ = true;
  }
}

namespace {

// 2^64 is 59 modulo p = 2^64 - 59, so that folding the high half down is one small multiplication.
constexpr uint64_t kFold = 59;
constexpr uint64_t kPrime = 0 - kFold;

__extension__ using Wide = unsigned __int128;

constexpr uint64_t Reduce(Wide x) {
  x = static_cast<uint64_t>(x) + static_cast<Wide>(static_cast<uint64_t>(x >> 64)) * kFold;
  x = static_cast<uint64_t>(x) + static_cast<Wide>(static_cast<uint64_t>(x >> 64)) * kFold;
  const auto low = static_cast<uint64_t>(x);
  const uint64_t folded = x >> 64 != 0 ? low + kFold : low;
  return folded >= kPrime ? folded - kPrime : folded;
}

constexpr uint64_t Power(unsigned n) { return n == 0 ? 1 : kFold * Power(n - 1); }

uint64_t LoadBig(const uint8_t* p) {
  uint64_t word;
  std::memcpy(&word, p, 8);
  return BigEndian(word);
}

}  // namespace

void StreamHash::Add(std::span<const uint8_t> bytes) {
  const uint8_t* p = bytes.data();
  size_t left = bytes.size();
  // Eight words share one reduction: 59^8 has 48 bits, so the products and their sum stay below 2^113, and
  // they do not wait for one another.
  for (; left >= 64; p += 64, left -= 64) {
    Wide sum = static_cast<Wide>(value_) * Power(8);
    for (unsigned i = 0; i < 8; ++i) sum += static_cast<Wide>(LoadBig(p + 8 * i)) * Power(7 - i);
    value_ = Reduce(sum);
  }
  for (; left >= 8; p += 8, left -= 8) value_ = Reduce(static_cast<Wide>(value_) * kFold + LoadBig(p));
  for (; left > 0; ++p, --left) value_ = Reduce(static_cast<Wide>(value_) * 256 + *p);
}

}  // namespace tern::apps
