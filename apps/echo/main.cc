// tern-echo: an echo server (with discard and source, if asked), and a client that measures one.
#include "apps/echo/client.h"
#include "apps/options.h"
#include "apps/server.h"

namespace tern::apps {
namespace {

const ProgramText& Program() {
  static const ProgramText program{
      .name = "tern-echo",
      .summary = "echo over tern, a user-space TCP stack on DPDK",
      .roles = {
          {.name = "server",
           .summary = "answers on an echo port (RFC 862), and on discard, source and daytime ports when they "
                      "are given",
           .examples = "  tern-echo server --device af_packet:veth1 --address 10.77.0.1/24 --address "
                       "fd77::1/64 --port 7\n"
                       "  tern-echo server --device pci:0000:01:00.0 --lcores 1-4 --address 192.0.2.7/24 "
                       "--gateway 192.0.2.1\n"
                       "  tern-echo server --config configs/echo-veth.toml --sink 9 --source 19\n"},
          {.name = "client",
           .summary = "sends requests, checks every octet that comes back, and measures how long it took",
           .examples = "  tern-echo client --device af_packet:veth2 --address 10.77.0.2/24 --connect "
                       "10.77.0.1:7 --duration 5s\n"
                       "  tern-echo client --device vhost:/run/t.sock --address 10.77.0.2/24 --connect "
                       "10.77.0.1:7 \\\n"
                       "      --connections 64 --size 64 --depth 1 --duration 5s --json\n"
                       "  tern-echo client ... --rate 20000     an open loop: latency counts from when a "
                       "request was due\n"}}};
  return program;
}

int Main(int argc, char** argv) {
  int status = kRight;
  const RoleText* role = TakeRole(Program(), argc, argv, &status);
  if (role == nullptr) return status;
  if (role->name == "client") return EchoClientMain(Program(), *role, argc, argv);
  ServerOptions options;
  options.echo_port = 7;
  return ServerMain(Program(), *role, options, argc, argv);
}

}  // namespace
}  // namespace tern::apps

int main(int argc, char** argv) { return tern::apps::Main(argc, argv); }
