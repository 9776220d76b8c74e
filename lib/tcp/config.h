// Defaults of the protocol, each with its reason, in one place.
#ifndef TERN_TCP_CONFIG_H_
#define TERN_TCP_CONFIG_H_

#include <cstdint>

#include "base/instant.h"
#include "tcp/congestion.h"
#include "tcp/path_mtu.h"

namespace tern::tcp {

// What a shard's connections share. Read-only once the shard runs; a listener or an open may start from a
// copy.
struct TcpConfig {
  // RFC 6298 (2.4) says 1 s; deployed stacks use 200 ms, and RACK-TLP assumes clocks finer than RFC 6298 did.
  Duration rto_min = Duration::Millis(200);
  Duration rto_initial = Duration::Seconds(1);  // RFC 6298 (2.1)
  Duration rto_max = Duration::Seconds(60);     // RFC 6298 (2.5): at least 60 s
  Duration msl = Duration::Seconds(30);         // RFC 9293 says 2 min; 30 s is what deployed stacks wait
  Duration delayed_ack =
      Duration::Millis(40);  // RFC 9293 MUST-40 allows 500 ms; 40 ms never stalls Nagle for long
  Duration fin_wait2 =
      Duration::Seconds(60);  // after Close, nobody is left to read: RFC 9293 3.6 leaves it open

  // RFC 5961 7: a connection sends at most ten challenge ACKs in five seconds; all of a shard's, about this
  // many in one.
  Duration challenge_interval = Duration::Millis(500);
  uint8_t challenge_burst = 10;
  uint32_t challenges_per_second = 1'000;

  // RFC 9293 MUST-23: R2 for a SYN is at least 3 minutes; seven, doubled from 1 s up to 60 s, take 183 s.
  // (Others stop after six, at 127 s.)
  uint8_t syn_retries = 7;
  uint8_t synack_retries = 5;  // a half-open costs us, not the peer
  uint8_t data_retries = 15;   // RFC 9293 R2: at least 100 s; with 200 ms and doubling about 15 minutes

  uint8_t r1_retries = 3;  // RFC 9293 R1: from here on the route is in doubt, and the application is told

  uint8_t initial_window_segments = 10;  // RFC 6928
  CongestionAlgorithm congestion = CongestionAlgorithm::kCubic;

  // RFC 1191, RFC 8201: routers are believed that say what passes; never below a floor, and where it would
  // harm only when the segment's own loss bears them out (RFC 5927 7).
  bool path_mtu_discovery = true;
  // RFC 8899, RFC 4821: many networks drop what those routers say. Starting small on every path to find out
  // (kAlways) would make most transfers slower for the sake of few.
  PathProbing plpmtud = PathProbing::kBlackHole;

  uint32_t receive_buffer = 256 * 1024;  // octets offered as window, before tuning
  uint32_t send_buffer = 256 * 1024;     // octets accepted from the application before it has to wait
  // How far autotune.h may take them; not more than the above: not at all. Off here, so that a test sees what
  // it sets.
  uint32_t receive_buffer_max = 0;
  uint32_t send_buffer_max = 0;

  bool timestamps = true;    // RFC 7323
  bool sack = true;          // RFC 2018
  bool window_scale = true;  // RFC 7323
  bool nodelay = false;      // true: no Nagle (RFC 9293 3.7.4 requires the switch)
};

}  // namespace tern::tcp

#endif  // TERN_TCP_CONFIG_H_
