// What all calls share: arguments, descriptors, results; and those that make and end sockets.
#include "script/calls.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "script/symbols.h"

namespace tern::script {
namespace {

using socket::Result;

std::string SymbolNeeds(const Expr& expr) {
  if (expr.kind == Expr::Kind::kWord && !SymbolValue(expr.text)) return expr.text;
  const bool known_call =
      expr.text == "htons" || expr.text == "htonl" || expr.text == "inet_addr" || expr.text == "inet_pton";
  if (expr.kind == Expr::Kind::kCall && !known_call) return expr.text + "()";
  for (const Expr& item : expr.items) {
    if (std::string needs = SymbolNeeds(item); !needs.empty()) return needs;
  }
  return {};
}

std::string ResultText(int64_t value, int error) {
  return error == 0 ? std::to_string(value) : std::to_string(value) + " " + ErrnoName(error);
}

}  // namespace

const Calls::Entry* Calls::Find(const std::string& name) {
  static constexpr Entry kEntries[] = {
      {"socket", &Calls::MakeSocket, 3},
      {"bind", &Calls::MakeBind, 3},
      {"listen", &Calls::MakeListen, 2},
      {"accept", &Calls::MakeAccept, 3},
      {"accept4", &Calls::MakeAccept, 4},
      {"connect", &Calls::MakeConnect, 3},
      {"close", &Calls::MakeClose, 1},
      {"shutdown", &Calls::MakeShutdown, 2},
      {"read", &Calls::MakeRead, 3},
      {"readv", &Calls::MakeReadv, 3},
      {"recv", &Calls::MakeRecv, 4},
      {"recvfrom", &Calls::MakeRecv, 6},
      {"recvmsg", &Calls::MakeRecvmsg, 3},
      {"write", &Calls::MakeWrite, 3},
      {"writev", &Calls::MakeWritev, 3},
      {"send", &Calls::MakeSend, 4},
      {"sendto", &Calls::MakeSend, 6},
      {"sendmsg", &Calls::MakeSendmsg, 3},
      {"fcntl", &Calls::MakeFcntl, 2},
      {"ioctl", &Calls::MakeIoctl, 3},
      {"getsockopt", &Calls::MakeGetsockopt, 5},
      {"setsockopt", &Calls::MakeSetsockopt, 5},
      {"poll", &Calls::MakePoll, 3},
      {"epoll_create", &Calls::MakeEpollCreate, 1},
      {"epoll_create1", &Calls::MakeEpollCreate, 1},
      {"epoll_ctl", &Calls::MakeEpollCtl, 4},
      {"epoll_wait", &Calls::MakeEpollWait, 4},
  };
  for (const Entry& entry : kEntries) {
    if (name == entry.name) return &entry;
  }
  return nullptr;
}

std::string Calls::Needs(const CallSpec& spec) {
  if (Find(spec.name) == nullptr) return "the call " + spec.name + "()";
  if (!spec.error.empty() && !ErrnoNumber(spec.error)) return "the error " + spec.error;
  for (const Expr& argument : spec.arguments) {
    if (std::string needs = SymbolNeeds(argument); !needs.empty()) return needs;
  }
  return {};
}

int64_t Calls::Value(const Expr& expr) const {
  switch (expr.kind) {
    case Expr::Kind::kNumber:
      return expr.number;
    case Expr::Kind::kWord:
      return SymbolValue(expr.text).value_or(0);
    case Expr::Kind::kOr: {
      int64_t value = 0;
      for (const Expr& item : expr.items) value |= Value(item);
      return value;
    }
    case Expr::Kind::kCall:
    case Expr::Kind::kList:
      return expr.items.empty() ? 0 : Value(expr.items[0]);
    default:
      return 0;
  }
}

int Calls::LiveFd(const Expr& expr) const {
  const auto found = fds_.find(Value(expr));
  return found == fds_.end() ? -1 : found->second;
}

socket::Endpoint Calls::EndpointOf(const Expr& expr, bool remote) const {
  socket::Endpoint out{remote ? settings_.host.remote : settings_.host.local,
                       remote ? settings_.connect_port : settings_.bind_port};
  if (expr.kind != Expr::Kind::kStruct) return out;
  for (size_t i = 0; i < expr.items.size(); ++i) {
    const Expr& item = expr.items[i];
    if (expr.names[i] == "sin_port" || expr.names[i] == "sin6_port") {
      out.port = static_cast<uint16_t>(Value(item));
    }
    if (expr.names[i] != "sin_addr" && expr.names[i] != "sin6_addr") continue;
    // inet_addr("1.2.3.4"), inet_pton(AF_INET6, "::1"), INADDR_ANY.
    const Expr* text = item.kind == Expr::Kind::kCall && !item.items.empty() ? &item.items.back() : &item;
    if (text->kind == Expr::Kind::kString) {
      if (const auto ip = wire::IpAddress::Parse(text->text)) out.address = *ip;
    } else if (text->kind == Expr::Kind::kWord && Value(*text) == 0) {
      out.address = wire::IpAddress();
    }
  }
  return out;
}

// `call` gave a descriptor: from now on the script's number means it.
void Calls::NewDescriptor(Call& call, int64_t live) {
  call.effect = [this, &call, live] {
    fds_[call.spec->any_result ? live : call.spec->result] = static_cast<int>(live);
  };
}

std::string Calls::Start(Call& call) {
  const Entry* entry = Find(call.spec->name);
  if (call.spec->arguments.size() < entry->arguments) {
    return "expected " + std::to_string(entry->arguments) + " arguments of " + call.spec->name + "(), got " +
           std::to_string(call.spec->arguments.size());
  }
  call.started = host_.now();
  return (this->*entry->make)(call);
}

bool Calls::Finished(Call& call) {
  if (!call.result.pending) return true;
  if (!call.retry) return false;
  const Result again = call.retry();
  if (again.pending && host_.now() < call.deadline) return false;
  call.result = again.pending ? Result::Done(0) : again;
  return true;
}

std::string Calls::Check(Call& call) {
  const CallSpec& spec = *call.spec;
  const Result& got = call.result;
  if (spec.any_result) {
    if (got.ok() && call.effect) call.effect();
    return {};
  }
  const int want_error = spec.error.empty() ? 0 : ErrnoNumber(spec.error).value_or(0);
  const bool new_fd = call.effect != nullptr && got.ok() && spec.result >= 0;
  // A new descriptor has whatever number the script likes; everything else has to be equal.
  const bool same_value = new_fd || spec.result == got.value;
  bool same_error = got.error == 0;
  if (spec.result == -1) same_error = spec.error.empty() ? got.error != 0 : got.error == want_error;
  if (!same_value || !same_error) {
    return "expected " + spec.name + "() = " + ResultText(spec.result, want_error) + " got " +
           ResultText(got.value, got.error);
  }
  if (got.ok() && call.effect) call.effect();
  return call.check ? call.check() : std::string();
}

std::string Calls::MakeSocket(Call& call) {
  const Expr& domain = call.spec->arguments[0];
  const bool v6 = domain.kind == Expr::Kind::kEllipsis ? settings_.ipv6 : Value(domain) == AF_INET6;
  const int64_t type = Value(call.spec->arguments[1]);
  const int64_t protocol = Value(call.spec->arguments[2]);
  if (domain.kind != Expr::Kind::kEllipsis && Value(domain) != AF_INET && Value(domain) != AF_INET6) {
    call.result = Result::Fail(EAFNOSUPPORT);
  } else if ((type & 0xf) != SOCK_STREAM || (protocol != 0 && protocol != IPPROTO_TCP)) {
    call.result = Result::Fail(EPROTONOSUPPORT);
  } else {
    call.result = host_.sockets().Socket(v6 ? socket::Family::kIpv6 : socket::Family::kIpv4);
    if (call.result.ok() && (type & SOCK_NONBLOCK) != 0) {
      host_.sockets().SetNonBlocking(static_cast<int>(call.result.value), true);
    }
  }
  if (call.result.ok()) {
    NewDescriptor(call, call.result.value);
    if (under_test_ < 0) under_test_ = static_cast<int>(call.result.value);
  }
  return {};
}

std::string Calls::MakeBind(Call& call) {
  const socket::Endpoint local = EndpointOf(call.spec->arguments[1], /*remote=*/false);
  call.result = host_.sockets().Bind(LiveFd(call.spec->arguments[0]), local);
  return {};
}

std::string Calls::MakeListen(Call& call) {
  const int fd = LiveFd(call.spec->arguments[0]);
  const auto backlog = static_cast<int>(std::clamp<int64_t>(Value(call.spec->arguments[1]), 0, 1 << 20));
  call.result = host_.sockets().Listen(fd, backlog, host_.now());
  socket::Endpoint local;
  if (call.result.ok() && host_.sockets().LocalName(fd, &local).ok()) flow_.local_port = local.port;
  return {};
}

std::string Calls::MakeAccept(Call& call) {
  call.fd = LiveFd(call.spec->arguments[0]);
  const bool nonblocking =
      call.spec->name == "accept4" && (Value(call.spec->arguments[3]) & SOCK_NONBLOCK) != 0;
  call.result = host_.sockets().Accept(call.fd, nonblocking, &call.peer, host_.now());
  call.effect = [this, &call] {
    fds_[call.spec->any_result ? call.result.value : call.spec->result] = static_cast<int>(call.result.value);
    under_test_ = static_cast<int>(call.result.value);
  };
  return {};
}

std::string Calls::MakeConnect(Call& call) {
  call.fd = LiveFd(call.spec->arguments[0]);
  const socket::Endpoint remote = EndpointOf(call.spec->arguments[1], /*remote=*/true);
  call.result = host_.sockets().Connect(call.fd, remote, host_.now());
  const bool begun = call.result.pending || call.result.error == EINPROGRESS;
  socket::Endpoint local;
  if (begun && host_.sockets().LocalName(call.fd, &local).ok()) {
    flow_.local_port = local.port;
    flow_.remote_port = remote.port;
    flow_.remote = remote.address;
    flow_.new_incarnation = true;
    under_test_ = call.fd;
  }
  return {};
}

std::string Calls::MakeClose(Call& call) {
  call.fd = LiveFd(call.spec->arguments[0]);
  call.result = host_.sockets().Close(call.fd, host_.now());
  if (call.result.ok() || call.result.pending) {
    fds_.erase(Value(call.spec->arguments[0]));
    written_.erase(call.fd);
    read_.erase(call.fd);
  }
  return {};
}

std::string Calls::MakeShutdown(Call& call) {
  call.fd = LiveFd(call.spec->arguments[0]);
  const int64_t how = Value(call.spec->arguments[1]);
  if (how < SHUT_RD || how > SHUT_RDWR) {
    call.result = Result::Fail(EINVAL);
  } else {
    call.result = host_.sockets().Shutdown(call.fd, static_cast<socket::ShutdownHow>(how), host_.now());
  }
  return {};
}

}  // namespace tern::script
