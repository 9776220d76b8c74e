#include "apps/pattern_sender.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <utility>

namespace tern::apps {
namespace {

// Made in one go: large enough that the call does not matter, small enough to stay in the nearest cache.
constexpr size_t kPiece = 16 * 1024;

std::span<uint8_t> WritableOctets(std::span<std::byte> bytes) {
  return {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()};
}

}  // namespace

uint64_t PatternSender::PumpUntil(Worker& worker, Connection conn, uint64_t end) {
  const uint64_t before = octets_;
  while (octets_ < end) {
    const size_t room = conn.SendRoom();
    if (room == 0) break;
    const size_t size = static_cast<size_t>(std::min<uint64_t>({room, kPiece, end - octets_}));
    const SendResult result = SendPiece(worker, conn, size);
    octets_ += result.taken;
    if (result.status != SendStatus::kOk) break;
  }
  return octets_ - before;
}

SendResult PatternSender::SendPiece(Worker& worker, Connection conn, size_t size) {
  Payload payload = worker.NewPayload(size);
  if (payload.empty()) {
    // The pool is short. The copying Send finds the same, and its kNoBuffer is what has OnWritable called
    // later.
    std::array<std::byte, 256> little;
    const auto piece = std::span(little).first(std::min(size, little.size()));
    FillPattern(phase_, octets_, WritableOctets(piece));
    const SendResult result = conn.Send(std::span<const std::byte>(piece));
    if (hashed_) hash_.Add(WritableOctets(piece).first(result.taken));
    return result;
  }
  const StreamHash hash_before = hash_;
  uint64_t at = octets_;
  for (const std::span<std::byte> piece : payload) {
    FillPattern(phase_, at, WritableOctets(piece));
    if (hashed_) hash_.Add(WritableOctets(piece));
    at += piece.size();
  }
  const SendResult result = conn.Send(std::move(payload));
  if (hashed_ && result.taken < size) {
    hash_ = hash_before;
    std::array<uint8_t, 256> again;
    for (uint64_t done = 0; done < result.taken;) {
      const auto piece =
          std::span(again).first(static_cast<size_t>(std::min<uint64_t>(again.size(), result.taken - done)));
      FillPattern(phase_, octets_ + done, piece);
      hash_.Add(piece);
      done += piece.size();
    }
  }
  return result;
}

}  // namespace tern::apps
