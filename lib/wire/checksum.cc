#include "wire/checksum.h"

#include <cstring>

#define TERN_ALWAYS_INLINE inline __attribute__((always_inline))

namespace tern::wire {
namespace {

// The last n < 8 bytes. By pieces of fixed size: a memcpy of variable length becomes a slow string
// instruction here.
TERN_ALWAYS_INLINE void CopyTail(uint8_t* dst, const uint8_t* src, size_t n) {
  size_t at = 0;
  if ((n & 4) != 0) {
    StoreRaw(dst, LoadRaw<uint32_t>(src));
    at = 4;
  }
  if ((n & 2) != 0) {
    StoreRaw(dst + at, LoadRaw<uint16_t>(src + at));
    at += 2;
  }
  if ((n & 1) != 0) dst[at] = src[at];
}

// A vector register's worth of 64-bit lanes. The compiler's own vectoriser makes a mess of the loop below.
template <size_t kBytes>
struct Lanes {
  typedef uint64_t Type __attribute__((vector_size(kBytes)));
};
constexpr size_t kVectors = 4;  // per step: enough additions in flight to hide their latency

// Each half of each word goes to an accumulator of its own, so no addition ever carries out (spans are far
// below 2^32 words) and all is plain lane-wise work. One body for summing and for copying; inlined into each
// kernel, so that it is compiled for that kernel's instruction set.
template <bool kCopy, size_t kBytes>
TERN_ALWAYS_INLINE uint32_t SumLanes(uint8_t* dst, const uint8_t* src, size_t n) {
  using Vector = typename Lanes<kBytes>::Type;
  Vector low[kVectors] = {};
  Vector high[kVectors] = {};
  constexpr size_t kStep = kVectors * kBytes;
  for (; n >= kStep; n -= kStep, src += kStep) {
#pragma GCC unroll 4
    for (size_t i = 0; i < kVectors; ++i) {
      Vector words;
      std::memcpy(&words, src + i * kBytes, kBytes);
      if constexpr (kCopy) std::memcpy(dst + i * kBytes, &words, kBytes);
      low[i] += words & 0xffffffff;
      high[i] += words >> 32;
    }
    if constexpr (kCopy) dst += kStep;
  }
  const Vector total = (low[0] + low[1]) + (low[2] + low[3]) + (high[0] + high[1]) + (high[2] + high[3]);
  uint64_t sum = 0;
  for (size_t i = 0; i < kBytes / sizeof(uint64_t); ++i) sum += total[i];
  for (; n >= 8; n -= 8, src += 8) {
    const uint64_t word = LoadRaw<uint64_t>(src);
    sum += (word & 0xffffffff) + (word >> 32);
    if constexpr (kCopy) {
      StoreRaw(dst, word);
      dst += 8;
    }
  }
  const uint32_t folded = internal::FoldTo32(sum + internal::LoadTail(src, n));
  if constexpr (kCopy) CopyTail(dst, src, n);
  return folded;
}

uint32_t PortableSum(const uint8_t* data, size_t n) { return SumLanes<false, 16>(nullptr, data, n); }
uint32_t PortableCopyAndSum(uint8_t* dst, const uint8_t* src, size_t n) {
  return SumLanes<true, 32>(dst, src, n);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) uint32_t Avx2Sum(const uint8_t* data, size_t n) {
  return SumLanes<false, 32>(nullptr, data, n);
}
__attribute__((target("avx2"))) uint32_t Avx2CopyAndSum(uint8_t* dst, const uint8_t* src, size_t n) {
  return SumLanes<true, 32>(dst, src, n);
}
#endif

}  // namespace

const ChecksumKernel kPortableChecksum = {"portable", PortableSum, PortableCopyAndSum};
#if defined(__x86_64__)
const ChecksumKernel kAvx2Checksum = {"avx2", Avx2Sum, Avx2CopyAndSum};
#endif

namespace internal {
const ChecksumKernel* checksum_kernel = &kPortableChecksum;
}  // namespace internal

void UseChecksumKernel(const ChecksumKernel& kernel) { internal::checksum_kernel = &kernel; }

void InetSum::AddCopy(uint8_t* dst, std::span<const uint8_t> src) {
  Append(internal::checksum_kernel->copy_and_sum(dst, src.data(), src.size()), src.size());
}

}  // namespace tern::wire
