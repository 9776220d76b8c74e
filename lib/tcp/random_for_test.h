// A seeded source of small numbers for tests.
#ifndef TERN_TCP_RANDOM_FOR_TEST_H_
#define TERN_TCP_RANDOM_FOR_TEST_H_

#include <cstdint>
#include <random>

namespace tern::tcp {

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  // 0 .. n - 1. REQUIRES: n > 0. The same everywhere: no std distribution is.
  uint32_t Below(uint32_t n) { return static_cast<uint32_t>(engine_()) % n; }
  bool OneIn(uint32_t n) { return Below(n) == 0; }

 private:
  std::mt19937 engine_;
};

}  // namespace tern::tcp

#endif  // TERN_TCP_RANDOM_FOR_TEST_H_
