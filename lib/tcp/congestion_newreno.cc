#include <algorithm>

#include "tcp/congestion_internal.h"

namespace tern::tcp::congestion_internal {

// RFC 3465 2.1: one segment for each window's worth of octets acknowledged, however many ACKs that took.
uint32_t NewRenoAvoid(CongestionState& state, uint32_t cwnd, const AckSample& sample) {
  state.bytes_acked += std::min(sample.acked, cwnd);
  if (state.bytes_acked < cwnd) return cwnd;
  state.bytes_acked -= cwnd;
  return std::min(cwnd + state.smss, kMaxWindow);
}

}  // namespace tern::tcp::congestion_internal
