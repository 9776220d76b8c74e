// What the files of the dispatcher share. Not for other rooms.
#ifndef TERN_TCP_INTERNAL_H_
#define TERN_TCP_INTERNAL_H_

#include <algorithm>
#include <cstdint>

#include "tcp/buffer_ring.h"
#include "tcp/coalesce.h"
#include "tcp/connection.h"
#include "tcp/rx_acceptable.h"
#include "tcp/window.h"

namespace tern::tcp {

// One event being worked on.
struct Context {
  Connection& conn;
  Environment& env;
  Instant now;
  Effects& effects;

  // Reached only where the cold state is really needed: it is another cache line.
  ColdState& cold() const { return (*env.cold)[conn.cold]; }
  const TcpConfig& config() const { return *env.config; }
};

// ---- connection.cc ----

// To CLOSED, with the reason told once. Buffers and cold state stay until ReleaseAll.
void Terminate(Connection& conn, CloseReason reason, Effects& effects);
// The handshake is over: segment size, windows, first event. RFC 9293 3.10.7.3, 3.10.7.4.
void Establish(const Context& ctx);
// What the step into TIME-WAIT starts: both streams have ended and the peer's FIN is (about to be)
// acknowledged.
void EnterTimeWait(const Context& ctx);
// Works out anew whether segments may take the fast path.
void RefreshSlowPath(const Context& ctx);

inline bool FinSent(const Connection& conn) {
  return conn.Is(kFinQueued) && conn.snd_nxt == conn.snd_end + 1;
}
inline bool FinAcked(const Connection& conn) {
  return conn.Is(kFinQueued) && conn.snd_una == conn.snd_end + 1;
}
// Octets queued and never sent.
inline uint32_t Unsent(const Connection& conn) {
  return FinSent(conn) ? 0 : conn.snd_nxt.DistanceTo(conn.snd_end);
}
// The sequence number of a segment without text: SND.NXT, but where a probe or a shrunk window left SND.NXT
// beyond what the peer takes, the edge of its window, for it would drop the segment and the ACK or RST with
// it (RFC 9293 3.10.7.4, first). An edge less than one scale unit short may be nothing but a rounded window.
inline SeqNum ControlSeq(const Connection& conn) {
  const SeqNum edge = conn.snd_una + conn.snd_wnd;
  const uint32_t slack = conn.snd_wnd == 0 ? 0 : (1u << conn.snd_scale) - 1;
  return conn.snd_nxt.After(edge + slack) ? edge : conn.snd_nxt;
}
// RCV.WND as the peer understands it.
inline uint32_t ReceiveWindowSize(const Connection& conn) {
  return conn.rcv_nxt.Before(conn.rcv_adv) ? conn.rcv_nxt.DistanceTo(conn.rcv_adv) : 0;
}
inline ReceiveWindow WindowState(const Connection& conn) {
  const uint32_t free = conn.rcv_limit > conn.rcv_queued ? conn.rcv_limit - conn.rcv_queued : 0;
  return {.rcv_nxt = conn.rcv_nxt,
          .rcv_adv = conn.rcv_adv,
          .free = free,
          .buffer = conn.rcv_limit,
          .rmss = conn.mss,
          .shift = conn.rcv_scale};
}
Duration RtoWithoutSample(const Connection& conn, const Environment& env, RtoLimits limits, unsigned backoff);
// The timeout in force, back-off included.
inline Duration CurrentRto(const Connection& conn, const Environment& env) {
  const TcpConfig& config = *env.config;
  const RtoLimits limits{.min = config.rto_min,
                         .max = config.rto_max,
                         .initial = config.rto_initial,
                         .granularity = Duration::Nanos(int64_t{1} << Deadline::kShift)};
  if (conn.rtt.has_sample() && !conn.Is(kSlowPathOnly)) [[likely]]
    return conn.rtt.PlainRto(limits);
  const unsigned backoff = conn.Is(kSlowPathOnly) ? (*env.cold)[conn.cold].backoff : 0;
  if (!conn.rtt.has_sample()) [[unlikely]]
    return RtoWithoutSample(conn, env, limits, backoff);
  return conn.rtt.Rto(limits, backoff);
}
// RFC 6298 5.1.
inline void StartRetransmitTimer(Connection& conn, const Environment& env, Instant now) {
  if (!conn.retransmit_at.IsSet()) conn.retransmit_at.SetIn(now, CurrentRto(conn, env));
}
// NOP NOP TS: taken off the text of every segment (RFC 9293 3.7.1, MUST-16).
inline uint32_t TimestampRoom(const Connection& conn) { return conn.Is(kUseTimestamps) ? 12 : 0; }
inline uint32_t CoarseClock(Instant now) { return static_cast<uint32_t>(now.nanos() >> 30); }

// ---- ack_input.cc ----

// RFC 9293 3.10.7.4, fifth: SND.UNA, the window, SACK, recovery, timers. The ACK number is known to be
// plausible.
void TakeAck(const Context& ctx, const SegmentView& segment);
// Parts of it that the fast path shares.
// Send buffers that end at or before SND.UNA go back as one chain.
inline void ReleaseAcked(const Context& ctx) {
  Connection& conn = ctx.conn;
  while (Buffer* front = RingFront(conn.tx_tail)) {
    const SeqNum end = SeqNum(front->tag) + front->length;
    if (end.After(conn.snd_una)) break;
    if (front == conn.tx_next) conn.tx_next = RingNext(conn.tx_tail, front);
    if (conn.Is(kSlowPathOnly) && ctx.cold().resend_hint == front) ctx.cold().resend_hint = nullptr;
    ctx.effects.released.PushBack(RingPop(conn.tx_tail));
  }
}
// A writer that was cut short hears of room when a third of the buffer is free: not for every segment.
void TellOfSendRoom(const Context& ctx);
// SEG.WND opened the window from what it was: the rare part of taking it.
void OnWindowOpened(const Context& ctx);
// RFC 9293 3.10.7.4, fifth: SND.WND from a segment that is not older than the one it was last taken from.
inline void UpdateSendWindow(const Context& ctx, const SegmentView& segment) {
  Connection& conn = ctx.conn;
  if (!WindowUpdateIsNewer(segment.seq, segment.ack, conn.snd_wl1, conn.snd_wl2)) return;
  const uint32_t window = static_cast<uint32_t>(segment.window) << conn.snd_scale;
  const bool opened = window > conn.snd_wnd;
  conn.snd_wl1 = segment.seq;
  conn.snd_wl2 = segment.ack;
  conn.snd_wnd = window;
  if (opened) OnWindowOpened(ctx);
}
// A cwnd that the connection has grown beyond its first one says little after a pause (RFC 5681 4.1): when
// nothing is in flight any more, the moment is noted, and when sending begins again the pause is judged. Both
// are for whoever has grown so far only, which small messages never do.
inline bool HasGrown(const Connection& conn, const Environment& env) {
  return conn.cwnd > uint32_t{conn.mss} * env.config->initial_window_segments;
}
inline void NoteAllAcked(const Context& ctx) {
  if (ctx.conn.records.empty() && HasGrown(ctx.conn, ctx.env)) ctx.cold().idle_since = ctx.now;
}
void RestartAfterIdle(Connection& conn, const Environment& env, Instant now);
// SND.UNA moves to SEG.ACK. Returns the octets delivered that no SACK had reported before.
uint32_t Advance(const Context& ctx, const SegmentView& segment);
// cwnd grows when it was what held sending back before this ACK (RFC 7661 3). `flight_before`: octets then in
// flight.
void GrowWindow(const Context& ctx, uint32_t flight_before, uint32_t delivered);

// ---- data_input.cc ----

// RFC 9293 3.10.7.4, seventh and eighth: the text, then FIN.
void TakeText(const Context& ctx, SegmentView& segment);
// In-order data for the application; `buffer` is exactly the payload at RCV.NXT.
inline void TakeInOrder(const Context& ctx, Buffer* buffer);
// RFC 2883 4: [start, end) came a second time; the next ACK reports it, where the peer understands. Nothing
// when it is empty.
void NoteDuplicate(const Context& ctx, SeqNum start, SeqNum end);
// The same of what in `segment` lies before RCV.NXT.
void NoteOldText(const Context& ctx, const SegmentView& segment);
// After the application read: tells the peer where that is worth a segment.
inline void NoteWindowOpened(Connection& conn, Effects& effects) {
  if (conn.Is(kFinReceived) || !UpdateWorthSending(WindowState(conn))) return;
  conn.ack_debt.OnUrgent();
  effects.transmit = true;
}

// Acts on what the debt has become.
inline void NoteAckDecision(const Context& ctx, AckDecision decision) {
  if (decision == AckDecision::kNow) {
    ctx.effects.transmit = true;
  } else if (decision == AckDecision::kDelay && !ctx.conn.ack_at.IsSet()) {
    ctx.conn.ack_at.SetIn(ctx.now, ctx.config().delayed_ack);
  }
}
// An ACK for this segment alone: duplicates, gaps.
inline void OweOwnAck(const Context& ctx) { NoteAckDecision(ctx, ctx.conn.ack_debt.OnOwn()); }

// Text that came with the SYN of a simultaneous open waits for ESTABLISHED (RFC 9293 3.10.7.3, fifth).
void QueueEarlyText(const Context& ctx, SegmentView& segment);
void DeliverEarlyText(const Context& ctx);
inline bool ReceivesText(State state) {
  return state == State::kEstablished || state == State::kFinWait1 || state == State::kFinWait2;
}

// ---- options.cc ----

// A Deadline reaches less than nine hours ahead; what lies farther is walked in steps of this.
inline constexpr Duration kLongestWait = Duration::Seconds(4 * 3'600);
void OnKeepaliveDeadline(const Context& ctx);
void NoteTrouble(const Context& ctx, Trouble trouble);

// ---- path.cc ----

// How much text the next segment is to hold, as a probe of the path; 0: no probe.
struct ProbePlan {
  uint32_t text = 0;
  bool wait = false;  // nothing may go until there is room for the probe: ACKs are on their way that make it
};
ProbePlan PlanProbe(const Connection& conn, const Environment& env, uint32_t sack_blocks);
void NoteProbeSent(const Connection& conn, Environment& env, SeqNum seq, uint32_t text);
// SND.UNA moved.
void NotePathProgress(const Context& ctx);
// A duplicate ACK: true when all that it shows missing is lost for its size, so that nothing but a
// retransmission follows (RFC 4821 7.7, RFC 8899 3).
bool LostForItsSize(const Context& ctx);
// The retransmission timer expired. True: because of a segment's size; what there is to do is done.
bool TimedOutForItsSize(const Context& ctx);

// ---- urgent.cc ----

// RFC 9293 3.10.7.4, sixth.
void TakeUrgent(const Context& ctx, const SegmentView& segment);
// Takes the urgent octet out of what arrived in order, where the application wants it apart.
void PullUrgent(const Context& ctx);

// ---- challenge.cc ----

// An ACK for what may be an attack, if the limits of RFC 5961 7 allow it.
void OweChallenge(const Context& ctx);
// RFC 9293 3.10.7.4, first: an ACK for a segment that has no place in the window.
void OweAckOfUnacceptable(const Context& ctx, const SegmentView& segment);

inline void QueueReceived(const Context& ctx, Buffer* buffer) {
  Connection& conn = ctx.conn;
  conn.rcv_queued += buffer->length;
  if (conn.rx_tail != nullptr && TryCoalesce(conn.rx_tail, buffer)) {
    ctx.effects.released.PushBack(buffer);
  } else {
    RingPush(conn.rx_tail, buffer);
  }
  ctx.effects.events |= kEventReadable;
}
inline void TakeInOrder(const Context& ctx, Buffer* buffer) {
  Connection& conn = ctx.conn;
  const uint32_t length = buffer->length;
  conn.rcv_nxt += length;
  QueueReceived(ctx, buffer);
  if (conn.Is(kSlowPathOnly)) PullUrgent(ctx);
  NoteAckDecision(ctx, conn.ack_debt.OnInOrder(length, conn.mss));
}

// ---- rx_handshake.cc, rx_established.cc ----

// TS.Recent (RFC 7323 4.3) from an acceptable segment.
inline void FollowTimestamp(const Context& ctx, const SegmentView& segment) {
  // 2^30 ns a unit, 24 days (RFC 7323 5.5).
  constexpr uint32_t kPawsHorizonCoarse = static_cast<uint32_t>(kPawsHorizon.nanos() >> 30);
  Connection& conn = ctx.conn;
  if (!segment.options.has_timestamp) return;
  const bool stale = CoarseClock(ctx.now) - conn.ts_recent_at > kPawsHorizonCoarse;
  if (TsRecentFollows(segment.options.tsval, conn.ts_recent, stale, segment.seq, conn.last_ack_sent)) {
    conn.ts_recent = segment.options.tsval;
    conn.ts_recent_at = CoarseClock(ctx.now);
  }
}

// Any segment, in any state, the long way.
void InputSlow(const Context& ctx, SegmentView& segment);
void InputSynSent(const Context& ctx, SegmentView& segment);
void InputSynchronized(const Context& ctx, SegmentView& segment);

}  // namespace tern::tcp

#endif  // TERN_TCP_INTERNAL_H_
