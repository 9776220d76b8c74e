// A bad network around any device.
#ifndef TERN_DRIVERS_GLUE_IMPAIRMENT_DEVICE_H_
#define TERN_DRIVERS_GLUE_IMPAIRMENT_DEVICE_H_

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "drivers_glue/impaired_link.h"
#include "drivers_glue/impairment.h"
#include "runtime/device.h"

namespace tern {

// Threads as the inner device. Turns the inner device's transmit offloads off, because damage must hit
// finished frames: a checksum computed afterwards would hide it.
class ImpairmentDevice final : public Device {
 public:
  // `clock` is read once per call, from the thread that calls.
  ImpairmentDevice(std::unique_ptr<Device> inner, const Impairment& impairment,
                   std::function<Instant()> clock);

  const DeviceInfo& info() const override { return info_; }
  BufferPool& pool(uint16_t q) override { return inner_->pool(q); }
  size_t Receive(uint16_t q, std::span<RxFrame> out) override;
  size_t TransmitRoom(uint16_t q) override;
  void Transmit(uint16_t q, std::span<const TxFrame> frames) override;
  void Flush(uint16_t q) override;
  bool WaitForReceive(uint16_t q, int fd_wake, Duration timeout) override;
  Instant NextInternalEvent(uint16_t q) const override;
  // The inner device's, and what was done to its frames.
  DeviceCounters counters() const override;
  bool LinkUp() const override { return inner_->LinkUp(); }
  bool AddMulticast(const std::array<uint8_t, 6>& mac) override { return inner_->AddMulticast(mac); }
  void Stop() override;
  uint64_t buffers_outstanding() const override { return inner_->buffers_outstanding(); }

  const ImpairmentCounters& received(uint16_t q) const { return queues_[q]->rx.counters(); }
  const ImpairmentCounters& sent(uint16_t q) const { return queues_[q]->tx.counters(); }

 private:
  static constexpr size_t kBurst = 64;

  struct Queue {
    Queue(const Impairment& impairment, uint64_t rx_seed, uint64_t tx_seed)
        : rx(impairment, rx_seed), tx(impairment, tx_seed) {}
    ImpairedLink rx;
    ImpairedLink tx;
    std::array<TxFrame, kBurst> burst;
    std::vector<uint8_t> scratch;
  };

  size_t ReceiveFresh(uint16_t q, Queue& queue, std::span<RxFrame> out, Instant now);
  size_t DeliverHeld(uint16_t q, Queue& queue, std::span<RxFrame> out, Instant now);
  Buffer* Materialise(uint16_t q, std::span<const uint8_t> bytes);
  void SendHeld(uint16_t q, Queue& queue, Instant now);
  void TakeForTransmit(Queue& queue, const TxFrame& frame, Instant now, size_t& direct);

  std::unique_ptr<Device> inner_;
  std::function<Instant()> clock_;
  DeviceInfo info_;
  std::vector<std::unique_ptr<Queue>> queues_;
};

}  // namespace tern

#endif  // TERN_DRIVERS_GLUE_IMPAIRMENT_DEVICE_H_
