// A number that one thread writes and any thread may read.
#ifndef TERN_DRIVERS_GLUE_COUNTER_H_
#define TERN_DRIVERS_GLUE_COUNTER_H_

#include <atomic>
#include <cstdint>

namespace tern {

// Adding is a plain load and store: there is one writer, so nothing needs to be locked.
class Counter {
 public:
  void Add(uint64_t n) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

}  // namespace tern

#endif  // TERN_DRIVERS_GLUE_COUNTER_H_
