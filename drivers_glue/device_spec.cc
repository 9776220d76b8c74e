#include "drivers_glue/device_spec.h"

#include <linux/capability.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace tern {
namespace {

namespace fs = std::filesystem;

struct KindRow {
  DeviceKind kind;
  std::string_view name;
  std::string_view target;  // what stands behind the colon, for messages; empty: nothing
  std::string_view example;
  std::string_view driver;   // the vdev's stem; DPDK recognises the driver by it
  std::string_view library;  // file that holds the driver, without "librte_" and ".so"
};

constexpr std::array<KindRow, 10> kKinds = {{
    {DeviceKind::kAfPacket, "af_packet", "an interface", "af_packet:veth1", "net_af_packet", "net_af_packet"},
    {DeviceKind::kAfXdp, "af_xdp", "an interface", "af_xdp:veth1", "net_af_xdp", "net_af_xdp"},
    {DeviceKind::kTap, "tap", "a name for the interface", "tap:tern0", "net_tap", "net_tap"},
    {DeviceKind::kMemif, "memif", "a socket path", "memif:/run/tern.sock,role=server", "net_memif",
     "net_memif"},
    {DeviceKind::kVirtioUser, "virtio_user", "a socket path", "virtio_user:/run/tern.sock", "net_virtio_user",
     "net_virtio"},
    {DeviceKind::kVhost, "vhost", "a socket path", "vhost:/run/tern.sock", "net_vhost", "net_vhost"},
    {DeviceKind::kLoopback, "loopback", "", "loopback", "", ""},
    {DeviceKind::kPci, "pci", "an address", "pci:0000:01:00.0", "", "bus_pci"},
    {DeviceKind::kPcap, "pcap", "a capture file", "pcap:trace.pcap", "net_pcap", "net_pcap"},
    {DeviceKind::kVdev, "vdev", "the EAL's words", "vdev:net_null0,size=64", "", "bus_vdev"},
}};

const KindRow& RowOf(DeviceKind kind) {
  return *std::find_if(kKinds.begin(), kKinds.end(), [kind](const KindRow& row) { return row.kind == kind; });
}

absl::Status SpecError(std::string_view text, std::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat("device \"", absl::string_view(text.data(), text.size()),
                                                 "\": ", absl::string_view(problem.data(), problem.size())));
}

absl::Status SpecProblem(const DeviceSpec& spec, absl::StatusCode code, const std::string& problem) {
  return absl::Status(code, absl::StrCat("device \"", spec.text, "\": ", problem));
}

std::string KindList() {
  std::string list;
  for (const KindRow& row : kKinds) {
    if (!list.empty()) list += ", ";
    list += row.example;
  }
  return list;
}

bool IsPciAddress(std::string_view text) {
  constexpr std::string_view kShape = "xxxx:xx:xx.x";  // domain:bus:device.function
  if (text.size() != kShape.size()) return false;
  for (size_t i = 0; i < kShape.size(); ++i) {
    const bool ok =
        kShape[i] == 'x' ? std::isxdigit(static_cast<unsigned char>(text[i])) != 0 : text[i] == kShape[i];
    if (!ok) return false;
  }
  return true;
}

absl::Status CheckTarget(const DeviceSpec& spec) {
  const KindRow& row = RowOf(spec.kind);
  const std::string example(row.example);
  if (row.target.empty()) {
    if (spec.target.empty()) return absl::OkStatus();
    return SpecError(spec.text,
                     absl::StrCat("nothing may follow \"", std::string(row.name), "\" but ,key=value"));
  }
  if (spec.target.empty()) {
    return SpecError(
        spec.text, absl::StrCat("expected ", std::string(row.target), " behind the colon, as in ", example));
  }
  const bool names_interface =
      spec.kind == DeviceKind::kAfPacket || spec.kind == DeviceKind::kAfXdp || spec.kind == DeviceKind::kTap;
  if (names_interface && spec.target.size() >= IFNAMSIZ) {
    return SpecError(spec.text,
                     absl::StrCat("the interface name \"", spec.target, "\" has ", spec.target.size(),
                                  " characters, at most ", IFNAMSIZ - 1, " are allowed"));
  }
  if (spec.kind == DeviceKind::kPci && !IsPciAddress(spec.target)) {
    return SpecError(spec.text, absl::StrCat("\"", spec.target,
                                             "\" is not a PCI address; expected one like "
                                             "0000:01:00.0 (lspci -D lists them)"));
  }
  constexpr size_t kLongestPath = sizeof(sockaddr_un::sun_path) - 1;
  const bool names_socket = spec.kind == DeviceKind::kMemif || spec.kind == DeviceKind::kVirtioUser ||
                            spec.kind == DeviceKind::kVhost;
  if (names_socket && spec.target.size() > kLongestPath) {
    return SpecError(spec.text,
                     absl::StrCat("the socket path has ", spec.target.size(), " characters, at most ",
                                  kLongestPath, " are allowed: use a shorter one"));
  }
  return absl::OkStatus();
}

absl::Status CheckInterface(const DeviceSpec& spec) {
  if (if_nametoindex(spec.target.c_str()) == 0) {
    std::vector<std::string> names;
    if (struct if_nameindex* all = if_nameindex(); all != nullptr) {
      for (const struct if_nameindex* it = all; it->if_name != nullptr; ++it) names.emplace_back(it->if_name);
      if_freenameindex(all);
    }
    return SpecProblem(
        spec, absl::StatusCode::kNotFound,
        absl::StrCat("there is no interface \"", spec.target, "\" in this network namespace, only ",
                     absl::StrJoin(names, ", "),
                     ": name one of these, create it (ip link add …), or enter the namespace that has "
                     "it (ip netns exec …)"));
  }
  return absl::OkStatus();
}

bool HasCapability(unsigned capability) {
  std::ifstream status("/proc/self/status");
  std::string key;
  while (status >> key) {
    if (key == "CapEff:") {
      uint64_t mask = 0;
      status >> std::hex >> mask;
      return (mask >> capability & 1) != 0;
    }
    std::getline(status, key);
  }
  return false;
}

absl::Status CheckCapability(const DeviceSpec& spec, unsigned capability, std::string_view name) {
  if (HasCapability(capability)) return absl::OkStatus();
  const std::string flag(name);
  return SpecProblem(
      spec, absl::StatusCode::kPermissionDenied,
      absl::StrCat("this process lacks ", flag,
                   ": run it as root, or give the program the capability (setcap ", flag, "+ep PROGRAM)"));
}

absl::Status CheckSocket(const DeviceSpec& spec) {
  const std::string* abstract = spec.Find("socket-abstract");
  if (spec.kind == DeviceKind::kMemif && abstract != nullptr && *abstract == "yes") return absl::OkStatus();
  const fs::path path(spec.target);
  const fs::path directory = path.has_parent_path() ? path.parent_path() : fs::path(".");
  std::error_code error;
  if (!fs::is_directory(directory, error)) {
    return SpecProblem(
        spec, absl::StatusCode::kNotFound,
        absl::StrCat("the socket's directory ", directory.string(), " does not exist: create it"));
  }
  if (access(directory.c_str(), W_OK | X_OK) != 0) {
    return SpecProblem(spec, absl::StatusCode::kPermissionDenied,
                       absl::StrCat("the socket's directory ", directory.string(),
                                    " is not writable for this user: "
                                    "choose another or change its mode"));
  }
  const std::string* server = spec.Find("server");
  const bool connects = spec.kind == DeviceKind::kVirtioUser && (server == nullptr || *server == "0");
  if (connects && !fs::exists(path, error)) {
    return SpecProblem(spec, absl::StatusCode::kNotFound,
                       absl::StrCat("no socket ", spec.target,
                                    ": start the vhost side first, or add server=1 to "
                                    "wait for one that connects"));
  }
  return absl::OkStatus();
}

absl::Status CheckDriver(const DeviceSpec& spec) {
  const KindRow& row = RowOf(spec.kind);
  if (row.library.empty()) return absl::OkStatus();
  const fs::path directory = RTE_EAL_PMD_PATH;
  std::error_code error;
  // A DPDK linked into the program has no such directory, and its drivers cannot be missing one by one.
  if (!fs::is_directory(directory, error)) return absl::OkStatus();
  const std::string file = absl::StrCat("librte_", std::string(row.library), ".so");
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    if (entry.path().filename().string().starts_with(file)) return absl::OkStatus();
  }
  std::string package = absl::StrCat("librte-", std::string(row.library));
  std::replace(package.begin(), package.end(), '_', '-');
  return SpecProblem(
      spec, absl::StatusCode::kNotFound,
      absl::StrCat("DPDK's driver ", file, " is not in ", directory.string(), ": install ", package, "23"));
}

// A packet-socket ring: frames of one size, in blocks that hold a whole number of them, since the driver
// steps through the mapping by frame.
struct AfPacketRing {
  uint32_t frame = 0;
  uint32_t block = 0;
  uint32_t count = 0;
};

// Kernel's header before each frame in the ring, with its alignment, and Ethernet with one VLAN tag.
constexpr uint32_t kTpacketOverhead = 80 + 18;
constexpr uint32_t kTpacketStep = 2048;
constexpr uint32_t kTpacketHeader = 32;  // what the driver subtracts from the frame when it sizes buffers
constexpr uint32_t kPage = 4096;
constexpr uint32_t kBlockTarget = 64 * 1024;

AfPacketRing AfPacketRingFor(uint16_t mtu, uint16_t ring_size) {
  AfPacketRing ring;
  ring.frame = (mtu + kTpacketOverhead + kTpacketStep - 1) / kTpacketStep * kTpacketStep;
  const uint32_t smallest = std::lcm(ring.frame, kPage);
  ring.block = smallest * std::max(1U, kBlockTarget / smallest);
  const uint32_t per_block = ring.block / ring.frame;
  ring.count = (ring_size + per_block - 1) / per_block * per_block;
  return ring;
}

using Arguments = std::vector<std::pair<std::string, std::string>>;

Arguments OwnArguments(const DeviceSpec& spec, const DeviceShape& shape) {
  const std::string queues = absl::StrCat(shape.queues);
  switch (spec.kind) {
    case DeviceKind::kAfPacket: {
      const AfPacketRing ring = AfPacketRingFor(shape.mtu, shape.ring_size);
      // Bypassing the queueing discipline saves a lock and a queue per frame.
      return {{"iface", spec.target},
              {"blocksz", absl::StrCat(ring.block)},
              {"framesz", absl::StrCat(ring.frame)},
              {"framecnt", absl::StrCat(ring.count)},
              {"qpairs", queues},
              {"qdisc_bypass", "1"}};
    }
    case DeviceKind::kAfXdp:
      return {{"iface", spec.target}, {"start_queue", "0"}, {"queue_count", queues}};
    case DeviceKind::kTap:
      return {{"iface", spec.target}};
    case DeviceKind::kMemif:
      // A path that can be seen and removed, rather than the driver's default of a name in the abstract
      // space.
      return {{"socket", spec.target}, {"socket-abstract", "no"}};
    case DeviceKind::kVirtioUser: {
      Arguments own = {
          {"path", spec.target}, {"queues", queues}, {"queue_size", absl::StrCat(shape.ring_size)}};
      if (!shape.mac.empty()) own.emplace_back("mac", shape.mac);
      return own;
    }
    case DeviceKind::kVhost:
      return {{"iface", spec.target}, {"queues", queues}};
    case DeviceKind::kPcap:
      return {{"rx_pcap", spec.target}};
    case DeviceKind::kLoopback:
    case DeviceKind::kPci:
    case DeviceKind::kVdev:
      break;
  }
  return {};
}

}  // namespace

const std::string* DeviceSpec::Find(std::string_view key) const {
  for (const auto& [name, value] : arguments) {
    if (name == key) return &value;
  }
  return nullptr;
}

absl::StatusOr<DeviceSpec> ParseDeviceSpec(std::string_view text) {
  const size_t head_end = text.find_first_of(":,");
  const std::string_view name = text.substr(0, head_end);
  const auto* row =
      std::find_if(kKinds.begin(), kKinds.end(), [name](const KindRow& known) { return known.name == name; });
  if (row == kKinds.end()) {
    return SpecError(text,
                     absl::StrCat("unknown kind \"", std::string(name), "\"; expected one of ", KindList()));
  }
  DeviceSpec spec;
  spec.kind = row->kind;
  spec.text = std::string(text);
  std::string_view rest = head_end == std::string_view::npos ? std::string_view() : text.substr(head_end);
  if (rest.starts_with(':')) {
    rest.remove_prefix(1);
    const size_t end = rest.find(',');
    spec.target = std::string(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end);
  }
  absl::Status status = CheckTarget(spec);
  if (!status.ok()) return status;
  while (!rest.empty()) {
    rest.remove_prefix(1);  // the comma
    const std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(item.size());
    const size_t equals = item.find('=');
    // Drivers of other kinds have arguments without a value; ours have none.
    const bool bare_ok = spec.kind == DeviceKind::kVdev || spec.kind == DeviceKind::kPci;
    if (item.empty() || equals == 0 || (equals == std::string_view::npos && !bare_ok)) {
      return SpecError(text, absl::StrCat("expected ,key=value but found \"", std::string(item), "\""));
    }
    std::string key(item.substr(0, equals));
    if (spec.Find(key) != nullptr) return SpecError(text, absl::StrCat("\"", key, "\" is given twice"));
    std::string value(equals == std::string_view::npos ? std::string_view() : item.substr(equals + 1));
    spec.arguments.emplace_back(std::move(key), std::move(value));
  }
  return spec;
}

absl::Status CheckDeviceSpec(const DeviceSpec& spec) {
  absl::Status status = CheckDriver(spec);
  if (!status.ok()) return status;
  switch (spec.kind) {
    case DeviceKind::kAfPacket:
    case DeviceKind::kAfXdp:
      status = CheckInterface(spec);
      return status.ok() ? CheckCapability(spec, CAP_NET_RAW, "cap_net_raw") : status;
    case DeviceKind::kTap:
      if (access("/dev/net/tun", R_OK | W_OK) != 0) {
        return SpecProblem(
            spec, absl::StatusCode::kNotFound,
            "/dev/net/tun is missing or closed to this user: load the tun module (modprobe tun), or "
            "map the device into the container");
      }
      return CheckCapability(spec, CAP_NET_ADMIN, "cap_net_admin");
    case DeviceKind::kMemif:
    case DeviceKind::kVirtioUser:
    case DeviceKind::kVhost:
      return CheckSocket(spec);
    case DeviceKind::kPci:
      if (!fs::exists(fs::path("/sys/bus/pci/devices") / spec.target)) {
        return SpecProblem(spec, absl::StatusCode::kNotFound,
                           "no PCI device has this address (lspci -D lists them)");
      }
      return absl::OkStatus();
    case DeviceKind::kPcap:
      if (access(spec.target.c_str(), R_OK) != 0) {
        return SpecProblem(spec, absl::StatusCode::kNotFound,
                           absl::StrCat("cannot read ", spec.target, ": ", std::strerror(errno)));
      }
      return absl::OkStatus();
    case DeviceKind::kLoopback:
    case DeviceKind::kVdev:
      break;
  }
  return absl::OkStatus();
}

EalDevice ToEalDevice(const DeviceSpec& spec, const DeviceShape& shape) {
  EalDevice device;
  device.bus = spec.kind == DeviceKind::kPci ? "pci" : "vdev";
  const std::string driver(RowOf(spec.kind).driver);
  device.name = driver.empty() ? spec.target : absl::StrCat(driver, shape.serial);
  Arguments all = OwnArguments(spec, shape);
  for (const auto& given : spec.arguments) {
    const auto same =
        std::find_if(all.begin(), all.end(), [&given](const auto& own) { return own.first == given.first; });
    if (same != all.end()) {
      same->second = given.second;
    } else {
      all.push_back(given);
    }
  }
  std::vector<std::string> words;
  for (const auto& [key, value] : all) words.push_back(value.empty() ? key : absl::StrCat(key, "=", value));
  device.arguments = absl::StrJoin(words, ",");
  return device;
}

uint32_t RequiredDataRoom(const DeviceSpec& spec, uint16_t mtu) {
  // Two KiB beside the headroom is what drivers expect at the usual MTU; several refuse less.
  constexpr uint32_t kUsual = 2048;
  constexpr uint32_t kEthernetAndTags = 14 + 2 * 4;
  const uint32_t frame = mtu + kEthernetAndTags;
  uint32_t room = std::max(kUsual, (frame + 63) / 64 * 64);
  // The driver copies into buffers as large as the ring's frames or refuses them.
  if (spec.kind == DeviceKind::kAfPacket) {
    uint32_t ring_frame = AfPacketRingFor(mtu, 1).frame;
    if (const std::string* given = spec.Find("framesz"); given != nullptr) {
      uint32_t value = 0;
      if (absl::SimpleAtoi(*given, &value)) ring_frame = std::max(ring_frame, value);
    }
    room = std::max(room, ring_frame - kTpacketHeader);
  }
  return room;
}

uint16_t KernelInterfaceMtu(const std::string& name) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return 0;
  ifreq request{};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  const int result = ioctl(fd, SIOCGIFMTU, &request);
  close(fd);
  return result == 0 ? static_cast<uint16_t>(std::min(request.ifr_mtu, 65535)) : uint16_t{0};
}

}  // namespace tern
