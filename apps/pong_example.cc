// tern-pong: answers PING as a Redis server does, and nothing else: enough for `redis-benchmark -t
// ping_inline,ping_mbulk`, and for seeing how little a request-response server on tern needs.
#include <signal.h>
#include <tern/config.h>
#include <tern/stack.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace {

class Pong : public tern::Handler {
  struct Client {
    std::string in, out;  // not a whole line yet; not sent yet
    long skip = 0;        // lines of arguments to pass over, after the one that names the command
    long passing = 0;     // and those that are being passed over
  };

  void OnConnected(tern::Connection conn) override { conn.SetContext(new Client); }
  void OnClosed(tern::Connection conn, tern::CloseReason) override { delete conn.context_as<Client>(); }
  void OnReadable(tern::Connection conn) override { Pump(conn, *conn.context_as<Client>()); }
  void OnWritable(tern::Connection conn) override { Pump(conn, *conn.context_as<Client>()); }

  void Pump(tern::Connection conn, Client& client) {
    while (true) {
      client.out.erase(0, conn.Send(client.out).taken);
      if (!client.out.empty()) return;  // OnWritable follows
      const tern::Payload data = conn.Receive(4096);
      if (data.empty()) break;
      for (const auto piece : data)
        client.in.append(reinterpret_cast<const char*>(piece.data()), piece.size());
      size_t at = 0;
      for (size_t end; (end = client.in.find('\n', at)) != std::string::npos; at = end + 1) {
        const std::string_view line(client.in.data() + at, end - at);
        Take(client, line.substr(0, line.find('\r')));
      }
      client.in.erase(0, at);
      if (client.in.size() > 1024) return conn.Abort();
    }
    if (conn.AtEnd()) conn.Close();
  }

  // A command is a line, or an array: "*2", and then for each of its words a line with the length, "$4", and
  // one with the word.
  static void Take(Client& client, std::string_view line) {
    if (client.passing > 0) {
      --client.passing;
    } else if (line.starts_with('*')) {
      client.skip = 2 * (std::clamp(std::atol(std::string(line.substr(1)).c_str()), 1l, 64l) - 1);
    } else if (!line.empty() && !line.starts_with('$')) {
      client.out += line == "PING" || line == "ping" ? "+PONG\r\n" : "-ERR unknown command\r\n";
      client.passing = std::exchange(client.skip, 0);
    }
  }
};

absl::Status Serve(const tern::Options& options, uint16_t port) {
  // Blocked before the stack starts its workers, which inherit the mask.
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGINT);
  sigprocmask(SIG_BLOCK, &stop_signals, nullptr);

  absl::StatusOr<std::unique_ptr<tern::Stack>> stack = tern::Stack::Open(options);
  if (!stack.ok()) return stack.status();
  const auto pong = [](tern::Worker&) { return std::make_unique<Pong>(); };
  if (absl::Status status = (*stack)->Listen({.local = {.port = port}}, pong); !status.ok()) return status;
  if (absl::Status status = (*stack)->Start(); !status.ok()) return status;
  std::cout << "answering on port " << port << std::endl;
  int signal = 0;
  sigwait(&stop_signals, &signal);
  return (*stack)->Stop().clean() ? absl::OkStatus() : absl::InternalError("the stack left something behind");
}

}  // namespace

int main(int argc, char** argv) {
  tern::Options options;
  options.nodelay = true;
  uint16_t port = 6379;
  tern::ConfigTable table;
  table.AddUint16("port", &port, 1, 65'535, "TCP port");
  tern::AddStackKeys(table, &options);
  absl::Status status = table.ParseFlags(argc, argv);
  if (table.help_wanted()) {
    std::cout << "tern-pong: answers PING in Redis' protocol\n\n" << table.Help();
    return 0;
  }
  if (status.ok()) status = Serve(options, port);
  if (!status.ok()) std::cerr << "tern-pong: " << status.message() << "\n";
  return status.ok() ? 0 : 1;
}
