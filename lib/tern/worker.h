// Tier 1: the worker that application code runs on.
#ifndef TERN_TERN_WORKER_H_
#define TERN_TERN_WORKER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

#include "tern/address.h"
#include "tern/connection.h"
#include "tern/export.h"
#include "tern/handler.h"
#include "tern/stats.h"

namespace tern {

struct ConnectOptions {
  Endpoint remote;
  Endpoint local;        // address unspecified: by route, pools in turn; port 0: chosen (RFC 6056)
  bool nodelay = false;  // true: no Nagle; false: the stack's default
};

enum class ConnectStatus : uint8_t {
  kOk,
  kAddressInUse,    // the tuple is taken
  kAddressNotOurs,  // `local` is no address of this stack
  kNoRoute,
  kNoPort,   // every source port towards that remote is taken
  kTooMany,  // the configured number of connections is reached
  kClosed,   // the worker is stopping
};
TERN_EXPORT std::string_view ConnectStatusName(ConnectStatus status);

// One poll loop with everything that lives on it. Given to factories, handlers and tasks; valid until the
// stack stops. Thread: its own only. Nothing blocks or throws.
class TERN_EXPORT Worker {
 public:
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // From 0, and how many there are in the stack.
  int index() const;
  int count() const;

  // Time of this turn of the loop, on a clock that never steps back, from an arbitrary origin common to the
  // stack's workers. Free to call. Resolution: one turn.
  std::chrono::nanoseconds Now() const;
  // The clock itself, read now: for measuring latency inside one turn.
  std::chrono::nanoseconds PreciseNow() const;

  // Opens a connection from this worker (its replies come home to it). `handler` must outlive the connection
  // and be used on this worker only; at most 65,000 distinct handlers a worker. On kOk `*conn` (if not
  // nullptr) names it, and OnConnected or OnClosed follows, never from inside this call.
  ConnectStatus Connect(const ConnectOptions& options, Handler* handler, void* context = nullptr,
                        Connection* conn = nullptr);

  // Packet memory to fill and send: exactly `octets`, contents undefined; empty when the pool is short, so
  // that receiving never starves.
  Payload NewPayload(size_t octets);

  // Calls `fn` once, `delay` from Now() or later (resolution about 20 us; a busy worker may be late). For
  // applications: costs an allocation; not meant for each packet.
  using TimerId = uint64_t;  // never 0
  TimerId After(std::chrono::nanoseconds delay, std::function<void()> fn);
  // Harmless when it has fired or was cancelled.
  void Cancel(TimerId timer);

  // Counters of this worker, now. Allocates.
  WorkerStats Stats() const;

 private:
  friend class HandlerDispatch;
  explicit Worker(runtime::Worker* core) : core_(core) {}
  runtime::Worker* core_;
};

}  // namespace tern

#endif  // TERN_TERN_WORKER_H_
