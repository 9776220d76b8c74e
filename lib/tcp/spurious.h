// Whether what was sent again had to be: by the timestamp that the first answer echoes (Eifel, RFC 3522), or
// by the peer's word that all of it came twice (D-SACK, RFC 3708).
#ifndef TERN_TCP_SPURIOUS_H_
#define TERN_TCP_SPURIOUS_H_

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "base/seq_num.h"
#include "tcp/seq_range.h"

namespace tern::tcp {

// Watches one reduction of the window at a time, the latest. Cold state, trivially copyable; zero watches
// nothing. True from OnAdvance or OnDuplicate is said once: the reduction was for nothing, and may be undone.
class SpuriousDetector {
 public:
  bool watches() const { return watches_; }

  // Data was judged lost and the window reduced; [una, nxt) was outstanding.
  void Begin(SeqNum una, SeqNum nxt) {
    *this = SpuriousDetector();
    outstanding_ = {una, nxt};
    watches_ = true;
  }

  // `octets` of sequence space go out again, with TSval `tsval` where timestamps are in use. REQUIRES: not 0.
  void OnRetransmit(uint32_t octets, bool timestamps, uint32_t tsval) {
    if (!watches_) return;
    if (!resent_ && timestamps) {
      first_tsval_ = tsval;
      asks_ = true;
    }
    resent_ = true;
    in_doubt_ = std::min(in_doubt_, UINT32_MAX - octets) + octets;
  }

  // SND.UNA moved. RFC 3522 3.2 step 4: when the first ACK that does it echoes a time before the first
  // retransmission, it answers the original. `tsecr` 0: no timestamp.
  bool OnAdvance(uint32_t tsecr) {
    const bool original = asks_ && tsecr != 0 && SeqNum(tsecr).Before(SeqNum(first_tsval_));
    asks_ = false;  // later ones may echo anything
    if (original) watches_ = false;
    return original;
  }

  // RFC 3708 2: each retransmission was found to have been one too many. Duplicates of what was not
  // outstanding then are the network's own, or of another time.
  bool OnDuplicate(SeqRange range) {
    if (!watches_ || !resent_) return false;
    if (range.start.Before(outstanding_.start) || range.end.After(outstanding_.end)) return false;
    in_doubt_ -= std::min(in_doubt_, Length(range));
    if (in_doubt_ != 0) return false;
    watches_ = false;
    return true;
  }

 private:
  SeqRange outstanding_;
  uint32_t in_doubt_ = 0;  // octets sent again and not reported as duplicates
  uint32_t first_tsval_ = 0;
  bool watches_ = false;
  bool resent_ = false;
  bool asks_ = false;  // the next ACK that advances is the first since the first retransmission
};
static_assert(std::is_trivially_copyable_v<SpuriousDetector>);

}  // namespace tern::tcp

#endif  // TERN_TCP_SPURIOUS_H_
