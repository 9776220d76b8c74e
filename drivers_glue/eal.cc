#include "drivers_glue/eal.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "drivers_glue/dpdk_log.h"
#include "drivers_glue/sigpipe_block.h"

namespace tern {
namespace {

namespace fs = std::filesystem;

// A worker with its mempool caches, one port with its rings, and the tables of a small stack fit in this.
constexpr uint64_t kLeastHugeMib = 128;
constexpr unsigned kOrdinaryMib = 1024;
constexpr const char* kPrefixStem = "tern-";

enum class State : uint8_t { kNever, kRunning, kFailed, kStopped };

std::mutex g_eal_mutex;
State g_state = State::kNever;
EalFacts g_facts;
std::string g_own_runtime_dir;  // to remove at the end; empty when the user named the prefix

uint64_t FreeHugepageMib() {
  uint64_t mib = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/sys/kernel/mm/hugepages", error)) {
    const std::string name = entry.path().filename();  // "hugepages-2048kB"
    const size_t dash = name.find('-');
    if (dash == std::string::npos) continue;
    uint64_t kib = 0;
    std::from_chars(name.data() + dash + 1, name.data() + name.size(), kib);
    uint64_t free_pages = 0;
    std::ifstream(entry.path() / "free_hugepages") >> free_pages;
    mib += free_pages * kib / 1024;
  }
  return mib;
}

absl::Status ChooseLcores(const EalOptions& options, const HostFacts& host, EalFacts& facts) {
  facts.lcores = options.lcores.empty() ? host.cpus : options.lcores;
  // One EAL thread id is the main thread's.
  const size_t most = RTE_MAX_LCORE - 1;
  if (options.lcores.empty() && facts.lcores.size() > most) facts.lcores.resize(most);
  if (facts.lcores.size() > most) {
    return absl::InvalidArgumentError(absl::StrCat("lcores lists ", facts.lcores.size(),
                                                   " CPUs, but DPDK is built for at most ", most,
                                                   " workers: list fewer"));
  }
  for (unsigned cpu : facts.lcores) {
    if (std::find(host.cpus.begin(), host.cpus.end(), cpu) == host.cpus.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "lcores names CPU ", cpu, ", but this process may use only ", absl::StrJoin(host.cpus, ","),
          ": choose among these, or change its affinity (taskset)"));
    }
  }
  return absl::OkStatus();
}

absl::Status ChooseMemory(const EalOptions& options, const HostFacts& host, EalFacts& facts) {
  const uint64_t needed = std::max<uint64_t>(options.memory_mib, kLeastHugeMib);
  const bool enough = host.free_hugepage_mib >= needed;
  facts.hugepages = options.hugepages != HugepageMode::kOff && enough;
  const std::string fix =
      absl::StrCat("as root: sysctl -w vm.nr_hugepages=", needed / 2 * 2, " (2 MiB each)");
  if (options.hugepages == HugepageMode::kOn && !enough) {
    return absl::FailedPreconditionError(
        absl::StrCat("hugepages = on, but ", host.free_hugepage_mib, " MiB of huge pages are free and ",
                     needed, " MiB are needed: free or add some (", fix, "), or use hugepages = auto"));
  }
  if (!facts.hugepages && !options.pci.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("PCI device ", options.pci.front(), " needs huge pages, and ", host.free_hugepage_mib,
                     " MiB are free where ", needed, " MiB are needed: add some (", fix, ")"));
  }
  if (options.hugepages == HugepageMode::kAuto && !enough) {
    facts.notice = absl::StrCat("running without huge pages: ", host.free_hugepage_mib, " MiB are free, ",
                                needed, " MiB are needed; for full speed, ", fix);
  }
  return absl::OkStatus();
}

// Main is EAL thread 0, free to run on any CPU, so that a program that links tern is not pinned; worker i is
// EAL thread i + 1, pinned to the i-th CPU.
std::string LcoreMap(const HostFacts& host, const EalFacts& facts) {
  std::string map = absl::StrCat("0@(", absl::StrJoin(host.cpus, ","), ")");
  for (size_t i = 0; i < facts.lcores.size(); ++i) absl::StrAppend(&map, ",", i + 1, "@", facts.lcores[i]);
  return map;
}

// Directories of tern processes that died without cleaning up.
void SweepStaleRuntimeDirs(const fs::path& parent) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(parent, error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(kPrefixStem)) continue;
    int pid = 0;
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + std::string(kPrefixStem).size(), end, pid);
    if (parsed.ec != std::errc() || parsed.ptr != end || pid <= 0) continue;
    if (kill(pid, 0) != 0 && errno == ESRCH) fs::remove_all(entry.path(), error);
  }
}

void RemoveOwnRuntimeDir() {
  if (g_own_runtime_dir.empty()) return;
  std::error_code error;
  fs::remove_all(g_own_runtime_dir, error);
  g_own_runtime_dir.clear();
}

absl::Status CheckCompatible(const EalOptions& options) {
  // A later stack may use some of the workers that are there.
  const bool have_all = std::all_of(options.lcores.begin(), options.lcores.end(), [](unsigned cpu) {
    return std::find(g_facts.lcores.begin(), g_facts.lcores.end(), cpu) != g_facts.lcores.end();
  });
  if (!have_all) {
    return absl::FailedPreconditionError(
        absl::StrCat("the EAL already runs with workers on CPUs ", absl::StrJoin(g_facts.lcores, ","),
                     "; lcores = ", absl::StrJoin(options.lcores, ","),
                     " was asked for: DPDK starts once per process, ask first time round"));
  }
  if (options.hugepages == HugepageMode::kOn && !g_facts.hugepages) {
    return absl::FailedPreconditionError(
        "the EAL already runs without huge pages: DPDK starts once per process, ask for hugepages = on "
        "first");
  }
  for (const std::string& address : options.pci) {
    if (std::find(g_facts.pci.begin(), g_facts.pci.end(), address) == g_facts.pci.end()) {
      return absl::FailedPreconditionError(
          absl::StrCat("the EAL already runs without PCI device ", address,
                       ": DPDK starts once per process, name every PCI device first time round"));
    }
  }
  return absl::OkStatus();
}

absl::Status Initialise(const EalOptions& options) {
  std::vector<std::string> arguments;
  EalFacts facts;
  absl::Status status = BuildEalArguments(options, ReadHostFacts(), arguments, facts);
  if (!status.ok()) return status;

  std::vector<char*> argv;
  argv.reserve(arguments.size());
  for (std::string& argument : arguments) argv.push_back(argument.data());
  RouteDpdkLog();
  TakeDpdkLog();
  // The EAL's threads inherit the mask: a vhost peer that goes away must not end the process.
  const SigpipeBlock no_sigpipe;
  // Every start brings warnings about things that are as they should be (no 1 GiB pages, no legacy
  // telemetry), some of which no log level silences. If it fails, the error tells what was logged.
  std::optional<QuietDpdkLog> quiet;
  if (options.log_level == "warning" || options.log_level == "error") quiet.emplace();
  if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0) {
    g_state = State::kFailed;
    return absl::InternalError(absl::StrCat("DPDK's EAL does not start (", rte_strerror(rte_errno),
                                            "): ", TakeDpdkLog(),
                                            " [arguments: ", absl::StrJoin(arguments, " "), "]"));
  }
  const fs::path runtime_dir = rte_eal_get_runtime_dir();
  if (options.file_prefix.empty()) {
    g_own_runtime_dir = runtime_dir;
    // A program may exit without EalStop; its directory must go all the same.
    std::atexit(RemoveOwnRuntimeDir);
    SweepStaleRuntimeDirs(runtime_dir.parent_path());
  }
  g_facts = std::move(facts);
  g_state = State::kRunning;
  return absl::OkStatus();
}

}  // namespace

HostFacts ReadHostFacts() {
  HostFacts host;
  host.free_hugepage_mib = FreeHugepageMib();
  host.pid = getpid();
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) host.cpus.push_back(cpu);
    }
  }
  return host;
}

absl::Status BuildEalArguments(const EalOptions& options, const HostFacts& host,
                               std::vector<std::string>& arguments, EalFacts& facts) {
  absl::Status status = ChooseLcores(options, host, facts);
  if (status.ok()) status = ChooseMemory(options, host, facts);
  if (!status.ok()) return status;

  facts.pci = options.pci;
  facts.file_prefix = options.file_prefix.empty() ? absl::StrCat(kPrefixStem, host.pid) : options.file_prefix;
  arguments = {
      "tern", "--lcores",      LcoreMap(host, facts), "--main-lcore",
      "0",    "--file-prefix", facts.file_prefix,     absl::StrCat("--log-level=*:", options.log_level)};
  const auto add = [&arguments](auto... words) { (arguments.push_back(words), ...); };
  if (facts.hugepages) {
    // Memory lives in anonymous huge pages, each list of them behind one descriptor: nothing appears in
    // hugetlbfs, processes cannot collide, and vhost peers can still be handed the descriptors.
    add("--in-memory", "--single-file-segments");
    if (options.memory_mib != 0) add("-m", absl::StrCat(options.memory_mib));
  } else {
    // --in-memory contradicts --no-huge; without --no-shconf a configuration file would be shared.
    add("--no-huge", "--no-shconf", "-m",
        absl::StrCat(options.memory_mib != 0 ? options.memory_mib : kOrdinaryMib));
  }
  if (options.pci.empty()) {
    // Virtual addresses as bus addresses: no privilege to read physical ones is needed, and virtio_user
    // insists.
    add("--no-pci", "--iova-mode=va");
  } else {
    for (const std::string& address : options.pci) add("-a", address);
  }
  for (const std::string& word : options.extra) add(word);
  return absl::OkStatus();
}

absl::Status EalStart(const EalOptions& options) {
  const std::lock_guard<std::mutex> lock(g_eal_mutex);
  switch (g_state) {
    case State::kNever:
      return Initialise(options);
    case State::kRunning:
      return CheckCompatible(options);
    case State::kFailed:
      return absl::FailedPreconditionError(
          "DPDK's EAL failed to start earlier in this process and can be tried only once: start a new "
          "process");
    case State::kStopped:
      break;
  }
  return absl::FailedPreconditionError(
      "DPDK's EAL was stopped and cannot start again in this process: keep it running between stacks, call "
      "EalStop only at the end");
}

absl::Status EalStop() {
  const std::lock_guard<std::mutex> lock(g_eal_mutex);
  if (g_state != State::kRunning) return absl::OkStatus();
  rte_eal_mp_wait_lcore();
  const int result = rte_eal_cleanup();
  g_state = State::kStopped;
  RemoveOwnRuntimeDir();
  if (result != 0)
    return absl::InternalError(
        absl::StrCat("DPDK's EAL does not end well (rte_eal_cleanup: ", rte_strerror(-result), ")"));
  return absl::OkStatus();
}

bool EalIsRunning() {
  const std::lock_guard<std::mutex> lock(g_eal_mutex);
  return g_state == State::kRunning;
}

const EalFacts& GetEalFacts() { return g_facts; }

absl::Status EalLaunch(size_t index, int (*entry)(void*), void* argument) {
  if (!EalIsRunning() || index >= g_facts.lcores.size()) {
    return absl::FailedPreconditionError(absl::StrCat("no worker ", index, ": the EAL has ",
                                                      EalIsRunning() ? g_facts.lcores.size() : 0,
                                                      " workers; list more CPUs in lcores"));
  }
  const int result = rte_eal_remote_launch(entry, argument, static_cast<unsigned>(index + 1));
  if (result != 0) {
    return absl::FailedPreconditionError(absl::StrCat("worker ", index, " on CPU ", g_facts.lcores[index],
                                                      " is busy: join what runs on it first"));
  }
  return absl::OkStatus();
}

int EalJoin(size_t index) { return rte_eal_wait_lcore(static_cast<unsigned>(index + 1)); }

}  // namespace tern
