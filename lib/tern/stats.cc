#include "tern/stats.h"

#include <algorithm>
#include <array>

#include "runtime/device.h"
#include "runtime/snapshot.h"
#include "tern/dispatch.h"

namespace tern {
namespace {

void AddDrops(const std::vector<DropCount>& from, std::vector<DropCount>& to) {
  for (const DropCount& drop : from) {
    const auto found =
        std::find_if(to.begin(), to.end(), [&](const DropCount& have) { return have.name == drop.name; });
    if (found == to.end()) {
      to.push_back(drop);
    } else {
      found->packets += drop.packets;
    }
  }
}

std::vector<DropCount> MakeDrops(const DropCounters& counters) {
  std::vector<DropCount> drops;
  counters.ForEachCounted([&](DropReason reason, uint64_t packets) {
    drops.push_back({DropReasonName(reason), DropReasonMeaning(reason), packets});
  });
  return drops;
}

}  // namespace

uint64_t WorkerStats::dropped() const {
  uint64_t sum = 0;
  for (const DropCount& drop : drops) sum += drop.packets;
  return sum;
}

namespace {

using Field = uint64_t WorkerStats::*;

// What only grows,
constexpr auto kCounters = std::to_array<Field>({&WorkerStats::busy_cycles,
                                                 &WorkerStats::idle_cycles,
                                                 &WorkerStats::turns,
                                                 &WorkerStats::busy_turns,
                                                 &WorkerStats::sleeps,
                                                 &WorkerStats::clock_jumps,
                                                 &WorkerStats::rx_frames,
                                                 &WorkerStats::rx_consumed,
                                                 &WorkerStats::tx_frames,
                                                 &WorkerStats::handed_over,
                                                 &WorkerStats::handed_in,
                                                 &WorkerStats::rx_payload,
                                                 &WorkerStats::tx_payload,
                                                 &WorkerStats::retransmitted_segments,
                                                 &WorkerStats::timeouts,
                                                 &WorkerStats::path_mtu_lowered,
                                                 &WorkerStats::path_black_holes,
                                                 &WorkerStats::path_mtu_raised,
                                                 &WorkerStats::accepted,
                                                 &WorkerStats::syn_cookies_sent,
                                                 &WorkerStats::syn_cookies_accepted,
                                                 &WorkerStats::connected,
                                                 &WorkerStats::closed,
                                                 &WorkerStats::resets_sent,
                                                 &WorkerStats::resets_received,
                                                 &WorkerStats::events,
                                                 &WorkerStats::router_adverts,
                                                 &WorkerStats::prefixes_ignored,
                                                 &WorkerStats::duplicate_addresses});
// and what is there now.
constexpr auto kGauges = std::to_array<Field>(
    {&WorkerStats::deferred, &WorkerStats::sources, &WorkerStats::connections, &WorkerStats::half_open,
     &WorkerStats::time_wait, &WorkerStats::listeners, &WorkerStats::neighbours, &WorkerStats::paths,
     &WorkerStats::send_records, &WorkerStats::timers});

}  // namespace

void WorkerStats::Add(const WorkerStats& other) {
  for (const Field field : kCounters) this->*field += other.*field;
  for (const Field field : kGauges) this->*field += other.*field;
  AddDrops(other.drops, drops);
  AddDrops(other.tx_drops, tx_drops);
}

void WorkerStats::Subtract(const WorkerStats& earlier) {
  for (const Field field : kCounters) this->*field -= std::min(this->*field, earlier.*field);
}

ImpairmentStats MakeStats(const ImpairmentTotals& totals) {
  return {.seen = totals.seen,
          .lost = totals.lost,
          .overflowed = totals.overflowed,
          .duplicated = totals.duplicated,
          .reordered = totals.reordered,
          .corrupted = totals.corrupted};
}

WorkerStats MakeStats(const runtime::WorkerSnapshot& s) {
  WorkerStats stats;
  stats.worker = s.worker;
  stats.lcore = s.lcore;
  stats.cycles_per_second = s.cycles_per_second;
  stats.busy_cycles = s.busy_cycles;
  stats.idle_cycles = s.idle_cycles;
  stats.turns = s.turns;
  stats.busy_turns = s.busy_turns;
  stats.sleeps = s.sleeps;
  stats.clock_jumps = s.clock_jumps;
  stats.rx_frames = s.shard.rx_frames;
  stats.rx_consumed = s.shard.rx_consumed;
  stats.tx_frames = s.shard.tx_frames;
  stats.handed_over = s.handed_over;
  stats.handed_in = s.handed_in;
  stats.drops = MakeDrops(s.shard.drops);
  stats.tx_drops = MakeDrops(s.shard.tx_drops);
  stats.rx_payload = s.shard.rx_payload;
  stats.tx_payload = s.shard.tx_payload;
  stats.retransmitted_segments = s.shard.retransmitted_segments;
  stats.timeouts = s.shard.timeouts;
  stats.path_mtu_lowered = s.shard.path_mtu_lowered;
  stats.path_black_holes = s.shard.path_black_holes;
  stats.path_mtu_raised = s.shard.path_mtu_raised;
  stats.accepted = s.shard.accepted;
  stats.syn_cookies_sent = s.shard.syn_cookies_sent;
  stats.syn_cookies_accepted = s.shard.syn_cookies_accepted;
  stats.connected = s.shard.connected;
  stats.closed = s.shard.closed;
  stats.resets_sent = s.shard.resets_sent;
  stats.resets_received = s.shard.resets_received;
  stats.events = s.events;
  stats.router_adverts = s.shard.router_adverts;
  stats.prefixes_ignored = s.shard.prefixes_ignored;
  stats.duplicate_addresses = s.shard.duplicate_addresses;
  stats.connections = s.usage.connections;
  stats.half_open = s.usage.half_open;
  stats.deferred = s.usage.deferred;
  stats.sources = s.usage.sources;
  stats.time_wait = s.usage.time_wait;
  stats.listeners = s.usage.listeners;
  stats.neighbours = s.usage.neighbours;
  stats.paths = s.usage.paths;
  stats.send_records = s.usage.send_records;
  stats.timers = s.usage.timers + s.app_timers;
  return stats;
}

}  // namespace tern
