#include "tern/client.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>
#include <climits>
#include <utility>

#include "runtime/client_bridge.h"
#include "runtime/client_end.h"
#include "runtime/stack_core.h"
#include "tern/client_host.h"
#include "tern/dispatch.h"
#include "tern/stack.h"

namespace tern {

struct Client::Impl {
  ClientHost* host = nullptr;
  runtime::StackCore* core = nullptr;
  std::unique_ptr<runtime::ClientEnd> end;
  std::vector<runtime::ClientBridge*> bridges;  // by worker; the workers' own, touched only there
  uint64_t last_listener = 0;
};

namespace {

static_assert(static_cast<int>(ClientEventKind::kClosed) ==
              static_cast<int>(runtime::ClientHappening::kClosed));
static_assert(static_cast<int>(ClientEventKind::kAccepted) ==
              static_cast<int>(runtime::ClientHappening::kAccepted));
static_assert(static_cast<int>(ClientEventKind::kConnected) ==
              static_cast<int>(runtime::ClientHappening::kConnected));
static_assert(static_cast<int>(ClientEventKind::kReadable) ==
              static_cast<int>(runtime::ClientHappening::kReadable));
static_assert(static_cast<int>(ClientEventKind::kWritable) ==
              static_cast<int>(runtime::ClientHappening::kWritable));

Endpoint ToEndpoint(const runtime::ClientEndpoint& e) { return {Address(e.address.bytes()), e.port}; }
runtime::ClientEndpoint FromEndpoint(const Endpoint& e) {
  return {wire::IpAddress(e.address.bytes()), e.port};
}

void ReleaseList(runtime::Worker& worker, Buffer* list) {
  if (list == nullptr) return;
  Buffer* last = list;
  while (last->next != nullptr) last = last->next;
  worker.Release(list, last);
}

}  // namespace

// ---- The host ----

absl::StatusOr<std::unique_ptr<Client>> ClientHost::Attach(runtime::StackCore& core,
                                                           const ClientOptions& options) {
  if (options.chunk_size == 0 || options.chunks == 0 || options.max_connections == 0 ||
      options.send_limit == 0 || options.receive_limit == 0) {
    return absl::InvalidArgumentError("a client's limits must not be zero");
  }
  const runtime::ClientLimits limits = {.max_connections = std::min(options.max_connections, 1u << 22),
                                        .chunk_size = options.chunk_size,
                                        .chunks = options.chunks,
                                        .send_limit = options.send_limit,
                                        .receive_limit = options.receive_limit};
  auto bell = std::make_unique<runtime::Doorbell>();
  if (bell->fd() < 0) return absl::ResourceExhaustedError("no descriptor left for the client's eventfd");
  std::vector<std::shared_ptr<runtime::ClientLane>> lanes;
  std::vector<runtime::Doorbell*> worker_bells;
  auto impl = std::make_unique<Client::Impl>();
  const std::lock_guard lock(mutex_);
  for (uint16_t i = 0; i < core.worker_count(); ++i) {
    auto lane = std::make_shared<runtime::ClientLane>(HeapMemory(), bell.get());
    if (!lane->ops.ok() || !lane->notes.ok()) return absl::ResourceExhaustedError("no memory for a client");
    const bool ran = core.RunOn(i, [&](runtime::Worker& worker) {
      auto bridge = std::make_unique<runtime::ClientBridge>(worker, lane, limits);
      impl->bridges.push_back(bridge.get());
      worker_bells.push_back(&worker.bell());
      worker.AddTask(std::move(bridge));
    });
    if (!ran) return absl::FailedPreconditionError("the stack is stopped");
    lanes.push_back(std::move(lane));
  }
  impl->host = this;
  impl->core = &core;
  impl->end = std::make_unique<runtime::ClientEnd>(limits, std::move(lanes), worker_bells, std::move(bell));
  clients_.push_back(impl.get());
  return std::make_unique<Client>(std::move(impl));
}

void ClientHost::Detach(runtime::StackCore& core, Client::Impl& client) {
  const std::lock_guard lock(mutex_);
  std::erase(clients_, &client);
  for (uint16_t i = 0; i < core.worker_count(); ++i) {
    // On the worker, while the client's thread waits here: both ends rest.
    const auto end_it = [&](runtime::Worker& worker) {
      if (runtime::ClientBridge* bridge = std::exchange(client.bridges[i], nullptr)) {
        bridge->Detach();
        worker.RemoveTask(bridge);
      }
      ReleaseList(worker, client.end->TakeBuffers(i));
    };
    if (core.RunOn(i, end_it)) continue;
    // The stack has stopped: no worker touches the pool any more, and clients take turns under our lock.
    if (Buffer* list = client.end->TakeBuffers(i)) core.devices()[0]->pool(i).Release(list);
  }
}

uint64_t ClientHost::DetachAll(runtime::StackCore& core) {
  const std::lock_guard lock(mutex_);
  uint64_t held = 0;
  for (Client::Impl* client : clients_) {
    for (uint16_t i = 0; i < core.worker_count(); ++i) {
      core.RunOn(i, [&](runtime::Worker& worker) {
        runtime::ClientBridge* bridge = std::exchange(client->bridges[i], nullptr);
        if (bridge == nullptr) return;
        bridge->Detach();
        held += bridge->buffers_out();
        worker.RemoveTask(bridge);
      });
    }
  }
  return held;
}

// ---- The client ----

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Client::~Client() { impl_->host->Detach(*impl_->core, *impl_); }

int Client::event_fd() const { return impl_->end->fd(); }

size_t Client::Poll(std::span<ClientEvent> out) {
  std::array<runtime::ClientOccurrence, 64> seen;
  size_t count = 0;
  while (count < out.size()) {
    const size_t wanted = std::min(seen.size(), out.size() - count);
    const size_t got = impl_->end->Poll(std::span(seen).first(wanted));
    for (size_t i = 0; i < got; ++i) {
      out[count++] = {static_cast<ClientEventKind>(seen[i].kind), static_cast<CloseReason>(seen[i].reason),
                      seen[i].connection, seen[i].listener};
    }
    if (got < wanted) break;
  }
  return count;
}

bool Client::Wait(std::chrono::milliseconds timeout) {
  const int64_t ms = std::clamp<int64_t>(timeout.count(), -1, INT_MAX);
  return impl_->end->Wait(static_cast<int>(ms));
}

absl::StatusOr<ClientConnection> Client::Connect(const ConnectOptions& options) {
  using Result = runtime::ClientEnd::ConnectResult;
  uint64_t name = 0;
  switch (impl_->end->Connect(FromEndpoint(options.remote), FromEndpoint(options.local), options.nodelay,
                              &name)) {
    case Result::kOk:
      return name;
    case Result::kTooMany:
      return absl::ResourceExhaustedError("the client has as many connections as max_connections allows");
    case Result::kRingFull:
      return absl::ResourceExhaustedError("the worker has not kept up: Poll, and try again");
    case Result::kDetached:
      break;
  }
  return absl::FailedPreconditionError("the stack is stopped");
}

absl::StatusOr<ClientListener> Client::Listen(const ListenOptions& options) {
  if (options.local.port == 0)
    return absl::InvalidArgumentError("port 0 cannot be listened on: give one, 1 to 65535");
  const ClientListener id = ++impl_->last_listener;
  absl::Status status;
  for (uint16_t i = 0; i < impl_->core->worker_count() && status.ok(); ++i) {
    const bool ran = impl_->core->RunOn(i, [&](runtime::Worker& worker) {
      runtime::ClientBridge* bridge = impl_->bridges[i];
      if (bridge == nullptr) {
        status = absl::FailedPreconditionError("the stack is stopped");
        return;
      }
      stack::ListenSpec spec;
      status = TranslateListen(options, worker.shard().config().tcp, &spec);
      if (!status.ok()) return;
      const stack::OpenResult result = bridge->Listen(spec, id);
      if (result == stack::OpenResult::kOk) return;
      status = absl::FailedPreconditionError(
          absl::StrCat("cannot listen on ", options.local.ToString(), ": ", stack::OpenResultName(result)));
    });
    if (!ran) status = absl::FailedPreconditionError("the stack is stopped");
  }
  if (status.ok()) return id;
  CloseListener(id);
  return status;
}

void Client::CloseListener(ClientListener listener) {
  for (uint16_t i = 0; i < impl_->core->worker_count(); ++i) {
    impl_->core->RunOn(i, [&](runtime::Worker&) {
      if (impl_->bridges[i] != nullptr) impl_->bridges[i]->CloseListener(listener);
    });
  }
}

SendResult Client::Send(ClientConnection conn, std::span<const std::byte> data) {
  using Result = runtime::ClientEnd::SendResult;
  SendResult result;
  switch (impl_->end->Send(conn, data, &result.taken)) {
    case Result::kOk:
      break;
    case Result::kNoRoom:
      result.status = SendStatus::kNoRoom;
      break;
    case Result::kNotOpen:
      result.status = SendStatus::kNotOpen;
      break;
  }
  return result;
}

std::span<const std::byte> Client::Peek(ClientConnection conn) const { return impl_->end->Peek(conn); }

size_t Client::Consume(ClientConnection conn, size_t octets) { return impl_->end->Consume(conn, octets); }

size_t Client::Receive(ClientConnection conn, std::span<std::byte> out) {
  size_t copied = 0;
  while (copied < out.size()) {
    const std::span<const std::byte> piece = impl_->end->Peek(conn);
    if (piece.empty()) break;
    const size_t length = std::min(piece.size(), out.size() - copied);
    std::copy_n(piece.begin(), length, out.begin() + static_cast<ptrdiff_t>(copied));
    impl_->end->Consume(conn, length);
    copied += length;
  }
  return copied;
}

bool Client::AtEnd(ClientConnection conn) const { return impl_->end->AtEnd(conn); }
void Client::ShutdownWrite(ClientConnection conn) { impl_->end->Shutdown(conn); }
void Client::Close(ClientConnection conn) { impl_->end->LetGo(conn, false); }
void Client::Abort(ClientConnection conn) { impl_->end->LetGo(conn, true); }
Endpoint Client::local(ClientConnection conn) const { return ToEndpoint(impl_->end->local(conn)); }
Endpoint Client::remote(ClientConnection conn) const { return ToEndpoint(impl_->end->remote(conn)); }

}  // namespace tern
