#include "wire/tcp.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace tern::wire {
namespace {

using Bytes = std::vector<uint8_t>;

// A header with `options` behind it, padded by the caller to a multiple of 4.
Bytes Segment(TcpFlags flags, const Bytes& options) {
  Bytes bytes(kTcpMinHeader + options.size());
  const TcpHeader header{.flags = flags, .data_offset = static_cast<uint8_t>(bytes.size())};
  WriteTcpHeader(header, bytes.data());
  std::copy(options.begin(), options.end(), bytes.begin() + kTcpMinHeader);
  return bytes;
}

TcpOptions OptionsOf(TcpFlags flags, const Bytes& option_bytes) {
  TcpHeader header;
  TcpOptions options;
  EXPECT_EQ(ParseTcp(Segment(flags, option_bytes), header, options), ParseError::kNone);
  return options;
}

Bytes Written(const TcpOptions& options) {
  Bytes bytes(kTcpMaxOptions, 0xee);
  bytes.resize(WriteTcpOptions(options, bytes.data()));
  EXPECT_EQ(bytes.size(), TcpOptionsLength(options));
  return bytes;
}

TEST(Tcp, ReadsAKnownSyn) {
  // A Linux client's SYN to port 7: MSS 1460, SACK-permitted, timestamp, NOP, window scale 7.
  const Bytes bytes = {0x9c, 0x40, 0x00, 0x07, 0x12, 0x34, 0x56, 0x78, 0x00, 0x00, 0x00, 0x00, 0xa0, 0x02,
                       0xfa, 0xf0, 0xbe, 0xef, 0x00, 0x00, 0x02, 0x04, 0x05, 0xb4, 0x04, 0x02, 0x08, 0x0a,
                       0xde, 0xad, 0xbe, 0xef, 0x00, 0x00, 0x00, 0x00, 0x01, 0x03, 0x03, 0x07};
  TcpHeader header;
  TcpOptions options;
  ASSERT_EQ(ParseTcp(bytes, header, options), ParseError::kNone);
  EXPECT_EQ(header.src_port, 40000);
  EXPECT_EQ(header.dst_port, 7);
  EXPECT_EQ(header.seq, SeqNum(0x12345678));
  EXPECT_EQ(header.ack, SeqNum(0));
  EXPECT_EQ(header.flags, kSyn);
  EXPECT_EQ(header.data_offset, 40);
  EXPECT_EQ(header.window, 64240);
  EXPECT_TRUE(options.has_mss && options.has_wscale && options.sack_permitted && options.has_timestamp);
  EXPECT_EQ(options.mss, 1460);
  EXPECT_EQ(options.wscale, 7);
  EXPECT_EQ(options.tsval, 0xdeadbeefu);
  EXPECT_EQ(options.tsecr, 0u);
  EXPECT_FALSE(options.malformed);

  // And writes it back byte for byte, the checksum apart.
  Bytes again(kTcpMaxHeader);
  again.resize(WriteTcp(header, options, again.data()));
  Bytes expected = bytes;
  expected[16] = expected[17] = 0;
  EXPECT_EQ(again, expected);
}

TEST(Tcp, ReadsEveryFixedField) {
  const TcpHeader header{.src_port = 0x0102,
                         .dst_port = 0x0304,
                         .seq = SeqNum(0x05060708),
                         .ack = SeqNum(0x090a0b0c),
                         .flags = 0xff,
                         .window = 0x0d0e,
                         .urgent = 0x0f10};
  uint8_t bytes[kTcpMinHeader];
  WriteTcpHeader(header, bytes);
  const uint8_t expected[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x50, 0xff, 13, 14, 0, 0, 15, 16};
  EXPECT_TRUE(std::equal(std::begin(bytes), std::end(bytes), expected));
  TcpHeader back;
  TcpOptions options;
  ASSERT_EQ(ParseTcp(bytes, back, options), ParseError::kNone);
  EXPECT_EQ(back.src_port, header.src_port);
  EXPECT_EQ(back.dst_port, header.dst_port);
  EXPECT_EQ(back.seq, header.seq);
  EXPECT_EQ(back.ack, header.ack);
  EXPECT_EQ(back.flags, header.flags);
  EXPECT_EQ(back.window, header.window);
  EXPECT_EQ(back.urgent, header.urgent);
}

TEST(Tcp, RefusesBadLengths) {
  TcpHeader header;
  TcpOptions options;
  Bytes bytes = Segment(kAck, {1, 1, 1, 0});
  EXPECT_EQ(ParseTcp(std::span(bytes).first(19), header, options), ParseError::kTruncated);
  EXPECT_EQ(ParseTcp(std::span(bytes).first(23), header, options), ParseError::kBadHeaderLength);
  EXPECT_EQ(ParseTcp({}, header, options), ParseError::kTruncated);
  bytes[12] = 0x40;
  EXPECT_EQ(ParseTcp(bytes, header, options), ParseError::kBadHeaderLength);
  // The four reserved bits are ignored (RFC 9293 3.1).
  bytes[12] = 0x6f;
  EXPECT_EQ(ParseTcp(bytes, header, options), ParseError::kNone);
  EXPECT_EQ(header.data_offset, 24);
}

TEST(TcpOptions, TimestampTakesTheSameValuesFastAndSlow) {
  const Bytes fast = {1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8};
  const Bytes slow = {8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1};
  for (const Bytes& bytes : {fast, slow}) {
    const TcpOptions options = OptionsOf(kAck, bytes);
    EXPECT_TRUE(options.has_timestamp);
    EXPECT_EQ(options.tsval, 0x01020304u);
    EXPECT_EQ(options.tsecr, 0x05060708u);
    EXPECT_EQ(options.sack_count, 0);
  }
}

TEST(TcpOptions, AStaleResultDoesNotShineThrough) {
  TcpHeader header;
  TcpOptions options{.has_timestamp = true, .has_mss = true, .malformed = true};
  ASSERT_EQ(ParseTcp(Segment(kAck, {}), header, options), ParseError::kNone);
  EXPECT_FALSE(options.has_timestamp || options.has_mss || options.malformed);
}

TEST(TcpOptions, SackBlocks) {
  const Bytes two = {1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 9};
  const TcpOptions options = OptionsOf(kAck, two);
  ASSERT_EQ(options.sack_count, 2);
  EXPECT_EQ(options.sack[0], (SackBlock{SeqNum(1), SeqNum(2)}));
  EXPECT_EQ(options.sack[1], (SackBlock{SeqNum(0xffffffff), SeqNum(9)}));
  EXPECT_EQ(Written(options), two);
  EXPECT_EQ(OptionsOf(kSyn, two).sack_count, 0);

  // No blocks, or a length that is not whole blocks: skipped, what follows is read.
  EXPECT_EQ(OptionsOf(kAck, {5, 2, 1, 0}).sack_count, 0);
  const TcpOptions odd =
      OptionsOf(kAck, {5, 11, 1, 2, 3, 4, 5, 6, 7, 8, 9, 8, 10, 0, 0, 0, 7, 0, 0, 0, 8, 0, 0, 0});
  EXPECT_EQ(odd.sack_count, 0);
  EXPECT_TRUE(odd.has_timestamp);
  EXPECT_FALSE(odd.malformed);
}

TEST(TcpOptions, WritesAsManySackBlocksAsFit) {
  TcpOptions options{.tsval = 1, .tsecr = 2, .sack_count = 4};
  for (uint32_t i = 0; i < 4; ++i) options.sack[i] = {SeqNum(10 * i), SeqNum(10 * i + 5)};
  EXPECT_EQ(Written(options).size(), 36u);
  EXPECT_EQ(OptionsOf(kAck, Written(options)).sack_count, 4);
  options.has_timestamp = true;
  EXPECT_EQ(SackBlocksThatFit(options), 3u);
  EXPECT_EQ(Written(options).size(), 40u);
  const TcpOptions back = OptionsOf(kAck, Written(options));
  EXPECT_EQ(back.sack_count, 3);
  EXPECT_EQ(back.sack[2], options.sack[2]);
  EXPECT_TRUE(back.has_timestamp);
  options.sack_count = 200;
  EXPECT_EQ(Written(options).size(), 40u);
}

TEST(TcpOptions, WritesAllCombinationsAlignedAndReadable) {
  for (unsigned mask = 0; mask < 16; ++mask) {
    const TcpOptions options{.tsval = 77,
                             .tsecr = 78,
                             .mss = 1220,
                             .wscale = 9,
                             .has_timestamp = (mask & 1) != 0,
                             .has_mss = (mask & 2) != 0,
                             .has_wscale = (mask & 4) != 0,
                             .sack_permitted = (mask & 8) != 0};
    const Bytes bytes = Written(options);
    EXPECT_EQ(bytes.size() % 4, 0u);
    const TcpOptions back = OptionsOf(kSyn | kAck, bytes);
    EXPECT_EQ(back.has_timestamp, options.has_timestamp);
    EXPECT_EQ(back.has_mss, options.has_mss);
    EXPECT_EQ(back.has_wscale, options.has_wscale);
    EXPECT_EQ(back.sack_permitted, options.sack_permitted);
    EXPECT_EQ(back.mss, options.has_mss ? 1220 : 0);
    EXPECT_EQ(back.wscale, options.has_wscale ? 9 : 0);
    EXPECT_EQ(back.tsecr, options.has_timestamp ? 78u : 0u);
  }
}

TEST(TcpOptions, HostileLists) {
  EXPECT_TRUE(OptionsOf(kSyn, {2, 0, 5, 0xb4}).malformed);  // length 0
  EXPECT_TRUE(OptionsOf(kSyn, {2, 1, 5, 0xb4}).malformed);  // length 1
  EXPECT_TRUE(OptionsOf(kSyn, {99, 1, 1, 1}).malformed);    // length 1, then nothing else wrong
  EXPECT_TRUE(OptionsOf(kSyn, {2, 5, 5, 0xb4}).malformed);  // overruns
  EXPECT_TRUE(OptionsOf(kSyn, {1, 1, 1, 2}).malformed);     // no room for a length
  EXPECT_FALSE(OptionsOf(kSyn, {2, 0, 5, 0xb4}).has_mss);
  // What came before a broken option stands; what follows it is not read.
  const TcpOptions broken = OptionsOf(kSyn, {2, 4, 5, 0xb4, 99, 0, 4, 2});
  EXPECT_TRUE(broken.malformed && broken.has_mss);
  EXPECT_FALSE(broken.sack_permitted);
  // Unknown kinds are skipped by length, the end of the list ends it.
  EXPECT_EQ(OptionsOf(kSyn, {99, 4, 0, 0, 2, 4, 5, 0xb4}).mss, 1460);
  EXPECT_FALSE(OptionsOf(kSyn, {0, 0, 0, 0, 2, 4, 5, 0xb4}).has_mss);
  // Known kinds of the wrong length.
  EXPECT_FALSE(OptionsOf(kSyn, {2, 3, 5, 1}).has_mss);
  EXPECT_FALSE(OptionsOf(kSyn, {3, 4, 5, 1}).has_wscale);
  EXPECT_FALSE(OptionsOf(kSyn, {4, 3, 5, 1}).sack_permitted);
  EXPECT_FALSE(OptionsOf(kSyn, {8, 4, 5, 1}).has_timestamp);
}

TEST(TcpOptions, ValuesOutOfRange) {
  EXPECT_FALSE(OptionsOf(kSyn, {2, 4, 0, 0}).has_mss);
  EXPECT_EQ(OptionsOf(kSyn, {3, 3, 14, 0}).wscale, 14);
  EXPECT_EQ(OptionsOf(kSyn, {3, 3, 15, 0}).wscale, 14);
  EXPECT_EQ(OptionsOf(kSyn, {3, 3, 255, 0}).wscale, 14);
  EXPECT_EQ(OptionsOf(kSyn, {2, 4, 1, 0, 2, 4, 2, 0}).mss, 512);  // the last of duplicates
}

TEST(TcpOptions, SynOptionsCountOnlyOnASyn) {
  const Bytes all = {2, 4, 5, 0xb4, 4, 2, 3, 3, 7, 0, 0, 0};
  const TcpOptions later = OptionsOf(kAck, all);
  EXPECT_FALSE(later.has_mss || later.has_wscale || later.sack_permitted);
  EXPECT_FALSE(later.malformed);
  const TcpOptions syn = OptionsOf(kSyn | kAck, all);
  EXPECT_TRUE(syn.has_mss && syn.has_wscale && syn.sack_permitted);
}

TEST(TcpFlags, HaveNames) {
  EXPECT_EQ(FlagsToString(kSyn | kAck), "SYN,ACK");
  EXPECT_EQ(FlagsToString(0), "none");
  EXPECT_EQ(FlagsToString(0xff), "FIN,SYN,RST,PSH,ACK,URG,ECE,CWR");
}

}  // namespace
}  // namespace tern::wire
