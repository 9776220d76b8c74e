// Values as people write them.
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <span>

#include "tern/config.h"

namespace tern {
namespace {

struct Unit {
  std::string_view name;
  uint64_t factor;
};

constexpr uint64_t kKi = 1024;
constexpr auto kSizeUnits = std::to_array<Unit>({
    {"", 1},
    {"B", 1},
    {"k", kKi},
    {"K", kKi},
    {"KiB", kKi},
    {"kiB", kKi},
    {"kB", 1'000},
    {"M", kKi* kKi},
    {"MiB", kKi* kKi},
    {"MB", 1'000'000},
    {"G", kKi* kKi* kKi},
    {"GiB", kKi* kKi* kKi},
    {"GB", 1'000'000'000},
    {"T", kKi* kKi* kKi* kKi},
    {"TiB", kKi* kKi* kKi* kKi},
    {"TB", 1'000'000'000'000},
});
constexpr auto kTimeUnits = std::to_array<Unit>({
    {"ns", 1},
    {"us", 1'000},
    {"ms", 1'000'000},
    {"s", 1'000'000'000},
    {"m", 60'000'000'000},
    {"h", 3'600'000'000'000},
});

// Takes "1.5GiB" off the front of `text`: a decimal number and the letters behind it, as units of `units`.
// False when it is none, or does not fit.
bool TakeQuantity(std::string_view* text, std::span<const Unit> units, uint64_t* out) {
  double number = 0;
  const char* begin = text->data();
  const char* end = begin + text->size();
  if (text->empty() || *begin < '0' || *begin > '9') return false;
  const auto [after, error] = std::from_chars(begin, end, number, std::chars_format::fixed);
  if (error != std::errc()) return false;
  const char* unit_end =
      std::find_if(after, end, [](char c) { return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z'); });
  const std::string_view unit(after, static_cast<size_t>(unit_end - after));
  const auto found = std::find_if(units.begin(), units.end(), [&](const Unit& u) { return u.name == unit; });
  if (found == units.end()) return false;
  // Whole numbers stay exact; only a fraction goes through floating point.
  uint64_t whole = 0;
  const auto [whole_end, whole_error] = std::from_chars(begin, after, whole);
  if (whole_error == std::errc() && whole_end == after) {
    if (whole > std::numeric_limits<int64_t>::max() / found->factor) return false;
    *out = whole * found->factor;
  } else {
    const double product = number * static_cast<double>(found->factor);
    if (product >= 9.2e18) return false;
    *out = static_cast<uint64_t>(std::llround(product));
  }
  text->remove_prefix(static_cast<size_t>(unit_end - begin));
  return true;
}

}  // namespace

absl::StatusOr<uint64_t> ParseSize(std::string_view text) {
  uint64_t octets = 0;
  if (TakeQuantity(&text, kSizeUnits, &octets) && text.empty()) return octets;
  return absl::InvalidArgumentError("a size, as 1500, 64KiB, 1MiB or 2GB");
}

absl::StatusOr<std::chrono::nanoseconds> ParseDuration(std::string_view text) {
  uint64_t sum = 0;
  bool any = false;
  while (!text.empty()) {
    uint64_t part = 0;
    if (!TakeQuantity(&text, kTimeUnits, &part) || part > uint64_t{INT64_MAX} - sum) {
      any = false;
      break;
    }
    sum += part;
    any = true;
  }
  if (any) return std::chrono::nanoseconds(sum);
  return absl::InvalidArgumentError("a time with its unit, as 5s, 200ms, 50us or 1m30s");
}

absl::StatusOr<std::vector<int>> ParseCpuList(std::string_view text) {
  const absl::Status bad = absl::InvalidArgumentError("a list of CPUs, as 0 or 0,2 or 1-3");
  std::vector<int> cpus;
  for (const auto& part : absl::StrSplit(std::string(text), ',')) {
    const std::vector<std::string> ends = absl::StrSplit(part, '-');
    int first = 0;
    int last = 0;
    if (ends.size() > 2 || !absl::SimpleAtoi(ends.front(), &first) || !absl::SimpleAtoi(ends.back(), &last)) {
      return bad;
    }
    if (first < 0 || last < first || last > 1'023) return bad;
    for (int cpu = first; cpu <= last; ++cpu) {
      if (std::find(cpus.begin(), cpus.end(), cpu) != cpus.end()) {
        return absl::InvalidArgumentError(absl::StrCat("each CPU once, but ", cpu, " is there twice"));
      }
      cpus.push_back(cpu);
    }
  }
  return cpus;
}

}  // namespace tern
