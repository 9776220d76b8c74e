#include "script/mutants.h"

#include <functional>

#include "wire/tcp.h"

namespace tern::script {
namespace {

constexpr Duration kShift = Duration::Millis(300);

class Maker {
 public:
  explicit Maker(const Script& script) : script_(script) {}

  std::vector<Mutant> Run() {
    for (at_ = 0; at_ < script_.events.size(); ++at_) {
      const Event& event = script_.events[at_];
      if (const auto* packet = std::get_if<PacketSpec>(&event.body); packet != nullptr && !packet->inbound) {
        OfPacket(std::get<TcpSpec>(packet->body), event.time);
      } else if (const auto* call = std::get_if<CallSpec>(&event.body)) {
        OfCall(*call, event.time);
      }
    }
    return std::move(mutants_);
  }

 private:
  void Add(const std::string& what, const std::function<void(Event&)>& change) {
    Mutant mutant{.script = script_, .line = script_.events[at_].at.line, .what = what};
    change(mutant.script.events[at_]);
    mutants_.push_back(std::move(mutant));
  }
  static TcpSpec& Tcp(Event& event) { return std::get<TcpSpec>(std::get<PacketSpec>(event.body).body); }

  void OfPacket(const TcpSpec& tcp, const TimeSpec& time) {
    Add("seq + 1", [](Event& e) { ++Tcp(e).seq, ++Tcp(e).end; });
    if ((tcp.flags & wire::kAck) != 0) Add("ack + 1", [](Event& e) { ++Tcp(e).ack; });
    if ((tcp.flags & wire::kAck) != 0) Add("ack - 1", [](Event& e) { --Tcp(e).ack; });
    if (tcp.length != 0) Add("length + 1", [](Event& e) { ++Tcp(e).length, ++Tcp(e).end; });
    for (const auto& [flag, name] : {std::pair(wire::kFin, "F"),
                                     {wire::kSyn, "S"},
                                     {wire::kRst, "R"},
                                     {wire::kAck, "."},
                                     {wire::kUrg, "U"},
                                     {wire::kEce, "E"}}) {
      Add(std::string("flag ") + name, [flag = flag](Event& e) { Tcp(e).flags ^= flag; });
    }
    if (time.kind != TimeSpec::Kind::kAny) {
      Add("300 ms later", [](Event& e) {
        e.time.at = e.time.at + kShift;
        if (e.time.range_end) e.time.range_end = *e.time.range_end + kShift;
      });
    }
    Mutant without{.script = script_, .line = script_.events[at_].at.line, .what = "left out"};
    without.script.events.erase(without.script.events.begin() + static_cast<ptrdiff_t>(at_));
    // What counted from this line counts from the one before it.
    if (at_ < without.script.events.size() && time.kind == TimeSpec::Kind::kRelative) {
      TimeSpec& next = without.script.events[at_].time;
      if (next.kind == TimeSpec::Kind::kRelative) {
        next.at = next.at + time.at;
        if (next.range_end) next.range_end = *next.range_end + time.at;
        if (next.call_end) next.call_end = *next.call_end + time.at;
      }
    }
    if (!without.script.events.empty()) mutants_.push_back(std::move(without));
    Mutant twice{.script = script_, .line = script_.events[at_].at.line, .what = "added once more"};
    Event copy = script_.events[at_];
    if (copy.time.kind == TimeSpec::Kind::kRelative) copy.time = TimeSpec{};
    twice.script.events.insert(twice.script.events.begin() + static_cast<ptrdiff_t>(at_) + 1, copy);
    mutants_.push_back(std::move(twice));
  }

  void OfCall(const CallSpec& call, const TimeSpec& time) {
    if (call.any_result) return;
    if (!call.error.empty()) {
      Add("another errno", [](Event& e) {
        CallSpec& c = std::get<CallSpec>(e.body);
        c.error = c.error == "EIO" ? "EPIPE" : "EIO";
      });
      Add("success", [](Event& e) {
        CallSpec& c = std::get<CallSpec>(e.body);
        c.error.clear();
        c.result = 0;
      });
    } else {
      Add("failure", [](Event& e) {
        CallSpec& c = std::get<CallSpec>(e.body);
        c.error = "EIO";
        c.result = -1;
      });
    }
    const bool descriptor =
        call.name == "socket" || call.name.rfind("accept", 0) == 0 || call.name.rfind("epoll_create", 0) == 0;
    if (call.error.empty() && !descriptor) {
      Add("result + 1", [](Event& e) { ++std::get<CallSpec>(e.body).result; });
    }
    if (time.call_end)
      Add("returns 300 ms later", [](Event& e) { e.time.call_end = *e.time.call_end + kShift; });
  }

  const Script& script_;
  size_t at_ = 0;
  std::vector<Mutant> mutants_;
};

}  // namespace

std::vector<Mutant> MutantsOf(const Script& script) { return Maker(script).Run(); }

}  // namespace tern::script
