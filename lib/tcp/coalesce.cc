#include "tcp/coalesce.h"

#include <cstring>

namespace tern::tcp {

bool TryCoalesce(Buffer* tail, Buffer* next) {
  if (next->length > tail->tailroom) return false;
  if (uint64_t{next->length} * kCoalesceGain > next->cost) return false;
  if (next->length > 0) std::memcpy(tail->data + tail->length, next->data, next->length);
  tail->length += next->length;
  tail->tailroom -= next->length;
  next->length = 0;
  return true;
}

}  // namespace tern::tcp
