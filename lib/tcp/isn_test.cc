#include "tcp/isn.h"

#include <gtest/gtest.h>

namespace tern::tcp {
namespace {

constexpr uint64_t kHash = 0x1122334455667788;

TEST(InitialSequence, IsTheHashPlusAClockOfFourMicroseconds) {
  const SeqNum start = InitialSequence(kHash, Instant::FromNanos(0));
  EXPECT_EQ(start.value(), 0x55667788u);
  EXPECT_EQ(start.DistanceTo(InitialSequence(kHash, Instant::FromNanos(3'999))), 0u);
  EXPECT_EQ(start.DistanceTo(InitialSequence(kHash, Instant::FromNanos(4'000))), 1u);
  EXPECT_EQ(start.DistanceTo(InitialSequence(kHash, Instant::FromNanos(1'000'000'000))), 250'000u);
}

TEST(InitialSequence, ClockWrapsWithTheSpace) {
  // RFC 9293 3.4.1: about 4.77 hours.
  const Instant wrap = Instant::FromNanos((int64_t{1} << 32) * 4'000);
  EXPECT_EQ(InitialSequence(kHash, wrap), InitialSequence(kHash, Instant::FromNanos(0)));
}

TEST(Timestamp, TicksByTheMillisecondFromASecretOffset) {
  EXPECT_EQ(TimestampOffset(kHash), 0x11223344u);
  const Instant now = Instant::FromNanos(5'999'999);
  EXPECT_EQ(TimestampValue(now, 100), 105u);
  EXPECT_EQ(TimestampValue(now, 0xffffffff), 4u);
}

TEST(Timestamp, AgeOfAnEcho) {
  const Instant sent = Instant::FromNanos(1'000'000'000);
  const uint32_t offset = 0xffffff00;
  const uint32_t echoed = TimestampValue(sent, offset);
  EXPECT_EQ(TimestampAge(sent + Duration::Millis(42), offset, echoed), Duration::Millis(42));
  EXPECT_EQ(TimestampAge(sent, offset, echoed + 7), Duration::Millis(-7));
}

}  // namespace
}  // namespace tern::tcp
