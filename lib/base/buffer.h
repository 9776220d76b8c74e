// Packet memory as the pure rooms see it.
#ifndef TERN_BASE_BUFFER_H_
#define TERN_BASE_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace tern {

// Readable bytes plus an opaque handle. A Buffer lives inside the memory it describes (in production the
// private area of an rte_mbuf, in tests a heap block), so that queues of them are intrusive and need no
// allocation.
//
// Ownership: whoever holds the pointer owns the buffer, alone, and passes it on or releases it through the
// BufferPool it came from. Pure code never releases: it hands chains out through its effects.
// Thread: a buffer belongs to one worker at a time.
struct Buffer {
  Buffer* next = nullptr;   // the chain this buffer is in
  uint8_t* data = nullptr;  // first readable byte
  uint32_t length = 0;      // readable bytes
  uint32_t tailroom = 0;    // bytes after data + length that the owner may still write
  uint32_t cost = 0;        // what holding this buffer really costs, in bytes of pool memory
  uint32_t tag = 0;         // for whoever owns it: reassembly keeps the sequence number of data[0] here
  void* handle = nullptr;   // the pool's own; set once, never by users

  std::span<const uint8_t> bytes() const { return {data, length}; }
  // Drops `n` <= length bytes at the front or the back.
  void TrimFront(uint32_t n) {
    data += n;
    length -= n;
  }
  void TrimBack(uint32_t n) { length -= n; }
};

// A singly linked chain with both ends known: append, pop and splice are O(1).
class BufferChain {
 public:
  BufferChain() = default;
  // Of a list linked by `next` that ends at `tail`; both nullptr: empty.
  BufferChain(Buffer* head, Buffer* tail) : head_(head), tail_(tail) {}
  BufferChain(const BufferChain&) = delete;
  BufferChain& operator=(const BufferChain&) = delete;
  BufferChain(BufferChain&& other) noexcept { Splice(other); }
  BufferChain& operator=(BufferChain&&) = delete;

  bool empty() const { return head_ == nullptr; }
  Buffer* front() const { return head_; }
  Buffer* back() const { return tail_; }

  void PushBack(Buffer* buffer) {
    buffer->next = nullptr;
    if (tail_ == nullptr) {
      head_ = buffer;
    } else {
      tail_->next = buffer;
    }
    tail_ = buffer;
  }
  // Nullptr when empty.
  Buffer* PopFront() {
    Buffer* buffer = head_;
    if (buffer == nullptr) return nullptr;
    head_ = buffer->next;
    if (head_ == nullptr) tail_ = nullptr;
    buffer->next = nullptr;
    return buffer;
  }
  // Moves everything in `other` to the end of this chain.
  void Splice(BufferChain& other) {
    if (other.head_ == nullptr) return;
    if (tail_ == nullptr) {
      head_ = other.head_;
    } else {
      tail_->next = other.head_;
    }
    tail_ = other.tail_;
    other.head_ = other.tail_ = nullptr;
  }
  // Gives the whole chain to the caller as a raw list.
  Buffer* TakeAll() {
    Buffer* all = head_;
    head_ = tail_ = nullptr;
    return all;
  }

 private:
  Buffer* head_ = nullptr;
  Buffer* tail_ = nullptr;
};

// Where buffers come from and go back to. One per worker; not thread-safe. Calls are per batch, so virtual
// dispatch is off the per-packet path.
class BufferPool {
 public:
  virtual ~BufferPool() = default;
  // Fills all of `out` or nothing. Each buffer comes empty (length 0), with `tailroom` bytes to write.
  virtual bool Allocate(std::span<Buffer*> out) = 0;
  // Takes back a list linked by `next`; nullptr is an empty list.
  virtual void Release(Buffer* list) = 0;
  // Less is left than receiving needs: whoever holds data that nobody reads should stop taking more.
  virtual bool Tight() { return false; }
  // Bytes that one buffer of this pool can hold.
  virtual uint32_t buffer_capacity() const = 0;
};

}  // namespace tern

#endif  // TERN_BASE_BUFFER_H_
