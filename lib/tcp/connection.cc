// Opening, ending and taking apart a connection.
#include "tcp/connection.h"

#include <algorithm>

#include "tcp/buffer_ring.h"
#include "tcp/internal.h"

namespace tern::tcp {
namespace {

// RFC 9293 3.7.1 puts no lower bound on what a peer may announce; below this a segment is nearly all header,
// and a peer that announces it is lying or attacking.
constexpr uint16_t kLeastPeerMss = 48;
constexpr uint32_t kLargestUnscaledWindow = 0xffff;

bool AllocateCold(Connection& conn, Environment& env, const OpenParams& params, Instant now) {
  const uint32_t cold = env.cold->Allocate();
  if (cold == kNoSlot) return false;
  conn = Connection();
  conn.cold = cold;
  conn.ts_offset = params.ts_offset;
  conn.rcv_limit = params.receive_buffer != 0 ? params.receive_buffer : env.config->receive_buffer;
  conn.snd_una = conn.snd_nxt = params.iss;
  conn.snd_end = params.iss + 1;
  if (env.config->nodelay) conn.Set(kNoDelay);
  if (TunesReceiveBuffer(conn.rcv_limit, *env.config)) conn.Set(kAutotune);
  ColdState& state = (*env.cold)[cold];
  state.iss = params.iss;
  state.started_at = now;
  state.link_mss = params.link_mss;
  state.peer_mss = params.default_peer_mss;
  state.base_mss = params.path.base_mss;
  state.least_mss = params.path.least_mss;
  state.path.Know(params.path.known_mss, params.path.settled);
  return true;
}

// What our link and the peer both take.
uint16_t AgreedMss(const ColdState& cold) {
  return std::max(kLeastPeerMss, std::min(cold.peer_mss, cold.link_mss));
}

uint16_t TextOf(const Connection& conn, uint16_t mss) {
  return static_cast<uint16_t>(mss - TimestampRoom(conn));
}

}  // namespace

uint8_t ReceiveScale(uint32_t octets, const TcpConfig& config) {
  return WindowShiftFor(TunesReceiveBuffer(octets, config) ? config.receive_buffer_max : octets);
}

bool OpenActive(Connection& conn, Environment& env, const OpenParams& params, Instant now) {
  if (!AllocateCold(conn, env, params, now)) return false;
  conn.state = After(State::kClosed, Step::kOpenActive);
  conn.Set(kActiveOpen | kSynPending | kSlowPathOnly);
  conn.mss = TextOf(conn, AgreedMss((*env.cold)[conn.cold]));
  return true;
}

bool OpenPassive(Connection& conn, Environment& env, const PassiveParams& params, Instant now) {
  if (!AllocateCold(conn, env, params.open, now)) return false;
  ColdState& cold = (*env.cold)[conn.cold];
  conn.state = After(State::kListen, Step::kSyn);
  conn.Set(kSlowPathOnly);
  conn.snd_nxt = params.open.iss + 1;
  cold.irs = params.irs;
  cold.peer_mss = params.peer_mss;
  cold.syn_sent_at = params.synack_sent_at;
  cold.syn_tries = params.synack_resent ? 2 : 1;
  conn.rcv_nxt = conn.last_ack_sent = params.irs + 1;
  conn.rcv_adv = conn.rcv_nxt + std::min(conn.rcv_limit, kLargestUnscaledWindow);
  conn.snd_wnd = params.peer_window;
  conn.snd_wl1 = params.irs;
  conn.snd_wl2 = params.open.iss;
  if (params.timestamps) {
    conn.Set(kUseTimestamps);
    conn.ts_recent = params.ts_recent;
    conn.ts_recent_at = CoarseClock(now);
  }
  if (params.sack) conn.Set(kUseSack);
  if (params.peer_scale >= 0 && env.config->window_scale) {
    conn.snd_scale = static_cast<uint8_t>(params.peer_scale) & 0xf;
    conn.rcv_scale = ReceiveScale(conn.rcv_limit, *env.config) & 0xf;
  } else {
    conn.Clear(kAutotune);  // there is no way to tell of more
  }
  conn.mss = TextOf(conn, AgreedMss(cold));
  return true;
}

void Establish(const Context& ctx) {
  Connection& conn = ctx.conn;
  ColdState& cold = ctx.cold();
  cold.path.Start({.most = AgreedMss(cold), .base = cold.base_mss, .least = cold.least_mss},
                  ctx.config().plpmtud, ctx.now);
  conn.mss = TextOf(conn, cold.path.mss());
  if (cold.path.below_most()) ctx.effects.path = {.kind = PathNews::Kind::kBegan, .watch = true};
  // RFC 6298 3: the SYN gives the first sample unless it was sent again (Karn).
  if (cold.syn_tries == 1 && cold.syn_sent_at != Instant::Never()) {
    conn.rtt.Update(ctx.now - cold.syn_sent_at);
  }
  InitCongestion(cold.congestion, ctx.config().congestion, conn.mss);
  // RFC 5681 3.1: after a lost SYN or SYN-ACK the initial window is one segment.
  const uint32_t segments = cold.syn_tries > 1 ? 1 : ctx.config().initial_window_segments;
  conn.cwnd = segments == 1 ? conn.mss : InitialWindow(conn.mss, segments);
  cold.backoff = cold.unanswered = 0;
  conn.retransmit_at.Clear();
  conn.Clear(kSynPending | kPersisting);
  conn.ack_debt.StartQuick();
  conn.state = After(conn.state, Step::kSynAcked);
  if (conn.Is(kFinQueued)) conn.state = After(conn.state, Step::kClose);
  if (!conn.Is(kConnectedTold)) {
    conn.Set(kConnectedTold);
    ctx.effects.events |= kEventConnected;
  }
  ctx.effects.transmit = true;
  RefreshSlowPath(ctx);
}

void EnterTimeWait(const Context& ctx) {
  ctx.conn.retransmit_at.Clear();
  ctx.cold().keepalive.TurnOff();
  ctx.conn.slow_at.Set(ctx.now + ctx.config().msl * 2);
  ctx.effects.events |= kEventTimeWait;
}

void Terminate(Connection& conn, CloseReason reason, Effects& effects) {
  conn.state = State::kClosed;
  conn.retransmit_at.Clear();
  conn.ack_at.Clear();
  conn.slow_at.Clear();
  effects.events |= kEventClosed;
  effects.reason = reason;
}

// RFC 6298 5.7: with a SYN lost and no sample, data begins with a timeout of three seconds at the least.
Duration RtoWithoutSample(const Connection& conn, const Environment& env, RtoLimits limits,
                          unsigned backoff) {
  constexpr Duration kAfterLostSyn = Duration::Seconds(3);
  const bool opening = conn.state == State::kSynSent || conn.state == State::kSynReceived;
  if (!opening && conn.cold != kNoSlot && (*env.cold)[conn.cold].syn_tries > 1) {
    limits.initial = std::max(limits.initial, kAfterLostSyn);
  }
  return conn.rtt.Rto(limits, backoff);
}

void RestartAfterIdle(Connection& conn, const Environment& env, Instant now) {
  ColdState& cold = (*env.cold)[conn.cold];
  if (now - cold.idle_since <= CurrentRto(conn, env)) return;
  conn.cwnd =
      OnIdleRestart(cold.congestion, conn.cwnd, InitialWindow(conn.mss, env.config->initial_window_segments));
}

void RefreshSlowPath(const Context& ctx) {
  Connection& conn = ctx.conn;
  ColdState& cold = ctx.cold();
  cold.urgent_send.OnAck(conn.snd_una);
  const bool quiet = cold.scoreboard.clean() && cold.recovery.phase() == RecoveryPhase::kOpen &&
                     cold.recovery.dup_acks() == 0 && cold.reassembly.empty() && cold.backoff == 0 &&
                     !cold.recovery.remembers_point() && cold.unanswered == 0 && !conn.Is(kPersisting) &&
                     !cold.urgent_send.pending() && !cold.urgent_receive.awaited() &&
                     !cold.keepalive_pending && cold.keepalive.unanswered() == 0 && !cold.path.active() &&
                     IsEmpty(cold.duplicate);
  if (quiet) {
    conn.Clear(kSlowPathOnly);
    cold.resend_hint = nullptr;
  } else {
    conn.Set(kSlowPathOnly);
  }
}

void ReleaseAll(Connection& conn, Environment& env, BufferChain& released) {
  RingDrain(conn.rx_tail, released);
  RingDrain(conn.tx_tail, released);
  conn.tx_next = nullptr;
  conn.rcv_queued = 0;
  conn.records.Clear(*env.records);
  if (conn.cold != kNoSlot) {
    (*env.cold)[conn.cold].reassembly.Clear(*env.ranges, released);
    env.cold->Release(conn.cold);
    conn.cold = kNoSlot;
  }
}

TimeWaitState MakeTimeWait(const Connection& conn) {
  return {.snd_nxt = conn.snd_nxt,
          .rcv_nxt = conn.rcv_nxt,
          .ts_recent = conn.ts_recent,
          .ts_offset = conn.ts_offset,
          .window = OfferWindow(WindowState(conn)).field,
          .timestamps = conn.Is(kUseTimestamps)};
}

}  // namespace tern::tcp
