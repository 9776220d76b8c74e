// How one thread wakes another that may be asleep in the kernel, without a system call while it is awake.
#ifndef TERN_RUNTIME_DOORBELL_H_
#define TERN_RUNTIME_DOORBELL_H_

#include <atomic>

namespace tern::runtime {

// An eventfd and a word that says whether anybody would hear it. The sleeper: Arm, look once more whether
// there is work, sleep on fd(), Disarm, work. The waker: make the work visible, Ring. Neither can miss the
// other: whichever exchanges the word second sees what the other did before.
class Doorbell {
 public:
  // Without a descriptor (the process has too many) fd() is -1 and sleepers must poll.
  Doorbell();
  ~Doorbell();
  Doorbell(const Doorbell&) = delete;
  Doorbell& operator=(const Doorbell&) = delete;

  int fd() const { return fd_; }

  // The sleeper's.
  void Arm() { armed_.exchange(true, std::memory_order_acq_rel); }
  // Also swallows what was rung. One system call.
  void Disarm();
  // Any thread. Costs a system call only when armed.
  void Ring() {
    if (armed_.exchange(false, std::memory_order_acq_rel)) Signal();
  }

 private:
  void Signal();

  alignas(64) std::atomic<bool> armed_{false};
  int fd_;
};

}  // namespace tern::runtime

#endif  // TERN_RUNTIME_DOORBELL_H_
