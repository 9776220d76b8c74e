#include "tcp/urgent.h"

#include <gtest/gtest.h>

#include "tcp/pair_for_test.h"

namespace tern::tcp {
namespace {

void WriteUrgent(Pair& pair, const std::vector<uint8_t>& bytes) {
  BufferChain chain;
  chain.PushBack(pair.client.buffers.AllocateWith(bytes));
  Effects effects;
  EXPECT_EQ(SendUrgent(pair.client.conn, pair.client.env, chain, pair.now, effects), SendResult::kOk);
  EXPECT_TRUE(effects.transmit);
  pair.client.buffers.Release(effects.released.TakeAll());
  pair.RunFor(Duration::Zero());
  pair.Write(pair.client, {});
}

uint32_t Ahead(const Endpoint& end) { return UrgentAhead(end.conn, end.env); }

TEST(UrgentPointer, OnlyMovesAheadOfWhatWasReadAndBefore) {
  UrgentReceive urgent;
  EXPECT_EQ(urgent.Ahead(SeqNum(100), 0), 0u);
  EXPECT_FALSE(urgent.OnPointer(SeqNum(100), SeqNum(100))) << "nothing of it is left to read";
  EXPECT_TRUE(urgent.OnPointer(SeqNum(110), SeqNum(100)));
  EXPECT_FALSE(urgent.OnPointer(SeqNum(105), SeqNum(100))) << "the latest mark counts";
  EXPECT_EQ(urgent.Ahead(SeqNum(100), 0), 10u);
  EXPECT_EQ(urgent.Ahead(SeqNum(120), 20), 10u);
  EXPECT_EQ(urgent.Ahead(SeqNum(120), 10), 0u);
  // Half around the circle later an old mark must not look new.
  EXPECT_TRUE(urgent.OnPointer(SeqNum(0x80000100), SeqNum(0x80000000)));
}

// RFC 9293 MUST-62: the pointer names the octet behind the urgent data. MUST-32, MUST-33: the application is
// told, and how much there is.
TEST(UrgentData, IsAnnouncedWithItsEndAndStaysInTheStream) {
  Pair pair;
  Establish(pair);
  pair.server.reading = false;
  const SeqNum start = pair.client.conn.snd_nxt;
  WriteUrgent(pair, {'a', 'b', 'c'});
  pair.RunFor(Duration::Millis(100));
  bool seen = false;
  for (const WireSegment& s : pair.Sent(true)) {
    if (s.payload.empty() || !s.Has(wire::kUrg)) continue;
    seen = true;
    EXPECT_EQ(s.seq + s.urgent, start + 3);
  }
  EXPECT_TRUE(seen);
  EXPECT_TRUE(pair.server.events & kEventUrgent);
  EXPECT_EQ(Ahead(pair.server), 3u);
  pair.Write(pair.client, {'d'});
  pair.RunFor(Duration::Millis(100));
  EXPECT_FALSE(pair.Sent(true).back().Has(wire::kUrg)) << "what follows is not urgent";
  EXPECT_EQ(Ahead(pair.server), 3u);
  pair.Read(pair.server);
  EXPECT_EQ(Ahead(pair.server), 0u);
  EXPECT_EQ(pair.server.received, (std::vector<uint8_t>{'a', 'b', 'c', 'd'}));
}

// MUST-31: of any length; sixteen bits are not the limit.
TEST(UrgentData, MayBeLongerThanThePointerReaches) {
  Pair pair;
  Establish(pair);
  pair.Write(pair.client, Pattern(0, 150'000));
  WriteUrgent(pair, {'!'});
  EXPECT_EQ(pair.Sent(true).back().urgent, 0xffff);
  pair.RunFor(Duration::Seconds(5));
  EXPECT_EQ(pair.server.received.size(), 150'001u);
  EXPECT_TRUE(pair.server.events & kEventUrgent);
  const SeqNum end = pair.client.conn.snd_nxt;
  for (const WireSegment& s : pair.Sent(true)) {
    if (!s.Has(wire::kUrg) || s.urgent == 0xffff) continue;
    EXPECT_EQ(s.seq + s.urgent, end);
  }
  pair.Write(pair.client, {'x'});
  pair.RunFor(Duration::Seconds(1));
  EXPECT_FALSE(pair.Sent(true).back().Has(wire::kUrg));
}

// MUST-66: the peer hears of it although its window is shut.
TEST(UrgentData, PassesAClosedWindow) {
  Pair pair;
  Establish(pair);
  pair.server.reading = false;
  pair.Transfer(pair.client, pair.server, 1 << 20, Duration::Seconds(5));
  ASSERT_EQ(pair.client.conn.snd_wnd, 0u);
  const size_t queued = pair.server.conn.rcv_queued;
  Effects effects;
  BufferChain chain;
  // The send buffer is full: whoever wants to be urgent makes room first.
  pair.client.config.send_buffer *= 2;
  chain.PushBack(pair.client.buffers.AllocateWith(std::vector<uint8_t>{'!'}));
  ASSERT_EQ(SendUrgent(pair.client.conn, pair.client.env, chain, pair.now, effects), SendResult::kOk);
  pair.client.buffers.Release(effects.released.TakeAll());
  pair.Write(pair.client, {});
  pair.RunFor(Duration::Millis(100));
  EXPECT_TRUE(pair.server.events & kEventUrgent);
  EXPECT_EQ(pair.server.conn.rcv_queued, queued);
  EXPECT_GT(Ahead(pair.server), queued);
}

// A lost announcement comes again with the data.
TEST(UrgentData, IsRetransmittedAsSuch) {
  Pair pair;
  Establish(pair);
  int lost = 0;
  pair.drop = [&](const WireSegment& s) { return s.from_client && ++lost <= 2; };
  WriteUrgent(pair, {'a', 'b'});
  pair.RunFor(Duration::Seconds(3));
  EXPECT_TRUE(pair.server.events & kEventUrgent);
  EXPECT_EQ(pair.server.received.size(), 2u);
}

TEST(UrgentData, TheLastOctetMayBeKeptApart) {
  for (const bool alone : {false, true}) {
    Pair pair;
    Establish(pair);
    pair.server.reading = false;
    SetUrgentOutOfLine(pair.server.conn, pair.server.env, true);
    EXPECT_EQ(TakeUrgentOctet(pair.server.conn, pair.server.env), -1);
    pair.Write(pair.client, {'1', '2'});
    pair.RunFor(Duration::Millis(100));
    WriteUrgent(pair, alone ? std::vector<uint8_t>{'!'} : std::vector<uint8_t>{'3', '!'});
    pair.Write(pair.client, {'4'});
    pair.RunFor(Duration::Millis(300));
    const size_t before_mark = alone ? 2 : 3;
    EXPECT_EQ(Ahead(pair.server), before_mark);
    EXPECT_EQ(TakeUrgentOctet(pair.server.conn, pair.server.env), '!');
    EXPECT_EQ(TakeUrgentOctet(pair.server.conn, pair.server.env), -1);
    pair.Read(pair.server);
    const std::vector<uint8_t> expected =
        alone ? std::vector<uint8_t>{'1', '2', '4'} : std::vector<uint8_t>{'1', '2', '3', '4'};
    EXPECT_EQ(pair.server.received, expected);
    EXPECT_EQ(Ahead(pair.server), 0u);
    // And the stream goes on in step.
    ASSERT_EQ(pair.client.conn.snd_una, pair.client.conn.snd_nxt);
    pair.server.reading = true;
    pair.server.received.clear();
    EXPECT_TRUE(pair.Transfer(pair.client, pair.server, 100'000, Duration::Seconds(10)));
  }
}

// The urgent octet arrives out of order and comes into its place later.
TEST(UrgentData, IsKeptApartOutOfOrderToo) {
  TcpConfig config;
  config.nodelay = true;
  Pair pair(config, config);
  Establish(pair);
  SetUrgentOutOfLine(pair.server.conn, pair.server.env, true);
  bool lose = true;
  pair.drop = [&](const WireSegment& s) { return !s.payload.empty() && std::exchange(lose, false); };
  pair.Write(pair.client, {'1', '2'});
  WriteUrgent(pair, {'!'});
  pair.Write(pair.client, {'3'});
  pair.RunFor(Duration::Seconds(3));
  EXPECT_EQ(pair.server.received, (std::vector<uint8_t>{'1', '2', '3'}));
  EXPECT_EQ(TakeUrgentOctet(pair.server.conn, pair.server.env), '!');
}

}  // namespace
}  // namespace tern::tcp
