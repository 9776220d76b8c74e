// Next hops and their link addresses: the state behind ARP (RFC 826) and neighbour discovery (RFC 4861 7).
#ifndef TERN_STACK_NEIGHBOUR_H_
#define TERN_STACK_NEIGHBOUR_H_

#include <array>
#include <cstdint>
#include <vector>

#include "base/hash.h"
#include "base/instant.h"
#include "base/intrusive_list.h"
#include "base/memory_source.h"
#include "base/slot_pool.h"
#include "stack/index_queue.h"
#include "wire/ip_address.h"
#include "wire/mac_address.h"

namespace tern::stack {

enum class NeighbourState : uint8_t {
  kIdle,        // nothing known and nothing asked, or the last question went unanswered
  kIncomplete,  // asked, no answer yet: nothing can be sent
  kReachable,   // answered not long ago
  kStale,       // answered once; nobody knows whether it still would (RFC 4861 7.3.2)
  kDelay,       // in use again: whoever uses it may find out by himself, before it is asked
  kProbe,       // in use meanwhile and being asked again
};

// One next hop on one interface.
struct Neighbour {
  ListLinks timer;
  Instant due = Instant::Never();
  wire::IpAddress address;
  wire::MacAddress mac;
  uint16_t interface = 0;
  NeighbourState state = NeighbourState::kIdle;
  uint8_t tries = 0;
  bool doubted = false;            // somebody hears nothing from beyond: no delay before it is asked
  uint8_t link_header_length = 0;  // of the template below
  uint8_t held_frames = 0;
  uint32_t users = 0;  // connections that name this entry
  uint32_t hash_next = kNoSlot;
  // Control frames and connections that wait for an answer; the shard's queues, kept here because they end
  // with the entry.
  IndexQueue held;
  IndexQueue waiting;
  // A connection whose progress would show that what is sent to this neighbour arrives, and how far it was.
  uint32_t witness = kNoSlot;
  uint32_t witness_generation = 0;
  uint32_t witness_mark = 0;
  Instant witness_since;
  // The Ethernet header of every frame to this neighbour, tag included; valid when usable().
  std::array<uint8_t, 18> link_header{};

  bool usable() const { return state >= NeighbourState::kReachable; }
};

// RFC 4861 10, and the same for ARP.
inline constexpr Duration kNeighbourRetry = Duration::Seconds(1);
inline constexpr Duration kNeighbourReachable = Duration::Seconds(30);
inline constexpr Duration kNeighbourDelay = Duration::Seconds(5);
// A connection that makes no progress for so long makes way for another as the witness.
inline constexpr Duration kWitnessPatience = Duration::Millis(500);
inline constexpr uint8_t kNeighbourTries = 3;
// RFC 1122 2.3.2.2: hold at least one frame while asking. Only control frames are held; a connection's
// segments wait inside the connection.
inline constexpr uint8_t kNeighbourHeldFrames = 4;

// What the owner has to do about an entry whose time came, or that was asked for.
enum class NeighbourAction : uint8_t {
  kNone,
  kAskAll,  // broadcast ARP request, or neighbour solicitation to the solicited-node group
  kAskOne,  // the same to the link address we have
  kFailed,  // three questions, no answer: give up what waits
};

enum class LearnResult : uint8_t {
  kUnknown,   // no entry: not our concern
  kKept,      // nothing changed
  kChanged,   // a usable entry has another link address: build its link header anew
  kResolved,  // the entry became usable: build its link header, and let go what waits
};

// A bounded table. Entries that nobody uses leave by themselves; when the table is full an unused one makes
// room.
class NeighbourTable {
 public:
  NeighbourTable(MemorySource& memory, uint32_t limit, const HashKey& secret);

  // kNoSlot when there is none.
  uint32_t Find(uint16_t interface, const wire::IpAddress& address) const;
  // Adds an idle entry when there is none; kNoSlot when the table is full of entries in use.
  uint32_t FindOrAdd(uint16_t interface, const wire::IpAddress& address, Instant now);

  // About to send to it. kAskAll when a question has to go out now; the entry is then kIncomplete.
  NeighbourAction Use(uint32_t index, Instant now);

  // `connection` is about to send to it, and has come as far as `mark`, a number that changes when new data
  // or a new acknowledgement arrives, and then only. RFC 4861 7.3.1: such progress between two calls says
  // that what is sent arrives, as well as an answer would. Costs nothing while the entry is kReachable: it
  // need not be called then.
  void Witness(uint32_t index, uint32_t connection, uint32_t generation, uint32_t mark, Instant now);

  // Whoever uses it hears nothing from beyond: it is asked again when next used (RFC 4861 7.3.1, RFC
  // 1122 3.3.1.4).
  void Doubt(uint32_t index, Instant now);

  // An ARP packet or an advertisement of `address` says `mac`. `confirmed`: in answer to our question (ARP
  // reply to us, solicited advertisement). `may_override`: may replace an address that we have.
  LearnResult Learn(uint16_t interface, const wire::IpAddress& address, const wire::MacAddress& mac,
                    bool confirmed, bool may_override, Instant now);

  // How long an answer counts, and how long one is waited for, from the next on (RFC 4861 6.3.4). Of the
  // whole table: with several interfaces the last word of any counts. Zero: as it was.
  void SetTimes(Duration reachable, Duration retry);
  Duration retry_time() const { return retry_time_; }

  // Takes one entry whose time has come; kNoSlot when there is none. Entries that merely leave are dealt with
  // inside.
  uint32_t TakeDue(Instant now, NeighbourAction* action);
  Instant NextDeadline() const;

  Neighbour& operator[](uint32_t index) { return entries_[index]; }
  const Neighbour& operator[](uint32_t index) const { return entries_[index]; }
  uint32_t in_use() const { return entries_.in_use(); }
  // Calls fn(index) for every entry; for telemetry.
  template <typename F>
  void ForEach(F&& fn) const {
    for (uint32_t head : heads_) {
      for (uint32_t i = head; i != kNoSlot; i = entries_[i].hash_next) fn(i);
    }
  }

 private:
  using TimerList = IntrusiveList<Neighbour, &Neighbour::timer>;

  uint32_t& Head(uint16_t interface, const wire::IpAddress& address);
  uint32_t Add(uint16_t interface, const wire::IpAddress& address, Instant now);
  bool MakeRoom();
  void Remove(uint32_t index);
  static bool Disposable(const Neighbour& n);
  // Every list holds entries that wait equally long, and so is sorted. After SetTimes some wait a bit longer
  // instead.
  void Schedule(uint32_t index, Instant now);
  void Unschedule(uint32_t index);
  TimerList& ListFor(const Neighbour& n);
  void Enter(uint32_t index, NeighbourState state, Instant now);
  NeighbourAction OnRetryDue(uint32_t index, Instant now);

  HashKey secret_;
  std::vector<uint32_t> heads_;
  SlotPool<Neighbour, 6> entries_;
  Duration reachable_time_ = kNeighbourReachable;
  Duration retry_time_ = kNeighbourRetry;
  TimerList retrying_;   // kIncomplete, kProbe
  TimerList reachable_;  // kReachable
  TimerList delayed_;    // kDelay
  TimerList resting_;    // kIdle, kStale: leave when still unused
};

}  // namespace tern::stack

#endif  // TERN_STACK_NEIGHBOUR_H_
