// When fast retransmit begins and when recovery ends (RFC 5681 3.2, RFC 6582, RFC 6675 5).
#ifndef TERN_TCP_FAST_RECOVERY_H_
#define TERN_TCP_FAST_RECOVERY_H_

#include <cstdint>

#include "base/seq_num.h"

namespace tern::tcp {

// What RFC 5681 2 asks of a duplicate acknowledgement.
struct AckShape {
  SeqNum ack;
  SeqNum snd_una;
  SeqNum snd_nxt;
  uint32_t payload = 0;
  bool syn_or_fin = false;
  bool window_changed = false;  // SEG.WND, scaled, differs from SND.WND
};

// RFC 5681 2: data outstanding, no data, no SYN or FIN, the same acknowledgement number, the same window.
bool IsDuplicateAck(const AckShape& shape);

// How a connection stands towards loss.
enum class RecoveryPhase : uint8_t {
  kOpen,      // no loss known
  kRecovery,  // fast recovery: until recovery_point is acknowledged
  kLoss,      // after a timeout: everything outstanding then is sent again in slow start
};

enum class DupAckAction : uint8_t {
  kNothing,
  kLimitedTransmit,  // RFC 3042: one new segment beyond cwnd may go, cwnd stays
  kEnterRecovery,    // retransmit the head, reduce cwnd
  kInRecovery,       // one more segment left the network
};

enum class NewAckAction : uint8_t {
  kNormal,   // not in recovery: grow cwnd
  kPartial,  // RFC 6582 3.2 step 3: more is lost; without SACK retransmit the new head
  kExit,     // recovery is over: cwnd becomes ssthresh
};

// Duplicate ACK counting and the recovery point. Cold state, 8 bytes.
class FastRecovery {
 public:
  RecoveryPhase phase() const { return phase_; }
  // Outstanding data up to here belongs to the current or latest loss.
  SeqNum recovery_point() const { return recovery_point_; }
  uint8_t dup_acks() const { return dup_acks_; }
  // recovery_point() is not yet passed, so OnNewAck has to see each advance.
  bool remembers_point() const { return has_point_; }

  // A duplicate ACK; with SACK, one that brought new SACK information (RFC 6675 2). `head_lost`: the
  // scoreboard judged the octet at SND.UNA lost (RFC 6675 5 step 2), which is as good as the third duplicate.
  // On kEnterRecovery the phase has changed and recovery_point() is snd_nxt.
  DupAckAction OnDuplicateAck(SeqNum snd_una, SeqNum snd_nxt, bool head_lost);

  // SND.UNA advanced to `una`. On kExit the phase is kOpen again.
  NewAckAction OnNewAck(SeqNum una);

  // RFC 6582 3.2 step 4 (timeouts): the point is remembered so that duplicates of what is sent again do not
  // start a fast retransmit.
  void OnTimeout(SeqNum snd_nxt);

  // The reduction was spurious: as if it had not been.
  void OnUndo() {
    phase_ = RecoveryPhase::kOpen;
    dup_acks_ = 0;
  }

 private:
  SeqNum recovery_point_;
  uint8_t dup_acks_ = 0;
  RecoveryPhase phase_ = RecoveryPhase::kOpen;
  bool has_point_ = false;  // a loss happened; recovery_point_ means something
};
static_assert(sizeof(FastRecovery) == 8);

}  // namespace tern::tcp

#endif  // TERN_TCP_FAST_RECOVERY_H_
