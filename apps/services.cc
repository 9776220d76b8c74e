#include "apps/services.h"

#include <algorithm>
#include <ctime>
#include <limits>
#include <utility>

#include "apps/pattern_sender.h"

namespace tern::apps {
namespace {

constexpr uint64_t kEndless = std::numeric_limits<uint64_t>::max();

std::span<const uint8_t> AsOctets(std::span<std::byte> bytes) {
  return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
}

class Service : public Handler {
 public:
  Service(ServiceBoard* board, Worker& worker)
      : board_(board), worker_(worker), counters_(board->counters(worker.index())) {}

  void OnConnected(Connection conn) override {
    counters_.accepted.Add(1);
    board_->Begin(conn);
  }
  void OnClosed(Connection, CloseReason reason) override {
    (reason == CloseReason::kGraceful ? counters_.graceful : counters_.broken).Add(1);
  }

 protected:
  ServiceBoard* board_;
  Worker& worker_;
  ServiceCounters& counters_;
};

class Echo : public Service {
 public:
  using Service::Service;
  void OnReadable(Connection conn) override {
    if (Pump(conn)) counters_.echo_reads.Add(1);
  }
  void OnWritable(Connection conn) override { Pump(conn); }

 private:
  // Takes no more than can be sent, so that a peer that does not read is held back by its own closed window.
  // Whether there was anything.
  bool Pump(Connection conn) {
    bool found = false;
    bool more = true;
    bool ended = false;
    while (more) {
      const size_t room = conn.SendRoom();
      if (room == 0) break;
      Payload data = conn.Receive(room);
      more = data.more_waits();
      ended = data.ends_stream();
      if (data.empty()) break;
      found = true;
      counters_.octets_in.Add(data.size());
      counters_.octets_out.Add(conn.Send(std::move(data)).taken);
    }
    if (ended) conn.Close();
    return found;
  }
};

class Sink : public Service {
 public:
  using Service::Service;

  void OnConnected(Connection conn) override {
    Service::OnConnected(conn);
    conn.SetContext(new Stream);
  }
  void OnReadable(Connection conn) override {
    auto& stream = *conn.context_as<Stream>();
    Payload data = conn.Receive();
    stream.octets += data.size();
    counters_.octets_in.Add(data.size());
    if (board_->verify()) {
      for (const std::span<std::byte> piece : data) {
        stream.checker.Add(AsOctets(piece));
        stream.hash.Add(AsOctets(piece));
      }
    }
    if (conn.AtEnd() && !stream.ended) {
      stream.ended = true;
      Ended(conn, stream);
      conn.Close();
    }
  }
  void OnClosed(Connection conn, CloseReason reason) override {
    Service::OnClosed(conn, reason);
    delete conn.context_as<Stream>();
    conn.SetContext(nullptr);
  }

 private:
  struct Stream {
    uint64_t octets = 0;
    PatternChecker checker;
    StreamHash hash;
    bool ended = false;
  };

  void Ended(Connection conn, const Stream& stream) {
    counters_.sink_streams.Add(1);
    counters_.sink_octets.Add(stream.octets);
    if (!board_->verify()) return;
    counters_.sink_hash_sum.Add(stream.hash.value());
    switch (stream.checker.verdict()) {
      case PatternChecker::Verdict::kMatches:
        counters_.sink_matched.Add(1);
        break;
      case PatternChecker::Verdict::kUnknown:
        counters_.sink_unknown.Add(1);
        break;
      case PatternChecker::Verdict::kMismatch:
        counters_.sink_mismatched.Add(1);
        break;
    }
    board_->Record({.remote = conn.remote(),
                    .octets = stream.octets,
                    .hash = stream.hash.value(),
                    .verdict = stream.checker.verdict(),
                    .first_mismatch = stream.checker.first_mismatch()});
  }
};

class Source : public Service {
 public:
  Source(ServiceBoard* board, Worker& worker)
      : Service(board, worker), next_phase_(static_cast<uint64_t>(worker.index())) {}

  void OnConnected(Connection conn) override {
    Service::OnConnected(conn);
    // Streams that differ show when one connection gets another's bytes.
    next_phase_ = (next_phase_ * 48'271 + 11) % kPatternWords;
    conn.SetContext(new Stream{.sender = PatternSender(next_phase_, board_->verify())});
    Pump(conn);
  }
  // What the peer sends is nobody's; its FIN asks for the end of the stream.
  void OnReadable(Connection conn) override {
    counters_.octets_in.Add(conn.Receive().size());
    auto& stream = *conn.context_as<Stream>();
    if (!conn.AtEnd() || stream.ended) return;
    stream.ended = true;
    counters_.source_streams.Add(1);
    counters_.source_octets.Add(stream.sender.octets());
    counters_.source_hash_sum.Add(stream.sender.hash());
    conn.Close();
  }
  void OnWritable(Connection conn) override { Pump(conn); }
  void OnClosed(Connection conn, CloseReason reason) override {
    Service::OnClosed(conn, reason);
    delete conn.context_as<Stream>();
    conn.SetContext(nullptr);
  }

 private:
  struct Stream {
    PatternSender sender;
    bool ended = false;
  };

  void Pump(Connection conn) {
    auto& stream = *conn.context_as<Stream>();
    if (!stream.ended) counters_.octets_out.Add(stream.sender.PumpUntil(worker_, conn, kEndless));
  }

  uint64_t next_phase_;
};

// One line, and then the end of the stream: this side closes first, so the TIME-WAIT is this side's. What the
// peer sends is thrown away until it ends its stream too, since closing with data unread would reset the line
// away.
class Daytime : public Service {
 public:
  using Service::Service;

  void OnConnected(Connection conn) override {
    Service::OnConnected(conn);
    const std::string line = DaytimeLine(std::time(nullptr));
    const size_t taken = conn.Send(line).taken;
    counters_.octets_out.Add(taken);
    if (taken == line.size()) {
      conn.ShutdownWrite();
    } else {
      conn.Abort();  // no memory for thirty octets: half a date would be a lie
    }
  }
  void OnReadable(Connection conn) override {
    counters_.octets_in.Add(conn.Receive().size());
    if (conn.AtEnd()) conn.Close();
  }
};

template <typename T>
HandlerFactory MakerOf(ServiceBoard* board) {
  return [board](Worker& worker) -> std::unique_ptr<Handler> { return std::make_unique<T>(board, worker); };
}

}  // namespace

ServiceBoard::ServiceBoard(int workers, bool verify, bool keep_records, std::chrono::nanoseconds keepalive)
    : verify_(verify), keep_records_(keep_records), keepalive_(keepalive) {
  for (int i = 0; i < workers; ++i) counters_.push_back(std::make_unique<ServiceCounters>());
}

void ServiceBoard::Begin(Connection conn) {
  using std::chrono::milliseconds;
  if (keepalive_.count() == 0) return;
  const auto idle = std::chrono::ceil<milliseconds>(keepalive_);
  // As the usual two hours go with 75 seconds.
  conn.SetKeepalive({.idle = idle, .interval = std::max(idle / 96, milliseconds(1'000)), .probes = 10});
}

uint64_t ServiceBoard::Sum(Counter ServiceCounters::*field) const {
  uint64_t sum = 0;
  for (const auto& counters : counters_) sum += ((*counters).*field).value();
  return sum;
}

void ServiceBoard::Record(const StreamRecord& record) {
  // A wrong byte is news whether asked for or not; more than these would be no news any more.
  constexpr size_t kMostRecords = 100'000;
  if (!keep_records_ && record.verdict != PatternChecker::Verdict::kMismatch) return;
  const std::lock_guard lock(mutex_);
  if (records_.size() < kMostRecords) records_.push_back(record);
}

std::vector<StreamRecord> ServiceBoard::TakeRecords() {
  const std::lock_guard lock(mutex_);
  return std::exchange(records_, {});
}

HandlerFactory EchoService(ServiceBoard* board) { return MakerOf<Echo>(board); }
HandlerFactory SinkService(ServiceBoard* board) { return MakerOf<Sink>(board); }
HandlerFactory SourceService(ServiceBoard* board) { return MakerOf<Source>(board); }
HandlerFactory DaytimeService(ServiceBoard* board) { return MakerOf<Daytime>(board); }

std::string DaytimeLine(int64_t seconds) {
  const std::time_t time = seconds;
  std::tm parts = {};
  gmtime_r(&time, &parts);
  char line[80];
  return {line, std::strftime(line, sizeof line, "%A, %B %d, %Y %H:%M:%S-UTC\r\n", &parts)};
}

}  // namespace tern::apps
