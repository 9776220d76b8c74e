// TIME-WAIT in one cache line: what is left of a connection that ended in order.
#ifndef TERN_STACK_TIME_WAIT_H_
#define TERN_STACK_TIME_WAIT_H_

#include <cstdint>

#include "base/instant.h"
#include "base/intrusive_list.h"
#include "base/memory_source.h"
#include "base/seq_num.h"
#include "base/slot_pool.h"
#include "tcp/connection.h"
#include "tcp/deadline.h"
#include "tcp/segment.h"
#include "wire/flow_key.h"

namespace tern::stack {

struct TimeWaitEntry {
  ListLinks links;
  wire::IpAddress local;
  wire::IpAddress remote;
  uint16_t local_port = 0;
  uint16_t remote_port = 0;
  SeqNum snd_nxt;
  SeqNum rcv_nxt;
  uint32_t ts_recent = 0;
  tcp::Deadline expires;
  uint16_t window = 0;
  bool timestamps = false;
  bool yielded = false;  // a half-open entry stands in its place in the flow table

  wire::FlowKey Key() const { return {local, remote, local_port, remote_port, 0}; }
  bool Matches(const wire::FlowKey& key) const {
    return local == key.local && remote == key.remote && local_port == key.local_port &&
           remote_port == key.remote_port;
  }
};
static_assert(sizeof(TimeWaitEntry) == 64, "TIME-WAIT is one cache line");

enum class TimeWaitAction : uint8_t {
  kIgnore,         // nothing to say
  kAck,            // the peer is behind: tell it where we are
  kAckAndRestart,  // its FIN again: our ACK was lost, 2 MSL begin anew
  kReuse,          // a new connection: forget the old one and treat the SYN as in LISTEN
};

// RFC 9293 3.10.7.4 for TIME-WAIT, with RFC 1337's and RFC 6191's amendments. `use_timestamps`: whether a new
// connection would use them.
TimeWaitAction JudgeTimeWait(const TimeWaitEntry& entry, const tcp::SegmentView& segment,
                             bool use_timestamps);

// All entries wait equally long from their last restart, so the oldest is always the first to expire.
class TimeWaitTable {
 public:
  TimeWaitTable(MemorySource& memory, uint32_t limit, Duration two_msl)
      : entries_(memory, limit), two_msl_(two_msl) {}

  // kNoSlot when the table is full: remove the oldest and try again.
  uint32_t Add(const wire::FlowKey& key, const tcp::TimeWaitState& state, Instant now);
  void Remove(uint32_t index);
  void Restart(uint32_t index, Instant now);

  // kNoSlot when empty.
  uint32_t Oldest() const { return order_.front(); }
  // The oldest if its time is over, else kNoSlot.
  uint32_t Expired(Instant now) const;
  Instant NextDeadline(Instant now) const;

  TimeWaitEntry& operator[](uint32_t index) { return entries_[index]; }
  const TimeWaitEntry& operator[](uint32_t index) const { return entries_[index]; }
  uint32_t in_use() const { return entries_.in_use(); }

 private:
  SlotPool<TimeWaitEntry> entries_;
  IntrusiveList<TimeWaitEntry, &TimeWaitEntry::links> order_;
  Duration two_msl_;
};

}  // namespace tern::stack

#endif  // TERN_STACK_TIME_WAIT_H_
