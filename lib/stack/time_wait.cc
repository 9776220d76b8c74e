#include "stack/time_wait.h"

#include "wire/tcp.h"

namespace tern::stack {
namespace {

// RFC 6191 2 and RFC 9293 3.10.7.4: may this SYN begin a new connection of the same tuple? Its timestamp
// decides where both have one; equal timestamps, or none, leave it to the sequence number. Where only the new
// connection would have timestamps, every segment of the old one is told by its lack of them, and nothing
// stands against it.
bool BeginsAnew(const TimeWaitEntry& entry, const tcp::SegmentView& segment, bool use_timestamps) {
  if (use_timestamps && segment.options.has_timestamp) {
    if (!entry.timestamps) return true;
    const auto newer = static_cast<int32_t>(segment.options.tsval - entry.ts_recent);
    if (newer != 0) return newer > 0;
  }
  return segment.seq.After(entry.rcv_nxt);
}

}  // namespace

TimeWaitAction JudgeTimeWait(const TimeWaitEntry& entry, const tcp::SegmentView& segment,
                             bool use_timestamps) {
  // RFC 1337 3, fix F1: a RST must not end TIME-WAIT, or old duplicates get through.
  if (segment.Has(wire::kRst)) return TimeWaitAction::kIgnore;
  if (segment.Has(wire::kSyn)) {
    return !segment.Has(wire::kAck) && BeginsAnew(entry, segment, use_timestamps) ? TimeWaitAction::kReuse
                                                                                  : TimeWaitAction::kAck;
  }
  // RFC 9293 3.10.7.4, eighth: the only thing that can arrive is a retransmission of the FIN; acknowledge it
  // and restart the time-out. It ends just where we expect to go on.
  if (segment.Has(wire::kFin) && segment.seq + segment.SequenceLength() == entry.rcv_nxt) {
    return TimeWaitAction::kAckAndRestart;
  }
  // First check: what is outside the window gets an ACK. Bare ACKs do not: two ends that disagree would
  // answer each other for ever.
  return segment.SequenceLength() > 0 ? TimeWaitAction::kAck : TimeWaitAction::kIgnore;
}

uint32_t TimeWaitTable::Add(const wire::FlowKey& key, const tcp::TimeWaitState& state, Instant now) {
  const uint32_t index = entries_.Allocate();
  if (index == kNoSlot) return kNoSlot;
  TimeWaitEntry& entry = entries_[index];
  entry.local = key.local;
  entry.remote = key.remote;
  entry.local_port = key.local_port;
  entry.remote_port = key.remote_port;
  entry.snd_nxt = state.snd_nxt;
  entry.rcv_nxt = state.rcv_nxt;
  entry.ts_recent = state.ts_recent;
  entry.window = state.window;
  entry.timestamps = state.timestamps;
  entry.expires.Set(now + two_msl_);
  order_.PushBack(entries_, index);
  return index;
}

void TimeWaitTable::Remove(uint32_t index) {
  order_.Remove(entries_, index);
  entries_.Release(index);
}

void TimeWaitTable::Restart(uint32_t index, Instant now) {
  entries_[index].expires.Set(now + two_msl_);
  order_.Remove(entries_, index);
  order_.PushBack(entries_, index);
}

uint32_t TimeWaitTable::Expired(Instant now) const {
  const uint32_t oldest = order_.front();
  return oldest != kNoSlot && entries_[oldest].expires.Passed(now) ? oldest : kNoSlot;
}

Instant TimeWaitTable::NextDeadline(Instant now) const {
  const uint32_t oldest = order_.front();
  return oldest == kNoSlot ? Instant::Never() : entries_[oldest].expires.At(now);
}

}  // namespace tern::stack
