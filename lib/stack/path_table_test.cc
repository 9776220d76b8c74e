#include "stack/path_table.h"

#include <gtest/gtest.h>

#include <string>

#include "base/memory_source.h"

namespace tern::stack {
namespace {

constexpr Duration kAge = Duration::Seconds(600);

class PathTableTest : public ::testing::Test {
 protected:
  static wire::IpAddress Host(int i) { return wire::IpAddress::Parse("10.1.0." + std::to_string(i)).value(); }
  uint16_t Mss(int host) const { return table_.Find(Host(host), now_).mss; }

  Instant now_ = Instant::FromNanos(1'000'000'000);
  PathTable table_{HeapMemory(), 4, HashKey{1, 2}};
};

TEST_F(PathTableTest, ADestinationHasItsOwnPath) {
  EXPECT_EQ(Mss(1), 0);
  table_.Lower(Host(1), {.mss = 1360}, now_);
  table_.Lower(wire::IpAddress::Parse("fd77::9").value(), {.mss = 1220}, now_);
  EXPECT_EQ(Mss(1), 1360);
  EXPECT_EQ(Mss(2), 0);
  EXPECT_EQ(table_.Find(wire::IpAddress::Parse("fd77::9").value(), now_).mss, 1220);
  EXPECT_EQ(table_.in_use(), 2u);
}

TEST_F(PathTableTest, LowersByReportsAndRaisesByWhatArrived) {
  table_.Lower(Host(1), {.mss = 1024, .settled = false}, now_);
  table_.Lower(Host(1), {.mss = 1360}, now_);
  EXPECT_EQ(Mss(1), 1024);
  EXPECT_FALSE(table_.Find(Host(1), now_).settled);
  table_.Raise(Host(1), {.mss = 1360});
  EXPECT_EQ(Mss(1), 1360);
  EXPECT_TRUE(table_.Find(Host(1), now_).settled);
  table_.Raise(Host(1), {.mss = 1100});
  EXPECT_EQ(Mss(1), 1360);
  table_.Raise(Host(2), {.mss = 1360});
  EXPECT_EQ(table_.in_use(), 1u);
}

TEST_F(PathTableTest, IsForgottenTenMinutesAfterTheLastDecrease) {
  table_.Lower(Host(1), {.mss = 1360}, now_);
  now_ = now_ + Duration::Seconds(300);
  table_.Lower(Host(1), {.mss = 1360}, now_);  // no decrease
  table_.Lower(Host(2), {.mss = 1360}, now_);
  table_.Lower(Host(2), {.mss = 1300}, now_);
  now_ = now_ + Duration::Seconds(299);
  EXPECT_EQ(Mss(1), 1360);
  now_ = now_ + Duration::Seconds(1);
  EXPECT_EQ(Mss(1), 0);
  EXPECT_EQ(Mss(2), 1300);
  table_.Lower(Host(3), {.mss = 1360}, now_);
  EXPECT_EQ(table_.in_use(), 2u);  // the first made room
  now_ = now_ + kAge;
  EXPECT_EQ(Mss(2), 0);
}

TEST_F(PathTableTest, TheOldestMakesRoom) {
  for (int i = 1; i <= 10; ++i) table_.Lower(Host(i), {.mss = 1360}, now_);
  EXPECT_EQ(table_.in_use(), 4u);
  EXPECT_EQ(Mss(6), 0);
  for (int i = 7; i <= 10; ++i) EXPECT_EQ(Mss(i), 1360);
  table_.Lower(Host(7), {.mss = 1300}, now_);  // now the youngest
  table_.Lower(Host(11), {.mss = 1360}, now_);
  EXPECT_EQ(Mss(7), 1300);
  EXPECT_EQ(Mss(8), 0);
}

TEST(PathTable, WithoutRoomNothingIsKept) {
  PathTable table(HeapMemory(), 0, HashKey{1, 2});
  table.Lower(wire::IpAddress::Parse("10.1.0.1").value(), {.mss = 1360}, Instant());
  EXPECT_EQ(table.in_use(), 0u);
}

}  // namespace
}  // namespace tern::stack
