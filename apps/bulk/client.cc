#include "apps/bulk/client.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace tern::apps {
namespace {

constexpr uint64_t kDefaultOctets = uint64_t{1} << 30;

bool Uses(const BulkLoadOptions& load, Direction direction) {
  return load.direction == direction || (load.direction == Direction::kBoth && direction != Direction::kEcho);
}

absl::Status Check(const BulkClientOptions& options) {
  if (absl::Status status = CheckCommon(options.common); !status.ok()) return status;
  if (options.load.server.IsUnspecified()) {
    return absl::InvalidArgumentError("--connect is missing: the server's address, as 10.77.0.1");
  }
  if ((Uses(options.load, Direction::kUp) && options.load.sink_port == 0) ||
      (Uses(options.load, Direction::kDown) && options.load.source_port == 0) ||
      (Uses(options.load, Direction::kEcho) && options.load.echo_port == 0)) {
    return absl::InvalidArgumentError(
        "the port that --direction needs is 0: give --sink, --source or --port");
  }
  return absl::OkStatus();
}

void AddReport(Report& report, const BulkLoadOptions& load,
               const std::vector<std::unique_ptr<LoadResult>>& results, double seconds) {
  if (load.direction != Direction::kDown) {
    report.Section("up", "Up");
    report.BitRate("bits_per_second", "rate", Sum(results, &LoadResult::octets_out), seconds);
    report.Hash("hash_sum", "sum of the streams' hashes", Sum(results, &LoadResult::hash_sent_sum));
    report.Text("checked", "checked",
                load.direction == Direction::kEcho
                    ? "here: every octet came back"
                    : "here: all acknowledged; the octets: by the server, see its summary");
  }
  if (load.direction != Direction::kUp) {
    report.Section("down", "Down");
    report.BitRate("bits_per_second", "rate", Sum(results, &LoadResult::octets_in), seconds);
    report.Hash("hash_sum", "sum of the streams' hashes", Sum(results, &LoadResult::hash_received_sum));
    report.Text("checked", "checked", "here: every octet");
  }
}

}  // namespace

void AddBulkClientKeys(ConfigTable& table, BulkClientOptions* options) {
  table.Section("Load");
  // The port says which service; one written with the address would be a second answer to that question.
  ConfigTable::Custom connect;
  connect.name = "connect";
  connect.placeholder = "ADDRESS";
  connect.help = "the server";
  connect.set = [options](std::string_view text) {
    const auto address = Address::Parse(text);
    if (!address || address->IsUnspecified()) {
      return absl::InvalidArgumentError(
          "an address without a port (the ports are --sink, --source and --port)");
    }
    options->load.server = *address;
    return absl::OkStatus();
  };
  table.Add(std::move(connect));
  table.AddChoice<Direction>(
      "direction", &options->load.direction,
      {{"up", Direction::kUp},
       {"down", Direction::kDown},
       {"both", Direction::kBoth},
       {"echo", Direction::kEcho}},
      "up: to --sink; down: from --source; both: as many connections again each way; echo: "
      "through --port, both ways on each connection");
  table.AddSize("bytes", &options->load.octets,
                "octets each way, all connections together; without it 1GiB, or with --duration no limit");
  table.AddUint32("connections", &options->load.connections, 1, 100'000,
                  "connections (in each direction for both)");
  AddPort(table, "sink", &options->load.sink_port, "the server's discard port");
  AddPort(table, "source", &options->load.source_port, "the server's source port");
  AddPort(table, "port", &options->load.echo_port, "the server's echo port");
  table.AddDuration("duration", &options->common.duration,
                    "end after this long; 0s: when all octets have gone");
  table.AddDuration("patience", &options->patience, "for streams to end after --duration or a signal");
  AddCommonKeys(table, &options->common);
}

int BulkClientMain(const ProgramText& program, const RoleText& role, int argc, const char* const* argv) {
  BulkClientOptions options;
  ConfigTable table;
  AddBulkClientKeys(table, &options);
  if (const auto status = ParseRole(program, role, table, argc, argv)) return *status;
  if (const absl::Status status = Check(options); !status.ok()) {
    return BadUsage(program, &role, std::string(status.message()));
  }
  if (options.load.octets == 0 && options.common.duration.count() == 0) options.load.octets = kDefaultOctets;
  options.common.stack.log = StderrLog(program.name, options.common.log_level);

  LoadPlan plan;
  plan.program = program.name;
  plan.common = &options.common;
  plan.patience = options.patience;
  plan.measure_to_the_end = true;
  plan.streams = BulkStreams(options.load);
  plan.make = [&options](Worker& worker, LoadResult* result) -> std::unique_ptr<Load> {
    return std::make_unique<BulkLoad>(worker, result, &options.load);
  };
  plan.progress = [](uint64_t, uint64_t in, uint64_t out) {
    return absl::StrCat("up ", BitRateText(static_cast<double>(out) * 8), "  down ",
                        BitRateText(static_cast<double>(in) * 8));
  };
  plan.report = [&options](Report& report, const std::vector<std::unique_ptr<LoadResult>>& results,
                           double seconds) { AddReport(report, options.load, results, seconds); };
  return RunLoad(plan);
}

}  // namespace tern::apps
