#include "apps/report.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/histogram.h"

namespace tern::apps {
namespace {

struct Unit {
  double size;
  const char* name;
};

// The largest unit that `value` fills, three digits of it.
template <size_t N>
std::string Scaled(double value, const Unit (&units)[N]) {
  size_t i = 0;
  while (i + 1 < N && value >= units[i + 1].size) ++i;
  const double scaled = value / units[i].size;
  const int digits = i == 0 || scaled >= 100 ? 0 : scaled >= 10 ? 1 : 2;
  return absl::StrFormat("%.*f %s", digits, scaled, units[i].name);
}

}  // namespace

std::string Grouped(uint64_t value) {
  std::string text = absl::StrCat(value);
  for (size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, 1, ',');
  return text;
}

std::string NanosText(int64_t nanos) {
  static constexpr Unit kUnits[] = {{1, "ns"}, {1e3, "us"}, {1e6, "ms"}, {1e9, "s"}};
  return Scaled(static_cast<double>(nanos), kUnits);
}

std::string BitRateText(double bits_per_second) {
  static constexpr Unit kUnits[] = {{1, "bit/s"}, {1e3, "kbit/s"}, {1e6, "Mbit/s"}, {1e9, "Gbit/s"}};
  return Scaled(bits_per_second, kUnits);
}

std::string JsonString(std::string_view text) {
  std::string json(1, '"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(&json, "\\u%04x", static_cast<unsigned>(c));
    } else {
      json += c;
    }
  }
  json += '"';
  return json;
}

void Report::Section(std::string key, std::string title) {
  groups_.push_back({std::move(key), std::move(title), {}});
}

void Report::Add(std::string key, std::string label, std::string text, std::string json) {
  if (groups_.empty()) Section("", "");
  groups_.back().lines.push_back({std::move(key), std::move(label), std::move(text), std::move(json)});
}

void Report::Count(std::string key, std::string label, uint64_t value) {
  Add(std::move(key), std::move(label), Grouped(value), absl::StrCat(value));
}

void Report::Number(std::string key, std::string label, double value, int digits, const std::string& unit) {
  std::string text = absl::StrFormat("%.*f", digits, value);
  if (!unit.empty()) absl::StrAppend(&text, " ", unit);
  Add(std::move(key), std::move(label), std::move(text), absl::StrFormat("%.6g", value));
}

void Report::Text(std::string key, std::string label, std::string value) {
  std::string json = JsonString(value);
  Add(std::move(key), std::move(label), std::move(value), std::move(json));
}

void Report::Flag(std::string key, std::string label, bool value) {
  Add(std::move(key), std::move(label), value ? "yes" : "no", value ? "true" : "false");
}

void Report::Octets(std::string key, std::string label, uint64_t octets) {
  static constexpr Unit kUnits[] = {{1, "B"}, {1 << 10, "KiB"}, {1 << 20, "MiB"}, {1 << 30, "GiB"}};
  std::string text = absl::StrCat(Grouped(octets), " octets");
  if (octets >= 1 << 10) absl::StrAppend(&text, " (", Scaled(static_cast<double>(octets), kUnits), ")");
  Add(std::move(key), std::move(label), std::move(text), absl::StrCat(octets));
}

void Report::Nanos(std::string key, std::string label, int64_t nanos) {
  Add(std::move(key), std::move(label), NanosText(nanos), absl::StrCat(nanos));
}

void Report::BitRate(std::string key, std::string label, uint64_t octets, double seconds) {
  const double rate = seconds > 0 ? static_cast<double>(octets) * 8 / seconds : 0;
  Add(std::move(key), std::move(label), BitRateText(rate), absl::StrFormat("%.6g", rate));
}

void Report::Hash(std::string key, std::string label, uint64_t hash) {
  std::string text = absl::StrFormat("%016x", hash);
  std::string json = JsonString(text);
  Add(std::move(key), std::move(label), std::move(text), std::move(json));
}

void Report::Latency(std::string key, std::string title, const Histogram& histogram) {
  Section(std::move(key), std::move(title));
  Count("count", "measured", histogram.count());
  if (histogram.count() == 0) return;
  Nanos("min_ns", "minimum", histogram.min());
  Nanos("mean_ns", "mean", static_cast<int64_t>(histogram.mean()));
  for (const auto& [percent, name] :
       {std::pair{50.0, "50"}, {90.0, "90"}, {99.0, "99"}, {99.9, "99.9"}, {99.99, "99.99"}}) {
    Nanos(absl::StrCat("p", name, "_ns"), absl::StrCat(name, " per cent within"),
          histogram.Percentile(percent));
  }
  Nanos("max_ns", "maximum", histogram.max());
}

std::string Report::ToText() const {
  size_t width = 0;
  for (const Group& group : groups_) {
    for (const Line& line : group.lines) width = std::max(width, line.label.size());
  }
  std::string text;
  for (const Group& group : groups_) {
    if (group.lines.empty()) continue;
    if (!group.title.empty()) absl::StrAppend(&text, group.title, "\n");
    for (const Line& line : group.lines) {
      absl::StrAppendFormat(&text, "  %-*s  %s\n", static_cast<int>(width), line.label, line.text);
    }
  }
  return text;
}

std::string Report::ToJson() const {
  std::string json = "{";
  for (const Group& group : groups_) {
    if (json.size() > 1) json += ", ";
    if (!group.key.empty()) absl::StrAppend(&json, JsonString(group.key), ": {");
    bool first = true;
    for (const Line& line : group.lines) {
      absl::StrAppend(&json, first ? "" : ", ", JsonString(line.key), ": ", line.json);
      first = false;
    }
    if (!group.key.empty()) json += "}";
  }
  json += '}';
  return json;
}

}  // namespace tern::apps
