#include "apps/load.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tern::apps {
namespace {

// Handshakes under way at once on one worker: enough to open thousands quickly, few enough for any backlog.
constexpr size_t kMostOpening = 256;

}  // namespace

Share ShareOf(size_t total, int index, int count) {
  const auto i = static_cast<size_t>(index);
  const auto n = static_cast<size_t>(count);
  const size_t extra = total % n;
  return {.first = i * (total / n) + std::min(i, extra), .count = total / n + (i < extra ? 1 : 0)};
}

void Load::OnStart(Worker&) {
  streams_ = MakeStreams();
  OpenMore();
}

void Load::OpenMore() {
  while (!stopping_ && next_ < streams_.size() && opening_ < kMostOpening) {
    Stream& stream = *streams_[next_++];
    const ConnectOptions options{.remote = stream.remote, .nodelay = nodelay()};
    const ConnectStatus status = worker_.Connect(options, this, &stream, &stream.conn);
    if (status != ConnectStatus::kOk) {
      CountFailure(absl::StrCat("could not open: ", std::string(ConnectStatusName(status))));
      Over(stream);
      continue;
    }
    stream.phase = Stream::Phase::kOpening;
    ++opening_;
  }
  if (over_ == streams_.size()) result_.done.store(true, std::memory_order_release);
}

void Load::OnConnected(Connection conn) {
  auto& stream = *conn.context_as<Stream>();
  stream.phase = Stream::Phase::kOpen;
  --opening_;
  result_.opened.Add(1);
  Opened(stream);
  if (stopping_) Finish(stream);
  OpenMore();
}

void Load::OnReadable(Connection conn) {
  auto& stream = *conn.context_as<Stream>();
  if (stream.phase != Stream::Phase::kOpen || stream.ended_well) return;
  Readable(stream);
  if (stream.phase == Stream::Phase::kOpen && conn.AtEnd()) AtEnd(stream);
}

void Load::OnWritable(Connection conn) {
  auto& stream = *conn.context_as<Stream>();
  if (stream.phase == Stream::Phase::kOpen) Writable(stream);
}

void Load::OnClosed(Connection conn, CloseReason reason) {
  auto& stream = *conn.context_as<Stream>();
  const std::string why(CloseReasonName(reason));
  // When this side ended its stream first, the peer's FIN is the end of the connection as well and comes as
  // such.
  if (reason == CloseReason::kGraceful && stream.phase == Stream::Phase::kOpen && !stream.ended_well)
    AtEnd(stream);
  if (stream.phase == Stream::Phase::kOpening) {
    --opening_;
    CountFailure(absl::StrCat("could not connect: ", why));
  } else if (stream.phase == Stream::Phase::kOpen && !stream.ended_well) {
    CountFailure(absl::StrCat("ended before its time: ", why));
  }
  if (stream.phase != Stream::Phase::kOver) Over(stream);
  OpenMore();
}

void Load::Over(Stream& stream) {
  stream.phase = Stream::Phase::kOver;
  ++over_;
  result_.finished.Add(1);
}

void Load::CountFailure(const std::string& what) {
  ++result_.failures[what];
  result_.failed.Add(1);
}

void Load::Fail(Stream& stream, const std::string& what) {
  CountFailure(what);
  Over(stream);
  stream.conn.Abort();
}

void Load::EndWell(Stream& stream) {
  stream.ended_well = true;
  stream.conn.Close();
}

void Load::BeginStop() {
  if (stopping_) return;
  stopping_ = true;
  Stopping();
  for (; next_ < streams_.size(); ++next_) {
    CountFailure("not even tried: the run ended before all connections were open");
    Over(*streams_[next_]);
  }
  for (const auto& stream : streams_) {
    if (stream->phase == Stream::Phase::kOpen && !stream->ended_well) Finish(*stream);
  }
  OpenMore();
}

void Load::Abandon() {
  BeginStop();
  for (const auto& stream : streams_) {
    // One that ended well only waits for its last acknowledgement, which is the stack's business.
    if (stream->phase == Stream::Phase::kOver || stream->ended_well) continue;
    Abandoned(*stream);
    const bool opening = stream->phase == Stream::Phase::kOpening;
    if (opening) --opening_;
    Fail(*stream, opening ? "no answer to the attempt to connect" : "not through in time");
  }
}

}  // namespace tern::apps
