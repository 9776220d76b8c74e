// Every cell of RFC 9293 3.10.7: one segment to a fresh connection in one state, from the table.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tcp/pair_for_test.h"
#include "tcp/state_grid_for_test.h"
#include "tcp/state_grid_table_for_test.h"

namespace tern::tcp {
namespace {

constexpr uint32_t kIss = 1'000;
constexpr uint32_t kIrs = 500'000;
constexpr uint16_t kPeerWindow = 4'000;
constexpr uint32_t kOurWindow = 65'535;

TcpConfig GridConfig(const std::string& state) {
  TcpConfig config;
  config.receive_buffer = kOurWindow;
  config.timestamps = state == "ESTABLISHED/ts";
  return config;
}

// A connection and the hand that feeds it.
class Rig {
 public:
  explicit Rig(const std::string& state) : end_(GridConfig(state)) { Enter(state); }

  std::string Give(const GridSegment& s);

 private:
  struct Sent {
    SeqNum seq;
    SeqNum ack;
    uint8_t flags = 0;
  };

  void Enter(const std::string& state);
  void Open(bool timestamps);
  void Fill();
  void Feed(uint8_t flags, uint32_t seq, uint32_t ack, uint32_t length = 0, const GridSegment* s = nullptr);
  void Write(uint32_t octets);
  void Shutdown();
  void Drain();
  void Read();
  void Settle();
  uint32_t Value(const std::string& name) const;
  std::string Answer(const GridSegment& s, SeqNum seg_ack) const;
  std::string EffectsOf(const GridSegment& s, SeqNum seg_ack, SeqNum nxt_before, SeqNum una_before) const;

  Connection& conn() { return end_.conn; }
  uint32_t rcv_nxt() const { return end_.conn.rcv_nxt.value(); }

  Endpoint end_;
  Instant now_ = Instant::FromNanos(1'000'000'000);
  uint32_t tsval_ = 1'000;
  std::vector<Sent> sent_;
  uint16_t events_ = 0;
  CloseReason reason_ = CloseReason::kNone;
  DropReason drop_ = DropReason::kNone;
  Deadline slow_before_;
};

void Rig::Feed(uint8_t flags, uint32_t seq, uint32_t ack, uint32_t length, const GridSegment* s) {
  SegmentView view{.seq = SeqNum(seq),
                   .ack = SeqNum(ack),
                   .window = kPeerWindow,
                   .urgent = s == nullptr ? uint16_t{0} : s->urgent,
                   .flags = flags,
                   .payload_length = length};
  if (end_.config.timestamps && (s == nullptr || !s->tsval.empty())) {
    view.options.has_timestamp = true;
    view.options.tsval =
        s == nullptr ? tsval_ : Evaluate(s->tsval, [this](const std::string& n) { return Value(n); });
  }
  if (length != 0) view.payload = end_.buffers.AllocateWith(Pattern(0, length));
  Effects effects;
  OnSegment(conn(), end_.env, view, now_, effects);
  if (view.payload != nullptr) effects.released.PushBack(view.payload);
  end_.buffers.Release(effects.released.TakeAll());
  events_ = effects.events;
  reason_ = effects.reason;
  drop_ = effects.dropped ? effects.drop_reason : DropReason::kNone;
  if (effects.reply.wanted) sent_.push_back({effects.reply.seq, effects.reply.ack, effects.reply.flags});
}

void Rig::Drain() {
  TxFrame frame;
  SegmentOut out;
  out.frame = &frame;
  while (PollTransmit(conn(), end_.env, now_, 0, out)) sent_.push_back({out.seq, out.ack, out.flags});
}

// All that is due by now or by the delayed-ACK timer.
void Rig::Settle() {
  Drain();
  if (!conn().ack_at.IsSet()) return;
  now_ = now_ + end_.config.delayed_ack + Duration::Millis(1);
  Effects effects;
  OnTimer(conn(), end_.env, now_, effects);
  Drain();
}

void Rig::Read() {
  BufferChain chain;
  Effects effects;
  while (Receive(conn(), end_.env, 1 << 20, now_, chain, effects) != 0) {
  }
  end_.buffers.Release(chain.TakeAll());
}

void Rig::Write(uint32_t octets) {
  BufferChain chain;
  chain.PushBack(end_.buffers.AllocateWith(Pattern(0, octets)));
  Effects effects;
  ASSERT_EQ(Send(conn(), end_.env, chain, now_, effects), SendResult::kOk);
  Drain();
}

void Rig::Shutdown() {
  Effects effects;
  ShutdownWrite(conn(), end_.env, now_, effects);
  Drain();
}

void Rig::Open(bool timestamps) {
  ASSERT_TRUE(
      OpenActive(conn(), end_.env, {.iss = SeqNum(kIss), .link_mss = 1460, .default_peer_mss = 1460}, now_));
  Drain();
  GridSegment synack{.tsval = timestamps ? "TS" : ""};
  Feed(wire::kSyn | wire::kAck, kIrs, kIss + 1, 0, timestamps ? &synack : nullptr);
  Drain();
  // 1000 octets that are acknowledged, 1000 that are not.
  Write(1'000);
  Feed(wire::kAck, rcv_nxt(), conn().snd_nxt.value());
  Write(1'000);
  ASSERT_EQ(conn().snd_una.DistanceTo(conn().snd_nxt), 1'000u);
}

// Nobody reads, until the window is closed.
void Rig::Fill() {
  while (conn().rcv_queued < kOurWindow) {
    Feed(wire::kAck, rcv_nxt(), conn().snd_una.value(), std::min(1'460u, kOurWindow - conn().rcv_queued));
    Drain();
  }
  ASSERT_EQ(conn().rcv_adv, conn().rcv_nxt);
}

void Rig::Enter(const std::string& state) {
  const auto fin = [this] {
    Feed(wire::kFin | wire::kAck, rcv_nxt(), conn().snd_una.value());
    Drain();
  };
  const auto ack_all = [this] { Feed(wire::kAck, rcv_nxt(), conn().snd_nxt.value()); };
  const std::string name = SplitAt(state, '/')[0];
  if (state == "SYN-RECEIVED/passive") {
    const PassiveParams params{.open = {.iss = SeqNum(kIss), .link_mss = 1460},
                               .irs = SeqNum(kIrs),
                               .peer_mss = 1460,
                               .peer_window = kPeerWindow};
    ASSERT_TRUE(OpenPassive(conn(), end_.env, params, now_));
  } else if (state == "SYN-SENT" || state == "SYN-RECEIVED/active") {
    ASSERT_TRUE(OpenActive(conn(), end_.env, {.iss = SeqNum(kIss), .link_mss = 1460}, now_));
    Drain();
    if (name == "SYN-RECEIVED") Feed(wire::kSyn, kIrs, 0);
    Drain();
  } else {
    Open(state == "ESTABLISHED/ts");
  }
  if (name == "CLOSE-WAIT" || name == "LAST-ACK") fin();
  if (name == "FIN-WAIT-1" || name == "FIN-WAIT-2" || name == "CLOSING" || name == "LAST-ACK" ||
      name == "TIME-WAIT") {
    Shutdown();
  }
  if (name == "FIN-WAIT-2" || name == "TIME-WAIT") ack_all();
  if (name == "CLOSING" || name == "TIME-WAIT") fin();
  if (state == "ESTABLISHED/0") Fill();
  Settle();
  ASSERT_EQ(StateName(conn().state), name);
  now_ = now_ + Duration::Millis(1);
}

uint32_t Rig::Value(const std::string& name) const {
  const Connection& c = end_.conn;
  const std::map<std::string, uint32_t> values = {{"ISS", kIss},
                                                  {"IRS", kIrs},
                                                  {"RCV.NXT", c.rcv_nxt.value()},
                                                  {"RCV.WND", c.rcv_nxt.DistanceTo(c.rcv_adv)},
                                                  {"SND.UNA", c.snd_una.value()},
                                                  {"SND.NXT", c.snd_nxt.value()},
                                                  {"MAX.WND", kPeerWindow},
                                                  {"TS", tsval_},
                                                  {"TS.Recent", c.ts_recent}};
  return values.at(name);
}

std::string Rig::Answer(const GridSegment& s, SeqNum seg_ack) const {
  if (sent_.empty()) return "-";
  if (sent_.size() > 1) return std::to_string(sent_.size()) + " segments";
  const Sent& out = sent_[0];
  const Connection& c = end_.conn;
  if (out.flags == wire::kAck && out.seq == c.snd_nxt && out.ack == c.rcv_nxt) return "ack";
  if (out.flags == wire::kRst && out.seq == seg_ack && s.ack != "-") return "rst";
  if (out.flags == (wire::kSyn | wire::kAck) && out.seq == SeqNum(kIss) && out.ack == c.rcv_nxt)
    return "synack";
  return wire::FlagsToString(out.flags) + " seq " + std::to_string(out.seq.value()) + " ack " +
         std::to_string(out.ack.value());
}

std::string CloseName(CloseReason reason) {
  switch (reason) {
    case CloseReason::kGraceful:
      return "graceful";
    case CloseReason::kReset:
      return "reset";
    case CloseReason::kRefused:
      return "refused";
    default:
      return "?";
  }
}

std::string Rig::EffectsOf(const GridSegment& s, SeqNum seg_ack, SeqNum nxt_before, SeqNum una_before) const {
  const Connection& c = end_.conn;
  std::string text;
  const auto add = [&text](const std::string& word) { text += (text.empty() ? "" : " ") + word; };
  if (c.snd_una != una_before)
    add(c.snd_una == seg_ack ? "una" : "SND.UNA=" + std::to_string(c.snd_una.value()));
  if ((events_ & kEventConnected) != 0) add("connected");
  const bool fin = (events_ & kEventPeerClosed) != 0;
  const bool opened = (s.flags & wire::kSyn) != 0 && c.state != State::kSynSent && nxt_before == SeqNum();
  const uint32_t base = opened ? SeqNum(7'001).DistanceTo(c.rcv_nxt) : nxt_before.DistanceTo(c.rcv_nxt);
  const uint32_t octets = base - (fin ? 1 : 0);
  if (octets != 0)
    add(octets == s.length ? "text" : octets == 60 ? "part" : std::to_string(octets) + " octets");
  if (c.cold != kNoSlot && !(*end_.env.cold)[c.cold].reassembly.empty()) add("queued");
  if (fin) add("fin");
  if ((events_ & kEventUrgent) != 0) add("urg");
  if ((events_ & kEventClosed) != 0) add("closed:" + CloseName(reason_));
  if ((events_ & kEventTimeWait) != 0) add("timewait");
  const bool again = c.state == State::kTimeWait && (events_ & kEventTimeWait) == 0 && slow_before_.IsSet() &&
                     slow_before_.At(now_) != c.slow_at.At(now_);
  if (again) add("2msl");
  return text.empty() ? "-" : text;
}

// "next | answer | drop | effects"
std::string Rig::Give(const GridSegment& s) {
  const auto value = [this](const std::string& name) { return Value(name); };
  const SeqNum nxt = conn().rcv_nxt;
  const SeqNum una = conn().snd_una;
  const State before = conn().state;
  const uint32_t seq = Evaluate(s.seq, value);
  const uint32_t ack = s.ack == "-" ? 0 : Evaluate(s.ack, value);
  slow_before_ = conn().slow_at;
  sent_.clear();
  Feed(s.flags, seq, ack, s.length, &s);
  if (conn().rcv_queued < kOurWindow) Read();
  Settle();
  // No step that the table of states does not have: three in one segment are the most (the ACK of our SYN, a
  // FIN queued, the peer's FIN).
  std::set<State> reachable = {before};
  for (int step = 0; step < 3; ++step) {
    for (const State from : std::set<State>(reachable)) {
      for (const Transition& t : kTransitions) {
        if (t.from == from) reachable.insert(t.to);
      }
    }
  }
  EXPECT_TRUE(reachable.contains(conn().state));
  const std::string drop = drop_ == DropReason::kNone ? "-" : std::string(DropReasonName(drop_));
  return std::string(StateName(conn().state)) + " | " + Answer(s, SeqNum(ack)) + " | " + drop + " | " +
         EffectsOf(s, SeqNum(ack), nxt, una);
}

class StateGrid : public ::testing::TestWithParam<GridCell> {};

TEST_P(StateGrid, Cell) {
  const std::map<std::string, GridSegment> segments = ParseSegments(kGridSegments);
  ASSERT_TRUE(segments.contains(GetParam().segment));
  if (GetParam().expected == "n/a") return;
  Rig rig(GetParam().state);
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_EQ(rig.Give(segments.at(GetParam().segment)), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(Rfc9293, StateGrid, ::testing::ValuesIn(ParseCells(kGridCells)),
                         [](const auto& cell) { return CellName(cell.param); });

// The table has no hole: every segment of the synchronized states stands in each of them, exactly once.
TEST(StateGridTable, HasNoHole) {
  const std::set<std::string> states = {"SYN-RECEIVED/passive",
                                        "SYN-RECEIVED/active",
                                        "ESTABLISHED",
                                        "FIN-WAIT-1",
                                        "FIN-WAIT-2",
                                        "CLOSE-WAIT",
                                        "CLOSING",
                                        "LAST-ACK",
                                        "TIME-WAIT"};
  std::map<std::string, std::set<std::string>> seen;
  for (const GridCell& cell : ParseCells(kGridCells)) {
    EXPECT_TRUE(seen[cell.segment].insert(cell.state).second) << CellName(cell) << " stands there twice";
  }
  for (const auto& [name, segment] : ParseSegments(kGridSegments)) {
    if (name.starts_with("first_")) {
      EXPECT_TRUE(seen[name].contains("SYN-SENT")) << name;
    } else if (name.starts_with("ts_")) {
      EXPECT_TRUE(seen[name].contains("ESTABLISHED/ts")) << name;
    } else {
      for (const std::string& state : states)
        EXPECT_TRUE(seen[name].contains(state)) << name << " in " << state;
    }
  }
}

}  // namespace
}  // namespace tern::tcp
