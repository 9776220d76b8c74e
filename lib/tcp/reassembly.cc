#include "tcp/reassembly.h"

#include <algorithm>
#include <cstring>

#include "tcp/coalesce.h"

namespace tern::tcp {
namespace {

SeqNum EndOf(const Buffer& buffer) { return SeqNum(buffer.tag) + buffer.length; }

void ReleaseList(Buffer* list, BufferChain& released) {
  while (list != nullptr) {
    Buffer* next = list->next;
    released.PushBack(list);
    list = next;
  }
}

void NoteDuplicate(InsertResult& result, SeqNum start, SeqNum end) {
  if (IsEmpty(result.duplicate)) result.duplicate = {start, start};
  if (result.duplicate.end == start) result.duplicate.end = end;  // only the first run is reported
}

// Whether the next Allocate will succeed.
bool HasSlot(ReassemblyPool& pool) {
  const uint32_t index = pool.Allocate();
  if (index == kNoSlot) return false;
  pool.Release(index);
  return true;
}

// The range's octets over those that `buffer` has at the same place. REQUIRES: the range lies inside.
void CopyOver(const ReassemblyRange& range, Buffer* buffer, SeqNum seq) {
  for (const Buffer* b = range.head; b != nullptr; b = b->next) {
    std::memcpy(buffer->data + seq.DistanceTo(SeqNum(b->tag)), b->data, b->length);
  }
}

}  // namespace

InsertResult Reassembly::Insert(ReassemblyPool& pool, const ReassemblyLimits& limits, Buffer* buffer,
                                SeqNum seq, bool fin, SeqNum rcv_nxt, SeqNum window_edge,
                                BufferChain& released) {
  InsertResult result;
  Piece piece{.buffer = buffer, .seq = seq};
  const uint32_t length = buffer == nullptr ? 0 : buffer->length;
  if (fin) result.fin_stored = NoteFin(pool, seq + length, rcv_nxt, window_edge);
  const auto drop = [&](DropReason reason) {
    if (buffer != nullptr) released.PushBack(buffer);
    if (!result.fin_stored) result.drop = reason;
    return result;
  };
  if (length == 0) return drop(DropReason::kTcpDuplicatePayload);
  const DropReason out = CutToBounds(piece, rcv_nxt, window_edge, result);
  if (out != DropReason::kNone) return drop(out);

  Place place = Locate(pool, piece.seq);
  if (place.before != kNoSlot && pool[place.before].end.After(piece.seq)) {
    ReassemblyRange& before = pool[place.before];
    const SeqNum covered = Earlier(before.end, piece.end());
    NoteDuplicate(result, piece.seq, covered);
    if (covered == piece.end()) {
      before.stamp = ++stamp_;  // RFC 2018 4: the next ACK names it first
      return drop(DropReason::kTcpDuplicatePayload);
    }
    buffer->TrimFront(piece.seq.DistanceTo(covered));
    piece.seq = covered;
  }
  const bool touches = (place.before != kNoSlot && pool[place.before].end == piece.seq) ||
                       (place.after != kNoSlot && pool[place.after].start.AtOrBefore(piece.end()));
  if (!MakeRoom(pool, limits, piece, !touches, released)) return drop(DropReason::kTcpReassemblyFull);
  place = Locate(pool, piece.seq);
  const uint32_t older = AbsorbCovered(pool, place, piece, result, released);
  result.stored = buffer->length - older;
  octets_ += buffer->length;
  cost_ += buffer->cost;
  Attach(pool, place, piece, released);
  return result;
}

// RFC 9293 3.10.7.4: the FIN is acted on when RCV.NXT reaches it; until then its place is remembered. One
// that contradicts what is known already, an earlier FIN or data beyond it, is ignored.
bool Reassembly::NoteFin(const ReassemblyPool& pool, SeqNum fin_seq, SeqNum rcv_nxt, SeqNum window_edge) {
  if (has_fin_ || fin_seq.Before(rcv_nxt) || fin_seq.After(window_edge)) return false;
  for (uint32_t i = head_; i != kNoSlot; i = pool[i].next) {
    if (pool[i].end.After(fin_seq)) return false;
  }
  has_fin_ = true;
  fin_seq_ = fin_seq;
  return true;
}

// What lies before RCV.NXT, beyond the window or beyond the FIN is cut off. A reason when nothing is left.
DropReason Reassembly::CutToBounds(Piece& piece, SeqNum rcv_nxt, SeqNum window_edge,
                                   InsertResult& result) const {
  if (piece.seq.Before(rcv_nxt)) {
    const SeqNum end = Earlier(piece.end(), rcv_nxt);
    NoteDuplicate(result, piece.seq, end);
    if (piece.end().AtOrBefore(rcv_nxt)) return DropReason::kTcpDuplicatePayload;
    piece.buffer->TrimFront(piece.seq.DistanceTo(rcv_nxt));
    piece.seq = rcv_nxt;
  }
  if (has_fin_ && piece.seq.AtOrAfter(fin_seq_)) return DropReason::kTcpDataAfterClose;
  if (piece.seq.AtOrAfter(window_edge)) return DropReason::kTcpOutOfWindow;
  const SeqNum bound = has_fin_ ? Earlier(fin_seq_, window_edge) : window_edge;
  if (piece.end().After(bound)) piece.buffer->TrimBack(bound.DistanceTo(piece.end()));
  return DropReason::kNone;
}

Reassembly::Place Reassembly::Locate(const ReassemblyPool& pool, SeqNum seq) const {
  Place place{.after = head_};
  while (place.after != kNoSlot && pool[place.after].start.AtOrBefore(seq)) {
    place.before = place.after;
    place.after = pool[place.after].next;
  }
  return place;
}

// Drops what is farther from RCV.NXT than the piece until the piece fits. False when that is not enough.
bool Reassembly::MakeRoom(ReassemblyPool& pool, const ReassemblyLimits& limits, const Piece& piece,
                          bool own_range, BufferChain& released) {
  const auto lies_beyond = [&] {
    uint32_t last = head_;
    while (last != kNoSlot && pool[last].next != kNoSlot) last = pool[last].next;
    return last != kNoSlot && pool[last].start.After(piece.seq);
  };
  const uint32_t cost = piece.buffer->cost;
  if (cost > limits.max_cost) return false;
  while (cost_ > limits.max_cost - cost) {
    if (!lies_beyond()) return false;
    DropFarthest(pool, cost_ - (limits.max_cost - cost), released);
  }
  // A slot for the range too: by count, or because the shard has none left.
  while (own_range && (range_count_ >= limits.max_ranges || !HasSlot(pool))) {
    if (!lies_beyond()) return false;
    DropFarthest(pool, UINT32_MAX, released);
  }
  return true;
}

// Takes older octets that the piece surrounds into its buffer, and cuts off its end where a range goes on
// behind it. Returns how many octets of the piece are older.
uint32_t Reassembly::AbsorbCovered(ReassemblyPool& pool, Place& place, Piece& piece, InsertResult& result,
                                   BufferChain& released) {
  uint32_t older = 0;
  while (place.after != kNoSlot && pool[place.after].start.Before(piece.end())) {
    const ReassemblyRange& range = pool[place.after];
    NoteDuplicate(result, range.start, Earlier(range.end, piece.end()));
    if (range.end.AtOrAfter(piece.end())) {
      piece.buffer->TrimBack(range.start.DistanceTo(piece.end()));
      break;
    }
    CopyOver(range, piece.buffer, piece.seq);
    older += range.start.DistanceTo(range.end);
    const uint32_t next = range.next;
    ReleaseRange(pool, place.before, place.after, released);
    place.after = next;
  }
  return older;
}

// Links the piece in: behind a range, before one, between two that it joins, or alone.
void Reassembly::Attach(ReassemblyPool& pool, const Place& place, const Piece& piece, BufferChain& released) {
  Buffer* buffer = piece.buffer;
  const SeqNum end = piece.end();
  buffer->tag = piece.seq.value();
  buffer->next = nullptr;
  const bool joins_after = place.after != kNoSlot && pool[place.after].start == end;
  if (place.before != kNoSlot && pool[place.before].end == piece.seq) {
    ReassemblyRange& range = pool[place.before];
    range.end = end;
    range.stamp = ++stamp_;
    if (TryCoalesce(range.tail, buffer)) {
      cost_ -= buffer->cost;
      released.PushBack(buffer);
    } else {
      range.tail->next = buffer;
      range.tail = buffer;
      range.cost += buffer->cost;
    }
    if (joins_after) JoinNext(pool, place.before);
    return;
  }
  if (joins_after) {
    ReassemblyRange& range = pool[place.after];
    buffer->next = range.head;
    range.head = buffer;
    range.start = piece.seq;
    range.cost += buffer->cost;
    range.stamp = ++stamp_;
    return;
  }
  const uint32_t index = pool.Allocate();  // MakeRoom saw to it
  ReassemblyRange& range = pool[index];
  range = {.head = buffer,
           .tail = buffer,
           .start = piece.seq,
           .end = end,
           .cost = buffer->cost,
           .stamp = ++stamp_,
           .next = place.after};
  (place.before == kNoSlot ? head_ : pool[place.before].next) = index;
  ++range_count_;
}

// `index` takes over the range behind it, which begins where it ends.
void Reassembly::JoinNext(ReassemblyPool& pool, uint32_t index) {
  ReassemblyRange& range = pool[index];
  const ReassemblyRange& next = pool[range.next];
  range.tail->next = next.head;
  range.tail = next.tail;
  range.end = next.end;
  range.cost += next.cost;
  Unlink(pool, index, range.next);
}

Reassembly::Taken Reassembly::TakeInOrder(ReassemblyPool& pool, SeqNum rcv_nxt, BufferChain& out,
                                          BufferChain& released) {
  Taken taken;
  while (head_ != kNoSlot && pool[head_].end.AtOrBefore(rcv_nxt))
    ReleaseRange(pool, kNoSlot, head_, released);
  if (head_ != kNoSlot && pool[head_].start.AtOrBefore(rcv_nxt)) {
    const ReassemblyRange range = pool[head_];
    octets_ -= range.start.DistanceTo(range.end);
    cost_ -= range.cost;
    Unlink(pool, kNoSlot, head_);
    taken.octets = rcv_nxt.DistanceTo(range.end);
    for (Buffer* buffer = range.head; buffer != nullptr;) {
      Buffer* next = buffer->next;
      if (EndOf(*buffer).AtOrBefore(rcv_nxt)) {
        released.PushBack(buffer);
      } else {
        if (SeqNum(buffer->tag).Before(rcv_nxt)) {
          buffer->TrimFront(SeqNum(buffer->tag).DistanceTo(rcv_nxt));
          buffer->tag = rcv_nxt.value();
        }
        taken.cost += buffer->cost;
        out.PushBack(buffer);
      }
      buffer = next;
    }
  }
  const SeqNum reached = rcv_nxt + taken.octets;
  if (has_fin_ && fin_seq_.AtOrBefore(reached)) {
    taken.fin = fin_seq_ == reached;
    has_fin_ = false;
  }
  return taken;
}

SeqRange Reassembly::RunAround(const ReassemblyPool& pool, SeqNum seq) const {
  for (uint32_t i = head_; i != kNoSlot && pool[i].start.AtOrBefore(seq); i = pool[i].next) {
    if (seq.Before(pool[i].end)) return {pool[i].start, pool[i].end};
  }
  return {};
}

size_t Reassembly::SackBlocks(const ReassemblyPool& pool, std::span<SeqRange> out) const {
  // RFC 2018 4: first the block that the latest segment belongs to, then the others as recently reported.
  size_t count = 0;
  int64_t youngest = -1;  // ages already taken are at most this
  while (count < out.size()) {
    uint32_t best = kNoSlot;
    for (uint32_t i = head_; i != kNoSlot; i = pool[i].next) {
      const int64_t age = stamp_ - pool[i].stamp;
      if (age > youngest && (best == kNoSlot || age < int64_t{stamp_ - pool[best].stamp})) best = i;
    }
    if (best == kNoSlot) break;
    youngest = stamp_ - pool[best].stamp;
    out[count++] = {pool[best].start, pool[best].end};
  }
  return count;
}

uint32_t Reassembly::Shed(ReassemblyPool& pool, uint32_t cost, BufferChain& released) {
  uint32_t dropped = 0;
  while (dropped < cost && head_ != kNoSlot) dropped += DropFarthest(pool, cost - dropped, released);
  return dropped;
}

// Drops at least `cost` from the end of the last range, or all of it. An eighth of it at the least, so that
// looking for the place to cut is paid for by what was dropped.
uint32_t Reassembly::DropFarthest(ReassemblyPool& pool, uint32_t cost, BufferChain& released) {
  uint32_t before = kNoSlot;
  uint32_t last = head_;
  while (pool[last].next != kNoSlot) {
    before = last;
    last = pool[last].next;
  }
  ReassemblyRange& range = pool[last];
  const uint32_t whole = range.cost;
  const uint32_t wanted = std::max(cost, whole / 8);
  if (wanted >= whole || range.head->cost > whole - wanted) {
    ReleaseRange(pool, before, last, released);
    return whole;
  }
  uint32_t kept = range.head->cost;
  Buffer* tail = range.head;
  while (kept + tail->next->cost <= whole - wanted) {
    tail = tail->next;
    kept += tail->cost;
  }
  ReleaseList(tail->next, released);
  tail->next = nullptr;
  range.tail = tail;
  octets_ -= EndOf(*tail).DistanceTo(range.end);
  cost_ -= whole - kept;
  range.end = EndOf(*tail);
  range.cost = kept;
  return whole - kept;
}

void Reassembly::Unlink(ReassemblyPool& pool, uint32_t before, uint32_t index) {
  (before == kNoSlot ? head_ : pool[before].next) = pool[index].next;
  pool.Release(index);
  --range_count_;
}

void Reassembly::ReleaseRange(ReassemblyPool& pool, uint32_t before, uint32_t index, BufferChain& released) {
  const ReassemblyRange& range = pool[index];
  octets_ -= range.start.DistanceTo(range.end);
  cost_ -= range.cost;
  ReleaseList(range.head, released);
  Unlink(pool, before, index);
}

void Reassembly::Clear(ReassemblyPool& pool, BufferChain& released) {
  while (head_ != kNoSlot) ReleaseRange(pool, kNoSlot, head_, released);
  has_fin_ = false;
}

}  // namespace tern::tcp
