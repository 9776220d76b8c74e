// Stateless address autoconfiguration (RFC 4862), and what routers say of the link (RFC 4861 6.3). The shard
// of worker 0 asks, listens and decides for all: steering brings it what concerns that. The others are told
// by notices; each advertisement repeats them, so that one that was lost is made good. Each lets go by itself
// of what has had its time.
#include <algorithm>

#include "stack/shard_impl.h"
#include "wire/ndp.h"

namespace tern::stack {
namespace {

constexpr Duration kForEver = Duration::Nanos(INT64_MAX);
constexpr uint64_t kNonceMask = (uint64_t{1} << 48) - 1;

Duration LeftOf(Instant until, Instant now) {
  if (until == Instant::Never()) return kForEver;
  return std::max(until - now, Duration::Zero());
}

// Which addresses are asked for before they are used; see AutoconfConfig.
bool MustDetect(const LocalAddresses::Entry& entry, const AutoconfConfig& config) {
  if (config.dad_transmits == 0 || entry.prefix.address.IsV4() || entry.pool) return false;
  return config.dad_configured || (config.on && (entry.link_local || entry.learned));
}

}  // namespace

void Shard::Impl::BeginAutoconf() {
  link_events.reserve(kMaxLinkEvents);
  for (LinkAutoconf& link : links) link.nonce = random.Next64() & kNonceMask;
  for (LocalAddresses::Entry& entry : addresses.entries()) {
    const AutoconfConfig& how = interface_config(entry.interface).autoconf;
    // RFC 4862 5.4.2: all hosts of a link may have come up at the same moment.
    const Instant begin = now + RandomDelay();
    if (MustDetect(entry, how)) {
      BeginDetection(entry, begin);
    } else if (entry.link_local && how.on && Speaks()) {
      links[entry.interface].begun = true;
      links[entry.interface].quest.Begin(begin);
    }
  }
  ScheduleAutoconf();
}

// ---- Duplicate address detection (RFC 4862 5.4) ----

void Shard::Impl::BeginDetection(LocalAddresses::Entry& entry, Instant at) {
  entry.state = AddressState::kTentative;
  if (!Speaks()) return;  // and is told
  entry.probes_left = interface_config(entry.interface).autoconf.dad_transmits;
  entry.probe_at = at;
}

DropReason Shard::Impl::OnTentativeAsked(LocalAddresses::Entry& entry, const wire::NeighborSolicit& solicit,
                                         const RxPacket& p) {
  if (entry.state == AddressState::kDuplicate) return DropReason::kNdpNotOurs;
  // RFC 4862 5.4.3: who wants to speak to us has to wait; who asks from nowhere wants the address for
  // himself.
  if (!p.src.IsUnspecified()) return DropReason::kNdpTentative;
  // RFC 7527 4.2: the link, or the device, gives our own back to us.
  if (solicit.nonce == links[entry.interface].nonce) return DropReason::kNdpLooped;
  return OnTentativeClaimed(entry);
}

DropReason Shard::Impl::OnTentativeClaimed(LocalAddresses::Entry& entry) {
  if (entry.state == AddressState::kDuplicate) return DropReason::kNdpNotOurs;
  FailAddress(entry);
  ScheduleAutoconf();
  return DropReason::kNdpConflict;
}

void Shard::Impl::FailAddress(LocalAddresses::Entry& entry) {
  entry.state = AddressState::kDuplicate;
  entry.probe_at = Instant::Never();
  ++counters.duplicate_addresses;
  Report(LinkEvent::Kind::kAddressDuplicate, entry.interface, entry.prefix.address);
  // RFC 4862 5.4.5: with it all addresses are in doubt that are made of the same station address.
  if (entry.link_local) links[entry.interface].quest.End();
}

void Shard::Impl::AddressIsOurs(LocalAddresses::Entry& entry) {
  entry.probe_at = Instant::Never();
  entry.state = entry.lifetimes.preferred_until <= now ? AddressState::kDeprecated : AddressState::kPreferred;
  if (entry.learned) Report(LinkEvent::Kind::kAddressFormed, entry.interface, entry.prefix.address);
  if (Speaks()) TellAddress(entry);
  LinkAutoconf& link = links[entry.interface];
  if (!entry.link_local || link.begun || !Speaks() || !interface_config(entry.interface).autoconf.on) return;
  // RFC 4861 6.3.7: the random delay has been had already, before the address was asked for.
  link.begun = true;
  link.quest.Begin(now);
}

void Shard::Impl::TellAddress(const LocalAddresses::Entry& entry) {
  if (config.worker_count == 1) return;
  TellOthers({.address = entry.prefix.address,
              .interface = entry.interface,
              .kind = LinkNotice::Kind::kAddress,
              .length = entry.prefix.length,
              .preferred = LeftOf(entry.lifetimes.preferred_until, now),
              .valid = LeftOf(entry.lifetimes.valid_until, now)});
}

// ---- What routers say ----

DropReason Shard::Impl::InputRouterAdvert(RxPacket& p, const wire::IcmpMessage& message, uint16_t interface) {
  wire::RouterAdvert advert;
  const wire::NdpContext context{.src = p.src, .dst = p.dst, .hop_limit = p.hop_limit};
  if (wire::ParseRouterAdvert(message, context, advert) != wire::ParseError::kNone) {
    return DropReason::kNdpMalformed;
  }
  const InterfaceConfig& own = interface_config(interface);
  LocalAddresses::Entry* link_local = addresses.Find(interface, wire::IpAddress::LinkLocalFor(own.mac));
  if (!own.autoconf.on || !Speaks() || link_local == nullptr ||
      link_local->state == AddressState::kDuplicate) {
    return DropReason::kNdpRouterIgnored;
  }
  ++counters.router_adverts;
  if (advert.source_mac) {
    MakeEntry(interface, p.src);
    LearnFromPeer(interface, p.src, *advert.source_mac, /*confirmed=*/false, /*may_override=*/true);
  }
  ApplyAndTell({.address = p.src,
                .interface = interface,
                .kind = LinkNotice::Kind::kRouter,
                .valid = Duration::Seconds(advert.lifetime_s)});
  routes.learned().SetHeard(interface, p.src);
  TakeLinkValues(advert, interface);
  for (size_t i = 0; i < advert.prefix_count; ++i) TakePrefix(advert.prefixes[i], interface);
  // RFC 4861 6.3.7: who is no default router has not answered the question.
  if (advert.lifetime_s != 0) links[interface].quest.End();
  ScheduleAutoconf();
  return DropReason::kNone;
}

void Shard::Impl::TakeLinkValues(const wire::RouterAdvert& advert, uint16_t interface) {
  LinkNotice values{.interface = interface,
                    .kind = LinkNotice::Kind::kLink,
                    .mtu = LinkValues::Mtu(advert.mtu, interface_config(interface).mtu),
                    .hop_limit = LinkValues::HopLimit(advert.hop_limit),
                    .retrans = LinkValues::Retrans(advert.retrans_ms)};
  if (advert.reachable_ms != links[interface].reachable_ms) {
    // RFC 4861 6.3.4: another base, another draw.
    links[interface].reachable_ms = advert.reachable_ms;
    values.reachable = LinkValues::Reachable(advert.reachable_ms, random);
  }
  ApplyAndTell(values);
}

void Shard::Impl::TakePrefix(const wire::NdpPrefix& prefix, uint16_t interface) {
  bool used = false;
  if (GivesOnLink(prefix)) {
    const Duration valid = LeftOf(FirstLifetimes(prefix, now).valid_until, now);
    // What finds no room here finds none elsewhere.
    used = routes.learned().SetPrefix(interface, prefix.prefix, now + valid, now);
    if (used) {
      ApplyAndTell({.address = prefix.prefix.address,
                    .interface = interface,
                    .kind = LinkNotice::Kind::kOnLink,
                    .length = prefix.prefix.length,
                    .valid = valid});
    }
  }
  if (GivesAddress(prefix) && TakeAddress(prefix, interface)) used = true;
  if (!used) ++counters.prefixes_ignored;
}

// RFC 4862 5.5.3 (d) and (e). False when nothing came of it.
bool Shard::Impl::TakeAddress(const wire::NdpPrefix& prefix, uint16_t interface) {
  const wire::IpAddress address = FormAddress(prefix.prefix, interface_config(interface).mac);
  if (LocalAddresses::Entry* known = addresses.Find(interface, address); known != nullptr) {
    if (!known->learned) return true;  // configured: stays what it is
    known->lifetimes = RenewedLifetimes(known->lifetimes, prefix, now);
    if (!known->usable()) return true;
    known->state =
        known->lifetimes.preferred_until <= now ? AddressState::kDeprecated : AddressState::kPreferred;
    TellAddress(*known);
    return true;
  }
  if (prefix.valid_s == 0) return false;
  LocalAddresses::Entry* made = addresses.AddLearned(interface, {address, kAutoconfPrefixLength});
  if (made == nullptr) return false;
  made->lifetimes = FirstLifetimes(prefix, now);
  if (MustDetect(*made, interface_config(interface).autoconf)) {
    // RFC 4862 5.4.2: everybody on the link has heard the same advertisement.
    BeginDetection(*made, now + RandomDelay());
  } else {
    AddressIsOurs(*made);
  }
  return true;
}

void Shard::Impl::ApplyAndTell(const LinkNotice& notice) {
  Apply(notice);
  if (config.worker_count > 1) TellOthers(notice);
}

void Shard::Impl::Apply(const LinkNotice& notice) {
  LinkAutoconf& link = links[notice.interface];
  switch (notice.kind) {
    case LinkNotice::Kind::kNeighbour:
      Learn(notice.interface, notice.address, notice.mac, /*confirmed=*/true, /*may_override=*/true);
      return;
    case LinkNotice::Kind::kAddress:
      ApplyAddress(notice);
      break;
    case LinkNotice::Kind::kOnLink:
      routes.learned().SetPrefix(notice.interface, {notice.address, notice.length}, now + notice.valid, now);
      break;
    case LinkNotice::Kind::kRouter: {
      if (!routes.learned().SetRouter(notice.interface, notice.address, notice.valid, now)) break;
      const bool gone = notice.valid <= Duration::Zero();
      Report(gone ? LinkEvent::Kind::kRouterGone : LinkEvent::Kind::kRouterFound, notice.interface,
             notice.address);
      if (gone) RerouteFrom(notice.interface, notice.address);
      break;
    }
    case LinkNotice::Kind::kLink:
      if (notice.mtu != 0) link.mtu = notice.mtu;
      if (notice.hop_limit != 0) link.hop_limit = notice.hop_limit;
      neighbours.SetTimes(notice.reachable, notice.retrans);
      break;
  }
  ScheduleAutoconf();
}

// The speaker has made it, or made sure of it: it is ours.
void Shard::Impl::ApplyAddress(const LinkNotice& notice) {
  LocalAddresses::Entry* entry = addresses.Find(notice.interface, notice.address);
  if (entry == nullptr) entry = addresses.AddLearned(notice.interface, {notice.address, notice.length});
  if (entry == nullptr) return;
  entry->lifetimes = {.preferred_until = now + notice.preferred, .valid_until = now + notice.valid};
  AddressIsOurs(*entry);
}

void Shard::Impl::SetHopLimit(Slot& slot) {
  const uint8_t learned = slot.key.remote.IsV4() ? uint8_t{0} : links[InterfaceOf(slot)].hop_limit;
  if (learned == 0 || learned == config.ttl || config.ttl != kTtl || slot.conn.cold == kNoSlot) return;
  cold[slot.conn.cold].ttl = learned;
  cold[slot.conn.cold].dscp = config.dscp;
  slot.own_ip = true;
}

// ---- Routers that fail ----

void Shard::Impl::OnNeighbourFailed(uint32_t neighbour) {
  const uint16_t interface = neighbours[neighbour].interface;
  const wire::IpAddress address = neighbours[neighbour].address;
  if (address.IsV4() || !routes.learned().SetFailed(interface, address)) return;
  Report(LinkEvent::Kind::kRouterFailed, interface, address);
  RerouteFrom(interface, address);
}

// RFC 4861 6.3.5, 7.3.3: next-hop determination anew.
void Shard::Impl::RerouteFrom(uint16_t interface, const wire::IpAddress& router) {
  const uint32_t old = neighbours.Find(interface, router);
  if (old == kNoSlot || neighbours[old].users == 0) return;
  for (uint32_t i = 0; i < slots.high_water() && neighbours[old].users != 0; ++i) {
    Slot& slot = slots[i];
    if (slot.generation == 0 || slot.Is(kSlotClosed) || slot.neighbour != old) continue;
    const std::optional<NextHop> hop = routes.Lookup(slot.key.remote, interface);
    // An address of this link is not one to send from on another.
    if (!hop || hop->interface != interface || hop->address == router) continue;
    const uint32_t other = neighbours.FindOrAdd(interface, hop->address, now);
    if (other == kNoSlot) return;
    --neighbours[old].users;
    ++neighbours[other].users;
    slot.neighbour = static_cast<uint16_t>(other);
  }
}

// ---- Time ----

void Shard::Impl::AdvanceAddresses() {
  for (size_t i = 0; i < addresses.entries().size();) {
    LocalAddresses::Entry& entry = addresses.entries()[i];
    if (entry.lifetimes.valid_until <= now) {
      // RFC 4862 5.5.4: neither spoken from nor answered any more, so nobody can be told either.
      const wire::IpAddress address = entry.prefix.address;
      if (entry.usable()) Report(LinkEvent::Kind::kAddressGone, entry.interface, address);
      addresses.Remove(i);
      EndConnectionsFrom(address);
      continue;
    }
    if (entry.state == AddressState::kPreferred && entry.lifetimes.preferred_until <= now) {
      entry.state = AddressState::kDeprecated;
    }
    if (entry.probe_at <= now) {
      if (entry.probes_left != 0) {
        --entry.probes_left;
        SendDuplicateProbe(entry);
        entry.probe_at = now + neighbours.retry_time();
      } else {
        AddressIsOurs(entry);
      }
    }
    ++i;
  }
}

bool Shard::Impl::AdvanceAutoconf() {
  if (now < autoconf_due) return false;
  AdvanceAddresses();
  LearnedRoutes::Router gone;
  while (routes.learned().TakeExpired(now, &gone)) {
    Report(LinkEvent::Kind::kRouterGone, gone.interface, gone.address);
    RerouteFrom(gone.interface, gone.address);
  }
  for (uint16_t i = 0; i < links.size(); ++i) {
    if (links[i].quest.Take(now)) SendRouterSolicit(i);
  }
  ScheduleAutoconf();
  return false;
}

void Shard::Impl::ScheduleAutoconf() {
  autoconf_due = routes.learned().NextDeadline();
  for (const LinkAutoconf& link : links) autoconf_due = std::min(autoconf_due, link.quest.next());
  for (const LocalAddresses::Entry& e : addresses.entries()) {
    autoconf_due = std::min({autoconf_due, e.probe_at, e.lifetimes.valid_until});
    if (e.state == AddressState::kPreferred)
      autoconf_due = std::min(autoconf_due, e.lifetimes.preferred_until);
  }
}

void Shard::Impl::EndConnectionsFrom(const wire::IpAddress& local) {
  if (addresses.IsOurs(local)) return;  // on another interface
  half_open.ForEach([&](uint32_t i) {
    if (half_open[i].key.local == local) ForgetHalfOpen(i);
  });
  for (uint32_t i = 0; i < slots.high_water(); ++i) {
    const Slot& slot = slots[i];
    if (slot.generation == 0 || slot.Is(kSlotClosed | kSlotLingering) || slot.key.local != local) continue;
    EndConnection(i, tcp::CloseReason::kUnreachable);
  }
}

void Shard::Impl::Report(LinkEvent::Kind kind, uint16_t interface, const wire::IpAddress& address) {
  if (!Speaks() || link_events.size() >= kMaxLinkEvents) return;
  link_events.push_back({.kind = kind, .interface = interface, .address = address});
}

// ---- What we ask ----

// RFC 4862 5.4.2: from nowhere, with no link address, to those who would have the same last octets.
void Shard::Impl::SendDuplicateProbe(const LocalAddresses::Entry& entry) {
  uint32_t index = kNoSlot;
  ControlFrame* frame = NewControl(entry.interface, &index);
  if (frame == nullptr) return;
  const wire::IpAddress target = entry.prefix.address;
  const wire::IpAddress to = target.SolicitedNode();
  frame->network_length = wire::kIpv6Header;
  frame->transport_length = static_cast<uint8_t>(wire::WriteNeighborSolicit(
      {.target = target, .nonce = links[entry.interface].nonce}, wire::IpAddress(), to, frame->transport()));
  WriteNetwork(*frame, wire::IpAddress(), to, wire::kProtocolIcmpv6, frame->transport_length,
               wire::kNdpHopLimit);
  WriteLink(*frame, wire::MacAddress::ForMulticast(to), wire::kEtherTypeIpv6);
  SendReady(index);
}

void Shard::Impl::SendRouterSolicit(uint16_t interface) {
  const wire::MacAddress own = interface_config(interface).mac;
  const wire::IpAddress from = wire::IpAddress::LinkLocalFor(own);
  const wire::IpAddress to = wire::IpAddress::AllRouters();
  uint32_t index = kNoSlot;
  ControlFrame* frame = NewControl(interface, &index);
  if (frame == nullptr) return;
  frame->network_length = wire::kIpv6Header;
  frame->transport_length =
      static_cast<uint8_t>(wire::WriteRouterSolicit({.source_mac = own}, from, to, frame->transport()));
  WriteNetwork(*frame, from, to, wire::kProtocolIcmpv6, frame->transport_length, wire::kNdpHopLimit);
  WriteLink(*frame, wire::MacAddress::ForMulticast(to), wire::kEtherTypeIpv6);
  SendReady(index);
}

}  // namespace tern::stack
