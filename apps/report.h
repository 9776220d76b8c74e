// What a program says at its end: one list of figures, printed for a person or as one JSON object.
#ifndef TERN_APPS_REPORT_H_
#define TERN_APPS_REPORT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tern::apps {

class Histogram;

// Keys name the unit where there is one ("latency_p50_ns"), labels are for people. One thread.
class Report {
 public:
  // Figures added from here on stand under `title`; in JSON they form an object called `key`.
  void Section(std::string key, std::string title);

  void Count(std::string key, std::string label, uint64_t value);
  // `digits` after the point, for people; `unit` too.
  void Number(std::string key, std::string label, double value, int digits = 1, const std::string& unit = "");
  void Text(std::string key, std::string label, std::string value);
  void Flag(std::string key, std::string label, bool value);
  void Octets(std::string key, std::string label, uint64_t octets);
  void Nanos(std::string key, std::string label, int64_t nanos);
  // Payload bits a second; 0 when no time has passed.
  void BitRate(std::string key, std::string label, uint64_t octets, double seconds);
  // 16 hex digits.
  void Hash(std::string key, std::string label, uint64_t hash);
  // Count, mean, percentiles, maximum, in a section of their own.
  void Latency(std::string key, std::string title, const Histogram& histogram);

  // Several lines; empty sections are left out.
  std::string ToText() const;
  // One line, without its end; an empty section is an empty object, so that readers need not ask for it.
  std::string ToJson() const;

 private:
  struct Line {
    std::string key;
    std::string label;
    std::string text;
    std::string json;
  };
  struct Group {
    std::string key;
    std::string title;
    std::vector<Line> lines;
  };
  void Add(std::string key, std::string label, std::string text, std::string json);

  std::vector<Group> groups_;
};

// "1,234,567"
std::string Grouped(uint64_t value);
// "950 ns", "12.3 us", "4.56 ms", "7.89 s"
std::string NanosText(int64_t nanos);
// "9.41 Gbit/s"
std::string BitRateText(double bits_per_second);
// With its quotes, escaped by RFC 8259.
std::string JsonString(std::string_view text);

}  // namespace tern::apps

#endif  // TERN_APPS_REPORT_H_
