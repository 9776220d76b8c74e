// A worker's end of one client: acts on its operations, tells it what happened.
#ifndef TERN_RUNTIME_CLIENT_BRIDGE_H_
#define TERN_RUNTIME_CLIENT_BRIDGE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "runtime/client_channel.h"
#include "runtime/worker.h"
#include "stack/shard.h"

namespace tern::runtime {

// Thread: the worker's. Not for the packet path of tier 1, but bounded: at most so many operations a turn.
class ClientBridge final : public WorkerTask {
 public:
  // The lane is shared with the client; the bell in it outlives the bridge.
  ClientBridge(Worker& worker, std::shared_ptr<ClientLane> lane, const ClientLimits& limits);
  ~ClientBridge() override;

  bool Poll(Worker& worker) override;
  bool HasWork() override;

  // Accepted connections are told to the client as of `listener_id`, its own number.
  stack::OpenResult Listen(stack::ListenSpec spec, uint64_t listener_id);
  void CloseListener(uint64_t listener_id);

  // Resets every connection, frees what came in operations, and says so in the lane. Called once, as the
  // last.
  void Detach();
  // Buffers that the client holds or has under way.
  uint64_t buffers_out() const { return buffers_out_; }

 private:
  struct Listener {
    ClientBridge* bridge;
    uint64_t id;
    uint32_t shard_listener;
    bool open;
  };
  // One connection. Lives until the shard is done with it and, unless the client let go first, the client was
  // told.
  struct Record {
    ClientBridge* bridge = nullptr;
    stack::ConnHandle handle;
    uint32_t id = 0;
    uint32_t generation = 0;
    Chunk* pending_head = nullptr;  // to send
    Chunk* pending_tail = nullptr;
    Chunk* done = nullptr;   // to give back
    uint32_t delivered = 0;  // octets the client has and has not returned
    tcp::CloseReason reason = tcp::CloseReason::kNone;
    bool queued = false;     // in dirty_
    bool open_owed = false;  // kAccepted or kConnected is to be told
    bool end_told = false;
    bool closed = false;  // the shard is done with it
    bool closed_told = false;
    bool shutdown_wanted = false;
    bool let_go = false;  // the client is: nothing is to be told any more
    bool in_use = false;
    uint64_t listener = 0;  // accepted by; 0: opened by the client
  };

  static void OnAccept(void* object, Worker& worker, const stack::ShardEvent& event);
  static void OnEvent(void* object, Worker& worker, const stack::ShardEvent& event);
  void TakeEvent(Record& record, const stack::ShardEvent& event);

  void Act(const ClientOp& op);
  void Connect(const ClientOp& op);
  void TakeReturned(const ClientOp& op, Record* record);
  void LetGo(Record& record, bool abort);

  // Moves what can be moved between shard, lane and record; puts the record aside when the lane is full.
  void Pump(Record& record);
  void PumpSend(Record& record);
  bool CopyChunk(Record& record, uint32_t room);
  bool PumpNotes(Record& record);
  bool PumpData(Record& record);
  bool TellOpened(Record& record);
  bool TellClosed(Record& record);
  bool Tell(const Record& record, ClientNote note);
  void TakeBackChunks(Record& record);
  void Enqueue(Record& record);
  bool FlushDirty();

  Record* NewRecord();
  Record* Find(uint32_t id, uint32_t generation);
  bool GiveAcceptedId(Record& record);
  void Free(Record& record);

  Worker& worker_;
  std::shared_ptr<ClientLane> lane_;
  const ClientLimits limits_;
  SpscRing<ClientOp>::Consumer ops_;
  SpscRing<ClientNote>::Producer notes_;

  std::deque<Record> records_;  // addresses are stable: the shard's user words point here
  std::vector<Record*> free_records_;
  std::vector<Record*> opened_;    // by index of id: opened by the client
  std::vector<Record*> accepted_;  // accepted here
  std::vector<uint32_t> free_accepted_;
  uint32_t last_generation_ = 0;
  std::deque<Listener> listeners_;
  std::deque<Record*> dirty_;
  uint64_t buffers_out_ = 0;
  bool told_ = false;  // the client's bell is to be rung
};

}  // namespace tern::runtime

#endif  // TERN_RUNTIME_CLIENT_BRIDGE_H_
