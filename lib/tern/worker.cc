#include "tern/worker.h"

#include <algorithm>
#include <array>

#include "runtime/worker.h"
#include "tern/dispatch.h"

namespace tern {
namespace {

static_assert(static_cast<int>(ConnectStatus::kOk) == static_cast<int>(stack::OpenResult::kOk));
static_assert(static_cast<int>(ConnectStatus::kAddressInUse) ==
              static_cast<int>(stack::OpenResult::kAddressInUse));
static_assert(static_cast<int>(ConnectStatus::kAddressNotOurs) ==
              static_cast<int>(stack::OpenResult::kAddressNotOurs));
static_assert(static_cast<int>(ConnectStatus::kNoRoute) == static_cast<int>(stack::OpenResult::kNoRoute));
static_assert(static_cast<int>(ConnectStatus::kNoPort) == static_cast<int>(stack::OpenResult::kNoPort));
static_assert(static_cast<int>(ConnectStatus::kTooMany) == static_cast<int>(stack::OpenResult::kNoSlot));

}  // namespace

std::string_view ConnectStatusName(ConnectStatus status) {
  constexpr auto kNames = std::to_array<std::string_view>(
      {"ok", "address_in_use", "address_not_ours", "no_route", "no_port", "too_many", "closed"});
  const auto index = static_cast<size_t>(status);
  return index < kNames.size() ? kNames[index] : "unknown";
}

int Worker::index() const { return core_->index(); }
int Worker::count() const { return core_->count(); }

std::chrono::nanoseconds Worker::Now() const { return std::chrono::nanoseconds(core_->now().nanos()); }
std::chrono::nanoseconds Worker::PreciseNow() const {
  return std::chrono::nanoseconds(core_->clock().Read().nanos());
}

ConnectStatus Worker::Connect(const ConnectOptions& options, Handler* handler, void* context,
                              Connection* conn) {
  if (core_->stopping()) return ConnectStatus::kClosed;
  const uint64_t user = HandlerDispatch::UserWord(*core_, handler, context);
  if (user == 0) return ConnectStatus::kTooMany;
  const stack::ConnectSpec spec = {
      .remote = wire::IpAddress(options.remote.address.bytes()),
      .remote_port = options.remote.port,
      .local = wire::IpAddress(options.local.address.bytes()),
      .local_port = options.local.port,
      .user = user,
      .nodelay = options.nodelay || core_->shard().config().tcp.nodelay,
  };
  stack::ConnHandle handle;
  const stack::OpenResult result = core_->shard().Connect(spec, core_->now(), &handle);
  if (result == stack::OpenResult::kOk && conn != nullptr) {
    *conn = HandlerDispatch::Make(core_, handle.slot, handle.generation);
  }
  return static_cast<ConnectStatus>(result);
}

Payload Worker::NewPayload(size_t octets) {
  Payload payload;
  payload.worker_ = core_;
  BufferPool& pool = core_->pool();
  std::array<Buffer*, 32> buffers;
  while (payload.size_ < octets) {
    const size_t wanted = (octets - payload.size_ + pool.buffer_capacity() - 1) / pool.buffer_capacity();
    const auto batch = std::span(buffers).first(std::min(wanted, buffers.size()));
    if (!pool.Allocate(batch)) {
      payload.Clear();
      return payload;
    }
    for (Buffer* buffer : batch) {
      buffer->length = static_cast<uint32_t>(std::min<size_t>(octets - payload.size_, buffer->tailroom));
      buffer->tailroom -= buffer->length;
      buffer->next = nullptr;
      (payload.tail_ == nullptr ? payload.head_ : payload.tail_->next) = buffer;
      payload.tail_ = buffer;
      payload.size_ += buffer->length;
    }
  }
  return payload;
}

Worker::TimerId Worker::After(std::chrono::nanoseconds delay, std::function<void()> fn) {
  const Duration wait = Duration::Nanos(std::max<int64_t>(delay.count(), 0));
  return core_->timers().Set(core_->now() + wait, std::move(fn));
}

void Worker::Cancel(TimerId timer) { core_->timers().Cancel(timer); }

WorkerStats Worker::Stats() const { return MakeStats(core_->Snapshot()); }

}  // namespace tern
