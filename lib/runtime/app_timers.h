// Timers of application code on a worker: few, rare, allocated. Connections' timers live in the shard's
// wheel.
#ifndef TERN_RUNTIME_APP_TIMERS_H_
#define TERN_RUNTIME_APP_TIMERS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "base/instant.h"

namespace tern::runtime {

// One thread. Calls fire in order of their time, equal times in order of setting.
class AppTimers {
 public:
  using Id = uint64_t;  // never 0, never used again

  Id Set(Instant at, std::function<void()> fn) {
    const Id id = ++last_id_;
    by_time_.emplace(std::pair(at, id), std::move(fn));
    times_.emplace(id, at);
    return id;
  }

  // Harmless for one that has fired or was cancelled.
  void Cancel(Id id) {
    const auto found = times_.find(id);
    if (found == times_.end()) return;
    by_time_.erase(std::pair(found->second, id));
    times_.erase(found);
  }

  // Calls what is due at `now`; true if there was any. What is set meanwhile, even for `now`, waits for the
  // next call, so that it ends.
  bool Fire(Instant now) {
    const Id last = last_id_;
    bool fired = false;
    while (!by_time_.empty()) {
      const auto first = by_time_.begin();
      if (first->first.first > now || first->first.second > last) break;
      const std::function<void()> fn = std::move(first->second);
      times_.erase(first->first.second);
      by_time_.erase(first);
      fired = true;
      fn();
    }
    return fired;
  }

  Instant Next() const { return by_time_.empty() ? Instant::Never() : by_time_.begin()->first.first; }
  size_t count() const { return by_time_.size(); }
  void Clear() {
    by_time_.clear();
    times_.clear();
  }

 private:
  std::map<std::pair<Instant, Id>, std::function<void()>> by_time_;
  std::map<Id, Instant> times_;
  Id last_id_ = 0;
};

}  // namespace tern::runtime

#endif  // TERN_RUNTIME_APP_TIMERS_H_
