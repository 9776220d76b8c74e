#include "tern/config.h"

#include <gtest/gtest.h>

#include <initializer_list>

namespace tern {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Settings {
  bool verbose = false;
  std::string name = "anna";
  std::vector<std::string> addresses = {"default"};
  uint32_t connections = 64;
  double ratio = 0.5;
  uint64_t octets = 1'048'576;
  std::chrono::nanoseconds duration = seconds(5);
  IdlePolicy idle = IdlePolicy::kAdaptive;

  ConfigTable Table() {
    ConfigTable table;
    table.Section("Things");
    table.AddBool("verbose", &verbose, "say more");
    table.AddString("name", &name, "NAME", "who");
    table.AddList("address", &addresses, "ADDR", "where");
    table.AddUint32("max_connections", &connections, 1, 1'000, "how many");
    table.AddDouble("ratio", &ratio, 0, 1, "what part");
    table.AddSize("bytes", &octets, "how much");
    table.AddDuration("duration", &duration, "how long");
    table.AddChoice("idle", &idle, {{"adaptive", IdlePolicy::kAdaptive}, {"spin", IdlePolicy::kSpin}}, "how");
    return table;
  }
  absl::Status Flags(std::initializer_list<const char*> words, std::vector<std::string>* rest = nullptr) {
    std::vector<const char*> argv = {"program"};
    argv.insert(argv.end(), words);
    ConfigTable table = Table();
    return table.ParseFlags(static_cast<int>(argv.size()), argv.data(), rest);
  }
  absl::Status Toml(std::string_view text) { return Table().ParseToml(text, "a.toml"); }
};

std::string Error(const absl::Status& status) { return std::string(status.message()); }

TEST(Config, FlagsOfEachKind) {
  Settings s;
  ASSERT_TRUE(s.Flags({"--verbose", "--name", "berta", "--address=10.0.0.1/8", "--address", "fd77::1/64",
                       "--max-connections", "7", "--ratio=0.25", "--bytes", "64KiB", "--duration=200ms",
                       "--idle", "spin"})
                  .ok());
  EXPECT_TRUE(s.verbose);
  EXPECT_EQ(s.name, "berta");
  EXPECT_EQ(s.addresses, (std::vector<std::string>{"10.0.0.1/8", "fd77::1/64"}));
  EXPECT_EQ(s.connections, 7u);
  EXPECT_EQ(s.ratio, 0.25);
  EXPECT_EQ(s.octets, 65'536u);
  EXPECT_EQ(s.duration, milliseconds(200));
  EXPECT_EQ(s.idle, IdlePolicy::kSpin);
  ASSERT_TRUE(s.Flags({"--noverbose"}).ok());
  EXPECT_FALSE(s.verbose);
}

TEST(Config, TomlOfEachKind) {
  Settings s;
  const absl::Status status = s.Toml(R"(
verbose = true
name = "carl"
address = ["10.0.0.1/8", "fd77::1/64"]
max_connections = 9
ratio = 1
bytes = "1GiB"
duration = "1m30s"
idle = "spin"
)");
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_TRUE(s.verbose);
  EXPECT_EQ(s.name, "carl");
  EXPECT_EQ(s.addresses.size(), 2u);
  EXPECT_EQ(s.connections, 9u);
  EXPECT_EQ(s.ratio, 1);
  EXPECT_EQ(s.octets, uint64_t{1} << 30);
  EXPECT_EQ(s.duration, seconds(90));
}

TEST(Config, FlagErrorsNameFlagValueAndFix) {
  Settings s;
  EXPECT_EQ(Error(s.Flags({"--adress", "x"})),
            "--adress: unknown flag; did you mean \"address\"? (--help lists them)");
  EXPECT_EQ(Error(s.Flags({"--max_connections", "0"})),
            "flag --max_connections: max_connections = \"0\": expected a whole number, 1 to 1000");
  EXPECT_EQ(Error(s.Flags({"--max_connections=-5"})),
            "flag --max_connections: max_connections = \"-5\": expected a whole number, 1 to 1000");
  EXPECT_EQ(Error(s.Flags({"--idle", "never"})),
            "flag --idle: idle = \"never\": expected one of adaptive|spin");
  EXPECT_EQ(Error(s.Flags({"--duration", "5"})),
            "flag --duration: duration = \"5\": expected a time with its unit, as 5s, 200ms, 50us or 1m30s");
  EXPECT_EQ(Error(s.Flags({"--name"})), "--name: expected a value (NAME) behind it");
  EXPECT_EQ(Error(s.Flags({"stray"})), "\"stray\": expected a flag, as --name value");
}

TEST(Config, FileErrorsNameFileAndLine) {
  Settings s;
  EXPECT_EQ(Error(s.Toml("\nmax_conections = 5\n")),
            "a.toml:2: unknown key \"max_conections\"; did you mean \"max_connections\"?");
  EXPECT_EQ(Error(s.Toml("name = \"x\"\nmax_connections = 5000\n")),
            "a.toml:2: max_connections = \"5000\": expected a whole number, 1 to 1000");
  EXPECT_EQ(Error(s.Toml("max_connections = \"5\"\n")),
            "a.toml:1: max_connections is a string: expected a whole number");
  EXPECT_EQ(Error(s.Toml("\n\naddress = [ \"a\", 7 ]\n")),
            "a.toml:3: address is a whole number: expected a string or an array of them");
  EXPECT_EQ(Error(s.Toml("zzzzzzzzzz = 1")), "a.toml:1: unknown key \"zzzzzzzzzz\"");
  const std::string syntax = Error(s.Toml("name = \"x\"\nratio =\n"));
  EXPECT_EQ(syntax.substr(0, 9), "a.toml:2:") << syntax;
  EXPECT_NE(Error(s.Table().ParseFile("/nonexistent/a.toml")).find("/nonexistent/a.toml"), std::string::npos);
}

TEST(Config, PositionalsGoWhereTheyAreWanted) {
  Settings s;
  std::vector<std::string> rest;
  ASSERT_TRUE(s.Flags({"server", "--verbose", "--", "--name"}, &rest).ok());
  EXPECT_EQ(rest, (std::vector<std::string>{"server", "--name"}));
}

TEST(Config, HelpListsEverything) {
  Settings s;
  Options options;
  ConfigTable table = s.Table();
  AddStackKeys(table, &options);
  const std::string help = table.Help(80);
  for (const char* word : {"--verbose", "--duration TIME", "(default: 5s)", "--idle adaptive|spin", "--help",
                           "--device DEVICE", "[[interface]]", "(may be repeated)", "(default: 1MiB)"}) {
    EXPECT_NE(help.find(word), std::string::npos) << word << "\n" << help;
  }
  const char* argv[] = {"program", "--help", "--nonsense"};
  ASSERT_TRUE(table.ParseFlags(2, argv).ok());
  EXPECT_TRUE(table.help_wanted());
}

TEST(Config, StackKeysReachTheOptions) {
  Options options;
  ConfigTable table;
  AddStackKeys(table, &options);
  const absl::Status status = table.ParseToml(R"(
gateway = "10.77.0.254"
lcores = "2-3"
send_buffer = "1MiB"
congestion = "newreno"
[[interface]]
device = "af_packet:veth1"
address = ["10.77.0.1/24", "fd77::1/64"]
mtu = 9000
[[interface]]
device = "loopback"
pool = "10.78.0.0/16"
)",
                                              "a.toml");
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(options.interfaces.size(), 2u);
  EXPECT_EQ(options.interfaces[0].device, "af_packet:veth1");
  EXPECT_EQ(options.interfaces[0].addresses.size(), 2u);
  EXPECT_EQ(options.interfaces[0].mtu, 9'000);
  EXPECT_EQ(options.interfaces[1].pools, std::vector<std::string>{"10.78.0.0/16"});
  EXPECT_EQ(options.gateways, std::vector<std::string>{"10.77.0.254"});
  EXPECT_EQ(options.lcores, (std::vector<int>{2, 3}));
  EXPECT_EQ(options.send_buffer, 1u << 20);
  EXPECT_EQ(options.congestion, "newreno");
  EXPECT_TRUE(table.IsSet("gateway"));
  EXPECT_FALSE(table.IsSet("seed"));
  EXPECT_EQ(Error(table.ParseToml("[[interface]]\ndevise = \"x\"\n", "b.toml")),
            "b.toml:2: unknown key \"devise\"; did you mean \"device\"?");
}

TEST(Values, Sizes) {
  EXPECT_EQ(ParseSize("1500").value(), 1'500u);
  EXPECT_EQ(ParseSize("64k").value(), 65'536u);
  EXPECT_EQ(ParseSize("2GB").value(), 2'000'000'000u);
  EXPECT_EQ(ParseSize("1.5MiB").value(), 1'572'864u);
  for (const char* bad : {"", "x", "-1", "1 k", "1q", "99999999999T", "k"})
    EXPECT_FALSE(ParseSize(bad).ok()) << bad;
}

TEST(Values, Durations) {
  EXPECT_EQ(ParseDuration("5s").value(), seconds(5));
  EXPECT_EQ(ParseDuration("1m30s").value(), seconds(90));
  EXPECT_EQ(ParseDuration("1.5s").value(), milliseconds(1'500));
  EXPECT_EQ(ParseDuration("50us").value(), std::chrono::microseconds(50));
  for (const char* bad : {"", "5", "s", "-1s", "5 s", "1s2"}) EXPECT_FALSE(ParseDuration(bad).ok()) << bad;
}

TEST(Values, CpuLists) {
  EXPECT_EQ(ParseCpuList("0").value(), std::vector<int>{0});
  EXPECT_EQ(ParseCpuList("1-3,0,2").value(), (std::vector<int>{1, 2, 3, 0}));
  for (const char* bad : {"", "a", "3-1", "1-", "-1", "1-2-3", "5000"})
    EXPECT_FALSE(ParseCpuList(bad).ok()) << bad;
}

}  // namespace
}  // namespace tern
