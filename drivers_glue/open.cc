#include "drivers_glue/open.h"

#include <ctime>
#include <utility>

#include "drivers_glue/device_spec.h"
#include "drivers_glue/ethdev_device.h"
#include "drivers_glue/impairment.h"
#include "drivers_glue/impairment_device.h"
#include "drivers_glue/loopback_device.h"

namespace tern {

namespace {

Instant MonotonicNow() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return Instant::FromNanos(int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Device>> OpenDevice(const DeviceOptions& options) {
  return OpenDevice(options, MonotonicNow);
}

absl::StatusOr<std::unique_ptr<Device>> OpenDevice(const DeviceOptions& options,
                                                   std::function<Instant()> clock) {
  absl::StatusOr<DeviceSpec> spec = ParseDeviceSpec(options.spec);
  if (!spec.ok()) return spec.status();
  absl::StatusOr<Impairment> impairment = ParseImpairment(options.impairment);
  if (!impairment.ok()) return impairment.status();
  absl::StatusOr<std::unique_ptr<Device>> device =
      spec->kind == DeviceKind::kLoopback ? OpenLoopback(*spec, options) : EthdevDevice::Open(*spec, options);
  if (!device.ok() || impairment->IsNone()) return device;
  return std::make_unique<ImpairmentDevice>(*std::move(device), *impairment, std::move(clock));
}

}  // namespace tern
