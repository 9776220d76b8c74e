#include "wire/tcp.h"

#include <algorithm>
#include <string_view>

namespace tern::wire {
namespace {

enum Kind : uint8_t {
  kEnd = 0,
  kNop = 1,
  kMss = 2,
  kWindowScale = 3,
  kSackPermitted = 4,
  kSack = 5,
  kTimestamp = 8,
};

constexpr size_t kMssLength = 4;
constexpr size_t kWindowScaleLength = 3;
constexpr size_t kSackPermittedLength = 2;
constexpr size_t kTimestampLength = 10;
constexpr size_t kSackHead = 2;   // kind and length
constexpr size_t kSackBlock = 8;  // two sequence numbers

// Takes what is legal on a SYN from one whole option. `option` includes kind and length.
void TakeSynOption(std::span<const uint8_t> option, TcpOptions& out) {
  switch (option[0]) {
    case kMss:
      // Nobody can send segments of nothing; reading 0 as absent leaves the default in force.
      if (option.size() != kMssLength || LoadBe16(&option[2]) == 0) return;
      out.has_mss = true;
      out.mss = LoadBe16(&option[2]);
      return;
    case kWindowScale:
      if (option.size() != kWindowScaleLength) return;
      // RFC 7323 2.3: a shift above 14 must be used as 14.
      out.has_wscale = true;
      out.wscale = std::min(option[2], kTcpMaxWindowShift);
      return;
    case kSackPermitted:
      if (option.size() == kSackPermittedLength) out.sack_permitted = true;
      return;
    default:
      return;
  }
}

void TakeSack(std::span<const uint8_t> option, TcpOptions& out) {
  const size_t blocks = (option.size() - kSackHead) / kSackBlock;
  if (blocks == 0 || blocks > TcpOptions::kMaxSackBlocks) return;
  if (option.size() != kSackHead + blocks * kSackBlock) return;
  for (size_t i = 0; i < blocks; ++i) {
    const uint8_t* block = &option[kSackHead + i * kSackBlock];
    out.sack[i] = {SeqNum(LoadBe32(block)), SeqNum(LoadBe32(block + 4))};
  }
  out.sack_count = static_cast<uint8_t>(blocks);
}

void TakeOption(std::span<const uint8_t> option, bool syn, TcpOptions& out) {
  if (option[0] == kTimestamp) {
    if (option.size() != kTimestampLength) return;
    out.has_timestamp = true;
    out.tsval = LoadBe32(&option[2]);
    out.tsecr = LoadBe32(&option[6]);
  } else if (syn) {
    TakeSynOption(option, out);
  } else if (option[0] == kSack) {
    TakeSack(option, out);
  }
}

// The timestamp with two octets before it: SACK-permitted fits exactly into what would else be padding.
uint8_t* WriteTimestamp(const TcpOptions& options, uint8_t* out) {
  StoreBe32(out, options.sack_permitted ? 0x0402080au : kAlignedTimestamp);
  StoreBe32(out + 4, options.tsval);
  StoreBe32(out + 8, options.tsecr);
  return out + 12;
}

size_t LengthWithoutSack(const TcpOptions& options) {
  size_t length = 0;
  if (options.has_mss) length += 4;
  if (options.has_timestamp) {
    length += 12;
  } else if (options.sack_permitted) {
    length += 4;
  }
  if (options.has_wscale) length += 4;
  return length;
}

}  // namespace

namespace internal {

void ParseTcpOptions(std::span<const uint8_t> bytes, bool syn, TcpOptions& out) {
  while (!bytes.empty()) {
    const uint8_t kind = bytes[0];
    if (kind == kEnd) return;
    if (kind == kNop) {
      bytes = bytes.subspan(1);
      continue;
    }
    // RFC 9293 3.1 (MUST-7): be ready for any option length, zero included.
    if (bytes.size() < 2 || bytes[1] < 2 || bytes[1] > bytes.size()) {
      out.malformed = true;
      return;
    }
    TakeOption(bytes.first(bytes[1]), syn, out);
    bytes = bytes.subspan(bytes[1]);
  }
}

}  // namespace internal

size_t SackBlocksThatFit(const TcpOptions& options) {
  constexpr size_t kHeadAndPadding = 2 + kSackHead;
  const size_t used = LengthWithoutSack(options) + kHeadAndPadding;
  const size_t asked = std::min<size_t>(options.sack_count, TcpOptions::kMaxSackBlocks);
  return std::min(asked, (kTcpMaxOptions - used) / kSackBlock);
}

size_t TcpOptionsLength(const TcpOptions& options) {
  const size_t blocks = SackBlocksThatFit(options);
  return LengthWithoutSack(options) + (blocks == 0 ? 0 : 2 + kSackHead + blocks * kSackBlock);
}

namespace internal {

size_t WriteAllTcpOptions(const TcpOptions& options, uint8_t* out) {
  uint8_t* p = out;
  if (options.has_mss) {
    StoreBe32(p, 0x02040000u | options.mss);
    p += 4;
  }
  if (options.has_timestamp) {
    p = WriteTimestamp(options, p);
  } else if (options.sack_permitted) {
    StoreBe32(p, 0x01010402u);
    p += 4;
  }
  if (options.has_wscale) {
    StoreBe32(p, 0x01030300u | std::min(options.wscale, kTcpMaxWindowShift));
    p += 4;
  }
  const size_t blocks = SackBlocksThatFit(options);
  if (blocks != 0) {
    StoreBe32(p, static_cast<uint32_t>(0x01010500u | (kSackHead + blocks * kSackBlock)));
    p += 4;
    for (size_t i = 0; i < blocks; ++i, p += kSackBlock) {
      StoreBe32(p, options.sack[i].start.value());
      StoreBe32(p + 4, options.sack[i].end.value());
    }
  }
  return static_cast<size_t>(p - out);
}

}  // namespace internal

std::string FlagsToString(TcpFlags flags) {
  constexpr std::string_view kNames[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"};
  std::string text;
  for (size_t bit = 0; bit < 8; ++bit) {
    if ((flags >> bit & 1) == 0) continue;
    if (!text.empty()) text += ',';
    text += kNames[bit];
  }
  return text.empty() ? "none" : text;
}

}  // namespace tern::wire
