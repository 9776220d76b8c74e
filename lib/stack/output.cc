// Frames out: control frames first, then connections in turn.
#include <algorithm>
#include <cstring>

#include "stack/shard_impl.h"
#include "wire/checksum.h"
#include "wire/tcp.h"

namespace tern::stack {
namespace {

// Headers are summed from the values that are stored: reading back what was just written in other pieces
// would wait for the store buffer.

// Returns the sum of the addresses, for the pseudo-header.
uint64_t WriteNetwork4(const wire::FlowKey& key, uint32_t length, uint8_t traffic_class, uint8_t ttl,
                       uint8_t* out) {
  const auto total = static_cast<uint16_t>(wire::kIpv4MinHeader + length);
  // RFC 6864 4.1: an atomic datagram (DF set, no fragment) needs no identification.
  const uint64_t first = wire::NetworkOrder(uint64_t{0x4500} << 48 | uint64_t{traffic_class} << 48 |
                                            uint64_t{total} << 32 | 0x4000);
  const uint32_t second = wire::NetworkOrder(uint32_t{ttl} << 24 | uint32_t{wire::kProtocolTcp} << 16);
  const uint64_t addresses = uint64_t{key.local.raw_v4()} + key.remote.raw_v4();
  const uint64_t sum = wire::internal::AddCarry(first, addresses + second);
  wire::StoreRaw(out, first);
  wire::StoreRaw(out + 8, second);
  wire::StoreRaw(out + wire::kIpv4ChecksumOffset, static_cast<uint16_t>(~wire::internal::FoldTo16(sum)));
  key.local.StoreV4(out + 12);
  key.remote.StoreV4(out + 16);
  return addresses;
}

uint64_t WriteNetwork6(const wire::FlowKey& key, uint32_t length, uint8_t traffic_class, uint8_t ttl,
                       uint8_t* out) {
  wire::WriteIpv6({.src = key.local,
                   .dst = key.remote,
                   .payload_length = static_cast<uint16_t>(length),
                   .traffic_class = traffic_class,
                   .hop_limit = ttl,
                   .protocol = wire::kProtocolTcp},
                  out);
  const uint64_t local = wire::internal::AddShort(0, key.local.bytes().data(), wire::IpAddress::kSize);
  return wire::internal::AddShort(local, key.remote.bytes().data(), wire::IpAddress::kSize);
}

// Writes the TCP header with a checksum of zero. Returns its sum.
uint64_t WriteTcp(const wire::FlowKey& key, const tcp::SegmentOut& segment, uint8_t* out, size_t* length) {
  using wire::NetworkOrder;
  using wire::StoreRaw;
  using wire::internal::AddCarry;
  const wire::TcpOptions& options = segment.options;
  if (options.has_mss || options.has_wscale || options.sack_permitted || options.sack_count != 0)
      [[unlikely]] {
    *length = wire::WriteTcp({.src_port = key.local_port,
                              .dst_port = key.remote_port,
                              .seq = segment.seq,
                              .ack = segment.ack,
                              .flags = segment.flags,
                              .window = segment.window,
                              .urgent = segment.urgent},
                             options, out);
    return wire::internal::AddShort(0, out, *length);
  }
  const size_t header = wire::kTcpMinHeader + (options.has_timestamp ? 12 : 0);
  const uint64_t first = NetworkOrder(uint64_t{key.local_port} << 48 | uint64_t{key.remote_port} << 32 |
                                      uint64_t{segment.seq.value()});
  const uint64_t second = NetworkOrder(uint64_t{segment.ack.value()} << 32 | uint64_t{header / 4} << 28 |
                                       uint64_t{segment.flags} << 16 | segment.window);
  const uint32_t urgent = NetworkOrder(uint32_t{segment.urgent});
  StoreRaw(out, first);
  StoreRaw(out + 8, second);
  StoreRaw(out + 16, urgent);
  uint64_t sum = AddCarry(AddCarry(first, second), urgent);
  if (options.has_timestamp) {
    constexpr uint32_t kKind = NetworkOrder(wire::kAlignedTimestamp);
    const uint64_t values = NetworkOrder(uint64_t{options.tsval} << 32 | options.tsecr);
    StoreRaw(out + 20, kKind);
    StoreRaw(out + 24, values);
    sum = AddCarry(AddCarry(sum, values), kKind);
  }
  *length = header;
  return sum;
}

uint64_t AddPayload(uint64_t sum, const TxFrame& frame) {
  if (frame.slice_count == 1)
    return wire::internal::AddBytes(sum, frame.slices[0].data, frame.slices[0].length);
  if (frame.slice_count == 0) return sum;
  wire::InetSum text;
  for (size_t i = 0; i < frame.slice_count; ++i) text.Add({frame.slices[i].data, frame.slices[i].length});
  return wire::internal::AddCarry(sum, wire::NetworkOrder(text.Folded()));
}

}  // namespace

size_t Shard::Impl::PollTransmit(uint16_t interface, std::span<TxFrame> out) {
  if (interface >= ports.size()) return 0;
  size_t count = EmitControl(ports[interface], out);
  count += EmitSegments(interface, out.subspan(count));
  // Questions about neighbours arise while connections are drained; they need not wait for the next call.
  count += EmitControl(ports[interface], out.subspan(count));
  counters.tx_frames += count;
  return count;
}

size_t Shard::Impl::EmitControl(Port& port, std::span<TxFrame> out) {
  size_t count = 0;
  while (count < out.size() && !port.control.empty()) {
    const uint32_t index = port.control.PopFront(controls);
    ControlFrame& control = controls[index];
    TxFrame& frame = out[count++];
    const std::span<const uint8_t> header = control.header();
    std::memcpy(frame.header.data(), header.data(), header.size());
    frame.header_length = static_cast<uint16_t>(header.size());
    frame.slice_count = 0;
    frame.needs_ip_checksum = frame.needs_tcp_checksum = false;
    frame.is_ipv6 = control.ipv6;
    frame.l2_length = control.link_length;
    frame.l3_length = control.network_length;
    frame.l4_length = control.transport_length;
    frame.tso_segment = 0;
    if (control.payload != nullptr) {
      frame.slices[0] = {control.payload->data, control.payload->length, control.payload};
      frame.slice_count = 1;
      // It stays readable until the caller takes released buffers, which is another call.
      released.PushBack(control.payload);
    }
    controls.Release(index);
  }
  return count;
}

// Used once, for every segment: in line, so that what a connection's segments share is loaded once.
// Headers from the key, straight into the frame.
[[gnu::always_inline]] inline void Shard::Impl::WriteHeaders(const Slot& slot, const InterfaceConfig& own,
                                                             const Neighbour& neighbour,
                                                             const tcp::SegmentOut& segment, TxFrame& frame) {
  using wire::internal::AddCarry;
  using wire::internal::FoldTo16;
  const wire::FlowKey& key = slot.key;
  // RFC 9293 MUST-48, MUST-49: what the application wants, where it wants something, else the configuration.
  const tcp::ColdState* own_ip = slot.own_ip && slot.conn.cold != kNoSlot ? &cold[slot.conn.cold] : nullptr;
  const uint8_t ttl = own_ip != nullptr && own_ip->ttl != 0 ? own_ip->ttl : config.ttl;
  const uint8_t dscp = own_ip != nullptr ? own_ip->dscp : config.dscp;
  const auto traffic_class =
      static_cast<uint8_t>(dscp << 2 | (segment.ecn_capable ? wire::kEcnCapable0 : wire::kEcnNotCapable));
  uint8_t* const link = frame.header.data();
  std::memcpy(link, neighbour.link_header.data(), neighbour.link_header.size());
  uint8_t* const network = link + neighbour.link_header_length;
  const bool ipv6 = slot.ipv6;
  uint8_t* const tcp = network + (ipv6 ? wire::kIpv6Header : wire::kIpv4MinHeader);
  size_t tcp_header = 0;
  const uint64_t header_sum = WriteTcp(key, segment, tcp, &tcp_header);
  const auto length = static_cast<uint32_t>(tcp_header + segment.payload_length);
  const uint64_t address_sum = ipv6 ? WriteNetwork6(key, length, traffic_class, ttl, network)
                                    : WriteNetwork4(key, length, traffic_class, ttl, network);
  const uint64_t pseudo = AddCarry(
      address_sum, wire::NetworkOrder(length) + uint64_t{wire::NetworkOrder(uint16_t{wire::kProtocolTcp})});
  frame.needs_tcp_checksum = own.tx_tcp_checksum_offload || segment.tso_segment != 0;
  const uint16_t checksum =
      frame.needs_tcp_checksum
          ? FoldTo16(pseudo)
          : static_cast<uint16_t>(~FoldTo16(AddPayload(AddCarry(pseudo, header_sum), frame)));
  wire::StoreRaw(tcp + wire::kTcpChecksumOffset, checksum);
  frame.needs_ip_checksum = own.tx_ip_checksum_offload && !ipv6;
  frame.is_ipv6 = ipv6;
  frame.l2_length = neighbour.link_header_length;
  frame.l3_length = static_cast<uint8_t>(tcp - network);
  frame.l4_length = static_cast<uint8_t>(tcp_header);
  frame.header_length = static_cast<uint16_t>(tcp + tcp_header - link);
  frame.tso_segment = segment.tso_segment;
}

// Sends what the connection has, as far as its round and `out` allow. `*exhausted`: it has no more.
[[gnu::always_inline]] inline size_t Shard::Impl::DrainConnection(Slot& slot, Port& port,
                                                                  const InterfaceConfig& own,
                                                                  const Neighbour& neighbour,
                                                                  std::span<TxFrame> out, bool* exhausted) {
  const uint32_t budget = own.tso ? kTsoOctets : 0;
  size_t count = 0;
  tcp::SegmentOut& segment = segment_out;
  while (count < out.size() && port.round_segments < kRoundSegments && port.round_octets < kRoundOctets) {
    segment.frame = &out[count];
    if (!tcp::PollTransmit(slot.conn, env, now, budget, segment)) {
      *exhausted = true;
      break;
    }
    WriteHeaders(slot, own, neighbour, segment, out[count]);
    ++count;
    ++port.round_segments;
    port.round_octets += segment.payload_length;
    counters.tx_payload += segment.payload_length;
    if (segment.retransmission) ++counters.retransmitted_segments;
    if ((segment.flags & wire::kRst) != 0) ++counters.resets_sent;
    if (!tcp::MayTransmit(slot.conn)) {
      *exhausted = true;
      break;
    }
  }
  return count;
}

size_t Shard::Impl::EmitSegments(uint16_t interface, std::span<TxFrame> out) {
  Port& port = ports[interface];
  const InterfaceConfig& own = interface_config(interface);
  size_t count = 0;
  while (count < out.size() && !port.dirty.empty()) {
    const uint32_t index = port.dirty.head;
    Slot& slot = slots[index];
    const auto end_turn = [&] {
      port.round_segments = port.round_octets = 0;
      port.dirty.DropFront(slot);
    };
    if (slot.Is(kSlotClosed | kSlotBlackhole)) [[unlikely]] {
      end_turn();
      slot.Clear(kSlotTxQueued);
      if (slot.Is(kSlotClosed)) {
        MaybeFree(index);
      } else {
        Blackhole(index);
      }
      continue;
    }
    if (!tcp::MayTransmit(slot.conn)) {
      end_turn();
      slot.Clear(kSlotTxQueued);
      UpdateTimer(index, slot);
      continue;
    }
    Neighbour& neighbour = neighbours[slot.neighbour];
    if (!UseNeighbour(slot.neighbour, neighbour, index)) {
      end_turn();
      UpdateTimer(index, slot);
      neighbour.waiting.PushBack(slots, index, slot);
      continue;
    }
    bool exhausted = false;
    count += DrainConnection(slot, port, own, neighbour, out.subspan(count), &exhausted);
    if (exhausted) {
      end_turn();
      slot.Clear(kSlotTxQueued);
    } else if (port.round_segments >= kRoundSegments || port.round_octets >= kRoundOctets) {
      end_turn();
      port.dirty.PushBack(slots, index, slot);
    }
    UpdateTimer(index, slot);
  }
  return count;
}

// The next hop is dead. TCP is to believe that it has sent, so that its retransmission timer runs and gives
// up in the end; the next time-out asks for the neighbour again.
void Shard::Impl::Blackhole(uint32_t index) {
  Slot& slot = slots[index];
  slot.Clear(kSlotBlackhole);
  TxFrame nowhere;
  for (uint32_t i = 0; i < kRoundSegments; ++i) {
    tcp::SegmentOut segment;
    segment.frame = &nowhere;
    if (!tcp::PollTransmit(slot.conn, env, now, 0, segment)) break;
    counters.tx_drops.Count(DropReason::kNeighborUnresolved);
  }
  UpdateTimer(index, slot);
}

}  // namespace tern::stack
