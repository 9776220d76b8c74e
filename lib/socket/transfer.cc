// Octets between callers and connections.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "socket/sockets_impl.h"

namespace tern::socket {
namespace {

template <typename Part>
size_t TotalOf(std::span<const Part> parts) {
  size_t total = 0;
  for (const Part& part : parts) total += part.length;
  return total;
}

// The part that octet number `at` of all lies in, and where in it. REQUIRES: there is such an octet.
template <typename Part>
std::pair<const Part*, size_t> Locate(std::span<const Part> parts, size_t at) {
  const Part* part = parts.data();
  while (at >= part->length) {
    at -= part->length;
    ++part;
  }
  return {part, at};
}

}  // namespace

uint32_t Sockets::Impl::Readable(const SocketState& s) const {
  const tcp::Connection* conn = Tcp(s);
  return conn == nullptr ? 0 : conn->rcv_queued;
}

// Copies what waits into the caller's parts, from op.done on; taken from the stream unless only looked at.
uint32_t Sockets::Impl::CopyOut(SocketState& s, PendingOp& op, Instant now) {
  const size_t wanted = TotalOf(op.read) - op.done;
  const auto take = static_cast<uint32_t>(std::min<size_t>(wanted, Readable(s)));
  const bool peek = (op.flags & kMessagePeek) != 0;
  uint32_t copied = 0;
  if ((op.flags & kMessageTruncate) != 0) copied = take;
  while (copied < take) {
    const auto [part, at] = Locate(op.read, op.done + copied);
    const size_t piece = std::min<size_t>(part->length - at, take - copied);
    copied += shard.Peek(s.conn, copied, {part->data + at, piece});
  }
  if (!peek && copied != 0) shard.Discard(s.conn, copied, now);
  return copied;
}

Result Sockets::Impl::TryReceive(SocketState& s, PendingOp& op, Instant now) {
  if (s.phase == Phase::kFresh || s.phase == Phase::kListening) return Result::Fail(ENOTCONN);
  const size_t total = TotalOf(op.read);
  const bool peek = (op.flags & kMessagePeek) != 0;
  const bool all = (op.flags & kMessageWaitAll) != 0;
  if (Readable(s) != 0 && total > op.done) {
    const uint32_t waits = Readable(s);
    const bool enough = !all || waits + op.done >= total || s.peer_closed || s.shut_read;
    const bool above_mark = waits >= std::min<size_t>(s.options.low_water, total - op.done) || s.peer_closed;
    if ((!peek || enough) && above_mark) op.done += CopyOut(s, op, now);
  }
  if (op.done == total && total != 0) return Result::Done(static_cast<int64_t>(total));
  if (op.done != 0 && !all) return Result::Done(static_cast<int64_t>(op.done));
  const bool ended = (s.peer_closed && Readable(s) == 0) || s.shut_read || (s.phase == Phase::kEnded);
  if (op.done != 0 && (ended || s.error != 0)) return Result::Done(static_cast<int64_t>(op.done));
  if (const int error = TakeError(s); error != 0) return Result::Fail(error);
  if (ended || total == 0) return Result::Done(0);
  return Result::Pending();
}

uint32_t Sockets::Impl::RoomOf(SocketState& s) {
  const tcp::Connection* conn = Tcp(s);
  if (conn == nullptr) return 0;
  const uint32_t room = shard.SendRoom(s.conn);
  if (s.options.send_buffer == 0) return room;
  const uint32_t used = conn->snd_una.DistanceTo(conn->snd_end);
  return std::min(room, s.options.send_buffer > used ? s.options.send_buffer - used : 0);
}

// Copies at most `room` octets of the caller's into buffers and queues them. 0 when there is no buffer.
uint32_t Sockets::Impl::CopyIn(SocketState& s, PendingOp& op, uint32_t room, Instant now) {
  uint32_t left = static_cast<uint32_t>(std::min<size_t>(TotalOf(op.write) - op.done, room));
  uint32_t copied = 0;
  BufferChain chain;
  while (left != 0) {
    Buffer* buffer = nullptr;
    if (!pool.Allocate({&buffer, 1})) break;
    while (left != 0 && buffer->tailroom != 0) {
      const auto [part, at] = Locate(op.write, op.done + copied);
      const auto piece = static_cast<uint32_t>(std::min<size_t>({part->length - at, left, buffer->tailroom}));
      std::memcpy(buffer->data + buffer->length, part->data + at, piece);
      buffer->length += piece;
      buffer->tailroom -= piece;
      copied += piece;
      left -= piece;
    }
    chain.PushBack(buffer);
  }
  if (copied == 0) return 0;
  shard.Send(s.conn, chain, now);
  // The room was there, so all of it was taken; what was not would be the caller's again.
  while (Buffer* rest = chain.PopFront()) {
    copied -= rest->length;
    pool.Release(rest);
  }
  return copied;
}

Result Sockets::Impl::TrySend(SocketState& s, PendingOp& op, Instant now) {
  const size_t total = TotalOf(op.write);
  const auto so_far = [&] { return Result::Done(static_cast<int64_t>(op.done)); };
  if (s.error != 0 && op.done == 0) return Result::Fail(TakeError(s));
  if (s.error != 0) return so_far();
  const bool cannot = s.shut_write || s.phase == Phase::kFresh || s.phase == Phase::kListening ||
                      s.phase == Phase::kEnded || (s.phase == Phase::kConnected && !s.live);
  if (cannot) return op.done != 0 ? so_far() : Result::Fail(EPIPE);
  if (s.phase == Phase::kConnecting) return Result::Pending();
  while (op.done < total) {
    const uint32_t room = RoomOf(s);
    if (room == 0) break;
    const uint32_t copied = CopyIn(s, op, room, now);
    if (copied == 0) break;
    op.done += copied;
  }
  return op.done == total ? so_far() : Result::Pending();
}

Result Sockets::Receive(int fd, std::span<const ReadPart> parts, uint32_t flags, Instant now) {
  SocketState* s = impl_->Find(fd);
  if (s == nullptr) return Result::Fail(EBADF);
  // Urgent octets stay in the stream (RFC 6093 3): none is kept apart to be asked for.
  if ((flags & kMessageOob) != 0) return Result::Fail(EINVAL);
  return impl_->Begin(*s, {.kind = OpKind::kReceive, .flags = flags, .read = parts},
                      !s->nonblocking && (flags & kMessageDontWait) == 0, now);
}

Result Sockets::Send(int fd, std::span<const WritePart> parts, uint32_t flags, Instant now) {
  SocketState* s = impl_->Find(fd);
  if (s == nullptr) return Result::Fail(EBADF);
  if ((flags & kMessageOob) != 0) return Result::Fail(EOPNOTSUPP);
  const bool cork = (flags & kMessageMore) != 0 && !s->options.cork && s->live;
  if (cork) impl_->shard.SetCork(s->conn, true);
  const Result result = impl_->Begin(*s, {.kind = OpKind::kSend, .flags = flags, .write = parts},
                                     !s->nonblocking && (flags & kMessageDontWait) == 0, now);
  // What was sent with "more" waits for the next call without it.
  if ((flags & kMessageMore) == 0 && !s->options.cork && s->live && impl_->shard.Tcp(s->conn) != nullptr &&
      impl_->shard.Tcp(s->conn)->Is(tcp::kCork)) {
    impl_->shard.SetCork(s->conn, false);
  }
  return result;
}

}  // namespace tern::socket
