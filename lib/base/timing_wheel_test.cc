#include "base/timing_wheel.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "base/hash.h"

namespace tern {
namespace {

constexpr uint32_t kNoLimit = 0xffffffff;
constexpr int64_t kTickNanos = TimingWheel::kTick.nanos();

constexpr Instant At(int64_t nanos) { return Instant::FromNanos(nanos); }

// The owner as connections do it: one deadline and one generation for each slot. Beside it a sorted multimap
// says what ought to have fired.
class Owner {
 public:
  Owner(TimingWheel& wheel, uint32_t slots, Instant start) : wheel_(wheel), states_(slots), last_(start) {}

  // Sets or moves a deadline in the cheapest way the contract allows.
  void Set(uint32_t slot, Instant deadline) {
    // A deadline already past when it is set comes at the tick after.
    deadline = std::max(deadline, Reached() + Duration::Nanos(1));
    State& s = states_[slot];
    Forget(slot);
    s.deadline = deadline;
    s.in_model = model_.emplace(deadline, slot);
    s.live = true;
    if (s.entry_at <= deadline) return;  // an entry comes in time and will be answered with the new deadline
    ASSERT_TRUE(wheel_.Arm(slot, ++s.generation, deadline));
    s.entry_at = deadline;
  }
  void Cancel(uint32_t slot) {
    Forget(slot);
    states_[slot].deadline = Instant::Never();
  }
  // The slot gets a new life, as when a connection ends and its slot is taken again.
  void Retire(uint32_t slot) {
    Cancel(slot);
    ++states_[slot].generation;
    states_[slot].entry_at = Instant::Never();
  }

  Instant Present(uint32_t slot, uint32_t generation, Instant now) {
    State& s = states_[slot];
    ++presented_;
    if (generation != s.generation) return Instant::Never();
    s.entry_at = s.deadline;
    if (!s.live || s.deadline > now) return s.deadline;
    ++fired_;
    Forget(slot);
    s.deadline = s.entry_at = Instant::Never();
    if (on_fire) on_fire(slot, now);
    return Instant::Never();
  }

  uint32_t Step(Instant now, uint32_t max_fires) {
    last_ = now;
    return wheel_.Advance(now, max_fires, [this](uint32_t slot, uint32_t generation, Instant when) {
      return Present(slot, generation, when);
    });
  }
  // Advances to `now`, checks that exactly what is due fired, and that the wheel asks to be called in time.
  void AdvanceTo(Instant now, uint32_t max_fires = kNoLimit) {
    while (Step(now, max_fires) == max_fires) {
    }
    Check();
  }
  void Check() const {
    if (model_.empty()) return;
    const Instant earliest = model_.begin()->first;
    ASSERT_GT(earliest, Reached()) << "a due timer did not fire";
    ASSERT_LE(wheel_.NextExpiry(), std::max(earliest, last_) + TimingWheel::kTick);
  }

  uint64_t fired() const { return fired_; }
  uint64_t presented() const { return presented_; }
  size_t waiting() const { return model_.size(); }
  Instant earliest() const { return model_.begin()->first; }
  std::function<void(uint32_t, Instant)> on_fire;

 private:
  using Model = std::multimap<Instant, uint32_t>;
  struct State {
    Instant deadline = Instant::Never();
    Instant entry_at = Instant::Never();  // when the entry of this generation comes at the latest
    uint32_t generation = 0;
    bool live = false;
    Model::iterator in_model;
  };
  Instant Reached() const { return At(last_.nanos() / kTickNanos * kTickNanos); }
  void Forget(uint32_t slot) {
    if (states_[slot].live) model_.erase(states_[slot].in_model);
    states_[slot].live = false;
  }

  TimingWheel& wheel_;
  std::vector<State> states_;
  Model model_;
  Instant last_;
  uint64_t fired_ = 0;
  uint64_t presented_ = 0;
};

// Deterministic and small; the prng has its own test.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Below(uint64_t n) { return MixBits(state_ += 0x9e3779b97f4a7c15) % n; }
  // Spread evenly over magnitudes up to 2^bits: every level is hit alike.
  int64_t Scaled(unsigned bits) { return static_cast<int64_t>(Below(uint64_t{1} << (1 + Below(bits)))); }

 private:
  uint64_t state_;
};

// Presents everything due and returns {slot, nanoseconds} in order.
std::vector<std::pair<uint32_t, Instant>> Fire(TimingWheel& wheel, Instant now) {
  std::vector<std::pair<uint32_t, Instant>> fired;
  wheel.Advance(now, kNoLimit, [&](uint32_t slot, uint32_t, Instant when) {
    fired.emplace_back(slot, when);
    return Instant::Never();
  });
  return fired;
}

TEST(TimingWheel, EmptyWheelAsksForNothing) {
  TimingWheel wheel(HeapMemory(), 10, At(0));
  EXPECT_EQ(wheel.NextExpiry(), Instant::Never());
  EXPECT_TRUE(Fire(wheel, At(1'000'000'000'000'000)).empty());
  EXPECT_TRUE(wheel.Arm(1, 1, Instant::Never()));
  EXPECT_EQ(wheel.entries(), 0u);
}

TEST(TimingWheel, FiresAtTheTickThatIsNotEarly) {
  for (const int64_t deadline :
       {int64_t{1}, kTickNanos - 1, kTickNanos, kTickNanos + 1, 255 * kTickNanos, 200 * kTickNanos + 7}) {
    TimingWheel wheel(HeapMemory(), 10, At(0));
    ASSERT_TRUE(wheel.Arm(7, 3, At(deadline)));
    const Instant due = wheel.NextExpiry();
    EXPECT_GE(due, At(deadline));
    EXPECT_LT(due, At(deadline) + TimingWheel::kTick);
    EXPECT_TRUE(Fire(wheel, due - Duration::Nanos(1)).empty()) << deadline;
    EXPECT_EQ(Fire(wheel, due).size(), 1u) << deadline;
    EXPECT_EQ(wheel.chunks_in_use(), 0u);
  }
}

TEST(TimingWheel, PastDeadlineComesAtTheNextTick) {
  const Instant start = At(1'000'000'000);
  TimingWheel wheel(HeapMemory(), 10, start);
  ASSERT_TRUE(wheel.Arm(1, 1, At(5)));
  ASSERT_TRUE(wheel.Arm(2, 1, At(-5)));
  EXPECT_LE(wheel.NextExpiry(), start + TimingWheel::kTick);
  EXPECT_EQ(Fire(wheel, start + TimingWheel::kTick).size(), 2u);
}

TEST(TimingWheel, AnswerInThePastComesOnceACall) {
  TimingWheel wheel(HeapMemory(), 10, At(0));
  ASSERT_TRUE(wheel.Arm(1, 1, At(100)));
  const auto stubborn = [](uint32_t, uint32_t, Instant) { return At(0); };
  const Instant hours_later = At(3'600'000'000'000);
  EXPECT_EQ(wheel.Advance(hours_later, kNoLimit, stubborn), 1u);
  EXPECT_EQ(wheel.Advance(hours_later, kNoLimit, stubborn), 0u);
  EXPECT_EQ(wheel.Advance(hours_later + TimingWheel::kTick, kNoLimit, stubborn), 1u);
}

TEST(TimingWheel, WorkIsBoundedAndResumes) {
  TimingWheel wheel(HeapMemory(), 100, At(0));
  for (uint32_t i = 0; i < 100; ++i) ASSERT_TRUE(wheel.Arm(i, 0, At(i < 50 ? 1 : 40'000'000)));
  std::vector<bool> seen(100);
  const auto owner = [&](uint32_t slot, uint32_t, Instant) {
    EXPECT_FALSE(seen[slot]);
    seen[slot] = true;
    return Instant::Never();
  };
  const Instant now = At(100'000'000);
  EXPECT_EQ(wheel.Advance(now, 0, owner), 0u);
  for (int call = 0; call < 3; ++call) EXPECT_EQ(wheel.Advance(now, 30, owner), 30u);
  EXPECT_LE(wheel.NextExpiry(), now) << "more is due, so it asks to be called at once";
  EXPECT_EQ(wheel.Advance(now, 30, owner), 10u);
  EXPECT_EQ(wheel.entries(), 0u);
  EXPECT_EQ(wheel.NextExpiry(), Instant::Never());
}

TEST(TimingWheel, ArmedBetweenBoundedCallsIsNotLost) {
  TimingWheel wheel(HeapMemory(), 100, At(0));
  Owner owner(wheel, 100, At(0));
  for (uint32_t i = 0; i < 20; ++i) owner.Set(i, At(1000));
  const Instant now = At(10'000'000'000);
  EXPECT_EQ(owner.Step(now, 5), 5u);
  owner.Set(50, now + Duration::Millis(5));
  owner.Set(51, At(2000));
  EXPECT_EQ(owner.fired(), 5u);
  owner.AdvanceTo(now);
  EXPECT_EQ(owner.fired(), 20u);
  owner.AdvanceTo(now + TimingWheel::kTick);
  EXPECT_EQ(owner.fired(), 21u);
  owner.AdvanceTo(now + Duration::Millis(6));
  EXPECT_EQ(owner.fired(), 22u);
}

TEST(TimingWheel, BoundedCallsWhileTheClockRunsLoseNothing) {
  TimingWheel wheel(HeapMemory(), 3000, At(0));
  for (uint32_t i = 0; i < 3000; ++i) ASSERT_TRUE(wheel.Arm(i, 0, At(int64_t{i} * 1'000'000)));
  std::vector<int> seen(3000);
  Instant now = At(0);
  for (int call = 0; wheel.entries() != 0; ++call) {
    ASSERT_LT(call, 4000);
    now = now + Duration::Millis(100);
    wheel.Advance(now, 3, [&](uint32_t slot, uint32_t, Instant when) {
      if (At(int64_t{slot} * 1'000'000) > when) return At(int64_t{slot} * 1'000'000);
      ++seen[slot];
      return Instant::Never();
    });
  }
  EXPECT_EQ(seen, std::vector<int>(3000, 1));
  EXPECT_EQ(wheel.chunks_in_use(), 0u);
}

TEST(TimingWheel, OwnerMayArmWhileBeingAsked) {
  TimingWheel wheel(HeapMemory(), 2, At(0));
  ASSERT_TRUE(wheel.Arm(1, 0, At(100)));
  int asked = 0;
  const auto owner = [&](uint32_t slot, uint32_t, Instant now) {
    ++asked;
    if (slot == 1) {
      EXPECT_TRUE(wheel.Arm(2, 0, now));
      EXPECT_FALSE(wheel.Arm(3, 0, now)) << "the entry in hand still has its place";
      return now + Duration::Millis(1);
    }
    return Instant::Never();
  };
  EXPECT_EQ(wheel.Advance(At(1'000'000), kNoLimit, owner), 1u);
  EXPECT_EQ(wheel.entries(), 2u);
  EXPECT_EQ(wheel.Advance(At(1'100'000), kNoLimit, owner), 1u);
  EXPECT_EQ(Fire(wheel, At(3'000'000)).size(), 1u);
}

TEST(TimingWheel, LimitIsExactAndPlacesComeBack) {
  TimingWheel wheel(HeapMemory(), 3, At(0));
  for (uint32_t i = 0; i < 3; ++i) EXPECT_TRUE(wheel.Arm(i, 0, At(100)));
  EXPECT_FALSE(wheel.Arm(3, 0, At(100)));
  EXPECT_EQ(Fire(wheel, At(1'000'000)).size(), 3u);
  EXPECT_TRUE(wheel.Arm(3, 0, At(100)));
  TimingWheel none(HeapMemory(), 0, At(0));
  EXPECT_FALSE(none.Arm(0, 0, At(1)));
}

// Gives `blocks` blocks and then none.
class ScarceMemory final : public MemorySource {
 public:
  explicit ScarceMemory(int blocks) : left_(blocks) {}
  void* Allocate(size_t bytes) override { return left_-- > 0 ? HeapMemory().Allocate(bytes) : nullptr; }
  void Free(void* block, size_t bytes) override { HeapMemory().Free(block, bytes); }

 private:
  int left_;
};

TEST(TimingWheel, WithoutMemoryArmRefusesAndNothingArmedIsLost) {
  ScarceMemory memory(6);
  TimingWheel wheel(memory, 1'000'000, At(0));
  Random random(1);
  uint32_t armed = 0;
  while (wheel.Arm(armed, 0, At(random.Scaled(60)))) ++armed;
  EXPECT_GT(armed, 1000u);
  EXPECT_LT(armed, 1'000'000u);
  // Each answer moves its entry to another bucket at random: the worst spread needs the chunks held in
  // reserve.
  int64_t now = 0;
  for (int round = 0; round < 200; ++round) {
    now += random.Scaled(44);
    wheel.Advance(At(now), kNoLimit, [&](uint32_t, uint32_t, Instant when) {
      return when + Duration::Nanos(random.Scaled(60));
    });
    ASSERT_EQ(wheel.entries(), armed);
  }
  std::vector<bool> seen(armed);
  wheel.Advance(Instant::Never(), kNoLimit, [&](uint32_t slot, uint32_t, Instant) {
    EXPECT_FALSE(seen[slot]);
    seen[slot] = true;
    return Instant::Never();
  });
  EXPECT_EQ(wheel.entries(), 0u);
  EXPECT_EQ(wheel.chunks_in_use(), 0u);
}

TEST(TimingWheel, FarBeyondTheHorizonWaitsItsTime) {
  const int64_t day = 86'400'000'000'000;
  TimingWheel wheel(HeapMemory(), 10, At(12345));
  Owner owner(wheel, 2, At(12345));
  owner.Set(0, At(10 * day));
  owner.Set(1, Instant::Never() - Duration::Nanos(1));
  uint64_t calls = 0;
  // Follow only what the wheel asks for.
  while (owner.fired() == 0) {
    ASSERT_LE(wheel.NextExpiry(), At(10 * day) + TimingWheel::kTick);
    owner.AdvanceTo(wheel.NextExpiry());
    ASSERT_LT(++calls, 1000u);
  }
  // Ten days are about thirteen horizons; both entries are looked at in each.
  EXPECT_LT(owner.presented(), 50u);
  EXPECT_EQ(owner.waiting(), 1u);
}

TEST(TimingWheel, NextExpiryStaysInTimeAtItsVeryEnd) {
  const Instant start = Instant::Never() - Duration::Seconds(1);
  TimingWheel wheel(HeapMemory(), 10, start);
  ASSERT_TRUE(wheel.Arm(1, 0, Instant::Never() - Duration::Nanos(1)));
  EXPECT_GT(wheel.NextExpiry(), start);
  EXPECT_LT(wheel.NextExpiry(), Instant::Never());
}

TEST(TimingWheel, EntryIsPresentedAtMostOnceForEachLevel) {
  Random random(2);
  for (int i = 0; i < 2000; ++i) {
    const Instant start = At(random.Scaled(45));
    TimingWheel wheel(HeapMemory(), 1, start);
    Owner owner(wheel, 1, start);
    owner.Set(0, At(random.Scaled(45)));
    while (owner.fired() == 0) owner.AdvanceTo(wheel.NextExpiry());
    EXPECT_LE(owner.presented(), 4u);
  }
}

struct Shape {
  uint64_t seed;
  uint32_t slots;
  int steps;
  unsigned ops_a_step;
  unsigned deadline_bits;  // deadlines up to 2^bits ns ahead
  unsigned advance_bits;   // clock steps up to 2^bits ns
};

class TimingWheelRandom : public testing::TestWithParam<Shape> {};

TEST_P(TimingWheelRandom, AgreesWithASortedMultimap) {
  const Shape shape = GetParam();
  Random random(shape.seed);
  Instant now = At(random.Scaled(62));
  TimingWheel wheel(HeapMemory(), shape.slots * 64, now);
  Owner owner(wheel, shape.slots, now);
  owner.on_fire = [&](uint32_t slot, Instant when) {
    // Half re-arm themselves, as an interval timer would, and some wake a neighbour.
    if (random.Below(2) == 0) owner.Set(slot, when + Duration::Nanos(random.Scaled(shape.deadline_bits)));
    if (random.Below(8) == 0) {
      owner.Set(static_cast<uint32_t>(random.Below(shape.slots)), when + Duration::Nanos(random.Scaled(30)));
    }
  };
  for (int step = 0; step < shape.steps; ++step) {
    for (unsigned op = 0; op < shape.ops_a_step; ++op) {
      const auto slot = static_cast<uint32_t>(random.Below(shape.slots));
      switch (random.Below(8)) {
        case 0:
          owner.Cancel(slot);
          break;
        case 1:
          owner.Retire(slot);
          break;
        case 2:
          owner.Set(slot, now - Duration::Nanos(random.Scaled(20)));
          break;
        default:
          owner.Set(slot, now + Duration::Nanos(random.Scaled(shape.deadline_bits)));
      }
    }
    // Mostly small steps, now and then a jump far beyond, now and then just where the wheel asks.
    const uint64_t kind = random.Below(16);
    if (kind == 0) {
      now = now + Duration::Nanos(random.Scaled(shape.deadline_bits + 2));
    } else if (kind < 4 && wheel.NextExpiry() > now && wheel.NextExpiry() != Instant::Never()) {
      now = wheel.NextExpiry();
    } else {
      now = now + Duration::Nanos(random.Scaled(shape.advance_bits));
    }
    owner.AdvanceTo(now, random.Below(4) == 0 ? 1 + static_cast<uint32_t>(random.Below(100)) : kNoLimit);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(owner.fired(), 0u);
  owner.on_fire = nullptr;
  while (wheel.entries() != 0) {
    now = std::max(now, wheel.NextExpiry());
    owner.AdvanceTo(now);
    if (HasFatalFailure()) return;
  }
  EXPECT_EQ(owner.waiting(), 0u);
  EXPECT_EQ(wheel.chunks_in_use(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Shapes, TimingWheelRandom,
                         testing::Values(Shape{1, 50, 3000, 5, 24, 18}, Shape{2, 500, 1000, 50, 36, 26},
                                         Shape{3, 500, 1000, 50, 48, 34}, Shape{4, 3, 5000, 1, 50, 46},
                                         Shape{5, 2000, 300, 200, 52, 45}, Shape{6, 1, 5000, 1, 58, 47}));

TEST(TimingWheel, AMillionTimers) {
  constexpr uint32_t kTimers = 1'000'000;
  const Instant start = At(77'000'000'000);
  TimingWheel wheel(HeapMemory(), kTimers + kTimers / 2, start);
  Owner owner(wheel, kTimers, start);
  Random random(6);
  for (uint32_t slot = 0; slot < kTimers; ++slot) {
    owner.Set(slot, start + Duration::Nanos(static_cast<int64_t>(random.Below(60'000'000'000))));
  }
  EXPECT_LT(wheel.bytes_held(), kTimers * 10u) << "a timer should cost little more than its handle";
  // Move a half (some earlier, most later), cancel an eighth.
  for (uint32_t slot = 0; slot < kTimers; slot += 2) {
    owner.Set(slot, start + Duration::Nanos(static_cast<int64_t>(random.Below(120'000'000'000))));
  }
  for (uint32_t slot = 0; slot < kTimers; slot += 8) owner.Cancel(slot);
  Instant now = start;
  while (now < start + Duration::Seconds(120)) {
    now = now + Duration::Millis(static_cast<int64_t>(random.Below(2000)));
    owner.AdvanceTo(now);
    if (HasFatalFailure()) return;
  }
  EXPECT_EQ(owner.waiting(), 0u);
  EXPECT_EQ(owner.fired(), kTimers - kTimers / 8);
  EXPECT_EQ(wheel.entries(), 0u);
  EXPECT_EQ(wheel.chunks_in_use(), 0u);
}

}  // namespace
}  // namespace tern
