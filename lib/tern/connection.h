// Tier 1: a TCP connection as code on its worker sees it.
#ifndef TERN_TERN_CONNECTION_H_
#define TERN_TERN_CONNECTION_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "tern/address.h"
#include "tern/export.h"
#include "tern/payload.h"

namespace tern {

// Why a connection ended.
enum class CloseReason : uint8_t {
  kNone,         // it has not
  kGraceful,     // both sides closed and all data was acknowledged
  kReset,        // the peer reset it
  kRefused,      // the peer answered our SYN with RST
  kTimedOut,     // retransmissions went unanswered (RFC 9293 3.8.3)
  kAborted,      // this side aborted it, closed it with data unread, or stopped the stack
  kUnreachable,  // the link or ICMP said so while it was opening
};
// Lower-case words joined by underscores: "timed_out".
TERN_EXPORT std::string_view CloseReasonName(CloseReason reason);

// Errors that TCP lives with, in OnTrouble (RFC 9293 3.9.1.8). What ends a connection is a CloseReason.
enum class Trouble : uint8_t {
  kNone,
  kUnreachable,     // ICMP: no route, host or port, or not allowed there
  kTimeExceeded,    // ICMP: the hop limit ran out on the way, or a fragment was lost
  kBadHeader,       // ICMP: parameter problem
  kRetransmitting,  // several retransmissions in a row went unanswered
};
// Lower-case words joined by underscores: "time_exceeded".
TERN_EXPORT std::string_view TroubleName(Trouble trouble);

// When to ask an idle peer whether it is still there (RFC 9293 3.8.4). What is shorter than 100 ms counts as
// that, fewer probes than two as two.
struct KeepaliveOptions {
  std::chrono::milliseconds idle = std::chrono::hours(2);         // of silence before the first probe
  std::chrono::milliseconds interval = std::chrono::seconds(75);  // between probes
  uint8_t probes = 9;  // unanswered before the connection is given up
};

enum class SendStatus : uint8_t {
  kOk,        // all of it was taken
  kNoRoom,    // the send buffer is full: OnWritable follows
  kNoBuffer,  // the worker's pool is empty: OnWritable follows
  kNotOpen,   // this side ended its stream already, or the connection is gone (EPIPE)
};

struct SendResult {
  size_t taken = 0;  // octets that will be sent; the caller keeps the rest
  SendStatus status = SendStatus::kOk;
};

// One connection in numbers, at one moment. Octets unless the name says otherwise.
struct ConnectionInfo {
  std::string_view state;  // RFC 9293 3.3.2: "ESTABLISHED"
  Endpoint local;
  Endpoint remote;
  uint32_t mss = 0;               // payload of a full segment
  uint32_t cwnd = 0;              // congestion window
  uint32_t ssthresh = 0;          // slow start threshold
  uint32_t in_flight = 0;         // sent and not acknowledged
  uint32_t send_queued = 0;       // not sent yet
  uint32_t send_window = 0;       // what the peer offers
  uint32_t receive_queued = 0;    // in order, not taken by the application
  uint32_t smoothed_rtt_us = 0;   // RFC 6298 SRTT; 0: no sample yet
  uint32_t rtt_variation_us = 0;  // RFC 6298 RTTVAR
  uint32_t rto_us = 0;            // the present retransmission time-out
  uint64_t retransmitted_segments = 0;
  uint64_t timeouts = 0;
  uint8_t send_window_scale = 0;     // shift of windows we receive (RFC 7323)
  uint8_t receive_window_scale = 0;  // shift of windows we send
  bool timestamps = false;           // RFC 7323, agreed
  bool sack = false;                 // RFC 2018, agreed
  bool nodelay = false;
  bool active = false;  // this side opened it
};

// A handle of 16 bytes: copy it, keep it, compare it. A stale one is harmless: calls on it do nothing and say
// so. Nothing here blocks, throws or, but where stated, allocates.
// Thread: the worker that the connection lives on, that is, inside Handler, Task and timer calls of that
// worker.
class TERN_EXPORT Connection {
 public:
  Connection() = default;

  // True until OnClosed has been called.
  bool live() const;
  explicit operator bool() const { return live(); }

  // ---- Receiving ----

  // Takes received data, in order: whole pieces, at least one if any waits, until `max` octets are reached
  // (so it may overshoot by a part of one piece). The peer's window opens by what is taken, so what an
  // application does not take is what holds the peer back. Empty: nothing waits, or AtEnd().
  Payload Receive(size_t max = std::numeric_limits<size_t>::max());
  // Octets that Receive would find.
  size_t ReceiveReady() const;
  // The peer ended its stream and all of it was taken: nothing more will come.
  bool AtEnd() const;

  // ---- Sending ----

  // Octets the send buffer takes now. Zero: it is full, and OnWritable will follow when it is not. A Payload
  // of Receive(SendRoom()) is always taken whole.
  size_t SendRoom();
  // Sends without copying. Whole pieces are taken from the front while there is room for an octet; what was
  // not taken stays in `data`. Allowed while the connection opens: the data waits.
  SendResult Send(Payload&& data);
  // Sends a copy of what fits.
  SendResult Send(std::span<const std::byte> data);
  SendResult Send(std::string_view text);

  // ---- Urgent data (RFC 9293 3.8.5; RFC 6093 advises new applications against it) ----

  // As Send; what is taken, and all before it, is marked urgent, and the peer is told at once.
  SendResult SendUrgent(std::string_view text);
  // Octets from the next one to be received to the end of what the peer marked urgent, arrived or not; 0:
  // nothing is.
  size_t UrgentAhead() const;
  // The last urgent octet stays in the stream, unless `on`: then it is taken out of it, from the next mark
  // on, and TakeUrgent gives it once; -1: there is none.
  void SetUrgentOutOfLine(bool on);
  int TakeUrgent();

  // ---- Ending ----

  // Ends this side's stream after all that was sent (FIN); receiving goes on (half-close, RFC 9293 3.6).
  void ShutdownWrite();
  // Lets go of both directions; what was sent still goes out. With data unread the peer sees a reset instead
  // (RFC 1122 4.2.2.13). OnClosed follows when it is over.
  void Close();
  // As Close; what the peer has not acknowledged within `limit` is given up, and it sees a reset. Zero: at
  // once.
  void CloseWithin(std::chrono::milliseconds limit);
  // Resets; data on its way is lost. OnClosed follows soon, not from inside this call.
  void Abort();

  // ---- The rest ----

  // Nagle's algorithm off (true) or on (RFC 9293 3.7.4).
  void SetNoDelay(bool on);
  // Holds segments back that are not full, until `on` is false again or the stream ends; for a moment only,
  // since a timer of 200 ms or more sends them all the same.
  void SetCork(bool on);
  // Probes the peer while nobody says anything (RFC 9293 3.8.4): off until asked for. A peer that never
  // answers ends the connection as kTimedOut.
  void SetKeepalive(const KeepaliveOptions& options);
  void StopKeepalive();
  // How long what was sent may go unacknowledged before the connection ends as kTimedOut (RFC 9293 3.8.3).
  // Zero, as at first: by the number of retransmissions, some 15 minutes.
  void SetUserTimeout(std::chrono::milliseconds timeout);
  // TTL or hop limit (0: the stack's) and Diffserv code point (0 to 63) of the segments sent from now on (RFC
  // 9293 3.9.1.9, 3.9.2).
  void SetIp(uint8_t ttl, uint8_t dscp);
  // Whether Handler::OnTrouble is called; it is at first.
  void SetTroubleReports(bool on);
  // The application's own word, nullptr at first (or what Worker::Connect was given): a pointer, or an
  // integer below 2^48. It is the application's to free, in OnClosed.
  void SetContext(void* context);
  void* context() const;
  template <typename T>
  T* context_as() const {
    return static_cast<T*>(context());
  }

  // Unspecified for a stale handle.
  Endpoint local() const;
  Endpoint remote() const;
  // A snapshot; all zero, and an empty state, for a stale handle.
  ConnectionInfo Info() const;

  bool operator==(const Connection&) const = default;

 private:
  SendResult SendCopy(std::span<const std::byte> data, bool urgent);

  friend class Worker;
  friend class HandlerDispatch;
  Connection(runtime::Worker* worker, uint32_t slot, uint32_t generation)
      : worker_(worker), slot_(slot), generation_(generation) {}

  runtime::Worker* worker_ = nullptr;
  uint32_t slot_ = 0xffffffff;
  uint32_t generation_ = 0;
};

}  // namespace tern

#endif  // TERN_TERN_CONNECTION_H_
