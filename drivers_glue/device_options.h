// What one may say about a device beside its name.
#ifndef TERN_DRIVERS_GLUE_DEVICE_OPTIONS_H_
#define TERN_DRIVERS_GLUE_DEVICE_OPTIONS_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace tern {

struct DeviceOptions {
  std::string spec;     // "af_packet:veth1", see device_spec.h
  uint16_t queues = 1;  // rx and tx pairs, one per worker
  // Largest IP packet. Zero: the kernel interface's where there is one, 1500 elsewhere.
  uint16_t mtu = 0;
  // Empty: the device's own, or one made up where sharing the device's would confuse the kernel (tap).
  std::optional<std::array<uint8_t, 6>> mac;
  std::string impairment;  // "loss=1%,delay=10ms,…", see impairment.h; empty: none
  uint16_t rx_ring = 512;  // descriptors per queue; the driver may round
  uint16_t tx_ring = 512;
  // Buffers per queue that the stack may hold at once, on top of what the rings need.
  uint32_t buffers = 8192;
};

}  // namespace tern

#endif  // TERN_DRIVERS_GLUE_DEVICE_OPTIONS_H_
