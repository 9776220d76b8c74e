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

// The server keeps nothing of a handshake: whatever the link loses, repeats and reorders, and whatever
// options the client has, the streams are exact.
TEST(World, EveryStreamIsExactWithCookiesAlone) {
  uint64_t by_cookie = 0;
  for (uint64_t seed = 1; seed <= kSeeds / 2; ++seed) {
    const Outcome outcome =
        World({.seed = seed, .ipv6 = seed % 2 == 0, .syn_cookies = stack::SynCookies::kAlways}).Run();
    ASSERT_EQ(outcome.failure, "") << "seed " << seed;
    by_cookie += outcome.by_cookie;
  }
  EXPECT_GT(by_cookie, kSeeds);
}

TEST(World, CookiesAndEveryCombinationOfOptions) {
  for (unsigned bits = 0; bits < 8; ++bits) {
    WorldOptions options{
        .seed = 7, .connections = 4, .impair = false, .syn_cookies = stack::SynCookies::kAlways};
    options.random_tcp = false;
    options.tcp.timestamps = (bits & 1) != 0;
    options.tcp.sack = (bits & 2) != 0;
    options.tcp.window_scale = (bits & 4) != 0;
    for (const bool ipv6 : {false, true}) {
      options.ipv6 = ipv6;
      const Outcome outcome = World(options).Run();
      EXPECT_EQ(outcome.failure, "") << bits;
      EXPECT_EQ(outcome.by_cookie, 4u);
      EXPECT_EQ(outcome.retransmitted, 0u);
    }
  }
}

// RFC 1191, RFC 8201: whatever else the link loses, and whatever options the hosts have.
TEST(World, EveryStreamIsExactOnALinkThatSaysWhatItCarries) {
  uint64_t too_big = 0;
  for (uint64_t seed = 1; seed <= kSeeds / 5; ++seed) {
    WorldOptions options{.seed = seed, .ipv6 = seed % 2 == 0, .impair = false};
    options.link = {.loss_ppm = seed % 3 == 0 ? 20'000u : 0,
                    .carries = 1'280 + 7 * static_cast<uint32_t>(seed)};
    options.link.tells = true;
    const Outcome outcome = World(options).Run();
    ASSERT_EQ(outcome.failure, "") << "seed " << seed;
    too_big += outcome.too_big;
  }
  EXPECT_GT(too_big, 2 * kSeeds / 5);
}

// RFC 8899: it drops what is too big, and nobody says so.
TEST(World, EveryStreamIsExactThroughABlackHole) {
  uint64_t black_holes = 0;
  for (uint64_t seed = 1; seed <= kSeeds / 5; ++seed) {
    WorldOptions options{.seed = seed, .ipv6 = seed % 2 == 0, .impair = false};
    options.link = {.loss_ppm = seed % 3 == 0 ? 20'000u : 0,
                    .carries = 1'280 + 7 * static_cast<uint32_t>(seed)};
    const Outcome outcome = World(options).Run();
    ASSERT_EQ(outcome.failure, "") << "seed " << seed;
    black_holes += outcome.black_holes;
  }
  EXPECT_GT(black_holes, kSeeds / 5);
}

// Each search from the start, on links that do everything wrong.
TEST(World, EveryStreamIsExactWhereEveryPathIsProbed) {
  for (uint64_t seed = 1; seed <= kSeeds / 5; ++seed) {
    WorldOptions options{.seed = seed, .ipv6 = seed % 2 == 0};
    options.tcp.plpmtud = tcp::PathProbing::kAlways;
    const Outcome outcome = World(options).Run();
    ASSERT_EQ(outcome.failure, "") << "seed " << seed;
    options.fast_path = false;
    EXPECT_EQ(World(options).Run().trace, outcome.trace) << "seed " << seed;
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
