// The echo client, from its options to its exit status.
#ifndef TERN_APPS_ECHO_CLIENT_H_
#define TERN_APPS_ECHO_CLIENT_H_

#include <chrono>

#include "apps/echo/echo_load.h"
#include "apps/options.h"

namespace tern::apps {

struct EchoClientOptions {
  CommonOptions common;
  EchoLoadOptions load;
  std::chrono::nanoseconds warmup{0};                           // load before the measured time
  std::chrono::nanoseconds patience = std::chrono::seconds(5);  // for the last answers
};

// Declares the client's keys and those of CommonOptions.
void AddEchoClientKeys(ConfigTable& table, EchoClientOptions* options);

// Parses, runs the load, reports. Gives the exit status.
int EchoClientMain(const ProgramText& program, const RoleText& role, int argc, const char* const* argv);

}  // namespace tern::apps

#endif  // TERN_APPS_ECHO_CLIENT_H_
