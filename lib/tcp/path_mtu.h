// How much a segment may hold on its path: what routers say of it (RFC 1191, RFC 8201, checked as RFC 5927 7
// asks) and what the connection finds out by itself (RFC 4821, RFC 8899).
#ifndef TERN_TCP_PATH_MTU_H_
#define TERN_TCP_PATH_MTU_H_

#include <cstdint>
#include <type_traits>

#include "base/instant.h"
#include "base/seq_num.h"
#include "tcp/seq_range.h"

namespace tern::tcp {

// When a connection tries for itself what the path carries.
enum class PathProbing : uint8_t {
  kOff,        // only routers tell
  kBlackHole,  // where full-sized segments vanish and nobody says why; and when what is known has aged
  kAlways,     // from a small segment upwards, from the start
};

// RFC 1191 7.1: the next smaller MTU that links in use have, for routers that give none. At least 68.
uint16_t NextPlateau(uint16_t mtu);

// All sizes are those that an MSS option counts: octets of a segment behind its fixed headers, TCP options
// and text together. What family the path is of shows in these alone.
struct PathBounds {
  uint16_t most = 0;   // what our link and the peer both take
  uint16_t base = 0;   // what nearly every path carries (RFC 8899 5.1.2: BASE_PLPMTU)
  uint16_t least = 0;  // what every path carries, or as good as (MIN_PLPMTU); nobody can talk us below it
};

// What a router said: that a segment was too big.
struct TooBigReport {
  uint16_t mss = 0;  // what would fit
  SeqNum quoted;     // the sequence number of the segment it speaks of
  SeqNum una;        // SND.UNA, SND.NXT, and where the stream began: ISS + 1
  SeqNum nxt;
  SeqNum first;
};

enum class TooBigVerdict : uint8_t {
  kNotInFlight,  // about nothing that is under way
  kNoNews,       // not smaller than what we send already
  kProbe,        // a probe did not fit: the search knows more now; what it held has to go again
  kDeferred,     // segments as large may have arrived before: to be believed if this one does not
  kTaken,        // mss() is smaller now
};

// One connection's knowledge. Cold state; takes values and gives decisions.
//
// RFC 8899 5.2's states: BASE and SEARCHING are searching(), SEARCH_COMPLETE is its absence, ERROR is mss()
// below the base.
class PathMtu {
 public:
  // RFC 8899 5.1.2, MAX_PROBES; so many time-outs in a row make a black hole, too.
  static constexpr uint8_t kMaxProbes = 3;
  // A search that knows the answer as closely as this is over.
  static constexpr uint16_t kGrain = 16;
  // RFC 1191 6.3, RFC 8201 4: no sooner after a decrease may more be tried; RFC 8899 5.1.1, PMTU_RAISE_TIMER.
  static constexpr Duration kAge = Duration::Seconds(600);

  // What other connections found on the same path, before Start; `settled`: and none is searching still.
  void Know(uint16_t mss, bool settled) {
    mss_ = mss;
    known_settled_ = settled;
  }
  // The handshake is over.
  void Start(const PathBounds& bounds, PathProbing probing, Instant now);

  uint16_t mss() const { return mss_; }
  bool below_most() const { return mss_ < bounds_.most; }
  bool searching() const { return high_ != 0; }
  // Segments and ACKs matter to it now.
  bool active() const { return searching() || span_ != Span::kNone || deferred_ != 0 || unconfirmed_; }

  // ---- Routers ----
  TooBigVerdict OnTooBig(const TooBigReport& report, Instant now);
  // Another connection learnt that of the same path. True: mss() is smaller now.
  bool OnLearned(uint16_t mss, Instant now);
  // What is in [una, nxt) is lost for its size, as far as it is too long: no sign of congestion.
  void StartRepair(SeqNum una, SeqNum nxt);

  // ---- Acknowledgements ----
  enum class Progress : uint8_t { kNone, kConfirmed, kRaised };
  // SND.UNA moved to `una`. kConfirmed: after a black hole something arrived; kRaised: a probe did, and mss()
  // is larger now.
  Progress OnAck(SeqNum una);

  // ---- Loss ----
  // `seq` is part of what went missing (or may) for its size alone.
  bool Covers(SeqNum seq) const;
  SeqRange covered() const { return {span_start_, span_end_}; }
  bool probe_in_flight() const { return span_ == Span::kProbe; }
  // The probe is being sent again in pieces. RFC 8899 5.1.3: after kMaxProbes of one size it counts as too
  // large.
  void OnProbeLost();

  enum class TimeoutVerdict : uint8_t { kOrdinary, kDeferredTaken, kBlackHole };
  // The retransmission timer expired for the `in_row`th time since SND.UNA last moved, for a segment of
  // `size`. kDeferredTaken: the router was right. kBlackHole: mss() is smaller now.
  TimeoutVerdict OnTimeout(SeqNum una, uint8_t in_row, uint32_t size, Instant now);

  // ---- Search ----
  // What to send next as a probe; 0: nothing now.
  uint16_t NextProbe() const;
  void OnProbeSent(SeqNum seq, SeqNum end, uint16_t size);

  // When to call OnAged, as long as below_most().
  Instant next_raise() const { return lowered_at_ + kAge; }
  // What is known is old: more is tried. True: mss() is larger now, for the path to refuse; otherwise probes
  // do it.
  bool OnAged(Instant now);

  bool watched = false;  // for the stack: somebody will call OnAged

 private:
  enum class Span : uint8_t { kNone, kProbe, kRepair };

  void Lower(uint16_t mss, Instant now);
  void StartSearch(uint16_t high);
  void NoteTooLarge(uint16_t size);

  PathBounds bounds_;
  uint16_t mss_ = 0;
  uint16_t high_ = 0;      // the largest that may still be found to fit; 0: no search
  uint16_t probe_ = 0;     // size of the probe in flight, or last lost
  uint16_t deferred_ = 0;  // what a router said that is not believed yet; 0: nothing
  SeqNum deferred_seq_;
  SeqNum span_start_;  // of the probe, or of what is under repair
  SeqNum span_end_;
  Instant lowered_at_;
  PathProbing probing_ = PathProbing::kOff;
  Span span_ = Span::kNone;
  uint8_t losses_ = 0;         // of probes of the size probe_
  bool leapt_ = false;         // high_ itself was tried
  bool unconfirmed_ = false;   // nothing has arrived since the black hole was suspected
  bool known_settled_ = true;  // Know()'s
};
static_assert(std::is_trivially_copyable_v<PathMtu>);

}  // namespace tern::tcp

#endif  // TERN_TCP_PATH_MTU_H_
