#include "drivers_glue/impaired_link.h"

#include <algorithm>
#include <utility>

namespace tern {

void FlipBit(std::span<uint8_t> frame, uint64_t bit) {
  if (frame.empty()) return;
  bit %= frame.size() * 8;
  frame[bit / 8] = static_cast<uint8_t>(frame[bit / 8] ^ (1U << (bit % 8)));
}

ImpairedLink::Fate ImpairedLink::Decide(size_t length, Instant now) {
  counters_.seen.Add(1);
  Fate fate;
  // Every draw is made for every frame, so that changing one chance leaves the others' choices as they were.
  fate.lost = prng_.Bernoulli(impairment_.loss_ppm);
  fate.duplicated = prng_.Bernoulli(impairment_.duplicate_ppm);
  const bool reordered = prng_.Bernoulli(impairment_.reorder_ppm);
  fate.corrupted = prng_.Bernoulli(impairment_.corrupt_ppm);
  fate.corrupt_bit = prng_.Next64();
  const int64_t jitter = impairment_.jitter.nanos();
  const Duration extra = Duration::Nanos(prng_.Between(-jitter, jitter));
  if (fate.lost) {
    counters_.lost.Add(1);
    return fate;
  }

  Instant leaves = now;
  if (impairment_.rate_bps != 0) {
    constexpr uint64_t kNanosPerSecond = 1'000'000'000;
    const auto serialise = static_cast<int64_t>(length * 8 * kNanosPerSecond / impairment_.rate_bps);
    line_free_ = std::max(line_free_, now) + Duration::Nanos(serialise);
    leaves = line_free_;
  }
  leaves = std::max(leaves + impairment_.delay + extra, leaves);
  if (reordered) {
    counters_.reordered.Add(1);
    leaves = leaves + impairment_.reorder_by;
  } else {
    last_leaves_ = leaves = std::max(leaves, last_leaves_);
  }
  if (fate.corrupted) counters_.corrupted.Add(1);
  fate.leaves = leaves;
  return fate;
}

bool ImpairedLink::LeavesLater(const Held& a, const Held& b) {
  return a.leaves != b.leaves ? a.leaves > b.leaves : a.order > b.order;
}

bool ImpairedLink::Hold(std::span<const uint8_t> frame, Instant leaves, const RxFrame& about) {
  if (heap_.size() >= impairment_.queue) {
    counters_.overflowed.Add(1);
    return false;
  }
  Held held;
  held.leaves = leaves;
  held.order = next_order_++;
  if (!storage_.empty()) {
    held.bytes = std::move(storage_.back());
    storage_.pop_back();
  }
  held.bytes.assign(frame.begin(), frame.end());
  held.about = about;
  held.about.buffer = nullptr;
  heap_.push_back(std::move(held));
  std::push_heap(heap_.begin(), heap_.end(), LeavesLater);
  return true;
}

std::span<const uint8_t> ImpairedLink::Due(Instant now) const {
  if (heap_.empty() || heap_.front().leaves > now) return {};
  return heap_.front().bytes;
}

void ImpairedLink::Pop() {
  std::pop_heap(heap_.begin(), heap_.end(), LeavesLater);
  storage_.push_back(std::move(heap_.back().bytes));
  heap_.pop_back();
}

void ImpairedLink::Clear() {
  while (!heap_.empty()) Pop();
}

}  // namespace tern
