// Frames that belong to no connection's stream: RST, SYN-ACK, ARP, neighbour discovery, ICMP.
#ifndef TERN_STACK_CONTROL_FRAME_H_
#define TERN_STACK_CONTROL_FRAME_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/buffer.h"
#include "base/slot_pool.h"

namespace tern::stack {

// RFC 1122 3.2.1.7: the initial TTL of all that we send; IPv6 calls it the hop limit.
inline constexpr uint8_t kTtl = 64;

// One such frame. The link header stands right before kNetworkAt and is written when the next hop is known.
struct ControlFrame {
  static constexpr size_t kNetworkAt = 18;  // Ethernet with a tag
  static constexpr size_t kSize = kNetworkAt + 40 + 60;

  uint32_t next = kNoSlot;
  uint16_t interface = 0;
  uint8_t link_length = 0;       // 0: not known yet
  uint8_t network_length = 0;    // of the IP header; 0 for ARP
  uint8_t transport_length = 0;  // of what follows it here
  bool ipv6 = false;
  Buffer* payload = nullptr;  // owned: the rest of the packet, released once sent
  std::array<uint8_t, kSize> bytes;

  uint8_t* network() { return bytes.data() + kNetworkAt; }
  uint8_t* transport() { return network() + network_length; }
  // REQUIRES: link_length is set.
  std::span<const uint8_t> header() const {
    return {bytes.data() + kNetworkAt - link_length,
            static_cast<size_t>(link_length + network_length + transport_length)};
  }
};

// All control frames of a shard. Bounded: when it is full no frame is made, and whoever needs one asks again.
using ControlPool = SlotPool<ControlFrame, 8>;
inline constexpr uint32_t kMaxControlFrames = 4'096;

}  // namespace tern::stack

#endif  // TERN_STACK_CONTROL_FRAME_H_
