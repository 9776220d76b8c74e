// Keyed hashing: SipHash (Aumasson and Bernstein, 2012), and a plain mixer for keys nobody can aim.
#ifndef TERN_BASE_HASH_H_
#define TERN_BASE_HASH_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace tern {

// A 128-bit secret. Whoever builds a shard draws it from a good source; the pure rooms have none.
struct HashKey {
  uint64_t k0 = 0;
  uint64_t k1 = 0;

  constexpr bool operator==(const HashKey&) const = default;
};

namespace hash_internal {

// Written as shifts so that it is constexpr and the same on any byte order; compilers make it one load.
constexpr uint64_t LoadLittle64(const uint8_t* p) noexcept {
  uint64_t word = 0;
  for (unsigned i = 0; i < 8; ++i) word |= static_cast<uint64_t>(p[i]) << (8 * i);
  return word;
}

// SipHash with C compression rounds a word and D finalisation rounds.
template <unsigned C, unsigned D>
class Sip {
 public:
  constexpr explicit Sip(const HashKey& key) noexcept
      : v0_(key.k0 ^ 0x736f6d6570736575),
        v1_(key.k1 ^ 0x646f72616e646f6d),
        v2_(key.k0 ^ 0x6c7967656e657261),
        v3_(key.k1 ^ 0x7465646279746573) {}

  constexpr void Absorb(uint64_t word) noexcept {
    v3_ ^= word;
    for (unsigned i = 0; i < C; ++i) Round();
    v0_ ^= word;
  }
  // `tail` holds the last (length mod 8) bytes, little-endian.
  constexpr uint64_t Finish(uint64_t tail, size_t length) noexcept {
    Absorb(tail | static_cast<uint64_t>(length) << 56);
    v2_ ^= 0xff;
    for (unsigned i = 0; i < D; ++i) Round();
    return v0_ ^ v1_ ^ v2_ ^ v3_;
  }

 private:
  constexpr void Round() noexcept {
    v0_ += v1_;
    v2_ += v3_;
    v1_ = std::rotl(v1_, 13) ^ v0_;
    v3_ = std::rotl(v3_, 16) ^ v2_;
    v0_ = std::rotl(v0_, 32);
    v2_ += v1_;
    v0_ += v3_;
    v1_ = std::rotl(v1_, 17) ^ v2_;
    v3_ = std::rotl(v3_, 21) ^ v0_;
    v2_ = std::rotl(v2_, 32);
  }

  uint64_t v0_, v1_, v2_, v3_;
};

template <unsigned C, unsigned D>
constexpr uint64_t SipBytes(const HashKey& key, std::span<const uint8_t> bytes) noexcept {
  Sip<C, D> sip(key);
  const size_t whole = bytes.size() & ~size_t{7};
  for (size_t i = 0; i < whole; i += 8) sip.Absorb(LoadLittle64(bytes.data() + i));
  uint64_t tail = 0;
  for (size_t i = whole; i < bytes.size(); ++i) tail |= static_cast<uint64_t>(bytes[i]) << (8 * (i - whole));
  return sip.Finish(tail, bytes.size());
}

template <unsigned C, unsigned D, size_t N>
constexpr uint64_t SipWords(const HashKey& key, const std::array<uint64_t, N>& words) noexcept {
  Sip<C, D> sip(key);
  for (const uint64_t word : words) sip.Absorb(word);
  return sip.Finish(0, 8 * N);
}

}  // namespace hash_internal

// Reads 16 bytes as a key, little-endian as the SipHash paper has it.
constexpr HashKey HashKeyFromBytes(std::span<const uint8_t, 16> bytes) noexcept {
  return {hash_internal::LoadLittle64(bytes.data()), hash_internal::LoadLittle64(bytes.data() + 8)};
}

// For secrets that a peer sees a function of: initial sequence numbers, SYN cookies, ephemeral ports.
constexpr uint64_t SipHash24(const HashKey& key, std::span<const uint8_t> bytes) noexcept {
  return hash_internal::SipBytes<2, 4>(key, bytes);
}
constexpr uint64_t SipHash24(const HashKey& key, uint64_t a, uint64_t b) noexcept {
  return hash_internal::SipWords<2, 4, 2>(key, {a, b});
}
constexpr uint64_t SipHash24(const HashKey& key, const std::array<uint64_t, 5>& words) noexcept {
  return hash_internal::SipWords<2, 4>(key, words);
}
constexpr uint64_t SipHash24(const HashKey& key, const std::array<uint64_t, 6>& words) noexcept {
  return hash_internal::SipWords<2, 4>(key, words);
}

// For table indices, whose values a peer never sees: fewer rounds. Five words hold a flow (two IPv6
// addresses, two ports); words hash as their little-endian bytes would.
constexpr uint64_t SipHash13(const HashKey& key, std::span<const uint8_t> bytes) noexcept {
  return hash_internal::SipBytes<1, 3>(key, bytes);
}
constexpr uint64_t SipHash13(const HashKey& key, uint64_t a, uint64_t b) noexcept {
  return hash_internal::SipWords<1, 3, 2>(key, {a, b});
}
// Of twelve bytes: an IPv4 flow. One round less than two words take.
constexpr uint64_t SipHash13Of12(const HashKey& key, uint64_t word, uint32_t tail) noexcept {
  hash_internal::Sip<1, 3> sip(key);
  sip.Absorb(word);
  return sip.Finish(tail, 12);
}
constexpr uint64_t SipHash13(const HashKey& key, const std::array<uint64_t, 5>& words) noexcept {
  return hash_internal::SipWords<1, 3>(key, words);
}

// Spreads an integer over 64 bits, one to one (the finaliser of SplitMix64). No key: only for values that no
// peer chooses.
constexpr uint64_t MixBits(uint64_t x) noexcept {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace tern

#endif  // TERN_BASE_HASH_H_
