// The clients' common part: a set of streams on each worker, opened, driven, ended and accounted for.
#ifndef TERN_APPS_LOAD_H_
#define TERN_APPS_LOAD_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "apps/histogram.h"
#include "apps/options.h"
#include "apps/report.h"
#include "drivers_glue/counter.h"
#include "tern/handler.h"
#include "tern/worker.h"

namespace tern::apps {

// What one worker's load did. The counters may be read any time; the rest belongs to the worker until the
// stack has stopped.
struct LoadResult {
  Counter opened;
  Counter finished;  // streams that are over, well or not
  Counter failed;
  Counter requests;
  Counter octets_in;
  Counter octets_out;
  std::atomic<bool> done = false;  // no stream is left

  Histogram latency;
  uint64_t hash_sent_sum = 0;  // of streams that ended well, modulo 2^64
  uint64_t hash_received_sum = 0;
  std::map<std::string, uint64_t> failures;  // what went wrong, and how often
};

// One connection of a load.
struct Stream {
  virtual ~Stream() = default;

  size_t index = 0;  // among the streams of all workers
  Endpoint remote;
  Connection conn;
  enum class Phase : uint8_t { kWaiting, kOpening, kOpen, kOver } phase = Phase::kWaiting;
  bool ended_well = false;  // set before Close: all that was due has come and was right
};

// Opens its streams, a bounded number at a time, and keeps account. What a stream does is up to the class
// derived. Thread: the worker.
class Load : public Task, public Handler {
 public:
  // `result` must outlive the stack.
  Load(Worker& worker, LoadResult* result) : worker_(worker), result_(*result) {}

  // ---- Called through Stack::RunOn ----
  // Brings the streams to an orderly end; result.done follows.
  void BeginStop();
  // Resets what is still open and counts it as failed.
  void Abandon();
  // Forgets the latencies so far: the end of the warm-up.
  void ForgetLatency() { result_.latency.Clear(); }

  void OnStart(Worker&) override;
  bool OnPoll(Worker&) override { return false; }
  void OnConnected(Connection conn) override;
  void OnReadable(Connection conn) override;
  void OnWritable(Connection conn) override;
  void OnClosed(Connection conn, CloseReason reason) override;

 protected:
  // The streams to open, with index and remote filled in.
  virtual std::vector<std::unique_ptr<Stream>> MakeStreams() = 0;
  virtual bool nodelay() const { return true; }
  virtual void Opened(Stream& stream) = 0;
  // Takes and checks what has come.
  virtual void Readable(Stream& stream) = 0;
  // The peer ended its stream and all of it was taken: EndWell or Fail.
  virtual void AtEnd(Stream& stream) = 0;
  virtual void Writable(Stream& stream) = 0;
  // Once, before streams are asked to finish.
  virtual void Stopping() {}
  // Asks a stream to come to its end when nothing is in flight, at once or later.
  virtual void Finish(Stream& stream) = 0;
  // Before a stream that is not over is reset by Abandon.
  virtual void Abandoned(Stream&) {}

  // Counts a failure and resets the stream.
  void Fail(Stream& stream, const std::string& what);
  void CountFailure(const std::string& what);
  // All was right: closes.
  void EndWell(Stream& stream);

  Worker& worker() { return worker_; }
  LoadResult& result() { return result_; }
  const std::vector<std::unique_ptr<Stream>>& streams() const { return streams_; }
  bool stopping() const { return stopping_; }

 private:
  void OpenMore();
  void Over(Stream& stream);

  Worker& worker_;
  LoadResult& result_;
  std::vector<std::unique_ptr<Stream>> streams_;
  size_t next_ = 0;     // to open
  size_t opening_ = 0;  // handshakes under way
  size_t over_ = 0;
  bool stopping_ = false;
};

// How many of `total` streams worker `index` of `count` takes, and the index of its first.
struct Share {
  size_t first = 0;
  size_t count = 0;
};
Share ShareOf(size_t total, int index, int count);

// What a client program adds to the common run.
struct LoadPlan {
  std::string program;
  const CommonOptions* common = nullptr;
  std::chrono::nanoseconds warmup{0};
  std::chrono::nanoseconds patience{0};  // for streams to end after the run
  std::function<std::unique_ptr<Load>(Worker&, LoadResult*)> make;
  size_t streams = 0;
  bool measure_to_the_end = false;  // the figures include the time that streams take to end
  // Adds the program's own sections.
  std::function<void(Report&, const std::vector<std::unique_ptr<LoadResult>>&, double seconds)> report;
  // One line of progress since the last tick.
  std::function<std::string(uint64_t requests, uint64_t octets_in, uint64_t octets_out)> progress;
};

// Opens the stack, runs the load, reports. Gives the exit status.
int RunLoad(const LoadPlan& plan);

// Summed over workers.
uint64_t Sum(const std::vector<std::unique_ptr<LoadResult>>& results, Counter LoadResult::*field);
uint64_t Sum(const std::vector<std::unique_ptr<LoadResult>>& results, uint64_t LoadResult::*field);

}  // namespace tern::apps

#endif  // TERN_APPS_LOAD_H_
