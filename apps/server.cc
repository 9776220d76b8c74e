#include "apps/server.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/report.h"
#include "apps/services.h"
#include "apps/session.h"

namespace tern::apps {
namespace {

struct ServicePort {
  const char* name;
  uint16_t port;
  HandlerFactory (*factory)(ServiceBoard*);
};

class Server {
 public:
  Server(std::string program, const ServerOptions& options)
      : program_(std::move(program)),
        options_(options),
        board_(std::max(1, static_cast<int>(options.common.stack.lcores.size())), options.verify,
               options.streams, options.keepalive),
        services_{{"echo", options.echo_port, &EchoService},
                  {"sink", options.sink_port, &SinkService},
                  {"source", options.source_port, &SourceService},
                  {"daytime", options.daytime_port, &DaytimeService}} {}

  int Run();

 private:
  absl::Status Open();
  std::string ReadyLine() const;
  void Tick(double seconds);
  void PrintStreams();
  Report MakeReport(const char* event, double seconds, const StackStats& stats) const;
  int Finish(double seconds);

  const std::string program_;
  const ServerOptions& options_;
  ServiceBoard board_;
  const ServicePort services_[4];
  std::unique_ptr<Stack> stack_;
  // At the last tick.
  uint64_t last_reads_ = 0;
  uint64_t last_octets_ = 0;
  StackStats last_stats_;
};

absl::Status Server::Open() {
  auto stack = Stack::Open(options_.common.stack);
  if (!stack.ok()) return stack.status();
  stack_ = *std::move(stack);
  for (const ServicePort& service : services_) {
    if (service.port == 0) continue;
    ListenOptions listen = options_.listen;
    listen.local = {.address = {}, .port = service.port};
    absl::Status status = stack_->Listen(listen, service.factory(&board_));
    if (!status.ok()) return status;
  }
  return stack_->Start();
}

std::string Server::ReadyLine() const {
  std::string ports, json_ports, where;
  for (const ServicePort& service : services_) {
    if (service.port == 0) continue;
    absl::StrAppend(&ports, ports.empty() ? "" : ", ", service.name, " on port ", service.port);
    absl::StrAppend(&json_ports, ", \"", service.name, "\": ", service.port);
  }
  for (const InterfaceInfo& interface : stack_->interfaces()) {
    for (const std::string& address : interface.addresses)
      absl::StrAppend(&where, where.empty() ? "" : " ", address);
    absl::StrAppend(&where, " (", interface.device, ", ", interface.driver, ", ", interface.mac, ", MTU ",
                    interface.mtu, ")");
  }
  if (options_.common.json) {
    return absl::StrCat("{\"event\": \"ready\"", json_ports, ", \"where\": ", JsonString(where),
                        ", \"workers\": ", stack_->worker_count(), "}");
  }
  return absl::StrCat(program_, " ready: ", ports, " at ", where, ", ", stack_->worker_count(), " worker(s)");
}

void Server::Tick(double seconds) {
  PrintStreams();
  if (!options_.common.progress) return;
  const StackStats stats = stack_->Stats();
  const StackStats delta = Since(stats, last_stats_);
  const uint64_t reads = board_.Sum(&ServiceCounters::echo_reads);
  const uint64_t octets = board_.Sum(&ServiceCounters::octets_in) + board_.Sum(&ServiceCounters::octets_out);
  const uint64_t done = reads - last_reads_;
  PrintError(program_, absl::StrFormat("%4.0f s  %d connections  %s reads/s  %s  %s cycles a read  %s drops",
                                       seconds, stats.total.connections, Grouped(done),
                                       BitRateText(static_cast<double>(octets - last_octets_) * 8),
                                       done == 0 ? "-" : Grouped(delta.total.busy_cycles / done),
                                       Grouped(stats.total.dropped())));
  last_reads_ = reads;
  last_octets_ = octets;
  last_stats_ = stats;
}

const char* VerdictName(PatternChecker::Verdict verdict) {
  switch (verdict) {
    case PatternChecker::Verdict::kMatches:
      return "pattern";
    case PatternChecker::Verdict::kMismatch:
      return "MISMATCH";
    case PatternChecker::Verdict::kUnknown:
      break;
  }
  return "other";
}

void Server::PrintStreams() {
  for (const StreamRecord& record : board_.TakeRecords()) {
    const bool wrong = record.verdict == PatternChecker::Verdict::kMismatch;
    if (wrong) {
      PrintError(program_, absl::StrFormat("sink stream from %s: octet %d of %d is not the pattern's",
                                           record.remote.ToString(), record.first_mismatch, record.octets));
    }
    if (!options_.streams) continue;
    const std::string hash = absl::StrFormat("%016x", record.hash);
    PrintLine(options_.common.json
                  ? absl::StrCat("{\"event\": \"stream\", \"remote\": ", JsonString(record.remote.ToString()),
                                 ", \"octets\": ", record.octets, ", \"hash\": \"", hash,
                                 "\", \"content\": \"", VerdictName(record.verdict), "\"}")
                  : absl::StrCat("sink stream from ", record.remote.ToString(), ": ", record.octets,
                                 " octets, hash ", hash, ", ", VerdictName(record.verdict)));
  }
}

Report Server::MakeReport(const char* event, double seconds, const StackStats& stats) const {
  Report report;
  report.Text("event", "what", event);
  report.Section("service", "Service");
  report.Number("seconds", "time", seconds, 1, "s");
  report.Count("accepted", "connections accepted", board_.Sum(&ServiceCounters::accepted));
  report.Count("graceful", "ended well", board_.Sum(&ServiceCounters::graceful));
  report.Count("broken", "reset or lost", board_.Sum(&ServiceCounters::broken));
  report.Octets("octets_in", "received", board_.Sum(&ServiceCounters::octets_in));
  report.Octets("octets_out", "sent", board_.Sum(&ServiceCounters::octets_out));
  const uint64_t reads = board_.Sum(&ServiceCounters::echo_reads);
  if (options_.echo_port != 0) report.Count("reads", "echo reads", reads);
  if (options_.sink_port != 0) {
    report.Section("sink", "Discard streams that the peer ended");
    report.Count("streams", "streams", board_.Sum(&ServiceCounters::sink_streams));
    report.Octets("octets", "received", board_.Sum(&ServiceCounters::sink_octets));
    report.Count("matched", "the known pattern", board_.Sum(&ServiceCounters::sink_matched));
    report.Count("unknown", "other contents", board_.Sum(&ServiceCounters::sink_unknown));
    report.Count("mismatched", "with a wrong octet", board_.Sum(&ServiceCounters::sink_mismatched));
    report.Hash("hash_sum", "sum of hashes", board_.Sum(&ServiceCounters::sink_hash_sum));
  }
  if (options_.source_port != 0) {
    report.Section("source", "Pattern streams that the peer ended");
    report.Count("streams", "streams", board_.Sum(&ServiceCounters::source_streams));
    report.Octets("octets", "sent", board_.Sum(&ServiceCounters::source_octets));
    report.Hash("hash_sum", "sum of hashes", board_.Sum(&ServiceCounters::source_hash_sum));
  }
  AddStackReport(report, stats, {.unit = "read", .count = reads});
  return report;
}

int Server::Finish(double seconds) {
  const LeakReport leaks = stack_->Stop();
  PrintStreams();
  const uint64_t mismatched = board_.Sum(&ServiceCounters::sink_mismatched);
  const bool right = leaks.clean() && mismatched == 0;
  Report report = MakeReport("summary", seconds, stack_->Stats());
  AddLeakReport(report, leaks);
  report.Section("verdict", "Verdict");
  report.Flag("ok", "all right", right);
  const bool written = PrintLastReport(program_, report, options_.common.json);
  if (mismatched != 0) PrintError(program_, absl::StrCat(mismatched, " discard stream(s) had a wrong octet"));
  PrintLeaks(program_, leaks);
  return right && written ? kRight : kWrong;
}

int Server::Run() {
  Signals signals;
  if (const absl::Status status = Open(); !status.ok()) {
    PrintError(program_, std::string(status.message()));
    return StatusOf(status);
  }
  PrintLine(ReadyLine());
  const auto start = Clock::now();
  const auto seconds = [start] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  Waiting waiting;
  if (options_.common.duration.count() != 0) waiting.deadline = start + options_.common.duration;
  waiting.tick = [this](double at) { Tick(at); };
  waiting.snapshot = [&] {
    // Whether that worked shows at the end.
    static_cast<void>(PrintReport(MakeReport("snapshot", seconds(), stack_->Stats()), options_.common.json));
  };
  WaitFor(signals, waiting);
  signals.LetThrough();
  return Finish(seconds());
}

}  // namespace

void AddServerKeys(ConfigTable& table, ServerOptions* options) {
  table.Section("Services (port 0: not offered)");
  AddPort(table, "port", &options->echo_port, "echo, RFC 862: what comes in goes back");
  AddPort(table, "sink", &options->sink_port,
          "discard, RFC 863: what comes in is hashed, checked if it is the known pattern, and dropped");
  AddPort(table, "source", &options->source_port,
          "an endless stream of the known pattern (apps/pattern.h), until the peer ends its own stream");
  AddPort(table, "daytime", &options->daytime_port,
          "daytime, RFC 867: one line with the time, then this side closes first");
  table.AddBool("verify", &options->verify,
                "hash and check streams; --noverify saves about a cycle an octet");
  table.AddBool("streams", &options->streams, "print octets and hash of each discard stream as it ends");
  table.AddDuration(
      "keepalive", &options->keepalive,
      "silence after which a client is asked whether it is still there (RFC 9293 3.8.4), and let go "
      "when it never answers; 0s: it is not asked");
  table.AddDuration("duration", &options->common.duration,
                    "stop by itself after this long; 0s: at SIGINT or SIGTERM");
  AddListenKeys(table, &options->listen);
  AddCommonKeys(table, &options->common);
}

int ServerMain(const ProgramText& program, const RoleText& role, ServerOptions options, int argc,
               const char* const* argv) {
  ConfigTable table;
  AddServerKeys(table, &options);
  if (const auto status = ParseRole(program, role, table, argc, argv)) return *status;
  if (const absl::Status status = CheckCommon(options.common); !status.ok()) {
    return BadUsage(program, &role, std::string(status.message()));
  }
  if (options.echo_port == 0 && options.sink_port == 0 && options.source_port == 0 &&
      options.daytime_port == 0) {
    return BadUsage(program, &role, "no service is on: give --port, --sink, --source or --daytime");
  }
  options.common.stack.log = StderrLog(program.name, options.common.log_level);
  return Server(std::string(program.name), options).Run();
}

}  // namespace tern::apps
