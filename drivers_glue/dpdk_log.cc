#include "drivers_glue/dpdk_log.h"

#include <rte_log.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

#include "drivers_glue/eal.h"

namespace tern {
namespace {

constexpr size_t kRemembered = 2000;  // characters: a handful of lines

std::mutex g_log_mutex;
std::string g_tail;
thread_local int t_quiet = 0;

// A driver that has lost its peer says so on every call, for ever. A line that was among the last few is not
// shown again.
constexpr size_t kRecentLines = 16;
std::array<size_t, kRecentLines> g_recent;
size_t g_next_recent = 0;

bool IsNews(std::string_view line) {
  const size_t hash = std::hash<std::string_view>()(line);
  if (std::find(g_recent.begin(), g_recent.end(), hash) != g_recent.end()) return false;
  g_recent[g_next_recent++ % kRecentLines] = hash;
  return true;
}

ssize_t Write(void* /*cookie*/, const char* text, size_t length) {
  const std::lock_guard<std::mutex> lock(g_log_mutex);
  if (t_quiet == 0 && IsNews({text, length})) std::fwrite(text, 1, length, stderr);
  g_tail.append(text, length);
  if (g_tail.size() > kRemembered) g_tail.erase(0, g_tail.size() - kRemembered);
  return static_cast<ssize_t>(length);
}

}  // namespace

QuietDpdkLog::QuietDpdkLog() { ++t_quiet; }
QuietDpdkLog::~QuietDpdkLog() { --t_quiet; }

void RouteDpdkLog() {
  static FILE* const stream = [] {
    cookie_io_functions_t functions{};
    functions.write = Write;
    FILE* opened = fopencookie(nullptr, "w", functions);
    if (opened != nullptr) setvbuf(opened, nullptr, _IOLBF, 0);
    return opened;
  }();
  rte_openlog_stream(stream);
}

std::string TakeDpdkLog() {
  std::string raw;
  {
    const std::lock_guard<std::mutex> lock(g_log_mutex);
    raw.swap(g_tail);
  }
  std::string joined;
  std::string_view rest = raw;
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.empty()) continue;
    if (!joined.empty()) joined += "; ";
    joined += line;
  }
  return joined.empty() ? "DPDK says no more" : joined;
}

}  // namespace tern
