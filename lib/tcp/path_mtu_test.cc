#include "tcp/path_mtu.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace tern::tcp {
namespace {

constexpr Instant kStart = Instant::FromNanos(1'000'000'000);
constexpr PathBounds kBounds4{.most = 1460, .base = 1024, .least = 512};
constexpr PathBounds kBounds6{.most = 1440, .base = 1220, .least = 1220};
constexpr SeqNum kFirst{1'001};

PathMtu Started(const PathBounds& bounds = kBounds4, PathProbing probing = PathProbing::kBlackHole) {
  PathMtu path;
  path.Start(bounds, probing, kStart);
  return path;
}

// Of the first segment in flight, with `acked` octets before it.
TooBigReport Report(uint16_t mss, uint32_t acked = 0) {
  return {.mss = mss,
          .quoted = kFirst + acked,
          .una = kFirst + acked,
          .nxt = kFirst + acked + 14'600,
          .first = kFirst};
}

TEST(NextPlateau, IsTheTableOfRfc1191) {
  std::vector<uint16_t> seen;
  for (uint16_t mtu = 65'535; mtu > 68;) seen.push_back(mtu = NextPlateau(mtu));
  EXPECT_EQ(seen, (std::vector<uint16_t>{32'000, 17'914, 8'166, 4'352, 2'002, 1'492, 1'006, 508, 296, 68}));
  EXPECT_EQ(NextPlateau(1'500), 1'492);
  EXPECT_EQ(NextPlateau(1'493), 1'492);
  EXPECT_EQ(NextPlateau(68), 68);
  EXPECT_EQ(NextPlateau(0), 68);
}

TEST(PathMtu, BeginsWithWhatBothEndsTake) {
  EXPECT_EQ(Started().mss(), 1460);
  EXPECT_FALSE(Started().active());
  EXPECT_FALSE(Started().below_most());
  EXPECT_EQ(Started({.most = 300, .base = 1024, .least = 512}).mss(), 300);
}

TEST(PathMtu, BeginsWithWhatOthersFound) {
  PathMtu path;
  path.Know(1360, /*settled=*/true);
  path.Start(kBounds4, PathProbing::kBlackHole, kStart);
  EXPECT_EQ(path.mss(), 1360);
  EXPECT_TRUE(path.below_most());
  EXPECT_FALSE(path.searching());
  PathMtu searching;
  searching.Know(1024, /*settled=*/false);
  searching.Start(kBounds4, PathProbing::kBlackHole, kStart);
  EXPECT_EQ(searching.mss(), 1024);
  EXPECT_EQ(searching.NextProbe(), 1460);
  PathMtu large;
  large.Know(8960, /*settled=*/true);
  large.Start(kBounds4, PathProbing::kBlackHole, kStart);
  EXPECT_EQ(large.mss(), 1460);
  PathMtu small;
  small.Know(9, /*settled=*/true);
  small.Start(kBounds4, PathProbing::kBlackHole, kStart);
  EXPECT_EQ(small.mss(), 512);
}

// ---- Routers ----

TEST(PathMtu, BelievesARouterAboutTheFirstFlight) {
  PathMtu path = Started();
  EXPECT_EQ(path.OnTooBig(Report(1360), kStart), TooBigVerdict::kTaken);
  EXPECT_EQ(path.mss(), 1360);
  EXPECT_TRUE(path.below_most());
  // The other segments of the flight hit the same router.
  EXPECT_EQ(path.OnTooBig(Report(1360), kStart), TooBigVerdict::kNoNews);
  EXPECT_EQ(path.OnTooBig(Report(1400), kStart), TooBigVerdict::kNoNews);
  // A second narrow link behind the first.
  EXPECT_EQ(path.OnTooBig(Report(1240), kStart), TooBigVerdict::kTaken);
  EXPECT_EQ(path.mss(), 1240);
}

TEST(PathMtu, AReportHasToNameWhatIsInFlight) {
  PathMtu path = Started();
  TooBigReport report = Report(1000);
  report.quoted = report.una - 1;
  EXPECT_EQ(path.OnTooBig(report, kStart), TooBigVerdict::kNotInFlight);
  report.quoted = report.nxt;
  EXPECT_EQ(path.OnTooBig(report, kStart), TooBigVerdict::kNotInFlight);
  report.quoted = report.nxt - 1;
  EXPECT_EQ(path.OnTooBig(report, kStart), TooBigVerdict::kTaken);
}

TEST(PathMtu, AReportBeforeThereIsDataIsIgnored) {
  PathMtu path = Started();
  const TooBigReport report{.mss = 1000, .quoted = kFirst, .una = kFirst, .nxt = kFirst, .first = kFirst};
  EXPECT_EQ(path.OnTooBig(report, kStart), TooBigVerdict::kNotInFlight);
  EXPECT_EQ(path.mss(), 1460);
}

TEST(PathMtu, NobodyTalksItBelowTheLeast) {
  PathMtu path = Started();
  EXPECT_EQ(path.OnTooBig(Report(28), kStart), TooBigVerdict::kTaken);
  EXPECT_EQ(path.mss(), 512);
  EXPECT_EQ(path.OnTooBig(Report(28), kStart), TooBigVerdict::kNoNews);
  PathMtu six = Started(kBounds6);
  EXPECT_EQ(six.OnTooBig(Report(100), kStart), TooBigVerdict::kTaken);
  EXPECT_EQ(six.mss(), 1220);
}

// RFC 5927 7.2, the stage after the initial discovery.
TEST(PathMtu, AReportIsDeferredWhereSuchSegmentsMayHaveArrived) {
  PathMtu path = Started();
  EXPECT_EQ(path.OnTooBig(Report(600, 601), kStart), TooBigVerdict::kDeferred);
  EXPECT_EQ(path.mss(), 1460);
  EXPECT_TRUE(path.active());
  // The segment it quotes is acknowledged: it was a lie.
  path.OnAck(kFirst + 601);
  EXPECT_TRUE(path.active());
  path.OnAck(kFirst + 602);
  EXPECT_FALSE(path.active());
  EXPECT_EQ(path.OnTimeout(kFirst + 602, 1, 1460, kStart), PathMtu::TimeoutVerdict::kOrdinary);
  EXPECT_EQ(path.mss(), 1460);
}

TEST(PathMtu, ADeferredReportIsTakenWhenTheSegmentTimesOut) {
  PathMtu path = Started();
  EXPECT_EQ(path.OnTooBig(Report(1360, 100'000), kStart), TooBigVerdict::kDeferred);
  EXPECT_EQ(path.OnTooBig(Report(1300, 100'000), kStart), TooBigVerdict::kDeferred);
  EXPECT_EQ(path.OnTimeout(kFirst + 100'000, 1, 1460, kStart), PathMtu::TimeoutVerdict::kDeferredTaken);
  EXPECT_EQ(path.mss(), 1300);
  EXPECT_FALSE(path.active());
}

TEST(PathMtu, ExactlyWhatWouldFitMayHaveArrived) {
  PathMtu path = Started();
  EXPECT_EQ(path.OnTooBig(Report(600, 600), kStart), TooBigVerdict::kTaken);
}

// ---- Ageing ----

TEST(PathMtu, TriesMoreTenMinutesAfterTheLastDecrease) {
  PathMtu path = Started();
  path.OnTooBig(Report(1360), kStart);
  const Instant later = kStart + Duration::Seconds(300);
  path.OnTooBig(Report(1240), later);
  EXPECT_EQ(path.next_raise(), later + Duration::Seconds(600));
  EXPECT_FALSE(path.OnAged(later + Duration::Seconds(599)));
  EXPECT_FALSE(path.searching());
  path.OnAged(later + Duration::Seconds(600));
  EXPECT_EQ(path.mss(), 1240);
  EXPECT_EQ(path.NextProbe(), 1460);
}

TEST(PathMtu, WithoutProbesTheSizeItselfIsRaised) {
  PathMtu path = Started(kBounds4, PathProbing::kOff);
  path.OnTooBig(Report(1360), kStart);
  EXPECT_TRUE(path.OnAged(kStart + PathMtu::kAge));
  EXPECT_EQ(path.mss(), 1460);
  EXPECT_FALSE(path.below_most());
}

// ---- Black holes ----

TEST(PathMtu, ThreeTimeoutsOfALargeSegmentMakeABlackHole) {
  PathMtu path = Started();
  EXPECT_EQ(path.OnTimeout(kFirst, 1, 1460, kStart), PathMtu::TimeoutVerdict::kOrdinary);
  EXPECT_EQ(path.OnTimeout(kFirst, 2, 1460, kStart), PathMtu::TimeoutVerdict::kOrdinary);
  EXPECT_EQ(path.OnTimeout(kFirst, 3, 1460, kStart), PathMtu::TimeoutVerdict::kBlackHole);
  EXPECT_EQ(path.mss(), 1024);
  EXPECT_TRUE(path.searching());
  // Nothing has arrived yet: perhaps nobody is there at all.
  EXPECT_EQ(path.NextProbe(), 0);
  EXPECT_EQ(path.OnTimeout(kFirst, 6, 1024, kStart), PathMtu::TimeoutVerdict::kBlackHole);
  EXPECT_EQ(path.mss(), 512);
  EXPECT_EQ(path.OnTimeout(kFirst, 9, 512, kStart), PathMtu::TimeoutVerdict::kOrdinary);
  EXPECT_EQ(path.OnAck(kFirst + 512), PathMtu::Progress::kConfirmed);
  EXPECT_EQ(path.NextProbe(), 1460);
}

TEST(PathMtu, SmallSegmentsDoNotVanishInABlackHole) {
  PathMtu path = Started();
  EXPECT_EQ(path.OnTimeout(kFirst, 3, 1024, kStart), PathMtu::TimeoutVerdict::kOrdinary);
  PathMtu six = Started(kBounds6);
  EXPECT_EQ(six.OnTimeout(kFirst, 3, 1221, kStart), PathMtu::TimeoutVerdict::kBlackHole);
  EXPECT_EQ(six.mss(), 1220);
  EXPECT_EQ(six.OnTimeout(kFirst, 6, 1220, kStart), PathMtu::TimeoutVerdict::kOrdinary);
  PathMtu off = Started(kBounds4, PathProbing::kOff);
  EXPECT_EQ(off.OnTimeout(kFirst, 3, 1460, kStart), PathMtu::TimeoutVerdict::kOrdinary);
}

// ---- Search ----

struct Search {
  uint32_t sent = 0;
  uint32_t lost = 0;
  uint16_t largest_tried = 0;
};

// Probes until the search is over, on a path that carries `carries`.
Search SearchOn(PathMtu& path, uint16_t carries, SeqNum at = kFirst) {
  Search search;
  while (const uint16_t size = path.NextProbe()) {
    EXPECT_GT(size, path.mss());
    EXPECT_LT(++search.sent, 100u);
    search.largest_tried = std::max(search.largest_tried, size);
    path.OnProbeSent(at, at + size, size);
    EXPECT_EQ(path.NextProbe(), 0);  // one at a time
    const bool arrives = size <= carries;
    if (!arrives) {
      path.OnProbeLost();
      ++search.lost;
    }
    at = at + size;
    EXPECT_EQ(path.OnAck(at), arrives ? PathMtu::Progress::kRaised : PathMtu::Progress::kNone);
  }
  EXPECT_FALSE(path.active());
  return search;
}

PathMtu BlackHoled() {
  PathMtu path = Started();
  path.OnTimeout(kFirst, 3, 1460, kStart);
  path.OnAck(kFirst);
  return path;
}

TEST(PathMtu, AfterAnOutageOneProbeIsEnough) {
  PathMtu path = BlackHoled();
  EXPECT_EQ(SearchOn(path, 1460).sent, 1u);
  EXPECT_EQ(path.mss(), 1460);
}

TEST(PathMtu, FindsWhatThePathCarriesWithinTheGrain) {
  for (uint16_t carries = 1024; carries <= 1460; ++carries) {
    PathMtu path = BlackHoled();
    const Search search = SearchOn(path, carries);
    EXPECT_LE(path.mss(), carries);
    EXPECT_GT(path.mss() + PathMtu::kGrain, carries);
    EXPECT_LE(search.sent, 20u);
    EXPECT_LE(search.largest_tried, 1460);
  }
}

TEST(PathMtu, TheSearchFromTheStart) {
  PathMtu path = Started(kBounds4, PathProbing::kAlways);
  EXPECT_EQ(path.mss(), 1024);
  EXPECT_TRUE(path.active());
  SearchOn(path, 1460);
  EXPECT_EQ(path.mss(), 1460);
  PathMtu jumbo = Started({.most = 8960, .base = 1024, .least = 512}, PathProbing::kAlways);
  EXPECT_LT(SearchOn(jumbo, 4000).sent, 35u);
  EXPECT_GT(jumbo.mss(), 4000 - PathMtu::kGrain);
}

// One probe lost to chance does not end the search below it (RFC 8899 5.1.2: MAX_PROBES).
TEST(PathMtu, ASizeIsGivenUpAfterThreeProbes) {
  PathMtu path = BlackHoled();
  const auto lose = [&] {
    const uint16_t size = path.NextProbe();
    path.OnProbeSent(kFirst, kFirst + size, size);
    path.OnProbeLost();
    path.OnAck(kFirst + size);
    return size;
  };
  EXPECT_EQ(lose(), 1460);
  const uint16_t middle = lose();
  EXPECT_EQ(middle, 1024 + (1459 - 1024 + 1) / 2);
  EXPECT_EQ(lose(), middle);
  EXPECT_EQ(lose(), middle);
  EXPECT_LT(path.NextProbe(), middle);
  EXPECT_EQ(path.mss(), 1024);
}

TEST(PathMtu, ARoutersWordAboutAProbeIsTriedNext) {
  PathMtu path = BlackHoled();
  path.OnProbeSent(kFirst, kFirst + 1460, 1460);
  const TooBigReport report{
      .mss = 1380, .quoted = kFirst, .una = kFirst, .nxt = kFirst + 5'000, .first = kFirst};
  EXPECT_EQ(path.OnTooBig(report, kStart), TooBigVerdict::kProbe);
  EXPECT_TRUE(path.Covers(kFirst));
  EXPECT_FALSE(path.probe_in_flight());
  path.OnAck(kFirst + 1460);
  EXPECT_EQ(path.NextProbe(), 1380);
  EXPECT_EQ(SearchOn(path, 1380, kFirst + 1460).sent, 1u);
  EXPECT_EQ(path.mss(), 1380);
}

TEST(PathMtu, ARouterMaySayThatThereIsNoMore) {
  PathMtu path = BlackHoled();
  path.OnProbeSent(kFirst, kFirst + 1460, 1460);
  const TooBigReport report{
      .mss = 1024, .quoted = kFirst, .una = kFirst, .nxt = kFirst + 5'000, .first = kFirst};
  EXPECT_EQ(path.OnTooBig(report, kStart), TooBigVerdict::kProbe);
  path.OnAck(kFirst + 1460);
  EXPECT_EQ(path.NextProbe(), 0);
  EXPECT_FALSE(path.active());
}

TEST(PathMtu, WhatALostProbeHeldIsNoProbeAnyMore) {
  PathMtu path = BlackHoled();
  path.OnProbeSent(kFirst, kFirst + 1460, 1460);
  path.OnProbeLost();
  EXPECT_TRUE(path.Covers(kFirst + 1459));
  EXPECT_FALSE(path.Covers(kFirst + 1460));
  EXPECT_EQ(path.OnAck(kFirst + 1024), PathMtu::Progress::kNone);
  EXPECT_EQ(path.NextProbe(), 0);  // its repair is not over
  EXPECT_EQ(path.OnAck(kFirst + 1460), PathMtu::Progress::kNone);
  EXPECT_EQ(path.mss(), 1024);
}

}  // namespace
}  // namespace tern::tcp
