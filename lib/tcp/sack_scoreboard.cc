#include "tcp/sack_scoreboard.h"

#include <algorithm>

namespace tern::tcp {
namespace {

void SetMark(SendRecord& record, uint8_t marks) { record.marks = static_cast<uint8_t>(record.marks | marks); }
void ClearMark(SendRecord& record, uint8_t marks) {
  record.marks = static_cast<uint8_t>(record.marks & ~marks);
}

// start < end, and both within [una, nxt]. Offsets from SND.UNA make this total.
bool IsInFlight(SeqRange block, SeqNum una, SeqNum nxt) {
  const uint32_t start = una.DistanceTo(block.start);
  const uint32_t end = una.DistanceTo(block.end);
  return start < end && end <= una.DistanceTo(nxt);
}

// RFC 2883 4: a first block below the cumulative ACK, or inside the second block, reports a duplicate.
bool IsDsack(std::span<const SeqRange> blocks, SeqNum una) {
  const SeqRange first = blocks[0];
  if (!first.start.Before(first.end)) return false;
  if (first.end.AtOrBefore(una)) return true;
  return blocks.size() > 1 && first.start.AtOrAfter(blocks[1].start) && first.end.AtOrBefore(blocks[1].end);
}

}  // namespace

SackUpdate SackScoreboard::OnSack(RecordPool& pool, RetransmitQueue& queue, std::span<const SeqRange> blocks,
                                  SeqNum una, SeqNum nxt) {
  SackUpdate update;
  ForgetIfClean();
  if (blocks.empty()) return update;
  if (IsDsack(blocks, una)) {
    update.has_dsack = true;
    update.dsack = blocks[0];
    blocks = blocks.subspan(1);
  }
  for (const SeqRange& block : blocks) {
    if (IsInFlight(block, una, nxt)) {
      ApplyBlock(pool, queue, block, update);
    } else {
      ++update.bad_blocks;
    }
  }
  return update;
}

void SackScoreboard::ApplyBlock(RecordPool& pool, RetransmitQueue& queue, SeqRange block,
                                SackUpdate& update) {
  uint32_t index = FirstRecordOf(pool, queue, block.start);
  uint32_t last = kNoSlot;
  while (index != kNoSlot && pool[index].seq.Before(block.end)) {
    if (!pool[index].Has(kSacked)) {
      if (pool[index].end().After(block.end) && !CutAt(pool, queue, index, block.end)) break;
      MarkSacked(pool[index], update);
      index = MergeWithNeighbours(pool, queue, index);
    }
    last = index;
    index = pool[index].next;
  }
  if (last != kNoSlot) Remember(pool[last].seq, last);
}

// The record that begins at `start` after cutting if need be, or the first after it when it cannot be cut.
uint32_t SackScoreboard::FirstRecordOf(RecordPool& pool, RetransmitQueue& queue, SeqNum start) {
  const uint32_t index = FindRecord(pool, queue, start);
  if (index == kNoSlot || pool[index].Has(kSacked) || pool[index].seq == start) return index;
  CutAt(pool, queue, index, start);
  return pool[index].next;
}

// The record that holds `seq`. Starts at the nearest known place before it.
uint32_t SackScoreboard::FindRecord(const RecordPool& pool, const RetransmitQueue& queue, SeqNum seq) {
  uint32_t index = queue.head();
  if (index == kNoSlot || seq.Before(pool[index].seq)) return kNoSlot;
  for (const Cursor& cursor : cursors_) {
    if (cursor.record == kNoSlot || cursor.seq.After(seq)) continue;
    if (cursor.seq.After(pool[index].seq)) index = cursor.record;
  }
  if (pool[queue.tail()].seq.AtOrBefore(seq)) index = queue.tail();
  // The first block after a quiet time may lie anywhere: it leaves a mark, so such a search is not soon
  // repeated.
  const uint32_t most = clean() ? UINT32_MAX : kMostSteps;
  for (uint32_t steps = 0; index != kNoSlot && pool[index].end().AtOrBefore(seq); ++steps) {
    if (steps == most) {
      Remember(pool[index].seq, index);  // the next segment goes on from here
      return kNoSlot;
    }
    index = pool[index].next;
  }
  return index;
}

// Makes `seq` a boundary between records. False when memory or the bound on small pieces forbids it.
bool SackScoreboard::CutAt(RecordPool& pool, RetransmitQueue& queue, uint32_t index, SeqNum seq) {
  const uint32_t front = pool[index].seq.DistanceTo(seq);
  const bool small = std::min(front, pool[index].length - front) < kSmallPiece;
  if (small && small_pieces_ == kMostSmallPieces) return false;
  if (!queue.Split(pool, index, front)) return false;
  if (small) ++small_pieces_;
  return true;
}

void SackScoreboard::MarkSacked(SendRecord& record, SackUpdate& update) {
  if (record.Has(kLost)) lost_ -= record.length;
  if (record.Has(kRetransmitted)) retransmitted_ -= record.length;
  ClearMark(record, kLost | kRetransmitted);
  SetMark(record, kSacked);
  high_sacked_ = sacked_ == 0 ? record.end() : Later(high_sacked_, record.end());
  sacked_ += record.length;
  ++sacked_records_;
  if (AboveEdge(record.seq)) {
    sacked_above_ += record.length;
    ++runs_above_;
  }
  update.newly_sacked += record.length;
  // RFC 6298 3 (Karn), as for cumulative ACKs.
  if (record.retransmits == 0 && !record.Has(kMixedTimes)) {
    update.rtt_sent_at = update.has_rtt ? std::max(update.rtt_sent_at, record.sent_at) : record.sent_at;
    update.has_rtt = true;
  }
}

// Returns the record that now holds what `index` held.
uint32_t SackScoreboard::MergeWithNeighbours(RecordPool& pool, RetransmitQueue& queue, uint32_t index) {
  const uint32_t next = pool[index].next;
  if (next != kNoSlot && pool[next].Has(kSacked)) MergeSackedNext(pool, queue, index);
  const uint32_t prev = pool[index].prev;
  if (prev == kNoSlot || !pool[prev].Has(kSacked)) return index;
  MergeSackedNext(pool, queue, prev);
  return prev;
}

void SackScoreboard::MergeSackedNext(RecordPool& pool, RetransmitQueue& queue, uint32_t index) {
  const uint32_t gone = pool[index].next;
  const SeqNum gone_seq = pool[gone].seq;
  const SeqNum gone_end = pool[gone].end();
  const uint32_t gone_length = pool[gone].length;
  queue.MergeNext(pool, index);
  --sacked_records_;
  if (AboveEdge(gone_seq)) {
    --runs_above_;
    if (!AboveEdge(pool[index].seq)) {
      // The edge lay between the two: it moves behind what is one run now.
      sacked_above_ -= gone_length;
      edge_seq_ = gone_end;
      edge_record_ = pool[index].next;
    }
  }
  if (hint_.record == gone) hint_ = {pool[index].seq, index};
  for (Cursor& cursor : cursors_) {
    if (cursor.record == gone) cursor = {pool[index].seq, index};
  }
}

void SackScoreboard::Remember(SeqNum seq, uint32_t record) {
  for (const Cursor& cursor : cursors_) {
    if (cursor.record == record) return;
  }
  cursors_[next_cursor_] = {seq, record};
  next_cursor_ = static_cast<uint8_t>((next_cursor_ + 1) % kCursors);
}

void SackScoreboard::OnAck(const AckResult& acked, SeqNum una) {
  sacked_ -= acked.sacked;
  lost_ -= acked.lost;
  retransmitted_ -= acked.retransmitted;
  sacked_records_ -= acked.sacked_records;
  ForgetIfClean();
  if (edge_valid_ && una.After(edge_seq_)) edge_valid_ = false;
  if (!edge_valid_) {
    sacked_above_ = sacked_;
    runs_above_ = sacked_records_;
  }
  if (una.After(hint_.seq)) hint_.record = kNoSlot;
  for (Cursor& cursor : cursors_) {
    if (una.After(cursor.seq)) cursor.record = kNoSlot;
  }
}

// The first record at or above the edge.
uint32_t SackScoreboard::EdgeRecord(const RecordPool& pool, const RetransmitQueue& queue) const {
  if (!edge_valid_) return queue.head();
  if (edge_record_ != kNoSlot) return edge_record_;
  // The edge was at the end of the queue; what was sent since lies behind it.
  uint32_t found = kNoSlot;
  for (uint32_t i = queue.tail(); i != kNoSlot && pool[i].seq.AtOrAfter(edge_seq_); i = pool[i].prev)
    found = i;
  return found;
}

void SackScoreboard::MarkRecordLost(SendRecord& record) {
  SetMark(record, kLost);
  lost_ += record.length;
}

uint32_t SackScoreboard::MarkLost(RecordPool& pool, const RetransmitQueue& queue, uint32_t smss) {
  ForgetIfClean();
  if (runs_above_ == 0) return 0;
  uint32_t newly_lost = 0;
  uint32_t index = EdgeRecord(pool, queue);
  while (index != kNoSlot) {
    SendRecord& record = pool[index];
    if (record.Has(kSacked)) {
      sacked_above_ -= record.length;
      --runs_above_;
    } else {
      // RFC 6675 4 IsLost: DupThresh separate runs are sacked above, or more than DupThresh - 1 segments'
      // octets.
      if (runs_above_ < kDupThresh && sacked_above_ <= uint64_t{kDupThresh - 1} * smss) break;
      if (!record.Has(kLost)) {
        MarkRecordLost(record);
        newly_lost += record.length;
      }
    }
    index = record.next;
  }
  if (queue.empty()) return newly_lost;
  edge_valid_ = true;
  edge_record_ = index;
  edge_seq_ = index != kNoSlot ? pool[index].seq : pool[queue.tail()].end();
  return newly_lost;
}

uint32_t SackScoreboard::MarkHeadLost(RecordPool& pool, RetransmitQueue& queue, uint32_t length) {
  ForgetIfClean();
  if (queue.empty()) return 0;
  if (pool[queue.head()].Has(kSacked) || pool[queue.head()].Has(kLost)) return 0;
  // When it cannot be cut, more than the segment is called lost: harmless, it is sent again no faster.
  queue.Split(pool, queue.head(), length);
  SendRecord& head = pool[queue.head()];
  MarkRecordLost(head);
  return head.length;
}

void SackScoreboard::MarkTooLongLost(RecordPool& pool, const RetransmitQueue& queue, SeqRange within,
                                     uint32_t length) {
  ForgetIfClean();
  for (uint32_t i = queue.head(); i != kNoSlot; i = pool[i].next) {
    SendRecord& record = pool[i];
    const uint32_t fin = record.Has(kSentFin) ? 1 : 0;
    if (record.seq.Before(within.start) || record.seq.AtOrAfter(within.end)) continue;
    if (record.Has(kSacked) || record.length - fin <= length) continue;
    if (record.Has(kRetransmitted)) retransmitted_ -= record.length;
    ClearMark(record, kRetransmitted);
    if (!record.Has(kLost)) MarkRecordLost(record);
  }
  hint_ = {};  // what it passed over may have to go again
}

RetransmitChoice SackScoreboard::NextRetransmit(RecordPool& pool, RetransmitQueue& queue, uint32_t max_length,
                                                bool speculative) {
  ForgetIfClean();
  uint32_t index = hint_.record != kNoSlot ? hint_.record : queue.head();
  while (index != kNoSlot) {
    hint_ = {pool[index].seq, index};
    if (!pool[index].Has(kSacked) && !pool[index].Has(kRetransmitted)) break;
    index = pool[index].next;
  }
  if (index == kNoSlot) return {};
  // What is lost comes before all that is not: rule 1 first, then rule 3.
  const bool rule3 = speculative && sacked_ > 0 && pool[index].seq.Before(high_sacked_);
  if (!pool[index].Has(kLost) && !rule3) return {};
  const uint32_t fin = pool[index].Has(kSentFin) ? 1 : 0;
  RetransmitChoice choice{.record = index, .seq = pool[index].seq, .length = pool[index].length};
  if (pool[index].length - fin > max_length) {
    queue.Split(pool, index, max_length);
    choice.length = max_length;
  }
  return choice;
}

void SackScoreboard::OnRetransmit(RecordPool& pool, uint32_t record, Instant now) {
  SendRecord& sent = pool[record];
  if (!sent.Has(kRetransmitted)) retransmitted_ += sent.length;
  SetMark(sent, kRetransmitted);
  sent.sent_at = now;
  if (sent.retransmits < UINT8_MAX) ++sent.retransmits;
}

bool SackScoreboard::OnTimeout(RecordPool& pool, const RetransmitQueue& queue) {
  *this = SackScoreboard{};
  if (queue.empty()) return false;
  // RFC 2018 8: what a SACK reported is not safe until it is acknowledged. A receiver that had kept the octet
  // at SND.UNA would have acknowledged it: it has reneged, and no mark can be trusted. Otherwise RFC 6675 5.1
  // lets the marks stay; should they be wrong, they are dropped when SND.UNA comes to them.
  const bool reneged = pool[queue.head()].Has(kSacked);
  for (uint32_t i = queue.head(); i != kNoSlot; i = pool[i].next) {
    SendRecord& record = pool[i];
    ClearMark(record, static_cast<uint8_t>(kRetransmitted | (reneged ? kSacked : 0)));
    if (record.Has(kSacked)) {
      sacked_ += record.length;
      ++sacked_records_;
      high_sacked_ = record.end();
    } else {
      MarkRecordLost(record);
    }
  }
  edge_valid_ = true;
  edge_seq_ = pool[queue.tail()].end();
  return reneged;
}

void SackScoreboard::Forgive(RecordPool& pool, const RetransmitQueue& queue) {
  for (uint32_t i = queue.head(); i != kNoSlot && lost_ != 0; i = pool[i].next) {
    if (!pool[i].Has(kLost)) continue;
    lost_ -= pool[i].length;
    ClearMark(pool[i], kLost);
  }
  edge_valid_ = false;
  sacked_above_ = sacked_;
  runs_above_ = sacked_records_;
  hint_ = {};
}

}  // namespace tern::tcp
