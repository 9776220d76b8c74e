// Which of the octets in flight arrived, which are lost, and what to send again (RFC 2018, 2883, 6675).
#ifndef TERN_TCP_SACK_SCOREBOARD_H_
#define TERN_TCP_SACK_SCOREBOARD_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "base/instant.h"
#include "base/seq_num.h"
#include "tcp/retransmit_queue.h"
#include "tcp/send_record.h"
#include "tcp/seq_range.h"

namespace tern::tcp {

// RFC 5681 3.2, RFC 6675 2: this much evidence above a segment says that it is lost and not merely late.
inline constexpr uint32_t kDupThresh = 3;

// What the SACK blocks of one segment said.
struct SackUpdate {
  uint32_t newly_sacked = 0;  // octets
  uint8_t bad_blocks = 0;     // inverted, empty, or outside what is in flight: ignored
  bool has_dsack = false;     // RFC 2883 4: the first block reports a duplicate
  SeqRange dsack;             // valid with has_dsack
  // The latest sent_at among what was newly sacked and never retransmitted: an RTT sample that Karn allows.
  bool has_rtt = false;
  Instant rtt_sent_at;
};

// What to send again: a record, cut to at most one segment when the pool allowed it.
struct RetransmitChoice {
  uint32_t record = kNoSlot;  // kNoSlot: nothing
  SeqNum seq;
  uint32_t length = 0;  // sequence space to send now, <= max_length plus one for a FIN

  bool found() const { return record != kNoSlot; }
};

// Marks over the records of one RetransmitQueue, counters that make Pipe() O(1), and hints that make a whole
// window cost O(records), whatever order ACKs come in: the lost edge and the retransmit hint only move
// forward between timeouts, neighbours that are both sacked are merged, and cursors remember the runs that
// blocks named. What a hostile peer can make us do is bounded too: the walk per segment, and how finely
// blocks cut records. A block, or the part of one, beyond these bounds is left out, which costs knowledge and
// never correctness.
//
// A connection needs one only from its first loss or SACK block on; before that no record carries a mark and
// a fresh SackScoreboard is right. Cold state, trivially copyable, without a pool or a queue of its own.
// After each RetransmitQueue::AckTo, OnAck MUST be called unless clean(): hints would name freed records.
class SackScoreboard {
 public:
  // Applies the blocks of an acceptable segment, in the order of the option. On a segment whose ACK is older
  // than SND.UNA (reordered) the blocks still count, but the caller ignores has_dsack. `una` is SND.UNA after
  // the segment's cumulative ACK was taken and OnAck called; `nxt` is SND.NXT. Total on hostile blocks.
  SackUpdate OnSack(RecordPool& pool, RetransmitQueue& queue, std::span<const SeqRange> blocks, SeqNum una,
                    SeqNum nxt);

  // Takes the outcome of queue.AckTo(pool, una) into account.
  void OnAck(const AckResult& acked, SeqNum una);

  // Judges lost what RFC 6675 4's IsLost calls so. Returns the octets newly lost. Call after OnSack.
  uint32_t MarkLost(RecordPool& pool, const RetransmitQueue& queue, uint32_t smss);

  // Judges lost, of the records that begin in `within`, those of more than `length` octets of data that are
  // not sacked, be it under way for the second time: they were sent in segments that the path does not carry.
  void MarkTooLongLost(RecordPool& pool, const RetransmitQueue& queue, SeqRange within, uint32_t length);

  // Judges the first `length` octets at SND.UNA lost: the third duplicate ACK, or a partial ACK without SACK
  // (RFC 6582 3.2). Returns the octets newly lost: 0 when they already were, or were sacked.
  uint32_t MarkHeadLost(RecordPool& pool, RetransmitQueue& queue, uint32_t length);

  // RFC 6675 4 NextSeg rule 1: the first range that is lost and not being retransmitted. With `speculative`
  // also rule 3: failing that, the first range not sacked, not retransmitted and below the highest sacked
  // octet. Cuts the record to `max_length` octets of data; if the pool cannot, length says how much to send
  // and the whole record will count as retransmitted (the rest waits for the cumulative ACK or the timer).
  RetransmitChoice NextRetransmit(RecordPool& pool, RetransmitQueue& queue, uint32_t max_length,
                                  bool speculative);

  // `record` (from NextRetransmit, or the queue's head) was sent again.
  void OnRetransmit(RecordPool& pool, uint32_t record, Instant now);

  // The retransmission timer expired: all that is not sacked is lost and nothing is in flight. Sacked marks
  // are dropped too when the peer is seen to have reneged, that is, when SND.UNA itself is sacked (RFC 2018
  // 8). Returns true when it had reneged.
  bool OnTimeout(RecordPool& pool, const RetransmitQueue& queue);

  // Nothing is lost, after all: what was judged so is in flight, as it was before.
  void Forgive(RecordPool& pool, const RetransmitQueue& queue);

  // Duplicate ACKs without SACK: each says that some segment left the network, not which one. Taken off
  // pipe(); `octets` is at most what is outstanding. RFC 6582 3.2 steps 3 and 5, as a smaller pipe instead of
  // a larger cwnd.
  void OnSegmentDeparted(uint32_t octets) { departed_ = std::min(departed_ + octets, kMostDeparted); }
  void OnSegmentsAccounted(uint32_t octets) { departed_ -= octets < departed_ ? octets : departed_; }

  // RFC 6675 4 SetPipe: octets thought to be in flight.
  uint32_t Pipe(SeqNum una, SeqNum nxt) const {
    const uint64_t gone = uint64_t{sacked_} + lost_ + departed_;
    const uint64_t sent = uint64_t{una.DistanceTo(nxt)} + retransmitted_;
    return sent > gone ? static_cast<uint32_t>(sent - gone) : 0;
  }

  bool clean() const { return (sacked_ | lost_ | retransmitted_ | departed_) == 0; }
  uint32_t sacked_octets() const { return sacked_; }
  uint32_t lost_octets() const { return lost_; }
  uint32_t retransmitted_octets() const { return retransmitted_; }
  uint32_t departed_octets() const { return departed_; }
  // One past the highest octet ever sacked; meaningful while sacked_octets() > 0.
  SeqNum high_sacked() const { return high_sacked_; }

 private:
  struct Cursor {
    SeqNum seq;
    uint32_t record = kNoSlot;
  };
  static constexpr size_t kCursors = 4;         // a segment carries at most so many blocks
  static constexpr uint32_t kMostSteps = 1024;  // records walked in search of one block
  static constexpr uint32_t kSmallPiece = 512;  // pieces shorter than this ...
  static constexpr uint16_t kMostSmallPieces =
      64;  // ... are cut so often at most, until the scoreboard is clean
  static constexpr uint32_t kMostDeparted = 1u << 30;

  // Hints may be stale when nothing is marked: start afresh.
  void ForgetIfClean() {
    if (clean()) *this = SackScoreboard();
  }
  void ApplyBlock(RecordPool& pool, RetransmitQueue& queue, SeqRange block, SackUpdate& update);
  uint32_t FirstRecordOf(RecordPool& pool, RetransmitQueue& queue, SeqNum start);
  uint32_t FindRecord(const RecordPool& pool, const RetransmitQueue& queue, SeqNum seq);
  bool CutAt(RecordPool& pool, RetransmitQueue& queue, uint32_t index, SeqNum seq);
  void MarkSacked(SendRecord& record, SackUpdate& update);
  uint32_t MergeWithNeighbours(RecordPool& pool, RetransmitQueue& queue, uint32_t index);
  void MergeSackedNext(RecordPool& pool, RetransmitQueue& queue, uint32_t index);
  void Remember(SeqNum seq, uint32_t record);
  uint32_t EdgeRecord(const RecordPool& pool, const RetransmitQueue& queue) const;
  void MarkRecordLost(SendRecord& record);
  bool AboveEdge(SeqNum seq) const { return !edge_valid_ || seq.AtOrAfter(edge_seq_); }

  // Octets with each mark.
  uint32_t sacked_ = 0;
  uint32_t lost_ = 0;
  uint32_t retransmitted_ = 0;
  uint32_t departed_ = 0;
  uint32_t sacked_records_ = 0;  // each a maximal run, since neighbours are merged

  // The lost edge: all before it that is not sacked is lost. Above it so many octets are sacked, in so many
  // runs.
  uint32_t sacked_above_ = 0;
  uint32_t runs_above_ = 0;
  SeqNum edge_seq_;
  uint32_t edge_record_ = kNoSlot;  // starts at edge_seq_; kNoSlot: the edge was at the end of the queue

  // Records before this one are sacked or being retransmitted. kNoSlot: start at the head.
  Cursor hint_;

  std::array<Cursor, kCursors> cursors_;  // starts of runs, or where a search gave up
  SeqNum high_sacked_;
  uint16_t small_pieces_ = 0;
  uint8_t next_cursor_ = 0;
  bool edge_valid_ = false;  // false: the edge is the head of the queue
};
static_assert(std::is_trivially_copyable_v<SackScoreboard>);

}  // namespace tern::tcp

#endif  // TERN_TCP_SACK_SCOREBOARD_H_
