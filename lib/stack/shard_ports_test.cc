// Several ports of one shard: addresses and routes choose among them.
#include "stack/shard_for_test.h"

namespace tern::stack {
namespace {

const wire::MacAddress kGateway0({2, 0, 0, 0, 0, 0xa0});
const wire::MacAddress kGateway1({2, 0, 0, 0, 0, 0xa1});
const wire::MacAddress kOurMac1({2, 0, 0, 0, 0, 7});

// 10.77.0.1 on port 0 and 10.78.0.1 on port 1, each with a gateway that leads everywhere; a network of its
// own behind port 1.
class PortsTest : public ShardTest {
 protected:
  PortsTest() {
    config_.interfaces.push_back(
        {.mac = kOurMac1, .addresses = {{wire::IpPrefix::Parse("10.78.0.1/24").value()}}});
    const wire::IpPrefix everywhere = wire::IpPrefix::Parse("0.0.0.0/0").value();
    config_.routes = {{everywhere, Ip("10.77.0.254"), 0},
                      {everywhere, Ip("10.78.0.254"), 1},
                      {wire::IpPrefix::Parse("10.99.0.0/16").value(), Ip("10.78.0.254"), 1}};
  }

  // A frame for port 1.
  Bytes OnPort1(Bytes frame) {
    kOurMac1.Store(frame.data());
    return frame;
  }
  // What is sent by either port, after the gateways' link addresses were asked for and told.
  std::vector<SentFrame> Sent(uint16_t port) {
    std::vector<SentFrame> sent = Take(port);
    for (const SentFrame& frame : sent) {
      if (frame.protocol != 0) continue;
      EXPECT_EQ(frame.arp.target_ip, port == 0 ? Ip("10.77.0.254") : Ip("10.78.0.254"));
      EXPECT_EQ(frame.arp.sender_ip, port == 0 ? Ip("10.77.0.1") : Ip("10.78.0.1"));
      const Bytes reply =
          Arp(wire::ArpOperation::kReply, frame.arp.target_ip, port == 0 ? kGateway0 : kGateway1,
              frame.arp.sender_ip, port == 0 ? kOurMac : kOurMac1);
      Give(reply, port);
      return Take(port);
    }
    return sent;
  }
  SentFrame Syn(const ConnectSpec& spec, uint16_t port) {
    ConnHandle handle;
    EXPECT_EQ(shard().Connect(spec, now_, &handle), OpenResult::kOk);
    std::vector<SentFrame> sent = Sent(port);
    EXPECT_EQ(sent.size(), 1u);
    EXPECT_EQ(Take(1 - port).size(), 0u);
    return sent.empty() ? SentFrame() : std::move(sent[0]);
  }
};

TEST_F(PortsTest, TheDestinationChoosesThePortAndSoTheSource) {
  const SentFrame frame = Syn({.remote = Ip("10.99.1.1"), .remote_port = 80}, 1);
  EXPECT_EQ(frame.src, Ip("10.78.0.1"));
  EXPECT_EQ(frame.ethernet.src, kOurMac1);
  EXPECT_EQ(frame.ethernet.dst, kGateway1);
  EXPECT_EQ(Syn({.remote = Ip("192.0.2.1"), .remote_port = 80}, 0).src, Ip("10.77.0.1"));
}

TEST_F(PortsTest, TheSourceChoosesAmongEqualRoutes) {
  for (const uint16_t port : {uint16_t{0}, uint16_t{1}}) {
    const SentFrame frame = Syn({.remote = Ip("192.0.2.1"),
                                 .remote_port = 80,
                                 .local = port == 0 ? Ip("10.77.0.1") : Ip("10.78.0.1")},
                                port);
    EXPECT_EQ(frame.ethernet.dst, port == 0 ? kGateway0 : kGateway1);
  }
}

TEST_F(PortsTest, WhatCameInByAPortIsAnsweredByIt) {
  Listen();
  const TestFlow flow{.src = Ip("192.0.2.9"), .dst = Ip("10.78.0.1")};
  Give(OnPort1(IpFrame(flow.src, flow.dst, wire::kProtocolTcp, TcpBytes(flow, wire::kSyn, 1000, 0))), 1);
  std::vector<SentFrame> sent = Sent(1);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].tcp.flags, wire::kSyn | wire::kAck);
  // Sent again after something else came by the other port, it still goes out by its own.
  Give(EchoRequest(Ip("10.77.0.2")));
  Take(0);
  now_ = now_ + Duration::Millis(1'100);
  shard().AdvanceTimers(now_);
  sent = Take(1);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].ethernet.dst, kGateway1);
  const uint32_t isn = sent[0].tcp.seq.value();
  Give(OnPort1(IpFrame(flow.src, flow.dst, wire::kProtocolTcp,
                       TcpBytes(flow, wire::kAck | wire::kPsh, 1001, isn + 1, Text("hello")))),
       1);
  const ShardEvent event = OneEvent();
  EXPECT_EQ(ReceiveText(event.handle), "hello");
  SendText(event.handle, "world");
  sent = Take(1);
  ASSERT_FALSE(sent.empty());
  EXPECT_EQ(sent.back().payload, Text("world"));
  // A port that is closed, and an echo.
  TestFlow closed = flow;
  closed.dst_port = 9;
  Give(OnPort1(IpFrame(flow.src, flow.dst, wire::kProtocolTcp, TcpBytes(closed, wire::kSyn, 1000, 0))), 1);
  sent = Take(1);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_TRUE(sent[0].tcp.flags & wire::kRst);
  Give(OnPort1(EchoRequest(Ip("192.0.2.9"), Text("ping"), "10.78.0.1")), 1);
  EXPECT_EQ(Take(1).size(), 1u);
}

}  // namespace
}  // namespace tern::stack
