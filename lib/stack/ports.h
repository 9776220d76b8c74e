// Source ports for active opens (RFC 6056).
#ifndef TERN_STACK_PORTS_H_
#define TERN_STACK_PORTS_H_

#include <cstdint>

#include "base/hash.h"
#include "wire/flow_key.h"

namespace tern::stack {

// RFC 6056 3.3.3, "simple hash-based": where a destination's ports begin is a keyed hash of the destination,
// and a counter goes on from there. Ports to one destination are reused as late as can be, and seeing those
// to one says nothing about those to another.
class PortChooser {
 public:
  // RFC 6056 3.2 asks for as wide a range as can be; below lie the ports where services are expected.
  static constexpr uint16_t kFirst = 10'240;
  static constexpr uint32_t kCount = 65'536 - kFirst;

  explicit PortChooser(const HashKey& secret) : secret_(secret) {}

  // Sets key.local_port to a port for which `usable(key)` holds; tries each at most once. False when there is
  // none; the port is then 0.
  template <typename F>
  bool Choose(wire::FlowKey& key, F&& usable) {
    key.local_port = 0;
    const uint64_t offset = SipHash24(secret_, key.Words());
    for (uint32_t tries = 0; tries < kCount; ++tries) {
      key.local_port = static_cast<uint16_t>(kFirst + (offset + counter_++) % kCount);
      if (usable(key)) return true;
    }
    key.local_port = 0;
    return false;
  }

 private:
  HashKey secret_;
  uint64_t counter_ = 0;
};

}  // namespace tern::stack

#endif  // TERN_STACK_PORTS_H_
