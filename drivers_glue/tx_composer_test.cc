#include "drivers_glue/tx_composer.h"

#include <gtest/gtest.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include <string>
#include <vector>

#include "base/heap_buffer_pool.h"
#include "drivers_glue/frame_checksum.h"
#include "drivers_glue/frames_for_test.h"
#include "drivers_glue/glue_env_for_test.h"
#include "drivers_glue/mbuf_pool.h"

namespace tern {
namespace {

std::vector<uint8_t> Linear(const rte_mbuf* mbuf) {
  std::vector<uint8_t> bytes;
  for (; mbuf != nullptr; mbuf = mbuf->next) {
    const auto* data = rte_pktmbuf_mtod(mbuf, const uint8_t*);
    bytes.insert(bytes.end(), data, data + mbuf->data_len);
  }
  return bytes;
}

class TxComposerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(TestEal());
    MbufPool::Options pool;
    pool.name = "composer_test_" + std::to_string(serial_);
    pool.count = 512;
    absl::StatusOr<std::unique_ptr<MbufPool>> made = MbufPool::Create(pool);
    ASSERT_TRUE(made.ok()) << made.status();
    pool_ = *std::move(made);
  }
  void TearDown() override { ReleaseAll(*pool_, owners_); }

  std::unique_ptr<TxComposer> Composer(uint16_t max_segments, bool offloads = false) {
    TxComposer::Options options;
    options.name = "composer_test_" + std::to_string(serial_++);
    options.max_segments = max_segments;
    options.ip_checksum = options.tcp_checksum = options.tso = offloads;
    absl::StatusOr<std::unique_ptr<TxComposer>> made = TxComposer::Create(options);
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? *std::move(made) : nullptr;
  }

  // An IPv4 TCP frame with the pseudo-header's sum stored, as the stack leaves it.
  TxFrame TcpFrame(uint32_t payload, size_t pieces) {
    TxFrame frame = MakeTestFrame(*pool_, 7, payload, pieces, owners_);
    frame.header.fill(0);
    frame.header_length = 54;
    frame.l2_length = 14;
    frame.l3_length = 20;
    frame.l4_length = 20;
    frame.needs_ip_checksum = frame.needs_tcp_checksum = true;
    frame.header[12] = 0x08;
    auto* ip = reinterpret_cast<rte_ipv4_hdr*>(frame.header.data() + 14);
    ip->version_ihl = 0x45;
    ip->total_length = rte_cpu_to_be_16(static_cast<uint16_t>(40 + payload));
    ip->next_proto_id = 6;
    ip->src_addr = 0x01020304;
    ip->dst_addr = 0x05060708;
    auto* tcp = reinterpret_cast<rte_tcp_hdr*>(frame.header.data() + 34);
    tcp->src_port = 0x1234;
    tcp->data_off = 0x50;
    tcp->cksum = rte_ipv4_phdr_cksum(ip, 0);
    return frame;
  }

  static void ExpectGoodSums(std::vector<uint8_t> bytes) {
    auto* ip = reinterpret_cast<rte_ipv4_hdr*>(bytes.data() + 14);
    EXPECT_EQ(rte_raw_cksum(ip, 20), 0xFFFF);
    // The sum over pseudo-header and segment, its own field included, is all ones.
    const uint32_t sum =
        uint32_t{rte_ipv4_phdr_cksum(ip, 0)} + rte_raw_cksum(bytes.data() + 34, bytes.size() - 34);
    EXPECT_EQ((sum & 0xFFFF) + (sum >> 16), 0xFFFFu);
  }

  static int serial_;
  std::unique_ptr<MbufPool> pool_;
  std::vector<Buffer*> owners_;
};

int TxComposerTest::serial_ = 0;

TEST_F(TxComposerTest, BytesAreTheSameCopiedOrAttached) {
  for (const uint16_t segments : std::initializer_list<uint16_t>{1, 2, 9}) {
    auto composer = Composer(segments);
    for (const uint32_t length : {0u, 1u, 64u, 256u, 257u, 1000u, 1461u}) {
      for (const size_t pieces : {1u, 3u, 8u}) {
        ASSERT_GE(composer->room(), 1u);
        rte_mbuf* mbuf = composer->Compose(MakeTestFrame(*pool_, length, length, pieces, owners_));
        ASSERT_NE(mbuf, nullptr);
        const bool attached = length > TxComposer::kCopyLimit && pieces < segments;
        EXPECT_EQ(mbuf->nb_segs, attached ? pieces + 1 : 1u);
        EXPECT_EQ(rte_mbuf_check(mbuf, 1, nullptr), 0);
        EXPECT_TRUE(PayloadIsIntact(Linear(mbuf), length)) << length << " in " << pieces;
        rte_pktmbuf_free(mbuf);
        ReleaseAll(*pool_, owners_);
      }
    }
    composer->DropStock();
    EXPECT_EQ(composer->in_use(), 0u);
    EXPECT_EQ(pool_->in_use(), 0u);
  }
}

TEST_F(TxComposerTest, AttachedPayloadOutlivesItsRelease) {
  auto composer = Composer(9);
  ASSERT_GE(composer->room(), 1u);
  rte_mbuf* mbuf = composer->Compose(MakeTestFrame(*pool_, 5, 1000, 1, owners_));
  ASSERT_NE(mbuf, nullptr);
  ReleaseAll(*pool_, owners_);
  EXPECT_EQ(pool_->in_use(), 1u);
  // Nobody who allocates now may get the memory that is still being sent.
  std::vector<Buffer*> others(400);
  ASSERT_TRUE(pool_->Allocate(others));
  for (Buffer* other : others) std::memset(other->data, 0, other->tailroom);
  EXPECT_TRUE(PayloadIsIntact(Linear(mbuf), 1000));
  owners_ = others;
  ReleaseAll(*pool_, owners_);
  rte_pktmbuf_free(mbuf);
  EXPECT_EQ(pool_->in_use(), 0u);
}

TEST_F(TxComposerTest, PayloadOutsideDpdksMemoryIsCopied) {
  auto composer = Composer(9);
  HeapBufferPool heap;
  std::vector<Buffer*> heap_owners;
  ASSERT_GE(composer->room(), 1u);
  rte_mbuf* mbuf = composer->Compose(MakeTestFrame(heap, 5, 1400, 2, heap_owners));
  ReleaseAll(heap, heap_owners);
  ASSERT_NE(mbuf, nullptr);
  EXPECT_EQ(mbuf->nb_segs, 1u);
  EXPECT_TRUE(PayloadIsIntact(Linear(mbuf), 1400));
  rte_pktmbuf_free(mbuf);
}

TEST_F(TxComposerTest, WhatNoDeviceCanSendIsRefused) {
  auto composer = Composer(9);
  ASSERT_GE(composer->room(), 4u);
  EXPECT_EQ(composer->Compose(MakeTestFrame(*pool_, 1, 1501, 1, owners_)), nullptr);
  TxFrame frame = TcpFrame(1000, 1);
  frame.tso_segment = 500;  // the device cannot
  EXPECT_EQ(composer->Compose(frame), nullptr);
  frame = TcpFrame(10, 1);
  frame.header_length = TxFrame::kMaxHeader + 1;
  EXPECT_EQ(composer->Compose(frame), nullptr);
  composer->DropStock();
  EXPECT_EQ(composer->in_use(), 0u);
}

TEST_F(TxComposerTest, RoomIsKeptAndRunsOutAndComesBack) {
  auto composer = Composer(9);
  std::vector<rte_mbuf*> held;
  while (size_t room = composer->room()) {
    for (; room > 0; --room) {
      held.push_back(composer->Compose(MakeTestFrame(*pool_, 1, 10, 1, owners_)));
      ASSERT_NE(held.back(), nullptr);
      ReleaseAll(*pool_, owners_);
    }
  }
  EXPECT_GE(held.size(), 512u);  // a driver may fill its ring
  FreeMbufs(held);
  EXPECT_GT(composer->room(), 0u);
}

TEST_F(TxComposerTest, SoftwareSumsAreRightForEverySplit) {
  for (const uint16_t segments : std::initializer_list<uint16_t>{1, 9}) {
    auto composer = Composer(segments);
    for (const uint32_t length : {0u, 1u, 255u, 300u, 301u, 307u, 1459u}) {
      for (const size_t pieces : {1u, 3u, 5u, 7u}) {  // pieces of odd length shift the sum's bytes
        ASSERT_GE(composer->room(), 1u);
        rte_mbuf* mbuf = composer->Compose(TcpFrame(length, pieces));
        ASSERT_NE(mbuf, nullptr);
        EXPECT_EQ(mbuf->ol_flags & (RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IP_CKSUM), 0u);
        ExpectGoodSums(Linear(mbuf));
        rte_pktmbuf_free(mbuf);
        ReleaseAll(*pool_, owners_);
      }
    }
  }
}

TEST_F(TxComposerTest, DevicesAreAskedByFlagsAndLengths) {
  auto composer = Composer(9, true);
  ASSERT_GE(composer->room(), 2u);
  TxFrame frame = TcpFrame(1000, 1);
  rte_mbuf* mbuf = composer->Compose(frame);
  ASSERT_NE(mbuf, nullptr);
  EXPECT_EQ(mbuf->ol_flags, RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_CKSUM);
  EXPECT_EQ(mbuf->l2_len, 14u);
  EXPECT_EQ(mbuf->l3_len, 20u);
  EXPECT_EQ(mbuf->l4_len, 20u);
  rte_pktmbuf_free(mbuf);

  frame = TcpFrame(4000, 2);  // beyond the MTU: the device cuts it up
  frame.tso_segment = 1460;
  mbuf = composer->Compose(frame);
  ASSERT_NE(mbuf, nullptr);
  EXPECT_NE(mbuf->ol_flags & RTE_MBUF_F_TX_TCP_SEG, 0u);
  EXPECT_EQ(mbuf->tso_segsz, 1460u);
  // The pseudo-header's sum without a length, as DPDK wants it.
  auto* ip = rte_pktmbuf_mtod_offset(mbuf, rte_ipv4_hdr*, 14);
  auto* tcp = rte_pktmbuf_mtod_offset(mbuf, rte_tcp_hdr*, 34);
  EXPECT_EQ(tcp->cksum, rte_ipv4_phdr_cksum(ip, RTE_MBUF_F_TX_TCP_SEG));
  rte_pktmbuf_free(mbuf);
}

TEST(FrameChecksum, HostileOffsetsTouchNothing) {
  std::vector<uint8_t> frame(30, 0xAA);
  const std::vector<uint8_t> before = frame;
  FillIpChecksum(frame, 20, 20);
  FillIpChecksum(frame, 0, 10);
  FillTcpChecksum(frame, 11);
  EXPECT_EQ(frame, before);
}

}  // namespace
}  // namespace tern
