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
  EXPECT_FALSE(taken.ok());
  EXPECT_NE(taken.message().find(":7"), std::string::npos) << taken;
  EXPECT_FALSE(server_->Listen(On(0), Echoes()).ok());
  EXPECT_FALSE(server_->Listen(On(8), [](Worker&) { return nullptr; }).ok());
  ListenOptions impatient = On(8);
  impatient.defer_accept = std::chrono::hours(2);
  const absl::Status too_long = server_->Listen(impatient, Echoes());
  EXPECT_NE(too_long.message().find("defer_accept"), std::string::npos) << too_long;
  EXPECT_TRUE(server_->Listen(On(8), Echoes()).ok()) << "nothing was left listening";
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
