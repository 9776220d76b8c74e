#include "tcp/fast_recovery.h"

#include "tcp/sack_scoreboard.h"

namespace tern::tcp {

bool IsDuplicateAck(const AckShape& shape) {
  return shape.snd_una != shape.snd_nxt && shape.payload == 0 && !shape.syn_or_fin &&
         shape.ack == shape.snd_una && !shape.window_changed;
}

DupAckAction FastRecovery::OnDuplicateAck(SeqNum snd_una, SeqNum snd_nxt, bool head_lost) {
  if (phase_ == RecoveryPhase::kRecovery) return DupAckAction::kInRecovery;
  // After a timeout all that was outstanding is being sent again; its duplicates say nothing new.
  if (phase_ == RecoveryPhase::kLoss) return DupAckAction::kNothing;
  if (dup_acks_ < UINT8_MAX) ++dup_acks_;
  if (dup_acks_ < kDupThresh && !head_lost) return DupAckAction::kLimitedTransmit;
  // RFC 6582 3.2 step 2: unless more than the recovery point is acknowledged, these duplicates may come from
  // our own needless retransmissions. SACK evidence about SND.UNA itself leaves no such doubt.
  if (has_point_ && !snd_una.After(recovery_point_) && !(head_lost && snd_una == recovery_point_)) {
    return DupAckAction::kNothing;
  }
  phase_ = RecoveryPhase::kRecovery;
  recovery_point_ = snd_nxt;
  has_point_ = true;
  return DupAckAction::kEnterRecovery;
}

NewAckAction FastRecovery::OnNewAck(SeqNum una) {
  dup_acks_ = 0;
  const bool reached = una.AtOrAfter(recovery_point_);
  switch (phase_) {
    case RecoveryPhase::kOpen:
      // Forgotten once passed, or it would seem to lie ahead again 2^31 octets later.
      if (has_point_ && una.After(recovery_point_)) has_point_ = false;
      return NewAckAction::kNormal;
    case RecoveryPhase::kRecovery:
      if (!reached) return NewAckAction::kPartial;
      phase_ = RecoveryPhase::kOpen;
      return NewAckAction::kExit;
    case RecoveryPhase::kLoss:
      if (reached) phase_ = RecoveryPhase::kOpen;
      return NewAckAction::kNormal;
  }
  return NewAckAction::kNormal;
}

void FastRecovery::OnTimeout(SeqNum snd_nxt) {
  phase_ = RecoveryPhase::kLoss;
  recovery_point_ = snd_nxt;
  has_point_ = true;
  dup_acks_ = 0;
}

}  // namespace tern::tcp
