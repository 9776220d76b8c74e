// Tier 3: application threads against workers.
#include "tern/client.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <string>
#include <thread>

#include "runtime/memory_device_test_util.h"
#include "runtime/stack_core.h"
#include "tern/dispatch.h"
#include "tern/stack.h"

namespace tern {
namespace {

constexpr std::chrono::milliseconds kLong = std::chrono::minutes(2);

std::unique_ptr<Stack> OpenOn(std::unique_ptr<Device> device, const std::string& address, int workers) {
  Options options;
  options.interfaces.push_back({.device = "memory", .addresses = {address}, .pools = {}});
  for (int i = 0; i < workers; ++i) options.lcores.push_back(i);
  options.seed = 12;
  options.max_connections = 1'024;
  runtime::StackConfig config;
  EXPECT_TRUE(TranslateOptions(options, &config).ok());
  std::vector<std::unique_ptr<Device>> devices;
  devices.push_back(std::move(device));
  auto core = runtime::StackCore::Create(config, std::move(devices), runtime::PlainThreads(), HeapMemory());
  EXPECT_TRUE(core.ok()) << core.status();
  return MakeStack(*std::move(core), options);
}

uint8_t Pattern(size_t at) { return static_cast<uint8_t>(at * 131 >> 3); }

// Accepts and echoes with a client of its own, on a thread of its own, until told to end.
class EchoThread {
 public:
  EchoThread(Stack& stack, uint16_t port) : client_(stack.NewClient().value()) {
    EXPECT_TRUE(client_->Listen({.local = {.address = {}, .port = port}}).ok());
    thread_ = std::thread([this] { Run(); });
  }
  ~EchoThread() {
    end_.store(true);
    thread_.join();
  }
  int accepted() const { return accepted_.load(); }

 private:
  void Run() {
    std::array<ClientEvent, 32> events;
    while (!end_.load()) {
      const size_t count = client_->Poll(events);
      for (size_t i = 0; i < count; ++i) Act(events[i]);
      if (count == 0) client_->Wait(std::chrono::milliseconds(20));
    }
  }
  void Act(const ClientEvent& event) {
    if (event.kind == ClientEventKind::kAccepted) {
      accepted_.fetch_add(1);
      EXPECT_NE(client_->remote(event.connection).port, 0);
    }
    if (event.kind == ClientEventKind::kClosed) return client_->Close(event.connection);
    for (;;) {
      const std::span<const std::byte> piece = client_->Peek(event.connection);
      if (piece.empty()) break;
      const SendResult result = client_->Send(event.connection, piece);
      client_->Consume(event.connection, result.taken);
      if (result.status != SendStatus::kOk) return;
    }
    if (client_->AtEnd(event.connection)) client_->ShutdownWrite(event.connection);
  }

  std::unique_ptr<Client> client_;
  std::atomic<bool> end_{false};
  std::atomic<int> accepted_{0};
  std::thread thread_;
};

class ClientTest : public testing::Test {
 protected:
  void SetUp() override {
    constexpr int kWorkers = 2;
    runtime::MemoryPair pair = runtime::MakeMemoryPair(kWorkers);
    server_ = OpenOn(std::move(pair.a), "10.77.0.1/24", kWorkers);
    client_ = OpenOn(std::move(pair.b), "10.77.0.2/24", kWorkers);
    ASSERT_TRUE(server_->Start().ok());
    ASSERT_TRUE(client_->Start().ok());
  }
  void TearDown() override {
    EXPECT_TRUE(client_->Stop().clean());
    EXPECT_TRUE(server_->Stop().clean());
  }
  std::unique_ptr<Stack> server_;
  std::unique_ptr<Stack> client_;
};

struct Progress {
  size_t sent = 0;
  size_t received = 0;
  bool shut = false;
};

// Sends `total` octets over `conn` as far as there is room, and ends the stream after them.
void PushPattern(Client& client, ClientConnection conn, Progress& progress, size_t total) {
  std::array<std::byte, 3'000> block;
  while (progress.sent < total) {
    const size_t length = std::min(block.size(), total - progress.sent);
    for (size_t i = 0; i < length; ++i) block[i] = std::byte{Pattern(progress.sent + i)};
    const SendResult result = client.Send(conn, std::span(block).first(length));
    progress.sent += result.taken;
    if (result.status != SendStatus::kOk) return;
  }
  if (!std::exchange(progress.shut, true)) client.ShutdownWrite(conn);
}

void PullPattern(Client& client, ClientConnection conn, Progress& progress) {
  for (;;) {
    const std::span<const std::byte> piece = client.Peek(conn);
    if (piece.empty()) return;
    for (size_t i = 0; i < piece.size(); ++i) {
      ASSERT_EQ(piece[i], std::byte{Pattern(progress.received + i)});
    }
    progress.received += piece.size();
    client.Consume(conn, piece.size());
  }
}

TEST_F(ClientTest, StreamsComeBackWhole) {
  constexpr size_t kTotal = 300'000;
  constexpr int kConnections = 6;
  EchoThread echo(*server_, 7);
  // Little memory, so that every kind of backpressure is met.
  auto client =
      client_->NewClient({.chunk_size = 1'024, .chunks = 16, .send_limit = 8'192, .receive_limit = 16'384});
  ASSERT_TRUE(client.ok());
  std::map<ClientConnection, Progress> open;
  for (int i = 0; i < kConnections; ++i) {
    const auto conn = (*client)->Connect({.remote = Endpoint::Parse("10.77.0.1:7").value()});
    ASSERT_TRUE(conn.ok());
    open[*conn] = {};
  }
  std::array<ClientEvent, 8> events;
  int closed = 0;
  while (closed < kConnections) {
    const size_t count = (*client)->Poll(events);
    for (size_t i = 0; i < count; ++i) {
      Progress& progress = open.at(events[i].connection);
      if (events[i].kind == ClientEventKind::kClosed) {
        EXPECT_EQ(events[i].reason, CloseReason::kGraceful);
        EXPECT_EQ(progress.received, kTotal);
        (*client)->Close(events[i].connection);
        ++closed;
        continue;
      }
      PullPattern(**client, events[i].connection, progress);
      PushPattern(**client, events[i].connection, progress, kTotal);
    }
    if (count == 0) {
      ASSERT_TRUE((*client)->Wait(kLong)) << "nothing happens any more";
    }
  }
  EXPECT_EQ(echo.accepted(), kConnections);
}

TEST_F(ClientTest, RefusedIsTold) {
  auto client = client_->NewClient().value();
  const auto conn = client->Connect({.remote = Endpoint::Parse("10.77.0.1:9").value()});
  ASSERT_TRUE(conn.ok());
  std::array<ClientEvent, 4> events;
  size_t count = 0;
  while ((count = client->Poll(events)) == 0) ASSERT_TRUE(client->Wait(kLong));
  ASSERT_EQ(count, 1u);
  EXPECT_EQ(events[0].kind, ClientEventKind::kClosed);
  EXPECT_EQ(events[0].reason, CloseReason::kRefused);
  EXPECT_EQ(events[0].connection, *conn);
  client->Close(*conn);
  EXPECT_EQ(client->Send(*conn, {}).status, SendStatus::kNotOpen);
}

TEST_F(ClientTest, StaleNamesAreHarmless) {
  auto client = client_->NewClient().value();
  for (const ClientConnection name : {ClientConnection{0}, ClientConnection{12345}, ~ClientConnection{0}}) {
    EXPECT_TRUE(client->Peek(name).empty());
    EXPECT_EQ(client->Consume(name, 10), 0u);
    EXPECT_FALSE(client->AtEnd(name));
    client->ShutdownWrite(name);
    client->Close(name);
    client->Abort(name);
    EXPECT_EQ(client->remote(name), Endpoint());
  }
}

TEST_F(ClientTest, LimitsAreErrors) {
  auto client = client_->NewClient({.max_connections = 2}).value();
  const ConnectOptions to = {.remote = Endpoint::Parse("10.77.0.1:9").value()};
  EXPECT_TRUE(client->Connect(to).ok());
  EXPECT_TRUE(client->Connect(to).ok());
  const absl::Status full = client->Connect(to).status();
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(full.message(), "the client has as many connections as max_connections allows");
  EXPECT_EQ(client_->NewClient({.chunks = 0}).status().message(), "a client's limits must not be zero");
  EXPECT_EQ(client->Listen({}).status().message(), "port 0 cannot be listened on: give one, 1 to 65535");
  EXPECT_TRUE(client->Listen({.local = {.address = {}, .port = 7}}).ok());
  EXPECT_EQ(client->Listen({.local = {.address = {}, .port = 7}}).status().message(),
            "cannot listen on [::]:7: address in use");
}

// A worker that is busy with this very call takes nothing of what the client asks meanwhile.
TEST_F(ClientTest, AWorkerThatDoesNotKeepUpIsAnError) {
  auto client = client_->NewClient({.max_connections = 10'000}).value();
  absl::Status status;
  const auto ask = [&](Worker&) {
    const ConnectOptions to = {.remote = Endpoint::Parse("10.77.0.1:9").value()};
    for (int i = 0; i < 10'000 && status.ok(); ++i) status = client->Connect(to).status();
  };
  ASSERT_TRUE(client_->RunOn(0, ask).ok());
  EXPECT_EQ(status.message(), "the worker has not kept up: Poll, and try again");
}

TEST_F(ClientTest, AClientMayGoWithDataUnread) {
  EchoThread echo(*server_, 7);
  for (int round = 0; round < 5; ++round) {
    auto client = client_->NewClient().value();
    const ClientConnection conn = client->Connect({.remote = Endpoint::Parse("10.77.0.1:7").value()}).value();
    std::array<std::byte, 10'000> data{};
    client->Send(conn, data);
    std::array<ClientEvent, 4> events;
    bool readable = false;
    while (!readable) {
      const size_t count = client->Poll(events);
      for (size_t i = 0; i < count; ++i) readable |= events[i].kind == ClientEventKind::kReadable;
      if (count == 0) {
        ASSERT_TRUE(client->Wait(kLong));
      }
    }
  }
}

TEST_F(ClientTest, AStackMayStopUnderItsClients) {
  EchoThread echo(*server_, 7);
  auto client = client_->NewClient().value();
  const ClientConnection conn = client->Connect({.remote = Endpoint::Parse("10.77.0.1:7").value()}).value();
  std::array<ClientEvent, 4> events;
  while (client->Poll(events) == 0) ASSERT_TRUE(client->Wait(kLong));
  EXPECT_EQ(client_->Stop().connections, 0u);
  EXPECT_TRUE(client->Wait(kLong));
  const size_t count = client->Poll(events);
  ASSERT_GE(count, 1u);
  EXPECT_EQ(events[count - 1].kind, ClientEventKind::kClosed);
  EXPECT_EQ(client->Send(conn, std::array<std::byte, 1>{}).status, SendStatus::kNotOpen);
  EXPECT_EQ(client->Connect({.remote = Endpoint::Parse("10.77.0.1:7").value()}).status().message(),
            "the stack is stopped");
  client->Close(conn);
}

}  // namespace
}  // namespace tern
