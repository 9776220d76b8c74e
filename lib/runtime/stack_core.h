// A stack as a whole: devices, workers, and the threads they run on.
#ifndef TERN_RUNTIME_STACK_CORE_H_
#define TERN_RUNTIME_STACK_CORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/memory_source.h"
#include "runtime/device.h"
#include "runtime/handover.h"
#include "runtime/worker.h"

namespace tern::runtime {

// The threads that workers run on: EAL lcores in production, plain threads in tests.
class Launcher {
 public:
  virtual ~Launcher() = default;
  // Runs entry(argument) on thread `index`, which must be idle.
  virtual absl::Status Launch(size_t index, int (*entry)(void*), void* argument) = 0;
  // Waits until it has returned.
  virtual void Join(size_t index) = 0;
  // CPU of thread `index`, or -1.
  virtual int lcore(size_t index) const = 0;
};

// Workers on threads that the kernel places.
std::unique_ptr<Launcher> PlainThreads();

struct StackConfig {
  // For every worker alike. Filled in by the stack: worker numbers, secrets, seeds, the RSS key; and of each
  // interface what its device says: offloads, and MAC and MTU where they are zero.
  stack::ShardConfig shard;
  uint16_t workers = 1;
  IdlePolicy idle = IdlePolicy::kAdaptive;
  Duration idle_spin = Duration::Micros(50);
  uint64_t seed = 0;  // 0: secrets from the system
  // As WorkerConfig's; called by the first worker.
  std::function<void(const stack::LinkEvent&)> on_link_event;
};

// What was still held at the end.
struct Leaks {
  uint64_t buffers = 0;
  uint64_t connections = 0;
  uint64_t send_records = 0;
  uint64_t timers = 0;
};

// Thread: Create, Start, Stop and destruction from one thread; the rest from any but a worker's.
class StackCore {
 public:
  // Devices are as many and in the order of config.shard.interfaces, each with at least `workers` queues.
  // `memory` must outlive the stack and serve several threads.
  static absl::StatusOr<std::unique_ptr<StackCore>> Create(const StackConfig& config,
                                                           std::vector<std::unique_ptr<Device>> devices,
                                                           std::unique_ptr<Launcher> launcher,
                                                           MemorySource& memory);
  // Stops, resetting what lives.
  ~StackCore();

  absl::Status Start();
  // Idempotent.
  Leaks Stop(Duration drain);
  bool running() const;

  uint16_t worker_count() const { return static_cast<uint16_t>(workers_.size()); }
  // Calls fn on a worker, between two parts of a turn, and waits for it. When workers do not run it is called
  // on this thread. False after Stop, and then it was not called.
  bool RunOn(uint16_t worker, const std::function<void(Worker&)>& fn);
  // Of each worker; a stopped stack gives the last.
  std::vector<WorkerSnapshot> Snapshots();
  const std::vector<std::unique_ptr<Device>>& devices() const { return devices_; }
  const stack::ShardConfig& shard_config() const { return shard_config_; }

 private:
  enum class State : uint8_t { kBuilt, kRunning, kStopped };

  StackCore(std::vector<std::unique_ptr<Device>> devices, std::unique_ptr<Launcher> launcher);
  absl::Status Build(const StackConfig& config, MemorySource& memory);
  absl::Status FillInterfaces(stack::ShardConfig& shard) const;
  absl::Status DrawSecrets(uint64_t seed);
  // REQUIRES: mutex_ held.
  bool Call(uint16_t worker, const std::function<void(Worker&)>& fn);
  void JoinAll(size_t count);
  Leaks CountLeaks();

  std::vector<std::unique_ptr<Device>> devices_;
  std::vector<Device*> device_pointers_;
  std::unique_ptr<Launcher> launcher_;
  stack::ShardConfig shard_config_;
  std::unique_ptr<Handover> handover_;
  std::vector<std::unique_ptr<SpscRing<Control>>> control_rings_;
  std::vector<SpscRing<Control>::Producer> controls_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<WorkerSnapshot> last_snapshots_;
  Leaks leaks_;

  // Guards the state and the producers' ends of the control rings: callers take turns.
  mutable std::mutex mutex_;
  State state_ = State::kBuilt;
};

}  // namespace tern::runtime

#endif  // TERN_RUNTIME_STACK_CORE_H_
