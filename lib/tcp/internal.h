// What the files of the dispatcher share. Not for other rooms.
#ifndef TERN_TCP_INTERNAL_H_
#define TERN_TCP_INTERNAL_H_

#include <algorithm>
#include <cstdint>

#include "tcp/connection.h"
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
// The timeout in force, back-off included.
Duration CurrentRto(const Connection& conn, const Environment& env);
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
inline uint32_t CoarseClock(Instant now) { return static_cast<uint32_t>(now.nanos() >> 30); }

// ---- ack_input.cc ----

// RFC 9293 3.10.7.4, fifth: SND.UNA, the window, SACK, recovery, timers. The ACK number is known to be
// plausible.
void TakeAck(const Context& ctx, const SegmentView& segment);

// ---- data_input.cc ----

// RFC 9293 3.10.7.4, seventh and eighth: the text, then FIN.
void TakeText(const Context& ctx, SegmentView& segment);
// In-order data for the application; `buffer` is exactly the payload at RCV.NXT.
void TakeInOrder(const Context& ctx, Buffer* buffer);
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
    ctx.conn.ack_at.Set(ctx.now + ctx.config().delayed_ack);
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

// ---- rx_handshake.cc, rx_established.cc ----

void InputSynSent(const Context& ctx, SegmentView& segment);
void InputSynchronized(const Context& ctx, SegmentView& segment);

}  // namespace tern::tcp

#endif  // TERN_TCP_INTERNAL_H_
