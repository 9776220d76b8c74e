// Keeps SIGPIPE from ending a process whose DPDK driver writes to a closed socket.
#ifndef TERN_DRIVERS_GLUE_SIGPIPE_BLOCK_H_
#define TERN_DRIVERS_GLUE_SIGPIPE_BLOCK_H_

#include <signal.h>

#include <ctime>

namespace tern {

// virtio_user talks to its peer without MSG_NOSIGNAL. While one of these lives the calling thread (and those
// it creates) takes no SIGPIPE; one that was raised meanwhile is discarded.
class SigpipeBlock {
 public:
  SigpipeBlock() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~SigpipeBlock() {
    const timespec now{0, 0};
    if (!was_pending_) sigtimedwait(&pipe_, nullptr, &now);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SigpipeBlock(const SigpipeBlock&) = delete;
  SigpipeBlock& operator=(const SigpipeBlock&) = delete;

 private:
  sigset_t pipe_;
  sigset_t before_;
  bool was_pending_ = false;
};

}  // namespace tern

#endif  // TERN_DRIVERS_GLUE_SIGPIPE_BLOCK_H_
