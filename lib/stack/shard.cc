// The shard's face: each call notes the time and goes to its part.
#include "stack/shard.h"

#include <algorithm>

#include "base/take_front.h"
#include "stack/shard_impl.h"

namespace tern::stack {
namespace {

// Enough that a full window of every connection rarely runs out, and small connections never.
constexpr uint32_t kRecordsPerConnection = 4;
constexpr uint32_t kLeastRecords = 65'536;
constexpr uint32_t kLeastRanges = 16'384;
// Stale entries included: see kMaxArm.
constexpr uint32_t kWheelEntriesPerConnection = 32;
// Neighbour solicitations for more addresses than this need a device that takes all groups.
constexpr uint32_t kMaxPoolGroups = 64;

uint32_t RecordLimit(const ShardConfig& config) {
  if (config.max_send_records != 0) return config.max_send_records;
  return std::max(kLeastRecords, config.max_connections * kRecordsPerConnection);
}

// The uses of one secret must not be views of one hash. Any numbers that differ; the ISN secret serves SYN
// cookies, too.
constexpr uint64_t kCookiePurpose = 0x434f4f4b4945;
constexpr uint64_t kSourcePurpose = 0x534f55524345;
constexpr uint64_t kReassemblyPurpose = 0x66726167;
constexpr uint64_t kPathPurpose = 0x50415448;
constexpr uint64_t kDelayPurpose = 0x44454c4159;

// Interfaces that believe routers.
size_t Learning(const ShardConfig& config) {
  return static_cast<size_t>(std::count_if(config.interfaces.begin(), config.interfaces.end(),
                                           [](const InterfaceConfig& i) { return i.autoconf.on; }));
}

HashKey Derive(const std::array<uint8_t, 16>& secret, uint64_t purpose) {
  const HashKey key = HashKeyFromBytes(secret);
  return {SipHash24(key, purpose, 0), SipHash24(key, purpose, 1)};
}

}  // namespace

const char* OpenResultName(OpenResult result) {
  switch (result) {
    case OpenResult::kOk:
      return "ok";
    case OpenResult::kAddressInUse:
      return "address in use";
    case OpenResult::kAddressNotOurs:
      return "address not ours";
    case OpenResult::kNoRoute:
      return "no route";
    case OpenResult::kNoPort:
      return "no port left";
    case OpenResult::kNoSlot:
      return "no slot left";
  }
  return "?";
}

Shard::Impl::Impl(const ShardConfig& shard_config, MemorySource& memory, Instant start)
    : config(shard_config),
      now(start),
      cold(memory, config.max_connections),
      records(memory, RecordLimit(config)),
      ranges(memory, std::max(kLeastRanges, config.max_connections)),
      env{.config = &config.tcp, .cold = &cold, .records = &records, .ranges = &ranges},
      isn_key(HashKeyFromBytes(config.isn_secret)),
      cookies(Derive(config.isn_secret, kCookiePurpose)),
      addresses(config.interfaces),
      routes(addresses, config.routes, Learning(config)),
      steering(config.rss_key, config.worker_count),
      port_chooser(Derive(config.table_secret, config.seed)),
      flows(memory, config.max_connections + config.max_half_open + config.max_time_wait,
            HashKeyFromBytes(config.table_secret)),
      slots(memory, config.max_connections),
      half_open(memory, config.max_half_open, config.tcp),
      time_wait(memory, config.max_time_wait, config.tcp.msl * 2),
      listeners(config.max_listeners),
      sources(memory, config.max_half_open, Derive(config.table_secret, config.seed ^ kSourcePurpose)),
      deferrals(memory, config.max_connections, start),
      paths(memory, config.max_paths, Derive(config.table_secret, config.seed ^ kPathPurpose)),
      raises(memory, config.max_connections, start),
      neighbours(memory, config.max_neighbours, Derive(config.table_secret, ~config.seed)),
      reassembly(memory, config.reassembly, Derive(config.table_secret, kReassemblyPurpose)),
      wheel(memory, config.max_connections * kWheelEntriesPerConnection, start),
      controls(memory, kMaxControlFrames),
      ports(config.interfaces.size()),
      event_ring(config.max_connections),
      links(config.interfaces.size()),
      random(SipHash24(Derive(config.table_secret, config.seed ^ kDelayPurpose), 0, 0)),
      challenges(config.tcp.challenges_per_second,
                 SipHash24(Derive(config.table_secret, config.seed), 0, 2)) {
  env.challenges = &challenges;
  notices.reserve(config.worker_count > 1 ? kMaxNotices : 0);
  foreign.reserve(config.worker_count > 1 ? kMaxForeign : 0);
  BeginAutoconf();
}

Shard::Shard(const ShardConfig& config, MemorySource& memory, Instant now)
    : impl_(std::make_unique<Impl>(config, memory, now)) {}
Shard::~Shard() = default;

void Shard::Input(std::span<RxFrame> frames, uint16_t interface, Instant now) {
  impl_->now = now;
  impl_->Input(frames, interface);
}

bool Shard::AdvanceTimers(Instant now) {
  impl_->now = now;
  return impl_->AdvanceTimers();
}

Instant Shard::NextDeadline(Instant now) const {
  impl_->now = now;
  return impl_->NextDeadline();
}

size_t Shard::PollTransmit(uint16_t interface, Instant now, std::span<TxFrame> out) {
  impl_->now = now;
  return impl_->PollTransmit(interface, out);
}

Buffer* Shard::TakeReleased() { return impl_->released.TakeAll(); }

size_t Shard::PollEvents(std::span<ShardEvent> out) { return impl_->PollEvents(out); }
bool Shard::HasEvents() const { return !impl_->event_ring.empty(); }

OpenResult Shard::Listen(const ListenSpec& spec, uint32_t* listener) { return impl_->Listen(spec, listener); }
void Shard::SetBacklog(uint32_t listener, uint32_t backlog) {
  if (Listener* l = impl_->listeners.Get(listener); l != nullptr) l->backlog = backlog;
}

void Shard::CloseListener(uint32_t listener) { impl_->CloseListener(listener); }

OpenResult Shard::Connect(const ConnectSpec& spec, Instant now, ConnHandle* handle) {
  impl_->now = now;
  return impl_->Connect(spec, handle);
}

bool Shard::IsLive(ConnHandle handle) const { return impl_->Live(handle) != nullptr; }

void Shard::SetUser(ConnHandle handle, uint64_t user) {
  if (Slot* slot = impl_->slots.Find(handle.slot, handle.generation); slot != nullptr) slot->user = user;
}
uint64_t Shard::User(ConnHandle handle) const {
  const Slot* slot = impl_->slots.Find(handle.slot, handle.generation);
  return slot == nullptr ? 0 : slot->user;
}
const wire::FlowKey* Shard::Key(ConnHandle handle) const {
  const Slot* slot = impl_->slots.Find(handle.slot, handle.generation);
  return slot == nullptr ? nullptr : &slot->key;
}
const tcp::Connection* Shard::Tcp(ConnHandle handle) const {
  const Slot* slot = impl_->slots.Find(handle.slot, handle.generation);
  return slot == nullptr ? nullptr : &slot->conn;
}

const tcp::ColdState* Shard::Cold(ConnHandle handle) const {
  const Slot* slot = impl_->Live(handle);
  return slot == nullptr || slot->conn.cold == kNoSlot ? nullptr : &impl_->cold[slot->conn.cold];
}
ConnHandle Shard::NextLive(uint32_t* cursor) const {
  while (*cursor < impl_->slots.high_water()) {
    const uint32_t index = (*cursor)++;
    const ConnHandle handle = {index, impl_->slots[index].generation};
    if (IsLive(handle)) return handle;
  }
  return {};
}

uint32_t Shard::Peek(ConnHandle handle, uint32_t offset, std::span<uint8_t> out) const {
  const Slot* slot = impl_->Live(handle);
  return slot == nullptr ? 0 : tcp::Peek(slot->conn, offset, out);
}

uint32_t Shard::Discard(ConnHandle handle, uint32_t octets, Instant now) {
  impl_->now = now;
  return impl_->Discard(handle, octets);
}

void Shard::ShutdownWrite(ConnHandle handle, Instant now) {
  impl_->now = now;
  Slot* slot = impl_->Live(handle);
  if (slot == nullptr) return;
  tcp::Effects effects;
  tcp::ShutdownWrite(slot->conn, impl_->env, now, effects);
  impl_->Settle(handle.slot, effects);
}

void Shard::Close(ConnHandle handle, Instant now) {
  impl_->now = now;
  if (impl_->Live(handle) != nullptr) impl_->Close(handle.slot);
}

void Shard::Abort(ConnHandle handle, Instant now) {
  impl_->now = now;
  if (impl_->Live(handle) != nullptr) impl_->Abort(handle.slot);
}

void Shard::SetNoDelay(ConnHandle handle, bool on) {
  Slot* slot = impl_->Live(handle);
  if (slot == nullptr) return;
  tcp::Effects effects;
  tcp::SetNoDelay(slot->conn, on, effects);
  impl_->Settle(handle.slot, effects);
}

void Shard::CloseAll(bool abort, Instant now) {
  impl_->now = now;
  impl_->CloseAll(abort);
}

void Shard::OnLinkNotice(const LinkNotice& notice, Instant now) {
  impl_->now = now;
  if (notice.interface < impl_->ports.size()) impl_->Apply(notice);
}

size_t Shard::TakeLinkNotices(std::span<LinkNotice> out) { return TakeFront(impl_->notices, out); }

bool Shard::HasLinkEvents() const { return !impl_->link_events.empty(); }

size_t Shard::TakeLinkEvents(std::span<LinkEvent> out) { return TakeFront(impl_->link_events, out); }

size_t Shard::TakeForeign(std::span<ForeignFrame> out) { return impl_->TakeForeign(out); }

std::vector<wire::MacAddress> Shard::MulticastGroups(uint16_t interface) const {
  std::vector<wire::MacAddress> groups;
  const auto join = [&](const wire::IpAddress& group) {
    const wire::MacAddress mac = wire::MacAddress::ForMulticast(group);
    if (std::find(groups.begin(), groups.end(), mac) == groups.end()) groups.push_back(mac);
  };
  for (const LocalAddresses::Entry& e : impl_->addresses.entries()) {
    if (e.interface != interface || e.prefix.address.IsV4()) continue;
    join(wire::IpAddress::AllNodes());
    const uint32_t count = e.pool ? std::min(PoolSize(e.prefix), kMaxPoolGroups) : 1;
    for (uint32_t i = 0; i < count; ++i) {
      join((e.pool ? PoolAddress(e.prefix, i) : e.prefix.address).SolicitedNode());
    }
  }
  return groups;
}

void Shard::SetFastPath(bool on) { impl_->env.fast_path = on; }
void Shard::SetMemoryTight(bool tight) { impl_->env.memory_tight = tight; }

const ShardCounters& Shard::counters() const { return impl_->counters; }
const ShardConfig& Shard::config() const { return impl_->config; }

ShardUsage Shard::usage() const {
  const Impl& i = *impl_;
  return {.connections = i.slots.in_use(),
          .half_open = i.half_open.in_use(),
          .deferred = i.deferred,
          .sources = i.sources.in_use(),
          .time_wait = i.time_wait.in_use(),
          .listeners = i.listeners.in_use(),
          .neighbours = i.neighbours.in_use(),
          .paths = i.paths.in_use(),
          .send_records = i.records.in_use(),
          .cold_states = i.cold.in_use(),
          .timers = i.armed,
          .fragments = i.reassembly.fragments()};
}

}  // namespace tern::stack
