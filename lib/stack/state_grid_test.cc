// The state grid where there is no connection: CLOSED, LISTEN, half-open and TIME-WAIT (RFC
// 9293 3.10.7.1, 3.10.7.2, 3.10.7.4), as frames to a shard. Those of connections are in lib/tcp.
#include <set>

#include "stack/shard_for_test.h"
#include "tcp/state_grid_for_test.h"

namespace tern::stack {
namespace {

using tcp::GridCell;
using tcp::GridSegment;

constexpr const char* kSegments = R"(
# name              | CTL         | SEQ               | ACK       | LEN | UP | TSval
rst                 | RST         | RCV.NXT           | -         |
rst_ack             | RST,ACK     | RCV.NXT           | SND.NXT   |
rst_next            | RST         | RCV.NXT+1         | -         |
rst_behind_window   | RST         | RCV.NXT+65535     | -         |
rst_before_window   | RST         | RCV.NXT-1         | -         |
ack                 | ACK         | RCV.NXT           | SND.NXT   |
ack_low             | ACK         | RCV.NXT           | SND.NXT-1 |
ack_high            | ACK         | RCV.NXT           | SND.NXT+1 |
ack_before_window   | ACK         | RCV.NXT-1         | SND.NXT   |
text                | ACK,PSH     | RCV.NXT           | SND.NXT   | 100
text_again          | ACK,PSH     | RCV.NXT-100       | SND.NXT   | 100
text_behind_window  | ACK,PSH     | RCV.NXT+65535     | SND.NXT   | 100
text_no_ack         | PSH         | RCV.NXT           | -         | 100
fin                 | FIN,ACK     | RCV.NXT           | SND.NXT   |
fin_again           | FIN,ACK     | RCV.NXT-1         | SND.NXT   |
fin_no_ack          | FIN         | RCV.NXT           | -         |
null                | -           | RCV.NXT           | -         |
fin_psh_urg         | FIN,PSH,URG | RCV.NXT           | -         |
syn                 | SYN         | RCV.NXT           | -         |
syn_again           | SYN         | RCV.NXT-1         | -         |
syn_old             | SYN         | RCV.NXT-70000     | -         |
syn_in_window       | SYN         | RCV.NXT+1000      | -         |
syn_behind_window   | SYN         | RCV.NXT+70000     | -         |
syn_with_text       | SYN         | RCV.NXT+1000      | -         | 100
syn_urg             | SYN,URG,PSH | RCV.NXT+1000      | -         |
synack              | SYN,ACK     | RCV.NXT+1000      | SND.NXT   |
syn_fin             | SYN,FIN     | RCV.NXT+1000      | -         |
syn_rst             | SYN,RST     | RCV.NXT+1000      | -         |
ts_newer_syn        | SYN         | RCV.NXT-70000     | -         | -   | -  | TS.Recent+1
ts_older_syn        | SYN         | RCV.NXT+1000      | -         | -   | -  | TS.Recent-1
ts_equal_syn_ahead  | SYN         | RCV.NXT+1000      | -         | -   | -  | TS.Recent
ts_equal_syn_behind | SYN         | RCV.NXT-70000     | -         | -   | -  | TS.Recent
)";

// Answers: "ack" is <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>; "rst" <SEQ=SEG.ACK><CTL=RST>; "rst,ack"
// <SEQ=0><ACK=SEG.SEQ+ SEG.LEN><CTL=RST,ACK>; "synack" a SYN that acknowledges SEG.SEQ+1. Next states are
// seen from the tables in use.
constexpr const char* kCells = R"(
# segment | states | next | answer | drop | effects

# ---- 3.10.7.1 CLOSED: a RST for all but a RST ----
rst               | CLOSED | = | - | tcp_no_connection | -
rst_ack           | CLOSED | = | - | tcp_no_connection | -
ack ack_low ack_high | CLOSED | = | rst | tcp_no_listener | -
text fin synack   | CLOSED | = | rst | tcp_no_listener | -
text_no_ack       | CLOSED | = | rst,ack | tcp_no_listener | -
fin_no_ack null fin_psh_urg | CLOSED | = | rst,ack | tcp_no_listener | -
syn syn_with_text syn_urg | CLOSED | = | rst,ack | tcp_no_listener | -
syn_fin           | CLOSED | = | rst,ack | tcp_no_listener | -
syn_rst           | CLOSED LISTEN | = | - | tcp_no_connection | -
# no connection begins with these
syn_fin           | LISTEN SYN-RECEIVED TIME-WAIT | = | - | tcp_bad_flags | -
syn_rst           | SYN-RECEIVED TIME-WAIT | = | - | tcp_bad_flags | -

# ---- 3.10.7.2 LISTEN: first RST, second ACK, third SYN, fourth all else ----
rst rst_ack       | LISTEN | = | - | tcp_no_connection | -
ack ack_low       | LISTEN | = | rst | tcp_no_connection | -
text fin synack   | LISTEN | = | rst | tcp_no_connection | -
text_no_ack fin_no_ack null fin_psh_urg | LISTEN | = | - | tcp_no_ack | -
syn syn_with_text syn_urg | LISTEN | SYN-RECEIVED | synack | - | -

# ---- 3.10.7.4 SYN-RECEIVED, by passive open ----
rst rst_ack       | SYN-RECEIVED | LISTEN | - | - | -
rst_next          | SYN-RECEIVED | = | ack | tcp_rst_challenged | -
rst_behind_window rst_before_window | SYN-RECEIVED | = | - | tcp_rst_out_of_window | -
# the SYN again: our SYN,ACK was lost, and goes again
syn_again         | SYN-RECEIVED | = | synack | - | -
# another SYN in the window: back to LISTEN, which takes it; one that acknowledges is no beginning and is asked, as RFC
# 5961 4.2 does elsewhere
syn syn_in_window syn_with_text syn_urg | SYN-RECEIVED | = | synack | - | -
synack            | SYN-RECEIVED | = | ack | tcp_syn_in_window | -
syn_old syn_behind_window | SYN-RECEIVED | = | ack | tcp_out_of_window | -
text_no_ack fin_no_ack null fin_psh_urg | SYN-RECEIVED | = | - | tcp_no_ack | -
ack_low ack_high  | SYN-RECEIVED | = | rst | tcp_bad_ack | -
ack_before_window | SYN-RECEIVED | = | ack | tcp_out_of_window | -
text_again text_behind_window | SYN-RECEIVED | = | ack | tcp_out_of_window | -
ack               | SYN-RECEIVED | ESTABLISHED | - | - | connected
text              | SYN-RECEIVED | ESTABLISHED | ack | - | connected readable
fin               | SYN-RECEIVED | CLOSE-WAIT | ack | - | connected readable closing
fin_again         | SYN-RECEIVED | = | ack | tcp_out_of_window | -

# ---- 3.10.7.4 TIME-WAIT; no RST ends it (RFC 1337). The entry keeps no window, so all text is old to it, and bare ACKs
# ---- are not answered: two ends that disagree would do so for ever ----
rst rst_ack rst_next rst_behind_window rst_before_window | TIME-WAIT TIME-WAIT/ts | = | - | tcp_rst_time_wait | -
ack ack_low ack_high ack_before_window | TIME-WAIT | = | - | - | -
text text_again text_behind_window | TIME-WAIT | = | ack | tcp_out_of_window | -
text_no_ack fin_no_ack | TIME-WAIT | = | ack | tcp_out_of_window | -
null              | TIME-WAIT | = | - | - | -
fin_psh_urg       | TIME-WAIT | = | ack | tcp_out_of_window | -
fin_again         | TIME-WAIT | = | ack | - | 2msl
fin               | TIME-WAIT | = | ack | tcp_out_of_window | -
# RFC 1122 4.2.2.13: a SYN beyond what was received begins anew
syn_in_window syn_behind_window syn_with_text syn_urg | TIME-WAIT | SYN-RECEIVED | synack | - | -
syn syn_again syn_old synack | TIME-WAIT | = | ack | tcp_syn_in_window | -
# RFC 6191 2: with timestamps, what is newer begins anew; equal ones leave it to the sequence number
ts_newer_syn ts_equal_syn_ahead | TIME-WAIT/ts | SYN-RECEIVED | synack | - | -
ts_older_syn ts_equal_syn_behind | TIME-WAIT/ts | = | ack | tcp_syn_in_window | -
)";

// A line may name several segments.
std::vector<GridCell> Cells() {
  std::vector<GridCell> cells;
  for (const GridCell& line : tcp::ParseCells(kCells)) {
    for (const std::string& segment : tcp::SplitAt(line.segment, ' ')) {
      cells.push_back({segment, line.state, line.expected});
    }
  }
  return cells;
}

class StackStateGrid : public ShardTest, public ::testing::WithParamInterface<GridCell> {
 protected:
  static constexpr uint32_t kIrs = 500'000;

  void Enter(const std::string& state) {
    Start();
    answers_arp_ = true;
    if (state == "CLOSED") return;
    Listen();
    if (state == "LISTEN") return;
    if (state == "SYN-RECEIVED") {
      GiveTcp(flow_, wire::kSyn, kIrs, 0);
      snd_nxt_ = TakeOne().tcp.seq.value() + 1;
      rcv_nxt_ = kIrs + 1;
      return;
    }
    wire::TcpOptions options;
    options.has_timestamp = timestamps_ = state == "TIME-WAIT/ts";
    options.tsval = kTsRecent;
    snd_nxt_ = Handshake(flow_, kIrs, options) + 2;  // behind our FIN
    const ConnHandle handle = OneEvent().handle;
    shard().Close(handle, now_);
    Take();
    GiveTcp(flow_, wire::kFin | wire::kAck, kIrs + 1, snd_nxt_, {}, options);
    rcv_nxt_ = kIrs + 2;
    Take();
    Events();
    ASSERT_EQ(shard().usage().time_wait, 1u);
    Advance(Duration::Seconds(1));
  }

  uint32_t Value(const std::string& name) const {
    const std::map<std::string, uint32_t> values = {
        {"RCV.NXT", rcv_nxt_}, {"SND.NXT", snd_nxt_}, {"TS.Recent", kTsRecent}};
    return values.at(name);
  }

  std::string StateNow(const std::string& state) {
    const ShardUsage usage = shard().usage();
    if (usage.half_open == 1) return "SYN-RECEIVED";
    if (usage.time_wait == 1) return "TIME-WAIT";
    if (usage.connections == 1 && event_.handle.slot != kNoSlot)
      return StateName(shard().Tcp(event_.handle)->state);
    return state == "CLOSED" ? "CLOSED" : "LISTEN";
  }

  std::string Answer(const std::vector<SentFrame>& sent, uint32_t seq, uint32_t ack, uint32_t length) const {
    if (sent.empty()) return "-";
    if (sent.size() > 1) return std::to_string(sent.size()) + " segments";
    const wire::TcpHeader& out = sent[0].tcp;
    if (out.flags == wire::kAck && out.seq == SeqNum(snd_nxt_) && out.ack.After(SeqNum(rcv_nxt_ - 1)))
      return "ack";
    if (out.flags == wire::kRst && out.seq == SeqNum(ack)) return "rst";
    const bool both = out.flags == (wire::kRst | wire::kAck);
    if (both && out.seq == SeqNum(0) && out.ack == SeqNum(seq + length)) return "rst,ack";
    if (out.flags == (wire::kSyn | wire::kAck) && out.ack == SeqNum(seq + 1)) return "synack";
    return wire::FlagsToString(out.flags) + " seq " + std::to_string(out.seq.value());
  }

  std::string Give(const GridSegment& s, const std::string& state) {
    const auto value = [this](const std::string& name) { return Value(name); };
    const uint32_t seq = tcp::Evaluate(s.seq, value);
    const uint32_t ack = s.ack == "-" ? 0 : tcp::Evaluate(s.ack, value);
    wire::TcpOptions options;
    options.has_timestamp =
        !s.tsval.empty() || (timestamps_ && s.tsval.empty() && (s.flags & wire::kSyn) == 0);
    options.tsval = s.tsval.empty() ? kTsRecent : tcp::Evaluate(s.tsval, value);
    const DropCounters before = shard().counters().drops;
    GiveTcp(flow_, s.flags, seq, ack, Bytes(s.length, 'x'), options);
    std::vector<SentFrame> sent = Take();
    const std::vector<ShardEvent> events = Events();
    if (!events.empty()) event_ = events[0];
    std::string drop = "-";
    for (size_t r = 1; r < kDropReasonCount; ++r) {
      const auto reason = static_cast<DropReason>(r);
      if (Dropped(reason) != before[reason]) drop = DropReasonName(reason);
    }
    const bool syn = (s.flags & wire::kSyn) != 0;
    const uint32_t length = s.length + (syn ? 1 : 0) + ((s.flags & wire::kFin) != 0 ? 1 : 0);
    std::string effects;
    const auto add = [&effects](const char* word) {
      effects += std::string(effects.empty() ? "" : " ") + word;
    };
    if ((event_.events & tcp::kEventConnected) != 0) add("connected");
    if ((event_.events & tcp::kEventReadable) != 0) add("readable");
    if ((event_.events & tcp::kEventPeerClosed) != 0) add("closing");
    const std::string next = StateNow(state);
    if (next == "TIME-WAIT") {
      // One second of the sixty had passed before.
      Advance(Duration::Millis(59'500));
      if (shard().usage().time_wait == 1) add("2msl");
    }
    return next + " | " + Answer(sent, seq, ack, length) + " | " + drop + " | " +
           (effects.empty() ? "-" : effects);
  }

  static constexpr uint32_t kTsRecent = 7'000;
  TestFlow flow_;
  uint32_t rcv_nxt_ = 9'000;
  uint32_t snd_nxt_ = 8'000;
  bool timestamps_ = false;
  ShardEvent event_;
};

TEST_P(StackStateGrid, Cell) {
  const std::map<std::string, GridSegment> segments = tcp::ParseSegments(kSegments);
  ASSERT_TRUE(segments.contains(GetParam().segment)) << GetParam().segment;
  Enter(GetParam().state);
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_EQ(Give(segments.at(GetParam().segment), GetParam().state), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(Rfc9293, StackStateGrid, ::testing::ValuesIn(Cells()),
                         [](const auto& cell) { return tcp::CellName(cell.param); });

// Every kind of segment stands in every state in which it means something of its own.
TEST(StackStateGridTable, HasNoHole) {
  std::map<std::string, std::set<std::string>> seen;
  for (const GridCell& cell : Cells()) {
    EXPECT_TRUE(seen[cell.segment].insert(cell.state).second) << tcp::CellName(cell) << " stands there twice";
  }
  // Without a connection there is no window, so where a segment stands says nothing.
  const std::set<std::string> placed = {"rst_next",          "rst_behind_window", "rst_before_window",
                                        "ack_high",          "text_again",        "text_behind_window",
                                        "ack_before_window", "fin_again",         "syn_again",
                                        "syn_old",           "syn_in_window",     "syn_behind_window"};
  for (const auto& [name, segment] : tcp::ParseSegments(kSegments)) {
    if (name.starts_with("ts_")) {
      EXPECT_TRUE(seen[name].contains("TIME-WAIT/ts")) << name;
      continue;
    }
    for (const char* state : {"SYN-RECEIVED", "TIME-WAIT"})
      EXPECT_TRUE(seen[name].contains(state)) << name << state;
    if (placed.contains(name)) continue;
    for (const char* state : {"CLOSED", "LISTEN"}) EXPECT_TRUE(seen[name].contains(state)) << name << state;
  }
}

}  // namespace
}  // namespace tern::stack
