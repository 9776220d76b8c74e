// The services and the clients' loads against each other: two stacks of this process, joined by a loopback
// cable.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "apps/bulk/bulk_load.h"
#include "apps/echo/echo_load.h"
#include "apps/pattern.h"
#include "apps/server.h"
#include "apps/services.h"
#include "drivers_glue/eal.h"
#include "tern/stack.h"

namespace tern::apps {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Answers with the right number of octets; in each piece that has it, the one at `wrong` is damaged.
class WrongEcho : public Handler {
 public:
  explicit WrongEcho(size_t wrong) : wrong_(wrong) {}

 private:
  void OnReadable(Connection conn) override {
    Payload data = conn.Receive();
    if (!data.empty() && (*data.begin()).size() > wrong_) (*data.begin())[wrong_] ^= std::byte{1};
    conn.Send(std::move(data));
    if (conn.AtEnd()) conn.Close();
  }
  const size_t wrong_;
};
HandlerFactory WrongAt(size_t wrong) {
  return [wrong](Worker&) { return std::make_unique<WrongEcho>(wrong); };
}

// Accepts, and reads nothing.
class Deaf : public Handler {};

class EndToEnd : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    EalOptions options;
    options.hugepages = HugepageMode::kOff;
    options.memory_mib = 1024;
    const HostFacts host = ReadHostFacts();
    if (host.cpus.size() < 2) return;
    options.lcores = {host.cpus[0], host.cpus[1]};
    ASSERT_TRUE(EalStart(options).ok());
  }

  void SetUp() override {
    if (!EalIsRunning()) GTEST_SKIP() << "two workers want two CPUs";
    server_ = Open(0, "10.79.0.1/24", "fd79::1/64");
    client_ = Open(1, "10.79.0.2/24", "fd79::2/64");
  }
  void TearDown() override {
    for (Stack* stack : {client_.get(), server_.get()}) {
      if (stack == nullptr) continue;
      EXPECT_TRUE(stack->Stop().clean());
    }
  }

  static std::unique_ptr<Stack> Open(size_t worker, const char* v4, const char* v6,
                                     const char* impairment = "") {
    Options options;
    options.interfaces = {
        {.device = "loopback,pair=end_to_end", .addresses = {v4, v6}, .impairment = impairment}};
    options.lcores = {static_cast<int>(GetEalFacts().lcores[worker])};
    options.huge_pages = HugePages::kOff;
    auto stack = Stack::Open(options);
    if (!stack.ok()) ADD_FAILURE() << stack.status();
    return stack.ok() ? *std::move(stack) : nullptr;
  }

  void Serve(uint16_t port, HandlerFactory factory) {
    ASSERT_TRUE(server_->Listen({.local = {.port = port}}, std::move(factory)).ok());
  }

  // Runs a load until `enough`, then ends it. Its account is in result_.
  template <typename T, typename O>
  void Run(const O& options, const std::function<bool(const LoadResult&)>& enough) {
    T* load = nullptr;
    ASSERT_TRUE(client_
                    ->AddTask([&](Worker& worker) -> std::unique_ptr<Task> {
                      auto made = std::make_unique<T>(worker, &result_, &options);
                      load = made.get();
                      return made;
                    })
                    .ok());
    ASSERT_TRUE(server_->Start().ok());
    ASSERT_TRUE(client_->Start().ok());
    WaitFor([&] { return enough(result_) || result_.done.load(); });
    ASSERT_TRUE(client_->RunOn(0, [&](Worker&) { load->BeginStop(); }).ok());
    WaitFor([&] { return result_.done.load(); });
    EXPECT_TRUE(result_.done.load());
  }

  // Not a time that anything is measured against: only so that a test which hangs ends.
  static void WaitFor(const std::function<bool()>& condition) {
    for (int i = 0; i < 60'000 && !condition(); ++i) std::this_thread::sleep_for(milliseconds(1));
  }

  ServiceBoard board_{1, true, true};
  LoadResult result_;
  std::unique_ptr<Stack> server_;
  std::unique_ptr<Stack> client_;
};

TEST_F(EndToEnd, EchoInAClosedLoop) {
  Serve(7, EchoService(&board_));
  const EchoLoadOptions options{
      .remote = *Endpoint::Parse("10.79.0.1:7"), .connections = 20, .size = 100, .depth = 2};
  Run<EchoLoad>(options, [](const LoadResult& result) { return result.requests.value() >= 5'000; });
  EXPECT_EQ(result_.failed.value(), 0u);
  EXPECT_EQ(result_.opened.value(), 20u);
  EXPECT_GE(result_.requests.value(), 5'000u);
  EXPECT_EQ(result_.latency.count(), result_.requests.value());
  EXPECT_EQ(result_.octets_in.value(), result_.requests.value() * 100);
  EXPECT_EQ(board_.Sum(&ServiceCounters::octets_in), result_.octets_out.value());
  // The client's last ACK may still be on its way.
  WaitFor([&] { return board_.Sum(&ServiceCounters::graceful) >= 20u; });
  EXPECT_EQ(board_.Sum(&ServiceCounters::graceful), 20u);
}

TEST_F(EndToEnd, AtDepthOneAReadIsARequest) {
  Serve(7, EchoService(&board_));
  const EchoLoadOptions options{
      .remote = *Endpoint::Parse("10.79.0.1:7"), .connections = 4, .size = 64, .depth = 1};
  Run<EchoLoad>(options, [](const LoadResult& result) { return result.requests.value() >= 1'000; });
  EXPECT_EQ(board_.Sum(&ServiceCounters::echo_reads), result_.requests.value());
}

TEST_F(EndToEnd, AnImpairmentIsCounted) {
  EXPECT_TRUE(client_->Stop().clean());
  client_ = Open(1, "10.79.0.2/24", "fd79::2/64", "loss=1%,duplicate=10%,seed=3");
  Serve(7, EchoService(&board_));
  const EchoLoadOptions options{.remote = *Endpoint::Parse("10.79.0.1:7"), .connections = 20, .size = 64};
  Run<EchoLoad>(options, [](const LoadResult& result) { return result.requests.value() >= 2'000; });
  EXPECT_EQ(result_.failed.value(), 0u);
  const DeviceStats device = client_->Stats().devices.front();
  EXPECT_TRUE(device.impaired);
  EXPECT_FALSE(server_->Stats().devices.front().impaired);
  for (const ImpairmentStats& way : {device.rx_impairment, device.tx_impairment}) {
    EXPECT_GT(way.seen, 2'000u);
    EXPECT_GT(way.lost, 0u);
    EXPECT_GT(way.duplicated, 0u);
  }
}

TEST_F(EndToEnd, EchoInAnOpenLoop) {
  Serve(7, EchoService(&board_));
  const EchoLoadOptions options{
      .remote = *Endpoint::Parse("[fd79::1]:7"), .connections = 5, .size = 20'000, .rate = 500};
  Run<EchoLoad>(options, [](const LoadResult& result) { return result.requests.value() >= 200; });
  EXPECT_EQ(result_.failed.value(), 0u);
  EXPECT_EQ(result_.octets_in.value(), result_.requests.value() * 20'000);
}

TEST_F(EndToEnd, BulkUpAndDown) {
  Serve(9, SinkService(&board_));
  Serve(19, SourceService(&board_));
  const BulkLoadOptions options{.server = *Address::Parse("10.79.0.1"),
                                .direction = Direction::kBoth,
                                .octets = 8'000'001,
                                .connections = 3};
  Run<BulkLoad>(options, [](const LoadResult&) { return false; });
  EXPECT_EQ(result_.failed.value(), 0u);
  EXPECT_EQ(result_.octets_out.value(), 8'000'001u);
  EXPECT_GE(result_.octets_in.value(), 8'000'001u);
  EXPECT_EQ(board_.Sum(&ServiceCounters::sink_octets), 8'000'001u);
  EXPECT_EQ(board_.Sum(&ServiceCounters::sink_matched), 3u);
  EXPECT_EQ(board_.Sum(&ServiceCounters::sink_hash_sum), result_.hash_sent_sum);
  EXPECT_EQ(board_.Sum(&ServiceCounters::source_streams), 3u);
  EXPECT_EQ(board_.Sum(&ServiceCounters::source_octets), result_.octets_in.value());
  EXPECT_EQ(board_.Sum(&ServiceCounters::source_hash_sum), result_.hash_received_sum);
  EXPECT_EQ(board_.TakeRecords().size(), 3u);
}

TEST_F(EndToEnd, BulkThroughEcho) {
  Serve(7, EchoService(&board_));
  const BulkLoadOptions options{.server = *Address::Parse("fd79::1"),
                                .direction = Direction::kEcho,
                                .octets = 4'000'000,
                                .connections = 2};
  Run<BulkLoad>(options, [](const LoadResult&) { return false; });
  EXPECT_EQ(result_.failed.value(), 0u);
  EXPECT_EQ(result_.octets_in.value(), 4'000'000u);
  EXPECT_EQ(result_.hash_sent_sum, result_.hash_received_sum);
}

// Reads to the end of the stream that the server ends first, and ends its own then.
class Reader : public Handler, public Task {
 public:
  Reader(Endpoint remote, std::string text_to_send, std::string* out, std::atomic<bool>* done)
      : remote_(remote), send_(std::move(text_to_send)), out_(out), done_(done) {}
  void OnStart(Worker& worker) override { worker.Connect({.remote = remote_}, this); }
  bool OnPoll(Worker&) override { return false; }

 private:
  void OnConnected(Connection conn) override { conn.Send(send_); }
  void OnReadable(Connection conn) override {
    const Payload data = conn.Receive();
    for (const std::span<std::byte> piece : data)
      out_->append(reinterpret_cast<const char*>(piece.data()), piece.size());
    if (conn.AtEnd()) conn.Close();
  }
  void OnClosed(Connection, CloseReason reason) override {
    out_->append(CloseReasonName(reason));
    *done_ = true;
  }

  const Endpoint remote_;
  const std::string send_;
  std::string* const out_;
  std::atomic<bool>* const done_;
};

TEST(DaytimeLine, IsInUtc) {
  EXPECT_EQ(DaytimeLine(380'227'063), "Monday, January 18, 1982 18:37:43-UTC\r\n");
}

TEST_F(EndToEnd, DaytimeSaysALineAndClosesFirst) {
  Serve(13, DaytimeService(&board_));
  std::string got;
  std::atomic<bool> done = false;
  // What the peer sends is thrown away, and does not cost it the line.
  ASSERT_TRUE(client_
                  ->AddTask([&](Worker&) -> std::unique_ptr<Task> {
                    return std::make_unique<Reader>(*Endpoint::Parse("[fd79::1]:13"), "what time is it?\n",
                                                    &got, &done);
                  })
                  .ok());
  ASSERT_TRUE(server_->Start().ok());
  ASSERT_TRUE(client_->Start().ok());
  WaitFor([&] { return done.load() && board_.Sum(&ServiceCounters::graceful) == 1; });
  ASSERT_TRUE(done.load());
  const size_t end = got.find("-UTC\r\n");
  ASSERT_NE(end, std::string::npos) << got;
  EXPECT_EQ(got.substr(end + 6), "graceful") << "one line, then the end of the stream";
  EXPECT_EQ(board_.Sum(&ServiceCounters::octets_in), 17u);
  EXPECT_EQ(server_->Stats().total.time_wait, 1u) << "who closes first waits";
  EXPECT_EQ(client_->Stats().total.time_wait, 0u);
}

TEST_F(EndToEnd, AWrongOctetIsAFailure) {
  Serve(7, WrongAt(0));
  const EchoLoadOptions options{.remote = *Endpoint::Parse("10.79.0.1:7"), .connections = 3};
  Run<EchoLoad>(options, [](const LoadResult&) { return false; });
  EXPECT_EQ(result_.failed.value(), 3u);
  EXPECT_EQ(result_.failures["a wrong octet came back"], 3u);
}

TEST_F(EndToEnd, ARefusedConnectionIsAFailure) {
  const EchoLoadOptions options{.remote = *Endpoint::Parse("10.79.0.1:7"), .connections = 3};
  Run<EchoLoad>(options, [](const LoadResult&) { return false; });
  EXPECT_EQ(result_.failures["could not connect: refused"], 3u);
}

TEST_F(EndToEnd, TransfersThatAreCutShortAreFailures) {
  Serve(9, SinkService(&board_));
  const BulkLoadOptions options{
      .server = *Address::Parse("10.79.0.1"), .direction = Direction::kUp, .octets = uint64_t{1} << 50};
  Run<BulkLoad>(options, [](const LoadResult& result) { return result.octets_out.value() > 1'000'000; });
  EXPECT_EQ(result_.failed.value(), 1u);
  EXPECT_EQ(result_.failures["cut short: the run ended before all octets had gone"], 1u);
  EXPECT_EQ(board_.Sum(&ServiceCounters::sink_mismatched), 0u);
}

TEST_F(EndToEnd, AWrongOctetInTheMiddleOfAStreamIsAFailure) {
  Serve(7, WrongAt(20));
  const BulkLoadOptions options{
      .server = *Address::Parse("10.79.0.1"), .direction = Direction::kEcho, .octets = 1'000};
  Run<BulkLoad>(options, [](const LoadResult&) { return false; });
  EXPECT_EQ(result_.failures["an octet of the stream is wrong"], 1u);
}

// Connects until somebody answers, sends `text` and ends its stream.
class Sender : public Handler, public Task {
 public:
  Sender(Endpoint remote, std::string text, std::atomic<bool>* done)
      : remote_(remote), text_(std::move(text)), done_(done) {}
  void OnStart(Worker& worker) override { Connect(worker); }
  bool OnPoll(Worker& worker) override {
    if (std::exchange(again_, false)) Connect(worker);
    return false;
  }

 private:
  void Connect(Worker& worker) {
    if (worker.Connect({.remote = remote_}, this) != ConnectStatus::kOk) again_ = true;
  }
  void OnConnected(Connection conn) override {
    conn.Send(text_);
    conn.ShutdownWrite();
  }
  void OnReadable(Connection conn) override {
    if (conn.AtEnd()) conn.Close();
  }
  void OnClosed(Connection, CloseReason reason) override {
    *done_ = reason == CloseReason::kGraceful;
    again_ = !*done_;
  }

  const Endpoint remote_;
  const std::string text_;
  std::atomic<bool>* const done_;
  bool again_ = false;
};

TEST_F(EndToEnd, TheServerSaysWhichStreamWasWrong) {
  EXPECT_TRUE(server_->Stop().clean());
  server_.reset();  // whose end of the cable the program takes
  const std::string lcore = std::to_string(GetEalFacts().lcores[0]);
  const std::vector<const char*> words = {
      "tern-test", "server",       "--device",    "loopback,pair=end_to_end",
      "--address", "10.79.0.1/24", "--hugepages", "off",
      "--lcores",  lcore.c_str(),  "--sink",      "9"};
  const ProgramText program{.name = "tern-test", .summary = "", .roles = {{.name = "server"}}};
  std::vector<uint8_t> octets(100);
  FillPattern(0, 0, octets);
  octets[50] ^= 1;
  std::atomic<bool> done = false;
  ASSERT_TRUE(client_
                  ->AddTask([&](Worker&) -> std::unique_ptr<Task> {
                    return std::make_unique<Sender>(*Endpoint::Parse("10.79.0.1:9"),
                                                    std::string(octets.begin(), octets.end()), &done);
                  })
                  .ok());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  int status = -1;
  std::thread server([&] {
    status = ServerMain(program, program.roles[0], {}, static_cast<int>(words.size()), words.data());
  });
  EXPECT_TRUE(client_->Start().ok());
  WaitFor([&] { return done.load(); });
  if (done) pthread_kill(server.native_handle(), SIGTERM);  // as from outside, but for no other thread
  server.join();
  testing::internal::GetCapturedStdout();
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(status, kWrong);
  EXPECT_NE(said.find("octet 50 of 100 is not the pattern's"), std::string::npos) << said;
  EXPECT_NE(said.find("1 discard stream(s) had a wrong octet"), std::string::npos) << said;
}

// Once as many wait for an answer as may, what falls due is not sent. An eleventh does while this thread
// sleeps, however much longer that takes than asked for.
TEST_F(EndToEnd, RequestsThatCannotBeSentAreAFailure) {
  Serve(7, [](Worker&) { return std::make_unique<Deaf>(); });
  const EchoLoadOptions options{.remote = *Endpoint::Parse("10.79.0.1:7"),
                                .connections = 1,
                                .size = 1,
                                .rate = 10'000,
                                .most_outstanding = 10};
  EchoLoad* load = nullptr;
  ASSERT_TRUE(client_
                  ->AddTask([&](Worker& worker) -> std::unique_ptr<Task> {
                    auto made = std::make_unique<EchoLoad>(worker, &result_, &options);
                    load = made.get();
                    return made;
                  })
                  .ok());
  ASSERT_TRUE(server_->Start().ok());
  ASSERT_TRUE(client_->Start().ok());
  WaitFor([&] { return result_.octets_out.value() == 10; });
  std::this_thread::sleep_for(milliseconds(1));
  ASSERT_TRUE(client_->RunOn(0, [&](Worker&) { load->BeginStop(); }).ok());
  ASSERT_TRUE(client_->RunOn(0, [&](Worker&) { load->Abandon(); }).ok());
  EXPECT_EQ(result_.failures["requests fell due that could not be sent"], 1u);
  EXPECT_EQ(result_.failures["not through in time"], 1u);
}

}  // namespace
}  // namespace tern::apps
