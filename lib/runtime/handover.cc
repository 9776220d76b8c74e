#include "runtime/handover.h"

namespace tern::runtime {

Handover::Handover(MemorySource& memory, uint16_t workers) {
  for (uint16_t i = 0; i < workers; ++i) bells_.push_back(std::make_unique<Doorbell>());
  for (size_t i = 0; i < size_t{workers} * workers; ++i) {
    lanes_.push_back(std::make_unique<Lane>(memory));
    ok_ = ok_ && lanes_.back()->frames.ok() && lanes_.back()->notices.ok();
  }
}

Handover::Ends Handover::TakeEnds(uint16_t worker) {
  Ends ends;
  for (uint16_t other = 0; other < bells_.size(); ++other) {
    ends.frames_out.push_back(LaneOf(worker, other).frames.TakeProducer());
    ends.frames_in.push_back(LaneOf(other, worker).frames.TakeConsumer());
    ends.notices_out.push_back(LaneOf(worker, other).notices.TakeProducer());
    ends.notices_in.push_back(LaneOf(other, worker).notices.TakeConsumer());
    ends.bells.push_back(bells_[other].get());
  }
  return ends;
}

}  // namespace tern::runtime
