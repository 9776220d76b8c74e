// The same keys from a TOML file.
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <optional>

#include "tern/config.h"
#include "tern/config_state.h"

namespace tern {
namespace {

std::string At(const std::string& file, const toml::source_region& region) {
  return absl::StrCat(file, ":", region.begin.line);
}

const char* KindName(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "a whole number";
    case toml::node_type::floating_point:
      return "a number";
    case toml::node_type::boolean:
      return "a boolean";
    default:
      return "a date or time";
  }
}

const char* Wanted(ConfigKind kind) {
  switch (kind) {
    case ConfigKind::kBool:
      return "true or false";
    case ConfigKind::kInteger:
      return "a whole number";
    case ConfigKind::kNumber:
      return "a number";
    case ConfigKind::kText:
      return "a string";
    case ConfigKind::kScalar:
      return "a string or a whole number";
  }
  return "a value";
}

// The value as a flag would give it; nothing when it is of another kind.
std::optional<std::string> TextOf(const toml::node& node, ConfigKind kind) {
  const bool text_fits = kind == ConfigKind::kText || kind == ConfigKind::kScalar;
  const bool integer_fits =
      kind == ConfigKind::kInteger || kind == ConfigKind::kNumber || kind == ConfigKind::kScalar;
  if (const auto* text = node.as_string(); text != nullptr && text_fits) return text->get();
  if (const auto* number = node.as_integer(); number != nullptr && integer_fits) {
    return absl::StrCat(number->get());
  }
  if (const auto* number = node.as_floating_point(); number != nullptr && kind == ConfigKind::kNumber) {
    return absl::StrCat(number->get());
  }
  if (const auto* flag = node.as_boolean(); flag != nullptr && kind == ConfigKind::kBool) {
    return flag->get() ? "true" : "false";
  }
  return std::nullopt;
}

absl::Status WrongKind(const std::string& where, const ConfigTable::State::Key& key, const toml::node& node) {
  return absl::InvalidArgumentError(absl::StrCat(where, ": ", key.custom.name, " is written as ",
                                                 KindName(node), ": expected ", Wanted(key.kind),
                                                 key.custom.repeats ? " or an array of them" : ""));
}

absl::Status AssignNode(ConfigTable::State& state, ConfigTable::State::Key& key, const toml::node& node,
                        const std::string& file) {
  const std::string where = At(file, node.source());
  std::vector<std::string> values;
  const toml::array* array = node.as_array();
  if (array != nullptr && key.custom.repeats) {
    for (const toml::node& element : *array) {
      const std::optional<std::string> text = TextOf(element, key.kind);
      if (!text) return WrongKind(At(file, element.source()), key, element);
      values.push_back(*text);
    }
  } else {
    const std::optional<std::string> text = TextOf(node, key.kind);
    if (!text) return WrongKind(where, key, node);
    values.push_back(*text);
  }
  return state.Assign(key, values, where);
}

absl::Status ParseTable(ConfigTable::State& state, const toml::table& table, const std::string& file);

absl::Status ParseTables(const ConfigTable::State::Tables& tables, const toml::node& node,
                         const std::string& file) {
  const toml::array* array = node.as_array();
  const bool right = array != nullptr && array->is_homogeneous<toml::table>();
  if (!right) {
    return absl::InvalidArgumentError(absl::StrCat(At(file, node.source()), ": ", tables.name, " is ",
                                                   KindName(node), ": expected tables, each begun by [[",
                                                   tables.name, "]]"));
  }
  for (const toml::node& element : *array) {
    ConfigTable keys;
    tables.begin(keys);
    if (absl::Status status = keys.ParseNested(&element, file); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ParseTable(ConfigTable::State& state, const toml::table& table, const std::string& file) {
  for (const auto& entry : table) {
    const toml::key& name = entry.first;
    const toml::node& node = entry.second;
    if (name.str() == kConfigFlag) {
      return absl::InvalidArgumentError(absl::StrCat(At(file, name.source()),
                                                     ": config is a flag only: a file cannot name another, "
                                                     "put all keys into one"));
    }
    if (ConfigTable::State::Key* key = state.Find(name.str()); key != nullptr) {
      if (absl::Status status = AssignNode(state, *key, node, file); !status.ok()) return status;
      continue;
    }
    const auto tables = std::find_if(state.tables.begin(), state.tables.end(),
                                     [&](const auto& known) { return known.name == name.str(); });
    if (tables == state.tables.end()) {
      return absl::InvalidArgumentError(absl::StrCat(At(file, name.source()), ": unknown key \"",
                                                     std::string(name.str()), "\"",
                                                     state.Nearest(name.str(), /*in_file=*/true)));
    }
    if (absl::Status status = ParseTables(*tables, node, file); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// Far more than anybody writes, and little enough to read by mistake.
constexpr size_t kLargestFile = size_t{1} << 20;

absl::Status CannotRead(const std::string& path, std::string_view why, std::string_view expected) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": ", std::string(why), ": expected ", std::string(expected)));
}

absl::StatusOr<std::string> ReadOpen(int fd, const std::string& path) {
  struct stat about {};
  if (fstat(fd, &about) != 0) return CannotRead(path, std::strerror(errno), "a TOML file that can be read");
  if (S_ISDIR(about.st_mode)) return CannotRead(path, "is a directory", "a TOML file");
  if (!S_ISREG(about.st_mode)) return CannotRead(path, "is not a regular file", "a TOML file");
  std::string text;
  std::array<char, 16'384> piece;
  while (true) {
    const ssize_t count = read(fd, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return CannotRead(path, std::strerror(errno), "a TOML file that can be read");
    if (count == 0) return text;
    text.append(piece.data(), static_cast<size_t>(count));
    if (text.size() > kLargestFile) return CannotRead(path, "is too large", "a TOML file of at most 1 MiB");
  }
}

absl::StatusOr<std::string> ReadWhole(const std::string& path) {
  // Without O_NONBLOCK a named pipe would keep us until somebody writes to it.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return CannotRead(path, std::strerror(errno), "a TOML file that you may read");
  absl::StatusOr<std::string> text = ReadOpen(fd, path);
  close(fd);
  return text;
}

}  // namespace

absl::Status ConfigTable::ParseNested(const void* node, const std::string& file) {
  return ParseTable(*state_, *static_cast<const toml::node*>(node)->as_table(), file);
}

absl::Status ConfigTable::ParseToml(std::string_view text, const std::string& name) {
  toml::table table;
  try {
    table = toml::parse(text, name);
  } catch (const toml::parse_error& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(At(name, error.source()), ": ", std::string(error.description())));
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": cannot be read as TOML: ", error.what()));
  }
  return ParseTable(*state_, table, name);
}

absl::Status ConfigTable::ParseFile(const std::string& path) {
  absl::StatusOr<std::string> text = ReadWhole(path);
  if (!text.ok()) return text.status();
  return ParseToml(*text, path);
}

}  // namespace tern
