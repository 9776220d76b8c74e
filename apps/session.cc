#include "apps/session.h"

#include <signal.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace tern::apps {
namespace {

sigset_t OurSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGUSR1);
  return set;
}

timespec UntilSpec(Clock::time_point until) {
  const auto left = std::max(until - Clock::now(), Clock::duration::zero());
  const auto nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
  return {.tv_sec = nanos / 1'000'000'000, .tv_nsec = nanos % 1'000'000'000};
}

double Ratio(uint64_t a, uint64_t b) { return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b); }

void AddDevices(Report& report, const StackStats& stats) {
  for (size_t i = 0; i < stats.devices.size(); ++i) {
    const DeviceStats& device = stats.devices[i];
    report.Section(absl::StrCat("device_", i), absl::StrCat("Device ", device.name));
    report.Count("rx_frames", "frames received", device.rx_frames);
    report.Count("tx_frames", "frames sent", device.tx_frames);
    report.Count("rx_missed", "missed for want of room", device.rx_missed);
    report.Count("rx_no_buffer", "missed for want of buffers", device.rx_no_buffer);
    report.Count("rx_errors", "damaged", device.rx_errors);
    report.Count("tx_rejected", "refused by the driver", device.tx_rejected);
    if (!device.impaired) continue;
    AddImpairment(report, "rx_", "received: ", device.rx_impairment);
    AddImpairment(report, "tx_", "sent: ", device.tx_impairment);
  }
}

}  // namespace

struct Signals::Saved {
  sigset_t mask;
};

Signals::Signals() : saved_(new Saved) {
  const sigset_t set = OurSignals();
  pthread_sigmask(SIG_BLOCK, &set, &saved_->mask);
  // A reader of our output that went away must not kill us before the devices are closed.
  signal(SIGPIPE, SIG_IGN);
}

Signals::~Signals() {
  pthread_sigmask(SIG_SETMASK, &saved_->mask, nullptr);
  delete saved_;
}

void Signals::LetThrough() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

Signals::Wake Signals::WaitUntil(Clock::time_point until) {
  const sigset_t set = OurSignals();
  while (true) {
    const timespec timeout = UntilSpec(until);
    const int signal = sigtimedwait(&set, nullptr, &timeout);
    if (signal == SIGUSR1) return Wake::kSnapshot;
    if (signal > 0) return Wake::kStop;
    if (errno != EINTR) return Wake::kTimeout;
  }
}

bool WaitFor(Signals& signals, const Waiting& waiting) {
  // How late the end of the work may be noticed; cheap enough to leave the workers their cores.
  constexpr auto kGlance = std::chrono::milliseconds(20);
  const auto start = Clock::now();
  auto next_tick = start + std::chrono::seconds(1);
  while (true) {
    const auto now = Clock::now();
    if (now >= waiting.deadline || (waiting.done && waiting.done())) return false;
    if (now >= next_tick) {
      if (waiting.tick) waiting.tick(std::chrono::duration<double>(now - start).count());
      next_tick += std::chrono::seconds(1);
    }
    auto until = std::min(waiting.deadline, next_tick);
    if (waiting.done) until = std::min(until, now + kGlance);
    switch (signals.WaitUntil(until)) {
      case Signals::Wake::kStop:
        return true;
      case Signals::Wake::kSnapshot:
        if (waiting.snapshot) waiting.snapshot();
        break;
      case Signals::Wake::kTimeout:
        break;
    }
  }
}

void AddImpairment(Report& report, std::string_view key_prefix, std::string_view label_prefix,
                   const ImpairmentStats& stats) {
  const std::pair<const char*, std::pair<const char*, uint64_t>> lines[] = {
      {"impairment_seen", {"met the impairment", stats.seen}},
      {"impairment_lost", {"lost by it", stats.lost}},
      {"impairment_overflowed", {"lost by its full queue", stats.overflowed}},
      {"impairment_duplicated", {"doubled by it", stats.duplicated}},
      {"impairment_reordered", {"held back by it", stats.reordered}},
      {"impairment_corrupted", {"damaged by it", stats.corrupted}}};
  for (const auto& [key, line] : lines) {
    report.Count(absl::StrCat(std::string(key_prefix), key),
                 absl::StrCat(std::string(label_prefix), line.first), line.second);
  }
}

void AddStackReport(Report& report, const StackStats& stats, const Work& work) {
  const WorkerStats& total = stats.total;
  report.Section("stack", "Stack");
  report.Count("workers", "workers", stats.workers.size());
  report.Count("busy_cycles", "busy cycles", total.busy_cycles);
  report.Number("busy_percent", "busy", 100 * Ratio(total.busy_cycles, total.busy_cycles + total.idle_cycles),
                1, "per cent");
  if (work.count != 0) {
    const std::string unit(work.unit);
    report.Number("cycles_per_" + unit, "busy cycles a " + unit, Ratio(total.busy_cycles, work.count), 0);
  }
  report.Number("cycles_per_frame", "busy cycles a frame",
                Ratio(total.busy_cycles, total.rx_frames + total.tx_frames), 0);
  report.Number("cycles_per_octet", "busy cycles a payload octet",
                Ratio(total.busy_cycles, total.rx_payload + total.tx_payload), 2);
  report.Count("cycles_per_second", "cycles a second",
               stats.workers.empty() ? total.cycles_per_second : stats.workers.front().cycles_per_second);
  report.Count("sleeps", "sleeps", total.sleeps);
  report.Count("rx_frames", "frames in", total.rx_frames);
  report.Count("tx_frames", "frames out", total.tx_frames);
  report.Count("handed_over", "frames handed between workers", total.handed_over);
  report.Count("accepted", "connections accepted", total.accepted);
  report.Count("syn_cookies_sent", "SYNs answered by a cookie", total.syn_cookies_sent);
  report.Count("syn_cookies_accepted", "accepted by a cookie", total.syn_cookies_accepted);
  report.Count("connected", "connections opened", total.connected);
  report.Count("retransmitted_segments", "segments sent again", total.retransmitted_segments);
  report.Count("timeouts", "retransmission time-outs", total.timeouts);
  report.Count("path_mtu_lowered", "paths found to carry less", total.path_mtu_lowered);
  report.Count("path_black_holes", "black holes", total.path_black_holes);
  report.Count("path_mtu_raised", "paths found to carry more", total.path_mtu_raised);
  report.Count("resets_sent", "resets sent", total.resets_sent);
  report.Count("resets_received", "resets received", total.resets_received);
  report.Count("connections", "connections now", total.connections);
  report.Count("half_open", "half-open now", total.half_open);
  report.Count("time_wait", "in TIME-WAIT now", total.time_wait);
  report.Section("drops", "Drops");
  for (const DropCount& drop : total.drops)
    report.Count(std::string(drop.name), std::string(drop.name), drop.packets);
  AddDevices(report, stats);
}

void AddLeakReport(Report& report, const LeakReport& leaks) {
  report.Section("leaks", "Left behind");
  report.Count("total", "in all",
               leaks.buffers + leaks.connections + leaks.send_records + leaks.timers + leaks.client_buffers);
  report.Count("buffers", "buffers", leaks.buffers);
  report.Count("connections", "connections", leaks.connections);
  report.Count("send_records", "send records", leaks.send_records);
  report.Count("timers", "timers", leaks.timers);
}

void PrintLeaks(std::string_view program, const LeakReport& leaks) {
  if (leaks.clean()) return;
  PrintError(program,
             absl::StrFormat(
                 "left behind: %d buffers, %d connections, %d send records, %d timers, %d client buffers",
                 leaks.buffers, leaks.connections, leaks.send_records, leaks.timers, leaks.client_buffers));
}

bool PrintLine(std::string_view line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
  // The error flag stays once it is set, also for what an earlier line met.
  return std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
}

bool PrintReport(const Report& report, bool json) {
  std::string text = json ? report.ToJson() : report.ToText();
  if (!json && !text.empty()) text.pop_back();
  return PrintLine(text);
}

bool PrintLastReport(std::string_view program, const Report& report, bool json) {
  if (PrintReport(report, json)) return true;
  PrintError(program, "the report could not be written to stdout: is the disk full, has its reader gone?");
  return false;
}

void PrintError(std::string_view program, std::string_view line) {
  const std::string text = absl::StrCat(std::string(program), ": ", std::string(line), "\n");
  std::fwrite(text.data(), 1, text.size(), stderr);
}

StackStats Since(const StackStats& now, const StackStats& before) {
  StackStats difference = now;
  difference.total.Subtract(before.total);
  for (size_t i = 0; i < std::min(now.workers.size(), before.workers.size()); ++i) {
    difference.workers[i].Subtract(before.workers[i]);
  }
  return difference;
}

}  // namespace tern::apps
