// Ethernet addresses for devices that have none of their own.
#ifndef TERN_DRIVERS_GLUE_STABLE_MAC_H_
#define TERN_DRIVERS_GLUE_STABLE_MAC_H_

#include <array>
#include <cstdint>
#include <string>

namespace tern {

// A locally administered address that stays the same when the process starts again on the same device, so
// that neighbours' caches stay right, and differs between machines, network namespaces and devices.
std::array<uint8_t, 6> StableMac(const std::string& device);

}  // namespace tern

#endif  // TERN_DRIVERS_GLUE_STABLE_MAC_H_
