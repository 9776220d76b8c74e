#include "runtime/doorbell.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <thread>

namespace tern::runtime {
namespace {

bool Readable(int fd) {
  pollfd p = {.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&p, 1, 0) == 1;
}

TEST(Doorbell, SilentUnlessArmed) {
  Doorbell bell;
  ASSERT_GE(bell.fd(), 0);
  bell.Ring();
  EXPECT_FALSE(Readable(bell.fd()));
  bell.Arm();
  EXPECT_FALSE(Readable(bell.fd()));
  bell.Ring();
  EXPECT_TRUE(Readable(bell.fd()));
  bell.Disarm();
  EXPECT_FALSE(Readable(bell.fd()));
  bell.Ring();
  EXPECT_FALSE(Readable(bell.fd()));
}

// A ball goes to and fro; each side sleeps whenever it does not have it. A lost wake-up would hang here.
TEST(Doorbell, NoWakeUpIsLost) {
  constexpr int kRounds = 20'000;
  Doorbell bells[2];
  std::atomic<int> ball{0};
  const auto side = [&](int me) {
    for (int round = 0; round < kRounds; ++round) {
      const int mine = 2 * round + me;
      while (ball.load(std::memory_order_acquire) != mine) {
        bells[me].Arm();
        if (ball.load(std::memory_order_acquire) != mine) {
          pollfd p = {.fd = bells[me].fd(), .events = POLLIN, .revents = 0};
          poll(&p, 1, -1);
        }
        bells[me].Disarm();
      }
      ball.store(mine + 1, std::memory_order_release);
      bells[1 - me].Ring();
    }
  };
  std::thread other(side, 1);
  side(0);
  other.join();
  EXPECT_EQ(ball.load(), 2 * kRounds);
}

}  // namespace
}  // namespace tern::runtime
