#include "script/runner.h"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <memory>

#include "script/calls.h"
#include "script/code.h"
#include "script/host.h"
#include "script/packet.h"
#include "script/settings.h"

namespace tern::script {
namespace {

// How long an event without a time of its own (`*`) is waited for.
constexpr Duration kPatience = Duration::Seconds(4'000);
constexpr uint16_t kPeerPort = 39'000;

class Runner {
 public:
  Runner(const Script& script, const Settings& settings, const RunOptions& options)
      : script_(script),
        settings_(settings),
        options_(options),
        host_(settings.host),
        calls_(host_, settings_, flow_),
        start_(host_.now()),
        previous_(start_),
        tolerance_(Duration::Micros(settings.compare.tolerance_us)) {
    flow_.local = settings.host.local;
    flow_.remote = settings.host.remote;
    flow_.local_port = settings.bind_port;
    flow_.remote_port = kPeerPort;
    host_.OnStep([this] { Step(); });
  }

  Outcome Run() {
    const std::vector<Event>& events = script_.events;
    const auto outbound = std::find_if(events.rbegin(), events.rend(), IsOutbound);
    const size_t last_outbound =
        outbound == events.rend() ? 0 : static_cast<size_t>(events.rend() - outbound);
    for (size_t i = 0; i < events.size() && !failed_; ++i) {
      more_outbound_ = i < last_outbound;
      Play(events[i], i + 1 == events.size());
    }
    if (!failed_) WaitForCalls();
    if (!failed_) CheckEnd();
    if (!failed_ && !host_.fault().empty())
      Fail(script_.events.back().at, "expected whole packets, got " + host_.fault());
    return outcome_;
  }

 private:
  using Kind = TimeSpec::Kind;

  static bool IsOutbound(const Event& event) {
    const auto* packet = std::get_if<PacketSpec>(&event.body);
    return packet != nullptr && !packet->inbound;
  }
  void Fail(Location at, const std::string& text) {
    if (failed_) return;
    failed_ = true;
    outcome_.verdict = Verdict::kFail;
    outcome_.line = at.line;
    outcome_.text = text;
  }
  void Log(const std::string& text) {
    if (options_.verbose) outcome_.log += Clock(host_.now()) + " " + text + "\n";
  }
  // Seconds of the script.
  std::string Clock(Instant at) const {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.6f", static_cast<double>((at - start_).micros()) / 1e6);
    return text.data();
  }

  Instant Begin(const TimeSpec& time) const {
    switch (time.kind) {
      case Kind::kAbsolute:
        return start_ + time.at;
      case Kind::kRelative:
        return previous_ + time.at;
      case Kind::kAny:
        break;
    }
    return host_.now();
  }
  Instant ByBase(const TimeSpec& time, Duration offset) const {
    return (time.kind == Kind::kAbsolute ? start_ : previous_) + offset;
  }

  Instant FirstDeadline() const {
    Instant first = Instant::Never();
    for (const auto& call : pending_) first = std::min(first, call->deadline);
    return first;
  }
  template <typename Stop>
  void Advance(Instant until, Stop stop) {
    host_.Advance(
        until, [&] { return failed_ || stop(); }, [this] { return FirstDeadline(); });
  }

  // After everything that may have moved a blocked call on.
  void Step() {
    std::array<socket::Completion, 16> done;
    while (const size_t n = host_.sockets().TakeCompletions(done)) {
      for (size_t i = 0; i < n; ++i) Complete(done[i]);
    }
    for (size_t i = 0; i < pending_.size();) {
      Call& call = *pending_[i];
      if (!calls_.Finished(call)) {
        ++i;
        continue;
      }
      Returned(call);
      kept_.push_back(std::move(pending_[i]));
      pending_.erase(pending_.begin() + static_cast<ptrdiff_t>(i));
    }
  }
  void Complete(const socket::Completion& completion) {
    for (auto& call : pending_) {
      if (call->fd == completion.fd && call->result.pending && !call->retry) {
        call->result = completion.result;
        return;
      }
    }
  }
  void Returned(Call& call) {
    call.finished = host_.now();
    Log(call.spec->name + "() returns " + std::to_string(call.result.value));
    if (std::string wrong = calls_.Check(call); !wrong.empty()) return Fail(call.at, wrong);
    const Instant due = call.has_end ? call.must_end : call.started;
    const Duration off = call.finished - due;
    if (off > tolerance_ || off < Duration::Zero() - tolerance_) {
      Fail(call.at,
           "expected " + call.spec->name + "() to return at " + Clock(due) + " got " + Clock(call.finished));
    }
  }

  void Play(const Event& event, bool last) {
    const auto* packet = std::get_if<PacketSpec>(&event.body);
    if (packet != nullptr && !packet->inbound)
      return Expect(event, std::get<TcpSpec>(packet->body), packet->ecn);
    const Instant at = Begin(event.time);
    Advance(at, [] { return false; });
    if (failed_) return;
    previous_ = event.time.kind == Kind::kAny ? host_.now() : at;
    CheckUnexpected(event, last);
    if (failed_) return;
    if (packet != nullptr) {
      Give(*packet);
    } else if (const auto* call = std::get_if<CallSpec>(&event.body)) {
      Make(event, *call);
    } else if (const auto* code = std::get_if<CodeSpec>(&event.body)) {
      socket::TcpInfo info;
      host_.sockets().GetInfo(calls_.under_test(), host_.now(), &info);
      if (std::string wrong = RunCode(code->text, info); !wrong.empty()) Fail(event.at, wrong);
    }
    CheckOverdue();
  }

  // A packet that was sent too long ago for any line from here on.
  void CheckUnexpected(const Event& event, bool last) {
    if (host_.sent().empty() || (!options_.strict_end && !more_outbound_)) return;
    const LivePacket& live = host_.sent().front();
    if (!last && live.at + tolerance_ >= host_.now()) return;
    TcpSpec none;
    Fail(event.at, "expected no packet before this, got " + ToText(ToScript(live, none, flow_)) + " at " +
                       Clock(live.at));
  }

  void Give(const PacketSpec& packet) {
    if (const auto* tcp = std::get_if<TcpSpec>(&packet.body)) {
      Log("< " + ToText(*tcp));
      host_.Give(BuildTcp(*tcp, packet.ecn, flow_));
    } else {
      Log("< icmp");
      host_.Give(BuildIcmp(std::get<IcmpSpec>(packet.body), flow_));
    }
  }

  void Make(const Event& event, const CallSpec& spec) {
    auto call = std::make_unique<Call>();
    call->spec = &spec;
    call->at = event.at;
    call->has_end = event.time.call_end.has_value();
    if (call->has_end) call->must_end = ByBaseOf(event);
    Log(spec.name + "()");
    if (std::string wrong = calls_.Start(*call); !wrong.empty()) return Fail(event.at, wrong);
    pending_.push_back(std::move(call));
    const bool blocks = pending_.back()->result.pending && !pending_.back()->has_end;
    host_.Settle();
    const bool still =
        std::any_of(pending_.begin(), pending_.end(), [&](const auto& c) { return c->spec == &spec; });
    if (blocks && still)
      Fail(event.at, "expected " + spec.name + "() to return at once, got a call that blocks");
  }
  // The end of a call counts from where its start did, which has become `previous_` by now.
  Instant ByBaseOf(const Event& event) const {
    const Duration length = *event.time.call_end - event.time.at;
    return previous_ + length;
  }

  void CheckOverdue() {
    for (const auto& call : pending_) {
      if (call->has_end && host_.now() > call->must_end + tolerance_) {
        return Fail(call->at, "expected " + call->spec->name + "() to return at " + Clock(call->must_end) +
                                  " got a call that still blocks");
      }
    }
  }

  void WaitForCalls() {
    while (!pending_.empty() && !failed_) {
      const Instant until = pending_.front()->must_end + tolerance_ + Duration::Micros(20);
      const size_t before = pending_.size();
      Advance(until, [&] { return pending_.size() < before; });
      CheckOverdue();
    }
  }

  void CheckEnd() {
    if (host_.sent().empty()) return;
    const bool last_is_outbound = IsOutbound(script_.events.back());
    if (!options_.strict_end && !last_is_outbound) return;
    const LivePacket& live = host_.sent().front();
    TcpSpec none;
    Fail(script_.events.back().at, "expected no packet after this, got " +
                                       ToText(ToScript(live, none, flow_)) + " at " + Clock(live.at));
  }

  // An outbound packet, which several live segments may make up.
  void Expect(const Event& event, const TcpSpec& want, EcnSpec ecn) {
    const bool any = event.time.kind == Kind::kAny;
    const Instant at = Begin(event.time);
    const Instant end = any ? host_.now() + kPatience
                            : (event.time.range_end ? ByBase(event.time, *event.time.range_end) : at);
    TcpSpec left = want;
    Instant seen = at;
    for (bool first = true; !failed_; first = false) {
      if (!any) Advance(at, [] { return false; });
      Advance(any ? end : end + tolerance_, [this] { return !host_.sent().empty(); });
      CheckOverdue();
      if (failed_) return;
      if (host_.sent().empty()) {
        return Fail(event.at, "expected > " + ToText(want) + " at " + Clock(at) + " got no packet until " +
                                  Clock(host_.now()));
      }
      const LivePacket live = std::move(host_.sent().front());
      host_.sent().pop_front();
      if (first) seen = live.at;
      if (!any && (live.at + tolerance_ < at || live.at > end + tolerance_)) {
        return Fail(event.at, "expected > " + ToText(want) + " at " + Clock(at) + " got it at " +
                                  Clock(live.at) + " (> " + ToText(ToScript(live, left, flow_)) + ")");
      }
      if (!Matches(event, want, live, ecn, left)) return;
      if (left.length == 0) break;
    }
    previous_ = any || event.time.range_end ? seen : at;
  }

  // Compares one live segment with what is `left` of the line, and takes it off.
  bool Matches(const Event& event, const TcpSpec& want, const LivePacket& live, EcnSpec ecn, TcpSpec& left) {
    const TcpSpec got = ToScript(live, left, flow_);
    Log("> " + ToText(got));
    const bool part = got.length != 0 && got.length < left.length;
    std::string wrong = Difference(left, got, settings_.compare, part);
    const bool ours = live.src == flow_.local && live.dst == flow_.remote &&
                      live.tcp.src_port == flow_.local_port && live.tcp.dst_port == flow_.remote_port;
    if (wrong.empty() && !ours) wrong = "addresses or ports";
    if (wrong.empty() && !PayloadIsRight(live, flow_)) wrong = "payload: not what was written there";
    if (!wrong.empty()) {
      Fail(event.at, "expected > " + ToText(left.length == want.length ? want : left) + " got > " +
                         ToText(got) + " (" + wrong + ")");
      return false;
    }
    if (std::string ip = EcnDifference(ecn, live.ecn); !ip.empty()) {
      Fail(event.at, "expected > " + ToText(want) + " got " + ip);
      return false;
    }
    left.seq += got.length;
    left.length -= got.length;
    return true;
  }

  const Script& script_;
  const Settings settings_;
  const RunOptions& options_;
  Outcome outcome_;
  bool failed_ = false;
  bool more_outbound_ = true;  // this line or a later one expects a packet
  Flow flow_;
  std::vector<std::unique_ptr<Call>> pending_;
  std::vector<std::unique_ptr<Call>> kept_;  // their buffers stay valid to the end
  Host host_;
  Calls calls_;
  Instant start_;
  Instant previous_;
  Duration tolerance_;
};

std::string FindNeeds(const Script& script, const Settings& settings) {
  for (const Event& event : script.events) {
    std::string needs;
    if (const auto* call = std::get_if<CallSpec>(&event.body)) needs = Calls::Needs(*call);
    if (const auto* code = std::get_if<CodeSpec>(&event.body)) needs = CodeNeeds(code->text);
    if (const auto* shell = std::get_if<ShellSpec>(&event.body)) needs = ShellNeeds(shell->text, settings);
    if (!needs.empty()) return needs;
  }
  return {};
}

}  // namespace

Outcome RunScript(const Script& script_in, const RunOptions& options) {
  Script script = script_in;
  script.options.insert(script.options.begin(), options.options.begin(), options.options.end());
  Settings settings = SettingsFor(script, options.ipv6);
  settings.compare.check_psh |= options.check_psh;
  settings.compare.zero_windows_only |= options.zero_windows_only;
  if (settings.needs.empty()) settings.needs = FindNeeds(script, settings);
  if (!settings.needs.empty()) return {.verdict = Verdict::kSkip, .text = settings.needs};
  return Runner(script, settings, options).Run();
}

Outcome RunText(const std::string& text, const RunOptions& options) {
  std::string needs;
  const std::variant<Script, ScriptError> parsed = Parse(text, &needs);
  if (const auto* error = std::get_if<ScriptError>(&parsed)) {
    return {
        .verdict = Verdict::kFail, .line = error->at.line, .column = error->at.column, .text = error->what};
  }
  if (!needs.empty()) return {.verdict = Verdict::kSkip, .text = needs};
  return RunScript(std::get<Script>(parsed), options);
}

}  // namespace tern::script
