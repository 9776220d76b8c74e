// One table of keys, read from a TOML file and from flags alike, and printed as help.
#ifndef TERN_TERN_CONFIG_H_
#define TERN_TERN_CONFIG_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tern/export.h"
#include "tern/stack.h"

namespace tern {

// A set of named settings. Declare keys with Add*, each bound to a variable whose present value is the
// default; then Parse. The variables must outlive the table. One thread.
//
// A key `max_connections` is `max_connections = 1000` in TOML and `--max_connections 1000`,
// `--max_connections=1000` or with dashes for underscores as flags. Flags beat the file. `--config FILE` and
// `--help` exist always. Every error names where (file and line, or the flag), the key, the value, what was
// expected, and for an unknown key the nearest known one.
class TERN_EXPORT ConfigTable {
 public:
  ConfigTable();
  ~ConfigTable();
  ConfigTable(ConfigTable&&) noexcept;
  ConfigTable& operator=(ConfigTable&&) noexcept;

  // Keys added from here on stand under this heading in Help.
  void Section(std::string title);

  // `--name`, `--noname` and `--name=false` as flags.
  void AddBool(std::string name, bool* value, std::string help);
  // For a value that may move until it is set.
  void AddBool(std::string name, std::function<bool&()> value, std::string help);
  void AddString(std::string name, std::string* value, std::string placeholder, std::string help);
  // Given several times as a flag, or as an array in TOML. Flags replace what the file said.
  void AddList(std::string name, std::vector<std::string>* values, std::string placeholder, std::string help);
  // Whole numbers within [min, max]. AddUint32 and AddUint16 as AddUint64.
  void AddUint64(std::string name, uint64_t* value, uint64_t min, uint64_t max, std::string help);
  void AddUint32(std::string name, uint32_t* value, uint32_t min, uint32_t max, std::string help);
  void AddUint16(std::string name, uint16_t* value, uint16_t min, uint16_t max, std::string help);
  // A decimal number within [min, max].
  void AddDouble(std::string name, double* value, double min, double max, std::string help);
  // "1GiB", "64k", "1500": see ParseSize.
  void AddSize(std::string name, uint64_t* octets, std::string help);
  // "5s", "200ms": see ParseDuration. In TOML a string.
  void AddDuration(std::string name, std::chrono::nanoseconds* value, std::string help);
  // One of several words; `*value` is what stands beside the word.
  template <typename E>
  void AddChoice(std::string name, E* value, std::vector<std::pair<std::string, E>> choices,
                 std::string help);
  // Anything else. `set` is called with each value as text, and after `reset` when a value replaces earlier
  // ones; its error says only what was expected ("a port, 1 to 65535").
  struct Custom {
    std::string name;
    std::string placeholder;
    std::string default_text;
    std::string help;
    bool repeats = false;
    // Set when giving the flag twice is a mistake: how to say it instead. Otherwise the last one counts.
    std::string instead_of_twice = {};
    std::function<absl::Status(std::string_view text)> set;
    std::function<void()> reset;
  };
  void Add(Custom key);
  // A TOML table array `[[name]]`, each with keys of its own; `begin` is called for each table and fills a
  // table of keys bound to a fresh element.
  void AddTables(std::string name, std::function<void(ConfigTable& keys)> begin, std::string help);

  // Reads `--config FILE` if there, then the flags. What is no flag is appended to `positional`, or an error
  // when that is nullptr; "--" ends the flags.
  absl::Status ParseFlags(int argc, const char* const* argv, std::vector<std::string>* positional = nullptr);
  // Reads a file, which has to be a regular one of at most 1 MiB, or text that is called `name` in errors.
  absl::Status ParseFile(const std::string& path);
  absl::Status ParseToml(std::string_view text, const std::string& name);

  // Whether --help was among the flags: print Help and leave.
  bool help_wanted() const;
  // Whether the key was set by file or flag.
  bool IsSet(std::string_view name) const;
  // All keys by section, with defaults, wrapped for a terminal of `columns`.
  std::string Help(size_t columns = 100) const;

  struct State;  // the library's own
  absl::Status ParseNested(const void* node, const std::string& file);

 private:
  std::unique_ptr<State> state_;
};

// "1500", "64k" = "64KiB", "1MiB", "2G"; k, M, G, T are powers of 1024 with or without "iB"; "kB", "MB", "GB"
// are powers of 1000.
TERN_EXPORT absl::StatusOr<uint64_t> ParseSize(std::string_view text);
// "5s", "200ms", "50us", "10ns", "1m", "1h", "1.5s", and sums of them as "1m30s".
TERN_EXPORT absl::StatusOr<std::chrono::nanoseconds> ParseDuration(std::string_view text);
// "0", "0,2", "1-3,6": in order; a CPU named twice is an error.
TERN_EXPORT absl::StatusOr<std::vector<int>> ParseCpuList(std::string_view text);

// The keys of a stack: device, address, pool, mac, mtu, vlan, impairment (all of the first interface; further
// ones as [[interface]] in the file), route, gateway, lcores, ... `options` must outlive the table.
TERN_EXPORT void AddStackKeys(ConfigTable& table, Options* options);

// The keys of a listener: backlog, accept_rate, source_limit, defer_accept. `options` must outlive the table.
TERN_EXPORT void AddListenKeys(ConfigTable& table, ListenOptions* options);

template <typename E>
void ConfigTable::AddChoice(std::string name, E* value, std::vector<std::pair<std::string, E>> choices,
                            std::string help) {
  Custom key{.name = std::move(name), .help = std::move(help)};
  for (const auto& [word, meaning] : choices) {
    key.placeholder += (key.placeholder.empty() ? "" : "|") + word;
    if (meaning == *value) key.default_text = word;
  }
  key.set = [value, choices = std::move(choices),
             expected = "one of the words " + key.placeholder](std::string_view text) {
    for (const auto& [word, meaning] : choices) {
      if (word != text) continue;
      *value = meaning;
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(expected);
  };
  Add(std::move(key));
}

}  // namespace tern

#endif  // TERN_TERN_CONFIG_H_
