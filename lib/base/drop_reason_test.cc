#include "base/drop_reason.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace tern {
namespace {

TEST(DropReason, NamesAreUniqueTelemetryKeys) {
  std::set<std::string_view> seen;
  for (size_t i = 0; i < kDropReasonCount; ++i) {
    const std::string_view name = DropReasonName(static_cast<DropReason>(i));
    EXPECT_TRUE(seen.insert(name).second) << name << " names two reasons";
    // rte_telemetry limits a key to 64 bytes with its terminator.
    EXPECT_LT(name.size(), 64u) << name;
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"), std::string_view::npos)
        << name;
    EXPECT_FALSE(DropReasonMeaning(static_cast<DropReason>(i)).empty()) << name;
  }
}

TEST(DropReason, NameBelongsToItsEnumerator) {
  EXPECT_EQ(DropReasonName(DropReason::kNone), "none");
  EXPECT_EQ(DropReasonName(DropReason::kFrameTooShort), "frame_too_short");
  EXPECT_EQ(DropReasonName(DropReason::kTcpPaws), "tcp_paws");
  EXPECT_EQ(DropReasonName(DropReason::kShuttingDown), "shutting_down");
  EXPECT_EQ(static_cast<size_t>(DropReason::kShuttingDown), kDropReasonCount - 1);
}

TEST(DropReason, ValueOutsideTheEnumIsHarmless) {
  EXPECT_EQ(DropReasonName(static_cast<DropReason>(255)), "none");
  EXPECT_EQ(DropReasonMeaning(static_cast<DropReason>(255)), "not dropped");
}

TEST(DropCounters, CountsEachReasonApart) {
  DropCounters drops;
  EXPECT_EQ(drops.total(), 0u);
  drops.Count(DropReason::kTcpPaws);
  drops.Count(DropReason::kTcpPaws);
  drops.Count(DropReason::kIpVersion, 40);
  drops.Count(DropReason::kShuttingDown);
  EXPECT_EQ(drops[DropReason::kTcpPaws], 2u);
  EXPECT_EQ(drops[DropReason::kIpVersion], 40u);
  EXPECT_EQ(drops[DropReason::kIpChecksum], 0u);
  EXPECT_EQ(drops.total(), 43u);
}

TEST(DropCounters, NoneIsNotADrop) {
  DropCounters drops;
  drops.Count(DropReason::kNone, 7);
  EXPECT_EQ(drops.total(), 0u);
  EXPECT_EQ(drops[DropReason::kNone], 0u);
}

TEST(DropCounters, AddsWorkersTogetherAndVisitsOnlyWhatHappened) {
  DropCounters first;
  DropCounters second;
  first.Count(DropReason::kIpChecksum, 3);
  second.Count(DropReason::kIpChecksum, 4);
  second.Count(DropReason::kTcpBadAck);
  first.Add(second);
  std::vector<std::string> lines;
  first.ForEachCounted([&](DropReason reason, uint64_t count) {
    lines.push_back(std::string(DropReasonName(reason)) + "=" + std::to_string(count));
  });
  EXPECT_EQ(lines, (std::vector<std::string>{"ip_checksum=7", "tcp_bad_ack=1"}));
}

}  // namespace
}  // namespace tern
