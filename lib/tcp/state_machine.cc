#include "tcp/state_machine.h"

namespace tern::tcp {

const char* StateName(State state) {
  constexpr std::array<const char*, kStateCount> kNames = {
      "CLOSED",     "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2",
      "CLOSE-WAIT", "CLOSING",  "LAST-ACK",     "TIME-WAIT",   "LISTEN"};
  const auto index = static_cast<size_t>(state);
  return index < kNames.size() ? kNames[index] : "?";
}

const char* StepName(Step step) {
  constexpr std::array<const char*, kStepCount> kNames = {
      "active open", "passive open",     "SYN",        "SYN acknowledged",  "close",
      "FIN",         "FIN acknowledged", "2 MSL over", "RST, or no answer", "reset, abort, time-out"};
  const auto index = static_cast<size_t>(step);
  return index < kNames.size() ? kNames[index] : "?";
}

std::string StateGraph() {
  std::string graph = "digraph tcp {\n";
  for (const Transition& t : kTransitions) {
    graph += std::string("  \"") + StateName(t.from) + "\" -> \"" + StateName(t.to) + "\" [label=\"" +
             StepName(t.step) + "\"];\n";
  }
  return graph + "}\n";
}

}  // namespace tern::tcp
