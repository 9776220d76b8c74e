// A small deterministic generator for jitter, simulation and tests. Not for secrets: its outputs give it
// away.
#ifndef TERN_BASE_PRNG_H_
#define TERN_BASE_PRNG_H_

#include <array>
#include <bit>
#include <cstdint>
#include <span>

#include "base/hash.h"

namespace tern {

// xoshiro256** (Blackman and Vigna). One seed gives one sequence, whatever the compiler or machine; std's
// distributions do not promise that, which is why the few needed are here.
class Prng {
 public:
  // Any seed is good, zero too: it is spread by SplitMix64, as the generator's authors advise.
  constexpr explicit Prng(uint64_t seed) noexcept {
    for (uint64_t& word : state_) word = MixBits(seed += 0x9e3779b97f4a7c15);
  }
  // REQUIRES: not all zero.
  constexpr explicit Prng(const std::array<uint64_t, 4>& state) noexcept : state_(state) {}

  constexpr uint64_t Next64() noexcept {
    const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }
  constexpr uint32_t Next32() noexcept { return static_cast<uint32_t>(Next64() >> 32); }

  // Uniform in [0, n), without the bias of a remainder: high bits that fall outside are drawn again. 0 gives
  // 0.
  constexpr uint64_t Below(uint64_t n) noexcept {
    if (n <= 1) return 0;
    const int shift = std::countl_zero(n - 1);
    uint64_t value = Next64() >> shift;
    while (value >= n) value = Next64() >> shift;
    return value;
  }
  // Uniform in [low, high], both included. REQUIRES: low <= high and not the whole of int64_t.
  constexpr int64_t Between(int64_t low, int64_t high) noexcept {
    const uint64_t span = static_cast<uint64_t>(high) - static_cast<uint64_t>(low) + 1;
    return static_cast<int64_t>(static_cast<uint64_t>(low) + Below(span));
  }
  // True with a chance of `ppm` in a million.
  constexpr bool Bernoulli(uint32_t ppm) noexcept { return Below(1'000'000) < ppm; }

  constexpr void Fill(std::span<uint8_t> out) noexcept {
    uint64_t word = 0;
    for (size_t i = 0; i < out.size(); ++i) {
      if (i % 8 == 0) word = Next64();
      out[i] = static_cast<uint8_t>(word >> (8 * (i % 8)));
    }
  }

  // A generator of its own for a part of a simulation, so that a draw more in one part does not shift the
  // others.
  constexpr Prng Fork() noexcept { return Prng(Next64()); }

 private:
  std::array<uint64_t, 4> state_{};
};

}  // namespace tern

#endif  // TERN_BASE_PRNG_H_
