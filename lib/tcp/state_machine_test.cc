#include "tcp/state_machine.h"

#include <gtest/gtest.h>

#include <set>

namespace tern::tcp {
namespace {

// To be compared with figure 5 of RFC 9293. What differs there is said in the table.
constexpr const char* kGraph = R"(digraph tcp {
  "CLOSED" -> "SYN-SENT" [label="active open"];
  "CLOSED" -> "LISTEN" [label="passive open"];
  "LISTEN" -> "SYN-RECEIVED" [label="SYN"];
  "LISTEN" -> "CLOSED" [label="reset, abort, time-out"];
  "SYN-SENT" -> "ESTABLISHED" [label="SYN acknowledged"];
  "SYN-SENT" -> "SYN-RECEIVED" [label="SYN"];
  "SYN-SENT" -> "CLOSED" [label="reset, abort, time-out"];
  "SYN-RECEIVED" -> "ESTABLISHED" [label="SYN acknowledged"];
  "SYN-RECEIVED" -> "LISTEN" [label="RST, or no answer"];
  "SYN-RECEIVED" -> "CLOSED" [label="reset, abort, time-out"];
  "ESTABLISHED" -> "FIN-WAIT-1" [label="close"];
  "ESTABLISHED" -> "CLOSE-WAIT" [label="FIN"];
  "ESTABLISHED" -> "CLOSED" [label="reset, abort, time-out"];
  "FIN-WAIT-1" -> "FIN-WAIT-2" [label="FIN acknowledged"];
  "FIN-WAIT-1" -> "CLOSING" [label="FIN"];
  "FIN-WAIT-1" -> "CLOSED" [label="reset, abort, time-out"];
  "FIN-WAIT-2" -> "TIME-WAIT" [label="FIN"];
  "FIN-WAIT-2" -> "CLOSED" [label="reset, abort, time-out"];
  "CLOSE-WAIT" -> "LAST-ACK" [label="close"];
  "CLOSE-WAIT" -> "CLOSED" [label="reset, abort, time-out"];
  "CLOSING" -> "TIME-WAIT" [label="FIN acknowledged"];
  "CLOSING" -> "CLOSED" [label="reset, abort, time-out"];
  "LAST-ACK" -> "CLOSED" [label="FIN acknowledged"];
  "LAST-ACK" -> "CLOSED" [label="reset, abort, time-out"];
  "TIME-WAIT" -> "CLOSED" [label="2 MSL over"];
  "TIME-WAIT" -> "SYN-RECEIVED" [label="SYN"];
  "TIME-WAIT" -> "CLOSED" [label="reset, abort, time-out"];
}
)";

TEST(StateMachine, PrintsItselfAsAGraph) { EXPECT_EQ(StateGraph(), kGraph); }

TEST(StateMachine, NoStepLeadsTwoWays) {
  std::set<std::pair<State, Step>> seen;
  for (const Transition& t : kTransitions) {
    EXPECT_TRUE(seen.insert({t.from, t.step}).second) << StateName(t.from) << ' ' << StepName(t.step);
    EXPECT_NE(t.from, t.to);
    EXPECT_EQ(After(t.from, t.step), t.to);
  }
}

TEST(StateMachine, EveryStateIsReachedAndCanBeLeft) {
  std::set<State> reached = {State::kClosed};
  std::set<State> left;
  for (size_t round = 0; round < kStateCount; ++round) {
    for (const Transition& t : kTransitions) {
      if (reached.count(t.from) != 0) reached.insert(t.to);
      left.insert(t.from);
    }
  }
  EXPECT_EQ(reached.size(), kStateCount);
  EXPECT_EQ(left.size(), kStateCount);
}

TEST(StateMachine, AStepThatIsNotInTheTableChangesNothing) {
  EXPECT_EQ(After(State::kClosed, Step::kFin), State::kClosed);
  EXPECT_EQ(After(State::kLastAck, Step::kFin), State::kLastAck);
  EXPECT_EQ(After(State::kFinWait2, Step::kClose), State::kFinWait2);
}

}  // namespace
}  // namespace tern::tcp
