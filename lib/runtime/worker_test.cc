// Workers driven turn by turn in one thread, over a wire of memory.
#include "runtime/worker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "runtime/memory_device_test_util.h"
#include "runtime/stack_core.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

namespace tern::runtime {
namespace {

wire::IpAddress Ip(const char* text) { return wire::IpAddress::Parse(text).value(); }

// A stack of one worker that the test turns by hand.
class Node {
 public:
  Node(std::unique_ptr<MemoryDevice> device, const char* address) : device_(device.get()) {
    StackConfig config;
    config.shard.interfaces.push_back(
        {.mtu = 0, .addresses = {{wire::IpPrefix::Parse(address).value(), false}}});
    config.seed = 7;
    std::vector<std::unique_ptr<Device>> devices;
    devices.push_back(std::move(device));
    core_ = StackCore::Create(config, std::move(devices), PlainThreads(), HeapMemory()).value();
    // Before Start everything runs on this thread.
    core_->RunOn(0, [this](Worker& worker) { worker_ = &worker; });
  }

  Worker& worker() { return *worker_; }
  stack::Shard& shard() { return worker_->shard(); }
  MemoryDevice& device() { return *device_; }
  StackCore& core() { return *core_; }

 private:
  MemoryDevice* device_;
  std::unique_ptr<StackCore> core_;
  Worker* worker_ = nullptr;
};

// Echoes, with the receive queue as its only buffer.
struct Echo {
  static void OnEvent(void* object, Worker& worker, const stack::ShardEvent& event) {
    auto& echo = *static_cast<Echo*>(object);
    stack::Shard& shard = worker.shard();
    echo.events |= event.events;
    for (;;) {
      const uint32_t room = shard.SendRoom(event.handle);
      if (room == 0) return;  // asked for: the writable event comes
      BufferChain chain;
      stack::Behind behind{};
      echo.octets += shard.Receive(event.handle, room, worker.now(), chain, &behind);
      const bool idle = chain.empty();
      if (!idle) shard.Send(event.handle, chain, worker.now());
      EXPECT_TRUE(chain.empty()) << "what was received for the room there is must be taken whole";
      if (behind == stack::Behind::kEnd) return shard.ShutdownWrite(event.handle, worker.now());
      if (idle) return;
    }
  }
  uint16_t events = 0;
  uint64_t octets = 0;
};

// Sends `total` octets of a known stream and checks that they come back.
struct Source {
  static void OnEvent(void* object, Worker& worker, const stack::ShardEvent& event) {
    auto& source = *static_cast<Source*>(object);
    source.handle = event.handle;
    source.events |= event.events;
    if ((event.events & tcp::kEventClosed) != 0) source.reason = event.reason;
    source.Push(worker);
    BufferChain chain;
    stack::Behind behind{};
    worker.shard().Receive(event.handle, UINT32_MAX, worker.now(), chain, &behind);
    source.ended |= behind == stack::Behind::kEnd;
    while (Buffer* buffer = chain.PopFront()) {
      for (const uint8_t byte : buffer->bytes())
        EXPECT_EQ(byte, static_cast<uint8_t>(source.returned++ * 131));
      worker.Release(buffer, buffer);
    }
  }
  void Push(Worker& worker) {
    while (sent < total && worker.shard().SendRoom(handle) != 0) {
      Buffer* buffer = nullptr;
      ASSERT_TRUE(worker.pool().Allocate({&buffer, 1}));
      buffer->length = static_cast<uint32_t>(std::min<uint64_t>(1'000, total - sent));
      buffer->tailroom -= buffer->length;
      for (uint32_t i = 0; i < buffer->length; ++i) buffer->data[i] = static_cast<uint8_t>((sent + i) * 131);
      sent += buffer->length;
      BufferChain chain;
      chain.PushBack(buffer);
      worker.shard().Send(handle, chain, worker.now());
      ASSERT_TRUE(chain.empty());
    }
    if (sent == total && !keep_open) worker.shard().ShutdownWrite(handle, worker.now());
  }
  bool keep_open = false;
  uint64_t total = 0;
  uint64_t sent = 0;
  uint64_t returned = 0;
  uint16_t events = 0;
  bool ended = false;
  tcp::CloseReason reason = tcp::CloseReason::kNone;
  stack::ConnHandle handle;
};

class WorkerTest : public testing::Test {
 protected:
  WorkerTest() : WorkerTest(MakeMemoryPair(1)) {}
  explicit WorkerTest(MemoryPair pair)
      : server_(std::move(pair.a), "10.77.0.1/24"), client_(std::move(pair.b), "10.77.0.2/24") {
    const uint16_t target = server_.worker().TargetId({&Echo::OnEvent, &echo_});
    uint32_t listener = 0;
    EXPECT_EQ(server_.shard().Listen({.port = 7, .user = MakeUser(target, 0)}, &listener),
              stack::OpenResult::kOk);
  }

  void Connect(uint64_t octets) {
    source_.total = octets;
    const uint16_t target = client_.worker().TargetId({&Source::OnEvent, &source_});
    ASSERT_EQ(
        client_.shard().Connect({.remote = Ip("10.77.0.1"), .remote_port = 7, .user = MakeUser(target, 0)},
                                client_.worker().now(), &source_.handle),
        stack::OpenResult::kOk);
  }
  void Turn(int turns) {
    for (int i = 0; i < turns; ++i) {
      client_.worker().Turn();
      server_.worker().Turn();
    }
  }
  // Turns until `done`, or until so many turns that something hangs.
  template <typename F>
  void TurnUntil(F done) {
    for (int i = 0; i < 2'000'000 && !done(); ++i) Turn(1);
    EXPECT_TRUE(done());
  }
  void ExpectCleanEnd() {
    for (Node* node : {&client_, &server_}) {
      const Leaks leaks = node->core().Stop(Duration::Zero());
      EXPECT_EQ(leaks.buffers, 0u);
      EXPECT_EQ(leaks.connections, 0u);
      EXPECT_EQ(leaks.send_records, 0u);
      EXPECT_EQ(leaks.timers, 0u);
    }
  }

  Echo echo_;
  Source source_;
  Node server_;
  Node client_;
};

TEST_F(WorkerTest, EchoesAStream) {
  Connect(300'000);
  TurnUntil([&] { return source_.ended; });
  EXPECT_EQ(source_.returned, 300'000u);
  EXPECT_EQ(echo_.octets, 300'000u);
  Turn(20);  // nothing is left to do in most of these
  const WorkerSnapshot snapshot = server_.worker().Snapshot();
  EXPECT_EQ(snapshot.shard.accepted, 1u);
  EXPECT_EQ(snapshot.shard.rx_frames, snapshot.shard.rx_consumed + snapshot.shard.drops.total());
  EXPECT_GT(snapshot.busy_turns, 0u);
  EXPECT_GT(snapshot.turns, snapshot.busy_turns);
  EXPECT_GT(snapshot.busy_cycles, 0u);
  ExpectCleanEnd();
}

TEST_F(WorkerTest, AFullDeviceLosesNothing) {
  Connect(500'000);
  Turn(200);
  // The server's device takes nothing for a while, then one frame at a time.
  server_.device().set_room(0);
  const uint64_t sent = server_.worker().Snapshot().shard.tx_frames;
  Turn(500);
  EXPECT_EQ(server_.worker().Snapshot().shard.tx_frames, sent) << "nothing counts as sent that was not taken";
  server_.device().set_room(1);
  TurnUntil([&] { return source_.ended; });
  EXPECT_EQ(source_.returned, 500'000u);
  ExpectCleanEnd();
}

// As when the process at the other end of a memif or vhost has died: resets cannot leave, yet nothing stays.
TEST_F(WorkerTest, ADeviceThatTakesNothingAnyMoreLeavesNothingBehind) {
  for (const Duration drain : {Duration::Zero(), Duration::Millis(5)}) {
    SCOPED_TRACE(drain.nanos());
    MemoryPair pair = MakeMemoryPair(1);
    Node server(std::move(pair.a), "10.77.0.1/24");
    Node client(std::move(pair.b), "10.77.0.2/24");
    Echo echo;
    uint32_t listener = 0;
    const uint16_t serving = server.worker().TargetId({&Echo::OnEvent, &echo});
    ASSERT_EQ(server.shard().Listen({.port = 7, .user = MakeUser(serving, 0)}, &listener),
              stack::OpenResult::kOk);
    std::array<Source, 64> sources;
    for (Source& source : sources) {
      source.total = 100'000;
      source.keep_open = true;
      const uint16_t target = client.worker().TargetId({&Source::OnEvent, &source});
      ASSERT_EQ(
          client.shard().Connect({.remote = Ip("10.77.0.1"), .remote_port = 7, .user = MakeUser(target, 0)},
                                 client.worker().now(), &source.handle),
          stack::OpenResult::kOk);
    }
    for (int i = 0; i < 100'000 && server.shard().usage().connections != 64; ++i) {
      client.worker().Turn();
      server.worker().Turn();
    }
    ASSERT_EQ(server.shard().usage().connections, 64u);
    server.device().set_room(0);
    const Leaks leaks = server.core().Stop(drain);
    EXPECT_EQ(leaks.connections, 0u);
    EXPECT_EQ(leaks.buffers, 0u);
    EXPECT_EQ(leaks.send_records, 0u);
    EXPECT_EQ(leaks.timers, 0u);
    const WorkerSnapshot end = server.core().Snapshots().front();
    EXPECT_GE(end.shard.tx_drops[DropReason::kShuttingDown], 64u) << "a reset for each connection at least";
    EXPECT_EQ(client.core().Stop(Duration::Zero()).buffers, 0u);
  }
}

TEST_F(WorkerTest, ADeviceMayHoldWhatItWasGiven) {
  Connect(200'000);
  Turn(50);
  for (int i = 0; i < 20; ++i) {
    server_.device().set_holding(true);
    client_.device().set_holding(true);
    Turn(100);
    // The device compares what it holds with what it was given.
    server_.device().set_holding(false);
    client_.device().set_holding(false);
    Turn(5);
  }
  TurnUntil([&] { return source_.ended; });
  EXPECT_EQ(source_.returned, 200'000u);
  ExpectCleanEnd();
}

TEST_F(WorkerTest, AConnectionToAClosedPortIsRefused) {
  const uint16_t target = client_.worker().TargetId({&Source::OnEvent, &source_});
  ASSERT_EQ(
      client_.shard().Connect({.remote = Ip("10.77.0.1"), .remote_port = 8, .user = MakeUser(target, 0)},
                              client_.worker().now(), &source_.handle),
      stack::OpenResult::kOk);
  TurnUntil([&] { return source_.reason != tcp::CloseReason::kNone; });
  EXPECT_EQ(source_.reason, tcp::CloseReason::kRefused);
  EXPECT_EQ(source_.events & tcp::kEventConnected, 0);
  ExpectCleanEnd();
}

TEST_F(WorkerTest, WhoWaitsForBuffersIsWoken) {
  source_.keep_open = true;
  Connect(0);
  TurnUntil([&] { return (source_.events & tcp::kEventConnected) != 0; });
  // No buffers: the wish is kept. Buffers again: a writable event.
  client_.device().shared_pool().set_limit(0);
  source_.events = 0;
  client_.worker().WakeWhenBuffers(source_.handle);
  client_.worker().Turn();
  EXPECT_EQ(source_.events & tcp::kEventWritable, 0);
  client_.device().shared_pool().set_limit(65'536);
  client_.worker().Turn();
  EXPECT_NE(source_.events & tcp::kEventWritable, 0);
  ExpectCleanEnd();
}

TEST_F(WorkerTest, TargetsHaveNumbers) {
  Echo other;
  const uint16_t one = server_.worker().TargetId({&Echo::OnEvent, &echo_});
  const uint16_t two = server_.worker().TargetId({&Echo::OnEvent, &other});
  EXPECT_NE(one, 0);
  EXPECT_NE(one, two);
  EXPECT_EQ(server_.worker().TargetId({&Echo::OnEvent, &echo_}), one);
  server_.worker().ForgetTarget({&Echo::OnEvent, &other});
  EXPECT_NE(server_.worker().TargetId({&Echo::OnEvent, &other}), two);
  EXPECT_EQ(TargetOf(MakeUser(0xffff, kContextMask)), 0xffff);
  EXPECT_EQ(ContextOf(MakeUser(0xffff, kContextMask)), kContextMask);
}

// `part` of a TCP segment, at `offset` of its datagram, as a frame from 10.77.0.2 to 10.77.0.1.
void WritePart(TxFrame& frame, uint16_t identification, std::span<const uint8_t> part, uint16_t offset,
               bool more) {
  uint8_t* at = frame.header.data();
  at += wire::WriteEthernet({.dst = wire::MacAddress({2, 0, 0, 0, 0, 1}),
                             .src = wire::MacAddress({2, 0, 0, 0, 0, 2}),
                             .ether_type = wire::kEtherTypeIpv4},
                            at);
  at += wire::WriteIpv4({.src = Ip("10.77.0.2"),
                         .dst = Ip("10.77.0.1"),
                         .total_length = static_cast<uint16_t>(20 + part.size()),
                         .identification = identification,
                         .fragment_offset = offset,
                         .more_fragments = more,
                         .ttl = 64,
                         .protocol = wire::kProtocolTcp},
                        at);
  std::copy(part.begin(), part.end(), at);
  frame.header_length = static_cast<uint16_t>(at + part.size() - frame.header.data());
}

// A SYN to a closed port, `text` octets of zeros behind it.
std::vector<uint8_t> Syn(uint16_t source_port, size_t text) {
  std::vector<uint8_t> segment(20 + text);
  wire::WriteTcp({.src_port = source_port, .dst_port = 8, .seq = SeqNum(1), .flags = wire::kSyn}, {},
                 segment.data());
  wire::StoreBe16(segment.data() + wire::kTcpChecksumOffset,
                  wire::TransportChecksum(Ip("10.77.0.2"), Ip("10.77.0.1"), wire::kProtocolTcp, segment));
  return segment;
}

// The fragments of a SYN to a closed port, 8 octets of text behind it, for one flow.
std::vector<TxFrame> SynInFragments(uint16_t source_port) {
  const std::vector<uint8_t> segment = Syn(source_port, 8);
  std::vector<TxFrame> frames(2);
  WritePart(frames[0], source_port, std::span(segment).first(24), 0, true);
  WritePart(frames[1], source_port, std::span(segment).subspan(24), 24, false);
  return frames;
}

// Two workers of one stack at 10.77.0.1, turned by hand, and the peer's end of the wire.
struct TwoWorkers {
  TwoWorkers() : pair(MakeMemoryPair(2)) {
    StackConfig config;
    config.workers = 2;
    config.seed = 7;
    config.shard.interfaces.push_back(
        {.mtu = 0, .addresses = {{wire::IpPrefix::Parse("10.77.0.1/24").value(), false}}});
    std::vector<std::unique_ptr<Device>> devices;
    devices.push_back(std::move(pair.a));
    core = StackCore::Create(config, std::move(devices), PlainThreads(), HeapMemory()).value();
    for (uint16_t w = 0; w < 2; ++w) core->RunOn(w, [&](Worker& worker) { workers[w] = &worker; });
  }
  stack::Steering steering() const { return {workers[0]->shard().config().rss_key, 2}; }

  MemoryPair pair;
  std::unique_ptr<StackCore> core;
  std::array<Worker*, 2> workers{};
};

// The ring between two workers is finite. What does not fit is dropped where it was received, by name, and
// its buffer goes back; what fits is the owner's.
TEST(Workers, AFullRingBetweenThemDropsByName) {
  TwoWorkers two;
  Worker& receiver = *two.workers[0];
  Worker& owner = *two.workers[1];
  uint16_t port = 2'000;
  while (two.steering().OwnerOf({Ip("10.77.0.1"), Ip("10.77.0.2"), 8, port}) != 1) ++port;
  constexpr uint64_t kTooMany = 5;
  TxFrame syn;
  WritePart(syn, port, Syn(port, 0), 0, false);
  for (size_t i = 0; i < Handover::kFrames + kTooMany; ++i) two.pair.b->Transmit(0, {&syn, 1});
  // The owner does not turn meanwhile.
  for (size_t i = 0; i < Handover::kFrames / Worker::kRxBurst + 2; ++i) receiver.Turn();
  const WorkerSnapshot at_receiver = receiver.Snapshot();
  EXPECT_EQ(at_receiver.handed_over, Handover::kFrames);
  EXPECT_EQ(at_receiver.shard.drops[DropReason::kHandoverRingFull], kTooMany);
  for (size_t i = 0; i < Handover::kFrames / Worker::kRxBurst + 2; ++i) owner.Turn();
  const WorkerSnapshot at_owner = owner.Snapshot();
  EXPECT_EQ(at_owner.handed_in, Handover::kFrames);
  EXPECT_EQ(at_owner.shard.drops[DropReason::kTcpNoListener], Handover::kFrames);
  // There is room again.
  two.pair.b->Transmit(0, {&syn, 1});
  receiver.Turn();
  EXPECT_EQ(receiver.Snapshot().shard.drops[DropReason::kHandoverRingFull], kTooMany);
  owner.Turn();
  EXPECT_EQ(owner.Snapshot().handed_in, Handover::kFrames + 1);
  EXPECT_EQ(two.core->Stop(Duration::Zero()).buffers, 0u);
}

TEST(Workers, FragmentsMeetAndTheWholeGoesToItsOwner) {
  TwoWorkers two;
  std::array<Worker*, 2> workers = two.workers;
  const stack::Steering steering = two.steering();
  std::array<uint64_t, 2> expected{};
  for (uint16_t port = 2'000; port < 2'032; ++port) {
    ++expected[steering.OwnerOf({Ip("10.77.0.1"), Ip("10.77.0.2"), 8, port})];
    // One worker receives the first fragment, the other the second.
    for (const TxFrame& frame : SynInFragments(port)) {
      two.pair.b->Transmit(0, {&frame, 1});
      workers[port % 2]->Turn();
      std::swap(workers[0], workers[1]);
    }
  }
  for (int i = 0; i < 8; ++i) workers[i % 2]->Turn();
  uint64_t handed_over = 0;
  for (Worker* worker : workers) {
    const WorkerSnapshot snapshot = worker->Snapshot();
    EXPECT_EQ(snapshot.shard.drops[DropReason::kTcpNoListener], expected[worker->index()]);
    EXPECT_EQ(snapshot.shard.rx_frames, snapshot.shard.rx_consumed + snapshot.shard.drops.total());
    EXPECT_EQ(snapshot.usage.fragments, 0u);
    handed_over += snapshot.handed_over;
  }
  EXPECT_GT(std::min(expected[0], expected[1]), 0u) << "flows of both";
  EXPECT_GT(handed_over, 0u);
  EXPECT_EQ(two.core->Stop(Duration::Zero()).buffers, 0u);
}

TEST(StackCore, WantsAQueueForEachWorker) {
  MemoryPair pair = MakeMemoryPair(1);
  StackConfig config;
  config.workers = 2;
  config.shard.interfaces.push_back({});
  std::vector<std::unique_ptr<Device>> devices;
  devices.push_back(std::move(pair.a));
  const auto core = StackCore::Create(config, std::move(devices), PlainThreads(), HeapMemory());
  ASSERT_FALSE(core.ok());
  EXPECT_NE(core.status().message().find("memory:a has 1 queue(s)"), std::string::npos) << core.status();
  EXPECT_NE(core.status().message().find("give fewer lcores"), std::string::npos) << core.status();
}

// The message of a stack that cannot be made: of `config`, with a device of two queues if `with_device`.
std::string CreateError(const StackConfig& config, bool with_device = true,
                        MemorySource& memory = HeapMemory()) {
  MemoryPair pair = MakeMemoryPair(2);
  std::vector<std::unique_ptr<Device>> devices;
  if (with_device) devices.push_back(std::move(pair.a));
  return std::string(
      StackCore::Create(config, std::move(devices), PlainThreads(), memory).status().message());
}

class NoMemory final : public MemorySource {
 public:
  void* Allocate(size_t) override { return nullptr; }
  void Free(void*, size_t) override {}
};

TEST(StackCore, WhatCannotBeAStackIsSaid) {
  StackConfig config;
  EXPECT_EQ(CreateError(config, /*with_device=*/false),
            "a stack needs a device: give at least one interface");
  EXPECT_EQ(CreateError(config), "as many devices as interfaces are needed");
  config.shard.interfaces.push_back({});
  config.workers = 0;
  EXPECT_EQ(CreateError(config), "a stack needs a worker");
  config.workers = 2;
  NoMemory none;
  EXPECT_EQ(CreateError(config, /*with_device=*/true, none),
            "not enough memory for the rings between workers");
}

TEST(StackCore, RunsOnce) {
  MemoryPair pair = MakeMemoryPair(1);
  StackConfig config;
  config.shard.interfaces.push_back({});
  std::vector<std::unique_ptr<Device>> devices;
  devices.push_back(std::move(pair.a));
  const auto core = StackCore::Create(config, std::move(devices), PlainThreads(), HeapMemory()).value();
  ASSERT_TRUE(core->Start().ok());
  EXPECT_EQ(core->Start().message(), "the stack runs already");
  core->Stop(Duration::Zero());
  EXPECT_EQ(core->Start().message(), "the stack was stopped: open a new one");
}

TEST(WorkerLinks, WhatHappensToLinksIsTold) {
  MemoryPair pair = MakeMemoryPair(1);
  std::vector<stack::LinkEvent> told;
  StackConfig config;
  config.shard.interfaces.push_back({.mtu = 0, .autoconf = {.on = true}, .addresses = {}});
  config.seed = 7;
  config.on_link_event = [&](const stack::LinkEvent& event) { told.push_back(event); };
  std::vector<std::unique_ptr<Device>> devices;
  devices.push_back(std::move(pair.a));
  const auto core = StackCore::Create(config, std::move(devices), PlainThreads(), HeapMemory()).value();
  core->RunOn(0, [&](Worker& worker) {
    worker.shard().OnLinkNotice({.address = Ip("fe80::7"),
                                 .interface = 0,
                                 .kind = stack::LinkNotice::Kind::kRouter,
                                 .valid = Duration::Seconds(1'000)},
                                worker.now());
    for (int i = 0; i < 1'000'000 && told.empty(); ++i) worker.Turn();
  });
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].kind, stack::LinkEvent::Kind::kRouterFound);
  EXPECT_EQ(told[0].address, Ip("fe80::7"));
}

}  // namespace
}  // namespace tern::runtime
