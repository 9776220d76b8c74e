// Two devices joined inside the process.
#ifndef TERN_DRIVERS_GLUE_LOOPBACK_DEVICE_H_
#define TERN_DRIVERS_GLUE_LOOPBACK_DEVICE_H_

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "drivers_glue/device_options.h"
#include "drivers_glue/device_spec.h"
#include "runtime/device.h"

namespace tern {

// Both ends of a cable. What one end sends is held, by reference, until the other end's worker receives it,
// and copied only then: a peer that does not poll holds on to the sender's buffers. With several queues each
// end spreads flows as a NIC would, by Toeplitz with a random key of its own. `spec` may be empty. REQUIRES:
// EalIsRunning().
absl::StatusOr<std::pair<std::unique_ptr<Device>, std::unique_ptr<Device>>> OpenLoopbackPair(
    const DeviceOptions& first, const DeviceOptions& second);

// "loopback" alone: what is sent comes back to the same device. "loopback,pair=NAME": one end of a cable
// called NAME, whose two ends are opened one after the other.
absl::StatusOr<std::unique_ptr<Device>> OpenLoopback(const DeviceSpec& spec, const DeviceOptions& options);

}  // namespace tern

#endif  // TERN_DRIVERS_GLUE_LOOPBACK_DEVICE_H_
