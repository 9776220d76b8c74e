#include "apps/wire/forwarder.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "apps/session.h"

namespace tern::apps {
namespace {

// What goes into the frame's own header scratch; the rest is referred to where it lies.
constexpr uint32_t kHead = 64;

}  // namespace

OneWay::OneWay(Device* from, Device* to) : from_(*from), to_(*to), frames_out_(kBurst) {}

bool OneWay::Compose(const RxFrame& in, TxFrame& out) {
  const uint32_t head = std::min(in.buffer->length, kHead);
  std::memcpy(out.header.data(), in.buffer->data, head);
  out.header_length = static_cast<uint16_t>(head);
  out.slice_count = 0;
  uint32_t skip = head;
  for (Buffer* piece = in.buffer; piece != nullptr; piece = piece->next) {
    if (piece->length > skip) {
      if (out.slice_count == TxFrame::kMaxSlices) return false;
      out.slices[out.slice_count++] = {
          .data = piece->data + skip, .length = piece->length - skip, .owner = piece};
    }
    skip = 0;
  }
  return true;
}

size_t OneWay::Turn() {
  to_.Flush(0);
  const size_t room = std::min(kBurst, to_.TransmitRoom(0));
  if (room == 0) return 0;
  const size_t count = from_.Receive(0, std::span(received_).first(room));
  if (count == 0) return 0;
  size_t good = 0;
  for (size_t i = 0; i < count; ++i) {
    if (!Compose(received_[i], frames_out_[good])) {
      ++dropped_;
      continue;
    }
    octets_ += frames_out_[good].header_length + frames_out_[good].payload_length();
    ++good;
  }
  to_.Transmit(0, std::span(frames_out_).first(good));
  frames_ += good;
  // The port took references of its own on what it did not copy.
  for (size_t i = 0; i < count; ++i) from_.pool(0).Release(received_[i].buffer);
  return count;
}

void OneWay::AddTo(Report& report) const {
  report.Count("frames", "frames", frames_);
  report.Octets("octets", "octets", octets_);
  report.Count("too_many_pieces", "in too many pieces", dropped_);
  const DeviceCounters counters = to_.counters();
  if (!counters.impaired) return;
  const ImpairmentTotals& did = counters.tx_impairment;
  AddImpairment(report, "", "",
                {.seen = did.seen,
                 .lost = did.lost,
                 .overflowed = did.overflowed,
                 .duplicated = did.duplicated,
                 .reordered = did.reordered,
                 .corrupted = did.corrupted});
}

}  // namespace tern::apps
