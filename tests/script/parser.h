// The parser's parts. For the files of the parser only.
#ifndef TERN_TESTS_SCRIPT_PARSER_H_
#define TERN_TESTS_SCRIPT_PARSER_H_

#include <optional>
#include <string>
#include <vector>

#include "script/lexer.h"
#include "script/script.h"

namespace tern::script {

// Recursive descent over tokens. The first error ends everything: from there on only kEnd is seen, so that
// loops come to their ends by themselves.
class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Script ParseScript();
  const std::optional<ScriptError>& error() const { return error_; }
  const std::string& needs() const { return needs_; }

 private:
  // ---- parser.cc ----
  const Token& Peek(size_t ahead = 0) const;
  Token Next();
  bool Accept(char symbol);
  bool AcceptWord(const char* word);
  void Expect(char symbol, const char* where);
  void Fail(const Token& token, const std::string& expected);
  void Needs(const std::string& what);
  uint64_t Integer(const char* what, uint64_t most);
  uint32_t Sequence() { return static_cast<uint32_t>(Integer("a sequence number", 0xffffffff)); }
  int64_t SignedInteger(const char* what);
  void ParseOptionLine(Script& script);
  Duration ParseSeconds();
  TimeSpec ParseTime();
  Event ParseEvent();

  // ---- parser_packet.cc ----
  PacketSpec ParsePacket();
  void ParseIpFields(PacketSpec& packet);
  TcpSpec ParseTcp(bool inbound);
  uint8_t ParseFlags();
  void ParseSequenceRange(TcpSpec& tcp);
  void ParseTcpOptions(TcpSpec& tcp);
  OptionSpec ParseTcpOption();
  OptionSpec ParseSackBlocks();
  void ParseQuote(TcpSpec& quoted);
  IcmpSpec ParseIcmp(bool ipv6, TcpSpec quoted);

  // ---- parser_call.cc ----
  CallSpec ParseCall();
  void ParseResult(CallSpec& call);
  Expr ParseExpr();
  Expr ParsePrimary();
  Expr ParseList();
  Expr ParseStruct();

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
  std::optional<ScriptError> error_;
  std::string needs_;
};

}  // namespace tern::script

#endif  // TERN_TESTS_SCRIPT_PARSER_H_
