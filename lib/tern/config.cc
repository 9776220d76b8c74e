// The table of keys, and flags.
#include "tern/config.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <utility>

#include "tern/config_state.h"

namespace tern {
namespace {

// Levenshtein's distance; keys are short.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replaced}));
    }
  }
  return row[b.size()];
}

std::string WithUnderscores(std::string_view name) {
  std::string text(name);
  std::replace(text.begin(), text.end(), '-', '_');
  return text;
}

absl::Status SetBool(bool* value, std::string_view text) {
  if (text == "true" || text == "on" || text == "yes" || text == "1") {
    *value = true;
  } else if (text == "false" || text == "off" || text == "no" || text == "0") {
    *value = false;
  } else {
    return absl::InvalidArgumentError("true or false");
  }
  return absl::OkStatus();
}

template <typename T>
absl::Status SetWhole(T* value, uint64_t min, uint64_t max, std::string_view text) {
  uint64_t number = 0;
  if (!absl::SimpleAtoi(std::string(text), &number) || number < min || number > max) {
    return absl::InvalidArgumentError(absl::StrCat("a whole number, ", min, " to ", max));
  }
  *value = static_cast<T>(number);
  return absl::OkStatus();
}

std::string ShowDuration(std::chrono::nanoseconds value) {
  constexpr std::pair<int64_t, const char*> kUnits[] = {{3'600'000'000'000, "h"},
                                                        {60'000'000'000, "m"},
                                                        {1'000'000'000, "s"},
                                                        {1'000'000, "ms"},
                                                        {1'000, "us"}};
  for (const auto& [factor, unit] : kUnits) {
    if (value.count() != 0 && value.count() % factor == 0) return absl::StrCat(value.count() / factor, unit);
  }
  return absl::StrCat(value.count(), "ns");
}

std::string ShowSize(uint64_t octets) {
  constexpr std::pair<unsigned, const char*> kUnits[] = {{40, "TiB"}, {30, "GiB"}, {20, "MiB"}, {10, "KiB"}};
  for (const auto& [shift, unit] : kUnits) {
    if (octets != 0 && (octets & ((uint64_t{1} << shift) - 1)) == 0)
      return absl::StrCat(octets >> shift, unit);
  }
  return absl::StrCat(octets);
}

}  // namespace

ConfigTable::State::Key* ConfigTable::State::Find(std::string_view name) {
  const auto found =
      std::find_if(keys.begin(), keys.end(), [&](const Key& key) { return key.custom.name == name; });
  return found == keys.end() ? nullptr : &*found;
}

std::string ConfigTable::State::Nearest(std::string_view name, bool in_file) const {
  std::string_view best;
  size_t least = std::max<size_t>(2, name.size() / 3) + 1;
  const auto consider = [&](std::string_view known) {
    const size_t distance = EditDistance(name, known);
    if (distance >= least) return;
    least = distance;
    best = known;
  };
  for (const Key& key : keys) {
    if (!in_file || key.custom.name != kConfigFlag) consider(key.custom.name);
  }
  for (const Tables& table : tables) consider(table.name);
  return best.empty() ? "" : absl::StrCat("; did you mean \"", std::string(best), "\"?");
}

absl::Status ConfigTable::State::Assign(Key& key, const std::vector<std::string>& values,
                                        const std::string& where) {
  if (key.custom.reset) key.custom.reset();
  key.set = true;
  for (const std::string& value : values) {
    const absl::Status status = key.custom.set(value);
    if (status.ok()) continue;
    return absl::InvalidArgumentError(absl::StrCat(where, ": ", key.custom.name, " = \"", value,
                                                   "\": expected ", std::string(status.message())));
  }
  return absl::OkStatus();
}

ConfigTable::ConfigTable() : state_(std::make_unique<State>()) {
  Section("General");
  AddString(std::string(kConfigFlag), &state_->config_file, "FILE",
            "TOML file with the same keys; flags go before it");
}
ConfigTable::~ConfigTable() = default;
ConfigTable::ConfigTable(ConfigTable&&) noexcept = default;
ConfigTable& ConfigTable::operator=(ConfigTable&&) noexcept = default;

void ConfigTable::Section(std::string title) { state_->section = std::move(title); }

void ConfigTable::Add(Custom key) {
  state_->keys.push_back({std::move(key), ConfigKind::kScalar, state_->section});
}

void ConfigTable::AddBool(std::string name, bool* value, std::string help) {
  Add({.name = std::move(name),
       .default_text = *value ? "true" : "false",
       .help = std::move(help),
       .set = [value](std::string_view text) { return SetBool(value, text); }});
  state_->keys.back().kind = ConfigKind::kBool;
}

void ConfigTable::AddBool(std::string name, std::function<bool&()> value, std::string help) {
  Add({.name = std::move(name),
       .default_text = value() ? "true" : "false",
       .help = std::move(help),
       .set = [value = std::move(value)](std::string_view text) { return SetBool(&value(), text); }});
  state_->keys.back().kind = ConfigKind::kBool;
}

void ConfigTable::AddString(std::string name, std::string* value, std::string placeholder, std::string help) {
  Add({.name = std::move(name),
       .placeholder = std::move(placeholder),
       .default_text = *value,
       .help = std::move(help),
       .set = [value](std::string_view text) {
         *value = std::string(text);
         return absl::OkStatus();
       }});
  state_->keys.back().kind = ConfigKind::kText;
}

void ConfigTable::AddList(std::string name, std::vector<std::string>* values, std::string placeholder,
                          std::string help) {
  Add({.name = std::move(name),
       .placeholder = std::move(placeholder),
       .default_text = absl::StrJoin(*values, ", "),
       .help = std::move(help),
       .repeats = true,
       .set =
           [values](std::string_view text) {
             values->emplace_back(text);
             return absl::OkStatus();
           },
       .reset = [values] { values->clear(); }});
  state_->keys.back().kind = ConfigKind::kText;
}

void ConfigTable::AddUint64(std::string name, uint64_t* value, uint64_t min, uint64_t max, std::string help) {
  Add({.name = std::move(name),
       .placeholder = "N",
       .default_text = absl::StrCat(*value),
       .help = std::move(help),
       .set = [=](std::string_view text) { return SetWhole(value, min, max, text); }});
  state_->keys.back().kind = ConfigKind::kInteger;
}

void ConfigTable::AddUint32(std::string name, uint32_t* value, uint32_t min, uint32_t max, std::string help) {
  Add({.name = std::move(name),
       .placeholder = "N",
       .default_text = absl::StrCat(*value),
       .help = std::move(help),
       .set = [=](std::string_view text) { return SetWhole(value, min, max, text); }});
  state_->keys.back().kind = ConfigKind::kInteger;
}

void ConfigTable::AddUint16(std::string name, uint16_t* value, uint16_t min, uint16_t max, std::string help) {
  Add({.name = std::move(name),
       .placeholder = "N",
       .default_text = absl::StrCat(*value),
       .help = std::move(help),
       .set = [=](std::string_view text) { return SetWhole(value, min, max, text); }});
  state_->keys.back().kind = ConfigKind::kInteger;
}

void ConfigTable::AddDouble(std::string name, double* value, double min, double max, std::string help) {
  Add({.name = std::move(name),
       .placeholder = "X",
       .default_text = absl::StrCat(*value),
       .help = std::move(help),
       .set = [=](std::string_view text) {
         double number = 0;
         if (!absl::SimpleAtod(std::string(text), &number) || !(number >= min && number <= max)) {
           return absl::InvalidArgumentError(absl::StrCat("a number from ", min, " to ", max));
         }
         *value = number;
         return absl::OkStatus();
       }});
  state_->keys.back().kind = ConfigKind::kNumber;
}

void ConfigTable::AddSize(std::string name, uint64_t* octets, std::string help) {
  Add({.name = std::move(name),
       .placeholder = "SIZE",
       .default_text = ShowSize(*octets),
       .help = std::move(help),
       .set = [octets](std::string_view text) {
         const absl::StatusOr<uint64_t> size = ParseSize(text);
         if (size.ok()) *octets = *size;
         return size.status();
       }});
}

void ConfigTable::AddDuration(std::string name, std::chrono::nanoseconds* value, std::string help) {
  Add({.name = std::move(name),
       .placeholder = "TIME",
       .default_text = ShowDuration(*value),
       .help = std::move(help),
       .set = [value](std::string_view text) {
         const absl::StatusOr<std::chrono::nanoseconds> parsed = ParseDuration(text);
         if (parsed.ok()) *value = *parsed;
         return parsed.status();
       }});
}

void ConfigTable::AddTables(std::string name, std::function<void(ConfigTable&)> begin, std::string help) {
  state_->tables.push_back({std::move(name), std::move(begin), std::move(help), state_->section});
}

bool ConfigTable::help_wanted() const { return state_->help_wanted; }

bool ConfigTable::IsSet(std::string_view name) const {
  const State::Key* key = state_->Find(name);
  return key != nullptr && key->set;
}

namespace {

// Flags as they stand, before any is acted on.
struct Flags {
  std::vector<std::pair<std::string, std::vector<std::string>>>
      values;  // by key, in order of first appearance
  std::vector<std::string> positional;
  bool help = false;

  void Note(const std::string& name, std::string value) {
    for (auto& [known, list] : values) {
      if (known == name) return list.push_back(std::move(value));
    }
    values.emplace_back(name, std::vector{std::move(value)});
  }
};

// "noname", and its bool key if there is one.
ConfigTable::State::Key* FindNegated(ConfigTable::State& state, std::string_view name) {
  if (name.substr(0, 2) != "no") return nullptr;
  name.remove_prefix(2);
  if (name.substr(0, 1) == "_") name.remove_prefix(1);
  ConfigTable::State::Key* key = state.Find(name);
  return key != nullptr && key->kind == ConfigKind::kBool ? key : nullptr;
}

absl::Status SortFlags(ConfigTable::State& state, int argc, const char* const* argv, Flags* flags) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--") {
      flags->positional.insert(flags->positional.end(), argv + i + 1, argv + argc);
      break;
    }
    if (word == "-h" || word == "--help") {
      flags->help = true;
      continue;
    }
    if (word.substr(0, 2) != "--") {
      flags->positional.emplace_back(word);
      continue;
    }
    const size_t equals = word.find('=');
    const std::string name = WithUnderscores(word.substr(2, equals == word.npos ? word.npos : equals - 2));
    ConfigTable::State::Key* key = state.Find(name);
    if (key == nullptr && equals == word.npos) {
      if (const ConfigTable::State::Key* negated = FindNegated(state, name)) {
        flags->Note(negated->custom.name, "false");
        continue;
      }
    }
    if (key == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(std::string(word.substr(0, equals)), ": unknown flag",
                                                     state.Nearest(name, /*in_file=*/false),
                                                     " (--help lists them)"));
    }
    if (equals != word.npos) {
      flags->Note(name, std::string(word.substr(equals + 1)));
    } else if (key->kind == ConfigKind::kBool) {
      flags->Note(name, "true");
    } else if (i + 1 < argc) {
      flags->Note(name, argv[++i]);
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat(std::string(word), ": expected a value (", key->custom.placeholder, ") behind it"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ConfigTable::ParseFlags(int argc, const char* const* argv,
                                     std::vector<std::string>* positional) {
  Flags flags;
  if (absl::Status status = SortFlags(*state_, argc, argv, &flags); !status.ok()) return status;
  state_->help_wanted = flags.help;
  if (flags.help) return absl::OkStatus();
  for (const auto& [name, values] : flags.values) {
    if (name != kConfigFlag) continue;
    if (absl::Status status = ParseFile(values.back()); !status.ok()) return status;
  }
  for (auto& [name, values] : flags.values) {
    State::Key& key = *state_->Find(name);
    if (values.size() > 1 && !key.custom.instead_of_twice.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("flag --", name, " may be given once, not ",
                                                     values.size(), " times: ", key.custom.instead_of_twice));
    }
    if (!key.custom.repeats) values.erase(values.begin(), values.end() - 1);
    if (absl::Status status = state_->Assign(key, values, "flag --" + name); !status.ok()) return status;
  }
  if (positional != nullptr) {
    positional->insert(positional->end(), flags.positional.begin(), flags.positional.end());
  } else if (!flags.positional.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", flags.positional.front(), "\": expected a flag, as --name value"));
  }
  return absl::OkStatus();
}

}  // namespace tern
