#include "tcp/sack_scoreboard.h"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <vector>

#include "base/memory_source.h"
#include "tcp/random_for_test.h"

namespace tern::tcp {
namespace {

constexpr uint32_t kMss = 1000;

Instant At(int64_t ms) { return Instant::FromNanos(ms * 1'000'000); }

class SackScoreboardTest : public testing::Test {
 protected:
  void Send(uint32_t segments, int64_t ms) {
    for (uint32_t i = 0; i < segments; ++i) {
      ASSERT_NE(queue_.Append(pool_, {.seq = nxt_, .length = kMss, .sent_at = At(ms)}),
                AppendOutcome::kNoRecord);
      nxt_ += kMss;
    }
  }
  // A block by segment numbers counted from where the connection began: [from, to).
  SeqRange Block(uint32_t from, uint32_t to) const { return {start_ + from * kMss, start_ + to * kMss}; }
  SackUpdate Sack(std::vector<SeqRange> blocks) { return board_.OnSack(pool_, queue_, blocks, una_, nxt_); }
  uint32_t MarkLost() { return board_.MarkLost(pool_, queue_, kMss); }
  void Ack(uint32_t segments) {
    una_ = start_ + segments * kMss;
    board_.OnAck(queue_.AckTo(pool_, una_), una_);
  }
  // Sends again what NextRetransmit names; returns its number, or -1.
  int Resend(bool speculative = false) {
    const RetransmitChoice choice = board_.NextRetransmit(pool_, queue_, kMss, speculative);
    if (!choice.found()) return -1;
    EXPECT_LE(choice.length, kMss);
    board_.OnRetransmit(pool_, choice.record, At(1000));
    return static_cast<int>(start_.DistanceTo(choice.seq) / kMss);
  }
  uint32_t Pipe() const { return board_.Pipe(una_, nxt_); }

  // The counters say what the marks say, and the records tile what is in flight.
  void Check() {
    uint32_t sacked = 0;
    uint32_t lost = 0;
    uint32_t retransmitted = 0;
    SeqNum expected = una_;
    bool after_sacked = false;
    for (uint32_t i = queue_.head(); i != kNoSlot; i = pool_[i].next) {
      const SendRecord& r = pool_[i];
      ASSERT_EQ(r.seq, expected);
      expected = r.end();
      ASSERT_FALSE(r.Has(kSacked) && (r.Has(kLost) || r.Has(kRetransmitted)));
      ASSERT_FALSE(after_sacked && r.Has(kSacked)) << "neighbours not merged";
      after_sacked = r.Has(kSacked);
      sacked += r.Has(kSacked) ? r.length : 0;
      lost += r.Has(kLost) ? r.length : 0;
      retransmitted += r.Has(kRetransmitted) ? r.length : 0;
    }
    ASSERT_EQ(expected, nxt_);
    ASSERT_EQ(board_.sacked_octets(), sacked);
    ASSERT_EQ(board_.lost_octets(), lost);
    ASSERT_EQ(board_.retransmitted_octets(), retransmitted);
  }

  RecordPool pool_{HeapMemory(), 100'000};
  RetransmitQueue queue_;
  SackScoreboard board_;
  const SeqNum start_{0xffffe000};
  SeqNum una_ = start_;
  SeqNum nxt_ = start_;
};

TEST_F(SackScoreboardTest, MarksAndCuts) {
  Send(10, 1);  // one record
  const SackUpdate update = Sack({Block(3, 5)});
  EXPECT_EQ(update.newly_sacked, 2 * kMss);
  EXPECT_TRUE(update.has_rtt);
  EXPECT_EQ(update.rtt_sent_at, At(1));
  EXPECT_EQ(board_.high_sacked(), start_ + 5 * kMss);
  EXPECT_EQ(pool_.in_use(), 3u);
  Check();
  EXPECT_EQ(Sack({Block(3, 5)}).newly_sacked, 0u);
  EXPECT_EQ(Sack({Block(2, 6)}).newly_sacked, 2 * kMss);
  Check();
  EXPECT_EQ(Pipe(), 6 * kMss);
}

TEST_F(SackScoreboardTest, IgnoresBlocksThatCannotBe) {
  Send(5, 1);
  Ack(2);
  const SackUpdate update = Sack({Block(3, 6), Block(4, 3), Block(3, 3), Block(1, 4), Block(0, 1)});
  EXPECT_EQ(update.newly_sacked, 0u);
  EXPECT_EQ(update.bad_blocks, 5);
  EXPECT_FALSE(update.has_dsack);
  EXPECT_TRUE(board_.clean());
}

TEST_F(SackScoreboardTest, RecognisesDuplicateReports) {
  Send(10, 1);
  Ack(4);
  // Below the cumulative ACK.
  SackUpdate update = Sack({Block(1, 2), Block(5, 6)});
  EXPECT_TRUE(update.has_dsack);
  EXPECT_EQ(update.dsack, Block(1, 2));
  EXPECT_EQ(update.newly_sacked, kMss);
  // Inside the second block.
  update = Sack({Block(5, 6), Block(5, 8)});
  EXPECT_TRUE(update.has_dsack);
  EXPECT_EQ(update.newly_sacked, 2 * kMss);
  EXPECT_TRUE(Sack({Block(7, 8), Block(5, 8)}).has_dsack);
  // An ordinary first block.
  EXPECT_FALSE(Sack({Block(5, 9), Block(5, 8)}).has_dsack);
}

TEST_F(SackScoreboardTest, LostByThreeSegmentsAbove) {
  Send(10, 1);
  Sack({Block(1, 3)});
  EXPECT_EQ(MarkLost(), 0u);
  Sack({Block(1, 4)});
  EXPECT_EQ(MarkLost(), kMss);
  EXPECT_EQ(Pipe(), 6 * kMss);  // 10 - 3 sacked - 1 lost
  EXPECT_EQ(MarkLost(), 0u);
}

TEST_F(SackScoreboardTest, LostByThreeRunsHoweverSmall) {
  for (int i = 0; i < 10; ++i) Send(1, i);
  Sack({{start_ + 1 * kMss, start_ + 1 * kMss + 1}});
  Sack({{start_ + 3 * kMss, start_ + 3 * kMss + 1}});
  EXPECT_EQ(MarkLost(), 0u);
  Sack({{start_ + 5 * kMss, start_ + 5 * kMss + 1}});
  EXPECT_EQ(MarkLost(), kMss);
  Check();
}

TEST_F(SackScoreboardTest, ResendsLostInOrderThenSpeculates) {
  Send(12, 1);
  Sack({Block(1, 2), Block(4, 5), Block(7, 9)});
  EXPECT_EQ(MarkLost(), 3 * kMss);  // 0, 2, 3: more than two segments above
  EXPECT_EQ(Resend(), 0);
  EXPECT_EQ(Resend(), 2);
  EXPECT_EQ(Resend(), 3);
  EXPECT_EQ(Resend(), -1);
  EXPECT_EQ(Pipe(), (12 - 4 - 3 + 3) * kMss);
  EXPECT_EQ(Resend(true), 5);
  EXPECT_EQ(Resend(true), 6);
  EXPECT_EQ(Resend(true), -1);  // 9 and up lie above all that is sacked
  Check();
}

TEST_F(SackScoreboardTest, RetransmissionThatArrivesLeavesThePipe) {
  Send(6, 1);
  Sack({Block(2, 6)});
  MarkLost();
  EXPECT_EQ(Resend(), 0);
  EXPECT_EQ(Resend(), 1);
  EXPECT_EQ(pool_[queue_.head()].sent_at, At(1000));
  EXPECT_EQ(pool_[queue_.head()].retransmits, 1);
  EXPECT_EQ(Pipe(), 2 * kMss);
  const SackUpdate update = Sack({Block(1, 6)});
  EXPECT_FALSE(update.has_rtt);  // Karn
  EXPECT_EQ(Pipe(), kMss);
  Ack(6);
  EXPECT_TRUE(board_.clean());
  EXPECT_EQ(Pipe(), 0u);
}

TEST_F(SackScoreboardTest, TimeoutCallsAllUnsackedLost) {
  Send(6, 1);
  Sack({Block(2, 3)});
  EXPECT_FALSE(board_.OnTimeout(pool_, queue_));
  EXPECT_EQ(board_.lost_octets(), 5 * kMss);
  EXPECT_EQ(Pipe(), 0u);
  EXPECT_EQ(Resend(), 0);
  EXPECT_EQ(Resend(), 1);
  EXPECT_EQ(Resend(), 3);
  EXPECT_EQ(Pipe(), 3 * kMss);
  Send(2, 50);
  EXPECT_EQ(Resend(), 4);
  EXPECT_EQ(Resend(), 5);
  EXPECT_EQ(Resend(), -1);  // what was sent since is not lost
  // Again: the retransmissions are gone too.
  board_.OnTimeout(pool_, queue_);
  EXPECT_EQ(Resend(), 0);
  Check();
}

TEST_F(SackScoreboardTest, TimeoutWithSndUnaSackedMeansReneging) {
  Send(6, 1);
  Sack({Block(1, 3)});
  Ack(1);  // yet 1 and 2 had been reported
  EXPECT_TRUE(board_.OnTimeout(pool_, queue_));
  EXPECT_EQ(board_.sacked_octets(), 0u);
  EXPECT_EQ(board_.lost_octets(), 5 * kMss);
  EXPECT_EQ(Resend(), 1);
  EXPECT_EQ(Resend(), 2);  // merged records are cut again
  Check();
}

TEST_F(SackScoreboardTest, LossAfterATimeoutIsFoundAmongNewData) {
  Send(4, 1);
  board_.OnTimeout(pool_, queue_);
  Send(6, 100);
  while (Resend() >= 0) {
  }
  Sack({Block(6, 10)});
  EXPECT_EQ(MarkLost(), 2 * kMss);
  EXPECT_EQ(Resend(), 4);
  EXPECT_EQ(Resend(), 5);
  EXPECT_EQ(Resend(), -1);
  Check();
}

// RFC 6582 3.2 without SACK, by hand.
TEST_F(SackScoreboardTest, NewRenoCountsDepartures) {
  Send(8, 1);
  for (int i = 0; i < 3; ++i) board_.OnSegmentDeparted(kMss);
  EXPECT_EQ(board_.MarkHeadLost(pool_, queue_, kMss), kMss);
  EXPECT_EQ(board_.MarkHeadLost(pool_, queue_, kMss), 0u);
  EXPECT_EQ(Pipe(), 4 * kMss);
  EXPECT_EQ(Resend(), 0);
  EXPECT_EQ(Pipe(), 5 * kMss);
  // A partial ACK of three segments: one resent, two that had departed.
  Ack(3);
  board_.OnSegmentsAccounted(2 * kMss);
  EXPECT_EQ(Pipe(), 4 * kMss);
  EXPECT_EQ(board_.MarkHeadLost(pool_, queue_, kMss), kMss);
  EXPECT_EQ(Resend(), 3);
  EXPECT_EQ(Resend(), -1);
  board_.OnSegmentsAccounted(100 * kMss);
  EXPECT_EQ(board_.departed_octets(), 0u);
  for (int i = 0; i < 3'000'000; ++i) board_.OnSegmentDeparted(1 << 20);
  EXPECT_EQ(Pipe(), 0u);
}

TEST_F(SackScoreboardTest, FinIsResentWithTheLastSegment) {
  Send(1, 1);
  queue_.Append(pool_, {.seq = nxt_, .length = kMss + 1, .sent_at = At(2), .marks = kSentFin});
  nxt_ += kMss + 1;
  board_.OnTimeout(pool_, queue_);
  EXPECT_EQ(board_.NextRetransmit(pool_, queue_, kMss, false).length, kMss);
  EXPECT_EQ(Resend(), 0);
  const RetransmitChoice last = board_.NextRetransmit(pool_, queue_, kMss, false);
  EXPECT_EQ(last.length, kMss + 1);
  EXPECT_TRUE(pool_[last.record].Has(kSentFin));
}

TEST_F(SackScoreboardTest, HostileCutsAreBounded) {
  Send(1000, 1);
  for (uint32_t i = 0; i < 10'000; ++i) {
    const SeqNum at = start_ + 2 * i;
    Sack({{at + 1, at + 2}});
  }
  EXPECT_LT(pool_.in_use(), 200u);
  Check();
  // Whole segments are heard all the same.
  const uint32_t before = board_.sacked_octets();
  EXPECT_EQ(Sack({Block(500, 900)}).newly_sacked, 400 * kMss);
  EXPECT_EQ(board_.sacked_octets(), before + 400 * kMss);
}

TEST_F(SackScoreboardTest, FarBlocksAreFoundInTheEnd) {
  for (int i = 0; i < 5000; ++i) Send(1, i);
  // The first at once; another, far from any mark, after some segments that repeat it.
  EXPECT_EQ(Sack({Block(100, 101)}).newly_sacked, kMss);
  int tries = 0;
  while (board_.sacked_octets() == kMss && tries < 10) {
    Sack({Block(4000, 4001)});
    ++tries;
  }
  EXPECT_GT(tries, 1);
  EXPECT_EQ(board_.sacked_octets(), 2 * kMss);
  EXPECT_EQ(Sack({Block(4000, 4002)}).newly_sacked, kMss);
  Check();
}

// The same rules over single segments, done slowly.
struct Model {
  struct Cell {
    bool sacked = false;
    bool lost = false;
    bool resent = false;
  };
  std::deque<Cell> cells;

  void MarkLost() {
    uint32_t above = 0;
    uint32_t runs = 0;
    for (size_t i = cells.size(); i-- > 0;) {
      if (cells[i].sacked) {
        ++above;
        if (i + 1 == cells.size() || !cells[i + 1].sacked) ++runs;
      } else if (above > 2 || runs >= 3) {
        cells[i].lost = true;
      }
    }
  }
  int Next(bool speculative) const {
    for (size_t i = 0; i < cells.size(); ++i) {
      if (cells[i].lost && !cells[i].resent) return static_cast<int>(i);
    }
    size_t high = 0;
    for (size_t i = 0; i < cells.size(); ++i) {
      if (cells[i].sacked) high = i;
    }
    for (size_t i = 0; speculative && i < high; ++i) {
      if (!cells[i].sacked && !cells[i].resent) return static_cast<int>(i);
    }
    return -1;
  }
  void Timeout() {
    const bool reneged = !cells.empty() && cells[0].sacked;
    for (Cell& cell : cells) {
      if (reneged) cell.sacked = false;
      cell.resent = false;
      if (!cell.sacked) cell.lost = true;
    }
  }
  uint32_t Pipe() const {
    uint32_t pipe = 0;
    for (const Cell& cell : cells) pipe += (!cell.sacked && !cell.lost) + cell.resent;
    return pipe;
  }
};

class SackScoreboardModelTest : public SackScoreboardTest, public testing::WithParamInterface<uint32_t> {
 protected:
  void Step(Random& random, int64_t now) {
    const auto outstanding = static_cast<uint32_t>(model_.cells.size());
    switch (random.Below(10)) {
      case 0:
      case 1:
        if (outstanding < 300) {
          const uint32_t count = 1 + random.Below(20);
          Send(count, now / 3);
          model_.cells.resize(outstanding + count);
        }
        break;
      case 2: {
        const uint32_t acked = outstanding == 0 ? 0 : random.Below(outstanding + 1) / (1 + random.Below(8));
        Ack(Base() + acked);
        model_.cells.erase(model_.cells.begin(), model_.cells.begin() + acked);
        break;
      }
      case 3:
      case 4:
      case 5:
        SackSome(random, outstanding);
        break;
      case 6:
        MarkLost();
        model_.MarkLost();
        break;
      case 7:
        if (random.OneIn(10)) {
          board_.OnTimeout(pool_, queue_);
          model_.Timeout();
        }
        break;
      default: {
        const bool speculative = random.OneIn(3);
        const int expected = model_.Next(speculative);
        const uint32_t base = Base();
        const int got = Resend(speculative);
        ASSERT_EQ(got < 0 ? got : got - static_cast<int>(base), expected);
        if (expected >= 0) model_.cells[static_cast<size_t>(expected)].resent = true;
      }
    }
  }
  uint32_t Base() const { return start_.DistanceTo(una_) / kMss; }
  void SackSome(Random& random, uint32_t outstanding) {
    if (outstanding == 0) return;
    std::vector<SeqRange> blocks;
    uint32_t newly = 0;
    for (uint32_t n = 1 + random.Below(3); n > 0; --n) {
      const uint32_t from = random.Below(outstanding);
      const uint32_t to = std::min(outstanding, from + 1 + random.Below(6));
      blocks.push_back(Block(Base() + from, Base() + to));
    }
    // A first block inside the second is a duplicate report and marks nothing of its own.
    for (const SeqRange& block : blocks) {
      const uint32_t from = una_.DistanceTo(block.start) / kMss;
      for (uint32_t i = from; i < from + Length(block) / kMss; ++i) {
        newly += model_.cells[i].sacked ? 0 : kMss;
        model_.cells[i] = {.sacked = true};
      }
    }
    ASSERT_EQ(Sack(blocks).newly_sacked, newly);
  }

  Model model_;
};

TEST_P(SackScoreboardModelTest, AgreesWithTheSlowModel) {
  Random random(GetParam());
  for (int step = 0; step < 10'000; ++step) {
    Step(random, step);
    Check();
    ASSERT_EQ(Pipe(), model_.Pipe() * kMss);
    SeqNum at = una_;
    uint32_t record = queue_.head();
    for (size_t i = 0; i < model_.cells.size(); ++i, at += kMss) {
      while (pool_[record].end().AtOrBefore(at)) record = pool_[record].next;
      ASSERT_EQ(pool_[record].Has(kSacked), model_.cells[i].sacked) << "cell " << i;
      ASSERT_EQ(pool_[record].Has(kLost), model_.cells[i].lost) << "cell " << i;
      ASSERT_EQ(pool_[record].Has(kRetransmitted), model_.cells[i].resent) << "cell " << i;
    }
    if (HasFatalFailure()) FAIL() << "seed " << GetParam() << " step " << step;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, SackScoreboardModelTest, testing::Values(1u, 2u, 3u, 4u));

// Any blocks whatever, and a pool that runs dry: marks, counters and tiling stay consistent.
TEST(SackScoreboardHostile, AnyBlocksAndAnEmptyPool) {
  for (uint32_t seed = 1; seed <= 4; ++seed) {
    Random random(seed);
    RecordPool pool(HeapMemory(), 40);
    RetransmitQueue queue;
    SackScoreboard board;
    SeqNum una(0xffff0000);
    SeqNum nxt = una;
    for (int step = 0; step < 20'000; ++step) {
      switch (random.Below(6)) {
        case 0: {
          const uint32_t length = 1 + random.Below(5000);
          if (una.DistanceTo(nxt) < 200'000 &&
              queue.Append(pool, {.seq = nxt, .length = length, .sent_at = At(step)}) !=
                  AppendOutcome::kNoRecord) {
            nxt += length;
          }
          break;
        }
        case 1:
          una += random.Below(una.DistanceTo(nxt) + 1) / 3;
          board.OnAck(queue.AckTo(pool, una), una);
          break;
        case 2: {
          std::array<SeqRange, 4> blocks;
          for (SeqRange& block : blocks) {
            block.start = una + random.Below(250'000) - 20'000;
            block.end = block.start + random.Below(20'000) - 100;
          }
          board.OnSack(pool, queue, blocks, una, nxt);
          break;
        }
        case 3:
          board.MarkLost(pool, queue, 1 + random.Below(3000));
          break;
        case 4: {
          const RetransmitChoice choice =
              board.NextRetransmit(pool, queue, 1 + random.Below(3000), random.OneIn(2));
          if (choice.found()) board.OnRetransmit(pool, choice.record, At(step));
          break;
        }
        default:
          if (random.OneIn(8)) board.OnTimeout(pool, queue);
          if (random.OneIn(8)) board.MarkHeadLost(pool, queue, 1 + random.Below(3000));
      }
      uint32_t sacked = 0;
      uint32_t lost = 0;
      uint32_t retransmitted = 0;
      SeqNum expected = una;
      for (uint32_t i = queue.head(); i != kNoSlot; i = pool[i].next) {
        ASSERT_EQ(pool[i].seq, expected);
        expected = pool[i].end();
        sacked += pool[i].Has(kSacked) ? pool[i].length : 0;
        lost += pool[i].Has(kLost) ? pool[i].length : 0;
        retransmitted += pool[i].Has(kRetransmitted) ? pool[i].length : 0;
      }
      ASSERT_EQ(expected, nxt) << "seed " << seed << " step " << step;
      ASSERT_EQ(board.sacked_octets(), sacked) << "seed " << seed << " step " << step;
      ASSERT_EQ(board.lost_octets(), lost) << "seed " << seed << " step " << step;
      ASSERT_EQ(board.retransmitted_octets(), retransmitted) << "seed " << seed << " step " << step;
    }
    queue.Clear(pool);
    EXPECT_EQ(pool.in_use(), 0u);
  }
}

}  // namespace
}  // namespace tern::tcp
