// How much of what waits to be sent goes out now (RFC 9293 3.8.6.2.1, 3.7.4; RFC 1122 4.2.3.4).
#ifndef TERN_TCP_TX_SEGMENTER_H_
#define TERN_TCP_TX_SEGMENTER_H_

#include <cstdint>

namespace tern::tcp {

struct SendInputs {
  uint32_t unsent = 0;       // D: octets queued and never sent
  uint32_t usable = 0;       // U: UsableWindow()
  uint32_t cwnd_room = 0;    // octets that congestion control still lets into the network
  uint32_t mss = 0;          // Eff.snd.MSS, > 0
  uint32_t budget = 0;       // the longest segment wanted, for segmentation offload; less than mss means mss
  uint32_t snd_wnd_max = 0;  // Max(SND.WND): the largest window the peer ever offered
  bool in_flight = false;    // SND.NXT != SND.UNA
  bool nodelay = false;      // Nagle is off
  bool cork = false;         // the application asked to hold short segments
  bool fin_queued = false;   // the stream ends with what is queued: nothing will ever fill the last segment
  bool overridden = false;   // the override (or persist) timer expired: send what the window allows
};

enum class SendHold : uint8_t {
  kNone,        // send
  kNothing,     // there is no unsent data
  kCongestion,  // cwnd: an ACK will make room
  kWindow,      // the peer's window is closed (or too small to be worth it)
  kNagle,       // a short segment waits for the ACK of what is in flight
  kCork,        // a short segment waits for more data
};

struct SendDecision {
  uint32_t length = 0;  // octets to send; 0: hold says why not
  bool push = false;    // PSH: this empties the send queue (RFC 9293 3.9.1, MUST-61)
  SendHold hold = SendHold::kNothing;
};

// A FIN needs no octets and is the caller's matter.
SendDecision DecideSend(const SendInputs& in);

// The timer that a hold needs when nothing in flight will end it: the persist timer (RFC 9293 3.8.6.1) for a
// closed window, which serves as the override timer of 3.8.6.2.1 as well. First interval: the RTO, doubled
// each time.
inline bool NeedsPersistTimer(SendHold hold, bool in_flight) {
  return !in_flight && (hold == SendHold::kWindow || hold == SendHold::kCork);
}

}  // namespace tern::tcp

#endif  // TERN_TCP_TX_SEGMENTER_H_
