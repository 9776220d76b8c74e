// tern-packetdrill: plays scripts in the packetdrill language against tern in virtual time.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "script/files.h"
#include "script/runner.h"

namespace tern::script {
namespace {

constexpr char kHelp[] =
    "usage: tern-packetdrill [--verbose] [--jobs N] [--NAME=VALUE]... FILE...\n"
    "\n"
    "Plays scripts in the packetdrill language against tern's sockets, TCP and IP, in virtual time: no "
    "device, no\n"
    "root. A FILE that is a directory stands for all *.pkt below it. Prints PASS, FAIL or SKIP for each and "
    "last 'N passed,\n"
    "N failed, N skipped'; leaves with 1 when any failed.\n"
    "\n"
    "  --verbose             every event and every packet, with its time\n"
    "  --jobs N              so many scripts at a time (default 1)\n"
    "  --check-psh           compare PSH on outbound data too\n"
    "  --zero-windows-only   of the windows a script states, compare only whether they are zero\n"
    "  --strict-end          what is sent after the last expected packet has to be listed too\n"
    "  --NAME=VALUE          an option of the language, for scripts that do not set it themselves:\n"
    "                        --ip_version=ipv6, --tolerance_usecs=4000, --mtu=1500, ...\n";

Outcome RunFile(const std::string& path, const RunOptions& options) {
  std::string text;
  if (!ReadFile(path, &text)) return {.verdict = Verdict::kFail, .text = "expected a file that can be read"};
  return RunText(text, options);
}

void Print(const std::string& path, const Outcome& outcome) {
  std::fputs(outcome.log.c_str(), stdout);
  switch (outcome.verdict) {
    case Verdict::kPass:
      std::printf("PASS %s\n", path.c_str());
      break;
    case Verdict::kSkip:
      std::printf("SKIP %s: needs %s\n", path.c_str(), outcome.text.c_str());
      break;
    case Verdict::kFail:
      if (outcome.column != 0) {
        std::printf("FAIL %s:%d:%d: %s\n", path.c_str(), outcome.line, outcome.column, outcome.text.c_str());
      } else {
        std::printf("FAIL %s:%d: %s\n", path.c_str(), outcome.line, outcome.text.c_str());
      }
      break;
  }
}

int Run(const std::vector<std::string>& files, const RunOptions& options, unsigned jobs) {
  std::vector<Outcome> outcomes(files.size());
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i; (i = next++) < files.size();) outcomes[i] = RunFile(files[i], options);
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < jobs; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  int counts[3] = {};
  for (size_t i = 0; i < files.size(); ++i) {
    Print(files[i], outcomes[i]);
    ++counts[static_cast<size_t>(outcomes[i].verdict)];
  }
  std::printf("%d passed, %d failed, %d skipped\n", counts[0], counts[1], counts[2]);
  return counts[1] == 0 ? 0 : 1;
}

int Main(int argc, char** argv) {
  RunOptions options;
  std::vector<std::string> files;
  unsigned jobs = 1;
  bool only_files = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const size_t equals = word.find('=');
    if (only_files || word.rfind("--", 0) != 0) {
      files.push_back(word);
    } else if (word == "--") {
      only_files = true;
    } else if (word == "--help") {
      std::fputs(kHelp, stdout);
      return 0;
    } else if (word == "--verbose") {
      options.verbose = true;
    } else if (word == "--check-psh") {
      options.check_psh = true;
    } else if (word == "--zero-windows-only") {
      options.zero_windows_only = true;
    } else if (word == "--strict-end") {
      options.strict_end = true;
    } else if (word.rfind("--jobs", 0) == 0 && (equals != std::string::npos || i + 1 < argc)) {
      const std::string number = equals == std::string::npos ? argv[++i] : word.substr(equals + 1);
      jobs = static_cast<unsigned>(std::strtoul(number.c_str(), nullptr, 10));
      if (jobs == 0 || jobs > 256) {
        std::fprintf(stderr, "tern-packetdrill: --jobs %s: expected a number from 1 to 256\n",
                     number.c_str());
        return 2;
      }
    } else if (equals != std::string::npos) {
      options.options.push_back({.name = word.substr(2, equals - 2), .value = word.substr(equals + 1)});
    } else {
      std::fprintf(stderr, "tern-packetdrill: %s: expected an option that --help names\n", word.c_str());
      return 2;
    }
  }
  if (files.empty()) {
    std::fprintf(stderr, "tern-packetdrill: expected at least one FILE; --help tells more\n");
    return 2;
  }
  return Run(FindScripts(files), options, jobs);
}

}  // namespace
}  // namespace tern::script

int main(int argc, char** argv) { return tern::script::Main(argc, argv); }
