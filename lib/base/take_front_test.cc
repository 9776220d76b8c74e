#include "base/take_front.h"

#include <gtest/gtest.h>

#include <array>

namespace tern {
namespace {

TEST(TakeFront, InOrderAndBoundedByBothSides) {
  std::vector<int> list = {1, 2, 3};
  std::array<int, 2> out{};
  EXPECT_EQ(TakeFront(list, std::span<int>(out)), 2u);
  EXPECT_EQ(out, (std::array{1, 2}));
  EXPECT_EQ(list, std::vector<int>{3});
  EXPECT_EQ(TakeFront(list, std::span<int>(out)), 1u);
  EXPECT_EQ(out[0], 3);
  EXPECT_EQ(TakeFront(list, std::span<int>(out)), 0u);
  list = {4};
  EXPECT_EQ(TakeFront(list, std::span<int>()), 0u);
  EXPECT_EQ(list.size(), 1u);
}

}  // namespace
}  // namespace tern
