#include "tern/address.h"

#include <gtest/gtest.h>

namespace tern {
namespace {

TEST(Endpoint, ReadsWhatItWrites) {
  for (const char* text : {"10.77.0.1:7", "[fd77::1]:65535", "[::]:0"}) {
    const auto endpoint = Endpoint::Parse(text);
    ASSERT_TRUE(endpoint.has_value()) << text;
    EXPECT_EQ(endpoint->ToString(), text);
  }
  EXPECT_EQ(Endpoint::Parse(":7")->port, 7);
  EXPECT_TRUE(Endpoint::Parse(":7")->address.IsUnspecified());
}

TEST(Endpoint, RefusesWhatIsUnclear) {
  for (const char* text : {"", "10.77.0.1", "10.77.0.1:", "10.77.0.1:65536", "10.77.0.1:-1", "fd77::1:7",
                           "[fd77::1]", "[fd77::1:7", "host:7", "10.77.0.1:7 "}) {
    EXPECT_FALSE(Endpoint::Parse(text).has_value()) << text;
  }
}

TEST(Address, Families) {
  EXPECT_TRUE(Address::Parse("10.0.0.1")->IsV4());
  EXPECT_FALSE(Address::Parse("fd77::1")->IsV4());
  EXPECT_EQ(Address::Parse("::ffff:10.0.0.1"), Address::Parse("10.0.0.1"));
  EXPECT_TRUE(Address().IsUnspecified());
  EXPECT_TRUE(Address::Parse("0.0.0.0")->IsUnspecified());
}

}  // namespace
}  // namespace tern
