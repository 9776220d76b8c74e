#include "tcp/path_mtu.h"

#include <algorithm>

namespace tern::tcp {

uint16_t NextPlateau(uint16_t mtu) {
  constexpr uint16_t kPlateaus[] = {65'535, 32'000, 17'914, 8'166, 4'352, 2'002, 1'492, 1'006, 508, 296, 68};
  for (const uint16_t plateau : kPlateaus) {
    if (plateau < mtu) return plateau;
  }
  return 68;
}

void PathMtu::Start(const PathBounds& bounds, PathProbing probing, Instant now) {
  const uint16_t known = mss_;
  bounds_ = bounds;
  bounds_.base = std::min(bounds.base, bounds.most);
  bounds_.least = std::min(bounds.least, bounds_.base);
  probing_ = probing;
  lowered_at_ = now;
  mss_ = known != 0 ? std::clamp(known, bounds_.least, bounds_.most) : bounds_.most;
  if (!below_most()) {
    if (probing != PathProbing::kAlways) return;
    mss_ = bounds_.base;
    StartSearch(bounds_.most);
  } else if (!known_settled_ && probing != PathProbing::kOff) {
    StartSearch(bounds_.most);
  }
}

// ---- Routers ----

TooBigVerdict PathMtu::OnTooBig(const TooBigReport& report, Instant now) {
  // RFC 5927 4.1 and 7: whoever does not see our segments can hardly name one that is under way; and a report
  // when nothing is under way is made up.
  if (report.quoted.Before(report.una) || report.quoted.AtOrAfter(report.nxt)) {
    return TooBigVerdict::kNotInFlight;
  }
  if (span_ == Span::kProbe && Covers(report.quoted) && report.mss >= mss_) {
    if (report.mss >= probe_) return TooBigVerdict::kNoNews;
    // RFC 8899 4.6.1: between what is known to fit and what was tried, the router's word is the next to try.
    span_ = Span::kRepair;
    high_ = report.mss > mss_ ? report.mss : uint16_t{0};
    leapt_ = false;
    losses_ = 0;
    return TooBigVerdict::kProbe;
  }
  const uint16_t mss = std::max(report.mss, bounds_.least);
  if (mss >= mss_) return TooBigVerdict::kNoNews;
  // RFC 5927 7.2: where no more than this was ever acknowledged, no segment larger than it has arrived, and
  // the report is likely to be true. Else it may be a forgery, and the segment's own fate decides.
  if (report.first.DistanceTo(report.una) > mss) {
    deferred_ = deferred_ == 0 ? mss : std::min(deferred_, mss);
    deferred_seq_ = report.quoted;
    return TooBigVerdict::kDeferred;
  }
  Lower(mss, now);
  return TooBigVerdict::kTaken;
}

bool PathMtu::OnLearned(uint16_t mss, Instant now) {
  mss = std::max(mss, bounds_.least);
  if (mss >= mss_) return false;
  Lower(mss, now);
  return true;
}

void PathMtu::Lower(uint16_t mss, Instant now) {
  mss_ = mss;
  lowered_at_ = now;
  deferred_ = 0;
  high_ = 0;
}

void PathMtu::StartRepair(SeqNum una, SeqNum nxt) {
  span_ = Span::kRepair;
  span_start_ = una;
  span_end_ = nxt;
}

// ---- Acknowledgements ----

PathMtu::Progress PathMtu::OnAck(SeqNum una) {
  if (deferred_ != 0 && una.After(deferred_seq_)) deferred_ = 0;  // it arrived: nothing was too big
  Progress progress = Progress::kNone;
  if (unconfirmed_) {
    unconfirmed_ = false;
    progress = Progress::kConfirmed;
  }
  if (span_ == Span::kNone || una.Before(span_end_)) return progress;
  const bool probe = span_ == Span::kProbe;
  span_ = Span::kNone;
  if (!probe || probe_ <= mss_) return progress;
  mss_ = probe_;
  losses_ = 0;
  if (high_ <= mss_ || (leapt_ && high_ - mss_ < kGrain)) high_ = 0;
  return Progress::kRaised;
}

// ---- Loss ----

bool PathMtu::Covers(SeqNum seq) const {
  return span_ != Span::kNone && seq.AtOrAfter(span_start_) && seq.Before(span_end_);
}

void PathMtu::OnProbeLost() {
  if (span_ != Span::kProbe) return;
  span_ = Span::kRepair;
  NoteTooLarge(probe_);
}

void PathMtu::NoteTooLarge(uint16_t size) {
  if (high_ == 0) return;
  // The leap to the top is a guess that is made once.
  if (leapt_ && ++losses_ < kMaxProbes) return;
  leapt_ = true;
  losses_ = 0;
  high_ = std::min(high_, static_cast<uint16_t>(size - 1));
  if (high_ <= mss_ || high_ - mss_ < kGrain) high_ = 0;
}

PathMtu::TimeoutVerdict PathMtu::OnTimeout(SeqNum una, uint8_t in_row, uint32_t size, Instant now) {
  OnProbeLost();
  span_ = Span::kNone;  // all in flight is lost now, for whatever reason
  if (deferred_ != 0 && !una.After(deferred_seq_)) {
    // RFC 5927 7.2: the segment timed out; MAXSEGRTO is one.
    Lower(std::min(deferred_, mss_), now);
    return TimeoutVerdict::kDeferredTaken;
  }
  // RFC 8899 4.3. Should it be the peer that is gone, or the cable, the search soon finds the way back up.
  // Below the base (5.2, ERROR) only where the base has vanished, too.
  const uint16_t lower = mss_ > bounds_.base ? bounds_.base : unconfirmed_ ? bounds_.least : mss_;
  if (probing_ == PathProbing::kOff || in_row % kMaxProbes != 0 || mss_ <= lower || size <= lower) {
    return TimeoutVerdict::kOrdinary;
  }
  const uint16_t high = std::max(high_, mss_);
  Lower(lower, now);
  unconfirmed_ = true;
  StartSearch(high);
  return TimeoutVerdict::kBlackHole;
}

// ---- Search ----

void PathMtu::StartSearch(uint16_t high) {
  high_ = high;
  leapt_ = false;
  losses_ = 0;
}

// The top first: after an outage, or on a path that has grown, one probe ends the search. Then by halves (RFC
// 8899 5.3.1).
uint16_t PathMtu::NextProbe() const {
  if (high_ <= mss_ || span_ != Span::kNone || unconfirmed_) return 0;
  if (!leapt_) return high_;
  return static_cast<uint16_t>(mss_ + (high_ - mss_ + 1) / 2);
}

void PathMtu::OnProbeSent(SeqNum seq, SeqNum end, uint16_t size) {
  span_ = Span::kProbe;
  span_start_ = seq;
  span_end_ = end;
  probe_ = size;
}

bool PathMtu::OnAged(Instant now) {
  if (!below_most() || now < next_raise()) return false;
  lowered_at_ = now;
  if (probing_ != PathProbing::kOff) {
    if (!searching()) StartSearch(bounds_.most);
    return false;
  }
  mss_ = bounds_.most;
  return true;
}

}  // namespace tern::tcp
