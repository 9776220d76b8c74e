#include "apps/report.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "apps/histogram.h"
#include "apps/session.h"

namespace tern::apps {
namespace {

TEST(Report, PrintsForPeople) {
  Report report;
  report.Section("work", "Work");
  report.Count("requests", "requests", 1'234'567);
  report.Number("cycles_per_request", "busy cycles a request", 812.345, 1, "cycles");
  report.Section("drops", "Drops");  // empty: left out
  report.Section("leaks", "Left behind");
  report.Flag("clean", "nothing", true);
  EXPECT_EQ(report.ToText(),
            "Work\n"
            "  requests               1,234,567\n"
            "  busy cycles a request  812.3 cycles\n"
            "Left behind\n"
            "  nothing                yes\n");
}

TEST(Report, PrintsJson) {
  Report report;
  report.Text("event", "event", "sum\"mary\n");
  report.Section("work", "Work");
  report.Count("requests", "requests", 18'446'744'073'709'551'615u);
  report.Number("ratio", "ratio", 0.25);
  report.Hash("hash", "hash", 0xbeef);
  report.Section("drops", "Drops");
  report.Section("end", "End");
  report.Flag("clean", "clean", false);
  EXPECT_EQ(
      report.ToJson(),
      "{\"event\": \"sum\\\"mary\\u000a\", \"work\": {\"requests\": 18446744073709551615, \"ratio\": 0.25, "
      "\"hash\": \"000000000000beef\"}, \"drops\": {}, \"end\": {\"clean\": false}}");
}

TEST(Report, ScalesUnits) {
  EXPECT_EQ(Grouped(0), "0");
  EXPECT_EQ(Grouped(999), "999");
  EXPECT_EQ(Grouped(1'000), "1,000");
  EXPECT_EQ(NanosText(0), "0 ns");
  EXPECT_EQ(NanosText(950), "950 ns");
  EXPECT_EQ(NanosText(12'340), "12.3 us");
  EXPECT_EQ(NanosText(4'560'000), "4.56 ms");
  EXPECT_EQ(NanosText(3'600'000'000'000), "3600 s");
  EXPECT_EQ(BitRateText(9.41e9), "9.41 Gbit/s");
  Report report;
  report.BitRate("rate", "rate", 1'000, 0);
  report.Octets("octets", "octets", 1 << 20);
  EXPECT_EQ(report.ToText(), "  rate    0 bit/s\n  octets  1,048,576 octets (1.00 MiB)\n");
}

TEST(Report, LatencyHasPercentiles) {
  Histogram histogram;
  for (int i = 1; i <= 1000; ++i) histogram.Record(i * 1000);
  Report report;
  report.Latency("latency", "Latency", histogram);
  const std::string json = report.ToJson();
  EXPECT_NE(json.find("\"count\": 1000"), std::string::npos) << json;
  EXPECT_NE(json.find("\"max_ns\": 1000000"), std::string::npos) << json;
  EXPECT_NE(report.ToText().find("99.9 per cent within"), std::string::npos);
}

TEST(StackReport, SaysWhatAnImpairmentDid) {
  StackStats stats;
  stats.devices.push_back({.name = "tap:x",
                           .impaired = true,
                           .rx_impairment = {.seen = 10, .lost = 3},
                           .tx_impairment = {.seen = 20, .overflowed = 4, .corrupted = 5}});
  stats.devices.push_back({.name = "tap:y"});
  Report report;
  AddStackReport(report, stats, {});
  const std::string json = report.ToJson();
  for (const char* said : {"\"rx_impairment_lost\": 3", "\"tx_impairment_seen\": 20",
                           "\"tx_impairment_overflowed\": 4", "\"tx_impairment_corrupted\": 5"}) {
    EXPECT_NE(json.find(said), std::string::npos) << said << "\n" << json;
  }
  EXPECT_EQ(json.find("impairment", json.find("device_1")), std::string::npos)
      << "one without has no such lines";
  EXPECT_NE(report.ToText().find("received: lost by it"), std::string::npos) << report.ToText();
}

TEST(StackReport, DividesByWhatTheProgramCounts) {
  StackStats stats;
  stats.total.busy_cycles = 1'000;
  Report report;
  AddStackReport(report, stats, {.unit = "read", .count = 10});
  EXPECT_NE(report.ToJson().find("\"cycles_per_read\": 100,"), std::string::npos) << report.ToJson();
  EXPECT_NE(report.ToText().find("busy cycles a read"), std::string::npos);
  Report none;
  AddStackReport(none, stats, {.unit = "read"});
  EXPECT_EQ(none.ToJson().find("cycles_per_read"), std::string::npos);
}

// stdout led elsewhere while it lives.
class StdoutTo {
 public:
  explicit StdoutTo(const char* path) : saved_(dup(STDOUT_FILENO)) {
    std::fflush(stdout);
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    dup2(fd, STDOUT_FILENO);
    close(fd);
  }
  ~StdoutTo() {
    std::fflush(stdout);
    dup2(saved_, STDOUT_FILENO);
    close(saved_);
    clearerr(stdout);
  }

 private:
  const int saved_;
};

TEST(PrintReport, SaysWhenItCouldNot) {
  Report report;
  report.Count("frames", "frames", 1);
  bool to_null = false;
  bool to_full = true;
  bool line_after = true;
  {
    const StdoutTo elsewhere("/dev/null");
    to_null = PrintLastReport("test", report, false);
  }
  {
    const StdoutTo elsewhere("/dev/full");
    to_full = PrintReport(report, true);
    line_after = PrintLine("more");
  }
  EXPECT_TRUE(to_null);
  EXPECT_FALSE(to_full);
  EXPECT_FALSE(line_after);
}

}  // namespace
}  // namespace tern::apps
