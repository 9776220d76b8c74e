// Bytes in packet memory, owned by the application for as long as it holds them.
#ifndef TERN_TERN_PAYLOAD_H_
#define TERN_TERN_PAYLOAD_H_

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>

#include "tern/export.h"

namespace tern {

struct Buffer;  // the library's own
namespace runtime {
class Worker;
}

// A chain of pieces of packet memory: what Connection::Receive gives and Connection::Send takes, without a
// copy. Move-only; what is left in it goes back to the worker's pool when it is destroyed.
//
// Ownership: whoever holds the Payload owns the bytes alone and may change them in place. Hold on to as
// little as you can for as short as you can: received buffers are what the device refills from. Thread: the
// worker's own, for every call and for the destructor. It must not outlive the worker's stack.
class TERN_EXPORT Payload {
 public:
  // Walks the pieces. Valid until the Payload changes.
  class TERN_EXPORT Iterator {
   public:
    using value_type = std::span<std::byte>;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;

    Iterator() = default;
    explicit Iterator(Buffer* at) : at_(at) {}
    std::span<std::byte> operator*() const;
    Iterator& operator++();
    void operator++(int) { ++*this; }
    bool operator==(const Iterator&) const = default;

   private:
    Buffer* at_ = nullptr;
  };

  Payload() = default;
  Payload(Payload&& other) noexcept { Take(other); }
  Payload& operator=(Payload&& other) noexcept;
  ~Payload() {
    if (head_ != nullptr) Clear();
  }

  // Octets in all pieces together.
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // What stood behind it when Connection::Receive gave it: more data, for which Receive has to be called
  // again; or the end of the peer's stream (Connection::AtEnd). Both false: nothing yet, OnReadable will
  // follow.
  bool more_waits() const { return behind_ == Behind::kMore; }
  bool ends_stream() const { return behind_ == Behind::kEnd; }

  // for (std::span<std::byte> piece : payload) ...
  Iterator begin() const { return Iterator(head_); }
  Iterator end() const { return Iterator(); }

  // Drops octets at the front: min(count, size()). Pieces used up go back to the pool.
  void DropFront(size_t count);
  // Drops octets at the back until at most `count` are left.
  void Truncate(size_t count);
  // Copies from the front without consuming; returns how many: min(out.size(), size()).
  size_t CopyTo(std::span<std::byte> out) const;
  // Moves all of `other` behind what is here. REQUIRES: both of the same worker.
  void Append(Payload&& other);
  // Gives everything back to the pool.
  void Clear();

 private:
  friend class Connection;
  friend class Worker;

  enum class Behind : uint8_t { kNothing, kMore, kEnd };

  void Take(Payload& other) noexcept {
    head_ = other.head_;
    tail_ = other.tail_;
    size_ = other.size_;
    worker_ = other.worker_;
    behind_ = other.behind_;
    other.head_ = other.tail_ = nullptr;
    other.size_ = 0;
  }

  Buffer* head_ = nullptr;
  Buffer* tail_ = nullptr;
  size_t size_ = 0;
  runtime::Worker* worker_ = nullptr;
  Behind behind_ = Behind::kNothing;
};

}  // namespace tern

#endif  // TERN_TERN_PAYLOAD_H_
