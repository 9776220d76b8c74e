#include "wire/checksum.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

namespace tern::wire {
namespace {

using Bytes = std::vector<uint8_t>;

// RFC 1071 word by word, as one would write it on a blackboard.
uint16_t NaiveChecksum(std::span<const uint8_t> bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    const uint32_t low = i + 1 < bytes.size() ? bytes[i + 1] : 0;
    sum += static_cast<uint32_t>(bytes[i]) << 8 | low;
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<uint16_t>(~sum);
}

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  uint32_t operator()() { return static_cast<uint32_t>(engine_()); }
  Bytes Fill(size_t n) {
    Bytes bytes(n);
    // A third of the buffers are of ones: what makes carries.
    const bool ones = (*this)() % 3 == 0;
    for (uint8_t& byte : bytes) byte = ones ? 0xff : static_cast<uint8_t>((*this)());
    return bytes;
  }

 private:
  std::mt19937 engine_;
};

const std::vector<const ChecksumKernel*> Kernels() {
  std::vector<const ChecksumKernel*> kernels = {&kPortableChecksum};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) kernels.push_back(&kAvx2Checksum);
#endif
  return kernels;
}

class EachKernel : public testing::TestWithParam<const ChecksumKernel*> {
 protected:
  void SetUp() override { UseChecksumKernel(*GetParam()); }
  void TearDown() override { UseChecksumKernel(kPortableChecksum); }
};
INSTANTIATE_TEST_SUITE_P(Checksum, EachKernel, testing::ValuesIn(Kernels()),
                         [](const auto& param) { return std::string(param.param->name); });

TEST_P(EachKernel, EqualsTheNaiveSumAtEveryLengthAndAlignment) {
  Random random(1);
  for (size_t n = 0; n < 400; ++n) {
    for (size_t align = 0; align < 16; ++align) {
      const Bytes bytes = random.Fill(n + align);
      const auto span = std::span(bytes).subspan(align);
      ASSERT_EQ(InternetChecksum(span), NaiveChecksum(span)) << n << " bytes at " << align;
    }
  }
  for (const size_t n : {1460u, 8960u, 65535u, 262144u}) {
    const Bytes bytes = random.Fill(n);
    ASSERT_EQ(InternetChecksum(bytes), NaiveChecksum(bytes)) << n;
    ASSERT_EQ(InternetChecksum(Bytes(n, 0xff)), NaiveChecksum(Bytes(n, 0xff))) << n;
  }
}

TEST_P(EachKernel, CopiesExactlyAndSums) {
  Random random(2);
  for (size_t n = 0; n < 400; ++n) {
    const Bytes source = random.Fill(n + n % 9);
    const auto span = std::span(source).first(n);
    Bytes copy(n + 16, 0xa5);
    const size_t at = n % 8;
    ASSERT_EQ(CopyAndSum(copy.data() + at, span).Checksum(), NaiveChecksum(span)) << n;
    ASSERT_TRUE(std::equal(span.begin(), span.end(), copy.begin() + static_cast<long>(at)));
    for (size_t i = 0; i < copy.size(); ++i) {
      if (i < at || i >= at + n) {
        ASSERT_EQ(copy[i], 0xa5) << i;
      }
    }
    // In place: nothing moves, the sum is right.
    Bytes same = source;
    ASSERT_EQ(CopyAndSum(same.data(), std::span(same).first(n)).Checksum(), NaiveChecksum(span));
    ASSERT_EQ(same, source);
  }
}

TEST_P(EachKernel, PiecesCombineAtAnyCut) {
  Random random(3);
  for (int round = 0; round < 2000; ++round) {
    const Bytes bytes = random.Fill(random() % 300);
    const std::span<const uint8_t> all(bytes);
    InetSum one_by_one;
    InetSum combined;
    for (size_t at = 0; at < all.size();) {
      const size_t n = std::min<size_t>(1 + random() % 90, all.size() - at);
      one_by_one.Add(all.subspan(at, n));
      combined.Add(SumOf(all.subspan(at, n)));
      at += n;
    }
    ASSERT_EQ(one_by_one.Checksum(), NaiveChecksum(all));
    ASSERT_EQ(combined.Checksum(), NaiveChecksum(all));
  }
}

TEST(Checksum, KnownValues) {
  // RFC 1071 3's own example: the sum is ddf2.
  const Bytes example = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  EXPECT_EQ(SumOf(example).Folded(), 0xddf2);
  EXPECT_EQ(InternetChecksum(example), 0x220d);
  EXPECT_EQ(InternetChecksum({}), 0xffff);
  EXPECT_EQ(InternetChecksum(Bytes{0xab}), 0x54ff);
  EXPECT_FALSE(SumOf(Bytes(20, 0)).IsValid());
}

TEST(Checksum, FieldsAddLikeTheirBytes) {
  const Bytes bytes = {0x12, 0x34, 0xde, 0xad, 0xbe, 0xef};
  InetSum sum;
  sum.AddField16(0x1234);
  sum.AddField32(0xdeadbeef);
  EXPECT_EQ(sum.Checksum(), InternetChecksum(bytes));
}

// The pseudo-headers written out byte by byte, per family.
Bytes PseudoHeader(const IpAddress& src, const IpAddress& dst, uint8_t protocol, uint16_t length) {
  Bytes bytes;
  if (src.IsV4()) {
    bytes.resize(12);
    src.StoreV4(&bytes[0]);
    dst.StoreV4(&bytes[4]);
    bytes[9] = protocol;
    StoreBe16(&bytes[10], length);
  } else {
    bytes.resize(40);
    src.StoreV6(&bytes[0]);
    dst.StoreV6(&bytes[16]);
    StoreBe32(&bytes[32], length);
    bytes[39] = protocol;
  }
  return bytes;
}

TEST(Checksum, OnePseudoHeaderServesBothFamilies) {
  Random random(4);
  for (int round = 0; round < 4000; ++round) {
    IpAddress::Bytes a;
    IpAddress::Bytes b;
    for (auto& byte : a) byte = static_cast<uint8_t>(random());
    for (auto& byte : b) byte = static_cast<uint8_t>(random());
    a[0] = b[0] = 0xfd;
    const bool v4 = round % 2 == 0;
    const IpAddress src = v4 ? IpAddress::FromV4(random()) : IpAddress(a);
    const IpAddress dst = v4 ? IpAddress::FromV4(random()) : IpAddress(b);
    const Bytes segment = random.Fill(random() % 100);
    const auto length = static_cast<uint16_t>(segment.size());

    Bytes whole = PseudoHeader(src, dst, 6, length);
    EXPECT_EQ(PseudoHeaderSum(src, dst, 6, length).Checksum(), NaiveChecksum(whole));
    whole.insert(whole.end(), segment.begin(), segment.end());
    ASSERT_EQ(TransportChecksum(src, dst, 6, segment), NaiveChecksum(whole));
  }
}

TEST(Checksum, ValidatesAndNoticesEveryFlippedBit) {
  const auto src = *IpAddress::Parse("10.77.0.1");
  const auto dst = *IpAddress::Parse("10.77.0.2");
  Bytes segment = Random(5).Fill(61);
  StoreBe16(&segment[16], 0);
  StoreBe16(&segment[16], TransportChecksum(src, dst, 6, segment));
  EXPECT_TRUE(TransportChecksumValid(src, dst, 6, segment));
  EXPECT_TRUE(TransportChecksumValid(dst, src, 6, segment));
  EXPECT_FALSE(TransportChecksumValid(src, dst, 17, segment));
  for (size_t bit = 0; bit < segment.size() * 8; ++bit) {
    segment[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    EXPECT_FALSE(TransportChecksumValid(src, dst, 6, segment)) << bit;
    segment[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
  }
}

TEST(Checksum, UpdatesLikeAFreshSum) {
  Random random(6);
  for (int round = 0; round < 20000; ++round) {
    Bytes bytes(20);
    for (auto& byte : bytes) byte = static_cast<uint8_t>(random());
    const uint16_t before = InternetChecksum(bytes);
    const size_t at = random() % 8 * 2;
    if (round % 2 == 0) {
      const auto value = static_cast<uint16_t>(random());
      const uint16_t updated = UpdateChecksum16(before, LoadBe16(&bytes[at]), value);
      StoreBe16(&bytes[at], value);
      ASSERT_EQ(updated, InternetChecksum(bytes));
    } else {
      const uint32_t value = random();
      const uint16_t updated = UpdateChecksum32(before, LoadBe32(&bytes[at]), value);
      StoreBe32(&bytes[at], value);
      ASSERT_EQ(updated, InternetChecksum(bytes));
    }
  }
  // RFC 1624 4's example, where the older equation of RFC 1141 gives the wrong zero.
  EXPECT_EQ(UpdateChecksum16(0xdd2f, 0x5555, 0x3285), 0x0000);
}

}  // namespace
}  // namespace tern::wire
