// Not installed: what the sources of this room share.
#ifndef TERN_TERN_DISPATCH_H_
#define TERN_TERN_DISPATCH_H_

#include <cstdint>
#include <memory>

#include "tern/handler.h"
#include "tern/stack.h"
#include "tern/worker.h"

namespace tern {

struct ImpairmentTotals;
namespace stack {
struct ListenSpec;
}
namespace tcp {
struct TcpConfig;
}
namespace runtime {
class StackCore;
struct StackConfig;
struct WorkerSnapshot;
}  // namespace runtime

// Makes public values out of the runtime's, and back.
class HandlerDispatch {
 public:
  // A worker's public face.
  static std::unique_ptr<Worker> Face(runtime::Worker* core) {
    return std::unique_ptr<Worker>(new Worker(core));
  }
  static Connection Make(runtime::Worker* core, uint32_t slot, uint32_t generation) {
    return Connection(core, slot, generation);
  }
  // The user word of connections that `handler` serves; 0 when the worker has too many handlers.
  static uint64_t UserWord(runtime::Worker& core, Handler* handler, void* context);
};

WorkerStats MakeStats(const runtime::WorkerSnapshot& snapshot);
ImpairmentStats MakeStats(const ImpairmentTotals& totals);

// Checks the options and writes what the runtime needs of them. Errors name option, value and fix. Devices,
// huge pages, lcores and the EAL are the glue's business.
absl::Status TranslateOptions(const Options& options, runtime::StackConfig* config);

// The same for a listener; the caller adds its user word.
absl::Status TranslateListen(const ListenOptions& options, const tcp::TcpConfig& tcp,
                             stack::ListenSpec* spec);

// A stack around what the glue has built.
std::unique_ptr<Stack> MakeStack(std::unique_ptr<runtime::StackCore> core, const Options& options);

}  // namespace tern

#endif  // TERN_TERN_DISPATCH_H_
