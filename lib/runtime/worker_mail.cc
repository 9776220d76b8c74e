// What a worker exchanges with other threads: frames that another worker owns, neighbours learned, calls to
// make.
#include <algorithm>

#include "runtime/worker.h"

namespace tern::runtime {

// Whether the frame's owner has to be computed. A device that steers is believed for TCP, which is what it
// hashes as we do; for the rest (an ICMP error belongs to the tuple that it quotes) its choice means nothing.
bool Worker::MustLook(const RxFrame& frame, bool device_steers) const {
  if (!device_steers || !frame.has_rss_hash) return true;
  const std::span<const uint8_t> bytes = frame.buffer->bytes();
  if (bytes.size() < wire::kEthernetHeader + 20) return true;
  const uint16_t type = wire::LoadBe16(bytes.data() + 12);
  const bool tcp = (type == wire::kEtherTypeIpv4 && bytes[23] == wire::kProtocolTcp) ||
                   (type == wire::kEtherTypeIpv6 && bytes[20] == wire::kProtocolTcp);
  return !tcp || steering_.OwnerOfHash(frame.rss_hash) != index_;
}

size_t Worker::Sort(std::span<RxFrame> frames, uint16_t interface) {
  size_t ours = 0;
  for (const RxFrame& frame : frames) {
    uint16_t owner = index_;
    if (MustLook(frame, device_steers_[interface])) {
      owner = steering_.OwnerOfFrame(frame.buffer->bytes(), index_);
    }
    if (owner == index_) {
      frames[ours++] = frame;
      continue;
    }
    Outbox& outbox = outboxes_[owner];
    outbox.frames[outbox.count++] = {frame, interface};
  }
  FlushOutboxes();
  return ours;
}

void Worker::GiveToShard(std::span<RxFrame> frames, uint16_t interface) {
  shard_.Input(frames, interface, now_);
  if (count_ == 1) return;
  std::array<stack::ForeignFrame, kRxBurst> foreign;
  while (const size_t count = shard_.TakeForeign(foreign)) {
    for (size_t i = 0; i < count; ++i) {
      Outbox& outbox = outboxes_[foreign[i].owner];
      outbox.frames[outbox.count++] = {foreign[i].frame, foreign[i].interface};
    }
    FlushOutboxes();
  }
}

void Worker::FlushOutboxes() {
  for (uint16_t owner = 0; owner < count_; ++owner) {
    if (outboxes_[owner].count != 0) FlushOutbox(owner);
  }
}

void Worker::FlushOutbox(uint16_t owner) {
  Outbox& outbox = outboxes_[owner];
  const std::span<const HandedFrame> frames(outbox.frames.data(), outbox.count);
  const size_t pushed = ends_.frames_out[owner].PushSome(frames);
  if (pushed != 0) ends_.bells[owner]->Ring();
  counts_.handed_over += pushed;
  DropFrames(frames.subspan(pushed), DropReason::kHandoverRingFull);
  outbox.count = 0;
}

void Worker::DropFrames(std::span<const HandedFrame> frames, DropReason reason) {
  for (const HandedFrame& handed : frames) {
    Buffer* last = handed.frame.buffer;
    while (last->next != nullptr) last = last->next;
    Release(handed.frame.buffer, last);
  }
  drops_.Count(reason, frames.size());
}

bool Worker::TakeHandedIn() {
  bool any = false;
  for (uint16_t from = 0; from < count_; ++from) {
    if (from == index_) continue;
    const size_t count = ends_.frames_in[from].PopSome(handed_);
    counts_.handed_in += count;
    any |= count != 0;
    // Runs of one interface go in together.
    for (size_t begin = 0, end = 0; begin < count; begin = end) {
      const uint16_t interface = handed_[begin].interface;
      size_t length = 0;
      for (; end < count && handed_[end].interface == interface; ++end)
        rx_frames_[length++] = handed_[end].frame;
      GiveToShard(std::span(rx_frames_).first(length), interface);
    }
  }
  return any;
}

void Worker::ShareLinks() {
  std::array<stack::LinkNotice, 16> notices;
  for (uint16_t from = 0; from < count_; ++from) {
    if (from == index_) continue;
    const size_t count = ends_.notices_in[from].PopSome(notices);
    for (size_t i = 0; i < count; ++i) shard_.OnLinkNotice(notices[i], now_);
  }
  const size_t learned = shard_.TakeLinkNotices(notices);
  if (learned == 0) return;
  for (uint16_t to = 0; to < count_; ++to) {
    if (to == index_) continue;
    // A notice that does not fit is lost: whoever misses a neighbour asks for it itself, and what routers
    // said is told anew at their next word.
    ends_.notices_out[to].PushSome(std::span<const stack::LinkNotice>(notices).first(learned));
    ends_.bells[to]->Ring();
  }
}

bool Worker::TakeControls() {
  Control control;
  bool any = false;
  while (controls_.Pop(control)) {
    control.run(*this, control.argument);
    any = true;
  }
  return any;
}

}  // namespace tern::runtime
