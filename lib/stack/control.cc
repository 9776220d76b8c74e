// Frames of no connection: made here, queued for their interface or for their neighbour's answer.
#include <algorithm>
#include <cstring>

#include "stack/shard_impl.h"
#include "tcp/isn.h"
#include "wire/checksum.h"
#include "wire/tcp.h"

namespace tern::stack {

ControlFrame* Shard::Impl::NewControl(uint16_t interface, uint32_t* index) {
  *index = controls.Allocate();
  if (*index == kNoSlot) {
    counters.tx_drops.Count(DropReason::kTxNoBuffer);
    return nullptr;
  }
  ControlFrame& frame = controls[*index];
  frame.interface = interface;
  return &frame;
}

void Shard::Impl::WriteNetwork(ControlFrame& frame, const wire::IpAddress& src, const wire::IpAddress& dst,
                               uint8_t protocol, size_t payload, uint8_t hop_limit) {
  frame.ipv6 = !dst.IsV4();
  if (frame.ipv6) {
    frame.network_length =
        static_cast<uint8_t>(wire::WriteIpv6({.src = src,
                                              .dst = dst,
                                              .payload_length = static_cast<uint16_t>(payload),
                                              .hop_limit = hop_limit,
                                              .protocol = protocol},
                                             frame.network()));
    return;
  }
  // RFC 6864 4.1: whole and not to be cut up, so the identification carries no meaning.
  frame.network_length = static_cast<uint8_t>(
      wire::WriteIpv4({.src = src,
                       .dst = dst,
                       .total_length = static_cast<uint16_t>(wire::kIpv4MinHeader + payload),
                       .dont_fragment = true,
                       .ttl = hop_limit,
                       .protocol = protocol},
                      frame.network()));
}

void Shard::Impl::WriteLink(ControlFrame& frame, const wire::MacAddress& dst, uint16_t ether_type) const {
  const InterfaceConfig& own = config.interfaces[frame.interface];
  const wire::EthernetHeader header{
      .dst = dst, .src = own.mac, .ether_type = ether_type, .tagged = own.vlan != 0, .vlan_tci = own.vlan};
  frame.link_length = static_cast<uint8_t>(header.header_length());
  wire::WriteEthernet(header, frame.network() - frame.link_length);
}

uint32_t Shard::Impl::NeighbourTowards(const wire::IpAddress& destination, const wire::IpAddress& local) {
  const uint16_t near = ports.size() == 1 ? uint16_t{0} : addresses.InterfaceOf(local, rx_interface);
  const std::optional<NextHop> hop = routes.Lookup(destination, near);
  if (!hop) {
    counters.tx_drops.Count(DropReason::kNoRoute);
    return kNoSlot;
  }
  const uint32_t neighbour = neighbours.FindOrAdd(hop->interface, hop->address, now);
  if (neighbour == kNoSlot) counters.tx_drops.Count(DropReason::kNeighborTableFull);
  return neighbour;
}

void Shard::Impl::SendVia(uint32_t neighbour, uint32_t index) {
  ControlFrame& frame = controls[index];
  Neighbour& n = neighbours[neighbour];
  frame.interface = n.interface;
  if (!UseNeighbour(neighbour, n, kNoSlot)) {
    if (n.held_frames >= kNeighbourHeldFrames) {
      DropControl(index, DropReason::kNeighborQueueFull);
      return;
    }
    ++n.held_frames;
    n.held.PushBack(controls, index);
    return;
  }
  frame.link_length = n.link_header_length;
  std::memcpy(frame.network() - frame.link_length, n.link_header.data(), frame.link_length);
  SendReady(index);
}

void Shard::Impl::SendReady(uint32_t index) {
  ports[controls[index].interface].control.PushBack(controls, index);
}

void Shard::Impl::DropControl(uint32_t index, DropReason why) {
  counters.tx_drops.Count(why);
  if (controls[index].payload != nullptr) released.PushBack(controls[index].payload);
  controls.Release(index);
}

void Shard::Impl::SendTcpControl(const wire::FlowKey& key, uint32_t neighbour, const TcpControl& control,
                                 const wire::TcpOptions& options) {
  uint32_t index = kNoSlot;
  ControlFrame* frame = NewControl(neighbours[neighbour].interface, &index);
  if (frame == nullptr) return;
  const size_t length = wire::kTcpMinHeader + wire::TcpOptionsLength(options);
  WriteNetwork(*frame, key.local, key.remote, wire::kProtocolTcp, length, config.ttl);
  frame->transport_length = static_cast<uint8_t>(length);
  uint8_t* tcp = frame->transport();
  wire::WriteTcp({.src_port = key.local_port,
                  .dst_port = key.remote_port,
                  .seq = control.seq,
                  .ack = control.ack,
                  .flags = control.flags,
                  .window = control.window},
                 options, tcp);
  wire::StoreBe16(tcp + wire::kTcpChecksumOffset,
                  wire::TransportChecksum(key.local, key.remote, wire::kProtocolTcp, {tcp, length}));
  if ((control.flags & wire::kRst) != 0) ++counters.resets_sent;
  SendVia(neighbour, index);
}

bool Shard::Impl::MayChallenge() {
  if (challenges.Take(now)) return true;
  counters.tx_drops.Count(DropReason::kTcpChallengeLimited);
  return false;
}

void Shard::Impl::SendTimeWaitAck(const TimeWaitEntry& entry) {
  const wire::FlowKey key = entry.Key();
  const uint32_t neighbour = NeighbourTowards(key.remote, key.local);
  if (neighbour == kNoSlot) return;
  wire::TcpOptions options;
  if (entry.timestamps) {
    options.has_timestamp = true;
    options.tsval = tcp::TimestampValue(now, tcp::TimestampOffset(TupleHash(key)));
    options.tsecr = entry.ts_recent;
  }
  SendTcpControl(key, neighbour,
                 {.flags = wire::kAck, .seq = entry.snd_nxt, .ack = entry.rcv_nxt, .window = entry.window},
                 options);
}

}  // namespace tern::stack
