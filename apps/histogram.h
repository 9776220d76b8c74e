// Latencies by log-linear buckets (a high dynamic range histogram): constant memory, three significant
// digits.
#ifndef TERN_APPS_HISTOGRAM_H_
#define TERN_APPS_HISTOGRAM_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tern::apps {

// Counts values from 1 ns to one hour; what lies outside is counted as the nearest end. A bucket's width is
// at most 1/1024 of the values in it, so a percentile is right to three significant digits. About 264 KiB,
// allocated once.
//
// Thread: one writer. Copies and Merge are for whoever owns the histogram by then.
class Histogram {
 public:
  static constexpr int64_t kMaxNanos = 3'600'000'000'000;

  Histogram();

  // O(1), no allocation.
  void Record(int64_t nanos) { RecordMany(nanos, 1); }

  // For a loop that could not issue the requests which fell due while one took `nanos`: records it, and
  // beside it the waits those requests would have seen (nanos - interval, nanos - 2 interval, ...). Without
  // them the slowest moments would be the ones least sampled ("coordinated omission"). An interval <= 0 adds
  // nothing. Bounded by the number of buckets, whatever the arguments.
  void RecordWithExpectedInterval(int64_t nanos, int64_t interval);

  void Merge(const Histogram& other);
  void Clear();

  uint64_t count() const { return count_; }
  // All 0 while nothing is recorded. Not rounded to buckets.
  int64_t min() const { return count_ == 0 ? 0 : min_; }
  int64_t max() const { return count_ == 0 ? 0 : max_; }
  double mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

  // The smallest recorded value (to three digits, rounded up) that at least `percent` of all values do not
  // exceed. 0 gives the minimum, 100 the maximum.
  int64_t Percentile(double percent) const;

 private:
  // Values below 2048 have a bucket each; above, every power of two has 1024.
  static constexpr unsigned kSubBits = 11;
  static constexpr uint64_t kHalf = uint64_t{1} << (kSubBits - 1);

  static size_t IndexOf(uint64_t nanos);
  static uint64_t LowestOf(size_t index);
  static uint64_t HighestOf(size_t index);
  void RecordMany(int64_t nanos, uint64_t times);

  std::vector<uint64_t> counts_;
  uint64_t count_ = 0;
  double sum_ = 0;  // exact up to 2^53 ns, a hundred days of waiting
  int64_t min_ = 0;
  int64_t max_ = 0;
};

}  // namespace tern::apps

#endif  // TERN_APPS_HISTOGRAM_H_
