#include "script/packet.h"

#include <algorithm>

#include "wire/checksum.h"
#include "wire/endian.h"
#include "wire/icmp.h"
#include "wire/icmpv6.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"

namespace tern::script {
namespace {

constexpr uint8_t kKindEnd = 0;
constexpr uint8_t kKindNop = 1;
constexpr uint8_t kKindMss = 2;
constexpr uint8_t kKindWindowScale = 3;
constexpr uint8_t kKindSackPermitted = 4;
constexpr uint8_t kKindSack = 5;
constexpr uint8_t kKindTimestamp = 8;

void Push16(Bytes& out, uint32_t value) {
  out.push_back(static_cast<uint8_t>(value >> 8));
  out.push_back(static_cast<uint8_t>(value));
}
void Push32(Bytes& out, uint32_t value) {
  Push16(out, value >> 16);
  Push16(out, value & 0xffff);
}

// What the peer echoes of our clock: the live value for what the script saw.
uint32_t LiveEcho(const Flow& flow, uint32_t script) {
  if (!flow.knows_timestamps) return script;
  const auto known = flow.live_ts.find(script);
  if (known != flow.live_ts.end()) return known->second;
  if (script == 0) return 0;
  return flow.first_live_ts + (script - flow.first_script_ts);
}

void WriteOption(const OptionSpec& option, const Flow& flow, Bytes& out) {
  switch (option.kind) {
    case OptionKind::kEnd:
      out.push_back(kKindEnd);
      break;
    case OptionKind::kNop:
      out.push_back(kKindNop);
      break;
    case OptionKind::kMss:
      out.insert(out.end(), {kKindMss, 4});
      Push16(out, option.value);
      break;
    case OptionKind::kWindowScale:
      out.insert(out.end(), {kKindWindowScale, 3, static_cast<uint8_t>(option.value)});
      break;
    case OptionKind::kSackPermitted:
      out.insert(out.end(), {kKindSackPermitted, 2});
      break;
    case OptionKind::kTimestamp:
      out.insert(out.end(), {kKindTimestamp, 10});
      Push32(out, option.value);
      Push32(out, LiveEcho(flow, option.echo));
      break;
    case OptionKind::kSack:
      out.insert(out.end(), {kKindSack, static_cast<uint8_t>(2 + 8 * option.blocks.size())});
      for (const auto& [start, end] : option.blocks) {
        Push32(out, start + flow.local_offset);
        Push32(out, end + flow.local_offset);
      }
      break;
    case OptionKind::kOther:
      out.insert(out.end(), option.raw.begin(), option.raw.end());
      break;
  }
}

Bytes WrapIp(const Flow& flow, uint8_t protocol, uint8_t ecn, const Bytes& body) {
  Bytes out(flow.local.IsV4() ? 20 : 40);
  if (flow.local.IsV4()) {
    wire::WriteIpv4({.src = flow.remote,
                     .dst = flow.local,
                     .total_length = static_cast<uint16_t>(20 + body.size()),
                     .dont_fragment = true,
                     .traffic_class = ecn,
                     .ttl = 64,
                     .protocol = protocol},
                    out.data());
  } else {
    wire::WriteIpv6({.src = flow.remote,
                     .dst = flow.local,
                     .payload_length = static_cast<uint16_t>(body.size()),
                     .traffic_class = ecn,
                     .hop_limit = 64,
                     .protocol = protocol},
                    out.data());
  }
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

uint8_t EcnBits(EcnSpec ecn) {
  switch (ecn) {
    case EcnSpec::kEct0:
    case EcnSpec::kEct01:
      return 2;
    case EcnSpec::kEct1:
      return 1;
    case EcnSpec::kCe:
      return 3;
    default:
      return 0;
  }
}

// Options off the wire, by a parser of the tests' own.
std::vector<OptionSpec> ReadOptions(const Bytes& bytes, const Flow& flow) {
  std::vector<OptionSpec> out;
  for (size_t i = 0; i < bytes.size();) {
    const uint8_t kind = bytes[i];
    if (kind == kKindEnd) break;
    if (kind == kKindNop) {
      out.push_back({.kind = OptionKind::kNop});
      ++i;
      continue;
    }
    const size_t length = i + 1 < bytes.size() ? bytes[i + 1] : 0;
    if (length < 2 || i + length > bytes.size()) break;
    const uint8_t* p = &bytes[i];
    OptionSpec option{.kind = OptionKind::kOther, .raw = Bytes(p, p + length)};
    if (kind == kKindMss && length == 4) option = {.kind = OptionKind::kMss, .value = wire::LoadBe16(p + 2)};
    if (kind == kKindWindowScale && length == 3) option = {.kind = OptionKind::kWindowScale, .value = p[2]};
    if (kind == kKindSackPermitted && length == 2) option = {.kind = OptionKind::kSackPermitted};
    if (kind == kKindTimestamp && length == 10) {
      option = {
          .kind = OptionKind::kTimestamp, .value = wire::LoadBe32(p + 2), .echo = wire::LoadBe32(p + 6)};
    }
    if (kind == kKindSack && length % 8 == 2) {
      option = {.kind = OptionKind::kSack};
      for (size_t b = 2; b < length; b += 8) {
        option.blocks.emplace_back(wire::LoadBe32(p + b) - flow.remote_offset,
                                   wire::LoadBe32(p + b + 4) - flow.remote_offset);
      }
    }
    out.push_back(std::move(option));
    i += length;
  }
  return out;
}

const OptionSpec* FindOption(const std::vector<OptionSpec>& options, OptionKind kind) {
  const auto found =
      std::find_if(options.begin(), options.end(), [&](const OptionSpec& o) { return o.kind == kind; });
  return found == options.end() ? nullptr : &*found;
}

std::string OptionText(const OptionSpec& o) {
  switch (o.kind) {
    case OptionKind::kMss:
      return "mss " + std::to_string(o.value);
    case OptionKind::kSackPermitted:
      return "sackOK";
    case OptionKind::kWindowScale:
      return "wscale " + std::to_string(o.value);
    case OptionKind::kTimestamp:
      return "TS val " + std::to_string(o.value) + " ecr " + std::to_string(o.echo);
    case OptionKind::kSack: {
      std::string text = "sack";
      for (const auto& [start, end] : o.blocks)
        text += " " + std::to_string(start) + ":" + std::to_string(end);
      return text;
    }
    case OptionKind::kNop:
      return "nop";
    case OptionKind::kEnd:
      return "eol";
    case OptionKind::kOther:
      break;
  }
  return "option " + std::to_string(o.raw.empty() ? 0 : o.raw[0]);
}

// What has a meaning: padding is nobody's business.
std::vector<OptionSpec> Meaningful(const std::vector<OptionSpec>& options, bool as_set) {
  std::vector<OptionSpec> out;
  std::copy_if(options.begin(), options.end(), std::back_inserter(out),
               [](const OptionSpec& o) { return o.kind != OptionKind::kNop && o.kind != OptionKind::kEnd; });
  if (as_set) {
    std::stable_sort(out.begin(), out.end(),
                     [](const OptionSpec& a, const OptionSpec& b) { return a.kind < b.kind; });
  }
  return out;
}

bool SameOption(const OptionSpec& want, const OptionSpec& got, const CompareOptions& options) {
  if (want.kind != got.kind) return false;
  switch (want.kind) {
    // How far a receiver scales follows from its buffers; that it scales is what the wire needs.
    case OptionKind::kWindowScale:
      return true;
    case OptionKind::kTimestamp: {
      if (want.echo != got.echo) return false;
      if (options.ts_tick_us == 0) return true;
      const auto off = static_cast<int32_t>(want.value - got.value);
      return (off < 0 ? -int64_t{off} : int64_t{off}) <= options.tolerance_us / options.ts_tick_us + 1;
    }
    default:
      return want.value == got.value && want.blocks == got.blocks;
  }
}

std::string FlagText(uint8_t flags) {
  std::string text;
  if (flags & wire::kFin) text += 'F';
  if (flags & wire::kSyn) text += 'S';
  if (flags & wire::kRst) text += 'R';
  if (flags & wire::kPsh) text += 'P';
  if (flags & wire::kUrg) text += 'U';
  if (flags & wire::kEce) text += 'E';
  if (flags & wire::kCwr) text += 'W';
  if (flags & wire::kAck) text += '.';
  return text.empty() ? "-" : text;
}

}  // namespace

Bytes BuildTcp(const TcpSpec& spec, EcnSpec ecn, Flow& flow) {
  if ((spec.flags & (wire::kSyn | wire::kAck)) == wire::kSyn) flow.new_incarnation = true;
  if ((spec.flags & wire::kSyn) != 0) flow.remote_isn = spec.seq;
  Bytes options;
  for (const OptionSpec& option : spec.options) WriteOption(option, flow, options);
  while (options.size() % 4 != 0) options.push_back(kKindEnd);
  options.resize(std::min<size_t>(options.size(), wire::kTcpMaxOptions));
  Bytes out(wire::kTcpMinHeader);
  const bool has_ack = (spec.flags & wire::kAck) != 0;
  wire::WriteTcpHeader({.src_port = flow.remote_port,
                        .dst_port = flow.local_port,
                        .seq = SeqNum(spec.seq + flow.remote_offset),
                        .ack = SeqNum(has_ack ? spec.ack + flow.local_offset : 0),
                        .flags = spec.flags,
                        .data_offset = static_cast<uint8_t>(out.size() + options.size()),
                        .window = spec.window,
                        .urgent = spec.urgent},
                       out.data());
  out.insert(out.end(), options.begin(), options.end());
  const uint32_t first = spec.seq + ((spec.flags & wire::kSyn) != 0 ? 1 : 0) - flow.remote_isn - 1;
  for (uint32_t i = 0; i < spec.length; ++i) out.push_back(PatternByte(first + i));
  wire::StoreBe16(out.data() + wire::kTcpChecksumOffset,
                  wire::TransportChecksum(flow.remote, flow.local, wire::kProtocolTcp, out));
  return WrapIp(flow, wire::kProtocolTcp, EcnBits(ecn), out);
}

Bytes BuildIcmp(const IcmpSpec& spec, const Flow& flow) {
  Flow ours = flow;
  std::swap(ours.local, ours.remote);
  // The quoted segment: ours, so source and destination change places; its header is enough.
  Bytes tcp(wire::kTcpMinHeader);
  wire::WriteTcpHeader({.src_port = flow.local_port,
                        .dst_port = flow.remote_port,
                        .seq = SeqNum(spec.seq + flow.local_offset),
                        .flags = wire::kAck},
                       tcp.data());
  Bytes quoted = WrapIp(ours, wire::kProtocolTcp, 0, tcp);
  const auto length = static_cast<uint16_t>(wire::kTcpMinHeader + spec.length);
  if (flow.local.IsV4()) {
    wire::StoreBe16(quoted.data() + 2, static_cast<uint16_t>(length + 20));
  } else {
    wire::StoreBe16(quoted.data() + 4, length);
  }
  const wire::IcmpMessage message{.type = spec.type, .code = spec.code, .rest = spec.mtu, .body = quoted};
  Bytes out(wire::kIcmpHeader + quoted.size());
  if (spec.ipv6) {
    wire::WriteIcmpv6(message, flow.remote, flow.local, out.data());
  } else {
    wire::WriteIcmp(message, out.data());
  }
  return WrapIp(flow, spec.ipv6 ? wire::kProtocolIcmpv6 : wire::kProtocolIcmp, 0, out);
}

TcpSpec ToScript(const LivePacket& live, const TcpSpec& expected, Flow& flow) {
  const bool syn = (live.tcp.flags & wire::kSyn) != 0;
  if (syn && (!flow.knows_local || flow.new_incarnation)) {
    flow.knows_local = true;
    flow.new_incarnation = false;
    flow.local_iss = live.tcp.seq.value();
    flow.local_offset = live.tcp.seq.value() - expected.seq;
    flow.knows_timestamps = false;
    flow.live_ts.clear();
  }
  TcpSpec got;
  got.flags = live.tcp.flags;
  // RFC 9293 3.10.7.1: a reset for what has no connection stands at zero, and belongs to no numbering.
  const bool numberless =
      (live.tcp.flags & wire::kRst) != 0 && live.tcp.seq.value() == 0 && expected.seq == 0;
  got.seq = numberless ? 0 : live.tcp.seq.value() - flow.local_offset;
  got.length = static_cast<uint32_t>(live.payload.size());
  got.end = got.seq + got.length;
  if ((got.flags & wire::kAck) != 0) got.ack = live.tcp.ack.value() - flow.remote_offset;
  got.has_window = true;
  got.window = live.tcp.window;
  got.urgent = live.tcp.urgent;
  got.has_urgent = (got.flags & wire::kUrg) != 0;
  got.options = ReadOptions(live.options, flow);
  // Timestamps: the first one seen fixes the mapping, each one is remembered for the peer's echo.
  const OptionSpec* want_ts = FindOption(expected.options, OptionKind::kTimestamp);
  for (OptionSpec& option : got.options) {
    if (option.kind != OptionKind::kTimestamp) continue;
    if (want_ts != nullptr) {
      if (!flow.knows_timestamps) {
        flow.knows_timestamps = true;
        flow.first_script_ts = want_ts->value;
        flow.first_live_ts = option.value;
      }
      flow.live_ts[want_ts->value] = option.value;
    }
    if (flow.knows_timestamps) option.value = option.value - flow.first_live_ts + flow.first_script_ts;
  }
  return got;
}

std::string Difference(const TcpSpec& want, const TcpSpec& got, const CompareOptions& options, bool part) {
  const bool data = want.length != 0;
  uint8_t ignored = data && !options.check_psh ? wire::kPsh : 0;
  if (part) ignored |= wire::kFin | wire::kPsh;
  if ((want.flags & ~ignored) != ((part ? got.flags & ~wire::kPsh : got.flags) & ~ignored)) return "flags";
  if (part && (got.flags & wire::kFin) != 0) return "flags";
  if (want.seq != got.seq) return "seq";
  if (!part && want.length != got.length) return "length";
  if ((want.flags & wire::kAck) != 0 && want.ack != got.ack) return "ack";
  const bool same_window =
      options.zero_windows_only ? (want.window == 0) == (got.window == 0) : want.window == got.window;
  if (want.has_window && !same_window) return "win";
  if (want.has_urgent && want.urgent != got.urgent) return "urg";
  if (want.any_options) return {};
  const bool syn = (want.flags & wire::kSyn) != 0;
  const std::vector<OptionSpec> wanted = Meaningful(want.options, syn);
  const std::vector<OptionSpec> found = Meaningful(got.options, syn);
  if (wanted.size() != found.size()) return "options";
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (!SameOption(wanted[i], found[i], options)) return "options";
  }
  return {};
}

std::string EcnDifference(EcnSpec want, uint8_t got) {
  bool same = true;
  if (want == EcnSpec::kEct01) {
    same = got == 1 || got == 2;
  } else if (want != EcnSpec::kUnstated) {
    same = EcnBits(want) == got;
  }
  constexpr const char* kNames[] = {"[noecn]", "[ect1]", "[ect0]", "[ce]"};
  return same ? std::string() : std::string("an IP header with ") + kNames[got & 3];
}

bool PayloadIsRight(const LivePacket& live, const Flow& flow) {
  if (!flow.knows_local) return true;
  const uint32_t first = live.tcp.seq.value() - flow.local_iss - ((live.tcp.flags & wire::kSyn) != 0 ? 0 : 1);
  for (size_t i = 0; i < live.payload.size(); ++i) {
    if (live.payload[i] != PatternByte(first + i)) return false;
  }
  return true;
}

std::string ToText(const TcpSpec& tcp) {
  std::string text = FlagText(tcp.flags) + " " + std::to_string(tcp.seq) + ":" + std::to_string(tcp.end) +
                     "(" + std::to_string(tcp.length) + ")";
  if ((tcp.flags & wire::kAck) != 0) text += " ack " + std::to_string(tcp.ack);
  if (tcp.has_window) text += " win " + std::to_string(tcp.window);
  if (tcp.has_urgent) text += " urg " + std::to_string(tcp.urgent);
  if (tcp.any_options) return text + " <...>";
  if (tcp.options.empty()) return text;
  text += " <";
  for (size_t i = 0; i < tcp.options.size(); ++i) text += (i == 0 ? "" : ",") + OptionText(tcp.options[i]);
  return text + ">";
}

}  // namespace tern::script
