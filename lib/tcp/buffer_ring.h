// A queue of buffers behind one pointer, for hot state that has no room for two.
#ifndef TERN_TCP_BUFFER_RING_H_
#define TERN_TCP_BUFFER_RING_H_

#include "base/buffer.h"

namespace tern::tcp {

// The queue is a ring through Buffer::next; `tail` is its last buffer and tail->next its first. Empty is
// nullptr.
inline Buffer* RingFront(const Buffer* tail) { return tail == nullptr ? nullptr : tail->next; }

inline void RingPush(Buffer*& tail, Buffer* buffer) {
  if (tail == nullptr) {
    buffer->next = buffer;
  } else {
    buffer->next = tail->next;
    tail->next = buffer;
  }
  tail = buffer;
}

// REQUIRES: not empty.
inline Buffer* RingPop(Buffer*& tail) {
  Buffer* front = tail->next;
  if (front == tail) {
    tail = nullptr;
  } else {
    tail->next = front->next;
  }
  front->next = nullptr;
  return front;
}

// Takes out `buffer`, which comes after `before` (the tail, for the first).
inline void RingRemove(Buffer*& tail, Buffer* before, Buffer* buffer) {
  before->next = buffer->next;
  if (buffer == before) {
    tail = nullptr;
  } else if (buffer == tail) {
    tail = before;
  }
  buffer->next = nullptr;
}

// The one after `buffer`, or nullptr at the end.
inline Buffer* RingNext(const Buffer* tail, const Buffer* buffer) {
  return buffer == tail ? nullptr : buffer->next;
}

// Moves every buffer to the end of `chain`.
inline void RingDrain(Buffer*& tail, BufferChain& chain) {
  while (tail != nullptr) chain.PushBack(RingPop(tail));
}

}  // namespace tern::tcp

#endif  // TERN_TCP_BUFFER_RING_H_
