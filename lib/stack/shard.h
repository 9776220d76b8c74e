// One shard: everything a worker owns, sans-IO. Frames and time go in; frames, events and buffers to release
// come out. The lcore worker, the simulator, the fuzzers and the script runner all drive this class.
#ifndef TERN_STACK_SHARD_H_
#define TERN_STACK_SHARD_H_

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/drop_reason.h"
#include "base/instant.h"
#include "base/memory_source.h"
#include "base/packet.h"
#include "stack/syn_cookie.h"
#include "tcp/config.h"
#include "tcp/connection.h"
#include "wire/flow_key.h"
#include "wire/ip_address.h"

namespace tern::stack {

// What to do with a SYN (or a datagram) for a port of ours on which nobody listens.
enum class PortPolicy : uint8_t {
  kRefuse,  // RST, or ICMP port unreachable: as any host
  kSilent,  // drop and count
};

// An address of ours. `pool` true: every address inside the prefix is ours and answers ("10.77.1.0/24" as a
// pool of source or service addresses); otherwise `prefix.address` alone is ours and the rest of the prefix
// is on link.
struct LocalAddress {
  wire::IpPrefix prefix;
  bool pool = false;
};

// IPv6 stateless address autoconfiguration of one interface (RFC 4862). With several workers the first speaks
// for all, and tells the others what came of it.
struct AutoconfConfig {
  // Routers are asked for, and believed: each prefix that they announce for it gives an address, made with
  // the station's address; they become default routers where no route is configured that is as good.
  bool on = false;
  // DupAddrDetectTransmits (RFC 4862 5.1): times the link is asked, a second apart, before an address is
  // used. Asked for are the learned addresses and, with `on`, the link-local one. 0: none is.
  uint8_t dad_transmits = 1;
  // The configured addresses, and so the link-local one, are asked for, too: they answer a second later, and
  // not at all when somebody has them. Pools are not: there is no asking for a whole prefix.
  bool dad_configured = false;
};

// One port of the device layer as the shard sees it.
struct InterfaceConfig {
  wire::MacAddress mac;
  uint16_t mtu = 1500;
  uint16_t vlan = 0;  // 0: untagged; else frames carry this 802.1Q id
  bool tx_ip_checksum_offload = false;
  bool tx_tcp_checksum_offload = false;
  bool tso = false;
  AutoconfConfig autoconf;
  std::vector<LocalAddress> addresses;
};

struct Route {
  wire::IpPrefix destination;
  wire::IpAddress gateway;  // unspecified: on link
  uint16_t interface = 0;
};

// Bounds of IP reassembly, of one shard: what anybody on the net can make us keep.
struct ReassemblyLimits {
  uint32_t max_datagrams = 256;  // 0: fragments are refused
  uint32_t max_per_source = 64;
  uint16_t max_fragments = 64;         // of one packet: 65535 octets at IPv6's least MTU are 54
  uint32_t max_cost = 1 << 20;         // of the buffers held, by true cost, octets
  uint32_t max_source_cost = 1 << 19;  // so that no source alone drives out all others
  Duration timeout4 =
      Duration::Seconds(30);  // RFC 1122 3.3.2 says a minute or two; deployed stacks wait this
  Duration timeout6 = Duration::Seconds(60);  // RFC 8200 4.5
};

struct ShardConfig {
  tcp::TcpConfig tcp;
  std::vector<InterfaceConfig> interfaces;
  std::vector<Route> routes;
  PortPolicy closed_ports = PortPolicy::kRefuse;
  SynCookies syn_cookies = SynCookies::kPastBacklog;
  uint32_t max_connections = 65'536;
  uint32_t max_half_open = 16'384;
  uint32_t max_time_wait = 65'536;
  uint32_t max_listeners = 1'024;
  uint32_t max_neighbours = 1'024;
  uint32_t max_paths = 1'024;  // destinations whose path is known to carry less than its link
  ReassemblyLimits reassembly;
  uint32_t max_send_records = 0;  // 0: four for each connection, at least 65,536
  // Secrets: of the flow table's hash (own to a shard) and of ISNs, timestamps and SYN cookies (shared by all
  // shards).
  std::array<uint8_t, 16> table_secret{};
  std::array<uint8_t, 16> isn_secret{};
  uint64_t seed = 0;  // for ports and everything that may be guessed
  uint16_t worker = 0;
  uint16_t worker_count = 1;
  uint8_t ttl = 64;  // TTL or hop limit of TCP segments (RFC 9293 MUST-49; RFC 1700 recommends 64)
  uint8_t dscp = 0;  // Diffserv code point of TCP segments, 0 to 63 (RFC 2474)
  std::array<uint8_t, 40> rss_key{};  // with several workers: sources are chosen so that replies land at home
};

// Names a connection of this shard. A stale handle is harmless: every call takes it and says kStale or does
// nothing.
struct ConnHandle {
  uint32_t slot = kNoSlot;
  uint32_t generation = 0;
  bool operator==(const ConnHandle&) const = default;
};

struct ListenSpec {
  wire::IpAddress address;  // unspecified: all of ours, both families
  uint16_t port = 0;
  uint32_t backlog = 4'096;  // bound on half-open plus not yet accepted connections
  uint64_t user = 0;         // given back with each accept event
  bool nodelay = false;
  uint32_t accept_rate =
      0;  // connections a second, and as many at once; 0: no limit. What is beyond is dropped
  uint32_t source_limit = 0;  // bound on those of the backlog from one IPv4 address or IPv6 /64; 0: none
  // The accept event waits for data, or for the peer's FIN, but no longer than this. Zero: it comes at once.
  Duration defer_accept;
  uint32_t receive_buffer = 0;  // of the connections that it makes; 0: the configuration's
  uint16_t max_segment = 0;     // not 0: announce no larger MSS, and send no larger segments
};

struct ConnectSpec {
  wire::IpAddress remote;
  uint16_t remote_port = 0;
  wire::IpAddress local;    // unspecified: chosen by route; a pool gives one of its addresses in turn
  uint16_t local_port = 0;  // 0: chosen (RFC 6056)
  uint64_t user = 0;
  bool nodelay = false;
  uint32_t receive_buffer = 0;  // 0: the configuration's
  uint16_t max_segment = 0;     // not 0: announce no larger MSS, and send no larger segments
};

enum class OpenResult : uint8_t {
  kOk,
  kAddressInUse,
  kAddressNotOurs,
  kNoRoute,
  kNoPort,  // every source port towards that destination is taken
  kNoSlot,  // the configured number of connections or listeners is reached
};
const char* OpenResultName(OpenResult result);

// One thing that happened, for the application. `events` are tcp::EventBits; kEventConnected of a passive
// connection is its accept.
struct ShardEvent {
  ConnHandle handle;
  uint64_t user = 0;  // of the connection; at first that of its listener or ConnectSpec
  uint16_t events = 0;
  tcp::CloseReason reason = tcp::CloseReason::kNone;
  bool passive = false;
};

// What one shard learned of the links, for the shards of other workers.
struct LinkNotice {
  enum class Kind : uint8_t {
    kNeighbour,  // `address` has the link address `mac`
    kAddress,    // `address`, of a prefix of `length`, is ours, for as long as it says
    kOnLink,     // the prefix `address`/`length` is on the link, for `valid`; zero: no longer
    kRouter,     // `address` is a default router, for `valid`; zero: no longer
    kLink,       // `mtu` and all that follows
  };
  wire::IpAddress address;
  wire::MacAddress mac;
  uint16_t interface = 0;
  Kind kind = Kind::kNeighbour;
  uint8_t length = 0;
  // From when it is told. Workers' clocks need not agree.
  Duration preferred;
  Duration valid;
  // Zero, each: nothing is said of it.
  uint16_t mtu = 0;
  uint8_t hop_limit = 0;
  Duration reachable;
  Duration retrans;
};

// One thing that happened to a link, for people to read. Told by the shard that speaks for all (worker 0).
struct LinkEvent {
  enum class Kind : uint8_t {
    kAddressFormed,     // a learned address is ours from now on
    kAddressGone,       // its time is over; its connections have ended
    kAddressDuplicate,  // somebody on the link has it: it is not used
    kRouterFound,
    kRouterGone,    // its time is over, or it said so itself
    kRouterFailed,  // it does not answer
  };
  Kind kind = Kind::kAddressFormed;
  uint16_t interface = 0;
  wire::IpAddress address;
};

// A frame, or a packet reassembled from several, that another worker's connection is to get.
struct ForeignFrame {
  RxFrame frame;
  uint16_t interface = 0;
  uint16_t owner = 0;
};

struct ShardCounters {
  uint64_t rx_frames = 0;  // every frame shown to Input; equals consumed + sum of drops
  // A fragment that waits for others counts as consumed, and moves to its drop reason if they never come.
  // One of a packet's fragments has the whole packet's fate, the others were consumed.
  uint64_t rx_consumed = 0;
  uint64_t tx_frames = 0;
  uint64_t rx_payload = 0;  // TCP payload octets delivered in order
  uint64_t tx_payload = 0;  // TCP payload octets sent, retransmissions included
  uint64_t retransmitted_segments = 0;
  uint64_t timeouts = 0;
  uint64_t path_mtu_lowered = 0;  // times a connection learnt that its path carries less, from a router, from
                                  // another connection, or by what arrived after a black hole
  uint64_t path_black_holes = 0;  // times large segments vanished so often that it sent small ones instead
  uint64_t path_mtu_raised = 0;   // times a probe arrived that was larger than segments before it
  uint64_t accepted = 0;
  uint64_t syn_cookies_sent = 0;      // SYN-ACKs that leave nothing behind
  uint64_t syn_cookies_accepted = 0;  // connections that came of them
  uint64_t connected = 0;
  uint64_t closed = 0;
  uint64_t resets_sent = 0;
  uint64_t resets_received = 0;
  uint64_t router_adverts = 0;       // that were valid and believed
  uint64_t prefixes_ignored = 0;     // of them, prefixes that may not be used as they say, or found no room
  uint64_t duplicate_addresses = 0;  // of ours, that somebody else on the link has
  uint64_t time_wait_recycled = 0;   // the oldest entry had to go before its time
  DropCounters drops;                // of received frames
  DropCounters tx_drops;             // of frames of our own that were never sent
};

struct ShardUsage {
  uint32_t connections = 0;
  uint32_t half_open = 0;
  uint32_t deferred = 0;  // of the connections, those whose accept event waits for data
  uint32_t sources = 0;   // that have pending connections at listeners with a bound on one source
  uint32_t time_wait = 0;
  uint32_t listeners = 0;
  uint32_t neighbours = 0;
  uint32_t paths = 0;  // known to carry less than their link
  uint32_t send_records = 0;
  uint32_t cold_states = 0;
  uint32_t timers = 0;
  uint32_t fragments = 0;  // buffers held in IP reassembly
};

// What stands behind the data that an application was given.
enum class Behind : uint8_t {
  kNothing,  // nothing yet
  kMore,     // data: ask again
  kEnd,      // the peer's FIN: nothing more will come
};

// All calls from one thread. Nothing allocates after construction but table growth through `memory`.
class Shard {
 public:
  // `memory` must outlive the shard.
  Shard(const ShardConfig& config, MemorySource& memory, Instant now);
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  // Processes a burst received on `interface`. The shard owns the buffers from here on.
  void Input(std::span<RxFrame> frames, uint16_t interface, Instant now);

  // Fires what is due, a bounded number of timers at a time; true when more is due already.
  bool AdvanceTimers(Instant now);
  // A time not later than the next moment at which AdvanceTimers or PollTransmit would have work.
  Instant NextDeadline(Instant now) const;

  // Writes up to out.size() frames for `interface`; returns how many. What was returned counts as sent, so
  // poll only for what the device will take. Slices stay valid until the next call on the shard: transmit,
  // then go on.
  size_t PollTransmit(uint16_t interface, Instant now, std::span<TxFrame> out);

  // The buffers nobody needs any more, as a list linked by `next`; nullptr when none. Give them to their
  // pool.
  Buffer* TakeReleased();

  // Events since the last call, at most out.size(); what does not fit comes next time. A connection appears
  // at most once, with all its bits.
  size_t PollEvents(std::span<ShardEvent> out);
  bool HasEvents() const;

  // ---- Applications ----
  OpenResult Listen(const ListenSpec& spec, uint32_t* listener);
  // A new bound on what may wait for its accept: for a layer that keeps a queue of its own behind this one.
  void SetBacklog(uint32_t listener, uint32_t backlog);
  // Stops accepting; connections made already live on, half-open ones are dropped.
  void CloseListener(uint32_t listener);
  OpenResult Connect(const ConnectSpec& spec, Instant now, ConnHandle* handle);
  bool IsLive(ConnHandle handle) const;
  // Replaces the application's value that events carry.
  void SetUser(ConnHandle handle, uint64_t user);
  uint64_t User(ConnHandle handle) const;
  const wire::FlowKey* Key(ConnHandle handle) const;    // nullptr when stale
  const tcp::Connection* Tcp(ConnHandle handle) const;  // nullptr when stale
  const tcp::ColdState* Cold(ConnHandle handle) const;  // nullptr when stale, or closed
  // Walks the connections, for display: the first live one from slot `*cursor` on, which is moved behind it.
  // A handle without a slot when there is none.
  ConnHandle NextLive(uint32_t* cursor) const;
  // Octets that Send takes now. When zero, and the stream is open, kEventWritable follows once there is room.
  uint32_t SendRoom(ConnHandle handle);
  // As tcp::Send; kNotOpen for a stale handle.
  tcp::SendResult Send(ConnHandle handle, BufferChain& data, Instant now);
  // As tcp::Receive; `behind` says whether asking again is worth it.
  uint32_t Receive(ConnHandle handle, uint32_t max_octets, Instant now, BufferChain& out, Behind* behind);
  // As tcp::Peek and tcp::Discard: for readers that copy.
  uint32_t Peek(ConnHandle handle, uint32_t offset, std::span<uint8_t> out) const;
  uint32_t Discard(ConnHandle handle, uint32_t octets, Instant now);
  void ShutdownWrite(ConnHandle handle, Instant now);
  void Close(ConnHandle handle, Instant now);
  void Abort(ConnHandle handle, Instant now);
  // As Close; what is not delivered within `limit` is given up, and the peer sees a reset (SO_LINGER). Zero
  // is Abort.
  void CloseWithin(ConnHandle handle, Duration limit, Instant now);
  void SetNoDelay(ConnHandle handle, bool on);
  void SetCork(ConnHandle handle, bool on);
  // As tcp::SetKeepalive; nullptr turns it off.
  void SetKeepalive(ConnHandle handle, const tcp::KeepaliveTimes* times, Instant now);
  void SetUserTimeout(ConnHandle handle, Duration timeout);
  // TTL (or hop limit) and Diffserv code point of the connection's segments from now on; a TTL of 0 is the
  // shard's (RFC 9293 MUST-48, SHLD-21).
  void SetIp(ConnHandle handle, uint8_t ttl, uint8_t dscp);
  // Whether kEventTrouble is given, and what it last spoke of.
  void SetTroubleReports(ConnHandle handle, bool on);
  tcp::Trouble LastTrouble(ConnHandle handle) const;
  // As the functions of the same names in tcp::.
  tcp::SendResult SendUrgent(ConnHandle handle, BufferChain& data, Instant now);
  uint32_t UrgentAhead(ConnHandle handle) const;
  void SetUrgentOutOfLine(ConnHandle handle, bool on);
  int TakeUrgentOctet(ConnHandle handle);
  void SetQuickAck(ConnHandle handle, bool on);
  // Octets offered as window at the most; what was offered already stays offered (RFC 9293 SHLD-14).
  void SetReceiveBuffer(ConnHandle handle, uint32_t octets, Instant now);
  // From here on; cwnd and ssthresh stay.
  void SetCongestion(ConnHandle handle, tcp::CongestionAlgorithm algorithm);

  // Starts the end: no new connections; those that live are reset when `abort`, else closed.
  void CloseAll(bool abort, Instant now);

  // What happened to the links since the last call, at most out.size(); when it is not asked for, the oldest
  // 32 are kept.
  size_t TakeLinkEvents(std::span<LinkEvent> out);
  bool HasLinkEvents() const;

  // ---- Between workers ----
  // What another worker's shard told by TakeLinkNotices.
  void OnLinkNotice(const LinkNotice& notice, Instant now);
  // What this one learned since the last call, for all others; at most out.size().
  size_t TakeLinkNotices(std::span<LinkNotice> out);
  // What Input found to belong to other workers, which only a look into the packet could tell. The caller
  // owns the buffers; show them to the owner's Input. REQUIRES with several workers: called after each Input.
  size_t TakeForeign(std::span<ForeignFrame> out);
  // MAC groups the device of `interface` has to accept (NDP: solicited-node, all-nodes).
  std::vector<wire::MacAddress> MulticastGroups(uint16_t interface) const;

  // Off: every segment takes the long way through lib/tcp. Nothing else may change; tests hold it to that.
  void SetFastPath(bool on);
  // Whether packet memory runs short (BufferPool::Tight): text is then taken only by connections whose
  // application has read what came before, and out-of-order data is given up. For each turn; costs nothing
  // when nothing changes.
  void SetMemoryTight(bool tight);

  const ShardCounters& counters() const;
  ShardUsage usage() const;
  const ShardConfig& config() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tern::stack

#endif  // TERN_STACK_SHARD_H_
