// Tables of segments and of what is to follow from them in each state, as text that can be laid beside RFC
// 9293 3.10.7. For tests of this room and of the stack.
//
// A table of segments has a line each of
//     name | CTL | SEQ | ACK | LEN | UP | TSval
// where SEQ, ACK and TSval are sums of names (RCV.NXT, SND.UNA, ...) and numbers, and "-" is nothing. LEN is
// the text in octets, UP the urgent pointer. A table of cells has
//     segment | states | next state | answer | drop | effects
// where "=" stands for the same state, "-" for nothing, and "n/a" for a segment that cannot be made in the
// state. Lines that begin with "#" are headings.
#ifndef TERN_TCP_STATE_GRID_FOR_TEST_H_
#define TERN_TCP_STATE_GRID_FOR_TEST_H_

#include <cstdint>
#include <functional>
#include <map>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "wire/tcp.h"

namespace tern::tcp {

struct GridSegment {
  std::string name;
  uint8_t flags = 0;
  std::string seq;
  std::string ack;
  uint32_t length = 0;
  uint16_t urgent = 0;
  std::string tsval;
};

struct GridCell {
  std::string segment;
  std::string state;
  std::string expected;  // "next answer drop effects"
};
inline void PrintTo(const GridCell& cell, std::ostream* out) { *out << cell.segment << " in " << cell.state; }

inline std::vector<std::string> SplitAt(std::string_view text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else if (c != ' ' || separator == ' ' || !parts.back().empty()) {
      parts.back() += c;
    }
  }
  for (std::string& part : parts) part.erase(part.find_last_not_of(' ') + 1);
  if (separator == ' ') std::erase(parts, "");
  return parts;
}

// The lines of a table, each cut at "|".
inline std::vector<std::vector<std::string>> TableLines(std::string_view text) {
  std::vector<std::vector<std::string>> lines;
  for (const std::string& line : SplitAt(text, '\n')) {
    if (!line.empty() && line[0] != '#') lines.push_back(SplitAt(line, '|'));
  }
  return lines;
}

inline uint8_t FlagsFromText(const std::string& text) {
  static const std::map<std::string, uint8_t> kBits = {{"FIN", wire::kFin}, {"SYN", wire::kSyn},
                                                       {"RST", wire::kRst}, {"PSH", wire::kPsh},
                                                       {"ACK", wire::kAck}, {"URG", wire::kUrg}};
  uint8_t flags = 0;
  if (text == "-") return flags;
  for (const std::string& name : SplitAt(text, ',')) flags |= kBits.at(name);
  return flags;
}

inline std::map<std::string, GridSegment> ParseSegments(std::string_view text) {
  std::map<std::string, GridSegment> segments;
  for (const std::vector<std::string>& line : TableLines(text)) {
    GridSegment s{
        .name = line.at(0), .flags = FlagsFromText(line.at(1)), .seq = line.at(2), .ack = line.at(3)};
    const auto column = [&line](size_t i) {
      return i < line.size() && line[i] != "-" ? line[i] : std::string();
    };
    s.length = static_cast<uint32_t>(std::strtoul(column(4).c_str(), nullptr, 10));
    s.urgent = static_cast<uint16_t>(std::strtoul(column(5).c_str(), nullptr, 10));
    s.tsval = column(6);
    segments[s.name] = s;
  }
  return segments;
}

inline std::vector<GridCell> ParseCells(std::string_view text) {
  std::vector<GridCell> cells;
  for (const std::vector<std::string>& line : TableLines(text)) {
    for (const std::string& state : SplitAt(line.at(1), ' ')) {
      const std::string next = line.at(2) == "=" ? SplitAt(state, '/')[0] : line.at(2);
      const std::string expected =
          line.at(2) == "n/a" ? "n/a" : next + " | " + line.at(3) + " | " + line.at(4) + " | " + line.at(5);
      cells.push_back({line.at(0), state, expected});
    }
  }
  return cells;
}

// "RCV.NXT+200": the sum, with names looked up by `value_of`.
inline uint32_t Evaluate(const std::string& sum,
                         const std::function<uint32_t(const std::string&)>& value_of) {
  uint32_t total = 0;
  bool minus = false;
  std::string term;
  const auto add = [&] {
    if (term.empty()) return;
    const bool number = term.find_first_not_of("0123456789") == std::string::npos;
    const uint32_t value = number ? static_cast<uint32_t>(std::stoul(term)) : value_of(term);
    total += minus ? 0 - value : value;
    term.clear();
  };
  for (const char c : sum) {
    if (c != '+' && c != '-') {
      term += c;
      continue;
    }
    add();
    minus = c == '-';
  }
  add();
  return total;
}

// "rst_exact in FIN-WAIT-1" as GoogleTest wants names.
inline std::string CellName(const GridCell& cell) {
  std::string name = cell.segment + "_in_" + cell.state;
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

}  // namespace tern::tcp

#endif  // TERN_TCP_STATE_GRID_FOR_TEST_H_
