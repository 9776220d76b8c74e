#include "sim/world.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/hash.h"
#include "wire/ethernet.h"
#include "wire/icmp.h"
#include "wire/icmpv6.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"

namespace tern::sim {
namespace {

constexpr int kClientHost = 0;
constexpr int kServerHost = 1;
constexpr uint16_t kEchoPort = 7;
// A run that has not ended by then hangs.
constexpr Duration kLongest = Duration::Seconds(4 * 3600);

wire::IpAddress AddressOf(int host, bool ipv6) {
  return *wire::IpAddress::Parse(ipv6 ? (host == 0 ? "fd77::2" : "fd77::1")
                                      : (host == 0 ? "10.77.0.2" : "10.77.0.1"));
}

stack::ShardConfig ConfigOf(int host, const WorldOptions& options, const tcp::TcpConfig& tcp) {
  stack::ShardConfig config;
  config.tcp = tcp;
  config.syn_cookies = options.syn_cookies;
  stack::InterfaceConfig interface;
  interface.mac = *wire::MacAddress::Parse(host == 0 ? "02:00:00:00:00:02" : "02:00:00:00:00:01");
  interface.mtu = options.mtu;
  for (const bool ipv6 : {false, true}) {
    interface.addresses.push_back({.prefix = {AddressOf(host, ipv6), static_cast<uint8_t>(ipv6 ? 64 : 24)}});
  }
  config.interfaces.push_back(interface);
  config.max_connections = 256;
  config.max_half_open = 256;
  config.max_time_wait = 256;
  config.max_neighbours = 16;
  config.seed = options.seed * 2 + static_cast<uint64_t>(host);
  for (size_t i = 0; i < config.table_secret.size(); ++i) {
    config.table_secret[i] = static_cast<uint8_t>(options.seed >> (i % 8)) ^ static_cast<uint8_t>(i + 1);
    config.isn_secret[i] = static_cast<uint8_t>(~config.table_secret[i]);
  }
  return config;
}

tcp::TcpConfig DrawTcp(Prng& prng, tcp::TcpConfig tcp) {
  tcp.sack = prng.Below(4) != 0;
  tcp.timestamps = prng.Below(4) != 0;
  tcp.window_scale = prng.Below(4) != 0;
  tcp.nodelay = prng.Below(2) != 0;
  tcp.congestion = prng.Below(2) != 0 ? tcp::CongestionAlgorithm::kCubic : tcp::CongestionAlgorithm::kNewReno;
  tcp.receive_buffer = 2'048u << prng.Below(9);
  tcp.send_buffer = 4'096u << prng.Below(7);
  if (prng.Below(2) != 0) tcp.receive_buffer_max = tcp.receive_buffer << prng.Below(6);
  if (prng.Below(2) != 0) tcp.send_buffer_max = tcp.send_buffer << prng.Below(6);
  return tcp;
}

// What a router says that has no way to pass `frame` on.
std::vector<uint8_t> TooBig(const std::vector<uint8_t>& frame, uint32_t mtu) {
  wire::EthernetHeader link;
  static_cast<void>(wire::ParseEthernet(frame, link));  // our own frame
  const bool v4 = link.ether_type == wire::kEtherTypeIpv4;
  const uint8_t* const packet = frame.data() + link.header_length();
  const std::span<const uint8_t> quoted(packet, 500);
  wire::IcmpMessage message{.rest = mtu, .body = quoted};
  std::vector<uint8_t> out(link.header_length() + wire::kIpv6Header + wire::kIcmpHeader + quoted.size());
  std::swap(link.dst, link.src);
  wire::WriteEthernet(link, out.data());
  uint8_t* const network = out.data() + link.header_length();
  const auto body = static_cast<uint16_t>(wire::kIcmpHeader + quoted.size());
  size_t header = wire::kIpv4MinHeader;
  if (v4) {
    message.type = wire::kIcmpDestinationUnreachable;
    message.code = wire::kUnreachableFragmentationNeeded;
    wire::WriteIpv4({.src = wire::IpAddress::LoadV4(packet + 16),
                     .dst = wire::IpAddress::LoadV4(packet + 12),
                     .total_length = static_cast<uint16_t>(header + body),
                     .ttl = 64,
                     .protocol = wire::kProtocolIcmp},
                    network);
    wire::WriteIcmp(message, network + header);
  } else {
    header = wire::kIpv6Header;
    message.type = wire::kIcmpv6PacketTooBig;
    const auto src = wire::IpAddress::LoadV6(packet + 24);
    const auto dst = wire::IpAddress::LoadV6(packet + 8);
    wire::WriteIpv6(
        {.src = src, .dst = dst, .payload_length = body, .hop_limit = 64, .protocol = wire::kProtocolIcmpv6},
        network);
    wire::WriteIcmpv6(message, src, dst, network + header);
  }
  out.resize(link.header_length() + header + body);
  return out;
}

LinkOptions DrawLink(Prng& prng) {
  LinkOptions link;
  if (prng.Below(3) != 0) link.loss_ppm = static_cast<uint32_t>(prng.Below(80'000));
  if (prng.Below(3) == 0) link.duplicate_ppm = static_cast<uint32_t>(prng.Below(50'000));
  if (prng.Below(3) == 0) link.corrupt_ppm = static_cast<uint32_t>(prng.Below(20'000));
  if (prng.Below(2) == 0) link.reorder_ppm = static_cast<uint32_t>(prng.Below(200'000));
  link.delay = Duration::Micros(static_cast<int64_t>(50 + prng.Below(50'000)));
  link.reorder_delay = Duration::Micros(static_cast<int64_t>(100 + prng.Below(60'000)));
  if (prng.Below(2) == 0) {
    link.bits_per_second = 1'000'000ull << prng.Below(8);
    link.queue_frames = static_cast<uint32_t>(10 + prng.Below(200));
  }
  return link;
}

// FNV-1a, a word at a time: the trace has to be cheap and the same everywhere.
void Mix(uint64_t& hash, uint64_t word) { hash = (hash ^ word) * 0x100000001b3ull; }

std::string Describe(const tcp::Connection& conn) {
  return "snd_una " + std::to_string(conn.snd_una.value()) + " snd_nxt " +
         std::to_string(conn.snd_nxt.value()) + " snd_end " + std::to_string(conn.snd_end.value()) +
         " snd_wnd " + std::to_string(conn.snd_wnd) + " cwnd " + std::to_string(conn.cwnd) + " rcv_nxt " +
         std::to_string(conn.rcv_nxt.value()) + " rcv_adv " + std::to_string(conn.rcv_adv.value()) +
         " rcv_queued " + std::to_string(conn.rcv_queued) + " rcv_limit " + std::to_string(conn.rcv_limit) +
         " mss " + std::to_string(conn.mss) + " flags " + std::to_string(conn.flags);
}

}  // namespace

uint8_t StreamByte(uint64_t stream, uint64_t position) {
  return static_cast<uint8_t>(MixBits(stream * 0x9e3779b97f4a7c15ull + position / 8) >> (position % 8 * 8));
}

// A client's connection and its plan.
struct World::Client {
  enum class Ending : uint8_t { kHalfClose, kAbort };

  uint64_t stream = 0;
  stack::ConnHandle handle;
  uint64_t total = 0;  // octets to send and to get back
  uint64_t written = 0;
  uint64_t read = 0;
  uint64_t abort_at = 0;  // with kAbort: octets written by then
  Ending ending = Ending::kHalfClose;
  uint32_t read_size = 0;
  bool connected = false;
  bool shut = false;
  bool saw_end = false;
  bool closed = false;
  bool paused = false;
  Instant resume_at = Instant::Never();
};

Host::Host(const stack::ShardConfig& config, Instant now)
    : shard(std::make_unique<stack::Shard>(config, HeapMemory(), now)) {}

World::World(const WorldOptions& options)
    : options_(options), prng_(options.seed), now_(Instant::FromNanos(1'000'000'000)) {
  if (options_.impair) options_.link = DrawLink(prng_);
  for (const int host : {kClientHost, kServerHost}) {
    const tcp::TcpConfig tcp = options_.random_tcp ? DrawTcp(prng_, options_.tcp) : options_.tcp;
    hosts_[host] = std::make_unique<Host>(ConfigOf(host, options_, tcp), now_);
    hosts_[host]->shard->SetFastPath(options_.fast_path);
    link_free_[host] = now_;
  }
}

World::~World() {
  for (auto& host : hosts_) {
    if (host == nullptr) continue;
    host->shard->CloseAll(/*abort=*/true, now_);
    host->pool.Release(host->shard->TakeReleased());
    host->shard.reset();
  }
}

void World::Fail(const std::string& what) {
  if (outcome_.failure.empty()) outcome_.failure = what + " at " + std::to_string(now_.micros()) + " us";
}

void World::StartClients() {
  uint32_t listener = 0;
  const stack::ListenSpec listen{.port = kEchoPort};
  if (hosts_[kServerHost]->shard->Listen(listen, &listener) != stack::OpenResult::kOk) Fail("listen refused");
  for (uint32_t i = 0; i < options_.connections; ++i) {
    auto client = std::make_unique<Client>();
    client->stream = options_.seed * 1'000 + i;
    client->total = prng_.Below(options_.most_octets + 1);
    if (prng_.Below(8) == 0) client->total = prng_.Below(64);
    client->read_size = static_cast<uint32_t>(1 + prng_.Below(64 * 1024));
    if (prng_.Below(16) == 0) {
      client->ending = Client::Ending::kAbort;
      client->abort_at = prng_.Below(client->total + 1);
    }
    const bool ipv6 = prng_.Below(2) != 0 || options_.ipv6;
    const stack::ConnectSpec connect{
        .remote = AddressOf(kServerHost, ipv6), .remote_port = kEchoPort, .user = i};
    if (hosts_[kClientHost]->shard->Connect(connect, now_, &client->handle) != stack::OpenResult::kOk) {
      Fail("connect refused");
    }
    clients_.push_back(std::move(client));
  }
}

void World::WriteSome(Client& client) {
  Host& host = *hosts_[kClientHost];
  while (client.written < client.total && host.shard->SendRoom(client.handle) > 0) {
    const uint64_t most = std::min<uint64_t>(client.total - client.written, 1 + prng_.Below(2'000));
    Buffer* buffer = host.pool.AllocateOne();
    const auto length = static_cast<uint32_t>(std::min<uint64_t>(most, buffer->tailroom));
    for (uint32_t i = 0; i < length; ++i) buffer->data[i] = StreamByte(client.stream, client.written + i);
    buffer->length = length;
    buffer->tailroom -= length;
    BufferChain chain;
    chain.PushBack(buffer);
    if (host.shard->Send(client.handle, chain, now_) == tcp::SendResult::kNotOpen) {
      host.pool.Release(chain.TakeAll());
      return;
    }
    if (!chain.empty()) {
      Fail("a send with room was refused");
      host.pool.Release(chain.TakeAll());
      return;
    }
    client.written += length;
    // Applications think; some think long.
    if (prng_.Below(20) == 0) {
      client.paused = true;
      client.resume_at = now_ + Duration::Micros(static_cast<int64_t>(prng_.Below(300'000)));
      return;
    }
  }
}

void World::ReadSome(Client& client) {
  Host& host = *hosts_[kClientHost];
  BufferChain chain;
  stack::Behind behind{};
  while (host.shard->Receive(client.handle, client.read_size, now_, chain, &behind) != 0) {
    while (Buffer* buffer = chain.PopFront()) {
      for (uint32_t i = 0; i < buffer->length; ++i) {
        if (buffer->data[i] != StreamByte(client.stream, client.read + i)) {
          Fail("stream " + std::to_string(client.stream) + " is wrong at " + std::to_string(client.read + i));
          break;
        }
      }
      client.read += buffer->length;
      outcome_.octets += buffer->length;
      host.pool.Release(buffer);
    }
  }
  if (client.read > client.written) Fail("more came back than was sent");
  if (behind == stack::Behind::kEnd) client.saw_end = true;
}

void World::Act(Client& client) {
  stack::Shard& shard = *hosts_[kClientHost]->shard;
  if (client.closed || !client.connected || client.paused) return;
  ReadSome(client);
  WriteSome(client);
  if (client.ending == Client::Ending::kAbort && client.written >= client.abort_at) {
    shard.Abort(client.handle, now_);
    return;
  }
  if (client.written == client.total && !client.shut) {
    client.shut = true;
    shard.ShutdownWrite(client.handle, now_);
  }
  if (client.saw_end && client.shut) shard.Close(client.handle, now_);
}

void World::OnClientEvent(const stack::ShardEvent& event) {
  Client& client = *clients_[event.user];
  if ((event.events & tcp::kEventConnected) != 0) client.connected = true;
  if ((event.events & tcp::kEventClosed) != 0) {
    client.closed = true;
    if (client.ending == Client::Ending::kAbort) {
      ++outcome_.aborted;
    } else if (event.reason == tcp::CloseReason::kUnreachable && !client.connected &&
               options_.link.loss_ppm != 0) {
      ++outcome_.unreachable;  // the link ate every question about the neighbour's address: the host gave up
    } else if (event.reason != tcp::CloseReason::kGraceful) {
      Fail("stream " + std::to_string(client.stream) + " ended for reason " +
           std::to_string(static_cast<int>(event.reason)));
    } else if (client.read != client.total) {
      Fail("stream " + std::to_string(client.stream) + " got " + std::to_string(client.read) + " of " +
           std::to_string(client.total));
    } else {
      ++outcome_.completed;
    }
    return;
  }
  Act(client);
}

void World::Echo(stack::ConnHandle handle) {
  Host& host = *hosts_[kServerHost];
  stack::Behind behind{};
  while (const uint32_t room = host.shard->SendRoom(handle)) {
    BufferChain chain;
    if (host.shard->Receive(handle, room, now_, chain, &behind) == 0) break;
    if (options_.lying_server) chain.front()->data[0] ^= 1;
    host.shard->Send(handle, chain, now_);
    if (!chain.empty()) {
      Fail("the echo was cut short although there was room");
      host.pool.Release(chain.TakeAll());
    }
  }
  if (behind == stack::Behind::kEnd) host.shard->Close(handle, now_);
}

void World::OnServerEvent(const stack::ShardEvent& event) {
  if ((event.events & tcp::kEventClosed) != 0) {
    server_live_.erase({event.handle.slot, event.handle.generation});
    return;
  }
  server_live_[{event.handle.slot, event.handle.generation}] = true;
  Echo(event.handle);
}

void World::PumpEvents(int host) {
  std::array<stack::ShardEvent, 32> events;
  while (true) {
    const size_t count = hosts_[host]->shard->PollEvents(events);
    for (size_t i = 0; i < count; ++i) {
      if (host == kClientHost) {
        OnClientEvent(events[i]);
      } else {
        OnServerEvent(events[i]);
      }
    }
    if (count < events.size()) return;
  }
}

void World::Put(int to, std::vector<uint8_t> bytes, Instant at) {
  wire_.emplace(at, Flight{std::move(bytes), to});
}

void World::Send(int from, const TxFrame& frame) {
  std::vector<uint8_t> bytes(frame.header.begin(), frame.header.begin() + frame.header_length);
  for (size_t i = 0; i < frame.slice_count; ++i) {
    bytes.insert(bytes.end(), frame.slices[i].data, frame.slices[i].data + frame.slices[i].length);
  }
  ++outcome_.frames;
  last_frame_ = now_;
  Mix(outcome_.trace, static_cast<uint64_t>(now_.nanos()));
  for (const uint8_t byte : bytes) Mix(outcome_.trace, byte);

  const LinkOptions& link = options_.link;
  if (link.carries != 0 && bytes.size() - frame.l2_length > link.carries) {
    ++outcome_.too_big;
    if (link.tells) Put(from, TooBig(bytes, link.carries), now_ + link.delay);
    return;
  }
  if (prng_.Bernoulli(link.loss_ppm)) return;
  Instant at = now_;
  if (link.bits_per_second != 0) {
    const Duration each =
        Duration::Nanos(static_cast<int64_t>(bytes.size() * 8 * 1'000'000'000 / link.bits_per_second));
    const Instant start = std::max(now_, link_free_[from]);
    if ((start - now_).nanos() > each.nanos() * link.queue_frames) return;  // the queue is full
    link_free_[from] = at = start + each;
  }
  at = at + link.delay;
  if (prng_.Bernoulli(link.reorder_ppm)) {
    at = at + Duration::Nanos(
                  static_cast<int64_t>(prng_.Below(static_cast<uint64_t>(link.reorder_delay.nanos()))));
  }
  if (prng_.Bernoulli(link.duplicate_ppm)) Put(1 - from, bytes, at + link.delay);
  if (prng_.Bernoulli(link.corrupt_ppm)) {
    const uint64_t bit = prng_.Below(bytes.size() * 8);
    bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] ^ (1u << (bit % 8)));
  }
  Put(1 - from, std::move(bytes), at);
}

void World::Deliver(const Flight& flight) {
  Host& host = *hosts_[flight.to];
  RxFrame frame{.buffer = host.pool.AllocateWith(flight.bytes)};
  host.shard->Input(std::span(&frame, 1), 0, now_);
}

void World::DrainShard(int host) {
  stack::Shard& shard = *hosts_[host]->shard;
  std::array<TxFrame, 8> frames;
  while (true) {
    const size_t count = shard.PollTransmit(0, now_, frames);
    for (size_t i = 0; i < count; ++i) Send(host, frames[i]);
    if (count < frames.size()) break;
  }
  hosts_[host]->pool.Release(shard.TakeReleased());
}

Instant World::NextEvent() const {
  Instant next = wire_.empty() ? Instant::Never() : wire_.begin()->first;
  for (const auto& host : hosts_) next = std::min(next, host->shard->NextDeadline(now_));
  for (const auto& client : clients_) {
    if (client->paused) next = std::min(next, client->resume_at);
  }
  return next;
}

void World::Step(Instant at) {
  now_ = std::max(now_, at);
  while (!wire_.empty() && wire_.begin()->first <= now_) {
    const Flight flight = std::move(wire_.begin()->second);
    wire_.erase(wire_.begin());
    Deliver(flight);
  }
  for (auto& client : clients_) {
    if (!client->paused || client->resume_at > now_) continue;
    client->paused = false;
    Act(*client);
  }
  for (const int host : {kClientHost, kServerHost}) {
    while (hosts_[host]->shard->AdvanceTimers(now_)) {
    }
    PumpEvents(host);
    DrainShard(host);
  }
}

// An abort whose RST was lost leaves the server with a peer that is gone, and nothing to send that would
// tell. Applications have time-outs for that; this is the server's.
void World::ReapAbandoned() {
  if (outcome_.aborted == 0 || now_ - last_frame_ < Duration::Seconds(600)) return;
  const auto abandoned = std::exchange(server_live_, {});
  for (const auto& [handle, unused] : abandoned) {
    hosts_[kServerHost]->shard->Abort({handle.first, handle.second}, now_);
  }
  Step(now_);
}

void World::CheckEnd() {
  for (const int host : {kClientHost, kServerHost}) {
    const stack::ShardUsage usage = hosts_[host]->shard->usage();
    const std::string who = host == kClientHost ? "client" : "server";
    if (usage.connections != 0)
      Fail(who + " still has " + std::to_string(usage.connections) + " connections");
    if (usage.half_open != 0) Fail(who + " still has half-open entries");
    if (usage.time_wait != 0) Fail(who + " still has TIME-WAIT entries");
    if (usage.send_records != 0) Fail(who + " still has send records");
    if (usage.cold_states != 0) Fail(who + " still has cold states");
    if (hosts_[host]->pool.outstanding() != 0) {
      Fail(who + " still holds " + std::to_string(hosts_[host]->pool.outstanding()) + " buffers");
    }
    const stack::ShardCounters& counters = hosts_[host]->shard->counters();
    outcome_.retransmitted += counters.retransmitted_segments;
    outcome_.by_cookie += counters.syn_cookies_accepted;
    outcome_.black_holes += counters.path_black_holes;
    if (counters.rx_frames != counters.rx_consumed + counters.drops.total())
      Fail(who + "'s counters do not add up");
  }
}

void World::DescribeStuck() {
  for (const auto& client : clients_) {
    const tcp::Connection* conn = hosts_[kClientHost]->shard->Tcp(client->handle);
    if (client->closed || conn == nullptr) continue;
    outcome_.failure += "\n  client " + std::to_string(client->stream) + " " + tcp::StateName(conn->state) +
                        " written " + std::to_string(client->written) + " read " +
                        std::to_string(client->read) + " of " + std::to_string(client->total) +
                        (client->paused ? " paused" : "") + ", " + Describe(*conn);
  }
  for (const auto& [handle, unused] : server_live_) {
    const tcp::Connection* conn = hosts_[kServerHost]->shard->Tcp({handle.first, handle.second});
    if (conn != nullptr)
      outcome_.failure += std::string("\n  server ") + tcp::StateName(conn->state) + " " + Describe(*conn);
  }
}

Outcome World::Run() {
  const Instant start = now_;
  outcome_.trace = 0xcbf29ce484222325ull;
  StartClients();
  Step(now_);
  while (outcome_.failure.empty()) {
    const bool all_closed =
        std::all_of(clients_.begin(), clients_.end(), [](const auto& c) { return c->closed; });
    const bool idle = all_closed && wire_.empty() && hosts_[0]->shard->usage().time_wait == 0 &&
                      hosts_[1]->shard->usage().time_wait == 0 &&
                      hosts_[1]->shard->usage().connections == 0 && hosts_[1]->shard->usage().half_open == 0;
    if (idle) break;
    Instant next = NextEvent();
    if (all_closed && outcome_.aborted != 0) next = std::min(next, last_frame_ + Duration::Seconds(601));
    if (next == Instant::Never()) {
      Fail("nothing will ever happen again");
      break;
    }
    if (next - start > kLongest) {
      Fail("no end in sight");
      break;
    }
    Step(next);
    if (all_closed) ReapAbandoned();
  }
  if (outcome_.failure.empty()) {
    CheckEnd();
  } else {
    DescribeStuck();
  }
  outcome_.virtual_time = now_ - start;
  return outcome_;
}

}  // namespace tern::sim
