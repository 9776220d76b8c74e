// A whole shard against whatever bytes say: segments that nearly fit, raw frames, damaged frames, time, and
// an application that does what the bytes tell it. Nothing may crash, leak or go uncounted.
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

#include "base/heap_buffer_pool.h"
#include "stack/shard.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/icmpv6.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/tcp.h"

namespace tern {
namespace {

constexpr uint16_t kListenPort = 7;
constexpr size_t kFlows = 8;
constexpr size_t kMostFrames = 400;  // of one input: bounds its time

uint64_t g_packets = 0;  // of all inputs, for who wants to say how many

[[noreturn]] void Broken(const char* what) {
  std::fprintf(stderr, "shard_fuzz: %s\n", what);
  std::abort();
}

// The input, read from the front; zeros behind its end.
class Bytes {
 public:
  explicit Bytes(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  bool empty() const { return at_ >= bytes_.size(); }
  uint8_t U8() { return empty() ? 0 : bytes_[at_++]; }
  uint16_t U16() { return static_cast<uint16_t>(U8() << 8 | U8()); }
  int32_t Near() { return static_cast<int8_t>(U8()) * (U8() % 4 == 0 ? 700 : 1); }
  std::span<const uint8_t> Take(size_t length) {
    const size_t take = std::min(length, bytes_.size() - std::min(at_, bytes_.size()));
    const auto part = bytes_.subspan(std::min(at_, bytes_.size()), take);
    at_ += take;
    return part;
  }

 private:
  std::span<const uint8_t> bytes_;
  size_t at_ = 0;
};

// What the shard last said on a flow, so that answers can nearly fit.
struct Flow {
  bool ipv6 = false;
  uint16_t peer_port = 0;
  uint16_t our_port = kListenPort;
  SeqNum shard_next;
  SeqNum shard_expects{1'000};
  uint32_t tsval = 0;
  uint32_t echo = 0;  // the shard's last
};

const wire::IpAddress kOurs4 = *wire::IpAddress::Parse("10.77.0.1");
const wire::IpAddress kPeer4 = *wire::IpAddress::Parse("10.77.0.2");
const wire::IpAddress kOurs6 = *wire::IpAddress::Parse("fd77::1");
const wire::IpAddress kPeer6 = *wire::IpAddress::Parse("fd77::2");
const wire::MacAddress kOurMac = *wire::MacAddress::Parse("02:00:00:00:00:01");
const wire::MacAddress kPeerMac = *wire::MacAddress::Parse("02:00:00:00:00:02");

class Harness {
 public:
  explicit Harness(Bytes in) : in_(in), shard_(std::make_unique<stack::Shard>(Config(), HeapMemory(), now_)) {
    for (size_t i = 0; i < kFlows; ++i) {
      flows_[i].ipv6 = i % 2 != 0;
      flows_[i].peer_port = static_cast<uint16_t>(40'000 + i);
    }
    uint32_t listener = 0;
    if (shard_->Listen({.port = kListenPort, .backlog = 6}, &listener) != stack::OpenResult::kOk)
      Broken("no listener");
  }

  void Run() {
    while (!in_.empty() && frames_ < kMostFrames) {
      Act();
      Pump();
    }
    Finish();
  }

 private:
  stack::ShardConfig Config() {
    const uint8_t bits = in_.U8();
    stack::ShardConfig config;
    stack::InterfaceConfig interface;
    interface.mac = kOurMac;
    interface.addresses = {{.prefix = {kOurs4, 24}}, {.prefix = {kOurs6, 64}}};
    interface.autoconf = {.on = (bits & 64) != 0, .dad_configured = (bits & 128) != 0};
    config.interfaces.push_back(interface);
    config.max_connections = 6;
    config.max_half_open = 4;
    config.max_time_wait = 4;
    config.max_neighbours = 4;
    config.max_send_records = 64;
    config.reassembly.max_datagrams = 3;
    config.reassembly.max_per_source = 2;
    config.reassembly.max_fragments = 12;
    config.reassembly.max_cost = 32 * 1024;
    config.reassembly.max_source_cost = 24 * 1024;
    config.tcp.timestamps = (bits & 1) == 0;
    config.tcp.sack = (bits & 2) == 0;
    config.tcp.window_scale = (bits & 4) == 0;
    config.tcp.receive_buffer = (bits & 8) == 0 ? 64 * 1024 : 3'000;
    config.tcp.send_buffer = 16 * 1024;
    config.syn_cookies = (bits & 32) == 0 ? stack::SynCookies::kPastBacklog : stack::SynCookies::kAlways;
    config.closed_ports = (bits & 16) == 0 ? stack::PortPolicy::kRefuse : stack::PortPolicy::kSilent;
    return config;
  }

  void Act() {
    const uint8_t op = in_.U8();
    switch (op % 8) {
      case 5:
        now_ = now_ + Duration::Micros(int64_t{1} << (in_.U8() % 34));
        break;
      case 6:
        Application();
        break;
      case 4: {
        if (op >= 192) {
          Deliver(Discovery());
          break;
        }
        const auto raw = in_.Take(in_.U16() % 1'600);
        Deliver(std::vector<uint8_t>(raw.begin(), raw.end()));
        break;
      }
      case 7: {
        std::vector<uint8_t> frame = Segment(flows_[op / 8 % kFlows]);
        frame[in_.U16() % frame.size()] ^= static_cast<uint8_t>(1u << in_.U8() % 8);
        if (op >= 192) frame.resize(in_.U16() % (frame.size() + 1));
        Deliver(std::move(frame));
        break;
      }
      case 3:
        DeliverInFragments(flows_[op / 8 % kFlows].ipv6, Segment(flows_[op / 8 % kFlows]));
        break;
      default:
        Deliver(Segment(flows_[op / 8 % kFlows]));
        break;
    }
  }

  // A frame cut up: its pieces may be lost, come twice, lie about where they belong or be damaged.
  void DeliverInFragments(bool ipv6, const std::vector<uint8_t>& frame) {
    const size_t before = 14 + (ipv6 ? wire::kIpv6Header : wire::kIpv4MinHeader);
    const size_t piece = 8 * (1 + in_.U8() % 32);
    const uint8_t id = in_.U8() % 4;
    for (size_t at = before; at < frame.size(); at += piece) {
      const uint8_t fate = in_.U8();
      const size_t length = std::min(piece, frame.size() - at);
      const bool more = (at + length < frame.size()) != (fate % 32 == 9);
      size_t offset = at - before;
      if (fate % 32 == 8) offset += 8 * (in_.U8() % 64);
      const std::vector<uint8_t> cut = Fragment(ipv6, frame, {frame.data() + at, length}, offset, more, id);
      if (fate % 16 != 7) Deliver(cut);
      if (fate % 16 == 6) Deliver(cut);
    }
  }

  std::vector<uint8_t> Fragment(bool ipv6, const std::vector<uint8_t>& whole, std::span<const uint8_t> body,
                                size_t offset, bool more, uint8_t id) {
    std::vector<uint8_t> frame(whole.begin(), whole.begin() + 14);
    const auto field = static_cast<uint16_t>(offset);
    frame.resize(14 + (ipv6 ? wire::kIpv6Header + wire::kIpv6FragmentHeader : wire::kIpv4MinHeader));
    if (ipv6) {
      const auto length = static_cast<uint16_t>(wire::kIpv6FragmentHeader + body.size());
      uint8_t* header = frame.data() + 14 +
                        wire::WriteIpv6({.src = kPeer6,
                                         .dst = kOurs6,
                                         .payload_length = length,
                                         .hop_limit = 64,
                                         .protocol = wire::kProtocolFragment},
                                        frame.data() + 14);
      header[0] = wire::kProtocolTcp;
      wire::StoreBe16(header + 2, static_cast<uint16_t>((field & 0xfff8) | (more ? 1 : 0)));
      header[7] = id;
    } else {
      wire::WriteIpv4({.src = kPeer4,
                       .dst = kOurs4,
                       .total_length = static_cast<uint16_t>(wire::kIpv4MinHeader + body.size()),
                       .identification = id,
                       .fragment_offset = field,
                       .more_fragments = more,
                       .ttl = 64,
                       .protocol = wire::kProtocolTcp},
                      frame.data() + 14);
    }
    frame.insert(frame.end(), body.begin(), body.end());
    return frame;
  }

  // Neighbour discovery that gets past hop limit and checksum; what it says is up to the bytes.
  std::vector<uint8_t> Discovery() {
    constexpr auto kTypes = std::to_array<uint8_t>({wire::kIcmpv6RouterAdvert, wire::kIcmpv6RouterAdvert,
                                                    wire::kIcmpv6NeighborSolicit, wire::kIcmpv6NeighborAdvert,
                                                    wire::kIcmpv6RouterSolicit, wire::kIcmpv6Redirect});
    const uint8_t shape = in_.U8();
    const wire::IpAddress ours = wire::IpAddress::LinkLocalFor(kOurMac);
    const auto sources = std::to_array({wire::IpAddress::LinkLocalFor(kPeerMac), kPeer6, wire::IpAddress(),
                                        *wire::IpAddress::Parse("fe80::7")});
    const auto targets = std::to_array({wire::IpAddress::AllNodes(), ours, kOurs6, ours.SolicitedNode()});
    const wire::IpAddress src = sources[shape / 8 % 4];
    const wire::IpAddress dst = targets[shape / 32 % 4];
    std::vector<uint8_t> message(8, 0);
    message[0] = kTypes[shape % 8 % kTypes.size()];
    for (size_t i = 4; i < 8; ++i) message[i] = in_.U8();
    if (message[0] == wire::kIcmpv6NeighborSolicit || message[0] == wire::kIcmpv6NeighborAdvert) {
      const auto& about = (message[7] & 1) != 0 ? ours.bytes() : src.bytes();
      message.insert(message.end(), about.begin(), about.end());
    }
    const auto rest = in_.Take(in_.U8());
    message.insert(message.end(), rest.begin(), rest.end());
    const uint16_t sum = wire::TransportChecksum(src, dst, wire::kProtocolIcmpv6, message);
    wire::StoreBe16(message.data() + 2, sum);
    std::vector<uint8_t> frame(14 + wire::kIpv6Header);
    wire::WriteEthernet({.dst = dst.IsMulticast() ? wire::MacAddress::ForMulticast(dst) : kOurMac,
                         .src = kPeerMac,
                         .ether_type = wire::kEtherTypeIpv6},
                        frame.data());
    wire::WriteIpv6({.src = src,
                     .dst = dst,
                     .payload_length = static_cast<uint16_t>(message.size()),
                     .hop_limit = 255,
                     .protocol = wire::kProtocolIcmpv6},
                    frame.data() + 14);
    frame.insert(frame.end(), message.begin(), message.end());
    return frame;
  }

  wire::TcpOptions Options(Flow& flow) {
    wire::TcpOptions options;
    const uint8_t bits = in_.U8();
    options.has_mss = (bits & 1) != 0;
    options.mss = (bits & 2) != 0 ? 1'460 : in_.U16();
    options.has_wscale = (bits & 4) != 0;
    options.wscale = bits >> 5;
    options.sack_permitted = (bits & 8) != 0;
    options.has_timestamp = (bits & 16) != 0;
    flow.tsval += static_cast<uint32_t>(in_.Near());
    options.tsval = flow.tsval;
    options.tsecr = flow.echo;
    if ((bits & 32) != 0) {
      options.sack_count = static_cast<uint8_t>(1 + in_.U8() % 3);
      for (size_t i = 0; i < options.sack_count; ++i) {
        options.sack[i].start = flow.shard_next - static_cast<uint32_t>(in_.Near());
        options.sack[i].end = options.sack[i].start + static_cast<uint32_t>(in_.Near());
      }
    }
    return options;
  }

  std::vector<uint8_t> Segment(Flow& flow) {
    const uint8_t shape = in_.U8();
    const wire::TcpHeader header{
        .src_port = flow.peer_port,
        .dst_port = flow.our_port,
        .seq = flow.shard_expects + static_cast<uint32_t>((shape & 1) != 0 ? in_.Near() : 0),
        .ack = flow.shard_next + static_cast<uint32_t>((shape & 2) != 0 ? in_.Near() : 0),
        .flags = (shape & 4) != 0 ? in_.U8() : ((shape & 8) != 0 ? wire::kSyn : wire::kAck),
        .window = (shape & 16) != 0 ? in_.U16() : static_cast<uint16_t>(0xffff),
        .urgent = (shape & 32) != 0 ? in_.U16() : static_cast<uint16_t>(0)};
    const wire::TcpOptions options = Options(flow);
    const size_t payload = (shape & 64) != 0 ? in_.U16() % 1'460 : in_.U8() % 8;
    std::array<uint8_t, wire::kTcpMaxHeader> tcp{};
    const size_t tcp_length = wire::WriteTcp(header, options, tcp.data());
    const size_t ip_length = flow.ipv6 ? wire::kIpv6Header : wire::kIpv4MinHeader;
    std::vector<uint8_t> frame(14 + ip_length + tcp_length + payload, 0x5a);
    wire::WriteEthernet({.dst = kOurMac,
                         .src = kPeerMac,
                         .ether_type = flow.ipv6 ? wire::kEtherTypeIpv6 : wire::kEtherTypeIpv4},
                        frame.data());
    const auto body = static_cast<uint16_t>(tcp_length + payload);
    const wire::IpAddress src = flow.ipv6 ? kPeer6 : kPeer4;
    const wire::IpAddress dst = flow.ipv6 ? kOurs6 : kOurs4;
    if (flow.ipv6) {
      wire::WriteIpv6(
          {.src = src, .dst = dst, .payload_length = body, .hop_limit = 64, .protocol = wire::kProtocolTcp},
          frame.data() + 14);
    } else {
      wire::WriteIpv4({.src = src,
                       .dst = dst,
                       .total_length = static_cast<uint16_t>(ip_length + body),
                       .ttl = 64,
                       .protocol = wire::kProtocolTcp},
                      frame.data() + 14);
    }
    uint8_t* at = frame.data() + 14 + ip_length;
    std::copy_n(tcp.data(), tcp_length, at);
    const uint16_t sum = wire::TransportChecksum(src, dst, wire::kProtocolTcp, {at, body});
    wire::StoreBe16(at + wire::kTcpChecksumOffset, sum);
    return frame;
  }

  void Deliver(std::vector<uint8_t> bytes) {
    ++frames_;
    ++g_packets;
    RxFrame frame{.buffer = pool_.AllocateWith(bytes)};
    shard_->Input(std::span(&frame, 1), 0, now_);
  }

  void Application() {
    const uint8_t what = in_.U8();
    if (what % 8 == 7) {
      stack::ConnHandle handle;
      const bool ipv6 = (what & 8) != 0;
      const stack::ConnectSpec spec{
          .remote = ipv6 ? kPeer6 : kPeer4, .remote_port = 9, .local_port = in_.U16()};
      if (shard_->Connect(spec, now_, &handle) == stack::OpenResult::kOk) conns_.push_back(handle);
      return;
    }
    if (conns_.empty()) return;
    const stack::ConnHandle handle = conns_[what / 8 % conns_.size()];
    switch (what % 8) {
      case 0:
      case 1: {
        BufferChain chain;
        for (int i = what % 8 * 4; i >= 0; --i) {
          Buffer* buffer = pool_.AllocateOne();
          buffer->length = in_.U16() % 2'048;
          buffer->tailroom -= buffer->length;
          chain.PushBack(buffer);
        }
        shard_->Send(handle, chain, now_);
        pool_.Release(chain.TakeAll());
        break;
      }
      case 2:
      case 3: {
        BufferChain chain;
        stack::Behind behind{};
        shard_->Receive(handle, in_.U16(), now_, chain, &behind);
        pool_.Release(chain.TakeAll());
        break;
      }
      case 4:
        shard_->ShutdownWrite(handle, now_);
        break;
      case 5:
        shard_->Close(handle, now_);
        break;
      default:
        shard_->Abort(handle, now_);
        break;
    }
  }

  // Remembers what the shard said to the peer on a flow of ours.
  void Listen(std::span<const uint8_t> frame) {
    wire::TcpHeader tcp;
    wire::TcpOptions options;
    const size_t offset =
        frame.size() > 14 && frame[12] == 0x86 ? 14 + wire::kIpv6Header : 14 + wire::kIpv4MinHeader;
    const bool is_ip =
        frame.size() > offset && (frame[12] == 0x86 || (frame[12] == 0x08 && frame[13] == 0x00));
    if (!is_ip || wire::ParseTcp(frame.subspan(offset), tcp, options) != wire::ParseError::kNone) return;
    for (Flow& flow : flows_) {
      const bool active = tcp.dst_port == 9 && &flow == &flows_[tcp.src_port % 2 == 0 ? 6 : 7];
      if (flow.peer_port != tcp.dst_port && !active) continue;
      if (active) {
        flow.peer_port = 9;
        flow.our_port = tcp.src_port;
        flow.ipv6 = frame[12] == 0x86;
      }
      const uint32_t length = static_cast<uint32_t>(frame.size() - offset - tcp.data_offset) +
                              ((tcp.flags & (wire::kSyn | wire::kFin)) != 0 ? 1 : 0);
      flow.shard_next = tcp.seq + length;
      if (options.has_timestamp) flow.echo = options.tsval;
      if ((tcp.flags & wire::kAck) != 0) flow.shard_expects = tcp.ack;
    }
  }

  void Pump() {
    for (int i = 0; i < 16 && shard_->AdvanceTimers(now_); ++i) {
    }
    std::array<stack::ShardEvent, 8> events;
    while (const size_t count = shard_->PollEvents(events)) {
      for (size_t i = 0; i < count; ++i) {
        if (events[i].passive && (events[i].events & tcp::kEventConnected) != 0)
          conns_.push_back(events[i].handle);
      }
    }
    std::array<TxFrame, 8> out;
    size_t count = 0;
    for (int i = 0; i < 64 && (count = shard_->PollTransmit(0, now_, out)) != 0; ++i) {
      for (size_t k = 0; k < count; ++k) {
        std::vector<uint8_t> bytes(out[k].header.begin(), out[k].header.begin() + out[k].header_length);
        for (size_t s = 0; s < out[k].slice_count; ++s) {
          bytes.insert(bytes.end(), out[k].slices[s].data, out[k].slices[s].data + out[k].slices[s].length);
        }
        Listen(bytes);
      }
    }
    pool_.Release(shard_->TakeReleased());
  }

  void Finish() {
    shard_->CloseAll(/*abort=*/true, now_);
    // Half-open and TIME-WAIT entries go by their timers.
    for (int i = 0; i < 200; ++i) {
      now_ = now_ + Duration::Seconds(5);
      Pump();
    }
    const stack::ShardCounters& counters = shard_->counters();
    if (counters.rx_frames != counters.rx_consumed + counters.drops.total())
      Broken("the counters do not add up");
    const stack::ShardUsage usage = shard_->usage();
    if (usage.connections + usage.half_open + usage.time_wait != 0) Broken("something outlived the end");
    if (usage.fragments != 0) Broken("fragments outlived the end");
    if (usage.send_records + usage.cold_states != 0) Broken("records or cold states leak");
    shard_.reset();
    if (pool_.outstanding() != 0) Broken("buffers leak");
    if (!pool_.TakeFaults(true).empty()) Broken("the pool was misused");
  }

  Bytes in_;
  Instant now_ = Instant::FromNanos(1'000'000'000);
  HeapBufferPool pool_;
  std::unique_ptr<stack::Shard> shard_;
  std::array<Flow, kFlows> flows_;
  std::vector<stack::ConnHandle> conns_;
  size_t frames_ = 0;
};

}  // namespace
}  // namespace tern

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tern::Harness(tern::Bytes({data, size})).Run();
  return 0;
}

extern "C" uint64_t TernFuzzPackets() { return tern::g_packets; }
