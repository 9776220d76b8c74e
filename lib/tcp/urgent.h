// The urgent pointer, both ways (RFC 9293 3.8.5, RFC 6093). It names the octet behind the urgent data
// (MUST-62), which may be as long as one likes (MUST-31).
#ifndef TERN_TCP_URGENT_H_
#define TERN_TCP_URGENT_H_

#include <algorithm>
#include <cstdint>

#include "base/seq_num.h"

namespace tern::tcp {

// What the peer called urgent. Cold state, 8 bytes.
class UrgentReceive {
 public:
  // RFC 9293 3.10.7.4, sixth: RCV.UP <- max(RCV.UP, SEG.UP). `up`: SEG.SEQ plus the pointer; `unread`: the
  // octet the application reads next. True when there is news: urgent data that was not known of is still to
  // be read.
  bool OnPointer(SeqNum up, SeqNum unread) {
    // A pointer that was passed says nothing any more, also when sequence numbers have gone half around
    // since.
    if (valid_ && up_.AtOrBefore(unread)) valid_ = false;
    if (!up.After(unread) || (valid_ && !up.After(up_))) return false;
    up_ = up;
    valid_ = true;
    awaited_ = out_of_line_;
    return true;
  }

  // Octets from the next one to read to the end of the urgent data (MUST-33), arrived or not; 0: none is
  // known of. `queued`: what waits to be read.
  uint32_t Ahead(SeqNum rcv_nxt, uint32_t queued) const {
    if (!valid_) return 0;
    if (up_.After(rcv_nxt)) return queued + rcv_nxt.DistanceTo(up_);
    const uint32_t behind = up_.DistanceTo(rcv_nxt);
    return queued > behind ? queued - behind : 0;
  }

  // RFC 6093 3: the last urgent octet is data like any other, unless the application asked otherwise: then it
  // is taken out of the stream when it comes, and kept apart.
  void SetOutOfLine(bool on) { out_of_line_ = on; }
  // The octet to take out; REQUIRES: awaited().
  bool awaited() const { return awaited_; }
  SeqNum mark() const { return up_ - 1; }
  void Keep(uint8_t octet) {
    octet_ = octet;
    kept_ = true;
    awaited_ = false;
  }
  // Gives the octet that was kept, once; -1: there is none.
  int Take() {
    if (!kept_) return -1;
    kept_ = false;
    return octet_;
  }

 private:
  SeqNum up_;  // RCV.UP
  uint8_t octet_ = 0;
  bool valid_ : 1 = false;
  bool out_of_line_ : 1 = false;
  bool awaited_ : 1 = false;
  bool kept_ : 1 = false;
};
static_assert(sizeof(UrgentReceive) == 8);

// What our application called urgent.
class UrgentSend {
 public:
  // All that is queued so far, up to `end`, is urgent.
  void Mark(SeqNum end) {
    up_ = end;
    pending_ = true;
  }
  // Until the peer has acknowledged all of it, every segment that stands before the mark points to it.
  bool pending() const { return pending_; }
  void OnAck(SeqNum snd_una) {
    if (pending_ && snd_una.AtOrAfter(up_)) pending_ = false;
  }
  // The pointer for a segment at `seq`; 0: none. What lies beyond sixteen bits is said as far as they go, and
  // further by the segments that follow.
  uint16_t PointerAt(SeqNum seq) const {
    if (!pending_ || !seq.Before(up_)) return 0;
    return static_cast<uint16_t>(std::min<uint32_t>(seq.DistanceTo(up_), 0xffff));
  }

 private:
  SeqNum up_;  // SND.UP
  bool pending_ = false;
};

}  // namespace tern::tcp

#endif  // TERN_TCP_URGENT_H_
