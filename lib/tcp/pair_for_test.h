// Two connections and the wire between them, in virtual time, without a stack. For tests of this room.
#ifndef TERN_TCP_PAIR_FOR_TEST_H_
#define TERN_TCP_PAIR_FOR_TEST_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "base/heap_buffer_pool.h"
#include "tcp/connection.h"

namespace tern::tcp {

// A segment on the wire, with its payload copied out.
struct WireSegment {
  SeqNum seq;
  SeqNum ack;
  uint8_t flags = 0;
  uint16_t window = 0;
  uint16_t urgent = 0;
  wire::TcpOptions options;
  std::vector<uint8_t> payload;
  bool retransmission = false;
  bool from_client = false;
  int number = 0;  // counts from 1 in each direction

  bool Has(uint8_t flag) const { return (flags & flag) != 0; }
};
std::string ToString(const WireSegment& segment);

// One end: a connection with pools of its own, and what its application saw.
struct Endpoint {
  explicit Endpoint(const TcpConfig& config);
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  TcpConfig config;
  HeapBufferPool buffers;
  SlotPool<ColdState> cold;
  SlotPool<SendRecord> records;
  ReassemblyPool ranges;
  Environment env;
  Connection conn;

  uint16_t events = 0;  // all since the test last cleared them
  CloseReason reason = CloseReason::kNone;
  std::vector<uint8_t> received;
  bool reading = true;  // false: the application leaves data where it is
  std::vector<DropReason> drops;
  int withheld = 0;  // challenge ACKs
  int doubts = 0;    // about the route
};

class Pair {
 public:
  // True: the segment is lost.
  using DropRule = std::function<bool(const WireSegment&)>;

  explicit Pair(const TcpConfig& client_config = {}, const TcpConfig& server_config = {});

  Endpoint client;
  Endpoint server;
  Instant now = Instant::FromNanos(1'000'000'000);
  Duration delay = Duration::Millis(10);  // one way
  DropRule drop;
  std::vector<WireSegment> log;  // everything sent, lost or not, in order
  uint16_t link_mss = 1460;
  SeqNum client_iss{1'000};
  SeqNum server_iss{5'000'000};

  void Connect();  // active open at the client, not run yet
  // Runs until `until` or until nothing more will happen.
  void RunFor(Duration duration);
  void Write(Endpoint& end, const std::vector<uint8_t>& bytes);
  // Puts a crafted segment on the wire towards `to`, arriving now.
  void Inject(Endpoint& to, WireSegment segment);
  // Hands `bytes` of pattern over as fast as the send buffer takes them, and reads them at the other end.
  bool Transfer(Endpoint& from, Endpoint& to, size_t bytes, Duration limit);
  void Read(Endpoint& end);
  void Close(Endpoint& end);
  void Shutdown(Endpoint& end);
  void Abort(Endpoint& end);

  std::vector<WireSegment> Sent(bool by_client) const;

 private:
  struct InFlight {
    Instant at;
    WireSegment segment;
  };

  void Emit(Endpoint& from, WireSegment segment);
  void Deliver(const WireSegment& segment);
  void DeliverTo(Endpoint& end, const WireSegment& segment);
  void ServerHandshake(const WireSegment& segment);
  void Apply(Endpoint& end, Effects& effects);
  void Drain(Endpoint& end);
  Instant NextEvent() const;
  OpenParams Params(SeqNum iss) const;

  std::deque<InFlight> wire_;
  int sent_[2] = {0, 0};
  WireSegment syn_;  // the SYN that the server answered
};

// Opens the connection and lets `wait` pass, in which both ends are to be established.
void Establish(Pair& pair, Duration wait = Duration::Millis(100));

// Octet `i` of the test stream.
uint8_t PatternAt(size_t i);
std::vector<uint8_t> Pattern(size_t from, size_t length);

}  // namespace tern::tcp

#endif  // TERN_TCP_PAIR_FOR_TEST_H_
