// The calls that move octets, and those that ask about them.
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "script/calls.h"

namespace tern::script {
namespace {

using socket::Result;

// No call of a script moves more.
constexpr uint64_t kMostOctets = 1u << 26;

const Expr* Field(const Expr& expr, const std::string& name) {
  for (size_t i = 0; i < expr.items.size() && i < expr.names.size(); ++i) {
    if (expr.names[i] == name) return &expr.items[i];
  }
  return nullptr;
}

}  // namespace

// A buffer of the call. What is written without a content of its own goes on with the pattern.
void Calls::Part(Call& call, uint64_t length, const Expr* content, bool read) {
  Bytes buffer(std::min(length, kMostOctets));
  if (!read) {
    uint64_t at = written_[call.fd];
    for (const Bytes& earlier : call.buffers) at += earlier.size();
    for (size_t i = 0; i < buffer.size(); ++i) buffer[i] = PatternByte(at + i);
  }
  (void)content;
  call.buffers.push_back(std::move(buffer));
  Bytes& kept = call.buffers.back();
  if (read) {
    call.reads.push_back({kept.data(), kept.size()});
  } else {
    call.writes.push_back({kept.data(), kept.size()});
  }
}

// [{..., 1000}, {"abc", 3}]
void Calls::Parts(Call& call, const Expr& list, bool read) {
  call.buffers.reserve(list.items.size());
  for (const Expr& item : list.items) {
    if (item.kind != Expr::Kind::kStruct || item.items.size() < 2) continue;
    Part(call, static_cast<uint64_t>(std::max<int64_t>(Value(item.items[1]), 0)), &item.items[0], read);
  }
}

void Calls::StartReceive(Call& call, uint32_t flags) {
  call.result = host_.sockets().Receive(call.fd, call.reads, flags, host_.now());
  const bool peek = (flags & socket::kMessagePeek) != 0;
  const bool truncate = (flags & socket::kMessageTruncate) != 0;
  call.check = [this, &call, peek, truncate]() -> std::string {
    if (!call.result.ok()) return {};
    const uint64_t start = read_[call.fd];
    uint64_t at = start;
    const uint64_t end = start + static_cast<uint64_t>(call.result.value);
    for (const socket::ReadPart& part : call.reads) {
      for (size_t i = 0; i < part.length && at < end; ++i, ++at) {
        if (!truncate && part.data[i] != PatternByte(at)) {
          return "expected octet " + std::to_string(at) + " of the peer's stream, got another";
        }
      }
    }
    if (!peek) read_[call.fd] = end;
    return {};
  };
}

void Calls::StartSend(Call& call, uint32_t flags) {
  call.result = host_.sockets().Send(call.fd, call.writes, flags, host_.now());
  call.check = [this, &call]() -> std::string {
    if (call.result.ok()) written_[call.fd] += static_cast<uint64_t>(call.result.value);
    return {};
  };
}

std::string Calls::MakeRead(Call& call) {
  call.fd = LiveFd(call.spec->arguments[0]);
  Part(call, static_cast<uint64_t>(std::max<int64_t>(Value(call.spec->arguments[2]), 0)), nullptr, true);
  StartReceive(call, 0);
  return {};
}

std::string Calls::MakeReadv(Call& call) {
  call.fd = LiveFd(call.spec->arguments[0]);
  Parts(call, call.spec->arguments[1], true);
  StartReceive(call, 0);
  return {};
}

std::string Calls::MakeRecv(Call& call) {
  call.fd = LiveFd(call.spec->arguments[0]);
  Part(call, static_cast<uint64_t>(std::max<int64_t>(Value(call.spec->arguments[2]), 0)), nullptr, true);
  StartReceive(call, static_cast<uint32_t>(Value(call.spec->arguments[3])));
  return {};
}

std::string Calls::MakeRecvmsg(Call& call) {
  call.fd = LiveFd(call.spec->arguments[0]);
  const Expr* parts = Field(call.spec->arguments[1], "msg_iov");
  if (parts == nullptr) return "expected msg_iov in the message, got none";
  Parts(call, *parts, true);
  StartReceive(call, static_cast<uint32_t>(Value(call.spec->arguments[2])));
  return {};
}

std::string Calls::MakeWrite(Call& call) {
  call.fd = LiveFd(call.spec->arguments[0]);
  Part(call, static_cast<uint64_t>(std::max<int64_t>(Value(call.spec->arguments[2]), 0)), nullptr, false);
  StartSend(call, 0);
  return {};
}

std::string Calls::MakeWritev(Call& call) {
  call.fd = LiveFd(call.spec->arguments[0]);
  Parts(call, call.spec->arguments[1], false);
  StartSend(call, 0);
  return {};
}

std::string Calls::MakeSend(Call& call) {
  call.fd = LiveFd(call.spec->arguments[0]);
  Part(call, static_cast<uint64_t>(std::max<int64_t>(Value(call.spec->arguments[2]), 0)), nullptr, false);
  StartSend(call, static_cast<uint32_t>(Value(call.spec->arguments[3])));
  return {};
}

std::string Calls::MakeSendmsg(Call& call) {
  call.fd = LiveFd(call.spec->arguments[0]);
  const Expr* parts = Field(call.spec->arguments[1], "msg_iov");
  if (parts == nullptr) return "expected msg_iov in the message, got none";
  Parts(call, *parts, false);
  StartSend(call, static_cast<uint32_t>(Value(call.spec->arguments[2])));
  return {};
}

std::string Calls::MakeFcntl(Call& call) {
  call.fd = LiveFd(call.spec->arguments[0]);
  const int64_t command = Value(call.spec->arguments[1]);
  if (command == F_GETFL) {
    const Result nonblocking = host_.sockets().IsNonBlocking(call.fd);
    call.result =
        nonblocking.ok() ? Result::Done(O_RDWR | (nonblocking.value != 0 ? O_NONBLOCK : 0)) : nonblocking;
  } else if (command == F_SETFL && call.spec->arguments.size() > 2) {
    const bool on = (Value(call.spec->arguments[2]) & O_NONBLOCK) != 0;
    call.result = host_.sockets().SetNonBlocking(call.fd, on);
  } else {
    call.result = call.fd < 0 ? Result::Fail(EBADF) : Result::Done(0);
  }
  return {};
}

std::string Calls::MakeIoctl(Call& call) {
  call.fd = LiveFd(call.spec->arguments[0]);
  const auto request = static_cast<uint64_t>(Value(call.spec->arguments[1]));
  Result found;
  if (request == SIOCINQ) {
    found = host_.sockets().ReadableOctets(call.fd);
  } else if (request == SIOCOUTQ) {
    found = host_.sockets().UnackedOctets(call.fd);
  } else if (request == SIOCOUTQNSD) {
    found = host_.sockets().UnsentOctets(call.fd);
  } else if (request == FIONBIO) {
    call.result = host_.sockets().SetNonBlocking(call.fd, Value(call.spec->arguments[2]) != 0);
    return {};
  } else {
    found = Result::Fail(EINVAL);
  }
  call.result = found.ok() ? Result::Done(0) : found;
  call.check = [this, &call, found]() -> std::string {
    const Expr& want = call.spec->arguments[2];
    if (!found.ok() || want.kind == Expr::Kind::kEllipsis || Value(want) == found.value) return {};
    return "expected ioctl() to give [" + std::to_string(Value(want)) + "] got [" +
           std::to_string(found.value) + "]";
  };
  return {};
}

}  // namespace tern::script
