// Sends the known stream on a connection as fast as it takes it.
#ifndef TERN_APPS_PATTERN_SENDER_H_
#define TERN_APPS_PATTERN_SENDER_H_

#include <cstdint>

#include "apps/pattern.h"
#include "tern/connection.h"
#include "tern/worker.h"

namespace tern::apps {

// One stream's sending side. Thread: the connection's worker.
class PatternSender {
 public:
  // `hashed`: keep the running hash, at half a cycle an octet.
  PatternSender(uint64_t phase, bool hashed) : phase_(phase), hashed_(hashed) {}

  // Sends until the stream has `end` octets or the connection takes no more, in which case OnWritable
  // follows. Returns the octets sent by this call. The bytes are made in packet memory, not copied there.
  uint64_t PumpUntil(Worker& worker, Connection conn, uint64_t end);

  uint64_t phase() const { return phase_; }
  uint64_t octets() const { return octets_; }
  uint64_t hash() const { return hash_.value(); }

 private:
  SendResult SendPiece(Worker& worker, Connection conn, size_t size);

  uint64_t phase_;
  uint64_t octets_ = 0;
  StreamHash hash_;
  bool hashed_;
};

}  // namespace tern::apps

#endif  // TERN_APPS_PATTERN_SENDER_H_
