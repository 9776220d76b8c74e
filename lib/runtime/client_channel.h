// What a client thread and a worker say to each other: operations one way, notes the other.
#ifndef TERN_RUNTIME_CLIENT_CHANNEL_H_
#define TERN_RUNTIME_CLIENT_CHANNEL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/buffer.h"
#include "base/spsc_ring.h"
#include "runtime/doorbell.h"
#include "tcp/effects.h"
#include "wire/ip_address.h"

namespace tern::runtime {

// Names a connection between one client and one worker. Whoever opens it picks the number: the client for its
// own opens, the worker, with kAcceptedId set, for those it accepted. The generation tells apart who had the
// number before.
inline constexpr uint32_t kAcceptedId = 1u << 23;
inline constexpr uint32_t kIdIndexMask = kAcceptedId - 1;

// A piece of a client's own memory on its way through a worker into packet buffers. The octets follow it.
struct Chunk {
  Chunk* next = nullptr;
  uint32_t length = 0;  // octets in it
  uint32_t sent = 0;    // the worker's: octets of them already taken
  uint8_t* data = nullptr;
};

enum class ClientOpKind : uint8_t {
  kConnect,   // to remote, from local
  kSend,      // `pointer`: a Chunk
  kReturn,    // `pointer`: a list of Buffers the client is done with, `octets` of payload in all
  kShutdown,  // end our stream after what was sent
  kClose,     // let go; the id is free
  kAbort,     // reset; the id is free
};

struct ClientOp {
  ClientOpKind kind = ClientOpKind::kClose;
  bool nodelay = false;
  uint16_t remote_port = 0;
  uint16_t local_port = 0;
  uint32_t id = 0;
  uint32_t generation = 0;
  uint32_t octets = 0;
  void* pointer = nullptr;
  wire::IpAddress remote;
  wire::IpAddress local;
};
static_assert(sizeof(ClientOp) == 64);

enum class ClientNoteKind : uint8_t {
  kAccepted,   // by `listener`
  kConnected,  // an open succeeded
  kData,       // `pointer`: a list of Buffers with `octets` of payload in all
  kEnd,        // the peer ended its stream
  kChunks,     // `pointer`: a list of Chunks done with
  kClosed,     // for `reason`; the worker has forgotten it
};

struct ClientNote {
  ClientNoteKind kind = ClientNoteKind::kClosed;
  tcp::CloseReason reason = tcp::CloseReason::kNone;
  uint16_t remote_port = 0;
  uint16_t local_port = 0;
  uint32_t id = 0;
  uint32_t generation = 0;
  uint32_t octets = 0;
  union {
    void* pointer = nullptr;
    uint64_t listener;
  };
  wire::IpAddress remote;
  wire::IpAddress local;
};
static_assert(sizeof(ClientNote) == 64);

struct ClientLimits {
  uint32_t max_connections = 4'096;
  uint32_t chunk_size = 16 * 1024;
  uint32_t chunks = 256;  // for each worker
  uint32_t send_limit = 256 * 1024;
  uint32_t receive_limit = 256 * 1024;
};

// The rings between one client and one worker. Shared by both ends; the last to go frees it.
struct ClientLane {
  static constexpr size_t kOps = 1'024;
  static constexpr size_t kNotes = 1'024;

  ClientLane(MemorySource& memory, Doorbell* client)
      : ops(memory, kOps), notes(memory, kNotes), bell(client) {}

  SpscRing<ClientOp> ops;
  SpscRing<ClientNote> notes;
  Doorbell* bell;  // the client's
  // The client found `ops` full: ring when there is room.
  alignas(64) std::atomic<bool> wants_room{false};
  // The worker let go: nothing will be read from `ops` any more, save what the client takes back itself.
  std::atomic<bool> detached{false};
  SpscRing<ClientOp>::Consumer late_ops;  // the client's once `detached` is set
};

}  // namespace tern::runtime

#endif  // TERN_RUNTIME_CLIENT_CHANNEL_H_
