// Readiness: poll's bits, and epoll over them, level- and edge-triggered.
#include <algorithm>
#include <cerrno>

#include "socket/sockets_impl.h"

namespace tern::socket {
namespace {

// What is reported whether asked for or not.
constexpr uint32_t kAlways = kPollErr | kPollHup;

}  // namespace

uint32_t Sockets::Impl::ReadinessOf(const SocketState& s) const {
  uint32_t ready = 0;
  if (s.error != 0) ready |= kPollErr;
  switch (s.phase) {
    case Phase::kFresh:
      return ready | kPollOut | kPollWrNorm | kPollHup;
    case Phase::kListening:
      return s.ready.empty() ? ready : ready | kPollIn | kPollRdNorm;
    case Phase::kConnecting:
      return ready;
    case Phase::kEnded:
      return ready | kPollIn | kPollRdNorm | kPollOut | kPollWrNorm | kPollRdHup | kPollHup;
    case Phase::kConnected:
      break;
  }
  const bool end_of_input = s.peer_closed || s.shut_read;
  if (end_of_input) ready |= kPollRdHup;
  if (end_of_input || Readable(s) >= s.options.low_water) ready |= kPollIn | kPollRdNorm;
  if (end_of_input && s.shut_write) ready |= kPollHup;
  // A closed sending side is writable: the write says EPIPE at once.
  auto* self = const_cast<Impl*>(this);
  auto& mutable_state = const_cast<SocketState&>(s);
  if (s.shut_write || !s.live || self->RoomOf(mutable_state) != 0) ready |= kPollOut | kPollWrNorm;
  return ready;
}

uint32_t Sockets::Readiness(int fd) const {
  const SocketState* s = impl_->Find(fd);
  return s == nullptr ? kPollInvalid : impl_->ReadinessOf(*s);
}

Result Sockets::EpollCreate() {
  Impl& impl = *impl_;
  auto free =
      std::find_if(impl.epolls.begin(), impl.epolls.end(), [](const EpollState& e) { return !e.used; });
  if (free == impl.epolls.end()) {
    impl.epolls.emplace_back();
    free = impl.epolls.end() - 1;
  }
  const auto index = static_cast<uint32_t>(free - impl.epolls.begin());
  const int fd = impl.NewDescriptor({DescriptorEntry::Kind::kEpoll, index});
  if (fd < 0) return Result::Fail(EMFILE);
  *free = {.used = true};
  return Result::Done(fd);
}

namespace {

const DescriptorEntry* EntryOf(const std::vector<DescriptorEntry>& descriptors, int first, int fd) {
  const int64_t at = int64_t{fd} - first;
  if (at < 0 || at >= static_cast<int64_t>(descriptors.size())) return nullptr;
  const DescriptorEntry& entry = descriptors[static_cast<size_t>(at)];
  return entry.kind == DescriptorEntry::Kind::kFree ? nullptr : &entry;
}

}  // namespace

Result Sockets::EpollControl(int epoll, EpollOp op, int fd, const EpollEvent& event) {
  Impl& impl = *impl_;
  const DescriptorEntry* entry = EntryOf(impl.descriptors, impl.config.first_descriptor, epoll);
  const DescriptorEntry* target = EntryOf(impl.descriptors, impl.config.first_descriptor, fd);
  if (entry == nullptr || target == nullptr) return Result::Fail(EBADF);
  if (entry->kind != DescriptorEntry::Kind::kEpoll || epoll == fd) return Result::Fail(EINVAL);
  if (target->kind != DescriptorEntry::Kind::kSocket) return Result::Fail(EPERM);
  const SocketState& s = impl.sockets[target->index];
  std::vector<Interest>& interests = impl.epolls[entry->index].interests;
  // Descriptors that were closed have left the set.
  std::erase_if(interests,
                [&](const Interest& i) { return impl.sockets[i.socket].generation != i.generation; });
  const auto found =
      std::find_if(interests.begin(), interests.end(), [&](const Interest& i) { return i.fd == fd; });
  // One that says nothing yet told: what is ready now is news.
  const Interest fresh{.fd = fd,
                       .socket = target->index,
                       .generation = s.generation,
                       .events = event.events,
                       .seen = s.wakeups - 1,
                       .data = event.data};
  switch (op) {
    case EpollOp::kAdd:
      if (found != interests.end()) return Result::Fail(EEXIST);
      interests.push_back(fresh);
      return Result::Done();
    case EpollOp::kModify:
      if (found == interests.end()) return Result::Fail(ENOENT);
      *found = fresh;
      return Result::Done();
    case EpollOp::kDelete:
      if (found == interests.end()) return Result::Fail(ENOENT);
      interests.erase(found);
      return Result::Done();
  }
  return Result::Fail(EINVAL);
}

Result Sockets::EpollWait(int epoll, std::span<EpollEvent> out) {
  Impl& impl = *impl_;
  const DescriptorEntry* entry = EntryOf(impl.descriptors, impl.config.first_descriptor, epoll);
  if (entry == nullptr) return Result::Fail(EBADF);
  if (entry->kind != DescriptorEntry::Kind::kEpoll || out.empty()) return Result::Fail(EINVAL);
  EpollState& state = impl.epolls[entry->index];
  std::erase_if(state.interests,
                [&](const Interest& i) { return impl.sockets[i.socket].generation != i.generation; });
  size_t count = 0;
  const size_t n = state.interests.size();
  // Each call goes on behind where the last one stopped, so that none starves.
  for (size_t step = 0; step < n && count < out.size(); ++step) {
    Interest& interest = state.interests[(state.turn + step) % n];
    const SocketState& s = impl.sockets[interest.socket];
    if (interest.disabled) continue;
    const uint32_t ready = impl.ReadinessOf(s) & (interest.events | kAlways);
    const bool edge = (interest.events & kEpollEdge) != 0;
    if (ready == 0 || (edge && interest.seen == s.wakeups)) continue;
    interest.seen = s.wakeups;
    if ((interest.events & kEpollOneShot) != 0) interest.disabled = true;
    out[count++] = {.events = ready, .data = interest.data};
    if (count == out.size()) state.turn = (state.turn + step + 1) % n;
  }
  return Result::Done(static_cast<int64_t>(count));
}

}  // namespace tern::socket
