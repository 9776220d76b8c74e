// What the socket layer is made of. For the files of this room only.
#ifndef TERN_SOCKET_SOCKETS_IMPL_H_
#define TERN_SOCKET_SOCKETS_IMPL_H_

#include <array>
#include <cstdint>
#include <vector>

#include "base/prng.h"
#include "socket/sockets.h"

namespace tern::socket {

inline constexpr uint32_t kNoSocket = 0xffffffff;

enum class Phase : uint8_t {
  kFresh,  // neither connected nor listening
  kListening,
  kConnecting,
  kConnected,  // until the connection has ended and its error, if any, is known
  kEnded,
};

enum class OpKind : uint8_t { kNone, kAccept, kConnect, kReceive, kSend, kClose };

// The one call that a descriptor waits in.
struct PendingOp {
  OpKind kind = OpKind::kNone;
  bool nonblocking_child = false;
  uint32_t flags = 0;
  size_t done = 0;  // octets transferred so far
  std::span<const ReadPart> read;
  std::span<const WritePart> write;
  Endpoint* peer = nullptr;
  Instant deadline = Instant::Never();
};

struct SocketOptions {
  bool reuse_address = false;
  bool reuse_port = false;
  bool nodelay = false;
  bool cork = false;
  bool has_congestion = false;
  CongestionName congestion = CongestionName::kCubic;
  uint16_t max_segment = 0;
  uint32_t receive_buffer = 0;  // 0: the shard's
  uint32_t send_buffer = 0;     // 0: the shard's
  uint32_t low_water = 1;
  int64_t receive_timeout_ms = 0;
  int64_t send_timeout_ms = 0;
  int64_t defer_accept_s = 0;
  int64_t user_timeout_ms = 0;  // 0: the configured number of retransmissions
  bool keepalive = false;
  tcp::KeepaliveTimes keepalive_times;
  Linger linger;
};

struct SocketState {
  uint32_t generation = 0;  // 0: free
  int fd = -1;              // -1: waits for its accept
  Family family = Family::kIpv4;
  Phase phase = Phase::kFresh;
  bool bound = false;
  bool nonblocking = false;
  bool live = false;         // `conn` names a connection that has not ended
  bool peer_closed = false;  // its FIN is in order
  bool shut_read = false;
  bool shut_write = false;
  bool in_order = false;  // it ended in order: reads give what is left, then 0
  bool connect_told = false;
  int error = 0;  // SO_ERROR
  Endpoint local;
  Endpoint remote;
  stack::ConnHandle conn;
  uint32_t listener = 0;  // of the shard
  uint32_t backlog = 0;
  uint32_t parent = kNoSocket;             // the listening socket whose queue this one is in
  Instant defer_until = Instant::Never();  // TCP_DEFER_ACCEPT: in no queue yet
  std::vector<uint32_t> ready;             // listening: to be accepted, oldest first
  PendingOp op;
  SocketOptions options;
  uint32_t wakeups = 0;  // how often something happened that edge-triggered waiters hear of
};

struct Interest {
  int fd = -1;
  uint32_t socket = kNoSocket;
  uint32_t generation = 0;
  uint32_t events = 0;
  uint32_t seen = 0;  // wakeups told
  bool disabled = false;
  uint64_t data = 0;
};

struct EpollState {
  bool used = false;
  std::vector<Interest> interests;
  size_t turn = 0;
};

struct DescriptorEntry {
  enum class Kind : uint8_t { kFree, kSocket, kEpoll } kind = Kind::kFree;
  uint32_t index = 0;
};

struct Sockets::Impl {
  Impl(stack::Shard& shard_in, BufferPool& pool_in, const SocketsConfig& config_in);

  // ---- sockets.cc ----
  SocketState* Find(int fd);
  const SocketState* Find(int fd) const { return const_cast<Impl*>(this)->Find(fd); }
  uint32_t IndexOf(const SocketState& s) const { return static_cast<uint32_t>(&s - sockets.data()); }
  uint32_t NewSocket();
  void FreeSocket(SocketState& s);
  int NewDescriptor(DescriptorEntry entry);  // -1: none left
  void FreeDescriptor(int fd);
  uint64_t UserOf(const SocketState& s) const;
  SocketState* FromUser(uint64_t user);
  bool IsOurs(const wire::IpAddress& address) const;
  bool AddressTaken(const SocketState& self, const Endpoint& local) const;
  Result StartListening(SocketState& s, Instant now);
  Result StartConnect(SocketState& s, const Endpoint& remote, Instant now);
  void StopListening(SocketState& s, Instant now);
  Result CloseSocket(SocketState& s, Instant now);
  void UpdateBacklog(SocketState& s);

  // ---- options.cc ----
  Result SetLiveness(SocketState& s, Option option, int64_t value, Instant now);

  // ---- transfer.cc ----
  // Each: done, failed, or pending with nothing remembered.
  Result TryReceive(SocketState& s, PendingOp& op, Instant now);
  Result TrySend(SocketState& s, PendingOp& op, Instant now);
  uint32_t RoomOf(SocketState& s);
  uint32_t CopyIn(SocketState& s, PendingOp& op, uint32_t room, Instant now);
  uint32_t CopyOut(SocketState& s, PendingOp& op, Instant now);
  uint32_t Readable(const SocketState& s) const;

  // ---- events.cc ----
  void OnEvent(const stack::ShardEvent& event, Instant now);
  SocketState* OnAccepted(const stack::ShardEvent& event, Instant now);
  void OfferToAccept(SocketState& child);
  void ApplyOptions(SocketState& s, Instant now);
  Result TryAccept(SocketState& s, PendingOp& op);
  Result TryConnect(SocketState& s);
  Result TryClose(SocketState& s, Instant now);
  Result Advance(SocketState& s, Instant now);
  // Runs `op` now; when it would block, remembers it (blocking) or says `would_block`.
  Result Begin(SocketState& s, const PendingOp& op, bool blocking, Instant now);
  void Finish(SocketState& s, Result result);
  int TakeError(SocketState& s);
  uint32_t ReadinessOf(const SocketState& s) const;

  const tcp::Connection* Tcp(const SocketState& s) const { return s.live ? shard.Tcp(s.conn) : nullptr; }

  stack::Shard& shard;
  BufferPool& pool;
  SocketsConfig config;
  Prng prng;
  std::vector<DescriptorEntry> descriptors;  // by number less first_descriptor
  std::vector<SocketState> sockets;
  std::vector<uint32_t> waiting;   // sockets with a pending operation
  std::vector<uint32_t> deferred;  // connections that wait for data before they are offered
  std::vector<EpollState> epolls;
  std::vector<Completion> completions;
  uint32_t last_generation = 0;
};

}  // namespace tern::socket

#endif  // TERN_SOCKET_SOCKETS_IMPL_H_
