// The files in configs/ are what the documentation sends people to: each must be taken by the role it is for.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>

#include "apps/bulk/client.h"
#include "apps/echo/client.h"
#include "apps/server.h"

namespace tern::apps {
namespace {

std::string PathOf(const std::string& name) { return std::string(TERN_CONFIGS) + "/" + name; }

void ExpectServer(const std::string& name, const char* device, ServerOptions* options) {
  ConfigTable table;
  AddServerKeys(table, options);
  const absl::Status status = table.ParseFile(PathOf(name));
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_TRUE(CheckCommon(options->common).ok());
  EXPECT_EQ(options->common.stack.interfaces.at(0).device, device);
  EXPECT_EQ(options->common.stack.interfaces.at(0).addresses.size(), 2u);
}

TEST(ConfigFiles, EchoServerOnVeth) {
  ServerOptions options;
  ExpectServer("echo-veth.toml", "af_packet:veth1", &options);
  EXPECT_EQ(options.echo_port, 7);
  EXPECT_EQ(options.sink_port, 9);
  EXPECT_EQ(options.source_port, 19);
}

TEST(ConfigFiles, BulkServerOnVeth) {
  ServerOptions options;
  ExpectServer("bulk-veth.toml", "af_packet:veth1", &options);
  EXPECT_TRUE(options.streams);
  EXPECT_EQ(options.common.stack.receive_buffer, 1u << 20);
}

TEST(ConfigFiles, EchoServerOnNic) {
  ServerOptions options;
  ExpectServer("echo-nic.toml", "pci:0000:01:00.0", &options);
  EXPECT_EQ(options.common.stack.lcores, (std::vector<int>{1, 2, 3, 4}));
  EXPECT_EQ(options.common.stack.gateways.size(), 2u);
  EXPECT_EQ(options.common.stack.idle, IdlePolicy::kSpin);
}

TEST(ConfigFiles, EchoClient) {
  EchoClientOptions options;
  ConfigTable table;
  AddEchoClientKeys(table, &options);
  const absl::Status status = table.ParseFile(PathOf("echo-client.toml"));
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(options.load.remote.ToString(), "10.78.0.1:7");
  EXPECT_EQ(options.load.connections, 64u);
  EXPECT_EQ(options.warmup, std::chrono::milliseconds(500));
}

TEST(ConfigFiles, BulkClient) {
  BulkClientOptions options;
  ConfigTable table;
  AddBulkClientKeys(table, &options);
  const absl::Status status = table.ParseFile(PathOf("bulk-client.toml"));
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(options.load.direction, Direction::kBoth);
  EXPECT_EQ(options.load.octets, uint64_t{1} << 30);
  EXPECT_EQ(options.load.server.ToString(), "10.78.0.1");
}

TEST(ConfigFiles, AFlagBeatsTheFile) {
  ServerOptions options;
  ConfigTable table;
  AddServerKeys(table, &options);
  const std::string path = PathOf("echo-veth.toml");
  const char* const arguments[] = {"x",          "--port",    "70",          "--config",
                                   path.c_str(), "--address", "192.0.2.1/24"};
  ASSERT_TRUE(table.ParseFlags(7, arguments).ok());
  EXPECT_EQ(options.echo_port, 70);
  EXPECT_EQ(options.sink_port, 9);
  EXPECT_EQ(options.common.stack.interfaces.at(0).addresses, std::vector<std::string>{"192.0.2.1/24"});
}

TEST(ConfigFiles, EveryFileIsTestedHere) {
  std::set<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(TERN_CONFIGS)) {
    found.insert(entry.path().filename().string());
  }
  EXPECT_EQ(found, (std::set<std::string>{"bulk-client.toml", "bulk-veth.toml", "echo-client.toml",
                                          "echo-nic.toml", "echo-veth.toml"}));
}

}  // namespace
}  // namespace tern::apps
