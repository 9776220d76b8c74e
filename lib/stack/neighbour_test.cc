#include "stack/neighbour.h"

#include <gtest/gtest.h>

#include <set>

namespace tern::stack {
namespace {

constexpr Instant At(int64_t millis) { return Instant::FromNanos(millis * 1'000'000); }
const wire::IpAddress kHost = wire::IpAddress::FromV4(10, 77, 0, 2);
const wire::MacAddress kMac({2, 0, 0, 0, 0, 2});
const wire::MacAddress kOtherMac({2, 0, 0, 0, 0, 9});

struct Due {
  uint32_t index;
  NeighbourAction action;
};

class NeighbourTest : public ::testing::Test {
 protected:
  Due Take(Instant now) {
    Due due{kNoSlot, NeighbourAction::kNone};
    due.index = table_.TakeDue(now, &due.action);
    return due;
  }
  LearnResult Confirm(Instant now, const wire::MacAddress& mac = kMac) {
    return table_.Learn(0, kHost, mac, true, true, now);
  }
  NeighbourTable table_{HeapMemory(), 4, HashKey{1, 2}};
};

TEST_F(NeighbourTest, AsksThreeTimesASecondApartThenFails) {
  const uint32_t n = table_.FindOrAdd(0, kHost, At(0));
  EXPECT_EQ(table_.FindOrAdd(0, kHost, At(0)), n);
  EXPECT_EQ(table_.Use(n, At(0)), NeighbourAction::kAskAll);
  EXPECT_EQ(table_.Use(n, At(1)), NeighbourAction::kNone);
  EXPECT_FALSE(table_[n].usable());
  EXPECT_EQ(Take(At(999)).index, kNoSlot);
  EXPECT_EQ(table_.NextDeadline(), At(1000));
  EXPECT_EQ(Take(At(1000)).action, NeighbourAction::kAskAll);
  EXPECT_EQ(Take(At(2000)).action, NeighbourAction::kAskAll);
  EXPECT_EQ(Take(At(2500)).index, kNoSlot);
  EXPECT_EQ(Take(At(3000)).action, NeighbourAction::kFailed);
  EXPECT_EQ(table_[n].state, NeighbourState::kIdle);
  // The next user starts all over.
  EXPECT_EQ(table_.Use(n, At(3500)), NeighbourAction::kAskAll);
}

TEST_F(NeighbourTest, AnAnswerMakesItReachable) {
  EXPECT_EQ(Confirm(At(0)), LearnResult::kUnknown);
  const uint32_t n = table_.FindOrAdd(0, kHost, At(0));
  table_.Use(n, At(0));
  EXPECT_EQ(table_.Learn(1, kHost, kMac, true, true, At(5)), LearnResult::kUnknown);  // on another interface
  EXPECT_EQ(Confirm(At(10)), LearnResult::kResolved);
  EXPECT_EQ(table_[n].state, NeighbourState::kReachable);
  EXPECT_EQ(table_[n].mac, kMac);
  EXPECT_EQ(Confirm(At(20)), LearnResult::kKept);
  EXPECT_EQ(Confirm(At(30), kOtherMac), LearnResult::kChanged);
  EXPECT_EQ(table_[n].mac, kOtherMac);
}

TEST_F(NeighbourTest, InUseAndSilentItIsProbedAfterADelay) {
  const uint32_t n = table_.FindOrAdd(0, kHost, At(0));
  table_[n].users = 1;
  table_.Use(n, At(0));
  Confirm(At(0));
  EXPECT_EQ(table_.Use(n, At(100)), NeighbourAction::kNone);
  EXPECT_EQ(Take(At(29'999)).index, kNoSlot);
  EXPECT_EQ(table_[n].state, NeighbourState::kReachable);
  EXPECT_EQ(Take(At(30'000)).index, kNoSlot);
  EXPECT_EQ(table_[n].state, NeighbourState::kStale);
  EXPECT_EQ(table_.Use(n, At(31'000)), NeighbourAction::kNone);
  EXPECT_EQ(table_[n].state, NeighbourState::kDelay);
  EXPECT_EQ(table_.NextDeadline(), At(36'000));
  EXPECT_EQ(Take(At(36'000)).action, NeighbourAction::kAskOne);
  EXPECT_TRUE(table_[n].usable());
  EXPECT_EQ(Take(At(37'000)).action, NeighbourAction::kAskOne);
  EXPECT_EQ(Confirm(At(37'500)), LearnResult::kKept);
  EXPECT_EQ(table_[n].state, NeighbourState::kReachable);
  // Unanswered probes end it.
  EXPECT_EQ(Take(At(67'500)).index, kNoSlot);
  table_.Use(n, At(67'500));
  EXPECT_EQ(Take(At(72'500)).action, NeighbourAction::kAskOne);
  EXPECT_EQ(Take(At(73'500)).action, NeighbourAction::kAskOne);
  EXPECT_EQ(Take(At(74'500)).action, NeighbourAction::kAskOne);
  EXPECT_EQ(Take(At(75'500)).action, NeighbourAction::kFailed);
  EXPECT_FALSE(table_[n].usable());
}

TEST_F(NeighbourTest, OnlyProgressOfOneConnectionConfirms) {
  const uint32_t n = table_.FindOrAdd(0, kHost, At(0));
  table_.Use(n, At(0));
  Confirm(At(0));
  table_.Witness(n, 1, 1, 100, At(1));
  EXPECT_EQ(table_[n].witness, kNoSlot) << "nobody asks while it is reachable";
  Take(At(30'000));
  table_.Use(n, At(30'000));
  table_.Witness(n, 1, 1, 100, At(30'000));
  table_.Witness(n, 1, 1, 100, At(30'001));
  EXPECT_EQ(table_[n].state, NeighbourState::kDelay) << "no progress";
  table_.Witness(n, 2, 1, 700, At(30'002));
  table_.Witness(n, 1, 9, 101, At(30'003));
  EXPECT_EQ(table_[n].state, NeighbourState::kDelay) << "others' numbers say nothing, nor a successor's";
  // One that stands still makes way.
  table_.Witness(n, 2, 1, 700, At(30'500));
  table_.Witness(n, 1, 1, 101, At(30'600));
  EXPECT_EQ(table_[n].state, NeighbourState::kDelay);
  table_.Witness(n, 2, 1, 701, At(30'700));
  EXPECT_EQ(table_[n].state, NeighbourState::kReachable);
  EXPECT_EQ(table_.NextDeadline(), At(60'700));
}

TEST_F(NeighbourTest, TimesThatRoutersSetHoldFromTheNext) {
  const uint32_t n = table_.FindOrAdd(0, kHost, At(0));
  table_.Use(n, At(0));
  table_.SetTimes(Duration::Seconds(10), Duration::Seconds(2));
  EXPECT_EQ(table_.NextDeadline(), At(1'000));
  EXPECT_EQ(Take(At(1'000)).action, NeighbourAction::kAskAll);
  EXPECT_EQ(table_.NextDeadline(), At(3'000));
  Confirm(At(1'500));
  EXPECT_EQ(table_.NextDeadline(), At(11'500));
  // A shorter one waits for those before it: the list stays sorted.
  table_.SetTimes(Duration::Seconds(1), Duration::Zero());
  const wire::IpAddress other = wire::IpAddress::FromV4(10, 77, 0, 3);
  const uint32_t m = table_.FindOrAdd(0, other, At(2'000));
  table_.Learn(0, other, kMac, true, true, At(2'000));
  EXPECT_EQ(table_[m].due, At(11'500));
  EXPECT_EQ(table_.retry_time(), Duration::Seconds(2));
}

TEST_F(NeighbourTest, UnusedItGoesStaleAndLeaves) {
  const uint32_t n = table_.FindOrAdd(0, kHost, At(0));
  table_.Use(n, At(0));
  Confirm(At(0));
  EXPECT_EQ(Take(At(30'000)).index, kNoSlot);
  EXPECT_EQ(table_[n].state, NeighbourState::kStale);
  EXPECT_EQ(table_.in_use(), 1u);
  EXPECT_EQ(Take(At(60'000)).index, kNoSlot);
  EXPECT_EQ(table_.in_use(), 0u);
  EXPECT_EQ(table_.Find(0, kHost), kNoSlot);
  EXPECT_EQ(table_.NextDeadline(), Instant::Never());
}

TEST_F(NeighbourTest, DoubtedItIsAskedWithoutDelayAndUsedMeanwhile) {
  const uint32_t n = table_.FindOrAdd(0, kHost, At(0));
  table_[n].users = 1;  // so that it stays
  table_.Use(n, At(0));
  Confirm(At(0));
  Take(At(30'000));
  EXPECT_EQ(Take(At(60'000)).index, kNoSlot);
  EXPECT_EQ(table_.in_use(), 1u);
  table_.Doubt(n, At(65'000));
  EXPECT_EQ(table_.Use(n, At(70'000)), NeighbourAction::kAskOne);
  EXPECT_TRUE(table_[n].usable());
  Confirm(At(70'001));
  table_.Doubt(n, At(70'002));
  EXPECT_EQ(table_.Use(n, At(70'003)), NeighbourAction::kAskOne);
}

TEST_F(NeighbourTest, HearsayIsBelievedLess) {
  const uint32_t n = table_.FindOrAdd(0, kHost, At(0));
  table_.Use(n, At(0));
  // Unasked, but better than nothing.
  EXPECT_EQ(table_.Learn(0, kHost, kMac, false, true, At(0)), LearnResult::kResolved);
  EXPECT_EQ(table_[n].state, NeighbourState::kStale);
  Confirm(At(1));
  // RFC 4861 7.2.5: without the override flag it only raises doubt.
  EXPECT_EQ(table_.Learn(0, kHost, kOtherMac, true, false, At(2)), LearnResult::kKept);
  EXPECT_EQ(table_[n].mac, kMac);
  EXPECT_EQ(table_[n].state, NeighbourState::kStale);
}

TEST_F(NeighbourTest, AFullTableRecyclesOnlyTheUnused) {
  std::set<uint32_t> slots;
  for (uint8_t i = 0; i < 4; ++i) {
    const uint32_t n = table_.FindOrAdd(0, wire::IpAddress::FromV4(10, 77, 0, i), At(0));
    slots.insert(n);
    table_.Use(n, At(i));
    table_.Learn(0, table_[n].address, kMac, true, true, At(i));
    table_[n].users = i == 2 ? 0 : 1;
  }
  EXPECT_EQ(slots.size(), 4u);
  EXPECT_NE(table_.FindOrAdd(0, wire::IpAddress::FromV4(10, 77, 0, 99), At(0)), kNoSlot);
  EXPECT_EQ(table_.Find(0, wire::IpAddress::FromV4(10, 77, 0, 2)), kNoSlot);
  EXPECT_NE(table_.Find(0, wire::IpAddress::FromV4(10, 77, 0, 1)), kNoSlot);
  table_.Use(table_.Find(0, wire::IpAddress::FromV4(10, 77, 0, 99)), At(10));
  EXPECT_EQ(table_.FindOrAdd(0, wire::IpAddress::FromV4(10, 77, 0, 98), At(0)), kNoSlot);
}

TEST_F(NeighbourTest, AnEntryThatNobodyCameToUseGivesWay) {
  for (uint8_t i = 0; i < 8; ++i) {
    EXPECT_NE(table_.FindOrAdd(0, wire::IpAddress::FromV4(10, 77, 0, i), At(0)), kNoSlot) << int{i};
  }
  EXPECT_EQ(Take(At(3'600'000)).index, kNoSlot);
  EXPECT_EQ(table_.in_use(), 0u) << "and goes in time";
}

}  // namespace
}  // namespace tern::stack
