// The bulk client's load: long streams up to a discard server, down from a pattern server, or both ways
// through an echo server.
#ifndef TERN_APPS_BULK_BULK_LOAD_H_
#define TERN_APPS_BULK_BULK_LOAD_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "apps/load.h"
#include "apps/pattern_sender.h"

namespace tern::apps {

enum class Direction : uint8_t { kUp, kDown, kBoth, kEcho };

struct BulkLoadOptions {
  Address server;
  uint16_t sink_port = 9;
  uint16_t source_port = 19;
  uint16_t echo_port = 7;
  Direction direction = Direction::kBoth;
  uint64_t octets = 0;  // in each direction, all connections together; 0: until the end of the run
  uint32_t connections = 1;
};

// Connections in all: kBoth opens as many for each direction.
size_t BulkStreams(const BulkLoadOptions& options);

// What is checked here: down, every octet against the pattern; echo, every octet against what was sent, and
// the two running hashes against each other. Up, a discard server says nothing, so a stream is right here
// when all of it was acknowledged and the server then closed; whether the bytes were right the server tells,
// which checks them against the pattern (tern's does) or prints their hash to compare with this side's.
class BulkLoad : public Load {
 public:
  // `options` must outlive the load.
  BulkLoad(Worker& worker, LoadResult* result, const BulkLoadOptions* options)
      : Load(worker, result), options_(*options) {}

 protected:
  std::vector<std::unique_ptr<Stream>> MakeStreams() override;
  bool nodelay() const override { return false; }
  void Opened(Stream& stream) override;
  void Readable(Stream& stream) override;
  void AtEnd(Stream& stream) override;
  void Writable(Stream& stream) override;
  void Finish(Stream& stream) override;

 private:
  struct Transfer : Stream {
    Transfer(Direction direction_, uint64_t phase_, uint64_t target_);

    Direction direction;  // never kBoth
    uint64_t target;      // octets; the largest number: no end
    PatternSender sender;
    PatternChecker checker;
    StreamHash received_hash;
    bool shut = false;

    bool sends() const { return direction != Direction::kDown; }
    bool receives() const { return direction != Direction::kUp; }
  };

  std::unique_ptr<Transfer> MakeTransfer(size_t index) const;
  void Pump(Transfer& stream);
  bool Take(Transfer& stream);
  void Shut(Transfer& stream);

  const BulkLoadOptions& options_;
};

}  // namespace tern::apps

#endif  // TERN_APPS_BULK_BULK_LOAD_H_
