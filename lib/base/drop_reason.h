// Why a packet went no further: every drop in the stack has one of these names and one counter.
#ifndef TERN_BASE_DROP_REASON_H_
#define TERN_BASE_DROP_REASON_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tern {

// X(enumerator, "name in telemetry and logs", "what happened, in one line"). Append beside its kin: only the
// names are stable outside the process, never the values.
#define TERN_DROP_REASONS(X)                                                                            \
  /* Link. */                                                                                           \
  X(kFrameTooShort, "frame_too_short", "the frame ends before its link header does")                    \
  X(kFrameMultiSegment, "frame_multi_segment", "the device split the frame where we need it whole")     \
  X(kEthertypeUnknown, "ethertype_unknown", "an ethertype that nobody here speaks")                     \
  X(kMacNotOurs, "mac_not_ours", "unicast to another station's address")                                \
  X(kMacBadSource, "mac_bad_source", "the source address is a group address")                           \
  X(kVlanNotOurs, "vlan_not_ours", "tagged for a VLAN this interface is not in")                        \
  X(kArpMalformed, "arp_malformed", "not a well-formed ARP packet for Ethernet and IPv4")               \
  X(kArpNotOurs, "arp_not_ours", "asks for or tells of an address that is no business of ours")         \
  X(kArpConflict, "arp_conflict", "somebody else claims an address of ours")                            \
  /* Internet. */                                                                                       \
  X(kIpVersion, "ip_version", "the version field contradicts the ethertype")                            \
  X(kIpHeaderShort, "ip_header_short", "the packet ends before its IP header does, or IHL is below 5")  \
  X(kIpLength, "ip_length", "the IP length is more than the frame holds or less than its header")       \
  X(kIpChecksum, "ip_checksum", "the IPv4 header checksum is wrong")                                    \
  X(kIpNotOurs, "ip_not_ours", "the destination is none of our addresses")                              \
  X(kIpTtlZero, "ip_ttl_zero", "arrived with a TTL or hop limit of zero")                               \
  X(kIpSourceMartian, "ip_source_martian", "a source address that no host can have on this link")       \
  X(kIpSourceBroadcast, "ip_source_broadcast", "the source address is a broadcast address")             \
  X(kIpSourceMulticast, "ip_source_multicast", "the source address is a multicast group")               \
  X(kIpSourceIsOurs, "ip_source_is_ours", "claims to come from one of our own addresses (land)")        \
  X(kIpFragmentMalformed, "ip_fragment_malformed", "a fragment whose offset or length cannot be")       \
  X(kIpFragmentHeaders, "ip_fragment_headers", "a first fragment that does not hold all its headers")   \
  X(kIpFragmentDuplicate, "ip_fragment_duplicate", "a fragment that is here already")                   \
  X(kIpFragmentOverlap, "ip_fragment_overlap", "a fragment that overlaps another of its packet")        \
  X(kIpFragmentEcn, "ip_fragment_ecn", "congestion marks of fragments that contradict each other")      \
  X(kIpFragmentTooLong, "ip_fragment_too_long", "fragments that make more than 65535 octets")           \
  X(kIpFragmentTooMany, "ip_fragment_too_many", "a packet in more fragments than one may have")         \
  X(kIpFragmentTimeout, "ip_fragment_timeout", "the rest of the packet never came")                     \
  X(kIpFragmentTableFull, "ip_fragment_table_full", "too many packets in reassembly already")           \
  X(kIpFragmentSourceFull, "ip_fragment_source_full", "too much of one source in reassembly already")   \
  X(kIpFragmentMemoryFull, "ip_fragment_memory_full", "too much memory in reassembly already")          \
  X(kIpOptionMalformed, "ip_option_malformed", "an IPv4 option or source route we do not follow")       \
  X(kIpProtocolUnknown, "ip_protocol_unknown", "a transport protocol that nobody here speaks")          \
  X(kIp6ExtensionUnsupported, "ip6_extension_unsupported", "an IPv6 extension header we do not follow") \
  X(kIp6ExtensionMalformed, "ip6_extension_malformed", "an IPv6 extension header chain that is broken") \
  /* ICMP and neighbour discovery. */                                                                   \
  X(kIcmpMalformed, "icmp_malformed", "too short, or a field that RFC 792 or 4443 forbids")             \
  X(kIcmpChecksum, "icmp_checksum", "the ICMP or ICMPv6 checksum is wrong")                             \
  X(kIcmpTypeUnknown, "icmp_type_unknown", "a type or code that we do not act on")                      \
  X(kIcmpRateLimited, "icmp_rate_limited", "would have been answered, but the rate limit said no")      \
  X(kIcmpQuoteUnknown, "icmp_quote_unknown", "an error about a packet we never sent, or not in flight") \
  X(kIcmpQuoteMalformed, "icmp_quote_malformed", "an error whose quote is too short to identify")       \
  X(kIcmpMtuTooSmall, "icmp_mtu_too_small", "packet too big, with an MTU that no path may have")        \
  X(kIcmpMtuNoNews, "icmp_mtu_no_news", "packet too big, for an MTU no smaller than what we send")      \
  X(kNdpMalformed, "ndp_malformed", "neighbour discovery that fails RFC 4861's validity checks")        \
  X(kNdpNotOurs, "ndp_not_ours", "neighbour discovery about an address that is not ours")               \
  X(kNdpConflict, "ndp_conflict", "somebody else claims an IPv6 address of ours")                       \
  X(kNdpTentative, "ndp_tentative", "asks for an address of ours that may not be used yet")             \
  X(kNdpLooped, "ndp_looped", "a question or answer of our own that came back")                         \
  X(kNdpRouterIgnored, "ndp_router_ignored", "a router's word where addresses are given by hand")       \
  X(kIcmpRedirect, "icmp_redirect", "a redirect of either family, which is never followed")             \
  /* UDP. */                                                                                            \
  X(kUdpMalformed, "udp_malformed", "the UDP length or checksum is wrong")                              \
  X(kUdpClosed, "udp_closed", "no one listens on the UDP port: port unreachable")                       \
  /* TCP: the segment itself. */                                                                        \
  X(kTcpHeaderShort, "tcp_header_short", "the packet ends before its TCP header does")                  \
  X(kTcpBadDataOffset, "tcp_bad_data_offset", "the data offset is below 5 or beyond the segment")       \
  X(kTcpChecksum, "tcp_checksum", "the TCP checksum is wrong")                                          \
  X(kTcpBadFlags, "tcp_bad_flags", "a combination of flags that means nothing")                         \
  X(kTcpBadPort, "tcp_bad_port", "source or destination port zero")                                     \
  X(kTcpNotUnicast, "tcp_not_unicast", "TCP to or from a broadcast or multicast address")               \
  /* TCP: no connection for it. */                                                                      \
  X(kTcpPortSilent, "tcp_port_silent", "the port's policy is to stay silent")                           \
  X(kTcpNoListener, "tcp_no_listener", "no connection and no listener: answered with RST")              \
  X(kTcpNoConnection, "tcp_no_connection", "a RST for a connection that does not exist")                \
  X(kTcpBacklogFull, "tcp_backlog_full", "the listener's backlog is full")                              \
  X(kTcpNoSlot, "tcp_no_slot", "no connection slot left")                                               \
  X(kTcpNoBuffer, "tcp_no_buffer", "no buffer left to take the payload")                                \
  X(kTcpAcceptRate, "tcp_accept_rate", "more connections a second than the listener takes")             \
  X(kTcpSourceLimit, "tcp_source_limit", "its source has as many pending connections as one may have")  \
  X(kTcpSourceTableFull, "tcp_source_table_full", "too many sources have pending connections to count") \
  X(kTcpBadCookie, "tcp_bad_cookie", "an ACK whose SYN cookie is not ours or too old")                  \
  X(kTcpCookieNotFirst, "tcp_cookie_not_first", "a SYN cookie, but what comes before it was lost")      \
  X(kHalfOpenTableFull, "half_open_table_full", "the table of half-open connections is full")           \
  X(kTimeWaitTableFull, "time_wait_table_full", "the table of TIME-WAIT connections is full")           \
  /* TCP: the connection refused it. */                                                                 \
  X(kTcpOutOfWindow, "tcp_out_of_window", "no octet of the segment is in the receive window")           \
  X(kTcpPaws, "tcp_paws", "the timestamp is older than one already seen (RFC 7323 5)")                  \
  X(kTcpMissingTimestamp, "tcp_missing_timestamp", "timestamps were agreed and the segment has none")   \
  X(kTcpBadAck, "tcp_bad_ack", "acknowledges what was never sent, or too far in the past")              \
  X(kTcpNoAck, "tcp_no_ack", "ACK is off on a synchronized connection")                                 \
  X(kTcpSynInWindow, "tcp_syn_in_window", "SYN on a synchronized connection: challenged (RFC 5961 4)")  \
  X(kTcpRstOutOfWindow, "tcp_rst_out_of_window", "RST outside the receive window")                      \
  X(kTcpRstChallenged, "tcp_rst_challenged", "RST in the window, not at RCV.NXT (RFC 5961 3)")          \
  X(kTcpRstTimeWait, "tcp_rst_time_wait", "RST in TIME-WAIT, which it must not end (RFC 1337)")         \
  X(kTcpDuplicatePayload, "tcp_duplicate_payload", "every octet of the payload was here already")       \
  X(kTcpReassemblyFull, "tcp_reassembly_full", "out-of-order data beyond what may be held")             \
  X(kTcpReceiveBufferFull, "tcp_receive_buffer_full", "packet memory is short and data waits unread")   \
  X(kTcpDataAfterClose, "tcp_data_after_close", "payload after the peer's FIN or after our close")      \
  X(kTcpUserTimeout, "tcp_user_timeout", "the connection gave up before it was delivered")              \
  X(kTcpChallengeLimited, "tcp_challenge_limited", "a challenge ACK that the rate limit held back")     \
  /* Our side. */                                                                                       \
  X(kNeighborQueueFull, "neighbor_queue_full", "too many packets wait for this neighbour's address")    \
  X(kNeighborUnresolved, "neighbor_unresolved", "the neighbour never answered")                         \
  X(kNeighborTableFull, "neighbor_table_full", "no entry left in the neighbour table")                  \
  X(kNoRoute, "no_route", "no route leads to the destination")                                          \
  X(kTxNoBuffer, "tx_no_buffer", "no transmit buffer left")                                             \
  X(kTxRingFull, "tx_ring_full", "the device's transmit ring had no room")                              \
  X(kTxTooLong, "tx_too_long", "longer than the link can carry")                                        \
  X(kHandoverRingFull, "handover_ring_full", "the ring to the worker that owns the packet was full")    \
  X(kMailboxFull, "mailbox_full", "a mailbox between threads was full")                                 \
  X(kMemoryPressure, "memory_pressure", "refused to protect the memory budget")                         \
  X(kShuttingDown, "shutting_down", "the stack was stopping")

enum class DropReason : uint8_t {
  kNone = 0,  // not dropped; what a check returns when it has no objection
#define TERN_DROP_ENUMERATOR(id, name, meaning) id,
  TERN_DROP_REASONS(TERN_DROP_ENUMERATOR)
#undef TERN_DROP_ENUMERATOR
};

namespace drop_internal {

struct Text {
  std::string_view name;
  std::string_view meaning;
};

inline constexpr auto kTexts = std::to_array<Text>({{"none", "not dropped"},
#define TERN_DROP_TEXT(id, name, meaning) {name, meaning},
                                                    TERN_DROP_REASONS(TERN_DROP_TEXT)
#undef TERN_DROP_TEXT
});
static_assert(kTexts.size() <= 256, "DropReason is one byte");

}  // namespace drop_internal

// How many values DropReason has, kNone included: the size of an array indexed by it.
inline constexpr size_t kDropReasonCount = drop_internal::kTexts.size();

// Lower-case words joined by underscores, unique, stable: telemetry keys. A value outside the enum is "none".
constexpr std::string_view DropReasonName(DropReason reason) noexcept {
  const auto index = static_cast<size_t>(reason);
  return drop_internal::kTexts[index < kDropReasonCount ? index : 0].name;
}

// One line for a person.
constexpr std::string_view DropReasonMeaning(DropReason reason) noexcept {
  const auto index = static_cast<size_t>(reason);
  return drop_internal::kTexts[index < kDropReasonCount ? index : 0].meaning;
}

// One counter per reason. Plain integers: each worker has its own and publishes copies.
class DropCounters {
 public:
  // kNone is not a drop and is ignored.
  constexpr void Count(DropReason reason, uint64_t packets = 1) noexcept {
    if (reason != DropReason::kNone) counts_[static_cast<size_t>(reason)] += packets;
  }
  constexpr uint64_t operator[](DropReason reason) const noexcept {
    return counts_[static_cast<size_t>(reason)];
  }
  constexpr uint64_t total() const noexcept {
    uint64_t sum = 0;
    for (const uint64_t count : counts_) sum += count;
    return sum;
  }
  constexpr void Add(const DropCounters& other) noexcept {
    for (size_t i = 0; i < kDropReasonCount; ++i) counts_[i] += other.counts_[i];
  }
  // Calls visit(DropReason, uint64_t) for every reason that was counted at least once, in enum order.
  template <typename F>
  constexpr void ForEachCounted(F&& visit) const {
    for (size_t i = 0; i < kDropReasonCount; ++i) {
      if (counts_[i] != 0) visit(static_cast<DropReason>(i), counts_[i]);
    }
  }

 private:
  std::array<uint64_t, kDropReasonCount> counts_{};
};

}  // namespace tern

#endif  // TERN_BASE_DROP_REASON_H_
