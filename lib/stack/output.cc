// Frames out: control frames first, then connections in turn.
#include <algorithm>
#include <cstring>

#include "stack/shard_impl.h"
#include "wire/checksum.h"
#include "wire/tcp.h"

namespace tern::stack {

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

size_t Shard::Impl::EmitSegments(uint16_t interface, std::span<TxFrame> out) {
  Port& port = ports[interface];
  size_t count = 0;
  const auto take_turn = [&] {
    port.round_segments = port.round_octets = 0;
    return port.dirty.PopFront(slots);
  };
  while (count < out.size() && !port.dirty.empty()) {
    const uint32_t index = port.dirty.head;
    Slot& slot = slots[index];
    if (slot.Is(kSlotClosed | kSlotBlackhole)) {
      take_turn();
      slot.Clear(kSlotTxQueued);
      if (slot.Is(kSlotClosed)) {
        MaybeFree(index);
      } else {
        Blackhole(index);
      }
      continue;
    }
    if (!UseNeighbour(slot.neighbour)) {
      take_turn();
      neighbours[slot.neighbour].waiting.PushBack(slots, index);
      continue;
    }
    bool exhausted = false;
    count += DrainConnection(index, interface, out.subspan(count), &exhausted);
    if (exhausted) {
      take_turn();
      slot.Clear(kSlotTxQueued);
    } else if (port.round_segments >= kRoundSegments || port.round_octets >= kRoundOctets) {
      port.dirty.PushBack(slots, take_turn());
    }
    UpdateTimer(index);
  }
  return count;
}

// Sends what the connection has, as far as its round and `out` allow. `*exhausted`: it has no more.
size_t Shard::Impl::DrainConnection(uint32_t index, uint16_t interface, std::span<TxFrame> out,
                                    bool* exhausted) {
  Port& port = ports[interface];
  Slot& slot = slots[index];
  const Neighbour& neighbour = neighbours[slot.neighbour];
  const uint32_t budget = interface_config(interface).tso ? kTsoOctets : 0;
  size_t count = 0;
  while (count < out.size() && port.round_segments < kRoundSegments && port.round_octets < kRoundOctets) {
    tcp::SegmentOut segment;
    segment.frame = &out[count];
    if (!tcp::PollTransmit(slot.conn, env, now, budget, segment)) {
      *exhausted = true;
      break;
    }
    WriteHeaders(slot, neighbour, segment, out[count]);
    ++count;
    ++port.round_segments;
    port.round_octets += segment.payload_length;
    counters.tx_payload += segment.payload_length;
    if (segment.retransmission) ++counters.retransmitted_segments;
    if ((segment.flags & wire::kRst) != 0) ++counters.resets_sent;
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
  UpdateTimer(index);
}

void Shard::Impl::WriteHeaders(const Slot& slot, const Neighbour& neighbour, const tcp::SegmentOut& segment,
                               TxFrame& frame) {
  const InterfaceConfig& own = interface_config(neighbour.interface);
  const wire::FlowKey& key = slot.key;
  const uint8_t ecn = segment.ecn_capable ? wire::kEcnCapable0 : wire::kEcnNotCapable;
  uint8_t* link = frame.header.data();
  std::memcpy(link, neighbour.link_header.data(), neighbour.link_header.size());
  uint8_t* network = link + neighbour.link_header_length;
  const bool ipv6 = !key.remote.IsV4();
  uint8_t* tcp = network + (ipv6 ? wire::kIpv6Header : wire::kIpv4MinHeader);
  const size_t tcp_header = wire::WriteTcp({.src_port = key.local_port,
                                            .dst_port = key.remote_port,
                                            .seq = segment.seq,
                                            .ack = segment.ack,
                                            .flags = segment.flags,
                                            .window = segment.window,
                                            .urgent = segment.urgent},
                                           segment.options, tcp);
  const auto length = static_cast<uint32_t>(tcp_header + segment.payload_length);
  if (ipv6) {
    wire::WriteIpv6({.src = key.local,
                     .dst = key.remote,
                     .payload_length = static_cast<uint16_t>(length),
                     .traffic_class = ecn,
                     .hop_limit = kTtl,
                     .protocol = wire::kProtocolTcp},
                    network);
  } else {
    // RFC 6864 4.1: an atomic datagram needs no identification.
    wire::WriteIpv4({.src = key.local,
                     .dst = key.remote,
                     .total_length = static_cast<uint16_t>(wire::kIpv4MinHeader + length),
                     .dont_fragment = true,
                     .traffic_class = ecn,
                     .ttl = kTtl,
                     .protocol = wire::kProtocolTcp},
                    network);
  }
  wire::InetSum sum = wire::PseudoHeaderSum(key.local, key.remote, wire::kProtocolTcp, length);
  frame.needs_tcp_checksum = own.tx_tcp_checksum_offload || segment.tso_segment != 0;
  if (frame.needs_tcp_checksum) {
    wire::StoreBe16(tcp + wire::kTcpChecksumOffset, sum.Folded());
  } else {
    sum.Add({tcp, tcp_header});
    for (size_t i = 0; i < frame.slice_count; ++i) sum.Add({frame.slices[i].data, frame.slices[i].length});
    wire::StoreBe16(tcp + wire::kTcpChecksumOffset, sum.Checksum());
  }
  frame.needs_ip_checksum = own.tx_ip_checksum_offload && !ipv6;
  frame.is_ipv6 = ipv6;
  frame.l2_length = neighbour.link_header_length;
  frame.l3_length = static_cast<uint8_t>(tcp - network);
  frame.l4_length = static_cast<uint8_t>(tcp_header);
  frame.header_length = static_cast<uint16_t>(tcp + tcp_header - link);
  frame.tso_segment = segment.tso_segment;
}

}  // namespace tern::stack
