// One TCP connection: a value that is mutated by one event and then drained. No clock, no memory of its own,
// no callback: time and pools come in, what happened goes out through Effects.
//
// The hot part (Connection) is what every segment touches and fills two cache lines; the cold part
// (ColdState) lies in a pool of its own and is reached by index. Neither points into a shard, so both can be
// moved.
#ifndef TERN_TCP_CONNECTION_H_
#define TERN_TCP_CONNECTION_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "base/buffer.h"
#include "base/instant.h"
#include "base/seq_num.h"
#include "base/slot_pool.h"
#include "base/token_bucket.h"
#include "tcp/ack_policy.h"
#include "tcp/autotune.h"
#include "tcp/challenge_limit.h"
#include "tcp/config.h"
#include "tcp/congestion.h"
#include "tcp/deadline.h"
#include "tcp/effects.h"
#include "tcp/fast_recovery.h"
#include "tcp/keepalive.h"
#include "tcp/path_mtu.h"
#include "tcp/reassembly.h"
#include "tcp/retransmit_queue.h"
#include "tcp/rtt_estimator.h"
#include "tcp/sack_scoreboard.h"
#include "tcp/segment.h"
#include "tcp/send_record.h"
#include "tcp/spurious.h"
#include "tcp/state_machine.h"
#include "tcp/urgent.h"

namespace tern::tcp {

// Bits of Connection::flags.
enum ConnectionFlags : uint16_t {
  kUseTimestamps = 1 << 0,   // RFC 7323, agreed in the handshake
  kUseSack = 1 << 1,         // RFC 2018, agreed in the handshake
  kNoDelay = 1 << 2,         // Nagle off
  kFinQueued = 1 << 3,       // the application ended its stream: FIN follows snd_end
  kFinReceived = 1 << 4,     // the peer's FIN was reached in order
  kForceResend = 1 << 5,     // one retransmission goes out whatever the windows say
  kSynPending = 1 << 6,      // SYN (or SYN-ACK) is to be sent
  kProbePending = 1 << 7,    // a zero-window probe is to be sent
  kWritableOwed = 1 << 8,    // a send was cut short; tell when there is room
  kAppClosed = 1 << 9,       // the application let go: nobody will read
  kConnectedTold = 1 << 10,  // kEventConnected was given
  kPersisting = 1 << 11,     // the retransmission deadline is the persist timer's
  kAutotune = 1 << 12,       // rcv_limit follows the path: nobody set it for this connection
  kActiveOpen = 1 << 13,     // we sent the first SYN
  kCork = 1 << 14,           // hold back short segments until told otherwise
  kSlowPathOnly = 1 << 15,   // cold state matters: out-of-order data, duplicates, loss, back-off, persist
};

// What every segment touches. Zero is CLOSED.
struct alignas(64) Connection {
  // Receive side.
  SeqNum rcv_nxt;
  SeqNum rcv_adv;           // right edge of the window as last advertised: RCV.NXT + RCV.WND
  uint32_t rcv_queued = 0;  // octets in order that the application has not taken
  uint32_t rcv_limit = 0;   // octets offered at the most
  uint32_t ts_recent = 0;   // TS.Recent (RFC 7323)
  uint32_t ts_offset = 0;   // added to the clock to make our TSval
  SeqNum last_ack_sent;     // Last.ACK.sent (RFC 7323 4.3)
  AckDebt ack_debt;
  Buffer* rx_tail = nullptr;  // in-order data, a ring: tail->next is the first

  // Send side.
  SeqNum snd_una;
  SeqNum snd_nxt;        // never steps back: what is resent is known by the send records
  SeqNum snd_end;        // after the last octet the application queued; a FIN would stand here
  uint32_t snd_wnd = 0;  // in octets, unscaled
  SeqNum snd_wl1;
  SeqNum snd_wl2;
  uint32_t cwnd = 0;  // octets
  RetransmitQueue records;
  RttEstimator rtt;
  uint32_t ts_recent_at = 0;  // when ts_recent was taken, in units of 2^30 ns, for PAWS' 24-day rule
  Buffer* tx_tail = nullptr;  // sent and unsent data, a ring; Buffer::tag is the sequence number of data[0]
  Buffer* tx_next = nullptr;  // the buffer that holds snd_nxt; nullptr when all is sent

  Deadline retransmit_at;  // retransmission, or persist
  Deadline ack_at;         // delayed ACK
  Deadline slow_at;        // everything rare: FIN-WAIT-2, TIME-WAIT, ...
  uint32_t cold = kNoSlot;
  uint16_t flags = 0;
  uint16_t mss = 0;  // payload octets of a full segment, options already taken off
  State state = State::kClosed;
  uint8_t snd_scale : 4 = 0;  // shift of windows we receive
  uint8_t rcv_scale : 4 = 0;  // shift of windows we send

  bool Is(uint16_t flag) const { return (flags & flag) != 0; }
  void Set(uint16_t flag) { flags = static_cast<uint16_t>(flags | flag); }
  void Clear(uint16_t flag) { flags = static_cast<uint16_t>(flags & ~flag); }
};
static_assert(sizeof(Connection) == 128, "the hot state is two cache lines");
static_assert(std::is_trivially_copyable_v<Connection>, "the hot state can be moved");

// What only the handshake, loss, close and long waits touch.
struct ColdState {
  SeqNum iss;
  SeqNum irs;
  uint32_t snd_wnd_max = 0;  // largest window the peer ever offered
  Instant syn_sent_at;
  Instant started_at;
  Instant idle_since;  // when the last octet in flight was acknowledged, as far as anybody will ask
  CongestionState congestion;
  SackScoreboard scoreboard;
  FastRecovery recovery;
  SpuriousDetector spurious;
  Reassembly reassembly;
  SeqRange duplicate;  // octets that came twice and were not reported yet (RFC 2883); the latest; empty: none
  ReceiveTuner receive_tuner;
  UrgentReceive urgent_receive;
  UrgentSend urgent_send;
  PathMtu path;
  uint16_t base_mss = 1'024;  // PathBounds::base and least, of the path
  uint16_t least_mss = 512;
  Buffer* resend_hint = nullptr;  // the send buffer where the last retransmission was found
  uint8_t backoff = 0;            // unanswered retransmissions (or probes) in a row
  uint8_t unanswered = 0;         // of those, since the peer last said anything
  uint8_t syn_tries = 0;
  uint8_t announced_scale = 0;  // in our SYN
  bool by_cookie = false;       // for the shard: a SYN cookie opened it
  uint16_t link_mss = 536;      // what our link takes
  uint16_t peer_mss = 536;      // RFC 9293 3.7.1: 536 (IPv4) or 1220 (IPv6) unless the peer says
  CloseReason reason = CloseReason::kNone;
  Trouble trouble = Trouble::kNone;  // what was reported last
  bool reports_trouble = true;
  bool keepalive_pending = false;  // a keep-alive probe is to be sent
  uint8_t ttl = 0;  // for the stack: the application's choices for the IP header; 0: the shard's
  uint8_t dscp = 0;
  Keepalive keepalive;
  Duration user_timeout;  // RFC 9293 3.8.3: R2 as a time; zero: by the number of retransmissions
  Instant silent_since;   // while `unanswered` is not 0: when that which went unanswered was sent
  Instant challenges_paid_until = kNothingTaken;  // TakeToken's state for challenge ACKs
  uint64_t retransmitted_segments = 0;
  uint64_t timeouts = 0;
};
static_assert(std::is_trivially_copyable_v<ColdState>);

// What the connections of one shard share. Lives as long as they.
struct Environment {
  const TcpConfig* config = nullptr;
  SlotPool<ColdState>* cold = nullptr;
  SlotPool<SendRecord>* records = nullptr;
  ReassemblyPool* ranges = nullptr;
  ChallengeLimit* challenges = nullptr;  // nullptr: only each connection's own limit
  bool fast_path = true;                 // off: every segment takes the long way; the result must be the same
  // Packet memory runs short: text is taken only where it is next and nothing waits to be read before it.
  bool memory_tight = false;
};

// What other connections found out about a path, and what paths of its family carry; as PathMtu counts.
struct PathParams {
  uint16_t known_mss = 0;  // 0: nothing is known
  bool settled = true;     // false: what is known is the beginning of a search
  uint16_t base_mss = 1'024;
  uint16_t least_mss = 512;
};

// What a connection needs to know about its path and its tuple, made by the stack.
struct OpenParams {
  SeqNum iss;              // RFC 6528
  uint32_t ts_offset = 0;  // per tuple (RFC 7323 5.4)
  uint16_t link_mss = 0;   // what we announce: MTU less fixed IP and TCP headers
  uint16_t default_peer_mss = 536;
  uint32_t receive_buffer = 0;  // 0: the configuration's
  PathParams path;
};

// What the half-open table knows when the third segment of a handshake arrives (or a valid cookie does).
struct PassiveParams {
  OpenParams open;
  SeqNum irs;
  uint16_t peer_mss = 536;
  uint32_t peer_window = 0;  // of the SYN: never scaled
  uint32_t ts_recent = 0;
  int8_t peer_scale = -1;  // -1: the peer does not scale
  bool timestamps = false;
  bool sack = false;
  Instant synack_sent_at = Instant::Never();  // for the first RTT sample; Never: there is none
  bool synack_resent = false;                 // no sample then (Karn), and a first window of one segment
};

// Starts an active open: CLOSED to SYN-SENT (RFC 9293 3.10.1). False, and nothing changed, when no cold state
// is left. Afterwards PollTransmit gives the SYN.
bool OpenActive(Connection& conn, Environment& env, const OpenParams& params, Instant now);

// Builds a connection in SYN-RECEIVED as the half-open entry describes it; SYN and SYN-ACK are already
// exchanged, so the segment that completes the handshake goes to OnSegment next. False when no cold state is
// left.
bool OpenPassive(Connection& conn, Environment& env, const PassiveParams& params, Instant now);

// Whether a receive buffer of `octets` will be tuned: it is the configured one, and there is somewhere to go.
inline bool TunesReceiveBuffer(uint32_t octets, const TcpConfig& config) {
  return octets == config.receive_buffer && config.receive_buffer_max > octets && config.window_scale;
}
// The window scale shift we announce for a receive buffer of `octets`, with what it may grow to.
uint8_t ReceiveScale(uint32_t octets, const TcpConfig& config);

// RFC 9293 3.10.7. Takes segment.payload when it keeps it. REQUIRES: state is not kClosed.
void OnSegment(Connection& conn, Environment& env, SegmentView& segment, Instant now, Effects& effects);

// Acts on every deadline that has passed. Harmless when none has.
void OnTimer(Connection& conn, Environment& env, Instant now, Effects& effects);

// Earliest deadline, or Never. May be early by one wheel tick, never late.
inline Instant NextDeadline(const Connection& conn, Instant now) {
  return Deadline::Earliest(now, conn.retransmit_at, conn.ack_at, conn.slow_at);
}

// Writes the next segment due into `out` and commits to it: what was returned counts as sent. False, with
// nothing changed, when there is nothing to send. `payload_budget` bounds the octets of one segment when it
// exceeds the MSS (segmentation offload); 0 means one MSS. REQUIRES: out.frame is set.
bool PollTransmit(Connection& conn, Environment& env, Instant now, uint32_t payload_budget, SegmentOut& out);

// False: PollTransmit would find nothing. True says only that it is worth asking. From the hot state alone.
inline bool MayTransmit(const Connection& conn) {
  return conn.tx_next != nullptr || conn.Is(kSlowPathOnly | kFinQueued) ||
         conn.ack_debt.Decision() == AckDecision::kNow;
}

// ---- What an application does ----

enum class SendResult : uint8_t {
  kOk,       // some or all was taken
  kNoRoom,   // nothing taken; kEventWritable will follow
  kNotOpen,  // no stream yet, or the application ended it (EPIPE)
};
// Octets the send buffer holds at the most, now.
inline uint32_t SendLimit(const Connection& conn, const Environment& env) {
  return SendBufferFor(conn.cwnd, env.config->send_buffer, env.config->send_buffer_max);
}
// Octets the send buffer still takes.
uint32_t SendRoom(const Connection& conn, const Environment& env);
// As SendRoom; asked when the answer is zero, it promises kEventWritable for when there is room again.
uint32_t AskSendRoom(Connection& conn, const Environment& env);
// Queues whole buffers from the front of `data` while there is room for at least one octet, so it may
// overshoot by one buffer. What was not taken stays in `data`. Small buffers are copied into the room behind
// the last one queued and released through `effects`. Allowed from SYN-SENT on: data waits for ESTABLISHED
// (RFC 9293 3.10.2).
SendResult Send(Connection& conn, Environment& env, BufferChain& data, Instant now, Effects& effects);

// As Send; what is taken, and all queued before it, is urgent (RFC 9293 3.10.2, 3.8.5). The peer is told at
// once.
SendResult SendUrgent(Connection& conn, Environment& env, BufferChain& data, Instant now, Effects& effects);
// Octets from the next one to read to the end of what the peer called urgent, arrived or not; 0: nothing
// urgent.
uint32_t UrgentAhead(const Connection& conn, const Environment& env);
// The last urgent octet stays in the stream, unless `on`: then it is kept apart, for TakeUrgentOctet, from
// the next announcement on (RFC 6093 3 advises against it; sockets without SO_OOBINLINE want it).
void SetUrgentOutOfLine(Connection& conn, Environment& env, bool on);
// The octet that was kept apart, once; -1: there is none. One that is not taken before the next is lost.
int TakeUrgentOctet(Connection& conn, Environment& env);

// Moves whole buffers of in-order data to `out`, at least one if any waits, until `max_octets` is reached;
// returns the octets moved. The window opens by what was taken. 0 with kFinReceived set is the end of the
// stream.
uint32_t Receive(Connection& conn, Environment& env, uint32_t max_octets, Instant now, BufferChain& out,
                 Effects& effects);

// Copies octets of in-order data that wait, from `offset` on, into `out`; returns how many. Nothing is taken.
uint32_t Peek(const Connection& conn, uint32_t offset, std::span<uint8_t> out);

// Takes exactly `octets` of in-order data, or all there is, without handing them over: for a reader that has
// copied them with Peek. Returns how many; the window opens by as much.
uint32_t Discard(Connection& conn, uint32_t octets, Effects& effects);

// Ends our stream; FIN goes out after all queued data. Receiving goes on (half-close).
void ShutdownWrite(Connection& conn, Environment& env, Instant now, Effects& effects);

// The application lets go of both directions. Queued data is still sent. With received data unread the
// connection is reset instead (RFC 9293 3.10.4 with RFC 1122 4.2.2.13); so it is when data arrives
// afterwards.
void Close(Connection& conn, Environment& env, Instant now, Effects& effects);

// Drops everything and resets (RFC 9293 3.10.5). The connection is CLOSED afterwards.
void Abort(Connection& conn, Environment& env, Instant now, Effects& effects);

void SetNoDelay(Connection& conn, bool on, Effects& effects);

// Holds short segments back until `on` is false again, or the stream ends, or 200 ms and more have gone by.
void SetCork(Connection& conn, bool on, Effects& effects);

// On: what is owed is acknowledged now, and the next data without delay. Off: ACKs are delayed from here on.
void SetQuickAck(Connection& conn, bool on, Effects& effects);

// After Close: what is not delivered and acknowledged within `limit` is given up, and the peer sees a reset
// (SO_LINGER).
void BoundClose(Connection& conn, Duration limit, Instant now);

// RFC 9293 3.8.4: probes an idle peer; nullptr turns it off, which it is at first (MUST-25).
void SetKeepalive(Connection& conn, Environment& env, const KeepaliveTimes* times, Instant now);
// RFC 9293 3.8.3, 3.9.1.7: how long what we sent may go unacknowledged before the connection is given up (R2
// as a time, MUST-21). Zero: the configured number of retransmissions. Counts for the SYN as well, and for
// probes of a window.
void SetUserTimeout(Connection& conn, Environment& env, Duration timeout);
// Whether kEventTrouble is given; it is at first (SHLD-20).
void SetTroubleReports(Connection& conn, Environment& env, bool on);
// What kEventTrouble last spoke of.
Trouble LastTrouble(const Connection& conn, const Environment& env);

// An ICMP message about a segment of ours (RFC 9293 3.9.2.2, MUST-54). A hard error ends an opening
// connection, for the reason `end`: kRefused when it was the port, else kUnreachable. Soft ones (kNone) are
// reported and end nothing (MUST-56). `quoted` is the sequence number in the message; one that is not in
// flight is ignored (RFC 5927 4.1).
void OnIcmpError(Connection& conn, Environment& env, SeqNum quoted, Trouble trouble, CloseReason end,
                 Instant now, Effects& effects);

// A router says that the segment with the sequence number `quoted` was too big, and that one would pass whose
// options and text are `mss` octets together (RFC 1191, RFC 8201). The verdict is for the books; what follows
// is done. REQUIRES: state is not kClosed.
TooBigVerdict OnPacketTooBig(Connection& conn, Environment& env, SeqNum quoted, uint16_t mss, Instant now,
                             Effects& effects);
// Another connection learnt that of the same path: nothing of more than `mss` octets passes.
void LearnPathMss(Connection& conn, Environment& env, uint16_t mss, Instant now, Effects& effects);
// What is known of the path may have aged: more is tried when it has. Returns when to call again; Never: not
// until Effects::path asks for it anew.
Instant OnPathAged(Connection& conn, Environment& env, Instant now, Effects& effects);

// Gives every buffer, record and the cold state back; called by the shard when it frees or compacts the slot.
void ReleaseAll(Connection& conn, Environment& env, BufferChain& released);

// What a compact TIME-WAIT entry keeps (RFC 9293 3.10.7.4, RFC 1337, RFC 6191).
struct TimeWaitState {
  SeqNum snd_nxt;
  SeqNum rcv_nxt;
  uint32_t ts_recent = 0;
  uint32_t ts_offset = 0;
  uint16_t window = 0;  // as in headers
  bool timestamps = false;
};
TimeWaitState MakeTimeWait(const Connection& conn);

}  // namespace tern::tcp

#endif  // TERN_TCP_CONNECTION_H_
