// Everything that can run out, alone and together: the shard counts what it cannot do, keeps within its
// bounds, and once the storm is over serves a new connection as if nothing had been.
#include <algorithm>
#include <array>
#include <optional>

#include "base/prng.h"
#include "stack/shard_for_test.h"

namespace tern::stack {
namespace {

// What the storm saw run out.
struct Seen {
  uint64_t no_slot = 0;  // refused opens
  uint32_t most_records = 0;
  uint32_t most_half_open = 0;
  uint32_t most_connections = 0;
};

struct Resource {
  const char* name;
  void (*shrink)(ShardConfig&);
  // Whether its end was reached, and counted.
  bool (*exhausted)(const ShardCounters&, const Seen&);
  bool memory_tight = false;
};

const auto kResources = std::to_array<Resource>({
    {"connections", [](ShardConfig& c) { c.max_connections = 6; },
     [](const ShardCounters& c, const Seen& s) { return c.drops[DropReason::kTcpNoSlot] + s.no_slot != 0; }},
    {"half_open", [](ShardConfig& c) { c.max_half_open = 3; },
     [](const ShardCounters& c, const Seen&) { return c.drops[DropReason::kHalfOpenTableFull] != 0; }},
    {"time_wait", [](ShardConfig& c) { c.max_time_wait = 1; },
     [](const ShardCounters& c, const Seen&) { return c.time_wait_recycled != 0; }},
    {"neighbours", [](ShardConfig& c) { c.max_neighbours = 3; },
     [](const ShardCounters& c, const Seen&) { return c.tx_drops[DropReason::kNeighborTableFull] != 0; }},
    {"send_records", [](ShardConfig& c) { c.max_send_records = 5; },
     [](const ShardCounters&, const Seen& s) { return s.most_records == 5; }},
    {"reassembly", [](ShardConfig& c) { c.reassembly.max_datagrams = 2; },
     [](const ShardCounters& c, const Seen&) { return c.drops[DropReason::kIpFragmentTableFull] != 0; }},
    {"packet_memory", [](ShardConfig&) {},
     [](const ShardCounters& c, const Seen&) { return c.drops[DropReason::kTcpReceiveBufferFull] != 0; },
     /*memory_tight=*/true},
});

class ExhaustionTest : public ShardTest, public ::testing::WithParamInterface<size_t> {
 protected:
  struct PeerFlow {
    TestFlow flow;
    uint32_t seq = 0;  // next to send
    uint32_t ack = 0;
  };

  static bool IsAll() { return GetParam() == kResources.size(); }
  void Shrink() {
    config_.syn_cookies = SynCookies::kOff;  // they would be a way out
    config_.tcp.msl = Duration::Seconds(5);
    for (size_t i = 0; i < kResources.size(); ++i) {
      if (!IsAll() && i != GetParam()) continue;
      kResources[i].shrink(config_);
      tight_ |= kResources[i].memory_tight;
    }
  }

  TestFlow RandomFlow() {
    TestFlow flow;
    flow.src = wire::IpAddress::FromV4(10, 77, 0, static_cast<uint8_t>(2 + prng_.Below(8)));
    flow.src_port = static_cast<uint16_t>(1024 + prng_.Below(60'000));
    return flow;
  }

  // Sends what there is, and lets the peers answer handshakes. Nobody acknowledges data.
  void Exchange() {
    for (const SentFrame& frame : Take()) {
      if (frame.protocol != wire::kProtocolTcp) continue;
      PeerFlow peer{{.src = frame.dst,
                     .dst = frame.src,
                     .src_port = frame.tcp.dst_port,
                     .dst_port = frame.tcp.src_port},
                    frame.tcp.ack.value(),
                    frame.tcp.seq.value() + 1};
      if ((frame.tcp.flags & (wire::kSyn | wire::kAck)) != (wire::kSyn | wire::kAck)) continue;
      GiveTcp(peer.flow, wire::kAck, peer.seq, peer.ack);
      peers_.push_back(peer);
    }
  }

  void PeerStep() {
    if (peers_.empty()) return;
    PeerFlow& peer = peers_[prng_.Below(peers_.size())];
    switch (prng_.Below(8)) {
      case 0:
        // Of our FIN, too, if there was one: some connections end where we closed first.
        GiveTcp(peer.flow, wire::kFin | wire::kAck, peer.seq++,
                peer.ack + static_cast<uint32_t>(prng_.Below(2)));
        return;
      case 1:
        GiveTcp(peer.flow, wire::kRst, peer.seq, 0);
        return;
      case 2:  // ahead of what is next
        GiveTcp(peer.flow, wire::kAck, peer.seq + 500, peer.ack, Bytes(100));
        return;
      default:
        GiveTcp(peer.flow, wire::kAck, peer.seq, peer.ack, Bytes(100));
        peer.seq += 100;
    }
  }

  // What the shard says to `flow` now; the rest of what it has to send is lost.
  std::optional<SentFrame> SaidTo(const TestFlow& flow) {
    std::optional<SentFrame> said;
    for (SentFrame& frame : Take()) {
      if (frame.protocol == wire::kProtocolTcp && frame.dst == flow.src &&
          frame.tcp.dst_port == flow.src_port) {
        said = std::move(frame);
      }
    }
    return said;
  }

  // A connection that we close first, up to TIME-WAIT, as far as the others leave it room.
  void OrderlyLife() {
    const TestFlow flow = RandomFlow();
    GiveTcp(flow, wire::kSyn, 1'000, 0);
    const std::optional<SentFrame> synack = SaidTo(flow);
    if (!synack) return;
    const uint32_t ack = synack->tcp.seq.value() + 1;
    GiveTcp(flow, wire::kAck, 1'001, ack);
    const size_t before = handles_.size();
    TakeEvents(256);
    for (size_t i = before; i < handles_.size(); ++i) {
      const wire::FlowKey* key = shard().Key(handles_[i]);
      if (key == nullptr || key->remote_port != flow.src_port) continue;
      shard().Close(handles_[i], now_);
      Take();
      GiveTcp(flow, wire::kFin | wire::kAck, 1'001, ack + 1);
      return;
    }
  }

  void GiveFragment() {
    Bytes body(16);
    Bytes packet = IpPacket(RandomFlow().src, Ip("10.77.0.1"), wire::kProtocolUdp, body);
    wire::StoreBe16(packet.data() + 4, static_cast<uint16_t>(prng_.Below(65'536)));  // identification
    wire::StoreBe16(packet.data() + 6, 0x2000);                                      // more fragments
    wire::StoreBe16(packet.data() + 10, 0);
    wire::StoreBe16(packet.data() + 10, wire::InternetChecksum({packet.data(), 20}));
    Give(LinkFrame(wire::kEtherTypeIpv4, packet));
  }

  void ApplicationStep() {
    if (handles_.empty()) return;
    const ConnHandle handle = handles_[prng_.Below(handles_.size())];
    switch (prng_.Below(6)) {
      case 0:
        shard().Close(handle, now_);
        break;
      case 1:
        shard().Abort(handle, now_);
        break;
      case 2:
        ReceiveText(handle);
        break;
      default: {
        BufferChain chain;
        chain.PushBack(pool_.AllocateWith(Bytes(1'000)));
        shard().Send(handle, chain, now_);
        pool_.Release(chain.TakeAll());
      }
    }
    Recycle();
  }

  void TakeEvents(size_t most) {
    std::vector<ShardEvent> events(most);
    events.resize(shard().PollEvents(events));
    for (const ShardEvent& event : events) {
      if ((event.events & tcp::kEventConnected) != 0) handles_.push_back(event.handle);
      if ((event.events & tcp::kEventClosed) != 0) std::erase(handles_, event.handle);
    }
  }

  void Connect() {
    ConnHandle handle;
    const wire::IpAddress remote =
        wire::IpAddress::FromV4(10, 77, 0, static_cast<uint8_t>(100 + prng_.Below(50)));
    const OpenResult result = shard().Connect({.remote = remote, .remote_port = 9}, now_, &handle);
    if (result == OpenResult::kNoSlot) ++seen_.no_slot;
    if (result == OpenResult::kOk) handles_.push_back(handle);
  }

  void Step() {
    answers_arp_ = prng_.Below(4) != 0;
    switch (prng_.Below(16)) {
      case 0:
      case 1:
      case 2:
        GiveTcp(RandomFlow(), wire::kSyn, static_cast<uint32_t>(prng_.Next64()), 0);
        break;
      case 3:
        Connect();
        break;
      case 4:
        TakeEvents(1 + prng_.Below(4));
        break;
      case 5:
        GiveFragment();
        break;
      case 6:
        OrderlyLife();
        break;
      case 7:
        now_ = now_ + Duration::Millis(static_cast<int64_t>(prng_.Below(200)));
        shard().AdvanceTimers(now_);
        break;
      case 8:
        Exchange();
        break;
      case 9:
      case 10:
      case 11:
        ApplicationStep();
        break;
      default:
        PeerStep();
    }
    if (peers_.size() > 40) peers_.erase(peers_.begin());
    const ShardUsage usage = shard().usage();
    seen_.most_records = std::max(seen_.most_records, usage.send_records);
    seen_.most_half_open = std::max(seen_.most_half_open, usage.half_open);
    seen_.most_connections = std::max(seen_.most_connections, usage.connections);
    ASSERT_LE(usage.connections, config_.max_connections);
    ASSERT_LE(usage.half_open, config_.max_half_open);
    ASSERT_LE(usage.time_wait, config_.max_time_wait);
    ASSERT_LE(usage.neighbours, config_.max_neighbours);
  }

  void Calm() {
    answers_arp_ = true;
    shard().SetMemoryTight(false);
    for (const ConnHandle handle : handles_) shard().Abort(handle, now_);
    Recycle();
    for (int i = 0; i < 10; ++i) {
      TakeEvents(256);
      // Who was accepted only now is let go as well.
      for (const ConnHandle handle : handles_) shard().Abort(handle, now_);
      Advance(Duration::Seconds(40));
    }
    TakeEvents(256);
  }

  Prng prng_{GetParam() + 1};
  bool tight_ = false;
  Seen seen_;
  std::vector<PeerFlow> peers_;
  std::vector<ConnHandle> handles_;
};

TEST_P(ExhaustionTest, IsCountedWithinBoundsAndOverWhenItIsOver) {
  Shrink();
  Listen(7, /*backlog=*/64);
  for (int i = 0; i < 6'000; ++i) {
    if (i % 64 == 0) shard().SetMemoryTight(tight_ && prng_.Below(2) != 0);
    Step();
    if (HasFatalFailure()) return;
  }
  // Together, what runs out first may spare another.
  if (!IsAll()) {
    const Resource& resource = kResources[GetParam()];
    EXPECT_TRUE(resource.exhausted(shard().counters(), seen_)) << resource.name;
  }
  Calm();
  EXPECT_EQ(shard().usage().connections, 0u);
  EXPECT_EQ(shard().usage().half_open, 0u);
  EXPECT_EQ(shard().usage().fragments, 0u);

  TestFlow flow;
  uint32_t isn = 0;
  const ConnHandle handle = Accept(flow, &isn);
  GiveTcp(flow, wire::kAck | wire::kPsh, 1'001, isn + 1, Text("still there?"));
  EXPECT_EQ(ReceiveText(handle), "still there?");
  SendText(handle, "yes");
  const std::vector<SentFrame> sent = Take();
  ASSERT_FALSE(sent.empty());
  EXPECT_EQ(sent.back().payload, Text("yes"));
}

INSTANTIATE_TEST_SUITE_P(Of, ExhaustionTest, ::testing::Range(size_t{0}, kResources.size() + 1),
                         [](const ::testing::TestParamInfo<size_t>& resource) {
                           return std::string(resource.param < kResources.size()
                                                  ? kResources[resource.param].name
                                                  : "everything");
                         });

}  // namespace
}  // namespace tern::stack
