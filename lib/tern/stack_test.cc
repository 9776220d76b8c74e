// Whole stacks through the public interface, on plain threads and over a wire of memory: two workers each,
// and receive queues that steer as wrongly as they can.
#include "tern/stack.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <numeric>
#include <thread>

#include "runtime/memory_device_test_util.h"
#include "runtime/stack_core.h"
#include "tern/dispatch.h"

namespace tern {
namespace {

TEST(TranslateOptions, ACpuIsNamedOnce) {
  Options options;
  options.interfaces.push_back({.device = "memory", .addresses = {"10.77.0.1/24"}, .pools = {}});
  options.lcores = {3, 0, 3};
  runtime::StackConfig config;
  EXPECT_EQ(TranslateOptions(options, &config).message(),
            "lcores \"3,0,3\": expected each CPU once: one worker runs on each");
}

TEST(TranslateOptions, AutoconfIsPassedOnAndItsEventsReachTheLog) {
  Options options;
  std::vector<std::string> lines;
  options.interfaces.push_back(
      {.device = "memory", .addresses = {}, .pools = {}, .autoconf = true, .dad_transmits = 2});
  options.log = [&](LogLevel level, std::string_view line) {
    lines.push_back(std::to_string(static_cast<int>(level)) + " " + std::string(line));
  };
  runtime::StackConfig config;
  ASSERT_TRUE(TranslateOptions(options, &config).ok());
  EXPECT_TRUE(config.shard.interfaces[0].autoconf.on);
  EXPECT_EQ(config.shard.interfaces[0].autoconf.dad_transmits, 2);
  EXPECT_FALSE(config.shard.interfaces[0].autoconf.dad_configured);
  using Kind = stack::LinkEvent::Kind;
  const wire::IpAddress address = *wire::IpAddress::Parse("fd77::7");
  for (const Kind kind : {Kind::kAddressFormed, Kind::kAddressGone, Kind::kAddressDuplicate,
                          Kind::kRouterFound, Kind::kRouterGone, Kind::kRouterFailed}) {
    config.on_link_event({.kind = kind, .interface = 0, .address = address});
  }
  ASSERT_EQ(lines.size(), 6u);
  EXPECT_EQ(lines[0], "1 memory: fd77::7 is an address of ours from now on, by a router's prefix");
  EXPECT_EQ(lines[2],
            "3 memory: fd77::7 is not used: another host on the link has it (give this one another mac or "
            "address)");
  EXPECT_EQ(lines[5],
            "2 memory: fd77::7 is a router that does not answer: the next one is used, if there is one");
  options.interfaces[0].dad_transmits = 11;
  EXPECT_EQ(TranslateOptions(options, &config).message(),
            "dad_transmits \"11\": expected 0 (never) to 10 times");
}

// What is wrong with options that are right but for `change`.
template <typename F>
std::string OptionsError(F change) {
  Options options;
  options.interfaces.push_back({.device = "memory", .addresses = {"10.77.0.1/24"}, .pools = {}});
  change(options);
  runtime::StackConfig config;
  return std::string(TranslateOptions(options, &config).message());
}

TEST(TranslateOptions, WhatIsWrongIsNamedWithItsValue) {
  EXPECT_EQ(OptionsError([](Options&) {}), "");
  EXPECT_EQ(OptionsError([](Options& o) { o.interfaces.clear(); }),
            "no device: give one, as af_packet:veth1 or pci:0000:01:00.0");
  EXPECT_EQ(OptionsError([](Options& o) { o.interfaces[0].device = ""; }),
            "an interface without a device: give one, as af_packet:veth1");
  EXPECT_EQ(OptionsError([](Options& o) { o.gateways = {"10.78.0.1"}; }),
            "gateway \"10.78.0.1\": expected a gateway inside the prefix of one of the addresses: check the "
            "prefix lengths");
  EXPECT_EQ(OptionsError([](Options& o) { o.routes = {"10.0.0.0/8 dev 1"}; }),
            "route \"10.0.0.0/8 dev 1\": expected an interface below 1");
  EXPECT_EQ(OptionsError([](Options& o) { o.congestion = "vegas"; }),
            "congestion \"vegas\": expected cubic or newreno");
  EXPECT_EQ(OptionsError([](Options& o) { o.send_buffer = 100; }),
            "send_buffer \"100\": expected 4 KiB to 1 GiB");
  EXPECT_EQ(OptionsError([](Options& o) { o.receive_buffer_max = 1'073'741'825; }),
            "receive_buffer_max \"1073741825\": expected at most 1 GiB");
  EXPECT_EQ(OptionsError([](Options& o) { o.synack_retries = 16; }),
            "synack_retries \"16\": expected 0 to 15 retries");
  EXPECT_EQ(OptionsError([](Options& o) { o.max_connections = 0; }),
            "max_connections \"0\": expected 1 to 16777216");
  EXPECT_EQ(OptionsError([](Options& o) { o.ttl = 256; }), "ttl \"256\": expected 1 to 255 hops");
  EXPECT_EQ(OptionsError([](Options& o) { o.dscp = 64; }), "dscp \"64\": expected a code point, 0 to 63");
  EXPECT_NE(OptionsError([](Options& o) { o.lcores.resize(10'000); }).find("expected a list of at most "),
            std::string::npos);
}

std::unique_ptr<Stack> OpenOn(std::unique_ptr<Device> device, const std::string& address, int workers) {
  Options options;
  options.interfaces.push_back({.device = "memory", .addresses = {address}, .pools = {}});
  options.lcores.resize(static_cast<size_t>(workers));
  std::iota(options.lcores.begin(), options.lcores.end(), 0);
  options.seed = 11;
  options.max_connections = 4'096;
  runtime::StackConfig config;
  EXPECT_TRUE(TranslateOptions(options, &config).ok());
  std::vector<std::unique_ptr<Device>> devices;
  devices.push_back(std::move(device));
  auto core = runtime::StackCore::Create(config, std::move(devices), runtime::PlainThreads(), HeapMemory());
  EXPECT_TRUE(core.ok()) << core.status();
  return MakeStack(*std::move(core), options);
}

class Echo : public Handler {
  void OnReadable(Connection conn) override { Pump(conn); }
  void OnWritable(Connection conn) override { Pump(conn); }
  void Pump(Connection conn) {
    while (size_t room = conn.SendRoom()) {
      Payload data = conn.Receive(room);
      EXPECT_EQ(data.more_waits(), conn.ReceiveReady() != 0);
      EXPECT_EQ(data.ends_stream(), conn.AtEnd());
      if (data.empty()) break;
      conn.Send(std::move(data));
    }
    if (conn.AtEnd()) conn.Close();
  }
};

ListenOptions On(uint16_t port) { return {.local = {.address = {}, .port = port}}; }
HandlerFactory Echoes() {
  return [](Worker&) { return std::make_unique<Echo>(); };
}
Endpoint To(const char* text) { return Endpoint::Parse(text).value(); }

// Counts what is done and lets the test wait for it.
class Tally {
 public:
  void Add(int count = 1) {
    const std::lock_guard lock(mutex_);
    count_ += count;
    changed_.notify_all();
  }
  bool WaitFor(int count) {
    std::unique_lock lock(mutex_);
    // A bound for tests that would hang; no test depends on how long anything takes.
    return changed_.wait_for(lock, std::chrono::minutes(2), [&] { return count_ >= count; });
  }
  int count() {
    const std::lock_guard lock(mutex_);
    return count_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

// Sends a message, wants it back, closes.
class PingHandler : public Handler {
 public:
  explicit PingHandler(Tally* good) : good_(good) {}
  void OnConnected(Connection conn) override {
    conn.Send(kMessage);
    conn.ShutdownWrite();
  }
  void OnReadable(Connection conn) override {
    auto* got = conn.context_as<std::string>();
    Payload data = conn.Receive();
    for (std::span<std::byte> piece : data) {
      got->append(reinterpret_cast<const char*>(piece.data()), piece.size());
    }
    if (data.ends_stream()) conn.Close();
  }
  void OnClosed(Connection conn, CloseReason reason) override {
    auto* got = conn.context_as<std::string>();
    if (*got == kMessage && reason == CloseReason::kGraceful) good_->Add();
    delete got;
    ended.fetch_add(1);
  }
  static constexpr std::string_view kMessage = "what goes there comes back";
  std::atomic<int> ended{0};

 private:
  Tally* good_;
};

// Opens `count` connections from its worker, some at a time.
class Opener : public Task {
 public:
  Opener(int count, Tally* good) : left_(count), handler_(good) {}
  bool OnPoll(Worker& worker) override {
    bool any = false;
    for (int i = 0; i < 8 && left_ > 0; ++i) {
      auto got = std::make_unique<std::string>();
      const ConnectStatus status = worker.Connect({.remote = To("10.77.0.1:7")}, &handler_, got.get());
      if (status != ConnectStatus::kOk) break;
      got.release();
      --left_;
      any = true;
    }
    return any;
  }

 private:
  int left_;
  PingHandler handler_;
};

class StackTest : public testing::Test {
 protected:
  void Open(int workers) {
    runtime::MemoryPair pair = runtime::MakeMemoryPair(static_cast<uint16_t>(workers));
    server_ = OpenOn(std::move(pair.a), "10.77.0.1/24", workers);
    client_ = OpenOn(std::move(pair.b), "10.77.0.2/24", workers);
    ASSERT_TRUE(server_->Listen(On(7), Echoes()).ok());
    ASSERT_TRUE(server_->Start().ok());
  }
  void ExpectCleanEnd() {
    EXPECT_TRUE(client_->Stop().clean());
    EXPECT_TRUE(server_->Stop().clean());
  }
  std::unique_ptr<Stack> server_;
  std::unique_ptr<Stack> client_;
};

TEST_F(StackTest, ManyConnectionsOverTwoWorkersEach) {
  Open(2);
  Tally good;
  ASSERT_TRUE(client_->AddTask([&](Worker&) { return std::make_unique<Opener>(100, &good); }).ok());
  ASSERT_TRUE(client_->Start().ok());
  EXPECT_TRUE(good.WaitFor(200));
  const StackStats stats = server_->Stats();
  EXPECT_EQ(stats.total.accepted, 200u);
  EXPECT_EQ(stats.total.rx_frames, stats.total.rx_consumed + stats.total.dropped());
  // The wire's queues know nothing of owners: about half of all frames had to change hands.
  EXPECT_GT(stats.total.handed_over, 0u);
  ASSERT_EQ(stats.workers.size(), 2u);
  EXPECT_GT(stats.workers[0].accepted, 0u);
  EXPECT_GT(stats.workers[1].accepted, 0u);
  ExpectCleanEnd();
}

TEST_F(StackTest, CreateStopDestroyCreateAgain) {
  for (int i = 0; i < 3; ++i) {
    Open(1);
    Tally good;
    ASSERT_TRUE(client_->AddTask([&](Worker&) { return std::make_unique<Opener>(3, &good); }).ok());
    ASSERT_TRUE(client_->Start().ok());
    EXPECT_TRUE(good.WaitFor(3));
    ExpectCleanEnd();
    EXPECT_FALSE(client_->running());
    EXPECT_FALSE(client_->Start().ok());
    EXPECT_EQ(client_->Stats().total.connected, 3u) << "the last snapshot stays";
    server_.reset();
    client_.reset();
  }
}

TEST_F(StackTest, StopEndsWhatIsOpen) {
  Open(1);
  ASSERT_TRUE(client_->Start().ok());
  Tally good;
  PingHandler handler(&good);
  class Open : public Handler {
   public:
    void OnConnected(Connection) override { connected.Add(); }
    void OnClosed(Connection, CloseReason reason) override { closed = reason; }
    Tally connected;
    std::atomic<CloseReason> closed{CloseReason::kNone};
  } open;
  ASSERT_TRUE(client_
                  ->RunOn(0,
                          [&](Worker& worker) {
                            EXPECT_EQ(worker.Connect({.remote = To("10.77.0.1:7")}, &open),
                                      ConnectStatus::kOk);
                          })
                  .ok());
  EXPECT_TRUE(open.connected.WaitFor(1));
  EXPECT_TRUE(client_->Stop(StopMode::kAbort).clean());
  EXPECT_EQ(open.closed.load(), CloseReason::kAborted);
  EXPECT_TRUE(server_->Stop(StopMode::kAbort).clean());
}

TEST_F(StackTest, ListenErrorsNameTheEndpoint) {
  Open(2);
  const absl::Status taken = server_->Listen(On(7), Echoes());
  EXPECT_EQ(taken.message(), "cannot listen on [::]:7: address in use");
  EXPECT_EQ(server_->Listen(On(0), Echoes()).message(), "port 0 cannot be listened on: give one, 1 to 65535");
  EXPECT_EQ(server_->Listen(On(8), [](Worker&) { return nullptr; }).message(),
            "no handler for [::]:8: the factory gave none, or too many exist");
  ListenOptions impatient = On(8);
  impatient.defer_accept = std::chrono::hours(2);
  const absl::Status too_long = server_->Listen(impatient, Echoes());
  EXPECT_EQ(too_long.message(),
            "cannot listen on [::]:8: defer_accept of 7200000000000 ns: expected 0 (off) to one hour");
  stack::ListenSpec spec;
  EXPECT_EQ(TranslateListen(On(0), {}, &spec).message(), "cannot listen on [::]:0: give a port, 1 to 65535");
  EXPECT_TRUE(server_->Listen(On(8), Echoes()).ok()) << "nothing was left listening";
}

TEST_F(StackTest, CallsOutOfTurnSayWhatToDo) {
  Open(1);
  const auto nothing = [](Worker&) {};
  EXPECT_EQ(client_->RunOn(0, nothing).message(), "the stack does not run");
  EXPECT_EQ(client_->NewClient().status().message(), "a client needs a running stack: call Start first");
  ASSERT_TRUE(client_->AddTask([](Worker&) { return nullptr; }).ok());
  EXPECT_EQ(client_->Start().message(), "a task factory gave no task");
  EXPECT_EQ(client_->Listen(On(8), Echoes()).message(), "the stack is stopped");
  EXPECT_EQ(server_->RunOn(1, nothing).message(), "there is no worker 1: the stack has 1, numbered from 0");
  EXPECT_EQ(server_->AddTask([](Worker&) { return nullptr; }).message(),
            "tasks are added before the stack starts");
  ExpectCleanEnd();
}

TEST_F(StackTest, TimersAndStatsOnTheWorker) {
  Open(1);
  ASSERT_TRUE(client_->Start().ok());
  Tally fired;
  const auto set = [&](Worker& worker) {
    const Worker::TimerId id = worker.After(std::chrono::hours(1), [&] { fired.Add(100); });
    worker.After(std::chrono::microseconds(100), [&] { fired.Add(); });
    worker.Cancel(id);
    EXPECT_EQ(worker.index(), 0);
    EXPECT_EQ(worker.count(), 1);
    EXPECT_GE(worker.PreciseNow(), worker.Now());
    EXPECT_GT(worker.Stats().cycles_per_second, 0u);
  };
  ASSERT_TRUE(client_->RunOn(0, set).ok());
  EXPECT_TRUE(fired.WaitFor(1));
  EXPECT_EQ(fired.count(), 1);
  EXPECT_FALSE(client_->RunOn(1, set).ok());
  ExpectCleanEnd();
}

TEST_F(StackTest, PayloadsAreTakenApart) {
  Open(1);
  ASSERT_TRUE(client_->Start().ok());
  const auto use = [](Worker& worker) {
    Payload payload = worker.NewPayload(5'000);
    ASSERT_EQ(payload.size(), 5'000u);
    uint8_t next = 0;
    size_t pieces = 0;
    for (std::span<std::byte> piece : payload) {
      for (std::byte& byte : piece) byte = std::byte{next++};
      ++pieces;
    }
    EXPECT_GT(pieces, 1u);
    payload.DropFront(2'100);
    payload.Truncate(2'000);
    ASSERT_EQ(payload.size(), 2'000u);
    Payload more = worker.NewPayload(10);
    payload.Append(std::move(more));
    EXPECT_EQ(payload.size(), 2'010u);
    EXPECT_TRUE(more.empty());
    std::vector<std::byte> copy(3'000);
    EXPECT_EQ(payload.CopyTo(copy), 2'010u);
    for (size_t i = 0; i < 2'000; ++i) ASSERT_EQ(copy[i], static_cast<std::byte>(2'100 + i));
    Payload taken = std::move(payload);
    EXPECT_TRUE(payload.empty());
    taken.DropFront(5'000);
    EXPECT_TRUE(taken.empty());
    EXPECT_TRUE(worker.NewPayload(1u << 30).empty()) << "more than the pool has";
  };
  ASSERT_TRUE(client_->RunOn(0, use).ok());
  ExpectCleanEnd();
}

}  // namespace
}  // namespace tern
