#include "runtime/secrets.h"

#include <gtest/gtest.h>

#include <array>

namespace tern::runtime {
namespace {

TEST(Secrets, OfTheSystemDiffer) {
  std::array<uint8_t, 32> a{};
  std::array<uint8_t, 32> b{};
  SecretSource source(0);
  ASSERT_TRUE(source.Fill(a).ok());
  ASSERT_TRUE(SecretSource(0).Fill(b).ok());
  EXPECT_NE(a, b);
}

TEST(Secrets, OfASeedRepeat) {
  std::array<uint8_t, 13> a{};
  std::array<uint8_t, 13> b{};
  SecretSource one(42);
  SecretSource two(42);
  SecretSource three(43);
  ASSERT_TRUE(one.Fill(a).ok());
  ASSERT_TRUE(two.Fill(b).ok());
  EXPECT_EQ(a, b);
  ASSERT_TRUE(one.Fill(b).ok());
  EXPECT_NE(a, b);  // a stream, not one value
  ASSERT_TRUE(three.Fill(b).ok());
  EXPECT_NE(a, b);
}

}  // namespace
}  // namespace tern::runtime
