#include "apps/echo/echo_load.h"

#include <algorithm>
#include <span>

#include "absl/strings/str_cat.h"
#include "apps/pattern.h"

namespace tern::apps {
namespace {

constexpr size_t kScratch = 16 * 1024;

}  // namespace

EchoLoad::EchoLoad(Worker& worker, LoadResult* result, const EchoLoadOptions* options)
    : Load(worker, result), options_(*options), scratch_(std::min<size_t>(kScratch, options->size)) {
  if (options_.rate > 0) interval_nanos_ = 1e9 * worker.count() / options_.rate;
}

std::vector<std::unique_ptr<Stream>> EchoLoad::MakeStreams() {
  const Share share = ShareOf(options_.connections, worker().index(), worker().count());
  std::vector<std::unique_ptr<Stream>> streams;
  for (size_t i = 0; i < share.count; ++i) {
    auto stream = std::make_unique<Requests>();
    stream->index = share.first + i;
    stream->remote = options_.remote;
    stream->pattern_phase = stream->index * 7919 % kPatternWords;
    streams.push_back(std::move(stream));
  }
  return streams;
}

void EchoLoad::Opened(Stream& stream) {
  if (interval_nanos_ > 0 || stopping()) return;
  const int64_t now = worker().PreciseNow().count();
  for (uint32_t i = 0; i < options_.depth; ++i) Issue(static_cast<Requests&>(stream), now);
}

void EchoLoad::Issue(Requests& stream, int64_t asked_at) {
  stream.asked_at.push_back(asked_at);
  stream.due += options_.size;
  ++outstanding_;
  Pump(stream);
}

void EchoLoad::Pump(Requests& stream) {
  while (stream.sent < stream.due) {
    const auto piece = std::span(scratch_).first(
        static_cast<size_t>(std::min<uint64_t>(scratch_.size(), stream.due - stream.sent)));
    FillPattern(stream.pattern_phase, stream.sent, piece);
    const SendResult outcome = stream.conn.Send(std::as_bytes(piece));
    stream.sent += outcome.taken;
    result().octets_out.Add(outcome.taken);
    if (outcome.status != SendStatus::kOk) break;
  }
}

void EchoLoad::Writable(Stream& stream) { Pump(static_cast<Requests&>(stream)); }

void EchoLoad::Readable(Stream& base) {
  auto& stream = static_cast<Requests&>(base);
  if (!Take(stream)) return;
  if (stream.received >= (stream.answered + 1) * options_.size)
    Answered(stream, worker().PreciseNow().count());
  MaybeShut(stream);
}

void EchoLoad::AtEnd(Stream& base) {
  auto& stream = static_cast<Requests&>(base);
  if (stream.shut && stream.received == stream.due) {
    EndWell(stream);
  } else {
    Fail(stream, "the server ended the stream before its time");
  }
}

// Checks what has come. False when it was wrong and the stream is over.
bool EchoLoad::Take(Requests& stream) {
  const Payload data = stream.conn.Receive();
  for (const std::span<std::byte> piece : data) {
    const std::span octets(reinterpret_cast<const uint8_t*>(piece.data()), piece.size());
    if (stream.received + octets.size() > stream.sent) {
      Fail(stream, "more came back than was sent");
      return false;
    }
    if (ComparePattern(stream.pattern_phase, stream.received, octets) != octets.size()) {
      Fail(stream, "a wrong octet came back");
      return false;
    }
    stream.received += octets.size();
  }
  result().octets_in.Add(data.size());
  return true;
}

void EchoLoad::Answered(Requests& stream, int64_t now) {
  while (stream.received >= (stream.answered + 1) * options_.size) {
    result().latency.Record(now - stream.asked_at.front());
    stream.asked_at.pop_front();
    ++stream.answered;
    --outstanding_;
    result().requests.Add(1);
    if (interval_nanos_ <= 0 && !stopping()) Issue(stream, now);
  }
}

void EchoLoad::MaybeShut(Requests& stream) {
  if (!stopping() || stream.shut || stream.received != stream.due) return;
  stream.shut = true;
  stream.conn.ShutdownWrite();
}

void EchoLoad::Finish(Stream& stream) { MaybeShut(static_cast<Requests&>(stream)); }

// ---- Open loop ----

bool EchoLoad::OnPoll(Worker&) { return interval_nanos_ > 0 && !stopping() && IssueDue(); }

EchoLoad::Requests* EchoLoad::NextOpen() {
  for (size_t tried = 0; tried < streams().size(); ++tried) {
    auto& stream = static_cast<Requests&>(*streams()[turn_]);
    turn_ = turn_ + 1 == streams().size() ? 0 : turn_ + 1;
    if (stream.phase == Stream::Phase::kOpen) return &stream;
  }
  return nullptr;
}

bool EchoLoad::IssueDue() {
  if (result().opened.value() + result().finished.value() < streams().size()) return false;  // still opening
  const auto now = static_cast<double>(worker().Now().count());
  if (next_due_ == 0) next_due_ = now + interval_nanos_;
  bool issued = false;
  while (next_due_ <= now && outstanding_ < options_.most_outstanding) {
    Requests* stream = NextOpen();
    if (stream == nullptr) return issued;
    Issue(*stream, static_cast<int64_t>(next_due_));
    next_due_ += interval_nanos_;
    issued = true;
  }
  if (!timer_armed_) {
    timer_armed_ = true;
    const double wait = std::max(0.0, next_due_ - now);
    worker().After(std::chrono::nanoseconds(static_cast<int64_t>(wait)), [this] {
      timer_armed_ = false;
      if (!stopping()) IssueDue();
    });
  }
  return issued;
}

void EchoLoad::Stopping() {
  if (interval_nanos_ <= 0 || next_due_ == 0) return;
  // What fell due and could not even be sent has waited as well.
  const double late = static_cast<double>(worker().PreciseNow().count()) - next_due_;
  if (outstanding_ < options_.most_outstanding || late < interval_nanos_) return;
  result().latency.RecordWithExpectedInterval(static_cast<int64_t>(late),
                                              static_cast<int64_t>(interval_nanos_));
  CountFailure("requests fell due that could not be sent");
}

void EchoLoad::Abandoned(Stream& base) {
  auto& stream = static_cast<Requests&>(base);
  const int64_t now = worker().PreciseNow().count();
  for (const int64_t asked_at : stream.asked_at) result().latency.Record(now - asked_at);
}

}  // namespace tern::apps
