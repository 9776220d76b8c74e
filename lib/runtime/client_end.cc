#include "runtime/client_end.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace tern::runtime {

ClientEnd::ClientEnd(const ClientLimits& limits, std::vector<std::shared_ptr<ClientLane>> lanes,
                     const std::vector<Doorbell*>& worker_bells, std::unique_ptr<Doorbell> bell)
    : limits_(limits), bell_(std::move(bell)), lanes_(lanes.size()) {
  for (size_t i = 0; i < lanes.size(); ++i) {
    Lane& lane = lanes_[i];
    lane.ops = lanes[i]->ops.TakeProducer();
    lane.notes = lanes[i]->notes.TakeConsumer();
    lane.shared = std::move(lanes[i]);
    lane.worker_bell = worker_bells[i];
    lane.memory.resize(size_t{limits.chunks} * limits.chunk_size);
    lane.chunks.resize(limits.chunks);
    for (size_t c = 0; c < lane.chunks.size(); ++c) {
      lane.chunks[c].data = lane.memory.data() + c * limits.chunk_size;
      lane.chunks[c].next = std::exchange(lane.free_chunks, &lane.chunks[c]);
    }
  }
}

ClientEnd::~ClientEnd() = default;

// ---- Names ----

uint64_t ClientEnd::NameOf(const Connection& conn) {
  return uint64_t{conn.generation} << 32 | uint64_t{conn.worker} << 24 | conn.id;
}

ClientEnd::Connection* ClientEnd::Find(uint64_t name) {
  const auto worker = static_cast<uint8_t>(name >> 24);
  if (worker >= lanes_.size()) return nullptr;
  auto& table = (name & kAcceptedId) != 0 ? lanes_[worker].accepted : lanes_[worker].opened;
  const uint32_t index = static_cast<uint32_t>(name) & kIdIndexMask;
  if (index >= table.size()) return nullptr;
  Connection& conn = table[index];
  return conn.in_use && conn.generation == name >> 32 ? &conn : nullptr;
}

ClientEnd::Connection* ClientEnd::FindNoted(uint16_t worker, const ClientNote& note) {
  return Find(uint64_t{note.generation} << 32 | uint64_t{worker} << 24 | note.id);
}

ClientEnd::Connection& ClientEnd::Adopt(uint16_t worker, const ClientNote& note) {
  auto& table = lanes_[worker].accepted;
  const uint32_t index = note.id & kIdIndexMask;
  if (table.size() <= index) table.resize(index + 1);
  Connection& conn = table[index];
  conn = Connection();
  conn.id = note.id;
  conn.generation = note.generation;
  conn.worker = worker;
  conn.in_use = true;
  ++open_;
  return conn;
}

// ---- Events ----

bool ClientEnd::detached() const {
  return std::any_of(lanes_.begin(), lanes_.end(),
                     [](const Lane& lane) { return lane.shared->detached.load(std::memory_order_acquire); });
}

bool ClientEnd::AnythingNoted() {
  if (detached() && !detached_told_) return true;
  return std::any_of(lanes_.begin(), lanes_.end(), [](Lane& lane) { return !lane.notes.empty(); });
}

bool ClientEnd::Drain() {
  bool any = false;
  std::array<ClientNote, 64> notes;
  for (uint16_t worker = 0; worker < lanes_.size(); ++worker) {
    Lane& lane = lanes_[worker];
    bool took = false;
    while (const size_t count = lane.notes.PopSome(notes)) {
      for (size_t i = 0; i < count; ++i) Take(worker, notes[i]);
      took = true;
    }
    FlushWaiting(lane);
    if (!cut_short_.empty()) WakeSenders(lane);
    // The worker may have stopped telling for want of room.
    if (took) lane.worker_bell->Ring();
    any |= took;
  }
  if (detached() && !detached_told_) {
    NoteDetached();
    any = true;
  }
  return any;
}

size_t ClientEnd::Poll(std::span<ClientOccurrence> out) {
  if (std::exchange(armed_, false)) bell_->Disarm();
  size_t count = 0;
  for (;;) {
    Drain();
    while (count < out.size() && !ready_.empty()) {
      out[count] = ready_.front();
      ready_.pop_front();
      if (out[count].kind == ClientHappening::kReadable) {
        if (Connection* conn = Find(out[count].connection)) conn->readable_queued = false;
      }
      // What the application closed meanwhile is no longer its business.
      if (Find(out[count].connection) != nullptr) ++count;
    }
    if (count == out.size()) return count;
    bell_->Arm();
    if (!AnythingNoted()) {
      armed_ = true;
      return count;
    }
    bell_->Disarm();
  }
}

bool ClientEnd::Wait(int timeout_ms) {
  if (!ready_.empty() || AnythingNoted()) return true;
  if (!std::exchange(armed_, true)) {
    bell_->Arm();
    if (AnythingNoted()) return true;
  }
  pollfd wake = {.fd = bell_->fd(), .events = POLLIN, .revents = 0};
  return poll(&wake, 1, timeout_ms) > 0;
}

void ClientEnd::Take(uint16_t worker, const ClientNote& note) {
  if (note.kind == ClientNoteKind::kAccepted) {
    Connection& conn = Adopt(worker, note);
    conn.local = {note.local, note.local_port};
    conn.remote = {note.remote, note.remote_port};
    ready_.push_back({ClientHappening::kAccepted, tcp::CloseReason::kNone, NameOf(conn), note.listener});
    return;
  }
  Connection* conn = FindNoted(worker, note);
  if (note.kind == ClientNoteKind::kChunks)
    return TakeChunks(worker, conn, static_cast<Chunk*>(note.pointer));
  if (conn == nullptr) {
    // Let go before the note came: what it carries goes straight back.
    if (note.kind == ClientNoteKind::kData) {
      PushSurely(lanes_[worker], {.kind = ClientOpKind::kReturn,
                                  .id = note.id,
                                  .generation = note.generation,
                                  .octets = note.octets,
                                  .pointer = note.pointer});
    }
    return;
  }
  switch (note.kind) {
    case ClientNoteKind::kConnected:
      conn->local = {note.local, note.local_port};
      conn->remote = {note.remote, note.remote_port};
      ready_.push_back({ClientHappening::kConnected, tcp::CloseReason::kNone, NameOf(*conn), 0});
      return;
    case ClientNoteKind::kData:
      return TakeData(*conn, note);
    case ClientNoteKind::kEnd:
      conn->ended = true;
      return NoteReadable(*conn);
    default:
      conn->closed = true;
      ready_.push_back({ClientHappening::kClosed, note.reason, NameOf(*conn), 0});
      return;
  }
}

void ClientEnd::TakeData(Connection& conn, const ClientNote& note) {
  auto* list = static_cast<Buffer*>(note.pointer);
  (conn.rx_tail == nullptr ? conn.rx_head : conn.rx_tail->next) = list;
  while (list->next != nullptr) list = list->next;
  conn.rx_tail = list;
  NoteReadable(conn);
}

void ClientEnd::NoteReadable(Connection& conn) {
  if (std::exchange(conn.readable_queued, true)) return;
  ready_.push_back({ClientHappening::kReadable, tcp::CloseReason::kNone, NameOf(conn), 0});
}

void ClientEnd::TakeChunks(uint16_t worker, Connection* conn, Chunk* list) {
  Lane& lane = lanes_[worker];
  while (list != nullptr) {
    Chunk* chunk = std::exchange(list, list->next);
    if (conn != nullptr) conn->in_flight -= chunk->length;
    chunk->next = std::exchange(lane.free_chunks, chunk);
  }
  WakeSenders(lane);
}

void ClientEnd::WakeSenders(Lane& lane) {
  if (lane.free_chunks == nullptr || !lane.waiting.empty() || lane.ops.room() == 0) return;
  std::erase_if(cut_short_, [&](uint64_t name) {
    Connection* conn = Find(name);
    if (conn == nullptr || !conn->cut_short) return true;
    if (&lanes_[conn->worker] != &lane || conn->in_flight >= limits_.send_limit) return false;
    conn->cut_short = false;
    ready_.push_back({ClientHappening::kWritable, tcp::CloseReason::kNone, name, 0});
    return true;
  });
}

void ClientEnd::NoteDetached() {
  detached_told_ = true;
  for (Lane& lane : lanes_) {
    for (auto* table : {&lane.opened, &lane.accepted}) {
      for (Connection& conn : *table) {
        if (!conn.in_use || std::exchange(conn.closed, true)) continue;
        ready_.push_back({ClientHappening::kClosed, tcp::CloseReason::kAborted, NameOf(conn), 0});
      }
    }
  }
}

// ---- Operations ----

void ClientEnd::AskForRoom(Lane& lane) {
  lane.shared->wants_room.exchange(true, std::memory_order_acq_rel);
  lane.worker_bell->Ring();
}

void ClientEnd::PushSurely(Lane& lane, const ClientOp& op) {
  if (lane.waiting.empty() && lane.ops.Push(op)) {
    lane.worker_bell->Ring();
    return;
  }
  lane.waiting.push_back(op);
  FlushWaiting(lane);
}

void ClientEnd::FlushWaiting(Lane& lane) {
  if (lane.waiting.empty()) return;
  // Asked before the ring is looked at again, so that room made meanwhile is either seen here or told.
  AskForRoom(lane);
  while (!lane.waiting.empty() && lane.ops.Push(lane.waiting.front())) lane.waiting.pop_front();
  lane.worker_bell->Ring();
}

ClientEnd::ConnectResult ClientEnd::Connect(const ClientEndpoint& remote, const ClientEndpoint& local,
                                            bool nodelay, uint64_t* name) {
  if (detached()) return ConnectResult::kDetached;
  if (open_ >= limits_.max_connections) return ConnectResult::kTooMany;
  const uint16_t worker = next_worker_;
  Lane& lane = lanes_[worker];
  FlushWaiting(lane);
  if (!lane.waiting.empty() || lane.ops.room() == 0) return ConnectResult::kRingFull;
  next_worker_ = static_cast<uint16_t>((worker + 1) % lanes_.size());

  uint32_t index = static_cast<uint32_t>(lane.opened.size());
  if (lane.free_opened.empty()) {
    lane.opened.emplace_back();
  } else {
    index = lane.free_opened.back();
    lane.free_opened.pop_back();
  }
  Connection& conn = lane.opened[index];
  conn = Connection();
  conn.id = index;
  conn.generation = ++last_generation_ == 0 ? ++last_generation_ : last_generation_;
  conn.worker = worker;
  conn.in_use = true;
  ++open_;
  *name = NameOf(conn);
  PushSurely(lane, {.kind = ClientOpKind::kConnect,
                    .nodelay = nodelay,
                    .remote_port = remote.port,
                    .local_port = local.port,
                    .id = conn.id,
                    .generation = conn.generation,
                    .remote = remote.address,
                    .local = local.address});
  return ConnectResult::kOk;
}

ClientEnd::SendResult ClientEnd::Send(uint64_t name, std::span<const std::byte> data, size_t* taken) {
  *taken = 0;
  Connection* conn = Find(name);
  if (conn == nullptr || conn->closed || conn->finished || detached()) return SendResult::kNotOpen;
  Lane& lane = lanes_[conn->worker];
  FlushWaiting(lane);
  while (*taken < data.size()) {
    const bool room = lane.waiting.empty() && lane.free_chunks != nullptr && lane.ops.room() != 0 &&
                      conn->in_flight < limits_.send_limit;
    if (!room) break;
    Chunk* chunk = std::exchange(lane.free_chunks, lane.free_chunks->next);
    chunk->next = nullptr;
    chunk->sent = 0;
    chunk->length = static_cast<uint32_t>(std::min<size_t>(data.size() - *taken, limits_.chunk_size));
    std::memcpy(chunk->data, data.data() + *taken, chunk->length);
    *taken += chunk->length;
    conn->in_flight += chunk->length;
    lane.ops.Push(
        {.kind = ClientOpKind::kSend, .id = conn->id, .generation = conn->generation, .pointer = chunk});
  }
  if (*taken != 0) lane.worker_bell->Ring();
  if (*taken == data.size()) return SendResult::kOk;
  if (!std::exchange(conn->cut_short, true)) cut_short_.push_back(name);
  if (lane.ops.room() == 0) AskForRoom(lane);
  return SendResult::kNoRoom;
}

std::span<const std::byte> ClientEnd::Peek(uint64_t name) const {
  const Connection* conn = Find(name);
  if (conn == nullptr || conn->rx_head == nullptr) return {};
  return std::as_bytes(conn->rx_head->bytes());
}

size_t ClientEnd::Consume(uint64_t name, size_t octets) {
  Connection* conn = Find(name);
  if (conn == nullptr) return 0;
  size_t left = octets;
  while (conn->rx_head != nullptr && left != 0) {
    Buffer* piece = conn->rx_head;
    const auto step = static_cast<uint32_t>(std::min<size_t>(left, piece->length));
    piece->TrimFront(step);
    conn->used_octets += step;
    left -= step;
    if (piece->length != 0) break;
    conn->rx_head = piece->next;
    if (conn->rx_head == nullptr) conn->rx_tail = nullptr;
    piece->next = nullptr;
    (conn->used_tail == nullptr ? conn->used_head : conn->used_tail->next) = piece;
    conn->used_tail = piece;
  }
  ReturnUsed(*conn);
  return octets - left;
}

// Pieces go back as they are used up, and the octets of them with them: the window opens by whole pieces.
void ClientEnd::ReturnUsed(Connection& conn) {
  if (conn.used_head == nullptr) return;
  PushSurely(lanes_[conn.worker], {.kind = ClientOpKind::kReturn,
                                   .id = conn.id,
                                   .generation = conn.generation,
                                   .octets = std::exchange(conn.used_octets, 0),
                                   .pointer = std::exchange(conn.used_head, nullptr)});
  conn.used_tail = nullptr;
}

bool ClientEnd::AtEnd(uint64_t name) const {
  const Connection* conn = Find(name);
  return conn != nullptr && conn->ended && conn->rx_head == nullptr;
}

void ClientEnd::Shutdown(uint64_t name) {
  Connection* conn = Find(name);
  if (conn == nullptr || conn->closed || std::exchange(conn->finished, true)) return;
  PushSurely(lanes_[conn->worker],
             {.kind = ClientOpKind::kShutdown, .id = conn->id, .generation = conn->generation});
}

void ClientEnd::LetGo(uint64_t name, bool abort) {
  Connection* conn = Find(name);
  if (conn == nullptr) return;
  Lane& lane = lanes_[conn->worker];
  // With data unread the peer is told so by a reset (RFC 1122 4.2.2.13); the worker does not know of what
  // waits here.
  const bool unread = conn->rx_head != nullptr && !conn->closed;
  if (conn->rx_head != nullptr) {
    (conn->used_tail == nullptr ? conn->used_head : conn->used_tail->next) = conn->rx_head;
    for (const Buffer* piece = conn->rx_head; piece != nullptr; piece = piece->next) {
      conn->used_octets += piece->length;
    }
    conn->used_tail = conn->rx_tail;
    conn->rx_head = conn->rx_tail = nullptr;
  }
  const ClientOp op = {.kind = abort || unread ? ClientOpKind::kAbort : ClientOpKind::kClose,
                       .id = conn->id,
                       .generation = conn->generation};
  // The end before the buffers, or the worker would hand out more data for the room they make.
  PushSurely(lane, op);
  ReturnUsed(*conn);
  conn->in_use = false;
  --open_;
  if ((conn->id & kAcceptedId) == 0) lane.free_opened.push_back(conn->id);
}

ClientEndpoint ClientEnd::local(uint64_t name) const {
  const Connection* conn = Find(name);
  return conn == nullptr ? ClientEndpoint() : conn->local;
}

ClientEndpoint ClientEnd::remote(uint64_t name) const {
  const Connection* conn = Find(name);
  return conn == nullptr ? ClientEndpoint() : conn->remote;
}

Buffer* ClientEnd::TakeBuffers(uint16_t worker) {
  BufferChain all;
  const auto take = [&all](Buffer* list) {
    while (list != nullptr) {
      Buffer* next = list->next;
      all.PushBack(list);
      list = next;
    }
  };
  Lane& lane = lanes_[worker];
  ClientNote note;
  while (lane.notes.Pop(note)) {
    if (note.kind == ClientNoteKind::kData) take(static_cast<Buffer*>(note.pointer));
  }
  ClientOp late;
  while (lane.shared->detached.load(std::memory_order_acquire) && lane.shared->late_ops.Pop(late)) {
    if (late.kind == ClientOpKind::kReturn) take(static_cast<Buffer*>(late.pointer));
  }
  for (const ClientOp& op : lane.waiting) {
    if (op.kind == ClientOpKind::kReturn) take(static_cast<Buffer*>(op.pointer));
  }
  lane.waiting.clear();
  for (auto* table : {&lane.opened, &lane.accepted}) {
    for (Connection& conn : *table) {
      take(std::exchange(conn.rx_head, nullptr));
      take(std::exchange(conn.used_head, nullptr));
    }
  }
  return all.TakeAll();
}

}  // namespace tern::runtime
