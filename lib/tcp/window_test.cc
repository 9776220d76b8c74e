#include "tcp/window.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "tcp/random_for_test.h"

namespace tern::tcp {
namespace {

TEST(WindowShift, SmallestThatReaches) {
  EXPECT_EQ(WindowShiftFor(0), 0);
  EXPECT_EQ(WindowShiftFor(65'535), 0);
  EXPECT_EQ(WindowShiftFor(65'536), 1);
  EXPECT_EQ(WindowShiftFor(6 << 20), 7);
  EXPECT_EQ(WindowShiftFor(1u << 30), 14);
  EXPECT_EQ(WindowShiftFor(0xffffffff), 14);
}

ReceiveWindow Fresh(uint32_t buffer) {
  return {.rcv_nxt = SeqNum(1000), .rcv_adv = SeqNum(1000), .free = buffer, .buffer = buffer, .rmss = 1000};
}

TEST(OfferWindow, FirstOfferIsTheBuffer) {
  const WindowOffer offer = OfferWindow(Fresh(64'000));
  EXPECT_EQ(offer.field, 64'000);
  EXPECT_EQ(offer.right_edge, SeqNum(65'000));
  EXPECT_EQ(OfferWindow(Fresh(100'000)).field, 65'535);
}

TEST(OfferWindow, EdgeStaysWhileTheApplicationReadsLittle) {
  ReceiveWindow w = Fresh(10'000);
  w.rcv_adv = OfferWindow(w).right_edge;
  w.rcv_nxt += 10'000;
  for (w.free = 0; w.free < 1000; w.free += 100) {
    EXPECT_EQ(OfferWindow(w).field, 0) << w.free;
    EXPECT_FALSE(UpdateWorthSending(w));
  }
  w.free = 1000;
  EXPECT_EQ(OfferWindow(w).field, 1000);
  EXPECT_TRUE(UpdateWorthSending(w));
}

TEST(OfferWindow, HalfTheBufferIsEnoughWhenItIsSmall) {
  ReceiveWindow w{.rcv_nxt = SeqNum(0), .rcv_adv = SeqNum(0), .free = 299, .buffer = 600, .rmss = 1460};
  EXPECT_EQ(OfferWindow(w).field, 0);
  w.free = 300;
  EXPECT_EQ(OfferWindow(w).field, 300);
}

TEST(OfferWindow, NeverTakesBackWhatWasOffered) {
  ReceiveWindow w = Fresh(60'000);
  w.rcv_adv = OfferWindow(w).right_edge;
  w.rcv_nxt += 100;
  w.free = 5'000;  // the buffer shrank under it
  const WindowOffer offer = OfferWindow(w);
  EXPECT_EQ(offer.right_edge, w.rcv_adv);
  EXPECT_EQ(offer.field, 59'900);
}

TEST(OfferWindow, RoundsUpWhereScalingWouldShrink) {
  ReceiveWindow w = Fresh(1 << 20);
  w.shift = 7;
  w.rcv_adv = OfferWindow(w).right_edge;
  const SeqNum edge = w.rcv_adv;
  w.rcv_nxt += 1;
  w.free -= 1;
  const WindowOffer offer = OfferWindow(w);
  const SeqNum understood = w.rcv_nxt + (uint32_t{offer.field} << 7);
  EXPECT_TRUE(understood.AtOrAfter(edge));
  EXPECT_LT(edge.DistanceTo(understood), 128u);
  EXPECT_EQ(offer.right_edge, understood);
}

// Whatever happens, the edge the peer understands never moves left, and exceeds the room by less than one
// unit.
TEST(OfferWindow, RandomWalkKeepsItsPromises) {
  Random random(7);
  for (const uint8_t shift : std::to_array<uint8_t>({0, 3, 7, 14})) {
    const uint32_t buffer = 200'000u << (shift / 2);
    uint32_t queued = 0;
    ReceiveWindow w{.rcv_nxt = SeqNum(0xfffffff0),
                    .rcv_adv = SeqNum(0xfffffff0),
                    .buffer = buffer,
                    .rmss = 1460,
                    .shift = shift};
    for (int step = 0; step < 20'000; ++step) {
      w.free = buffer - queued;
      const WindowOffer offer = OfferWindow(w);
      const SeqNum told = w.rcv_nxt + (uint32_t{offer.field} << shift);
      ASSERT_TRUE(offer.right_edge.AtOrAfter(w.rcv_adv)) << "step " << step;
      ASSERT_TRUE(told.AtOrBefore(offer.right_edge));
      ASSERT_LT(told.DistanceTo(offer.right_edge), 1u << shift);
      ASSERT_LT(w.rcv_nxt.DistanceTo(offer.right_edge), uint64_t{w.free} + (1u << shift)) << "step " << step;
      w.rcv_adv = offer.right_edge;
      // The peer fills some of it, within our room; the application reads some.
      const uint32_t most = std::min(w.rcv_nxt.DistanceTo(told), w.free);
      const uint32_t arrived = std::min<uint32_t>(most, random.Below(5'000));
      w.rcv_nxt += arrived;
      queued += arrived;
      if (random.Below(3) == 0) queued -= std::min<uint32_t>(queued, random.Below(20'000));
    }
  }
}

// A peer that sends single octets into a window that nobody reads must run against a wall.
TEST(OfferWindow, RoundingDoesNotRatchetTheEdge) {
  ReceiveWindow w{
      .rcv_nxt = SeqNum(0), .rcv_adv = SeqNum(0), .free = 1280, .buffer = 1280, .rmss = 1460, .shift = 7};
  uint32_t sent = 0;
  for (; sent < 10'000; ++sent) {
    const WindowOffer offer = OfferWindow(w);
    w.rcv_adv = offer.right_edge;
    if (offer.field == 0) break;
    w.rcv_nxt += 1;
    if (w.free > 0) --w.free;
  }
  EXPECT_LT(sent, 1280u + 128u);
}

TEST(UpdateWorthSending, WhenTheOfferDoubles) {
  ReceiveWindow w = Fresh(40'000);
  w.rcv_adv = w.rcv_nxt + 10'000;
  w.free = 19'999;
  EXPECT_FALSE(UpdateWorthSending(w));
  w.free = 20'000;
  EXPECT_TRUE(UpdateWorthSending(w));
  w.rcv_adv = w.rcv_nxt + 40'000;
  EXPECT_FALSE(UpdateWorthSending(w));
}

TEST(UpdateWorthSending, RoundingUpIsNoUpdate) {
  const ReceiveWindow w{
      .rcv_nxt = SeqNum(0), .rcv_adv = SeqNum(1), .free = 50, .buffer = 1 << 20, .rmss = 1460, .shift = 7};
  EXPECT_FALSE(UpdateWorthSending(w));
}

TEST(WindowUpdate, OnlyFromNewerSegments) {
  const SeqNum wl1(100);
  const SeqNum wl2(500);
  EXPECT_TRUE(WindowUpdateIsNewer(SeqNum(101), SeqNum(400), wl1, wl2));
  EXPECT_TRUE(WindowUpdateIsNewer(SeqNum(100), SeqNum(500), wl1, wl2));
  EXPECT_TRUE(WindowUpdateIsNewer(SeqNum(100), SeqNum(501), wl1, wl2));
  EXPECT_FALSE(WindowUpdateIsNewer(SeqNum(100), SeqNum(499), wl1, wl2));
  EXPECT_FALSE(WindowUpdateIsNewer(SeqNum(99), SeqNum(600), wl1, wl2));
}

TEST(UsableWindow, LessWhatIsInFlight) {
  EXPECT_EQ(UsableWindow(SeqNum(0xffffff00), SeqNum(0x100), 0x300), 0x100u);
  EXPECT_EQ(UsableWindow(SeqNum(0), SeqNum(500), 400), 0u);  // the peer shrank it
  EXPECT_EQ(UsableWindow(SeqNum(0), SeqNum(0), 400), 400u);
}

}  // namespace
}  // namespace tern::tcp
