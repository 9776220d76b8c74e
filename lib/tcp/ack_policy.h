// The acknowledgement debt: what we owe the peer, and when (RFC 9293 3.8.6.3, RFC 5681 4.2, RFC
// 1122 4.2.3.2).
#ifndef TERN_TCP_ACK_POLICY_H_
#define TERN_TCP_ACK_POLICY_H_

#include <algorithm>
#include <cstdint>

namespace tern::tcp {

enum class AckDecision : uint8_t {
  kNone,   // nothing is owed
  kDelay,  // an ACK is owed and may wait: the delayed-ACK timer must run (or any segment carries it)
  kNow,    // an ACK is to be sent when the events at hand are worked off
};

// Two kinds of debt. Shared: in-order data of one burst, which one ACK (or one segment of our own data) pays
// in full. Own: a gap, a fill, a duplicate, a change of CE: each wants a pure ACK for itself, because the
// peer counts them. Four bytes, for the hot state; zero is no debt.
class AckDebt {
 public:
  // The first ACKs of a connection are not delayed, so that the peer's slow start is not held back.
  static constexpr uint8_t kQuickAcks = 16;

  // At ESTABLISHED, and when data comes after a long pause.
  constexpr void StartQuick() { quick_ = kQuickAcks; }

  // The application asks for delayed ACKs, or for what is owed to be said at once.
  constexpr void StopQuick() { quick_ = 0; }
  constexpr void Hurry() { now_ = owed_; }

  // `octets` > 0 of in-order data from one segment. `rmss`: the largest segment the peer may send.
  // RFC 9293 3.8.6.3, RFC 5681 4.2: at the latest two full-sized segments make an ACK due.
  constexpr AckDecision OnInOrder(uint32_t octets, uint32_t rmss) {
    octets_ = static_cast<uint16_t>(std::min(octets_ + std::min(octets, kMost), kMost));
    owed_ = true;
    if (octets_ >= std::min(2 * std::min(rmss, kMost), kMost)) now_ = true;
    if (quick_ > 0) {
      --quick_;
      now_ = true;
    }
    return Decision();
  }

  // Something that may share an ACK with others but must not wait: a FIN in order, a window that opened.
  constexpr AckDecision OnUrgent() {
    owed_ = now_ = true;
    return AckDecision::kNow;
  }

  // RFC 5681 4.2: out-of-order data, data that fills a gap, and duplicates are acknowledged at once, one by
  // one.
  constexpr AckDecision OnOwn() {
    if (own_ < kMostOwn) ++own_;
    return AckDecision::kNow;
  }

  // The delayed-ACK timer expired.
  constexpr AckDecision OnTimer() {
    now_ = owed_;
    return Decision();
  }

  // A pure ACK was sent: it pays one own debt and all that is shared.
  constexpr void OnPureAckSent() {
    if (own_ > 0) --own_;
    PayShared();
  }
  // A segment with data, SYN or FIN was sent: its ACK field pays what is shared. Not own debts: a segment
  // with data is no duplicate ACK (RFC 5681 2).
  constexpr void OnSegmentSent() { PayShared(); }

  constexpr void Clear() { *this = AckDebt(); }

  constexpr AckDecision Decision() const {
    if (own_ > 0 || now_) return AckDecision::kNow;
    return owed_ ? AckDecision::kDelay : AckDecision::kNone;
  }
  constexpr uint8_t own() const { return own_; }

 private:
  static constexpr uint32_t kMost = 0xffff;
  static constexpr uint8_t kMostOwn = 64;  // a burst is no longer; more would only be noise

  constexpr void PayShared() {
    octets_ = 0;
    owed_ = now_ = false;
  }

  uint16_t octets_ = 0;  // in order and not acknowledged, saturating
  uint8_t own_ = 0;      // pure ACKs owed for themselves
  uint8_t quick_ : 6 = 0;
  bool owed_ : 1 = false;
  bool now_ : 1 = false;
};
static_assert(sizeof(AckDebt) == 4, "lives in the hot state");

}  // namespace tern::tcp

#endif  // TERN_TCP_ACK_POLICY_H_
