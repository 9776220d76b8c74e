// The one way to a device.
#ifndef TERN_DRIVERS_GLUE_OPEN_H_
#define TERN_DRIVERS_GLUE_OPEN_H_

#include <memory>

#include "absl/status/statusor.h"
#include "drivers_glue/device_options.h"
#include "runtime/device.h"

namespace tern {

// Opens what `options.spec` names, with its impairment around it if one is asked for. The same device can be
// opened again after the first is destroyed. REQUIRES: EalIsRunning().
absl::StatusOr<std::unique_ptr<Device>> OpenDevice(const DeviceOptions& options);

}  // namespace tern

#endif  // TERN_DRIVERS_GLUE_OPEN_H_
