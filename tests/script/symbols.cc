#include "script/symbols.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>

namespace tern::script {
namespace {

struct Symbol {
  const char* name;
  int64_t value;
};

#define TERN_SYMBOL(name) \
  { #name, static_cast < int64_t>(name) }

constexpr Symbol kSymbols[] = {
    TERN_SYMBOL(AF_INET),
    TERN_SYMBOL(AF_INET6),
    TERN_SYMBOL(PF_INET),
    TERN_SYMBOL(PF_INET6),
    TERN_SYMBOL(SOCK_STREAM),
    TERN_SYMBOL(SOCK_DGRAM),
    TERN_SYMBOL(SOCK_NONBLOCK),
    TERN_SYMBOL(SOCK_CLOEXEC),
    TERN_SYMBOL(IPPROTO_TCP),
    TERN_SYMBOL(IPPROTO_IP),
    TERN_SYMBOL(IPPROTO_IPV6),
    TERN_SYMBOL(IPPROTO_UDP),
    TERN_SYMBOL(INADDR_ANY),
    TERN_SYMBOL(SOL_SOCKET),
    TERN_SYMBOL(SOL_TCP),
    TERN_SYMBOL(SOL_IP),
    TERN_SYMBOL(SO_REUSEADDR),
    TERN_SYMBOL(SO_REUSEPORT),
    TERN_SYMBOL(SO_ERROR),
    TERN_SYMBOL(SO_RCVBUF),
    TERN_SYMBOL(SO_SNDBUF),
    TERN_SYMBOL(SO_LINGER),
    TERN_SYMBOL(SO_KEEPALIVE),
    TERN_SYMBOL(SO_RCVTIMEO),
    TERN_SYMBOL(SO_SNDTIMEO),
    TERN_SYMBOL(SO_RCVLOWAT),
    TERN_SYMBOL(SO_ACCEPTCONN),
    TERN_SYMBOL(SO_TYPE),
    TERN_SYMBOL(TCP_NODELAY),
    TERN_SYMBOL(TCP_CORK),
    TERN_SYMBOL(TCP_MAXSEG),
    TERN_SYMBOL(TCP_USER_TIMEOUT),
    TERN_SYMBOL(TCP_DEFER_ACCEPT),
    TERN_SYMBOL(TCP_KEEPIDLE),
    TERN_SYMBOL(TCP_KEEPINTVL),
    TERN_SYMBOL(TCP_KEEPCNT),
    TERN_SYMBOL(TCP_CONGESTION),
    TERN_SYMBOL(TCP_QUICKACK),
    TERN_SYMBOL(TCP_INFO),
    TERN_SYMBOL(TCP_SYNCNT),
    TERN_SYMBOL(TCP_LINGER2),
    TERN_SYMBOL(TCP_WINDOW_CLAMP),
    TERN_SYMBOL(O_RDONLY),
    TERN_SYMBOL(O_WRONLY),
    TERN_SYMBOL(O_RDWR),
    TERN_SYMBOL(O_NONBLOCK),
    TERN_SYMBOL(F_GETFL),
    TERN_SYMBOL(F_SETFL),
    TERN_SYMBOL(F_GETFD),
    TERN_SYMBOL(F_SETFD),
    TERN_SYMBOL(MSG_PEEK),
    TERN_SYMBOL(MSG_DONTWAIT),
    TERN_SYMBOL(MSG_WAITALL),
    TERN_SYMBOL(MSG_TRUNC),
    TERN_SYMBOL(MSG_OOB),
    TERN_SYMBOL(MSG_MORE),
    TERN_SYMBOL(MSG_NOSIGNAL),
    TERN_SYMBOL(MSG_CTRUNC),
    TERN_SYMBOL(SHUT_RD),
    TERN_SYMBOL(SHUT_WR),
    TERN_SYMBOL(SHUT_RDWR),
    TERN_SYMBOL(SIOCINQ),
    TERN_SYMBOL(SIOCOUTQ),
    TERN_SYMBOL(FIONREAD),
    TERN_SYMBOL(SIOCOUTQNSD),
    TERN_SYMBOL(FIONBIO),
    TERN_SYMBOL(POLLIN),
    TERN_SYMBOL(POLLOUT),
    TERN_SYMBOL(POLLPRI),
    TERN_SYMBOL(POLLERR),
    TERN_SYMBOL(POLLHUP),
    TERN_SYMBOL(POLLNVAL),
    TERN_SYMBOL(POLLRDNORM),
    TERN_SYMBOL(POLLWRNORM),
    {"POLLRDHUP", 0x2000},
    TERN_SYMBOL(EPOLLIN),
    TERN_SYMBOL(EPOLLOUT),
    TERN_SYMBOL(EPOLLPRI),
    TERN_SYMBOL(EPOLLERR),
    TERN_SYMBOL(EPOLLHUP),
    TERN_SYMBOL(EPOLLRDHUP),
    TERN_SYMBOL(EPOLLRDNORM),
    TERN_SYMBOL(EPOLLWRNORM),
    {"EPOLLET", int64_t{1} << 31},
    TERN_SYMBOL(EPOLLONESHOT),
    TERN_SYMBOL(EPOLL_CTL_ADD),
    TERN_SYMBOL(EPOLL_CTL_DEL),
    TERN_SYMBOL(EPOLL_CTL_MOD),
    {"TCP_ESTABLISHED", 1},
    {"TCP_SYN_SENT", 2},
    {"TCP_SYN_RECV", 3},
    {"TCP_FIN_WAIT1", 4},
    {"TCP_FIN_WAIT2", 5},
    {"TCP_TIME_WAIT", 6},
    {"TCP_CLOSE", 7},
    {"TCP_CLOSE_WAIT", 8},
    {"TCP_LAST_ACK", 9},
    {"TCP_LISTEN", 10},
    {"TCP_CLOSING", 11},
    {"TCP_CA_Open", 0},
    {"TCP_CA_Disorder", 1},
    {"TCP_CA_CWR", 2},
    {"TCP_CA_Recovery", 3},
    {"TCP_CA_Loss", 4},
    {"TCPI_OPT_TIMESTAMPS", 1},
    {"TCPI_OPT_SACK", 2},
    {"TCPI_OPT_WSCALE", 4},
    {"TCPI_OPT_ECN", 8},
    {"TCP_INFINITE_SSTHRESH", 0x7fffffff},
    {"NULL", 0},
    {"SOMAXCONN", 4'096},
};

constexpr Symbol kErrors[] = {
    TERN_SYMBOL(EAGAIN),        TERN_SYMBOL(EINPROGRESS),     TERN_SYMBOL(EALREADY),
    TERN_SYMBOL(EISCONN),       TERN_SYMBOL(ENOTCONN),        TERN_SYMBOL(ECONNREFUSED),
    TERN_SYMBOL(ECONNRESET),    TERN_SYMBOL(ECONNABORTED),    TERN_SYMBOL(ETIMEDOUT),
    TERN_SYMBOL(EHOSTUNREACH),  TERN_SYMBOL(ENETUNREACH),     TERN_SYMBOL(EPIPE),
    TERN_SYMBOL(EBADF),         TERN_SYMBOL(EINVAL),          TERN_SYMBOL(EADDRINUSE),
    TERN_SYMBOL(EADDRNOTAVAIL), TERN_SYMBOL(EAFNOSUPPORT),    TERN_SYMBOL(EOPNOTSUPP),
    TERN_SYMBOL(ENOPROTOOPT),   TERN_SYMBOL(EINTR),           TERN_SYMBOL(EMFILE),
    TERN_SYMBOL(ENFILE),        TERN_SYMBOL(ENOBUFS),         TERN_SYMBOL(ENOMEM),
    TERN_SYMBOL(EDOM),          TERN_SYMBOL(EBUSY),           TERN_SYMBOL(EEXIST),
    TERN_SYMBOL(ENOENT),        TERN_SYMBOL(EPERM),           TERN_SYMBOL(EACCES),
    TERN_SYMBOL(EMSGSIZE),      TERN_SYMBOL(EPROTONOSUPPORT), TERN_SYMBOL(ESOCKTNOSUPPORT),
    TERN_SYMBOL(EPROTOTYPE),    TERN_SYMBOL(EPROTO),          TERN_SYMBOL(ESHUTDOWN),
    TERN_SYMBOL(EFAULT),        TERN_SYMBOL(ENOTSOCK),        TERN_SYMBOL(EDESTADDRREQ),
    TERN_SYMBOL(EIO),           TERN_SYMBOL(ENETDOWN),
};

#undef TERN_SYMBOL

}  // namespace

std::optional<int64_t> SymbolValue(const std::string& name) {
  for (const Symbol& s : kSymbols) {
    if (name == s.name) return s.value;
  }
  if (const std::optional<int> error = ErrnoNumber(name)) return *error;
  return std::nullopt;
}

std::optional<int> ErrnoNumber(const std::string& name) {
  if (name == "EWOULDBLOCK") return EAGAIN;
  for (const Symbol& s : kErrors) {
    if (name == s.name) return static_cast<int>(s.value);
  }
  return std::nullopt;
}

std::string ErrnoName(int error) {
  for (const Symbol& s : kErrors) {
    if (error == s.value) return s.name;
  }
  return "errno " + std::to_string(error);
}

}  // namespace tern::script
