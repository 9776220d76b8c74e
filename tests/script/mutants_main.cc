// Makes wrong variants of every script that passes and demands that nearly all of them fail: a runner that
// accepts silence is worth nothing.
#include <cstdio>
#include <string>
#include <vector>

#include "script/files.h"
#include "script/mutants.h"
#include "script/runner.h"

namespace tern::script {
namespace {

// Of a thousand variants. A few say the same in other words (a time inside a range that was allowed).
constexpr size_t kLeastPerMille = 980;

int Main(const std::vector<std::string>& paths) {
  RunOptions options;
  options.strict_end = true;
  size_t scripts = 0;
  size_t made = 0;
  size_t refused = 0;
  for (const std::string& path : FindScripts(paths)) {
    std::string text;
    std::string needs;
    if (!ReadFile(path, &text)) {
      std::printf("%s: expected a file that can be read\n", path.c_str());
      return 1;
    }
    const auto parsed = Parse(text, &needs);
    const auto* script = std::get_if<Script>(&parsed);
    if (script == nullptr || !needs.empty()) continue;
    if (RunScript(*script, options).verdict != Verdict::kPass) continue;
    ++scripts;
    for (const Mutant& mutant : MutantsOf(*script)) {
      ++made;
      if (RunScript(mutant.script, options).verdict == Verdict::kFail) {
        ++refused;
      } else {
        std::printf("accepted: %s:%d: %s\n", path.c_str(), mutant.line, mutant.what.c_str());
      }
    }
  }
  std::printf("%zu scripts, %zu wrong variants, %zu refused\n", scripts, made, refused);
  const bool good = scripts != 0 && made != 0 && refused * 1'000 >= made * kLeastPerMille;
  std::printf("%d passed, %d failed, 0 skipped\n", good ? 1 : 0, good ? 0 : 1);
  return good ? 0 : 1;
}

}  // namespace
}  // namespace tern::script

int main(int argc, char** argv) {
  return tern::script::Main(std::vector<std::string>(argv + 1, argv + argc));
}
