#include "tern/handler.h"

#include "runtime/worker.h"
#include "tern/dispatch.h"

namespace tern {
namespace {

// The runtime's close reasons and the public ones are the same list.
static_assert(static_cast<int>(CloseReason::kNone) == static_cast<int>(tcp::CloseReason::kNone));
static_assert(static_cast<int>(CloseReason::kGraceful) == static_cast<int>(tcp::CloseReason::kGraceful));
static_assert(static_cast<int>(CloseReason::kReset) == static_cast<int>(tcp::CloseReason::kReset));
static_assert(static_cast<int>(CloseReason::kRefused) == static_cast<int>(tcp::CloseReason::kRefused));
static_assert(static_cast<int>(CloseReason::kTimedOut) == static_cast<int>(tcp::CloseReason::kTimedOut));
static_assert(static_cast<int>(CloseReason::kAborted) == static_cast<int>(tcp::CloseReason::kAborted));
static_assert(static_cast<int>(CloseReason::kUnreachable) ==
              static_cast<int>(tcp::CloseReason::kUnreachable));
static_assert(static_cast<int>(Trouble::kNone) == static_cast<int>(tcp::Trouble::kNone));
static_assert(static_cast<int>(Trouble::kUnreachable) == static_cast<int>(tcp::Trouble::kUnreachable));
static_assert(static_cast<int>(Trouble::kTimeExceeded) == static_cast<int>(tcp::Trouble::kTimeExceeded));
static_assert(static_cast<int>(Trouble::kBadHeader) == static_cast<int>(tcp::Trouble::kBadHeader));
static_assert(static_cast<int>(Trouble::kRetransmitting) == static_cast<int>(tcp::Trouble::kRetransmitting));

void GiveToHandler(void* object, runtime::Worker& core, const stack::ShardEvent& event) {
  auto* handler = static_cast<Handler*>(object);
  const Connection conn = HandlerDispatch::Make(&core, event.handle.slot, event.handle.generation);
  // Whoever closed a connection hears only of its end; nor is there anything to do on one that is gone.
  const auto wanted = [&](uint16_t bit) {
    if ((event.events & bit) == 0) return false;
    const tcp::Connection* tcp = core.shard().Tcp(event.handle);
    return tcp != nullptr && !tcp->Is(tcp::kAppClosed);
  };
  if (event.events == tcp::kEventReadable) [[likely]] {
    if (wanted(tcp::kEventReadable)) handler->OnReadable(conn);
    return;
  }
  if ((event.events & tcp::kEventConnected) != 0) handler->OnConnected(conn);
  if (wanted(tcp::kEventUrgent)) handler->OnUrgent(conn);
  if (wanted(tcp::kEventReadable)) handler->OnReadable(conn);
  if (wanted(tcp::kEventWritable)) handler->OnWritable(conn);
  if (wanted(tcp::kEventPeerClosed)) handler->OnPeerClosed(conn);
  if (wanted(tcp::kEventTrouble)) {
    handler->OnTrouble(conn, static_cast<Trouble>(core.shard().LastTrouble(event.handle)));
  }
  if ((event.events & tcp::kEventClosed) != 0) {
    handler->OnClosed(conn, static_cast<CloseReason>(event.reason));
  }
}

}  // namespace

Handler::~Handler() = default;
void Handler::OnConnected(Connection) {}
void Handler::OnReadable(Connection) {}
void Handler::OnWritable(Connection) {}
void Handler::OnPeerClosed(Connection) {}
void Handler::OnUrgent(Connection) {}
void Handler::OnTrouble(Connection, Trouble) {}
void Handler::OnClosed(Connection, CloseReason) {}

Task::~Task() = default;
void Task::OnStart(Worker&) {}
void Task::OnStop(Worker&) {}

uint64_t HandlerDispatch::UserWord(runtime::Worker& core, Handler* handler, void* context) {
  const uint16_t target = core.TargetId({&GiveToHandler, handler});
  return target == 0 ? 0 : runtime::MakeUser(target, reinterpret_cast<uintptr_t>(context));
}

}  // namespace tern
