// tern-http: a static web server, to show what a program on tern looks like. It uses nothing but the
// installed headers. All files below --root are read at the start, so a request can only name what was there:
// no path leads out. HTTP/1.1 with keep-alive and pipelining; GET and HEAD (RFC 9110, 9112).
#include <signal.h>
#include <tern/config.h>
#include <tern/stack.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace {

constexpr size_t kMaxRequest = 8192;

struct Page {
  explicit Page(std::string_view status, std::string content = "", std::string_view type = "text/plain")
      : body(std::move(content)) {
    for (const bool keep : {false, true}) {
      head[keep] = "HTTP/1.1 " + std::string(status) + "\r\nContent-Length: " + std::to_string(body.size()) +
                   "\r\nContent-Type: " + std::string(type) +
                   "\r\nConnection: " + (keep ? "keep-alive" : "close") + "\r\n\r\n";
    }
  }
  std::string head[2];  // [1]: the connection stays open
  std::string body;
};

using Site = std::map<std::string, Page, std::less<>>;

// ---- The server proper: one of these on each worker, for all connections that come there ----

class Http : public tern::Handler {
 public:
  explicit Http(const Site& site) : site_(site) {}

 private:
  struct Client {
    std::string in;           // what is not answered yet
    std::string_view out[2];  // what of the present answer is not sent yet: head, body
    bool last = false;        // this answer is the last
  };

  void OnConnected(tern::Connection conn) override { conn.SetContext(new Client); }
  void OnClosed(tern::Connection conn, tern::CloseReason) override { delete conn.context_as<Client>(); }
  void OnReadable(tern::Connection conn) override { Pump(conn, *conn.context_as<Client>()); }
  void OnWritable(tern::Connection conn) override { Pump(conn, *conn.context_as<Client>()); }

  // Answers one request after the other. While an answer does not fit, nothing is read: a client that sends
  // requests and reads no answers is held back by its own window.
  void Pump(tern::Connection conn, Client& client) {
    while (true) {
      for (std::string_view& part : client.out) {
        part.remove_prefix(conn.Send(part).taken);
        if (!part.empty()) return;  // OnWritable follows
      }
      const size_t end = client.in.find("\r\n\r\n");
      if (client.last) {  // what still comes is dropped: closing with data unread would be a reset
        client.in.clear();
        conn.ShutdownWrite();
        if (conn.Receive().empty()) break;
      } else if (end != std::string::npos) {
        Answer(client, std::string_view(client.in).substr(0, end + 2));
        client.in.erase(0, end + 4);
      } else if (client.in.size() > kMaxRequest) {
        Put(client, too_large_, true, false);
      } else {
        const tern::Payload data = conn.Receive(kMaxRequest);
        if (data.empty()) break;
        for (const auto piece : data)
          client.in.append(reinterpret_cast<const char*>(piece.data()), piece.size());
      }
    }
    if (conn.AtEnd()) conn.Close();
  }

  static void Put(Client& client, const Page& page, bool body, bool keep) {
    client.out[0] = page.head[keep];
    client.out[1] = body ? page.body : std::string_view();
    client.last = !keep;
  }

  void Answer(Client& client, std::string_view request) {
    const std::string_view line = request.substr(0, request.find("\r\n"));
    const size_t first = line.find(' '), second = line.rfind(' ');
    const std::string_view version = second == line.npos ? "" : line.substr(second + 1);
    std::string fields(request.substr(line.size()));  // names and what matters of values are caseless
    std::transform(fields.begin(), fields.end(), fields.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const auto has = [&](std::string_view text) { return fields.find(text) != fields.npos; };
    const bool newer = version == "HTTP/1.1";
    if (first == second || (!newer && version != "HTTP/1.0") || (newer && !has("\r\nhost:")))
      return Put(client, bad_request_, true, false);
    const std::string_view method = line.substr(0, first);
    const std::string_view target = line.substr(first + 1, second - first - 1);
    const bool get = method == "GET";
    if (!get && method != "HEAD") return Put(client, not_allowed_, true, false);
    // A body, which neither method has a use for, would be taken for the next request: let it be the last.
    const bool keep = (newer ? !has("\r\nconnection: close") : has("\r\nconnection: keep-alive")) &&
                      !has("\r\ncontent-length:") && !has("\r\ntransfer-encoding:");
    const auto page = site_.find(target.substr(0, target.find('?')));
    Put(client, page == site_.end() ? not_found_ : page->second, get, keep);
  }

  const Site& site_;
  const Page not_found_{"404 Not Found", "there is no such file\n"};
  const Page bad_request_{"400 Bad Request", "this is no request\n"};
  const Page not_allowed_{"405 Method Not Allowed\r\nAllow: GET, HEAD", "only GET and HEAD\n"};
  const Page too_large_{"431 Request Header Fields Too Large", "too large a request\n"};
};

// ---- Around it: the files, the command line, the stack's life ----

std::string_view TypeOf(const std::filesystem::path& path) {
  static const std::map<std::string, std::string_view, std::less<>> types = {
      {".html", "text/html; charset=utf-8"},
      {".css", "text/css"},
      {".js", "text/javascript"},
      {".json", "application/json"},
      {".txt", "text/plain; charset=utf-8"},
      {".png", "image/png"},
      {".svg", "image/svg+xml"}};
  const auto type = types.find(path.extension().string());
  return type == types.end() ? "application/octet-stream" : type->second;
}

// Regular files only: a symbolic link may lead anywhere. Throws what std::filesystem throws.
Site ReadSite(const std::filesystem::path& root) {
  Site site;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (entry.symlink_status().type() != std::filesystem::file_type::regular) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const Page page("200 OK", std::string(std::istreambuf_iterator<char>(file), {}), TypeOf(entry.path()));
    const std::string name = "/" + entry.path().lexically_relative(root).generic_string();
    site.emplace(name, page);
    // A directory's own name, "/" or "/docs/", gives its index.
    if (entry.path().filename() == "index.html") site.emplace(name.substr(0, name.size() - 10), page);
  }
  return site;
}

absl::Status Serve(const tern::Options& options, uint16_t port, const Site& site) {
  // Blocked before the stack starts its workers, which inherit the mask.
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGINT);
  sigprocmask(SIG_BLOCK, &stop_signals, nullptr);

  absl::StatusOr<std::unique_ptr<tern::Stack>> stack = tern::Stack::Open(options);
  if (!stack.ok()) return stack.status();
  const auto http = [&site](tern::Worker&) { return std::make_unique<Http>(site); };
  if (absl::Status status = (*stack)->Listen({.local = {.port = port}}, http); !status.ok()) return status;
  if (absl::Status status = (*stack)->Start(); !status.ok()) return status;
  std::cout << "serving " << site.size() << " names on port " << port << std::endl;
  int signal = 0;
  sigwait(&stop_signals, &signal);
  const bool clean = (*stack)->Stop().clean();
  std::cout << "accepted " << (*stack)->Stats().total.accepted << " connections\n";
  return clean ? absl::OkStatus() : absl::InternalError("the stack left something behind");
}

}  // namespace

int main(int argc, char** argv) try {
  tern::Options options;
  std::string root = ".";
  uint16_t port = 80;
  tern::ConfigTable table;
  table.AddString("root", &root, "DIRECTORY", "what to serve; read once, at the start");
  table.AddUint16("port", &port, 1, 65'535, "TCP port");
  tern::AddStackKeys(table, &options);
  absl::Status status = table.ParseFlags(argc, argv);
  if (table.help_wanted()) {
    std::cout << "tern-http: a static web server on tern\n\n  tern-http --device af_packet:veth1 --address "
                 "10.77.0.1/24 --root /var/www\n\n"
              << table.Help();
    return 0;
  }
  if (status.ok()) status = Serve(options, port, ReadSite(root));
  if (!status.ok()) std::cerr << "tern-http: " << status.message() << "\n";
  return status.ok() ? 0 : 1;
} catch (const std::filesystem::filesystem_error& error) {
  std::cerr << "tern-http: " << error.what() << "\n";
  return 1;
}
