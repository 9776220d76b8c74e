#include "script/lexer.h"

#include <cctype>

namespace tern::script {
namespace {

bool IsDigit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }
bool IsWordChar(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool IsSpace(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

class Lexer {
 public:
  explicit Lexer(const std::string& text) : text_(text) {}

  std::optional<ScriptError> Run(std::vector<Token>& out) {
    while (!error_) {
      const bool spaced = SkipBlanks();
      if (error_) break;
      Token token{.at = here_, .spaced = spaced};
      if (at_ >= text_.size()) {
        out.push_back(token);
        break;
      }
      Read(token);
      out.push_back(std::move(token));
    }
    return error_;
  }

 private:
  char Char(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  bool Starts(const char* what) const {
    return text_.compare(at_, std::char_traits<char>::length(what), what) == 0;
  }
  void Step(size_t n = 1) {
    for (; n > 0 && at_ < text_.size(); --n, ++at_) {
      if (text_[at_] == '\n') {
        ++here_.line;
        here_.column = 1;
      } else {
        ++here_.column;
      }
    }
  }
  void Fail(Location at, std::string what) {
    if (!error_) error_ = ScriptError{at, std::move(what)};
  }

  bool SkipBlanks() {
    bool skipped = at_ == 0;
    while (at_ < text_.size()) {
      const Location start = here_;
      if (IsSpace(Char())) {
        Step();
      } else if (Starts("//") || (Char() == '#' && here_.column == 1)) {
        while (at_ < text_.size() && Char() != '\n') Step();
      } else if (Starts("/*")) {
        const size_t end = text_.find("*/", at_ + 2);
        if (end == std::string::npos) {
          Fail(start, "this comment has no end");
          return true;
        }
        Step(end + 2 - at_);
      } else {
        break;
      }
      skipped = true;
    }
    return skipped;
  }

  // Everything up to `close`, which is left behind.
  std::string ReadUntil(const char* close, const char* what) {
    const size_t end = text_.find(close, at_);
    if (end == std::string::npos) {
      Fail(here_, std::string(what) + " has no end: expected " + close);
      return {};
    }
    std::string inside = text_.substr(at_, end - at_);
    Step(end - at_ + std::char_traits<char>::length(close));
    return inside;
  }

  void ReadString(Token& token) {
    token.kind = TokenKind::kString;
    Step();
    while (Char() != '"') {
      if (at_ >= text_.size() || Char() == '\n') return Fail(token.at, "this string has no end: expected \"");
      if (Char() == '\\') {
        Step();
        const char c = Char();
        token.text += c == 'n' ? '\n' : (c == 't' ? '\t' : (c == 'r' ? '\r' : (c == '0' ? '\0' : c)));
      } else {
        token.text += Char();
      }
      Step();
    }
    Step();
  }

  void ReadNumber(Token& token) {
    token.kind = TokenKind::kInteger;
    const size_t start = at_;
    if (Char() == '0' && (Char(1) == 'x' || Char(1) == 'X')) {
      Step(2);
      while (std::isxdigit(static_cast<unsigned char>(Char())) != 0) Step();
    } else {
      while (IsDigit(Char())) Step();
      if (Char() == '.' && IsDigit(Char(1))) {
        token.kind = TokenKind::kDecimal;
        Step();
        while (IsDigit(Char())) Step();
      }
    }
    token.text = text_.substr(start, at_ - start);
    if (token.text.size() > 20) Fail(token.at, "the number " + token.text + " is too long");
    if (token.text == "0x" || token.text == "0X") Fail(token.at, "expected hexadecimal digits after 0x");
  }

  void Read(Token& token) {
    const char c = Char();
    if (Starts("--") && (std::isalpha(static_cast<unsigned char>(Char(2))) != 0)) {
      token.kind = TokenKind::kOption;
      while (at_ < text_.size() && !IsSpace(Char())) token.text += Char(), Step();
    } else if (c == '"') {
      ReadString(token);
    } else if (c == '`') {
      token.kind = TokenKind::kShell;
      Step();
      token.text = ReadUntil("`", "this command");
    } else if (Starts("%{")) {
      token.kind = TokenKind::kCode;
      Step(2);
      token.text = ReadUntil("}%", "this code");
    } else if (Starts("...")) {
      token.kind = TokenKind::kEllipsis;
      token.text = "...";
      Step(3);
    } else if (IsDigit(c) || (c == '.' && IsDigit(Char(1)))) {
      ReadNumber(token);
    } else if (IsWordChar(c)) {
      token.kind = TokenKind::kWord;
      while (IsWordChar(Char())) token.text += Char(), Step();
    } else if (std::isprint(static_cast<unsigned char>(c)) != 0) {
      token.kind = TokenKind::kSymbol;
      token.text = c;
      Step();
    } else {
      Fail(here_, "a character that has no place in a script");
    }
  }

  const std::string& text_;
  size_t at_ = 0;
  Location here_;
  std::optional<ScriptError> error_;
};

}  // namespace

std::optional<ScriptError> Tokenize(const std::string& text, std::vector<Token>& out) {
  return Lexer(text).Run(out);
}

}  // namespace tern::script
