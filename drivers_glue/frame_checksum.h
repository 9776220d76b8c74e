// The software twins of a device's transmit checksums.
#ifndef TERN_DRIVERS_GLUE_FRAME_CHECKSUM_H_
#define TERN_DRIVERS_GLUE_FRAME_CHECKSUM_H_

#include <rte_mbuf.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/buffer.h"

namespace tern {

inline constexpr size_t kTcpChecksumOffset = 16;  // RFC 9293 3.1: after ports, numbers, flags and window

// Writes the IPv4 header checksum. REQUIRES: the header lies in the first piece of the frame.
void FillIpChecksum(rte_mbuf* frame, size_t ip_offset, size_t ip_length);
void FillIpChecksum(std::span<uint8_t> frame, size_t ip_offset, size_t ip_length);

// Completes the TCP checksum of a frame whose checksum field already holds the pseudo-header's sum.
// REQUIRES: the TCP header lies in the first piece of the frame.
void FillTcpChecksum(rte_mbuf* frame, size_t tcp_offset);
void FillTcpChecksum(std::span<uint8_t> frame, size_t tcp_offset);

// Writes the IPv4 header checksum and the TCP or UDP checksum of a received frame anew, from what it holds.
// Does nothing to what it cannot sum: other protocols, fragments, headers that are not whole in the first
// piece.
void FinishChecksums(Buffer* frame);

}  // namespace tern

#endif  // TERN_DRIVERS_GLUE_FRAME_CHECKSUM_H_
