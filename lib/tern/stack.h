// A TCP/IP stack on one or more devices: opened, started, stopped, destroyed, and opened again.
#ifndef TERN_TERN_STACK_H_
#define TERN_TERN_STACK_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tern/address.h"
#include "tern/client.h"
#include "tern/export.h"
#include "tern/handler.h"
#include "tern/stats.h"

namespace tern {

// One port and what tern is on it.
struct InterfaceOptions {
  // "af_packet:IF", "af_xdp:IF", "tap:NAME", "memif:PATH", "virtio_user:PATH", "vhost:PATH",
  // "pci:0000:01:00.0", "loopback", "pcap:FILE", "vdev:..." (verbatim). PMD arguments follow a comma:
  // "memif:/run/m.sock,role=server".
  std::string device;
  // With prefix length: "10.77.0.1/24", "fd77::1/64". The rest of the prefix is on link.
  std::vector<std::string> addresses;
  // Prefixes of which every address is ours: "10.77.1.0/24". Sources of Connect, and answered like
  // `addresses`.
  std::vector<std::string> pools;
  std::string mac;    // "02:00:00:00:00:01"; empty: the device's own
  uint16_t mtu = 0;   // octets of the largest IP packet, 1280..9000; 0: the device's own
  uint16_t vlan = 0;  // 802.1Q id; 0: untagged
  // IPv6 addresses come by themselves (RFC 4862): a link-local one, and one of each /64 that a router on the
  // link announces, all made with the station's address (EUI-64). Such routers are default routers where no
  // gateway is given. The log says which addresses there are. IPv4 is not concerned.
  bool autoconf = false;
  // DupAddrDetectTransmits: how often the link is asked, a second apart, whether somebody has such an address
  // already. One that somebody has is not used, and the log says so. 0: nobody is asked.
  uint16_t dad_transmits = 1;
  // `addresses` are used at once, and whoever claims one is counted; with this, those of IPv6 are asked for
  // first, with or without `autoconf`: they answer a second later, or never.
  bool dad_configured = false;
  // Puts a bad network between stack and device: "loss=1%,delay=10ms,seed=7"; empty: none.
  std::string impairment;
};

enum class ClosedPorts : uint8_t {
  kRefuse,  // RST to a SYN nobody listens for, as any host
  kSilent,  // drop and count
};

// When a SYN is answered by a cookie (RFC 4987), which costs no memory until the peer has proved its address.
// Past the backlog the alternative is to drop. A cookie keeps the peer's window scale and SACK only with
// timestamps.
enum class SynCookies : uint8_t {
  kOff,
  kPastBacklog,
  kAlways,
};

// What a worker does that finds nothing to do.
enum class IdlePolicy : uint8_t {
  kAdaptive,  // polls for `idle_spin`, then yields the CPU, then sleeps until a packet, a timer or a wake-up
  kYield,     // polls, yielding the CPU each turn
  kSpin,      // polls; for a core of its own
};

// When connections try for themselves how large a packet their path carries (RFC 8899).
enum class PathProbing : uint8_t {
  kOff,        // routers have to tell
  kBlackHole,  // when large segments vanish and no router says why; and every ten minutes on a path that does
               // not carry what the link does
  kAlways,     // from small packets upwards, on every connection
};

enum class HugePages : uint8_t {
  kAuto,  // if the system has them
  kOn,    // or fail
  kOff,
};

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError };
// One line without end-of-line. Any thread, so it must be safe for several at once.
using LogSink = std::function<void(LogLevel level, std::string_view line)>;

// Everything a stack is opened with. Each field works untuned. Sizes in octets.
struct Options {
  std::vector<InterfaceOptions> interfaces;  // at least one
  // "PREFIX via ADDRESS", "default via ADDRESS" (each family its own), "PREFIX dev N" with N an index of
  // `interfaces`.
  std::vector<std::string> routes;
  // Short for "default via ADDRESS"; at most one of each family.
  std::vector<std::string> gateways;

  // One worker each, and on that CPU. Empty: one worker, on the first CPU the process may use.
  std::vector<int> lcores;
  HugePages huge_pages = HugePages::kAuto;
  uint32_t memory_mib = 0;  // for packet memory, all workers together; 0: by need
  std::vector<std::string>
      eal_arguments;  // to DPDK's EAL, verbatim; only the first stack of a process has a say

  ClosedPorts closed_ports = ClosedPorts::kRefuse;
  SynCookies syn_cookies = SynCookies::kPastBacklog;
  uint32_t synack_retries = 5;           // of a SYN-ACK nobody answers, with doubled waits from 1 s; 0 to 15
  uint32_t max_connections = 65'536;     // of one worker
  uint32_t receive_buffer = 256 * 1024;  // window offered, of one connection
  uint32_t send_buffer = 256 * 1024;     // taken from the application and not acknowledged, of one connection
  // How far each connection's may grow when its path takes more. Not above the size itself: it stays as it
  // is. More than this asks for more packet memory, too: a worker's 8192 buffers hold 11 MiB of full
  // segments, and two connections that echo with 6 MiB each were seen to use them up.
  uint32_t receive_buffer_max = 2 * 1024 * 1024;
  uint32_t send_buffer_max = 1024 * 1024;
  std::string congestion = "cubic";  // or "newreno"
  bool nodelay = false;              // true: no Nagle unless a connection asks for it
  uint16_t ttl = 64;                 // TTL or hop limit of TCP segments, 1 to 255
  uint16_t dscp = 0;                 // Diffserv code point of TCP segments, 0 to 63
  bool path_mtu_discovery = true;    // routers are believed that say "packet too big" (RFC 1191, RFC 8201)
  PathProbing plpmtud = PathProbing::kBlackHole;
  bool timestamps = true;    // RFC 7323
  bool sack = true;          // RFC 2018
  bool window_scale = true;  // RFC 7323

  IdlePolicy idle = IdlePolicy::kAdaptive;
  std::chrono::nanoseconds idle_spin = std::chrono::microseconds(50);
  // 0: secrets, ports and seeds come from the system. Else everything is drawn from this number: for tests
  // only, since whoever knows it can guess sequence numbers.
  uint64_t seed = 0;

  LogSink log;  // empty: silence
};

struct ListenOptions {
  Endpoint local;            // address unspecified: all of ours, both families
  uint32_t backlog = 4'096;  // half-open and not yet accepted connections, of one worker
  bool nodelay = false;      // for connections accepted; true or the stack's default
  // Bounds of one worker's share, which is a part of all connections as the NIC spreads them. What is beyond
  // is dropped and counted, and the peer tries again by itself.
  uint32_t accept_rate = 0;   // connections a second, and as many at once; 0: no limit
  uint32_t source_limit = 0;  // of the backlog, for one IPv4 address or IPv6 /64; 0: no limit
  // Until data has come, or the peer's FIN, a connection is not given to the application; after this long it
  // is anyway. 0: at once.
  std::chrono::nanoseconds defer_accept{0};
};

enum class StopMode : uint8_t {
  kDrain,  // close connections and give them up to `timeout` to finish
  kAbort,  // reset them
};

// What one device turned out to be.
struct InterfaceInfo {
  std::string device;
  std::string driver;
  std::string mac;
  uint16_t mtu = 0;
  std::string offloads;                // in words, which are in force and which have a software twin
  std::vector<std::string> addresses;  // pools too, marked
};

// Thread: Open, Start, Stop and destruction from one thread; the rest from any, but where stated. No call may
// come from a worker (it would wait for itself).
class TERN_EXPORT Stack {
 public:
  // Opens the devices and builds workers that do not run yet. Errors name the option, its value, and what to
  // do. EAL comes up with the first stack of the process and stays.
  static absl::StatusOr<std::unique_ptr<Stack>> Open(const Options& options);

  struct Parts;  // the library's own
  explicit Stack(std::unique_ptr<Parts> parts);

  // Stops (kAbort) when it runs.
  ~Stack();
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  // Listens on every worker. Before Start it is noted, and what is wrong with it is an error of Start. While
  // running, an address or port that cannot be had is an error, and then nothing listens.
  absl::Status Listen(const ListenOptions& options, HandlerFactory factory);
  // Adds a task to every worker. REQUIRES: not running.
  absl::Status AddTask(TaskFactory factory);

  // Starts the workers, then tasks, then listeners. After an error the stack is stopped.
  absl::Status Start();
  // Runs tasks' OnStop, ends connections, stops devices, and reports what was left behind. Clients attached
  // are detached: their connections are closed, their calls fail from here on. A stopped stack can only be
  // destroyed. Idempotent: a second call gives the same report.
  LeakReport Stop(StopMode mode = StopMode::kDrain,
                  std::chrono::milliseconds timeout = std::chrono::milliseconds(1'000));
  bool running() const;

  // Tier 3: a client for one application thread. REQUIRES: running. It may be destroyed before or after Stop,
  // not after the stack.
  absl::StatusOr<std::unique_ptr<Client>> NewClient(const ClientOptions& options = {});

  int worker_count() const;
  std::vector<InterfaceInfo> interfaces() const;
  // Asks each worker for a snapshot and waits for it (a turn of the loop); a stopped stack gives its last.
  StackStats Stats();
  // Runs `fn` on a worker and waits until it is done. For inspection; it delays the worker. Error when not
  // running.
  absl::Status RunOn(int worker, const std::function<void(Worker&)>& fn);

 private:
  std::unique_ptr<Parts> parts_;
};

}  // namespace tern

#endif  // TERN_TERN_STACK_H_
