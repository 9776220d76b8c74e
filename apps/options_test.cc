#include "apps/options.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "apps/bulk/client.h"
#include "apps/echo/client.h"
#include "apps/server.h"
#include "apps/session.h"

namespace tern::apps {
namespace {

const ProgramText kProgram{
    .name = "tern-test",
    .summary = "tests",
    .roles = {{.name = "server", .summary = "serves", .examples = "  tern-test server --device x\n"},
              {.name = "client", .summary = "asks", .examples = "  tern-test client\n"}}};

// What a call printed and gave.
struct Outcome {
  std::optional<int> status;
  std::string out;
  std::string err;
};

template <typename F>
Outcome Capture(F&& call) {
  Outcome outcome;
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  outcome.status = call();
  outcome.out = testing::internal::GetCapturedStdout();
  outcome.err = testing::internal::GetCapturedStderr();
  return outcome;
}

// Parses as `tern-test server ARGUMENTS...`.
Outcome ParseServer(ServerOptions* options, std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), {"tern-test", "server"});
  return Capture([&] {
    ConfigTable table;
    AddServerKeys(table, options);
    return ParseRole(kProgram, kProgram.roles[0], table, static_cast<int>(arguments.size()),
                     arguments.data());
  });
}

Outcome Role(std::vector<const char*> arguments, const RoleText** role) {
  arguments.insert(arguments.begin(), "tern-test");
  return Capture([&]() -> std::optional<int> {
    int status = -1;
    *role = TakeRole(kProgram, static_cast<int>(arguments.size()), arguments.data(), &status);
    return status;
  });
}

TEST(Options, TheCommandLineOfTheReadme) {
  ServerOptions options;
  const Outcome outcome =
      ParseServer(&options, {"--device", "af_packet:veth1", "--address", "10.77.0.1/24", "--address",
                             "fd77::1/64", "--port", "7", "--sink=9", "--source", "19", "--daytime", "13",
                             "--keepalive", "90s", "--lcores", "1-2", "--json"});
  EXPECT_EQ(outcome.status, std::nullopt) << outcome.err;
  ASSERT_EQ(options.common.stack.interfaces.size(), 1u);
  EXPECT_EQ(options.common.stack.interfaces[0].device, "af_packet:veth1");
  EXPECT_EQ(options.common.stack.interfaces[0].addresses,
            (std::vector<std::string>{"10.77.0.1/24", "fd77::1/64"}));
  EXPECT_EQ(options.common.stack.lcores, (std::vector<int>{1, 2}));
  EXPECT_EQ(options.echo_port, 7);
  EXPECT_EQ(options.sink_port, 9);
  EXPECT_EQ(options.source_port, 19);
  EXPECT_EQ(options.daytime_port, 13);
  EXPECT_EQ(options.keepalive, std::chrono::seconds(90));
  EXPECT_TRUE(options.common.json);
  EXPECT_TRUE(CheckCommon(options.common).ok());
}

TEST(Options, AServersListenersAreControlled) {
  ServerOptions options;
  Outcome outcome =
      ParseServer(&options, {"--backlog", "7", "--accept-rate=5", "--source_limit", "3", "--defer_accept",
                             "2s", "--syn_cookies", "always", "--synack_retries", "2"});
  EXPECT_EQ(outcome.status, std::nullopt) << outcome.err;
  EXPECT_EQ(options.listen.backlog, 7u);
  EXPECT_EQ(options.listen.accept_rate, 5u);
  EXPECT_EQ(options.listen.source_limit, 3u);
  EXPECT_EQ(options.listen.defer_accept, std::chrono::seconds(2));
  EXPECT_EQ(options.common.stack.syn_cookies, SynCookies::kAlways);
  EXPECT_EQ(options.common.stack.synack_retries, 2u);
  outcome = ParseServer(&options, {"--syn_cookies", "sometimes"});
  EXPECT_EQ(outcome.status, kBadUsage);
  EXPECT_NE(outcome.err.find("off|past_backlog|always"), std::string::npos) << outcome.err;
}

TEST(Options, WhatIsMissingIsNamedWithTheFix) {
  ServerOptions options;
  ParseServer(&options, {});
  EXPECT_NE(CheckCommon(options.common).message().find("--device is missing"), absl::string_view::npos);
  ParseServer(&options, {"--device", "tap:t0"});
  EXPECT_EQ(CheckCommon(options.common).message(),
            "--address is missing for tap:t0: give tern an address of its own, for example --address "
            "10.77.0.1/24, or let it take IPv6 addresses from routers by --autoconf");
  ParseServer(&options, {"--device", "tap:t0", "--autoconf"});
  EXPECT_TRUE(options.common.stack.interfaces[0].autoconf);
  EXPECT_TRUE(CheckCommon(options.common).ok());
}

// What a program says before it touches anything.
std::string Refusal(std::vector<const char*> arguments,
                    int (*role)(const ProgramText&, const RoleText&, int, const char* const*)) {
  arguments.insert(arguments.begin(),
                   {"tern-test", "role", "--device", "tap:t0", "--address", "10.77.0.1/24"});
  const Outcome outcome = Capture([&] {
    return role(kProgram, kProgram.roles[0], static_cast<int>(arguments.size()), arguments.data());
  });
  EXPECT_EQ(outcome.status, kBadUsage);
  return outcome.err.substr(0, outcome.err.find('\n'));
}

int Server(const ProgramText& program, const RoleText& role, int argc, const char* const* argv) {
  return ServerMain(program, role, {}, argc, argv);
}

TEST(Options, WhatARoleNeedsIsAskedFor) {
  EXPECT_EQ(Refusal({}, Server), "tern-test: no service is on: give --port, --sink, --source or --daytime");
  EXPECT_EQ(Refusal({}, EchoClientMain),
            "tern-test: --connect is missing: the server's address and port, as 10.77.0.1:7");
  EXPECT_EQ(Refusal({"--connect", "10.77.0.2:7", "--duration", "0s"}, EchoClientMain),
            "tern-test: --duration must be longer than 0s");
  EXPECT_EQ(Refusal({}, BulkClientMain),
            "tern-test: --connect is missing: the server's address, as 10.77.0.1");
  EXPECT_EQ(Refusal({"--connect", "10.77.0.2", "--sink", "0"}, BulkClientMain),
            "tern-test: the port that --direction needs is 0: give --sink, --source or --port");
  EXPECT_EQ(Refusal({"--connect", "10.77.0.2:9"}, BulkClientMain),
            "tern-test: flag --connect: connect = \"10.77.0.2:9\": expected an address without a port (the "
            "ports are --sink, --source and --port)");
}

TEST(Options, WhatIsLeftBehindIsSaidAtTheEnd) {
  const auto said = [](const LeakReport& leaks) {
    return Capture([&] {
             PrintLeaks("tern-test", leaks);
             return 0;
           })
        .err;
  };
  EXPECT_EQ(said({}), "");
  EXPECT_EQ(said({.buffers = 3, .timers = 1}),
            "tern-test: left behind: 3 buffers, 0 connections, 0 send records, 1 timers, 0 client buffers\n");
}

TEST(Options, BadValuesEndWithTwo) {
  const std::vector<std::vector<const char*>> wrong = {{"--port", "70000"},
                                                       {"--port", "echo"},
                                                       {"--no-such-key", "1"},
                                                       {"--duration", "5 parsecs"},
                                                       {"--log_level", "loud"},
                                                       {"--config", "/nonexistent/file.toml"},
                                                       {"--port"}};
  for (const auto& arguments : wrong) {
    ServerOptions options;
    const Outcome outcome = ParseServer(&options, arguments);
    EXPECT_EQ(outcome.status, kBadUsage) << arguments[0];
    EXPECT_NE(outcome.err.find("tern-test: "), std::string::npos);
    EXPECT_NE(outcome.err.find("tern-test server --help"), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
}

TEST(Options, HelpNamesEveryKeyWithItsDefault) {
  ServerOptions options;
  options.echo_port = 7;
  const Outcome outcome = ParseServer(&options, {"--help"});
  EXPECT_EQ(outcome.status, kRight);
  EXPECT_EQ(outcome.err, "");
  for (const char* key : {"--device",
                          "--address",
                          "--port",
                          "--sink",
                          "--source",
                          "--daytime",
                          "--lcores",
                          "--json",
                          "--duration",
                          "--backlog",
                          "--accept_rate",
                          "--source_limit",
                          "--defer_accept",
                          "--syn_cookies",
                          "--synack_retries",
                          "--keepalive",
                          "--mac",
                          "--gateway",
                          "--idle",
                          "--autoconf",
                          "exit status",
                          "examples:",
                          "7"}) {
    EXPECT_NE(outcome.out.find(key), std::string::npos) << key << "\n" << outcome.out;
  }
}

TEST(Options, VersionIsAnswered) {
  ServerOptions options;
  const Outcome outcome = ParseServer(&options, {"--version"});
  EXPECT_EQ(outcome.status, kRight);
  EXPECT_EQ(outcome.out.rfind("tern-test ", 0), 0u) << outcome.out;
}

TEST(Options, TheRoleComesFirst) {
  const RoleText* role = nullptr;
  Role({"client", "--port", "1"}, &role);
  ASSERT_NE(role, nullptr);
  EXPECT_EQ(role->name, "client");

  Outcome outcome = Role({"--help"}, &role);
  EXPECT_EQ(role, nullptr);
  EXPECT_EQ(outcome.status, kRight);
  EXPECT_NE(outcome.out.find("tern-test client"), std::string::npos);

  outcome = Role({"sever"}, &role);
  EXPECT_EQ(outcome.status, kBadUsage);
  EXPECT_NE(outcome.err.find("'sever' where a role was expected: server or client"), std::string::npos)
      << outcome.err;

  outcome = Role({}, &role);
  EXPECT_EQ(outcome.status, kBadUsage);
}

// `text` as the value of --connect.
std::optional<std::string> Connect(const char* text, uint16_t default_port) {
  Endpoint endpoint;
  ConfigTable table;
  AddEndpoint(table, "connect", &endpoint, default_port, "");
  const char* const arguments[] = {"x", "--connect", text};
  if (!table.ParseFlags(3, arguments).ok()) return std::nullopt;
  return endpoint.ToString();
}

std::string ConnectError(const char* text, uint16_t default_port) {
  Endpoint endpoint;
  ConfigTable table;
  AddEndpoint(table, "connect", &endpoint, default_port, "");
  const char* const arguments[] = {"x", "--connect", text};
  return std::string(table.ParseFlags(3, arguments).message());
}

TEST(Options, Endpoints) {
  EXPECT_EQ(Connect("10.77.0.1:7", 0), "10.77.0.1:7");
  EXPECT_EQ(Connect("[fd77::1]:7", 0), "[fd77::1]:7");
  for (const char* wrong : {"10.77.0.1", "10.77.0.1:0", "10.77.0.1:65536", ":7", "fd77::1", "host:7", ""}) {
    EXPECT_EQ(Connect(wrong, 0), std::nullopt) << wrong;
  }
  EXPECT_EQ(ConnectError("10.77.0.1", 0),
            "flag --connect: connect = \"10.77.0.1\": expected an address and a port, as 10.77.0.1:7 or "
            "[fd77::1]:7");
  EXPECT_EQ(ConnectError("host", 9),
            "flag --connect: connect = \"host\": expected an address with or without a port, as 10.77.0.1 or "
            "[fd77::1]:9");
  EXPECT_EQ(Connect("10.77.0.1", 9), "10.77.0.1:9");
  EXPECT_EQ(Connect("fd77::1", 9), "[fd77::1]:9");
  EXPECT_EQ(Connect("[fd77::1]", 9), "[fd77::1]:9");
  EXPECT_EQ(Connect("[fd77::1]:8", 9), "[fd77::1]:8");
}

}  // namespace
}  // namespace tern::apps
