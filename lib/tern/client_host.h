// Not installed: the clients of one stack.
#ifndef TERN_TERN_CLIENT_HOST_H_
#define TERN_TERN_CLIENT_HOST_H_

#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "tern/client.h"

namespace tern {

namespace runtime {
class StackCore;
}

// Thread: any; calls take turns.
class ClientHost {
 public:
  absl::StatusOr<std::unique_ptr<Client>> Attach(runtime::StackCore& core, const ClientOptions& options);
  // Takes one client's bridges off their workers and gives back what it holds.
  void Detach(runtime::StackCore& core, Client::Impl& client);
  // Takes all bridges off, before the stack stops. Returns the buffers that clients still hold.
  uint64_t DetachAll(runtime::StackCore& core);

 private:
  std::mutex mutex_;
  std::vector<Client::Impl*> clients_;
};

}  // namespace tern

#endif  // TERN_TERN_CLIENT_HOST_H_
