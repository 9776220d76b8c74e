// Frames that one worker received and another owns, on their way between them.
#ifndef TERN_RUNTIME_HANDOVER_H_
#define TERN_RUNTIME_HANDOVER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/packet.h"
#include "base/spsc_ring.h"
#include "runtime/doorbell.h"
#include "stack/shard.h"

namespace tern::runtime {

struct HandedFrame {
  RxFrame frame;
  uint16_t interface = 0;
};

// The rings from every worker to every other, and each one's bell. Made before the workers run, gone after
// them.
class Handover {
 public:
  static constexpr size_t kFrames = 1'024;  // on the way from one worker to one other
  static constexpr size_t kNotices = 256;

  Handover(MemorySource& memory, uint16_t workers);

  // False when memory was short.
  bool ok() const { return ok_; }

  // One worker's ends. Entries of itself are there and never used.
  struct Ends {
    std::vector<SpscRing<HandedFrame>::Producer> frames_out;
    std::vector<SpscRing<HandedFrame>::Consumer> frames_in;
    std::vector<SpscRing<stack::LinkNotice>::Producer> notices_out;
    std::vector<SpscRing<stack::LinkNotice>::Consumer> notices_in;
    std::vector<Doorbell*> bells;  // of all workers
  };
  // Each worker's once.
  Ends TakeEnds(uint16_t worker);

 private:
  struct Lane {
    explicit Lane(MemorySource& memory) : frames(memory, kFrames), notices(memory, kNotices) {}
    SpscRing<HandedFrame> frames;
    SpscRing<stack::LinkNotice> notices;
  };
  Lane& LaneOf(uint16_t from, uint16_t to) { return *lanes_[size_t{from} * bells_.size() + to]; }

  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<std::unique_ptr<Doorbell>> bells_;
  bool ok_ = true;
};

}  // namespace tern::runtime

#endif  // TERN_RUNTIME_HANDOVER_H_
