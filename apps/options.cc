#include "apps/options.h"

#include <unistd.h>

#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tern/version.h"

namespace tern::apps {
namespace {

void Print(std::FILE* to, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), to);
  std::fflush(to);
}

void PrintVersion(const ProgramText& program) {
  Print(stdout, absl::StrCat(std::string(program.name), " ", VersionText(), "\n"));
}

// What to type: "tern-echo server", or "tern-wire", whose only role has no name.
std::string CommandOf(const ProgramText& program, const RoleText* role) {
  std::string command(program.name);
  if (role != nullptr && !role->name.empty()) absl::StrAppend(&command, " ", std::string(role->name));
  return command;
}

std::string Usage(const ProgramText& program) {
  std::string text =
      absl::StrCat(std::string(program.name), ": ", std::string(program.summary), "\n\nusage:\n");
  for (const RoleText& role : program.roles) {
    absl::StrAppend(&text, "  ", std::string(program.name), " ", std::string(role.name),
                    " [--key value]...\n      ", std::string(role.summary), "\n");
  }
  absl::StrAppend(&text, "  ", std::string(program.name),
                  " ROLE --help    the keys of a role, with their defaults\n  ", std::string(program.name),
                  " --version\n\nexamples:\n");
  for (const RoleText& role : program.roles) absl::StrAppend(&text, std::string(role.examples));
  return text;
}

std::string RoleHelp(const ProgramText& program, const RoleText& role, const ConfigTable& table) {
  const std::string command = CommandOf(program, &role);
  return absl::StrCat(
      command, ": ", std::string(role.summary), "\n\nusage: ", command,
      " [--key value]...\n\n"
      "Each key is a flag and, under the same name, a line of the TOML file that --config names;\n"
      "flags win over the file.\n\nexamples:\n",
      std::string(role.examples), "\n", table.Help(),
      "\nexit status: 0 all was right, 1 something was not, 2 bad usage\n");
}

const char* LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "log";
}

std::optional<Endpoint> ParseEndpoint(std::string_view text, uint16_t default_port) {
  if (default_port != 0) {
    std::string_view bare = text;
    if (bare.size() > 2 && bare.front() == '[' && bare.back() == ']') bare = bare.substr(1, bare.size() - 2);
    if (const auto address = Address::Parse(bare)) return Endpoint{*address, default_port};
  }
  const auto endpoint = Endpoint::Parse(text);
  if (!endpoint || endpoint->port == 0 || endpoint->address.IsUnspecified()) return std::nullopt;
  return endpoint;
}

}  // namespace

void AddCommonKeys(ConfigTable& table, CommonOptions* options) {
  options->progress = isatty(STDERR_FILENO) != 0;
  AddStackKeys(table, &options->stack);
  table.Section("Output");
  table.AddBool("json", &options->json, "print one JSON object a line on stdout instead of text");
  table.AddBool("progress", &options->progress,
                "a line each second on stderr; the default is whether it is a terminal");
  table.AddChoice<LogLevel>("log_level", &options->log_level,
                            {{"debug", LogLevel::kDebug},
                             {"info", LogLevel::kInfo},
                             {"warning", LogLevel::kWarning},
                             {"error", LogLevel::kError}},
                            "what of the stack's log goes to stderr");
}

void AddPort(ConfigTable& table, std::string name, uint16_t* port, std::string help) {
  table.AddUint16(std::move(name), port, 0, 65'535, std::move(help));
}

void AddEndpoint(ConfigTable& table, std::string name, Endpoint* endpoint, uint16_t default_port,
                 std::string help) {
  const std::string expected = default_port != 0
                                   ? "an address with or without a port, as 10.77.0.1 or [fd77::1]:9"
                                   : "an address and a port, as 10.77.0.1:7 or [fd77::1]:7";
  ConfigTable::Custom key;
  key.name = std::move(name);
  key.placeholder = default_port != 0 ? "ADDRESS[:PORT]" : "ADDRESS:PORT";
  key.help = std::move(help);
  key.set = [endpoint, default_port, expected](std::string_view text) {
    const auto parsed = ParseEndpoint(text, default_port);
    if (!parsed) return absl::InvalidArgumentError(expected);
    *endpoint = *parsed;
    return absl::OkStatus();
  };
  table.Add(std::move(key));
}

ExitStatus StatusOf(const absl::Status& error) {
  return error.code() == absl::StatusCode::kInvalidArgument ? kBadUsage : kWrong;
}

int BadUsage(const ProgramText& program, const RoleText* role, std::string_view message) {
  Print(stderr, absl::StrCat(std::string(program.name), ": ", std::string(message),
                             "\ntry: ", CommandOf(program, role), " --help\n"));
  return kBadUsage;
}

const RoleText* TakeRole(const ProgramText& program, int argc, const char* const* argv, int* exit_status) {
  const std::string_view first = argc > 1 ? argv[1] : "";
  for (const RoleText& role : program.roles) {
    if (role.name == first) return &role;
  }
  *exit_status = kRight;
  if (first == "--help" || first == "-h" || first == "help") {
    Print(stdout, Usage(program));
  } else if (first == "--version") {
    PrintVersion(program);
  } else {
    std::string expected;
    for (const RoleText& role : program.roles) {
      absl::StrAppend(&expected, expected.empty() ? "" : " or ", std::string(role.name));
    }
    *exit_status =
        BadUsage(program, nullptr,
                 absl::StrCat(first.empty() ? "nothing" : absl::StrCat("'", std::string(first), "'"),
                              " where a role was expected: ", expected));
  }
  return nullptr;
}

std::optional<int> ParseRole(const ProgramText& program, const RoleText& role, ConfigTable& table, int argc,
                             const char* const* argv) {
  const int skipped = role.name.empty() ? 0 : 1;
  for (int i = 1 + skipped; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--version") {
      PrintVersion(program);
      return kRight;
    }
  }
  // The role takes the place of the program's name.
  const absl::Status status = table.ParseFlags(argc - skipped, argv + skipped);
  if (table.help_wanted()) {
    Print(stdout, RoleHelp(program, role, table));
    return kRight;
  }
  if (!status.ok()) return BadUsage(program, &role, std::string(status.message()));
  return std::nullopt;
}

absl::Status CheckCommon(const CommonOptions& options) {
  if (options.stack.interfaces.empty() || options.stack.interfaces.front().device.empty()) {
    return absl::InvalidArgumentError(
        "--device is missing: say where the packets are, for example --device af_packet:veth1 (a kernel "
        "interface), "
        "--device tap:tern0, --device pci:0000:01:00.0");
  }
  for (const InterfaceOptions& interface : options.stack.interfaces) {
    if (interface.addresses.empty() && interface.pools.empty() && !interface.autoconf) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--address is missing for ", interface.device,
          ": give tern an address of its own, for example --address 10.77.0.1/24, or let it take "
          "IPv6 addresses from routers by --autoconf"));
    }
  }
  return absl::OkStatus();
}

LogSink StderrLog(std::string_view program, LogLevel least) {
  return [name = std::string(program), least](LogLevel level, std::string_view line) {
    if (level < least) return;
    // One write for one line, so that lines of several threads do not mix.
    Print(stderr, absl::StrCat(name, ": ", LevelName(level), ": ", std::string(line), "\n"));
  };
}

}  // namespace tern::apps
