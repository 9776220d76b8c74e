// tern-sim: runs worlds by seed and says what became of them.
#include <charconv>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string_view>

#include "sim/world.h"

namespace {

constexpr char kUsage[] =
    "usage: tern-sim --seed N | --seeds A..B [--connections N] [--slow-path] [--trace]\n"
    "\n"
    "Runs two shards over a bad link in virtual time. One seed decides everything: applications, options, "
    "and\n"
    "what the link does. Prints the first failing seed, and exits 1 when there was one.\n"
    "\n"
    "  --seed N         one world; prints its outcome and the hash of its trace\n"
    "  --seeds A..B     all from A to B\n"
    "  --connections N  connections in each world (8)\n"
    "  --slow-path      every segment takes the long way; the trace must be the same\n"
    "  --trace          print the trace hash of every seed\n";

struct Arguments {
  uint64_t first = 0;
  uint64_t last = 0;
  bool have_seeds = false;
  bool trace = false;
  tern::sim::WorldOptions world;
};

std::optional<uint64_t> Number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool TakeSeeds(std::string_view text, Arguments& arguments) {
  const size_t dots = text.find("..");
  const auto first = Number(text.substr(0, dots));
  const auto last = dots == std::string_view::npos ? first : Number(text.substr(dots + 2));
  if (!first || !last || *first > *last) return false;
  arguments.first = *first;
  arguments.last = *last;
  arguments.have_seeds = true;
  return true;
}

bool Parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
    if (flag == "--slow-path") {
      arguments.world.fast_path = false;
    } else if (flag == "--trace") {
      arguments.trace = true;
    } else if ((flag == "--seed" || flag == "--seeds") && value != nullptr) {
      if (!TakeSeeds(value, arguments)) return false;
      ++i;
    } else if (flag == "--connections" && value != nullptr) {
      const auto number = Number(value);
      if (!number || *number == 0 || *number > 200) return false;
      arguments.world.connections = static_cast<uint32_t>(*number);
      ++i;
    } else {
      return false;
    }
  }
  return arguments.have_seeds;
}

void Print(uint64_t seed, const tern::sim::Outcome& outcome) {
  std::printf(
      "seed %llu: trace %016llx, %llu frames, %llu octets checked, %u completed, %u aborted, %.3f s "
      "virtual\n",
      static_cast<unsigned long long>(seed), static_cast<unsigned long long>(outcome.trace),
      static_cast<unsigned long long>(outcome.frames), static_cast<unsigned long long>(outcome.octets),
      outcome.completed, outcome.aborted, static_cast<double>(outcome.virtual_time.micros()) / 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!Parse(argc, argv, arguments)) {
    const bool help = argc == 2 && std::strcmp(argv[1], "--help") == 0;
    std::fputs(kUsage, help ? stdout : stderr);
    return help ? 0 : 2;
  }
  uint64_t completed = 0;
  for (uint64_t seed = arguments.first; seed <= arguments.last; ++seed) {
    arguments.world.seed = seed;
    const tern::sim::Outcome outcome = tern::sim::World(arguments.world).Run();
    completed += outcome.completed;
    if (!outcome.failure.empty()) {
      Print(seed, outcome);
      std::printf("FAIL: %s\nreplay: tern-sim --seed %llu --connections %u%s\n", outcome.failure.c_str(),
                  static_cast<unsigned long long>(seed), arguments.world.connections,
                  arguments.world.fast_path ? "" : " --slow-path");
      return 1;
    }
    if (arguments.trace || arguments.first == arguments.last) Print(seed, outcome);
  }
  std::printf("%llu seeds passed, %llu connections completed\n",
              static_cast<unsigned long long>(arguments.last - arguments.first + 1),
              static_cast<unsigned long long>(completed));
  return 0;
}
