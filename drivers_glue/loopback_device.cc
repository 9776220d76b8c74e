#include "drivers_glue/loopback_device.h"

#include <rte_lcore.h>
#include <sys/random.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <vector>

#include "absl/strings/str_cat.h"
#include "drivers_glue/counter.h"
#include "drivers_glue/eal.h"
#include "drivers_glue/loopback_wire.h"
#include "drivers_glue/mbuf_pool.h"
#include "drivers_glue/stable_mac.h"
#include "drivers_glue/tx_composer.h"

namespace tern {
namespace {

constexpr size_t kBurst = 64;
constexpr uint16_t kUsualMtu = 1500;
constexpr uint32_t kEthernetAndTags = 14 + 2 * 4;

std::atomic<unsigned> g_device_serial{0};

class LoopbackDevice final : public Device {
 public:
  // `peer_end` == `end`: what is sent comes back.
  static absl::StatusOr<std::unique_ptr<Device>> Create(const DeviceSpec& spec, const DeviceOptions& options,
                                                        std::shared_ptr<LoopbackWire> wire, int end,
                                                        int peer_end);
  ~LoopbackDevice() override { Stop(); }

  const DeviceInfo& info() const override { return info_; }
  BufferPool& pool(uint16_t q) override { return *queues_[q]->pool; }
  size_t Receive(uint16_t q, std::span<RxFrame> out) override;
  size_t TransmitRoom(uint16_t q) override { return stopped_ ? 0 : queues_[q]->composer->room(); }
  void Transmit(uint16_t q, std::span<const TxFrame> frames) override;
  void Flush(uint16_t /*q*/) override {}
  bool WaitForReceive(uint16_t /*q*/, int /*fd_wake*/, Duration /*timeout*/) override { return false; }
  DeviceCounters counters() const override;
  bool LinkUp() const override { return !stopped_ && wire_->plugged(peer_end_); }
  bool AddMulticast(const std::array<uint8_t, 6>& /*mac*/) override { return false; }
  void Stop() override;
  uint64_t buffers_outstanding() const override;

 private:
  struct alignas(RTE_CACHE_LINE_SIZE) Queue {
    std::unique_ptr<MbufPool> pool;
    std::unique_ptr<TxComposer> composer;
    std::shared_ptr<LoopbackInbox> peer;  // as of `version`
    uint64_t version = 0;
    Counter rx_frames, rx_bytes, tx_frames, tx_bytes, tx_rejected, rx_no_buffer, tx_overflow;
  };

  LoopbackDevice(std::shared_ptr<LoopbackWire> wire, int end, int peer_end)
      : wire_(std::move(wire)), end_(end), peer_end_(peer_end) {}
  absl::Status CreateQueues(const DeviceOptions& options);
  static void CopyOut(const rte_mbuf* from, rte_mbuf* to);

  std::shared_ptr<LoopbackWire> wire_;
  int end_;
  int peer_end_;
  std::shared_ptr<LoopbackInbox> inbox_;
  DeviceInfo info_;
  std::vector<std::unique_ptr<Queue>> queues_;
  bool stopped_ = false;
};

absl::Status LoopbackDevice::CreateQueues(const DeviceOptions& options) {
  std::array<uint8_t, LoopbackInbox::kKeyLength> key{};
  if (getrandom(key.data(), key.size(), 0) != static_cast<ssize_t>(key.size())) {
    return absl::InternalError("the kernel gives no random bytes for the loopback's RSS key");
  }
  const auto socket = static_cast<int>(rte_socket_id());
  inbox_ = std::make_shared<LoopbackInbox>(key);
  absl::Status status = inbox_->CreateRings(options.queues, options.rx_ring, socket);
  if (!status.ok()) return status;
  const unsigned serial = g_device_serial.fetch_add(1);
  for (uint16_t q = 0; q < options.queues; ++q) {
    auto queue = std::make_unique<Queue>();
    MbufPool::Options pool;
    pool.name = absl::StrCat("tern_l", serial, "_", q, "_rx");
    pool.count = options.buffers + options.rx_ring + 2 * 384 + 4 * uint32_t{kBurst};
    DeviceSpec spec;
    pool.room = RequiredDataRoom(spec, info_.mtu);
    pool.budget = options.buffers;
    pool.socket = socket;
    absl::StatusOr<std::unique_ptr<MbufPool>> made_pool = MbufPool::Create(pool);
    if (!made_pool.ok()) return made_pool.status();
    queue->pool = *std::move(made_pool);
    TxComposer::Options composer;
    composer.name = absl::StrCat("tern_l", serial, "_", q);
    // Every ring of the peer may be full of ours.
    composer.ring_size = options.tx_ring * uint32_t{options.queues};
    composer.max_frame = info_.mtu + kEthernetAndTags;
    composer.max_segments = TxFrame::kMaxSlices + 1;
    composer.socket = socket;
    absl::StatusOr<std::unique_ptr<TxComposer>> made_composer = TxComposer::Create(composer);
    if (!made_composer.ok()) return made_composer.status();
    queue->composer = *std::move(made_composer);
    queues_.push_back(std::move(queue));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Device>> LoopbackDevice::Create(const DeviceSpec& spec,
                                                               const DeviceOptions& options,
                                                               std::shared_ptr<LoopbackWire> wire, int end,
                                                               int peer_end) {
  if (!EalIsRunning())
    return absl::FailedPreconditionError("start the EAL (EalStart) before opening a device");
  if (options.queues == 0)
    return absl::InvalidArgumentError(
        "device \"loopback\": queues = 0, expected 1 or more: give it a worker");
  std::unique_ptr<LoopbackDevice> device(new LoopbackDevice(std::move(wire), end, peer_end));
  device->info_.name = spec.text;
  device->info_.driver = "loopback";
  device->info_.mtu = options.mtu != 0 ? options.mtu : kUsualMtu;
  device->info_.queue_count = options.queues;
  device->info_.mac = options.mac.value_or(StableMac(absl::StrCat(spec.text, "/", end)));
  absl::Status status = device->CreateQueues(options);
  if (!status.ok()) return status;
  DeviceInfo& info = device->info_;
  info.rss = options.queues > 1;
  if (info.rss) {
    info.rss_key.assign(device->inbox_->key().begin(), device->inbox_->key().end());
    for (size_t i = 0; i < LoopbackInbox::kTableSize; ++i) {
      info.rss_table.push_back(static_cast<uint16_t>(i % options.queues));
    }
  }
  info.offload_summary =
      absl::StrCat("all checksums: software, payload: by reference until received, steering: ",
                   info.rss ? "device" : "software", ", idle: polls");
  device->wire_->Plug(end, device->inbox_);
  return device;
}

void LoopbackDevice::CopyOut(const rte_mbuf* from, rte_mbuf* to) {
  to->data_len = static_cast<uint16_t>(from->pkt_len);
  to->pkt_len = from->pkt_len;
  auto* out = rte_pktmbuf_mtod(to, uint8_t*);
  for (const rte_mbuf* piece = from; piece != nullptr; piece = piece->next) {
    rte_memcpy(out, rte_pktmbuf_mtod(piece, const void*), piece->data_len);
    out += piece->data_len;
  }
}

size_t LoopbackDevice::Receive(uint16_t q, std::span<RxFrame> out) {
  if (stopped_) return 0;
  Queue& queue = *queues_[q];
  std::array<rte_mbuf*, kBurst> arrived;
  std::array<rte_mbuf*, kBurst> ours;
  const size_t count = inbox_->Take(q, std::span(arrived.data(), std::min(out.size(), kBurst)));
  if (count == 0) return 0;
  size_t kept = 0;
  uint64_t bytes = 0;
  if (rte_pktmbuf_alloc_bulk(queue.pool->mempool(), ours.data(), static_cast<unsigned>(count)) == 0) {
    for (size_t i = 0; i < count; ++i) {
      rte_mbuf* from = arrived[i];
      if (from->pkt_len > rte_pktmbuf_tailroom(ours[i])) {  // the peer's MTU is larger
        rte_pktmbuf_free(ours[i]);
        continue;
      }
      CopyOut(from, ours[i]);
      bytes += from->pkt_len;
      RxFrame& frame = out[kept++];
      frame = RxFrame{};
      frame.has_rss_hash = (from->ol_flags & RTE_MBUF_F_RX_RSS_HASH) != 0;
      frame.rss_hash = from->hash.rss;
      frame.buffer = queue.pool->Adopt(ours[i]);
    }
    queue.pool->CountAdopted();
  } else {
    queue.rx_no_buffer.Add(count);
  }
  rte_pktmbuf_free_bulk(arrived.data(), static_cast<unsigned>(count));
  queue.rx_frames.Add(kept);
  queue.rx_bytes.Add(bytes);
  return kept;
}

void LoopbackDevice::Transmit(uint16_t q, std::span<const TxFrame> frames) {
  Queue& queue = *queues_[q];
  wire_->Refresh(peer_end_, queue.peer, queue.version);
  for (const TxFrame& frame : frames) {
    rte_mbuf* mbuf = queue.composer->Compose(frame);
    if (mbuf == nullptr) {
      queue.tx_rejected.Add(1);
      continue;
    }
    queue.tx_frames.Add(1);
    queue.tx_bytes.Add(mbuf->pkt_len);
    // A cable does not wait: what finds nobody, or no room, at the other end is gone.
    if (queue.peer == nullptr || !queue.peer->Put(queue.peer->QueueOf(mbuf), mbuf)) {
      queue.tx_overflow.Add(1);
      rte_pktmbuf_free(mbuf);
    }
  }
}

DeviceCounters LoopbackDevice::counters() const {
  DeviceCounters sum;
  for (const auto& queue : queues_) {
    sum.rx_frames += queue->rx_frames.value();
    sum.rx_bytes += queue->rx_bytes.value();
    sum.tx_frames += queue->tx_frames.value();
    sum.tx_bytes += queue->tx_bytes.value();
    sum.tx_rejected += queue->tx_rejected.value();
    sum.rx_no_buffer += queue->rx_no_buffer.value();
  }
  return sum;
}

void LoopbackDevice::Stop() {
  if (stopped_) return;
  stopped_ = true;
  wire_->Unplug(end_);
  // What we sent and the other end has not fetched refers to our buffers: take it back.
  std::shared_ptr<LoopbackInbox> peer;
  uint64_t version = 0;
  wire_->Refresh(peer_end_, peer, version);
  if (peer != nullptr) peer->Drain();
  if (inbox_ != nullptr) inbox_->Drain();
  for (auto& queue : queues_) {
    queue->peer = nullptr;
    if (queue->composer != nullptr) queue->composer->DropStock();
  }
}

uint64_t LoopbackDevice::buffers_outstanding() const {
  int64_t held = 0;
  uint64_t in_use = 0;
  for (const auto& queue : queues_) {
    held += queue->pool->held();
    if (stopped_) in_use += queue->pool->in_use() + queue->composer->in_use();
  }
  return stopped_ ? in_use : static_cast<uint64_t>(std::max<int64_t>(held, 0));
}

// Cables by name, for as long as one of their ends is open.
std::mutex g_wires_mutex;
std::map<std::string, std::weak_ptr<LoopbackWire>> g_wires;

}  // namespace

absl::StatusOr<std::pair<std::unique_ptr<Device>, std::unique_ptr<Device>>> OpenLoopbackPair(
    const DeviceOptions& first, const DeviceOptions& second) {
  auto wire = std::make_shared<LoopbackWire>();
  DeviceSpec spec;
  spec.text = "loopback";
  absl::StatusOr<std::unique_ptr<Device>> a = LoopbackDevice::Create(spec, first, wire, wire->Claim(), 1);
  if (!a.ok()) return a.status();
  absl::StatusOr<std::unique_ptr<Device>> b = LoopbackDevice::Create(spec, second, wire, wire->Claim(), 0);
  if (!b.ok()) return b.status();
  return std::make_pair(*std::move(a), *std::move(b));
}

absl::StatusOr<std::unique_ptr<Device>> OpenLoopback(const DeviceSpec& spec, const DeviceOptions& options) {
  const std::string* pair = spec.Find("pair");
  for (const auto& [key, value] : spec.arguments) {
    if (key == "pair") continue;
    return absl::InvalidArgumentError(
        absl::StrCat("device \"", spec.text, "\": unknown argument \"", key, "\"; expected pair=NAME"));
  }
  if (pair == nullptr) {
    auto wire = std::make_shared<LoopbackWire>();
    const int end = wire->Claim();
    return LoopbackDevice::Create(spec, options, wire, end, end);
  }
  std::shared_ptr<LoopbackWire> wire;
  {
    const std::lock_guard<std::mutex> lock(g_wires_mutex);
    wire = g_wires[*pair].lock();
    if (wire == nullptr) g_wires[*pair] = wire = std::make_shared<LoopbackWire>();
  }
  const int end = wire->Claim();
  if (end < 0) {
    return absl::AlreadyExistsError(absl::StrCat("device \"", spec.text, "\": both ends of \"", *pair,
                                                 "\" are in use: close one, or choose another name"));
  }
  return LoopbackDevice::Create(spec, options, wire, end, 1 - end);
}

}  // namespace tern
