#include "tern/config.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
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
            "flag --idle: idle = \"never\": expected one of the words adaptive|spin");
  EXPECT_EQ(Error(s.Flags({"--duration", "5"})),
            "flag --duration: duration = \"5\": expected a time with its unit, as 5s, 200ms, 50us or 1m30s");
  EXPECT_EQ(Error(s.Flags({"--ratio", "1.5"})),
            "flag --ratio: ratio = \"1.5\": expected a number from 0 to 1");
  EXPECT_EQ(Error(s.Flags({"--verbose=maybe"})),
            "flag --verbose: verbose = \"maybe\": expected true or false");
  EXPECT_EQ(Error(s.Flags({"--bytes", "5 parsecs"})),
            "flag --bytes: bytes = \"5 parsecs\": expected a size, as 1500, 64KiB, 1MiB or 2GB");
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
            "a.toml:1: max_connections is written as a string: expected a whole number");
  EXPECT_EQ(Error(s.Toml("\n\naddress = [ \"a\", 7 ]\n")),
            "a.toml:3: address is written as a whole number: expected a string or an array of them");
  EXPECT_EQ(Error(s.Toml("zzzzzzzzzz = 1")), "a.toml:1: unknown key \"zzzzzzzzzz\"");
  const std::string syntax = Error(s.Toml("name = \"x\"\nratio =\n"));
  EXPECT_EQ(syntax.substr(0, 9), "a.toml:2:") << syntax;
}

// A file in the test's own directory, gone with it.
struct TemporaryFile {
  TemporaryFile(const std::string& name, const std::string& text) : path(testing::TempDir() + name) {
    std::ofstream(path) << text;
  }
  ~TemporaryFile() { unlink(path.c_str()); }
  const std::string path;
};

TEST(Config, OnlyAReadableRegularFileIsRead) {
  Settings s;
  const TemporaryFile good("tern_config_good.toml", "name = \"dora\"\n");
  ASSERT_TRUE(s.Table().ParseFile(good.path).ok());
  EXPECT_EQ(s.name, "dora");
  EXPECT_EQ(Error(s.Table().ParseFile("/")), "/: is a directory: expected a TOML file");
  EXPECT_EQ(Error(s.Table().ParseFile("/dev/null")),
            "/dev/null: is not a regular file: expected a TOML file");
  EXPECT_EQ(Error(s.Table().ParseFile("/nonexistent/a.toml")),
            "/nonexistent/a.toml: No such file or directory: expected a TOML file that you may read");
  EXPECT_EQ(Error(s.Flags({"--config", "/"})), "/: is a directory: expected a TOML file");
  // A regular file by name, whose first page nobody has mapped.
  EXPECT_EQ(Error(s.Table().ParseFile("/proc/self/mem")),
            "/proc/self/mem: Input/output error: expected a TOML file that can be read");

  const std::string pipe = testing::TempDir() + "tern_config_pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(Error(s.Table().ParseFile(pipe)), pipe + ": is not a regular file: expected a TOML file");
  unlink(pipe.c_str());

  const TemporaryFile full("tern_config_full.toml", std::string(1 << 20, '\n'));
  EXPECT_TRUE(s.Table().ParseFile(full.path).ok());
  const TemporaryFile large("tern_config_large.toml", std::string((1 << 20) + 1, '\n'));
  EXPECT_EQ(Error(s.Table().ParseFile(large.path)),
            large.path + ": is too large: expected a TOML file of at most 1 MiB");
}

TEST(Config, AFileOneMayNotReadIsAnError) {
  Settings s;
  const TemporaryFile secret("tern_config_secret.toml", "name = \"dora\"\n");
  ASSERT_EQ(chmod(secret.path.c_str(), 0), 0);
  // Root may read anything, so it becomes somebody else for a moment.
  const uid_t self = geteuid();
  if (self == 0) {
    ASSERT_EQ(seteuid(65'534), 0);
  }
  const absl::Status status = s.Table().ParseFile(secret.path);
  if (self == 0) {
    ASSERT_EQ(seteuid(self), 0);
  }
  EXPECT_EQ(Error(status), secret.path + ": Permission denied: expected a TOML file that you may read");
}

TEST(Config, NoBytesInAFileThrow) {
  Settings s;
  for (const std::string& text :
       {std::string("\xff\xfe\x00x", 4), std::string(100'000, '['), "name = \"" + std::string(5, '\0'),
        std::string("name = 1e999999999"), std::string("max_connections = 99999999999999999999999")}) {
    EXPECT_FALSE(s.Toml(text).ok());
  }
}

TEST(Config, AFileCannotNameAnother) {
  Settings s;
  const std::string expected =
      "a.toml:2: config is a flag only: a file cannot name another, put all keys into one";
  EXPECT_EQ(Error(s.Toml("\nconfig = \"b.toml\"\n")), expected);
  EXPECT_EQ(Error(s.Toml("confg = 1\n")), "a.toml:1: unknown key \"confg\"");
  EXPECT_EQ(Error(s.Flags({"--confg", "x"})),
            "--confg: unknown flag; did you mean \"config\"? (--help lists them)");
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
autoconf = true
dad_transmits = 3
)",
                                              "a.toml");
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(options.interfaces.size(), 2u);
  EXPECT_EQ(options.interfaces[0].device, "af_packet:veth1");
  EXPECT_EQ(options.interfaces[0].addresses.size(), 2u);
  EXPECT_EQ(options.interfaces[0].mtu, 9'000);
  EXPECT_EQ(options.interfaces[1].pools, std::vector<std::string>{"10.78.0.0/16"});
  EXPECT_FALSE(options.interfaces[0].autoconf);
  EXPECT_EQ(options.interfaces[0].dad_transmits, 1);
  EXPECT_TRUE(options.interfaces[1].autoconf);
  EXPECT_EQ(options.interfaces[1].dad_transmits, 3);
  EXPECT_FALSE(options.interfaces[1].dad_configured);
  EXPECT_EQ(options.gateways, std::vector<std::string>{"10.77.0.254"});
  EXPECT_EQ(options.lcores, (std::vector<int>{2, 3}));
  EXPECT_EQ(options.send_buffer, 1u << 20);
  EXPECT_EQ(options.congestion, "newreno");
  EXPECT_TRUE(table.IsSet("gateway"));
  EXPECT_FALSE(table.IsSet("seed"));
  EXPECT_EQ(Error(table.ParseToml("[[interface]]\ndevise = \"x\"\n", "b.toml")),
            "b.toml:2: unknown key \"devise\"; did you mean \"device\"?");
  EXPECT_EQ(Error(table.ParseToml("interface = 1\n", "b.toml")),
            "b.toml:1: interface is a whole number: expected tables, each begun by [[interface]]");
  EXPECT_EQ(Error(table.ParseToml("send_buffer = \"4GiB\"\n", "b.toml")),
            "b.toml:1: send_buffer = \"4GiB\": expected a size below 4GiB");
}

TEST(Config, AWrongValueOfTheStackNamesItsLine) {
  const auto error = [](const std::string& text) {
    Options options;
    ConfigTable table;
    AddStackKeys(table, &options);
    return Error(table.ParseToml(text, "a.toml"));
  };
  const std::string address = "expected an address with its prefix length, as 10.77.0.1/24 or fd77::1/64";
  EXPECT_EQ(error("\naddress = \"10.77.0.1\"\n"), "a.toml:2: address = \"10.77.0.1\": " + address);
  EXPECT_EQ(error("pool = [\"x/8\"]\n"), "a.toml:1: pool = \"x/8\": " + address);
  EXPECT_EQ(error("address = \"224.0.0.1/8\"\n"),
            "a.toml:1: address = \"224.0.0.1/8\": expected a unicast address");
  EXPECT_EQ(error("address = \"10.77.0.0/24\"\n"),
            "a.toml:1: address = \"10.77.0.0/24\": expected a host's address, not the network's own (a range "
            "of addresses is a pool)");
  EXPECT_EQ(error("gateway = \"10.77.0\"\n"),
            "a.toml:1: gateway = \"10.77.0\": expected a gateway's address");
  EXPECT_EQ(error("route = \"10.0.0.0/8 through 10.77.0.2\"\n"),
            "a.toml:1: route = \"10.0.0.0/8 through 10.77.0.2\": expected \"PREFIX via GATEWAY\", \"default "
            "via GATEWAY\" or \"PREFIX dev N\"");
  EXPECT_EQ(error("route = \"10.0.0.0/8 via fd77::1\"\n"),
            "a.toml:1: route = \"10.0.0.0/8 via fd77::1\": expected destination and gateway of one family");
  EXPECT_EQ(error("mac = \"01:00:00:00:00:01\"\n"),
            "a.toml:1: mac = \"01:00:00:00:00:01\": expected a station's address, as 02:00:00:00:00:01");
  EXPECT_EQ(error("[[interface]]\nmtu = 600\n"),
            "a.toml:2: mtu = \"600\": expected 1280 to 9000 octets, or 0 for the device's own");
  EXPECT_EQ(error("mtu = \"wide\"\n"),
            "a.toml:1: mtu = \"wide\": expected 1280 to 9000 octets, or 0 for the device's own");
  EXPECT_EQ(error("dad_transmits = 11\n"),
            "a.toml:1: dad_transmits = \"11\": expected 0 (never) to 10 times");
  EXPECT_EQ(error("autoconf = true\ndad_configured = true\n"), "");
  EXPECT_EQ(error("vlan = 4095\n"), "a.toml:1: vlan = \"4095\": expected 1 to 4094, or 0 for none");
  EXPECT_EQ(error("address = \"10.77.0.1/24\"\ngateway = \"10.77.0.2\"\nmtu = 1280\nvlan = 1\nmac = "
                  "\"02:00:00:00:00:01\"\nroute = [\"default via 10.77.0.3\", \"10.0.0.0/8 dev 0\"]\n"),
            "");
}

TEST(Config, ASecondDeviceBelongsIntoAFile) {
  Options options;
  ConfigTable table;
  AddStackKeys(table, &options);
  const char* argv[] = {"program", "--device", "tap:x", "--address", "10.77.0.1/24", "--device=tap:y"};
  EXPECT_EQ(Error(table.ParseFlags(6, argv)),
            "flag --device may be given once, not 2 times: flags describe one interface: give several as "
            "[[interface]] tables "
            "of a file that --config names");
  // Of other flags the last one counts, so that a script can add to a command.
  const char* again[] = {"program", "--device", "tap:x", "--mtu", "1500", "--mtu", "1400"};
  ASSERT_TRUE(table.ParseFlags(7, again).ok());
  EXPECT_EQ(options.interfaces[0].mtu, 1'400);
}

TEST(Config, ACpuIsNamedOnce) {
  Options options;
  ConfigTable table;
  AddStackKeys(table, &options);
  const char* argv[] = {"program", "--lcores", "0,0"};
  EXPECT_EQ(Error(table.ParseFlags(3, argv)),
            "flag --lcores: lcores = \"0,0\": expected each CPU once, but 0 is there twice");
  const char* words[] = {"program", "--lcores", "all"};
  EXPECT_EQ(Error(table.ParseFlags(3, words)),
            "flag --lcores: lcores = \"all\": expected a list of CPUs, as 0 or 0,2 or 1-3");
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
  EXPECT_EQ(ParseCpuList("1-3,0").value(), (std::vector<int>{1, 2, 3, 0}));
  for (const char* bad : {"", "0,0", "1-3,2", "a", "3-1", "1-", "-1", "1-2-3", "5000"})
    EXPECT_FALSE(ParseCpuList(bad).ok()) << bad;
}

}  // namespace
}  // namespace tern
