#include "runtime/client_bridge.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace tern::runtime {
namespace {

constexpr size_t kOpsPerTurn = 256;

size_t CountList(const Buffer* list) {
  size_t count = 0;
  for (; list != nullptr; list = list->next) ++count;
  return count;
}

Buffer* LastOf(Buffer* list) {
  while (list->next != nullptr) list = list->next;
  return list;
}

}  // namespace

ClientBridge::ClientBridge(Worker& worker, std::shared_ptr<ClientLane> lane, const ClientLimits& limits)
    : worker_(worker),
      lane_(std::move(lane)),
      limits_(limits),
      ops_(lane_->ops.TakeConsumer()),
      notes_(lane_->notes.TakeProducer()) {}

ClientBridge::~ClientBridge() {
  if (!lane_->detached.load(std::memory_order_relaxed)) Detach();
}

// ---- Operations ----

bool ClientBridge::Poll(Worker&) {
  std::array<ClientOp, 32> ops;
  size_t done = 0;
  while (done < kOpsPerTurn) {
    const size_t count = ops_.PopSome(ops);
    for (size_t i = 0; i < count; ++i) Act(ops[i]);
    done += count;
    if (count < ops.size()) break;
  }
  if (lane_->wants_room.load(std::memory_order_acquire)) {
    lane_->wants_room.store(false, std::memory_order_relaxed);
    told_ = true;
  }
  const bool flushed = FlushDirty();
  if (std::exchange(told_, false)) lane_->bell->Ring();
  return done != 0 || flushed;
}

bool ClientBridge::HasWork() {
  return !ops_.empty() || told_ || lane_->wants_room.load(std::memory_order_acquire) ||
         (!dirty_.empty() && notes_.room() != 0);
}

void ClientBridge::Act(const ClientOp& op) {
  if (op.kind == ClientOpKind::kConnect) return Connect(op);
  Record* record = Find(op.id, op.generation);
  if (op.kind == ClientOpKind::kReturn) return TakeReturned(op, record);
  if (op.kind == ClientOpKind::kSend) {
    auto* chunk = static_cast<Chunk*>(op.pointer);
    // A connection that ended meanwhile still gives the memory back: its record waits for the client to let
    // go.
    if (record == nullptr) return;
    chunk->next = nullptr;
    (record->pending_tail == nullptr ? record->pending_head : record->pending_tail->next) = chunk;
    record->pending_tail = chunk;
    return Pump(*record);
  }
  if (record == nullptr) return;
  switch (op.kind) {
    case ClientOpKind::kShutdown:
      record->shutdown_wanted = true;
      return Pump(*record);
    case ClientOpKind::kClose:
      return LetGo(*record, false);
    case ClientOpKind::kAbort:
      return LetGo(*record, true);
    default:
      return;
  }
}

void ClientBridge::Connect(const ClientOp& op) {
  Record* record = NewRecord();
  record->id = op.id;
  record->generation = op.generation;
  if (opened_.size() <= op.id) opened_.resize(op.id + 1, nullptr);
  opened_[op.id] = record;

  const uint16_t target = worker_.TargetId({&OnEvent, this});
  const stack::ConnectSpec spec = {
      .remote = op.remote,
      .remote_port = op.remote_port,
      .local = op.local,
      .local_port = op.local_port,
      .user = MakeUser(target, reinterpret_cast<uintptr_t>(record)),
      .nodelay = op.nodelay || worker_.shard().config().tcp.nodelay,
  };
  const bool possible = target != 0 && !worker_.stopping();
  if (!possible || worker_.shard().Connect(spec, worker_.now(), &record->handle) != stack::OpenResult::kOk) {
    // No address, no route, no port or no slot: from outside all the same as a host that cannot be reached.
    record->closed = true;
    record->reason = tcp::CloseReason::kUnreachable;
    Pump(*record);
  }
}

void ClientBridge::TakeReturned(const ClientOp& op, Record* record) {
  auto* list = static_cast<Buffer*>(op.pointer);
  buffers_out_ -= CountList(list);
  worker_.Release(list, LastOf(list));
  if (record == nullptr) return;
  record->delivered -= std::min(record->delivered, op.octets);
  Pump(*record);
}

void ClientBridge::LetGo(Record& record, bool abort) {
  record.let_go = true;
  // The number is the client's again at once; what is left to send stays with the record.
  auto& table = (record.id & kAcceptedId) != 0 ? accepted_ : opened_;
  table[record.id & kIdIndexMask] = nullptr;
  if ((record.id & kAcceptedId) != 0) free_accepted_.push_back(record.id & kIdIndexMask);
  if (abort && !record.closed) worker_.shard().Abort(record.handle, worker_.now());
  Pump(record);
}

// ---- Events ----

stack::OpenResult ClientBridge::Listen(stack::ListenSpec spec, uint64_t listener_id) {
  Listener& listener = listeners_.emplace_back(Listener{this, listener_id, 0, true});
  const uint16_t target = worker_.TargetId({&OnAccept, this});
  spec.user = MakeUser(target, reinterpret_cast<uintptr_t>(&listener));
  const stack::OpenResult result =
      target == 0 ? stack::OpenResult::kNoSlot : worker_.shard().Listen(spec, &listener.shard_listener);
  if (result != stack::OpenResult::kOk) listener.open = false;
  return result;
}

void ClientBridge::CloseListener(uint64_t listener_id) {
  for (Listener& listener : listeners_) {
    if (listener.id != listener_id || !listener.open) continue;
    worker_.shard().CloseListener(listener.shard_listener);
    listener.open = false;  // kept: an accept may be under way that names it
  }
}

void ClientBridge::OnAccept(void* object, Worker& worker, const stack::ShardEvent& event) {
  auto& bridge = *static_cast<ClientBridge*>(object);
  const auto& listener = *reinterpret_cast<const Listener*>(ContextOf(event.user));
  if ((event.events & tcp::kEventClosed) != 0) return;  // gone before anybody knew it
  Record* record = bridge.NewRecord();
  record->handle = event.handle;
  record->listener = listener.id;
  record->open_owed = true;
  if (!listener.open || !bridge.GiveAcceptedId(*record)) {
    worker.shard().Abort(event.handle, worker.now());
    worker.SetUser(event.handle, 0);
    bridge.Free(*record);
    return;
  }
  const uint16_t target = worker.TargetId({&OnEvent, object});
  worker.SetUser(event.handle, MakeUser(target, reinterpret_cast<uintptr_t>(record)));
  bridge.TakeEvent(*record, event);
}

void ClientBridge::OnEvent(void* object, Worker&, const stack::ShardEvent& event) {
  static_cast<ClientBridge*>(object)->TakeEvent(*reinterpret_cast<Record*>(ContextOf(event.user)), event);
}

void ClientBridge::TakeEvent(Record& record, const stack::ShardEvent& event) {
  if ((event.events & tcp::kEventConnected) != 0) record.open_owed = true;
  if ((event.events & tcp::kEventClosed) != 0) {
    record.closed = true;
    record.reason = event.reason;
  }
  Pump(record);
  // Poll comes later in the same turn; it rings the bell once for all events of the turn.
}

// ---- Moving things ----

void ClientBridge::Pump(Record& record) {
  if (!record.closed) PumpSend(record);
  if (record.let_go) {
    TakeBackChunks(record);
    if (record.closed) Free(record);
    return;
  }
  if (!PumpNotes(record)) Enqueue(record);
}

void ClientBridge::PumpSend(Record& record) {
  stack::Shard& shard = worker_.shard();
  while (record.pending_head != nullptr) {
    const uint32_t room = shard.SendRoom(record.handle);
    if (room == 0) {
      if (worker_.MaySend(record.handle)) return;  // full: the writable event comes
      // The stream is closed for sending: nobody will take the rest.
      record.pending_tail->next = record.done;
      record.done = std::exchange(record.pending_head, nullptr);
      record.pending_tail = nullptr;
      return;
    }
    if (!CopyChunk(record, room)) return;
  }
  if (std::exchange(record.shutdown_wanted, false)) shard.ShutdownWrite(record.handle, worker_.now());
  if (record.let_go) shard.Close(record.handle, worker_.now());
}

// Copies from the first chunk what `room` and the pool allow; false when the pool has nothing.
bool ClientBridge::CopyChunk(Record& record, uint32_t room) {
  Chunk& chunk = *record.pending_head;
  BufferPool& pool = worker_.pool();
  BufferChain chain;
  uint32_t left = std::min(room, chunk.length - chunk.sent);
  bool starved = false;
  while (left != 0) {
    Buffer* buffer = nullptr;
    if (!pool.Allocate({&buffer, 1})) {
      worker_.WakeWhenBuffers(record.handle);
      starved = true;
      break;
    }
    const uint32_t length = std::min(left, buffer->tailroom);
    std::memcpy(buffer->data, chunk.data + chunk.sent, length);
    buffer->length = length;
    buffer->tailroom -= length;
    chunk.sent += length;
    left -= length;
    chain.PushBack(buffer);
  }
  // There is room for all of it, so all of it is taken.
  static_cast<void>(worker_.shard().Send(record.handle, chain, worker_.now()));
  if (chunk.sent == chunk.length) {
    record.pending_head = chunk.next;
    if (record.pending_head == nullptr) record.pending_tail = nullptr;
    chunk.next = std::exchange(record.done, &chunk);
  }
  return !starved;
}

// Tells what there is to tell, in order; false when the lane is full before the end.
bool ClientBridge::PumpNotes(Record& record) {
  if (record.open_owed && !TellOpened(record)) return false;
  if (record.done != nullptr) {
    if (!Tell(record, {.kind = ClientNoteKind::kChunks, .pointer = record.done})) return false;
    record.done = nullptr;
  }
  if (!PumpData(record)) return false;
  if (record.closed && !record.closed_told) return TellClosed(record);
  return true;
}

bool ClientBridge::PumpData(Record& record) {
  while (record.delivered < limits_.receive_limit) {
    if (notes_.room() == 0) return false;
    BufferChain chain;
    stack::Behind behind{};
    const uint32_t octets = worker_.shard().Receive(record.handle, limits_.receive_limit - record.delivered,
                                                    worker_.now(), chain, &behind);
    if (octets != 0) {
      record.delivered += octets;
      buffers_out_ += CountList(chain.front());
      Tell(record, {.kind = ClientNoteKind::kData, .octets = octets, .pointer = chain.TakeAll()});
      continue;
    }
    if (behind == stack::Behind::kEnd && !record.end_told) {
      Tell(record, {.kind = ClientNoteKind::kEnd});
      record.end_told = true;
    }
    return true;
  }
  return true;
}

bool ClientBridge::TellOpened(Record& record) {
  ClientNote note = {.kind = record.listener != 0 ? ClientNoteKind::kAccepted : ClientNoteKind::kConnected};
  note.listener = record.listener;
  if (const wire::FlowKey* key = worker_.shard().Key(record.handle)) {
    note.remote = key->remote;
    note.remote_port = key->remote_port;
    note.local = key->local;
    note.local_port = key->local_port;
  }
  if (!Tell(record, note)) return false;
  record.open_owed = false;
  return true;
}

bool ClientBridge::TellClosed(Record& record) {
  // The client's memory comes back first, whatever had not been sent with it.
  if (record.pending_head != nullptr) {
    if (!Tell(record, {.kind = ClientNoteKind::kChunks, .pointer = record.pending_head})) return false;
    record.pending_head = record.pending_tail = nullptr;
  }
  if (!Tell(record, {.kind = ClientNoteKind::kClosed, .reason = record.reason})) return false;
  record.closed_told = true;
  return true;
}

// Of a record that the client let go of: there is nobody to tell, but the memory is the client's.
void ClientBridge::TakeBackChunks(Record& record) {
  if (record.closed && record.pending_head != nullptr) {
    record.pending_tail->next = record.done;
    record.done = record.pending_head;
    record.pending_head = record.pending_tail = nullptr;
  }
  if (record.done == nullptr) return;
  if (Tell(record, {.kind = ClientNoteKind::kChunks, .pointer = record.done})) {
    record.done = nullptr;
  } else {
    Enqueue(record);
  }
}

bool ClientBridge::Tell(const Record& record, ClientNote note) {
  note.id = record.id;
  note.generation = record.generation;
  if (!notes_.Push(note)) return false;
  told_ = true;
  return true;
}

void ClientBridge::Enqueue(Record& record) {
  if (std::exchange(record.queued, true)) return;
  dirty_.push_back(&record);
}

bool ClientBridge::FlushDirty() {
  bool any = false;
  for (size_t left = dirty_.size(); left != 0 && notes_.room() != 0; --left) {
    Record& record = *dirty_.front();
    dirty_.pop_front();
    record.queued = false;
    if (record.in_use) Pump(record);
    any = true;
  }
  return any;
}

// ---- Records ----

ClientBridge::Record* ClientBridge::NewRecord() {
  Record* record = nullptr;
  if (free_records_.empty()) {
    record = &records_.emplace_back();
  } else {
    record = free_records_.back();
    free_records_.pop_back();
  }
  const bool queued = record->queued;
  *record = Record();
  record->queued = queued;
  record->bridge = this;
  record->in_use = true;
  return record;
}

ClientBridge::Record* ClientBridge::Find(uint32_t id, uint32_t generation) {
  const auto& table = (id & kAcceptedId) != 0 ? accepted_ : opened_;
  const uint32_t index = id & kIdIndexMask;
  Record* record = index < table.size() ? table[index] : nullptr;
  return record != nullptr && record->generation == generation ? record : nullptr;
}

bool ClientBridge::GiveAcceptedId(Record& record) {
  uint32_t index = 0;
  if (!free_accepted_.empty()) {
    index = free_accepted_.back();
    free_accepted_.pop_back();
  } else {
    if (accepted_.size() >= limits_.max_connections) return false;
    index = static_cast<uint32_t>(accepted_.size());
    accepted_.push_back(nullptr);
  }
  accepted_[index] = &record;
  record.id = kAcceptedId | index;
  record.generation = ++last_generation_ == 0 ? ++last_generation_ : last_generation_;
  return true;
}

void ClientBridge::Free(Record& record) {
  // With memory of the client's still to tell of it stays until that is told.
  if (record.done != nullptr) return;
  record.in_use = false;
  free_records_.push_back(&record);
}

void ClientBridge::Detach() {
  for (Listener& listener : listeners_) {
    if (std::exchange(listener.open, false)) worker_.shard().CloseListener(listener.shard_listener);
  }
  for (Record& record : records_) {
    if (!record.in_use || record.closed) continue;
    worker_.SetUser(record.handle, 0);
    worker_.shard().Abort(record.handle, worker_.now());
  }
  worker_.ForgetTarget({&OnEvent, this});
  worker_.ForgetTarget({&OnAccept, this});
  ClientOp op;
  while (ops_.Pop(op)) {
    if (op.kind != ClientOpKind::kReturn) continue;
    auto* list = static_cast<Buffer*>(op.pointer);
    buffers_out_ -= CountList(list);
    worker_.Release(list, LastOf(list));
  }
  lane_->late_ops = std::move(ops_);
  lane_->detached.store(true, std::memory_order_release);
  lane_->bell->Ring();
}

}  // namespace tern::runtime
