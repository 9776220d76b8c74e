// ARP (RFC 826, RFC 5227) and neighbour discovery (RFC 4861 7): questions, answers, and what waits for them.
#include <algorithm>

#include "stack/shard_impl.h"
#include "wire/arp.h"
#include "wire/ndp.h"

namespace tern::stack {
namespace {

constexpr uint32_t kNeighboursPerCall = 64;

}  // namespace

// ---- What arrives ----

DropReason Shard::Impl::InputArp(RxPacket& p, uint16_t interface) {
  wire::ArpPacket arp;
  if (wire::ParseArp(p.buffer->bytes().subspan(p.network_offset), arp) != wire::ParseError::kNone ||
      arp.sender_mac.IsMulticast() || arp.sender_mac.IsZero()) {
    return DropReason::kArpMalformed;
  }
  const bool for_us = addresses.IsOurs(arp.target_ip);
  if (addresses.IsOurs(arp.sender_ip)) return DefendAddress(arp, interface);
  DropReason learned = DropReason::kArpNotOurs;
  if (!arp.IsProbe() && arp.sender_ip.IsValidUnicast() && !addresses.IsBroadcast(arp.sender_ip)) {
    // RFC 826: whoever asks for us will be spoken to next, so its address is kept.
    if (for_us && arp.operation == wire::ArpOperation::kRequest) MakeEntry(interface, arp.sender_ip);
    // An answer that was sent to us alone is taken to be one to our question.
    const bool confirmed = arp.operation == wire::ArpOperation::kReply && for_us && !p.link_group;
    learned = LearnFromPeer(interface, arp.sender_ip, arp.sender_mac, confirmed, /*may_override=*/true);
  }
  if (arp.operation != wire::ArpOperation::kRequest || !for_us) {
    return learned == DropReason::kNone ? DropReason::kNone : DropReason::kArpNotOurs;
  }
  uint32_t index = kNoSlot;
  ControlFrame* frame = NewControl(interface, &index);
  if (frame == nullptr) return DropReason::kNone;
  WriteLink(*frame, arp.sender_mac, wire::kEtherTypeArp);
  frame->transport_length =
      static_cast<uint8_t>(wire::WriteArp({.operation = wire::ArpOperation::kReply,
                                           .sender_mac = interface_config(interface).mac,
                                           .sender_ip = arp.target_ip,
                                           .target_mac = arp.sender_mac,
                                           .target_ip = arp.sender_ip},
                                          frame->transport()));
  SendReady(index);
  return DropReason::kNone;
}

// RFC 5227 2.4 (c): nobody else can speak for an address of ours, and we do not give it up. Everybody is told
// so, who may have believed the other; not at once again, or two who both defend would never end.
DropReason Shard::Impl::DefendAddress(const wire::ArpPacket& claim, uint16_t interface) {
  const wire::MacAddress own = interface_config(interface).mac;
  if (claim.sender_mac == own) return DropReason::kArpNotOurs;  // a frame of our own that came back
  uint32_t index = kNoSlot;
  if (!ports[interface].defence.Take(now)) return DropReason::kArpConflict;
  ControlFrame* frame = NewControl(interface, &index);
  if (frame == nullptr) return DropReason::kArpConflict;
  WriteLink(*frame, wire::MacAddress::Broadcast(), wire::kEtherTypeArp);
  frame->transport_length = static_cast<uint8_t>(wire::WriteArp(
      {.sender_mac = own, .sender_ip = claim.sender_ip, .target_ip = claim.sender_ip}, frame->transport()));
  SendReady(index);
  return DropReason::kArpConflict;
}

DropReason Shard::Impl::InputNeighborSolicit(RxPacket& p, const wire::IcmpMessage& message,
                                             uint16_t interface) {
  wire::NeighborSolicit solicit;
  const wire::NdpContext context{.src = p.src, .dst = p.dst, .hop_limit = p.hop_limit};
  if (wire::ParseNeighborSolicit(message, context, solicit) != wire::ParseError::kNone) {
    return DropReason::kNdpMalformed;
  }
  if (LocalAddresses::Entry* entry = addresses.Find(interface, solicit.target);
      entry != nullptr && !entry->usable()) {
    return OnTentativeAsked(*entry, solicit, p);
  }
  if (!addresses.IsOurs(solicit.target)) return DropReason::kNdpNotOurs;
  const bool detects_duplicate = p.src.IsUnspecified();
  if (detects_duplicate && solicit.nonce == links[interface].nonce) return DropReason::kNdpLooped;
  const wire::MacAddress asker = solicit.source_mac.value_or(p.ethernet.src);
  if (!detects_duplicate && solicit.source_mac) {
    // RFC 4861 7.2.3: the asker's address is kept, unconfirmed.
    MakeEntry(interface, p.src);
    Learn(interface, p.src, asker, /*confirmed=*/false, /*may_override=*/true);
  }
  // RFC 4861 7.2.4: to the asker, or to all nodes when it has no address yet.
  const wire::IpAddress to = detects_duplicate ? wire::IpAddress::AllNodes() : p.src;
  uint32_t index = kNoSlot;
  ControlFrame* frame = NewControl(interface, &index);
  if (frame == nullptr) return DropReason::kNone;
  const wire::NeighborAdvert advert{.target = solicit.target,
                                    .solicited = !detects_duplicate,
                                    .override = true,
                                    .target_mac = interface_config(interface).mac};
  frame->network_length = wire::kIpv6Header;
  frame->transport_length =
      static_cast<uint8_t>(wire::WriteNeighborAdvert(advert, solicit.target, to, frame->transport()));
  WriteNetwork(*frame, solicit.target, to, wire::kProtocolIcmpv6, frame->transport_length,
               wire::kNdpHopLimit);
  WriteLink(*frame, detects_duplicate ? wire::MacAddress::ForMulticast(to) : asker, wire::kEtherTypeIpv6);
  SendReady(index);
  return DropReason::kNone;
}

DropReason Shard::Impl::InputNeighborAdvert(RxPacket& p, const wire::IcmpMessage& message,
                                            uint16_t interface) {
  wire::NeighborAdvert advert;
  const wire::NdpContext context{.src = p.src, .dst = p.dst, .hop_limit = p.hop_limit};
  if (wire::ParseNeighborAdvert(message, context, advert) != wire::ParseError::kNone) {
    return DropReason::kNdpMalformed;
  }
  if (LocalAddresses::Entry* entry = addresses.Find(interface, advert.target);
      entry != nullptr && !entry->usable()) {
    return OnTentativeClaimed(*entry);
  }
  if (addresses.IsOurs(advert.target)) {
    // RFC 4862 5.4.4: what may be done about it is not said; it is made known, and the address goes on.
    const bool own = advert.target_mac.value_or(p.ethernet.src) == interface_config(interface).mac;
    return own ? DropReason::kNdpLooped : DropReason::kNdpConflict;
  }
  if (addresses.IsOurs(p.src)) return DropReason::kIpSourceIsOurs;
  // RFC 4861 7.2.5: a router that has become a host leads nowhere.
  if (!advert.router && routes.learned().IsRouter(interface, advert.target)) {
    ApplyAndTell({.address = advert.target, .interface = interface, .kind = LinkNotice::Kind::kRouter});
  }
  wire::MacAddress mac = p.ethernet.src;
  if (advert.target_mac) {
    mac = *advert.target_mac;
  } else if (const uint32_t n = neighbours.Find(interface, advert.target);
             n != kNoSlot && neighbours[n].usable()) {
    // RFC 4861 7.2.5: an answer to a unicast question may leave the address out, because we have it.
    mac = neighbours[n].mac;
  }
  if (mac.IsMulticast()) return DropReason::kNdpMalformed;
  const DropReason learned = LearnFromPeer(interface, advert.target, mac, advert.solicited, advert.override);
  return learned == DropReason::kNone ? DropReason::kNone : DropReason::kNdpNotOurs;
}

// ---- What it teaches ----

// Only for hosts that can be on that link.
void Shard::Impl::MakeEntry(uint16_t interface, const wire::IpAddress& address) {
  if (addresses.OnLink(interface, address) || routes.learned().OnLink(interface, address)) {
    neighbours.FindOrAdd(interface, address, now);
  }
}

// kNone when it was of use to us or may be to other workers.
DropReason Shard::Impl::LearnFromPeer(uint16_t interface, const wire::IpAddress& address,
                                      const wire::MacAddress& mac, bool confirmed, bool may_override) {
  const LearnResult result = Learn(interface, address, mac, confirmed, may_override);
  const bool news = confirmed || result == LearnResult::kChanged || result == LearnResult::kResolved;
  // The answer to another worker's question may well arrive here.
  const bool shared = config.worker_count > 1 && news;
  if (shared) TellOthers({.address = address, .mac = mac, .interface = interface});
  return result != LearnResult::kUnknown || shared ? DropReason::kNone : DropReason::kArpNotOurs;
}

LearnResult Shard::Impl::Learn(uint16_t interface, const wire::IpAddress& address,
                               const wire::MacAddress& mac, bool confirmed, bool may_override) {
  const LearnResult result = neighbours.Learn(interface, address, mac, confirmed, may_override, now);
  if (result == LearnResult::kUnknown) return result;
  if (confirmed && !address.IsV4()) routes.learned().SetHeard(interface, address);
  if (result == LearnResult::kKept) return result;
  const uint32_t n = neighbours.Find(interface, address);
  BuildLinkHeader(neighbours[n]);
  if (result == LearnResult::kResolved) ReleaseWaiters(n);
  return result;
}

void Shard::Impl::TellOthers(const LinkNotice& notice) {
  if (notices.size() < kMaxNotices) notices.push_back(notice);
}

void Shard::Impl::BuildLinkHeader(Neighbour& n) const {
  const InterfaceConfig& own = interface_config(n.interface);
  const wire::EthernetHeader header{
      .dst = n.mac,
      .src = own.mac,
      .ether_type = n.address.IsV4() ? wire::kEtherTypeIpv4 : wire::kEtherTypeIpv6,
      .tagged = own.vlan != 0,
      .vlan_tci = own.vlan};
  n.link_header_length = static_cast<uint8_t>(wire::WriteEthernet(header, n.link_header.data()));
}

void Shard::Impl::ReleaseWaiters(uint32_t neighbour) {
  Neighbour& n = neighbours[neighbour];
  for (uint32_t i; (i = n.held.PopFront(controls)) != kNoSlot;) {
    --n.held_frames;
    SendVia(neighbour, i);
  }
  for (uint32_t i; (i = n.waiting.PopFront(slots)) != kNoSlot;) ports[n.interface].dirty.PushBack(slots, i);
}

// RFC 4861 7.2.2 and RFC 1122 2.3.2.2: what waits is given up. An opening connection ends (RFC 9293 3.9.2.2
// treats it as unreachable); others say what they have to say into the void, and their own timers judge.
void Shard::Impl::FailWaiters(uint32_t neighbour) {
  Neighbour& n = neighbours[neighbour];
  for (uint32_t i; (i = n.held.PopFront(controls)) != kNoSlot;) {
    --n.held_frames;
    DropControl(i, DropReason::kNeighborUnresolved);
  }
  IndexQueue waiting = n.waiting;
  n.waiting = IndexQueue();
  for (uint32_t i; (i = waiting.PopFront(slots)) != kNoSlot;) {
    Slot& slot = slots[i];
    slot.Clear(kSlotTxQueued);
    if (slot.Is(kSlotClosed)) {
      MaybeFree(i);
    } else if (slot.neighbour != neighbour) {
      MarkDirty(i, slot);  // it has found another way
    } else if (slot.conn.state == tcp::State::kSynSent) {
      EndConnection(i, tcp::CloseReason::kUnreachable);
    } else {
      slot.Set(kSlotBlackhole);
      MarkDirty(i, slot);
    }
  }
}

// ---- What we ask ----

bool Shard::Impl::AskForNeighbour(uint32_t neighbour, uint32_t connection) {
  const NeighbourAction action = neighbours.Use(neighbour, now);
  if (action != NeighbourAction::kNone) Ask(neighbour, action);
  if (connection != kNoSlot) {
    // Acknowledgements of our data, and the peer's data in order: either moves the sum, and nothing else
    // does.
    const Slot& slot = slots[connection];
    const uint32_t mark = slot.conn.snd_una.value() + slot.conn.rcv_nxt.value();
    neighbours.Witness(neighbour, connection, slot.generation, mark, now);
  }
  return neighbours[neighbour].usable();
}

void Shard::Impl::Ask(uint32_t neighbour, NeighbourAction action) {
  const Neighbour& n = neighbours[neighbour];
  const std::optional<wire::IpAddress> from = addresses.SolicitFrom(n.interface, n.address);
  uint32_t index = kNoSlot;
  if (!from) return;
  ControlFrame* frame = NewControl(n.interface, &index);
  if (frame == nullptr) return;
  const wire::MacAddress own = interface_config(n.interface).mac;
  const bool everyone = action == NeighbourAction::kAskAll;
  if (n.address.IsV4()) {
    WriteLink(*frame, everyone ? wire::MacAddress::Broadcast() : n.mac, wire::kEtherTypeArp);
    frame->transport_length = static_cast<uint8_t>(
        wire::WriteArp({.sender_mac = own, .sender_ip = *from, .target_ip = n.address}, frame->transport()));
  } else {
    const wire::IpAddress to = everyone ? n.address.SolicitedNode() : n.address;
    frame->network_length = wire::kIpv6Header;
    frame->transport_length = static_cast<uint8_t>(
        wire::WriteNeighborSolicit({.target = n.address, .source_mac = own}, *from, to, frame->transport()));
    WriteNetwork(*frame, *from, to, wire::kProtocolIcmpv6, frame->transport_length, wire::kNdpHopLimit);
    WriteLink(*frame, everyone ? wire::MacAddress::ForMulticast(to) : n.mac, wire::kEtherTypeIpv6);
  }
  SendReady(index);
}

bool Shard::Impl::AdvanceNeighbours() {
  for (uint32_t i = 0; i < kNeighboursPerCall; ++i) {
    NeighbourAction action = NeighbourAction::kNone;
    const uint32_t n = neighbours.TakeDue(now, &action);
    if (n == kNoSlot) return false;
    if (action == NeighbourAction::kFailed) {
      OnNeighbourFailed(n);
      FailWaiters(n);
    } else {
      Ask(n, action);
    }
  }
  return true;
}

}  // namespace tern::stack
