#include "stack/source_table.h"

#include <gtest/gtest.h>

namespace tern::stack {
namespace {

using Verdict = SourceTable::Verdict;

wire::IpAddress Ip(const char* text) { return *wire::IpAddress::Parse(text); }

TEST(SourceTable, CountsEachSourceOfEachListener) {
  SourceTable table(HeapMemory(), 8, HashKey{1, 2});
  EXPECT_EQ(table.Add(1, Ip("10.0.0.1"), 2), Verdict::kCounted);
  EXPECT_EQ(table.Add(1, Ip("10.0.0.1"), 2), Verdict::kCounted);
  EXPECT_EQ(table.Add(1, Ip("10.0.0.1"), 2), Verdict::kAtBound);
  EXPECT_EQ(table.Add(1, Ip("10.0.0.2"), 2), Verdict::kCounted);
  EXPECT_EQ(table.Add(2, Ip("10.0.0.1"), 2), Verdict::kCounted);
  EXPECT_EQ(table.Count(1, Ip("10.0.0.1")), 2u);
  EXPECT_EQ(table.in_use(), 3u);
  table.Remove(1, Ip("10.0.0.1"));
  EXPECT_EQ(table.Add(1, Ip("10.0.0.1"), 2), Verdict::kCounted);
  table.Remove(1, Ip("10.0.0.1"));
  table.Remove(1, Ip("10.0.0.1"));
  table.Remove(1, Ip("10.0.0.1"));
  EXPECT_EQ(table.Count(1, Ip("10.0.0.1")), 0u);
  EXPECT_EQ(table.Count(2, Ip("10.0.0.1")), 1u);
  EXPECT_EQ(table.in_use(), 2u);
}

TEST(SourceTable, AnIpv6HostIsItsSubnetUnlessLinkLocal) {
  SourceTable table(HeapMemory(), 8, HashKey{1, 2});
  EXPECT_EQ(table.Add(1, Ip("2001:db8:0:1::1"), 1), Verdict::kCounted);
  EXPECT_EQ(table.Add(1, Ip("2001:db8:0:1:ffff::2"), 1), Verdict::kAtBound);
  EXPECT_EQ(table.Add(1, Ip("2001:db8:0:2::1"), 1), Verdict::kCounted);
  EXPECT_EQ(table.Add(1, Ip("fe80::1"), 1), Verdict::kCounted);
  EXPECT_EQ(table.Add(1, Ip("fe80::2"), 1), Verdict::kCounted);
}

TEST(SourceTable, IsBoundedAndRecovers) {
  SourceTable table(HeapMemory(), 3, HashKey{1, 2});
  for (uint8_t i = 0; i < 3; ++i) {
    EXPECT_EQ(table.Add(1, wire::IpAddress::FromV4(10, 0, 0, i), 9), Verdict::kCounted);
  }
  EXPECT_EQ(table.Add(1, Ip("10.0.0.3"), 9), Verdict::kTableFull);
  EXPECT_EQ(table.Add(1, Ip("10.0.0.1"), 9), Verdict::kCounted);
  table.Remove(1, Ip("10.0.0.0"));
  EXPECT_EQ(table.Add(1, Ip("10.0.0.3"), 9), Verdict::kCounted);
  EXPECT_EQ(table.Count(1, Ip("10.0.0.2")), 1u);
}

}  // namespace
}  // namespace tern::stack
