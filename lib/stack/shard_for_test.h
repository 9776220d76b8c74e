// A shard with a hand-made peer: frames go in as bytes, what comes out is checked and taken apart.
#ifndef TERN_STACK_SHARD_FOR_TEST_H_
#define TERN_STACK_SHARD_FOR_TEST_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "base/heap_buffer_pool.h"
#include "stack/shard.h"
#include "wire/arp.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/icmp.h"
#include "wire/icmpv6.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/ndp.h"
#include "wire/tcp.h"

namespace tern::stack {

using Bytes = std::vector<uint8_t>;

inline wire::IpAddress Ip(const char* text) { return wire::IpAddress::Parse(text).value(); }
inline Bytes Text(const std::string& s) { return Bytes(s.begin(), s.end()); }

inline const wire::MacAddress kOurMac({2, 0, 0, 0, 0, 1});
inline const wire::MacAddress kPeerMac({2, 0, 0, 0, 0, 2});

// One end's view of a flow, for writing its segments.
struct TestFlow {
  wire::IpAddress src = Ip("10.77.0.2");
  wire::IpAddress dst = Ip("10.77.0.1");
  uint16_t src_port = 40'000;
  uint16_t dst_port = 7;
};

// A frame that the shard sent, checksums known good.
struct SentFrame {
  SentFrame() = default;
  SentFrame(SentFrame&&) = default;  // views move along with the bytes; copies would leave them behind
  SentFrame& operator=(SentFrame&&) = default;

  wire::EthernetHeader ethernet;
  wire::IpAddress src;
  wire::IpAddress dst;
  uint8_t protocol = 0;  // 0: ARP
  uint8_t hop_limit = 0;
  wire::ArpPacket arp;
  wire::TcpHeader tcp;
  wire::TcpOptions options;
  wire::IcmpMessage icmp;  // its body points into `bytes`
  Bytes payload;           // of TCP; of a fragment, all that it carries
  bool fragment = false;
  bool more_fragments = false;
  uint16_t fragment_offset = 0;
  uint32_t identification = 0;
  Bytes bytes;
};

inline Bytes LinkFrame(uint16_t ether_type, const Bytes& body, const wire::MacAddress& dst = kOurMac,
                       const wire::MacAddress& src = kPeerMac, uint16_t vlan = 0) {
  Bytes out(vlan == 0 ? 14 : 18);
  wire::WriteEthernet(
      {.dst = dst, .src = src, .ether_type = ether_type, .tagged = vlan != 0, .vlan_tci = vlan}, out.data());
  out.insert(out.end(), body.begin(), body.end());
  // The shortest frame Ethernet carries: what is behind the packet must not disturb.
  if (out.size() < 60) out.resize(60, 0xee);
  return out;
}

inline Bytes IpPacket(const wire::IpAddress& src, const wire::IpAddress& dst, uint8_t protocol,
                      const Bytes& body, uint8_t hop_limit = 64) {
  Bytes out(dst.IsV4() ? 20 : 40);
  if (dst.IsV4()) {
    wire::WriteIpv4({.src = src,
                     .dst = dst,
                     .total_length = static_cast<uint16_t>(20 + body.size()),
                     .dont_fragment = true,
                     .ttl = hop_limit,
                     .protocol = protocol},
                    out.data());
  } else {
    wire::WriteIpv6({.src = src,
                     .dst = dst,
                     .payload_length = static_cast<uint16_t>(body.size()),
                     .hop_limit = hop_limit,
                     .protocol = protocol},
                    out.data());
  }
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

inline Bytes IpFrame(const wire::IpAddress& src, const wire::IpAddress& dst, uint8_t protocol,
                     const Bytes& body, uint8_t hop_limit = 64) {
  return LinkFrame(dst.IsV4() ? wire::kEtherTypeIpv4 : wire::kEtherTypeIpv6,
                   IpPacket(src, dst, protocol, body, hop_limit));
}

inline Bytes TcpBytes(const TestFlow& flow, uint8_t flags, uint32_t seq, uint32_t ack,
                      const Bytes& payload = {}, const wire::TcpOptions& options = {},
                      uint16_t window = 65'535) {
  Bytes out(wire::kTcpMaxHeader);
  out.resize(wire::WriteTcp({.src_port = flow.src_port,
                             .dst_port = flow.dst_port,
                             .seq = SeqNum(seq),
                             .ack = SeqNum(ack),
                             .flags = flags,
                             .window = window},
                            options, out.data()));
  out.insert(out.end(), payload.begin(), payload.end());
  wire::StoreBe16(out.data() + wire::kTcpChecksumOffset,
                  wire::TransportChecksum(flow.src, flow.dst, wire::kProtocolTcp, out));
  return out;
}

class ShardTest : public ::testing::Test {
 protected:
  ShardTest() {
    config_.interfaces.push_back({.mac = kOurMac,
                                  .addresses = {{wire::IpPrefix::Parse("10.77.0.1/24").value()},
                                                {wire::IpPrefix::Parse("fd77::1/64").value()}}});
    for (size_t i = 0; i < 16; ++i) config_.isn_secret[i] = config_.table_secret[i] = static_cast<uint8_t>(i);
    config_.max_connections = 64;
    config_.max_half_open = 64;
    config_.max_time_wait = 64;
  }

  void TearDown() override {
    if (shard_ == nullptr) return;
    shard_->CloseAll(/*abort=*/true, now_);
    Take();
    std::vector<ShardEvent> rest(256);
    while (shard_->PollEvents(rest) != 0) {
    }
    Take();
    Recycle();
    CheckCounters();
    const ShardUsage usage = shard_->usage();
    EXPECT_EQ(usage.connections, 0u);
    EXPECT_EQ(usage.half_open, 0u);
    EXPECT_EQ(usage.send_records, 0u);
    EXPECT_EQ(usage.cold_states, 0u);
    EXPECT_EQ(usage.timers, 0u);
    EXPECT_EQ(usage.fragments, 0u);
    EXPECT_EQ(pool_.outstanding(), 0u);
  }

  Shard& shard() {
    if (shard_ == nullptr) shard_ = std::make_unique<Shard>(config_, HeapMemory(), now_);
    return *shard_;
  }
  // Makes the neighbour known, so that tests of other things see nothing of ARP.
  void Start() {
    shard();
    Resolve(Ip("10.77.0.2"));
    Resolve(Ip("fd77::2"));
  }
  void Resolve(const wire::IpAddress& peer, const wire::MacAddress& mac = kPeerMac) {
    // An echo request makes an entry for the peer; its question is answered.
    if (peer.IsV4()) {
      Give(EchoRequest(peer));
      Give(ArpReply(peer, mac));
    } else {
      Give(EchoRequest(peer));
      Give(Advert(peer, mac));
    }
    Take();
  }

  void Give(const Bytes& frame, uint16_t interface = 0) {
    RxFrame rx{.buffer = pool_.AllocateWith(frame)};
    GiveFrame(rx, interface);
  }
  void GiveFrame(RxFrame rx, uint16_t interface = 0) {
    shard().Input({&rx, 1}, interface, now_);
    Recycle();
    CheckCounters();
  }
  void GiveTcp(const TestFlow& flow, uint8_t flags, uint32_t seq, uint32_t ack, const Bytes& payload = {},
               const wire::TcpOptions& options = {}, uint16_t window = 65'535) {
    Give(IpFrame(flow.src, flow.dst, wire::kProtocolTcp,
                 TcpBytes(flow, flags, seq, ack, payload, options, window)));
  }

  // All frames the shard has to send now.
  std::vector<SentFrame> Take(uint16_t interface = 0) {
    std::vector<SentFrame> sent;
    std::vector<TxFrame> frames(4);  // few, so that the boundary is crossed often
    for (size_t n; (n = shard().PollTransmit(interface, now_, frames)) != 0;) {
      std::vector<wire::IpAddress> asked;
      for (size_t i = 0; i < n; ++i) {
        SentFrame frame = Parse(frames[i]);
        if (answers_arp_ && frame.protocol == 0) {
          asked.push_back(frame.arp.target_ip);
        } else {
          sent.push_back(std::move(frame));
        }
      }
      Recycle();
      for (const wire::IpAddress& ip : asked) Give(ArpReply(ip, kPeerMac));
    }
    Recycle();
    return sent;
  }
  SentFrame TakeOne() {
    std::vector<SentFrame> sent = Take();
    EXPECT_EQ(sent.size(), 1u);
    return sent.empty() ? SentFrame() : std::move(sent[0]);
  }
  void ExpectSilence() { EXPECT_EQ(Take().size(), 0u); }

  std::vector<ShardEvent> Events() {
    std::vector<ShardEvent> events(64);
    events.resize(shard().PollEvents(events));
    return events;
  }
  ShardEvent OneEvent() {
    const std::vector<ShardEvent> events = Events();
    EXPECT_EQ(events.size(), 1u);
    return events.empty() ? ShardEvent() : events[0];
  }

  // Moves time on, stopping at every deadline on the way. Returns what was sent meanwhile.
  std::vector<SentFrame> Advance(Duration by) {
    const Instant end = now_ + by;
    std::vector<SentFrame> sent;
    for (int guard = 0; guard < 100'000; ++guard) {
      const Instant next = shard().NextDeadline(now_);
      if (next > end) break;
      now_ = std::max(now_, next);
      while (shard().AdvanceTimers(now_)) {
      }
      std::vector<SentFrame> batch = Take();
      if (batch.empty() && next <= now_) now_ = now_ + Duration::Micros(17);
      std::move(batch.begin(), batch.end(), std::back_inserter(sent));
    }
    now_ = std::max(now_, end);
    shard().AdvanceTimers(now_);
    std::vector<SentFrame> batch = Take();
    std::move(batch.begin(), batch.end(), std::back_inserter(sent));
    return sent;
  }

  uint64_t Dropped(DropReason reason) { return shard().counters().drops[reason]; }
  void ExpectDrop(const Bytes& frame, DropReason reason) {
    const uint64_t before = Dropped(reason);
    const uint64_t total = shard().counters().drops.total();
    Give(frame);
    EXPECT_EQ(Dropped(reason), before + 1) << DropReasonName(reason);
    EXPECT_EQ(shard().counters().drops.total(), total + 1) << DropReasonName(reason);
  }

  uint32_t Listen(uint16_t port = 7, uint32_t backlog = 16, uint64_t user = 99) {
    uint32_t id = 0;
    EXPECT_EQ(shard().Listen({.port = port, .backlog = backlog, .user = user}, &id), OpenResult::kOk);
    return id;
  }
  // The peer's side of a handshake; returns our initial sequence number. The accept event is left to take.
  uint32_t Handshake(const TestFlow& flow, uint32_t client_isn = 1000, const wire::TcpOptions& options = {}) {
    GiveTcp(flow, wire::kSyn, client_isn, 0, {}, options);
    const SentFrame synack = TakeOne();
    EXPECT_EQ(synack.tcp.flags, wire::kSyn | wire::kAck);
    wire::TcpOptions later{.tsval = options.tsval, .has_timestamp = options.has_timestamp};
    GiveTcp(flow, wire::kAck, client_isn + 1, synack.tcp.seq.value() + 1, {}, later);
    return synack.tcp.seq.value();
  }
  ConnHandle Accept(const TestFlow& flow, uint32_t* isn) {
    *isn = Handshake(flow);
    const ShardEvent event = OneEvent();
    EXPECT_TRUE(event.events & tcp::kEventConnected);
    return event.handle;
  }

  void SendText(ConnHandle handle, const std::string& text) {
    BufferChain chain;
    chain.PushBack(pool_.AllocateWith(Text(text)));
    EXPECT_EQ(shard().Send(handle, chain, now_), tcp::SendResult::kOk);
    Recycle();
  }
  std::string ReceiveText(ConnHandle handle, bool* ended = nullptr) {
    BufferChain chain;
    Behind behind{};
    shard().Receive(handle, 1 << 20, now_, chain, &behind);
    if (ended != nullptr) *ended = behind == Behind::kEnd;
    std::string text;
    for (Buffer* b = chain.front(); b != nullptr; b = b->next) {
      text.append(reinterpret_cast<const char*>(b->data), b->length);
    }
    pool_.Release(chain.TakeAll());
    Recycle();
    return text;
  }

  Bytes EchoRequest(const wire::IpAddress& from, const Bytes& data = Text("ping"), const char* to = nullptr) {
    Bytes body(8 + data.size());
    wire::IcmpMessage message{.body = data};
    message.SetEcho(7, 1);
    if (from.IsV4()) {
      message.type = wire::kIcmpEchoRequest;
      wire::WriteIcmp(message, body.data());
      return IpFrame(from, Ip(to == nullptr ? "10.77.0.1" : to), wire::kProtocolIcmp, body);
    }
    const wire::IpAddress dst = Ip(to == nullptr ? "fd77::1" : to);
    message.type = wire::kIcmpv6EchoRequest;
    wire::WriteIcmpv6(message, from, dst, body.data());
    return IpFrame(from, dst, wire::kProtocolIcmpv6, body);
  }
  Bytes Arp(wire::ArpOperation operation, const wire::IpAddress& sender, const wire::MacAddress& sender_mac,
            const wire::IpAddress& target, const wire::MacAddress& to) {
    Bytes body(wire::kArpPacket);
    wire::WriteArp({.operation = operation,
                    .sender_mac = sender_mac,
                    .sender_ip = sender,
                    .target_mac = to,
                    .target_ip = target},
                   body.data());
    return LinkFrame(wire::kEtherTypeArp, body, to, sender_mac);
  }
  Bytes ArpReply(const wire::IpAddress& sender, const wire::MacAddress& mac) {
    return Arp(wire::ArpOperation::kReply, sender, mac, Ip("10.77.0.1"), kOurMac);
  }
  Bytes Advert(const wire::IpAddress& sender, const wire::MacAddress& mac) {
    Bytes body(wire::kNdpMaxMessage);
    const wire::NeighborAdvert advert{
        .target = sender, .solicited = true, .override = true, .target_mac = mac};
    body.resize(wire::WriteNeighborAdvert(advert, sender, Ip("fd77::1"), body.data()));
    return IpFrame(sender, Ip("fd77::1"), wire::kProtocolIcmpv6, body, 255);
  }

  void Recycle() { pool_.Release(shard().TakeReleased()); }
  void CheckCounters() {
    const ShardCounters& c = shard().counters();
    EXPECT_EQ(c.rx_frames, c.rx_consumed + c.drops.total());
  }

  SentFrame Parse(const TxFrame& frame) {
    SentFrame sent;
    sent.bytes.assign(frame.header.begin(), frame.header.begin() + frame.header_length);
    for (size_t i = 0; i < frame.slice_count; ++i) {
      sent.bytes.insert(sent.bytes.end(), frame.slices[i].data,
                        frame.slices[i].data + frame.slices[i].length);
    }
    EXPECT_EQ(wire::ParseEthernet(sent.bytes, sent.ethernet), wire::ParseError::kNone);
    EXPECT_EQ(sent.ethernet.header_length(), frame.l2_length);
    EXPECT_EQ(frame.header_length, frame.l2_length + frame.l3_length + frame.l4_length);
    const std::span<const uint8_t> packet = std::span<const uint8_t>(sent.bytes).subspan(frame.l2_length);
    if (sent.ethernet.ether_type == wire::kEtherTypeArp) {
      EXPECT_EQ(wire::ParseArp(packet, sent.arp), wire::ParseError::kNone);
      return sent;
    }
    std::span<const uint8_t> body;
    if (sent.ethernet.ether_type == wire::kEtherTypeIpv4) {
      wire::Ipv4Header ip;
      EXPECT_EQ(wire::ParseIpv4(packet, ip), wire::ParseError::kNone);
      EXPECT_EQ(ip.total_length, packet.size());
      body = ip.Payload(packet);
      sent.src = ip.src, sent.dst = ip.dst, sent.protocol = ip.protocol, sent.hop_limit = ip.ttl;
      sent.fragment = ip.IsFragment(), sent.more_fragments = ip.more_fragments;
      sent.fragment_offset = ip.fragment_offset, sent.identification = ip.identification;
    } else {
      wire::Ipv6Header ip;
      EXPECT_EQ(wire::ParseIpv6(packet, ip), wire::ParseError::kNone);
      EXPECT_EQ(ip.payload_length + wire::kIpv6Header, packet.size());
      body = ip.Payload(packet);
      sent.src = ip.src, sent.dst = ip.dst, sent.protocol = ip.protocol, sent.hop_limit = ip.hop_limit;
      sent.fragment = ip.is_fragment, sent.more_fragments = ip.fragment.more;
      sent.fragment_offset = ip.fragment.offset, sent.identification = ip.fragment.identification;
    }
    if (sent.fragment) {
      sent.payload.assign(body.begin(), body.end());
    } else {
      ParseBody(frame, body, sent);
    }
    return sent;
  }
  void ParseBody(const TxFrame& frame, std::span<const uint8_t> body, SentFrame& sent) {
    if (sent.protocol == wire::kProtocolTcp) {
      EXPECT_EQ(wire::ParseTcp(body, sent.tcp, sent.options), wire::ParseError::kNone);
      if (!frame.needs_tcp_checksum) {
        EXPECT_TRUE(wire::TransportChecksumValid(sent.src, sent.dst, sent.protocol, body));
      }
      sent.payload.assign(body.begin() + sent.tcp.data_offset, body.end());
    } else if (sent.protocol == wire::kProtocolIcmp) {
      EXPECT_EQ(wire::ParseIcmp(body, sent.icmp), wire::ParseError::kNone);
    } else if (sent.protocol == wire::kProtocolIcmpv6) {
      EXPECT_EQ(wire::ParseIcmpv6(body, sent.src, sent.dst, sent.icmp), wire::ParseError::kNone);
    }
  }

  bool answers_arp_ = false;  // the peer answers, and tests see nothing of it
  HeapBufferPool pool_;
  ShardConfig config_;
  Instant now_ = Instant::FromNanos(1'000'000'000);
  std::unique_ptr<Shard> shard_;
};

}  // namespace tern::stack

#endif  // TERN_STACK_SHARD_FOR_TEST_H_
