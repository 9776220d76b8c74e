#include "base/seq_num.h"

#include <gtest/gtest.h>

namespace tern {
namespace {

TEST(SeqNum, OrdersAcrossTheWrap) {
  const SeqNum last(0xffffffff);
  EXPECT_TRUE(last.Before(last + 1));
  EXPECT_EQ((last + 1).value(), 0u);
  EXPECT_EQ(last.DistanceTo(SeqNum(9)), 10u);
}

}  // namespace
}  // namespace tern
