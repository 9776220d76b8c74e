// The transmitted and unacknowledged ranges of one connection.
#ifndef TERN_TCP_RETRANSMIT_QUEUE_H_
#define TERN_TCP_RETRANSMIT_QUEUE_H_

#include <cstdint>

#include "base/instant.h"
#include "base/seq_num.h"
#include "tcp/send_record.h"

namespace tern::tcp {

// A range that was sent for the first time.
struct TransmittedRange {
  SeqNum seq;
  uint32_t length = 0;  // sequence space, SYN and FIN included; > 0
  Instant sent_at;
  uint8_t marks = 0;  // of kSentSyn, kSentFin, kAppLimited
  DeliverySnapshot delivery;
};

enum class AppendOutcome : uint8_t {
  kRecorded,  // in a record of its own
  kJoined,    // in the last record, which it continues
  kNoRecord,  // the pool is empty and no record can take it: the range must not be sent now
};

// What a cumulative acknowledgement took out of the queue, in octets of sequence space. The scoreboard
// subtracts these from its counters (SackScoreboard::OnAck).
struct AckResult {
  uint32_t acked = 0;
  uint32_t sacked = 0;         // of `acked`: delivered before, by SACK
  uint32_t lost = 0;           // of `acked`: had been judged lost
  uint32_t retransmitted = 0;  // of `acked`: had a retransmission in flight
  uint32_t sacked_records = 0;
  uint32_t records_freed = 0;
  // RFC 6298 3 (Karn): set when nothing that was acknowledged had ever been retransmitted; the moment when
  // the newest range not delivered earlier by SACK was sent. A sample is now - rtt_sent_at.
  bool has_rtt = false;
  bool any_retransmitted = false;  // something acknowledged had been sent more than once
  Instant rtt_sent_at;
};

// A doubly linked list of SendRecords in order of sequence numbers, without holes, by pool index. Eight
// bytes, trivially copyable, for the hot state. The pool belongs to the shard; each call names it.
class RetransmitQueue {
 public:
  bool empty() const { return head_ == kNoSlot; }
  uint32_t head() const { return head_; }  // the oldest; kNoSlot when empty
  uint32_t tail() const { return tail_; }

  // Records what is about to be sent. Call before sending: kNoRecord forbids it. Ranges sent at one instant
  // without marks share a record. When the pool is empty a range joins an unmarked last record whatever its
  // time, which costs RTT samples and nothing else; if there is no such record, some acknowledgement or
  // timeout will make room, or (queue empty) other connections will: retry later. REQUIRES: range.seq
  // continues the last record.
  AppendOutcome Append(RecordPool& pool, const TransmittedRange& range);

  // The commonest range, without the questions of Append: the only one in flight, without a mark. False, and
  // nothing changed, when there are others, or no record is left.
  bool AppendOnly(RecordPool& pool, SeqNum seq, uint32_t length, Instant sent_at) {
    if (head_ != kNoSlot) return false;
    const uint32_t index = pool.Allocate();
    if (index == kNoSlot) return false;
    SendRecord& record = pool[index];
    record.sent_at = sent_at;
    record.seq = seq;
    record.length = length;
    head_ = tail_ = index;
    return true;
  }

  // Frees what lies before `una` and cuts a record that it divides. Total: `una` outside the queue
  // acknowledges nothing (before it) or everything (after it).
  AckResult AckTo(RecordPool& pool, SeqNum una);

  // The commonest acknowledgement, without the questions of AckTo: `una` ends the one record there is, which
  // was sent once and carries no mark. False, and nothing changed, when it is not that. `*sent_at`: an RTT
  // sample (Karn allows it).
  bool AckOnly(RecordPool& pool, SeqNum una, Instant* sent_at) {
    if (head_ == kNoSlot || head_ != tail_) return false;
    const SendRecord& record = pool[head_];
    if (record.marks != 0 || record.retransmits != 0 || record.end() != una) return false;
    *sent_at = record.sent_at;
    pool.Release(head_);
    head_ = tail_ = kNoSlot;
    return true;
  }

  // Cuts a record in two: `index` keeps the first `octets`, a new record with the same history follows it.
  // False, and nothing changed, when the pool is empty or `octets` does not lie strictly inside.
  bool Split(RecordPool& pool, uint32_t index, uint32_t octets);

  // Joins the record after `index` to it and frees that one. Marks are united; the later sent_at stays.
  // REQUIRES: index is not the tail.
  void MergeNext(RecordPool& pool, uint32_t index);

  // Frees everything.
  void Clear(RecordPool& pool);

 private:
  uint32_t head_ = kNoSlot;
  uint32_t tail_ = kNoSlot;
};
static_assert(sizeof(RetransmitQueue) == 8, "lives in the hot state");

}  // namespace tern::tcp

#endif  // TERN_TCP_RETRANSMIT_QUEUE_H_
