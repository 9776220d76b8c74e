#include "tcp/window.h"

namespace tern::tcp {

uint8_t WindowShiftFor(uint32_t buffer) {
  uint8_t shift = 0;
  while (shift < kMaxWindowShift && (buffer >> shift) > internal::kMaxWindowField) ++shift;
  return shift;
}

}  // namespace tern::tcp
