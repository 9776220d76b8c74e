// Tier 3: TCP for any thread, over rings to the workers.
#ifndef TERN_TERN_CLIENT_H_
#define TERN_TERN_CLIENT_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "tern/address.h"
#include "tern/connection.h"
#include "tern/export.h"
#include "tern/worker.h"

namespace tern {

struct ListenOptions;

// Sizes in octets.
struct ClientOptions {
  uint32_t max_connections = 4'096;     // open at once, all workers together
  uint32_t chunk_size = 16 * 1024;      // unit of the client's own send memory
  uint32_t chunks = 256;                // of them for each worker
  uint32_t send_limit = 256 * 1024;     // of one connection: taken by Send and not yet by the stack
  uint32_t receive_limit = 256 * 1024;  // of one connection: delivered to the client and not consumed
};

// Names a connection or listener of one client. 0 is none. Stale ids are harmless.
using ClientConnection = uint64_t;
using ClientListener = uint64_t;

enum class ClientEventKind : uint8_t {
  kAccepted,   // `connection` is new, from `listener`
  kConnected,  // an open succeeded
  kReadable,   // data waits, or the peer ended its stream
  kWritable,   // there is room again after a Send was cut short
  kClosed,     // it is over, for `reason`; after what Receive still gives, the id is stale: call Close on it
};

struct ClientEvent {
  ClientEventKind kind = ClientEventKind::kReadable;
  CloseReason reason = CloseReason::kNone;
  ClientConnection connection = 0;
  ClientListener listener = 0;
};

// One application thread's way into a running stack. Operations go to the workers over single-producer rings
// and events come back the same way; nobody takes a lock. Sent bytes are copied into the client's own memory,
// received bytes are read where the device put them.
//
// Thread: one at a time, and not a worker. A client may be handed to another thread with the usual
// synchronisation. Destruction aborts what is open and returns every buffer. It must not outlive its stack.
class TERN_EXPORT Client {
 public:
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Readable when Poll may have something. Poll (returning less than it was asked for) re-arms it. It belongs
  // to the client: put it into poll or epoll, do not read or close it.
  int event_fd() const;
  // Events so far, at most out.size(); 0 when there are none. Does not block.
  size_t Poll(std::span<ClientEvent> out);
  // Sleeps until Poll may have something or `timeout` passes (negative: for ever); false on time-out.
  bool Wait(std::chrono::milliseconds timeout);

  // Starts an open on one of the workers, in turn. kConnected or kClosed follows. Errors: the client's limit
  // of connections, its rings are full (kResourceExhausted: poll, and try again), the stack stopped.
  absl::StatusOr<ClientConnection> Connect(const ConnectOptions& options);
  // Listens on every worker and waits for their answer; kAccepted events follow.
  absl::StatusOr<ClientListener> Listen(const ListenOptions& options);
  // Stops accepting. Connections accepted live on.
  void CloseListener(ClientListener listener);

  // Copies what there is room for into the client's memory and queues it; kWritable follows when it was not
  // all. Allowed while the connection opens.
  SendResult Send(ClientConnection conn, std::span<const std::byte> data);

  // The next received octets, where they lie: one piece, empty when none waits. Valid until Consume on the
  // same connection.
  std::span<const std::byte> Peek(ClientConnection conn) const;
  // Lets go of octets at the front; the peer's window opens by them. Returns how many: min(octets, waiting).
  size_t Consume(ClientConnection conn, size_t octets);
  // Copies and consumes; returns the octets.
  size_t Receive(ClientConnection conn, std::span<std::byte> out);
  // The peer ended its stream, and everything was consumed.
  bool AtEnd(ClientConnection conn) const;

  // As in Connection. After Close and Abort the id is stale at once and no event of it follows.
  void ShutdownWrite(ClientConnection conn);
  void Close(ClientConnection conn);
  void Abort(ClientConnection conn);

  // Unspecified until kConnected or kAccepted, and for a stale id.
  Endpoint local(ClientConnection conn) const;
  Endpoint remote(ClientConnection conn) const;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace tern

#endif  // TERN_TERN_CLIENT_H_
