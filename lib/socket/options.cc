// Options, names and figures of a socket.
#include <algorithm>
#include <cerrno>

#include "socket/sockets_impl.h"
#include "tcp/internal.h"

namespace tern::socket {
namespace {

constexpr int64_t kStream = 1;  // SOCK_STREAM
// Linux's lower bounds for SO_RCVBUF and SO_SNDBUF are near these; below, TCP cannot work well.
constexpr int64_t kLeastBuffer = 2'048;
constexpr int64_t kMostBuffer = 1 << 30;
constexpr int64_t kLeastMss = 88;
constexpr int64_t kMostMss = 32'767;
// Linux's bounds of TCP_KEEPIDLE and TCP_KEEPINTVL in seconds, and of TCP_KEEPCNT.
constexpr int64_t kMostKeepTime = 32'767;
constexpr int64_t kMostKeepCount = 127;

InfoState InfoStateOf(tcp::State state) {
  switch (state) {
    case tcp::State::kClosed:
      return InfoState::kClose;
    case tcp::State::kListen:
      return InfoState::kListen;
    case tcp::State::kSynSent:
      return InfoState::kSynSent;
    case tcp::State::kSynReceived:
      return InfoState::kSynReceived;
    case tcp::State::kEstablished:
      return InfoState::kEstablished;
    case tcp::State::kFinWait1:
      return InfoState::kFinWait1;
    case tcp::State::kFinWait2:
      return InfoState::kFinWait2;
    case tcp::State::kCloseWait:
      return InfoState::kCloseWait;
    case tcp::State::kClosing:
      return InfoState::kClosing;
    case tcp::State::kLastAck:
      return InfoState::kLastAck;
    case tcp::State::kTimeWait:
      return InfoState::kTimeWait;
  }
  return InfoState::kClose;
}

uint32_t Segments(uint32_t octets, uint32_t mss) { return mss == 0 ? 0 : (octets + mss - 1) / mss; }

void FillInfo(const tcp::Connection& conn, const tcp::ColdState& cold, TcpInfo& info) {
  info.state = InfoStateOf(conn.state);
  const bool recovering = cold.recovery.phase() == tcp::RecoveryPhase::kRecovery;
  const bool lost = cold.recovery.phase() == tcp::RecoveryPhase::kLoss;
  info.ca_state = recovering ? 3 : (lost ? 4 : 0);
  info.retransmits = cold.unanswered;
  info.backoff = cold.backoff;
  if (conn.Is(tcp::kUseTimestamps)) info.options |= kInfoTimestamps;
  if (conn.Is(tcp::kUseSack)) info.options |= kInfoSack;
  if (conn.snd_scale != 0 || conn.rcv_scale != 0) info.options |= kInfoWindowScale;
  info.snd_wscale = conn.snd_scale;
  info.rcv_wscale = conn.rcv_scale;
  info.snd_mss = info.rcv_mss = conn.mss;
  info.unacked = Segments(conn.snd_una.DistanceTo(conn.snd_nxt), conn.mss);
  info.sacked = Segments(cold.scoreboard.sacked_octets(), conn.mss);
  info.lost = Segments(cold.scoreboard.lost_octets(), conn.mss);
  info.rtt_us = static_cast<uint32_t>(conn.rtt.srtt().micros());
  info.rttvar_us = static_cast<uint32_t>(conn.rtt.rttvar().micros());
  info.snd_ssthresh = cold.congestion.ssthresh == tcp::CongestionState::kNoThreshold
                          ? 0x7fffffff
                          : cold.congestion.ssthresh / std::max<uint32_t>(conn.mss, 1);
  info.snd_cwnd = conn.cwnd / std::max<uint32_t>(conn.mss, 1);
  info.advmss = cold.link_mss;
  info.rcv_space = conn.rcv_limit;
  info.total_retrans = cold.retransmitted_segments;
  info.bytes_acked = (cold.iss + 1).DistanceTo(conn.snd_una);
  info.bytes_received = (cold.irs + 1).DistanceTo(conn.rcv_nxt);
  info.notsent_bytes = tcp::Unsent(conn);
  info.snd_wnd = conn.snd_wnd;
  info.rcv_wnd = tcp::ReceiveWindowSize(conn);
}

}  // namespace

Result Sockets::SetOption(int fd, Option option, int64_t value, Instant now) {
  SocketState* s = impl_->Find(fd);
  if (s == nullptr) return Result::Fail(EBADF);
  stack::Shard& shard = impl_->shard;
  switch (option) {
    case Option::kReuseAddress:
      s->options.reuse_address = value != 0;
      break;
    case Option::kReusePort:
      s->options.reuse_port = value != 0;
      break;
    case Option::kReceiveBuffer:
      s->options.receive_buffer = static_cast<uint32_t>(std::clamp(value, kLeastBuffer, kMostBuffer));
      if (s->live) shard.SetReceiveBuffer(s->conn, s->options.receive_buffer, now);
      break;
    case Option::kSendBuffer:
      s->options.send_buffer = static_cast<uint32_t>(std::clamp(value, kLeastBuffer, kMostBuffer));
      break;
    case Option::kReceiveTimeout:
    case Option::kSendTimeout:
      if (value < 0) return Result::Fail(EDOM);
      (option == Option::kSendTimeout ? s->options.send_timeout_ms : s->options.receive_timeout_ms) = value;
      break;
    case Option::kNoDelay:
      s->options.nodelay = value != 0;
      if (s->live) shard.SetNoDelay(s->conn, value != 0);
      break;
    case Option::kCork:
      s->options.cork = value != 0;
      if (s->live) shard.SetCork(s->conn, value != 0);
      break;
    case Option::kMaxSegment:
      if (value < kLeastMss || value > kMostMss) return Result::Fail(EINVAL);
      s->options.max_segment = static_cast<uint16_t>(value);
      break;
    case Option::kQuickAck:
      if (s->live) shard.SetQuickAck(s->conn, value != 0);
      break;
    case Option::kDeferAccept:
      s->options.defer_accept_s = std::max<int64_t>(value, 0);
      break;
    case Option::kReceiveLowWater:
      s->options.low_water = static_cast<uint32_t>(std::clamp<int64_t>(value, 1, kMostBuffer));
      break;
    case Option::kKeepAlive:
    case Option::kUserTimeout:
    case Option::kKeepIdle:
    case Option::kKeepInterval:
    case Option::kKeepCount:
      return impl_->SetLiveness(*s, option, value, now);
    case Option::kError:
    case Option::kAcceptConn:
    case Option::kType:
    // The core counts SYNs and waits in FIN-WAIT-2 alike for all; saying so is better than a promise that is
    // not kept.
    case Option::kSynCount:
    case Option::kLinger2:
      return Result::Fail(ENOPROTOOPT);
  }
  return Result::Done();
}

// When a peer counts as gone.
Result Sockets::Impl::SetLiveness(SocketState& s, Option option, int64_t value, Instant now) {
  SocketOptions& o = s.options;
  const bool is_time = option == Option::kKeepIdle || option == Option::kKeepInterval;
  if (is_time && (value < 1 || value > kMostKeepTime)) return Result::Fail(EINVAL);
  switch (option) {
    case Option::kKeepAlive:
      o.keepalive = value != 0;
      break;
    case Option::kKeepIdle:
      o.keepalive_times.idle = Duration::Seconds(value);
      break;
    case Option::kKeepInterval:
      o.keepalive_times.interval = Duration::Seconds(value);
      break;
    case Option::kKeepCount:
      if (value < 1 || value > kMostKeepCount) return Result::Fail(EINVAL);
      o.keepalive_times.probes = static_cast<uint8_t>(value);
      break;
    default:
      if (value < 0 || value > INT32_MAX) return Result::Fail(EINVAL);
      o.user_timeout_ms = value;
      if (s.live) shard.SetUserTimeout(s.conn, Duration::Millis(value));
      return Result::Done();
  }
  const bool changes = option == Option::kKeepAlive || o.keepalive;
  if (s.live && changes) shard.SetKeepalive(s.conn, o.keepalive ? &o.keepalive_times : nullptr, now);
  return Result::Done();
}

Result Sockets::GetOption(int fd, Option option) {
  SocketState* s = impl_->Find(fd);
  if (s == nullptr) return Result::Fail(EBADF);
  const SocketOptions& o = s->options;
  const tcp::TcpConfig& config = impl_->shard.config().tcp;
  switch (option) {
    case Option::kError:
      return Result::Done(impl_->TakeError(*s));
    case Option::kAcceptConn:
      return Result::Done(s->phase == Phase::kListening ? 1 : 0);
    case Option::kType:
      return Result::Done(kStream);
    case Option::kReuseAddress:
      return Result::Done(o.reuse_address);
    case Option::kReusePort:
      return Result::Done(o.reuse_port);
    case Option::kReceiveBuffer:
      return Result::Done(o.receive_buffer != 0 ? o.receive_buffer : config.receive_buffer);
    case Option::kSendBuffer:
      return Result::Done(o.send_buffer != 0 ? o.send_buffer : config.send_buffer);
    case Option::kReceiveTimeout:
      return Result::Done(o.receive_timeout_ms);
    case Option::kSendTimeout:
      return Result::Done(o.send_timeout_ms);
    case Option::kNoDelay:
      return Result::Done(o.nodelay);
    case Option::kCork:
      return Result::Done(o.cork);
    case Option::kMaxSegment: {
      const tcp::Connection* conn = impl_->Tcp(*s);
      if (conn != nullptr) return Result::Done(conn->mss);
      return Result::Done(o.max_segment != 0 ? o.max_segment : 536);  // RFC 9293 3.7.1
    }
    case Option::kDeferAccept:
      return Result::Done(o.defer_accept_s);
    case Option::kReceiveLowWater:
      return Result::Done(o.low_water);
    case Option::kKeepAlive:
      return Result::Done(o.keepalive);
    case Option::kKeepIdle:
      return Result::Done(o.keepalive_times.idle.nanos() / 1'000'000'000);
    case Option::kKeepInterval:
      return Result::Done(o.keepalive_times.interval.nanos() / 1'000'000'000);
    case Option::kKeepCount:
      return Result::Done(o.keepalive_times.probes);
    case Option::kUserTimeout:
      return Result::Done(o.user_timeout_ms);
    default:
      return Result::Fail(ENOPROTOOPT);
  }
}

Result Sockets::SetLinger(int fd, const Linger& linger) {
  SocketState* s = impl_->Find(fd);
  if (s == nullptr) return Result::Fail(EBADF);
  s->options.linger = linger;
  return Result::Done();
}

Result Sockets::GetLinger(int fd, Linger* linger) {
  const SocketState* s = impl_->Find(fd);
  if (s == nullptr) return Result::Fail(EBADF);
  *linger = s->options.linger;
  return Result::Done();
}

Result Sockets::SetCongestion(int fd, CongestionName name) {
  SocketState* s = impl_->Find(fd);
  if (s == nullptr) return Result::Fail(EBADF);
  s->options.has_congestion = true;
  s->options.congestion = name;
  if (s->live && s->phase == Phase::kConnected) {
    impl_->shard.SetCongestion(s->conn, name == CongestionName::kCubic ? tcp::CongestionAlgorithm::kCubic
                                                                       : tcp::CongestionAlgorithm::kNewReno);
  }
  return Result::Done();
}

Result Sockets::GetCongestion(int fd, CongestionName* name) {
  const SocketState* s = impl_->Find(fd);
  if (s == nullptr) return Result::Fail(EBADF);
  const bool cubic = impl_->shard.config().tcp.congestion == tcp::CongestionAlgorithm::kCubic;
  *name = s->options.has_congestion ? s->options.congestion
                                    : (cubic ? CongestionName::kCubic : CongestionName::kReno);
  return Result::Done();
}

Result Sockets::GetInfo(int fd, Instant, TcpInfo* info) {
  const SocketState* s = impl_->Find(fd);
  if (s == nullptr) return Result::Fail(EBADF);
  *info = TcpInfo();
  if (s->phase == Phase::kListening) info->state = InfoState::kListen;
  const tcp::Connection* conn = impl_->Tcp(*s);
  const tcp::ColdState* cold = s->live ? impl_->shard.Cold(s->conn) : nullptr;
  if (conn == nullptr || cold == nullptr) return Result::Done();
  FillInfo(*conn, *cold, *info);
  const tcp::TcpConfig& config = impl_->shard.config().tcp;
  const tcp::RtoLimits limits{.min = config.rto_min,
                              .max = config.rto_max,
                              .initial = config.rto_initial,
                              .granularity = Duration::Nanos(int64_t{1} << tcp::Deadline::kShift)};
  info->rto_us = static_cast<uint32_t>(conn->rtt.Rto(limits, cold->backoff).micros());
  return Result::Done();
}

Result Sockets::SetNonBlocking(int fd, bool on) {
  SocketState* s = impl_->Find(fd);
  if (s == nullptr) return Result::Fail(EBADF);
  s->nonblocking = on;
  return Result::Done();
}

Result Sockets::IsNonBlocking(int fd) const {
  const SocketState* s = impl_->Find(fd);
  return s == nullptr ? Result::Fail(EBADF) : Result::Done(s->nonblocking);
}

Result Sockets::LocalName(int fd, Endpoint* local) const {
  const SocketState* s = impl_->Find(fd);
  if (s == nullptr) return Result::Fail(EBADF);
  *local = s->local;
  return Result::Done();
}

Result Sockets::PeerName(int fd, Endpoint* peer) const {
  const SocketState* s = impl_->Find(fd);
  if (s == nullptr) return Result::Fail(EBADF);
  if (s->phase != Phase::kConnected) return Result::Fail(ENOTCONN);
  *peer = s->remote;
  return Result::Done();
}

Result Sockets::ReadableOctets(int fd) const {
  const SocketState* s = impl_->Find(fd);
  if (s == nullptr) return Result::Fail(EBADF);
  if (s->phase == Phase::kListening) return Result::Fail(EINVAL);
  return Result::Done(impl_->Readable(*s));
}

Result Sockets::UnackedOctets(int fd) const {
  const SocketState* s = impl_->Find(fd);
  if (s == nullptr) return Result::Fail(EBADF);
  if (s->phase == Phase::kListening) return Result::Fail(EINVAL);
  const tcp::Connection* conn = impl_->Tcp(*s);
  if (conn == nullptr || s->phase == Phase::kConnecting) return Result::Done(0);
  return Result::Done(tcp::FinAcked(*conn) ? 0 : conn->snd_una.DistanceTo(conn->snd_end));
}

Result Sockets::UnsentOctets(int fd) const {
  const SocketState* s = impl_->Find(fd);
  if (s == nullptr) return Result::Fail(EBADF);
  const tcp::Connection* conn = impl_->Tcp(*s);
  return Result::Done(conn == nullptr ? 0 : tcp::Unsent(*conn));
}

}  // namespace tern::socket
