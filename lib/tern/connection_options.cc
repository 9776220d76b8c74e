// The rarer calls of a connection: what an application asks of it once.
#include "runtime/worker.h"
#include "tern/connection.h"

namespace tern {
namespace {

Duration Millis(std::chrono::milliseconds time) { return Duration::Millis(time.count()); }

}  // namespace

void Connection::CloseWithin(std::chrono::milliseconds limit) {
  if (worker_ != nullptr) worker_->shard().CloseWithin({slot_, generation_}, Millis(limit), worker_->now());
}

void Connection::SetCork(bool on) {
  if (worker_ != nullptr) worker_->shard().SetCork({slot_, generation_}, on);
}

void Connection::SetKeepalive(const KeepaliveOptions& options) {
  if (worker_ == nullptr) return;
  const tcp::KeepaliveTimes times{
      .idle = Millis(options.idle), .interval = Millis(options.interval), .probes = options.probes};
  worker_->shard().SetKeepalive({slot_, generation_}, &times, worker_->now());
}

void Connection::StopKeepalive() {
  if (worker_ != nullptr) worker_->shard().SetKeepalive({slot_, generation_}, nullptr, worker_->now());
}

void Connection::SetUserTimeout(std::chrono::milliseconds timeout) {
  if (worker_ != nullptr) worker_->shard().SetUserTimeout({slot_, generation_}, Millis(timeout));
}

void Connection::SetIp(uint8_t ttl, uint8_t dscp) {
  if (worker_ != nullptr) worker_->shard().SetIp({slot_, generation_}, ttl, dscp);
}

void Connection::SetTroubleReports(bool on) {
  if (worker_ != nullptr) worker_->shard().SetTroubleReports({slot_, generation_}, on);
}

size_t Connection::UrgentAhead() const {
  return worker_ == nullptr ? 0 : worker_->shard().UrgentAhead({slot_, generation_});
}

void Connection::SetUrgentOutOfLine(bool on) {
  if (worker_ != nullptr) worker_->shard().SetUrgentOutOfLine({slot_, generation_}, on);
}

int Connection::TakeUrgent() {
  return worker_ == nullptr ? -1 : worker_->shard().TakeUrgentOctet({slot_, generation_});
}

}  // namespace tern
