// Handing a list out in bounded pieces.
#ifndef TERN_BASE_TAKE_FRONT_H_
#define TERN_BASE_TAKE_FRONT_H_

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace tern {

// Moves the first items of `from` into `out`, as many as there are and have room; returns how many. Linear in
// what stays: for short lists.
template <typename T>
size_t TakeFront(std::vector<T>& from, std::span<T> out) {
  const size_t n = std::min(out.size(), from.size());
  const auto end = from.begin() + static_cast<ptrdiff_t>(n);
  std::move(from.begin(), end, out.begin());
  from.erase(from.begin(), end);
  return n;
}

}  // namespace tern

#endif  // TERN_BASE_TAKE_FRONT_H_
