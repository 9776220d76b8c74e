// Workers that hand frames to one another, over a device with real packet memory: a frame goes back through
// another worker's pool than it came from.
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "drivers_glue/glue_env_for_test.h"
#include "drivers_glue/loopback_device.h"
#include "runtime/stack_core.h"
#include "wire/ethernet.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

namespace tern {
namespace {

// A device of two queues that gives each worker what is steered to the other.
class CrossedDevice final : public Device {
 public:
  explicit CrossedDevice(std::unique_ptr<Device> inner) : inner_(std::move(inner)) {}

  const DeviceInfo& info() const override { return inner_->info(); }
  BufferPool& pool(uint16_t q) override { return inner_->pool(Other(q)); }
  size_t Receive(uint16_t q, std::span<RxFrame> out) override { return inner_->Receive(Other(q), out); }
  size_t TransmitRoom(uint16_t q) override { return inner_->TransmitRoom(Other(q)); }
  void Transmit(uint16_t q, std::span<const TxFrame> frames) override { inner_->Transmit(Other(q), frames); }
  void Flush(uint16_t q) override { inner_->Flush(Other(q)); }
  bool WaitForReceive(uint16_t, int, Duration) override { return false; }
  DeviceCounters counters() const override { return inner_->counters(); }
  bool LinkUp() const override { return true; }
  bool AddMulticast(const std::array<uint8_t, 6>& mac) override { return inner_->AddMulticast(mac); }
  void Stop() override { inner_->Stop(); }
  uint64_t buffers_outstanding() const override { return inner_->buffers_outstanding(); }

 private:
  static uint16_t Other(uint16_t q) { return static_cast<uint16_t>(1 - q); }

  std::unique_ptr<Device> inner_;
};

// A segment to 10.77.0.1 that nobody answers, since its checksum is wrong.
TxFrame WrongSegment(const std::array<uint8_t, 6>& to, uint16_t source_port) {
  TxFrame frame;
  uint8_t* at = frame.header.data();
  at += wire::WriteEthernet({.dst = wire::MacAddress(to),
                             .src = wire::MacAddress({2, 0, 0, 0, 0, 2}),
                             .ether_type = wire::kEtherTypeIpv4},
                            at);
  at += wire::WriteIpv4({.src = wire::IpAddress::Parse("10.77.0.2").value(),
                         .dst = wire::IpAddress::Parse("10.77.0.1").value(),
                         .total_length = 40,
                         .ttl = 64,
                         .protocol = wire::kProtocolTcp},
                        at);
  wire::WriteTcp({.src_port = source_port, .dst_port = 8, .seq = SeqNum(1), .flags = wire::kSyn}, {}, at);
  at[wire::kTcpChecksumOffset] ^= 0xff;
  frame.header_length = static_cast<uint16_t>(at + 20 - frame.header.data());
  return frame;
}

TEST(Handover, MoreThanTheBudgetHandedOverLeavesTheBudgetAsItWas) {
  ASSERT_TRUE(TestEal());
  constexpr uint32_t kBudget = 64;
  DeviceOptions options;
  options.queues = 2;
  options.buffers = kBudget;
  DeviceOptions peer_options;
  auto pair = OpenLoopbackPair(options, peer_options);
  ASSERT_TRUE(pair.ok()) << pair.status();
  const std::array<uint8_t, 6> mac = pair->first->info().mac;
  Device& peer = *pair->second;

  runtime::StackConfig config;
  config.workers = 2;
  config.shard.interfaces.push_back(
      {.mtu = 0, .addresses = {{wire::IpPrefix::Parse("10.77.0.1/24").value(), false}}});
  std::vector<std::unique_ptr<Device>> devices;
  devices.push_back(std::make_unique<CrossedDevice>(std::move(pair->first)));
  auto core = runtime::StackCore::Create(config, std::move(devices), runtime::PlainThreads(), HeapMemory());
  ASSERT_TRUE(core.ok()) << core.status();
  std::array<runtime::Worker*, 2> workers{};
  for (uint16_t w = 0; w < 2; ++w) {
    (*core)->RunOn(w, [&](runtime::Worker& worker) { workers[w] = &worker; });
  }

  uint16_t port = 2'000;
  for (uint32_t sent = 0; sent < 20 * kBudget; ++sent) {
    const TxFrame frame = WrongSegment(mac, port++);
    ASSERT_GE(peer.TransmitRoom(0), 1u);
    peer.Transmit(0, {&frame, 1});
    for (runtime::Worker* worker : {workers[0], workers[1], workers[0]}) worker->Turn();
  }
  for (runtime::Worker* worker : workers) {
    EXPECT_GT(worker->Snapshot().handed_over, 2 * kBudget) << worker->index();
    EXPECT_GT(worker->Snapshot().shard.drops[DropReason::kTcpChecksum], 2 * kBudget);
    std::vector<Buffer*> all(kBudget);
    ASSERT_TRUE(worker->pool().Allocate(all)) << worker->index();
    for (Buffer* buffer : all) worker->pool().Release(buffer);
  }
  EXPECT_EQ((*core)->Stop(Duration::Zero()).buffers, 0u);
  peer.Stop();
}

}  // namespace
}  // namespace tern
