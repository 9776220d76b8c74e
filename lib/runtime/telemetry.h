// Running stacks on DPDK's telemetry socket.
#ifndef TERN_RUNTIME_TELEMETRY_H_
#define TERN_RUNTIME_TELEMETRY_H_

#include "runtime/stack_core.h"

namespace tern::runtime {

// While it lives the stack answers on the telemetry socket of the process:
//   /tern/workers            one object for each worker: time, frames, TCP, what is in use
//   /tern/drops              frames dropped, by reason, all workers together
//   /tern/connections,FROM   up to 64 live connections beginning with number FROM, and the number to go on
//   with (0: none)
// Each asks the workers for a snapshot and waits for it. DPDK cannot forget a command, so the commands stay
// when the last stack is gone and answer with nothing.
class TelemetryEntry {
 public:
  // `core` must outlive the entry.
  explicit TelemetryEntry(StackCore& core);
  ~TelemetryEntry();
  TelemetryEntry(const TelemetryEntry&) = delete;
  TelemetryEntry& operator=(const TelemetryEntry&) = delete;

 private:
  StackCore* core_;
};

}  // namespace tern::runtime

#endif  // TERN_RUNTIME_TELEMETRY_H_
