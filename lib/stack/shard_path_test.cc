// Paths that carry less than their link, as a whole shard sees them: RFC 1191, RFC 8201, RFC 5927 7, RFC
// 8899.
#include <gtest/gtest.h>

#include <algorithm>

#include "stack/shard_for_test.h"

namespace tern::stack {
namespace {

class ShardPathTest : public ShardTest, public ::testing::WithParamInterface<bool> {
 protected:
  bool v6() const { return GetParam(); }
  size_t headers() const { return v6() ? 60 : 40; }
  TestFlow Flow(uint16_t port = 40'000) const {
    if (v6()) return {.src = Ip("fd77::2"), .dst = Ip("fd77::1"), .src_port = port};
    return {.src_port = port};
  }

  // What a router says that could not pass `frame` on, quoting `most` octets of it.
  Bytes TooBig(const SentFrame& frame, uint32_t mtu, size_t most = 548) const {
    Bytes quoted(frame.bytes.begin() + 14, frame.bytes.end());
    quoted.resize(std::min(quoted.size(), most));
    return TooBigAbout(quoted, mtu);
  }
  Bytes TooBigAbout(const Bytes& quoted, uint32_t mtu) const {
    Bytes body(8 + quoted.size());
    wire::IcmpMessage message{.rest = mtu, .body = quoted};
    const TestFlow flow = Flow();
    if (v6()) {
      message.type = wire::kIcmpv6PacketTooBig;
      wire::WriteIcmpv6(message, Ip("fd77::254"), flow.dst, body.data());
      return IpFrame(Ip("fd77::254"), flow.dst, wire::kProtocolIcmpv6, body);
    }
    message.type = wire::kIcmpDestinationUnreachable;
    message.code = wire::kUnreachableFragmentationNeeded;
    wire::WriteIcmp(message, body.data());
    return IpFrame(Ip("10.77.0.254"), flow.dst, wire::kProtocolIcmp, body);
  }

  // An accepted connection whose peer takes 1460 (or 1440) octets.
  ConnHandle Open(const TestFlow& flow) {
    GiveTcp(flow, wire::kSyn, 1000, 0, {},
            {.mss = static_cast<uint16_t>(v6() ? 1'440 : 1'460), .has_mss = true, .sack_permitted = true});
    const SentFrame synack = TakeOne();
    EXPECT_EQ(synack.options.mss, v6() ? 1'440 : 1'460);  // the link's, whatever is known of the path
    isn_ = synack.tcp.seq.value();
    GiveTcp(flow, wire::kAck, 1001, isn_ + 1);
    return OneEvent().handle;
  }
  std::vector<SentFrame> Send(ConnHandle handle, size_t octets) {
    for (size_t left = octets; left != 0;) {
      const size_t part = std::min<size_t>(left, 1'000);
      SendText(handle, std::string(part, 'x'));
      left -= part;
    }
    return Take();
  }
  void Acknowledge(const TestFlow& flow, const SentFrame& last) {
    GiveTcp(flow, wire::kAck, 1001, last.tcp.seq.value() + static_cast<uint32_t>(last.payload.size()));
  }
  // And all that follows from it, until nothing is under way.
  void AcknowledgeAll(const TestFlow& flow, std::vector<SentFrame> sent) {
    while (!sent.empty()) {
      Acknowledge(flow, sent.back());
      sent = Take();
    }
  }
  static size_t IpLength(const SentFrame& frame) { return frame.bytes.size() - 14; }
  static size_t Longest(const std::vector<SentFrame>& frames) {
    size_t longest = 0;
    for (const SentFrame& frame : frames) longest = std::max(longest, IpLength(frame));
    return longest;
  }
  static size_t Text(const std::vector<SentFrame>& frames) {
    size_t octets = 0;
    for (const SentFrame& frame : frames) octets += frame.payload.size();
    return octets;
  }

  uint32_t isn_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Families, ShardPathTest, ::testing::Bool(),
                         [](const auto& test) { return test.param ? "v6" : "v4"; });

TEST_P(ShardPathTest, WhatWasTooBigGoesAgainAtOnceInPiecesThatFit) {
  Start();
  Listen();
  const ConnHandle handle = Open(Flow());
  const std::vector<SentFrame> first = Send(handle, 10'000);
  ASSERT_EQ(Longest(first), 1'500u);
  Give(TooBig(first[0], 1'400));
  const std::vector<SentFrame> again = Take();
  EXPECT_EQ(Longest(again), 1'400u);
  EXPECT_EQ(again[0].tcp.seq, first[0].tcp.seq);
  EXPECT_GE(Text(again), Text(first));
  EXPECT_EQ(shard().counters().timeouts, 0u);
  EXPECT_EQ(shard().counters().path_mtu_lowered, 1u);
  EXPECT_EQ(shard().usage().paths, 1u);
  // The rest of the flight was refused as well.
  ExpectDrop(TooBig(first[1], 1'400), DropReason::kIcmpMtuNoNews);
  ExpectSilence();
}

TEST_P(ShardPathTest, TheNextConnectionKnows) {
  Start();
  Listen();
  const ConnHandle handle = Open(Flow());
  Give(TooBig(Send(handle, 10'000)[0], 1'400));
  Take();
  const ConnHandle second = Open(Flow(40'001));
  EXPECT_EQ(Longest(Send(second, 10'000)), 1'400u);
  // Ten minutes later the path is tried anew.
  shard().Abort(handle, now_);
  shard().Abort(second, now_);
  Advance(Duration::Seconds(601));
  Resolve(Flow().src);  // so long a silence makes the neighbour's address doubtful
  Events();
  EXPECT_EQ(Longest(Send(Open(Flow(40'002)), 10'000)), 1'500u);
}

TEST_P(ShardPathTest, AnActiveOpenKnows) {
  Start();
  Listen();
  Give(TooBig(Send(Open(Flow()), 10'000)[0], 1'400));
  Take();
  ConnHandle handle;
  ASSERT_EQ(shard().Connect({.remote = Flow().src, .remote_port = 80}, now_, &handle), OpenResult::kOk);
  const SentFrame syn = TakeOne();
  EXPECT_EQ(syn.options.mss, v6() ? 1'440 : 1'460);
  TestFlow flow = Flow(80);
  flow.dst_port = syn.tcp.src_port;
  GiveTcp(flow, wire::kSyn | wire::kAck, 1000, syn.tcp.seq.value() + 1, {}, {.mss = 1'440, .has_mss = true});
  Take();
  EXPECT_EQ(Longest(Send(handle, 10'000)), 1'400u);
}

TEST_P(ShardPathTest, AForgedReportIsDropped) {
  Start();
  Listen();
  const ConnHandle handle = Open(Flow());
  const std::vector<SentFrame> first = Send(handle, 10'000);
  Bytes quoted(first[0].bytes.begin() + 14, first[0].bytes.begin() + 14 + headers());
  quoted[headers() - 20 + 4] ^= 0x40;  // the sequence number, guessed
  ExpectDrop(TooBigAbout(quoted, 1'400), DropReason::kIcmpQuoteUnknown);
  quoted[headers() - 20 + 4] ^= 0x40;
  quoted[headers() - 20 + 1] ^= 1;  // a port of no connection
  ExpectDrop(TooBigAbout(quoted, 1'400), DropReason::kIcmpQuoteUnknown);
  ExpectDrop(TooBig(first[0], 1'400, headers() - 20 + 7), DropReason::kIcmpQuoteMalformed);
  EXPECT_EQ(shard().Tcp(handle)->mss, v6() ? 1'440 : 1'460);
  EXPECT_EQ(shard().usage().paths, 0u);
}

TEST_P(ShardPathTest, AReportBeforeThereIsDataIsDropped) {
  Start();
  Listen();
  TestFlow flow = Flow();
  const ConnHandle handle = Open(flow);
  GiveTcp(flow, wire::kAck | wire::kPsh, 1001, isn_ + 1, Bytes(10, 'x'));
  ReceiveText(handle);
  const std::vector<SentFrame> acks = Advance(Duration::Millis(100));
  ASSERT_EQ(acks.size(), 1u);
  Bytes quoted(acks[0].bytes.begin() + 14, acks[0].bytes.end());
  wire::StoreBe16(&quoted[v6() ? 4 : 2], 1'400);
  ExpectDrop(TooBigAbout(quoted, 1'300), DropReason::kIcmpQuoteUnknown);
  // Nor is a SYN ever too big.
  ConnHandle opening;
  ASSERT_EQ(shard().Connect({.remote = flow.src, .remote_port = 80}, now_, &opening), OpenResult::kOk);
  const SentFrame syn = TakeOne();
  quoted.assign(syn.bytes.begin() + 14, syn.bytes.end());
  wire::StoreBe16(&quoted[v6() ? 4 : 2], 1'400);
  ExpectDrop(TooBigAbout(quoted, 1'300), DropReason::kIcmpQuoteUnknown);
}

TEST_P(ShardPathTest, NoRouterMayReportLessThanEveryLinkCarries) {
  Start();
  Listen();
  const ConnHandle handle = Open(Flow());
  const std::vector<SentFrame> first = Send(handle, 10'000);
  ExpectDrop(TooBig(first[0], v6() ? 1'279 : 67), DropReason::kIcmpMtuTooSmall);
  if (v6()) ExpectDrop(TooBig(first[0], 0), DropReason::kIcmpMtuTooSmall);
  EXPECT_EQ(shard().Tcp(handle)->mss, v6() ? 1'440 : 1'460);
  // What it may, is taken no further than to the floor.
  Give(TooBig(first[0], v6() ? 1'280 : 68));
  EXPECT_EQ(Longest(Take()), v6() ? 1'280u : 552u);
}

TEST_P(ShardPathTest, AReportOfMoreThanWasSentIsNone) {
  Start();
  Listen();
  const ConnHandle handle = Open(Flow());
  const std::vector<SentFrame> first = Send(handle, 10'000);
  ExpectDrop(TooBig(first[0], 1'500), DropReason::kIcmpMtuNoNews);
  ExpectDrop(TooBig(first[0], 9'000), DropReason::kIcmpMtuNoNews);
  if (v6()) ExpectDrop(TooBig(first[0], 0xffff'ffff), DropReason::kIcmpMtuNoNews);
}

TEST_P(ShardPathTest, SwitchedOffReportsAreNotRead) {
  config_.tcp.path_mtu_discovery = false;
  Start();
  Listen();
  const ConnHandle handle = Open(Flow());
  ExpectDrop(TooBig(Send(handle, 10'000)[0], 1'400), DropReason::kIcmpTypeUnknown);
}

// RFC 5927 7.2.
TEST_P(ShardPathTest, InMidStreamTheSegmentsOwnFateDecides) {
  Start();
  Listen();
  const TestFlow flow = Flow();
  const ConnHandle handle = Open(flow);
  AcknowledgeAll(flow, Send(handle, 10'000));
  const std::vector<SentFrame> second = Send(handle, 10'000);
  Give(TooBig(second[0], 1'400));
  ExpectSilence();
  EXPECT_EQ(Longest(second), 1'500u);
  const std::vector<SentFrame> again = Advance(Duration::Millis(1'100));
  ASSERT_FALSE(again.empty());
  EXPECT_EQ(again[0].tcp.seq, second[0].tcp.seq);
  EXPECT_EQ(IpLength(again[0]), 1'400u);
  EXPECT_EQ(shard().usage().paths, 1u);
}

TEST_P(ShardPathTest, AConnectionTriesMoreAfterTenMinutes) {
  Start();
  Listen();
  const TestFlow flow = Flow();
  const ConnHandle handle = Open(flow);
  Give(TooBig(Send(handle, 10'000)[0], 1'400));
  AcknowledgeAll(flow, Take());
  Advance(Duration::Seconds(590));
  EXPECT_FALSE(shard().Cold(handle)->path.searching());
  Advance(Duration::Seconds(20));
  EXPECT_TRUE(shard().Cold(handle)->path.searching());
  Resolve(flow.src);
  const std::vector<SentFrame> sent = Send(handle, 10'000);
  // One probe, and no more until it is known whether it arrived.
  EXPECT_EQ(std::count_if(sent.begin(), sent.end(), [](const SentFrame& f) { return IpLength(f) == 1'500; }),
            1);
  EXPECT_EQ(std::count_if(sent.begin(), sent.end(), [](const SentFrame& f) { return IpLength(f) > 1'400; }),
            1);
  Acknowledge(flow, sent.back());
  EXPECT_EQ(shard().Tcp(handle)->mss, v6() ? 1'440 : 1'460);
  EXPECT_EQ(shard().counters().path_mtu_raised, 1u);
  EXPECT_FALSE(shard().Cold(handle)->path.watched && shard().Cold(handle)->path.below_most());
}

TEST_P(ShardPathTest, LargeSegmentsThatVanishMakeABlackHole) {
  Start();
  Listen();
  const TestFlow flow = Flow();
  const ConnHandle handle = Open(flow);
  const std::vector<SentFrame> first = Send(handle, 10'000);
  std::vector<SentFrame> again = Advance(Duration::Seconds(6));
  again.erase(std::remove_if(again.begin(), again.end(), [](const auto& f) { return f.payload.empty(); }),
              again.end());
  ASSERT_GE(again.size(), 3u);
  EXPECT_EQ(IpLength(again[0]), 1'500u);
  EXPECT_EQ(IpLength(again[1]), 1'500u);
  EXPECT_EQ(IpLength(again[2]), v6() ? 1'280u : 1'064u);
  EXPECT_EQ(shard().counters().path_black_holes, 1u);
  // Perhaps the peer is gone: nobody else has to hear of it before something arrives.
  EXPECT_EQ(shard().usage().paths, 0u);
  Acknowledge(flow, again[2]);
  EXPECT_EQ(shard().usage().paths, 1u);
  Take();
  Events();
  // Another connection goes on with the search.
  const ConnHandle second = Open(Flow(40'001));
  EXPECT_EQ(shard().Tcp(second)->mss, v6() ? 1'220 : 1'024);
  EXPECT_TRUE(shard().Cold(second)->path.searching());
}

// Two connections of one destination: one is told, the other hears it when it begins to wonder.
TEST_P(ShardPathTest, AConnectionInTroubleAsksWhatOthersKnow) {
  Start();
  Listen();
  const ConnHandle deaf = Open(Flow());
  const ConnHandle told = Open(Flow(40'001));
  Send(deaf, 10'000);
  Give(TooBig(Send(told, 10'000)[0], 1'400));
  Take();
  EXPECT_EQ(shard().Tcp(deaf)->mss, v6() ? 1'440 : 1'460);
  const std::vector<SentFrame> again = Advance(Duration::Millis(300));
  EXPECT_EQ(shard().Tcp(deaf)->mss, v6() ? 1'340 : 1'360);
  EXPECT_EQ(Longest(again), 1'400u);
}

// What many routers of the last century say: nothing but that it was too much.
TEST_F(ShardTest, ARouterThatGivesNoSizeIsTakenDownTheTableOfRfc1191) {
  Start();
  Listen();
  const TestFlow flow;
  GiveTcp(flow, wire::kSyn, 1000, 0, {}, {.mss = 1'460, .has_mss = true});
  const uint32_t isn = TakeOne().tcp.seq.value();
  GiveTcp(flow, wire::kAck, 1001, isn + 1);
  SendText(OneEvent().handle, std::string(2'000, 'x'));
  const auto old_router = [&](const SentFrame& frame) {
    const Bytes quoted(frame.bytes.begin() + 14, frame.bytes.begin() + 14 + 28);
    Bytes body(8 + quoted.size());
    wire::WriteIcmp({.type = wire::kIcmpDestinationUnreachable,
                     .code = wire::kUnreachableFragmentationNeeded,
                     .body = quoted},
                    body.data());
    return IpFrame(Ip("10.77.0.254"), Ip("10.77.0.1"), wire::kProtocolIcmp, body);
  };
  SentFrame large = std::move(Take()[0]);
  ASSERT_EQ(large.bytes.size() - 14, 1'500u);
  for (const size_t mtu : {1'492u, 1'006u, 552u}) {
    Give(old_router(large));
    std::vector<SentFrame> again = Take();
    ASSERT_FALSE(again.empty());
    EXPECT_EQ(again[0].bytes.size() - 14, mtu);
    // The second segment of a flight says nothing that the first did not.
    ExpectDrop(old_router(large), DropReason::kIcmpMtuNoNews);
    large = std::move(again[0]);
  }
}

}  // namespace
}  // namespace tern::stack
