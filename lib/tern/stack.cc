#include "tern/stack.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "runtime/stack_core.h"
#include "runtime/telemetry.h"
#include "tern/client_host.h"
#include "tern/dispatch.h"

namespace tern {

struct Stack::Parts {
  struct PendingListen {
    ListenOptions options;
    HandlerFactory factory;
  };

  std::unique_ptr<runtime::StackCore> core;
  Options options;
  std::vector<std::unique_ptr<Worker>> faces;
  std::vector<TaskFactory> tasks;
  std::vector<PendingListen> listens;
  ClientHost clients;
  std::unique_ptr<runtime::TelemetryEntry> telemetry;  // after the core: it goes first
  LeakReport leaks;
  bool stopped = false;

  void Log(LogLevel level, std::string_view line) const {
    if (options.log) options.log(level, line);
  }
  absl::Status ListenNow(const ListenOptions& listen, const HandlerFactory& factory);
  absl::Status StartTasks();
};

namespace {

// A public task in the runtime's clothes.
class TaskAdapter final : public runtime::WorkerTask {
 public:
  TaskAdapter(std::unique_ptr<Task> task, Worker& face) : task_(std::move(task)), face_(&face) {
    task_->OnStart(*face_);
  }
  bool Poll(runtime::Worker&) override { return task_->OnPoll(*face_); }
  void Stop(runtime::Worker&) override { task_->OnStop(*face_); }

 private:
  std::unique_ptr<Task> task_;
  Worker* face_;
};

std::string DescribeAddress(const stack::LocalAddress& local) {
  return local.prefix.ToString() + (local.pool ? " (pool)" : "");
}

}  // namespace

absl::Status ListenOn(runtime::Worker& worker, const ListenOptions& options, uint64_t user,
                      uint32_t* listener) {
  stack::ListenSpec spec;
  if (absl::Status s = TranslateListen(options, worker.shard().config().tcp, &spec); !s.ok()) return s;
  spec.user = user;
  const stack::OpenResult result = worker.shard().Listen(spec, listener);
  if (result == stack::OpenResult::kOk) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("cannot listen on ", options.local.ToString(), ": ", stack::OpenResultName(result)));
}

absl::Status Stack::Parts::ListenNow(const ListenOptions& listen, const HandlerFactory& factory) {
  std::vector<uint32_t> opened(core->worker_count());
  absl::Status status;
  uint16_t done = 0;
  for (; done < core->worker_count() && status.ok(); ++done) {
    const bool ran = core->RunOn(done, [&, this](runtime::Worker& worker) {
      std::shared_ptr<Handler> handler = factory(*faces[done]);
      const uint64_t user =
          handler == nullptr ? 0 : HandlerDispatch::UserWord(worker, handler.get(), nullptr);
      if (user == 0) {
        status = absl::FailedPreconditionError(absl::StrCat("no handler for ", listen.local.ToString(),
                                                            ": the factory gave none, or too many exist"));
        return;
      }
      status = ListenOn(worker, listen, user, &opened[done]);
      worker.Own(std::move(handler));
    });
    if (!ran) status = absl::FailedPreconditionError("the stack is stopped");
  }
  if (status.ok()) return status;
  for (uint16_t i = 0; i + 1 < done; ++i) {
    core->RunOn(i, [&](runtime::Worker& worker) { worker.shard().CloseListener(opened[i]); });
  }
  return status;
}

absl::Status Stack::Parts::StartTasks() {
  absl::Status status;
  for (const TaskFactory& factory : tasks) {
    for (uint16_t i = 0; i < core->worker_count() && status.ok(); ++i) {
      core->RunOn(i, [&, this](runtime::Worker& worker) {
        std::unique_ptr<Task> task = factory(*faces[i]);
        if (task == nullptr) {
          status = absl::FailedPreconditionError("a task factory gave no task");
          return;
        }
        worker.AddTask(std::make_unique<TaskAdapter>(std::move(task), *faces[i]));
      });
    }
  }
  return status;
}

std::unique_ptr<Stack> MakeStack(std::unique_ptr<runtime::StackCore> core, const Options& options) {
  auto parts = std::make_unique<Stack::Parts>();
  parts->options = options;
  for (uint16_t i = 0; i < core->worker_count(); ++i) {
    core->RunOn(i, [&](runtime::Worker& worker) { parts->faces.push_back(HandlerDispatch::Face(&worker)); });
  }
  parts->core = std::move(core);
  return std::make_unique<Stack>(std::move(parts));
}

Stack::Stack(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {
  for (const InterfaceInfo& interface : interfaces()) {
    parts_->Log(LogLevel::kInfo, absl::StrCat(interface.device, ": ", interface.driver, ", ", interface.mac,
                                              ", mtu ", interface.mtu, ", ", interface.offloads));
  }
}

Stack::~Stack() { Stop(StopMode::kAbort); }

absl::Status Stack::Listen(const ListenOptions& options, HandlerFactory factory) {
  if (options.local.port == 0)
    return absl::InvalidArgumentError("port 0 cannot be listened on: give one, 1 to 65535");
  if (running()) return parts_->ListenNow(options, factory);
  if (parts_->stopped) return absl::FailedPreconditionError("the stack is stopped");
  parts_->listens.push_back({options, std::move(factory)});
  return absl::OkStatus();
}

absl::Status Stack::AddTask(TaskFactory factory) {
  if (running() || parts_->stopped) {
    return absl::FailedPreconditionError("tasks are added before the stack starts");
  }
  parts_->tasks.push_back(std::move(factory));
  return absl::OkStatus();
}

absl::Status Stack::Start() {
  absl::Status status = parts_->core->Start();
  if (!status.ok()) return status;
  parts_->telemetry = std::make_unique<runtime::TelemetryEntry>(*parts_->core);
  status = parts_->StartTasks();
  for (const auto& [options, factory] : std::exchange(parts_->listens, {})) {
    if (status.ok()) status = parts_->ListenNow(options, factory);
  }
  if (!status.ok()) Stop(StopMode::kAbort);
  return status;
}

LeakReport Stack::Stop(StopMode mode, std::chrono::milliseconds timeout) {
  if (std::exchange(parts_->stopped, true)) return parts_->leaks;
  parts_->telemetry.reset();
  const uint64_t client_buffers = parts_->clients.DetachAll(*parts_->core);
  const Duration drain = mode == StopMode::kAbort ? Duration::Zero() : Duration::Millis(timeout.count());
  const runtime::Leaks leaks = parts_->core->Stop(drain);
  parts_->leaks = {.buffers = leaks.buffers - std::min(leaks.buffers, client_buffers),
                   .connections = leaks.connections,
                   .send_records = leaks.send_records,
                   .timers = leaks.timers,
                   .client_buffers = client_buffers};
  return parts_->leaks;
}

bool Stack::running() const { return parts_->core->running(); }

absl::StatusOr<std::unique_ptr<Client>> Stack::NewClient(const ClientOptions& options) {
  if (!running()) return absl::FailedPreconditionError("a client needs a running stack: call Start first");
  return parts_->clients.Attach(*parts_->core, options);
}

int Stack::worker_count() const { return parts_->core->worker_count(); }

std::vector<InterfaceInfo> Stack::interfaces() const {
  std::vector<InterfaceInfo> infos;
  const stack::ShardConfig& shard = parts_->core->shard_config();
  for (size_t i = 0; i < shard.interfaces.size(); ++i) {
    const DeviceInfo& device = parts_->core->devices()[i]->info();
    InterfaceInfo& info = infos.emplace_back();
    info.device = device.name;
    info.driver = device.driver;
    info.mac = shard.interfaces[i].mac.ToString();
    info.mtu = shard.interfaces[i].mtu;
    info.offloads = device.offload_summary;
    for (const auto& local : shard.interfaces[i].addresses) info.addresses.push_back(DescribeAddress(local));
  }
  return infos;
}

StackStats Stack::Stats() {
  StackStats stats;
  for (const runtime::WorkerSnapshot& snapshot : parts_->core->Snapshots()) {
    stats.workers.push_back(MakeStats(snapshot));
    stats.total.Add(stats.workers.back());
    stats.total.cycles_per_second = stats.workers.back().cycles_per_second;
  }
  for (const auto& device : parts_->core->devices()) {
    const DeviceCounters counters = device->counters();
    stats.devices.push_back({.name = device->info().name,
                             .driver = device->info().driver,
                             .link_up = device->LinkUp(),
                             .rx_frames = counters.rx_frames,
                             .rx_bytes = counters.rx_bytes,
                             .tx_frames = counters.tx_frames,
                             .tx_bytes = counters.tx_bytes,
                             .rx_missed = counters.rx_missed,
                             .rx_errors = counters.rx_errors,
                             .rx_no_buffer = counters.rx_no_buffer,
                             .tx_rejected = counters.tx_rejected,
                             .buffers_outstanding = device->buffers_outstanding(),
                             .impaired = counters.impaired,
                             .rx_impairment = MakeStats(counters.rx_impairment),
                             .tx_impairment = MakeStats(counters.tx_impairment)});
  }
  return stats;
}

absl::Status Stack::RunOn(int worker, const std::function<void(Worker&)>& fn) {
  if (worker < 0 || worker >= worker_count()) {
    return absl::InvalidArgumentError(
        absl::StrCat("there is no worker ", worker, ": the stack has ", worker_count(), ", numbered from 0"));
  }
  if (!running()) return absl::FailedPreconditionError("the stack does not run");
  const auto call = [&](runtime::Worker&) { fn(*parts_->faces[static_cast<size_t>(worker)]); };
  if (!parts_->core->RunOn(static_cast<uint16_t>(worker), call)) {
    return absl::FailedPreconditionError("the stack is stopped");
  }
  return absl::OkStatus();
}

}  // namespace tern
