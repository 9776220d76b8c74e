// What an application may ask of a connection: giving up, cork, a bound on closing, news of trouble.
#include <gtest/gtest.h>

#include "tcp/pair_for_test.h"

namespace tern::tcp {
namespace {

// ---- R1 and R2 (RFC 9293 3.8.3) ----

// MUST-23: at least three minutes; MUST-22: by the same rule as data.
TEST(GivingUp, ASynIsRepeatedForThreeMinutesAtLeast) {
  Pair pair;
  pair.drop = [](const WireSegment&) { return true; };
  pair.Connect();
  pair.RunFor(Duration::Seconds(180));
  EXPECT_EQ(pair.client.conn.state, State::kSynSent);
  EXPECT_TRUE(pair.client.events & kEventTrouble);
  pair.RunFor(Duration::Seconds(10));
  EXPECT_EQ(pair.client.conn.state, State::kClosed);
  EXPECT_EQ(pair.client.reason, CloseReason::kTimedOut);
}

// SHLD-11: R2 for data is at least 100 seconds.
TEST(GivingUp, DataIsRepeatedForAHundredSecondsAtLeast) {
  Pair pair;
  Establish(pair);
  pair.drop = [](const WireSegment&) { return true; };
  pair.Write(pair.client, Pattern(0, 10));
  pair.RunFor(Duration::Seconds(100));
  EXPECT_EQ(pair.client.conn.state, State::kEstablished);
  pair.RunFor(Duration::Seconds(3'600));
  EXPECT_EQ(pair.client.reason, CloseReason::kTimedOut);
}

// MUST-20 (a), SHLD-9, SHLD-10: after three retransmissions the application and the layer below hear of it.
TEST(GivingUp, TheRouteIsInDoubtAfterThreeRetransmissions) {
  Pair pair;
  Establish(pair);
  pair.client.events = 0;
  pair.drop = [](const WireSegment&) { return true; };
  pair.Write(pair.client, Pattern(0, 10));
  const auto resent = [&] {
    int count = 0;
    for (const WireSegment& s : pair.Sent(true)) count += s.retransmission ? 1 : 0;
    return count;
  };
  while (resent() < 3) pair.RunFor(Duration::Millis(10));
  EXPECT_FALSE(pair.client.events & kEventTrouble);
  EXPECT_EQ(pair.client.doubts, 0);
  while (resent() < 4) pair.RunFor(Duration::Millis(10));
  EXPECT_TRUE(pair.client.events & kEventTrouble);
  EXPECT_EQ(LastTrouble(pair.client.conn, pair.client.env), Trouble::kRetransmitting);
  EXPECT_EQ(pair.client.doubts, 1);
}

// MUST-21: the application sets R2.
TEST(GivingUp, WhenTheApplicationSays) {
  Pair pair;
  Establish(pair);
  SetUserTimeout(pair.client.conn, pair.client.env, Duration::Seconds(7));
  pair.drop = [](const WireSegment&) { return true; };
  pair.Write(pair.client, Pattern(0, 10));
  pair.RunFor(Duration::Millis(6'900));
  EXPECT_EQ(pair.client.conn.state, State::kEstablished);
  pair.RunFor(Duration::Millis(200));
  EXPECT_EQ(pair.client.conn.state, State::kClosed);
  EXPECT_EQ(pair.client.reason, CloseReason::kTimedOut);
}

TEST(GivingUp, TheApplicationsTimeHoldsForTheSynAndBeyondTheRetries) {
  Pair pair;
  pair.drop = [](const WireSegment&) { return true; };
  pair.Connect();
  SetUserTimeout(pair.client.conn, pair.client.env, Duration::Seconds(400));
  pair.RunFor(Duration::Seconds(399));
  EXPECT_EQ(pair.client.conn.state, State::kSynSent);
  pair.RunFor(Duration::Seconds(2));
  EXPECT_EQ(pair.client.reason, CloseReason::kTimedOut);
}

// MUST-37: a peer that answers probes is alive, however long its window stays shut.
TEST(GivingUp, AClosedWindowIsNoSilence) {
  Pair pair;
  Establish(pair);
  SetUserTimeout(pair.client.conn, pair.client.env, Duration::Seconds(5));
  pair.server.reading = false;
  pair.Transfer(pair.client, pair.server, 1 << 20, Duration::Seconds(5));
  ASSERT_EQ(pair.client.conn.snd_wnd, 0u);
  pair.RunFor(Duration::Seconds(3'600));
  EXPECT_EQ(pair.client.conn.state, State::kEstablished);
  pair.drop = [](const WireSegment&) { return true; };
  pair.RunFor(Duration::Seconds(70));
  EXPECT_EQ(pair.client.reason, CloseReason::kTimedOut);
}

// ---- Trouble (RFC 9293 3.9.1.8, 3.9.2.2) ----

void Icmp(Pair& pair, SeqNum quoted, Trouble trouble, bool hard) {
  const CloseReason end = hard ? CloseReason::kUnreachable : CloseReason::kNone;
  Effects effects;
  OnIcmpError(pair.client.conn, pair.client.env, quoted, trouble, end, pair.now, effects);
  pair.client.events |= effects.events;
  if ((effects.events & kEventClosed) != 0) pair.client.reason = effects.reason;
}

// MUST-56: a soft error ends nothing, not even an opening connection; SHLD-25: the application is told.
TEST(Trouble, ASoftErrorIsToldAndEndsNothing) {
  Pair pair;
  pair.drop = [](const WireSegment&) { return true; };
  pair.Connect();
  Icmp(pair, pair.client_iss, Trouble::kUnreachable, /*hard=*/false);
  EXPECT_EQ(pair.client.conn.state, State::kSynSent);
  EXPECT_TRUE(pair.client.events & kEventTrouble);
  EXPECT_EQ(LastTrouble(pair.client.conn, pair.client.env), Trouble::kUnreachable);
  pair.RunFor(Duration::Seconds(300));
  EXPECT_EQ(pair.client.reason, CloseReason::kUnreachable) << "why, when it is over, is known";
}

// SHLD-26.
TEST(Trouble, AHardErrorEndsAnOpeningConnection) {
  Pair pair;
  pair.drop = [](const WireSegment&) { return true; };
  pair.Connect();
  Icmp(pair, pair.client_iss + 1, Trouble::kUnreachable, /*hard=*/true);
  EXPECT_EQ(pair.client.conn.state, State::kSynSent) << "not in flight: anybody's guess (RFC 5927)";
  Icmp(pair, pair.client_iss, Trouble::kUnreachable, /*hard=*/true);
  EXPECT_EQ(pair.client.conn.state, State::kClosed);
  EXPECT_EQ(pair.client.reason, CloseReason::kUnreachable);
}

TEST(Trouble, AHardErrorIsSoftOnceEstablished) {
  Pair pair;
  Establish(pair);
  pair.client.events = 0;
  pair.drop = [](const WireSegment&) { return true; };
  pair.Write(pair.client, Pattern(0, 10));
  Icmp(pair, pair.client.conn.snd_una, Trouble::kUnreachable, /*hard=*/true);
  EXPECT_EQ(pair.client.conn.state, State::kEstablished);
  EXPECT_TRUE(pair.client.events & kEventTrouble);
}

// SHLD-20.
TEST(Trouble, NeedNotBeHeard) {
  Pair pair;
  Establish(pair);
  pair.client.events = 0;
  SetTroubleReports(pair.client.conn, pair.client.env, false);
  pair.drop = [](const WireSegment&) { return true; };
  pair.Write(pair.client, Pattern(0, 10));
  Icmp(pair, pair.client.conn.snd_una, Trouble::kTimeExceeded, /*hard=*/false);
  EXPECT_FALSE(pair.client.events & kEventTrouble);
  EXPECT_EQ(LastTrouble(pair.client.conn, pair.client.env), Trouble::kTimeExceeded);
}

// ---- Cork, and a bound on closing ----

TEST(Cork, HoldsShortSegmentsUntilItIsPulled) {
  TcpConfig config;
  config.nodelay = true;
  Pair pair(config, config);
  Establish(pair);
  Effects effects;
  SetCork(pair.client.conn, true, effects);
  const size_t before = pair.Sent(true).size();
  pair.Write(pair.client, Pattern(0, 100));
  pair.Write(pair.client, Pattern(100, 100));
  EXPECT_EQ(pair.Sent(true).size(), before);
  SetCork(pair.client.conn, false, effects);
  EXPECT_TRUE(effects.transmit);
  pair.Write(pair.client, {});
  ASSERT_EQ(pair.Sent(true).size(), before + 1);
  EXPECT_EQ(pair.Sent(true).back().payload.size(), 200u);
  EXPECT_TRUE(pair.Sent(true).back().Has(wire::kPsh));
}

TEST(Closing, ABoundEndsWhatIsNotDelivered) {
  Pair pair;
  Establish(pair);
  pair.drop = [](const WireSegment&) { return true; };
  pair.Write(pair.client, Pattern(0, 10));
  pair.Close(pair.client);
  BoundClose(pair.client.conn, Duration::Seconds(3), pair.now);
  pair.RunFor(Duration::Millis(2'900));
  EXPECT_EQ(pair.client.conn.state, State::kFinWait1);
  pair.RunFor(Duration::Millis(200));
  EXPECT_EQ(pair.client.conn.state, State::kClosed);
  EXPECT_EQ(pair.client.reason, CloseReason::kTimedOut);
  EXPECT_TRUE(pair.Sent(true).back().Has(wire::kRst));
}

TEST(Closing, ABoundThatIsMetEndsNothing) {
  Pair pair;
  Establish(pair);
  pair.Write(pair.client, Pattern(0, 10));
  pair.Close(pair.client);
  BoundClose(pair.client.conn, Duration::Seconds(3), pair.now);
  pair.RunFor(Duration::Seconds(5));
  EXPECT_EQ(pair.client.conn.state, State::kFinWait2);
  EXPECT_EQ(pair.server.received.size(), 10u);
  pair.Close(pair.server);
  pair.RunFor(Duration::Seconds(1));
  EXPECT_EQ(pair.client.conn.state, State::kTimeWait);
}

// ---- The window, as RFC 9293 asks ----

// MUST-1: not negative from the sixteenth bit on.
TEST(SendWindow, IsUnsigned) {
  TcpConfig config;
  config.window_scale = false;
  Pair pair(config, config);
  Establish(pair);
  EXPECT_EQ(pair.client.conn.snd_wnd, 65'535u);
  EXPECT_TRUE(pair.Transfer(pair.client, pair.server, 200'000, Duration::Seconds(20)));
}

// MUST-34, SHLD-15, SHLD-16, SHLD-17: the peer takes back what it offered.
TEST(SendWindow, MayShrinkBelowWhatIsInFlight) {
  TcpConfig config;
  config.window_scale = false;
  config.timestamps = false;
  config.nodelay = true;
  Pair pair(config, config);
  Establish(pair);
  pair.drop = [](const WireSegment&) { return true; };
  pair.Write(pair.client, Pattern(0, 5 * 1'460));
  const SeqNum una = pair.client.conn.snd_una;
  const size_t sent = pair.Sent(true).size();
  pair.Inject(pair.client,
              {.seq = pair.client.conn.rcv_nxt, .ack = una, .flags = wire::kAck, .window = 1'460});
  pair.Write(pair.client, Pattern(0, 1'460));
  EXPECT_EQ(pair.Sent(true).size(), sent) << "nothing new beyond the edge";
  pair.RunFor(Duration::Seconds(3));
  ASSERT_GT(pair.Sent(true).size(), sent);
  EXPECT_TRUE(pair.Sent(true)[sent].retransmission);
  EXPECT_EQ(pair.Sent(true)[sent].seq, una) << "what lies inside the edge goes again";
  EXPECT_EQ(pair.client.conn.state, State::kEstablished);
  // It opens again, and all arrives.
  pair.drop = nullptr;
  pair.RunFor(Duration::Seconds(30));
  EXPECT_EQ(pair.server.received.size(), 6u * 1'460u);
}

}  // namespace
}  // namespace tern::tcp
