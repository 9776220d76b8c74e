// The public call that opens a stack: EAL, devices and threads from here, everything else from the runtime.
#include <algorithm>
#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "drivers_glue/device_spec.h"
#include "drivers_glue/eal.h"
#include "drivers_glue/mbuf_pool.h"
#include "drivers_glue/open.h"
#include "runtime/stack_core.h"
#include "tern/dispatch.h"
#include "tern/stack.h"
#include "wire/mac_address.h"

namespace tern {
namespace {

// Workers as EAL threads: what DPDK's pools and queues expect of whoever touches them.
class EalLauncher final : public runtime::Launcher {
 public:
  // `threads`: EAL worker of each of ours.
  explicit EalLauncher(std::vector<size_t> threads) : threads_(std::move(threads)) {}

  absl::Status Launch(size_t index, int (*entry)(void*), void* argument) override {
    return EalLaunch(threads_[index], entry, argument);
  }
  void Join(size_t index) override { EalJoin(threads_[index]); }
  int lcore(size_t index) const override { return static_cast<int>(GetEalFacts().lcores[threads_[index]]); }

 private:
  std::vector<size_t> threads_;
};

HugepageMode ToMode(HugePages pages) {
  switch (pages) {
    case HugePages::kOn:
      return HugepageMode::kOn;
    case HugePages::kOff:
      return HugepageMode::kOff;
    case HugePages::kAuto:
      break;
  }
  return HugepageMode::kAuto;
}

// One worker, on the first CPU that the process may use, unless the user said otherwise.
std::vector<unsigned> ChooseCpus(const Options& options) {
  if (!options.lcores.empty()) return {options.lcores.begin(), options.lcores.end()};
  if (EalIsRunning()) return {GetEalFacts().lcores.front()};
  const HostFacts host = ReadHostFacts();
  return {host.cpus.empty() ? 0 : host.cpus.front()};
}

absl::Status StartEal(const Options& options, const std::vector<unsigned>& cpus) {
  EalOptions eal;
  eal.lcores = cpus;
  eal.hugepages = ToMode(options.huge_pages);
  eal.memory_mib = options.memory_mib;
  eal.extra = options.eal_arguments;
  for (const InterfaceOptions& interface : options.interfaces) {
    const absl::StatusOr<DeviceSpec> spec = ParseDeviceSpec(interface.device);
    if (!spec.ok()) return spec.status();
    if (absl::Status status = CheckDeviceSpec(*spec); !status.ok()) return status;
    if (spec->kind == DeviceKind::kPci) eal.pci.push_back(spec->target);
  }
  if (absl::Status status = EalStart(eal); !status.ok()) return status;
  if (options.log && !GetEalFacts().notice.empty()) options.log(LogLevel::kWarning, GetEalFacts().notice);
  return absl::OkStatus();
}

// REQUIRES: EalStart was asked for these CPUs, and gave no error: they are among its own.
std::vector<size_t> ThreadsOn(const std::vector<unsigned>& cpus) {
  std::vector<size_t> threads;
  threads.reserve(cpus.size());
  const std::vector<unsigned>& have = GetEalFacts().lcores;
  for (const unsigned cpu : cpus) {
    threads.push_back(static_cast<size_t>(std::find(have.begin(), have.end(), cpu) - have.begin()));
  }
  return threads;
}

absl::StatusOr<std::unique_ptr<Device>> OpenInterface(const InterfaceOptions& interface, uint16_t queues) {
  DeviceOptions device;
  device.spec = interface.device;
  device.queues = queues;
  device.mtu = interface.mtu;
  device.impairment = interface.impairment;
  if (!interface.mac.empty()) device.mac = wire::MacAddress::Parse(interface.mac)->bytes();
  return OpenDevice(device);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Stack>> Stack::Open(const Options& options) {
  // Everything that can be wrong with the options is found before anything is touched.
  runtime::StackConfig config;
  if (absl::Status status = TranslateOptions(options, &config); !status.ok()) return status;
  const std::vector<unsigned> cpus = ChooseCpus(options);
  if (absl::Status status = StartEal(options, cpus); !status.ok()) return status;
  const std::vector<size_t> threads = ThreadsOn(cpus);

  std::vector<std::unique_ptr<Device>> devices;
  for (const InterfaceOptions& interface : options.interfaces) {
    absl::StatusOr<std::unique_ptr<Device>> device = OpenInterface(interface, config.workers);
    if (!device.ok()) return device.status();
    devices.push_back(*std::move(device));
  }
  absl::StatusOr<std::unique_ptr<runtime::StackCore>> core = runtime::StackCore::Create(
      config, std::move(devices), std::make_unique<EalLauncher>(threads), HugeMemory());
  if (!core.ok()) return core.status();
  return MakeStack(*std::move(core), options);
}

}  // namespace tern
