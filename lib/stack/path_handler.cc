// Packets that were too big for their path: what routers say, what connections find out, and who else is to
// know (RFC 1191, RFC 8201, RFC 8899).
#include <algorithm>

#include "stack/shard_impl.h"
#include "wire/icmp_quote.h"
#include "wire/tcp.h"

namespace tern::stack {
namespace {

constexpr uint32_t kFixedHeaders4 = wire::kIpv4MinHeader + wire::kTcpMinHeader;
constexpr uint32_t kFixedHeaders6 = wire::kIpv6Header + wire::kTcpMinHeader;
// What no router may report less than: RFC 791 3.2, RFC 8200 5.
constexpr uint32_t kLeastMtu4 = 68;
constexpr uint32_t kLeastMtu6 = 1'280;
// Nor do we go below this, whatever they report: as other stacks, RFC 5927 7.2's caution taken further. A
// path that carries less is an IPv4 path of another age.
constexpr uint32_t kFloorMtu4 = 552;
// RFC 8899 5.1.2 and RFC 4821 7.2: what all but the rarest paths carry.
constexpr uint16_t kBaseMss4 = 1'024;

}  // namespace

tcp::PathParams Shard::Impl::PathParamsFor(const wire::IpAddress& remote) const {
  const PathTable::Known known = paths.Find(remote, now);
  tcp::PathParams params{.known_mss = known.mss, .settled = known.settled};
  const bool v4 = remote.IsV4();
  params.base_mss = v4 ? kBaseMss4 : static_cast<uint16_t>(kLeastMtu6 - kFixedHeaders6);
  params.least_mss = static_cast<uint16_t>(v4 ? kFloorMtu4 - kFixedHeaders4 : kLeastMtu6 - kFixedHeaders6);
  return params;
}

// ICMP's "fragmentation needed", ICMPv6's "packet too big". `mtu` as in the message; 0 from a router that
// does not know RFC 1191.
DropReason Shard::Impl::OnPacketTooBig(RxPacket& p, const wire::IcmpMessage& message, uint32_t mtu) {
  if (!config.tcp.path_mtu_discovery) return DropReason::kIcmpTypeUnknown;
  wire::IcmpQuote quote;
  uint32_t index = kNoSlot;
  const DropReason unknown = FindQuoted(p, message, &quote, &index);
  if (unknown != DropReason::kNone) return unknown;
  tcp::Connection& conn = slots[index].conn;
  const uint32_t headers = p.ipv6 ? kFixedHeaders6 : kFixedHeaders4;
  if (!p.ipv6 && mtu == 0) {
    // RFC 1191 5. What was sent before an earlier report told us of less says nothing new.
    const uint32_t current = cold[conn.cold].path.mss() + headers;
    if (quote.total_length > current) return DropReason::kIcmpMtuNoNews;
    mtu = tcp::NextPlateau(static_cast<uint16_t>(quote.total_length));
  }
  // RFC 8201 4: such a message is discarded.
  if (mtu < (p.ipv6 ? kLeastMtu6 : kLeastMtu4)) return DropReason::kIcmpMtuTooSmall;
  if (mtu >= quote.total_length) return DropReason::kIcmpMtuNoNews;
  tcp::Effects effects;
  const tcp::TooBigVerdict verdict =
      tcp::OnPacketTooBig(conn, env, quote.seq, static_cast<uint16_t>(mtu - headers), now, effects);
  Settle(index, effects);
  if (verdict == tcp::TooBigVerdict::kNotInFlight) return DropReason::kIcmpQuoteUnknown;
  return verdict == tcp::TooBigVerdict::kNoNews ? DropReason::kIcmpMtuNoNews : DropReason::kNone;
}

void Shard::Impl::OnPathNews(uint32_t index, const tcp::PathNews& news) {
  const wire::IpAddress& remote = slots[index].key.remote;
  const PathTable::Known known{.mss = news.mss, .settled = news.settled};
  switch (news.kind) {
    case tcp::PathNews::Kind::kNone:
    case tcp::PathNews::Kind::kBegan:
      break;
    case tcp::PathNews::Kind::kLowered:
      ++counters.path_mtu_lowered;
      paths.Lower(remote, known, now);
      break;
    case tcp::PathNews::Kind::kBlackHole:
      ++counters.path_black_holes;
      break;
    case tcp::PathNews::Kind::kRaised:
      ++counters.path_mtu_raised;
      paths.Raise(remote, known);
      break;
  }
  tcp::ColdState& state = cold[slots[index].conn.cold];
  if (!news.watch || state.path.watched) return;
  // Where there is no room, the connection stays with what it has: new ones to its destination do not.
  state.path.watched = raises.Arm(index, slots[index].generation, state.path.next_raise());
}

// Ten minutes after a decrease a connection tries for more.
bool Shard::Impl::AdvanceRaises() {
  const auto aged = [this](uint32_t index, uint32_t generation, Instant) {
    const Slot* slot = slots.Find(index, generation);
    if (slot == nullptr || slot->conn.cold == kNoSlot) return Instant::Never();
    tcp::Effects effects;
    const Instant again = tcp::OnPathAged(slots[index].conn, env, now, effects);
    if (again == Instant::Never()) cold[slot->conn.cold].path.watched = false;
    Settle(index, effects);
    return again;
  };
  return raises.Advance(now, kTimersPerCall, aged) == kTimersPerCall;
}

// A connection that hears nothing may be one of several on a path that another of them knows better.
void Shard::Impl::ConsultPaths(uint32_t index) {
  if (paths.in_use() == 0) return;
  const PathTable::Known known = paths.Find(slots[index].key.remote, now);
  if (known.mss == 0) return;
  tcp::Effects effects;
  tcp::LearnPathMss(slots[index].conn, env, known.mss, now, effects);
  Settle(index, effects);
}

}  // namespace tern::stack
