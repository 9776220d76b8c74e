// One echo through a whole shard, for counting instructions: a server shard between frames in and frames out,
// and a client shard that makes the frames. Only what happens inside ServerTurn is the server's.
//
// usage: echo_shard [ROUNDS [OCTETS [CONNECTIONS]]]
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "stack/shard.h"

namespace tern {
namespace {

// A free list of equal buffers: what a mempool's cache costs, and nothing that a test would want to check.
class FlatPool final : public BufferPool {
 public:
  FlatPool() : blocks_(kBlocks) {
    for (auto& block : blocks_) {
      block = std::make_unique<Block>();
      block->buffer.next = free_;
      free_ = &block->buffer;
    }
  }
  bool Allocate(std::span<Buffer*> out) override {
    for (Buffer*& buffer : out) buffer = Take();
    return true;
  }
  void Release(Buffer* list) override {
    while (list != nullptr) {
      Buffer* next = list->next;
      list->next = free_;
      free_ = list;
      list = next;
    }
  }
  uint32_t buffer_capacity() const override { return kRoom; }

  Buffer* Take() {
    Buffer* buffer = free_;
    if (buffer == nullptr) std::abort();
    free_ = buffer->next;
    buffer->next = nullptr;
    // The descriptor is the block's first member.
    buffer->data = reinterpret_cast<Block*>(buffer)->bytes.data() + kHeadroom;
    buffer->length = 0;
    buffer->tailroom = kRoom;
    buffer->cost = sizeof(Block);
    return buffer;
  }

 private:
  static constexpr size_t kBlocks = 4096;
  static constexpr uint32_t kHeadroom = 128;
  static constexpr uint32_t kRoom = 2048;
  struct Block {
    Buffer buffer;
    alignas(64) std::array<uint8_t, kHeadroom + kRoom> bytes;
  };
  std::vector<std::unique_ptr<Block>> blocks_;
  Buffer* free_ = nullptr;
};

constexpr size_t kBurst = 32;

struct Host {
  explicit Host(int number, Instant now) : shard(Config(number), HeapMemory(), now) {}

  static stack::ShardConfig Config(int number) {
    stack::ShardConfig config;
    stack::InterfaceConfig interface;
    interface.mac = *wire::MacAddress::Parse(number == 1 ? "02:00:00:00:00:01" : "02:00:00:00:00:02");
    interface.addresses.push_back(
        {.prefix = {*wire::IpAddress::Parse(number == 1 ? "10.0.0.1" : "10.0.0.2"), 24}});
    config.interfaces.push_back(interface);
    config.max_connections = 4096;
    config.isn_secret[0] = config.table_secret[0] = static_cast<uint8_t>(number);
    config.seed = static_cast<uint64_t>(number);
    return config;
  }

  FlatPool pool;
  stack::Shard shard;
  std::array<RxFrame, kBurst> inbox;
  size_t inbox_count = 0;
  std::array<TxFrame, kBurst> outbox;
};

// Copies frames into the other host's inbox, as a wire and two devices would.
void Carry(std::span<const TxFrame> frames, Host& to) {
  for (const TxFrame& frame : frames) {
    Buffer* buffer = to.pool.Take();
    std::memcpy(buffer->data, frame.header.data(), frame.header_length);
    uint32_t length = frame.header_length;
    for (size_t i = 0; i < frame.slice_count; ++i) {
      std::memcpy(buffer->data + length, frame.slices[i].data, frame.slices[i].length);
      length += frame.slices[i].length;
    }
    buffer->length = length;
    buffer->tailroom -= length;
    to.inbox[to.inbox_count++] = {.buffer = buffer};
  }
}

// What a worker does with a burst, device aside: in, application, out, release. callgrind collects in here.
[[gnu::noinline]] size_t ServerTurn(Host& host, Instant now) {
  host.shard.Input(std::span(host.inbox.data(), host.inbox_count), 0, now);
  host.inbox_count = 0;
  std::array<stack::ShardEvent, kBurst> events;
  const size_t count = host.shard.PollEvents(events);
  for (size_t i = 0; i < count; ++i) {
    const stack::ConnHandle handle = events[i].handle;
    const uint32_t room = host.shard.SendRoom(handle);
    BufferChain data;
    stack::Behind behind{};
    if (room != 0 && host.shard.Receive(handle, room, now, data, &behind) != 0)
      host.shard.Send(handle, data, now);
  }
  const size_t frames = host.shard.PollTransmit(0, now, host.outbox);
  host.pool.Release(host.shard.TakeReleased());
  return frames;
}

struct Client {
  stack::ConnHandle handle;
  uint32_t received = 0;
};

bool Ask(Host& host, Client& client, uint32_t octets, Instant now) {
  Buffer* buffer = host.pool.Take();
  std::memset(buffer->data, 'x', octets);
  buffer->length = octets;
  buffer->tailroom -= octets;
  BufferChain chain;
  chain.PushBack(buffer);
  client.received = 0;
  return host.shard.Send(client.handle, chain, now) == tcp::SendResult::kOk;
}

void ClientTurn(Host& host, std::vector<Client>& clients, Instant now) {
  host.shard.Input(std::span(host.inbox.data(), host.inbox_count), 0, now);
  host.inbox_count = 0;
  std::array<stack::ShardEvent, kBurst> events;
  while (const size_t count = host.shard.PollEvents(events)) {
    for (size_t i = 0; i < count; ++i) {
      Client& client = clients[events[i].user];
      BufferChain data;
      stack::Behind behind{};
      client.received += host.shard.Receive(client.handle, 1 << 20, now, data, &behind);
      host.pool.Release(data.TakeAll());
    }
  }
  host.pool.Release(host.shard.TakeReleased());
}

int Run(uint32_t rounds, uint32_t octets, uint32_t connections) {
  Instant now = Instant::FromNanos(1'000'000'000);
  Host client(2, now);
  Host server(1, now);
  uint32_t listener = 0;
  if (server.shard.Listen({.port = 7, .nodelay = true}, &listener) != stack::OpenResult::kOk) return 1;
  std::vector<Client> clients(connections);
  const auto exchange = [&](auto&& server_turn) {
    // Until the line falls silent: a turn each.
    for (int i = 0; i < 8; ++i) {
      const size_t sent = client.shard.PollTransmit(0, now, client.outbox);
      Carry(std::span(client.outbox.data(), sent), server);
      if (server.inbox_count == 0) break;
      const size_t back = server_turn(server, now);
      Carry(std::span(server.outbox.data(), back), client);
      ClientTurn(client, clients, now);
      now = now + Duration::Micros(20);
    }
  };
  // The same work outside the counted function, for handshakes.
  const auto warm = [](Host& host, Instant at) { return ServerTurn(host, at); };
  for (uint32_t i = 0; i < connections; ++i) {
    const stack::ConnectSpec connect{
        .remote = *wire::IpAddress::Parse("10.0.0.1"), .remote_port = 7, .user = i, .nodelay = true};
    if (client.shard.Connect(connect, now, &clients[i].handle) != stack::OpenResult::kOk) return 1;
    exchange(warm);
    exchange(warm);
  }
  uint64_t echoes = 0;
  for (uint32_t round = 0; round < rounds; ++round) {
    for (uint32_t first = 0; first < connections; first += kBurst) {
      const uint32_t last = std::min<uint32_t>(first + kBurst, connections);
      for (uint32_t i = first; i < last; ++i) {
        if (!Ask(client, clients[i], octets, now)) return 1;
      }
      exchange(ServerTurn);
      for (uint32_t i = first; i < last; ++i) {
        if (clients[i].received != octets) return 1;
        ++echoes;
      }
    }
    now = now + Duration::Micros(100);
  }
  const auto& counters = server.shard.counters();
  std::printf("%llu echoes, %llu frames in, %llu frames out\n", static_cast<unsigned long long>(echoes),
              static_cast<unsigned long long>(counters.rx_frames),
              static_cast<unsigned long long>(counters.tx_frames));
  return 0;
}

}  // namespace
}  // namespace tern

int main(int argc, char** argv) {
  const auto argument = [&](int i, unsigned fallback) {
    return argc > i ? static_cast<uint32_t>(std::strtoul(argv[i], nullptr, 10)) : fallback;
  };
  const int status = tern::Run(argument(1, 1'000), argument(2, 64), argument(3, 1));
  if (status != 0) std::fprintf(stderr, "echo_shard: an echo did not come back\n");
  return status;
}
