// What a connection has to say, one segment at a time: RFC 9293 3.8, RFC 5681, RFC 6675 5.
#include <array>

#include "tcp/buffer_ring.h"
#include "tcp/internal.h"
#include "tcp/isn.h"
#include "tcp/tx_segmenter.h"

namespace tern::tcp {
namespace {

// ---- Parts of a segment ----

void AddTimestamp(const Connection& conn, Instant now, wire::TcpOptions& options) {
  options.has_timestamp = true;
  options.tsval = TimestampValue(now, conn.ts_offset);
  options.tsecr = conn.ts_recent;
}

// What came twice first (RFC 2883 4), then the run that it lies in, if it is ahead of RCV.NXT; then the runs
// held out of order, the latest first (RFC 2018 4), as many as fit beside a timestamp.
void AddSackBlocks(const Connection& conn, const Environment& env, wire::TcpOptions& options) {
  if (!conn.Is(kUseSack) || !conn.Is(kSlowPathOnly)) return;
  const ColdState& cold = (*env.cold)[conn.cold];
  const SeqRange twice = cold.duplicate;
  if (!cold.reassembly.has_data() && IsEmpty(twice)) return;
  const size_t room = options.has_timestamp ? 3 : wire::TcpOptions::kMaxSackBlocks;
  size_t count = 0;
  const auto add = [&](SeqRange block) {
    if (count < room) options.sack[count++] = {block.start, block.end};
  };
  SeqRange around;
  if (!IsEmpty(twice)) {
    add(twice);
    if (twice.start.AtOrAfter(conn.rcv_nxt)) around = cold.reassembly.RunAround(*env.ranges, twice.start);
    if (!IsEmpty(around)) add(around);
  }
  std::array<SeqRange, wire::TcpOptions::kMaxSackBlocks> blocks;
  const size_t held = cold.reassembly.SackBlocks(*env.ranges, std::span(blocks.data(), room));
  for (size_t i = 0; i < held; ++i) {
    if (!(blocks[i] == around)) add(blocks[i]);
  }
  options.sack_count = static_cast<uint8_t>(count);
}

void FillOptions(const Connection& conn, const Environment& env, Instant now, SegmentOut& out) {
  if (conn.Is(kUseTimestamps)) AddTimestamp(conn, now, out.options);
  AddSackBlocks(conn, env, out.options);
}

void SayWindow(Connection& conn, SegmentOut& out) {
  const WindowOffer offer = OfferWindow(WindowState(conn));
  out.ack = conn.rcv_nxt;
  out.window = offer.field;
  conn.rcv_adv = Later(offer.right_edge, conn.rcv_adv);
  conn.last_ack_sent = conn.rcv_nxt;
}

// The segment is going out: its ACK and window are said, and what was owed is paid.
void CommitAck(Connection& conn, const Environment& env, SegmentOut& out, bool pure) {
  out.flags |= wire::kAck;
  // RFC 9293 3.8.5.
  if (conn.Is(kSlowPathOnly)) {
    ColdState& cold = (*env.cold)[conn.cold];
    out.urgent = cold.urgent_send.PointerAt(out.seq);
    if (out.options.sack_count != 0) cold.duplicate = {};  // each is reported once
  }
  if (out.urgent != 0) out.flags |= wire::kUrg;
  SayWindow(conn, out);
  if (pure) {
    conn.ack_debt.OnPureAckSent();
  } else {
    conn.ack_debt.OnSegmentSent();
  }
  if (conn.ack_debt.Decision() != AckDecision::kDelay) conn.ack_at.Clear();
}

// Adds slices for `length` octets from `seq` on, which `buffer` contains, as far as a frame has room for
// slices. Returns the octets covered; `buffer` is then the one where the next octet lies, or nullptr at the
// end.
uint32_t GatherSlices(const Connection& conn, Buffer*& buffer, SeqNum seq, uint32_t length, TxFrame& frame) {
  if (buffer != nullptr) {
    // Most often it is all in one buffer.
    const uint32_t offset = SeqNum(buffer->tag).DistanceTo(seq);
    const uint32_t rest = buffer->length - offset;
    if (length <= rest) {
      frame.slices[0] = {buffer->data + offset, length, buffer};
      frame.slice_count = 1;
      if (length == rest) buffer = RingNext(conn.tx_tail, buffer);
      return length;
    }
  }
  uint32_t covered = 0;
  frame.slice_count = 0;
  while (buffer != nullptr && covered < length && frame.slice_count < TxFrame::kMaxSlices) {
    const uint32_t offset = SeqNum(buffer->tag).DistanceTo(seq + covered);
    const uint32_t take = std::min(buffer->length - offset, length - covered);
    frame.slices[frame.slice_count++] = {buffer->data + offset, take, buffer};
    covered += take;
    if (offset + take == buffer->length) buffer = RingNext(conn.tx_tail, buffer);
  }
  return covered;
}

// The payload octets of a full segment, what SACK blocks take already off.
uint32_t SegmentRoom(const Connection& conn, const SegmentOut& out) {
  const uint32_t sack = out.options.sack_count == 0 ? 0 : 4u + 8u * out.options.sack_count;
  return conn.mss > sack ? conn.mss - sack : 1;
}

// ---- SYN ----

// RFC 9293 3.5: our SYN, or SYN and ACK when the peer's came first; RFC 7323 and RFC 2018 for what it offers.
bool EmitSyn(Connection& conn, Environment& env, Instant now, SegmentOut& out) {
  if (!conn.Is(kSynPending)) return false;
  ColdState& cold = (*env.cold)[conn.cold];
  const bool answers = conn.state == State::kSynReceived;
  const TcpConfig& config = *env.config;
  out.seq = cold.iss;
  out.flags = answers ? wire::kSyn | wire::kAck : wire::kSyn;
  out.ack = answers ? conn.rcv_nxt : SeqNum();
  out.window = static_cast<uint16_t>(std::min<uint32_t>(conn.rcv_limit, 0xffff));
  out.options.has_mss = true;
  out.options.mss = cold.link_mss;
  out.options.sack_permitted = answers ? conn.Is(kUseSack) : config.sack;
  out.options.has_wscale = answers ? conn.rcv_scale != 0 || conn.snd_scale != 0 : config.window_scale;
  // What the first SYN said holds, whatever becomes of the buffer meanwhile.
  if (cold.syn_tries == 0) cold.announced_scale = ReceiveScale(conn.rcv_limit, config);
  out.options.wscale = cold.announced_scale;
  if (answers ? conn.Is(kUseTimestamps) : config.timestamps) AddTimestamp(conn, now, out.options);
  out.retransmission = cold.syn_tries > 0;
  if (cold.syn_tries < UINT8_MAX) ++cold.syn_tries;
  if (cold.syn_tries == 1) cold.syn_sent_at = now;
  conn.snd_nxt = cold.iss + 1;
  conn.Clear(kSynPending);
  StartRetransmitTimer(conn, env, now);
  return true;
}

// ---- Retransmission ----

// The send buffer that holds `seq`: looked for from where the last retransmission was found.
Buffer* FindBuffer(const Connection& conn, ColdState& cold, SeqNum seq) {
  Buffer* buffer = cold.resend_hint;
  if (buffer == nullptr || seq.Before(SeqNum(buffer->tag))) buffer = RingFront(conn.tx_tail);
  while (buffer != nullptr && seq.AtOrAfter(SeqNum(buffer->tag) + buffer->length)) {
    buffer = RingNext(conn.tx_tail, buffer);
  }
  if (buffer != nullptr) cold.resend_hint = buffer;
  return buffer;
}

// RFC 6675 5 (4.3): the first retransmission goes at once; others when cwnd has room for a segment.
bool MayResend(const Connection& conn, const ColdState& cold) {
  if (conn.records.empty()) return false;
  if (conn.Is(kForceResend)) return true;
  if (conn.snd_wnd == 0 || cold.scoreboard.lost_octets() == 0) return false;
  return conn.cwnd >= cold.scoreboard.Pipe(conn.snd_una, conn.snd_nxt) + conn.mss;
}

// RFC 6675 4 NextSeg (3): in recovery, with no new data to send, what may be lost is better than silence.
bool MaySpeculate(const Connection& conn, const ColdState& cold) {
  if (!conn.Is(kUseSack) || cold.recovery.phase() != RecoveryPhase::kRecovery || conn.snd_wnd == 0)
    return false;
  return conn.cwnd >= cold.scoreboard.Pipe(conn.snd_una, conn.snd_nxt) + conn.mss;
}

bool EmitRetransmission(Connection& conn, Environment& env, Instant now, bool speculative, SegmentOut& out) {
  ColdState& cold = (*env.cold)[conn.cold];
  FillOptions(conn, env, now, out);
  const RetransmitChoice choice =
      cold.scoreboard.NextRetransmit(*env.records, conn.records, SegmentRoom(conn, out), speculative);
  if (!choice.found()) {
    conn.Clear(kForceResend);
    return false;
  }
  const bool fin = FinSent(conn) && choice.seq + choice.length == conn.snd_nxt;
  const uint32_t data = choice.length - (fin ? 1 : 0);
  out.seq = choice.seq;
  out.retransmission = true;
  if (data != 0) {
    Buffer* buffer = FindBuffer(conn, cold, choice.seq);
    out.payload_length = GatherSlices(conn, buffer, choice.seq, data, *out.frame);
  }
  if (out.payload_length < data) {
    // More pieces than a frame has slices: the record is cut where the segment ends, so that the rest goes
    // next.
    conn.records.Split(*env.records, choice.record, out.payload_length);
  } else if (fin) {
    out.flags |= wire::kFin;
  }
  if (choice.seq + out.payload_length == conn.snd_end && data != 0) out.flags |= wire::kPsh;
  cold.scoreboard.OnRetransmit(*env.records, choice.record, now);
  const uint32_t sent = out.payload_length + ((out.flags & wire::kFin) != 0 ? 1u : 0u);
  cold.spurious.OnRetransmit(sent, out.options.has_timestamp, out.options.tsval);
  if (cold.path.Covers(choice.seq)) cold.path.OnProbeLost();
  ++cold.retransmitted_segments;
  conn.Clear(kForceResend);
  CommitAck(conn, env, out, /*pure=*/false);
  StartRetransmitTimer(conn, env, now);
  return true;
}

// ---- New data ----

bool MaySendData(State state) {
  return state == State::kEstablished || state == State::kCloseWait || state == State::kFinWait1 ||
         state == State::kClosing || state == State::kLastAck;
}

uint32_t CongestionRoom(const Connection& conn, const Environment& env) {
  const uint32_t pipe = conn.Is(kSlowPathOnly)
                            ? (*env.cold)[conn.cold].scoreboard.Pipe(conn.snd_una, conn.snd_nxt)
                            : conn.snd_una.DistanceTo(conn.snd_nxt);
  return conn.cwnd > pipe ? conn.cwnd - pipe : 0;
}

// Nothing in flight will end this hold, so a timer has to (RFC 9293 3.8.6.1).
void ArmPersist(Connection& conn, const Environment& env, Instant now, SendHold hold) {
  if (!NeedsPersistTimer(hold, !conn.records.empty()) || conn.retransmit_at.IsSet()) return;
  conn.Set(kPersisting | kSlowPathOnly);
  conn.retransmit_at.Set(now + CurrentRto(conn, env));
}

SendDecision Decide(const Connection& conn, const Environment& env, uint32_t room, uint32_t payload_budget) {
  const bool probe = conn.Is(kProbePending);
  const uint32_t usable = UsableWindow(conn.snd_una, conn.snd_nxt, conn.snd_wnd);
  SendInputs in{.unsent = Unsent(conn),
                .usable = probe ? std::max(usable, 1u) : usable,
                .cwnd_room = CongestionRoom(conn, env),
                .mss = room,
                .budget = payload_budget,
                .in_flight = !conn.records.empty(),
                .nodelay = conn.Is(kNoDelay),
                .cork = conn.Is(kCork),
                .fin_queued = conn.Is(kFinQueued),
                .overridden = probe};
  // The largest window ever offered matters only where the one at hand holds a segment back.
  in.snd_wnd_max = usable >= std::min(in.unsent, room) ? usable : (*env.cold)[conn.cold].snd_wnd_max;
  return DecideSend(in);
}

// RFC 9293 3.10.4: FIN follows the last octet queued, in the same segment when there is one.
bool FinIsDue(const Connection& conn, uint32_t length) {
  return conn.Is(kFinQueued) && !FinSent(conn) && conn.snd_nxt + length == conn.snd_end;
}

// Records [SND.NXT, + length) before it is given out. False: no record left; the timer will try again.
bool RecordRange(Connection& conn, Environment& env, Instant now, uint32_t length, uint8_t marks) {
  const TransmittedRange range{.seq = conn.snd_nxt,
                               .length = length + ((marks & kSentFin) != 0 ? 1u : 0u),
                               .sent_at = now,
                               .marks = marks};
  if (conn.records.Append(*env.records, range) != AppendOutcome::kNoRecord) return true;
  if (conn.records.empty() && !conn.retransmit_at.IsSet()) {
    conn.Set(kPersisting | kSlowPathOnly);
    conn.retransmit_at.Set(now + CurrentRto(conn, env));
  }
  return false;
}

bool EmitNew(Connection& conn, Environment& env, Instant now, uint32_t payload_budget, SegmentOut& out) {
  if (!MaySendData(conn.state)) return false;
  // The pointer differs from one segment to the next, so no device may cut up what carries it.
  if (conn.Is(kSlowPathOnly) && (*env.cold)[conn.cold].urgent_send.pending()) payload_budget = 0;
  FillOptions(conn, env, now, out);
  uint32_t room = SegmentRoom(conn, out);
  ProbePlan probe;
  if (conn.Is(kSlowPathOnly)) probe = PlanProbe(conn, env, out.options.sack_count);
  if (probe.wait) return false;
  if (probe.text != 0) {
    room = probe.text;
    payload_budget = 0;
  }
  SendDecision decision;
  if (const uint32_t unsent = Unsent(conn); unsent != 0) {
    decision = Decide(conn, env, room, payload_budget);
    if (decision.length == 0) {
      ArmPersist(conn, env, now, decision.hold);
      return false;
    }
  } else if (conn.snd_wnd == 0 && !conn.Is(kProbePending)) {
    // A FIN takes sequence space, so a closed window holds it back; the persist timer sends it as the probe.
    ArmPersist(conn, env, now, SendHold::kWindow);
    return false;
  }
  Buffer* next = conn.tx_next;
  const uint32_t length =
      decision.length == 0 ? 0 : GatherSlices(conn, next, conn.snd_nxt, decision.length, *out.frame);
  const bool fin = FinIsDue(conn, length);
  const uint8_t marks = probe.text != 0 ? kPathProbe : fin ? kSentFin : 0;
  if (!RecordRange(conn, env, now, length, marks)) return false;
  if (probe.text != 0) NoteProbeSent(conn, env, conn.snd_nxt, length);
  out.seq = conn.snd_nxt;
  out.payload_length = length;
  if (decision.push) out.flags |= wire::kPsh;
  if (fin) out.flags |= wire::kFin;
  if (length > room) out.tso_segment = static_cast<uint16_t>(room);
  conn.tx_next = next;
  conn.snd_nxt += length + (fin ? 1u : 0u);
  conn.Clear(kProbePending);
  CommitAck(conn, env, out, /*pure=*/false);
  StartRetransmitTimer(conn, env, now);
  return true;
}

// The commonest segment by far, without the questions of EmitNew: all that waits, in one buffer, with nothing
// unusual going on. False when it is not that, or when no record is left, which EmitNew then finds out again.
bool EmitAllThatWaits(Connection& conn, Environment& env, Instant now, SegmentOut& out) {
  const Buffer* const buffer = conn.tx_next;
  if (buffer == nullptr || conn.Is(kSlowPathOnly | kCork | kFinQueued | kProbePending) ||
      (conn.state != State::kEstablished && conn.state != State::kCloseWait)) {
    return false;
  }
  const uint32_t unsent = conn.snd_nxt.DistanceTo(conn.snd_end);
  const uint32_t flight = conn.snd_una.DistanceTo(conn.snd_nxt);
  if (unsent > conn.mss || flight + unsent > std::min(conn.snd_wnd, conn.cwnd)) return false;
  if (!conn.Is(kNoDelay) && !conn.records.empty()) return false;
  const uint32_t offset = SeqNum(buffer->tag).DistanceTo(conn.snd_nxt);
  if (offset + unsent != buffer->length) return false;
  if (!conn.records.AppendOnly(*env.records, conn.snd_nxt, unsent, now) &&
      !RecordRange(conn, env, now, unsent, /*marks=*/0)) {
    return false;
  }
  out.frame->slices[0] = {buffer->data + offset, unsent, conn.tx_next};
  out.frame->slice_count = 1;
  out.options.Clear();
  if (conn.Is(kUseTimestamps)) AddTimestamp(conn, now, out.options);
  out.seq = conn.snd_nxt;
  out.urgent = 0;
  out.flags = wire::kPsh | wire::kAck;
  out.retransmission = out.ecn_capable = false;
  out.payload_length = unsent;
  out.tso_segment = 0;
  conn.tx_next = nullptr;
  conn.snd_nxt = conn.snd_end;
  SayWindow(conn, out);
  // Nothing shared is owed any more, so nothing is delayed.
  conn.ack_debt.OnSegmentSent();
  conn.ack_at.Clear();
  StartRetransmitTimer(conn, env, now);
  return true;
}

bool EmitAck(Connection& conn, Environment& env, Instant now, SegmentOut& out) {
  if (conn.ack_debt.Decision() != AckDecision::kNow) return false;
  FillOptions(conn, env, now, out);
  out.seq = ControlSeq(conn);
  CommitAck(conn, env, out, /*pure=*/true);
  return true;
}

// RFC 9293 3.8.4: no data (SHLD-12), and a sequence number that was acknowledged already, so that the peer
// has to answer.
bool EmitKeepalive(Connection& conn, Environment& env, Instant now, SegmentOut& out) {
  ColdState& cold = (*env.cold)[conn.cold];
  if (!cold.keepalive_pending) return false;
  cold.keepalive_pending = false;
  FillOptions(conn, env, now, out);
  out.seq = conn.snd_nxt - 1;
  CommitAck(conn, env, out, /*pure=*/true);
  return true;
}

}  // namespace

bool PollTransmit(Connection& conn, Environment& env, Instant now, uint32_t payload_budget, SegmentOut& out) {
  if (conn.records.empty() && conn.tx_next != nullptr && HasGrown(conn, env)) [[unlikely]]
    RestartAfterIdle(conn, env, now);
  if (EmitAllThatWaits(conn, env, now, out)) [[likely]]
    return true;
  const bool slow = conn.Is(kSlowPathOnly);
  const bool has_text = conn.tx_next != nullptr || FinIsDue(conn, 0);
  if (!slow && !has_text && conn.ack_debt.Decision() != AckDecision::kNow) return false;
  out.Clear();
  switch (conn.state) {
    case State::kClosed:
      return false;
    case State::kSynSent:
    case State::kSynReceived:
      if (EmitSyn(conn, env, now, out)) return true;
      return conn.state == State::kSynReceived && EmitAck(conn, env, now, out);
    default:
      break;
  }
  if (slow && MayResend(conn, (*env.cold)[conn.cold])) {
    if (EmitRetransmission(conn, env, now, /*speculative=*/false, out)) return true;
    out.Clear();
  }
  if (has_text) {
    if (EmitNew(conn, env, now, payload_budget, out)) return true;
    out.Clear();
  }
  if (slow && MaySpeculate(conn, (*env.cold)[conn.cold])) {
    if (EmitRetransmission(conn, env, now, /*speculative=*/true, out)) return true;
    out.Clear();
  }
  if (slow && EmitKeepalive(conn, env, now, out)) return true;
  return EmitAck(conn, env, now, out);
}

}  // namespace tern::tcp
