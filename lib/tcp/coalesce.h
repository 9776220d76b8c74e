// Many small segments in one buffer.
#ifndef TERN_TCP_COALESCE_H_
#define TERN_TCP_COALESCE_H_

#include "base/buffer.h"

namespace tern::tcp {

// Copies the bytes of `next` behind those of `tail` when there is room and when it pays: a buffer that costs
// at least kCoalesceGain times what it carries is worth copying out of. True: `next` is empty now (length 0)
// and the caller releases it. A peer that sends single octets then costs what it sends, not a buffer for
// each. REQUIRES: `tail` and `next` are adjacent in the stream, and nobody else holds `tail`.
bool TryCoalesce(Buffer* tail, Buffer* next);

// Half-full buffers are left alone: one copy for half a buffer saved is where it stops to pay.
inline constexpr unsigned kCoalesceGain = 3;

}  // namespace tern::tcp

#endif  // TERN_TCP_COALESCE_H_
