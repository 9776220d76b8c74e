#include "drivers_glue/impairment_device.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "drivers_glue/frame_checksum.h"

namespace tern {
namespace {

// Copies a received frame's pieces, or a frame to send, into one row.
void Flatten(const Buffer* chain, std::vector<uint8_t>& out) {
  out.clear();
  for (; chain != nullptr; chain = chain->next)
    out.insert(out.end(), chain->data, chain->data + chain->length);
}

void Flatten(const TxFrame& frame, std::vector<uint8_t>& out) {
  out.assign(frame.header.begin(), frame.header.begin() + frame.header_length);
  for (size_t i = 0; i < frame.slice_count; ++i) {
    const TxSlice& slice = frame.slices[i];
    out.insert(out.end(), slice.data, slice.data + slice.length);
  }
  if (frame.needs_ip_checksum && !frame.is_ipv6) FillIpChecksum(out, frame.l2_length, frame.l3_length);
  if (frame.needs_tcp_checksum) FillTcpChecksum(out, size_t{frame.l2_length} + frame.l3_length);
}

size_t LengthOf(const Buffer* chain) {
  size_t length = 0;
  for (; chain != nullptr; chain = chain->next) length += chain->length;
  return length;
}

// In place: a received frame is the receiver's own.
void FlipBitOf(Buffer* chain, uint64_t bit) {
  bit %= std::max<size_t>(LengthOf(chain), 1) * 8;
  for (; chain != nullptr; chain = chain->next) {
    if (bit < uint64_t{chain->length} * 8) {
      FlipBit(std::span(chain->data, chain->length), bit);
      return;
    }
    bit -= uint64_t{chain->length} * 8;
  }
}

}  // namespace

ImpairmentDevice::ImpairmentDevice(std::unique_ptr<Device> inner, const Impairment& impairment,
                                   std::function<Instant()> clock)
    : inner_(std::move(inner)), clock_(std::move(clock)), info_(inner_->info()) {
  info_.tx_ip_checksum = false;
  info_.tx_tcp_checksum = false;
  info_.tso = false;
  info_.offload_summary += ", impaired: transmit offloads off";
  Prng seeds(impairment.seed);
  for (uint16_t q = 0; q < info_.queue_count; ++q) {
    const uint64_t rx_seed = seeds.Next64();
    const uint64_t tx_seed = seeds.Next64();
    queues_.push_back(std::make_unique<Queue>(impairment, rx_seed, tx_seed));
  }
}

size_t ImpairmentDevice::Receive(uint16_t q, std::span<RxFrame> out) {
  Queue& queue = *queues_[q];
  const Instant now = clock_();
  SendHeld(q, queue, now);
  size_t count = DeliverHeld(q, queue, out, now);
  // Bounded: a device that always has more would keep us here while all of it is lost.
  for (size_t rounds = 0; count == 0 && rounds < 4; ++rounds) {
    const uint64_t before = queue.rx.counters().seen.value();
    count = ReceiveFresh(q, queue, out, now);
    if (queue.rx.counters().seen.value() == before) break;
    if (count == 0) count = DeliverHeld(q, queue, out, now);
  }
  queue.rx.counters().delivered.Add(count);
  return count;
}

// Frames that meet no delay, while none is waiting before them, go through as they are.
size_t ImpairmentDevice::ReceiveFresh(uint16_t q, Queue& queue, std::span<RxFrame> out, Instant now) {
  const size_t fresh = inner_->Receive(q, out);
  size_t kept = 0;
  Buffer* dropped = nullptr;
  for (size_t i = 0; i < fresh; ++i) {
    RxFrame frame = out[i];
    const ImpairedLink::Fate fate = queue.rx.Decide(LengthOf(frame.buffer), now);
    bool pass = false;
    if (!fate.lost) {
      if (fate.corrupted) {
        // A sum that the device vouches for may be unfinished in the frame (virtio): damage has to show.
        if (frame.l4_checksum == ChecksumState::kGood) FinishChecksums(frame.buffer);
        FlipBitOf(frame.buffer, fate.corrupt_bit);
        frame.ip_checksum = frame.l4_checksum = ChecksumState::kUnknown;
      }
      pass = fate.leaves <= now && queue.rx.empty();
      if (!pass || fate.duplicated) {
        Flatten(frame.buffer, queue.scratch);
        if (!pass) queue.rx.Hold(queue.scratch, fate.leaves, frame);
        if (fate.duplicated && queue.rx.Hold(queue.scratch, fate.leaves, frame))
          queue.rx.counters().duplicated.Add(1);
      }
    }
    if (pass) {
      out[kept++] = frame;
      continue;
    }
    for (Buffer* piece = frame.buffer; piece != nullptr;) {
      Buffer* next = piece->next;
      piece->next = dropped;
      dropped = piece;
      piece = next;
    }
  }
  inner_->pool(q).Release(dropped);
  return kept;
}

size_t ImpairmentDevice::DeliverHeld(uint16_t q, Queue& queue, std::span<RxFrame> out, Instant now) {
  size_t count = 0;
  while (count < out.size()) {
    const std::span<const uint8_t> bytes = queue.rx.Due(now);
    if (bytes.empty()) break;
    Buffer* buffer = Materialise(q, bytes);
    if (buffer == nullptr) break;  // the stack holds too much: it waits a little longer
    out[count] = queue.rx.about();
    out[count++].buffer = buffer;
    queue.rx.Pop();
  }
  return count;
}

Buffer* ImpairmentDevice::Materialise(uint16_t q, std::span<const uint8_t> bytes) {
  BufferPool& pool = inner_->pool(q);
  Buffer* first = nullptr;
  Buffer** link = &first;
  while (!bytes.empty()) {
    Buffer* piece = nullptr;
    if (!pool.Allocate(std::span(&piece, 1))) {
      pool.Release(first);
      return nullptr;
    }
    const size_t length = std::min<size_t>(bytes.size(), piece->tailroom);
    std::memcpy(piece->data, bytes.data(), length);
    piece->length = static_cast<uint32_t>(length);
    piece->tailroom -= static_cast<uint32_t>(length);
    bytes = bytes.subspan(length);
    *link = piece;
    link = &piece->next;
  }
  return first;
}

size_t ImpairmentDevice::TransmitRoom(uint16_t q) {
  Queue& queue = *queues_[q];
  const Instant now = clock_();
  SendHeld(q, queue, now);
  // What is due but does not fit means that the device is full: say so, or the stack would outrun it.
  if (!queue.tx.Due(now).empty()) return 0;
  return std::min(inner_->TransmitRoom(q), kBurst);
}

void ImpairmentDevice::TakeForTransmit(Queue& queue, const TxFrame& frame, Instant now, size_t& direct) {
  const ImpairedLink::Fate fate = queue.tx.Decide(frame.header_length + frame.payload_length(), now);
  if (fate.lost) return;
  const bool pass = fate.leaves <= now && queue.tx.empty() && !fate.corrupted;
  if (pass) queue.burst[direct++] = frame;
  if (pass && !fate.duplicated) return;
  // The payload is the sender's, who may send it again: damage a copy.
  Flatten(frame, queue.scratch);
  if (fate.corrupted) FlipBit(queue.scratch, fate.corrupt_bit);
  if (!pass) queue.tx.Hold(queue.scratch, fate.leaves);
  if (fate.duplicated && queue.tx.Hold(queue.scratch, fate.leaves)) queue.tx.counters().duplicated.Add(1);
}

void ImpairmentDevice::Transmit(uint16_t q, std::span<const TxFrame> frames) {
  Queue& queue = *queues_[q];
  const Instant now = clock_();
  size_t direct = 0;
  for (const TxFrame& frame : frames) TakeForTransmit(queue, frame, now, direct);
  if (direct > 0) inner_->Transmit(q, std::span(queue.burst.data(), direct));
  queue.tx.counters().delivered.Add(direct);
  SendHeld(q, queue, now);
}

// Held frames become frames to send only now, in buffers that the inner device takes over or copies at once.
void ImpairmentDevice::SendHeld(uint16_t q, Queue& queue, Instant now) {
  if (queue.tx.Due(now).empty()) return;
  size_t room = std::min(inner_->TransmitRoom(q), kBurst);
  Buffer* used = nullptr;
  size_t count = 0;
  while (count < room) {
    const std::span<const uint8_t> bytes = queue.tx.Due(now);
    if (bytes.empty()) break;
    TxFrame& frame = queue.burst[count];
    const size_t header = std::min(bytes.size(), TxFrame::kMaxHeader);
    frame.header_length = static_cast<uint16_t>(header);
    frame.slice_count = 0;
    frame.needs_ip_checksum = frame.needs_tcp_checksum = false;
    frame.tso_segment = 0;
    std::copy_n(bytes.begin(), header, frame.header.begin());
    Buffer* payload = Materialise(q, bytes.subspan(header));
    if (payload == nullptr && header < bytes.size()) break;
    while (payload != nullptr) {
      Buffer* next = payload->next;
      if (frame.slice_count < TxFrame::kMaxSlices) {
        frame.slices[frame.slice_count++] = {payload->data, payload->length, payload};
      }
      payload->next = used;
      used = payload;
      payload = next;
    }
    queue.tx.Pop();
    ++count;
  }
  if (count > 0) inner_->Transmit(q, std::span(queue.burst.data(), count));
  inner_->pool(q).Release(used);
  queue.tx.counters().delivered.Add(count);
}

void ImpairmentDevice::Flush(uint16_t q) {
  SendHeld(q, *queues_[q], clock_());
  inner_->Flush(q);
}

bool ImpairmentDevice::WaitForReceive(uint16_t q, int fd_wake, Duration timeout) {
  const Instant next = NextInternalEvent(q);
  if (next != Instant::Never()) {
    const Duration until = next - clock_();
    if (until <= Duration::Zero()) return true;
    timeout = std::min(timeout, until);
  }
  return inner_->WaitForReceive(q, fd_wake, timeout);
}

Instant ImpairmentDevice::NextInternalEvent(uint16_t q) const {
  const Queue& queue = *queues_[q];
  return std::min({queue.rx.NextDeparture(), queue.tx.NextDeparture(), inner_->NextInternalEvent(q)});
}

DeviceCounters ImpairmentDevice::counters() const {
  const auto add = [](const ImpairmentCounters& from, ImpairmentTotals& to) {
    to.seen += from.seen.value();
    to.lost += from.lost.value();
    to.overflowed += from.overflowed.value();
    to.duplicated += from.duplicated.value();
    to.reordered += from.reordered.value();
    to.corrupted += from.corrupted.value();
  };
  DeviceCounters counters = inner_->counters();
  counters.impaired = true;
  for (const auto& queue : queues_) {
    add(queue->rx.counters(), counters.rx_impairment);
    add(queue->tx.counters(), counters.tx_impairment);
  }
  return counters;
}

void ImpairmentDevice::Stop() {
  for (auto& queue : queues_) {
    queue->rx.Clear();
    queue->tx.Clear();
  }
  inner_->Stop();
}

}  // namespace tern
