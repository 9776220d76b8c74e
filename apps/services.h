// The plain services: echo (RFC 862), discard (RFC 863), an endless stream of the known pattern, and daytime
// (RFC 867). Any TCP client can use them.
#ifndef TERN_APPS_SERVICES_H_
#define TERN_APPS_SERVICES_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "apps/pattern.h"
#include "drivers_glue/counter.h"
#include "tern/handler.h"
#include "tern/worker.h"

namespace tern::apps {

// What the services of one worker did. The worker writes, anybody may read.
struct ServiceCounters {
  Counter accepted;
  Counter graceful;  // connections that ended well, and those that did not
  Counter broken;
  Counter octets_in;
  Counter octets_out;
  // Times that echo found data. It knows no requests: a read may hold several of them, or a part of one. With
  // one small request in flight on each connection they are as many.
  Counter echo_reads;

  // Discard streams that ended with the peer's FIN, by what their bytes were.
  Counter sink_streams;
  Counter sink_octets;
  Counter sink_matched;     // the known pattern, every byte
  Counter sink_unknown;     // something else: only counted
  Counter sink_mismatched;  // began as the pattern and left it: a byte is wrong
  Counter sink_hash_sum;    // of their hashes, modulo 2^64
  // Pattern streams that the peer ended with its FIN.
  Counter source_streams;
  Counter source_octets;
  Counter source_hash_sum;
};

// One discard stream that ended, for the log.
struct StreamRecord {
  Endpoint remote;
  uint64_t octets = 0;
  uint64_t hash = 0;
  PatternChecker::Verdict verdict = PatternChecker::Verdict::kUnknown;
  uint64_t first_mismatch = 0;
};

// What the handlers of all workers share. Outlives the stack.
class ServiceBoard {
 public:
  // `verify`: hash and check streams. `keep_records`: keep a StreamRecord of each discard stream for
  // TakeRecords; those with a wrong byte are kept in any case. `keepalive`: silence after which a client is
  // asked whether it is still there, and given up when ten questions go unanswered; zero: never.
  ServiceBoard(int workers, bool verify, bool keep_records, std::chrono::nanoseconds keepalive = {});

  ServiceCounters& counters(int worker) { return *counters_[static_cast<size_t>(worker)]; }
  const std::vector<std::unique_ptr<ServiceCounters>>& all() const { return counters_; }
  // Summed over workers.
  uint64_t Sum(Counter ServiceCounters::*field) const;

  bool verify() const { return verify_; }
  // Of a connection that has just been accepted. Its worker's thread.
  void Begin(Connection conn);
  // Any thread.
  void Record(const StreamRecord& record);
  std::vector<StreamRecord> TakeRecords();

 private:
  const bool verify_;
  const bool keep_records_;
  const std::chrono::nanoseconds keepalive_;
  std::vector<std::unique_ptr<ServiceCounters>> counters_;
  std::mutex mutex_;
  std::vector<StreamRecord> records_;
};

// The factories to give to Stack::Listen. `board` must outlive the stack.
HandlerFactory EchoService(ServiceBoard* board);
HandlerFactory SinkService(ServiceBoard* board);
HandlerFactory SourceService(ServiceBoard* board);
HandlerFactory DaytimeService(ServiceBoard* board);

// What daytime says at `seconds` since 1970, in UTC, with its end of line.
std::string DaytimeLine(int64_t seconds);

}  // namespace tern::apps

#endif  // TERN_APPS_SERVICES_H_
