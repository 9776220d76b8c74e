#include "tcp/pair_for_test.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tcp/isn.h"

namespace tern::tcp {
namespace {

constexpr uint32_t kPoolLimit = 1 << 20;

}  // namespace

std::string ToString(const WireSegment& s) {
  return (s.from_client ? "> " : "< ") + wire::FlagsToString(s.flags) + " " + std::to_string(s.seq.value()) +
         ":" + std::to_string((s.seq + static_cast<uint32_t>(s.payload.size())).value()) + " ack " +
         std::to_string(s.ack.value()) + " win " + std::to_string(s.window) + " sack " +
         std::to_string(s.options.sack_count);
}

uint8_t PatternAt(size_t i) { return static_cast<uint8_t>(i * 2654435761u >> 13); }

std::vector<uint8_t> Pattern(size_t from, size_t length) {
  std::vector<uint8_t> bytes(length);
  for (size_t i = 0; i < length; ++i) bytes[i] = PatternAt(from + i);
  return bytes;
}

void Establish(Pair& pair, Duration wait) {
  pair.Connect();
  pair.RunFor(wait);
  ASSERT_EQ(pair.client.conn.state, State::kEstablished);
  ASSERT_EQ(pair.server.conn.state, State::kEstablished);
}

Endpoint::Endpoint(const TcpConfig& from)
    : config(from),
      cold(HeapMemory(), kPoolLimit),
      records(HeapMemory(), kPoolLimit),
      ranges(HeapMemory(), kPoolLimit),
      env{.config = &config, .cold = &cold, .records = &records, .ranges = &ranges} {}

Endpoint::~Endpoint() {
  BufferChain released;
  ReleaseAll(conn, env, released);
  buffers.Release(released.TakeAll());
}

Pair::Pair(const TcpConfig& client_config, const TcpConfig& server_config)
    : client(client_config), server(server_config) {}

OpenParams Pair::Params(SeqNum iss) const {
  return {.iss = iss, .ts_offset = iss.value(), .link_mss = link_mss};
}

void Pair::Connect() {
  OpenActive(client.conn, client.env, Params(client_iss), now);
  Drain(client);
}

void Pair::Emit(Endpoint& from, WireSegment segment) {
  segment.from_client = &from == &client;
  segment.number = ++sent_[segment.from_client ? 0 : 1];
  log.push_back(segment);
  if (drop && drop(segment)) return;
  wire_.push_back({now + delay, std::move(segment)});
}

void Pair::Drain(Endpoint& end) {
  TxFrame frame;
  SegmentOut out;
  out.frame = &frame;
  while (PollTransmit(end.conn, end.env, now, 0, out)) {
    WireSegment segment{.seq = out.seq,
                        .ack = out.ack,
                        .flags = out.flags,
                        .window = out.window,
                        .urgent = out.urgent,
                        .options = out.options,
                        .retransmission = out.retransmission};
    for (size_t i = 0; i < frame.slice_count; ++i) {
      const TxSlice& slice = frame.slices[i];
      segment.payload.insert(segment.payload.end(), slice.data, slice.data + slice.length);
    }
    Emit(end, std::move(segment));
  }
}

void Pair::Apply(Endpoint& end, Effects& effects) {
  end.events |= effects.events;
  end.withheld += effects.challenge_withheld ? 1 : 0;
  end.doubts += effects.doubt_route ? 1 : 0;
  if ((effects.events & kEventClosed) != 0) end.reason = effects.reason;
  if (effects.drop_reason != DropReason::kNone) end.drops.push_back(effects.drop_reason);
  if (effects.reply.wanted) {
    Emit(end, {.seq = effects.reply.seq, .ack = effects.reply.ack, .flags = effects.reply.flags});
  }
  end.buffers.Release(effects.released.TakeAll());
  if (end.conn.state == State::kClosed) {
    BufferChain released;
    ReleaseAll(end.conn, end.env, released);
    end.buffers.Release(released.TakeAll());
  }
}

// A listener with one half-open entry: enough to make a passive connection.
void Pair::ServerHandshake(const WireSegment& segment) {
  const TcpConfig& config = server.config;
  const bool use_ts = config.timestamps && syn_.options.has_timestamp;
  if (segment.Has(wire::kSyn)) {
    syn_ = segment;
    WireSegment answer{.seq = server_iss, .ack = segment.seq + 1, .flags = wire::kSyn | wire::kAck};
    answer.window = static_cast<uint16_t>(std::min<uint32_t>(config.receive_buffer, 0xffff));
    answer.options.has_mss = true;
    answer.options.mss = link_mss;
    answer.options.sack_permitted = config.sack && segment.options.sack_permitted;
    answer.options.has_wscale = config.window_scale && segment.options.has_wscale;
    answer.options.wscale = ReceiveScale(config.receive_buffer, config);
    if (config.timestamps && segment.options.has_timestamp) {
      answer.options.has_timestamp = true;
      answer.options.tsval = TimestampValue(now, server_iss.value());
      answer.options.tsecr = segment.options.tsval;
    }
    Emit(server, std::move(answer));
    return;
  }
  if (!segment.Has(wire::kAck) || segment.ack != server_iss + 1) return;
  const PassiveParams params{.open = Params(server_iss),
                             .irs = syn_.seq,
                             .peer_mss = syn_.options.mss,
                             .peer_window = syn_.window,
                             .ts_recent = syn_.options.tsval,
                             .peer_scale = syn_.options.has_wscale ? static_cast<int8_t>(syn_.options.wscale)
                                                                   : static_cast<int8_t>(-1),
                             .timestamps = use_ts,
                             .sack = config.sack && syn_.options.sack_permitted,
                             .synack_sent_at = now - delay - delay};
  OpenPassive(server.conn, server.env, params, now);
}

void Pair::DeliverTo(Endpoint& end, const WireSegment& segment) {
  if (&end == &server && server.conn.state == State::kClosed && server.events == 0) ServerHandshake(segment);
  if (end.conn.state == State::kClosed) return;
  SegmentView view{.seq = segment.seq,
                   .ack = segment.ack,
                   .window = segment.window,
                   .urgent = segment.urgent,
                   .flags = segment.flags,
                   .payload_length = static_cast<uint32_t>(segment.payload.size()),
                   .options = segment.options};
  if (!segment.payload.empty()) view.payload = end.buffers.AllocateWith(segment.payload);
  Effects effects;
  OnSegment(end.conn, end.env, view, now, effects);
  if (view.payload != nullptr) effects.released.PushBack(view.payload);
  Apply(end, effects);
  if (end.reading) Read(end);
}

void Pair::Deliver(const WireSegment& segment) {
  Endpoint& end = segment.from_client ? server : client;
  DeliverTo(end, segment);
  Drain(end);
}

void Pair::Inject(Endpoint& to, WireSegment segment) {
  DeliverTo(to, segment);
  Drain(to);
}

void Pair::Read(Endpoint& end) {
  BufferChain chain;
  Effects effects;
  while (Receive(end.conn, end.env, 1 << 20, now, chain, effects) != 0) {
    while (Buffer* buffer = chain.PopFront()) {
      end.received.insert(end.received.end(), buffer->data, buffer->data + buffer->length);
      end.buffers.Release(buffer);
    }
  }
  Apply(end, effects);
  Drain(end);
}

Instant Pair::NextEvent() const {
  Instant next = std::min(NextDeadline(client.conn, now), NextDeadline(server.conn, now));
  for (const InFlight& flight : wire_) next = std::min(next, flight.at);
  return next;
}

void Pair::RunFor(Duration duration) {
  const Instant end = now + duration;
  while (true) {
    const Instant next = NextEvent();
    if (next > end) break;
    now = std::max(now, next);
    while (!wire_.empty() && wire_.front().at <= now) {
      const WireSegment segment = std::move(wire_.front().segment);
      wire_.pop_front();
      Deliver(segment);
    }
    for (Endpoint* endpoint : {&client, &server}) {
      Effects effects;
      OnTimer(endpoint->conn, endpoint->env, now, effects);
      Apply(*endpoint, effects);
      Drain(*endpoint);
    }
  }
  now = end;
}

void Pair::Write(Endpoint& end, const std::vector<uint8_t>& bytes) {
  BufferChain chain;
  for (size_t at = 0; at < bytes.size(); at += end.buffers.buffer_capacity()) {
    const size_t length = std::min<size_t>(end.buffers.buffer_capacity(), bytes.size() - at);
    chain.PushBack(end.buffers.AllocateWith(std::span(bytes.data() + at, length)));
  }
  Effects effects;
  Send(end.conn, end.env, chain, now, effects);
  Apply(end, effects);
  end.buffers.Release(chain.TakeAll());
  Drain(end);
}

bool Pair::Transfer(Endpoint& from, Endpoint& to, size_t bytes, Duration limit) {
  const Instant deadline = now + limit;
  const size_t start = to.received.size();
  size_t written = 0;
  while (to.received.size() - start < bytes && now < deadline) {
    while (written < bytes && SendRoom(from.conn, from.env) > 0) {
      const size_t length = std::min<size_t>(1'448, bytes - written);
      Write(from, Pattern(written, length));
      written += length;
    }
    RunFor(Duration::Millis(5));
  }
  if (to.received.size() - start != bytes) return false;
  for (size_t i = 0; i < bytes; ++i) {
    if (to.received[start + i] != PatternAt(i)) return false;
  }
  return true;
}

void Pair::Close(Endpoint& end) {
  Effects effects;
  tcp::Close(end.conn, end.env, now, effects);
  Apply(end, effects);
  Drain(end);
}

void Pair::Shutdown(Endpoint& end) {
  Effects effects;
  ShutdownWrite(end.conn, end.env, now, effects);
  Apply(end, effects);
  Drain(end);
}

void Pair::Abort(Endpoint& end) {
  Effects effects;
  tcp::Abort(end.conn, end.env, now, effects);
  Apply(end, effects);
}

std::vector<WireSegment> Pair::Sent(bool by_client) const {
  std::vector<WireSegment> sent;
  std::copy_if(log.begin(), log.end(), std::back_inserter(sent),
               [&](const WireSegment& s) { return s.from_client == by_client; });
  return sent;
}

}  // namespace tern::tcp
