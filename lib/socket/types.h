// The vocabulary of sockets: results, options, flags and readiness bits. Numbers that programs know are
// POSIX's and Linux's, so that a shim can pass them through; errors are the constants of <cerrno>.
#ifndef TERN_SOCKET_TYPES_H_
#define TERN_SOCKET_TYPES_H_

#include <cstddef>
#include <cstdint>

#include "wire/ip_address.h"

namespace tern::socket {

// What a call came to. Exactly one of: done with `value`; failed with `error`, a positive errno; pending, and
// then a Completion of the same descriptor follows.
struct Result {
  int64_t value = 0;
  int error = 0;
  bool pending = false;

  static constexpr Result Done(int64_t value = 0) { return {.value = value}; }
  static constexpr Result Fail(int error) { return {.value = -1, .error = error}; }
  static constexpr Result Pending() { return {.pending = true}; }
  constexpr bool ok() const { return error == 0 && !pending; }
};

struct Completion {
  int fd = -1;
  Result result;
};

enum class Family : uint8_t { kIpv4, kIpv6 };

struct Endpoint {
  wire::IpAddress address;  // unspecified: any
  uint16_t port = 0;
  bool operator==(const Endpoint&) const = default;
};

// One part of a scattered read or a gathered write.
struct ReadPart {
  uint8_t* data = nullptr;
  size_t length = 0;
};
struct WritePart {
  const uint8_t* data = nullptr;
  size_t length = 0;
};

// Flags of the send and receive families (the MSG_ constants of Linux).
enum MessageFlag : uint32_t {
  kMessageOob = 0x1,
  kMessagePeek = 0x2,
  kMessageTruncate = 0x20,  // receive: throw the octets away, copy none
  kMessageDontWait = 0x40,
  kMessageWaitAll = 0x100,
  kMessageNoSignal = 0x4000,
  kMessageMore = 0x8000,  // send: as if corked for this call
};

// Readiness, as poll and epoll say it.
enum PollBit : uint32_t {
  kPollIn = 0x1,
  kPollPri = 0x2,
  kPollOut = 0x4,
  kPollErr = 0x8,
  kPollHup = 0x10,
  kPollInvalid = 0x20,
  kPollRdNorm = 0x40,
  kPollWrNorm = 0x100,
  kPollRdHup = 0x2000,
};
inline constexpr uint32_t kEpollOneShot = 1u << 30;
inline constexpr uint32_t kEpollEdge = 1u << 31;

enum class ShutdownHow : uint8_t { kRead, kWrite, kBoth };

// Options that are one number. Times are in the unit that programs use: seconds for kDeferAccept and the
// keepalive ones, milliseconds for kUserTimeout and the two time limits.
enum class Option : uint8_t {
  kError,          // SO_ERROR: read once
  kAcceptConn,     // SO_ACCEPTCONN, read only
  kType,           // SO_TYPE, read only
  kReuseAddress,   // SO_REUSEADDR
  kReusePort,      // SO_REUSEPORT
  kReceiveBuffer,  // SO_RCVBUF: octets of window, as set
  kSendBuffer,     // SO_SNDBUF: octets queued at the most
  kReceiveTimeout,
  kSendTimeout,
  kKeepAlive,
  kNoDelay,
  kCork,
  kMaxSegment,
  kQuickAck,
  kDeferAccept,
  kUserTimeout,
  kKeepIdle,
  kKeepInterval,
  kKeepCount,
  kSynCount,
  kLinger2,
  kReceiveLowWater,
};

struct Linger {
  bool on = false;
  int seconds = 0;
};

enum class CongestionName : uint8_t { kReno, kCubic };

// The states as Linux's tcp_info numbers them.
enum class InfoState : uint8_t {
  kEstablished = 1,
  kSynSent,
  kSynReceived,
  kFinWait1,
  kFinWait2,
  kTimeWait,
  kClose,
  kCloseWait,
  kLastAck,
  kListen,
  kClosing,
};
inline constexpr uint8_t kInfoTimestamps = 1;
inline constexpr uint8_t kInfoSack = 2;
inline constexpr uint8_t kInfoWindowScale = 4;

// What of Linux's tcp_info has a meaning for any TCP. Counts in segments are rounded up from octets.
struct TcpInfo {
  InfoState state = InfoState::kClose;
  uint8_t ca_state = 0;  // 0 open, 3 fast recovery, 4 loss
  uint8_t retransmits = 0;
  uint8_t backoff = 0;
  uint8_t options = 0;
  uint8_t snd_wscale = 0;
  uint8_t rcv_wscale = 0;
  uint32_t rto_us = 0;
  uint32_t snd_mss = 0;
  uint32_t rcv_mss = 0;
  uint32_t unacked = 0;
  uint32_t sacked = 0;
  uint32_t lost = 0;
  uint32_t reordering = 3;  // duplicate ACKs that count as loss
  uint32_t rtt_us = 0;
  uint32_t rttvar_us = 0;
  uint32_t snd_ssthresh = 0;
  uint32_t snd_cwnd = 0;
  uint32_t advmss = 0;
  uint32_t rcv_space = 0;
  uint64_t total_retrans = 0;
  uint64_t bytes_acked = 0;
  uint64_t bytes_received = 0;
  uint64_t notsent_bytes = 0;
  uint32_t snd_wnd = 0;
  uint32_t rcv_wnd = 0;
};

struct EpollEvent {
  uint32_t events = 0;
  uint64_t data = 0;
};

enum class EpollOp : uint8_t { kAdd = 1, kDelete = 2, kModify = 3 };

}  // namespace tern::socket

#endif  // TERN_SOCKET_TYPES_H_
