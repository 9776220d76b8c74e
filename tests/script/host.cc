#include "script/host.h"

#include <algorithm>
#include <array>

#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"

namespace tern::script {
namespace {

constexpr wire::MacAddress kOurMac({2, 0, 0, 0, 0, 1});
constexpr wire::MacAddress kPeerMac({2, 0, 0, 0, 0, 2});
// Where a deadline is due and nothing happens, time goes on by about one tick of the wheel.
constexpr Duration kNudge = Duration::Micros(17);

stack::ShardConfig ShardConfigOf(const HostOptions& options) {
  stack::ShardConfig config;
  config.tcp = options.tcp;
  stack::InterfaceConfig interface;
  interface.mac = kOurMac;
  interface.mtu = options.mtu;
  const bool v4 = options.local.IsV4();
  interface.addresses.push_back({.prefix = {options.local, static_cast<uint8_t>(v4 ? 24 : 64)}});
  config.interfaces.push_back(interface);
  // Everybody is on our link.
  config.routes.push_back({.destination = {v4 ? wire::IpAddress::UnspecifiedV4() : wire::IpAddress(), 0}});
  config.max_connections = 256;
  config.max_half_open = 256;
  config.max_time_wait = 256;
  config.max_listeners = 64;
  config.max_neighbours = 64;
  for (size_t i = 0; i < config.isn_secret.size(); ++i) {
    config.isn_secret[i] = config.table_secret[i] = static_cast<uint8_t>(7 * i + 1);
  }
  return config;
}

}  // namespace

Host::Host(const HostOptions& options)
    : options_(options),
      now_(Instant::FromNanos(1'000'000'000'000)),
      pool_(std::make_unique<HeapBufferPool>(
          HeapBufferPool::Options{.capacity = std::max(2'048u, options.largest_frame + 64)})),
      shard_(std::make_unique<stack::Shard>(ShardConfigOf(options), HeapMemory(), now_)),
      sockets_(std::make_unique<socket::Sockets>(
          *shard_, *pool_, socket::SocketsConfig{.max_descriptors = 256, .max_sockets = 256})) {}

Host::~Host() {
  shard_->CloseAll(/*abort=*/true, now_);
  step_ = nullptr;
  Settle();
  sockets_.reset();
  shard_.reset();
}

void Host::Give(const Bytes& packet) {
  Bytes frame(14);
  const bool v6 = packet[0] >> 4 == 6;
  wire::WriteEthernet(
      {.dst = kOurMac, .src = kPeerMac, .ether_type = v6 ? wire::kEtherTypeIpv6 : wire::kEtherTypeIpv4},
      frame.data());
  frame.insert(frame.end(), packet.begin(), packet.end());
  RxFrame rx{.buffer = pool_->AllocateWith(frame)};
  shard_->Input({&rx, 1}, 0, now_);
  Settle();
}

void Host::Settle() {
  do {
    sockets_->Pump(now_);
    if (step_) step_();
  } while (Collect() || shard_->HasEvents());
  Recycle();
}

bool Host::Collect() {
  std::array<TxFrame, 16> frames;
  bool any = false;
  while (const size_t n = shard_->PollTransmit(0, now_, frames)) {
    any = true;
    for (size_t i = 0; i < n; ++i) Take(frames[i]);
    Recycle();
    shard_->OnLinkNotice({.address = options_.remote, .mac = kPeerMac, .interface = 0}, now_);
  }
  Recycle();
  return any;
}

void Host::Take(const TxFrame& frame) {
  Bytes bytes(frame.header.begin() + frame.l2_length, frame.header.begin() + frame.header_length);
  for (size_t i = 0; i < frame.slice_count; ++i) {
    bytes.insert(bytes.end(), frame.slices[i].data, frame.slices[i].data + frame.slices[i].length);
  }
  LivePacket live{.at = now_};
  std::span<const uint8_t> body;
  uint8_t protocol = 0;
  if (bytes[0] >> 4 == 4 && frame.l3_length != 0) {
    wire::Ipv4Header ip;
    if (wire::ParseIpv4(bytes, ip) != wire::ParseError::kNone) fault_ = "an IPv4 header that is broken";
    body = ip.Payload(bytes);
    live.src = ip.src, live.dst = ip.dst, live.ecn = ip.traffic_class & 3, protocol = ip.protocol;
  } else if (bytes[0] >> 4 == 6 && frame.l3_length != 0) {
    wire::Ipv6Header ip;
    if (wire::ParseIpv6(bytes, ip) != wire::ParseError::kNone) fault_ = "an IPv6 header that is broken";
    body = ip.Payload(bytes);
    live.src = ip.src, live.dst = ip.dst, live.ecn = ip.traffic_class & 3, protocol = ip.protocol;
  }
  if (protocol != wire::kProtocolTcp) return;
  wire::TcpOptions parsed;
  if (wire::ParseTcp(body, live.tcp, parsed) != wire::ParseError::kNone || parsed.malformed) {
    fault_ = "a TCP header that is broken";
    return;
  }
  if (!wire::TransportChecksumValid(live.src, live.dst, protocol, body)) fault_ = "a wrong TCP checksum";
  live.options.assign(body.begin() + wire::kTcpMinHeader, body.begin() + live.tcp.data_offset);
  live.payload.assign(body.begin() + live.tcp.data_offset, body.end());
  sent_.push_back(std::move(live));
}

void Host::Advance(Instant until, const std::function<bool()>& stop, const std::function<Instant()>& more) {
  while (!stop()) {
    const Instant next = std::min({shard_->NextDeadline(now_), sockets_->NextDeadline(), more()});
    if (next > until) break;
    now_ = std::max(now_, next);
    const size_t before = sent_.size();
    while (shard_->AdvanceTimers(now_)) {
    }
    Settle();
    const bool stuck = sent_.size() == before &&
                       std::min({shard_->NextDeadline(now_), sockets_->NextDeadline(), more()}) <= now_;
    if (stuck && !stop()) now_ = std::min(now_ + kNudge, std::max(until, now_ + Duration::Nanos(1)));
  }
  if (stop() || now_ >= until) return;
  now_ = until;
  while (shard_->AdvanceTimers(now_)) {
  }
  Settle();
}

}  // namespace tern::script
