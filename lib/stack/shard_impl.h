// What a shard is made of. For the files of the shard only: each takes one part of its work.
#ifndef TERN_STACK_SHARD_IMPL_H_
#define TERN_STACK_SHARD_IMPL_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/timing_wheel.h"
#include "base/token_bucket.h"
#include "stack/addresses.h"
#include "stack/autoconf.h"
#include "stack/connection_table.h"
#include "stack/control_frame.h"
#include "stack/event_ring.h"
#include "stack/flow_table.h"
#include "stack/half_open.h"
#include "stack/index_queue.h"
#include "stack/ip_reassembly.h"
#include "stack/listeners.h"
#include "stack/neighbour.h"
#include "stack/path_table.h"
#include "stack/ports.h"
#include "stack/routes.h"
#include "stack/shard.h"
#include "stack/source_table.h"
#include "stack/steering.h"
#include "stack/syn_cookie.h"
#include "stack/time_wait.h"
#include "wire/arp.h"
#include "wire/ethernet.h"
#include "wire/icmp.h"
#include "wire/icmpv6.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"

namespace tern::stack {

inline constexpr size_t kUdpHeader = 8;  // RFC 768

// One frame of a burst between the stages of Input.
struct RxPacket {
  Buffer* buffer =
      nullptr;  // the whole frame, until a stage trims it; nullptr once it belongs to somebody else
  wire::EthernetHeader ethernet;
  bool link_group = false;  // sent to a link-layer group or broadcast address
  bool ipv6 = false;
  bool fragmented = false;  // came in fragments, or with a fragment header
  uint8_t protocol = 0;
  uint8_t hop_limit = 0;
  uint8_t traffic_class = 0;
  ChecksumState ip_checksum = ChecksumState::kUnknown;
  ChecksumState l4_checksum = ChecksumState::kUnknown;
  uint32_t network_offset = 0;    // in the frame
  uint32_t network_length = 0;    // of the IP packet, as far as `buffer` holds it, without the link's padding
  uint32_t protocol_pointer = 0;  // where the packet names its protocol, for ICMPv6 errors
  wire::IpAddress src;
  wire::IpAddress dst;
  std::span<const uint8_t> body;  // what the IP packet carries, as far as `buffer` holds it
  // Of a packet that came in fragments only.
  Buffer* rest = nullptr;       // what it carries behind `body`; nullptr again once the packet is done with
  uint32_t rest_octets = 0;     // in `rest`; meaningful while that is not nullptr
  uint32_t identification = 0;  // of its fragments
  // TCP only.
  uint64_t hash = 0;
  FlowId candidate;      // what the hash alone suggests; the key decides
  Slot* slot = nullptr;  // of the candidate, where it is a connection
  wire::FlowKey key;
  tcp::SegmentView segment;
};

struct Shard::Impl {
  // Frames handled together: enough to hide the latency of memory, few enough to stay in the first-level
  // cache.
  static constexpr size_t kBurst = 32;
  static constexpr uint32_t kTimersPerCall = 256;
  // A connection's share of one round of sending: then the next one's turn comes.
  static constexpr uint32_t kRoundSegments = 64;
  static constexpr uint32_t kRoundOctets = 64 * 1024;
  static constexpr uint32_t kTsoOctets = 60 * 1024;
  static constexpr size_t kMaxNotices = 256;
  static constexpr size_t kMaxForeign = 64;
  static constexpr size_t kMaxLinkEvents = 32;

  // An interface while it runs.
  struct Port {
    IndexQueue control;           // frames ready to go
    IndexQueue dirty;             // connections that may have something to send
    uint32_t round_segments = 0;  // what the head of `dirty` has sent in its round
    uint32_t round_octets = 0;
    TokenBucket defence{Duration::Seconds(10), 1};  // RFC 5227 1.1: DEFEND_INTERVAL
  };

  Impl(const ShardConfig& shard_config, MemorySource& memory, Instant start);

  // ---- rx.cc: bursts and the link layer ----
  void Input(std::span<RxFrame> frames, uint16_t interface);
  void InputBurst(std::span<RxFrame> frames, uint16_t interface);
  bool InputOther(const RxFrame& frame, uint16_t interface, RxPacket& p);
  DropReason ParseLink(const RxFrame& frame, uint16_t interface, RxPacket& p);
  // The only place where a received frame is counted, so that frames in and outcomes always add up.
  void Finish(RxPacket& p, DropReason drop) {
    if (drop == DropReason::kNone) {
      ++counters.rx_consumed;
    } else {
      counters.drops.Count(drop);
    }
    // A frame may have come in several pieces.
    if (p.buffer != nullptr) ReleaseList(std::exchange(p.buffer, nullptr));
  }

  // ---- rx_common.cc ----
  // False, with nothing but `p` changed, when the frame is not of the common kind. Else `p` awaits its
  // look-up.
  bool ParseCommon(const RxFrame& frame, const InterfaceConfig& own, RxPacket& p);

  // ---- ip_input.cc ----
  // Parses up to the transport. kNone with protocol TCP: the packet awaits its look-up; kNone otherwise:
  // dealt with.
  DropReason InputNetwork(RxPacket& p, uint16_t interface, bool* is_tcp);
  DropReason ParseIpv4(RxPacket& p, uint16_t interface);
  DropReason ParseIpv6(RxPacket& p, uint16_t interface);
  DropReason RefuseExtension(RxPacket& p, wire::ParseError error, const wire::Ipv6Problem& problem);
  DropReason ParseTcpSegment(RxPacket& p);
  // May a host on this link have sent that, to us? For packets that belong to no connection.
  DropReason CheckSource(const wire::IpAddress& src) const;
  DropReason InputTransport(RxPacket& p, uint16_t interface);

  // ---- fragment_input.cc ----
  DropReason InputFragment4(RxPacket& p, const wire::Ipv4Header& ip, uint16_t interface);
  DropReason InputFragment6(RxPacket& p, const wire::Ipv6Header& ip, uint16_t interface);
  DropReason InputFragment(RxPacket& p, const Fragment& fragment);
  DropReason TakeWhole(RxPacket& p, const Datagram& whole);
  void NoteWholeLength(RxPacket& p);
  static void TakePieces(const RxFrame& frame, RxPacket& p);
  static wire::InetSum SumInPieces(const RxPacket& p, wire::InetSum sum);
  // The same as wire::TransportChecksumValid, of a packet in pieces.
  static bool TransportSumIsGood(const RxPacket& p, uint8_t protocol);
  bool HandOver(RxPacket& p, uint16_t interface, DropReason* drop);
  size_t TakeForeign(std::span<ForeignFrame> out);
  DropReason InputTcpInPieces(RxPacket& p);
  struct EchoReply {
    wire::IpAddress src;
    wire::IpAddress dst;
    uint32_t neighbour = kNoSlot;
    std::array<uint8_t, wire::kIcmpHeader> icmp{};
    std::span<const uint8_t> first_body;  // of the request, behind its ICMP header
  };
  DropReason AnswerEchoInPieces(RxPacket& p, const EchoReply& reply);
  void WriteFragment(ControlFrame& frame, const EchoReply& reply, uint32_t identification, uint32_t offset,
                     uint32_t length, bool more) const;
  bool ExpireFragments();
  void ReportTimeout(const Datagram& gone);
  void ReleaseList(Buffer* list);
  void DropFragments();

  // ---- tcp_input.cc ----
  FlowId FindFlow(const wire::FlowKey& key, uint64_t hash) const;
  void InputSegments(std::span<RxPacket> packets);
  DropReason InputTcp(RxPacket& p);
  DropReason OnConnection(uint32_t index, Slot& slot, RxPacket& p) {
    tcp::Connection& conn = slot.conn;
    tcp::Effects effects;
    const uint32_t queued = conn.rcv_queued;
    tcp::OnSegment(conn, env, p.segment, now, effects);
    counters.rx_payload += conn.rcv_queued - queued;
    Settle(index, slot, effects);
    return effects.dropped ? effects.drop_reason : DropReason::kNone;
  }
  DropReason OnNoFlow(RxPacket& p);
  DropReason OnTimeWait(uint32_t index, RxPacket& p);
  DropReason RefuseSegment(const RxPacket& p, DropReason why);

  // ---- passive_open.cc ----
  // `old`: the TIME-WAIT entry of an earlier connection of the tuple, whose place the new one takes; or
  // kNoSlot.
  DropReason OnSyn(uint32_t listener_id, RxPacket& p, uint32_t old);
  DropReason AddHalfOpen(uint32_t listener_id, RxPacket& p, uint32_t old);
  // What the SYN says of its sender; not the entry's own ISN, times and place.
  void DescribeSyn(uint32_t listener_id, const RxPacket& p, HalfOpen& entry) const;
  DropReason OnHalfOpen(uint32_t index, RxPacket& p);
  DropReason Promote(uint32_t index, RxPacket& p);
  // Makes the connection that `entry` describes, in the place of `from` in the flow table or in a new one.
  // Nothing has changed when it gives a reason.
  DropReason MakeConnection(const HalfOpen& entry, FlowId from, const RxPacket& p, uint32_t* made);
  // Counts it as unaccepted, and gives it the segment that ends its handshake.
  DropReason Begin(uint32_t index, RxPacket& p);
  uint32_t ReceiveBufferOf(const HalfOpen& entry);
  uint16_t MssOf(const HalfOpen& entry, uint16_t interface);
  void ForgetHalfOpen(uint32_t index);
  // False, and counted, when no neighbour leads to the peer.
  bool SendSynAck(const HalfOpen& entry, uint32_t tsval);
  uint32_t TimestampOf(const wire::FlowKey& key) const;
  void SendHalfOpenAck(const HalfOpen& entry);
  bool RetryHalfOpen();
  void DropHalfOpenOf(uint32_t listener_id);

  // ---- cookie_handler.cc ----
  DropReason SendCookie(uint32_t listener_id, const RxPacket& p);
  // An ACK to a listener that belongs to no connection.
  DropReason OnListenAck(uint32_t listener_id, RxPacket& p);
  bool TakesCookies(const Listener& listener) const;
  // kInvalid, too, when the listener takes no cookies.
  CookieVerdict EntryFromCookie(uint32_t listener_id, const RxPacket& p, HalfOpen* entry);
  DropReason AcceptCookie(const HalfOpen& entry, RxPacket& p);
  // Whether the segment that opened the connection would open it again.
  bool CookieStillGood(const Slot& slot) const;

  // ---- listen_controls.cc ----
  // May the listener have one more pending connection of that source? Counts it if so.
  DropReason CountSource(uint32_t listener_id, const wire::IpAddress& source);
  // The application was told of the connection, or never will be. The listener may be gone.
  void LeaveUnaccepted(const Slot& slot);
  // True when the accept event of a connection that the application has not seen has to wait for data.
  bool HoldBack(uint32_t index);
  void TellDeferredOf(uint32_t listener_id);
  bool AdvanceDeferred();
  // A passive connection begins with the segment that could tell the application of it.
  Instant EndOfDeferral(const Slot& slot);

  // ---- connections.cc: what follows from what TCP did ----
  void Settle(uint32_t index, Slot& slot, tcp::Effects& effects) {
    released.Splice(effects.released);
    const bool rare = effects.reply.wanted || effects.challenge_withheld || effects.doubt_route ||
                      effects.path.kind != tcp::PathNews::Kind::kNone;
    if (rare || (effects.events & ~tcp::kEventReadable) != 0) [[unlikely]] {
      SettleRare(index, effects);
      return;
    }
    // Also when there is nothing to send: what is drained has its deadlines looked at then, once for all that
    // happens to it until then.
    MarkDirty(index, slot);
    if (effects.events != 0 && !slot.conn.Is(tcp::kAppClosed)) QueueEvent(index, slot, tcp::kEventReadable);
  }
  void Settle(uint32_t index, tcp::Effects& effects) { Settle(index, slots[index], effects); }
  void SettleRare(uint32_t index, const tcp::Effects& effects);
  void QueueEvent(uint32_t index, Slot& slot, uint16_t events) {
    slot.Set(events);
    if (slot.Is(kSlotEventQueued)) return;
    if (!slot.Is(kSlotSeen) && HoldBack(index)) return;
    Tell(index, slot);
  }
  // REQUIRES: it is not in the ring.
  void Tell(uint32_t index, Slot& slot) {
    slot.Set(kSlotEventQueued);
    event_ring.Push(index);
  }
  void UpdateTimer(uint32_t index, Slot& slot) {
    const tcp::Connection& conn = slot.conn;
    const auto now_ticks = static_cast<uint32_t>(now.nanos() >> tcp::Deadline::kShift);
    const int32_t ahead = tcp::Deadline::TicksAhead(now_ticks, conn.retransmit_at, conn.ack_at, conn.slow_at);
    if (ahead == tcp::Deadline::kUnset || !slot.ComesBeforeArmed(now_ticks, ahead)) return;
    ArmTimer(index, slot);
  }
  void ArmTimer(uint32_t index, Slot& slot);
  void MarkDirty(uint32_t index, Slot& slot) {
    if (slot.Is(kSlotTxQueued)) return;
    slot.Set(kSlotTxQueued);
    Port& port = ports.size() == 1 ? ports[0] : ports[InterfaceOf(slot)];
    port.dirty.PushBack(slots, index, slot);
  }
  // CLOSED, or as good as: keeps the slot while received data waits for the application, else retires it.
  void EndConnection(uint32_t index, tcp::CloseReason reason);
  void Retire(uint32_t index, tcp::CloseReason reason);
  void MaybeFree(uint32_t index);
  // Replaces a connection in TIME-WAIT by its compact entry, once nobody needs the rest.
  void MaybeCompact(uint32_t index);
  uint32_t AddTimeWait(const Slot& slot);
  void RecycleOldestTimeWait();
  size_t PollEvents(std::span<ShardEvent> out);

  // ---- open.cc ----
  OpenResult Listen(const ListenSpec& spec, uint32_t* listener);
  void CloseListener(uint32_t listener);
  OpenResult Connect(const ConnectSpec& spec, ConnHandle* handle);
  bool ChooseTuple(const ConnectSpec& spec, const NextHop& hop, wire::FlowKey* key, OpenResult* result);
  bool ChoosePort(wire::FlowKey& key);
  bool PortUsable(const wire::FlowKey& key) const;
  OpenResult StartConnection(const ConnectSpec& spec, const wire::FlowKey& key, const NextHop& hop,
                             ConnHandle* handle);
  void CloseAll(bool abort);
  uint64_t TupleHash(const wire::FlowKey& key) const { return SipHash24(isn_key, key.Words()); }
  static uint16_t DefaultPeerMss(const wire::FlowKey& key);
  tcp::OpenParams ParamsFor(const wire::FlowKey& key, uint16_t interface) const;
  uint16_t LinkMss(const wire::FlowKey& key, uint16_t interface) const;

  // ---- app.cc ----
  Slot* Live(ConnHandle handle) {
    Slot* slot = slots.Find(handle.slot, handle.generation);
    return slot != nullptr && !slot->Is(kSlotClosed) ? slot : nullptr;
  }
  void AfterRead(uint32_t index, Slot& slot, tcp::Effects& effects);
  uint32_t Receive(ConnHandle handle, uint32_t max_octets, BufferChain& out, Behind* behind);
  uint32_t Discard(ConnHandle handle, uint32_t octets);
  void Close(uint32_t index);
  void Abort(uint32_t index);

  // ---- neighbour_handler.cc ----
  DropReason InputArp(RxPacket& p, uint16_t interface);
  DropReason DefendAddress(const wire::ArpPacket& claim, uint16_t interface);
  DropReason InputNeighborSolicit(RxPacket& p, const wire::IcmpMessage& message, uint16_t interface);
  DropReason InputNeighborAdvert(RxPacket& p, const wire::IcmpMessage& message, uint16_t interface);
  void MakeEntry(uint16_t interface, const wire::IpAddress& address);
  DropReason LearnFromPeer(uint16_t interface, const wire::IpAddress& address, const wire::MacAddress& mac,
                           bool confirmed, bool may_override);
  LearnResult Learn(uint16_t interface, const wire::IpAddress& address, const wire::MacAddress& mac,
                    bool confirmed, bool may_override);
  void BuildLinkHeader(Neighbour& n) const;
  void ReleaseWaiters(uint32_t neighbour);
  void FailWaiters(uint32_t neighbour);
  // True when frames can be sent to it now. `connection`: who wants to; kNoSlot: none.
  bool UseNeighbour(uint32_t neighbour, const Neighbour& n, uint32_t connection) {
    return n.state == NeighbourState::kReachable || AskForNeighbour(neighbour, connection);
  }
  bool AskForNeighbour(uint32_t neighbour, uint32_t connection);
  void Ask(uint32_t neighbour, NeighbourAction action);
  bool AdvanceNeighbours();
  void TellOthers(const LinkNotice& notice);

  // ---- autoconf_handler.cc: RFC 4862, RFC 4861 6.3 ----
  bool Speaks() const { return config.worker == Steering::kSpeaker; }
  void BeginAutoconf();
  DropReason InputRouterAdvert(RxPacket& p, const wire::IcmpMessage& message, uint16_t interface);
  void TakeLinkValues(const wire::RouterAdvert& advert, uint16_t interface);
  void TakePrefix(const wire::NdpPrefix& prefix, uint16_t interface);
  bool TakeAddress(const wire::NdpPrefix& prefix, uint16_t interface);
  // What becomes of a notice, here and at the shards that are told.
  void Apply(const LinkNotice& notice);
  void ApplyAddress(const LinkNotice& notice);
  void ApplyAndTell(const LinkNotice& notice);
  // Somebody speaks of `entry`, which is tentative or a duplicate.
  DropReason OnTentativeAsked(LocalAddresses::Entry& entry, const wire::NeighborSolicit& solicit,
                              const RxPacket& p);
  DropReason OnTentativeClaimed(LocalAddresses::Entry& entry);
  void BeginDetection(LocalAddresses::Entry& entry, Instant at);
  void FailAddress(LocalAddresses::Entry& entry);
  void AddressIsOurs(LocalAddresses::Entry& entry);
  void TellAddress(const LocalAddresses::Entry& entry);
  void EndConnectionsFrom(const wire::IpAddress& local);
  void SendDuplicateProbe(const LocalAddresses::Entry& entry);
  void SendRouterSolicit(uint16_t interface);
  // A next hop that was a router is none any more, or does not answer: what goes through it goes elsewhere,
  // where there is another on that interface.
  void RerouteFrom(uint16_t interface, const wire::IpAddress& router);
  void OnNeighbourFailed(uint32_t neighbour);
  void AdvanceAddresses();
  bool AdvanceAutoconf();
  void ScheduleAutoconf();
  void Report(LinkEvent::Kind kind, uint16_t interface, const wire::IpAddress& address);
  uint16_t MtuOf(uint16_t interface, bool ipv6) const {
    const uint16_t learned = ipv6 ? links[interface].mtu : 0;
    return learned != 0 ? learned : interface_config(interface).mtu;
  }
  // What routers said of the hop limit goes to connections that begin; a configured one goes before.
  void SetHopLimit(Slot& slot);
  Duration RandomDelay() { return Duration::Nanos(random.Between(0, kMaxSolicitDelay.nanos())); }

  // ---- icmp_handler.cc ----
  DropReason InputIcmp(RxPacket& p, uint16_t interface);
  DropReason InputIcmpv6(RxPacket& p, uint16_t interface);
  DropReason AnswerEcho(RxPacket& p, const wire::IcmpMessage& message);
  DropReason FindQuoted(const RxPacket& p, const wire::IcmpMessage& message, wire::IcmpQuote* quote,
                        uint32_t* index) const;
  // `end`: what it does to an opening connection; kNone for a soft error.
  DropReason OnIcmpError(RxPacket& p, const wire::IcmpMessage& message, tcp::Trouble trouble,
                         tcp::CloseReason end = tcp::CloseReason::kNone);
  DropReason InputUdp(RxPacket& p);
  DropReason SendIcmpError(RxPacket& p, uint8_t type, uint8_t code, uint32_t rest, DropReason why);
  DropReason ReportToGroup(RxPacket& p, const wire::Ipv6Problem& problem, DropReason why);
  struct IcmpError {
    uint8_t type = 0;
    uint8_t code = 0;
    uint32_t rest = 0;
  };
  DropReason EmitIcmpError(RxPacket& p, const wire::IpAddress& from, const IcmpError& error, DropReason why);

  // ---- path_handler.cc ----
  tcp::PathParams PathParamsFor(const wire::IpAddress& remote) const;
  DropReason OnPacketTooBig(RxPacket& p, const wire::IcmpMessage& message, uint32_t mtu);
  void OnPathNews(uint32_t index, const tcp::PathNews& news);
  bool AdvanceRaises();
  void ConsultPaths(uint32_t index);

  // ---- control.cc: frames of no connection ----
  // A fresh frame, or nullptr (counted) when the bound is reached.
  ControlFrame* NewControl(uint16_t interface, uint32_t* index);
  void WriteNetwork(ControlFrame& frame, const wire::IpAddress& src, const wire::IpAddress& dst,
                    uint8_t protocol, size_t payload, uint8_t hop_limit);
  void WriteLink(ControlFrame& frame, const wire::MacAddress& dst, uint16_t ether_type) const;
  // Where to send for `destination` from our address `local`: an entry of the neighbour table, or kNoSlot
  // (counted).
  uint32_t NeighbourTowards(const wire::IpAddress& destination, const wire::IpAddress& local);
  // Hands a frame over to its next hop: to the queue, or to wait for the link address.
  void SendVia(uint32_t neighbour, uint32_t frame);
  void SendReady(uint32_t frame);
  void DropControl(uint32_t frame, DropReason why);
  struct TcpControl {
    uint8_t flags = 0;
    SeqNum seq;
    SeqNum ack;
    uint16_t window = 0;
  };
  void SendTcpControl(const wire::FlowKey& key, uint32_t neighbour, const TcpControl& control,
                      const wire::TcpOptions& options = {});
  void SendTimeWaitAck(const TimeWaitEntry& entry);
  bool MayChallenge();  // RFC 5961 7, for entries that are no connections; a refusal is counted

  // ---- output.cc ----
  size_t PollTransmit(uint16_t interface, std::span<TxFrame> out);
  size_t EmitControl(Port& port, std::span<TxFrame> out);
  size_t EmitSegments(uint16_t interface, std::span<TxFrame> out);
  size_t DrainConnection(Slot& slot, Port& port, const InterfaceConfig& own, const Neighbour& neighbour,
                         std::span<TxFrame> out, bool* exhausted);
  void Blackhole(uint32_t index);
  void WriteHeaders(const Slot& slot, const InterfaceConfig& own, const Neighbour& neighbour,
                    const tcp::SegmentOut& segment, TxFrame& frame);

  // ---- timers.cc ----
  bool AdvanceTimers();
  Instant OnWheel(uint32_t index, uint32_t generation);
  bool ExpireTimeWait();
  Instant NextDeadline() const;

  const InterfaceConfig& interface_config(uint16_t i) const { return config.interfaces[i]; }
  uint16_t InterfaceOf(const Slot& slot) const { return neighbours[slot.neighbour].interface; }
  FlowId IdOf(uint32_t slot) const { return FlowId(FlowKind::kConnection, slot); }

  ShardConfig config;
  Instant now;                // of the call being served
  uint16_t rx_interface = 0;  // of the frame being served: where a link-local peer lives
  bool closing = false;

  SlotPool<tcp::ColdState> cold;
  SlotPool<tcp::SendRecord> records;
  tcp::ReassemblyPool ranges;
  tcp::Environment env;

  HashKey isn_key;
  SynCookie cookies;
  LocalAddresses addresses;
  RouteTable routes;
  Steering steering;
  PortChooser port_chooser;

  FlowTable flows;
  ConnectionTable slots;
  HalfOpenTable half_open;
  TimeWaitTable time_wait;
  ListenerTable listeners;
  SourceTable sources;
  TimingWheel deferrals;  // {slot, generation} of connections whose accept event waits for data
  uint32_t deferred = 0;
  PathTable paths;
  TimingWheel raises;  // {slot, generation} of connections on paths that carry less than they might some day
  NeighbourTable neighbours;
  IpReassembly reassembly;
  TimingWheel wheel;
  uint32_t armed = 0;  // connections with a valid entry in the wheel
  ControlPool controls;
  std::vector<Port> ports;
  EventRing event_ring;
  BufferChain released;
  std::vector<LinkNotice> notices;
  std::vector<ForeignFrame> foreign;
  std::vector<LinkAutoconf> links;  // by interface
  std::vector<LinkEvent> link_events;
  Instant autoconf_due = Instant::Never();
  Prng random;
  TokenBucket icmp_limit{Duration::Millis(10), 50};
  tcp::ChallengeLimit challenges;
  ShardCounters counters;
  std::array<RxPacket, kBurst> burst;
  tcp::SegmentOut segment_out;  // scratch of DrainConnection
};

}  // namespace tern::stack

#endif  // TERN_STACK_SHARD_IMPL_H_
