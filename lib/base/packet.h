// What crosses between a device and a shard: received frames in, frames to send out.
#ifndef TERN_BASE_PACKET_H_
#define TERN_BASE_PACKET_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/buffer.h"

namespace tern {

// What a device vouches for about one received frame. kUnknown asks the stack to compute the sum itself.
enum class ChecksumState : uint8_t { kUnknown, kGood, kBad };

// One received Ethernet frame. `buffer` holds the frame from its destination address on, without FCS; `next`
// may chain further pieces of the same frame. Ownership of the buffer travels with the value.
struct RxFrame {
  Buffer* buffer = nullptr;
  uint32_t rss_hash = 0;  // the device's Toeplitz hash; valid only when has_rss_hash
  uint16_t vlan_tci = 0;  // valid only when vlan_stripped
  bool has_rss_hash = false;
  bool vlan_stripped = false;
  // Made of fragments by a shard: the headers in `buffer` are of a packet as long as `buffer` alone, and what
  // hangs on `next` is more of its payload. No device sets it.
  bool reassembled = false;
  ChecksumState ip_checksum = ChecksumState::kUnknown;
  ChecksumState l4_checksum = ChecksumState::kUnknown;
};

// A piece of payload that a frame to send refers to. The bytes belong to `owner`, which the sender keeps; a
// device that does not copy them takes a reference of its own on `owner`, for as long as it likes.
struct TxSlice {
  const uint8_t* data = nullptr;
  uint32_t length = 0;
  Buffer* owner = nullptr;
};

// One frame to send: headers in scratch of its own, then payload slices. A device copies the headers, and the
// slices too when they are small, so that the value may be reused as soon as Transmit returns.
struct TxFrame {
  static constexpr size_t kMaxHeader =
      160;  // Ethernet 14 + VLAN 4 + IPv6 40 + TCP 60, and room for one extension
  static constexpr size_t kMaxSlices = 8;

  uint16_t header_length = 0;
  uint8_t slice_count = 0;
  // Checksum work left to the device or to its software twin. The fields below name where the headers lie.
  // When the stack leaves TCP's sum to the device it has already stored the pseudo-header sum.
  bool needs_ip_checksum = false;
  bool needs_tcp_checksum = false;
  bool is_ipv6 = false;
  uint8_t l2_length = 0;
  uint8_t l3_length = 0;
  uint8_t l4_length = 0;
  uint16_t tso_segment = 0;  // payload octets per segment when this frame is to be cut up; 0: as it is
  std::array<TxSlice, kMaxSlices> slices;
  alignas(8) std::array<uint8_t, kMaxHeader> header;

  uint32_t payload_length() const {
    uint32_t total = 0;
    for (size_t i = 0; i < slice_count; ++i) total += slices[i].length;
    return total;
  }
};

}  // namespace tern

#endif  // TERN_BASE_PACKET_H_
