// Runs a fuzz target over files, or over random inputs, without libFuzzer: how regressions are kept, and how
// a build without clang gets its hostile packets.
//
// usage: NAME FILE|DIRECTORY...      each file once
//        NAME --random SEED COUNT    COUNT inputs drawn from SEED
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/prng.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
// How many packets a target that takes packets was shown.
extern "C" __attribute__((weak)) uint64_t TernFuzzPackets();

namespace {

int RunFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "cannot read %s\n", path.c_str());
    return 1;
  }
  const std::vector<uint8_t> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::printf("%s\n", path.c_str());
  std::fflush(stdout);
  return LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

int RunRandom(uint64_t seed, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    tern::Prng prng(seed + i);
    std::vector<uint8_t> bytes(1 + prng.Below(4'000));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(prng.Next32());
    if (LLVMFuzzerTestOneInput(bytes.data(), bytes.size()) != 0) return 1;
  }
  std::printf("%llu random inputs from seed %llu", static_cast<unsigned long long>(count),
              static_cast<unsigned long long>(seed));
  if (TernFuzzPackets != nullptr) {
    std::printf(", %llu packets", static_cast<unsigned long long>(TernFuzzPackets()));
  }
  std::printf("\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 4 && std::string(argv[1]) == "--random") {
    return RunRandom(std::strtoull(argv[2], nullptr, 10), std::strtoull(argv[3], nullptr, 10));
  }
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s FILE|DIRECTORY... | --random SEED COUNT\n", argv[0]);
    return 2;
  }
  int status = 0;
  for (int i = 1; i < argc; ++i) {
    if (std::filesystem::is_directory(argv[i])) {
      for (const auto& entry : std::filesystem::directory_iterator(argv[i])) status |= RunFile(entry.path());
    } else {
      status |= RunFile(argv[i]);
    }
  }
  return status;
}
