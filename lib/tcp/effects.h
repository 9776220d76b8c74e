// What an event did to a connection, for the shard to act on.
#ifndef TERN_TCP_EFFECTS_H_
#define TERN_TCP_EFFECTS_H_

#include <cstdint>

#include "base/buffer.h"
#include "base/drop_reason.h"
#include "base/seq_num.h"

namespace tern::tcp {

// Bits of Effects::events. One event sets at most each of them once, so the list is bounded by its width.
enum EventBits : uint16_t {
  kEventConnected = 1 << 0,   // reached ESTABLISHED (or CLOSE-WAIT) for the first time
  kEventReadable = 1 << 1,    // more in-order data waits than before, or the peer's FIN was reached
  kEventWritable = 1 << 2,    // the send buffer has room again after a send was cut short
  kEventPeerClosed = 1 << 3,  // the peer's FIN is in order: after what waits, nothing more will come
  kEventTimeWait = 1 << 4,    // entered TIME-WAIT: the shard may replace the connection by a compact entry
  kEventClosed = 1 << 5,      // CLOSED; `reason` says why; the shard frees the slot
  kEventUrgent =
      1 << 14,  // urgent data is announced, or the urgent octet kept apart is here (RFC 9293 MUST-32)
  kEventTrouble = 1 << 15,  // something is wrong, and TCP goes on trying (RFC 9293 MUST-47)
};

// Why a connection ended.
enum class CloseReason : uint8_t {
  kNone,
  kGraceful,     // both sides closed, all data acknowledged
  kReset,        // the peer reset an established connection
  kRefused,      // the peer answered our SYN with RST, or with ICMP's word that nobody listens
  kTimedOut,     // retransmissions went unanswered
  kAborted,      // our application aborted it, or closed with data unread
  kUnreachable,  // ICMP said so for an opening connection
};

// What kEventTrouble speaks of: errors that TCP lives with (RFC 9293 3.9.1.8).
enum class Trouble : uint8_t {
  kNone,
  kUnreachable,     // ICMP: no route, host or port, or not allowed there
  kTimeExceeded,    // ICMP: the hop limit ran out on the way, or a fragment was lost
  kBadHeader,       // ICMP: parameter problem
  kRetransmitting,  // R1 retransmissions in a row went unanswered
};

// A bare RST or ACK to answer with that is not part of the connection's own stream of segments.
struct ControlReply {
  bool wanted = false;
  uint8_t flags = 0;
  SeqNum seq;
  SeqNum ack;
};

// What was found out about the path, for the connections to come.
struct PathNews {
  enum class Kind : uint8_t {
    kNone,
    kBegan,  // with less than the link carries, as others found
    kLowered,
    kBlackHole,
    kRaised,
  };
  Kind kind = Kind::kNone;
  uint16_t mss = 0;     // what it carries, as PathMtu counts; 0: not certain yet
  bool settled = true;  // false: the search for more goes on
  bool watch = false;   // more is to be tried some day: OnPathAged
};

struct Effects {
  uint16_t events = 0;
  CloseReason reason = CloseReason::kNone;
  bool transmit = false;            // PollTransmit may have something to say
  bool dropped = false;             // the segment was discarded, for `drop_reason`
  bool doubt_route = false;         // R1 was reached: the next hop may be dead (RFC 9293 MUST-20)
  bool challenge_withheld = false;  // an ACK that RFC 5961 7's limit did not let through
  DropReason drop_reason{};
  ControlReply reply;
  PathNews path;
  BufferChain released;  // buffers nobody needs any more, as one chain

  void Drop(DropReason why) {
    dropped = true;
    drop_reason = why;
  }
};

}  // namespace tern::tcp

#endif  // TERN_TCP_EFFECTS_H_
