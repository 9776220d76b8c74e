#include "tern/connection.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "runtime/worker.h"
#include "tern/worker.h"

namespace tern {
namespace {

stack::ConnHandle HandleOf(uint32_t slot, uint32_t generation) { return {slot, generation}; }

Endpoint MakeEndpoint(const wire::IpAddress& address, uint16_t port) {
  return {Address(address.bytes()), port};
}

uint32_t Micros(Duration d) { return static_cast<uint32_t>(d.micros()); }

tcp::RtoLimits LimitsOf(const tcp::TcpConfig& config) {
  return {.min = config.rto_min,
          .max = config.rto_max,
          .initial = config.rto_initial,
          .granularity = Duration::Nanos(int64_t{1} << tcp::Deadline::kShift)};
}

// Buffers that hold a copy of `data`, as many octets as the pool gives room for.
size_t CopyIn(BufferPool& pool, std::span<const std::byte> data, BufferChain& chain) {
  size_t copied = 0;
  std::array<Buffer*, 16> buffers;
  while (copied < data.size()) {
    const size_t wanted = (data.size() - copied + pool.buffer_capacity() - 1) / pool.buffer_capacity();
    const auto batch = std::span(buffers).first(std::min(wanted, buffers.size()));
    if (!pool.Allocate(batch)) break;
    for (Buffer* buffer : batch) {
      const size_t length = std::min<size_t>(data.size() - copied, buffer->tailroom);
      std::memcpy(buffer->data, data.data() + copied, length);
      buffer->length = static_cast<uint32_t>(length);
      buffer->tailroom -= buffer->length;
      copied += length;
      chain.PushBack(buffer);
    }
  }
  return copied;
}

}  // namespace

std::string_view CloseReasonName(CloseReason reason) {
  constexpr auto kNames = std::to_array<std::string_view>(
      {"none", "graceful", "reset", "refused", "timed_out", "aborted", "unreachable"});
  const auto index = static_cast<size_t>(reason);
  return index < kNames.size() ? kNames[index] : kNames[0];
}

std::string_view TroubleName(Trouble trouble) {
  constexpr auto kNames = std::to_array<std::string_view>(
      {"none", "unreachable", "time_exceeded", "bad_header", "retransmitting"});
  const auto index = static_cast<size_t>(trouble);
  return index < kNames.size() ? kNames[index] : kNames[0];
}

bool Connection::live() const {
  return worker_ != nullptr && worker_->shard().IsLive(HandleOf(slot_, generation_));
}

Payload Connection::Receive(size_t max) {
  Payload payload;
  if (worker_ == nullptr || max == 0) return payload;
  static_assert(static_cast<int>(Payload::Behind::kMore) == static_cast<int>(stack::Behind::kMore));
  static_assert(static_cast<int>(Payload::Behind::kEnd) == static_cast<int>(stack::Behind::kEnd));
  BufferChain chain;
  stack::Behind behind{};
  const auto limit = static_cast<uint32_t>(std::min<size_t>(max, UINT32_MAX));
  payload.size_ =
      worker_->shard().Receive(HandleOf(slot_, generation_), limit, worker_->now(), chain, &behind);
  payload.behind_ = static_cast<Payload::Behind>(behind);
  payload.worker_ = worker_;
  payload.tail_ = chain.back();
  payload.head_ = chain.TakeAll();
  return payload;
}

size_t Connection::ReceiveReady() const {
  if (worker_ == nullptr) return 0;
  const tcp::Connection* tcp = worker_->shard().Tcp(HandleOf(slot_, generation_));
  return tcp == nullptr ? 0 : tcp->rcv_queued;
}

bool Connection::AtEnd() const {
  if (worker_ == nullptr) return false;
  const tcp::Connection* tcp = worker_->shard().Tcp(HandleOf(slot_, generation_));
  return tcp != nullptr && tcp->Is(tcp::kFinReceived) && tcp->rcv_queued == 0;
}

size_t Connection::SendRoom() {
  return worker_ == nullptr ? 0 : worker_->shard().SendRoom(HandleOf(slot_, generation_));
}

SendResult Connection::Send(Payload&& data) {
  if (worker_ == nullptr) return {0, SendStatus::kNotOpen};
  BufferChain chain(std::exchange(data.head_, nullptr), data.tail_);
  const tcp::SendResult result = worker_->shard().Send(HandleOf(slot_, generation_), chain, worker_->now());
  if (result == tcp::SendResult::kOk && chain.empty()) [[likely]] {
    data.tail_ = nullptr;
    return {std::exchange(data.size_, 0), SendStatus::kOk};
  }
  data.tail_ = chain.back();
  data.head_ = chain.TakeAll();
  size_t left = 0;
  for (const Buffer* piece = data.head_; piece != nullptr; piece = piece->next) left += piece->length;
  const size_t taken = std::exchange(data.size_, left) - left;
  if (result == tcp::SendResult::kNotOpen) return {taken, SendStatus::kNotOpen};
  return {taken, left == 0 ? SendStatus::kOk : SendStatus::kNoRoom};
}

SendResult Connection::SendCopy(std::span<const std::byte> data, bool urgent) {
  if (worker_ == nullptr) return {0, SendStatus::kNotOpen};
  const stack::ConnHandle handle = HandleOf(slot_, generation_);
  const size_t room = std::min<size_t>(data.size(), worker_->shard().SendRoom(handle));
  if (!worker_->MaySend(handle)) return {0, SendStatus::kNotOpen};
  if (room == 0) return {0, data.empty() ? SendStatus::kOk : SendStatus::kNoRoom};
  BufferChain chain;
  const size_t copied = CopyIn(worker_->pool(), data.first(room), chain);
  // There is room for all of it, so all of it is taken.
  static_cast<void>(urgent ? worker_->shard().SendUrgent(handle, chain, worker_->now())
                           : worker_->shard().Send(handle, chain, worker_->now()));
  if (copied < room) {
    worker_->WakeWhenBuffers(handle);
    return {copied, SendStatus::kNoBuffer};
  }
  if (copied == data.size()) return {copied, SendStatus::kOk};
  static_cast<void>(SendRoom());  // none is left: asks for the event
  return {copied, SendStatus::kNoRoom};
}

SendResult Connection::Send(std::span<const std::byte> data) { return SendCopy(data, /*urgent=*/false); }
SendResult Connection::Send(std::string_view text) { return Send(std::as_bytes(std::span(text))); }
SendResult Connection::SendUrgent(std::string_view text) {
  return SendCopy(std::as_bytes(std::span(text)), /*urgent=*/true);
}

void Connection::ShutdownWrite() {
  if (worker_ != nullptr) worker_->shard().ShutdownWrite(HandleOf(slot_, generation_), worker_->now());
}

void Connection::Close() {
  if (worker_ != nullptr) worker_->shard().Close(HandleOf(slot_, generation_), worker_->now());
}

void Connection::Abort() {
  if (worker_ != nullptr) worker_->shard().Abort(HandleOf(slot_, generation_), worker_->now());
}

void Connection::SetNoDelay(bool on) {
  if (worker_ != nullptr) worker_->shard().SetNoDelay(HandleOf(slot_, generation_), on);
}

void Connection::SetContext(void* context) {
  if (worker_ == nullptr) return;
  const stack::ConnHandle handle = HandleOf(slot_, generation_);
  const uint64_t user = worker_->User(handle);
  worker_->SetUser(handle, runtime::MakeUser(runtime::TargetOf(user), reinterpret_cast<uintptr_t>(context)));
}

void* Connection::context() const {
  if (worker_ == nullptr) return nullptr;
  return reinterpret_cast<void*>(runtime::ContextOf(worker_->User(HandleOf(slot_, generation_))));
}

Endpoint Connection::local() const {
  const wire::FlowKey* key =
      worker_ == nullptr ? nullptr : worker_->shard().Key(HandleOf(slot_, generation_));
  return key == nullptr ? Endpoint() : MakeEndpoint(key->local, key->local_port);
}

Endpoint Connection::remote() const {
  const wire::FlowKey* key =
      worker_ == nullptr ? nullptr : worker_->shard().Key(HandleOf(slot_, generation_));
  return key == nullptr ? Endpoint() : MakeEndpoint(key->remote, key->remote_port);
}

ConnectionInfo Connection::Info() const {
  ConnectionInfo info;
  const tcp::Connection* tcp =
      worker_ == nullptr ? nullptr : worker_->shard().Tcp(HandleOf(slot_, generation_));
  if (tcp == nullptr) return info;
  const tcp::TcpConfig& config = worker_->shard().config().tcp;
  info.state = tcp::StateName(tcp->state);
  info.local = local();
  info.remote = remote();
  info.mss = tcp->mss;
  info.cwnd = tcp->cwnd;
  info.in_flight = tcp->snd_una.DistanceTo(tcp->snd_nxt);
  info.send_queued = tcp->snd_nxt.DistanceTo(tcp->snd_end);
  info.send_window = tcp->snd_wnd;
  info.receive_queued = tcp->rcv_queued;
  info.smoothed_rtt_us = Micros(tcp->rtt.srtt());
  info.rtt_variation_us = Micros(tcp->rtt.rttvar());
  if (const tcp::ColdState* cold = worker_->shard().Cold(HandleOf(slot_, generation_))) {
    info.ssthresh = cold->congestion.ssthresh;
    info.retransmitted_segments = cold->retransmitted_segments;
    info.timeouts = cold->timeouts;
    info.rto_us = Micros(tcp->rtt.Rto(LimitsOf(config), cold->backoff));
  }
  info.send_window_scale = tcp->snd_scale;
  info.receive_window_scale = tcp->rcv_scale;
  info.timestamps = tcp->Is(tcp::kUseTimestamps);
  info.sack = tcp->Is(tcp::kUseSack);
  info.nodelay = tcp->Is(tcp::kNoDelay);
  info.active = tcp->Is(tcp::kActiveOpen);
  return info;
}

}  // namespace tern
