// What every program takes from its command line: the role, the stack's own keys, help, version, JSON,
// duration.
#ifndef TERN_APPS_OPTIONS_H_
#define TERN_APPS_OPTIONS_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tern/address.h"
#include "tern/config.h"
#include "tern/stack.h"

namespace tern::apps {

// Exit statuses. kWrong: something ran and was not right (a byte, a connection, a leak, a device).
enum ExitStatus : int { kRight = 0, kWrong = 1, kBadUsage = 2 };

// A program in words, for --help.
struct RoleText {
  std::string_view name;      // "server"; empty: the program has one role, which needs no word
  std::string_view summary;   // one line
  std::string_view examples;  // whole lines, each indented by two blanks
};
struct ProgramText {
  std::string_view name;  // "tern-echo"
  std::string_view summary;
  std::vector<RoleText> roles;
};

struct CommonOptions {
  Options stack;
  bool json = false;
  bool progress = false;  // a line each second on stderr
  std::chrono::nanoseconds duration{0};
  LogLevel log_level = LogLevel::kWarning;
};

// Declares the keys of CommonOptions, and all the stack's, except `duration`, whose meaning differs.
// `options` must outlive the table. The progress default is whether stderr is a terminal.
void AddCommonKeys(ConfigTable& table, CommonOptions* options);

// A TCP port, 0 (off) to 65535.
void AddPort(ConfigTable& table, std::string name, uint16_t* port, std::string help);
// "10.77.0.1:7", "[fd77::1]:7". When `default_port` is not 0 the port may be left out.
void AddEndpoint(ConfigTable& table, std::string name, Endpoint* endpoint, uint16_t default_port,
                 std::string help);

// The role that the command line starts with, or, in `*exit_status`, how to end: after --help, --version or a
// mistake, which it has printed.
const RoleText* TakeRole(const ProgramText& program, int argc, const char* const* argv, int* exit_status);

// Reads what follows the role. Prints help, version or the mistake, and gives the exit status, when that was
// it.
std::optional<int> ParseRole(const ProgramText& program, const RoleText& role, ConfigTable& table, int argc,
                             const char* const* argv);

// kBadUsage for what the user said and should say otherwise, kWrong for the rest.
ExitStatus StatusOf(const absl::Status& error);

// Prints "NAME: MESSAGE" and how to get help; gives kBadUsage.
int BadUsage(const ProgramText& program, const RoleText* role, std::string_view message);

// An error unless the stack can be opened at all: a device, an address.
absl::Status CheckCommon(const CommonOptions& options);

// Lines "NAME: LEVEL: LINE" of this level and more severe on stderr.
LogSink StderrLog(std::string_view program, LogLevel least);

}  // namespace tern::apps

#endif  // TERN_APPS_OPTIONS_H_
