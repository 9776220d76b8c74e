// Answers to what may be an attack: RFC 5961.
#include "base/token_bucket.h"
#include "tcp/challenge_limit.h"
#include "tcp/internal.h"

namespace tern::tcp {

void OweChallenge(const Context& ctx) {
  const TcpConfig& config = ctx.config();
  // The connection's own limit first: one that is at its end takes nothing from the others.
  const bool own =
      TakeToken(ctx.cold().challenges_paid_until, config.challenge_interval, config.challenge_burst, ctx.now);
  if (own && (ctx.env.challenges == nullptr || ctx.env.challenges->Take(ctx.now))) {
    OweOwnAck(ctx);
  } else {
    ctx.effects.challenge_withheld = true;
  }
}

void OweAckOfUnacceptable(const Context& ctx, const SegmentView& segment) {
  // A sender of data counts what it gets back for each copy (RFC 5681 3.2, RFC 2883), and data is no part of
  // a war of ACKs between two ends that disagree.
  if (segment.payload_length != 0 && !segment.Has(wire::kSyn)) {
    NoteOldText(ctx, segment);
    OweOwnAck(ctx);
  } else {
    OweChallenge(ctx);
  }
}

}  // namespace tern::tcp
