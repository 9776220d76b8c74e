// Calls: `write(4, ..., 1000) = 1000`, `accept(3, ..., ...) = -1 EAGAIN (Resource temporarily unavailable)`.
#include "script/parser.h"

namespace tern::script {
namespace {

// Deeper than any argument has a reason to be.
constexpr int kMaxDepth = 16;

}  // namespace

CallSpec Parser::ParseCall() {
  CallSpec call;
  call.name = Next().text;
  Expect('(', "after the name of a call");
  while (!Accept(')')) {
    if (Peek().kind == TokenKind::kEnd) {
      Expect(')', "after the arguments");
      return call;
    }
    call.arguments.push_back(ParseExpr());
    if (!Peek().Is(')')) Expect(',', "or ')' after an argument");
  }
  Expect('=', "and the result after a call");
  ParseResult(call);
  return call;
}

void Parser::ParseResult(CallSpec& call) {
  if (Accept('?')) {
    call.any_result = true;
  } else {
    call.result = SignedInteger("a result (a number or ?)");
  }
  const Token word = Peek();
  if (word.kind == TokenKind::kWord && word.text[0] == 'E') {
    call.error = Next().text;
    if (call.result != -1) Fail(word, "-1 before an error");
  }
  // What stands in parentheses is for people.
  if (!Peek().Is('(')) return;
  for (int depth = 0; Peek().kind != TokenKind::kEnd;) {
    const Token token = Next();
    depth += token.Is('(') ? 1 : (token.Is(')') ? -1 : 0);
    if (depth == 0) return;
  }
  Expect(')', "after the remark");
}

Expr Parser::ParseExpr() {
  if (++depth_ > kMaxDepth) Fail(Peek(), "an argument that is less deep");
  Expr first = ParsePrimary();
  if (Peek().Is('|')) {
    Expr either{.kind = Expr::Kind::kOr, .at = first.at};
    either.items.push_back(std::move(first));
    while (Accept('|')) either.items.push_back(ParsePrimary());
    first = std::move(either);
  }
  --depth_;
  return first;
}

Expr Parser::ParseList() {
  Expr list{.kind = Expr::Kind::kList, .at = Peek().at};
  Expect('[', "before a list");
  while (!Accept(']')) {
    if (Peek().kind == TokenKind::kEnd) {
      Expect(']', "after a list");
      break;
    }
    list.items.push_back(ParseExpr());
    if (!Peek().Is(']')) Expect(',', "or ']' in a list");
  }
  return list;
}

Expr Parser::ParseStruct() {
  Expr result{.kind = Expr::Kind::kStruct, .at = Peek().at};
  Expect('{', "before a struct");
  while (!Accept('}')) {
    if (Peek().kind == TokenKind::kEnd) {
      Expect('}', "after a struct");
      break;
    }
    std::string name;
    if (Peek().kind == TokenKind::kWord && Peek(1).Is('=')) {
      name = Next().text;
      Next();
    } else if (Peek().kind == TokenKind::kWord && Peek(1).Is('(') && Peek(3).Is(')') && Peek(4).Is('=')) {
      // msg_iov(2)=[...]: the count is the list's own.
      name = Next().text;
      for (int i = 0; i < 4; ++i) Next();
    }
    result.names.push_back(name);
    result.items.push_back(ParseExpr());
    if (!Peek().Is('}')) Expect(',', "or '}' in a struct");
  }
  return result;
}

Expr Parser::ParsePrimary() {
  const Token token = Peek();
  Expr expr{.at = token.at};
  if (token.Is('[')) return ParseList();
  if (token.Is('{')) return ParseStruct();
  if (token.kind == TokenKind::kInteger || token.Is('-')) {
    expr.kind = Expr::Kind::kNumber;
    expr.number = SignedInteger("a number");
    return expr;
  }
  Next();
  switch (token.kind) {
    case TokenKind::kEllipsis:
      return expr;
    case TokenKind::kString:
      expr.kind = Expr::Kind::kString;
      expr.text = token.text;
      return expr;
    case TokenKind::kWord:
      expr.kind = Expr::Kind::kWord;
      expr.text = token.text;
      break;
    default:
      Fail(token, "an argument");
      return expr;
  }
  if (!Accept('(')) return expr;
  expr.kind = Expr::Kind::kCall;
  while (!Accept(')')) {
    if (Peek().kind == TokenKind::kEnd) {
      Expect(')', "after the arguments");
      break;
    }
    expr.items.push_back(ParseExpr());
    if (!Peek().Is(')')) Expect(',', "or ')' after an argument");
  }
  return expr;
}

}  // namespace tern::script
