#include "drivers_glue/impairment.h"

#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace tern {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr std::array<Unit, 2> kChances = {{{"%", 1e4}, {"ppm", 1}}};
constexpr std::array<Unit, 4> kTimes = {{{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}}};
constexpr std::array<Unit, 4> kRates = {{{"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}, {"bit", 1}}};
constexpr std::array<Unit, 1> kPlain = {{{"", 1}}};

constexpr double kMostPpm = 1e6;
constexpr double kLongest = 3600e9;  // an hour
constexpr double kFastest = 1e12;
constexpr double kLongestQueue = 1e6;

absl::Status Problem(std::string_view item, const std::string& expected) {
  return absl::InvalidArgumentError(
      absl::StrCat("impairment \"", std::string(item), "\": expected ", expected));
}

// "<number><unit>", the whole of it, at most `most` in the base unit.
bool ParseQuantity(std::string_view text, std::span<const Unit> units, double most, double& value) {
  const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  double number = 0;
  if (digits == 0 || !absl::SimpleAtod(absl::string_view(text.data(), digits), &number)) return false;
  const std::string_view suffix = text.substr(digits);
  for (const Unit& unit : units) {
    if (unit.name != suffix) continue;
    value = std::round(number * unit.factor);
    return value <= most;
  }
  return false;
}

absl::Status ParseItem(std::string_view item, Impairment& out) {
  const size_t equals = item.find('=');
  if (equals == std::string_view::npos) return Problem(item, "key=value, as in loss=1%");
  const std::string_view key = item.substr(0, equals);
  const std::string_view text = item.substr(equals + 1);
  double value = 0;
  const std::array<std::pair<std::string_view, uint32_t*>, 4> chances = {{{"loss", &out.loss_ppm},
                                                                          {"duplicate", &out.duplicate_ppm},
                                                                          {"reorder", &out.reorder_ppm},
                                                                          {"corrupt", &out.corrupt_ppm}}};
  for (const auto& [name, field] : chances) {
    if (name != key) continue;
    if (!ParseQuantity(text, kChances, kMostPpm, value))
      return Problem(item, "0% to 100%, or 0ppm to 1000000ppm");
    *field = static_cast<uint32_t>(value);
    return absl::OkStatus();
  }
  const std::array<std::pair<std::string_view, Duration*>, 3> times = {
      {{"delay", &out.delay}, {"jitter", &out.jitter}, {"reorder_by", &out.reorder_by}}};
  for (const auto& [name, field] : times) {
    if (name != key) continue;
    if (!ParseQuantity(text, kTimes, kLongest, value)) return Problem(item, "a time up to 3600s, as in 10ms");
    *field = Duration::Nanos(static_cast<int64_t>(value));
    return absl::OkStatus();
  }
  if (key == "rate") {
    if (!ParseQuantity(text, kRates, kFastest, value) || value < 1) {
      return Problem(item, "a rate up to 1000gbit, as in 100mbit");
    }
    out.rate_bps = static_cast<uint64_t>(value);
    return absl::OkStatus();
  }
  if (key == "queue") {
    if (!ParseQuantity(text, kPlain, kLongestQueue, value)) return Problem(item, "0 to 1000000 frames");
    out.queue = static_cast<size_t>(value);
    return absl::OkStatus();
  }
  if (key == "seed") {
    if (!absl::SimpleAtoi(absl::string_view(text.data(), text.size()), &out.seed))
      return Problem(item, "a seed, as in seed=7");
    return absl::OkStatus();
  }
  return Problem(item,
                 "one of loss, duplicate, reorder, corrupt, delay, jitter, reorder_by, rate, queue, seed");
}

}  // namespace

bool Impairment::IsNone() const {
  return loss_ppm == 0 && duplicate_ppm == 0 && reorder_ppm == 0 && corrupt_ppm == 0 &&
         delay == Duration::Zero() && jitter == Duration::Zero() && rate_bps == 0;
}

absl::StatusOr<Impairment> ParseImpairment(std::string_view text) {
  Impairment result;
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find(','));
    absl::Status status = ParseItem(item, result);
    if (!status.ok()) return status;
    text.remove_prefix(std::min(item.size() + 1, text.size()));
  }
  return result;
}

}  // namespace tern
