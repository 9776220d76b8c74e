#include "stack/syn_cookie.h"

namespace tern::stack {
namespace {

constexpr unsigned kMssBits = 3;
constexpr uint32_t kMssMask = (1u << kMssBits) - 1;
static_assert(kCookieMss.size() == 1u << kMssBits);
// Where the parts of the sequence number stand.
constexpr unsigned kMssShift = 32 - kMssBits;
constexpr uint32_t kTupleMask = (1u << 14) - 1;
constexpr uint32_t kAllMask = (1u << kMssShift) - 1 - kTupleMask;

// The low bits of the timestamp: four of the shift (RFC 7323 2.3: 0 to 14), then one each.
constexpr unsigned kOptionBits = 6;
constexpr uint32_t kOptionMask = (1u << kOptionBits) - 1;
constexpr uint8_t kNoScale = 15;
constexpr uint8_t kSackBit = 1 << 4;
constexpr uint8_t kEcnBit = 1 << 5;
// Only in the hash: a segment without a timestamp must not pass for one whose bits are all zero.
constexpr uint8_t kHasTimestamp = 1 << 7;

uint8_t OptionBits(const SynFacts& facts) {
  const auto scale = static_cast<uint8_t>(facts.scale < 0 ? kNoScale : facts.scale);
  return static_cast<uint8_t>(scale | (facts.sack ? kSackBit : 0) | (facts.ecn ? kEcnBit : 0));
}

uint8_t HashedOptions(const SynFacts& facts) {
  return facts.timestamps ? static_cast<uint8_t>(kHasTimestamp | OptionBits(facts)) : uint8_t{0};
}

SynFacts FactsFrom(std::optional<uint32_t> tsecr) {
  SynFacts facts;
  if (!tsecr) return facts;
  const uint32_t bits = *tsecr & kOptionMask;
  const auto scale = static_cast<uint8_t>(bits & kNoScale);
  facts.scale = scale == kNoScale ? int8_t{-1} : static_cast<int8_t>(scale);
  facts.sack = (bits & kSackBit) != 0;
  facts.ecn = (bits & kEcnBit) != 0;
  facts.timestamps = true;
  return facts;
}

uint32_t MssIndex(uint16_t mss) {
  uint32_t index = kMssMask;
  while (index > 0 && kCookieMss[index] > mss) --index;
  return index;
}

int64_t PeriodOf(Instant now) { return now.nanos() / SynCookie::kPeriod.nanos(); }

}  // namespace

SynFacts SynCookie::Keep(const SynFacts& offered) {
  const uint16_t mss = kCookieMss[MssIndex(offered.mss)];
  if (!offered.timestamps) return {.mss = mss};
  SynFacts kept = offered;
  kept.mss = mss;
  return kept;
}

SynCookie::Hashes SynCookie::Hash(const wire::FlowKey& key, SeqNum irs, uint8_t options,
                                  int64_t period) const {
  const std::array<uint64_t, 5> words = key.Words();
  const uint64_t tuple =
      SipHash24(secret_, {words[0], words[1], words[2], words[3], words[4], static_cast<uint64_t>(period)});
  return {tuple, SipHash24(secret_, tuple, uint64_t{irs.value()} << 8 | options)};
}

SeqNum SynCookie::Sequence(const wire::FlowKey& key, SeqNum irs, const SynFacts& facts, Instant now) const {
  const Hashes hash = Hash(key, irs, HashedOptions(facts), PeriodOf(now));
  const uint32_t mss = (MssIndex(facts.mss) ^ static_cast<uint32_t>(hash.all >> 32)) & kMssMask;
  return SeqNum(mss << kMssShift | (static_cast<uint32_t>(hash.all) & kAllMask) |
                (static_cast<uint32_t>(hash.tuple) & kTupleMask));
}

uint32_t SynCookie::Timestamp(uint32_t clock, const SynFacts& facts) {
  const uint32_t bits = OptionBits(facts);
  // The latest value with these bits that is not after `clock`; right across the clock's wrap, too.
  return clock - ((clock - bits) & kOptionMask);
}

CookieVerdict SynCookie::Check(const wire::FlowKey& key, SeqNum irs, SeqNum iss,
                               std::optional<uint32_t> tsecr, Instant now, SynFacts* facts) const {
  *facts = FactsFrom(tsecr);
  const uint8_t options = HashedOptions(*facts);
  CookieVerdict verdict = CookieVerdict::kInvalid;
  for (const int64_t age : {0, 1}) {
    const Hashes hash = Hash(key, irs, options, PeriodOf(now) - age);
    if (((static_cast<uint32_t>(hash.tuple) ^ iss.value()) & kTupleMask) != 0) continue;
    verdict = CookieVerdict::kNotFirst;
    if (((static_cast<uint32_t>(hash.all) ^ iss.value()) & kAllMask) != 0) continue;
    facts->mss = kCookieMss[(iss.value() >> kMssShift ^ static_cast<uint32_t>(hash.all >> 32)) & kMssMask];
    return CookieVerdict::kGood;
  }
  return verdict;
}

}  // namespace tern::stack
