#include "tcp/challenge_limit.h"

#include <gtest/gtest.h>

#include <set>

#include "tcp/pair_for_test.h"

namespace tern::tcp {
namespace {

Instant At(int64_t millis) { return Instant::FromNanos(millis * 1'000'000); }

int TakeAll(ChallengeLimit& limit, Instant now) {
  int taken = 0;
  while (limit.Take(now)) ++taken;
  return taken;
}

TEST(ChallengeLimit, ASecondsNumberIsNearTheLimitAndCannotBeKnown) {
  ChallengeLimit limit(100, 7);
  std::set<int> numbers;
  for (int second = 0; second < 50; ++second) {
    const int taken = TakeAll(limit, At(second * 1'000));
    EXPECT_GE(taken, 50);
    EXPECT_LE(taken, 150);
    EXPECT_FALSE(limit.Take(At(second * 1'000 + 999))) << "nothing comes back within the second";
    numbers.insert(taken);
  }
  EXPECT_GT(numbers.size(), 20u);
}

TEST(ChallengeLimit, NoneAtAll) {
  ChallengeLimit limit(0, 7);
  EXPECT_EQ(TakeAll(limit, At(0)), 0);
}

int ChallengesOf(Pair& pair, int provoked) {
  const size_t before = pair.log.size();
  for (int i = 0; i < provoked; ++i) {
    pair.Inject(pair.client, {.seq = pair.client.conn.rcv_nxt + 10, .flags = wire::kRst});
  }
  return static_cast<int>(pair.log.size() - before);
}

// RFC 5961 7: ten in five seconds.
TEST(ChallengeLimit, AConnectionSendsTenAndThenTwoASecond) {
  Pair pair;
  pair.Connect();
  pair.RunFor(Duration::Millis(100));
  EXPECT_EQ(ChallengesOf(pair, 30), 10);
  EXPECT_EQ(pair.client.withheld, 20);
  pair.RunFor(Duration::Seconds(1));
  EXPECT_EQ(ChallengesOf(pair, 30), 2);
  EXPECT_EQ(pair.client.conn.state, State::kEstablished);
}

TEST(ChallengeLimit, TheShardsLimitHoldsForAllOfItsConnections) {
  Pair pair;
  ChallengeLimit limit(4, 1);
  pair.client.env.challenges = &limit;
  pair.Connect();
  pair.RunFor(Duration::Millis(100));
  const int sent = ChallengesOf(pair, 10);
  EXPECT_GE(sent, 2);
  EXPECT_LE(sent, 6);
  EXPECT_EQ(pair.client.withheld, 10 - sent);
}

// A peer whose ACKs of data are lost sends the data again and again: each copy is answered, limit or not.
TEST(ChallengeLimit, DuplicatesOfDataAreNotChallenges) {
  Pair pair;
  pair.Connect();
  pair.RunFor(Duration::Millis(100));
  pair.Write(pair.server, Pattern(0, 100));
  pair.RunFor(Duration::Millis(100));
  WireSegment again = pair.Sent(false).back();
  const size_t before = pair.log.size();
  for (int i = 0; i < 40; ++i) pair.Inject(pair.client, again);
  EXPECT_EQ(pair.log.size() - before, 40u);
}

}  // namespace
}  // namespace tern::tcp
