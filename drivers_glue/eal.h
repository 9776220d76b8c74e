// DPDK's environment layer, brought up once for the whole process.
#ifndef TERN_DRIVERS_GLUE_EAL_H_
#define TERN_DRIVERS_GLUE_EAL_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace tern {

enum class HugepageMode : uint8_t {
  kAuto,  // huge pages when enough are free, ordinary memory otherwise
  kOn,    // huge pages or an error
  kOff,   // ordinary memory; no PCI device can be used
};

struct EalOptions {
  // CPUs that workers run on, one worker each, in this order. Empty: every CPU that the process may use.
  std::vector<unsigned> lcores;
  HugepageMode hugepages = HugepageMode::kAuto;
  // Memory to set aside at the start, in MiB. Zero: as much as is asked for with huge pages (taken while it
  // runs), 1024 without (only what is touched costs anything).
  unsigned memory_mib = 0;
  // Keeps processes side by side apart. Empty: "tern-<pid>", whose directory is removed at the end.
  std::string file_prefix;
  // Addresses of PCI devices that will be opened. Empty: the PCI bus is not even looked at.
  std::vector<std::string> pci;
  // Passed on to the EAL as they are, last.
  std::vector<std::string> extra;
  // DPDK's log messages of this level and more severe go to stderr: "error", "warning", "info", "debug".
  std::string log_level = "warning";
};

// What EalStart found and decided.
struct EalFacts {
  bool hugepages = false;
  std::string file_prefix;
  std::vector<unsigned> lcores;  // CPU of each worker
  std::vector<std::string> pci;  // devices that may be opened
  std::string notice;            // for the user, when a default had to give way; else empty
};

// Brings the EAL up. The first call decides; later ones succeed when the running EAL gives what they ask for
// and say what does not fit otherwise. Once EalStop has run the process can not start it again: DPDK does not
// allow it. The calling thread becomes the EAL's main thread but is not pinned to a CPU. Thread-safe.
absl::Status EalStart(const EalOptions& options);

// Ends the EAL and removes what it left in the file system. Every device must be closed. Idempotent.
absl::Status EalStop();

bool EalIsRunning();
// REQUIRES: EalIsRunning().
const EalFacts& GetEalFacts();

// Workers run as EAL threads, so that mempool caches work for them. `entry(argument)` runs on worker `index`
// (0 <= index < facts.lcores.size()), which must be idle. EalJoin waits for it and gives what it returned.
absl::Status EalLaunch(size_t index, int (*entry)(void*), void* argument);
int EalJoin(size_t index);

// The arguments that EalStart hands to rte_eal_init for `options` on a host of this kind. For tests.
struct HostFacts {
  uint64_t free_hugepage_mib = 0;
  std::vector<unsigned> cpus;  // that the process may use
  int pid = 0;
};
absl::Status BuildEalArguments(const EalOptions& options, const HostFacts& host,
                               std::vector<std::string>& arguments, EalFacts& facts);
HostFacts ReadHostFacts();

// The last lines that DPDK logged since the previous call, joined by "; ", for error messages.
std::string TakeDpdkLog();

}  // namespace tern

#endif  // TERN_DRIVERS_GLUE_EAL_H_
