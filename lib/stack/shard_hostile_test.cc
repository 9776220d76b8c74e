// Frames that nobody should send, from a seed: nothing crashes, nothing leaks, everything is counted.
#include <array>

#include "base/prng.h"
#include "stack/shard_for_test.h"

namespace tern::stack {
namespace {

class ShardHostileTest : public ShardTest {
 protected:
  // What the shard last said to a peer, and so what it waits for.
  struct Expected {
    uint32_t seq = 1000;
    uint32_t ack = 0;
  };
  Expected& ExpectedOf(const wire::IpAddress& peer, uint16_t port) {
    return expected_[(peer.IsV4() ? 0 : 8) + port % 8];
  }
  // Something plausible, to begin with.
  Bytes Plausible() {
    const bool v6 = rng_.Bernoulli(400'000);
    TestFlow flow;
    if (v6) flow = {.src = Ip("fd77::2"), .dst = Ip("fd77::1")};
    flow.src_port = static_cast<uint16_t>(40'000 + rng_.Below(8));
    flow.dst_port = rng_.Bernoulli(900'000) ? 7 : 8;
    switch (rng_.Below(12)) {
      case 0:
        return EchoRequest(flow.src);
      case 1:
        return ArpReply(Ip("10.77.0.2"), kPeerMac);
      case 2:
        return Advert(Ip("fd77::2"), kPeerMac);
      case 3:
        return IpFrame(flow.src, flow.dst, wire::kProtocolUdp, Bytes(rng_.Below(64)));
      case 4:
        return IcmpError(flow);
      default:
        return TcpFrame(flow);
    }
  }
  Bytes TcpFrame(const TestFlow& flow) {
    wire::TcpOptions options;
    options.has_timestamp = rng_.Bernoulli(300'000);
    options.tsval = rng_.Next32();
    options.has_mss = options.has_wscale = options.sack_permitted = rng_.Bernoulli(300'000);
    options.mss = static_cast<uint16_t>(rng_.Next32());
    options.wscale = static_cast<uint8_t>(rng_.Below(15));
    uint8_t flags = wire::kAck;
    if (rng_.Bernoulli(200'000))
      flags = rng_.Bernoulli(700'000) ? wire::kSyn : static_cast<uint8_t>(rng_.Next32());
    // Mostly what the connection expects, so that some of it is taken.
    const Expected& expected = ExpectedOf(flow.src, flow.src_port);
    const bool wild = rng_.Bernoulli(200'000);
    const uint32_t seq = expected.seq + (wild ? static_cast<uint32_t>(rng_.Below(3'000)) - 500 : 0);
    const uint32_t ack = expected.ack - static_cast<uint32_t>(wild ? rng_.Below(4) : 0);
    return IpFrame(flow.src, flow.dst, wire::kProtocolTcp,
                   TcpBytes(flow, flags, seq, ack, Bytes(rng_.Below(200)), options,
                            static_cast<uint16_t>(rng_.Next32())));
  }
  Bytes IcmpError(const TestFlow& flow) {
    const TestFlow ours{flow.dst, flow.src, flow.dst_port, flow.src_port};
    const bool v4 = flow.src.IsV4();
    const uint32_t seq = ExpectedOf(flow.src, flow.src_port).ack - static_cast<uint32_t>(rng_.Below(300));
    Bytes quote = IpPacket(ours.src, ours.dst, wire::kProtocolTcp, TcpBytes(ours, wire::kAck, seq, 1001));
    wire::StoreBe16(quote.data() + (v4 ? 2 : 4), static_cast<uint16_t>(rng_.Below(1'500)));
    Bytes body(8 + quote.size());
    // Of IPv4, code 4 is "fragmentation needed"; of IPv6, type 2 "packet too big".
    const wire::IcmpMessage message{.type = static_cast<uint8_t>(v4 ? 3 : 1 + rng_.Below(2)),
                                    .code = static_cast<uint8_t>(rng_.Below(5)),
                                    .rest = static_cast<uint32_t>(rng_.Below(1'600)),
                                    .body = quote};
    if (v4) {
      wire::WriteIcmp(message, body.data());
    } else {
      wire::WriteIcmpv6(message, flow.src, flow.dst, body.data());
    }
    return IpFrame(flow.src, flow.dst, flow.src.IsV4() ? wire::kProtocolIcmp : wire::kProtocolIcmpv6, body);
  }
  void Damage(Bytes& frame) {
    switch (rng_.Below(4)) {
      case 0:
        frame.resize(rng_.Below(frame.size() + 1));
        break;
      case 1:
        for (uint64_t n = rng_.Below(4) + 1; n-- > 0;) {
          frame[rng_.Below(frame.size())] = static_cast<uint8_t>(rng_.Next32());
        }
        break;
      case 2:
        // Headers only: the device says that the checksums are good.
        frame[rng_.Below(std::min<size_t>(frame.size(), 80))] ^= static_cast<uint8_t>(1u << rng_.Below(8));
        break;
      default:
        break;
    }
  }
  void Work() {
    for (const SentFrame& f : Take()) {
      if (f.protocol != wire::kProtocolTcp) continue;
      const bool takes_one = (f.tcp.flags & (wire::kSyn | wire::kFin)) != 0;
      ExpectedOf(f.dst, f.tcp.dst_port) = {
          f.tcp.ack.value(),
          static_cast<uint32_t>(f.tcp.seq.value() + f.payload.size() + (takes_one ? 1 : 0))};
    }
    for (const ShardEvent& e : Events()) {
      if ((e.events & tcp::kEventClosed) != 0) {
        EXPECT_FALSE(shard().IsLive(e.handle));
        continue;
      }
      BufferChain chain;
      Behind behind{};
      shard().Receive(e.handle, 1 << 20, now_, chain, &behind);
      if (!chain.empty()) shard().Send(e.handle, chain, now_);
      pool_.Release(chain.TakeAll());
      if (behind == Behind::kEnd || rng_.Bernoulli(50'000)) shard().Close(e.handle, now_);
    }
    Recycle();
  }

  Prng rng_{20'260'101};
  std::array<Expected, 16> expected_;
};

// One host of its own, so that two can be compared.
class Replay : public ShardHostileTest {
 public:
  using Step = std::array<uint64_t, 6>;
  struct Fate {
    std::vector<Step> steps;
    std::vector<uint64_t> drops;
  };

  Fate Run(bool fast) {
    Fate fate;
    Start();
    shard().SetFastPath(fast);
    Listen(7, 8);
    for (int i = 0; i < 20'000; ++i) {
      Bytes frame = Plausible();
      if (rng_.Bernoulli(400'000)) Damage(frame);
      RxFrame rx{.buffer = pool_.AllocateWith(frame)};
      if (rng_.Bernoulli(500'000)) rx.ip_checksum = rx.l4_checksum = ChecksumState::kGood;
      GiveFrame(rx);
      Work();
      const ShardCounters& c = shard().counters();
      fate.steps.push_back({c.rx_consumed, c.tx_frames, c.rx_payload, c.tx_payload, c.accepted, c.closed});
    }
    for (size_t r = 1; r < kDropReasonCount; ++r) fate.drops.push_back(Dropped(static_cast<DropReason>(r)));
    TearDown();
    return fate;
  }

 private:
  void TestBody() override {}
};

// Every frame on the long way as well: nothing that can be seen may differ, whatever the bytes.
TEST(ShardFastPath, IsTheSlowPathOnly) {
  const Replay::Fate fast = Replay().Run(true);
  const Replay::Fate slow = Replay().Run(false);
  for (size_t i = 0; i < fast.steps.size(); ++i)
    ASSERT_EQ(fast.steps[i], slow.steps[i]) << "after frame " << i;
  EXPECT_EQ(fast.drops, slow.drops);
}

TEST_F(ShardHostileTest, SurvivesAndCounts) {
  Start();
  Listen(7, 8);
  for (int i = 0; i < 20'000; ++i) {
    Bytes frame = Plausible();
    if (rng_.Bernoulli(600'000)) Damage(frame);
    RxFrame rx{.buffer = pool_.AllocateWith(frame)};
    if (rng_.Bernoulli(500'000)) rx.ip_checksum = rx.l4_checksum = ChecksumState::kGood;
    GiveFrame(rx);
    Work();
    if (rng_.Bernoulli(20'000)) {
      Advance(Duration::Millis(static_cast<int64_t>(rng_.Below(3'000))));
      Work();
    }
  }
  // The seed has to reach the interesting places, or this test would prove little.
  EXPECT_GT(shard().counters().accepted, 20u);
  EXPECT_GT(shard().counters().rx_payload, 1'000u);
  size_t reasons = 0;
  for (size_t r = 1; r < kDropReasonCount; ++r) reasons += Dropped(static_cast<DropReason>(r)) != 0 ? 1 : 0;
  EXPECT_GT(reasons, 30u);
}

}  // namespace
}  // namespace tern::stack
