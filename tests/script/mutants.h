// Wrong variants of a script, each of which a runner that looks must refuse.
#ifndef TERN_TESTS_SCRIPT_MUTANTS_H_
#define TERN_TESTS_SCRIPT_MUTANTS_H_

#include <string>
#include <vector>

#include "script/script.h"

namespace tern::script {

struct Mutant {
  Script script;
  int line = 0;
  std::string what;  // "ack + 1"
};

// One change each: seq or ack of an outbound packet one off, a packet left out or added, a flag flipped, an
// expectation 300 ms later, another errno or result.
std::vector<Mutant> MutantsOf(const Script& script);

}  // namespace tern::script

#endif  // TERN_TESTS_SCRIPT_MUTANTS_H_
