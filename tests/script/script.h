// A script as a value: what the parser makes and the runner plays.
#ifndef TERN_TESTS_SCRIPT_SCRIPT_H_
#define TERN_TESTS_SCRIPT_SCRIPT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/instant.h"

namespace tern::script {

// One-based.
struct Location {
  int line = 1;
  int column = 1;
};

struct ScriptError {
  Location at;
  std::string what;
};

// ---- Times ----

struct TimeSpec {
  enum class Kind : uint8_t { kAbsolute, kRelative, kAny };
  Kind kind = Kind::kRelative;
  Duration at;
  // The end of a range (`~`), or of a blocking call (`...`), counted from the same base as `at`.
  std::optional<Duration> range_end;
  std::optional<Duration> call_end;
};

// ---- Packets ----

enum class OptionKind : uint8_t { kMss, kSackPermitted, kWindowScale, kTimestamp, kSack, kNop, kEnd, kOther };

struct OptionSpec {
  OptionKind kind = OptionKind::kNop;
  uint32_t value = 0;  // MSS, shift, TSval
  uint32_t echo = 0;   // TSecr
  std::vector<std::pair<uint32_t, uint32_t>> blocks;
  std::vector<uint8_t> raw;  // kOther: kind, length and data as they go out
};

enum class EcnSpec : uint8_t { kUnstated, kNotCapable, kEct0, kEct1, kEct01, kCe };

struct TcpSpec {
  uint8_t flags = 0;  // wire::kFin | ...
  uint32_t seq = 0;
  uint32_t end = 0;
  uint32_t length = 0;
  uint32_t ack = 0;
  uint16_t window = 0;
  uint16_t urgent = 0;
  bool has_window = false;
  bool has_urgent = false;
  bool any_options = false;  // <...>
  std::vector<OptionSpec> options;
};

struct IcmpSpec {
  uint8_t type = 0;
  uint8_t code = 0;
  uint32_t mtu = 0;
  bool ipv6 = false;
  // The quoted segment, in the sequence numbers of our side.
  uint32_t seq = 0;
  uint32_t length = 0;
};

struct PacketSpec {
  bool inbound = false;
  EcnSpec ecn = EcnSpec::kUnstated;
  std::variant<TcpSpec, IcmpSpec> body;
};

// ---- Calls ----

struct Expr {
  enum class Kind : uint8_t { kNumber, kWord, kString, kEllipsis, kList, kStruct, kCall, kOr };
  Kind kind = Kind::kEllipsis;
  Location at;
  int64_t number = 0;
  std::string text;                // word, string, name of a call
  std::vector<Expr> items;         // list, arguments, alternatives of `|`
  std::vector<std::string> names;  // struct: the name of each item, empty where it stands by position
};

struct CallSpec {
  std::string name;
  std::vector<Expr> arguments;
  bool any_result = false;  // = ?
  int64_t result = 0;
  std::string error;  // "EAGAIN"; empty: none
};

struct ShellSpec {
  std::string text;
};
struct CodeSpec {
  std::string text;
};

struct Event {
  Location at;
  TimeSpec time;
  std::variant<PacketSpec, CallSpec, ShellSpec, CodeSpec> body;
};

struct OptionLine {
  Location at;
  std::string name;
  std::string value;
};

struct Script {
  std::vector<OptionLine> options;
  std::vector<std::pair<Location, std::string>> init_commands;
  std::vector<Event> events;
};

// The script, or where and why it cannot be one. A feature of the language that is known and not played here
// is no error: it is left in `*needs` and the script is to be skipped.
std::variant<Script, ScriptError> Parse(const std::string& text, std::string* needs);

}  // namespace tern::script

#endif  // TERN_TESTS_SCRIPT_SCRIPT_H_
