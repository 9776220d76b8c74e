// Socket semantics over a shard with a hand-made peer. What crosses the wire is the scripts' affair; here it
// is descriptors, errno, pending calls and readiness.
#include "socket/sockets.h"

#include <cerrno>

#include "stack/shard_for_test.h"

namespace tern::socket {
namespace {

using stack::Ip;
using stack::SentFrame;
using stack::TestFlow;
using stack::Text;

class SocketsTest : public stack::ShardTest {
 protected:
  SocketsTest() {
    Start();
    sockets_ =
        std::make_unique<Sockets>(shard(), pool_, SocketsConfig{.max_descriptors = 8, .max_sockets = 16});
  }

  int Listening(int backlog = 4) {
    const int fd = static_cast<int>(sockets_->Socket(Family::kIpv4).value);
    EXPECT_TRUE(sockets_->Bind(fd, {wire::IpAddress(), 7}).ok());
    EXPECT_TRUE(sockets_->Listen(fd, backlog, now_).ok());
    return fd;
  }
  int Accepted(int listener) {
    isn_ = Handshake(flow_);
    sockets_->Pump(now_);
    return static_cast<int>(sockets_->Accept(listener, false, nullptr, now_).value);
  }
  void GiveText(const std::string& text, uint32_t seq, uint8_t more = 0) {
    GiveTcp(flow_, static_cast<uint8_t>(wire::kAck | more), seq, isn_ + 1, Text(text));
    sockets_->Pump(now_);
    Take();
  }
  Result ReadInto(int fd, std::string& into, uint32_t flags = 0) {
    parts_ = {{reinterpret_cast<uint8_t*>(into.data()), into.size()}};
    return sockets_->Receive(fd, parts_, flags, now_);
  }
  Result WriteText(int fd, const std::string& text, uint32_t flags = 0) {
    const WritePart part{reinterpret_cast<const uint8_t*>(text.data()), text.size()};
    const Result result = sockets_->Send(fd, {&part, 1}, flags, now_);
    Recycle();
    return result;
  }
  std::vector<Completion> Completions() {
    std::vector<Completion> done(16);
    done.resize(sockets_->TakeCompletions(done));
    return done;
  }

  std::unique_ptr<Sockets> sockets_;
  TestFlow flow_;
  uint32_t isn_ = 0;
  std::vector<ReadPart> parts_;
};

TEST_F(SocketsTest, TheLowestFreeDescriptorIsGiven) {
  EXPECT_EQ(sockets_->Socket(Family::kIpv4).value, 3);
  EXPECT_EQ(sockets_->Socket(Family::kIpv6).value, 4);
  EXPECT_TRUE(sockets_->Close(3, now_).ok());
  EXPECT_EQ(sockets_->Socket(Family::kIpv4).value, 3);
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(sockets_->Socket(Family::kIpv4).ok());
  EXPECT_EQ(sockets_->Socket(Family::kIpv4).error, EMFILE);
}

TEST_F(SocketsTest, WhatIsNoDescriptorIsSaidToBeNone) {
  EXPECT_EQ(sockets_->Close(3, now_).error, EBADF);
  EXPECT_EQ(sockets_->Listen(-1, 1, now_).error, EBADF);
  EXPECT_EQ(sockets_->Accept(77, false, nullptr, now_).error, EBADF);
  EXPECT_EQ(sockets_->GetOption(3, Option::kError).error, EBADF);
  EXPECT_EQ(sockets_->Readiness(3), static_cast<uint32_t>(kPollInvalid));
}

TEST_F(SocketsTest, BindSaysWhatIsWrong) {
  const int a = static_cast<int>(sockets_->Socket(Family::kIpv4).value);
  const int b = static_cast<int>(sockets_->Socket(Family::kIpv4).value);
  EXPECT_EQ(sockets_->Bind(a, {Ip("10.99.0.1"), 7}).error, EADDRNOTAVAIL);
  EXPECT_EQ(sockets_->Bind(a, {Ip("fd77::1"), 7}).error, EAFNOSUPPORT);
  EXPECT_TRUE(sockets_->Bind(a, {Ip("10.77.0.1"), 7}).ok());
  EXPECT_EQ(sockets_->Bind(a, {Ip("10.77.0.1"), 8}).error, EINVAL);
  EXPECT_EQ(sockets_->Bind(b, {wire::IpAddress(), 7}).error, EADDRINUSE);
  EXPECT_TRUE(sockets_->Bind(b, {Ip("10.77.0.1"), 8}).ok());
}

TEST_F(SocketsTest, AListenerWithoutAPortGetsOne) {
  const int fd = static_cast<int>(sockets_->Socket(Family::kIpv4).value);
  EXPECT_TRUE(sockets_->Listen(fd, 1, now_).ok());
  Endpoint local;
  EXPECT_TRUE(sockets_->LocalName(fd, &local).ok());
  EXPECT_NE(local.port, 0);
}

TEST_F(SocketsTest, AcceptWaitsForAHandshake) {
  const int fd = Listening();
  Endpoint peer;
  EXPECT_TRUE(sockets_->Accept(fd, false, &peer, now_).pending);
  // There is room for one waiting call, and another would lose it.
  EXPECT_EQ(sockets_->Accept(fd, false, nullptr, now_).error, EBUSY);
  Handshake(flow_);
  sockets_->Pump(now_);
  const std::vector<Completion> done = Completions();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].fd, fd);
  EXPECT_EQ(done[0].result.value, 4);
  EXPECT_EQ(peer, (Endpoint{flow_.src, flow_.src_port}));
  EXPECT_TRUE(sockets_->SetNonBlocking(fd, true).ok());
  EXPECT_EQ(sockets_->Accept(fd, false, nullptr, now_).error, EAGAIN);
}

TEST_F(SocketsTest, WhoWaitsToBeAcceptedCountsAgainstTheBacklog) {
  const int fd = Listening(/*backlog=*/2);
  TestFlow flow = flow_;
  for (int i = 0; i < 2; ++i, ++flow.src_port) {
    Handshake(flow);
    sockets_->Pump(now_);
  }
  GiveTcp(flow, wire::kSyn, 1000, 0);
  ExpectSilence();
  EXPECT_TRUE(sockets_->Accept(fd, false, nullptr, now_).ok());
  GiveTcp(flow, wire::kSyn, 1000, 0);
  EXPECT_EQ(Take().size(), 1u);
}

TEST_F(SocketsTest, ReadTakesWhatItCanAndNoMore) {
  const int fd = Accepted(Listening());
  std::string four(4, ' ');
  EXPECT_EQ(ReadInto(fd, four, kMessageDontWait).error, EAGAIN);
  GiveText("abcdefghij", 1001);
  EXPECT_EQ(sockets_->ReadableOctets(fd).value, 10);
  EXPECT_EQ(ReadInto(fd, four, kMessagePeek).value, 4);
  EXPECT_EQ(four, "abcd");
  EXPECT_EQ(ReadInto(fd, four).value, 4);
  EXPECT_EQ(ReadInto(fd, four).value, 4);
  EXPECT_EQ(four, "efgh");
  EXPECT_EQ(ReadInto(fd, four).value, 2);
  EXPECT_EQ(four.substr(0, 2), "ij");
  GiveText("", 1011, wire::kFin);
  EXPECT_EQ(ReadInto(fd, four).value, 0);
  EXPECT_EQ(ReadInto(fd, four).value, 0);
}

TEST_F(SocketsTest, AReaderThatWaitsGetsItsOctets) {
  const int fd = Accepted(Listening());
  std::string buffer(8, ' ');
  EXPECT_TRUE(ReadInto(fd, buffer).pending);
  GiveText("hello", 1001);
  const std::vector<Completion> done = Completions();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].result.value, 5);
  EXPECT_EQ(buffer.substr(0, 5), "hello");
}

TEST_F(SocketsTest, AnInterruptedCallSaysSo) {
  const int fd = Accepted(Listening());
  std::string buffer(8, ' ');
  EXPECT_TRUE(ReadInto(fd, buffer).pending);
  sockets_->Interrupt(fd);
  const std::vector<Completion> done = Completions();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].result.error, EINTR);
}

TEST_F(SocketsTest, AResetIsToldOnce) {
  const int fd = Accepted(Listening());
  GiveTcp(flow_, wire::kRst, 1001, 0);
  sockets_->Pump(now_);
  EXPECT_TRUE(sockets_->Readiness(fd) & kPollErr);
  EXPECT_TRUE(sockets_->Readiness(fd) & kPollHup);
  EXPECT_EQ(sockets_->GetOption(fd, Option::kError).value, ECONNRESET);
  EXPECT_EQ(sockets_->GetOption(fd, Option::kError).value, 0);
  std::string buffer(8, ' ');
  EXPECT_EQ(ReadInto(fd, buffer).value, 0);
  EXPECT_EQ(WriteText(fd, "x").error, EPIPE);
  EXPECT_TRUE(sockets_->Close(fd, now_).ok());
}

TEST_F(SocketsTest, WriteIsCutShortAtTheSendBuffer) {
  const int fd = Accepted(Listening());
  EXPECT_TRUE(sockets_->SetOption(fd, Option::kSendBuffer, 4'096, now_).ok());
  EXPECT_EQ(WriteText(fd, std::string(10'000, 'x'), kMessageDontWait).value, 4'096);
  EXPECT_EQ(WriteText(fd, "x", kMessageDontWait).error, EAGAIN);
  EXPECT_EQ(sockets_->UnackedOctets(fd).value, 4'096);
  EXPECT_FALSE(sockets_->Readiness(fd) & kPollOut);
}

TEST_F(SocketsTest, CloseWithUnreadDataResets) {
  const int fd = Accepted(Listening());
  GiveText("abc", 1001);
  std::string one(1, ' ');
  EXPECT_EQ(ReadInto(fd, one).value, 1);
  EXPECT_TRUE(sockets_->Close(fd, now_).ok());
  EXPECT_TRUE(TakeOne().tcp.flags & wire::kRst);
}

TEST_F(SocketsTest, EpollTellsEdgesOnceAndLevelsAlways) {
  const int fd = Accepted(Listening());
  const int level = static_cast<int>(sockets_->EpollCreate().value);
  const int edge = static_cast<int>(sockets_->EpollCreate().value);
  EXPECT_TRUE(sockets_->EpollControl(level, EpollOp::kAdd, fd, {kPollIn, 1}).ok());
  EXPECT_EQ(sockets_->EpollControl(level, EpollOp::kAdd, fd, {kPollIn, 1}).error, EEXIST);
  EXPECT_TRUE(sockets_->EpollControl(edge, EpollOp::kAdd, fd, {kPollIn | kEpollEdge, 2}).ok());
  std::vector<EpollEvent> events(4);
  EXPECT_EQ(sockets_->EpollWait(level, events).value, 0);
  GiveText("abc", 1001);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(sockets_->EpollWait(level, events).value, 1);
  EXPECT_EQ(sockets_->EpollWait(edge, events).value, 1);
  EXPECT_EQ(events[0].data, 2u);
  EXPECT_EQ(sockets_->EpollWait(edge, events).value, 0);
  GiveText("d", 1004);
  EXPECT_EQ(sockets_->EpollWait(edge, events).value, 1);
  EXPECT_TRUE(sockets_->EpollControl(edge, EpollOp::kModify, fd, {kPollIn | kEpollOneShot, 2}).ok());
  EXPECT_EQ(sockets_->EpollWait(edge, events).value, 1);
  EXPECT_EQ(sockets_->EpollWait(edge, events).value, 0);
  EXPECT_TRUE(sockets_->EpollControl(edge, EpollOp::kDelete, fd, {}).ok());
  EXPECT_EQ(sockets_->EpollControl(edge, EpollOp::kDelete, fd, {}).error, ENOENT);
}

TEST_F(SocketsTest, DeferredAcceptsWaitForDataOrTime) {
  const int fd = Listening();
  EXPECT_TRUE(sockets_->SetOption(fd, Option::kDeferAccept, 3, now_).ok());
  EXPECT_TRUE(sockets_->SetNonBlocking(fd, true).ok());
  isn_ = Handshake(flow_);
  sockets_->Pump(now_);
  EXPECT_EQ(sockets_->Accept(fd, false, nullptr, now_).error, EAGAIN);
  GiveText("x", 1001);
  EXPECT_TRUE(sockets_->Accept(fd, false, nullptr, now_).ok());
  ++flow_.src_port;
  Handshake(flow_);
  sockets_->Pump(now_);
  EXPECT_EQ(sockets_->Accept(fd, false, nullptr, now_).error, EAGAIN);
  EXPECT_EQ(sockets_->NextDeadline(), now_ + Duration::Seconds(3));
  now_ = now_ + Duration::Seconds(3);
  sockets_->Pump(now_);
  EXPECT_TRUE(sockets_->Accept(fd, false, nullptr, now_).ok());
}

TEST_F(SocketsTest, WhatTheCoreLacksIsSaidPlainly) {
  const int fd = static_cast<int>(sockets_->Socket(Family::kIpv4).value);
  EXPECT_EQ(sockets_->SetOption(fd, Option::kSynCount, 1, now_).error, ENOPROTOOPT);
  EXPECT_EQ(sockets_->SetOption(fd, Option::kLinger2, 1, now_).error, ENOPROTOOPT);
}

TEST_F(SocketsTest, WhenAPeerCountsAsGoneHasBounds) {
  const int fd = static_cast<int>(sockets_->Socket(Family::kIpv4).value);
  for (const Option option : {Option::kKeepIdle, Option::kKeepInterval, Option::kKeepCount}) {
    const int64_t most = option == Option::kKeepCount ? 127 : 32'767;
    EXPECT_EQ(sockets_->SetOption(fd, option, 0, now_).error, EINVAL);
    EXPECT_EQ(sockets_->SetOption(fd, option, most + 1, now_).error, EINVAL);
    EXPECT_TRUE(sockets_->SetOption(fd, option, most, now_).ok());
    EXPECT_EQ(sockets_->GetOption(fd, option).value, most);
  }
  EXPECT_EQ(sockets_->GetOption(fd, Option::kKeepAlive).value, 0) << "RFC 9293 MUST-25";
  EXPECT_TRUE(sockets_->SetOption(fd, Option::kKeepAlive, 7, now_).ok());
  EXPECT_EQ(sockets_->GetOption(fd, Option::kKeepAlive).value, 1);
  EXPECT_EQ(sockets_->SetOption(fd, Option::kUserTimeout, -1, now_).error, EINVAL);
  EXPECT_TRUE(sockets_->SetOption(fd, Option::kUserTimeout, 1'500, now_).ok());
  EXPECT_EQ(sockets_->GetOption(fd, Option::kUserTimeout).value, 1'500);
}

// As of an opening connection, whose SYN alone would be repeated for longer.
TEST_F(SocketsTest, AUserTimeoutEndsAnOpeningConnection) {
  const int fd = static_cast<int>(sockets_->Socket(Family::kIpv4).value);
  EXPECT_TRUE(sockets_->SetOption(fd, Option::kUserTimeout, 4'000, now_).ok());
  EXPECT_TRUE(sockets_->Connect(fd, {Ip("10.77.0.2"), 80}, now_).pending);
  for (int i = 0; i < 9; ++i) {
    Advance(Duration::Seconds(1));
    Take();
    sockets_->Pump(now_);
  }
  const std::vector<Completion> done = Completions();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].result.error, ETIMEDOUT);
}

}  // namespace
}  // namespace tern::socket
