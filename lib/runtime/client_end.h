// A client thread's end of its lanes: connections as the client sees them, its send memory, its events.
#ifndef TERN_RUNTIME_CLIENT_END_H_
#define TERN_RUNTIME_CLIENT_END_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "runtime/client_channel.h"
#include "runtime/doorbell.h"

namespace tern::runtime {

struct ClientEndpoint {
  wire::IpAddress address;
  uint16_t port = 0;
};

enum class ClientHappening : uint8_t { kAccepted, kConnected, kReadable, kWritable, kClosed };

struct ClientOccurrence {
  ClientHappening kind = ClientHappening::kReadable;
  tcp::CloseReason reason = tcp::CloseReason::kNone;
  uint64_t connection = 0;
  uint64_t listener = 0;
};

// Connections are named by {generation, worker, id of the lane}, never 0.
// Thread: one at a time, save what is marked.
class ClientEnd {
 public:
  // One lane to each worker, at most 255, and the bells that wake them.
  ClientEnd(const ClientLimits& limits, std::vector<std::shared_ptr<ClientLane>> lanes,
            const std::vector<Doorbell*>& worker_bells, std::unique_ptr<Doorbell> bell);
  ~ClientEnd();

  int fd() const { return bell_->fd(); }
  size_t Poll(std::span<ClientOccurrence> out);
  // Sleeps until Poll may have something; false on time-out. Negative: for ever.
  bool Wait(int timeout_ms);

  enum class ConnectResult : uint8_t { kOk, kTooMany, kRingFull, kDetached };
  ConnectResult Connect(const ClientEndpoint& remote, const ClientEndpoint& local, bool nodelay,
                        uint64_t* name);

  enum class SendResult : uint8_t { kOk, kNoRoom, kNotOpen };
  SendResult Send(uint64_t name, std::span<const std::byte> data, size_t* taken);
  std::span<const std::byte> Peek(uint64_t name) const;
  size_t Consume(uint64_t name, size_t octets);
  bool AtEnd(uint64_t name) const;
  void Shutdown(uint64_t name);
  // The name is stale afterwards.
  void LetGo(uint64_t name, bool abort);
  ClientEndpoint local(uint64_t name) const;
  ClientEndpoint remote(uint64_t name) const;

  // True once the stack was stopped.
  bool detached() const;
  // Takes every buffer that came from `worker` and was not returned, as a list; nullptr when none. The client
  // is over after this. The caller makes sure that the worker does not push meanwhile.
  Buffer* TakeBuffers(uint16_t worker);

 private:
  struct Connection {
    uint32_t id = 0;
    uint32_t generation = 0;
    uint16_t worker = 0;
    bool in_use = false;
    bool ended = false;            // the peer's FIN was told
    bool closed = false;           // the worker told so
    bool finished = false;         // this side ended its stream
    bool cut_short = false;        // kWritable is owed
    bool readable_queued = false;  // an event not yet given says so already
    uint32_t in_flight = 0;        // octets in chunks at the worker
    Buffer* rx_head = nullptr;
    Buffer* rx_tail = nullptr;
    Buffer* used_head = nullptr;  // consumed, to be returned
    Buffer* used_tail = nullptr;
    uint32_t used_octets = 0;
    ClientEndpoint local;
    ClientEndpoint remote;
  };
  struct Lane {
    std::shared_ptr<ClientLane> shared;
    Doorbell* worker_bell = nullptr;
    SpscRing<ClientOp>::Producer ops;
    SpscRing<ClientNote>::Consumer notes;
    std::deque<ClientOp> waiting;  // operations that may not be lost, while the ring is full
    std::deque<Connection> opened;
    std::vector<uint32_t> free_opened;
    std::deque<Connection> accepted;  // by index of id
    std::vector<uint8_t> memory;      // of the chunks
    std::vector<Chunk> chunks;
    Chunk* free_chunks = nullptr;
  };

  static uint64_t NameOf(const Connection& conn);
  Connection* Find(uint64_t name);
  const Connection* Find(uint64_t name) const { return const_cast<ClientEnd*>(this)->Find(name); }
  Connection& Adopt(uint16_t worker, const ClientNote& note);
  Connection* FindNoted(uint16_t worker, const ClientNote& note);
  bool Drain();
  void Take(uint16_t worker, const ClientNote& note);
  void TakeData(Connection& conn, const ClientNote& note);
  void TakeChunks(uint16_t worker, Connection* conn, Chunk* list);
  void NoteReadable(Connection& conn);
  void WakeSenders(Lane& lane);
  void NoteDetached();
  // Pushes now or, when the ring is full, as soon as it is not.
  void PushSurely(Lane& lane, const ClientOp& op);
  void FlushWaiting(Lane& lane);
  void AskForRoom(Lane& lane);
  void ReturnUsed(Connection& conn);
  bool AnythingNoted();

  const ClientLimits limits_;
  std::unique_ptr<Doorbell> bell_;
  bool armed_ = false;
  bool detached_told_ = false;
  std::vector<Lane> lanes_;
  std::deque<ClientOccurrence> ready_;
  std::vector<uint64_t> cut_short_;
  uint32_t last_generation_ = 0;
  uint32_t open_ = 0;
  uint16_t next_worker_ = 0;
};

}  // namespace tern::runtime

#endif  // TERN_RUNTIME_CLIENT_END_H_
