#include "tcp/retransmit_queue.h"

#include <algorithm>

namespace tern::tcp {
namespace {

// Ranges of one burst, sent at one instant without any mark, have one history.
bool SameHistory(const SendRecord& last, const TransmittedRange& range) {
  return last.marks == 0 && range.marks == 0 && last.retransmits == 0 && last.sent_at == range.sent_at &&
         last.delivery == range.delivery;
}

// Whether `last` can take data of another time when there is no memory: nothing is known about it yet, and no
// SYN or FIN would come to lie inside.
bool CanTakeAny(const SendRecord& last, const TransmittedRange& range) {
  constexpr uint8_t kHarmless = kMixedTimes | kAppLimited;
  return (last.marks & ~kHarmless) == 0 && last.retransmits == 0 && (range.marks & kSentSyn) == 0;
}

void CountAcked(const SendRecord& record, uint32_t octets, AckResult& result) {
  result.acked += octets;
  if (record.Has(kSacked)) result.sacked += octets;
  if (record.Has(kLost)) result.lost += octets;
  if (record.Has(kRetransmitted)) result.retransmitted += octets;
  if (record.retransmits > 0) result.any_retransmitted = true;
  // What SACK had reported earlier, or what was joined, has no one time of flight that ends now.
  if (!record.Has(kSacked) && !record.Has(kMixedTimes)) {
    result.has_rtt = true;
    result.rtt_sent_at = std::max(result.rtt_sent_at, record.sent_at);
  }
}

}  // namespace

AppendOutcome RetransmitQueue::Append(RecordPool& pool, const TransmittedRange& range) {
  if (tail_ != kNoSlot && SameHistory(pool[tail_], range)) {
    pool[tail_].length += range.length;
    return AppendOutcome::kJoined;
  }
  const uint32_t index = pool.Allocate();
  if (index == kNoSlot) {
    if (tail_ == kNoSlot || !CanTakeAny(pool[tail_], range)) return AppendOutcome::kNoRecord;
    SendRecord& last = pool[tail_];
    last.length += range.length;
    last.sent_at = range.sent_at;
    last.delivery = range.delivery;
    last.marks = static_cast<uint8_t>(last.marks | range.marks | kMixedTimes);
    return AppendOutcome::kJoined;
  }
  SendRecord& record = pool[index];
  record.sent_at = range.sent_at;
  record.seq = range.seq;
  record.length = range.length;
  record.delivery = range.delivery;
  record.marks = range.marks;
  record.prev = tail_;
  if (tail_ == kNoSlot) {
    head_ = index;
  } else {
    pool[tail_].next = index;
  }
  tail_ = index;
  return AppendOutcome::kRecorded;
}

AckResult RetransmitQueue::AckTo(RecordPool& pool, SeqNum una) {
  AckResult result;
  while (head_ != kNoSlot) {
    SendRecord& record = pool[head_];
    if (!record.seq.Before(una)) break;
    const uint32_t covered = record.seq.DistanceTo(una);
    CountAcked(record, std::min(covered, record.length), result);
    if (covered < record.length) {
      record.seq = una;
      record.length -= covered;
      record.marks = static_cast<uint8_t>(record.marks & ~kSentSyn);
      break;
    }
    if (record.Has(kSacked)) ++result.sacked_records;
    ++result.records_freed;
    const uint32_t next = record.next;
    pool.Release(head_);
    head_ = next;
  }
  if (head_ == kNoSlot) {
    tail_ = kNoSlot;
  } else {
    pool[head_].prev = kNoSlot;
  }
  // RFC 6298 3: an ACK that covers anything sent twice is ambiguous as a whole.
  if (result.any_retransmitted) result.has_rtt = false;
  return result;
}

bool RetransmitQueue::Split(RecordPool& pool, uint32_t index, uint32_t octets) {
  if (octets == 0 || octets >= pool[index].length) return false;
  const uint32_t rest_index = pool.Allocate();
  if (rest_index == kNoSlot) return false;
  SendRecord& first = pool[index];
  SendRecord& rest = pool[rest_index];
  rest = first;
  rest.seq = first.seq + octets;
  rest.length = first.length - octets;
  rest.prev = index;
  rest.marks = static_cast<uint8_t>(first.marks & ~kSentSyn);
  first.length = octets;
  first.next = rest_index;
  first.marks = static_cast<uint8_t>(first.marks & ~kSentFin);
  if (rest.next == kNoSlot) {
    tail_ = rest_index;
  } else {
    pool[rest.next].prev = rest_index;
  }
  return true;
}

void RetransmitQueue::MergeNext(RecordPool& pool, uint32_t index) {
  SendRecord& first = pool[index];
  const uint32_t gone_index = first.next;
  const SendRecord& gone = pool[gone_index];
  const bool mixed = first.sent_at != gone.sent_at;
  first.length += gone.length;
  first.sent_at = std::max(first.sent_at, gone.sent_at);
  first.retransmits = std::max(first.retransmits, gone.retransmits);
  first.marks = static_cast<uint8_t>(first.marks | gone.marks | (mixed ? kMixedTimes : 0));
  first.next = gone.next;
  if (gone.next == kNoSlot) {
    tail_ = index;
  } else {
    pool[gone.next].prev = index;
  }
  pool.Release(gone_index);
}

void RetransmitQueue::Clear(RecordPool& pool) {
  while (head_ != kNoSlot) {
    const uint32_t next = pool[head_].next;
    pool.Release(head_);
    head_ = next;
  }
  tail_ = kNoSlot;
}

}  // namespace tern::tcp
