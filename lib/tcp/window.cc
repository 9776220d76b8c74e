#include "tcp/window.h"

#include <algorithm>

namespace tern::tcp {
namespace {

constexpr uint32_t kMaxField = 0xffff;

// RCV.WND: what is still open of the last offer.
uint32_t CurrentWindow(const ReceiveWindow& window) {
  return window.rcv_adv.After(window.rcv_nxt) ? window.rcv_nxt.DistanceTo(window.rcv_adv) : 0;
}

// The window that `free` allows, as far as the header can say it; no more than `current` when the step is too
// small to be worth offering.
uint32_t NextWindow(const ReceiveWindow& window, uint32_t current) {
  const uint32_t unit = 1u << window.shift;
  const uint32_t wanted = std::min(window.free, kMaxField << window.shift) & ~(unit - 1);
  // RFC 9293 3.8.6.2.2: no step smaller than half the buffer or one segment, whichever is less.
  const uint32_t step = std::max(std::min(window.buffer / 2, window.rmss), 1u);
  return wanted >= current && wanted - current >= step ? wanted : current;
}

}  // namespace

uint8_t WindowShiftFor(uint32_t buffer) {
  uint8_t shift = 0;
  while (shift < kMaxWindowShift && (buffer >> shift) > kMaxField) ++shift;
  return shift;
}

WindowOffer OfferWindow(const ReceiveWindow& window) {
  const uint32_t current = CurrentWindow(window);
  const uint32_t next = NextWindow(window, current);
  const auto units_up = [&window](uint64_t octets) {
    return (octets + (uint64_t{1} << window.shift) - 1) >> window.shift;
  };
  // RFC 9293 3.8.6 (SHLD-14): rounding down would take back what was offered. But rounding up each time would
  // let the edge creep ahead of the room by what single octets move it, so never past the room rounded up
  // once; there the header may say less than one unit too little, which RFC 7323 2.4 tells senders to expect.
  uint64_t field = std::min(units_up(next), units_up(window.free));
  field = std::min<uint64_t>(std::max<uint64_t>(field, next >> window.shift), kMaxField);
  const SeqNum told = window.rcv_nxt + (static_cast<uint32_t>(field) << window.shift);
  return {.field = static_cast<uint16_t>(field), .right_edge = Later(window.rcv_adv, told)};
}

bool UpdateWorthSending(const ReceiveWindow& window) {
  const uint32_t current = CurrentWindow(window);
  const uint32_t next = NextWindow(window, current);
  return next > current && next / 2 >= current;
}

bool WindowUpdateIsNewer(SeqNum seg_seq, SeqNum seg_ack, SeqNum snd_wl1, SeqNum snd_wl2) {
  return snd_wl1.Before(seg_seq) || (snd_wl1 == seg_seq && snd_wl2.AtOrBefore(seg_ack));
}

uint32_t UsableWindow(SeqNum snd_una, SeqNum snd_nxt, uint32_t snd_wnd) {
  const uint32_t in_flight = snd_una.DistanceTo(snd_nxt);
  return snd_wnd > in_flight ? snd_wnd - in_flight : 0;
}

}  // namespace tern::tcp
