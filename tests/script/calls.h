// The calls of a script, made on the socket layer and compared with what the script says came back.
#ifndef TERN_TESTS_SCRIPT_CALLS_H_
#define TERN_TESTS_SCRIPT_CALLS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "script/host.h"
#include "script/packet.h"
#include "script/script.h"
#include "script/settings.h"

namespace tern::script {

// One call on its way. Stays where it is until it is done: the socket layer writes into it.
struct Call {
  const CallSpec* spec = nullptr;
  Location at;
  socket::Result result;
  Instant started;
  Instant finished;
  Instant must_end;  // when the script says it returns
  bool has_end = false;
  int fd = -1;  // live
  std::vector<Bytes> buffers;
  std::vector<socket::ReadPart> reads;
  std::vector<socket::WritePart> writes;
  socket::Endpoint peer;
  // poll and epoll_wait: asked again after every step, until the deadline.
  std::function<socket::Result()> retry;
  Instant deadline = Instant::Never();
  // What else the call brought, compared once it is done; empty: all right.
  std::function<std::string()> check;
  std::function<void()> effect;
};

class Calls {
 public:
  Calls(Host& host, const Settings& settings, Flow& flow) : host_(host), settings_(settings), flow_(flow) {}

  // What a script's call needs that is not here; empty: nothing.
  static std::string Needs(const CallSpec& spec);

  // REQUIRES: Needs(*call.spec).empty(). A malformed argument is told in words.
  std::string Start(Call& call);
  // After every step: whether it is done by now.
  bool Finished(Call& call);
  // Compares result, errno and what else came back. Empty: as the script says.
  std::string Check(Call& call);

  // The descriptor that tcp_info is asked of: the latest connection. -1: none.
  int under_test() const { return under_test_; }

 private:
  using Maker = std::string (Calls::*)(Call&);
  struct Entry {
    const char* name;
    Maker make;
    size_t arguments;
  };
  static const Entry* Find(const std::string& name);

  int64_t Value(const Expr& expr) const;
  int LiveFd(const Expr& expr) const;
  socket::Endpoint EndpointOf(const Expr& expr, bool remote) const;
  void Parts(Call& call, const Expr& list, bool read);
  void Part(Call& call, uint64_t length, const Expr* content, bool read);
  void StartReceive(Call& call, uint32_t flags);
  void StartSend(Call& call, uint32_t flags);
  void NewDescriptor(Call& call, int64_t live);

  std::string MakeSocket(Call& call);
  std::string MakeBind(Call& call);
  std::string MakeListen(Call& call);
  std::string MakeAccept(Call& call);
  std::string MakeConnect(Call& call);
  std::string MakeClose(Call& call);
  std::string MakeShutdown(Call& call);
  std::string MakeRead(Call& call);
  std::string MakeReadv(Call& call);
  std::string MakeRecv(Call& call);
  std::string MakeRecvmsg(Call& call);
  std::string MakeWrite(Call& call);
  std::string MakeWritev(Call& call);
  std::string MakeSend(Call& call);
  std::string MakeSendmsg(Call& call);
  std::string MakeFcntl(Call& call);
  std::string MakeIoctl(Call& call);
  std::string MakeGetsockopt(Call& call);
  std::string MakeSetsockopt(Call& call);
  std::string MakePoll(Call& call);
  std::string MakeEpollCreate(Call& call);
  std::string MakeEpollCtl(Call& call);
  std::string MakeEpollWait(Call& call);

  Host& host_;
  const Settings& settings_;
  Flow& flow_;
  std::map<int64_t, int> fds_;       // script to live
  std::map<int, uint64_t> written_;  // octets of the stream so far, by live descriptor
  std::map<int, uint64_t> read_;
  int under_test_ = -1;
};

}  // namespace tern::script

#endif  // TERN_TESTS_SCRIPT_CALLS_H_
