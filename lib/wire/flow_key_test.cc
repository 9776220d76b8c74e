#include "wire/flow_key.h"

#include <gtest/gtest.h>

namespace tern::wire {
namespace {

TEST(FlowKey, EveryFieldCounts) {
  const FlowKey key{*IpAddress::Parse("fd77::1"), *IpAddress::Parse("fd77::2"), 7, 40000};
  EXPECT_EQ(key, FlowKey(key));
  FlowKey other = key;
  other.local = *IpAddress::Parse("fd77:1::1");
  EXPECT_FALSE(key == other);
  other = key;
  other.remote = *IpAddress::Parse("fd77::3");
  EXPECT_FALSE(key == other);
  other = key;
  other.local_port = 8;
  EXPECT_FALSE(key == other);
  other = key;
  other.remote_port = 40001;
  EXPECT_FALSE(key == other);
}

TEST(FlowKey, ReversedIsTheOtherEnd) {
  const FlowKey key{IpAddress::FromV4(10, 0, 0, 1), IpAddress::FromV4(10, 0, 0, 2), 7, 40000};
  EXPECT_EQ(key.Reversed().remote, key.local);
  EXPECT_EQ(key.Reversed().remote_port, 7);
  EXPECT_EQ(key.Reversed().Reversed(), key);
}

}  // namespace
}  // namespace tern::wire
