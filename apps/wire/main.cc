// tern-wire: a cable between two ports that loses, delays and damages frames on request. There for machines
// whose kernel has no netem, and for frames that the kernel should not touch.
#include <time.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "apps/options.h"
#include "apps/report.h"
#include "apps/session.h"
#include "apps/wire/forwarder.h"
#include "drivers_glue/eal.h"
#include "drivers_glue/impairment.h"
#include "drivers_glue/impairment_device.h"
#include "drivers_glue/open.h"
#include "tern/config.h"

namespace tern::apps {
namespace {

const ProgramText& Program() {
  static const ProgramText program{
      .name = "tern-wire",
      .summary = "joins two ports and does to the frames between them what a bad network would",
      .roles = {
          {.name = "",
           .summary = "forwards between --a and --b until SIGINT, SIGTERM or --duration",
           .examples =
               "  tern-wire --a tap:x --b tap:y --impairment \"loss=1%,delay=10ms,rate=100mbit,seed=7\"\n"
               "  tern-wire --a af_packet:veth1 --b af_packet:veth2 --impairment_ab loss=5%\n"}}};
  return program;
}

struct WireOptions {
  std::string a;
  std::string b;
  std::string impairment;
  std::string impairment_ab;
  std::string impairment_ba;
  uint16_t mtu = 0;
  HugepageMode hugepages = HugepageMode::kAuto;
  std::chrono::nanoseconds duration{0};
  bool json = false;
};

void AddKeys(ConfigTable& table, WireOptions* options) {
  table.Section("Ports");
  table.AddString("a", &options->a, "DEVICE", "one end, as tap:x or af_packet:veth1");
  table.AddString("b", &options->b, "DEVICE", "the other end");
  table.AddUint16("mtu", &options->mtu, 0, 9000, "largest IP packet of both; 0: the devices' own");
  table.AddChoice<HugepageMode>(
      "hugepages", &options->hugepages,
      {{"auto", HugepageMode::kAuto}, {"on", HugepageMode::kOn}, {"off", HugepageMode::kOff}},
      "packet memory on huge pages");
  table.Section("Network");
  table.AddString("impairment", &options->impairment, "SPEC",
                  "both directions; loss, duplicate, reorder, corrupt in per cent or ppm, delay, jitter, "
                  "reorder_by, rate, "
                  "queue, seed: \"loss=1%,delay=10ms,rate=100mbit,seed=7\"");
  table.AddString("impairment_ab", &options->impairment_ab, "SPEC", "from a to b, instead of --impairment");
  table.AddString("impairment_ba", &options->impairment_ba, "SPEC", "from b to a, instead of --impairment");
  table.Section("Run");
  table.AddDuration("duration", &options->duration,
                    "stop by itself after this long; 0s: at SIGINT or SIGTERM");
  table.AddBool("json", &options->json, "print one JSON object a line on stdout instead of text");
}

Instant Now() { return Instant::FromNanos(Clock::now().time_since_epoch() / std::chrono::nanoseconds(1)); }

// A port whose transmit side is impaired and whose receive side is plain, so that each direction is impaired
// once.
struct End {
  std::unique_ptr<Device> device;
  Device* plain = nullptr;
};

absl::StatusOr<End> OpenEnd(const std::string& spec, const WireOptions& options,
                            const Impairment& impairment) {
  DeviceOptions device_options;
  device_options.spec = spec;
  device_options.mtu = options.mtu;
  auto device = OpenDevice(device_options);
  if (!device.ok()) return device.status();
  End end{.device = *std::move(device)};
  end.plain = end.device.get();
  if (!impairment.IsNone()) {
    end.device = std::make_unique<ImpairmentDevice>(std::move(end.device), impairment, &Now);
  }
  return end;
}

absl::StatusOr<Impairment> ImpairmentOf(const char* key, const std::string& own, const WireOptions& options) {
  auto impairment = ParseImpairment(own.empty() ? options.impairment : own);
  if (!impairment.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--", own.empty() ? "impairment" : key, ": ",
                                                   std::string(impairment.status().message())));
  }
  return impairment;
}

class Wire {
 public:
  explicit Wire(const WireOptions& options) : options_(options) {}

  absl::Status Open(Impairment ab, Impairment ba) {
    // One seed for both directions must not lose the same frames of both.
    ++ba.seed;
    auto a = OpenEnd(options_.a, options_, ba);
    if (!a.ok()) return a.status();
    auto b = OpenEnd(options_.b, options_, ab);
    if (!b.ok()) return b.status();
    a_ = *std::move(a);
    b_ = *std::move(b);
    ab_ = std::make_unique<OneWay>(a_.plain, b_.device.get());
    ba_ = std::make_unique<OneWay>(b_.plain, a_.device.get());
    return absl::OkStatus();
  }

  // Forwards until `stop` says so, which is asked about a hundred times a second.
  template <typename F>
  void Run(F&& stop) {
    auto ask_again = Clock::now();
    auto last_frame = ask_again;
    while (true) {
      const bool moved = ab_->Turn() + ba_->Turn() != 0;
      const auto now = Clock::now();
      if (moved) last_frame = now;
      if (now >= ask_again) {
        if (stop()) return;
        ask_again = now + std::chrono::milliseconds(10);
      }
      if (!moved) Rest(now - last_frame);
    }
  }

  Report Summary(double seconds) const {
    Report report;
    report.Text("event", "what", "summary");
    report.Number("seconds", "time", seconds, 1, "s");
    const std::pair<const OneWay*, const char*> ways[] = {{ab_.get(), "ab"}, {ba_.get(), "ba"}};
    for (const auto& [way, name] : ways) {
      report.Section(name, name == std::string_view("ab") ? absl::StrCat(options_.a, " -> ", options_.b)
                                                          : absl::StrCat(options_.b, " -> ", options_.a));
      way->AddTo(report);
    }
    return report;
  }

  // Buffers left behind. REQUIRES: the summary was made.
  uint64_t Close() {
    a_.device->Stop();
    b_.device->Stop();
    const uint64_t left = a_.device->buffers_outstanding() + b_.device->buffers_outstanding();
    a_.device.reset();
    b_.device.reset();
    return left;
  }

 private:
  // Polls on for a moment, then sleeps in short pieces: somebody else may need the core.
  void Rest(Clock::duration idle) {
    if (idle < std::chrono::microseconds(50)) return;
    const Instant next = std::min(a_.device->NextInternalEvent(0), b_.device->NextInternalEvent(0));
    int64_t nanos = 50'000;
    if (next != Instant::Never()) nanos = std::clamp<int64_t>((next - Now()).nanos(), 0, nanos);
    const timespec pause{.tv_sec = 0, .tv_nsec = nanos};
    nanosleep(&pause, nullptr);
  }

  const WireOptions& options_;
  End a_;
  End b_;
  std::unique_ptr<OneWay> ab_;
  std::unique_ptr<OneWay> ba_;
};

std::vector<std::string> PciAddresses(const WireOptions& options) {
  constexpr std::string_view kPci = "pci:";
  std::vector<std::string> addresses;
  for (const std::string& device : {options.a, options.b}) {
    if (device.rfind(kPci, 0) == 0)
      addresses.push_back(device.substr(kPci.size(), device.find(',') - kPci.size()));
  }
  return addresses;
}

int RunWire(const WireOptions& options, const Impairment& ab, const Impairment& ba) {
  const std::string program(Program().name);
  Signals signals;
  EalOptions eal;
  eal.hugepages = options.hugepages;
  eal.pci = PciAddresses(options);
  Wire wire(options);
  absl::Status status = EalStart(eal);
  if (status.ok()) status = wire.Open(ab, ba);
  if (!status.ok()) {
    PrintError(program, std::string(status.message()));
    EalStop().IgnoreError();
    return StatusOf(status);
  }
  PrintLine(options.json ? absl::StrCat("{\"event\": \"ready\", \"a\": ", JsonString(options.a),
                                        ", \"b\": ", JsonString(options.b), "}")
                         : absl::StrCat(program, " ready: ", options.a, " <-> ", options.b));
  const auto start = Clock::now();
  const auto deadline = options.duration.count() == 0 ? Clock::time_point::max() : start + options.duration;
  wire.Run([&] {
    const auto now = Clock::now();
    return now >= deadline || signals.WaitUntil(now) == Signals::Wake::kStop;
  });
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  Report report = wire.Summary(seconds);
  const uint64_t left = wire.Close();
  report.Section("leaks", "Left behind");
  report.Count("total", "buffers", left);
  const bool written = PrintLastReport(program, report, options.json);
  PrintLeaks(program, {.buffers = left});
  status = EalStop();
  if (!status.ok()) PrintError(program, std::string(status.message()));
  return left == 0 && written && status.ok() ? kRight : kWrong;
}

int Main(int argc, char** argv) {
  WireOptions options;
  ConfigTable table;
  AddKeys(table, &options);
  const RoleText& role = Program().roles.front();
  if (const auto status = ParseRole(Program(), role, table, argc, argv)) return *status;
  if (options.a.empty() || options.b.empty())
    return BadUsage(Program(), nullptr, "--a and --b are both needed");
  const auto ab = ImpairmentOf("impairment_ab", options.impairment_ab, options);
  const auto ba = ImpairmentOf("impairment_ba", options.impairment_ba, options);
  for (const auto& impairment : {ab, ba}) {
    if (!impairment.ok()) return BadUsage(Program(), nullptr, std::string(impairment.status().message()));
  }
  return RunWire(options, *ab, *ba);
}

}  // namespace
}  // namespace tern::apps

int main(int argc, char** argv) { return tern::apps::Main(argc, argv); }
