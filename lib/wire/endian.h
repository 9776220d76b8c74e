// Big-endian loads and stores at any address.
#ifndef TERN_WIRE_ENDIAN_H_
#define TERN_WIRE_ENDIAN_H_

#include <bit>
#include <cstdint>
#include <cstring>

namespace tern::wire {

// memcpy is the portable unaligned access: both compilers turn each of these into one load or store and a
// swap. REQUIRES: the bytes touched are inside an object; nothing here checks.

constexpr uint16_t SwapBytes(uint16_t v) { return __builtin_bswap16(v); }
constexpr uint32_t SwapBytes(uint32_t v) { return __builtin_bswap32(v); }
constexpr uint64_t SwapBytes(uint64_t v) { return __builtin_bswap64(v); }

// Between the host's order and the network's; the two directions are one operation.
template <typename T>
constexpr T NetworkOrder(T v) {
  return std::endian::native == std::endian::little ? SwapBytes(v) : v;
}

template <typename T>
inline T LoadRaw(const void* p) {
  T v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}

template <typename T>
inline void StoreRaw(void* p, T v) {
  std::memcpy(p, &v, sizeof(v));
}

inline uint16_t LoadBe16(const void* p) { return NetworkOrder(LoadRaw<uint16_t>(p)); }
inline uint32_t LoadBe32(const void* p) { return NetworkOrder(LoadRaw<uint32_t>(p)); }
inline uint64_t LoadBe64(const void* p) { return NetworkOrder(LoadRaw<uint64_t>(p)); }

inline void StoreBe16(void* p, uint16_t v) { StoreRaw(p, NetworkOrder(v)); }
inline void StoreBe32(void* p, uint32_t v) { StoreRaw(p, NetworkOrder(v)); }
inline void StoreBe64(void* p, uint64_t v) { StoreRaw(p, NetworkOrder(v)); }

}  // namespace tern::wire

#endif  // TERN_WIRE_ENDIAN_H_
