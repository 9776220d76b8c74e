// The machine under test: one shard with sockets over it, in virtual time, on a wire of our own.
#ifndef TERN_TESTS_SCRIPT_HOST_H_
#define TERN_TESTS_SCRIPT_HOST_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "base/heap_buffer_pool.h"
#include "base/instant.h"
#include "socket/sockets.h"
#include "stack/shard.h"
#include "wire/ip_address.h"
#include "wire/tcp.h"

namespace tern::script {

using Bytes = std::vector<uint8_t>;

// What stands at octet `position` of every stream, in both directions: who loses or swaps octets is found
// out.
constexpr uint8_t PatternByte(uint64_t position) {
  return static_cast<uint8_t>(position * 131 + (position >> 8) * 29 + (position >> 16));
}

// A TCP segment that the shard sent; others (ARP, neighbour discovery) are answered by the host itself.
struct LivePacket {
  Instant at;
  wire::IpAddress src;
  wire::IpAddress dst;
  uint8_t ecn = 0;  // the two bits of the IP header
  wire::TcpHeader tcp;
  Bytes options;  // as on the wire
  Bytes payload;
};

struct HostOptions {
  wire::IpAddress local;
  wire::IpAddress remote;
  uint16_t mtu = 1500;
  uint32_t largest_frame = 2'048;  // that the script will give
  tcp::TcpConfig tcp;
};

class Host {
 public:
  explicit Host(const HostOptions& options);
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  Instant now() const { return now_; }
  socket::Sockets& sockets() { return *sockets_; }
  stack::Shard& shard() { return *shard_; }
  std::deque<LivePacket>& sent() { return sent_; }
  // The first thing of a frame that is wrong on any wire (a checksum, a length); empty: none.
  const std::string& fault() const { return fault_; }

  // Called whenever something may have happened.
  void OnStep(std::function<void()> step) { step_ = std::move(step); }

  // An IP packet from the peer.
  void Give(const Bytes& packet);
  // Lets calls of the application take effect.
  void Settle();
  // Moves time on to `until`, or to when `stop` says so. `more` gives a moment at which to stop by in any
  // case.
  void Advance(Instant until, const std::function<bool()>& stop, const std::function<Instant()>& more);

 private:
  bool Collect();
  void Take(const TxFrame& frame);
  void Recycle() { pool_->Release(shard_->TakeReleased()); }

  HostOptions options_;
  Instant now_;
  std::unique_ptr<HeapBufferPool> pool_;
  std::unique_ptr<stack::Shard> shard_;
  std::unique_ptr<socket::Sockets> sockets_;
  std::deque<LivePacket> sent_;
  std::function<void()> step_;
  std::string fault_;
};

}  // namespace tern::script

#endif  // TERN_TESTS_SCRIPT_HOST_H_
