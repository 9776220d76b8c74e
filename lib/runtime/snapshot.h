// What a worker tells about itself: plain numbers, copied on the worker's own thread.
#ifndef TERN_RUNTIME_SNAPSHOT_H_
#define TERN_RUNTIME_SNAPSHOT_H_

#include <cstdint>

#include "base/drop_reason.h"
#include "stack/shard.h"

namespace tern::runtime {

struct WorkerSnapshot {
  uint16_t worker = 0;
  int lcore = -1;
  uint64_t cycles_per_second = 0;
  uint64_t busy_cycles = 0;  // of turns that found something to do
  uint64_t idle_cycles = 0;  // of the others, sleep included
  uint64_t turns = 0;
  uint64_t busy_turns = 0;
  uint64_t sleeps = 0;
  uint64_t clock_jumps = 0;
  uint64_t events = 0;
  uint64_t handed_over = 0;
  uint64_t handed_in = 0;
  uint64_t app_timers = 0;
  // Frames are counted where they are processed; those that the worker dropped itself are added to the
  // shard's.
  stack::ShardCounters shard;
  stack::ShardUsage usage;
};

}  // namespace tern::runtime

#endif  // TERN_RUNTIME_SNAPSHOT_H_
