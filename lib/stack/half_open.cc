#include "stack/half_open.h"

#include <algorithm>

namespace tern::stack {
namespace {

// RFC 9293 3.4, table 6: acceptable if any octet of the segment is in the window, which is never closed here.
bool Acceptable(const HalfOpen& entry, const tcp::SegmentView& segment, uint32_t window) {
  const uint32_t length = segment.SequenceLength();
  if (segment.seq.InWindow(entry.rcv_nxt(), window)) return true;
  return length > 0 && (segment.seq + (length - 1)).InWindow(entry.rcv_nxt(), window);
}

bool IsOldTimestamp(const HalfOpen& entry, const tcp::SegmentView& segment) {
  return entry.timestamps && segment.options.has_timestamp &&
         static_cast<int32_t>(segment.options.tsval - entry.ts_recent) < 0;
}

// RFC 5961 3: only a RST exactly at RCV.NXT counts; one elsewhere in the window is challenged.
HalfOpenVerdict JudgeReset(const HalfOpen& entry, const tcp::SegmentView& segment, bool acceptable) {
  if (segment.seq == entry.rcv_nxt()) return {HalfOpenAction::kForget, DropReason::kNone};
  if (acceptable) return {HalfOpenAction::kAck, DropReason::kTcpRstChallenged};
  return {HalfOpenAction::kIgnore, DropReason::kTcpRstOutOfWindow};
}

}  // namespace

HalfOpenVerdict JudgeHalfOpen(const HalfOpen& entry, const tcp::SegmentView& segment, uint32_t window) {
  // The peer's SYN again is not a fault: our SYN-ACK was lost, or is on its way.
  if (segment.Has(wire::kSyn) && !segment.Has(wire::kAck) && !segment.Has(wire::kRst) &&
      segment.seq == entry.irs) {
    return {HalfOpenAction::kResend, DropReason::kNone};
  }
  // First: the sequence number; RFC 7323 5.3 puts PAWS before it.
  const bool acceptable = Acceptable(entry, segment, window);
  if (segment.Has(wire::kRst)) return JudgeReset(entry, segment, acceptable);
  if (IsOldTimestamp(entry, segment)) return {HalfOpenAction::kAck, DropReason::kTcpPaws};
  if (!acceptable) return {HalfOpenAction::kAck, DropReason::kTcpOutOfWindow};
  // RFC 7323 3.2: once agreed, a segment without a timestamp is dropped.
  if (entry.timestamps && !segment.options.has_timestamp && !segment.Has(wire::kSyn)) {
    return {HalfOpenAction::kIgnore, DropReason::kTcpMissingTimestamp};
  }
  // Fourth: a SYN in the window takes a passive open back to LISTEN. One elsewhere was challenged above (RFC
  // 5961 4.2): who did begin anew answers that with a RST at RCV.NXT, and its next SYN finds nothing in its
  // way.
  if (segment.Has(wire::kSyn)) {
    if (segment.Has(wire::kAck)) return {HalfOpenAction::kAck, DropReason::kTcpSynInWindow};
    return {HalfOpenAction::kRestart, DropReason::kNone};
  }
  // Fifth: the ACK has to acknowledge our SYN, neither less nor more.
  if (!segment.Has(wire::kAck)) return {HalfOpenAction::kIgnore, DropReason::kTcpNoAck};
  if (segment.ack != entry.snd_nxt()) return {HalfOpenAction::kReset, DropReason::kTcpBadAck};
  return {HalfOpenAction::kComplete, DropReason::kNone};
}

wire::TcpOptions SynAckOptions(const HalfOpen& entry, uint16_t link_mss, uint8_t scale) {
  wire::TcpOptions options;
  options.has_mss = true;
  options.mss = link_mss;
  // RFC 7323 2.2, 3.2 and RFC 2018 2: each only in answer to the peer's own.
  options.has_wscale = entry.peer_scale >= 0;
  options.wscale = scale;
  options.sack_permitted = entry.sack;
  options.has_timestamp = entry.timestamps;
  options.tsecr = entry.ts_recent;
  return options;
}

HalfOpenTable::HalfOpenTable(MemorySource& memory, uint32_t limit, const tcp::TcpConfig& config)
    : entries_(memory, limit),
      initial_(config.rto_initial),
      maximum_(config.rto_max),
      retries_(std::min<uint8_t>(config.synack_retries, kMaxTries - 1)) {}

Duration HalfOpenTable::Wait(uint8_t tries) const {
  return std::min(initial_ * (int64_t{1} << tries), maximum_);
}

uint32_t HalfOpenTable::Add(Instant now) {
  const uint32_t index = entries_.Allocate();
  if (index == kNoSlot) return kNoSlot;
  entries_[index].synack_sent_at = now;
  entries_[index].retry_at = now + Wait(0);
  levels_[0].PushBack(entries_, index);
  return index;
}

void HalfOpenTable::Remove(uint32_t index) {
  levels_[entries_[index].tries].Remove(entries_, index);
  entries_.Release(index);
}

uint32_t HalfOpenTable::Due(Instant now) const {
  for (const List& list : levels_) {
    if (!list.empty() && entries_[list.front()].retry_at <= now) return list.front();
  }
  return kNoSlot;
}

bool HalfOpenTable::Retry(uint32_t index, Instant now) {
  HalfOpen& entry = entries_[index];
  if (entry.tries >= retries_) return false;
  levels_[entry.tries].Remove(entries_, index);
  ++entry.tries;
  entry.retry_at = now + Wait(entry.tries);
  levels_[entry.tries].PushBack(entries_, index);
  return true;
}

Instant HalfOpenTable::NextDeadline() const {
  Instant earliest = Instant::Never();
  for (const List& list : levels_) {
    if (!list.empty()) earliest = std::min(earliest, entries_[list.front()].retry_at);
  }
  return earliest;
}

}  // namespace tern::stack
