// Packets: `< S 0:0(0) win 1000 <mss 1460>`, `> [ect0] P. 1:11(10) ack 1`, `< icmp unreachable
// port_unreachable`.
#include "script/parser.h"
#include "wire/icmp.h"
#include "wire/icmpv6.h"
#include "wire/tcp.h"

namespace tern::script {
namespace {

struct Named {
  const char* name;
  uint8_t type;
  uint8_t code;
};

constexpr Named kIcmpNames[] = {
    {"net_unreachable", wire::kIcmpDestinationUnreachable, wire::kUnreachableNetwork},
    {"host_unreachable", wire::kIcmpDestinationUnreachable, wire::kUnreachableHost},
    {"protocol_unreachable", wire::kIcmpDestinationUnreachable, wire::kUnreachableProtocol},
    {"port_unreachable", wire::kIcmpDestinationUnreachable, wire::kUnreachablePort},
    {"frag_needed", wire::kIcmpDestinationUnreachable, wire::kUnreachableFragmentationNeeded},
    {"source_route_failed", wire::kIcmpDestinationUnreachable, wire::kUnreachableSourceRouteFailed},
    {"net_unreachable_for_tos", wire::kIcmpDestinationUnreachable, 11},
    {"host_unreachable_for_tos", wire::kIcmpDestinationUnreachable, 12},
    {"net_unknown", wire::kIcmpDestinationUnreachable, 6},
    {"host_unknown", wire::kIcmpDestinationUnreachable, 7},
    {"source_host_isolated", wire::kIcmpDestinationUnreachable, 8},
    {"net_prohibited", wire::kIcmpDestinationUnreachable, wire::kUnreachableNetworkProhibited},
    {"host_prohibited", wire::kIcmpDestinationUnreachable, wire::kUnreachableHostProhibited},
    {"comm_prohibited", wire::kIcmpDestinationUnreachable, wire::kUnreachableProhibited},
    {"ttl_exceeded", wire::kIcmpTimeExceeded, wire::kTimeExceededInTransit},
    {"source_quench", wire::kIcmpSourceQuench, 0},
};
constexpr Named kIcmp6Names[] = {
    {"no_route", wire::kIcmpv6DestinationUnreachable, wire::kUnreachable6NoRoute},
    {"adm_prohibited", wire::kIcmpv6DestinationUnreachable, wire::kUnreachable6Prohibited},
    {"not_neighbour", wire::kIcmpv6DestinationUnreachable, wire::kUnreachable6BeyondScope},
    {"address_unreachable", wire::kIcmpv6DestinationUnreachable, wire::kUnreachable6Address},
    {"addr_unreachable", wire::kIcmpv6DestinationUnreachable, wire::kUnreachable6Address},
    {"port_unreachable", wire::kIcmpv6DestinationUnreachable, wire::kUnreachable6Port},
    {"packet_too_big", wire::kIcmpv6PacketTooBig, 0},
    {"hop_limit_exceeded", wire::kIcmpv6TimeExceeded, 0},
};

const Named* FindNamed(std::span<const Named> names, const std::string& name) {
  for (const Named& n : names) {
    if (name == n.name) return &n;
  }
  return nullptr;
}

struct TypeName {
  const char* name;
  uint8_t type4;
  uint8_t type6;
};
constexpr TypeName kTypeNames[] = {
    {"unreachable", wire::kIcmpDestinationUnreachable, wire::kIcmpv6DestinationUnreachable},
    {"packet_too_big", wire::kIcmpDestinationUnreachable, wire::kIcmpv6PacketTooBig},
    {"time_exceeded", wire::kIcmpTimeExceeded, wire::kIcmpv6TimeExceeded},
    {"source_quench", wire::kIcmpSourceQuench, 0},
    {"parameter_problem", wire::kIcmpParameterProblem, wire::kIcmpv6ParameterProblem},
};

}  // namespace

PacketSpec Parser::ParsePacket() {
  PacketSpec packet;
  packet.inbound = Next().Is('<');
  ParseIpFields(packet);
  // What an ICMP message quotes stands before it or behind it.
  TcpSpec quoted;
  const bool quote_first = Peek().Is('[') && Peek(1).kind == TokenKind::kInteger;
  if (quote_first) ParseQuote(quoted);
  if (AcceptWord("icmp")) {
    packet.body = ParseIcmp(/*ipv6=*/false, quoted);
  } else if (AcceptWord("icmpv6")) {
    packet.body = ParseIcmp(/*ipv6=*/true, quoted);
  } else if (quote_first) {
    Fail(Peek(), "icmp or icmpv6 after a quoted segment");
  } else if (Peek().IsWord("udp")) {
    Needs("UDP packets");
    Fail(Peek(), "a TCP or ICMP packet (UDP is not played here)");
  } else {
    packet.body = ParseTcp(packet.inbound);
  }
  if (std::holds_alternative<IcmpSpec>(packet.body) && !packet.inbound) {
    Needs("outbound ICMP");
  }
  return packet;
}

void Parser::ParseIpFields(PacketSpec& packet) {
  if (Peek().Is('(')) {
    // IP header fields that no option of ours can set: (flowlabel 0x1), (ttl 32), (tos 0x2).
    Needs("IP header fields in packets");
    while (Peek().kind != TokenKind::kEnd && !Accept(')')) Next();
  }
  if (!Peek().Is('[') || Peek(1).kind == TokenKind::kInteger) return;
  Next();
  while (!Accept(']')) {
    const Token word = Next();
    if (word.IsWord("noecn")) {
      packet.ecn = EcnSpec::kNotCapable;
    } else if (word.IsWord("ect0")) {
      packet.ecn = EcnSpec::kEct0;
    } else if (word.IsWord("ect1")) {
      packet.ecn = EcnSpec::kEct1;
    } else if (word.IsWord("ect01")) {
      packet.ecn = EcnSpec::kEct01;
    } else if (word.IsWord("ce")) {
      packet.ecn = EcnSpec::kCe;
    } else if (word.IsWord("flowlabel") || word.IsWord("ttl") || word.IsWord("tos")) {
      Needs("IP header fields in packets");
      Next();
    } else {
      return Fail(word, "noecn, ect0, ect1, ect01 or ce");
    }
    Accept(',');
  }
}

uint8_t Parser::ParseFlags() {
  uint8_t flags = 0;
  const Token start = Peek();
  bool any = false;
  if (Accept('-')) return 0;
  // Letters and points that stand together: "S.", "FP.", ".", "SEW".
  for (;;) {
    const Token token = Peek();
    if (any && token.spaced) break;
    const bool number = token.kind == TokenKind::kDecimal || token.kind == TokenKind::kInteger;
    if (number && (any || token.text[0] == '.')) {
      // ".5", "P.6": a counter of AccECN's among the flags.
      Needs("AccECN flags");
      Next();
      any = true;
      continue;
    }
    if (token.kind != TokenKind::kWord && !token.Is('.')) break;
    Next();
    any = true;
    for (const char c : token.text) {
      switch (c) {
        case 'F':
          flags |= wire::kFin;
          break;
        case 'S':
          flags |= wire::kSyn;
          break;
        case 'R':
          flags |= wire::kRst;
          break;
        case 'P':
          flags |= wire::kPsh;
          break;
        case '.':
          flags |= wire::kAck;
          break;
        case 'U':
          flags |= wire::kUrg;
          break;
        case 'E':
          flags |= wire::kEce;
          break;
        case 'W':
          flags |= wire::kCwr;
          break;
        case 'A':
          Needs("AccECN flags");
          break;
        default:
          Fail(token, "TCP flags out of FSRP.UEW, or -");
          return 0;
      }
    }
  }
  if (!any) Fail(start, "TCP flags (S, S., ., P., F., R, ...) or -");
  return flags;
}

void Parser::ParseSequenceRange(TcpSpec& tcp) {
  const Token start = Peek();
  tcp.seq = Sequence();
  Expect(':', "in a sequence range start:end(length)");
  tcp.end = Sequence();
  Expect('(', "in a sequence range start:end(length)");
  tcp.length = static_cast<uint32_t>(Integer("a length", 0xffffff));
  Expect(')', "after the length");
  if (tcp.seq + tcp.length != tcp.end) {
    Fail(start, "a range whose length is end less start, which is " + std::to_string(tcp.end - tcp.seq));
  }
}

TcpSpec Parser::ParseTcp(bool inbound) {
  TcpSpec tcp;
  tcp.flags = ParseFlags();
  ParseSequenceRange(tcp);
  if (inbound && tcp.length > 65'000) Fail(Peek(), "an inbound packet of at most 65000 octets");
  const bool has_ack = (tcp.flags & wire::kAck) != 0;
  const Token word = Peek();
  if (AcceptWord("ack")) {
    tcp.ack = Sequence();
    if (!has_ack) Fail(word, "no ack without the flag '.'");
  } else if (has_ack && !error_) {
    Fail(word, "ack, since the flags say so");
  }
  if (AcceptWord("win")) {
    tcp.has_window = true;
    tcp.window = static_cast<uint16_t>(Integer("a window", 0xffff));
  }
  if (AcceptWord("urg")) {
    tcp.has_urgent = true;
    tcp.urgent = static_cast<uint16_t>(Integer("an urgent pointer", 0xffff));
  }
  if (Peek().Is('<')) ParseTcpOptions(tcp);
  return tcp;
}

OptionSpec Parser::ParseSackBlocks() {
  OptionSpec option{.kind = OptionKind::kSack};
  while (Peek().kind == TokenKind::kInteger) {
    const uint32_t start = Sequence();
    Expect(':', "between the ends of a SACK block");
    option.blocks.emplace_back(start, Sequence());
  }
  if (option.blocks.empty()) Fail(Peek(), "at least one SACK block start:end");
  if (option.blocks.size() > 4) Fail(Peek(), "at most 4 SACK blocks");
  return option;
}

OptionSpec Parser::ParseTcpOption() {
  const Token word = Next();
  if (word.IsWord("mss")) {
    return {.kind = OptionKind::kMss, .value = static_cast<uint32_t>(Integer("an MSS", 0xffff))};
  }
  if (word.IsWord("wscale")) {
    return {.kind = OptionKind::kWindowScale, .value = static_cast<uint32_t>(Integer("a shift", 255))};
  }
  if (word.IsWord("sackOK")) return {.kind = OptionKind::kSackPermitted};
  if (word.IsWord("nop")) return {.kind = OptionKind::kNop};
  if (word.IsWord("eol")) return {.kind = OptionKind::kEnd};
  if (word.IsWord("sack")) return ParseSackBlocks();
  if (word.IsWord("TS")) {
    OptionSpec option{.kind = OptionKind::kTimestamp};
    if (!AcceptWord("val")) Fail(Peek(), "val");
    option.value = Sequence();
    if (!AcceptWord("ecr")) Fail(Peek(), "ecr");
    option.echo = Sequence();
    return option;
  }
  if (word.kind == TokenKind::kWord) {
    // Options that others know: TCP Fast Open, MD5, experiments. Well formed, and not played.
    Needs("the TCP option " + word.text);
    while (Peek().kind != TokenKind::kEnd && !Peek().Is(',') && !Peek().Is('>')) Next();
    return {.kind = OptionKind::kOther};
  }
  Fail(word, "a TCP option (mss, sackOK, wscale, TS, sack, nop, eol)");
  return {};
}

void Parser::ParseTcpOptions(TcpSpec& tcp) {
  Expect('<', "before TCP options");
  if (Peek().kind == TokenKind::kEllipsis) {
    Next();
    tcp.any_options = true;
    Expect('>', "after '...'");
    return;
  }
  while (!Accept('>')) {
    if (Peek().kind == TokenKind::kEnd) return Expect('>', "after the options");
    tcp.options.push_back(ParseTcpOption());
    if (!Peek().Is('>')) Expect(',', "or '>' after a TCP option");
  }
}

// [start:end(length)], with flags before it where somebody likes them.
void Parser::ParseQuote(TcpSpec& quoted) {
  Expect('[', "before a quoted segment");
  if (Peek().kind != TokenKind::kInteger) ParseFlags();
  ParseSequenceRange(quoted);
  Expect(']', "after the quoted segment");
}

IcmpSpec Parser::ParseIcmp(bool ipv6, TcpSpec quoted) {
  IcmpSpec icmp{.ipv6 = ipv6};
  const Token type = Next();
  bool known = false;
  for (const TypeName& t : kTypeNames) {
    if (!type.IsWord(t.name)) continue;
    icmp.type = ipv6 ? t.type6 : t.type4;
    known = true;
  }
  if (!known) Fail(type, "an ICMP type (unreachable, packet_too_big, time_exceeded, source_quench)");
  if (Peek().kind == TokenKind::kWord && !Peek().IsWord("mtu")) {
    const Token code = Next();
    const std::span<const Named> names =
        ipv6 ? std::span<const Named>(kIcmp6Names) : std::span<const Named>(kIcmpNames);
    const Named* named = FindNamed(names, code.text);
    if (named == nullptr) {
      Needs("the ICMP code " + code.text);
    } else {
      icmp.type = named->type;
      icmp.code = named->code;
    }
  }
  if (AcceptWord("mtu")) icmp.mtu = static_cast<uint32_t>(Integer("an MTU", 0xffffffff));
  if (Peek().Is('[')) ParseQuote(quoted);
  icmp.seq = quoted.seq;
  icmp.length = quoted.length;
  return icmp;
}

}  // namespace tern::script
