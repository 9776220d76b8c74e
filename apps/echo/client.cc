#include "apps/echo/client.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace tern::apps {

void AddEchoClientKeys(ConfigTable& table, EchoClientOptions* options) {
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

int EchoClientMain(const ProgramText& program, const RoleText& role, int argc, const char* const* argv) {
  EchoClientOptions options;
  options.common.duration = std::chrono::seconds(5);
  ConfigTable table;
  AddEchoClientKeys(table, &options);
  if (const auto status = ParseRole(program, role, table, argc, argv)) return *status;
  if (const absl::Status status = CheckCommon(options.common); !status.ok()) {
    return BadUsage(program, &role, std::string(status.message()));
  }
  if (options.load.remote.port == 0) {
    return BadUsage(program, &role, "--connect is missing: the server's address and port, as 10.77.0.1:7");
  }
  if (options.common.duration.count() <= 0)
    return BadUsage(program, &role, "--duration must be longer than 0s");
  options.common.stack.log = StderrLog(program.name, options.common.log_level);

  LoadPlan plan;
  plan.program = program.name;
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

}  // namespace tern::apps
