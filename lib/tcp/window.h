// The receive window as we offer it and the send window as the peer offers it (RFC 9293 3.8.6).
#ifndef TERN_TCP_WINDOW_H_
#define TERN_TCP_WINDOW_H_

#include <algorithm>
#include <cstdint>

#include "base/seq_num.h"

namespace tern::tcp {

// RFC 7323 2.3.
inline constexpr uint8_t kMaxWindowShift = 14;

// The smallest shift with which `buffer` octets can be offered.
uint8_t WindowShiftFor(uint32_t buffer);

// ---- What we offer ----

struct ReceiveWindow {
  SeqNum rcv_nxt;
  SeqNum rcv_adv;       // right edge offered so far; RCV.WND is the distance from rcv_nxt
  uint32_t free = 0;    // octets that could be taken beyond rcv_nxt now: RCV.BUFF - RCV.USER
  uint32_t buffer = 0;  // RCV.BUFF
  uint32_t rmss = 0;    // the segments that the peer sends
  uint8_t shift = 0;    // Rcv.Wind.Shift; 0 in a SYN
};

struct WindowOffer {
  uint16_t field = 0;  // as it goes into the header
  SeqNum right_edge;   // rcv_adv from now on; never left of what it was
};

// The window to put into the next segment. The right edge never moves left (RFC 9293 3.8.6, SHLD-14), and
// moves right only by a useful step (3.8.6.2.2: min(RCV.BUFF / 2, a segment)). Where the edge stays, the
// field is rounded up, as far as `free` plus less than one scale unit allows; beyond that the header may say
// less than one unit below right_edge. Octets up to right_edge are acceptable all the same.
inline WindowOffer OfferWindow(const ReceiveWindow& window);

// Whether the application's reading has opened the window so far that the peer should be told without waiting
// for a segment that carries it: the offer at least doubles.
inline bool UpdateWorthSending(const ReceiveWindow& window);

// ---- What the peer offers ----

// RFC 9293 3.10.7.4, fifth: only a segment newer than the one the window was last taken from may change it.
inline bool WindowUpdateIsNewer(SeqNum seg_seq, SeqNum seg_ack, SeqNum snd_wl1, SeqNum snd_wl2) {
  return snd_wl1.Before(seg_seq) || (snd_wl1 == seg_seq && snd_wl2.AtOrBefore(seg_ack));
}

// Octets beyond SND.NXT that the peer's window allows. 0 when it was shrunk below what is in flight (3.8.6,
// SHLD-16).
inline uint32_t UsableWindow(SeqNum snd_una, SeqNum snd_nxt, uint32_t snd_wnd) {
  const uint32_t in_flight = snd_una.DistanceTo(snd_nxt);
  return snd_wnd > in_flight ? snd_wnd - in_flight : 0;
}

// ---- Every segment sent asks these, so they are here ----

namespace internal {

inline constexpr uint32_t kMaxWindowField = 0xffff;

// RCV.WND: what is still open of the last offer.
inline uint32_t CurrentWindow(const ReceiveWindow& window) {
  return window.rcv_adv.After(window.rcv_nxt) ? window.rcv_nxt.DistanceTo(window.rcv_adv) : 0;
}

// The window that `free` allows, as far as the header can say it; no more than `current` when the step is too
// small to be worth offering.
inline uint32_t NextWindow(const ReceiveWindow& window, uint32_t current) {
  const uint32_t unit = 1u << window.shift;
  const uint32_t wanted = std::min(window.free, kMaxWindowField << window.shift) & ~(unit - 1);
  // RFC 9293 3.8.6.2.2: no step smaller than half the buffer or one segment, whichever is less.
  const uint32_t step = std::max(std::min(window.buffer / 2, window.rmss), 1u);
  return wanted >= current && wanted - current >= step ? wanted : current;
}

}  // namespace internal

inline WindowOffer OfferWindow(const ReceiveWindow& window) {
  const uint32_t current = internal::CurrentWindow(window);
  const uint32_t next = internal::NextWindow(window, current);
  // A new offer is whole units, and no more than the header can say.
  if (next != current)
    return {.field = static_cast<uint16_t>(next >> window.shift), .right_edge = window.rcv_nxt + next};
  // RFC 9293 3.8.6 (SHLD-14): rounding down would take back what was offered. But rounding up each time would
  // let the edge creep ahead of the room by what single octets move it, so never past the room rounded up
  // once; there the header may say less than one unit too little, which RFC 7323 2.4 tells senders to expect.
  const uint32_t least = current >> window.shift;
  const uint32_t up = (std::min(current, window.free) + (1u << window.shift) - 1) >> window.shift;
  const uint32_t field = std::min(std::max(up, least), internal::kMaxWindowField);
  const SeqNum told = window.rcv_nxt + (field << window.shift);
  return {.field = static_cast<uint16_t>(field), .right_edge = Later(window.rcv_adv, told)};
}

inline bool UpdateWorthSending(const ReceiveWindow& window) {
  const uint32_t current = internal::CurrentWindow(window);
  if (window.free / 2 < current) return false;  // whatever the step
  const uint32_t next = internal::NextWindow(window, current);
  return next > current && next / 2 >= current;
}

}  // namespace tern::tcp

#endif  // TERN_TCP_WINDOW_H_
