#include "apps/bulk/bulk_load.h"

#include <limits>
#include <span>
#include <utility>

namespace tern::apps {
namespace {

constexpr uint64_t kNoEnd = std::numeric_limits<uint64_t>::max();

// Only an echo comes back from a phase that this side chose.
PatternChecker CheckerFor(Direction direction, uint64_t phase) {
  return direction == Direction::kEcho ? PatternChecker(phase) : PatternChecker();
}

}  // namespace

size_t BulkStreams(const BulkLoadOptions& options) {
  return options.direction == Direction::kBoth ? size_t{2} * options.connections : options.connections;
}

BulkLoad::Transfer::Transfer(Direction direction_, uint64_t phase_, uint64_t target_)
    : direction(direction_), target(target_), sender(phase_, true), checker(CheckerFor(direction_, phase_)) {}

std::unique_ptr<BulkLoad::Transfer> BulkLoad::MakeTransfer(size_t index) const {
  Direction direction = options_.direction;
  if (direction == Direction::kBoth) direction = index % 2 == 0 ? Direction::kUp : Direction::kDown;
  const size_t nth = options_.direction == Direction::kBoth ? index / 2 : index;
  uint64_t target = kNoEnd;
  if (options_.octets != 0) {
    target = options_.octets / options_.connections + (nth < options_.octets % options_.connections ? 1 : 0);
  }
  auto stream = std::make_unique<Transfer>(direction, index * 7919 % kPatternWords, target);
  const uint16_t port = direction == Direction::kUp     ? options_.sink_port
                        : direction == Direction::kDown ? options_.source_port
                                                        : options_.echo_port;
  stream->index = index;
  stream->remote = {options_.server, port};
  return stream;
}

std::vector<std::unique_ptr<Stream>> BulkLoad::MakeStreams() {
  const Share share = ShareOf(BulkStreams(options_), worker().index(), worker().count());
  std::vector<std::unique_ptr<Stream>> streams;
  for (size_t i = 0; i < share.count; ++i) streams.push_back(MakeTransfer(share.first + i));
  return streams;
}

void BulkLoad::Opened(Stream& stream) { Pump(static_cast<Transfer&>(stream)); }
void BulkLoad::Writable(Stream& stream) { Pump(static_cast<Transfer&>(stream)); }

void BulkLoad::Pump(Transfer& stream) {
  if (!stream.sends() || stream.shut) return;
  result().octets_out.Add(stream.sender.PumpUntil(worker(), stream.conn, stream.target));
  if (stream.sender.octets() >= stream.target) Shut(stream);
}

void BulkLoad::Shut(Transfer& stream) {
  if (stream.shut) return;
  stream.shut = true;
  stream.conn.ShutdownWrite();
}

void BulkLoad::Readable(Stream& base) {
  auto& stream = static_cast<Transfer&>(base);
  if (!Take(stream)) return;
  // A pattern server sends until this side ends its own stream; what is on its way then is checked too.
  if (stream.direction == Direction::kDown && stream.checker.octets() >= stream.target) Shut(stream);
}

// Checks what has come. False when it was wrong and the stream is over.
bool BulkLoad::Take(Transfer& stream) {
  const Payload data = stream.conn.Receive();
  if (!data.empty() && !stream.receives()) {
    Fail(stream, "the discard server sent something");
    return false;
  }
  for (const std::span<std::byte> piece : data) {
    const std::span octets(reinterpret_cast<const uint8_t*>(piece.data()), piece.size());
    stream.checker.Add(octets);
    stream.received_hash.Add(octets);
  }
  result().octets_in.Add(data.size());
  const bool unknown =
      stream.checker.verdict() == PatternChecker::Verdict::kUnknown && stream.checker.octets() >= 8;
  if (stream.checker.verdict() == PatternChecker::Verdict::kMismatch || unknown) {
    Fail(stream, unknown ? "the source does not send the known pattern" : "an octet of the stream is wrong");
    return false;
  }
  return true;
}

void BulkLoad::AtEnd(Stream& base) {
  auto& stream = static_cast<Transfer&>(base);
  const bool all_sent = !stream.sends() || stream.sender.octets() >= stream.target;
  const bool all_received = stream.direction == Direction::kEcho
                                ? stream.checker.octets() == stream.sender.octets()
                            : stream.direction == Direction::kDown ? stream.checker.octets() >= stream.target
                                                                   : true;
  if (!stream.shut || !all_sent || !all_received) {
    Fail(stream, "the server ended the stream before its time");
    return;
  }
  if (stream.direction == Direction::kEcho && stream.sender.hash() != stream.received_hash.value()) {
    Fail(stream, "the hashes of the two directions differ");
    return;
  }
  if (stream.sends()) result().hash_sent_sum += stream.sender.hash();
  if (stream.receives()) result().hash_received_sum += stream.received_hash.value();
  EndWell(stream);
}

void BulkLoad::Finish(Stream& base) {
  auto& stream = static_cast<Transfer&>(base);
  if (stream.shut) return;
  if (options_.octets != 0) CountFailure("cut short: the run ended before all octets had gone");
  stream.target = stream.sends() ? stream.sender.octets() : 0;
  Shut(stream);
}

}  // namespace tern::apps
