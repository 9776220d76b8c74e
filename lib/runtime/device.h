// The one interface between tern and a packet device. drivers_glue/ implements it over DPDK's ethdev; tests
// implement it over memory; the impairment device wraps any other.
#ifndef TERN_RUNTIME_DEVICE_H_
#define TERN_RUNTIME_DEVICE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/instant.h"
#include "base/packet.h"

namespace tern {

// What a port can do and what tern will use of it, fixed when it is opened.
struct DeviceInfo {
  std::string name;    // as the user wrote it: "af_packet:veth1"
  std::string driver;  // as DPDK names it: "net_af_packet"
  std::array<uint8_t, 6> mac{};
  uint16_t mtu = 1500;       // largest IP packet, octets
  uint16_t queue_count = 1;  // rx and tx pairs, numbered from 0
  uint16_t socket = 0;       // NUMA node

  bool rx_checksum = false;      // device verifies IPv4 and TCP checksums
  bool tx_ip_checksum = false;   // device fills in IPv4 header checksums
  bool tx_tcp_checksum = false;  // device fills in TCP checksums
  bool tso = false;              // device cuts up large TCP segments
  bool scatter = false;          // device may deliver chained buffers
  bool rss = false;              // device spreads flows over queues by Toeplitz
  bool rx_interrupt = false;     // WaitForReceive sleeps in the kernel instead of polling
  std::vector<uint8_t> rss_key;  // the key in force when rss
  // The queue of a frame is rss_table[hash % rss_table.size()] when rss; the size is a power of two.
  std::vector<uint16_t> rss_table;

  // What the numbers above leave out, in words for the log: which offloads have a software twin in force.
  std::string offload_summary;
};

// What an impairment around a device did to the frames of one direction.
struct ImpairmentTotals {
  uint64_t seen = 0;
  uint64_t lost = 0;
  uint64_t overflowed = 0;  // lost because its queue was full
  uint64_t duplicated = 0;
  uint64_t reordered = 0;
  uint64_t corrupted = 0;
};

// Counters of one queue or of the port, since it was opened.
struct DeviceCounters {
  uint64_t rx_frames = 0;
  uint64_t rx_bytes = 0;
  uint64_t tx_frames = 0;
  uint64_t tx_bytes = 0;
  uint64_t rx_missed = 0;     // device had no buffer or no room
  uint64_t rx_errors = 0;     // device found them damaged
  uint64_t rx_no_buffer = 0;  // refill found the pool empty
  uint64_t tx_rejected = 0;   // frames that the driver refused for good (bad offload request, too long)

  bool impaired = false;  // there is an impairment around it, which the following is about
  ImpairmentTotals rx_impairment;
  ImpairmentTotals tx_impairment;
};

// One port. Queue q is used by one worker thread at a time, by convention the worker with index q; calls on
// different queues may run at the same time. Nothing here blocks but WaitForReceive, and nothing throws.
class Device {
 public:
  virtual ~Device() = default;

  virtual const DeviceInfo& info() const = 0;

  // The pool whose buffers queue `q` receives into and whose frames may be sent from it. Same thread as the
  // queue.
  virtual BufferPool& pool(uint16_t q) = 0;

  // Fills `out` from the front with frames received on queue `q`; returns how many. The caller owns the
  // buffers.
  virtual size_t Receive(uint16_t q, std::span<RxFrame> out) = 0;

  // How many frames Transmit is sure to take now. Zero while the device is full or transmit buffers are out.
  virtual size_t TransmitRoom(uint16_t q) = 0;

  // Sends all of `frames`. REQUIRES: frames.size() <= the last TransmitRoom(q), with nothing sent since. All
  // are taken: what the driver does not accept at once waits inside the device for the next call or for
  // Flush.
  virtual void Transmit(uint16_t q, std::span<const TxFrame> frames) = 0;

  // Pushes what waits inside the device towards the driver, and reclaims sent buffers. Cheap when there is
  // none.
  virtual void Flush(uint16_t q) = 0;

  // Sleeps until queue `q` may have something to receive, `fd_wake` becomes readable (-1: none), or `timeout`
  // passes. Returns at once with false where the device cannot wait; the caller then yields or sleeps by
  // itself.
  virtual bool WaitForReceive(uint16_t q, int fd_wake, Duration timeout) = 0;

  // Earliest time at which a call on queue `q` would bring something that is inside the device already
  // (delayed frames of an impairment). Never for plain devices.
  virtual Instant NextInternalEvent(uint16_t q) const { return static_cast<void>(q), Instant::Never(); }

  virtual DeviceCounters counters() const = 0;
  virtual bool LinkUp() const = 0;

  // Asks the device to accept frames for a multicast MAC address (NDP). False when it cannot filter and so
  // was put, or already is, in all-multicast or promiscuous mode.
  virtual bool AddMulticast(const std::array<uint8_t, 6>& mac) = 0;

  // Stops the port and returns every buffer it holds to its pool. No queue may be in use. Idempotent.
  virtual void Stop() = 0;

  // Buffers that are neither free nor inside the driver, summed over pools: what the stack holds now. After
  // Stop and after the stack has let go of everything, anything but zero is a leak.
  virtual uint64_t buffers_outstanding() const = 0;
};

}  // namespace tern

#endif  // TERN_RUNTIME_DEVICE_H_
