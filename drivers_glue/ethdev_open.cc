// Opening and closing a port.
#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_version.h>

#include <atomic>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "drivers_glue/dpdk_log.h"
#include "drivers_glue/eal.h"
#include "drivers_glue/ethdev_device.h"
#include "drivers_glue/sigpipe_block.h"
#include "drivers_glue/stable_mac.h"

namespace tern {
namespace {

// Devices of one process get different names.
std::atomic<unsigned> g_port_serial{0};

constexpr uint16_t kLargestMtu = 9000;

bool IsKernelInterface(DeviceKind kind) {
  return kind == DeviceKind::kAfPacket || kind == DeviceKind::kAfXdp;
}

}  // namespace

absl::Status EthdevDevice::Error(absl::StatusCode code, const std::string& what, int result) const {
  return absl::Status(code, absl::StrCat("device \"", spec_.text, "\": ", what, " (", rte_strerror(-result),
                                         "): ", TakeDpdkLog()));
}

absl::StatusOr<std::unique_ptr<Device>> EthdevDevice::Open(const DeviceSpec& spec,
                                                           const DeviceOptions& options) {
  if (!EalIsRunning())
    return absl::FailedPreconditionError("start the EAL (EalStart) before opening a device");
  absl::Status status = CheckDeviceSpec(spec);
  if (!status.ok()) return status;
  std::unique_ptr<EthdevDevice> device(new EthdevDevice(spec));
  // Drivers complain about what they are merely asked; if opening fails, the error tells what was logged.
  const QuietDpdkLog quiet;
  const SigpipeBlock no_sigpipe;
  TakeDpdkLog();
  status = device->ChooseMtu(options);
  if (status.ok()) status = device->CreatePort(options);
  if (status.ok()) status = device->NegotiateLimits(options);
  if (status.ok()) status = device->Configure(options);
  if (status.ok()) status = device->CreateQueues(options);
  if (status.ok()) status = device->StartPort(options);
  if (!status.ok()) return status;  // the destructor undoes what was done
  return device;
}

absl::Status EthdevDevice::ChooseMtu(const DeviceOptions& options) {
  const uint16_t kernel_mtu = IsKernelInterface(spec_.kind) ? KernelInterfaceMtu(spec_.target) : uint16_t{0};
  constexpr uint16_t kUsual = 1500;
  constexpr uint16_t kLeast = 576;  // RFC 791 3.2: what every host must be able to reassemble
  info_.mtu = options.mtu != 0 ? options.mtu : kernel_mtu != 0 ? std::min(kernel_mtu, kLargestMtu) : kUsual;
  if (info_.mtu < kLeast || info_.mtu > kLargestMtu) {
    return absl::InvalidArgumentError(absl::StrCat("device \"", spec_.text, "\": mtu = ", info_.mtu,
                                                   ", expected an MTU from ", kLeast, " to ", kLargestMtu));
  }
  if (kernel_mtu != 0 && info_.mtu > kernel_mtu) {
    return absl::InvalidArgumentError(absl::StrCat(
        "device \"", spec_.text, "\": mtu = ", info_.mtu, " is above the interface's ", kernel_mtu,
        ": lower it, or raise the interface's (ip link set ", spec_.target, " mtu ", info_.mtu, ")"));
  }
  return absl::OkStatus();
}

absl::Status EthdevDevice::CreatePort(const DeviceOptions& options) {
  DeviceShape shape;
  shape.queues = options.queues;
  shape.mtu = info_.mtu;
  shape.ring_size = options.rx_ring;
  shape.serial = g_port_serial.fetch_add(1);
  const std::array<uint8_t, 6> mac = options.mac.value_or(StableMac(spec_.text));
  shape.mac =
      absl::StrFormat("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
  eal_device_ = ToEalDevice(spec_, shape);
  const std::vector<int> before = OpenDescriptors();

  const bool known = rte_eth_dev_get_port_by_name(eal_device_.name.c_str(), &port_) == 0;
  if (known && spec_.kind != DeviceKind::kPci) {
    port_ = RTE_MAX_ETHPORTS;
    return absl::AlreadyExistsError(absl::StrCat("device \"", spec_.text, "\": a port named ",
                                                 eal_device_.name,
                                                 " is open already: close it, or choose another name"));
  }
  if (!known) {
    const int result =
        rte_eal_hotplug_add(eal_device_.bus.c_str(), eal_device_.name.c_str(), eal_device_.arguments.c_str());
    if (result != 0) {
      const std::string hint =
          spec_.kind == DeviceKind::kPci
              ? "; bind it to vfio-pci (dpdk-devbind.py -b vfio-pci ADDRESS) and list it when the "
                "EAL starts"
              : "";
      return Error(absl::StatusCode::kUnavailable,
                   absl::StrCat("DPDK cannot create ", eal_device_.name, " with \"", eal_device_.arguments,
                                "\"", hint),
                   result);
    }
    created_ = true;
  }
  uint16_t port = RTE_MAX_ETHPORTS;
  rte_dev_iterator iterator;
  const std::string match = absl::StrCat(eal_device_.bus, ":", eal_device_.name);
  if (rte_eth_dev_get_port_by_name(eal_device_.name.c_str(), &port) != 0 &&
      rte_eth_iterator_init(&iterator, match.c_str()) == 0) {
    port = rte_eth_iterator_next(&iterator);
    if (port != RTE_MAX_ETHPORTS) rte_eth_iterator_cleanup(&iterator);
  }
  if (port == RTE_MAX_ETHPORTS) {
    return Error(absl::StatusCode::kUnavailable,
                 absl::StrCat("no DPDK driver made a port of ", eal_device_.name), -ENODEV);
  }
  port_ = port;
  receive_fds_ = NewReceiveDescriptors(before, OpenDescriptors());
  info_.name = spec_.text;
  return absl::OkStatus();
}

absl::Status EthdevDevice::CreateQueues(const DeviceOptions& options) {
  rx_ring_ = options.rx_ring;
  tx_ring_ = options.tx_ring;
  const int result = rte_eth_dev_adjust_nb_rx_tx_desc(port_, &rx_ring_, &tx_ring_);
  if (result != 0)
    return Error(absl::StatusCode::kInvalidArgument, "ring sizes do not suit the driver", result);

  constexpr uint32_t kEthernetAndTags = 14 + 2 * 4;
  // Full caches of the worker and of one other thread, and a few bursts on their way.
  constexpr uint32_t kInCaches = 2 * 384 + 4 * static_cast<uint32_t>(kBurst);
  for (uint16_t q = 0; q < info_.queue_count; ++q) {
    auto queue = std::make_unique<Queue>();
    MbufPool::Options pool;
    pool.name = absl::StrCat("tern_", port_, "_", q, "_rx");
    pool.count = options.buffers + rx_ring_ + kInCaches;
    pool.room = RequiredDataRoom(spec_, info_.mtu);
    // Receive refill never starves: the stack's own allocations stop while the rings can still be filled.
    pool.budget = options.buffers;
    pool.socket = rte_eth_dev_socket_id(port_);
    absl::StatusOr<std::unique_ptr<MbufPool>> made_pool = MbufPool::Create(pool);
    if (!made_pool.ok()) return made_pool.status();
    queue->pool = *std::move(made_pool);

    TxComposer::Options composer;
    composer.name = absl::StrCat("tern_", port_, "_", q);
    composer.ring_size = tx_ring_;
    composer.max_frame = info_.mtu + kEthernetAndTags;
    composer.max_segments = max_segments_;
    composer.ip_checksum = info_.tx_ip_checksum;
    composer.tcp_checksum = info_.tx_tcp_checksum;
    composer.tso = info_.tso;
    composer.socket = pool.socket;
    absl::StatusOr<std::unique_ptr<TxComposer>> made_composer = TxComposer::Create(composer);
    if (!made_composer.ok()) return made_composer.status();
    queue->composer = *std::move(made_composer);
    queues_.push_back(std::move(queue));
    absl::Status status = SetUpQueue(q);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status EthdevDevice::SetUpQueue(uint16_t q) {
  const auto socket = static_cast<unsigned>(rte_eth_dev_socket_id(port_));
  rte_eth_rxconf rx = caps_.default_rxconf;
  rx.offloads = conf_.rxmode.offloads;
  const std::vector<int> before = OpenDescriptors();
  int result = rte_eth_rx_queue_setup(port_, q, rx_ring_, socket, &rx, queues_[q]->pool->mempool());
  if (result != 0)
    return Error(absl::StatusCode::kInternal, absl::StrCat("the driver refuses to receive on queue ", q),
                 result);
  // Some drivers open what they read from when the port is made, others queue by queue.
  const std::vector<int> fresh = NewReceiveDescriptors(before, OpenDescriptors());
  if (!fresh.empty()) {
    receive_fds_.resize(q + size_t{1}, -1);
    receive_fds_[q] = fresh.front();
  }
  rte_eth_txconf tx = caps_.default_txconf;
  tx.offloads = conf_.txmode.offloads;
  result = rte_eth_tx_queue_setup(port_, q, tx_ring_, socket, &tx);
  if (result != 0)
    return Error(absl::StatusCode::kInternal, absl::StrCat("the driver refuses to send from queue ", q),
                 result);
  return absl::OkStatus();
}

absl::Status EthdevDevice::StartPort(const DeviceOptions& options) {
  const int result = rte_eth_dev_start(port_);
  if (result != 0) return Error(absl::StatusCode::kUnavailable, "the port does not start", result);
  started_ = true;
  ChooseMac(options);
  FixRssTable();
  FindWaitSources();
  DescribeOffloads();
  return absl::OkStatus();
}

// On kernel interfaces and taps the driver would change the kernel's address too, so the port listens to
// everything instead. A tap must not share the kernel's address: the kernel would not talk to itself.
void EthdevDevice::ChooseMac(const DeviceOptions& options) {
  rte_ether_addr own{};
  rte_eth_macaddr_get(port_, &own);
  std::copy_n(own.addr_bytes, info_.mac.size(), info_.mac.begin());
  const bool has_own = (spec_.kind == DeviceKind::kPci || spec_.kind == DeviceKind::kVdev ||
                        spec_.kind == DeviceKind::kVirtioUser || IsKernelInterface(spec_.kind)) &&
                       !rte_is_zero_ether_addr(&own);
  if (options.mac.has_value()) {
    info_.mac = *options.mac;
  } else if (!has_own) {
    info_.mac = StableMac(spec_.text);
  }
  if (std::equal(info_.mac.begin(), info_.mac.end(), own.addr_bytes)) return;
  rte_ether_addr wanted{};
  std::copy_n(info_.mac.begin(), info_.mac.size(), wanted.addr_bytes);
  const bool changes_kernel = IsKernelInterface(spec_.kind) || spec_.kind == DeviceKind::kTap;
  if (changes_kernel || rte_eth_dev_default_mac_addr_set(port_, &wanted) != 0) ListenToAll();
}

void EthdevDevice::ListenToAll() {
  if (rte_eth_promiscuous_get(port_) != 1) promiscuous_by_us_ = rte_eth_promiscuous_enable(port_) == 0;
}

void EthdevDevice::FindWaitSources() {
  info_.rx_interrupt = true;
  for (uint16_t q = 0; q < info_.queue_count; ++q) {
    RxWaiter& waiter = queues_[q]->waiter;
    const bool by_interrupt = conf_.intr_conf.rxq != 0 && waiter.UseInterrupt(port_, q);
    const bool by_descriptor = !by_interrupt && q < receive_fds_.size() && receive_fds_[q] >= 0 &&
                               waiter.UseDescriptor(receive_fds_[q]);
    info_.rx_interrupt &= by_interrupt || by_descriptor;
  }
}

DeviceCounters EthdevDevice::counters() const {
  if (!started_) return last_counters_;
  DeviceCounters sum;
  for (const auto& queue : queues_) {
    sum.rx_frames += queue->rx_frames.value();
    sum.rx_bytes += queue->rx_bytes.value();
    sum.tx_frames += queue->tx_frames.value();
    sum.tx_bytes += queue->tx_bytes.value();
    sum.tx_rejected += queue->tx_rejected.value();
  }
  rte_eth_stats stats{};
  if (rte_eth_stats_get(port_, &stats) == 0) {
    sum.rx_missed = stats.imissed;
    sum.rx_errors = stats.ierrors;
    sum.rx_no_buffer = stats.rx_nombuf;
  }
  return sum;
}

bool EthdevDevice::LinkUp() const {
  if (!started_ || link_lost_) return false;
  rte_eth_link link{};
  const bool up = rte_eth_link_get_nowait(port_, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
  if (up) link_was_up_ = true;
  // virtio_user as a client never connects again, and each further question to it schedules one more clean-up
  // of the same connection, which crashes in the end: ask no more.
  const std::string* server = spec_.Find("server");
  link_lost_ = spec_.kind == DeviceKind::kVirtioUser && server == nullptr && link_was_up_ && !up;
  return up;
}

bool EthdevDevice::AddMulticast(const std::array<uint8_t, 6>& mac) {
  if (!started_) return false;
  rte_ether_addr address{};
  std::copy_n(mac.begin(), mac.size(), address.addr_bytes);
  multicast_.push_back(address);
  if (rte_eth_dev_set_mc_addr_list(port_, multicast_.data(), static_cast<uint32_t>(multicast_.size())) == 0) {
    return true;
  }
  if (rte_eth_allmulticast_enable(port_) != 0) ListenToAll();
  return false;
}

void EthdevDevice::ReturnHeld(Queue& queue) {
  FreeMbufs(std::span(queue.early.data(), queue.early_count));
  queue.early_count = 0;
  FreeMbufs(std::span(queue.staged.data() + queue.staged_head, queue.staged_count));
  queue.staged_head = queue.staged_count = queue.prepared = 0;
  if (queue.composer != nullptr) queue.composer->DropStock();
}

// The order matters: nothing sleeps on the port's descriptors when the driver closes them, and the port is
// stopped before its queues' mbufs are taken back.
void EthdevDevice::Stop() {
  if (port_ == RTE_MAX_ETHPORTS) return;
  const QuietDpdkLog quiet;
  const SigpipeBlock no_sigpipe;
  if (started_) last_counters_ = counters();
  for (auto& queue : queues_) queue->waiter.Close();
  // A kernel interface would stay promiscuous after us.
  if (promiscuous_by_us_) rte_eth_promiscuous_disable(port_);
  promiscuous_by_us_ = false;
  if (started_) rte_eth_dev_stop(port_);
  started_ = false;
  for (auto& queue : queues_) ReturnHeld(*queue);
  RemovePort();
}

void EthdevDevice::RemovePort() {
  if (rte_eth_dev_is_valid_port(port_) != 0) rte_eth_dev_close(port_);
  if (created_) rte_eal_hotplug_remove(eal_device_.bus.c_str(), eal_device_.name.c_str());
  created_ = false;
  port_ = RTE_MAX_ETHPORTS;
  // This driver never gives back what lay in the kernel's fill ring. Its sockets are closed, so nobody can
  // write there.
  if (spec_.kind == DeviceKind::kAfXdp) {
    for (auto& queue : queues_) queue->pool->ForgetDriver();
  }
}

uint64_t EthdevDevice::buffers_outstanding() const {
  int64_t held = 0;
  uint64_t in_use = 0;
  for (const auto& queue : queues_) {
    if (queue->pool == nullptr) continue;
    held += queue->pool->held();
    // With the port gone nobody but the stack may have any, so the pools themselves can be asked: this finds
    // what a driver or this class lost, too.
    if (port_ == RTE_MAX_ETHPORTS) {
      in_use += queue->pool->in_use();
      if (queue->composer != nullptr) in_use += queue->composer->in_use();
    }
  }
  return port_ == RTE_MAX_ETHPORTS ? in_use : static_cast<uint64_t>(std::max<int64_t>(held, 0));
}

EthdevDevice::~EthdevDevice() { Stop(); }

}  // namespace tern
