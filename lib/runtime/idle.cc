#include "runtime/idle.h"

#include <algorithm>

namespace tern::runtime {

IdleDecision IdleGovernor::FoundNothing(Instant now, Instant deadline, bool wakes_on_receive) {
  if (policy_ == IdlePolicy::kSpin) return {};
  if (policy_ == IdlePolicy::kYield) return {.step = IdleStep::kYield};
  if (idle_since_ == Instant::Never()) {
    idle_since_ = now;
    nap_ = kFirstNap;
  }
  const Duration idle = now - idle_since_;
  if (idle < spin_) return {};
  if (idle < spin_ * 2) return {.step = IdleStep::kYield};

  Duration longest = wakes_on_receive ? kLongestWait : nap_;
  if (deadline != Instant::Never()) longest = std::min(longest, deadline - now);
  if (longest < kShortestSleep) return {.step = IdleStep::kYield};
  if (!wakes_on_receive) nap_ = std::min(nap_ * 2, kLongestNap);
  return {.step = IdleStep::kSleep, .longest = longest};
}

}  // namespace tern::runtime
