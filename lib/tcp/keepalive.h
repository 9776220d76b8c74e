// Is the peer still there, when nobody has anything to say? (RFC 9293 3.8.4)
#ifndef TERN_TCP_KEEPALIVE_H_
#define TERN_TCP_KEEPALIVE_H_

#include <algorithm>
#include <cstdint>

#include "base/instant.h"
#include "base/seq_num.h"

namespace tern::tcp {

// MUST-28: at least two hours until the first probe, unless the application says otherwise (MUST-27).
struct KeepaliveTimes {
  Duration idle = Duration::Seconds(2 * 3'600);  // of silence before the first probe
  Duration interval = Duration::Seconds(75);     // between probes
  uint8_t probes = 9;  // unanswered before the connection is given up: no single one decides (MUST-29)
};

// How far the connection has come, as the hot state tells: a segment of the fast path always moves one of
// these.
struct KeepaliveProgress {
  SeqNum rcv_nxt;
  SeqNum snd_una;
  bool outstanding =
      false;  // data is in flight or waits: retransmission and probing of the window judge the peer
  bool operator==(const KeepaliveProgress&) const = default;
};

enum class KeepaliveVerdict : uint8_t { kWait, kProbe, kDead };

// Cold state. The fast path does not tell the time at which it heard the peer, so a quarter of the idle time
// serves as the clock's tick: a probe goes between one and one and a quarter idle times after the last
// segment, never earlier (MUST-26).
class Keepalive {
 public:
  bool on() const { return on_; }
  // MUST-24, MUST-25: off until asked for.
  void TurnOn(const KeepaliveTimes& times, const KeepaliveProgress& progress, Instant now) {
    times_ = times;
    times_.idle = std::max(times.idle, kShortest);
    times_.interval = std::max(times.interval, kShortest);
    times_.probes = std::max<uint8_t>(times.probes, 2);
    on_ = true;
    seen_ = progress;
    OnHeard(now);
    next_ = now + times_.idle / kTicks;
  }
  void TurnOff() { on_ = false; }

  // Something acceptable came from the peer, by the long way.
  void OnHeard(Instant now) {
    heard_at_ = now;
    unanswered_ = 0;
  }
  uint8_t unanswered() const { return unanswered_; }

  // When to ask again. REQUIRES: on().
  Instant next() const { return next_; }
  KeepaliveVerdict OnDeadline(const KeepaliveProgress& progress, Instant now) {
    if (now < next_) return KeepaliveVerdict::kWait;
    if (progress != seen_ || progress.outstanding) {
      seen_ = progress;
      OnHeard(now);
    }
    const Duration idle = now - heard_at_;
    if (idle < times_.idle) {
      next_ = std::min(heard_at_ + times_.idle, now + times_.idle / kTicks);
      return KeepaliveVerdict::kWait;
    }
    next_ = now + times_.interval;
    if (unanswered_ >= times_.probes) return KeepaliveVerdict::kDead;
    ++unanswered_;
    return KeepaliveVerdict::kProbe;
  }

 private:
  static constexpr int64_t kTicks = 4;
  static constexpr Duration kShortest = Duration::Millis(100);

  KeepaliveTimes times_;
  KeepaliveProgress seen_;
  Instant heard_at_;
  Instant next_;
  uint8_t unanswered_ = 0;
  bool on_ = false;
};

}  // namespace tern::tcp

#endif  // TERN_TCP_KEEPALIVE_H_
