#include "runtime/app_timers.h"

#include <gtest/gtest.h>

#include <vector>

namespace tern::runtime {
namespace {

Instant At(int64_t ns) { return Instant::FromNanos(ns); }

TEST(AppTimers, FireInOrderOfTime) {
  AppTimers timers;
  std::vector<int> order;
  timers.Set(At(30), [&] { order.push_back(3); });
  timers.Set(At(10), [&] { order.push_back(1); });
  timers.Set(At(10), [&] { order.push_back(2); });
  EXPECT_EQ(timers.Next(), At(10));
  EXPECT_FALSE(timers.Fire(At(9)));
  EXPECT_TRUE(timers.Fire(At(10)));
  EXPECT_EQ(order, (std::vector{1, 2}));
  EXPECT_TRUE(timers.Fire(At(99)));
  EXPECT_EQ(order, (std::vector{1, 2, 3}));
  EXPECT_EQ(timers.count(), 0u);
  EXPECT_EQ(timers.Next(), Instant::Never());
}

TEST(AppTimers, CancelIsHarmlessTwice) {
  AppTimers timers;
  bool fired = false;
  const AppTimers::Id id = timers.Set(At(1), [&] { fired = true; });
  timers.Cancel(id);
  timers.Cancel(id);
  timers.Cancel(12345);
  EXPECT_FALSE(timers.Fire(At(2)));
  EXPECT_FALSE(fired);
}

TEST(AppTimers, MaySetAndCancelFromInside) {
  AppTimers timers;
  int count = 0;
  AppTimers::Id victim = 0;
  std::function<void()> again = [&] {
    ++count;
    timers.Cancel(victim);
    timers.Set(At(5), again);
  };
  timers.Set(At(5), again);
  victim = timers.Set(At(5), [&] { count += 100; });
  // What is set for the present moment from inside waits for the next call: this ends.
  EXPECT_TRUE(timers.Fire(At(5)));
  EXPECT_EQ(count, 1);
  EXPECT_TRUE(timers.Fire(At(5)));
  EXPECT_EQ(count, 2);
}

}  // namespace
}  // namespace tern::runtime
