#include "runtime/secrets.h"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/hash.h"

namespace tern::runtime {

absl::Status SystemRandom(std::span<uint8_t> out) {
  while (!out.empty()) {
    const ssize_t got = getrandom(out.data(), out.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return absl::ErrnoToStatus(errno, "cannot draw secrets: getrandom failed");
    out = out.subspan(static_cast<size_t>(got));
  }
  return absl::OkStatus();
}

absl::Status SecretSource::Fill(std::span<uint8_t> out) {
  if (seed_ == 0) return SystemRandom(out);
  while (!out.empty()) {
    const uint64_t word = SipHash24(HashKey{seed_, ~seed_}, drawn_++, 0);
    const size_t count = out.size() < sizeof(word) ? out.size() : sizeof(word);
    for (size_t i = 0; i < count; ++i) out[i] = static_cast<uint8_t>(word >> (8 * i));
    out = out.subspan(count);
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> SecretSource::Word() {
  std::array<uint8_t, 8> bytes{};
  if (absl::Status status = Fill(bytes); !status.ok()) return status;
  return hash_internal::LoadLittle64(bytes.data());
}

}  // namespace tern::runtime
