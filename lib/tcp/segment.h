// Segments as values: what a connection is shown and what it gives out.
#ifndef TERN_TCP_SEGMENT_H_
#define TERN_TCP_SEGMENT_H_

#include <cstdint>

#include "base/buffer.h"
#include "base/packet.h"
#include "base/seq_num.h"
#include "wire/tcp.h"

namespace tern::tcp {

// One received segment whose checksum is known good. `payload` is trimmed to the TCP payload and owned by the
// view; a connection that keeps it sets the pointer to nullptr, and whoever made the view releases what is
// left.
struct SegmentView {
  SeqNum seq;
  SeqNum ack;
  uint16_t window = 0;  // as in the header, unscaled
  uint16_t urgent = 0;
  uint8_t flags = 0;  // wire::kFin | wire::kSyn ...
  bool congestion_experienced = false;
  Buffer* payload = nullptr;  // nullptr when the segment has no payload
  uint32_t payload_length = 0;
  wire::TcpOptions options;

  bool Has(uint8_t flag) const { return (flags & flag) != 0; }
  // SEG.LEN of RFC 9293 3.4: payload plus SYN plus FIN.
  uint32_t SequenceLength() const {
    return payload_length + (Has(wire::kSyn) ? 1u : 0u) + (Has(wire::kFin) ? 1u : 0u);
  }
};

// One segment to send, as a value. Payload slices are written straight into `frame`; their bytes stay owned
// by the connection's send queue.
struct SegmentOut {
  SeqNum seq;
  SeqNum ack;
  uint16_t window = 0;  // as it goes into the header
  uint16_t urgent = 0;
  uint8_t flags = 0;
  bool retransmission = false;
  bool ecn_capable = false;  // mark the IP header ECT(0)
  uint32_t payload_length = 0;
  uint16_t tso_segment = 0;  // not 0: payload is to be cut into segments of this many octets
  wire::TcpOptions options;
  TxFrame* frame = nullptr;

  // Empty again, the frame kept. What only a flag or a count gives a meaning stays as it is.
  void Clear() {
    urgent = 0;
    flags = 0;
    retransmission = ecn_capable = false;
    payload_length = 0;
    tso_segment = 0;
    options.Clear();
    frame->slice_count = 0;
  }
};

}  // namespace tern::tcp

#endif  // TERN_TCP_SEGMENT_H_
