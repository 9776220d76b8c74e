// Sleeping until a queue has something, by the driver's rx interrupt or by a descriptor the driver reads
// from.
#ifndef TERN_DRIVERS_GLUE_RX_WAITER_H_
#define TERN_DRIVERS_GLUE_RX_WAITER_H_

#include <cstdint>
#include <vector>

#include "base/instant.h"

namespace tern {

// One queue's. Not thread-safe.
class RxWaiter {
 public:
  enum class Source : uint8_t {
    kNone,        // nothing to wait on
    kDescriptor,  // a descriptor of the driver's own that is readable while packets wait
    kInterrupt,   // DPDK's rx interrupt, which must be armed
  };

  RxWaiter() = default;
  ~RxWaiter() { Close(); }
  RxWaiter(const RxWaiter&) = delete;
  RxWaiter& operator=(const RxWaiter&) = delete;

  bool UseDescriptor(int fd);
  // Only where the port was configured for rx interrupts and is started.
  bool UseInterrupt(uint16_t port, uint16_t queue);
  void Close();

  Source source() const { return source_; }
  // Arms or disarms the interrupt; no-ops for a descriptor. Arm is false when the driver cannot after all.
  bool Arm();
  void Disarm();
  // Sleeps until there is something, `fd_wake` (-1: none) is readable, or `timeout` is over.
  void Sleep(int fd_wake, Duration timeout);

 private:
  Source source_ = Source::kNone;
  int epoll_fd_ = -1;
  uint16_t port_ = 0;
  uint16_t queue_ = 0;
};

// Descriptors that are open in this process, sorted.
std::vector<int> OpenDescriptors();

// Those of `now` that are not in `before`, in the order in which they were opened, and through which a driver
// receives: packet and XDP sockets, and tun devices.
std::vector<int> NewReceiveDescriptors(const std::vector<int>& before, const std::vector<int>& now);

}  // namespace tern

#endif  // TERN_DRIVERS_GLUE_RX_WAITER_H_
