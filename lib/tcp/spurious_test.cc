#include "tcp/spurious.h"

#include <gtest/gtest.h>

namespace tern::tcp {
namespace {

constexpr SeqNum kUna{0xfffffe00};  // wraps inside

SpuriousDetector Begun() {
  SpuriousDetector d;
  d.Begin(kUna, kUna + 5'000);
  return d;
}
SeqRange Range(uint32_t from, uint32_t to) { return {kUna + from, kUna + to}; }

TEST(SpuriousDetector, NothingIsWatchedAtFirst) {
  SpuriousDetector d;
  EXPECT_FALSE(d.watches());
  d.OnRetransmit(1'000, true, 100);
  EXPECT_FALSE(d.OnAdvance(50));
  EXPECT_FALSE(d.OnDuplicate(Range(0, 1'000)));
}

TEST(SpuriousDetector, AnEchoFromBeforeTheRetransmissionAnswersTheOriginal) {
  SpuriousDetector d = Begun();
  d.OnRetransmit(1'000, true, 100);
  d.OnRetransmit(1'000, true, 150);
  EXPECT_TRUE(d.OnAdvance(99));
  EXPECT_FALSE(d.watches());
  EXPECT_FALSE(d.OnAdvance(99)) << "said once";
}

TEST(SpuriousDetector, TheSameTickIsNoProof) {
  SpuriousDetector d = Begun();
  d.OnRetransmit(1'000, true, 100);
  EXPECT_FALSE(d.OnAdvance(100));
  EXPECT_FALSE(d.OnAdvance(99)) << "only the first ACK that advances is asked";
}

TEST(SpuriousDetector, TimestampsWrap) {
  SpuriousDetector d = Begun();
  d.OnRetransmit(1'000, true, 5);
  EXPECT_TRUE(d.OnAdvance(0xfffffff0));
}

TEST(SpuriousDetector, WithoutTimestampsOnlyDuplicatesTell) {
  SpuriousDetector d = Begun();
  d.OnRetransmit(1'000, false, 0);
  EXPECT_FALSE(d.OnAdvance(0));
  EXPECT_TRUE(d.OnDuplicate(Range(0, 1'000)));
}

TEST(SpuriousDetector, EachRetransmissionMustHaveBeenOneTooMany) {
  SpuriousDetector d = Begun();
  d.OnRetransmit(1'000, false, 0);
  d.OnRetransmit(1'000, false, 0);
  EXPECT_FALSE(d.OnDuplicate(Range(0, 1'000)));
  EXPECT_TRUE(d.OnDuplicate(Range(1'000, 2'000)));
}

TEST(SpuriousDetector, DuplicatesOfSomethingElseDoNotCount) {
  SpuriousDetector d = Begun();
  EXPECT_FALSE(d.OnDuplicate(Range(0, 1'000))) << "nothing was sent again";
  d.OnRetransmit(1'000, false, 0);
  EXPECT_FALSE(d.OnDuplicate({kUna - 1'000, kUna}));
  EXPECT_FALSE(d.OnDuplicate(Range(4'500, 5'500)));
  EXPECT_TRUE(d.OnDuplicate(Range(4'000, 5'000)));
}

TEST(SpuriousDetector, ANewLossForgetsTheOld) {
  SpuriousDetector d = Begun();
  d.OnRetransmit(1'000, true, 100);
  d.Begin(kUna, kUna + 5'000);
  EXPECT_FALSE(d.OnAdvance(50)) << "nothing of the new one was sent again";
  EXPECT_TRUE(d.watches());
}

}  // namespace
}  // namespace tern::tcp
