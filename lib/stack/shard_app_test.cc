// What an application asks of one connection: reading by copy, cork, quick ACKs, buffers and segment sizes.
#include "stack/shard_for_test.h"

namespace tern::stack {
namespace {

using wire::kAck;
using wire::kFin;
using wire::kSyn;

class ShardAppTest : public ShardTest {
 protected:
  void SetUp() override { Start(); }

  ConnHandle Open(const ListenSpec& spec) {
    uint32_t id = 0;
    EXPECT_EQ(shard().Listen(spec, &id), OpenResult::kOk);
    return Accept(flow_, &isn_);
  }
  std::string PeekText(ConnHandle handle, uint32_t offset, size_t length) {
    Bytes out(length);
    out.resize(shard().Peek(handle, offset, out));
    return std::string(out.begin(), out.end());
  }

  TestFlow flow_;
  uint32_t isn_ = 0;
};

TEST_F(ShardAppTest, PeekLooksAndDiscardTakes) {
  const ConnHandle handle = Open({.port = 7});
  GiveTcp(flow_, kAck, 1001, isn_ + 1, Text(std::string(1'400, 'a')));
  GiveTcp(flow_, kAck, 2401, isn_ + 1, Text(std::string(1'400, 'b')));
  Take();
  EXPECT_EQ(PeekText(handle, 1'398, 4), "aabb");
  EXPECT_EQ(PeekText(handle, 2'799, 4), "b");
  EXPECT_EQ(PeekText(handle, 2'800, 4), "");
  EXPECT_EQ(shard().Discard(handle, 1'399, now_), 1'399u);
  EXPECT_EQ(PeekText(handle, 0, 3), "abb");
  EXPECT_EQ(shard().Tcp(handle)->rcv_queued, 1'401u);
  EXPECT_EQ(shard().Discard(handle, 5'000, now_), 1'401u);
  EXPECT_EQ(shard().Discard(handle, 1, now_), 0u);
  Recycle();
  EXPECT_EQ(shard().Discard(ConnHandle{}, 1, now_), 0u);
}

TEST_F(ShardAppTest, ReceiveSaysWhatStandsBehind) {
  const ConnHandle handle = Open({.port = 7});
  GiveTcp(flow_, kAck, 1001, isn_ + 1, Text(std::string(1'400, 'a')));
  GiveTcp(flow_, kAck, 2401, isn_ + 1, Text(std::string(1'400, 'b')));
  Take();
  Behind behind = Behind::kEnd;
  const auto receive = [&](uint32_t most) {
    BufferChain chain;
    const uint32_t octets = shard().Receive(handle, most, now_, chain, &behind);
    pool_.Release(chain.TakeAll());
    Recycle();
    return octets;
  };
  EXPECT_EQ(receive(1), 1'400u);
  EXPECT_EQ(behind, Behind::kMore);
  EXPECT_EQ(receive(10'000), 1'400u);
  EXPECT_EQ(behind, Behind::kNothing);
  GiveTcp(flow_, kAck | kFin, 3801, isn_ + 1, Text("the end"));
  Take();
  EXPECT_EQ(receive(10'000), 7u);
  EXPECT_EQ(behind, Behind::kEnd);
  EXPECT_EQ(receive(10'000), 0u);
  EXPECT_EQ(behind, Behind::kEnd);
  BufferChain none;
  EXPECT_EQ(shard().Receive(ConnHandle{}, 1, now_, none, &behind), 0u);
  EXPECT_EQ(behind, Behind::kNothing);
}

TEST_F(ShardAppTest, TheWindowOpensByWhatIsDiscarded) {
  const ConnHandle handle = Open({.port = 7, .receive_buffer = 4'000});
  GiveTcp(flow_, kAck, 1001, isn_ + 1, Text(std::string(1'400, 'a')));
  GiveTcp(flow_, kAck, 2401, isn_ + 1, Text(std::string(1'400, 'b')));
  GiveTcp(flow_, kAck, 3801, isn_ + 1, Text(std::string(1'200, 'c')));
  EXPECT_EQ(Take().back().tcp.window, 0);
  EXPECT_EQ(shard().Discard(handle, 10, now_), 10u);
  ExpectSilence();  // a silly window is not offered
  EXPECT_EQ(shard().Discard(handle, 2'990, now_), 2'990u);
  EXPECT_EQ(TakeOne().tcp.window, 3'000);
}

TEST_F(ShardAppTest, DiscardingTheLastOctetsEndsAConnectionThatClosed) {
  const ConnHandle handle = Open({.port = 7});
  GiveTcp(flow_, kAck | kFin, 1001, isn_ + 1, Text("last words"));
  shard().ShutdownWrite(handle, now_);
  Take();
  GiveTcp(flow_, kAck, 1012, isn_ + 2);
  EXPECT_TRUE(shard().IsLive(handle));
  EXPECT_EQ(shard().Discard(handle, 10, now_), 10u);
  EXPECT_FALSE(shard().IsLive(handle));
  Recycle();
}

TEST_F(ShardAppTest, CorkHoldsWhatIsShort) {
  const ConnHandle handle = Open({.port = 7});
  shard().SetCork(handle, true);
  SendText(handle, "half");
  ExpectSilence();
  shard().SetCork(handle, false);
  EXPECT_EQ(TakeOne().payload, Text("half"));
}

TEST_F(ShardAppTest, AcksHurryOrWaitAsAsked) {
  const ConnHandle handle = Open({.port = 7});
  shard().SetQuickAck(handle, false);
  GiveTcp(flow_, kAck, 1001, isn_ + 1, Text("x"));
  ExpectSilence();
  shard().SetQuickAck(handle, true);
  EXPECT_EQ(TakeOne().tcp.ack, SeqNum(1002));
  GiveTcp(flow_, kAck, 1002, isn_ + 1, Text("y"));
  EXPECT_EQ(TakeOne().tcp.ack, SeqNum(1003));
}

TEST_F(ShardAppTest, AListenerDecidesBufferAndSegmentSize) {
  uint32_t id = 0;
  ASSERT_EQ(shard().Listen({.port = 7, .receive_buffer = 5'000, .max_segment = 700}, &id), OpenResult::kOk);
  GiveTcp(flow_, kSyn, 1000, 0, {}, {.mss = 1'460, .has_mss = true});
  const SentFrame synack = TakeOne();
  EXPECT_EQ(synack.tcp.window, 5'000);
  EXPECT_EQ(synack.options.mss, 700);
  GiveTcp(flow_, kAck, 1001, synack.tcp.seq.value() + 1);
  const ConnHandle handle = OneEvent().handle;
  EXPECT_EQ(shard().Tcp(handle)->mss, 700);
  EXPECT_EQ(shard().Tcp(handle)->rcv_limit, 5'000u);
}

TEST_F(ShardAppTest, AnActiveOpenDecidesThemToo) {
  ConnHandle handle;
  ASSERT_EQ(shard().Connect(
                {.remote = Ip("10.77.0.2"), .remote_port = 80, .receive_buffer = 5'000, .max_segment = 700},
                now_, &handle),
            OpenResult::kOk);
  const SentFrame syn = TakeOne();
  EXPECT_EQ(syn.tcp.window, 5'000);
  EXPECT_EQ(syn.options.mss, 700);
}

TEST_F(ShardAppTest, ABacklogMayShrinkAndGrow) {
  uint32_t id = 0;
  ASSERT_EQ(shard().Listen({.port = 7, .backlog = 4}, &id), OpenResult::kOk);
  shard().SetBacklog(id, 0);
  ExpectDrop(IpFrame(flow_.src, flow_.dst, wire::kProtocolTcp, TcpBytes(flow_, kSyn, 1000, 0)),
             DropReason::kTcpBacklogFull);
  shard().SetBacklog(id, 1);
  GiveTcp(flow_, kSyn, 1000, 0);
  EXPECT_EQ(TakeOne().tcp.flags, kSyn | kAck);
}

TEST_F(ShardAppTest, CongestionControlMayChange) {
  const ConnHandle handle = Open({.port = 7});
  shard().SetCongestion(handle, tcp::CongestionAlgorithm::kNewReno);
  EXPECT_EQ(shard().Cold(handle)->congestion.algorithm, tcp::CongestionAlgorithm::kNewReno);
}

}  // namespace
}  // namespace tern::stack
