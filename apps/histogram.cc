#include "apps/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace tern::apps {

Histogram::Histogram() : counts_(IndexOf(kMaxNanos) + 1) {}

size_t Histogram::IndexOf(uint64_t nanos) {
  if (nanos < 2 * kHalf) return nanos;
  const unsigned shift = static_cast<unsigned>(std::bit_width(nanos)) - kSubBits;
  return shift * kHalf + (nanos >> shift);
}

uint64_t Histogram::LowestOf(size_t index) {
  if (index < 2 * kHalf) return index;
  const uint64_t shift = index / kHalf - 1;
  return (index - shift * kHalf) << shift;
}

uint64_t Histogram::HighestOf(size_t index) { return LowestOf(index + 1) - 1; }

void Histogram::RecordMany(int64_t nanos, uint64_t times) {
  nanos = std::clamp<int64_t>(nanos, 1, kMaxNanos);
  counts_[IndexOf(static_cast<uint64_t>(nanos))] += times;
  min_ = count_ == 0 ? nanos : std::min(min_, nanos);
  max_ = count_ == 0 ? nanos : std::max(max_, nanos);
  count_ += times;
  sum_ += static_cast<double>(nanos) * static_cast<double>(times);
}

void Histogram::RecordWithExpectedInterval(int64_t nanos, int64_t interval) {
  Record(nanos);
  if (interval <= 0) return;
  // Walks down bucket by bucket, not value by value: a long stall at a high rate means millions of values.
  int64_t value = std::min(nanos, kMaxNanos) - interval;
  while (value >= interval) {
    const auto lowest = static_cast<int64_t>(LowestOf(IndexOf(static_cast<uint64_t>(value))));
    const int64_t last = std::max(lowest, interval);
    const int64_t more = (value - last) / interval;
    const int64_t least = value - more * interval;
    const double sum_before = sum_;
    RecordMany(least, static_cast<uint64_t>(more) + 1);
    // The bucket does not tell the values apart, the mean does: the sum of an arithmetic series.
    sum_ = sum_before +
           (static_cast<double>(value) + static_cast<double>(least)) / 2 * static_cast<double>(more + 1);
    value = least - interval;
  }
}

void Histogram::Merge(const Histogram& other) {
  if (other.count_ == 0) return;
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  min_ = count_ == 0 ? other.min_ : std::min(min_, other.min_);
  max_ = count_ == 0 ? other.max_ : std::max(max_, other.max_);
  count_ += other.count_;
  sum_ += other.sum_;
}

void Histogram::Clear() {
  std::fill(counts_.begin(), counts_.end(), 0);
  count_ = 0;
  sum_ = 0;
  min_ = 0;
  max_ = 0;
}

int64_t Histogram::Percentile(double percent) const {
  if (count_ == 0) return 0;
  if (percent <= 0) return min_;
  const double exact = percent / 100.0 * static_cast<double>(count_);
  const auto rank = std::min(count_, static_cast<uint64_t>(std::max(1.0, std::ceil(exact))));
  uint64_t seen = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen >= rank) return std::min(max_, static_cast<int64_t>(HighestOf(i)));
  }
  return max_;
}

}  // namespace tern::apps
