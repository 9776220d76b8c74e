// One worker: a poll loop around a shard, its queue of every device, and the mail of other threads.
#ifndef TERN_RUNTIME_WORKER_H_
#define TERN_RUNTIME_WORKER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/drop_reason.h"
#include "base/packet.h"
#include "base/spsc_ring.h"
#include "runtime/app_timers.h"
#include "runtime/clock.h"
#include "runtime/device.h"
#include "runtime/doorbell.h"
#include "runtime/handover.h"
#include "runtime/idle.h"
#include "runtime/snapshot.h"
#include "stack/shard.h"
#include "stack/steering.h"

namespace tern::runtime {

class Worker;

// Where a connection's events go. Registered once, then named by the upper 16 bits of the connection's user
// word.
struct EventTarget {
  void (*on_event)(void* object, Worker& worker, const stack::ShardEvent& event) = nullptr;
  void* object = nullptr;
  bool operator==(const EventTarget&) const = default;
};

// Work that wants a call each turn: applications' own, and the worker's ends of client channels.
class WorkerTask {
 public:
  virtual ~WorkerTask() = default;
  // True if it did something.
  virtual bool Poll(Worker& worker) = 0;
  // Whether there is something to do that no packet and no timer will announce: asked before sleeping, after
  // the bell is armed.
  virtual bool HasWork() { return false; }
  // Once, before connections are closed at the end.
  virtual void Stop(Worker&) {}
};

// A call to make on a worker.
struct Control {
  void (*run)(Worker& worker, void* argument) = nullptr;
  void* argument = nullptr;
};

struct WorkerConfig {
  stack::ShardConfig shard;  // shard.worker and shard.worker_count say which this is
  int lcore = -1;
  IdlePolicy idle = IdlePolicy::kAdaptive;
  Duration idle_spin = Duration::Micros(50);
  ClockPair clock_origin;
  // What happened to links, one at a time, on the worker's thread. Rare; empty: nobody wants to know.
  std::function<void(const stack::LinkEvent&)> on_link_event;
};

// The user word of a connection: 16 bits of target, 48 of the application's own (a pointer).
inline constexpr unsigned kContextBits = 48;
inline constexpr uint64_t kContextMask = (uint64_t{1} << kContextBits) - 1;
constexpr uint64_t MakeUser(uint16_t target, uint64_t context) {
  return uint64_t{target} << kContextBits | (context & kContextMask);
}
constexpr uint16_t TargetOf(uint64_t user) { return static_cast<uint16_t>(user >> kContextBits); }
constexpr uint64_t ContextOf(uint64_t user) { return user & kContextMask; }

// Thread: everything on the worker's own thread while it runs, on the builder's before and after, save what
// is marked.
class Worker {
 public:
  static constexpr size_t kRxBurst = 64;
  static constexpr size_t kTxBurst = 32;
  static constexpr size_t kEventBurst = 64;

  // `devices`, `memory` and the handover behind `ends` outlive the worker.
  Worker(const WorkerConfig& config, std::span<Device* const> devices, MemorySource& memory,
         Handover::Ends ends, SpscRing<Control>::Consumer controls);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // ---- The loop ----

  // Runs turns until RequestStop, then ends what lives (see EndAll).
  void Run();
  // One turn: receive, mail, events, timers, tasks, transmit. True if it found anything to do.
  bool Turn();
  // What to do after a turn that found nothing.
  void Idle();
  // Makes Run leave the loop; connections are closed and given up to `drain` to finish (zero: reset at once).
  void RequestStop(Duration drain);
  // Gives back frames that other workers handed over after this one had ended. REQUIRES: nobody runs any
  // more.
  void DropMail();
  // Any thread: ends a sleep.
  Doorbell& bell() { return *ends_.bells[index_]; }

  // ---- For the application's side of the worker ----

  uint16_t index() const { return index_; }
  uint16_t count() const { return count_; }
  Instant now() const { return now_; }
  const Clock& clock() const { return clock_; }
  stack::Shard& shard() { return shard_; }
  const stack::Shard& shard() const { return shard_; }
  // The pool that frames to send come from.
  BufferPool& pool() { return devices_[0]->pool(index_); }
  bool stopping() const { return stopping_; }

  // Takes back a list from `first` to `last` (linked by `next`) at the end of the turn.
  void Release(Buffer* first, Buffer* last) {
    last->next = released_;
    released_ = first;
  }

  // Names a target, by the same number each time; 0 when there are too many. `object` is not owned.
  uint16_t TargetId(EventTarget target);
  // Forgets it: events of its connections go nowhere. The number is not used again.
  void ForgetTarget(EventTarget target);
  // Keeps something alive until the worker ends, and lets go of it on the worker's thread.
  void Own(std::shared_ptr<void> object) { owned_.push_back(std::move(object)); }

  // The user word of a connection, also while its last event is being given.
  uint64_t User(stack::ConnHandle handle) const {
    return handle == current_.handle ? current_.user : shard_.User(handle);
  }
  void SetUser(stack::ConnHandle handle, uint64_t user) {
    if (handle == current_.handle) current_.user = user;
    shard_.SetUser(handle, user);
  }
  // Whether the connection still takes data to send, room or not.
  bool MaySend(stack::ConnHandle handle) const;
  // Tells the target of `handle` at the end of the turn that it may send again, when there are buffers.
  void WakeWhenBuffers(stack::ConnHandle handle) { starved_.push_back(handle); }

  AppTimers& timers() { return timers_; }
  void AddTask(std::unique_ptr<WorkerTask> task) { tasks_.push_back(std::move(task)); }
  // From inside a call on the worker, not from the task's own Poll.
  void RemoveTask(WorkerTask* task);

  // ---- Looking at it ----

  WorkerSnapshot Snapshot() const;

 private:
  struct Outbox {
    std::array<HandedFrame, kRxBurst> frames;
    size_t count = 0;
  };

  bool ReceiveFrom(uint16_t interface);
  // Sends on what others own and returns how many of `frames`, moved to the front, are ours.
  size_t Sort(std::span<RxFrame> frames, uint16_t interface);
  bool MustLook(const RxFrame& frame, bool device_steers) const;
  // And passes on what the shard finds to be others'.
  void GiveToShard(std::span<RxFrame> frames, uint16_t interface);
  void FlushOutboxes();
  void FlushOutbox(uint16_t owner);
  bool TakeHandedIn();
  bool TakeControls();
  void ShareLinks();
  bool GiveEvents();
  bool WakeStarved();
  void Give(const stack::ShardEvent& event);
  bool RunTimers();
  void TellLinkEvents();
  bool RunTasks();
  bool TransmitAll();
  void ReleaseAll();
  bool HasMail();
  Instant NextDeadline() const;
  void Sleep(Duration longest);
  void EndAll();
  void DiscardUnsent();
  bool Living() const;
  void DropFrames(std::span<const HandedFrame> frames, DropReason reason);

  const uint16_t index_;
  const uint16_t count_;
  const int lcore_;
  std::vector<Device*> devices_;
  std::vector<bool> device_steers_;
  bool wakes_on_receive_;
  Clock clock_;
  Instant now_;
  stack::Shard shard_;
  stack::Steering steering_;
  IdleGovernor governor_;
  std::function<void(const stack::LinkEvent&)> on_link_event_;
  Handover::Ends ends_;
  SpscRing<Control>::Consumer controls_;
  std::vector<Outbox> outboxes_;

  std::vector<EventTarget> targets_{EventTarget()};  // 0 is nobody
  std::vector<std::shared_ptr<void>> owned_;
  uint16_t last_target_ = 0;
  stack::ShardEvent current_;  // being given
  std::vector<stack::ConnHandle> starved_;
  std::vector<stack::ConnHandle> starved_now_;
  AppTimers timers_;
  std::vector<std::unique_ptr<WorkerTask>> tasks_;
  Buffer* released_ = nullptr;

  bool stopping_ = false;
  bool stop_requested_ = false;
  Duration drain_;
  Duration slept_ = Duration::Zero();
  int64_t timer_tick_ = -1;
  bool timers_due_ = false;
  bool last_turn_busy_ = false;
  uint64_t last_turn_tsc_ = 0;
  WorkerSnapshot counts_;  // what the worker itself counts; the shard's part is added in Snapshot
  DropCounters drops_;     // of frames that never reached the shard
  DropCounters unsent_;    // of frames that the shard gave to be sent and no device took

  // Room for bursts, here because building it anew each turn would cost more than an idle turn does.
  std::array<RxFrame, kRxBurst> rx_frames_;
  std::array<HandedFrame, kRxBurst> handed_;
  std::array<stack::ShardEvent, kEventBurst> events_;
  std::array<TxFrame, kTxBurst> tx_frames_;
};

}  // namespace tern::runtime

#endif  // TERN_RUNTIME_WORKER_H_
