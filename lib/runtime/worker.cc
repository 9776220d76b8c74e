#include "runtime/worker.h"

#include <poll.h>
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tern::runtime {
namespace {

// At most so many bursts of events, or of frames to send, in one turn: a flood on one side must not keep the
// worker from looking at the other.
constexpr int kEventRounds = 4;
constexpr int kTransmitRounds = 8;

// How long resets may take to leave at the end, and how many turns that is at the least. Whoever has not
// taken them by then is not going to.
constexpr Duration kResetTime = Duration::Millis(20);
constexpr int kResetTurns = 100;
constexpr int kDiscardRounds = 8;

void Relax() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

bool WakesOnReceive(std::span<Device* const> devices) {
  // With several devices a sleep on one would be deaf to the others.
  return devices.size() == 1 && devices[0]->info().rx_interrupt;
}

// Another key than ours gives hashes that say nothing about owners.
bool SteersAsWeDo(const Device& device, std::span<const uint8_t> key) {
  const DeviceInfo& info = device.info();
  return info.rss && info.rss_key.size() >= key.size() &&
         std::equal(key.begin(), key.end(), info.rss_key.begin());
}

}  // namespace

Worker::Worker(const WorkerConfig& config, std::span<Device* const> devices, MemorySource& memory,
               Handover::Ends ends, SpscRing<Control>::Consumer controls)
    : index_(config.shard.worker),
      count_(config.shard.worker_count),
      lcore_(config.lcore),
      devices_(devices.begin(), devices.end()),
      wakes_on_receive_(WakesOnReceive(devices)),
      clock_(config.clock_origin),
      now_(clock_.now()),
      shard_(config.shard, memory, now_),
      steering_(config.shard.rss_key, count_),
      governor_(config.idle, config.idle_spin),
      on_link_event_(config.on_link_event),
      ends_(std::move(ends)),
      controls_(std::move(controls)),
      outboxes_(count_),
      last_turn_tsc_(clock_.turn_tsc()) {
  for (const Device* device : devices_) device_steers_.push_back(SteersAsWeDo(*device, config.shard.rss_key));
  counts_.worker = index_;
  counts_.lcore = lcore_;
}

Worker::~Worker() = default;

void Worker::Run() {
  while (!stop_requested_) {
    if (!Turn()) Idle();
  }
  EndAll();
}

bool Worker::Turn() {
  now_ = clock_.StartTurn(std::exchange(slept_, Duration::Zero()));
  const uint64_t cycles = clock_.turn_tsc() - last_turn_tsc_;
  (last_turn_busy_ ? counts_.busy_cycles : counts_.idle_cycles) += cycles;
  last_turn_tsc_ = clock_.turn_tsc();

  shard_.SetMemoryTight(pool().Tight());
  bool busy = false;
  for (uint16_t i = 0; i < devices_.size(); ++i) busy |= ReceiveFrom(i);
  if (count_ > 1) {
    busy |= TakeHandedIn();
    ShareLinks();
  }
  busy |= TakeControls();
  busy |= GiveEvents();
  busy |= RunTimers();
  busy |= RunTasks();
  busy |= TransmitAll();
  ReleaseAll();

  ++counts_.turns;
  if (busy) {
    ++counts_.busy_turns;
    governor_.FoundWork();
  }
  last_turn_busy_ = busy;
  return busy;
}

bool Worker::ReceiveFrom(uint16_t interface) {
  const size_t received = devices_[interface]->Receive(index_, rx_frames_);
  if (received == 0) return false;
  std::span<RxFrame> ours(rx_frames_.data(), received);
  if (count_ > 1) ours = ours.first(Sort(ours, interface));
  if (!ours.empty()) GiveToShard(ours, interface);
  return true;
}

bool Worker::GiveEvents() {
  bool any = WakeStarved();
  for (int round = 0; round < kEventRounds && shard_.HasEvents(); ++round) {
    const size_t count = shard_.PollEvents(events_);
    for (size_t i = 0; i < count; ++i) {
      // The handler will want what hangs off its connection: by the time its turn comes it is here.
      __builtin_prefetch(reinterpret_cast<const void*>(ContextOf(events_[i].user)));
    }
    for (size_t i = 0; i < count; ++i) Give(events_[i]);
    counts_.events += count;
    any |= count != 0;
  }
  current_ = stack::ShardEvent();
  return any;
}

void Worker::Give(const stack::ShardEvent& event) {
  const EventTarget& target = targets_[TargetOf(event.user)];
  if (target.on_event == nullptr) return;
  current_ = event;
  target.on_event(target.object, *this, current_);
}

bool Worker::WakeStarved() {
  if (starved_.empty()) return false;
  Buffer* probe = nullptr;
  if (!pool().Allocate({&probe, 1})) return false;
  pool().Release(probe);
  starved_now_.swap(starved_);
  for (const stack::ConnHandle handle : starved_now_) {
    if (!shard_.IsLive(handle)) continue;
    Give({.handle = handle, .user = shard_.User(handle), .events = tcp::kEventWritable});
  }
  starved_now_.clear();
  return true;
}

bool Worker::RunTimers() {
  // Deadlines are kept in ticks of 16 us: between two ticks there is nothing to find.
  const int64_t tick = now_.nanos() >> tcp::Deadline::kShift;
  if (tick != timer_tick_ || timers_due_) {
    timer_tick_ = tick;
    timers_due_ = shard_.AdvanceTimers(now_);
    if (shard_.HasLinkEvents()) TellLinkEvents();
  }
  return timers_.Next() <= now_ && timers_.Fire(now_);
}

void Worker::TellLinkEvents() {
  std::array<stack::LinkEvent, 8> events;
  while (const size_t count = shard_.TakeLinkEvents(events)) {
    for (size_t i = 0; i < count && on_link_event_; ++i) on_link_event_(events[i]);
  }
}

bool Worker::RunTasks() {
  bool any = false;
  // By index: a task may add another.
  for (size_t i = 0; i < tasks_.size(); ++i) any |= tasks_[i]->Poll(*this);
  return any;
}

bool Worker::TransmitAll() {
  bool any = false;
  for (uint16_t i = 0; i < devices_.size(); ++i) {
    Device& device = *devices_[i];
    for (int round = 0; round < kTransmitRounds; ++round) {
      const size_t room = std::min(device.TransmitRoom(index_), kTxBurst);
      if (room == 0) break;
      // What the shard returns counts as sent, so it is asked for what the device is sure to take and no
      // more.
      const std::span<TxFrame> out(tx_frames_.data(), room);
      const size_t count = shard_.PollTransmit(i, now_, out);
      if (count == 0) break;
      device.Transmit(index_, out.first(count));
      any = true;
      if (count < room) break;
    }
    device.Flush(index_);
  }
  return any;
}

void Worker::ReleaseAll() {
  if (Buffer* list = shard_.TakeReleased()) pool().Release(list);
  if (released_ != nullptr) pool().Release(std::exchange(released_, nullptr));
}

Instant Worker::NextDeadline() const {
  Instant deadline = std::min(shard_.NextDeadline(now_), timers_.Next());
  for (const Device* device : devices_) deadline = std::min(deadline, device->NextInternalEvent(index_));
  return deadline;
}

void Worker::Idle() {
  const Instant deadline = governor_.WantsDeadline(now_) ? NextDeadline() : Instant::Never();
  const IdleDecision decision = governor_.FoundNothing(now_, deadline, wakes_on_receive_);
  switch (decision.step) {
    case IdleStep::kPoll:
      Relax();
      return;
    case IdleStep::kYield:
      sched_yield();
      return;
    case IdleStep::kSleep:
      Sleep(decision.longest);
      return;
  }
}

void Worker::Sleep(Duration longest) {
  bell().Arm();
  if (!HasMail()) {
    const bool slept = wakes_on_receive_ && devices_[0]->WaitForReceive(index_, bell().fd(), longest);
    if (!slept) {
      pollfd wake = {.fd = bell().fd(), .events = POLLIN, .revents = 0};
      const int64_t nap = std::min(longest, IdleGovernor::kLongestNap).nanos();
      const timespec limit = {nap / 1'000'000'000, nap % 1'000'000'000};
      ppoll(&wake, 1, &limit, nullptr);
    }
    slept_ = longest;
    ++counts_.sleeps;
  }
  bell().Disarm();
}

bool Worker::HasMail() {
  if (!controls_.empty() || !starved_.empty()) return true;
  for (uint16_t other = 0; other < count_; ++other) {
    if (other == index_) continue;
    if (!ends_.frames_in[other].empty() || !ends_.notices_in[other].empty()) return true;
  }
  return std::any_of(tasks_.begin(), tasks_.end(), [](const auto& task) { return task->HasWork(); });
}

uint16_t Worker::TargetId(EventTarget target) {
  if (targets_[last_target_] == target) return last_target_;
  auto found = std::find(targets_.begin() + 1, targets_.end(), target);
  if (found == targets_.end()) {
    if (targets_.size() > UINT16_MAX) return 0;
    found = targets_.insert(found, target);
  }
  last_target_ = static_cast<uint16_t>(found - targets_.begin());
  return last_target_;
}

void Worker::ForgetTarget(EventTarget target) {
  std::replace(targets_.begin() + 1, targets_.end(), target, EventTarget());
  last_target_ = 0;
}

bool Worker::MaySend(stack::ConnHandle handle) const {
  const tcp::Connection* conn = shard_.IsLive(handle) ? shard_.Tcp(handle) : nullptr;
  if (conn == nullptr || conn->Is(tcp::kFinQueued)) return false;
  return conn->state == tcp::State::kSynSent || conn->state == tcp::State::kSynReceived ||
         conn->state == tcp::State::kEstablished || conn->state == tcp::State::kCloseWait;
}

void Worker::RemoveTask(WorkerTask* task) {
  std::erase_if(tasks_, [task](const auto& held) { return held.get() == task; });
}

void Worker::RequestStop(Duration drain) {
  stop_requested_ = true;
  drain_ = drain;
}

void Worker::EndAll() {
  stopping_ = true;
  for (const auto& task : tasks_) task->Stop(*this);
  timers_.Clear();
  const bool abort = drain_ <= Duration::Zero();
  shard_.CloseAll(abort, now_);
  const Instant limit = now_ + drain_;
  while (!abort && Living() && now_ < limit) {
    if (!Turn()) Idle();
  }
  if (Living()) shard_.CloseAll(true, now_);
  // Resets leave, last events are given, buffers come back.
  const Instant resets_limit = now_ + kResetTime;
  for (int i = 0; (i < kResetTurns || now_ < resets_limit) && (Turn() || Living()); ++i) {
  }
  DiscardUnsent();
  tasks_.clear();
  // Handlers go here, on the thread they were made on; what they held of packet memory comes back.
  targets_.assign(1, EventTarget());
  last_target_ = 0;
  owned_.clear();
  DropMail();
}

// What no device takes any more (its peer has died, say) still has to leave the shard, which lets go of a
// connection only when its last segment was asked for.
void Worker::DiscardUnsent() {
  for (int round = 0; round < kDiscardRounds; ++round) {
    size_t discarded = 0;
    for (uint16_t i = 0; i < devices_.size(); ++i) {
      while (const size_t count = shard_.PollTransmit(i, now_, tx_frames_)) discarded += count;
    }
    // Not sent, whatever the shard believes.
    unsent_.Count(DropReason::kShuttingDown, discarded);
    while (shard_.HasEvents()) GiveEvents();
    ReleaseAll();
    if (!Living()) return;
    // Some may have turned to a neighbour meanwhile, and wait for its answer.
    shard_.CloseAll(true, now_);
  }
}

bool Worker::Living() const {
  const stack::ShardUsage usage = shard_.usage();
  return usage.connections + usage.half_open != 0;
}

void Worker::DropMail() {
  for (auto& ring : ends_.frames_in) {
    while (const size_t count = ring.PopSome(handed_)) {
      DropFrames(std::span<const HandedFrame>(handed_).first(count), DropReason::kShuttingDown);
    }
  }
  ReleaseAll();
}

WorkerSnapshot Worker::Snapshot() const {
  WorkerSnapshot snapshot = counts_;
  snapshot.cycles_per_second = clock_.frequency();
  snapshot.clock_jumps = clock_.jumps();
  snapshot.app_timers = timers_.count();
  snapshot.shard = shard_.counters();
  snapshot.shard.rx_frames += drops_.total();
  snapshot.shard.drops.Add(drops_);
  snapshot.shard.tx_frames -= unsent_.total();
  snapshot.shard.tx_drops.Add(unsent_);
  snapshot.usage = shard_.usage();
  return snapshot;
}

}  // namespace tern::runtime
