// Option lines, times, and which kind of event comes.
#include "script/parser.h"

#include <cstdlib>

namespace tern::script {
namespace {

const Token kNoMore{};
constexpr int64_t kNanosPerSecond = 1'000'000'000;

std::string Shown(const Token& token) {
  if (token.kind == TokenKind::kEnd) return "the end of the script";
  if (token.kind == TokenKind::kShell) return "a `command`";
  if (token.kind == TokenKind::kCode) return "%{ code }%";
  return "'" + token.text + "'";
}

}  // namespace

const Token& Parser::Peek(size_t ahead) const {
  if (error_ || at_ + ahead >= tokens_.size()) return kNoMore;
  return tokens_[at_ + ahead];
}

Token Parser::Next() {
  Token token = Peek();
  if (token.kind != TokenKind::kEnd) ++at_;
  return token;
}

bool Parser::Accept(char symbol) {
  if (!Peek().Is(symbol)) return false;
  ++at_;
  return true;
}

bool Parser::AcceptWord(const char* word) {
  if (!Peek().IsWord(word)) return false;
  ++at_;
  return true;
}

void Parser::Expect(char symbol, const char* where) {
  if (!Accept(symbol)) Fail(Peek(), std::string("'") + symbol + "' " + where);
}

void Parser::Fail(const Token& token, const std::string& expected) {
  if (!error_) error_ = ScriptError{token.at, "expected " + expected + ", got " + Shown(token)};
}

void Parser::Needs(const std::string& what) {
  if (needs_.empty()) needs_ = what;
}

uint64_t Parser::Integer(const char* what, uint64_t most) {
  const Token token = Next();
  if (token.kind != TokenKind::kInteger) {
    Fail(token, what);
    return 0;
  }
  const uint64_t value = std::strtoull(token.text.c_str(), nullptr, 0);
  if (value > most) Fail(token, std::string(what) + " of at most " + std::to_string(most));
  return value;
}

int64_t Parser::SignedInteger(const char* what) {
  const bool negative = Accept('-');
  const auto value = static_cast<int64_t>(Integer(what, INT64_MAX));
  return negative ? -value : value;
}

void Parser::ParseOptionLine(Script& script) {
  const Token token = Next();
  const size_t equals = token.text.find('=');
  OptionLine line{.at = token.at,
                  .name = token.text.substr(2, equals == std::string::npos ? equals : equals - 2)};
  if (equals != std::string::npos) line.value = token.text.substr(equals + 1);
  script.options.push_back(line);
}

// Seconds, with up to nine digits behind the point.
Duration Parser::ParseSeconds() {
  const Token token = Next();
  if (token.kind != TokenKind::kInteger && token.kind != TokenKind::kDecimal) {
    Fail(token, "a time in seconds");
    return Duration::Zero();
  }
  const size_t point = token.text.find('.');
  const std::string whole = token.text.substr(0, point);
  std::string fraction = point == std::string::npos ? "" : token.text.substr(point + 1);
  fraction.resize(9, '0');
  const int64_t seconds = whole.empty() ? 0 : std::strtoll(whole.c_str(), nullptr, 10);
  if (seconds > 1'000'000) Fail(token, "a time of less than a million seconds");
  return Duration::Nanos(seconds * kNanosPerSecond + std::strtoll(fraction.c_str(), nullptr, 10));
}

TimeSpec Parser::ParseTime() {
  TimeSpec time;
  if (Accept('*')) {
    time.kind = TimeSpec::Kind::kAny;
    return time;
  }
  time.kind = Accept('+') ? TimeSpec::Kind::kRelative : TimeSpec::Kind::kAbsolute;
  const bool number = Peek().kind == TokenKind::kInteger || Peek().kind == TokenKind::kDecimal;
  if (!number) {
    Fail(Peek(), "a time (0.5, +0.1, *), or the end");
    return time;
  }
  time.at = ParseSeconds();
  const Token behind = Peek();
  if (Accept('~')) {
    Accept('+');
    time.range_end = ParseSeconds();
    if (*time.range_end < time.at) Fail(behind, "a range that ends after its start");
  } else if (behind.kind == TokenKind::kEllipsis) {
    Next();
    Accept('+');
    time.call_end = ParseSeconds();
    if (*time.call_end < time.at) Fail(behind, "a call that ends after its start");
  }
  return time;
}

Event Parser::ParseEvent() {
  Event event;
  event.at = Peek().at;
  event.time = ParseTime();
  const Token& first = Peek();
  if (first.Is('<') || first.Is('>')) {
    event.body = ParsePacket();
    if (Peek().Is('{')) {
      Needs("mutations of packets");
      while (Peek().kind != TokenKind::kEnd && !Accept('}')) Next();
    }
  } else if (first.kind == TokenKind::kShell) {
    event.body = ShellSpec{Next().text};
  } else if (first.kind == TokenKind::kCode) {
    event.body = CodeSpec{Next().text};
  } else if (first.kind == TokenKind::kWord && Peek(1).Is('(')) {
    event.body = ParseCall();
  } else {
    Fail(first, "a packet (< or >), a call, a `command` or %{ code }%");
  }
  if (event.time.call_end && !std::holds_alternative<CallSpec>(event.body) && !error_) {
    error_ = ScriptError{event.at, "expected a call after a time with '...', only calls take time"};
  }
  return event;
}

Script Parser::ParseScript() {
  Script script;
  while (Peek().kind == TokenKind::kOption) ParseOptionLine(script);
  while (Peek().kind == TokenKind::kShell) {
    const Token token = Next();
    script.init_commands.emplace_back(token.at, token.text);
  }
  while (Peek().kind != TokenKind::kEnd && Peek().kind != TokenKind::kShell)
    script.events.push_back(ParseEvent());
  // Commands without a time at the end put a kernel's settings back; here every script has a machine of its
  // own.
  while (Peek().kind == TokenKind::kShell) Next();
  if (Peek().kind != TokenKind::kEnd) Fail(Peek(), "nothing after the last `command`");
  return script;
}

std::variant<Script, ScriptError> Parse(const std::string& text, std::string* needs) {
  std::vector<Token> tokens;
  if (const std::optional<ScriptError> error = Tokenize(text, tokens)) return *error;
  Parser parser(std::move(tokens));
  Script script = parser.ParseScript();
  *needs = parser.needs();
  // What is not played need not be understood to its end either.
  if (parser.error() && !needs->empty()) return Script();
  if (parser.error()) return *parser.error();
  if (script.events.empty()) return ScriptError{{}, "expected at least one event, got none"};
  return script;
}

}  // namespace tern::script
