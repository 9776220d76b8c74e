// A half-open range of sequence space.
#ifndef TERN_TCP_SEQ_RANGE_H_
#define TERN_TCP_SEQ_RANGE_H_

#include <cstdint>

#include "base/seq_num.h"
#include "wire/tcp.h"

namespace tern::tcp {

// [start, end): the same value as a SACK block, so that blocks pass between header and scoreboard as they
// are.
using SeqRange = wire::SackBlock;

constexpr bool IsEmpty(SeqRange range) { return range.start == range.end; }
constexpr uint32_t Length(SeqRange range) { return range.start.DistanceTo(range.end); }
constexpr bool Contains(SeqRange range, SeqNum seq) { return seq.InWindow(range.start, Length(range)); }

}  // namespace tern::tcp

#endif  // TERN_TCP_SEQ_RANGE_H_
