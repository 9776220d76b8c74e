#include "runtime/stack_core.h"

#include <algorithm>
#include <condition_variable>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/secrets.h"

namespace tern::runtime {
namespace {

class ThreadLauncher final : public Launcher {
 public:
  absl::Status Launch(size_t index, int (*entry)(void*), void* argument) override {
    if (threads_.size() <= index) threads_.resize(index + 1);
    threads_[index] = std::thread([entry, argument] { entry(argument); });
    return absl::OkStatus();
  }
  void Join(size_t index) override { threads_[index].join(); }
  int lcore(size_t) const override { return -1; }

 private:
  std::vector<std::thread> threads_;
};

// A call that somebody waits for.
struct PendingCall {
  const std::function<void(Worker&)>* fn;
  std::mutex mutex;
  std::condition_variable done_changed;
  bool done = false;

  static void Run(Worker& worker, void* argument) {
    auto* call = static_cast<PendingCall*>(argument);
    (*call->fn)(worker);
    // Told under the lock: the waiter's frame, and this call with it, may be gone right after.
    const std::lock_guard lock(call->mutex);
    call->done = true;
    call->done_changed.notify_one();
  }
  void Wait() {
    std::unique_lock lock(mutex);
    done_changed.wait(lock, [this] { return done; });
  }
};

constexpr size_t kControls = 16;

}  // namespace

std::unique_ptr<Launcher> PlainThreads() { return std::make_unique<ThreadLauncher>(); }

StackCore::StackCore(std::vector<std::unique_ptr<Device>> devices, std::unique_ptr<Launcher> launcher)
    : devices_(std::move(devices)), launcher_(std::move(launcher)) {
  for (const auto& device : devices_) device_pointers_.push_back(device.get());
}

absl::StatusOr<std::unique_ptr<StackCore>> StackCore::Create(const StackConfig& config,
                                                             std::vector<std::unique_ptr<Device>> devices,
                                                             std::unique_ptr<Launcher> launcher,
                                                             MemorySource& memory) {
  std::unique_ptr<StackCore> core(new StackCore(std::move(devices), std::move(launcher)));
  if (absl::Status status = core->Build(config, memory); !status.ok()) return status;
  return core;
}

absl::Status StackCore::FillInterfaces(stack::ShardConfig& shard) const {
  for (size_t i = 0; i < devices_.size(); ++i) {
    const DeviceInfo& info = devices_[i]->info();
    stack::InterfaceConfig& interface = shard.interfaces[i];
    if (info.queue_count < shard.worker_count) {
      return absl::FailedPreconditionError(
          absl::StrCat(info.name, " has ", info.queue_count, " queue(s), too few for ", shard.worker_count,
                       " workers: give fewer lcores, or a device with more queues"));
    }
    if (interface.mac.IsZero()) interface.mac = wire::MacAddress(info.mac);
    interface.mtu = interface.mtu == 0 ? info.mtu : std::min(interface.mtu, info.mtu);
    interface.tx_ip_checksum_offload = info.tx_ip_checksum;
    interface.tx_tcp_checksum_offload = info.tx_tcp_checksum;
    interface.tso = info.tso;
  }
  return absl::OkStatus();
}

absl::Status StackCore::DrawSecrets(uint64_t seed) {
  SecretSource secrets(seed);
  if (absl::Status status = secrets.Fill(shard_config_.isn_secret); !status.ok()) return status;
  if (absl::Status status = secrets.Fill(shard_config_.table_secret); !status.ok()) return status;
  if (absl::Status status = secrets.Fill(shard_config_.rss_key); !status.ok()) return status;
  absl::StatusOr<uint64_t> word = secrets.Word();
  if (!word.ok()) return word.status();
  shard_config_.seed = *word;
  for (const auto& device : devices_) {
    const DeviceInfo& info = device->info();
    if (!info.rss || info.rss_key.size() < shard_config_.rss_key.size()) continue;
    // The port computes with a key of its own: we compute with the same.
    std::copy_n(info.rss_key.begin(), shard_config_.rss_key.size(), shard_config_.rss_key.begin());
    break;
  }
  return absl::OkStatus();
}

absl::Status StackCore::Build(const StackConfig& config, MemorySource& memory) {
  if (devices_.empty())
    return absl::InvalidArgumentError("a stack needs a device: give at least one interface");
  if (devices_.size() != config.shard.interfaces.size()) {
    return absl::InternalError("as many devices as interfaces are needed");
  }
  if (config.workers == 0) return absl::InvalidArgumentError("a stack needs a worker");
  shard_config_ = config.shard;
  shard_config_.worker_count = config.workers;
  if (absl::Status status = FillInterfaces(shard_config_); !status.ok()) return status;
  if (absl::Status status = DrawSecrets(config.seed); !status.ok()) return status;

  handover_ = std::make_unique<Handover>(memory, config.workers);
  bool ok = handover_->ok();
  SecretSource seeds(shard_config_.seed | 1);
  const ClockPair origin = ReadBothClocks();
  for (uint16_t i = 0; i < config.workers && ok; ++i) {
    auto& ring = control_rings_.emplace_back(std::make_unique<SpscRing<Control>>(memory, kControls));
    ok = ring->ok();
    controls_.push_back(ring->TakeProducer());
    WorkerConfig worker = {.shard = shard_config_,
                           .lcore = launcher_->lcore(i),
                           .idle = config.idle,
                           .idle_spin = config.idle_spin,
                           .clock_origin = origin,
                           .on_link_event = config.on_link_event};
    worker.shard.worker = i;
    // The ISN secret is common, since a connection's tuple may be answered by any worker; the table's is not.
    if (absl::Status status = seeds.Fill(worker.shard.table_secret); !status.ok()) return status;
    absl::StatusOr<uint64_t> seed = seeds.Word();
    if (!seed.ok()) return seed.status();
    worker.shard.seed = *seed;
    workers_.push_back(std::make_unique<Worker>(worker, device_pointers_, memory, handover_->TakeEnds(i),
                                                ring->TakeConsumer()));
  }
  if (!ok) return absl::ResourceExhaustedError("not enough memory for the rings between workers");
  for (uint16_t i = 0; i < devices_.size(); ++i) {
    for (const wire::MacAddress& group : workers_[0]->shard().MulticastGroups(i)) {
      // False means that the device hears every group anyway.
      static_cast<void>(devices_[i]->AddMulticast(group.bytes()));
    }
  }
  return absl::OkStatus();
}

StackCore::~StackCore() {
  Stop(Duration::Zero());
  // Shards before the devices whose pools their buffers came from, devices before the threads they were used
  // on.
  workers_.clear();
  devices_.clear();
}

absl::Status StackCore::Start() {
  const std::lock_guard lock(mutex_);
  if (state_ == State::kRunning) return absl::FailedPreconditionError("the stack runs already");
  if (state_ == State::kStopped) {
    return absl::FailedPreconditionError("the stack was stopped: open a new one");
  }
  for (size_t i = 0; i < workers_.size(); ++i) {
    const auto entry = [](void* worker) {
      static_cast<Worker*>(worker)->Run();
      return 0;
    };
    absl::Status status = launcher_->Launch(i, entry, workers_[i].get());
    if (status.ok()) continue;
    state_ = State::kRunning;
    JoinAll(i);
    return status;
  }
  state_ = State::kRunning;
  return absl::OkStatus();
}

void StackCore::JoinAll(size_t count) {
  for (uint16_t i = 0; i < count; ++i) {
    Call(i, [](Worker& worker) { worker.RequestStop(Duration::Zero()); });
  }
  for (size_t i = 0; i < count; ++i) launcher_->Join(i);
  state_ = State::kStopped;
}

Leaks StackCore::Stop(Duration drain) {
  const std::lock_guard lock(mutex_);
  if (state_ == State::kStopped) return leaks_;
  if (state_ == State::kRunning) {
    // All are told before any is waited for: they drain side by side.
    for (uint16_t i = 0; i < workers_.size(); ++i) {
      Call(i, [drain](Worker& worker) { worker.RequestStop(drain); });
    }
    for (size_t i = 0; i < workers_.size(); ++i) launcher_->Join(i);
  } else {
    // Never ran: what a shard was given before (nothing, as a rule) still has to come back.
    for (const auto& worker : workers_) {
      worker->RequestStop(Duration::Zero());
      worker->Run();
    }
  }
  state_ = State::kStopped;
  for (const auto& worker : workers_) {
    worker->DropMail();
    last_snapshots_.push_back(worker->Snapshot());
  }
  for (const auto& device : devices_) device->Stop();
  leaks_ = CountLeaks();
  return leaks_;
}

Leaks StackCore::CountLeaks() {
  Leaks leaks;
  for (const WorkerSnapshot& snapshot : last_snapshots_) {
    leaks.connections += snapshot.usage.connections + snapshot.usage.half_open;
    leaks.send_records += snapshot.usage.send_records;
    leaks.timers += snapshot.usage.timers + snapshot.app_timers;
  }
  // A buffer may go back through the pool of another device, so only the sum means something.
  for (const auto& device : devices_) leaks.buffers += device->buffers_outstanding();
  return leaks;
}

bool StackCore::running() const {
  const std::lock_guard lock(mutex_);
  return state_ == State::kRunning;
}

bool StackCore::Call(uint16_t worker, const std::function<void(Worker&)>& fn) {
  PendingCall call;
  call.fn = &fn;
  // Callers take turns and wait, so there is always room.
  if (!controls_[worker].Push({&PendingCall::Run, &call})) return false;
  workers_[worker]->bell().Ring();
  call.Wait();
  return true;
}

bool StackCore::RunOn(uint16_t worker, const std::function<void(Worker&)>& fn) {
  const std::lock_guard lock(mutex_);
  if (worker >= workers_.size()) return false;
  switch (state_) {
    case State::kBuilt:
      fn(*workers_[worker]);
      return true;
    case State::kRunning:
      return Call(worker, fn);
    case State::kStopped:
      return false;
  }
  return false;
}

std::vector<WorkerSnapshot> StackCore::Snapshots() {
  std::vector<WorkerSnapshot> snapshots(workers_.size());
  bool all = true;
  for (uint16_t i = 0; i < snapshots.size(); ++i) {
    all = all && RunOn(i, [&](Worker& worker) { snapshots[i] = worker.Snapshot(); });
  }
  return all ? snapshots : last_snapshots_;
}

}  // namespace tern::runtime
