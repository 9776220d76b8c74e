// What names a connection on the wire.
#ifndef TERN_WIRE_FLOW_KEY_H_
#define TERN_WIRE_FLOW_KEY_H_

#include <array>
#include <bit>
#include <cstdint>
#include <type_traits>

#include "wire/ip_address.h"

namespace tern::wire {

// The tuple as this end sees it. 36 bytes of identity and 4 of padding, which is a named member so that it is
// always zero: the key has no indeterminate byte, may be hashed as raw memory, and equality is five word
// compares.
struct FlowKey {
  IpAddress local;
  IpAddress remote;
  uint16_t local_port = 0;
  uint16_t remote_port = 0;
  uint32_t zero = 0;  // never set

  // The same connection as the other end sees it.
  constexpr FlowKey Reversed() const { return {remote, local, remote_port, local_port, 0}; }

  constexpr bool operator==(const FlowKey& other) const {
    const auto a = Words();
    const auto b = other.Words();
    // Differences are collected, not branched on: in a hash table nearly every comparison is of equal keys.
    return ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) | (a[4] ^ b[4])) == 0;
  }

  // The key's memory as five words in host layout, for hashing.
  constexpr std::array<uint64_t, 5> Words() const { return std::bit_cast<std::array<uint64_t, 5>>(*this); }
};

static_assert(sizeof(FlowKey) == 40 && alignof(FlowKey) == 8);
static_assert(std::has_unique_object_representations_v<FlowKey> && std::is_trivially_copyable_v<FlowKey>);

}  // namespace tern::wire

#endif  // TERN_WIRE_FLOW_KEY_H_
