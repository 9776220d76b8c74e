#include "apps/pattern.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <string_view>
#include <vector>

namespace tern::apps {
namespace {

std::vector<uint8_t> Pattern(uint64_t phase, uint64_t position, size_t size) {
  std::vector<uint8_t> bytes(size);
  FillPattern(phase, position, bytes);
  return bytes;
}

uint64_t HashOf(std::span<const uint8_t> bytes) {
  StreamHash hash;
  hash.Add(bytes);
  return hash.value();
}

std::vector<uint8_t> Bytes(std::string_view text) { return {text.begin(), text.end()}; }

// Fixed by the text in pattern.h; computed there with Python's integers.
TEST(Pattern, KnownWords) {
  EXPECT_EQ(PatternWord(0), 0xe220a8397b1dcdafu);
  EXPECT_EQ(PatternWord(1), 0x6e789e6aa1b965f4u);
  EXPECT_EQ(PatternWord(131'070), 0xdc33d115216e8c9fu);
  EXPECT_EQ(PatternWord(131'071), PatternWord(0));
  EXPECT_EQ(Pattern(0, 0, 4), (std::vector<uint8_t>{0xaf, 0xcd, 0x1d, 0x7b}));
}

TEST(Pattern, AnyPieceIsThePieceOfTheWhole) {
  const auto whole = Pattern(131'060, 0, 4096);
  std::mt19937_64 random(3);
  for (int i = 0; i < 500; ++i) {
    const size_t from = random() % whole.size();
    const size_t size = random() % std::min<size_t>(64, whole.size() - from + 1);
    const auto piece = Pattern(131'060, from, size);
    EXPECT_TRUE(std::equal(piece.begin(), piece.end(), whole.begin() + static_cast<long>(from)));
    EXPECT_EQ(ComparePattern(131'060, from, piece), size);
  }
}

TEST(Pattern, RepeatsAfterItsPeriodAndNotBefore) {
  EXPECT_EQ(Pattern(5, 3, 100), Pattern(5, 3 + kPatternBytes, 100));
  EXPECT_EQ(Pattern(5, 8, 100), Pattern(6, 0, 100));
  for (uint64_t shift = 1; shift <= 1 << 19; shift *= 2)
    EXPECT_NE(Pattern(5, 3, 16), Pattern(5, 3 + shift, 16));
  EXPECT_EQ(Pattern(9, uint64_t{1} << 40, 16), Pattern(9, (uint64_t{1} << 40) % kPatternBytes, 16));
}

TEST(Pattern, CompareFindsTheFirstWrongByte) {
  for (size_t wrong = 0; wrong < 40; ++wrong) {
    auto bytes = Pattern(77, 5, 40);
    bytes[wrong] ^= 1;
    bytes[39] ^= 0x80;
    EXPECT_EQ(ComparePattern(77, 5, bytes), wrong);
  }
}

TEST(Pattern, TheFirstWordTellsThePhase) {
  for (const uint64_t phase : {uint64_t{0}, uint64_t{1}, uint64_t{65'536}, kPatternWords - 1}) {
    const auto bytes = Pattern(phase, 0, 8);
    EXPECT_EQ(PatternPhase(std::span<const uint8_t, 8>(bytes)), phase);
  }
  const std::vector<uint8_t> zeros(8);
  EXPECT_EQ(PatternPhase(std::span<const uint8_t, 8>(zeros)), std::nullopt);
  const auto text = Bytes("GET / HT");
  EXPECT_EQ(PatternPhase(std::span<const uint8_t, 8>(text)), std::nullopt);
}

TEST(PatternChecker, AcceptsAStreamInPiecesOfAnySize) {
  const auto whole = Pattern(1234, 0, 5000);
  std::mt19937_64 random(5);
  PatternChecker checker;
  for (size_t at = 0; at < whole.size();) {
    const size_t size = std::min<size_t>(random() % 20, whole.size() - at);
    checker.Add(std::span(whole).subspan(at, size));
    at += size;
    EXPECT_EQ(checker.verdict(),
              at < 8 ? PatternChecker::Verdict::kUnknown : PatternChecker::Verdict::kMatches);
  }
  EXPECT_EQ(checker.octets(), whole.size());
}

TEST(PatternChecker, NamesTheFirstMismatch) {
  auto whole = Pattern(1234, 0, 5000);
  whole[3000] ^= 4;
  PatternChecker checker;
  checker.Add(std::span(whole).first(10));
  checker.Add(std::span(whole).subspan(10));
  EXPECT_EQ(checker.verdict(), PatternChecker::Verdict::kMismatch);
  EXPECT_EQ(checker.first_mismatch(), 3000u);
  EXPECT_EQ(checker.octets(), 5000u);
}

TEST(PatternChecker, LeavesOtherStreamsAlone) {
  PatternChecker checker;
  const auto text = Bytes("hello, discard server, here is text of no pattern");
  checker.Add(std::span(text).first(3));
  checker.Add(std::span(text).subspan(3));
  checker.Add(text);
  EXPECT_EQ(checker.verdict(), PatternChecker::Verdict::kUnknown);
  EXPECT_EQ(checker.octets(), 2 * text.size());
}

TEST(PatternChecker, AnExpectedPhaseLetsNothingPass) {
  PatternChecker right(7), wrong(8);
  const auto bytes = Pattern(7, 0, 5);
  right.Add(bytes);
  wrong.Add(bytes);
  EXPECT_EQ(right.verdict(), PatternChecker::Verdict::kMatches);
  EXPECT_EQ(wrong.verdict(), PatternChecker::Verdict::kMismatch);
  EXPECT_EQ(wrong.first_mismatch(), 0u);
}

// Fixed by the text in pattern.h; computed there with Python's integers.
TEST(StreamHash, KnownValues) {
  EXPECT_EQ(HashOf({}), 1u);
  EXPECT_EQ(HashOf(Bytes("a")), 0x161u);
  EXPECT_EQ(HashOf(Bytes("the quick brown fox jumps over the lazy dog")), 0xd8c6542ff7a4a780u);
  EXPECT_EQ(HashOf(Pattern(0, 0, 1'000'003)), 0x1de412b27bd1631fu);
  EXPECT_EQ(HashOf(std::vector<uint8_t>(1000, 0xff)), 0x5c27266248c1e045u);
}

TEST(StreamHash, PiecesGiveTheHashOfTheWhole) {
  const auto whole = Pattern(99, 0, 10'000);
  std::mt19937_64 random(17);
  for (int round = 0; round < 50; ++round) {
    StreamHash hash;
    for (size_t at = 0; at < whole.size();) {
      const size_t size = std::min<size_t>(random() % 300, whole.size() - at);
      hash.Add(std::span(whole).subspan(at, size));
      at += size;
    }
    ASSERT_EQ(hash.value(), HashOf(whole));
  }
}

TEST(StreamHash, SeesSwapsShiftsAndLengths) {
  const auto whole = Pattern(99, 0, 4096);
  const uint64_t right = HashOf(whole);
  for (const size_t distance : {1, 8, 61, 64, 128, 1024}) {
    auto swapped = whole;
    std::swap(swapped[100], swapped[100 + distance]);
    EXPECT_NE(HashOf(swapped), right) << distance;
    auto rotated = whole;
    std::rotate(rotated.begin(), rotated.begin() + static_cast<long>(distance), rotated.end());
    EXPECT_NE(HashOf(rotated), right) << distance;
  }
  EXPECT_NE(HashOf(std::vector<uint8_t>(8)), HashOf(std::vector<uint8_t>(9)));
  auto longer = whole;
  longer.push_back(0);
  EXPECT_NE(HashOf(longer), right);
}

}  // namespace
}  // namespace tern::apps
