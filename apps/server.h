// A server of the plain services, from its options to its exit status: what tern-echo server and tern-bulk
// server run.
#ifndef TERN_APPS_SERVER_H_
#define TERN_APPS_SERVER_H_

#include <chrono>
#include <cstdint>
#include <string>

#include "apps/options.h"

namespace tern::apps {

struct ServerOptions {
  CommonOptions common;
  ListenOptions listen;    // of each service; its address and port are not used
  uint16_t echo_port = 0;  // 0: not offered
  uint16_t sink_port = 0;
  uint16_t source_port = 0;
  uint16_t daytime_port = 0;
  std::chrono::nanoseconds keepalive{0};  // silence before a client is probed; zero: it never is
  bool verify = true;
  bool streams = false;  // print each discard stream as it ends
};

// Declares the server's keys and those of CommonOptions. `options` holds the program's defaults of the ports.
void AddServerKeys(ConfigTable& table, ServerOptions* options);

// Parses, serves until a signal or --duration, reports. Gives the exit status.
int ServerMain(const ProgramText& program, const RoleText& role, ServerOptions options, int argc,
               const char* const* argv);

}  // namespace tern::apps

#endif  // TERN_APPS_SERVER_H_
