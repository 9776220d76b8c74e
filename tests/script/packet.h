// Packets between script and wire: the mapping of numbers, what goes in, and how what comes out compares.
#ifndef TERN_TESTS_SCRIPT_PACKET_H_
#define TERN_TESTS_SCRIPT_PACKET_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "script/host.h"
#include "script/script.h"

namespace tern::script {

// The tuple that the script's packets belong to, and how its numbers become live ones.
struct Flow {
  wire::IpAddress local;
  wire::IpAddress remote;
  uint16_t local_port = 0;
  uint16_t remote_port = 0;

  // Live less script. The peer's is ours to choose: its numbers wrap soon after the start.
  uint32_t remote_offset = 0xfffff000u;
  uint32_t local_offset = 0;
  bool knows_local = false;      // a SYN of ours was seen
  bool new_incarnation = false;  // the next SYN of ours may begin anew
  uint32_t local_iss = 0;        // live
  uint32_t remote_isn = 0;       // in the script

  // Our timestamps. What the script wrote, and what was live; an inbound echo is looked up here.
  bool knows_timestamps = false;
  uint32_t first_script_ts = 0;
  uint32_t first_live_ts = 0;
  std::map<uint32_t, uint32_t> live_ts;
};

struct CompareOptions {
  bool check_psh = false;
  bool zero_windows_only = false;  // of windows that the script states, only whether they are zero
  uint32_t ts_tick_us = 0;         // not 0: our TSval advances by one in so many microseconds; compare it
  int64_t tolerance_us = 4'000;
};

// The IP packet that the script says the peer sends.
Bytes BuildTcp(const TcpSpec& spec, EcnSpec ecn, Flow& flow);
Bytes BuildIcmp(const IcmpSpec& spec, const Flow& flow);

// A live packet in the script's numbers. Learns from it when it is a SYN: `expected` names the ISN.
TcpSpec ToScript(const LivePacket& live, const TcpSpec& expected, Flow& flow);

// How `got` differs from `want`; empty: not at all. `part`: `want` continues in the next live segment.
std::string Difference(const TcpSpec& want, const TcpSpec& got, const CompareOptions& options, bool part);
std::string EcnDifference(EcnSpec want, uint8_t got);
// Whether the payload is what the application wrote at that place.
bool PayloadIsRight(const LivePacket& live, const Flow& flow);

std::string ToText(const TcpSpec& tcp);

}  // namespace tern::script

#endif  // TERN_TESTS_SCRIPT_PACKET_H_
