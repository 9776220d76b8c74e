// Plays one script against one machine, and says how it went.
#ifndef TERN_TESTS_SCRIPT_RUNNER_H_
#define TERN_TESTS_SCRIPT_RUNNER_H_

#include <string>
#include <vector>

#include "script/script.h"

namespace tern::script {

enum class Verdict : uint8_t { kPass, kFail, kSkip };

struct Outcome {
  Verdict verdict = Verdict::kPass;
  int line = 0;
  int column = 0;    // only where the script itself is broken
  std::string text;  // what was expected and what came, or what is needed
  std::string log;   // with `verbose`: every event and every packet
};

struct RunOptions {
  bool verbose = false;
  bool ipv6 = false;  // for scripts that do not say
  bool check_psh = false;
  bool zero_windows_only = false;
  // Packets that nobody expected fail a script wherever they are. Otherwise what is sent after the last line
  // that expects one is not looked at: suites made for a kernel that is torn down at the end do not list it.
  bool strict_end = false;
  std::vector<OptionLine> options;  // as if they stood before the script's own
};

Outcome RunScript(const Script& script, const RunOptions& options);
Outcome RunText(const std::string& text, const RunOptions& options);

}  // namespace tern::script

#endif  // TERN_TESTS_SCRIPT_RUNNER_H_
