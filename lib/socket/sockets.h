// Socket semantics over one shard: descriptors, errno, blocking calls as pending operations, options, poll
// and epoll. Sans-IO like the shard itself: time comes in, nothing sleeps, nothing calls back.
//
// A call that would block returns Result::Pending and is remembered by its descriptor; Pump finishes it when
// its time has come and hands a Completion out. Each descriptor has room for one such operation: a second
// call that would block gives EBUSY. Buffers named by a pending call have to stay until its completion.
//
// Thread: all calls from the one thread that drives the shard. Ownership: the layer takes the shard's events
// (Shard::PollEvents) for itself; whoever drives the shard goes on doing input, timers, transmit and release.
#ifndef TERN_SOCKET_SOCKETS_H_
#define TERN_SOCKET_SOCKETS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/buffer.h"
#include "base/instant.h"
#include "socket/types.h"
#include "stack/shard.h"

namespace tern::socket {

struct SocketsConfig {
  int first_descriptor = 3;  // the lowest number that is given; always the lowest free one
  uint32_t max_descriptors = 1'024;
  uint32_t max_sockets = 4'096;  // those that wait to be accepted included
  uint64_t seed = 0;             // for ports of listeners that ask for any
};

class Sockets {
 public:
  // `shard` and `pool` outlive this. Payload to send is copied into buffers of `pool`.
  Sockets(stack::Shard& shard, BufferPool& pool, const SocketsConfig& config);
  // Does not touch the shard: its connections live on, and nobody hears of them.
  ~Sockets();
  Sockets(const Sockets&) = delete;
  Sockets& operator=(const Sockets&) = delete;

  // ---- Life of a descriptor ----
  Result Socket(Family family);
  Result Bind(int fd, const Endpoint& local);
  Result Listen(int fd, int backlog, Instant now);
  // EINPROGRESS when non-blocking; readiness for writing tells the end, and SO_ERROR how it went.
  Result Connect(int fd, const Endpoint& remote, Instant now);
  // `nonblocking` is of the new descriptor. `*peer`, which may be null, must stay while pending.
  Result Accept(int fd, bool nonblocking, Endpoint* peer, Instant now);
  Result Shutdown(int fd, ShutdownHow how, Instant now);
  // The descriptor is free at once, but for a blocking one with SO_LINGER: that is pending until all is
  // acknowledged or the time is over. A pending operation of the descriptor ends with EBADF.
  Result Close(int fd, Instant now);

  // ---- Data ----
  // Octets read; 0 at the end of the stream. Flags: peek, don't wait, wait all, truncate.
  Result Receive(int fd, std::span<const ReadPart> parts, uint32_t flags, Instant now);
  // Blocking: all of it, or what went before an error. Flags: don't wait, more.
  Result Send(int fd, std::span<const WritePart> parts, uint32_t flags, Instant now);

  // ---- Options ----
  Result SetOption(int fd, Option option, int64_t value, Instant now);
  Result GetOption(int fd, Option option);
  Result SetLinger(int fd, const Linger& linger);
  Result GetLinger(int fd, Linger* linger);
  Result SetCongestion(int fd, CongestionName name);
  Result GetCongestion(int fd, CongestionName* name);
  Result GetInfo(int fd, Instant now, TcpInfo* info);
  Result SetNonBlocking(int fd, bool on);
  Result IsNonBlocking(int fd) const;
  Result LocalName(int fd, Endpoint* local) const;
  Result PeerName(int fd, Endpoint* peer) const;
  Result ReadableOctets(int fd) const;  // FIONREAD, SIOCINQ
  Result UnackedOctets(int fd) const;   // SIOCOUTQ, TIOCOUTQ: queued or sent, and not acknowledged
  Result UnsentOctets(int fd) const;    // SIOCOUTQNSD

  // ---- Readiness ----
  // PollBits that hold now; kPollInvalid for a descriptor that is not open.
  uint32_t Readiness(int fd) const;
  Result EpollCreate();
  Result EpollControl(int epoll, EpollOp op, int fd, const EpollEvent& event);
  // Those that are ready, at most out.size(), in turn; 0 when none is, and then ask again after Pump: whoever
  // waits keeps the time.
  Result EpollWait(int epoll, std::span<EpollEvent> out);

  // ---- Time ----
  // Takes the shard's events and goes on with pending operations. After every Input and AdvanceTimers.
  void Pump(Instant now);
  size_t TakeCompletions(std::span<Completion> out);
  // When Pump has to be called though the shard has nothing to do; Never when it has not.
  Instant NextDeadline() const;
  // A signal interrupts whatever `fd` waits for: EINTR, or the octets transferred so far.
  void Interrupt(int fd);

  // For tests and tools: the connection behind a descriptor, if it has a live one.
  std::optional<stack::ConnHandle> Connection(int fd) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tern::socket

#endif  // TERN_SOCKET_SOCKETS_H_
