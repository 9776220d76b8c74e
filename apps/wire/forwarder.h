// Moves frames between two ports, both ways: a cable, as bad as the ports' impairment makes it.
#ifndef TERN_APPS_WIRE_FORWARDER_H_
#define TERN_APPS_WIRE_FORWARDER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "apps/report.h"
#include "drivers_glue/open.h"

namespace tern::apps {

// One direction. Takes only as many frames as the other side has room for, so that the port received from is
// the queue, and drops like one.
class OneWay {
 public:
  // Both must outlive this. Thread: one, the only one on queue 0 of both ports.
  OneWay(Device* from, Device* to);

  // Moves one burst; returns how many frames came.
  size_t Turn();

  // Its figures, with what the impairment of the port sent to did, into the present section of `report`.
  void AddTo(Report& report) const;

  uint64_t frames() const { return frames_; }
  uint64_t octets() const { return octets_; }
  // Frames in more pieces than can be sent on.
  uint64_t dropped() const { return dropped_; }

 private:
  static constexpr size_t kBurst = 32;

  bool Compose(const RxFrame& in, TxFrame& out);

  Device& from_;
  Device& to_;
  std::array<RxFrame, kBurst> received_;
  std::vector<TxFrame> frames_out_;  // kBurst of them: too large for a stack frame
  uint64_t frames_ = 0;
  uint64_t octets_ = 0;
  uint64_t dropped_ = 0;
};

}  // namespace tern::apps

#endif  // TERN_APPS_WIRE_FORWARDER_H_
