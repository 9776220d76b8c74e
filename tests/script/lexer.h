// Text to tokens.
#ifndef TERN_TESTS_SCRIPT_LEXER_H_
#define TERN_TESTS_SCRIPT_LEXER_H_

#include <optional>
#include <string>
#include <vector>

#include "script/script.h"

namespace tern::script {

enum class TokenKind : uint8_t {
  kEnd,
  kInteger,   // decimal or 0x
  kDecimal,   // with a fraction: 0.1, .5
  kWord,      // letters, digits, underscores
  kString,    // without its quotes, escapes resolved
  kShell,     // between backquotes
  kCode,      // between %{ and }%
  kOption,    // --name=value
  kEllipsis,  // ...
  kSymbol,    // one character
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  Location at;
  std::string text;
  bool spaced = false;  // white space or a line's start stands before it

  bool Is(char symbol) const { return kind == TokenKind::kSymbol && text[0] == symbol; }
  bool IsWord(const char* word) const { return kind == TokenKind::kWord && text == word; }
};

// The last token is kEnd. Comments are //, /* */ and, at the start of a line, #.
std::optional<ScriptError> Tokenize(const std::string& text, std::vector<Token>& out);

}  // namespace tern::script

#endif  // TERN_TESTS_SCRIPT_LEXER_H_
