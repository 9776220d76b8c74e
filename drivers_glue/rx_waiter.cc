#include "drivers_glue/rx_waiter.h"

#include <fcntl.h>
#include <poll.h>
#include <rte_ethdev.h>
#include <rte_interrupts.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <filesystem>
#include <iterator>
#include <string>
#include <utility>

namespace tern {
namespace {

namespace fs = std::filesystem;

bool Receives(int fd) {
  int domain = 0;
  socklen_t length = sizeof(domain);
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0)
    return domain == AF_PACKET || domain == AF_XDP;
  std::error_code error;
  const fs::path target = fs::read_symlink(fs::path("/proc/self/fd") / std::to_string(fd), error);
  return target == "/dev/net/tun";
}

}  // namespace

bool RxWaiter::UseDescriptor(int fd) {
  Close();
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd_ < 0) return false;
  epoll_event event{};
  event.events = EPOLLIN;
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) != 0) {
    Close();
    return false;
  }
  source_ = Source::kDescriptor;
  return true;
}

bool RxWaiter::UseInterrupt(uint16_t port, uint16_t queue) {
  Close();
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd_ < 0) return false;
  port_ = port;
  queue_ = queue;
  if (rte_eth_dev_rx_intr_ctl_q(port, queue, epoll_fd_, RTE_INTR_EVENT_ADD, nullptr) != 0) {
    Close();
    return false;
  }
  source_ = Source::kInterrupt;
  // Some drivers offer the descriptor but not the switch; find out now.
  if (!Arm()) {
    Close();
    return false;
  }
  Disarm();
  return true;
}

void RxWaiter::Close() {
  if (source_ == Source::kInterrupt) {
    rte_eth_dev_rx_intr_ctl_q(port_, queue_, epoll_fd_, RTE_INTR_EVENT_DEL, nullptr);
  }
  if (epoll_fd_ >= 0) close(epoll_fd_);
  epoll_fd_ = -1;
  source_ = Source::kNone;
}

bool RxWaiter::Arm() {
  return source_ != Source::kInterrupt || rte_eth_dev_rx_intr_enable(port_, queue_) == 0;
}

void RxWaiter::Disarm() {
  if (source_ == Source::kInterrupt) rte_eth_dev_rx_intr_disable(port_, queue_);
}

void RxWaiter::Sleep(int fd_wake, Duration timeout) {
  std::array<pollfd, 2> fds = {{{epoll_fd_, POLLIN, 0}, {fd_wake, POLLIN, 0}}};
  const int64_t nanos = std::max<int64_t>(timeout.nanos(), 0);
  constexpr int64_t kSecond = 1'000'000'000;
  const timespec limit{nanos / kSecond, nanos % kSecond};
  const int ready = ppoll(fds.data(), fd_wake >= 0 ? 2 : 1, &limit, nullptr);
  if (ready > 0 && (fds[0].revents & POLLIN) != 0 && source_ == Source::kInterrupt) {
    // Takes the count out of the driver's eventfd, in the way that its kind of interrupt asks for.
    std::array<rte_epoll_event, 4> events;
    rte_epoll_wait(epoll_fd_, events.data(), events.size(), 0);
  }
}

std::vector<int> OpenDescriptors() {
  std::vector<int> fds;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd", error)) {
    const std::string name = entry.path().filename();
    int fd = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), fd).ec == std::errc()) fds.push_back(fd);
  }
  // The descriptor that read the directory was listed too, and its number is the next to be used again.
  std::erase_if(fds, [](int fd) { return fcntl(fd, F_GETFD) < 0; });
  std::sort(fds.begin(), fds.end());
  return fds;
}

std::vector<int> NewReceiveDescriptors(const std::vector<int>& before, const std::vector<int>& now) {
  std::vector<int> fresh;
  std::set_difference(now.begin(), now.end(), before.begin(), before.end(), std::back_inserter(fresh));
  // Sockets' inode numbers grow as they are made; descriptor numbers may fill holes.
  std::vector<std::pair<uint64_t, int>> made;
  for (int fd : fresh) {
    struct stat status {};
    if (Receives(fd) && fstat(fd, &status) == 0) made.emplace_back(status.st_ino, fd);
  }
  std::sort(made.begin(), made.end());
  std::vector<int> ordered;
  ordered.reserve(made.size());
  for (const auto& [inode, fd] : made) ordered.push_back(fd);
  return ordered;
}

}  // namespace tern
