// What an application does to a connection: RFC 9293 3.10.2 (SEND) to 3.10.5 (ABORT).
#include <algorithm>
#include <cstring>

#include "tcp/buffer_ring.h"
#include "tcp/connection.h"
#include "tcp/internal.h"
#include "tcp/window.h"

namespace tern::tcp {
namespace {

// Below this many octets, copying into the last queued buffer costs less than keeping a buffer more.
constexpr uint32_t kCopyLimit = 512;

bool StreamOpenForSending(const Connection& conn) {
  switch (conn.state) {
    case State::kSynSent:
    case State::kSynReceived:
    case State::kEstablished:
    case State::kCloseWait:
      return !conn.Is(kFinQueued);
    default:
      return false;
  }
}

void QueueForSending(Connection& conn, Buffer* buffer, Effects& effects) {
  const uint32_t length = buffer->length;
  Buffer* last = conn.tx_tail;
  if (last != nullptr && length <= kCopyLimit && last->tailroom >= length) {
    std::memcpy(last->data + last->length, buffer->data, length);
    last->length += length;
    last->tailroom -= length;
    effects.released.PushBack(buffer);
  } else {
    buffer->tag = conn.snd_end.value();
    RingPush(conn.tx_tail, buffer);
  }
  if (conn.tx_next == nullptr) conn.tx_next = conn.tx_tail;
  conn.snd_end += length;
}

// At least one, then as many as `max_octets` has room for.
uint32_t TakeBuffers(Connection& conn, uint32_t max_octets, BufferChain& out) {
  uint32_t moved = 0;
  while (Buffer* front = RingFront(conn.rx_tail)) {
    if (moved != 0 && front->length > max_octets - moved) break;
    moved += front->length;
    out.PushBack(RingPop(conn.rx_tail));
    if (moved >= max_octets) break;
  }
  return moved;
}

void StartFinWait2Timer(Connection& conn, Environment& env, Instant now) {
  conn.slow_at.Set(now + env.config->fin_wait2);
}

// Nobody is left who would want to know whether the peer is: other waits take keepalive's place.
void StopKeepalive(Connection& conn, Environment& env) {
  Keepalive& keepalive = (*env.cold)[conn.cold].keepalive;
  if (!keepalive.on()) return;
  keepalive.TurnOff();
  conn.slow_at.Clear();
}

}  // namespace

uint32_t SendRoom(const Connection& conn, const Environment& env) {
  if (!StreamOpenForSending(conn)) return 0;
  const uint32_t used = conn.snd_una.DistanceTo(conn.snd_end);
  const uint32_t limit = SendLimit(conn, env);
  return used >= limit ? 0 : limit - used;
}

uint32_t AskSendRoom(Connection& conn, const Environment& env) {
  const uint32_t room = SendRoom(conn, env);
  if (room == 0 && StreamOpenForSending(conn)) conn.Set(kWritableOwed);
  return room;
}

SendResult Send(Connection& conn, Environment& env, BufferChain& data, Instant, Effects& effects) {
  if (!StreamOpenForSending(conn)) return SendResult::kNotOpen;
  const uint32_t limit = SendLimit(conn, env);
  bool took = false;
  while (data.front() != nullptr) {
    if (conn.snd_una.DistanceTo(conn.snd_end) >= limit) {
      conn.Set(kWritableOwed);
      break;
    }
    Buffer* buffer = data.PopFront();
    took = true;
    if (buffer->length == 0) {
      effects.released.PushBack(buffer);
      continue;
    }
    QueueForSending(conn, buffer, effects);
    effects.transmit = true;
  }
  return took || data.empty() ? SendResult::kOk : SendResult::kNoRoom;
}

uint32_t Receive(Connection& conn, Environment& env, uint32_t max_octets, Instant now, BufferChain& out,
                 Effects& effects) {
  if (conn.rx_tail == nullptr) return 0;
  uint32_t moved = 0;
  if (Buffer* const only = conn.rx_tail; only->next == only) {
    moved = only->length;
    conn.rx_tail = nullptr;
    out.PushBack(only);
  } else {
    moved = TakeBuffers(conn, max_octets, out);
  }
  conn.rcv_queued -= moved;
  // Who takes less than a segment at a time is not held back by the window, nor worth a look at the cold
  // state.
  if (moved >= conn.mss && conn.Is(kAutotune)) {
    conn.rcv_limit =
        (*env.cold)[conn.cold].receive_tuner.OnRead(conn.rcv_nxt - conn.rcv_queued, now, conn.rtt.srtt(),
                                                    conn.mss, conn.rcv_limit, env.config->receive_buffer_max);
  }
  NoteWindowOpened(conn, effects);
  return moved;
}

uint32_t Peek(const Connection& conn, uint32_t offset, std::span<uint8_t> out) {
  uint32_t copied = 0;
  for (const Buffer* b = RingFront(conn.rx_tail); b != nullptr && copied < out.size();
       b = RingNext(conn.rx_tail, b)) {
    if (offset >= b->length) {
      offset -= b->length;
      continue;
    }
    const auto room = static_cast<uint32_t>(out.size() - copied);
    const uint32_t take = std::min(b->length - offset, room);
    std::memcpy(out.data() + copied, b->data + offset, take);
    copied += take;
    offset = 0;
  }
  return copied;
}

uint32_t Discard(Connection& conn, uint32_t octets, Effects& effects) {
  uint32_t left = octets;
  while (Buffer* front = RingFront(conn.rx_tail)) {
    if (front->length > left) {
      front->TrimFront(left);
      left = 0;
      break;
    }
    left -= front->length;
    effects.released.PushBack(RingPop(conn.rx_tail));
  }
  const uint32_t taken = octets - left;
  if (taken == 0) return 0;
  conn.rcv_queued -= taken;
  NoteWindowOpened(conn, effects);
  return taken;
}

void ShutdownWrite(Connection& conn, Environment&, Instant, Effects& effects) {
  if (conn.Is(kFinQueued)) return;
  switch (conn.state) {
    case State::kSynSent:
    case State::kSynReceived:
      // RFC 9293 3.10.4: queued until the connection is open; the step to FIN-WAIT-1 follows the handshake.
      conn.Set(kFinQueued);
      return;
    case State::kEstablished:
    case State::kCloseWait:
      conn.Set(kFinQueued);
      conn.state = After(conn.state, Step::kClose);
      break;
    default:
      return;
  }
  effects.transmit = true;
}

void Close(Connection& conn, Environment& env, Instant now, Effects& effects) {
  if (conn.state == State::kClosed || conn.Is(kAppClosed)) return;
  if (conn.state == State::kSynSent) {
    // RFC 9293 3.10.4: the TCB is deleted; data that was queued goes with it.
    Terminate(conn, CloseReason::kGraceful, effects);
    return;
  }
  conn.Set(kAppClosed);
  StopKeepalive(conn, env);
  // RFC 1122 4.2.2.13: closing with data unread loses that data, and a reset tells the peer.
  if (conn.rcv_queued != 0 && conn.state != State::kTimeWait) {
    Abort(conn, env, now, effects);
    return;
  }
  ShutdownWrite(conn, env, now, effects);
  if (conn.state == State::kFinWait2) StartFinWait2Timer(conn, env, now);
}

void BoundClose(Connection& conn, Duration limit, Instant now) {
  const bool delivering = conn.state == State::kFinWait1 || conn.state == State::kClosing ||
                          conn.state == State::kLastAck || conn.state == State::kSynReceived;
  if (delivering) conn.slow_at.Set(now + std::min(limit, kLongestWait));
}

void Abort(Connection& conn, Environment&, Instant, Effects& effects) {
  switch (conn.state) {
    case State::kClosed:
      return;
    case State::kSynReceived:
    case State::kEstablished:
    case State::kFinWait1:
    case State::kFinWait2:
    case State::kCloseWait:
      // RFC 9293 3.10.5: <SEQ=SND.NXT><CTL=RST>; with the ACK bit, so that the peer's checks can use it.
      effects.reply = {
          .wanted = true, .flags = wire::kRst | wire::kAck, .seq = ControlSeq(conn), .ack = conn.rcv_nxt};
      break;
    default:
      break;
  }
  Terminate(conn, CloseReason::kAborted, effects);
}

void SetNoDelay(Connection& conn, bool on, Effects& effects) {
  if (!on) {
    conn.Clear(kNoDelay);
    return;
  }
  conn.Set(kNoDelay);
  effects.transmit = true;  // what Nagle held back may go now
}

}  // namespace tern::tcp
