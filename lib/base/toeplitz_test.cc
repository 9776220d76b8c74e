#include "base/toeplitz.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/hash.h"

namespace tern {
namespace {

// Key and results of Microsoft's verification suite for receive-side scaling.
constexpr std::array<uint8_t, 40> kMicrosoftKey = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

template <size_t kAddressBytes>
struct Vector {
  std::array<uint8_t, kAddressBytes> destination;
  uint16_t destination_port;
  std::array<uint8_t, kAddressBytes> source;
  uint16_t source_port;
  uint32_t addresses_only;
  uint32_t with_ports;

  // As it would lie on the wire: the plain function's input.
  std::vector<uint8_t> Wire(bool ports) const {
    std::vector<uint8_t> wire(source.begin(), source.end());
    wire.insert(wire.end(), destination.begin(), destination.end());
    if (ports) {
      for (const uint16_t port : {source_port, destination_port}) {
        wire.push_back(static_cast<uint8_t>(port >> 8));
        wire.push_back(static_cast<uint8_t>(port & 0xff));
      }
    }
    return wire;
  }
};

constexpr Vector<4> kIpv4[] = {
    {{161, 142, 100, 80}, 1766, {66, 9, 149, 187}, 2794, 0x323e8fc2, 0x51ccc178},
    {{65, 69, 140, 83}, 4739, {199, 92, 111, 2}, 14230, 0xd718262a, 0xc626b0ea},
    {{12, 22, 207, 184}, 38024, {24, 19, 198, 95}, 12898, 0xd2d0a5de, 0x5c2b394a},
    {{209, 142, 163, 6}, 2217, {38, 27, 205, 30}, 48228, 0x82989176, 0xafc7327f},
    {{202, 188, 127, 2}, 1303, {153, 39, 163, 191}, 44251, 0x5d1809c5, 0x10e828a2},
};

constexpr Vector<16> kIpv6[] = {
    // 3ffe:2501:200:3::1 from 3ffe:2501:200:1fff::7
    {{0x3f, 0xfe, 0x25, 0x01, 0x02, 0x00, 0x00, 0x03, 0, 0, 0, 0, 0, 0, 0, 1},
     1766,
     {0x3f, 0xfe, 0x25, 0x01, 0x02, 0x00, 0x1f, 0xff, 0, 0, 0, 0, 0, 0, 0, 7},
     2794,
     0x2cc18cd5,
     0x40207d3d},
    // ff02::1 from 3ffe:501:8::260:97ff:fe40:efab
    {{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
     4739,
     {0x3f, 0xfe, 0x05, 0x01, 0x00, 0x08, 0, 0, 0x02, 0x60, 0x97, 0xff, 0xfe, 0x40, 0xef, 0xab},
     14230,
     0x0f0c461c,
     0xdde51bbf},
    // fe80::200:f8ff:fe21:67cf from 3ffe:1900:4545:3:200:f8ff:fe21:67cf
    {{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x02, 0x00, 0xf8, 0xff, 0xfe, 0x21, 0x67, 0xcf},
     38024,
     {0x3f, 0xfe, 0x19, 0x00, 0x45, 0x45, 0x00, 0x03, 0x02, 0x00, 0xf8, 0xff, 0xfe, 0x21, 0x67, 0xcf},
     44251,
     0x4b61e985,
     0x02d1feef},
};

template <size_t N, size_t kVectors>
void CheckSuite(const Vector<N> (&suite)[kVectors]) {
  const Toeplitz fast(kMicrosoftKey);
  for (const Vector<N>& v : suite) {
    SCOPED_TRACE(v.destination_port);
    EXPECT_EQ(ToeplitzHash(kMicrosoftKey, v.Wire(false)), v.addresses_only);
    EXPECT_EQ(ToeplitzHash(kMicrosoftKey, v.Wire(true)), v.with_ports);
    EXPECT_EQ(fast.HashAddresses(std::span(v.source), std::span(v.destination)), v.addresses_only);
    EXPECT_EQ(
        fast.HashTuple(std::span(v.source), std::span(v.destination), v.source_port, v.destination_port),
        v.with_ports);
    EXPECT_EQ(fast.Hash(v.Wire(true)), v.with_ports);
  }
}

TEST(Toeplitz, MatchesMicrosoftsSuiteForIpv4) { CheckSuite(kIpv4); }
TEST(Toeplitz, MatchesMicrosoftsSuiteForIpv6) { CheckSuite(kIpv6); }

TEST(Toeplitz, FastFormEqualsTheDefinition) {
  uint64_t state = 1;
  const auto random_byte = [&] { return static_cast<uint8_t>(MixBits(state += 0x9e3779b97f4a7c15)); };
  for (const size_t key_bytes : {size_t{0}, size_t{3}, size_t{16}, size_t{40}, size_t{52}}) {
    std::vector<uint8_t> key(key_bytes);
    for (uint8_t& byte : key) byte = random_byte();
    const Toeplitz fast(key);
    for (size_t length = 0; length <= Toeplitz::kMaxInput; ++length) {
      std::vector<uint8_t> input(length);
      for (uint8_t& byte : input) byte = random_byte();
      EXPECT_EQ(fast.Hash(input), ToeplitzHash(key, input)) << "key " << key_bytes << " input " << length;
    }
  }
}

TEST(Toeplitz, PartsXorToTheWhole) {
  const Toeplitz fast(kMicrosoftKey);
  const std::vector<uint8_t> wire = kIpv4[0].Wire(true);
  const std::span<const uint8_t> all(wire);
  EXPECT_EQ(fast.Term(0, all.first(8)) ^ fast.PortTerm(8, 2794) ^ fast.Term(10, all.subspan(10)),
            0x51ccc178u);
}

TEST(Toeplitz, BytesBeyondTheLargestTupleContributeNothing) {
  const Toeplitz fast(kMicrosoftKey);
  const std::vector<uint8_t> input(64, 0xa5);
  EXPECT_EQ(fast.Hash(input), fast.Hash(std::span(input).first(Toeplitz::kMaxInput)));
  EXPECT_EQ(fast.Term(Toeplitz::kMaxInput, input), 0u);
  EXPECT_EQ(fast.Term(SIZE_MAX, input), 0u);
}

}  // namespace
}  // namespace tern
