#include "tcp/rx_acceptable.h"

#include <algorithm>

namespace tern::tcp {

bool IsAcceptable(SeqNum seg_seq, uint32_t seg_len, SeqNum rcv_nxt, uint32_t rcv_wnd) {
  // RFC 9293 3.4, the table of four cases.
  if (rcv_wnd == 0) return seg_len == 0 && seg_seq == rcv_nxt;
  if (seg_seq.InWindow(rcv_nxt, rcv_wnd)) return true;
  return seg_len > 0 && (seg_seq + (seg_len - 1)).InWindow(rcv_nxt, rcv_wnd);
}

TrimmedSegment TrimToWindow(SeqNum seg_seq, uint32_t payload, bool syn, bool fin, SeqNum rcv_nxt,
                            uint32_t rcv_wnd) {
  TrimmedSegment out;
  const SeqNum data = seg_seq + (syn ? 1 : 0);
  const SeqNum data_end = data + payload;  // where a FIN stands
  const SeqNum edge = rcv_nxt + rcv_wnd;

  if (data.Before(rcv_nxt)) out.skip = std::min(payload, data.DistanceTo(rcv_nxt));
  out.seq = data + out.skip;
  const bool behind = out.seq.Before(rcv_nxt);  // all of the payload is, and then some
  const uint32_t room = behind || out.seq.AtOrAfter(edge) ? 0 : out.seq.DistanceTo(edge);
  out.length = std::min(payload - out.skip, room);

  out.syn = syn && seg_seq.InWindow(rcv_nxt, rcv_wnd);
  out.fin = fin && data_end.AtOrAfter(rcv_nxt) && data_end.AtOrBefore(edge);
  out.front_cut = out.skip > 0 || (syn && seg_seq.Before(rcv_nxt)) || (fin && data_end.Before(rcv_nxt));
  out.back_cut = out.length < payload - out.skip || (fin && data_end.After(edge));
  return out;
}

bool PawsRejects(uint32_t seg_tsval, uint32_t ts_recent, Duration ts_recent_age) {
  return static_cast<int32_t>(seg_tsval - ts_recent) < 0 && ts_recent_age <= kPawsHorizon;
}

RstVerdict JudgeRst(SeqNum seg_seq, SeqNum rcv_nxt, uint32_t rcv_wnd) {
  if (seg_seq == rcv_nxt) return RstVerdict::kReset;
  return seg_seq.InWindow(rcv_nxt, rcv_wnd) ? RstVerdict::kChallenge : RstVerdict::kDrop;
}

AckVerdict JudgeAck(SeqNum seg_ack, SeqNum snd_una, SeqNum snd_nxt, uint32_t max_snd_wnd) {
  if (seg_ack == snd_una) return AckVerdict::kDuplicate;
  if (snd_una.DistanceTo(seg_ack) <= snd_una.DistanceTo(snd_nxt)) return AckVerdict::kNew;
  if (seg_ack.DistanceTo(snd_una) <= max_snd_wnd) return AckVerdict::kDuplicate;
  return seg_ack.After(snd_nxt) ? AckVerdict::kUnsent : AckVerdict::kTooOld;
}

}  // namespace tern::tcp
