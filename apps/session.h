// The main thread of a program beside its running stack: signals, one-second ticks, what the stack says at
// the end.
#ifndef TERN_APPS_SESSION_H_
#define TERN_APPS_SESSION_H_

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "apps/report.h"
#include "tern/stats.h"

namespace tern::apps {

using Clock = std::chrono::steady_clock;

// SIGINT and SIGTERM end, SIGUSR1 asks for a snapshot. Blocks them in the calling thread and so in all that
// it starts: construct before the stack is opened. The destructor gives the caller its old mask back.
class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  enum class Wake { kTimeout, kStop, kSnapshot };
  Wake WaitUntil(Clock::time_point until);

  // From here on a second SIGINT or SIGTERM ends the process at once.
  void LetThrough();

 private:
  struct Saved;
  Saved* saved_;
};

// Waits until `deadline` passes, `done` says so or a signal asks to stop; calls `tick` each second and
// `snapshot` for SIGUSR1. True when it was a signal.
struct Waiting {
  Clock::time_point deadline = Clock::time_point::max();
  std::function<bool()> done;
  std::function<void(double seconds)> tick;
  std::function<void()> snapshot;
};
bool WaitFor(Signals& signals, const Waiting& waiting);

// What a program counts its work by, to divide the busy cycles by: "request", of which there were so many.
struct Work {
  std::string_view unit;
  uint64_t count = 0;  // 0: nothing to divide by
};
// Sections "stack", "drops", and one for each device.
void AddStackReport(Report& report, const StackStats& stats, const Work& work);
// What an impairment did in one direction, into the present section: "rx_lost", "frames lost by impairment"
// for the prefixes "rx_" and "received ".
void AddImpairment(Report& report, std::string_view key_prefix, std::string_view label_prefix,
                   const ImpairmentStats& stats);
// Section "leaks".
void AddLeakReport(Report& report, const LeakReport& leaks);
// What was left behind, in words on stderr; nothing when nothing was.
void PrintLeaks(std::string_view program, const LeakReport& leaks);

// On stdout, flushed, as text or as JSON. False when that, or anything before it on stdout, could not be
// written.
[[nodiscard]] bool PrintReport(const Report& report, bool json);
// The same for what a program says at its end: a failure is told on stderr.
[[nodiscard]] bool PrintLastReport(std::string_view program, const Report& report, bool json);
// One line on stdout, flushed. False as above.
bool PrintLine(std::string_view line);
// One line on stderr.
void PrintError(std::string_view program, std::string_view line);

// Difference of counters, for a figure that leaves out what was before.
StackStats Since(const StackStats& now, const StackStats& before);

}  // namespace tern::apps

#endif  // TERN_APPS_SESSION_H_
