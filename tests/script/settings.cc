#include "script/settings.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <sstream>
#include <vector>

namespace tern::script {
namespace {

using Words = std::vector<std::string>;

// Commands are parted by newlines, semicolons, && and ||; words by blanks that no quotes surround.
std::vector<Words> Commands(const std::string& text) {
  std::vector<Words> commands(1);
  std::string word;
  char quote = 0;
  const auto end_word = [&] {
    if (!word.empty()) commands.back().push_back(word);
    word.clear();
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool twice = i + 1 < text.size() && text[i + 1] == c;
    if (quote != 0 || c == '"' || c == '\'') {
      if (quote == 0 || c == quote) {
        quote = quote == 0 ? c : '\0';
      } else {
        word += c;
      }
    } else if (c == '\n' || c == ';' || ((c == '&' || c == '|') && twice)) {
      end_word();
      commands.emplace_back();
      if (c == '&' || c == '|') ++i;
    } else if (c == ' ' || c == '\t' || c == '\r' || c == '\\') {
      end_word();
    } else {
      word += c;
    }
  }
  end_word();
  std::erase_if(commands, [](const Words& w) { return w.empty(); });
  return commands;
}

std::string BaseName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// Knobs of Linux whose effect tern never has, or always has: obeyed when the value says so.
struct Fixed {
  const char* name;
  const char* values;  // comma-separated; "*": any
};
constexpr Fixed kFixed[] = {
    {"tcp_no_metrics_save", "1"},  // nothing is remembered of earlier connections
    {"tcp_fastopen", "0,1,2,3"},   // cookies are only used where a script asks for them
    {"tcp_autocorking", "0"},
    {"tcp_min_tso_segs", "*"},
    {"tcp_tso_win_divisor", "*"},
    {"tcp_limit_output_bytes", "*"},
    {"tcp_notsent_lowat", "*"},
    {"tcp_moderate_rcvbuf", "*"},
    {"tcp_slow_start_after_idle", "0,1"},
    {"tcp_invalid_ratelimit", "0"},
    {"tcp_challenge_ack_limit", "*"},
    {"tcp_pacing_ss_ratio", "*"},
    {"tcp_pacing_ca_ratio", "*"},
    {"tcp_reflect_tos", "0"},
    {"tcp_migrate_req", "0"},
    {"tcp_stdurg", "0"},
    {"tcp_rfc1337", "1"},
    {"tcp_adv_win_scale", "*"},
    {"tcp_shrink_window", "0"},
    {"tcp_l3mdev_accept", "0"},
    {"tcp_comp_sack_nr", "0"},
    {"tcp_workaround_signed_windows", "0"},
    {"tcp_thin_linear_timeouts", "0"},
    {"tcp_app_win", "*"},
    {"tcp_reordering", "3"},
    {"tcp_max_reordering", "*"},
    {"tcp_recovery", "0,1"},
    {"tcp_early_retrans", "0,1,2,3,4"},
    {"tcp_ecn", "0,2"},
    {"tcp_ecn_fallback", "*"},
    {"tcp_frto", "0,1,2"},
    {"tcp_dsack", "0,1"},
    {"tcp_fack", "0"},
    {"tcp_abort_on_overflow", "0"},
    {"ip_no_pmtu_disc", "0"},
    {"tcp_mtu_probing", "0"},
    {"tcp_allowed_congestion_control", "*"},
    {"tcp_fastopen_key", "*"},
    {"tcp_syncookies", "0,1"},
    {"tcp_fwmark_accept", "0"},
    {"tcp_tw_reuse", "0,1,2"},
    {"tcp_probe_interval", "*"},
    {"tcp_probe_threshold", "*"},
    // FreeBSD's.
    {"net.inet.tcp.ecn.enable", "0,2"},
    {"net.inet.tcp.hostcache.purgenow", "*"},
    {"net.inet.tcp.hostcache.enable", "0"},
    {"net.inet.tcp.rexmit_slop", "*"},
    {"net.inet.tcp.rexmit_drop_options", "0"},
    {"net.inet.tcp.icmp_may_rst", "1"},
    {"net.inet.tcp.syncookies", "*"},
    {"net.inet.tcp.syncookies_only", "0"},
    {"net.inet.tcp.syncache.rst_on_sock_fail", "1"},
    {"net.inet.tcp.functions_default", "*"},
    {"net.inet.tcp.sendbuf_auto", "*"},
    {"net.inet.tcp.recvbuf_auto", "*"},
    {"net.inet.tcp.rfc3042", "1"},
    {"net.inet.tcp.blackhole", "0"},
    {"kern.ipc.maxsockbuf", "*"},
};

bool FixedAllows(const Fixed& fixed, const std::string& value) {
  if (std::string(fixed.values) == "*") return true;
  std::istringstream list(fixed.values);
  for (std::string one; std::getline(list, one, ',');) {
    if (one == value) return true;
  }
  return false;
}

// FreeBSD's names. True when it was one that tern has.
bool BsdSysctl(const std::string& name, const std::string& value, tcp::TcpConfig& tcp) {
  const uint64_t number = std::strtoull(value.c_str(), nullptr, 10);
  if (name == "net.inet.tcp.rfc1323" && number <= 1) {
    tcp.timestamps = tcp.window_scale = number == 1;
  } else if (name == "net.inet.tcp.sack.enable" && number <= 1) {
    tcp.sack = number == 1;
  } else if (name == "net.inet.tcp.recvspace" && number != 0 && number <= 1u << 30) {
    tcp.receive_buffer = static_cast<uint32_t>(number);
  } else if (name == "net.inet.tcp.sendspace" && number != 0 && number <= 1u << 30) {
    tcp.send_buffer = static_cast<uint32_t>(number);
  } else if (name == "net.inet.tcp.rexmit_initial" && number != 0) {
    tcp.rto_initial = Duration::Millis(static_cast<int64_t>(number));
  } else if (name == "net.inet.tcp.rexmit_min" && number != 0) {
    tcp.rto_min = Duration::Millis(static_cast<int64_t>(number));
  } else if (name == "net.inet.tcp.msl" && number != 0) {
    tcp.msl = Duration::Millis(static_cast<int64_t>(number));
  } else if (name == "net.inet.tcp.initcwnd_segments" && number != 0 && number <= 255) {
    tcp.initial_window_segments = static_cast<uint8_t>(number);
  } else if (name == "net.inet.tcp.cc.algorithm" && (value == "newreno" || value == "cubic")) {
    tcp.congestion = value == "cubic" ? tcp::CongestionAlgorithm::kCubic : tcp::CongestionAlgorithm::kNewReno;
  } else {
    return false;
  }
  return true;
}

// Sets what tern has; says what it would need for the rest.
std::string Sysctl(const std::string& path, const std::string& value, tcp::TcpConfig& tcp) {
  std::string name = path;
  std::replace(name.begin(), name.end(), '/', '.');
  if (BsdSysctl(name, value, tcp)) return {};
  const bool bsd = name.rfind("net.inet", 0) == 0 || name.rfind("kern.", 0) == 0;
  if (!bsd) name = name.substr(name.rfind('.') + 1);
  std::string needs = "sysctl " + name + "=" + value;
  const bool boolean = value == "0" || value == "1";
  const uint64_t number = std::strtoull(value.c_str(), nullptr, 10);
  if (name == "tcp_sack" && boolean) {
    tcp.sack = value == "1";
  } else if (name == "tcp_timestamps" && (boolean || value == "2")) {
    tcp.timestamps = value != "0";
  } else if (name == "tcp_window_scaling" && boolean) {
    tcp.window_scale = value == "1";
  } else if (name == "tcp_congestion_control" && (value == "reno" || value == "cubic")) {
    tcp.congestion = value == "cubic" ? tcp::CongestionAlgorithm::kCubic : tcp::CongestionAlgorithm::kNewReno;
  } else if (name == "tcp_syn_retries" && number <= 127) {
    tcp.syn_retries = static_cast<uint8_t>(number);
  } else if (name == "tcp_synack_retries" && number <= 14) {
    tcp.synack_retries = static_cast<uint8_t>(number);
  } else if (name == "tcp_retries2" && number <= 127) {
    tcp.data_retries = static_cast<uint8_t>(number);
  } else if (name == "tcp_fin_timeout" && number != 0) {
    tcp.fin_wait2 = Duration::Seconds(static_cast<int64_t>(number));
  } else {
    for (const Fixed& fixed : kFixed) {
      if (name == fixed.name && FixedAllows(fixed, value)) return {};
    }
    return needs;
  }
  return {};
}

std::string IpCommand(const Words& words, tcp::TcpConfig& tcp) {
  if (words.size() > 1 && words[1] == "tcp_metrics") return {};
  const bool route = words.size() > 2 && words[1] == "route";
  std::string needs;
  for (size_t i = 3; route && i + 1 < words.size(); ++i) {
    if (words[i] == "initcwnd") {
      tcp.initial_window_segments = static_cast<uint8_t>(std::min(std::atoi(words[i + 1].c_str()), 255));
    } else if (words[i] == "initrwnd" || words[i] == "features" || words[i] == "quickack" ||
               words[i] == "advmss" || words[i] == "rto_min" || words[i] == "mtu" || words[i] == "congctl") {
      needs = "ip route " + words[i];
    }
  }
  return route ? needs : "the command " + words[0] + (words.size() > 1 ? " " + words[1] : "");
}

std::string Obey(const Words& words, tcp::TcpConfig& tcp) {
  const std::string command = BaseName(words[0]);
  // Linux's defaults, queueing disciplines and offloads of a device that is not there.
  const bool nothing = command == "defaults.sh" || command == "ethtool" || command == "true" ||
                       command == "sleep" || command == "exit" || command == ":" || command == "nstat";
  if (nothing) return {};
  if (command == "tc") {
    // A discipline for its own sake is nothing; one that drops or delays would be missed.
    const bool acts = std::find(words.begin(), words.end(), "netem") != words.end() ||
                      std::find(words.begin(), words.end(), "limit") != words.end();
    return acts ? "the command tc" : std::string();
  }
  if (command == "ip") return IpCommand(words, tcp);
  if (command == "sysctl" || command == "set_sysctls.py") {
    for (size_t i = 1; i < words.size(); ++i) {
      if (words[i][0] == '-' || words[i][0] == '>' || words[i] == "/dev/null" || words[i][0] == '2') continue;
      const size_t equals = words[i].find('=');
      if (equals == std::string::npos) return "the sysctl command " + words[i];
      std::string needs = Sysctl(words[i].substr(0, equals), words[i].substr(equals + 1), tcp);
      if (!needs.empty()) return needs;
    }
    return {};
  }
  if (command == "echo" && words.size() >= 4 && words[2] == ">") return Sysctl(words[3], words[1], tcp);
  return "the command " + command;
}

std::string ObeyAll(const std::string& text, tcp::TcpConfig& tcp) {
  for (const Words& words : Commands(text)) {
    std::string needs = Obey(words, tcp);
    if (!needs.empty()) return needs;
  }
  return {};
}

bool SameTcp(const tcp::TcpConfig& a, const tcp::TcpConfig& b) {
  return a.sack == b.sack && a.timestamps == b.timestamps && a.window_scale == b.window_scale &&
         a.congestion == b.congestion && a.syn_retries == b.syn_retries &&
         a.synack_retries == b.synack_retries && a.data_retries == b.data_retries &&
         a.initial_window_segments == b.initial_window_segments && a.fin_wait2 == b.fin_wait2 &&
         a.receive_buffer == b.receive_buffer && a.send_buffer == b.send_buffer &&
         a.rto_initial == b.rto_initial && a.rto_min == b.rto_min && a.msl == b.msl;
}

std::string Apply(const OptionLine& line, Settings& s) {
  const auto number = [&](uint64_t most) {
    return std::min(std::strtoull(line.value.c_str(), nullptr, 0), most + 0ull);
  };
  const std::string& name = line.name;
  if (name == "ip_version") {
    // Mapped addresses are IPv4 on the wire, which is what counts here.
    if (line.value != "ipv4" && line.value != "ipv6" && line.value != "ipv4-mapped-ipv6")
      return "ip_version " + line.value;
    s.ipv6 = line.value == "ipv6";
  } else if (name == "tolerance_usecs") {
    s.compare.tolerance_us = static_cast<int64_t>(number(1'000'000'000));
  } else if (name == "bind_port") {
    s.bind_port = static_cast<uint16_t>(number(0xffff));
  } else if (name == "connect_port") {
    s.connect_port = static_cast<uint16_t>(number(0xffff));
  } else if (name == "mtu") {
    s.host.mtu = static_cast<uint16_t>(number(9'000));
  } else if (name == "tcp_ts_tick_usecs") {
    s.compare.ts_tick_us = static_cast<uint32_t>(number(10'000'000));
  } else if (name == "check-psh" || name == "check_psh") {
    s.compare.check_psh = true;
  } else if (name == "local_ip" || name == "remote_ip") {
    const std::optional<wire::IpAddress> ip =
        wire::IpAddress::Parse(line.value.substr(0, line.value.find('/')));
    if (!ip) return name + " " + line.value;
    (name == "local_ip" ? s.host.local : s.host.remote) = *ip;
  } else if (name == "initial_window") {
    s.host.tcp.initial_window_segments = static_cast<uint8_t>(number(255));
  } else if (name == "receive_buffer") {
    s.host.tcp.receive_buffer = static_cast<uint32_t>(number(1u << 30));
  } else if (name != "gateway_ip" && name != "netmask_ip" && name != "non_fatal" && name != "verbose" &&
             name != "tcp_ts_ecr_scaled" && name != "mss" && name != "code_command" &&
             name != "tolerance_percent" && name != "speed") {
    return "the option --" + name;
  }
  return {};
}

}  // namespace

Settings SettingsFor(const Script& script, bool ipv6_wanted) {
  Settings s;
  s.ipv6 = ipv6_wanted;
  const auto needs = [&](const std::string& what) {
    if (s.needs.empty()) s.needs = what;
  };
  for (const OptionLine& line : script.options) needs(Apply(line, s));
  if (s.host.local.IsUnspecified())
    s.host.local = *wire::IpAddress::Parse(s.ipv6 ? "fd3d:fa7b:d17d::1" : "192.168.0.1");
  if (s.host.remote.IsUnspecified())
    s.host.remote = *wire::IpAddress::Parse(s.ipv6 ? "2001:db8::1" : "192.0.2.1");
  s.ipv6 = !s.host.local.IsV4();
  for (const auto& [at, command] : script.init_commands) needs(ObeyAll(command, s.host.tcp));
  // What is set before anything happens is set from the start, with a time of its own or without.
  for (const Event& event : script.events) {
    const auto* shell = std::get_if<ShellSpec>(&event.body);
    if (shell == nullptr) break;
    needs(ObeyAll(shell->text, s.host.tcp));
  }
  for (const Event& event : script.events) {
    const auto* packet = std::get_if<PacketSpec>(&event.body);
    if (packet == nullptr || !packet->inbound) continue;
    const auto* tcp = std::get_if<TcpSpec>(&packet->body);
    if (tcp != nullptr) s.host.largest_frame = std::max(s.host.largest_frame, tcp->length + 128);
    const auto* icmp = std::get_if<IcmpSpec>(&packet->body);
    if (icmp != nullptr && icmp->ipv6 != s.ipv6) needs(icmp->ipv6 ? "ip_version ipv6" : "ip_version ipv4");
  }
  return s;
}

std::string ShellNeeds(const std::string& command, const Settings& settings) {
  tcp::TcpConfig tcp = settings.host.tcp;
  std::string needs = ObeyAll(command, tcp);
  if (!needs.empty()) return needs;
  return SameTcp(tcp, settings.host.tcp) ? std::string() : "settings that change in the middle of a script";
}

}  // namespace tern::script
