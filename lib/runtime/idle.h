// What a worker does when a turn of its loop found nothing.
#ifndef TERN_RUNTIME_IDLE_H_
#define TERN_RUNTIME_IDLE_H_

#include <cstdint>

#include "base/instant.h"

namespace tern::runtime {

enum class IdlePolicy : uint8_t { kAdaptive, kYield, kSpin };

enum class IdleStep : uint8_t {
  kPoll,   // go round again at once
  kYield,  // let somebody else have the CPU for a moment
  kSleep,  // sleep in the kernel, at most as long as said
};

struct IdleDecision {
  IdleStep step = IdleStep::kPoll;
  Duration longest = Duration::Zero();  // of kSleep
};

// The policy as a value: told what each turn found, says what to do next. No clock, no system call.
//
// Adaptive: poll for `spin`; then yield between polls for as long again, so that a peer on the same core gets
// on with what we wait for; then sleep, until packet or wake-up where the device can, else for naps that
// begin short and double.
class IdleGovernor {
 public:
  // The first nap, and the longest, where sleeping would not end by a packet.
  static constexpr Duration kFirstNap = Duration::Micros(20);
  static constexpr Duration kLongestNap = Duration::Micros(500);
  // The longest sleep that a packet ends: bounds what a lost wake-up could cost.
  static constexpr Duration kLongestWait = Duration::Millis(100);
  // Sleeping less than this costs more than it gives.
  static constexpr Duration kShortestSleep = Duration::Micros(5);

  IdleGovernor(IdlePolicy policy, Duration spin) : policy_(policy), spin_(spin) {}

  void FoundWork() { idle_since_ = Instant::Never(); }

  // Whether FoundNothing would look at the deadline at all: finding it is work.
  bool WantsDeadline(Instant now) const {
    return policy_ == IdlePolicy::kAdaptive && idle_since_ != Instant::Never() &&
           now - idle_since_ >= spin_ * 2;
  }

  // After a turn that found nothing. `deadline`: when there will be work even without a packet.
  // `wakes_on_receive`: the device ends a sleep when a packet comes.
  IdleDecision FoundNothing(Instant now, Instant deadline, bool wakes_on_receive);

 private:
  IdlePolicy policy_;
  Duration spin_;
  Instant idle_since_ = Instant::Never();
  Duration nap_ = kFirstNap;
};

}  // namespace tern::runtime

#endif  // TERN_RUNTIME_IDLE_H_
