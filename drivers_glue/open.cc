#include "drivers_glue/open.h"

#include <utility>

#include "drivers_glue/device_spec.h"
#include "drivers_glue/ethdev_device.h"

namespace tern {

absl::StatusOr<std::unique_ptr<Device>> OpenDevice(const DeviceOptions& options) {
  absl::StatusOr<DeviceSpec> spec = ParseDeviceSpec(options.spec);
  if (!spec.ok()) return spec.status();
  return EthdevDevice::Open(*spec, options);
}

}  // namespace tern
