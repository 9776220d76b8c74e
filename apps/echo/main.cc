// tern-echo: an echo server (with discard and source, if asked), and a client that measures one.
#include <chrono>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "apps/echo/echo_load.h"
#include "apps/options.h"
#include "apps/server.h"

namespace tern::apps {
namespace {

const ProgramText& Program() {
  static const ProgramText program{
      .name = "tern-echo",
      .summary = "echo over tern, a user-space TCP stack on DPDK",
      .roles = {
          {.name = "server",
           .summary =
               "answers on an echo port (RFC 862), and on discard and source ports when they are given",
           .examples = "  tern-echo server --device af_packet:veth1 --address 10.77.0.1/24 --address "
                       "fd77::1/64 --port 7\n"
                       "  tern-echo server --device pci:0000:01:00.0 --lcores 1-4 --address 192.0.2.7/24 "
                       "--gateway 192.0.2.1\n"
                       "  tern-echo server --config configs/echo-veth.toml --sink 9 --source 19\n"},
          {.name = "client",
           .summary = "sends requests, checks every octet that comes back, and measures how long it took",
           .examples = "  tern-echo client --device af_packet:veth2 --address 10.77.0.2/24 --connect "
                       "10.77.0.1:7 --duration 5s\n"
                       "  tern-echo client --device vhost:/run/t.sock --address 10.77.0.2/24 --connect "
                       "10.77.0.1:7 \\\n"
                       "      --connections 64 --size 64 --depth 1 --duration 5s --json\n"
                       "  tern-echo client ... --rate 20000     an open loop: latency counts from when a "
                       "request was due\n"}}};
  return program;
}

struct ClientOptions {
  CommonOptions common;
  EchoLoadOptions load;
  std::chrono::nanoseconds warmup{0};
  std::chrono::nanoseconds patience = std::chrono::seconds(5);
};

void AddClientKeys(ConfigTable& table, ClientOptions* options) {
  table.Section("Load");
  AddEndpoint(table, "connect", &options->load.remote, 0, "the echo server");
  table.AddUint32("connections", &options->load.connections, 1, 1'000'000,
                  "connections, all open at the same time");
  table.AddUint32("size", &options->load.size, 1, 16 << 20, "octets of a request");
  table.AddUint32("depth", &options->load.depth, 1, 100'000,
                  "requests in flight on each connection (closed loop)");
  table.AddDouble("rate", &options->load.rate, 0, 1e9,
                  "requests a second of all connections together (open loop); 0: each answer sends the next");
  table.AddDuration("duration", &options->common.duration, "how long to measure");
  table.AddDuration("warmup", &options->warmup, "load before that, not measured");
  table.AddDuration("patience", &options->patience,
                    "for the last answers after the end; what is missing then has failed");
  AddCommonKeys(table, &options->common);
}

int ClientMain(const RoleText& role, int argc, char** argv) {
  ClientOptions options;
  options.common.duration = std::chrono::seconds(5);
  ConfigTable table;
  AddClientKeys(table, &options);
  if (const auto status = ParseRole(Program(), role, table, argc, argv)) return *status;
  if (const absl::Status status = CheckCommon(options.common); !status.ok()) {
    return BadUsage(Program(), &role, std::string(status.message()));
  }
  if (options.load.remote.port == 0) {
    return BadUsage(Program(), &role, "--connect is missing: the server's address and port, as 10.77.0.1:7");
  }
  if (options.common.duration.count() <= 0)
    return BadUsage(Program(), &role, "--duration must be longer than 0s");
  options.common.stack.log = StderrLog(Program().name, options.common.log_level);

  LoadPlan plan;
  plan.program = Program().name;
  plan.common = &options.common;
  plan.warmup = options.warmup;
  plan.patience = options.patience;
  plan.streams = options.load.connections;
  plan.make = [&options](Worker& worker, LoadResult* result) -> std::unique_ptr<Load> {
    return std::make_unique<EchoLoad>(worker, result, &options.load);
  };
  plan.progress = [](uint64_t requests, uint64_t, uint64_t) {
    return absl::StrCat(Grouped(requests), " requests/s");
  };
  plan.report = [&options](Report& report, const std::vector<std::unique_ptr<LoadResult>>& results, double) {
    Histogram latency;
    for (const auto& result : results) latency.Merge(result->latency);
    report.Latency("latency", options.load.rate > 0 ? "Latency, from when a request was due" : "Latency",
                   latency);
  };
  return RunLoad(plan);
}

int Main(int argc, char** argv) {
  int status = kRight;
  const RoleText* role = TakeRole(Program(), argc, argv, &status);
  if (role == nullptr) return status;
  if (role->name == "client") return ClientMain(*role, argc, argv);
  ServerOptions options;
  options.echo_port = 7;
  return ServerMain(Program(), *role, options, argc, argv);
}

}  // namespace
}  // namespace tern::apps

int main(int argc, char** argv) { return tern::apps::Main(argc, argv); }
