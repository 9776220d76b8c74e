#include "stack/syn_cookie.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "base/prng.h"

namespace tern::stack {
namespace {

constexpr HashKey kSecret{0x0706050403020100, 0x0f0e0d0c0b0a0908};
constexpr Instant kStart = Instant::FromNanos(1'000'000'000);

wire::FlowKey Key(uint16_t port = 40'000) {
  return {wire::IpAddress::FromV4(10, 77, 0, 1), wire::IpAddress::FromV4(10, 77, 0, 2), 7, port, 0};
}
wire::FlowKey Key6() {
  return {*wire::IpAddress::Parse("fd77::1"), *wire::IpAddress::Parse("fd77::2"), 7, 40'000, 0};
}

// Every combination of what a SYN can ask for.
std::vector<SynFacts> AllFacts() {
  std::vector<SynFacts> all;
  for (const uint16_t mss : kCookieMss) {
    all.push_back({.mss = mss});
    for (int8_t scale = -1; scale <= 14; ++scale) {
      for (const bool sack : {false, true}) {
        for (const bool ecn : {false, true}) {
          all.push_back({.mss = mss, .scale = scale, .timestamps = true, .sack = sack, .ecn = ecn});
        }
      }
    }
  }
  return all;
}

std::optional<uint32_t> Echo(const SynFacts& facts, uint32_t clock) {
  if (!facts.timestamps) return std::nullopt;
  return SynCookie::Timestamp(clock, facts);
}

TEST(SynCookie, EveryCombinationComesBackInBothFamilies) {
  const SynCookie cookies(kSecret);
  for (const wire::FlowKey& key : {Key(), Key6()}) {
    for (const SynFacts& facts : AllFacts()) {
      ASSERT_EQ(SynCookie::Keep(facts), facts);
      const SeqNum iss = cookies.Sequence(key, SeqNum(1000), facts, kStart);
      SynFacts read;
      ASSERT_EQ(cookies.Check(key, SeqNum(1000), iss, Echo(facts, 0xfffffffa), kStart, &read),
                CookieVerdict::kGood);
      EXPECT_EQ(read, facts);
    }
  }
}

TEST(SynCookie, KeepsWhatThereIsRoomFor) {
  EXPECT_EQ(SynCookie::Keep({.mss = 1'460, .scale = 7, .sack = true, .ecn = true}), (SynFacts{.mss = 1'460}));
  const auto kept = [](uint16_t mss) { return SynCookie::Keep({.mss = mss}).mss; };
  EXPECT_EQ(kept(1'459), 1'440);
  EXPECT_EQ(kept(65'535), 8'940);
  EXPECT_EQ(kept(536), 536);
  EXPECT_EQ(kept(535), 256);
  // RFC 9293 3.7.1: never more than the peer asked for, down to the least that TCP here sends to anybody.
  for (uint16_t mss = kCookieMss[0]; mss < 10'000; ++mss) ASSERT_LE(kept(mss), mss);
  EXPECT_EQ(kept(1), kCookieMss[0]);
}

// RFC 7323: what the tuple sends after the SYN-ACK must not be older than what the SYN-ACK said; and a later
// SYN-ACK of the same options not older than an earlier one. Every tick of two wraps' ends, every set of
// options.
TEST(SynCookie, TheTimestampNeverRunsAheadOfTheClockNorBack) {
  for (const SynFacts& facts : AllFacts()) {
    if (!facts.timestamps || facts.mss != kCookieMss[0]) continue;
    uint32_t last = SynCookie::Timestamp(0xffffff00 - 1, facts);
    for (uint32_t clock = 0xffffff00; clock != 0x200; ++clock) {
      const uint32_t sent = SynCookie::Timestamp(clock, facts);
      ASSERT_LT(clock - sent, 64u) << "the SYN-ACK is not after the clock, and hardly before it";
      ASSERT_GE(static_cast<int32_t>(sent - last), 0) << "nor before an earlier one";
      last = sent;
    }
  }
}

TEST(SynCookie, LivesBetweenOneAndTwoPeriods) {
  const SynCookie cookies(kSecret);
  const SynFacts facts{.mss = 1'460};
  const int64_t period = SynCookie::kPeriod.nanos();
  for (const int64_t phase : {int64_t{0}, period / 2, period - 1}) {
    const Instant made = Instant::FromNanos(5 * period + phase);
    const SeqNum iss = cookies.Sequence(Key(), SeqNum(1), facts, made);
    const auto good = [&](int64_t nanos) {
      SynFacts read;
      return cookies.Check(Key(), SeqNum(1), iss, std::nullopt, Instant::FromNanos(nanos), &read) ==
             CookieVerdict::kGood;
    };
    EXPECT_TRUE(good(made.nanos()));
    EXPECT_TRUE(good(made.nanos() + period));
    EXPECT_TRUE(good(7 * period - 1));
    EXPECT_FALSE(good(7 * period));
    EXPECT_FALSE(good(made.nanos() + 2 * period));
    EXPECT_FALSE(good(5 * period - 1)) << "from the future";
  }
}

TEST(SynCookie, IsGoodForNothingElse) {
  const SynCookie cookies(kSecret);
  const SynFacts facts{.mss = 1'460, .scale = 7, .timestamps = true, .sack = true};
  const SeqNum iss = cookies.Sequence(Key(), SeqNum(1000), facts, kStart);
  const uint32_t echo = SynCookie::Timestamp(123'456, facts);
  const auto check = [&](const wire::FlowKey& key, SeqNum irs, SeqNum seq, std::optional<uint32_t> tsecr) {
    SynFacts read;
    return cookies.Check(key, irs, seq, tsecr, kStart, &read);
  };
  using enum CookieVerdict;
  EXPECT_EQ(check(Key(), SeqNum(1000), iss, echo), kGood);
  EXPECT_EQ(check(Key(), SeqNum(1000), iss, echo + 64), kGood) << "the time of it is nobody's business";
  EXPECT_EQ(check(Key(40'001), SeqNum(1000), iss, echo), kInvalid);
  EXPECT_EQ(check(Key().Reversed(), SeqNum(1000), iss, echo), kInvalid);
  EXPECT_EQ(check(Key6(), SeqNum(1000), iss, echo), kInvalid);
  // What acknowledges data of ours belongs to a connection that was, and deserves a RST.
  for (const uint32_t octets : {1u, 2u, 7u, 1'460u, 100'000u}) {
    EXPECT_EQ(check(Key(), SeqNum(1000), iss + octets, echo), kInvalid) << octets;
  }
  // Data behind the first: known again, but no more than that.
  EXPECT_EQ(check(Key(), SeqNum(1001), iss, echo), kNotFirst);
  EXPECT_EQ(check(Key(), SeqNum(2460), iss, echo), kNotFirst);
  EXPECT_EQ(check(Key(), SeqNum(1000), iss + (1u << 14), echo), kNotFirst);
  EXPECT_EQ(check(Key(), SeqNum(1000), iss, std::nullopt), kNotFirst);
  for (uint32_t bits = 1; bits < 64; ++bits) {
    EXPECT_EQ(check(Key(), SeqNum(1000), iss, echo ^ bits), kNotFirst) << bits;
  }
  SynFacts read;
  const SynCookie others(HashKey{1, 2});
  EXPECT_EQ(others.Check(Key(), SeqNum(1000), iss, echo, kStart, &read), kInvalid);
}

// A guess is right for two periods, and for each of them whatever the MSS: once in 2^28. Two million of them
// hit never, or the seed is very unlucky.
TEST(SynCookie, GuessesMiss) {
  const SynCookie cookies(kSecret);
  Prng rng(42);
  int hits = 0;
  for (int i = 0; i < 2'000'000; ++i) {
    const SeqNum guess(rng.Next32());
    SynFacts read;
    const CookieVerdict verdict =
        cookies.Check(Key(), SeqNum(rng.Next32()), guess, std::nullopt, kStart, &read);
    hits += verdict == CookieVerdict::kGood ? 1 : 0;
  }
  EXPECT_EQ(hits, 0);
}

// Every bit of the ISN, the three of the MSS among them, is set as often as not over tuples that differ in
// the port alone.
TEST(SynCookie, SequencesLookRandom) {
  const SynCookie cookies(kSecret);
  std::array<int, 32> ones{};
  std::set<uint32_t> seen;
  constexpr int kTuples = 20'000;
  for (int i = 0; i < kTuples; ++i) {
    const uint32_t iss =
        cookies.Sequence(Key(static_cast<uint16_t>(i + 1)), SeqNum(1), {.mss = 1'460}, kStart).value();
    seen.insert(iss);
    for (size_t bit = 0; bit < ones.size(); ++bit) ones[bit] += static_cast<int>(iss >> bit & 1);
  }
  EXPECT_GT(seen.size(), kTuples - 5u);
  // Half the tuples, give or take six standard deviations.
  for (const int count : ones) EXPECT_NEAR(count, kTuples / 2, 425);
}

}  // namespace
}  // namespace tern::stack
