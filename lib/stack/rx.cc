// Received bursts and the link layer.
#include <algorithm>
#include <utility>

#include "stack/shard_impl.h"

namespace tern::stack {
namespace {

// Large enough for the headers of nearly every frame.
constexpr size_t kCacheLine = 64;

void PrefetchFrame(const RxFrame& frame) {
  __builtin_prefetch(frame.buffer->data);
  __builtin_prefetch(frame.buffer->data + kCacheLine);
}

}  // namespace

void Shard::Impl::Input(std::span<RxFrame> frames, uint16_t interface) {
  counters.rx_frames += frames.size();
  rx_interface = interface;
  while (!frames.empty()) {
    const size_t n = std::min(frames.size(), kBurst);
    InputBurst(frames.first(n), interface);
    frames = frames.subspan(n);
  }
}

// Each stage starts the memory accesses of the next for the whole burst, so that their latencies overlap.
void Shard::Impl::InputBurst(std::span<RxFrame> frames, uint16_t interface) {
  for (const RxFrame& frame : frames) PrefetchFrame(frame);
  const bool common = env.fast_path && interface < config.interfaces.size();
  size_t segments = 0;
  for (const RxFrame& frame : frames) {
    RxPacket& p = burst[segments];
    if (!common || !ParseCommon(frame, config.interfaces[interface], p)) {
      if (!InputOther(frame, interface, p)) continue;
      p.hash = flows.Hash(p.key);
    }
    flows.Prefetch(p.hash);
    ++segments;
  }
  InputSegments({burst.data(), segments});
}

// The long way. True when `p` is a segment that awaits its look-up; else it has been dealt with.
bool Shard::Impl::InputOther(const RxFrame& frame, uint16_t interface, RxPacket& p) {
  bool is_tcp = false;
  DropReason drop = ParseLink(frame, interface, p);
  if (drop == DropReason::kNone) drop = InputNetwork(p, interface, &is_tcp);
  if (!is_tcp) {
    ReleaseList(std::exchange(p.rest, nullptr));
    Finish(p, drop);
  }
  return is_tcp;
}

DropReason Shard::Impl::ParseLink(const RxFrame& frame, uint16_t interface, RxPacket& p) {
  p.buffer = frame.buffer;
  p.rest = nullptr;
  p.fragmented = false;
  p.ip_checksum = frame.ip_checksum;
  p.l4_checksum = frame.l4_checksum;
  if (interface >= config.interfaces.size()) return DropReason::kMacNotOurs;
  if (frame.buffer->next != nullptr) {
    if (!frame.reassembled) return DropReason::kFrameMultiSegment;
    TakePieces(frame, p);
  }
  switch (wire::ParseEthernet(frame.buffer->bytes(), p.ethernet)) {
    case wire::ParseError::kNone:
      break;
    case wire::ParseError::kTruncated:
      return DropReason::kFrameTooShort;
    default:
      return DropReason::kEthertypeUnknown;
  }
  const InterfaceConfig& own = config.interfaces[interface];
  const auto vlan =
      static_cast<uint16_t>(frame.vlan_stripped ? frame.vlan_tci & wire::kVlanIdMask : p.ethernet.vlan_id());
  if (vlan != own.vlan) return DropReason::kVlanNotOurs;
  if (p.ethernet.src.IsMulticast()) return DropReason::kMacBadSource;
  p.link_group = false;
  if (p.ethernet.dst != own.mac) {
    if (!p.ethernet.dst.IsMulticast()) return DropReason::kMacNotOurs;
    p.link_group = true;
  }
  p.network_offset = static_cast<uint32_t>(p.ethernet.header_length());
  return DropReason::kNone;
}

}  // namespace tern::stack
