#include "runtime/doorbell.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

namespace tern::runtime {

Doorbell::Doorbell() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Doorbell::~Doorbell() {
  if (fd_ >= 0) close(fd_);
}

void Doorbell::Disarm() {
  armed_.store(false, std::memory_order_relaxed);
  // Read even if nobody seems to have rung: a ring that is late would end every sleep from then on.
  uint64_t count = 0;
  if (fd_ >= 0 && read(fd_, &count, sizeof(count)) < 0) return;  // EAGAIN: nobody rang
}

void Doorbell::Signal() {
  const uint64_t one = 1;
  if (fd_ >= 0 && write(fd_, &one, sizeof(one)) < 0) return;  // EAGAIN: it is readable anyway
}

}  // namespace tern::runtime
