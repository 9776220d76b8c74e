// The names that scripts use for numbers.
#ifndef TERN_TESTS_SCRIPT_SYMBOLS_H_
#define TERN_TESTS_SCRIPT_SYMBOLS_H_

#include <cstdint>
#include <optional>
#include <string>

namespace tern::script {

// O_NONBLOCK, SOL_SOCKET, MSG_PEEK, POLLIN, ...: Linux's numbers.
std::optional<int64_t> SymbolValue(const std::string& name);

std::optional<int> ErrnoNumber(const std::string& name);
// "EAGAIN"; "errno 99" for one without a name here.
std::string ErrnoName(int error);

}  // namespace tern::script

#endif  // TERN_TESTS_SCRIPT_SYMBOLS_H_
