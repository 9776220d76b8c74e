#include "script/code.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "script/lexer.h"
#include "script/symbols.h"

namespace tern::script {
namespace {

std::optional<int64_t> InfoField(const std::string& name, const socket::TcpInfo& info) {
  const struct {
    const char* name;
    uint64_t value;
  } fields[] = {
      {"tcpi_state", static_cast<uint64_t>(info.state)},
      {"tcpi_ca_state", info.ca_state},
      {"tcpi_retransmits", info.retransmits},
      {"tcpi_backoff", info.backoff},
      {"tcpi_options", info.options},
      {"tcpi_snd_wscale", info.snd_wscale},
      {"tcpi_rcv_wscale", info.rcv_wscale},
      {"tcpi_rto", info.rto_us},
      {"tcpi_snd_mss", info.snd_mss},
      {"tcpi_unacked", info.unacked},
      {"tcpi_sacked", info.sacked},
      {"tcpi_reordering", info.reordering},
      {"tcpi_lost", info.lost},
      {"tcpi_rtt", info.rtt_us},
      {"tcpi_rttvar", info.rttvar_us},
      {"tcpi_snd_ssthresh", info.snd_ssthresh},
      {"tcpi_snd_cwnd", info.snd_cwnd},
      {"tcpi_advmss", info.advmss},
      {"tcpi_total_retrans", info.total_retrans},
      {"tcpi_bytes_acked", info.bytes_acked},
      {"tcpi_bytes_received", info.bytes_received},
      {"tcpi_notsent_bytes", info.notsent_bytes},
      {"tcpi_snd_wnd", info.snd_wnd},
      {"tcpi_rcv_wnd", info.rcv_wnd},
  };
  for (const auto& field : fields) {
    if (name == field.name) return static_cast<int64_t>(field.value);
  }
  return std::nullopt;
}

// Python's arithmetic and conditions, as far as assertions about figures use them. Precedence, loosest first:
// or, and, not, comparisons (which may be chained), |, &, + -, * / %, unary minus, parentheses.
class Evaluator {
 public:
  Evaluator(const std::string& code, const socket::TcpInfo& info) : info_(info) {
    if (Tokenize(code, tokens_)) needs_ = "code that is not made of assertions";
    if (tokens_.empty()) tokens_.emplace_back();
  }

  void Run() {
    while (Peek().kind != TokenKind::kEnd && needs_.empty()) Statement();
  }
  const std::string& needs() const { return needs_; }
  const std::string& failed() const { return failed_; }

 private:
  const Token& Peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  bool Accept(const char* symbols) {
    size_t n = 0;
    for (; symbols[n] != '\0'; ++n) {
      if (!Peek(n).Is(symbols[n]) || (n > 0 && Peek(n).spaced)) return false;
    }
    at_ += n;
    return true;
  }
  bool AcceptWord(const char* word) {
    if (!Peek().IsWord(word)) return false;
    ++at_;
    return true;
  }
  void Needs(const std::string& what) {
    if (needs_.empty()) needs_ = what;
  }
  void SkipLine() {
    const int line = Peek().at.line;
    while (Peek().kind != TokenKind::kEnd && Peek().at.line == line && !Peek().Is(';')) ++at_;
  }

  void Statement() {
    if (Accept(";") || Accept("\\")) return;
    if (AcceptWord("print") || AcceptWord("pass")) return SkipLine();
    if (!AcceptWord("assert")) return Needs("code other than assert (it begins with '" + Peek().text + "')");
    const int line = Peek().at.line;
    seen_.clear();
    const size_t start = at_;
    const int64_t holds = Or();
    std::string shown;
    for (size_t i = start; i < at_; ++i) {
      if (i != start && tokens_[i].spaced) shown += ' ';
      shown += tokens_[i].text;
    }
    if (Accept(",")) SkipLine();
    const bool behind = Peek().kind != TokenKind::kEnd && !Peek().Is(';') && !Peek().Is('\\');
    if (behind && Peek().at.line == line) {
      Needs("code with '" + Peek().text + "'");
    }
    if (holds == 0 && failed_.empty()) failed_ = "expected " + shown + ", got" + seen_;
  }

  int64_t Or() {
    int64_t value = And();
    while (AcceptWord("or")) value = static_cast<int64_t>((And() != 0) | (value != 0));
    return value;
  }
  int64_t And() {
    int64_t value = Not();
    while (AcceptWord("and")) value = static_cast<int64_t>((Not() != 0) & (value != 0));
    return value;
  }
  int64_t Not() { return AcceptWord("not") ? static_cast<int64_t>(Not() == 0) : Comparison(); }

  int64_t Comparison() {
    int64_t left = BitOr();
    bool holds = true;
    bool compared = false;
    for (;; compared = true) {
      int64_t right = 0;
      if (Accept("==")) {
        holds &= left == (right = BitOr());
      } else if (Accept("!=")) {
        holds &= left != (right = BitOr());
      } else if (Accept("<=")) {
        holds &= left <= (right = BitOr());
      } else if (Accept(">=")) {
        holds &= left >= (right = BitOr());
      } else if (Accept("<")) {
        holds &= left < (right = BitOr());
      } else if (Accept(">")) {
        holds &= left > (right = BitOr());
      } else {
        return compared ? static_cast<int64_t>(holds) : left;
      }
      left = right;
    }
  }
  int64_t BitOr() {
    int64_t value = BitAnd();
    while (Accept("|")) value |= BitAnd();
    return value;
  }
  int64_t BitAnd() {
    int64_t value = Sum();
    while (Accept("&")) value &= Sum();
    return value;
  }
  int64_t Sum() {
    int64_t value = Product();
    for (;;) {
      if (Accept("+")) {
        value += Product();
      } else if (Accept("-")) {
        value -= Product();
      } else {
        return value;
      }
    }
  }
  int64_t Product() {
    int64_t value = Unary();
    for (;;) {
      if (Accept("*")) {
        value *= Unary();
      } else if (Accept("//") || Accept("/")) {
        const int64_t by = Unary();
        value = by == 0 ? 0 : value / by;
      } else if (Accept("%")) {
        const int64_t by = Unary();
        value = by == 0 ? 0 : value % by;
      } else {
        return value;
      }
    }
  }
  int64_t Unary() {
    if (Accept("-")) return -Unary();
    if (Accept("(")) {
      const int64_t value = Or();
      if (!Accept(")")) Needs("code with unmatched parentheses");
      return value;
    }
    const Token token = Peek();
    ++at_;
    if (token.kind == TokenKind::kInteger) return static_cast<int64_t>(std::stoull(token.text, nullptr, 0));
    if (token.kind != TokenKind::kWord) {
      --at_;
      Needs("code with '" + token.text + "'");
      at_ = tokens_.size() - 1;
      return 0;
    }
    if (const std::optional<int64_t> field = InfoField(token.text, info_)) {
      seen_ += " " + token.text + " " + std::to_string(*field);
      return *field;
    }
    if (const std::optional<int64_t> symbol = SymbolValue(token.text)) return *symbol;
    if (token.text == "True" || token.text == "False") return static_cast<int64_t>(token.text == "True");
    Needs(token.text);
    return 0;
  }

  const socket::TcpInfo& info_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  std::string needs_;
  std::string failed_;
  std::string seen_;
};

}  // namespace

std::string CodeNeeds(const std::string& code) {
  const socket::TcpInfo info;
  Evaluator evaluator(code, info);
  evaluator.Run();
  return evaluator.needs();
}

std::string RunCode(const std::string& code, const socket::TcpInfo& info) {
  Evaluator evaluator(code, info);
  evaluator.Run();
  return evaluator.failed();
}

}  // namespace tern::script
