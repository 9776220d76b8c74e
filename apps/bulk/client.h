// The bulk client, from its options to its exit status.
#ifndef TERN_APPS_BULK_CLIENT_H_
#define TERN_APPS_BULK_CLIENT_H_

#include <chrono>

#include "apps/bulk/bulk_load.h"
#include "apps/options.h"

namespace tern::apps {

struct BulkClientOptions {
  CommonOptions common;
  BulkLoadOptions load;
  std::chrono::nanoseconds patience = std::chrono::seconds(5);  // for streams to end
};

// Declares the client's keys and those of CommonOptions.
void AddBulkClientKeys(ConfigTable& table, BulkClientOptions* options);

// Parses, runs the transfer, reports. Gives the exit status.
int BulkClientMain(const ProgramText& program, const RoleText& role, int argc, const char* const* argv);

}  // namespace tern::apps

#endif  // TERN_APPS_BULK_CLIENT_H_
