#include "drivers_glue/stable_mac.h"

#include <sys/stat.h>

#include <fstream>

#include "absl/strings/str_cat.h"

namespace tern {

std::array<uint8_t, 6> StableMac(const std::string& device) {
  std::string boot_id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot_id;
  struct stat ns {};
  stat("/proc/self/ns/net", &ns);
  const std::string name = absl::StrCat(boot_id, "/", ns.st_ino, "/", device);
  uint64_t hash = 0xCBF29CE484222325;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3;
  std::array<uint8_t, 6> mac{};
  for (size_t i = 0; i < mac.size(); ++i) mac[i] = static_cast<uint8_t>(hash >> (8 * i + 8));
  mac[0] = static_cast<uint8_t>((mac[0] & 0xFC) | 0x02);  // local, unicast
  return mac;
}

}  // namespace tern
