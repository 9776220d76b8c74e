// A program of somebody who uses tern: an echo server on the worker, a client on this thread, and the
// loopback device between them, so that it needs no NIC, no root and no hugepages. Sends a known text, and
// ends with 0 when it came back and nothing was left behind.
#include <tern/client.h>
#include <tern/stack.h>
#include <tern/version.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iostream>
#include <memory>
#include <span>
#include <string>
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

// Sends `text`, ends the stream, and gives what came back until the peer ended its own.
absl::StatusOr<std::string> Exchange(tern::Client& client, const tern::Endpoint& server,
                                     std::string_view text) {
  absl::StatusOr<tern::ClientConnection> conn = client.Connect({.remote = server});
  if (!conn.ok()) return conn.status();
  std::span<const std::byte> left = std::as_bytes(std::span(text));
  std::string echoed;
  while (!client.AtEnd(*conn)) {
    left = left.subspan(client.Send(*conn, left).taken);
    if (left.empty()) client.ShutdownWrite(*conn);
    if (!client.Wait(std::chrono::seconds(20))) return absl::DeadlineExceededError("no answer");
    tern::ClientEvent events[16];
    for (const tern::ClientEvent& event : std::span(events).first(client.Poll(events))) {
      if (event.kind == tern::ClientEventKind::kClosed && event.reason != tern::CloseReason::kGraceful) {
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

absl::Status Run() {
  tern::Options options;
  options.interfaces.push_back({.device = "loopback", .addresses = {"10.77.0.1/24"}});
  options.huge_pages = tern::HugePages::kOff;
  absl::StatusOr<std::unique_ptr<tern::Stack>> stack = tern::Stack::Open(options);
  if (!stack.ok()) return stack.status();
  const absl::Status listening =
      (*stack)->Listen({.local = {.port = 7}}, [](tern::Worker&) { return std::make_unique<Echo>(); });
  if (!listening.ok()) return listening;
  if (const absl::Status started = (*stack)->Start(); !started.ok()) return started;

  absl::StatusOr<std::unique_ptr<tern::Client>> client = (*stack)->NewClient();
  if (!client.ok()) return client.status();
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += std::to_string(i) + " ";
  const absl::StatusOr<std::string> echoed = Exchange(**client, *tern::Endpoint::Parse("10.77.0.1:7"), text);
  client->reset();
  const tern::LeakReport leaks = (*stack)->Stop();
  if (!echoed.ok()) return echoed.status();
  if (*echoed != text) return absl::DataLossError("the echo differs");
  if (!leaks.clean()) return absl::InternalError("something was left behind");
  std::cout << "tern " << tern::VersionText() << ": " << echoed->size() << " octets came back\n";
  return absl::OkStatus();
}

}  // namespace

int main() {
  const absl::Status status = Run();
  if (!status.ok()) std::cerr << "example: " << status << "\n";
  return status.ok() ? 0 : 1;
}
