#include "runtime/telemetry.h"

#include <rte_telemetry.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace tern::runtime {
namespace {

struct Registry {
  std::mutex mutex;
  std::vector<StackCore*> stacks;
};

Registry& TheRegistry() {
  static Registry& registry = *new Registry();  // DPDK's thread may ask while the program ends
  return registry;
}

// DPDK renamed this call after 22.11; it is used here and nowhere else.
void AddNumber(rte_tel_data* dict, const char* name, uint64_t value) {
  static_cast<void>(rte_tel_data_add_dict_u64(dict, name, value));
}

void AddTime(rte_tel_data* dict, const WorkerSnapshot& s) {
  AddNumber(dict, "cycles_per_second", s.cycles_per_second);
  AddNumber(dict, "busy_cycles", s.busy_cycles);
  AddNumber(dict, "idle_cycles", s.idle_cycles);
  AddNumber(dict, "turns", s.turns);
  AddNumber(dict, "busy_turns", s.busy_turns);
  AddNumber(dict, "sleeps", s.sleeps);
  AddNumber(dict, "clock_jumps", s.clock_jumps);
}

void AddTraffic(rte_tel_data* dict, const WorkerSnapshot& s) {
  AddNumber(dict, "rx_frames", s.shard.rx_frames);
  AddNumber(dict, "rx_consumed", s.shard.rx_consumed);
  AddNumber(dict, "rx_dropped", s.shard.drops.total());
  AddNumber(dict, "tx_frames", s.shard.tx_frames);
  AddNumber(dict, "tx_dropped", s.shard.tx_drops.total());
  AddNumber(dict, "handed_over", s.handed_over);
  AddNumber(dict, "handed_in", s.handed_in);
  AddNumber(dict, "rx_payload", s.shard.rx_payload);
  AddNumber(dict, "tx_payload", s.shard.tx_payload);
  AddNumber(dict, "retransmitted_segments", s.shard.retransmitted_segments);
  AddNumber(dict, "timeouts", s.shard.timeouts);
  AddNumber(dict, "path_mtu_lowered", s.shard.path_mtu_lowered);
  AddNumber(dict, "path_black_holes", s.shard.path_black_holes);
  AddNumber(dict, "path_mtu_raised", s.shard.path_mtu_raised);
  AddNumber(dict, "accepted", s.shard.accepted);
  AddNumber(dict, "syn_cookies_sent", s.shard.syn_cookies_sent);
  AddNumber(dict, "syn_cookies_accepted", s.shard.syn_cookies_accepted);
  AddNumber(dict, "connected", s.shard.connected);
  AddNumber(dict, "closed", s.shard.closed);
  AddNumber(dict, "resets_sent", s.shard.resets_sent);
  AddNumber(dict, "resets_received", s.shard.resets_received);
  AddNumber(dict, "events", s.events);
  AddNumber(dict, "router_adverts", s.shard.router_adverts);
  AddNumber(dict, "prefixes_ignored", s.shard.prefixes_ignored);
  AddNumber(dict, "duplicate_addresses", s.shard.duplicate_addresses);
}

void AddUse(rte_tel_data* dict, const WorkerSnapshot& s) {
  AddNumber(dict, "connections", s.usage.connections);
  AddNumber(dict, "half_open", s.usage.half_open);
  AddNumber(dict, "deferred", s.usage.deferred);
  AddNumber(dict, "sources", s.usage.sources);
  AddNumber(dict, "time_wait", s.usage.time_wait);
  AddNumber(dict, "listeners", s.usage.listeners);
  AddNumber(dict, "neighbours", s.usage.neighbours);
  AddNumber(dict, "paths", s.usage.paths);
  AddNumber(dict, "send_records", s.usage.send_records);
  AddNumber(dict, "timers", s.usage.timers);
  AddNumber(dict, "fragments", s.usage.fragments);
}

int TellWorkers(const char*, const char*, rte_tel_data* out) {
  rte_tel_data_start_dict(out);
  Registry& registry = TheRegistry();
  const std::lock_guard lock(registry.mutex);
  int number = 0;
  for (StackCore* core : registry.stacks) {
    for (const WorkerSnapshot& snapshot : core->Snapshots()) {
      rte_tel_data* dict = rte_tel_data_alloc();
      if (dict == nullptr) return 0;
      rte_tel_data_start_dict(dict);
      static_cast<void>(rte_tel_data_add_dict_int(dict, "worker", snapshot.worker));
      static_cast<void>(rte_tel_data_add_dict_int(dict, "lcore", snapshot.lcore));
      AddTime(dict, snapshot);
      AddTraffic(dict, snapshot);
      AddUse(dict, snapshot);
      const std::string name = "worker" + std::to_string(number++);
      if (rte_tel_data_add_dict_container(out, name.c_str(), dict, 0) != 0) rte_tel_data_free(dict);
    }
  }
  return 0;
}

int TellDrops(const char*, const char*, rte_tel_data* out) {
  rte_tel_data_start_dict(out);
  Registry& registry = TheRegistry();
  const std::lock_guard lock(registry.mutex);
  DropCounters received;
  DropCounters own;
  for (StackCore* core : registry.stacks) {
    for (const WorkerSnapshot& snapshot : core->Snapshots()) {
      received.Add(snapshot.shard.drops);
      own.Add(snapshot.shard.tx_drops);
    }
  }
  received.ForEachCounted([&](DropReason reason, uint64_t count) {
    AddNumber(out, std::string(DropReasonName(reason)).c_str(), count);
  });
  own.ForEachCounted([&](DropReason reason, uint64_t count) {
    AddNumber(out, ("tx_" + std::string(DropReasonName(reason))).c_str(), count);
  });
  return 0;
}

// Of one connection, as the worker's own thread saw it.
struct ConnectionLine {
  uint16_t worker = 0;
  wire::FlowKey key;
  tcp::Connection conn;
};

constexpr uint32_t kPage = 64;

// Connections are numbered over all stacks: slot s of the w-th worker in all is number w * 2^26 + s. Returns
// the number to go on with, 0 at the end.
uint64_t CollectPage(Registry& registry, uint64_t from, std::vector<ConnectionLine>* lines) {
  constexpr unsigned kSlotBits = 26;
  uint64_t base = 0;
  for (StackCore* core : registry.stacks) {
    for (uint16_t w = 0; w < core->worker_count(); ++w, base += uint64_t{1} << kSlotBits) {
      if (from >= base + (uint64_t{1} << kSlotBits)) continue;
      auto cursor = static_cast<uint32_t>(from > base ? from - base : 0);
      bool full = false;
      core->RunOn(w, [&](Worker& worker) {
        while (!(full = lines->size() == kPage)) {
          const stack::ConnHandle handle = worker.shard().NextLive(&cursor);
          if (handle.slot == kNoSlot) return;
          lines->push_back({w, *worker.shard().Key(handle), *worker.shard().Tcp(handle)});
        }
      });
      if (full) return base + cursor;
    }
  }
  return 0;
}

void AddConnection(rte_tel_data* dict, const ConnectionLine& line) {
  const std::string local = line.key.local.ToString();
  const std::string remote = line.key.remote.ToString();
  static_cast<void>(rte_tel_data_add_dict_int(dict, "worker", line.worker));
  static_cast<void>(rte_tel_data_add_dict_string(dict, "local", local.c_str()));
  AddNumber(dict, "local_port", line.key.local_port);
  static_cast<void>(rte_tel_data_add_dict_string(dict, "remote", remote.c_str()));
  AddNumber(dict, "remote_port", line.key.remote_port);
  static_cast<void>(rte_tel_data_add_dict_string(dict, "state", tcp::StateName(line.conn.state)));
  AddNumber(dict, "smoothed_rtt_us", static_cast<uint64_t>(line.conn.rtt.srtt().micros()));
  AddNumber(dict, "cwnd", line.conn.cwnd);
  AddNumber(dict, "send_window", line.conn.snd_wnd);
  AddNumber(dict, "in_flight", line.conn.snd_una.DistanceTo(line.conn.snd_nxt));
  AddNumber(dict, "send_queued", line.conn.snd_nxt.DistanceTo(line.conn.snd_end));
  AddNumber(dict, "receive_queued", line.conn.rcv_queued);
}

int TellConnections(const char*, const char* parameters, rte_tel_data* out) {
  rte_tel_data_start_dict(out);
  Registry& registry = TheRegistry();
  const std::lock_guard lock(registry.mutex);
  std::vector<ConnectionLine> lines;
  const uint64_t from = parameters == nullptr ? 0 : std::strtoull(parameters, nullptr, 10);
  const uint64_t next = CollectPage(registry, from, &lines);
  AddNumber(out, "next", next);
  for (size_t i = 0; i < lines.size(); ++i) {
    rte_tel_data* dict = rte_tel_data_alloc();
    if (dict == nullptr) return 0;
    rte_tel_data_start_dict(dict);
    AddConnection(dict, lines[i]);
    const std::string name = "connection" + std::to_string(i);
    if (rte_tel_data_add_dict_container(out, name.c_str(), dict, 0) != 0) rte_tel_data_free(dict);
  }
  return 0;
}

void RegisterOnce() {
  static const bool done = [] {
    // An error (a second registration, too many commands) costs the command and nothing else.
    static_cast<void>(rte_telemetry_register_cmd("/tern/workers", TellWorkers,
                                                 "Returns what each worker counts. No parameters"));
    static_cast<void>(rte_telemetry_register_cmd(
        "/tern/drops", TellDrops, "Returns frames dropped by reason, all workers together. No parameters"));
    static_cast<void>(rte_telemetry_register_cmd(
        "/tern/connections", TellConnections,
        "Returns up to 64 connections from a number on, 0 first, and the next number. Parameters: number"));
    return true;
  }();
  static_cast<void>(done);
}

}  // namespace

TelemetryEntry::TelemetryEntry(StackCore& core) : core_(&core) {
  RegisterOnce();
  Registry& registry = TheRegistry();
  const std::lock_guard lock(registry.mutex);
  registry.stacks.push_back(core_);
}

TelemetryEntry::~TelemetryEntry() {
  Registry& registry = TheRegistry();
  const std::lock_guard lock(registry.mutex);
  std::erase(registry.stacks, core_);
}

}  // namespace tern::runtime
