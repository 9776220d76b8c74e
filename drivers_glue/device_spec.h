// The one string that names a device, taken apart and turned into what DPDK wants to hear.
#ifndef TERN_DRIVERS_GLUE_DEVICE_SPEC_H_
#define TERN_DRIVERS_GLUE_DEVICE_SPEC_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tern {

enum class DeviceKind : uint8_t {
  kAfPacket,    // af_packet:IF     a kernel interface through a packet socket
  kAfXdp,       // af_xdp:IF        a kernel interface through an XDP socket
  kTap,         // tap:NAME         a new kernel tap interface
  kMemif,       // memif:PATH       shared memory with another process
  kVirtioUser,  // virtio_user:PATH the guest's side of a vhost-user socket
  kVhost,       // vhost:PATH       the host's side of a vhost-user socket
  kLoopback,    // loopback         inside the process
  kPci,         // pci:0000:01:00.0 a NIC
  kPcap,        // pcap:FILE        frames of a capture file
  kVdev,        // vdev:…           anything else, in the EAL's own words
};

// "KIND:TARGET,key=value,…": the keys go to the driver as they are, after tern's own, which they replace.
struct DeviceSpec {
  DeviceKind kind = DeviceKind::kLoopback;
  std::string text;    // as written
  std::string target;  // interface, path, address, file, or the driver's name for kVdev
  std::vector<std::pair<std::string, std::string>> arguments;

  // The value of argument `key`, or nullptr.
  const std::string* Find(std::string_view key) const;
};

absl::StatusOr<DeviceSpec> ParseDeviceSpec(std::string_view text);

// Looks whether the device can be opened here: does the interface exist, may we use it, is there a directory
// for the socket, is DPDK's driver installed. The error names the fix.
absl::Status CheckDeviceSpec(const DeviceSpec& spec);

// What the driver is to be built for.
struct DeviceShape {
  uint16_t queues = 1;
  uint16_t mtu = 1500;
  uint16_t ring_size = 512;
  unsigned serial = 0;  // distinguishes devices of one process
  std::string mac;      // "02:…" for drivers that would make one up; may be empty
};

// A device in the EAL's words.
struct EalDevice {
  std::string bus;  // "vdev" or "pci"
  std::string name;
  std::string arguments;  // "iface=veth1,qpairs=1"
};

// REQUIRES: spec.kind is not kLoopback.
EalDevice ToEalDevice(const DeviceSpec& spec, const DeviceShape& shape);

// Bytes that a receive buffer of this device must hold at `mtu`, headroom apart.
uint32_t RequiredDataRoom(const DeviceSpec& spec, uint16_t mtu);

// MTU of kernel interface `name`; zero when it does not exist.
uint16_t KernelInterfaceMtu(const std::string& name);

}  // namespace tern

#endif  // TERN_DRIVERS_GLUE_DEVICE_SPEC_H_
