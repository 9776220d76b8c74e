// Which worker a frame belongs to: the same arithmetic as the NIC's receive-side scaling, for devices that
// cannot do it or do it differently, and for choosing source ports whose answers come home.
#ifndef TERN_STACK_STEERING_H_
#define TERN_STACK_STEERING_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/toeplitz.h"
#include "wire/endian.h"
#include "wire/ethernet.h"
#include "wire/flow_key.h"
#include "wire/icmpv6.h"
#include "wire/ip_protocol.h"
#include "wire/ipv6.h"

namespace tern::stack {

// Pure and immutable: workers may share one.
//
// The mapping: the Toeplitz hash of {source, destination, source port, destination port} of the frame as
// received; its low 7 bits name an entry of an indirection table of 128, and entry i belongs to worker i mod
// n. A device whose table has another size is given entries in the same order; with n a power of two the
// result is then the same.
class Steering {
 public:
  static constexpr uint32_t kTableMask = 127;
  // The worker whose shard configures IPv6 addresses for all; it gets what concerns that.
  static constexpr uint16_t kSpeaker = 0;

  Steering(std::span<const uint8_t> rss_key, uint16_t worker_count)
      : toeplitz_(rss_key), workers_(worker_count == 0 ? 1 : worker_count) {}

  uint16_t worker_count() const { return workers_; }
  uint16_t OwnerOfHash(uint32_t hash) const { return static_cast<uint16_t>((hash & kTableMask) % workers_); }

  // Who receives the segments of this flow; the key is as this end sees it.
  uint16_t OwnerOf(const wire::FlowKey& key) const { return OwnerOfHash(HashOf(key)); }
  uint32_t HashOf(const wire::FlowKey& key) const {
    if (key.remote.IsV4()) {
      const std::span<const uint8_t, 16> remote(key.remote.bytes());
      const std::span<const uint8_t, 16> local(key.local.bytes());
      return toeplitz_.HashTuple<4>(remote.last<4>(), local.last<4>(), key.remote_port, key.local_port);
    }
    return toeplitz_.HashTuple<16>(key.remote.bytes(), key.local.bytes(), key.remote_port, key.local_port);
  }

  // The worker that is to process a frame (from its destination address on; the bytes may be cut short at
  // 128). TCP goes to the owner of its tuple, an ICMP error to the owner of the tuple that it quotes,
  // fragments to the worker that their addresses alone choose, as RSS has it: all of a packet meet there, and
  // once whole it goes on to its owner. Everything else, and whatever does not parse, stays with `here`, who
  // counts it: ARP and neighbour discovery (what they teach is told to all), echo requests. What configures
  // IPv6 addresses goes to kSpeaker.
  uint16_t OwnerOfFrame(std::span<const uint8_t> frame, uint16_t here) const {
    if (workers_ == 1 || frame.size() < wire::kEthernetHeader) return here;
    size_t offset = wire::kEthernetHeader;
    uint16_t type = wire::LoadBe16(frame.data() + 12);
    if (type == wire::kEtherTypeVlan && frame.size() >= wire::kEthernetHeader + wire::kVlanTag) {
      type = wire::LoadBe16(frame.data() + 16);
      offset += wire::kVlanTag;
    }
    if (type == wire::kEtherTypeIpv4) return OwnerOfIpv4(frame.subspan(offset), here);
    if (type == wire::kEtherTypeIpv6) return OwnerOfIpv6(frame.subspan(offset), here);
    return here;
  }

 private:
  enum class Direction : uint8_t { kReceived, kQuoted };  // a quoted packet is one that we sent

  template <size_t N>
  uint16_t OwnerOfTuple(const uint8_t* addresses, const uint8_t* ports, Direction direction) const {
    const std::span<const uint8_t, N> source(addresses, N);
    const std::span<const uint8_t, N> destination(addresses + N, N);
    const uint16_t source_port = wire::LoadBe16(ports);
    const uint16_t destination_port = wire::LoadBe16(ports + 2);
    if (direction == Direction::kReceived) {
      return OwnerOfHash(toeplitz_.HashTuple<N>(source, destination, source_port, destination_port));
    }
    return OwnerOfHash(toeplitz_.HashTuple<N>(destination, source, destination_port, source_port));
  }

  // RSS for what has no ports, or not where it looks for them.
  template <size_t N>
  uint16_t OwnerOfAddresses(const uint8_t* addresses) const {
    const std::span<const uint8_t, N> source(addresses, N);
    const std::span<const uint8_t, N> destination(addresses + N, N);
    return OwnerOfHash(toeplitz_.HashAddresses<N>(source, destination));
  }

  uint16_t OwnerOfIpv4(std::span<const uint8_t> packet, uint16_t here,
                       Direction direction = Direction::kReceived) const {
    if (packet.size() < 20) return here;
    const size_t header = static_cast<size_t>(packet[0] & 0xf) * 4;
    if (packet[0] >> 4 != 4 || header < 20) return here;
    const bool fragment = (wire::LoadBe16(packet.data() + 6) & 0x3fff) != 0;
    if (fragment && direction == Direction::kReceived) return OwnerOfAddresses<4>(packet.data() + 12);
    if (packet.size() < header + 8 || fragment) return here;
    const uint8_t* l4 = packet.data() + header;
    if (packet[9] == wire::kProtocolTcp) return OwnerOfTuple<4>(packet.data() + 12, l4, direction);
    // Destination unreachable, time exceeded, parameter problem; source quench and redirect are ignored
    // anyway.
    const bool error = packet[9] == wire::kProtocolIcmp && (l4[0] == 3 || l4[0] == 11 || l4[0] == 12);
    if (!error || direction == Direction::kQuoted) return here;
    return OwnerOfIpv4(packet.subspan(header + 8), here, Direction::kQuoted);
  }

  uint16_t OwnerOfIpv6(std::span<const uint8_t> packet, uint16_t here,
                       Direction direction = Direction::kReceived) const {
    constexpr size_t kHeader = 40;
    if (packet.size() < kHeader + 8 || packet[0] >> 4 != 6) return here;
    const uint8_t* l4 = packet.data() + kHeader;
    // Extension headers are not followed here, nor by the NICs whose mapping this is: there may be a fragment
    // header behind any of them.
    if (wire::IsIpv6Extension(packet[6]) && direction == Direction::kReceived) {
      return OwnerOfAddresses<16>(packet.data() + 8);
    }
    if (packet[6] == wire::kProtocolTcp) return OwnerOfTuple<16>(packet.data() + 8, l4, direction);
    if (packet[6] == wire::kProtocolIcmpv6 && direction == Direction::kReceived &&
        ConcernsAutoconf(packet, l4[0])) {
      return kSpeaker;
    }
    // RFC 4443 2.1: types below 128 are errors.
    const bool error = packet[6] == wire::kProtocolIcmpv6 && l4[0] < 128;
    if (!error || direction == Direction::kQuoted) return here;
    return OwnerOfIpv6(packet.subspan(kHeader + 8), here, Direction::kQuoted);
  }

  // Router advertisements, and what may tell of duplicate addresses: questions from nowhere, and answers to
  // all (RFC 4862 5.4).
  static bool ConcernsAutoconf(std::span<const uint8_t> packet, uint8_t type) {
    constexpr size_t kSource = 8;
    constexpr size_t kDestination = 24;
    if (type == wire::kIcmpv6RouterAdvert) return true;
    if (type == wire::kIcmpv6NeighborSolicit) {
      return wire::IpAddress::LoadV6(packet.data() + kSource).IsUnspecified();
    }
    return type == wire::kIcmpv6NeighborAdvert && packet[kDestination] == 0xff;
  }

  Toeplitz toeplitz_;
  uint16_t workers_;
};

}  // namespace tern::stack

#endif  // TERN_STACK_STEERING_H_
