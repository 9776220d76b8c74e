// Two shards and a bad link between them, in virtual time, from one seed. The code inside is the code that
// ships.
#ifndef TERN_TESTS_SIM_WORLD_H_
#define TERN_TESTS_SIM_WORLD_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/heap_buffer_pool.h"
#include "base/prng.h"
#include "stack/shard.h"

namespace tern::sim {

// What the link does to frames, in both directions.
struct LinkOptions {
  uint32_t loss_ppm = 0;
  uint32_t duplicate_ppm = 0;
  uint32_t corrupt_ppm = 0;
  uint32_t reorder_ppm = 0;  // such a frame is held back by up to reorder_delay
  Duration delay = Duration::Millis(5);
  Duration reorder_delay = Duration::Millis(20);
  uint64_t bits_per_second = 0;   // 0: as fast as you like
  uint32_t queue_frames = 1'000;  // beyond it the link drops, when it has a rate
  uint32_t carries = 0;           // octets of an IP packet; larger ones are lost; 0: whatever comes
  bool tells = false;             // who sent a packet that was too big hears of it, as from a router
};

struct WorldOptions {
  uint64_t seed = 1;
  LinkOptions link;
  uint32_t connections = 8;
  uint32_t most_octets = 200'000;  // of one stream
  bool ipv6 = false;
  bool fast_path = true;
  bool impair = true;  // draw the link's faults from the seed, instead of `link`
  uint16_t mtu = 1500;
  tcp::TcpConfig tcp;
  stack::SynCookies syn_cookies = stack::SynCookies::kPastBacklog;
  bool lying_server = false;  // the server damages the first octet of each echo: the checker must notice
  bool random_tcp = true;     // draw options and buffer sizes from the seed
};

// What a run came to. `failure` is empty when all went well.
struct Outcome {
  std::string failure;
  uint64_t trace = 0;  // a hash of every frame sent, with its time: equal traces are equal runs
  uint64_t frames = 0;
  uint64_t octets = 0;  // delivered and checked
  uint32_t completed = 0;
  uint32_t aborted = 0;
  uint32_t unreachable = 0;
  uint64_t by_cookie = 0;      // connections the server made of SYN cookies
  uint64_t retransmitted = 0;  // segments, by both hosts
  uint64_t too_big = 0;        // packets that the link did not carry
  uint64_t black_holes = 0;    // as the hosts count them
  Duration virtual_time;
};

// One end of the link: a shard with buffers of its own.
struct Host {
  Host(const stack::ShardConfig& config, Instant now);

  HeapBufferPool pool;
  std::unique_ptr<stack::Shard> shard;
};

// Runs client connections of random shape against an echoing server until all have ended, then checks that
// every byte was right, that nothing is left, and that the counters add up.
class World {
 public:
  explicit World(const WorldOptions& options);
  ~World();
  Outcome Run();

 private:
  struct Flight {
    std::vector<uint8_t> bytes;
    int to = 0;
  };
  struct Client;
  struct ServerConn;

  void StartClients();
  void Step(Instant at);
  void PumpEvents(int host);
  void OnClientEvent(const stack::ShardEvent& event);
  void OnServerEvent(const stack::ShardEvent& event);
  void Act(Client& client);
  void WriteSome(Client& client);
  void ReadSome(Client& client);
  void Echo(stack::ConnHandle handle);
  void DrainShard(int host);
  void Send(int from, const TxFrame& frame);
  void Put(int to, std::vector<uint8_t> bytes, Instant at);
  void Deliver(const Flight& flight);
  Instant NextEvent() const;
  void ReapAbandoned();
  void CheckEnd();
  void DescribeStuck();
  void Fail(const std::string& what);

  WorldOptions options_;
  Prng prng_;
  Instant now_;
  Instant link_free_[2];
  Instant last_frame_;
  std::unique_ptr<Host> hosts_[2];  // 0: client, 1: server
  std::multimap<Instant, Flight> wire_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::map<std::pair<uint32_t, uint32_t>, bool>
      server_live_;  // slot and generation of what the server accepted
  Outcome outcome_;
};

// Octet `position` of the stream with number `stream`.
uint8_t StreamByte(uint64_t stream, uint64_t position);

}  // namespace tern::sim

#endif  // TERN_TESTS_SIM_WORLD_H_
