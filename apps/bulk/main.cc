// tern-bulk: a server of discard and source ports, and a client that moves bytes to, from or through one.
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "apps/bulk/bulk_load.h"
#include "apps/options.h"
#include "apps/server.h"

namespace tern::apps {
namespace {

constexpr uint64_t kDefaultOctets = uint64_t{1} << 30;

const ProgramText& Program() {
  static const ProgramText program{
      .name = "tern-bulk",
      .summary = "bulk transfer over tern, a user-space TCP stack on DPDK",
      .roles = {
          {.name = "server",
           .summary = "swallows and checks on a discard port (RFC 863), sends for ever on a source port",
           .examples =
               "  tern-bulk server --device af_packet:veth1 --address 10.77.0.1/24 --sink 9 --source 19\n"
               "  tern-bulk server --config configs/bulk-veth.toml --streams\n"},
          {.name = "client",
           .summary = "sends to a discard port, reads from a source port, or both ways through an echo port",
           .examples =
               "  tern-bulk client --device af_packet:veth2 --address 10.77.0.2/24 --connect 10.77.0.1 \\\n"
               "      --bytes 1GiB --direction both --connections 4\n"
               "  tern-bulk client ... --direction down --duration 10s\n"
               "  tern-bulk client ... --direction echo     both running hashes are compared at this "
               "side\n"}}};
  return program;
}

struct ClientOptions {
  CommonOptions common;
  BulkLoadOptions load;
  std::chrono::nanoseconds patience = std::chrono::seconds(5);
};

void AddClientKeys(ConfigTable& table, ClientOptions* options) {
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

bool Uses(const BulkLoadOptions& load, Direction direction) {
  return load.direction == direction || (load.direction == Direction::kBoth && direction != Direction::kEcho);
}

absl::Status Check(const ClientOptions& options) {
  if (const absl::Status status = CheckCommon(options.common); !status.ok()) return status;
  if (options.load.server.IsUnspecified()) {
    return absl::InvalidArgumentError("--connect is missing: the server's address, as 10.77.0.1");
  }
  if ((Uses(options.load, Direction::kUp) && options.load.sink_port == 0) ||
      (Uses(options.load, Direction::kDown) && options.load.source_port == 0) ||
      (Uses(options.load, Direction::kEcho) && options.load.echo_port == 0)) {
    return absl::InvalidArgumentError("the port of this --direction is 0");
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

int ClientMain(const RoleText& role, int argc, char** argv) {
  ClientOptions options;
  ConfigTable table;
  AddClientKeys(table, &options);
  if (const auto status = ParseRole(Program(), role, table, argc, argv)) return *status;
  if (const absl::Status status = Check(options); !status.ok()) {
    return BadUsage(Program(), &role, std::string(status.message()));
  }
  if (options.load.octets == 0 && options.common.duration.count() == 0) options.load.octets = kDefaultOctets;
  options.common.stack.log = StderrLog(Program().name, options.common.log_level);

  LoadPlan plan;
  plan.program = Program().name;
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

int Main(int argc, char** argv) {
  int status = kRight;
  const RoleText* role = TakeRole(Program(), argc, argv, &status);
  if (role == nullptr) return status;
  if (role->name == "client") return ClientMain(*role, argc, argv);
  ServerOptions options;
  options.sink_port = 9;
  options.source_port = 19;
  return ServerMain(Program(), *role, options, argc, argv);
}

}  // namespace
}  // namespace tern::apps

int main(int argc, char** argv) { return tern::apps::Main(argc, argv); }
