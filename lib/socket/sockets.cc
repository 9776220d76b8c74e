// Descriptors, and the life of a socket from its name to its end.
#include "socket/sockets.h"

#include <algorithm>
#include <cerrno>

#include "socket/sockets_impl.h"

namespace tern::socket {
namespace {

// Linux's somaxconn; what is asked beyond is quietly less.
constexpr int kMaxBacklog = 4'096;
constexpr uint16_t kFirstEphemeral = 32'768;
constexpr uint32_t kEphemeralCount = 28'232;

int ErrorOf(stack::OpenResult result) {
  switch (result) {
    case stack::OpenResult::kOk:
      return 0;
    case stack::OpenResult::kAddressInUse:
      return EADDRINUSE;
    case stack::OpenResult::kAddressNotOurs:
      return EADDRNOTAVAIL;
    case stack::OpenResult::kNoRoute:
      return ENETUNREACH;
    case stack::OpenResult::kNoPort:
      return EADDRNOTAVAIL;
    case stack::OpenResult::kNoSlot:
      return ENOBUFS;
  }
  return EINVAL;
}

bool SameFamily(Family family, const wire::IpAddress& address) {
  return address == wire::IpAddress() || address.IsV4() == (family == Family::kIpv4) ||
         (family == Family::kIpv6 && address.IsV4());  // mapped addresses
}

}  // namespace

Sockets::Impl::Impl(stack::Shard& shard_in, BufferPool& pool_in, const SocketsConfig& config_in)
    : shard(shard_in), pool(pool_in), config(config_in), prng(config_in.seed) {
  descriptors.resize(config.max_descriptors);
  sockets.resize(config.max_sockets);
  // Bounded by the sockets there are, so that nothing grows later.
  waiting.reserve(config.max_sockets);
  deferred.reserve(config.max_sockets);
  completions.reserve(config.max_sockets);
}

SocketState* Sockets::Impl::Find(int fd) {
  const int64_t at = int64_t{fd} - config.first_descriptor;
  if (at < 0 || at >= static_cast<int64_t>(descriptors.size())) return nullptr;
  const DescriptorEntry& entry = descriptors[static_cast<size_t>(at)];
  return entry.kind == DescriptorEntry::Kind::kSocket ? &sockets[entry.index] : nullptr;
}

uint32_t Sockets::Impl::NewSocket() {
  for (uint32_t i = 0; i < sockets.size(); ++i) {
    if (sockets[i].generation != 0) continue;
    sockets[i] = SocketState();
    if (++last_generation == 0) ++last_generation;
    sockets[i].generation = last_generation;
    return i;
  }
  return kNoSocket;
}

void Sockets::Impl::FreeSocket(SocketState& s) {
  const uint32_t index = IndexOf(s);
  std::erase(waiting, index);
  std::erase(deferred, index);
  if (s.live) shard.SetUser(s.conn, 0);
  s.generation = 0;
  s.ready.clear();
}

int Sockets::Impl::NewDescriptor(DescriptorEntry entry) {
  const auto free = std::find_if(descriptors.begin(), descriptors.end(), [](const DescriptorEntry& d) {
    return d.kind == DescriptorEntry::Kind::kFree;
  });
  if (free == descriptors.end()) return -1;
  *free = entry;
  return config.first_descriptor + static_cast<int>(free - descriptors.begin());
}

void Sockets::Impl::FreeDescriptor(int fd) {
  descriptors[static_cast<size_t>(fd - config.first_descriptor)] = DescriptorEntry();
}

uint64_t Sockets::Impl::UserOf(const SocketState& s) const {
  return uint64_t{s.generation} << 32 | IndexOf(s);
}

SocketState* Sockets::Impl::FromUser(uint64_t user) {
  const auto index = static_cast<uint32_t>(user);
  const auto generation = static_cast<uint32_t>(user >> 32);
  if (generation == 0 || index >= sockets.size()) return nullptr;
  return sockets[index].generation == generation ? &sockets[index] : nullptr;
}

bool Sockets::Impl::IsOurs(const wire::IpAddress& address) const {
  for (const stack::InterfaceConfig& interface : shard.config().interfaces) {
    for (const stack::LocalAddress& local : interface.addresses) {
      if (local.prefix.address == address || (local.pool && local.prefix.Contains(address))) return true;
    }
  }
  return false;
}

bool Sockets::Impl::AddressTaken(const SocketState& self, const Endpoint& local) const {
  for (const SocketState& s : sockets) {
    if (s.generation == 0 || &s == &self || !s.bound || s.local.port != local.port || s.fd < 0) continue;
    const bool overlap =
        s.local.address.IsUnspecified() || local.address.IsUnspecified() || s.local.address == local.address;
    if (!overlap) continue;
    // SO_REUSEADDR on both lets them share, unless one listens.
    if (self.options.reuse_address && s.options.reuse_address && s.phase != Phase::kListening) continue;
    return true;
  }
  return false;
}

Result Sockets::Impl::StartListening(SocketState& s, Instant) {
  stack::ListenSpec spec{.address = s.local.address.IsUnspecified() ? wire::IpAddress() : s.local.address,
                         .port = s.local.port,
                         .backlog = s.backlog,
                         .user = UserOf(s),
                         .nodelay = s.options.nodelay,
                         .receive_buffer = s.options.receive_buffer,
                         .max_segment = s.options.max_segment};
  stack::OpenResult result = stack::OpenResult::kNoPort;
  if (spec.port != 0) {
    result = shard.Listen(spec, &s.listener);
  } else {
    const auto start = static_cast<uint32_t>(prng.Below(kEphemeralCount));
    for (uint32_t i = 0; i < kEphemeralCount; ++i) {
      spec.port = static_cast<uint16_t>(kFirstEphemeral + (start + i) % kEphemeralCount);
      result = shard.Listen(spec, &s.listener);
      if (result != stack::OpenResult::kAddressInUse) break;
    }
  }
  if (result != stack::OpenResult::kOk) return Result::Fail(ErrorOf(result));
  s.local.port = spec.port;
  s.bound = true;
  s.phase = Phase::kListening;
  return Result::Done();
}

Result Sockets::Impl::StartConnect(SocketState& s, const Endpoint& remote, Instant now) {
  if (remote.port == 0 || remote.address.IsUnspecified()) return Result::Fail(ECONNREFUSED);
  const stack::ConnectSpec spec{
      .remote = remote.address,
      .remote_port = remote.port,
      .local = s.local.address.IsUnspecified() ? wire::IpAddress() : s.local.address,
      .local_port = s.local.port,
      .user = UserOf(s),
      .nodelay = s.options.nodelay,
      .receive_buffer = s.options.receive_buffer,
      .max_segment = s.options.max_segment};
  const stack::OpenResult result = shard.Connect(spec, now, &s.conn);
  if (result != stack::OpenResult::kOk) return Result::Fail(ErrorOf(result));
  s.live = true;
  s.phase = Phase::kConnecting;
  s.remote = remote;
  if (const wire::FlowKey* key = shard.Key(s.conn); key != nullptr) s.local = {key->local, key->local_port};
  s.bound = true;
  if (s.options.cork) shard.SetCork(s.conn, true);
  // Of the options that wait for the connection, this one speaks of the SYN as well.
  if (s.options.user_timeout_ms != 0) {
    shard.SetUserTimeout(s.conn, Duration::Millis(s.options.user_timeout_ms));
  }
  return Result::Done();
}

void Sockets::Impl::UpdateBacklog(SocketState& s) {
  const auto queued = static_cast<uint32_t>(s.ready.size());
  shard.SetBacklog(s.listener, s.backlog > queued ? s.backlog - queued : 0);
}

void Sockets::Impl::StopListening(SocketState& s, Instant now) {
  shard.CloseListener(s.listener);
  // Whoever nobody accepted has to be told.
  for (uint32_t i = 0; i < sockets.size(); ++i) {
    SocketState& child = sockets[i];
    if (child.generation == 0 || child.fd >= 0 || child.parent != IndexOf(s)) continue;
    if (child.live) shard.Abort(child.conn, now);
    FreeSocket(child);
  }
  s.ready.clear();
  s.phase = Phase::kFresh;
}

Result Sockets::Impl::CloseSocket(SocketState& s, Instant now) {
  if (s.phase == Phase::kListening) StopListening(s, now);
  if (!s.live) return Result::Done();
  const bool ends_at_once = s.options.linger.on && s.options.linger.seconds == 0;
  if (ends_at_once) {
    shard.Abort(s.conn, now);
    return Result::Done();
  }
  shard.Close(s.conn, now);
  return s.options.linger.on && !s.nonblocking ? TryClose(s, now) : Result::Done();
}

// ---- The interface ----

Sockets::Sockets(stack::Shard& shard, BufferPool& pool, const SocketsConfig& config)
    : impl_(std::make_unique<Impl>(shard, pool, config)) {}
Sockets::~Sockets() = default;

Result Sockets::Socket(Family family) {
  const uint32_t index = impl_->NewSocket();
  if (index == kNoSocket) return Result::Fail(ENFILE);
  const int fd = impl_->NewDescriptor({DescriptorEntry::Kind::kSocket, index});
  SocketState& s = impl_->sockets[index];
  if (fd < 0) {
    impl_->FreeSocket(s);
    return Result::Fail(EMFILE);
  }
  s.fd = fd;
  s.family = family;
  return Result::Done(fd);
}

Result Sockets::Bind(int fd, const Endpoint& local) {
  SocketState* s = impl_->Find(fd);
  if (s == nullptr) return Result::Fail(EBADF);
  if (s->bound || s->phase != Phase::kFresh) return Result::Fail(EINVAL);
  if (!SameFamily(s->family, local.address)) return Result::Fail(EAFNOSUPPORT);
  if (!local.address.IsUnspecified() && !impl_->IsOurs(local.address)) return Result::Fail(EADDRNOTAVAIL);
  if (local.port != 0 && impl_->AddressTaken(*s, local)) return Result::Fail(EADDRINUSE);
  s->local = local;
  s->bound = true;
  return Result::Done();
}

Result Sockets::Listen(int fd, int backlog, Instant now) {
  SocketState* s = impl_->Find(fd);
  if (s == nullptr) return Result::Fail(EBADF);
  if (s->phase != Phase::kFresh && s->phase != Phase::kListening) return Result::Fail(EINVAL);
  s->backlog = static_cast<uint32_t>(std::clamp(backlog, 1, kMaxBacklog));
  if (s->phase == Phase::kFresh) return impl_->StartListening(*s, now);
  impl_->UpdateBacklog(*s);
  return Result::Done();
}

Result Sockets::Connect(int fd, const Endpoint& remote, Instant now) {
  SocketState* s = impl_->Find(fd);
  if (s == nullptr) return Result::Fail(EBADF);
  switch (s->phase) {
    case Phase::kListening:
      return Result::Fail(EISCONN);
    case Phase::kConnecting:
      return Result::Fail(EALREADY);
    case Phase::kConnected:
      // A connection that a non-blocking call began is told once, as if this call had made it.
      if (s->connect_told) return Result::Fail(EISCONN);
      s->connect_told = true;
      return Result::Done();
    case Phase::kEnded:
      if (const int error = impl_->TakeError(*s); error != 0) return Result::Fail(error);
      if (s->connect_told) return Result::Fail(EISCONN);
      break;
    case Phase::kFresh:
      break;
  }
  if (!SameFamily(s->family, remote.address)) return Result::Fail(EAFNOSUPPORT);
  const Result started = impl_->StartConnect(*s, remote, now);
  if (!started.ok()) return started;
  if (s->nonblocking) return Result::Fail(EINPROGRESS);
  return impl_->Begin(*s, {.kind = OpKind::kConnect}, /*blocking=*/true, now);
}

Result Sockets::Accept(int fd, bool nonblocking, Endpoint* peer, Instant now) {
  SocketState* s = impl_->Find(fd);
  if (s == nullptr) return Result::Fail(EBADF);
  if (s->phase != Phase::kListening) return Result::Fail(EINVAL);
  return impl_->Begin(*s, {.kind = OpKind::kAccept, .nonblocking_child = nonblocking, .peer = peer},
                      !s->nonblocking, now);
}

Result Sockets::Shutdown(int fd, ShutdownHow how, Instant now) {
  SocketState* s = impl_->Find(fd);
  if (s == nullptr) return Result::Fail(EBADF);
  const bool read = how != ShutdownHow::kWrite;
  const bool write = how != ShutdownHow::kRead;
  if (s->phase == Phase::kListening && read) {
    impl_->StopListening(*s, now);
    return Result::Done();
  }
  if (s->phase != Phase::kConnected || (!s->live && !s->in_order)) return Result::Fail(ENOTCONN);
  if (read) s->shut_read = true;
  if (write && !s->shut_write) {
    s->shut_write = true;
    if (s->live) impl_->shard.ShutdownWrite(s->conn, now);
  }
  ++s->wakeups;
  return Result::Done();
}

Result Sockets::Close(int fd, Instant now) {
  Impl& impl = *impl_;
  const int64_t at = int64_t{fd} - impl.config.first_descriptor;
  if (at < 0 || at >= static_cast<int64_t>(impl.descriptors.size())) return Result::Fail(EBADF);
  const DescriptorEntry entry = impl.descriptors[static_cast<size_t>(at)];
  if (entry.kind == DescriptorEntry::Kind::kFree) return Result::Fail(EBADF);
  if (entry.kind == DescriptorEntry::Kind::kEpoll) {
    impl.epolls[entry.index] = EpollState();
    impl.FreeDescriptor(fd);
    return Result::Done();
  }
  SocketState& s = impl.sockets[entry.index];
  if (s.op.kind == OpKind::kClose) return Result::Fail(EBADF);
  if (s.op.kind != OpKind::kNone) impl.Finish(s, Result::Fail(EBADF));
  const Result result = impl.CloseSocket(s, now);
  if (result.pending) {
    s.op = {.kind = OpKind::kClose, .deadline = now + Duration::Seconds(s.options.linger.seconds)};
    impl.waiting.push_back(entry.index);
    return result;
  }
  impl.FreeDescriptor(fd);
  impl.FreeSocket(s);
  return result;
}

std::optional<stack::ConnHandle> Sockets::Connection(int fd) const {
  const SocketState* s = impl_->Find(fd);
  return s != nullptr && s->live ? std::optional(s->conn) : std::nullopt;
}

}  // namespace tern::socket
