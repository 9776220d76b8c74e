// Whether a segment may be looked at, and which part of it (RFC 9293 3.4, 3.10.7.4; RFC 7323 5; RFC 5961).
#ifndef TERN_TCP_RX_ACCEPTABLE_H_
#define TERN_TCP_RX_ACCEPTABLE_H_

#include <cstdint>

#include "base/instant.h"
#include "base/seq_num.h"

namespace tern::tcp {

// RFC 9293 3.4, table 6: whether a segment of `seg_len` octets of sequence space (SYN and FIN included) has a
// place in the window.
bool IsAcceptable(SeqNum seg_seq, uint32_t seg_len, SeqNum rcv_nxt, uint32_t rcv_wnd);

// What of an acceptable segment lies in the window.
struct TrimmedSegment {
  SeqNum seq;              // of the first octet kept
  uint32_t skip = 0;       // payload octets to leave out at the front
  uint32_t length = 0;     // payload octets kept after them
  bool syn = false;        // the SYN is in the window
  bool fin = false;        // the FIN is in the window, and so is all before it
  bool front_cut = false;  // something before RCV.NXT was cut: a duplicate
  bool back_cut = false;   // something beyond the window was cut
};
// RFC 9293 3.10.7.4: only the part inside the window is worked on. A FIN exactly at the right edge is kept:
// it takes no room in the buffer. Total.
TrimmedSegment TrimToWindow(SeqNum seg_seq, uint32_t payload, bool syn, bool fin, SeqNum rcv_nxt,
                            uint32_t rcv_wnd);

// ---- Timestamps ----

// RFC 7323 5.5: TS.Recent older than 24 days says nothing any more.
inline constexpr Duration kPawsHorizon = Duration::Seconds(24 * 24 * 3600);

// RFC 7323 5.3 R1: the segment is a leftover of an earlier pass of the sequence space. Never ask for a RST,
// which has to be taken whatever its timestamp (5.2).
bool PawsRejects(uint32_t seg_tsval, uint32_t ts_recent, Duration ts_recent_age);

// RFC 7323 4.3 (2): TS.Recent follows the segment that the next ACK will echo: one that covers Last.ACK.sent.
inline bool TsRecentFollows(uint32_t seg_tsval, uint32_t ts_recent, bool ts_recent_stale, SeqNum seg_seq,
                            SeqNum last_ack_sent) {
  const bool not_older = static_cast<int32_t>(seg_tsval - ts_recent) >= 0;
  return (not_older || ts_recent_stale) && seg_seq.AtOrBefore(last_ack_sent);
}

// ---- Blind attacks (RFC 5961) ----

enum class RstVerdict : uint8_t {
  kDrop,       // outside the window
  kReset,      // exactly RCV.NXT
  kChallenge,  // in the window: answer with an ACK and go on
};
// RFC 5961 3.2. A zero window still takes a RST at RCV.NXT.
RstVerdict JudgeRst(SeqNum seg_seq, SeqNum rcv_nxt, uint32_t rcv_wnd);

// RFC 5961 4.2: a SYN on a synchronized connection is challenged, in the window or not. Stated here because
// it needs no arithmetic.

enum class AckVerdict : uint8_t {
  kNew,        // SND.UNA < SEG.ACK <= SND.NXT
  kDuplicate,  // SEG.ACK = SND.UNA, or old but plausible: no progress, the data is good
  kTooOld,     // before SND.UNA - MAX.SND.WND: drop the segment, answer with an ACK
  kUnsent,     // after SND.NXT: drop the segment, answer with an ACK (RFC 9293 3.10.7.4)
};
// RFC 5961 5.2. `max_snd_wnd`: the largest window the peer ever offered, in octets.
AckVerdict JudgeAck(SeqNum seg_ack, SeqNum snd_una, SeqNum snd_nxt, uint32_t max_snd_wnd);

}  // namespace tern::tcp

#endif  // TERN_TCP_RX_ACCEPTABLE_H_
