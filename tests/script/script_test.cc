// The runner itself: what it refuses, and where it says so.
#include <gtest/gtest.h>

#include <string>

#include "script/code.h"
#include "script/mutants.h"
#include "script/runner.h"

namespace tern::script {
namespace {

const std::string kServer =
    "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n"
    "+0 bind(3, ..., ...) = 0\n"
    "+0 listen(3, 1) = 0\n"
    "+0 < S 0:0(0) win 32000 <mss 1000>\n"
    "+0 > S. 0:0(0) ack 1 <...>\n"
    "+.1 < . 1:1(0) ack 1 win 32000\n"
    "+0 accept(3, ..., ...) = 4\n";

Outcome Play(const std::string& text, const RunOptions& options = {}) { return RunText(text, options); }

ScriptError ErrorOf(const std::string& text) {
  std::string needs;
  const auto parsed = Parse(text, &needs);
  const auto* error = std::get_if<ScriptError>(&parsed);
  return error == nullptr ? ScriptError{{0, 0}, "no error"} : *error;
}

TEST(Parser, SaysWhereAScriptIsBroken) {
  struct Case {
    const char* text;
    int line;
    int column;
  };
  const Case cases[] = {
      {"0 socket(..., SOCK_STREAM, IPPROTO_TCP) = \n", 2, 1},
      {"0 < S 0:0(0) win 1000\n+0 > Q 1:1(0) ack 1\n", 2, 6},
      {"+0 < . 1:11(9) ack 1 win 1\n", 1, 8},
      {"+0 < . 1:1(0) win 1\n", 1, 15},
      {"+0 < S 0:0(0) ack 1\n", 1, 15},
      {"+0 < S 0:0(0) win 1 <mss>\n", 1, 25},
      {"+0 < S 0:0(0) win 70000\n", 1, 19},
      {"\n  x\n", 2, 3},
      {"+0 write(4, ..., 10 = 10\n", 1, 21},
      {"+0 `sysctl\n", 1, 5},
      {"/* never\n+0 `true`\n", 1, 1},
      {"+.3~.1 > . 1:1(0) ack 1\n", 1, 4},
      {"+0...1 > . 1:1(0) ack 1\n", 1, 1},
      {"+0 write(4, \"abc, 3) = 3\n", 1, 13},
      {"", 1, 1},
  };
  for (const Case& c : cases) {
    const ScriptError error = ErrorOf(c.text);
    EXPECT_EQ(error.at.line, c.line) << c.text << error.what;
    EXPECT_EQ(error.at.column, c.column) << c.text << error.what;
  }
}

TEST(Parser, ABrokenScriptFails) {
  const Outcome outcome = Play("0 < S 0:0(0 win\n");
  EXPECT_EQ(outcome.verdict, Verdict::kFail);
  EXPECT_EQ(outcome.line, 1);
  EXPECT_EQ(outcome.column, 13);
}

TEST(Parser, WhatIsKnownAndNotPlayedIsSkipped) {
  for (const char* text : {"0 < udp (100)\n", "0 < S 0:0(0) win 1 <mss 1000,FO abcd>\n", "0 fork() = 3\n",
                           "`sysctl -q net.ipv4.tcp_ecn=1`\n0 socket(..., SOCK_STREAM, 0) = 3\n",
                           "--wire_client=1\n0 socket(..., SOCK_STREAM, 0) = 3\n", "0 %{ import os }%\n",
                           "0 %{ assert tcpi_magic == 1 }%\n"}) {
    const Outcome outcome = Play(text);
    EXPECT_EQ(outcome.verdict, Verdict::kSkip) << text << outcome.text;
    EXPECT_FALSE(outcome.text.empty());
  }
}

TEST(Runner, PassesWhatHolds) {
  const Outcome outcome = Play(kServer + "+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1\n");
  EXPECT_EQ(outcome.verdict, Verdict::kPass) << outcome.line << outcome.text;
}

TEST(Runner, SilenceIsNoPass) {
  const Outcome outcome = Play(kServer + "+0 > . 1:1(0) ack 1\n");
  EXPECT_EQ(outcome.verdict, Verdict::kFail);
  EXPECT_EQ(outcome.line, 8);
}

TEST(Runner, APacketThatNobodyExpectedFails) {
  const std::string unexpected = kServer + "+0 write(4, ..., 10) = 10\n";
  EXPECT_EQ(Play(unexpected + "+.1 < P. 1:6(5) ack 11 win 9\n+0 > . 11:11(0) ack 6\n").verdict,
            Verdict::kFail);
  // After the last line that expects one, only where that is asked for.
  for (const std::string& text : {unexpected, unexpected + "+.1 < . 1:1(0) ack 11 win 32000\n"}) {
    EXPECT_EQ(Play(text).verdict, Verdict::kPass);
    RunOptions strict;
    strict.strict_end = true;
    EXPECT_EQ(Play(text, strict).verdict, Verdict::kFail);
  }
}

TEST(Parser, QuotesStandBeforeOrBehindIcmp) {
  for (const char* packet :
       {"[0:0(0)] icmp unreachable port_unreachable", "icmp unreachable port_unreachable [0:0(0)]"}) {
    const Outcome outcome =
        Play(std::string("--ip_version=ipv4\n0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n") +
             "+0...0.1 connect(3, ..., ...) = -1 ECONNREFUSED\n+0 > S 0:0(0) <...>\n+.1 < " + packet + "\n");
    EXPECT_EQ(outcome.verdict, Verdict::kPass) << packet << outcome.line << outcome.text;
  }
}

TEST(Settings, CommandsBeforeAnythingElseAreObeyed) {
  const std::string rest = kServer + "+0 < P. 1:6(5) ack 1 win 9\n+0 > . 1:1(0) ack 6 win 4995\n";
  EXPECT_EQ(Play("0 `sysctl -w net.inet.tcp.recvspace=5000`\n" + rest).verdict, Verdict::kPass);
  EXPECT_EQ(Play(rest).verdict, Verdict::kFail);
  // What cannot be had is said, also for a value of several words.
  const Outcome outcome = Play("`sysctl -q net.ipv4.tcp_rmem=\"4096 50000 60000\"`\n" + rest);
  EXPECT_EQ(outcome.verdict, Verdict::kSkip);
  EXPECT_EQ(outcome.text, "sysctl tcp_rmem=4096 50000 60000");
}

TEST(Runner, PushComparesOnDataOnlyWhenAsked) {
  const std::string text = kServer + "+0 write(4, ..., 10) = 10\n+0 > . 1:11(10) ack 1\n";
  EXPECT_EQ(Play(text).verdict, Verdict::kPass);
  RunOptions options;
  options.check_psh = true;
  EXPECT_EQ(Play(text, options).verdict, Verdict::kFail);
}

TEST(Runner, AStatedWindowCompares) {
  const std::string text = kServer + "+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1 win 17\n";
  EXPECT_EQ(Play(text).verdict, Verdict::kFail);
  RunOptions options;
  options.zero_windows_only = true;
  EXPECT_EQ(Play(text, options).verdict, Verdict::kPass);
}

TEST(Runner, ACallThatBlocksNeedsAnEnd) {
  EXPECT_EQ(Play(kServer + "+0 read(4, ..., 10) = 10\n").verdict, Verdict::kFail);
  EXPECT_EQ(Play(kServer + "+0...0.1 read(4, ..., 10) = 10\n").verdict, Verdict::kFail);
  EXPECT_EQ(
      Play(kServer + "+0...0.1 read(4, ..., 10) = 5\n+.1 < P. 1:6(5) ack 1 win 9\n+0 > . 1:1(0) ack 6\n")
          .verdict,
      Verdict::kPass);
}

TEST(Code, Evaluates) {
  socket::TcpInfo info;
  info.unacked = 3;
  info.snd_cwnd = 10;
  EXPECT_EQ(RunCode("assert tcpi_unacked == 3, tcpi_unacked", info), "");
  EXPECT_EQ(RunCode("assert (tcpi_unacked + 1) * 2 == 8 and 5 < tcpi_snd_cwnd <= 10", info), "");
  EXPECT_EQ(RunCode("assert not tcpi_unacked == 4; assert tcpi_ca_state == TCP_CA_Open", info), "");
  EXPECT_NE(RunCode("assert tcpi_unacked == 4, tcpi_unacked", info), "");
  EXPECT_EQ(CodeNeeds("assert tcpi_unacked == 3, tcpi_unacked\nprint(tcpi_unacked)"), "");
  EXPECT_NE(CodeNeeds("x = 3"), "");
}

TEST(Mutants, AreMadeAndRefused) {
  std::string needs;
  const auto parsed = Parse(kServer + "+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1\n", &needs);
  const std::vector<Mutant> mutants = MutantsOf(std::get<Script>(parsed));
  EXPECT_GT(mutants.size(), 20u);
  RunOptions strict;
  strict.strict_end = true;
  for (const Mutant& mutant : mutants) {
    EXPECT_EQ(RunScript(mutant.script, strict).verdict, Verdict::kFail) << mutant.line << ": " << mutant.what;
  }
}

}  // namespace
}  // namespace tern::script
