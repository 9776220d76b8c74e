// The only place where tern draws randomness.
#ifndef TERN_RUNTIME_SECRETS_H_
#define TERN_RUNTIME_SECRETS_H_

#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tern::runtime {

// Fills `out` from the kernel's generator; waits for it to be seeded, early after boot.
absl::Status SystemRandom(std::span<uint8_t> out);

// A stream of secrets for one stack: the system's, or, with a seed other than zero, one that the seed
// determines (for tests; whoever knows the seed knows them all).
class SecretSource {
 public:
  explicit SecretSource(uint64_t seed) : seed_(seed) {}

  absl::Status Fill(std::span<uint8_t> out);
  absl::StatusOr<uint64_t> Word();

 private:
  uint64_t seed_;
  uint64_t drawn_ = 0;
};

}  // namespace tern::runtime

#endif  // TERN_RUNTIME_SECRETS_H_
