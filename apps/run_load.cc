// RunLoad: the main thread's side of a client program.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/load.h"
#include "apps/session.h"

namespace tern::apps {
namespace {

class Runner {
 public:
  explicit Runner(const LoadPlan& plan) : plan_(plan), common_(*plan.common) {}
  int Run();

 private:
  absl::Status Open();
  bool AllDone() const;
  void OnEach(const std::function<void(Load&)>& fn);
  void Tick(double seconds);
  void WarmUp(Signals& signals);
  bool MainPart(Signals& signals);
  void Drain(Signals& signals);
  int Finish(double seconds, const StackStats& stats);
  void AddFailures(Report& report) const;

  const LoadPlan& plan_;
  const CommonOptions& common_;
  std::vector<std::unique_ptr<LoadResult>> results_;
  std::vector<Load*> loads_;  // owned by the stack; each set by its worker before it is used
  std::unique_ptr<Stack> stack_;
  bool interrupted_ = false;
  // At the end of the warm-up, and at the last tick.
  uint64_t requests_ = 0;  // in the measured time
  uint64_t warm_requests_ = 0, last_requests_ = 0, last_in_ = 0, last_out_ = 0;
  StackStats warm_stats_;
};

absl::Status Runner::Open() {
  auto stack = Stack::Open(common_.stack);
  if (!stack.ok()) return stack.status();
  stack_ = *std::move(stack);
  for (int i = 0; i < stack_->worker_count(); ++i) {
    results_.push_back(std::make_unique<LoadResult>());
    loads_.push_back(nullptr);
  }
  absl::Status status = stack_->AddTask([this](Worker& worker) -> std::unique_ptr<Task> {
    const auto i = static_cast<size_t>(worker.index());
    auto load = plan_.make(worker, results_[i].get());
    loads_[i] = load.get();
    return load;
  });
  if (!status.ok()) return status;
  return stack_->Start();
}

bool Runner::AllDone() const {
  return std::all_of(results_.begin(), results_.end(),
                     [](const auto& result) { return result->done.load(std::memory_order_acquire); });
}

void Runner::OnEach(const std::function<void(Load&)>& fn) {
  for (int i = 0; i < stack_->worker_count(); ++i) {
    const absl::Status status = stack_->RunOn(i, [&](Worker&) { fn(*loads_[static_cast<size_t>(i)]); });
    if (!status.ok()) PrintError(plan_.program, std::string(status.message()));
  }
}

void Runner::Tick(double seconds) {
  if (!common_.progress) return;
  const uint64_t requests = Sum(results_, &LoadResult::requests);
  const uint64_t in = Sum(results_, &LoadResult::octets_in);
  const uint64_t out = Sum(results_, &LoadResult::octets_out);
  const uint64_t open = Sum(results_, &LoadResult::opened) - Sum(results_, &LoadResult::finished);
  PrintError(plan_.program,
             absl::StrFormat("%4.0f s  %d of %d connections open  %s", seconds, open, plan_.streams,
                             plan_.progress(requests - last_requests_, in - last_in_, out - last_out_)));
  last_requests_ = requests;
  last_in_ = in;
  last_out_ = out;
}

void Runner::WarmUp(Signals& signals) {
  if (plan_.warmup.count() == 0) return;
  Waiting waiting;
  waiting.deadline = Clock::now() + plan_.warmup;
  waiting.done = [this] { return AllDone(); };
  interrupted_ = WaitFor(signals, waiting);
  OnEach([](Load& load) { load.ForgetLatency(); });
  warm_requests_ = last_requests_ = Sum(results_, &LoadResult::requests);
  warm_stats_ = stack_->Stats();
}

// Whether streams are still to be ended.
bool Runner::MainPart(Signals& signals) {
  Waiting waiting;
  if (common_.duration.count() != 0) waiting.deadline = Clock::now() + common_.duration;
  waiting.done = [this] { return AllDone(); };
  waiting.tick = [this](double seconds) { Tick(seconds); };
  interrupted_ = interrupted_ || WaitFor(signals, waiting);
  return !AllDone();
}

void Runner::Drain(Signals& signals) {
  OnEach([](Load& load) { load.BeginStop(); });
  Waiting waiting;
  waiting.deadline = Clock::now() + plan_.patience;
  waiting.done = [this] { return AllDone(); };
  WaitFor(signals, waiting);
  if (!AllDone()) OnEach([](Load& load) { load.Abandon(); });
}

void Runner::AddFailures(Report& report) const {
  std::map<std::string, uint64_t> failures;
  for (const auto& result : results_) {
    for (const auto& [what, times] : result->failures) failures[what] += times;
  }
  report.Section("failures", "Failures");
  for (const auto& [what, times] : failures) report.Count(what, what, times);
}

int Runner::Finish(double seconds, const StackStats& stats) {
  const LeakReport leaks = stack_->Stop();
  const uint64_t failed = Sum(results_, &LoadResult::failed);
  // Ending early by a signal is right when the streams ended well; what was not opened has failed already.
  const bool right = failed == 0 && leaks.clean();
  Report report;
  report.Text("event", "what", "summary");
  report.Flag("interrupted", "ended by a signal", interrupted_);
  report.Section("load", "Load");
  report.Number("seconds", "time", seconds, 3, "s");
  report.Count("opened", "connections opened", Sum(results_, &LoadResult::opened));
  report.Count("failed", "failures", failed);
  report.Octets("octets_out", "sent", Sum(results_, &LoadResult::octets_out));
  report.Octets("octets_in", "received and checked", Sum(results_, &LoadResult::octets_in));
  if (requests_ != 0) {
    report.Count("requests", "requests", requests_);
    report.Number("requests_per_second", "requests a second", static_cast<double>(requests_) / seconds, 0);
  }
  plan_.report(report, results_, seconds);
  AddFailures(report);
  AddStackReport(report, plan_.warmup.count() == 0 ? stats : Since(stats, warm_stats_),
                 {.unit = "request", .count = requests_});
  AddLeakReport(report, leaks);
  report.Section("verdict", "Verdict");
  report.Flag("ok", "all right", right);
  const bool written = PrintLastReport(plan_.program, report, common_.json);
  if (failed != 0) PrintError(plan_.program, absl::StrCat(failed, " failure(s), see above"));
  PrintLeaks(plan_.program, leaks);
  return right && written ? kRight : kWrong;
}

int Runner::Run() {
  Signals signals;
  if (const absl::Status status = Open(); !status.ok()) {
    PrintError(plan_.program, std::string(status.message()));
    return StatusOf(status);
  }
  WarmUp(signals);
  const auto start = Clock::now();
  const bool left = MainPart(signals);
  // The figures are of the time under load; a load that ends by itself includes its last stream's end.
  if (left && plan_.measure_to_the_end) Drain(signals);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const StackStats stats = stack_->Stats();
  requests_ = Sum(results_, &LoadResult::requests) - warm_requests_;
  if (left && !plan_.measure_to_the_end) Drain(signals);
  signals.LetThrough();
  return Finish(seconds, stats);
}

}  // namespace

uint64_t Sum(const std::vector<std::unique_ptr<LoadResult>>& results, Counter LoadResult::*field) {
  uint64_t sum = 0;
  for (const auto& result : results) sum += ((*result).*field).value();
  return sum;
}

uint64_t Sum(const std::vector<std::unique_ptr<LoadResult>>& results, uint64_t LoadResult::*field) {
  uint64_t sum = 0;
  for (const auto& result : results) sum += (*result).*field;
  return sum;
}

int RunLoad(const LoadPlan& plan) { return Runner(plan).Run(); }

}  // namespace tern::apps
