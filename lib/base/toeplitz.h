// The Toeplitz hash by which a NIC spreads flows over its queues (receive-side scaling).
#ifndef TERN_BASE_TOEPLITZ_H_
#define TERN_BASE_TOEPLITZ_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace tern {

// The definition, bit by bit: for each input bit that is set, the 32 key bits that begin at its position,
// XORed together. Key bits past the end of `key` count as zero. Slow; for tests and for building tables.
constexpr uint32_t ToeplitzHash(std::span<const uint8_t> key, std::span<const uint8_t> input) noexcept {
  const auto key_byte = [&](size_t i) { return i < key.size() ? uint64_t{key[i]} : 0; };
  uint32_t hash = 0;
  uint64_t window = key_byte(0) << 24 | key_byte(1) << 16 | key_byte(2) << 8 | key_byte(3);
  for (size_t i = 0; i < input.size(); ++i) {
    window = window << 8 | key_byte(i + 4);
    for (unsigned bit = 0; bit < 8; ++bit) {
      if ((input[i] >> (7 - bit) & 1) != 0) hash ^= static_cast<uint32_t>(window >> (8 - bit));
    }
  }
  return hash;
}

// The same function from a table for each half byte of input: 24 look-ups for IPv4 with ports, 72 for IPv6,
// out of 4.5 KiB (a table per byte would be 36 KiB, more than the first-level cache it would share with
// packets).
//
// Immutable once built, so threads may share one.
class Toeplitz {
 public:
  // Two IPv6 addresses and two ports.
  static constexpr size_t kMaxInput = 36;

  // A key of 40 bytes is what every input here needs; devices with longer keys (52 bytes) read no further for
  // these inputs. A shorter key is extended by zeros.
  constexpr explicit Toeplitz(std::span<const uint8_t> key) noexcept {
    std::array<uint8_t, kMaxInput> input{};
    for (size_t i = 0; i < kMaxInput; ++i) {
      // The hash is linear over XOR: a half byte's entry is the XOR of its bits' windows.
      for (unsigned value = 0; value < 16; ++value) {
        input[i] = static_cast<uint8_t>(value << 4);
        table_[2 * i][value] = ToeplitzHash(key, input);
        input[i] = static_cast<uint8_t>(value);
        table_[2 * i + 1][value] = ToeplitzHash(key, input);
      }
      input[i] = 0;
    }
  }

  // What `bytes` at `offset` of the input contribute: the hash of the whole is the XOR of its parts. A search
  // for a source port hashes the addresses once and then only ports. Bytes beyond kMaxInput contribute
  // nothing.
  constexpr uint32_t Term(size_t offset, std::span<const uint8_t> bytes) const noexcept {
    uint32_t hash = 0;
    const size_t end = offset >= kMaxInput ? 0 : std::min(bytes.size(), kMaxInput - offset);
    for (size_t i = 0; i < end; ++i) hash ^= ByteTerm(offset + i, bytes[i]);
    return hash;
  }
  constexpr uint32_t Hash(std::span<const uint8_t> input) const noexcept { return Term(0, input); }

  // The tuple of a received packet: addresses as on the wire, ports as numbers. Source comes first, as NICs
  // do it.
  template <size_t kAddressBytes>
  constexpr uint32_t HashTuple(std::span<const uint8_t, kAddressBytes> source,
                               std::span<const uint8_t, kAddressBytes> destination, uint16_t source_port,
                               uint16_t destination_port) const noexcept {
    static_assert(kAddressBytes == 4 || kAddressBytes == 16, "IPv4 or IPv6");
    return HashAddresses(source, destination) ^ PortTerm(2 * kAddressBytes, source_port) ^
           PortTerm(2 * kAddressBytes + 2, destination_port);
  }
  // Without ports: what NICs use for fragments and for protocols they do not parse.
  template <size_t kAddressBytes>
  constexpr uint32_t HashAddresses(std::span<const uint8_t, kAddressBytes> source,
                                   std::span<const uint8_t, kAddressBytes> destination) const noexcept {
    static_assert(kAddressBytes == 4 || kAddressBytes == 16, "IPv4 or IPv6");
    uint32_t hash = 0;
    for (size_t i = 0; i < kAddressBytes; ++i) {
      hash ^= ByteTerm(i, source[i]) ^ ByteTerm(kAddressBytes + i, destination[i]);
    }
    return hash;
  }
  // What a port contributes at `offset`; REQUIRES: offset + 2 <= kMaxInput.
  constexpr uint32_t PortTerm(size_t offset, uint16_t port) const noexcept {
    return ByteTerm(offset, static_cast<uint8_t>(port >> 8)) ^
           ByteTerm(offset + 1, static_cast<uint8_t>(port & 0xff));
  }

 private:
  constexpr uint32_t ByteTerm(size_t position, uint8_t byte) const noexcept {
    return table_[2 * position][byte >> 4] ^ table_[2 * position + 1][byte & 15];
  }

  std::array<std::array<uint32_t, 16>, 2 * kMaxInput> table_{};
};

}  // namespace tern

#endif  // TERN_BASE_TOEPLITZ_H_
