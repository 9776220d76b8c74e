// Turns the stack's frames into mbufs, and keeps a stock of empty ones so that a promise of room is kept.
#ifndef TERN_DRIVERS_GLUE_TX_COMPOSER_H_
#define TERN_DRIVERS_GLUE_TX_COMPOSER_H_

#include <rte_mbuf.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/packet.h"

namespace tern {

// One queue's. Not thread-safe.
class TxComposer {
 public:
  // Payload up to this much is copied behind its header; more is attached. Attaching costs an mbuf taken and
  // freed and an atomic count on the payload's own, copying a few cache lines; they are expected to meet near
  // here.
  static constexpr uint32_t kCopyLimit = 256;
  // Most frames that room() promises at once.
  static constexpr size_t kBurst = 64;

  struct Options {
    std::string name;           // unique in the process, at most 20 characters
    uint32_t ring_size = 512;   // frames that the driver may hold
    uint32_t max_frame = 1518;  // longest frame that is not to be cut up by the device
    uint16_t max_segments = 1;  // mbufs that the driver takes per frame; 1: everything is copied into one
    bool ip_checksum = false;   // the device fills it in
    bool tcp_checksum = false;
    bool tso = false;
    int socket = 0;
  };

  static absl::StatusOr<std::unique_ptr<TxComposer>> Create(const Options& options);
  ~TxComposer();
  TxComposer(const TxComposer&) = delete;
  TxComposer& operator=(const TxComposer&) = delete;

  // Frames that Compose is sure to have mbufs for, at most kBurst.
  size_t room();

  // The frame as an mbuf chain of its own, or nullptr when no device of this kind can send it (too long, a
  // request it does not know). REQUIRES: room() said yes for it.
  rte_mbuf* Compose(const TxFrame& frame);

  // Gives the stock back to the pools. Only room() takes a new one.
  void DropStock();
  // mbufs that are not in the pools, stock included. Slow.
  uint32_t in_use() const;

 private:
  TxComposer(const Options& options, rte_mempool* frames, rte_mempool* links)
      : options_(options), frames_(frames), links_(links) {}
  void CopyPayload(const TxFrame& frame, rte_mbuf* head) const;
  void AttachPayload(const TxFrame& frame, rte_mbuf* head);
  bool CanAttach(const TxFrame& frame) const;
  void SetOffloads(const TxFrame& frame, rte_mbuf* head) const;

  Options options_;
  rte_mempool* frames_;  // hold headers, and payload that is copied
  rte_mempool* links_;   // refer to payload elsewhere; nullptr when max_segments is 1
  std::array<rte_mbuf*, kBurst> frame_stock_;
  size_t frame_count_ = 0;
  std::array<rte_mbuf*, kBurst * TxFrame::kMaxSlices> link_stock_;
  size_t link_count_ = 0;
};

}  // namespace tern

#endif  // TERN_DRIVERS_GLUE_TX_COMPOSER_H_
