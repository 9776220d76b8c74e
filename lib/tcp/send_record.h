// What is remembered about one transmitted range until it is acknowledged.
#ifndef TERN_TCP_SEND_RECORD_H_
#define TERN_TCP_SEND_RECORD_H_

#include <cstdint>
#include <type_traits>

#include "base/instant.h"
#include "base/seq_num.h"
#include "base/slot_pool.h"

namespace tern::tcp {

// Marks of a record. kSyn and kFin say that the first or last octet of the range is a flag and not data.
enum SendMark : uint8_t {
  kSentSyn = 1u << 0,
  kSentFin = 1u << 1,
  kSacked = 1u << 2,
  kLost = 1u << 3,           // judged lost; never together with kSacked
  kRetransmitted = 1u << 4,  // a retransmission of it is thought to be in flight
  kMixedTimes = 1u << 5,  // ranges sent at different times were joined: sent_at is the latest, no RTT sample
  kAppLimited = 1u << 6,  // sent while the application, not the network, was the limit
  kPathProbe = 1u << 7,   // one segment larger than others, to see whether it arrives: shares no record
};

// The connection's delivery state when a range was sent; delivery rate is computed from it at the ACK.
struct DeliverySnapshot {
  uint32_t delivered = 0;          // octets delivered so far, modulo 2^32
  uint32_t delivered_age_us = 0;   // how long before sent_at the latest of them was delivered
  uint32_t first_sent_age_us = 0;  // how long before sent_at the current sending interval began

  bool operator==(const DeliverySnapshot&) const = default;
};

// One contiguous range of sequence space that is in flight. Kept in a pool of the shard and linked by index
// in order of sequence numbers, so that records split and merge without touching the connection.
struct SendRecord {
  Instant sent_at;  // of the latest transmission
  SeqNum seq;
  uint32_t length = 0;  // sequence space: SYN and FIN count one each
  DeliverySnapshot delivery;
  uint32_t next = kNoSlot;
  uint32_t prev = kNoSlot;
  uint8_t retransmits = 0;  // saturates
  uint8_t marks = 0;        // SendMark

  SeqNum end() const { return seq + length; }
  bool Has(SendMark mark) const { return (marks & mark) != 0; }
};
static_assert(sizeof(SendRecord) <= 48,
              "thousands of these per connection; RACK's time list has 8 bytes left");
static_assert(std::is_trivially_copyable_v<SendRecord>);

using RecordPool = SlotPool<SendRecord>;

}  // namespace tern::tcp

#endif  // TERN_TCP_SEND_RECORD_H_
