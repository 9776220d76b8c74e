// Half-open connections: a SYN was answered, the ACK has yet to come (SYN-RECEIVED of RFC 9293, by passive
// open).
#ifndef TERN_STACK_HALF_OPEN_H_
#define TERN_STACK_HALF_OPEN_H_

#include <array>
#include <cstdint>

#include "base/drop_reason.h"
#include "base/instant.h"
#include "base/intrusive_list.h"
#include "base/memory_source.h"
#include "base/seq_num.h"
#include "base/slot_pool.h"
#include "tcp/config.h"
#include "tcp/segment.h"
#include "wire/flow_key.h"
#include "wire/tcp.h"

namespace tern::stack {

// What is kept of the SYN and of our answer: less than half of a connection, since anybody can make us keep
// it.
struct HalfOpen {
  ListLinks links;
  wire::FlowKey key;
  Instant synack_sent_at;
  Instant retry_at;
  SeqNum iss;
  SeqNum irs;
  uint32_t ts_recent = 0;
  uint32_t listener = 0;
  uint32_t time_wait =
      kNoSlot;            // the entry whose place this one took, and which comes back if nothing comes of it
  uint16_t peer_mss = 0;  // 0: the peer did not say
  uint16_t peer_window = 0;  // of the SYN
  int8_t peer_scale = -1;    // -1: the peer does not scale, or we do not
  uint8_t tries = 0;         // times that the SYN-ACK was sent again
  bool timestamps : 1 = false;
  bool sack : 1 = false;
  bool resent : 1 = false;  // the SYN-ACK, in answer to a SYN that came again

  SeqNum rcv_nxt() const { return irs + 1; }
  SeqNum snd_nxt() const { return iss + 1; }
};
static_assert(sizeof(HalfOpen) <= 96);

enum class HalfOpenAction : uint8_t {
  kIgnore,
  kResend,    // the SYN once more: our SYN-ACK was lost
  kAck,       // out of window, or a challenge: <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>
  kReset,     // acknowledges what we never sent: <SEQ=SEG.ACK><CTL=RST>; the entry stays
  kForget,    // the peer gave up
  kRestart,   // the peer begins anew, with another ISN: the entry goes, and the SYN is treated as in LISTEN
  kComplete,  // the handshake is done; the segment goes on to the new connection
};

struct HalfOpenVerdict {
  HalfOpenAction action = HalfOpenAction::kIgnore;
  DropReason drop = DropReason::kNone;  // kNone: the segment was of use
};

// RFC 9293 3.10.7.4 for SYN-RECEIVED, in its order, with RFC 5961's checks. `window` is what we offered.
HalfOpenVerdict JudgeHalfOpen(const HalfOpen& entry, const tcp::SegmentView& segment, uint32_t window);

// The options of our SYN-ACK; the timestamp's value is the caller's. `scale` is the shift we announce.
wire::TcpOptions SynAckOptions(const HalfOpen& entry, uint16_t link_mss, uint8_t scale);

// Entries by time of the next SYN-ACK: one list for each number of tries, each list sorted because all its
// entries wait equally long.
class HalfOpenTable {
 public:
  HalfOpenTable(MemorySource& memory, uint32_t limit, const tcp::TcpConfig& config);

  // kNoSlot when the table is full. The caller fills in what the SYN says; the SYN-ACK counts as sent now.
  uint32_t Add(Instant now);
  void Remove(uint32_t index);

  // An entry whose SYN-ACK went unanswered until now, or kNoSlot. REQUIRES: each is followed by Retry or
  // Remove.
  uint32_t Due(Instant now) const;
  // Counts one more SYN-ACK as sent now and waits twice as long. False when there were enough: remove it.
  bool Retry(uint32_t index, Instant now);
  Instant NextDeadline() const;

  // Calls fn(index) for every entry; fn may remove it.
  template <typename F>
  void ForEach(F&& fn) {
    for (List& list : levels_) {
      for (uint32_t i = list.front(); i != kNoSlot;) {
        const uint32_t next = List::Next(entries_, i);
        fn(i);
        i = next;
      }
    }
  }

  HalfOpen& operator[](uint32_t index) { return entries_[index]; }
  const HalfOpen& operator[](uint32_t index) const { return entries_[index]; }
  uint32_t in_use() const { return entries_.in_use(); }
  bool full() const { return entries_.in_use() >= entries_.limit(); }

 private:
  using List = IntrusiveList<HalfOpen, &HalfOpen::links>;
  static constexpr size_t kMaxTries = 16;
  Duration Wait(uint8_t tries) const;

  SlotPool<HalfOpen> entries_;
  std::array<List, kMaxTries> levels_;
  Duration initial_;
  Duration maximum_;
  uint8_t retries_;
};

}  // namespace tern::stack

#endif  // TERN_STACK_HALF_OPEN_H_
