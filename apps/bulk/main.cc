// tern-bulk: a server of discard and source ports, and a client that moves bytes to, from or through one.
#include "apps/bulk/client.h"
#include "apps/options.h"
#include "apps/server.h"

namespace tern::apps {
namespace {

const ProgramText& Program() {
  static const ProgramText program{
      .name = "tern-bulk",
      .summary = "bulk transfer over tern, a user-space TCP stack on DPDK",
      .roles = {
          {.name = "server",
           .summary = "swallows and checks on a discard port (RFC 863), sends for ever on a source port",
           .examples =
               "  tern-bulk server --device af_packet:veth1 --address 10.77.0.1/24 --sink 9 --source 19\n"
               "  tern-bulk server --config configs/bulk-veth.toml --streams\n"},
          {.name = "client",
           .summary = "sends to a discard port, reads from a source port, or both ways through an echo port",
           .examples =
               "  tern-bulk client --device af_packet:veth2 --address 10.77.0.2/24 --connect 10.77.0.1 \\\n"
               "      --bytes 1GiB --direction both --connections 4\n"
               "  tern-bulk client ... --direction down --duration 10s\n"
               "  tern-bulk client ... --direction echo     both running hashes are compared at this "
               "side\n"}}};
  return program;
}

int Main(int argc, char** argv) {
  int status = kRight;
  const RoleText* role = TakeRole(Program(), argc, argv, &status);
  if (role == nullptr) return status;
  if (role->name == "client") return BulkClientMain(Program(), *role, argc, argv);
  ServerOptions options;
  options.sink_port = 9;
  options.source_port = 19;
  return ServerMain(Program(), *role, options, argc, argv);
}

}  // namespace
}  // namespace tern::apps

int main(int argc, char** argv) { return tern::apps::Main(argc, argv); }
