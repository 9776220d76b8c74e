// Data that arrived ahead of RCV.NXT, until the gap before it is filled.
#ifndef TERN_TCP_REASSEMBLY_H_
#define TERN_TCP_REASSEMBLY_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "base/buffer.h"
#include "base/drop_reason.h"
#include "base/seq_num.h"
#include "base/slot_pool.h"
#include "tcp/seq_range.h"

namespace tern::tcp {

// One contiguous run of buffered data. Buffer::tag is the sequence number of each buffer's data[0].
struct ReassemblyRange {
  Buffer* head = nullptr;
  Buffer* tail = nullptr;
  SeqNum start;
  SeqNum end;
  uint32_t cost = 0;   // true cost of its buffers
  uint32_t stamp = 0;  // when it last grew, for the order of SACK blocks
  uint32_t next = kNoSlot;
};
static_assert(std::is_trivially_copyable_v<ReassemblyRange>);

using ReassemblyPool = SlotPool<ReassemblyRange, 8>;

struct ReassemblyLimits {
  uint32_t max_cost = 0;     // true octets that this connection may hold out of order
  uint32_t max_ranges = 64;  // and in so many separate runs: the bound on the work of one insert
};

struct InsertResult {
  DropReason drop = DropReason::kNone;  // kNone: something new was kept
  uint32_t stored = 0;                  // octets of it that were new
  bool fin_stored = false;              // a FIN is now remembered that was not before
  SeqRange duplicate;  // the first run of octets that had arrived before (RFC 2883 4); empty if none
};

// The out-of-order queue of one connection. Cold state, trivially copyable; ranges live in a pool of the
// shard.
//
// Byte-exact: an octet that was stored is delivered as it arrived first, whatever later copies say (RFC 9293
// leaves the choice; the first copy is the one that a SACK has vouched for). A later segment that surrounds
// older data takes the older octets over by copy, so that no buffer ever needs splitting.
// Bounded: one insert walks at most max_ranges ranges and copies at most the segment's own length. When there
// is no room, what is farthest from RCV.NXT goes first, and a segment farther than all goes itself.
//
// Ownership: Insert takes the buffer in every case; what is not kept leaves through `released`.
class Reassembly {
 public:
  // Nothing held, and no FIN remembered.
  bool empty() const { return head_ == kNoSlot && !has_fin_; }
  bool has_data() const { return head_ != kNoSlot; }
  uint32_t octets() const { return octets_; }
  uint32_t cost() const { return cost_; }  // true cost of all that is held
  uint32_t range_count() const { return range_count_; }
  bool has_fin() const { return has_fin_; }
  SeqNum fin_seq() const { return fin_seq_; }

  // Takes a segment's payload (may be nullptr or empty when only `fin`), first octet at `seq`. What lies
  // before `rcv_nxt` or at and beyond `window_edge` (RCV.NXT + RCV.WND) is cut off, a FIN behind the cut with
  // it; a FIN exactly at the edge is kept, since it takes no room. In-order data may come this way too, and
  // must while the queue is not empty: insert, then TakeInOrder. drop says kTcpOutOfWindow,
  // kTcpDuplicatePayload, kTcpReassemblyFull or kTcpDataAfterClose (all of it beyond the FIN).
  InsertResult Insert(ReassemblyPool& pool, const ReassemblyLimits& limits, Buffer* buffer, SeqNum seq,
                      bool fin, SeqNum rcv_nxt, SeqNum window_edge, BufferChain& released);

  struct Taken {
    uint32_t octets = 0;
    uint32_t cost = 0;
    bool fin = false;  // the stream ends behind these octets: RCV.NXT is to count one more
  };
  // Moves the run that starts at `rcv_nxt`, if there is one, to the end of `out`. What has fallen behind
  // rcv_nxt is released. The FIN is reported once.
  Taken TakeInOrder(ReassemblyPool& pool, SeqNum rcv_nxt, BufferChain& out, BufferChain& released);

  // Fills `out` with the held ranges, the one that grew last first (RFC 2018 4). Returns how many.
  size_t SackBlocks(const ReassemblyPool& pool, std::span<SeqRange> out) const;

  // The held range that `seq` lies in; empty when there is none.
  SeqRange RunAround(const ReassemblyPool& pool, SeqNum seq) const;

  // Under memory pressure: drops at least `cost` of what is farthest from RCV.NXT, as far as there is any.
  // Returns the cost dropped. The peer may see octets un-sacked (RFC 2018 8 allows it).
  uint32_t Shed(ReassemblyPool& pool, uint32_t cost, BufferChain& released);

  // Drops everything, the FIN too.
  void Clear(ReassemblyPool& pool, BufferChain& released);

 private:
  // A segment's payload on its way in.
  struct Piece {
    Buffer* buffer = nullptr;
    SeqNum seq;

    SeqNum end() const { return seq + buffer->length; }
  };
  // Where a piece belongs: behind `before` (kNoSlot: first) and in front of `after` (kNoSlot: last).
  struct Place {
    uint32_t before = kNoSlot;
    uint32_t after = kNoSlot;
  };

  bool NoteFin(const ReassemblyPool& pool, SeqNum fin_seq, SeqNum rcv_nxt, SeqNum window_edge);
  DropReason CutToBounds(Piece& piece, SeqNum rcv_nxt, SeqNum window_edge, InsertResult& result) const;
  Place Locate(const ReassemblyPool& pool, SeqNum seq) const;
  bool MakeRoom(ReassemblyPool& pool, const ReassemblyLimits& limits, const Piece& piece, bool own_range,
                BufferChain& released);
  uint32_t AbsorbCovered(ReassemblyPool& pool, Place& place, Piece& piece, InsertResult& result,
                         BufferChain& released);
  void Attach(ReassemblyPool& pool, const Place& place, const Piece& piece, BufferChain& released);
  void JoinNext(ReassemblyPool& pool, uint32_t index);
  uint32_t DropFarthest(ReassemblyPool& pool, uint32_t cost, BufferChain& released);
  void Unlink(ReassemblyPool& pool, uint32_t before, uint32_t index);
  void ReleaseRange(ReassemblyPool& pool, uint32_t before, uint32_t index, BufferChain& released);

  uint32_t head_ = kNoSlot;
  uint32_t range_count_ = 0;
  uint32_t octets_ = 0;
  uint32_t cost_ = 0;
  uint32_t stamp_ = 0;
  SeqNum fin_seq_;
  bool has_fin_ = false;
};
static_assert(std::is_trivially_copyable_v<Reassembly>);
static_assert(sizeof(Reassembly) <= 32);

}  // namespace tern::tcp

#endif  // TERN_TCP_REASSEMBLY_H_
