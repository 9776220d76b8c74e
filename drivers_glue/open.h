// The one way to a device.
#ifndef TERN_DRIVERS_GLUE_OPEN_H_
#define TERN_DRIVERS_GLUE_OPEN_H_

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "base/instant.h"
#include "drivers_glue/device_options.h"
#include "runtime/device.h"

namespace tern {

// Opens what `options.spec` names, with its impairment around it if one is asked for. The same device can be
// opened again after the first is destroyed. REQUIRES: EalIsRunning().
absl::StatusOr<std::unique_ptr<Device>> OpenDevice(const DeviceOptions& options);

// The same, with the clock by which an impairment delays: it must agree with the worker's, which asks
// NextInternalEvent. The first form uses CLOCK_MONOTONIC.
absl::StatusOr<std::unique_ptr<Device>> OpenDevice(const DeviceOptions& options,
                                                   std::function<Instant()> clock);

}  // namespace tern

#endif  // TERN_DRIVERS_GLUE_OPEN_H_
