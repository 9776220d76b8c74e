// The states of a connection and the steps between them (RFC 9293 3.3.2, figure 5), as one table. Every
// change of state is looked up here, and the table prints itself as a graph.
#ifndef TERN_TCP_STATE_MACHINE_H_
#define TERN_TCP_STATE_MACHINE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace tern::tcp {

// LISTEN and the usual SYN-RECEIVED live in the stack's listeners and half-open table: no connection is ever
// in LISTEN, and SYN-RECEIVED appears for one that is just leaving that table, and for simultaneous open.
enum class State : uint8_t {
  kClosed,
  kSynSent,
  kSynReceived,
  kEstablished,
  kFinWait1,
  kFinWait2,
  kCloseWait,
  kClosing,
  kLastAck,
  kTimeWait,
  kListen,
};
inline constexpr size_t kStateCount = 11;
const char* StateName(State state);

// What moves a connection from one state to the next.
enum class Step : uint8_t {
  kOpenActive,    // the application opens, a SYN goes out
  kOpenPassive,   // the application listens
  kSyn,           // a SYN came that opens a connection
  kSynAcked,      // both SYNs are there, and ours is acknowledged
  kClose,         // the application ended its stream, a FIN goes out
  kFin,           // the peer's FIN was reached in order
  kFinAcked,      // our FIN is acknowledged
  kTwoMsl,        // the wait of 2 MSL is over
  kBackToListen,  // the peer of a half-open connection gave up
  kEnd,           // reset, aborted, refused, timed out, or closed before it was open
};
inline constexpr size_t kStepCount = 10;
const char* StepName(Step step);

struct Transition {
  State from;
  Step step;
  State to;
};

// RFC 9293 figure 5, with the sections of 3.10 that it summarises.
inline constexpr auto kTransitions = std::to_array<Transition>({
    // 3.10.1 OPEN
    {State::kClosed, Step::kOpenActive, State::kSynSent},
    {State::kClosed, Step::kOpenPassive, State::kListen},
    // 3.10.7.2 LISTEN
    {State::kListen, Step::kSyn, State::kSynReceived},
    {State::kListen, Step::kEnd, State::kClosed},
    // 3.10.7.3 SYN-SENT
    {State::kSynSent, Step::kSynAcked, State::kEstablished},
    {State::kSynSent, Step::kSyn, State::kSynReceived},
    {State::kSynSent, Step::kEnd, State::kClosed},
    // 3.10.7.4 the others; a CLOSE in SYN-RECEIVED waits for ESTABLISHED, as 3.10.4 allows
    {State::kSynReceived, Step::kSynAcked, State::kEstablished},
    {State::kSynReceived, Step::kBackToListen, State::kListen},
    {State::kSynReceived, Step::kEnd, State::kClosed},
    {State::kEstablished, Step::kClose, State::kFinWait1},
    {State::kEstablished, Step::kFin, State::kCloseWait},
    {State::kEstablished, Step::kEnd, State::kClosed},
    {State::kFinWait1, Step::kFinAcked, State::kFinWait2},
    {State::kFinWait1, Step::kFin, State::kClosing},
    {State::kFinWait1, Step::kEnd, State::kClosed},
    {State::kFinWait2, Step::kFin, State::kTimeWait},
    {State::kFinWait2, Step::kEnd, State::kClosed},
    {State::kCloseWait, Step::kClose, State::kLastAck},
    {State::kCloseWait, Step::kEnd, State::kClosed},
    {State::kClosing, Step::kFinAcked, State::kTimeWait},
    {State::kClosing, Step::kEnd, State::kClosed},
    {State::kLastAck, Step::kFinAcked, State::kClosed},
    {State::kLastAck, Step::kEnd, State::kClosed},
    {State::kTimeWait, Step::kTwoMsl, State::kClosed},
    {State::kTimeWait, Step::kSyn, State::kSynReceived},  // RFC 6191, RFC 1122 4.2.2.13: a new connection
    {State::kTimeWait, Step::kEnd, State::kClosed},
});

namespace internal {

using NextStates = std::array<std::array<State, kStepCount>, kStateCount>;
consteval NextStates MakeNextStates() {
  NextStates next{};
  for (size_t state = 0; state < kStateCount; ++state) next[state].fill(static_cast<State>(state));
  for (const Transition& t : kTransitions) {
    next[static_cast<size_t>(t.from)][static_cast<size_t>(t.step)] = t.to;
  }
  return next;
}
inline constexpr NextStates kNextStates = MakeNextStates();

}  // namespace internal

// The state after `step`; a step that the table does not have changes nothing.
constexpr State After(State state, Step step) {
  return internal::kNextStates[static_cast<size_t>(state)][static_cast<size_t>(step)];
}

// The table in Graphviz's language: `dot -Tsvg` draws it. Allocates: for people.
std::string StateGraph();

}  // namespace tern::tcp

#endif  // TERN_TCP_STATE_MACHINE_H_
