// The EAL for unit tests: ordinary memory, no PCI, no privilege.
#ifndef TERN_DRIVERS_GLUE_GLUE_ENV_FOR_TEST_H_
#define TERN_DRIVERS_GLUE_GLUE_ENV_FOR_TEST_H_

#include "drivers_glue/eal.h"

namespace tern {

inline EalOptions TestEalOptions() {
  EalOptions options;
  options.hugepages = HugepageMode::kOff;
  options.memory_mib = 512;
  return options;
}

// Starts the EAL at the first call; true when it runs. It goes with the process.
inline bool TestEal() { return EalStart(TestEalOptions()).ok(); }

}  // namespace tern

#endif  // TERN_DRIVERS_GLUE_GLUE_ENV_FOR_TEST_H_
