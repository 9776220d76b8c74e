// Counters: snapshots that each worker takes of itself, so that they are consistent and cost the packet path
// nothing. Plain values, any thread. Counts are since the stack started; octets and frames as the name says.
#ifndef TERN_TERN_STATS_H_
#define TERN_TERN_STATS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tern/export.h"

namespace tern {

struct DropCount {
  std::string_view name;     // "tcp_out_of_window"; stable between versions
  std::string_view meaning;  // one line for a person
  uint64_t packets = 0;
};

// One worker, or (Add) the sum of several.
struct TERN_EXPORT WorkerStats {
  int worker = 0;
  int lcore = -1;  // where it runs; -1: a plain thread

  // Where the time went, in TSC cycles. A turn of the loop that found something to do is busy in whole, one
  // that found nothing is idle in whole; sleeping is idle too.
  uint64_t cycles_per_second = 0;
  uint64_t busy_cycles = 0;
  uint64_t idle_cycles = 0;
  uint64_t turns = 0;
  uint64_t busy_turns = 0;
  uint64_t sleeps = 0;       // times it slept in the kernel
  uint64_t clock_jumps = 0;  // times the clock leapt (a paused VM) and the leap was absorbed

  // Frames. rx_frames = rx_consumed + every drop below; frames handed to or by other workers are counted
  // where they are processed.
  uint64_t rx_frames = 0;
  uint64_t rx_consumed = 0;
  uint64_t tx_frames = 0;
  uint64_t handed_over = 0;         // frames this worker received and passed to the worker that owns them
  uint64_t handed_in = 0;           // frames it got that way
  std::vector<DropCount> drops;     // of received frames; only those counted at least once
  std::vector<DropCount> tx_drops;  // frames of our own that were never sent

  // TCP.
  uint64_t rx_payload = 0;  // octets delivered in order
  uint64_t tx_payload = 0;  // octets sent, retransmissions included
  uint64_t retransmitted_segments = 0;
  uint64_t timeouts = 0;
  uint64_t path_mtu_lowered = 0;  // times a path was found to carry less than was sent
  uint64_t path_black_holes = 0;  // times large segments vanished, and nobody said why
  uint64_t path_mtu_raised = 0;   // times a path was found to carry more
  uint64_t accepted = 0;
  uint64_t syn_cookies_sent = 0;      // SYNs answered without keeping anything
  uint64_t syn_cookies_accepted = 0;  // of `accepted`, those that came of them
  uint64_t connected = 0;             // opened by this side
  uint64_t closed = 0;
  uint64_t resets_sent = 0;
  uint64_t resets_received = 0;
  uint64_t events = 0;  // given to handlers

  // IPv6 autoconfiguration.
  uint64_t router_adverts = 0;       // routers' words that were believed
  uint64_t prefixes_ignored = 0;     // prefixes in them that were not, or found no room
  uint64_t duplicate_addresses = 0;  // of ours, that another host on the link has: they are not used

  // In use at this moment.
  uint64_t connections = 0;
  uint64_t half_open = 0;
  uint64_t deferred = 0;  // of `connections`, those whose accept waits for data
  uint64_t sources = 0;   // with pending connections, at listeners that bound one source's
  uint64_t time_wait = 0;
  uint64_t listeners = 0;
  uint64_t neighbours = 0;
  uint64_t paths = 0;  // known to carry less than their link
  uint64_t send_records = 0;
  uint64_t timers = 0;

  uint64_t dropped() const;
  // Sums everything but `worker`, `lcore` and `cycles_per_second`.
  void Add(const WorkerStats& other);
  // Leaves of the counters what has come since `earlier`; what says how things stand now, and drops, stay.
  void Subtract(const WorkerStats& earlier);
};

// What an impairment around a port did to the frames of one direction.
struct ImpairmentStats {
  uint64_t seen = 0;
  uint64_t lost = 0;
  uint64_t overflowed = 0;  // lost because its queue was full
  uint64_t duplicated = 0;
  uint64_t reordered = 0;
  uint64_t corrupted = 0;
};

// One port.
struct DeviceStats {
  std::string name;    // as the user wrote it
  std::string driver;  // as DPDK names it
  bool link_up = false;
  uint64_t rx_frames = 0;
  uint64_t rx_bytes = 0;
  uint64_t tx_frames = 0;
  uint64_t tx_bytes = 0;
  uint64_t rx_missed = 0;            // the device had no buffer or no room
  uint64_t rx_errors = 0;            // damaged
  uint64_t rx_no_buffer = 0;         // the pool was empty at refill
  uint64_t tx_rejected = 0;          // refused by the driver for good
  uint64_t buffers_outstanding = 0;  // held by the stack now
  bool impaired = false;             // by its `impairment`, which the following is about
  ImpairmentStats rx_impairment;
  ImpairmentStats tx_impairment;
};

struct StackStats {
  std::vector<WorkerStats> workers;
  WorkerStats total;
  std::vector<DeviceStats> devices;
};

// What was still held after everything had let go. All zero, or a bug in tern or in the application.
struct LeakReport {
  uint64_t buffers = 0;      // packet buffers
  uint64_t connections = 0;  // slots, half-open and TIME-WAIT included
  uint64_t send_records = 0;
  uint64_t timers = 0;          // of connections and of applications
  uint64_t client_buffers = 0;  // held by tier 3 clients that were not destroyed

  bool clean() const {
    return buffers == 0 && connections == 0 && send_records == 0 && timers == 0 && client_buffers == 0;
  }
};

}  // namespace tern

#endif  // TERN_TERN_STATS_H_
