#include "drivers_glue/impairment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <vector>

#include "drivers_glue/impaired_link.h"

namespace tern {
namespace {

using ::testing::HasSubstr;

Impairment Parse(std::string_view text) {
  const absl::StatusOr<Impairment> result = ParseImpairment(text);
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *result : Impairment{};
}

std::string ErrorOf(std::string_view text) {
  const absl::StatusOr<Impairment> result = ParseImpairment(text);
  EXPECT_FALSE(result.ok()) << text;
  return result.ok() ? "" : std::string(result.status().message());
}

Instant At(int64_t micros) { return Instant::FromNanos(micros * 1000); }

TEST(ParseImpairment, ReadsEveryKey) {
  const Impairment all = Parse(
      "loss=1%,delay=10ms,jitter=500us,rate=100mbit,reorder=0.5%,reorder_by=2ms,duplicate=0.1%,corrupt="
      "100ppm,seed=7,"
      "queue=20");
  EXPECT_EQ(all.loss_ppm, 10'000u);
  EXPECT_EQ(all.delay, Duration::Millis(10));
  EXPECT_EQ(all.jitter, Duration::Micros(500));
  EXPECT_EQ(all.rate_bps, 100'000'000u);
  EXPECT_EQ(all.reorder_ppm, 5'000u);
  EXPECT_EQ(all.reorder_by, Duration::Millis(2));
  EXPECT_EQ(all.duplicate_ppm, 1'000u);
  EXPECT_EQ(all.corrupt_ppm, 100u);
  EXPECT_EQ(all.seed, 7u);
  EXPECT_EQ(all.queue, 20u);
  EXPECT_FALSE(all.IsNone());
}

TEST(ParseImpairment, NothingIsNone) {
  EXPECT_TRUE(Parse("").IsNone());
  EXPECT_TRUE(Parse("seed=3,queue=5").IsNone());
  EXPECT_FALSE(Parse("loss=1ppm").IsNone());
}

TEST(ParseImpairment, ErrorsNameTheItemAndWhatWasExpected) {
  EXPECT_THAT(ErrorOf("loss"), HasSubstr("expected key=value, as in loss=1%"));
  EXPECT_THAT(ErrorOf("los=1%"), HasSubstr("one of loss, duplicate, reorder"));
  EXPECT_THAT(ErrorOf("loss=101%"), HasSubstr("0% to 100%, or 0ppm to 1000000ppm"));
  EXPECT_THAT(ErrorOf("loss=1"), HasSubstr("loss=1"));
  EXPECT_THAT(ErrorOf("loss=-1%"), HasSubstr("loss=-1%"));
  EXPECT_THAT(ErrorOf("delay=10"), HasSubstr("a time up to 3600s, as in 10ms"));
  EXPECT_THAT(ErrorOf("rate=0mbit"), HasSubstr("rate"));
  EXPECT_THAT(ErrorOf("rate=9999gbit"), HasSubstr("a rate up to 1000gbit, as in 100mbit"));
  EXPECT_THAT(ErrorOf("queue=many"), HasSubstr("0 to 1000000 frames"));
  EXPECT_THAT(ErrorOf("seed=x"), HasSubstr("a seed, as in seed=7"));
  EXPECT_THAT(ErrorOf("loss=1%,,delay=1ms"), HasSubstr("key=value"));
}

TEST(ImpairedLink, ChancesComeOutAsAskedFor) {
  ImpairedLink link(Parse("loss=10%,duplicate=5%,corrupt=2%,reorder=1%"), 42);
  constexpr uint64_t kFrames = 100'000;
  for (uint64_t i = 0; i < kFrames; ++i) link.Decide(1000, Instant());
  const ImpairmentCounters& c = link.counters();
  EXPECT_EQ(c.seen.value(), kFrames);
  // Five standard deviations of a binomial either way; the seed is fixed, so this cannot flicker.
  EXPECT_NEAR(static_cast<double>(c.lost.value()), 10'000, 475);
  EXPECT_NEAR(static_cast<double>(c.corrupted.value()), 1'800, 212);
  EXPECT_NEAR(static_cast<double>(c.reordered.value()), 900, 150);
}

TEST(ImpairedLink, OneSeedIsOneStory) {
  const Impairment impairment = Parse("loss=5%,duplicate=5%,corrupt=5%,jitter=1ms,delay=1ms");
  ImpairedLink a(impairment, 9), b(impairment, 9), c(impairment, 10);
  int differs = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto one = a.Decide(100, At(i)), two = b.Decide(100, At(i)), three = c.Decide(100, At(i));
    ASSERT_EQ(one.lost, two.lost);
    ASSERT_EQ(one.duplicated, two.duplicated);
    ASSERT_EQ(one.corrupt_bit, two.corrupt_bit);
    ASSERT_EQ(one.leaves, two.leaves);
    differs += one.lost != three.lost || one.leaves != three.leaves;
  }
  EXPECT_GT(differs, 500);
}

TEST(ImpairedLink, RaisingOneChanceKeepsTheOthersChoices) {
  ImpairedLink few(Parse("loss=1%,duplicate=5%"), 1), many(Parse("loss=50%,duplicate=5%"), 1);
  for (int i = 0; i < 1000; ++i) {
    const auto a = few.Decide(100, Instant()), b = many.Decide(100, Instant());
    ASSERT_EQ(a.duplicated, b.duplicated);
    ASSERT_TRUE(!a.lost || b.lost);
  }
}

TEST(ImpairedLink, RateSpacesFramesOut) {
  ImpairedLink link(Parse("rate=8mbit"), 1);  // a byte per microsecond
  EXPECT_EQ(link.Decide(1000, At(0)).leaves, At(1000));
  EXPECT_EQ(link.Decide(500, At(0)).leaves, At(1500));
  EXPECT_EQ(link.Decide(100, At(5000)).leaves, At(5100));
}

TEST(ImpairedLink, DelayComesAfterTheLine) {
  ImpairedLink link(Parse("rate=8mbit,delay=10ms"), 1);
  EXPECT_EQ(link.Decide(1000, At(0)).leaves, At(11000));
}

TEST(ImpairedLink, JitterDoesNotReorderButReorderDoes) {
  ImpairedLink jitter(Parse("delay=5ms,jitter=4ms"), 3);
  Instant last;
  for (int i = 0; i < 1000; ++i) {
    const Instant leaves = jitter.Decide(100, At(i * 10)).leaves;
    ASSERT_GE(leaves, last);
    last = leaves;
  }
  ImpairedLink reorder(Parse("delay=5ms,reorder=100%,reorder_by=2ms"), 3);
  EXPECT_EQ(reorder.Decide(100, At(0)).leaves, At(7000));
}

TEST(ImpairedLink, HeldFramesLeaveInOrderOfTimeThenArrival) {
  ImpairedLink link(Parse("delay=1ms"), 1);
  const auto hold = [&](uint8_t mark, int64_t micros) {
    return link.Hold(std::vector<uint8_t>(10, mark), At(micros));
  };
  ASSERT_TRUE(hold(1, 30) && hold(2, 10) && hold(3, 20) && hold(4, 10));
  EXPECT_EQ(link.NextDeparture(), At(10));
  EXPECT_TRUE(link.Due(At(9)).empty());
  std::vector<int> order;
  for (auto due = link.Due(At(30)); !due.empty(); due = link.Due(At(30))) {
    EXPECT_EQ(due.size(), 10u);
    order.push_back(due[9]);
    link.Pop();
  }
  EXPECT_EQ(order, (std::vector<int>{2, 4, 3, 1}));
  EXPECT_EQ(link.NextDeparture(), Instant::Never());
}

TEST(ImpairedLink, AFullQueueLosesWhatComes) {
  ImpairedLink link(Parse("delay=1ms,queue=2"), 1);
  const std::vector<uint8_t> frame(10);
  EXPECT_TRUE(link.Hold(frame, At(1)));
  EXPECT_TRUE(link.Hold(frame, At(1)));
  EXPECT_FALSE(link.Hold(frame, At(1)));
  EXPECT_EQ(link.counters().overflowed.value(), 1u);
}

TEST(FlipBit, FlipsExactlyOne) {
  for (uint64_t bit : {uint64_t{0}, uint64_t{79}, uint64_t{80}, ~uint64_t{0}}) {
    std::vector<uint8_t> frame(10);
    FlipBit(frame, bit);
    int ones = 0;
    for (const uint8_t byte : frame) ones += std::popcount(byte);
    EXPECT_EQ(ones, 1);
  }
  FlipBit(std::span<uint8_t>(), 5);
}

}  // namespace
}  // namespace tern
