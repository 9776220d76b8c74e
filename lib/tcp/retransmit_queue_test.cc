#include "tcp/retransmit_queue.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/memory_source.h"
#include "tcp/random_for_test.h"

namespace tern::tcp {
namespace {

Instant At(int64_t ms) { return Instant::FromNanos(ms * 1'000'000); }

class RetransmitQueueTest : public testing::Test {
 protected:
  AppendOutcome Send(uint32_t length, int64_t ms, uint8_t marks = 0) {
    const AppendOutcome outcome =
        queue_.Append(pool_, {.seq = nxt_, .length = length, .sent_at = At(ms), .marks = marks});
    if (outcome != AppendOutcome::kNoRecord) nxt_ += length;
    return outcome;
  }
  // Every link is sound and the records tile [una, nxt).
  void Check(SeqNum una) {
    SeqNum expected = una;
    uint32_t previous = kNoSlot;
    uint32_t count = 0;
    for (uint32_t i = queue_.head(); i != kNoSlot; i = pool_[i].next) {
      ASSERT_EQ(pool_[i].seq, expected);
      ASSERT_EQ(pool_[i].prev, previous);
      ASSERT_GT(pool_[i].length, 0u);
      expected = pool_[i].end();
      previous = i;
      ++count;
    }
    ASSERT_EQ(expected, nxt_);
    ASSERT_EQ(queue_.tail(), previous);
    ASSERT_EQ(pool_.in_use(), count);
  }

  // One of the first few; kNoSlot when there is none.
  uint32_t AnyRecord(Random& random) const {
    uint32_t record = queue_.head();
    for (uint32_t steps = random.Below(6); steps > 0 && record != queue_.tail(); --steps)
      record = pool_[record].next;
    return record;
  }

  RecordPool pool_{HeapMemory(), 1000};
  RetransmitQueue queue_;
  SeqNum nxt_{0xffffff00};
};

TEST_F(RetransmitQueueTest, TheOnlyRangeIsRecordedAndAckedTheShortWay) {
  const SeqNum una = nxt_;
  ASSERT_TRUE(queue_.AppendOnly(pool_, nxt_, 100, At(1)));
  nxt_ += 100;
  Check(una);
  const SendRecord record = pool_[queue_.head()];
  EXPECT_EQ(record.sent_at, At(1));
  EXPECT_EQ(record.marks, 0);
  EXPECT_EQ(record.retransmits, 0);
  EXPECT_FALSE(queue_.AppendOnly(pool_, nxt_, 100, At(2))) << "there is one in flight";
  Check(una);
  EXPECT_EQ(Send(100, 2), AppendOutcome::kRecorded) << "the long way follows on";
  EXPECT_EQ(queue_.AckTo(pool_, una + 100).acked, 100u);
  Instant sent_at;
  EXPECT_FALSE(queue_.AckOnly(pool_, una + 150, &sent_at));
  EXPECT_TRUE(queue_.AckOnly(pool_, una + 200, &sent_at));
  EXPECT_EQ(sent_at, At(2));
  Check(nxt_);

  RecordPool none(HeapMemory(), 0);
  EXPECT_FALSE(queue_.AppendOnly(none, nxt_, 100, At(3)));
  EXPECT_TRUE(queue_.empty());
}

TEST_F(RetransmitQueueTest, AckFreesWholeRecordsAndCutsOne) {
  const SeqNum una = nxt_;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Send(100, i), AppendOutcome::kRecorded);
  Check(una);
  const AckResult r = queue_.AckTo(pool_, una + 250);
  EXPECT_EQ(r.acked, 250u);
  EXPECT_EQ(r.records_freed, 2u);
  EXPECT_TRUE(r.has_rtt);
  EXPECT_EQ(r.rtt_sent_at, At(2));
  Check(una + 250);
  EXPECT_EQ(queue_.AckTo(pool_, una + 250).acked, 0u);
  EXPECT_EQ(queue_.AckTo(pool_, una).acked, 0u);
  EXPECT_EQ(queue_.AckTo(pool_, una + 500).acked, 250u);
  EXPECT_TRUE(queue_.empty());
  EXPECT_EQ(pool_.in_use(), 0u);
}

TEST_F(RetransmitQueueTest, OneBurstSharesARecord) {
  EXPECT_EQ(Send(1460, 1), AppendOutcome::kRecorded);
  EXPECT_EQ(Send(1460, 1), AppendOutcome::kJoined);
  EXPECT_EQ(Send(1460, 2), AppendOutcome::kRecorded);
  EXPECT_EQ(Send(1, 2, kSentFin), AppendOutcome::kRecorded);
  EXPECT_EQ(pool_.in_use(), 3u);
  EXPECT_EQ(pool_[queue_.head()].length, 2920u);
}

TEST_F(RetransmitQueueTest, KarnTakesNoSampleFromWhatWasSentTwice) {
  const SeqNum una = nxt_;
  Send(100, 1);
  Send(100, 2);
  pool_[queue_.head()].retransmits = 1;
  const AckResult r = queue_.AckTo(pool_, una + 200);
  EXPECT_FALSE(r.has_rtt);
  EXPECT_TRUE(r.any_retransmitted);
}

TEST_F(RetransmitQueueTest, NoSampleFromWhatSackReportedEarlier) {
  const SeqNum una = nxt_;
  Send(100, 1);
  Send(100, 2);
  pool_[queue_.tail()].marks = kSacked;
  const AckResult r = queue_.AckTo(pool_, una + 200);
  EXPECT_TRUE(r.has_rtt);
  EXPECT_EQ(r.rtt_sent_at, At(1));
  EXPECT_EQ(r.sacked, 100u);
  EXPECT_EQ(r.sacked_records, 1u);
  EXPECT_EQ(r.records_freed, 2u);
}

TEST_F(RetransmitQueueTest, CountsMarksOfWhatIsAcked) {
  const SeqNum una = nxt_;
  Send(100, 1);
  Send(100, 2);
  pool_[queue_.head()].marks = kLost | kRetransmitted;
  const AckResult r = queue_.AckTo(pool_, una + 60);
  EXPECT_EQ(r.lost, 60u);
  EXPECT_EQ(r.retransmitted, 60u);
  EXPECT_EQ(pool_[queue_.head()].length, 40u);
}

TEST_F(RetransmitQueueTest, SplitAndMergeAreInverse) {
  const SeqNum una = nxt_;
  Send(1, 1, kSentSyn);
  Send(301, 2, kSentFin);
  const uint32_t record = queue_.tail();
  EXPECT_FALSE(queue_.Split(pool_, record, 0));
  EXPECT_FALSE(queue_.Split(pool_, record, 301));
  ASSERT_TRUE(queue_.Split(pool_, record, 100));
  Check(una);
  EXPECT_FALSE(pool_[record].Has(kSentFin));
  EXPECT_TRUE(pool_[queue_.tail()].Has(kSentFin));
  EXPECT_EQ(pool_[queue_.tail()].sent_at, At(2));
  queue_.MergeNext(pool_, record);
  Check(una);
  EXPECT_EQ(pool_[record].length, 301u);
  EXPECT_TRUE(pool_[record].Has(kSentFin));
  EXPECT_FALSE(pool_[record].Has(kMixedTimes));
  queue_.MergeNext(pool_, queue_.head());
  EXPECT_TRUE(pool_[queue_.head()].Has(kMixedTimes));
  EXPECT_EQ(pool_[queue_.head()].sent_at, At(2));
  queue_.Clear(pool_);
  EXPECT_EQ(pool_.in_use(), 0u);
  EXPECT_TRUE(queue_.empty());
  EXPECT_EQ(queue_.tail(), kNoSlot);
}

TEST(RetransmitQueueExhaustion, LastRecordStretchesAndNothingIsForgotten) {
  RecordPool pool(HeapMemory(), 2);
  RetransmitQueue queue;
  SeqNum nxt(0);
  const auto send = [&](int64_t ms, uint8_t marks = 0) {
    const AppendOutcome outcome =
        queue.Append(pool, {.seq = nxt, .length = 100, .sent_at = At(ms), .marks = marks});
    if (outcome != AppendOutcome::kNoRecord) nxt += 100;
    return outcome;
  };
  EXPECT_EQ(send(1), AppendOutcome::kRecorded);
  EXPECT_EQ(send(2), AppendOutcome::kRecorded);
  EXPECT_EQ(send(3), AppendOutcome::kJoined);
  EXPECT_EQ(send(4, kSentFin), AppendOutcome::kJoined);
  EXPECT_EQ(pool[queue.tail()].length, 300u);
  EXPECT_EQ(pool[queue.tail()].sent_at, At(4));
  EXPECT_TRUE(pool[queue.tail()].Has(kSentFin));
  EXPECT_FALSE(queue.Split(pool, queue.tail(), 10));
  const AckResult r = queue.AckTo(pool, nxt);
  EXPECT_EQ(r.acked, 400u);
  // The stretched record has no single time; the sample comes from the other.
  EXPECT_EQ(r.rtt_sent_at, At(1));
}

TEST_F(RetransmitQueueTest, TheDeliverySnapshotOfAnotherTimeIsAnotherHistory) {
  const DeliverySnapshot earlier{.delivered = 1};
  const DeliverySnapshot later{.delivered = 2};
  ASSERT_EQ(queue_.Append(pool_, {.seq = nxt_, .length = 10, .sent_at = At(1), .delivery = earlier}),
            AppendOutcome::kRecorded);
  EXPECT_EQ(queue_.Append(pool_, {.seq = nxt_ + 10, .length = 10, .sent_at = At(1), .delivery = earlier}),
            AppendOutcome::kJoined);
  EXPECT_EQ(queue_.Append(pool_, {.seq = nxt_ + 20, .length = 10, .sent_at = At(1), .delivery = later}),
            AppendOutcome::kRecorded);
}

TEST(RetransmitQueueExhaustion, MarkedRecordsAreNotStretched) {
  RecordPool pool(HeapMemory(), 1);
  RetransmitQueue queue;
  ASSERT_EQ(queue.Append(pool, {.seq = SeqNum(0), .length = 100, .sent_at = At(1)}),
            AppendOutcome::kRecorded);
  pool[queue.head()].marks = kSacked;
  EXPECT_EQ(queue.Append(pool, {.seq = SeqNum(100), .length = 100, .sent_at = At(2)}),
            AppendOutcome::kNoRecord);
  RetransmitQueue other;
  EXPECT_EQ(other.Append(pool, {.seq = SeqNum(0), .length = 1, .sent_at = At(2)}), AppendOutcome::kNoRecord);
}

TEST_F(RetransmitQueueTest, RandomOperationsKeepTheTiling) {
  Random random(11);
  SeqNum una = nxt_;
  for (int step = 0; step < 20'000; ++step) {
    switch (random.Below(4)) {
      case 0:
        if (una.DistanceTo(nxt_) < 100'000) Send(1 + random.Below(3000), step / 4);
        break;
      case 1: {
        const uint32_t outstanding = una.DistanceTo(nxt_);
        const uint32_t ack = outstanding == 0 ? 0 : random.Below(outstanding + 1) / 4;
        ASSERT_EQ(queue_.AckTo(pool_, una + ack).acked, ack);
        una += ack;
        break;
      }
      case 2:
        if (!queue_.empty()) queue_.Split(pool_, AnyRecord(random), random.Below(2000));
        break;
      default:
        if (const uint32_t record = AnyRecord(random); record != queue_.tail())
          queue_.MergeNext(pool_, record);
    }
    Check(una);
    if (HasFatalFailure()) FAIL() << "step " << step;
  }
}

}  // namespace
}  // namespace tern::tcp
