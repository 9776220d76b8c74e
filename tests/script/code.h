// `%{ assert tcpi_unacked == 3, tcpi_unacked }%`: conditions over tcp_info, without Python.
#ifndef TERN_TESTS_SCRIPT_CODE_H_
#define TERN_TESTS_SCRIPT_CODE_H_

#include <optional>
#include <string>

#include "socket/types.h"

namespace tern::script {

// What code is needed that this evaluator does not know; empty: it knows all of it.
std::string CodeNeeds(const std::string& code);

// The first assertion that does not hold, with the values found; empty: all hold.
// REQUIRES: CodeNeeds(code).empty().
std::string RunCode(const std::string& code, const socket::TcpInfo& info);

}  // namespace tern::script

#endif  // TERN_TESTS_SCRIPT_CODE_H_
