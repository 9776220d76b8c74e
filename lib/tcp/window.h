// The receive window as we offer it and the send window as the peer offers it (RFC 9293 3.8.6).
#ifndef TERN_TCP_WINDOW_H_
#define TERN_TCP_WINDOW_H_

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
WindowOffer OfferWindow(const ReceiveWindow& window);

// Whether the application's reading has opened the window so far that the peer should be told without waiting
// for a segment that carries it: the offer at least doubles.
bool UpdateWorthSending(const ReceiveWindow& window);

// ---- What the peer offers ----

// RFC 9293 3.10.7.4, fifth: only a segment newer than the one the window was last taken from may change it.
bool WindowUpdateIsNewer(SeqNum seg_seq, SeqNum seg_ack, SeqNum snd_wl1, SeqNum snd_wl2);

// Octets beyond SND.NXT that the peer's window allows. 0 when it was shrunk below what is in flight (3.8.6,
// SHLD-16).
uint32_t UsableWindow(SeqNum snd_una, SeqNum snd_nxt, uint32_t snd_wnd);

}  // namespace tern::tcp

#endif  // TERN_TCP_WINDOW_H_
