// A DPDK port behind the Device interface.
#ifndef TERN_DRIVERS_GLUE_ETHDEV_DEVICE_H_
#define TERN_DRIVERS_GLUE_ETHDEV_DEVICE_H_

#include <rte_ethdev.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "drivers_glue/counter.h"
#include "drivers_glue/device_options.h"
#include "drivers_glue/device_spec.h"
#include "drivers_glue/mbuf_pool.h"
#include "drivers_glue/rx_waiter.h"
#include "drivers_glue/tx_composer.h"
#include "runtime/device.h"

namespace tern {

// Open, Stop and destruction belong to one thread; between them each queue belongs to its worker.
class EthdevDevice final : public Device {
 public:
  // Creates the port (or takes a NIC that the EAL has found), negotiates with it, and starts it.
  // REQUIRES: EalIsRunning().
  static absl::StatusOr<std::unique_ptr<Device>> Open(const DeviceSpec& spec, const DeviceOptions& options);
  ~EthdevDevice() override;

  const DeviceInfo& info() const override { return info_; }
  BufferPool& pool(uint16_t q) override { return *queues_[q]->pool; }
  size_t Receive(uint16_t q, std::span<RxFrame> out) override;
  size_t TransmitRoom(uint16_t q) override;
  void Transmit(uint16_t q, std::span<const TxFrame> frames) override;
  void Flush(uint16_t q) override;
  bool WaitForReceive(uint16_t q, int fd_wake, Duration timeout) override;
  DeviceCounters counters() const override;
  bool LinkUp() const override;
  bool AddMulticast(const std::array<uint8_t, 6>& mac) override;
  void Stop() override;
  uint64_t buffers_outstanding() const override;

 private:
  static constexpr size_t kBurst = 64;
  // Composed frames that wait for the driver; more than one burst, so that a short refusal costs no room.
  static constexpr size_t kStaged = 4 * kBurst;

  struct alignas(RTE_CACHE_LINE_SIZE) Queue {
    std::unique_ptr<MbufPool> pool;
    std::unique_ptr<TxComposer> composer;
    RxWaiter waiter;
    // Received while the interrupt was being armed; the next Receive gives them out.
    std::array<rte_mbuf*, kBurst> early;
    uint16_t early_count = 0;
    // staged[head, head + count), always contiguous.
    std::array<rte_mbuf*, kStaged> staged;
    size_t staged_head = 0;
    size_t staged_count = 0;
    bool staged_offloads = false;  // some staged frame asks the device for work
    size_t prepared = 0;           // of the staged, from the head: the driver has agreed to their requests
    uint8_t reclaim_tries = 0;     // calls of tx_done_cleanup worth making
    Counter rx_frames, rx_bytes, tx_frames, tx_bytes, tx_rejected;
  };

  explicit EthdevDevice(const DeviceSpec& spec) : spec_(spec) {}

  // Opening, in order (ethdev_open.cc, ethdev_negotiate.cc).
  absl::Status ChooseMtu(const DeviceOptions& options);
  absl::Status CreatePort(const DeviceOptions& options);
  absl::Status Configure(const DeviceOptions& options);
  absl::Status NegotiateLimits(const DeviceOptions& options);
  void NegotiateOffloads();
  void NegotiateRss();
  absl::Status CreateQueues(const DeviceOptions& options);
  absl::Status SetUpQueue(uint16_t q);
  absl::Status StartPort(const DeviceOptions& options);
  void ChooseMac(const DeviceOptions& options);
  void ListenToAll();
  void FixRssTable();
  void DescribeOffloads();
  absl::Status Error(absl::StatusCode code, const std::string& what, int result) const;

  void PushStaged(uint16_t q, Queue& queue);
  bool PrepareStaged(uint16_t q, Queue& queue);
  static void DropRejected(Queue& queue, size_t index);
  void FindWaitSources();
  void ReturnHeld(Queue& queue);
  void RemovePort();

  DeviceSpec spec_;
  DeviceInfo info_;
  EalDevice eal_device_;
  uint16_t port_ = RTE_MAX_ETHPORTS;
  bool created_ = false;  // by us, so removed by us
  bool started_ = false;
  bool can_reclaim_ = true;
  bool promiscuous_by_us_ = false;
  uint16_t rx_ring_ = 0;
  uint16_t tx_ring_ = 0;
  uint16_t max_segments_ = 1;
  rte_eth_dev_info caps_{};
  rte_eth_conf conf_{};
  std::vector<int> receive_fds_;  // what the driver reads queue 0, 1, … from, where that is known
  std::vector<std::unique_ptr<Queue>> queues_;
  std::vector<rte_ether_addr> multicast_;
  mutable std::atomic<bool> link_was_up_{false};
  mutable std::atomic<bool> link_lost_{false};
  DeviceCounters last_counters_;  // after Stop
};

}  // namespace tern

#endif  // TERN_DRIVERS_GLUE_ETHDEV_DEVICE_H_
