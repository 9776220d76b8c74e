// SYNs that leave nothing behind, and the ACKs that make connections of them (RFC 4987 3.6).
#include <algorithm>

#include "stack/shard_impl.h"
#include "wire/tcp.h"

namespace tern::stack {

DropReason Shard::Impl::SendCookie(uint32_t listener_id, const RxPacket& p) {
  HalfOpen entry;
  DescribeSyn(listener_id, p, entry);
  const uint16_t mss = entry.peer_mss != 0 ? entry.peer_mss : DefaultPeerMss(p.key);
  const SynFacts facts = SynCookie::Keep(
      {.mss = mss, .scale = entry.peer_scale, .timestamps = entry.timestamps, .sack = entry.sack});
  entry.peer_scale = facts.scale;
  entry.sack = facts.sack;
  entry.iss = cookies.Sequence(entry.key, entry.irs, facts, now);
  if (!SendSynAck(entry, SynCookie::Timestamp(TimestampOf(entry.key), facts))) return DropReason::kNone;
  listeners.Get(listener_id)->cookies_until = now + SynCookie::kPeriod;
  ++counters.syn_cookies_sent;
  return DropReason::kNone;
}

// Only who sends cookies looks for them, or did so less than a period ago: else anybody's ACKs would cost a
// hash each, for ever, and a guess could hit at any time.
bool Shard::Impl::TakesCookies(const Listener& listener) const {
  if (config.syn_cookies == SynCookies::kOff || closing) return false;
  return config.syn_cookies == SynCookies::kAlways || now < listener.cookies_until;
}

CookieVerdict Shard::Impl::EntryFromCookie(uint32_t listener_id, const RxPacket& p, HalfOpen* entry) {
  const Listener* listener = listeners.Get(listener_id);
  if (listener == nullptr || !TakesCookies(*listener)) return CookieVerdict::kInvalid;
  const tcp::SegmentView& segment = p.segment;
  std::optional<uint32_t> tsecr;
  if (config.tcp.timestamps && segment.options.has_timestamp) tsecr = segment.options.tsecr;
  entry->irs = segment.seq - 1;
  entry->iss = segment.ack - 1;
  SynFacts facts;
  const CookieVerdict verdict = cookies.Check(p.key, entry->irs, entry->iss, tsecr, now, &facts);
  if (verdict != CookieVerdict::kGood) return verdict;
  entry->key = p.key;
  entry->listener = listener_id;
  entry->peer_mss = facts.mss;
  entry->peer_scale = facts.scale;
  entry->timestamps = facts.timestamps;
  entry->sack = facts.sack;
  // The SYN's own are forgotten. These are later, and so as good.
  entry->ts_recent = segment.options.tsval;
  entry->peer_window = segment.window;
  // When the SYN-ACK went out is not known: the first sample of the round trip is that of data.
  entry->synack_sent_at = Instant::Never();
  return verdict;
}

DropReason Shard::Impl::OnListenAck(uint32_t listener_id, RxPacket& p) {
  if (p.segment.Has(wire::kSyn) || !TakesCookies(*listeners.Get(listener_id))) {
    return RefuseSegment(p, DropReason::kTcpNoConnection);
  }
  HalfOpen entry;
  switch (EntryFromCookie(listener_id, p, &entry)) {
    case CookieVerdict::kInvalid:
      break;
    case CookieVerdict::kNotFirst:
      return DropReason::kTcpCookieNotFirst;
    case CookieVerdict::kGood:
      return AcceptCookie(entry, p);
  }
  return RefuseSegment(p, DropReason::kTcpBadCookie);
}

// What a half-open entry was asked when its SYN came is asked now. Where the answer is no, the peer hears
// nothing: its cookie stays good, and its next segment tries again.
DropReason Shard::Impl::AcceptCookie(const HalfOpen& entry, RxPacket& p) {
  Listener& listener = *listeners.Get(entry.listener);
  if (listener.unaccepted >= listener.backlog) return DropReason::kTcpBacklogFull;
  if (!listener.accept_rate.Ready(now)) return DropReason::kTcpAcceptRate;
  if (const DropReason drop = CountSource(entry.listener, p.key.remote); drop != DropReason::kNone)
    return drop;
  uint32_t slot = kNoSlot;
  if (const DropReason drop = MakeConnection(entry, FlowId(), p, &slot); drop != DropReason::kNone) {
    sources.Remove(entry.listener, p.key.remote);
    return drop;
  }
  cold[slots[slot].conn.cold].by_cookie = true;
  listener.accept_rate.Take(now);
  ++counters.syn_cookies_accepted;
  return Begin(slot, p);
}

// A duplicate of the segment that brought the cookie, or of the peer's first data, would make a connection of
// its own once the real one is over: the three-way handshake's protection from old duplicates is what a
// cookie gives up. So such a connection ends in TIME-WAIT at this end, too, whoever closed first.
bool Shard::Impl::CookieStillGood(const Slot& slot) const {
  if (slot.conn.cold == kNoSlot) return false;
  const tcp::ColdState& state = cold[slot.conn.cold];
  return state.by_cookie && now - state.started_at < SynCookie::kPeriod * 2;
}

}  // namespace tern::stack
