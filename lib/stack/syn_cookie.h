// SYN cookies (RFC 4987 3.6): what a half-open entry would keep goes into our SYN-ACK instead, and comes back
// with the ACK.
#ifndef TERN_STACK_SYN_COOKIE_H_
#define TERN_STACK_SYN_COOKIE_H_

#include <array>
#include <cstdint>
#include <optional>

#include "base/hash.h"
#include "base/instant.h"
#include "base/seq_num.h"
#include "wire/flow_key.h"

namespace tern::stack {

enum class SynCookies : uint8_t {
  kOff,          // past its backlog a listener drops SYNs
  kPastBacklog,  // past its backlog, and with the half-open table full, a listener answers with cookies
  kAlways,       // no SYN leaves an entry behind, but one that takes TIME-WAIT's place
};

// What of a peer's SYN outlives it. Without timestamps there is room for the MSS only.
struct SynFacts {
  uint16_t mss = 0;   // one of kCookieMss once it was in a cookie
  int8_t scale = -1;  // -1: the peer does not scale
  bool timestamps = false;
  bool sack = false;
  bool ecn = false;

  bool operator==(const SynFacts&) const = default;
};

// The values that three bits can name, each a size that paths and stacks really have, less the fixed headers:
// TCP's floor here; IPv4's and IPv6's defaults (RFC 9293 3.7.1); tunnels; Ethernet by IPv6 and IPv4; jumbo
// frames by IPv6. The largest that is not above the peer's own is taken.
inline constexpr std::array<uint16_t, 8> kCookieMss = {48, 256, 536, 1'220, 1'360, 1'440, 1'460, 8'940};

enum class CookieVerdict : uint8_t {
  kInvalid,   // not ours, of another tuple, or too old
  kNotFirst,  // ours, but nothing tells what came before it: the segment does not follow the SYN
  kGood,
};

// Makes and checks cookies. A value, the same in every shard of a stack, so that any of them takes what
// another gave.
//
// The sequence number, from the top: 3 bits of the MSS, masked by a keyed hash; 15 bits of that hash, over
// tuple, time, the peer's ISN and the other facts; 14 bits of one over tuple and time alone. To everybody
// else it is as random as any ISN. Whoever guesses hits once in 2^28 segments, since two periods are good at
// any time. The last 14 bits know a segment behind the first again, where ACK and first data were lost: it
// opens nothing, but a RST would end what the peer's next retransmission brings to life. They are the low
// ones because then what acknowledges data does not match.
//
// The timestamp: window scale, SACK and ECN take the low six bits of the TSval that our SYN-ACK carries, and
// the value is rounded down, by less than 64 ticks, to one that has these bits. So it is never ahead of the
// clock, and what the tuple's connection sends afterwards, by the clock, is never behind it (RFC 7323
// 3, 5.4).
class SynCookie {
 public:
  // Time goes into the hash in steps of this. A cookie is good in the step it was made in and in the next: at
  // least 64 s, at most 128 s. Linux allows as much.
  static constexpr Duration kPeriod = Duration::Seconds(64);

  explicit SynCookie(const HashKey& secret) : secret_(secret) {}

  // `offered` as far as a cookie can keep it: this is what the SYN-ACK may agree to. REQUIRES: offered.mss is
  // what the peer said, or the family's default.
  static SynFacts Keep(const SynFacts& offered);

  // Our ISN in the SYN-ACK. REQUIRES: `facts` came from Keep.
  SeqNum Sequence(const wire::FlowKey& key, SeqNum irs, const SynFacts& facts, Instant now) const;
  // The TSval of the SYN-ACK. `clock` is what the tuple's timestamp clock says now.
  static uint32_t Timestamp(uint32_t clock, const SynFacts& facts);

  // `iss` and `irs`: one less than SEG.ACK and SEG.SEQ. `tsecr`: the timestamp that the segment echoes;
  // nothing when it has none or we use none. With kGood `*facts` is what the cookie says.
  CookieVerdict Check(const wire::FlowKey& key, SeqNum irs, SeqNum iss, std::optional<uint32_t> tsecr,
                      Instant now, SynFacts* facts) const;

 private:
  struct Hashes {
    uint64_t tuple;
    uint64_t all;
  };
  Hashes Hash(const wire::FlowKey& key, SeqNum irs, uint8_t options, int64_t period) const;

  HashKey secret_;
};

}  // namespace tern::stack

#endif  // TERN_STACK_SYN_COOKIE_H_
