#include "sim/world.h"

#include <gtest/gtest.h>

namespace tern::sim {
namespace {

constexpr uint64_t kSeeds = 150;

TEST(World, EveryStreamIsExactWhateverTheLinkDoes) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Outcome outcome = World({.seed = seed}).Run();
    ASSERT_EQ(outcome.failure, "") << "replay: tern-sim --seed " << seed;
    EXPECT_GT(outcome.frames, 0u);
  }
}

TEST(World, OneSeedReplaysToTheByte) {
  const Outcome first = World({.seed = 42}).Run();
  const Outcome second = World({.seed = 42}).Run();
  const Outcome other = World({.seed = 43}).Run();
  EXPECT_EQ(first.trace, second.trace);
  EXPECT_NE(first.trace, other.trace);
}

TEST(World, TheFastPathChangesNothing) {
  for (uint64_t seed = 1; seed <= kSeeds / 3; ++seed) {
    const Outcome fast = World({.seed = seed}).Run();
    const Outcome slow = World({.seed = seed, .fast_path = false}).Run();
    ASSERT_EQ(fast.trace, slow.trace) << "seed " << seed;
  }
}

TEST(World, ADeadLinkCompletesNothing) {
  WorldOptions options{.seed = 5, .link = {.loss_ppm = 1'000'000}, .impair = false};
  const Outcome outcome = World(options).Run();
  EXPECT_EQ(outcome.completed, 0u);
  EXPECT_EQ(outcome.unreachable, options.connections);
}

// A checker that cannot fail proves nothing.
TEST(World, OneWrongByteIsNoticed) {
  WorldOptions options{.seed = 5, .impair = false, .lying_server = true};
  EXPECT_NE(World(options).Run().failure.find("is wrong at 0"), std::string::npos);
}

TEST(World, ACleanLinkNeedsNoRetransmission) {
  WorldOptions options{.seed = 6, .connections = 4, .impair = false, .random_tcp = false};
  const Outcome outcome = World(options).Run();
  EXPECT_EQ(outcome.failure, "");
  EXPECT_EQ(outcome.retransmitted, 0u);
}

}  // namespace
}  // namespace tern::sim
