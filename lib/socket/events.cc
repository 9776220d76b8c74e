// What the shard tells, and how it moves pending operations on.
#include <algorithm>
#include <array>
#include <cerrno>

#include "base/take_front.h"
#include "socket/sockets_impl.h"

namespace tern::socket {
namespace {

int ErrorOf(tcp::CloseReason reason, bool was_connecting, bool peer_closed) {
  switch (reason) {
    case tcp::CloseReason::kReset:
      // The peer was done sending already: what failed is our own sending.
      if (peer_closed) return EPIPE;
      return was_connecting ? ECONNREFUSED : ECONNRESET;
    case tcp::CloseReason::kRefused:
      return ECONNREFUSED;
    case tcp::CloseReason::kTimedOut:
      return ETIMEDOUT;
    case tcp::CloseReason::kUnreachable:
      return EHOSTUNREACH;
    case tcp::CloseReason::kAborted:
      return ECONNABORTED;
    case tcp::CloseReason::kNone:
    case tcp::CloseReason::kGraceful:
      break;
  }
  return 0;
}

}  // namespace

int Sockets::Impl::TakeError(SocketState& s) {
  const int error = s.error;
  s.error = 0;
  return error;
}

void Sockets::Impl::ApplyOptions(SocketState& s, Instant now) {
  if (s.options.nodelay) shard.SetNoDelay(s.conn, true);
  if (s.options.cork) shard.SetCork(s.conn, true);
  if (s.options.user_timeout_ms != 0) {
    shard.SetUserTimeout(s.conn, Duration::Millis(s.options.user_timeout_ms));
  }
  if (s.options.keepalive) shard.SetKeepalive(s.conn, &s.options.keepalive_times, now);
  if (s.options.receive_buffer != 0) shard.SetReceiveBuffer(s.conn, s.options.receive_buffer, now);
  if (s.options.has_congestion) {
    shard.SetCongestion(s.conn, s.options.congestion == CongestionName::kCubic
                                    ? tcp::CongestionAlgorithm::kCubic
                                    : tcp::CongestionAlgorithm::kNewReno);
  }
}

// A passive connection is open: a socket of its own, which its listener offers.
SocketState* Sockets::Impl::OnAccepted(const stack::ShardEvent& event, Instant now) {
  SocketState* listener = FromUser(event.user);
  const uint32_t index = listener == nullptr ? kNoSocket : NewSocket();
  if (index == kNoSocket) {
    shard.SetUser(event.handle, 0);
    shard.Abort(event.handle, now);
    return nullptr;
  }
  SocketState& child = sockets[index];
  child.family = listener->family;
  child.phase = Phase::kConnected;
  child.connect_told = true;
  child.live = true;
  child.conn = event.handle;
  child.options = listener->options;
  child.parent = IndexOf(*listener);
  if (const wire::FlowKey* key = shard.Key(event.handle); key != nullptr) {
    child.local = {key->local, key->local_port};
    child.remote = {key->remote, key->remote_port};
  }
  shard.SetUser(event.handle, UserOf(child));
  ApplyOptions(child, now);
  if (child.options.defer_accept_s == 0 || (event.events & tcp::kEventReadable) != 0) {
    OfferToAccept(child);
  } else {
    child.defer_until = now + Duration::Seconds(child.options.defer_accept_s);
    deferred.push_back(index);
  }
  return &child;
}

void Sockets::Impl::OfferToAccept(SocketState& child) {
  SocketState& listener = sockets[child.parent];
  child.defer_until = Instant::Never();
  std::erase(deferred, IndexOf(child));
  listener.ready.push_back(IndexOf(child));
  ++listener.wakeups;
  UpdateBacklog(listener);
}

void Sockets::Impl::OnEvent(const stack::ShardEvent& event, Instant now) {
  const bool accepted = event.passive && (event.events & tcp::kEventConnected) != 0;
  SocketState* s = accepted ? OnAccepted(event, now) : FromUser(event.user);
  if (s == nullptr || !s->live || !(s->conn == event.handle)) return;
  ++s->wakeups;
  if ((event.events & tcp::kEventConnected) != 0 && s->phase == Phase::kConnecting) {
    s->phase = Phase::kConnected;
    ApplyOptions(*s, now);
  }
  if ((event.events & tcp::kEventPeerClosed) != 0) s->peer_closed = true;
  if (s->defer_until != Instant::Never() && (event.events & (tcp::kEventReadable | tcp::kEventClosed)) != 0) {
    OfferToAccept(*s);
  }
  if ((event.events & tcp::kEventClosed) == 0) return;
  s->live = false;
  const bool connecting = s->phase == Phase::kConnecting;
  s->error = ErrorOf(event.reason, connecting, s->peer_closed);
  if (event.reason == tcp::CloseReason::kGraceful) {
    // Both streams are through; only this end may still have the descriptor.
    s->in_order = true;
    s->peer_closed = true;
  } else {
    s->phase = Phase::kEnded;
  }
}

Result Sockets::Impl::TryAccept(SocketState& s, PendingOp& op) {
  if (s.phase != Phase::kListening) return Result::Fail(EINVAL);
  if (s.ready.empty()) return Result::Pending();
  SocketState& child = sockets[s.ready.front()];
  const int fd = NewDescriptor({DescriptorEntry::Kind::kSocket, s.ready.front()});
  if (fd < 0) return Result::Fail(EMFILE);
  s.ready.erase(s.ready.begin());
  UpdateBacklog(s);
  child.fd = fd;
  child.parent = kNoSocket;
  child.nonblocking = op.nonblocking_child;
  if (op.peer != nullptr) *op.peer = child.remote;
  return Result::Done(fd);
}

Result Sockets::Impl::TryConnect(SocketState& s) {
  if (s.phase == Phase::kConnecting) return Result::Pending();
  if (const int error = TakeError(s); error != 0) {
    s.phase = Phase::kFresh;  // another attempt is allowed
    return Result::Fail(error);
  }
  s.connect_told = true;
  return Result::Done();
}

// SO_LINGER: until the peer has acknowledged everything, our FIN included.
Result Sockets::Impl::TryClose(SocketState& s, Instant) {
  const tcp::Connection* conn = Tcp(s);
  if (conn == nullptr) return Result::Done();
  const bool unacked = conn->state == tcp::State::kFinWait1 || conn->state == tcp::State::kClosing ||
                       conn->state == tcp::State::kLastAck;
  return unacked ? Result::Pending() : Result::Done();
}

Result Sockets::Impl::Advance(SocketState& s, Instant now) {
  switch (s.op.kind) {
    case OpKind::kNone:
      break;
    case OpKind::kAccept:
      return TryAccept(s, s.op);
    case OpKind::kConnect:
      return TryConnect(s);
    case OpKind::kReceive:
      return TryReceive(s, s.op, now);
    case OpKind::kSend:
      return TrySend(s, s.op, now);
    case OpKind::kClose:
      return TryClose(s, now);
  }
  return Result::Done();
}

Result Sockets::Impl::Begin(SocketState& s, const PendingOp& op, bool blocking, Instant now) {
  if (s.op.kind != OpKind::kNone) return Result::Fail(EBUSY);
  s.op = op;
  const Result result = Advance(s, now);
  if (!result.pending) {
    s.op = PendingOp();
    return result;
  }
  if (!blocking) {
    const size_t done = s.op.done;
    s.op = PendingOp();
    return done != 0 ? Result::Done(static_cast<int64_t>(done)) : Result::Fail(EAGAIN);
  }
  const int64_t limit_ms = op.kind == OpKind::kSend || op.kind == OpKind::kConnect
                               ? s.options.send_timeout_ms
                               : s.options.receive_timeout_ms;
  if (limit_ms != 0) s.op.deadline = now + Duration::Millis(limit_ms);
  waiting.push_back(IndexOf(s));
  return result;
}

void Sockets::Impl::Finish(SocketState& s, Result result) {
  const int fd = s.fd;
  const bool closing = s.op.kind == OpKind::kClose;
  std::erase(waiting, IndexOf(s));
  s.op = PendingOp();
  completions.push_back({fd, result});
  if (!closing) return;
  FreeDescriptor(fd);
  FreeSocket(s);
}

void Sockets::Pump(Instant now) {
  Impl& impl = *impl_;
  std::array<stack::ShardEvent, 64> events;
  while (const size_t n = impl.shard.PollEvents(events)) {
    for (size_t i = 0; i < n; ++i) impl.OnEvent(events[i], now);
  }
  for (size_t i = 0; i < impl.deferred.size();) {
    SocketState& s = impl.sockets[impl.deferred[i]];
    if (s.defer_until > now) {
      ++i;
    } else {
      impl.OfferToAccept(s);  // takes it out of the list
    }
  }
  for (size_t i = 0; i < impl.waiting.size();) {
    SocketState& s = impl.sockets[impl.waiting[i]];
    Result result = impl.Advance(s, now);
    if (result.pending && s.op.deadline <= now) {
      const bool closing = s.op.kind == OpKind::kClose;
      const int error = s.op.kind == OpKind::kConnect ? EINPROGRESS : EAGAIN;
      result =
          closing || s.op.done != 0 ? Result::Done(static_cast<int64_t>(s.op.done)) : Result::Fail(error);
    }
    if (result.pending) {
      ++i;
    } else {
      impl.Finish(s, result);  // takes it out of the list
    }
  }
}

size_t Sockets::TakeCompletions(std::span<Completion> out) { return TakeFront(impl_->completions, out); }

Instant Sockets::NextDeadline() const {
  Instant first = Instant::Never();
  for (const uint32_t i : impl_->waiting) first = std::min(first, impl_->sockets[i].op.deadline);
  for (const uint32_t i : impl_->deferred) first = std::min(first, impl_->sockets[i].defer_until);
  return first;
}

void Sockets::Interrupt(int fd) {
  SocketState* s = impl_->Find(fd);
  if (s == nullptr || s->op.kind == OpKind::kNone) return;
  const auto done = static_cast<int64_t>(s->op.done);
  impl_->Finish(*s, done != 0 ? Result::Done(done) : Result::Fail(EINTR));
}

}  // namespace tern::socket
