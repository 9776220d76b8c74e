// Who waits for connections, by address and port.
#ifndef TERN_STACK_LISTENERS_H_
#define TERN_STACK_LISTENERS_H_

#include <cstdint>
#include <vector>

#include "base/instant.h"
#include "base/token_bucket.h"
#include "wire/ip_address.h"

namespace tern::stack {

struct Listener {
  wire::IpAddress address;  // `::` for all
  uint64_t user = 0;
  uint32_t backlog = 0;
  uint32_t half_open = 0;
  uint32_t unaccepted = 0;    // open, and not yet given to the application
  uint32_t source_limit = 0;  // of both, from one source; 0: as many as the backlog holds
  uint32_t generation = 0;    // 0: free
  uint16_t port = 0;
  uint16_t next = 0;  // in the chain of its bucket, or in the free list; kNone at the end
  bool nodelay = false;
  TokenBucket accept_rate{Duration::Zero(), 1};   // no interval: no limit
  Duration defer_accept;                          // how long an accept waits for data; zero: it does not
  Instant cookies_until = Instant::FromNanos(0);  // an ACK may carry a cookie before this
  uint32_t receive_buffer = 0;                    // of its connections
  uint16_t max_segment = 0;                       // 0: as the link allows

  uint32_t pending() const { return half_open + unaccepted; }
};

// A fixed number of listeners, found by port. An id holds index and generation, so that one that was closed
// names nobody.
class ListenerTable {
 public:
  static constexpr uint32_t kMaxListeners = 0xfffe;

  explicit ListenerTable(uint32_t limit);

  // nullptr when all slots are taken; `*id` names the listener. REQUIRES: !Taken(address, port).
  Listener* Add(const wire::IpAddress& address, uint16_t port, uint32_t* id);
  // Whether this very pair is listened on. An address and "all" can stand side by side.
  bool Taken(const wire::IpAddress& address, uint16_t port) const;
  // Who answers for that address: a listener for it goes before one for all. 0 when there is none; ids are
  // never 0.
  uint32_t Find(const wire::IpAddress& local, uint16_t port) const;
  // nullptr when it was closed meanwhile.
  Listener* Get(uint32_t id);
  void Remove(uint32_t id);
  void RemoveAll();

  uint32_t in_use() const { return in_use_; }

 private:
  static constexpr uint16_t kNone = 0xffff;
  // The generation takes the upper half of an id: sixteen bits, never zero.
  uint32_t IdOf(uint16_t index) const { return listeners_[index].generation << 16 | index; }
  uint16_t& Head(uint16_t port) { return heads_[port & (heads_.size() - 1)]; }
  uint16_t Head(uint16_t port) const { return heads_[port & (heads_.size() - 1)]; }
  uint16_t FindExact(const wire::IpAddress& address, uint16_t port) const;

  std::vector<Listener> listeners_;
  std::vector<uint16_t> heads_;
  uint16_t free_ = kNone;
  uint16_t last_generation_ = 0;
  uint32_t in_use_ = 0;
};

}  // namespace tern::stack

#endif  // TERN_STACK_LISTENERS_H_
