// Listeners, active opens, and the end of the shard.
#include <algorithm>

#include "stack/shard_impl.h"
#include "tcp/isn.h"
#include "wire/tcp.h"

namespace tern::stack {
namespace {

// RFC 9293 3.7.1: what a peer takes that does not say.
constexpr uint16_t kDefaultMss4 = 536;
constexpr uint16_t kDefaultMss6 = 1220;
// How many addresses of a pool are tried for one that has a port left.
constexpr uint32_t kPoolTries = 64;

}  // namespace

OpenResult Shard::Impl::Listen(const ListenSpec& spec, uint32_t* listener) {
  if (closing) return OpenResult::kNoSlot;
  if (spec.port == 0) return OpenResult::kNoPort;
  if (!spec.address.IsUnspecified() && !addresses.IsAssigned(spec.address)) {
    return OpenResult::kAddressNotOurs;
  }
  if (listeners.Taken(spec.address, spec.port)) return OpenResult::kAddressInUse;
  Listener* added = listeners.Add(spec.address, spec.port, listener);
  if (added == nullptr) return OpenResult::kNoSlot;
  added->user = spec.user;
  added->backlog = spec.backlog;
  added->nodelay = spec.nodelay;
  added->source_limit = spec.source_limit;
  added->defer_accept = spec.defer_accept;
  if (spec.accept_rate != 0) {
    added->accept_rate = TokenBucket(Duration::Nanos(1'000'000'000 / spec.accept_rate), spec.accept_rate);
  }
  added->receive_buffer = spec.receive_buffer != 0 ? spec.receive_buffer : config.tcp.receive_buffer;
  added->max_segment = spec.max_segment;
  return OpenResult::kOk;
}

void Shard::Impl::CloseListener(uint32_t listener) {
  if (listeners.Get(listener) == nullptr) return;
  DropHalfOpenOf(listener);
  TellDeferredOf(listener);
  listeners.Remove(listener);
  // Connections that nobody accepted are found without a listener by PollEvents, and aborted there.
}

uint16_t Shard::Impl::LinkMss(const wire::FlowKey& key, uint16_t interface) const {
  const size_t headers = (key.remote.IsV4() ? wire::kIpv4MinHeader : wire::kIpv6Header) + wire::kTcpMinHeader;
  const size_t mtu = std::max<size_t>(MtuOf(interface, !key.remote.IsV4()), headers + 1);
  return static_cast<uint16_t>(mtu - headers);
}

uint16_t Shard::Impl::DefaultPeerMss(const wire::FlowKey& key) {
  return key.remote.IsV4() ? kDefaultMss4 : kDefaultMss6;
}

tcp::OpenParams Shard::Impl::ParamsFor(const wire::FlowKey& key, uint16_t interface) const {
  const uint64_t hash = TupleHash(key);
  return {.iss = tcp::InitialSequence(hash, now),
          .ts_offset = tcp::TimestampOffset(hash),
          .link_mss = LinkMss(key, interface),
          .default_peer_mss = DefaultPeerMss(key),
          .path = PathParamsFor(key.remote)};
}

bool Shard::Impl::PortUsable(const wire::FlowKey& key) const {
  // The answers have to come to this worker.
  if (steering.worker_count() > 1 && steering.OwnerOf(key) != config.worker) return false;
  return !FindFlow(key, flows.Hash(key));
}

bool Shard::Impl::ChoosePort(wire::FlowKey& key) {
  return port_chooser.Choose(key, [this](const wire::FlowKey& candidate) {
    return listeners.Find(candidate.local, candidate.local_port) == 0 && PortUsable(candidate);
  });
}

bool Shard::Impl::ChooseTuple(const ConnectSpec& spec, const NextHop& hop, wire::FlowKey* key,
                              OpenResult* result) {
  *key = {.remote = spec.remote, .local_port = spec.local_port, .remote_port = spec.remote_port};
  const bool fixed_address = !spec.local.IsUnspecified();
  // Routers that were learned are link-local: it is the destination that the source has to suit.
  const bool via_router = !hop.address.IsV4() && hop.address.IsLinkLocal();
  const wire::IpAddress& towards = via_router ? spec.remote : hop.address;
  if (fixed_address && (!addresses.IsOurs(spec.local) || spec.local.IsV4() != spec.remote.IsV4())) {
    *result = OpenResult::kAddressNotOurs;
    return false;
  }
  for (uint32_t tries = 0; tries < kPoolTries; ++tries) {
    const std::optional<wire::IpAddress> local =
        fixed_address ? spec.local : addresses.SourceFor(hop.interface, towards);
    // RFC 4291 2.5.6: no router passes on what comes from a link-local address; better to say so at once.
    if (!local || (via_router && !fixed_address && local->IsLinkLocal() && !spec.remote.IsLinkLocal())) {
      *result = OpenResult::kNoRoute;
      return false;
    }
    const bool same_again = tries > 0 && *local == key->local;
    key->local = *local;
    if (same_again) break;
    if (spec.local_port == 0 ? ChoosePort(*key) : PortUsable(*key)) return true;
  }
  *result = spec.local_port == 0 ? OpenResult::kNoPort : OpenResult::kAddressInUse;
  return false;
}

OpenResult Shard::Impl::Connect(const ConnectSpec& spec, ConnHandle* handle) {
  if (closing) return OpenResult::kNoSlot;
  if (spec.remote_port == 0) return OpenResult::kNoPort;
  // RFC 9293 3.9.2.3, MUST-46: no opens to groups or broadcast addresses; and we are not on any wire to
  // ourselves.
  if (!spec.remote.IsValidUnicast() || addresses.IsBroadcast(spec.remote) || addresses.IsOurs(spec.remote)) {
    return OpenResult::kNoRoute;
  }
  const std::optional<NextHop> hop = routes.Lookup(
      spec.remote,
      spec.local.IsUnspecified() ? kAnyInterface : addresses.InterfaceOf(spec.local, kAnyInterface));
  if (!hop) return OpenResult::kNoRoute;
  wire::FlowKey key;
  OpenResult result = OpenResult::kOk;
  if (!ChooseTuple(spec, *hop, &key, &result)) return result;
  return StartConnection(spec, key, *hop, handle);
}

OpenResult Shard::Impl::StartConnection(const ConnectSpec& spec, const wire::FlowKey& key, const NextHop& hop,
                                        ConnHandle* handle) {
  const uint32_t neighbour = neighbours.FindOrAdd(hop.interface, hop.address, now);
  if (neighbour == kNoSlot) return OpenResult::kNoSlot;
  const uint32_t index = slots.Allocate();
  if (index == kNoSlot) return OpenResult::kNoSlot;
  Slot& slot = slots[index];
  if (!flows.Insert(flows.Hash(key), IdOf(index))) {
    slots.Release(index);
    return OpenResult::kNoSlot;
  }
  tcp::OpenParams params = ParamsFor(key, hop.interface);
  params.receive_buffer = spec.receive_buffer;
  if (spec.max_segment != 0) params.link_mss = std::min(params.link_mss, spec.max_segment);
  if (!tcp::OpenActive(slot.conn, env, params, now)) {
    flows.Remove(flows.Hash(key), IdOf(index));
    slots.Release(index);
    return OpenResult::kNoSlot;
  }
  slot.key = key;
  slot.ipv6 = !key.remote.IsV4();
  slot.user = spec.user;
  slot.neighbour = static_cast<uint16_t>(neighbour);
  ++neighbours[neighbour].users;
  SetHopLimit(slot);
  slot.Set(kSlotSeen);
  if (spec.nodelay) slot.conn.Set(tcp::kNoDelay);
  *handle = {index, slot.generation};
  MarkDirty(index, slots[index]);
  UpdateTimer(index, slots[index]);
  return OpenResult::kOk;
}

void Shard::Impl::CloseAll(bool abort) {
  closing = true;
  half_open.ForEach([this](uint32_t i) { ForgetHalfOpen(i); });
  listeners.RemoveAll();
  DropFragments();
  for (uint32_t i = 0; i < slots.high_water(); ++i) {
    Slot& slot = slots[i];
    if (slot.generation == 0 || slot.Is(kSlotClosed)) continue;
    if (abort || !slot.Is(kSlotSeen)) {
      Abort(i);
    } else {
      Close(i);
    }
  }
  if (!abort) return;
  while (time_wait.in_use() != 0) RecycleOldestTimeWait();
  // Frames that wait for an answer from a neighbour hold buffers; the answer may never come.
  neighbours.ForEach([this](uint32_t n) { FailWaiters(n); });
}

}  // namespace tern::stack
