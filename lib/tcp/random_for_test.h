// A seeded source of small numbers for tests: base/prng.h, in the 32 bits that sequence numbers have.
#ifndef TERN_TCP_RANDOM_FOR_TEST_H_
#define TERN_TCP_RANDOM_FOR_TEST_H_

#include <cstdint>

#include "base/prng.h"

namespace tern::tcp {

class Random {
 public:
  explicit Random(uint32_t seed) : prng_(seed) {}
  // 0 .. n - 1. REQUIRES: n > 0.
  uint32_t Below(uint32_t n) { return static_cast<uint32_t>(prng_.Below(n)); }
  bool OneIn(uint32_t n) { return Below(n) == 0; }

 private:
  Prng prng_;
};

}  // namespace tern::tcp

#endif  // TERN_TCP_RANDOM_FOR_TEST_H_
