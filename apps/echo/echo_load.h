// The echo client's load: requests of a fixed size, each checked when it comes back, and how long that took.
#ifndef TERN_APPS_ECHO_ECHO_LOAD_H_
#define TERN_APPS_ECHO_ECHO_LOAD_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "apps/load.h"

namespace tern::apps {

struct EchoLoadOptions {
  Endpoint remote;
  uint32_t connections = 64;
  uint32_t size = 64;  // octets of a request
  uint32_t depth = 1;  // closed loop: requests in flight on each connection
  double rate = 0;     // open loop: requests a second, all connections together; 0: closed loop
  // Open loop: requests of one worker that wait for an answer. Those beyond keep their due time and are sent
  // late.
  uint64_t most_outstanding = 1'000'000;
};

// Closed loop: the answer to one request is what sends the next, so the server sets the pace. Open loop:
// requests fall due at a fixed rate whatever the server does, and their latency counts from when they were
// due, so that what a stall held up is counted in full.
class EchoLoad : public Load {
 public:
  // `options` must outlive the load.
  EchoLoad(Worker& worker, LoadResult* result, const EchoLoadOptions* options);

  bool OnPoll(Worker& worker) override;

 protected:
  std::vector<std::unique_ptr<Stream>> MakeStreams() override;
  void Opened(Stream& stream) override;
  void Readable(Stream& stream) override;
  void AtEnd(Stream& stream) override;
  void Writable(Stream& stream) override;
  void Stopping() override;
  void Finish(Stream& stream) override;
  void Abandoned(Stream& stream) override;

 private:
  struct Requests : Stream {
    uint64_t pattern_phase = 0;
    uint64_t due = 0;  // octets of all requests so far
    uint64_t sent = 0;
    uint64_t received = 0;
    uint64_t answered = 0;         // requests
    std::deque<int64_t> asked_at;  // of those not answered
    bool shut = false;
  };

  void Issue(Requests& stream, int64_t asked_at);
  void Pump(Requests& stream);
  bool Take(Requests& stream);
  void Answered(Requests& stream, int64_t now);
  void MaybeShut(Requests& stream);
  bool IssueDue();
  Requests* NextOpen();

  const EchoLoadOptions& options_;
  std::vector<uint8_t> scratch_;
  uint64_t outstanding_ = 0;
  // Open loop.
  double interval_nanos_ = 0;  // of this worker's share; 0: closed loop
  double next_due_ = 0;        // 0: not begun
  size_t turn_ = 0;            // whose request is next
  bool timer_armed_ = false;
};

}  // namespace tern::apps

#endif  // TERN_APPS_ECHO_ECHO_LOAD_H_
