#include "tern/payload.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/buffer.h"
#include "runtime/worker.h"

namespace tern {

std::span<std::byte> Payload::Iterator::operator*() const {
  return std::as_writable_bytes(std::span(at_->data, at_->length));
}

Payload::Iterator& Payload::Iterator::operator++() {
  at_ = at_->next;
  return *this;
}

Payload& Payload::operator=(Payload&& other) noexcept {
  if (this != &other) {
    if (head_ != nullptr) Clear();
    Take(other);
  }
  return *this;
}

void Payload::Clear() {
  if (head_ != nullptr) worker_->Release(head_, tail_);
  head_ = tail_ = nullptr;
  size_ = 0;
}

void Payload::DropFront(size_t count) {
  count = std::min(count, size_);
  size_ -= count;
  while (head_ != nullptr && count >= head_->length) {
    count -= head_->length;
    Buffer* done = std::exchange(head_, head_->next);
    worker_->Release(done, done);
  }
  if (head_ == nullptr) {
    tail_ = nullptr;
  } else {
    head_->TrimFront(static_cast<uint32_t>(count));
  }
}

void Payload::Truncate(size_t count) {
  if (count >= size_) return;
  if (count == 0) return Clear();
  Buffer* last = head_;
  size_t before = 0;
  while (before + last->length < count) {
    before += last->length;
    last = last->next;
  }
  last->TrimBack(static_cast<uint32_t>(before + last->length - count));
  size_ = count;
  if (Buffer* rest = std::exchange(last->next, nullptr)) worker_->Release(rest, tail_);
  tail_ = last;
}

size_t Payload::CopyTo(std::span<std::byte> out) const {
  size_t copied = 0;
  for (const Buffer* piece = head_; piece != nullptr && copied < out.size(); piece = piece->next) {
    const size_t length = std::min<size_t>(piece->length, out.size() - copied);
    std::memcpy(out.data() + copied, piece->data, length);
    copied += length;
  }
  return copied;
}

void Payload::Append(Payload&& other) {
  if (other.head_ == nullptr) return;
  if (head_ == nullptr) return Take(other);
  tail_->next = other.head_;
  tail_ = other.tail_;
  size_ += other.size_;
  other.head_ = other.tail_ = nullptr;
  other.size_ = 0;
}

}  // namespace tern
