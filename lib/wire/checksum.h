// The Internet checksum (RFC 1071), in one pass or in pieces, and its incremental update (RFC 1624).
#ifndef TERN_WIRE_CHECKSUM_H_
#define TERN_WIRE_CHECKSUM_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "wire/endian.h"
#include "wire/ip_address.h"

namespace tern::wire {

// How long spans are summed; short ones are summed inline. Every kernel gives equal results up to the choice
// between the two zeros of ones' complement, which InetSum::Checksum hides, so the choice is speed alone.
// Sums are in memory order: 16-bit words as the host loads them. `dst` and `src` are equal or do not overlap.
struct ChecksumKernel {
  const char* name;
  uint32_t (*sum)(const uint8_t* data, size_t n);
  uint32_t (*copy_and_sum)(uint8_t* dst, const uint8_t* src, size_t n);
};
// Runs everywhere: what the compiler makes of plain C++ at the build's CPU level. The default.
extern const ChecksumKernel kPortableChecksum;
#if defined(__x86_64__)
// REQUIRES: the processor has AVX2. The caller finds out: this room asks nothing of the machine.
extern const ChecksumKernel kAvx2Checksum;
#endif
// Chooses for the whole process. Call before the first worker starts, or not at all.
void UseChecksumKernel(const ChecksumKernel& kernel);

namespace internal {

extern const ChecksumKernel* checksum_kernel;

// Headers and small payloads: not worth an indirect call. Up to here the carry flag adds as fast as vectors
// do.
inline constexpr size_t kInlineSumLimit = 256;

// The upper half of a number added to itself with its halves swapped is their end-around sum.
constexpr uint32_t FoldTo32(uint64_t sum) { return static_cast<uint32_t>((sum + std::rotl(sum, 32)) >> 32); }
constexpr uint16_t FoldTo16(uint64_t sum) {
  const uint32_t s = FoldTo32(sum);
  return static_cast<uint16_t>((s + std::rotl(s, 16)) >> 16);
}

// The last n < 8 bytes, an odd one counting as if a zero followed it.
inline uint64_t LoadTail(const uint8_t* p, size_t n) {
  uint64_t word = 0;
  if ((n & 4) != 0) {
    word = LoadRaw<uint32_t>(p);
    p += 4;
  }
  if ((n & 2) != 0) {
    word += LoadRaw<uint16_t>(p);
    p += 2;
  }
  if ((n & 1) != 0) word += NetworkOrder(static_cast<uint16_t>(*p << 8));
  return word;
}

// Ones' complement addition of 64 bits, which folds to the same 16 as adding piece by piece (RFC 1071 2(C)).
constexpr uint64_t AddCarry(uint64_t a, uint64_t b) {
  a += b;
  return a + (a < b ? 1 : 0);
}

// Adds 32 bytes. GCC takes two instructions and a register for what the carry flag does in one; clang finds
// it.
inline uint64_t AddBlock(uint64_t sum, const uint8_t* p) {
#if defined(__x86_64__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
  struct Block {
    uint8_t bytes[32];
  };
  const auto& block = *reinterpret_cast<const Block*>(p);
  asm("addq 0(%[p]), %[sum]\n\t"
      "adcq 8(%[p]), %[sum]\n\t"
      "adcq 16(%[p]), %[sum]\n\t"
      "adcq 24(%[p]), %[sum]\n\t"
      "adcq $0, %[sum]"
      : [sum] "+r"(sum)
      : [p] "r"(p), "m"(block)
      : "cc");
  return sum;
#else
  sum = AddCarry(sum, LoadRaw<uint64_t>(p));
  sum = AddCarry(sum, LoadRaw<uint64_t>(p + 8));
  sum = AddCarry(sum, LoadRaw<uint64_t>(p + 16));
  return AddCarry(sum, LoadRaw<uint64_t>(p + 24));
#endif
}

// Adds to a sum in progress, at an even offset.
inline uint64_t AddShort(uint64_t sum, const uint8_t* p, size_t n) {
  for (; n >= 32; n -= 32, p += 32) sum = AddBlock(sum, p);
  for (; n >= 8; n -= 8, p += 8) sum = AddCarry(sum, LoadRaw<uint64_t>(p));
  return n == 0 ? sum : AddCarry(sum, LoadTail(p, n));
}

inline uint32_t SumShort(const uint8_t* p, size_t n) { return FoldTo32(AddShort(0, p, n)); }

inline uint32_t SumBytes(const uint8_t* p, size_t n) {
  return n <= kInlineSumLimit ? SumShort(p, n) : checksum_kernel->sum(p, n);
}

// As AddShort, for spans of any length.
inline uint64_t AddBytes(uint64_t sum, const uint8_t* p, size_t n) {
  return n <= kInlineSumLimit ? AddShort(sum, p, n) : AddCarry(sum, checksum_kernel->sum(p, n));
}

}  // namespace internal

// A ones' complement sum in progress over a sequence of bytes. A value: sums of parts may be kept and
// combined.
class InetSum {
 public:
  constexpr InetSum() = default;

  // Appends bytes to what has been summed so far, at an odd offset too.
  void Add(std::span<const uint8_t> bytes) {
    Append(internal::SumBytes(bytes.data(), bytes.size()), bytes.size());
  }
  // Appends what `later` summed, as if its bytes had been added here one by one.
  void Add(const InetSum& later) { Append(later.sum_, later.odd_ ? 1 : 0); }
  // Appends the copied bytes. `dst` equals src.data() or does not overlap it. REQUIRES: room for src.size()
  // at dst.
  void AddCopy(uint8_t* dst, std::span<const uint8_t> src);
  // Adds a field's value as if it stood at an even offset, which is where every field of 16 or 32 bits
  // stands.
  constexpr void AddField16(uint16_t host_value) { sum_ += NetworkOrder(host_value); }
  constexpr void AddField32(uint32_t host_value) { sum_ += NetworkOrder(host_value); }
  void AddAddress(const IpAddress& ip) { sum_ += internal::SumShort(ip.bytes().data(), IpAddress::kSize); }

  // The checksum field's value, for StoreBe16.
  constexpr uint16_t Checksum() const { return static_cast<uint16_t>(~Folded()); }
  // The sum itself, not complemented, for StoreBe16: what a device that finishes the sum wants to find in the
  // field.
  constexpr uint16_t Folded() const { return NetworkOrder(internal::FoldTo16(sum_)); }
  // Whether bytes that include their checksum are intact. Only a sum of nothing but zeros has the other zero,
  // and that is no valid header.
  constexpr bool IsValid() const { return internal::FoldTo16(sum_) == 0xffff; }

 private:
  constexpr void Append(uint64_t sum, size_t size) {
    // At an odd offset the two bytes of each word change places (RFC 1071 2(B)).
    const uint32_t folded = internal::FoldTo32(sum);
    sum_ += odd_ ? SwapBytes(internal::FoldTo16(folded)) : folded;
    odd_ ^= (size & 1) != 0;
  }

  uint64_t sum_ = 0;  // of 32-bit pieces: four thousand million of them fit
  bool odd_ = false;
};

// The sum of `bytes`, starting at an even offset.
inline InetSum SumOf(std::span<const uint8_t> bytes) {
  InetSum sum;
  sum.Add(bytes);
  return sum;
}
// Copies and sums in one pass over memory.
inline InetSum CopyAndSum(uint8_t* dst, std::span<const uint8_t> src) {
  InetSum sum;
  sum.AddCopy(dst, src);
  return sum;
}
inline uint16_t InternetChecksum(std::span<const uint8_t> bytes) { return SumOf(bytes).Checksum(); }

// The pseudo-header of RFC 9293 3.1 or RFC 8200 8.1. One formula serves both families: the two layouts hold
// the same numbers, and the ::ffff of a mapped IPv4 address adds 0xffff, which in ones' complement is
// nothing.
inline InetSum PseudoHeaderSum(const IpAddress& src, const IpAddress& dst, uint8_t protocol,
                               uint32_t length) {
  InetSum sum;
  sum.AddAddress(src);
  sum.AddAddress(dst);
  sum.AddField32(length);
  sum.AddField16(protocol);
  return sum;
}

// Whether the transport checksum (TCP, UDP, ICMPv6) in `segment` is right.
inline bool TransportChecksumValid(const IpAddress& src, const IpAddress& dst, uint8_t protocol,
                                   std::span<const uint8_t> segment) {
  InetSum sum = PseudoHeaderSum(src, dst, protocol, static_cast<uint32_t>(segment.size()));
  sum.Add(segment);
  return sum.IsValid();
}
// The value for the checksum field of `segment`. REQUIRES: the field holds zero.
inline uint16_t TransportChecksum(const IpAddress& src, const IpAddress& dst, uint8_t protocol,
                                  std::span<const uint8_t> segment) {
  InetSum sum = PseudoHeaderSum(src, dst, protocol, static_cast<uint32_t>(segment.size()));
  sum.Add(segment);
  return sum.Checksum();
}

// The checksum after a field at an even offset changed. RFC 1624 3, equation 3: HC' = ~(~HC + ~m + m').
// All values in host order.
constexpr uint16_t UpdateChecksum16(uint16_t checksum, uint16_t old_value, uint16_t new_value) {
  const uint32_t sum =
      static_cast<uint32_t>(static_cast<uint16_t>(~checksum)) + static_cast<uint16_t>(~old_value) + new_value;
  return static_cast<uint16_t>(~internal::FoldTo16(sum));
}
constexpr uint16_t UpdateChecksum32(uint16_t checksum, uint32_t old_value, uint32_t new_value) {
  const uint64_t sum =
      static_cast<uint64_t>(static_cast<uint16_t>(~checksum)) + static_cast<uint32_t>(~old_value) + new_value;
  return static_cast<uint16_t>(~internal::FoldTo16(sum));
}

}  // namespace tern::wire

#endif  // TERN_WIRE_CHECKSUM_H_
