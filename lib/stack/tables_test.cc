// Connection slots, listeners, TIME-WAIT, half-open: the tables of a shard, one by one.
#include <gtest/gtest.h>

#include <vector>

#include "stack/connection_table.h"
#include "stack/half_open.h"
#include "stack/listeners.h"
#include "stack/time_wait.h"

namespace tern::stack {
namespace {

constexpr Instant At(int64_t millis) { return Instant::FromNanos(millis * 1'000'000); }

const wire::FlowKey kKey{wire::IpAddress::FromV4(10, 77, 0, 1), wire::IpAddress::FromV4(10, 77, 0, 2), 7,
                         40'000};

tcp::SegmentView Segment(uint8_t flags, uint32_t seq, uint32_t ack = 0, uint32_t length = 0) {
  tcp::SegmentView s;
  s.flags = flags;
  s.seq = SeqNum(seq);
  s.ack = SeqNum(ack);
  s.payload_length = length;
  return s;
}

TEST(ConnectionTable, StaleHandlesFindNothing) {
  ConnectionTable table(HeapMemory(), 2);
  const uint32_t a = table.Allocate();
  const uint32_t generation = table[a].generation;
  EXPECT_NE(table.Find(a, generation), nullptr);
  EXPECT_EQ(table.Find(a, generation + 1), nullptr);
  EXPECT_EQ(table.Find(a, 0), nullptr);
  EXPECT_EQ(table.Find(kNoSlot, generation), nullptr);
  EXPECT_EQ(table.Find(12345, 1), nullptr);
  table.Release(a);
  EXPECT_EQ(table.Find(a, generation), nullptr);
  const uint32_t b = table.Allocate();
  EXPECT_EQ(b, a);
  EXPECT_EQ(table.Find(b, generation), nullptr);
  EXPECT_NE(table.Allocate(), kNoSlot);
  EXPECT_EQ(table.Allocate(), kNoSlot);
}

TEST(ConnectionTable, KnowsWhetherTheWheelComesInTime) {
  Slot slot;
  EXPECT_TRUE(slot.ComesBeforeArmed(At(5000)));
  slot.Set(kSlotArmed);
  slot.armed = Slot::ArmUnit(At(1000));
  EXPECT_TRUE(slot.ComesBeforeArmed(At(900)));
  EXPECT_FALSE(slot.ComesBeforeArmed(At(1000)));
  EXPECT_FALSE(slot.ComesBeforeArmed(At(2000)));
  // Across the wrap of sixteen bits, at about 4.29 s.
  slot.armed = Slot::ArmUnit(At(4300));
  EXPECT_TRUE(slot.ComesBeforeArmed(At(4280)));
  EXPECT_FALSE(slot.ComesBeforeArmed(At(4310)));
}

TEST(Listeners, AnAddressGoesBeforeAll) {
  ListenerTable table(8);
  uint32_t any = 0;
  uint32_t one = 0;
  ASSERT_NE(table.Add(wire::IpAddress::UnspecifiedV4(), 7, &any), nullptr);
  EXPECT_TRUE(table.Taken(wire::IpAddress(), 7));
  EXPECT_FALSE(table.Taken(kKey.local, 7));
  ASSERT_NE(table.Add(kKey.local, 7, &one), nullptr);
  EXPECT_EQ(table.Find(kKey.local, 7), one);
  EXPECT_EQ(table.Find(kKey.remote, 7), any);
  EXPECT_EQ(table.Find(*wire::IpAddress::Parse("fd77::1"), 7), any);
  EXPECT_EQ(table.Find(kKey.local, 8), 0u);
  table.Remove(one);
  EXPECT_EQ(table.Find(kKey.local, 7), any);
  EXPECT_EQ(table.Get(one), nullptr);
  table.Remove(one);
  EXPECT_EQ(table.in_use(), 1u);
}

TEST(Listeners, OldIdsNameNobodyAndTheTableIsBounded) {
  ListenerTable table(3);
  std::vector<uint32_t> ids(4);
  for (uint16_t i = 0; i < 3; ++i)
    ASSERT_NE(table.Add(wire::IpAddress(), static_cast<uint16_t>(7 + 16 * i), &ids[i]), nullptr);
  EXPECT_EQ(table.Add(wire::IpAddress(), 99, &ids[3]), nullptr);
  table.Remove(ids[1]);
  ASSERT_NE(table.Add(wire::IpAddress(), 99, &ids[3]), nullptr);
  EXPECT_EQ(table.Get(ids[1]), nullptr);
  EXPECT_EQ(table.Find(kKey.local, 23), 0u);
  EXPECT_EQ(table.Find(kKey.local, 7), ids[0]);
  EXPECT_EQ(table.Find(kKey.local, 39), ids[2]);
  EXPECT_EQ(table.Get(0), nullptr);
}

TEST(TimeWait, JudgesWhatArrives) {
  TimeWaitEntry entry;
  entry.snd_nxt = SeqNum(500);
  entry.rcv_nxt = SeqNum(1000);
  using Action = TimeWaitAction;
  using namespace wire;  // flags
  EXPECT_EQ(JudgeTimeWait(entry, Segment(kRst, 1000), true), Action::kIgnore);
  EXPECT_EQ(JudgeTimeWait(entry, Segment(kRst | kAck, 1000, 500), true), Action::kIgnore);
  EXPECT_EQ(JudgeTimeWait(entry, Segment(kFin | kAck, 999, 500), true), Action::kAckAndRestart);
  EXPECT_EQ(JudgeTimeWait(entry, Segment(kFin | kAck, 989, 500, 10), true), Action::kAckAndRestart);
  EXPECT_EQ(JudgeTimeWait(entry, Segment(kFin | kAck, 900, 500), true), Action::kAck);
  EXPECT_EQ(JudgeTimeWait(entry, Segment(kAck, 900, 500, 10), true), Action::kAck);
  EXPECT_EQ(JudgeTimeWait(entry, Segment(kAck, 1000, 500), true), Action::kIgnore);
  EXPECT_EQ(JudgeTimeWait(entry, Segment(kSyn, 1001), true), Action::kReuse);
  EXPECT_EQ(JudgeTimeWait(entry, Segment(kSyn, 1000), true), Action::kAck);
  EXPECT_EQ(JudgeTimeWait(entry, Segment(kSyn, 999), true), Action::kAck);
  EXPECT_EQ(JudgeTimeWait(entry, Segment(kSyn | kAck, 2000, 500), true), Action::kAck);
}

TEST(TimeWait, TimestampsDecideAboutReuse) {
  TimeWaitEntry entry;
  entry.rcv_nxt = SeqNum(1000);
  entry.timestamps = true;
  entry.ts_recent = 0xfffffff0;
  tcp::SegmentView syn = Segment(wire::kSyn, 10);  // the sequence number alone would say no
  EXPECT_EQ(JudgeTimeWait(entry, syn, true), TimeWaitAction::kAck);
  syn.options.has_timestamp = true;
  syn.options.tsval = 5;  // later, across the wrap
  EXPECT_EQ(JudgeTimeWait(entry, syn, true), TimeWaitAction::kReuse);
  syn.options.tsval = 0xffffffef;
  syn.seq = SeqNum(5000);
  EXPECT_EQ(JudgeTimeWait(entry, syn, true), TimeWaitAction::kAck);
  syn.options.tsval = entry.ts_recent;
  EXPECT_EQ(JudgeTimeWait(entry, syn, true), TimeWaitAction::kReuse);
  syn.seq = SeqNum(10);
  EXPECT_EQ(JudgeTimeWait(entry, syn, true), TimeWaitAction::kAck);
  // RFC 6191 2: only the new connection would have timestamps, so PAWS tells the two apart.
  entry.timestamps = false;
  EXPECT_EQ(JudgeTimeWait(entry, syn, true), TimeWaitAction::kReuse);
  EXPECT_EQ(JudgeTimeWait(entry, syn, /*use_timestamps=*/false), TimeWaitAction::kAck);
  syn.seq = SeqNum(1001);
  EXPECT_EQ(JudgeTimeWait(entry, syn, /*use_timestamps=*/false), TimeWaitAction::kReuse);
}

TEST(TimeWait, ExpiresInOrderAndRestarts) {
  TimeWaitTable table(HeapMemory(), 2, Duration::Seconds(60));
  EXPECT_EQ(table.NextDeadline(At(0)), Instant::Never());
  const uint32_t a = table.Add(kKey, {}, At(0));
  const uint32_t b = table.Add(kKey.Reversed(), {}, At(1000));
  EXPECT_EQ(table.Add(kKey, {}, At(2000)), kNoSlot);
  EXPECT_EQ(table.Oldest(), a);
  EXPECT_TRUE(table[b].Matches(kKey.Reversed()));
  EXPECT_EQ(table[b].Key(), kKey.Reversed());
  table.Restart(a, At(2000));
  EXPECT_EQ(table.Oldest(), b);
  EXPECT_EQ(table.Expired(At(60'999)), kNoSlot);
  EXPECT_EQ(table.Expired(At(61'001)), b);
  EXPECT_GE(table.NextDeadline(At(3000)), At(61'000));
  table.Remove(b);
  EXPECT_EQ(table.Expired(At(61'001)), kNoSlot);
  EXPECT_EQ(table.Expired(At(62'001)), a);
  table.Remove(a);
  EXPECT_EQ(table.in_use(), 0u);
}

HalfOpen Entry() {
  HalfOpen entry;
  entry.key = kKey;
  entry.irs = SeqNum(1000);
  entry.iss = SeqNum(42);
  return entry;
}

struct HalfOpenCase {
  const char* what;
  tcp::SegmentView segment;
  HalfOpenAction action;
  DropReason drop;
};

TEST(HalfOpen, JudgesInTheOrderOfTheRfc) {
  using namespace wire;  // flags
  const HalfOpenCase cases[] = {
      {"the SYN again", Segment(kSyn, 1000), HalfOpenAction::kResend, DropReason::kNone},
      {"the ACK", Segment(kAck, 1001, 43), HalfOpenAction::kComplete, DropReason::kNone},
      {"the ACK with data", Segment(kAck, 1001, 43, 10), HalfOpenAction::kComplete, DropReason::kNone},
      {"the ACK with FIN", Segment(kAck | kFin, 1001, 43), HalfOpenAction::kComplete, DropReason::kNone},
      {"ACK of too little", Segment(kAck, 1001, 42), HalfOpenAction::kReset, DropReason::kTcpBadAck},
      {"ACK of too much", Segment(kAck, 1001, 44), HalfOpenAction::kReset, DropReason::kTcpBadAck},
      {"data before the window", Segment(kAck, 900, 43, 10), HalfOpenAction::kAck,
       DropReason::kTcpOutOfWindow},
      {"data behind the window", Segment(kAck, 1001 + 65'535, 43, 1), HalfOpenAction::kAck,
       DropReason::kTcpOutOfWindow},
      {"exact RST", Segment(kRst, 1001), HalfOpenAction::kForget, DropReason::kNone},
      {"RST in the window", Segment(kRst, 1002), HalfOpenAction::kAck, DropReason::kTcpRstChallenged},
      {"RST elsewhere", Segment(kRst, 1000), HalfOpenAction::kIgnore, DropReason::kTcpRstOutOfWindow},
      {"another SYN in the window", Segment(kSyn, 1005), HalfOpenAction::kRestart, DropReason::kNone},
      {"SYN-ACK in the window", Segment(kSyn | kAck, 1005, 43), HalfOpenAction::kAck,
       DropReason::kTcpSynInWindow},
      {"another SYN elsewhere", Segment(kSyn, 7), HalfOpenAction::kAck, DropReason::kTcpOutOfWindow},
      {"no ACK bit", Segment(kFin, 1001), HalfOpenAction::kIgnore, DropReason::kTcpNoAck},
  };
  for (const HalfOpenCase& c : cases) {
    const HalfOpenVerdict verdict = JudgeHalfOpen(Entry(), c.segment, 65'535);
    EXPECT_EQ(verdict.action, c.action) << c.what;
    EXPECT_EQ(verdict.drop, c.drop) << c.what;
  }
}

TEST(HalfOpen, TimestampsOnceAgreedAreRequiredAndChecked) {
  HalfOpen entry = Entry();
  entry.timestamps = true;
  entry.ts_recent = 100;
  tcp::SegmentView ack = Segment(wire::kAck, 1001, 43);
  EXPECT_EQ(JudgeHalfOpen(entry, ack, 65'535).drop, DropReason::kTcpMissingTimestamp);
  ack.options.has_timestamp = true;
  ack.options.tsval = 99;
  EXPECT_EQ(JudgeHalfOpen(entry, ack, 65'535).drop, DropReason::kTcpPaws);
  ack.options.tsval = 100;
  EXPECT_EQ(JudgeHalfOpen(entry, ack, 65'535).action, HalfOpenAction::kComplete);
}

TEST(HalfOpen, OffersOnlyWhatWasOffered) {
  HalfOpen entry = Entry();
  wire::TcpOptions plain = SynAckOptions(entry, 1460, 7);
  EXPECT_TRUE(plain.has_mss);
  EXPECT_EQ(plain.mss, 1460);
  EXPECT_FALSE(plain.has_wscale || plain.has_timestamp || plain.sack_permitted);
  entry.peer_scale = 0;
  entry.timestamps = true;
  entry.sack = true;
  entry.ts_recent = 9;
  wire::TcpOptions all = SynAckOptions(entry, 1460, 7);
  EXPECT_TRUE(all.has_wscale && all.has_timestamp && all.sack_permitted);
  EXPECT_EQ(all.wscale, 7);
  EXPECT_EQ(all.tsecr, 9u);
}

TEST(HalfOpen, RepeatsWithDoublingThenGivesUp) {
  tcp::TcpConfig config;
  config.synack_retries = 3;
  HalfOpenTable table(HeapMemory(), 4, config);
  const uint32_t a = table.Add(At(0));
  const uint32_t b = table.Add(At(500));
  EXPECT_EQ(table.Due(At(999)), kNoSlot);
  EXPECT_EQ(table.NextDeadline(), At(1000));
  EXPECT_EQ(table.Due(At(1000)), a);
  EXPECT_TRUE(table.Retry(a, At(1000)));
  EXPECT_EQ(table.Due(At(1600)), b);
  table.Remove(b);
  EXPECT_EQ(table.Due(At(2999)), kNoSlot);
  EXPECT_EQ(table.Due(At(3000)), a);
  EXPECT_TRUE(table.Retry(a, At(3000)));
  EXPECT_EQ(table.NextDeadline(), At(7000));
  EXPECT_TRUE(table.Retry(a, At(7000)));
  EXPECT_EQ(table.NextDeadline(), At(15'000));
  EXPECT_FALSE(table.Retry(a, At(15'000)));
  table.Remove(a);
  EXPECT_EQ(table.NextDeadline(), Instant::Never());
}

TEST(HalfOpen, TableIsBoundedAndWalkable) {
  HalfOpenTable table(HeapMemory(), 3, tcp::TcpConfig{});
  for (int i = 0; i < 3; ++i) EXPECT_NE(table.Add(At(i)), kNoSlot);
  EXPECT_EQ(table.Add(At(9)), kNoSlot);
  ASSERT_TRUE(table.Retry(1, At(1000)));
  int seen = 0;
  table.ForEach([&](uint32_t i) {
    ++seen;
    table.Remove(i);
  });
  EXPECT_EQ(seen, 3);
  EXPECT_EQ(table.in_use(), 0u);
}

}  // namespace
}  // namespace tern::stack
