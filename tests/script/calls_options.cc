// Socket options, poll and epoll.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "script/calls.h"

namespace tern::script {
namespace {

using socket::Option;
using socket::Result;

constexpr size_t kMostEvents = 64;

struct OptionName {
  int level;
  int name;
  Option option;
};
constexpr OptionName kOptions[] = {
    {SOL_SOCKET, SO_ERROR, Option::kError},
    {SOL_SOCKET, SO_ACCEPTCONN, Option::kAcceptConn},
    {SOL_SOCKET, SO_TYPE, Option::kType},
    {SOL_SOCKET, SO_REUSEADDR, Option::kReuseAddress},
    {SOL_SOCKET, SO_REUSEPORT, Option::kReusePort},
    {SOL_SOCKET, SO_RCVBUF, Option::kReceiveBuffer},
    {SOL_SOCKET, SO_SNDBUF, Option::kSendBuffer},
    {SOL_SOCKET, SO_KEEPALIVE, Option::kKeepAlive},
    {SOL_SOCKET, SO_RCVLOWAT, Option::kReceiveLowWater},
    {SOL_SOCKET, SO_RCVTIMEO, Option::kReceiveTimeout},
    {SOL_SOCKET, SO_SNDTIMEO, Option::kSendTimeout},
    {SOL_TCP, TCP_NODELAY, Option::kNoDelay},
    {SOL_TCP, TCP_CORK, Option::kCork},
    {SOL_TCP, TCP_MAXSEG, Option::kMaxSegment},
    {SOL_TCP, TCP_QUICKACK, Option::kQuickAck},
    {SOL_TCP, TCP_DEFER_ACCEPT, Option::kDeferAccept},
    {SOL_TCP, TCP_USER_TIMEOUT, Option::kUserTimeout},
    {SOL_TCP, TCP_KEEPIDLE, Option::kKeepIdle},
    {SOL_TCP, TCP_KEEPINTVL, Option::kKeepInterval},
    {SOL_TCP, TCP_KEEPCNT, Option::kKeepCount},
    {SOL_TCP, TCP_SYNCNT, Option::kSynCount},
    {SOL_TCP, TCP_LINGER2, Option::kLinger2},
};

const OptionName* FindOption(int64_t level, int64_t name) {
  for (const OptionName& o : kOptions) {
    if (level == o.level && name == o.name) return &o;
  }
  return nullptr;
}

// The struct itself, or the one in a list of one.
const Expr* StructIn(const Expr& expr) {
  if (expr.kind == Expr::Kind::kStruct) return &expr;
  return expr.kind == Expr::Kind::kList && !expr.items.empty() ? StructIn(expr.items[0]) : nullptr;
}

const Expr* Named(const Expr& expr, const std::string& name) {
  for (size_t i = 0; i < expr.items.size() && i < expr.names.size(); ++i) {
    if (expr.names[i] == name) return &expr.items[i];
  }
  return nullptr;
}

std::string Hex(uint32_t value) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "0x%x", value);
  return text.data();
}

std::string TextIn(const Expr& expr) {
  if (expr.kind == Expr::Kind::kString) return expr.text;
  return expr.kind == Expr::Kind::kList && !expr.items.empty() ? TextIn(expr.items[0]) : std::string();
}

}  // namespace

std::string Calls::MakeGetsockopt(Call& call) {
  call.fd = LiveFd(call.spec->arguments[0]);
  const int64_t level = Value(call.spec->arguments[1]);
  const int64_t name = Value(call.spec->arguments[2]);
  const Expr& want = call.spec->arguments[3];
  std::string wanted;
  std::string found;
  if (level == SOL_SOCKET && name == SO_LINGER) {
    socket::Linger linger;
    call.result = host_.sockets().GetLinger(call.fd, &linger);
    found = std::to_string(linger.on) + " " + std::to_string(linger.seconds);
    if (const Expr* s = StructIn(want); s != nullptr && s->items.size() == 2) {
      wanted = std::to_string(Value(s->items[0])) + " " + std::to_string(Value(s->items[1]));
    }
  } else if (level == SOL_TCP && name == TCP_CONGESTION) {
    socket::CongestionName algorithm{};
    call.result = host_.sockets().GetCongestion(call.fd, &algorithm);
    found = algorithm == socket::CongestionName::kCubic ? "cubic" : "reno";
    wanted = TextIn(want);
  } else if (level == SOL_TCP && name == TCP_INFO) {
    socket::TcpInfo info;
    call.result = host_.sockets().GetInfo(call.fd, host_.now(), &info);
  } else if (const OptionName* option = FindOption(level, name); option != nullptr) {
    const Result got = host_.sockets().GetOption(call.fd, option->option);
    call.result = got.ok() ? Result::Done(0) : got;
    found = std::to_string(got.value);
    if (want.kind != Expr::Kind::kEllipsis) wanted = std::to_string(Value(want));
  } else {
    call.result = call.fd < 0 ? Result::Fail(EBADF) : Result::Fail(ENOPROTOOPT);
  }
  call.check = [&call, wanted, found]() -> std::string {
    if (!call.result.ok() || wanted.empty() || wanted == found) return {};
    return "expected getsockopt() to give [" + wanted + "] got [" + found + "]";
  };
  return {};
}

std::string Calls::MakeSetsockopt(Call& call) {
  call.fd = LiveFd(call.spec->arguments[0]);
  const int64_t level = Value(call.spec->arguments[1]);
  const int64_t name = Value(call.spec->arguments[2]);
  const Expr& value = call.spec->arguments[3];
  if (level == SOL_SOCKET && name == SO_LINGER) {
    const Expr* s = StructIn(value);
    if (s == nullptr || s->items.size() != 2) return "expected {onoff=.., linger=..}, got something else";
    call.result = host_.sockets().SetLinger(
        call.fd, {.on = Value(s->items[0]) != 0, .seconds = static_cast<int>(Value(s->items[1]))});
  } else if (level == SOL_TCP && name == TCP_CONGESTION) {
    const std::string text = TextIn(value);
    if (text != "cubic" && text != "reno") {
      call.result = Result::Fail(ENOENT);
    } else {
      call.result = host_.sockets().SetCongestion(
          call.fd, text == "cubic" ? socket::CongestionName::kCubic : socket::CongestionName::kReno);
    }
  } else if (const OptionName* option = FindOption(level, name); option != nullptr) {
    const Expr* time = StructIn(value);
    const Expr* seconds = time == nullptr ? nullptr : Named(*time, "tv_sec");
    const Expr* micros = time == nullptr ? nullptr : Named(*time, "tv_usec");
    int64_t number = Value(value);
    if (seconds != nullptr)
      number = Value(*seconds) * 1'000 + (micros == nullptr ? 0 : Value(*micros) / 1'000);
    call.result = host_.sockets().SetOption(call.fd, option->option, number, host_.now());
  } else {
    call.result = call.fd < 0 ? Result::Fail(EBADF) : Result::Fail(ENOPROTOOPT);
  }
  return {};
}

// poll([{fd=4, events=POLLIN, revents=POLLIN}], 1, 1000) = 1
std::string Calls::MakePoll(Call& call) {
  struct Asked {
    int fd;
    uint32_t events;
    const Expr* want;
    uint32_t got;
  };
  auto asked = std::make_shared<std::vector<Asked>>();
  for (const Expr& item : call.spec->arguments[0].items) {
    const Expr* fd = Named(item, "fd");
    const Expr* events = Named(item, "events");
    if (fd == nullptr || events == nullptr)
      return "expected {fd=.., events=.., revents=..} in poll(), got else";
    asked->push_back({LiveFd(*fd), static_cast<uint32_t>(Value(*events)), Named(item, "revents"), 0});
  }
  const int64_t timeout_ms = Value(call.spec->arguments[2]);
  call.deadline = timeout_ms < 0 ? Instant::Never() : host_.now() + Duration::Millis(timeout_ms);
  call.retry = [this, asked]() -> Result {
    int64_t ready = 0;
    for (Asked& a : *asked) {
      const uint32_t always = socket::kPollErr | socket::kPollHup | socket::kPollInvalid;
      a.got = host_.sockets().Readiness(a.fd) & (a.events | always);
      if (a.got != 0) ++ready;
    }
    return ready != 0 ? Result::Done(ready) : Result::Pending();
  };
  call.result = call.retry();
  if (call.result.pending && timeout_ms == 0) call.result = Result::Done(0);
  call.check = [this, asked]() -> std::string {
    for (const Asked& a : *asked) {
      if (a.want == nullptr || a.want->kind == Expr::Kind::kEllipsis) continue;
      const auto want = static_cast<uint32_t>(Value(*a.want));
      if (want != a.got) return "expected poll() with revents " + Hex(want) + " got " + Hex(a.got);
    }
    return {};
  };
  return {};
}

std::string Calls::MakeEpollCreate(Call& call) {
  call.result = host_.sockets().EpollCreate();
  if (call.result.ok()) NewDescriptor(call, call.result.value);
  return {};
}

// epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLIN|EPOLLET, fd=4}) = 0
std::string Calls::MakeEpollCtl(Call& call) {
  call.fd = LiveFd(call.spec->arguments[0]);
  socket::EpollEvent event;
  if (const Expr* s = StructIn(call.spec->arguments[3]); s != nullptr) {
    const Expr* events = Named(*s, "events");
    if (events != nullptr) event.events = static_cast<uint32_t>(Value(*events));
    for (const char* name : {"fd", "ptr", "u32", "u64", "data"}) {
      if (const Expr* data = Named(*s, name)) event.data = static_cast<uint64_t>(Value(*data));
    }
  }
  call.result =
      host_.sockets().EpollControl(call.fd, static_cast<socket::EpollOp>(Value(call.spec->arguments[1])),
                                   LiveFd(call.spec->arguments[2]), event);
  return {};
}

// epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 1000) = 1
std::string Calls::MakeEpollWait(Call& call) {
  call.fd = LiveFd(call.spec->arguments[0]);
  const int64_t most = Value(call.spec->arguments[2]);
  const int64_t timeout_ms = Value(call.spec->arguments[3]);
  if (most <= 0 || most > static_cast<int64_t>(kMostEvents)) {
    call.result = Result::Fail(EINVAL);
    return {};
  }
  auto events = std::make_shared<std::vector<socket::EpollEvent>>(static_cast<size_t>(most));
  call.deadline = timeout_ms < 0 ? Instant::Never() : host_.now() + Duration::Millis(timeout_ms);
  call.retry = [this, fd = call.fd, events]() -> Result {
    const Result got = host_.sockets().EpollWait(fd, *events);
    return got.ok() && got.value == 0 ? Result::Pending() : got;
  };
  call.result = call.retry();
  if (call.result.pending && timeout_ms == 0) call.result = Result::Done(0);
  call.check = [this, &call, events]() -> std::string {
    const Expr& list = call.spec->arguments[1];
    const std::vector<Expr> one = {list};
    const std::vector<Expr>& wanted = list.kind == Expr::Kind::kList ? list.items : one;
    for (size_t i = 0; i < wanted.size() && static_cast<int64_t>(i) < call.result.value; ++i) {
      const Expr* want = wanted[i].kind == Expr::Kind::kStruct ? Named(wanted[i], "events") : nullptr;
      if (want == nullptr || want->kind == Expr::Kind::kEllipsis) continue;
      const auto value = static_cast<uint32_t>(Value(*want));
      if (value != (*events)[i].events) {
        return "expected epoll_wait() with events " + Hex(value) + " got " + Hex((*events)[i].events);
      }
    }
    return {};
  };
  return {};
}

}  // namespace tern::script
