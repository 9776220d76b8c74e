// A program of somebody who uses tern: an echo server, with code that runs on the worker, and a client of it,
// on an ordinary thread. Between the two any device will do, for example a memif socket, which needs no NIC,
// no root and no hugepages:
//
//   echo memif:/run/user/1000/echo.sock,role=server 10.77.0.1/24
//   echo memif:/run/user/1000/echo.sock,role=client 10.77.0.2/24 10.77.0.1:7
//
// The server stays until SIGTERM. The client sends a known text and ends with 0 when it came back. Both say
// what they left behind, which is nothing.
#include <signal.h>
#include <tern/client.h>
#include <tern/stack.h>
#include <tern/version.h>

#include <chrono>
#include <cstddef>
#include <iostream>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace {

class Echo : public tern::Handler {
  void OnReadable(tern::Connection conn) override { Pump(conn); }
  void OnWritable(tern::Connection conn) override { Pump(conn); }
  void Pump(tern::Connection conn) {
    while (const size_t room = conn.SendRoom()) {
      tern::Payload data = conn.Receive(room);
      if (data.empty()) break;
      conn.Send(std::move(data));
    }
    if (conn.AtEnd()) conn.Close();
  }
};

absl::Status Serve(tern::Stack& stack, const sigset_t& stop_signals) {
  const auto echo = [](tern::Worker&) { return std::make_unique<Echo>(); };
  if (absl::Status status = stack.Listen({.local = {.port = 7}}, echo); !status.ok()) return status;
  if (absl::Status status = stack.Start(); !status.ok()) return status;
  std::cout << "listening" << std::endl;
  int signal = 0;
  sigwait(&stop_signals, &signal);
  return absl::OkStatus();
}

// Sends `text`, ends the stream, and gives what came back until the peer ended its own.
absl::StatusOr<std::string> Exchange(tern::Client& client, const tern::Endpoint& server,
                                     std::string_view text) {
  absl::StatusOr<tern::ClientConnection> conn = client.Connect({.remote = server});
  if (!conn.ok()) return conn.status();
  std::span<const std::byte> left = std::as_bytes(std::span(text));
  bool ended = false;   // this side's stream
  bool closed = false;  // the connection: after it there may be data, but no further event
  std::string echoed;
  while (!closed && !client.AtEnd(*conn)) {
    left = left.subspan(client.Send(*conn, left).taken);
    if (left.empty() && !std::exchange(ended, true)) client.ShutdownWrite(*conn);
    if (!client.Wait(std::chrono::seconds(20))) return absl::DeadlineExceededError("no answer");
    tern::ClientEvent events[16];
    for (const tern::ClientEvent& event : std::span(events).first(client.Poll(events))) {
      if (event.kind != tern::ClientEventKind::kClosed) continue;
      closed = true;
      if (event.reason != tern::CloseReason::kGraceful) {
        return absl::UnavailableError(std::string(tern::CloseReasonName(event.reason)));
      }
    }
    std::byte piece[4096];
    while (const size_t octets = client.Receive(*conn, piece)) {
      echoed.append(reinterpret_cast<const char*>(piece), octets);
    }
  }
  client.Close(*conn);
  return echoed;
}

absl::Status Connect(tern::Stack& stack, const tern::Endpoint& server) {
  if (absl::Status status = stack.Start(); !status.ok()) return status;
  absl::StatusOr<std::unique_ptr<tern::Client>> client = stack.NewClient();
  if (!client.ok()) return client.status();
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += std::to_string(i) + " ";
  const absl::StatusOr<std::string> echoed = Exchange(**client, server, text);
  if (!echoed.ok()) return echoed.status();
  if (*echoed != text) return absl::DataLossError("the echo differs");
  std::cout << echoed->size() << " octets came back\n";
  return absl::OkStatus();
}

absl::Status Run(const std::string& device, const std::string& address,
                 const std::optional<tern::Endpoint>& server) {
  // Blocked before the stack starts its workers, which inherit the mask: only Serve takes them.
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGINT);
  if (!server) sigprocmask(SIG_BLOCK, &stop_signals, nullptr);

  tern::Options options;
  options.interfaces.push_back({.device = device, .addresses = {address}});
  options.huge_pages = tern::HugePages::kOff;
  absl::StatusOr<std::unique_ptr<tern::Stack>> stack = tern::Stack::Open(options);
  if (!stack.ok()) return stack.status();
  absl::Status status = server ? Connect(**stack, *server) : Serve(**stack, stop_signals);
  const bool clean = (*stack)->Stop().clean();
  std::cout << (clean ? "nothing left behind\n" : "something was left behind\n");
  if (status.ok() && !clean) return absl::InternalError("a leak");
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  std::optional<tern::Endpoint> server;
  if (argc == 4) server = tern::Endpoint::Parse(argv[3]);
  if (argc != 3 && !server) {
    std::cerr << "usage: echo DEVICE ADDRESS/PREFIX [SERVER:PORT]      (tern " << tern::VersionText()
              << ")\n";
    return 2;
  }
  const absl::Status status = Run(argv[1], argv[2], server);
  if (!status.ok()) std::cerr << "echo: " << status << "\n";
  return status.ok() ? 0 : 1;
}
