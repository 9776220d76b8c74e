#include "stack/listeners.h"

#include <algorithm>
#include <bit>

namespace tern::stack {
namespace {

// Both families' "any" mean all addresses of both.
wire::IpAddress Canonical(const wire::IpAddress& address) {
  return address.IsUnspecified() ? wire::IpAddress() : address;
}

}  // namespace

ListenerTable::ListenerTable(uint32_t limit)
    : listeners_(std::min(limit, kMaxListeners)),
      heads_(std::bit_ceil(std::max<size_t>(16, listeners_.size())), kNone) {
  for (size_t i = listeners_.size(); i-- > 0;) {
    listeners_[i].next = free_;
    free_ = static_cast<uint16_t>(i);
  }
}

uint16_t ListenerTable::FindExact(const wire::IpAddress& address, uint16_t port) const {
  uint16_t i = Head(port);
  while (i != kNone && (listeners_[i].port != port || listeners_[i].address != address))
    i = listeners_[i].next;
  return i;
}

Listener* ListenerTable::Add(const wire::IpAddress& address, uint16_t port, uint32_t* id) {
  if (free_ == kNone) return nullptr;
  const uint16_t index = free_;
  Listener& listener = listeners_[index];
  free_ = listener.next;
  if (++last_generation_ == 0) ++last_generation_;
  listener = Listener{
      .address = Canonical(address), .generation = last_generation_, .port = port, .next = Head(port)};
  Head(port) = index;
  ++in_use_;
  *id = IdOf(index);
  return &listener;
}

bool ListenerTable::Taken(const wire::IpAddress& address, uint16_t port) const {
  return FindExact(Canonical(address), port) != kNone;
}

uint32_t ListenerTable::Find(const wire::IpAddress& local, uint16_t port) const {
  uint16_t index = FindExact(local, port);
  if (index == kNone) index = FindExact(wire::IpAddress(), port);
  return index == kNone ? 0 : IdOf(index);
}

Listener* ListenerTable::Get(uint32_t id) {
  const uint32_t index = id & 0xffff;
  if (index >= listeners_.size() || id >> 16 == 0 || listeners_[index].generation != id >> 16) return nullptr;
  return &listeners_[index];
}

void ListenerTable::Remove(uint32_t id) {
  Listener* listener = Get(id);
  if (listener == nullptr) return;
  const auto index = static_cast<uint16_t>(id & 0xffff);
  uint16_t* link = &Head(listener->port);
  while (*link != index) link = &listeners_[*link].next;
  *link = listener->next;
  *listener = Listener{.next = free_};
  free_ = index;
  --in_use_;
}

void ListenerTable::RemoveAll() {
  for (size_t i = 0; i < listeners_.size(); ++i) {
    if (listeners_[i].generation != 0) Remove(IdOf(static_cast<uint16_t>(i)));
  }
}

}  // namespace tern::stack
