// The table of keys as a text for people.
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <algorithm>

#include "tern/config.h"
#include "tern/config_state.h"

namespace tern {
namespace {

constexpr size_t kIndent = 2;
constexpr size_t kTextColumn = 30;

std::string FlagText(const ConfigTable::State::Key& key) {
  std::string text = absl::StrCat("--", key.custom.name);
  if (key.kind == ConfigKind::kBool) return text;
  absl::StrAppend(&text, " ", key.custom.placeholder.empty() ? "VALUE" : key.custom.placeholder);
  return text;
}

std::string Explanation(const ConfigTable::State::Key& key) {
  std::string text = key.custom.help;
  if (key.custom.repeats) absl::StrAppend(&text, " (may be repeated)");
  if (!key.custom.default_text.empty()) absl::StrAppend(&text, " (default: ", key.custom.default_text, ")");
  return text;
}

void AppendWrapped(std::string_view text, size_t column, size_t columns, std::string* out) {
  size_t at = column;
  bool first = true;
  for (const auto& word : absl::StrSplit(std::string(text), ' ', absl::SkipEmpty())) {
    if (!first && at + 1 + word.size() > columns) {
      absl::StrAppend(out, "\n", std::string(column, ' '));
      at = column;
      first = true;
    }
    if (!first) {
      absl::StrAppend(out, " ");
      ++at;
    }
    absl::StrAppend(out, word);
    at += word.size();
    first = false;
  }
  absl::StrAppend(out, "\n");
}

void AppendEntry(const std::string& flag, const std::string& text, size_t columns, std::string* out) {
  absl::StrAppend(out, std::string(kIndent, ' '), flag);
  if (kIndent + flag.size() + 2 > kTextColumn) {
    absl::StrAppend(out, "\n", std::string(kTextColumn, ' '));
  } else {
    absl::StrAppend(out, std::string(kTextColumn - kIndent - flag.size(), ' '));
  }
  AppendWrapped(text, kTextColumn, std::max(columns, kTextColumn + 20), out);
}

}  // namespace

std::string ConfigTable::Help(size_t columns) const {
  std::vector<std::string> sections;
  const auto note = [&](const std::string& section) {
    if (std::find(sections.begin(), sections.end(), section) == sections.end()) sections.push_back(section);
  };
  for (const State::Key& key : state_->keys) note(key.section);
  for (const State::Tables& tables : state_->tables) note(tables.section);
  // What every program has stands last: what is special about this one comes first.
  if (sections.size() > 1) std::rotate(sections.begin(), sections.begin() + 1, sections.end());

  std::string out;
  for (const std::string& section : sections) {
    absl::StrAppend(&out, out.empty() ? "" : "\n", section, ":\n");
    for (const State::Key& key : state_->keys) {
      if (key.section == section) AppendEntry(FlagText(key), Explanation(key), columns, &out);
    }
    for (const State::Tables& tables : state_->tables) {
      if (tables.section != section) continue;
      AppendEntry("[[" + tables.name + "]]", tables.help + " (in the file only)", columns, &out);
    }
    if (section == sections.back()) AppendEntry("--help", "this text", columns, &out);
  }
  return out;
}

}  // namespace tern
