// Tier 1: application code that runs on the worker, called when something happened.
#ifndef TERN_TERN_HANDLER_H_
#define TERN_TERN_HANDLER_H_

#include <functional>
#include <memory>

#include "tern/connection.h"
#include "tern/export.h"

namespace tern {

class Worker;

// What an application does with its connections. One object serves all connections of one listener (or of
// many Worker::Connect calls) on one worker; what belongs to one connection hangs off Connection::context().
//
// An echo server, whole:
//
//   class Echo : public tern::Handler {
//     void OnReadable(tern::Connection conn) override { Pump(conn); }
//     void OnWritable(tern::Connection conn) override { Pump(conn); }
//     void Pump(tern::Connection conn) {
//       while (size_t room = conn.SendRoom()) {
//         tern::Payload data = conn.Receive(room);
//         if (data.empty()) break;
//         conn.Send(std::move(data));
//       }
//       if (conn.AtEnd()) conn.Close();
//     }
//   };
//
// Thread: always the same worker, never two calls at once, so a Handler needs no lock. It must not block: the
// worker's every connection waits while it runs. Any call on any connection of the worker is allowed inside.
// Exceptions must not leave it.
//
// Order, for one connection: OnConnected once; then OnUrgent, OnReadable, OnWritable, OnPeerClosed and
// OnTrouble as they happen, several causes of one moment in this order; OnClosed once, as the last call. An
// open that fails gives OnClosed, and perhaps OnTrouble before it.
class TERN_EXPORT Handler {
 public:
  virtual ~Handler();

  // The handshake is complete; both ways.
  virtual void OnConnected(Connection conn);
  // More data waits than at the last call, or the peer ended its stream: Receive until it is empty, or leave
  // it there to hold the peer back; it is not told again until more comes.
  virtual void OnReadable(Connection conn);
  // There is room again after a Send was cut short or SendRoom() was zero.
  virtual void OnWritable(Connection conn);
  // The peer ended its stream (FIN). Data may still wait; this side may go on sending.
  virtual void OnPeerClosed(Connection conn);
  // The peer marked data urgent that is still to be received, or the urgent octet that is kept apart came.
  virtual void OnUrgent(Connection conn);
  // Something is wrong, and TCP goes on trying; Abort if that is not wanted. Close reasons do not come this
  // way.
  virtual void OnTrouble(Connection conn, Trouble trouble);
  // It is over, and every octet that the peer sent and had acknowledged was taken or, after a reset, lost.
  // Free what hangs off context(); addresses and Info() are gone.
  virtual void OnClosed(Connection conn, CloseReason reason);
};

// Makes the Handler of one worker. Called once for each worker, on that worker, before its first connection;
// the stack destroys the handler on the same worker when it stops. Nullptr is an error that Listen (or Start)
// reports.
using HandlerFactory = std::function<std::unique_ptr<Handler>(Worker& worker)>;

// Work of the application's own on a worker, beside connections: load generators, periodic jobs.
// Thread: the worker, like a Handler.
class TERN_EXPORT Task {
 public:
  virtual ~Task();
  // Once, before the first Poll.
  virtual void OnStart(Worker& worker);
  // Each turn of the loop. Returns whether it did something: a worker whose tasks and queues have nothing to
  // do goes to sleep until its next timer, and its turn counts as idle. To be called at a given time, set a
  // timer (Worker::After).
  virtual bool OnPoll(Worker& worker) = 0;
  // Once, when the stack stops, before connections are closed.
  virtual void OnStop(Worker& worker);
};

// As HandlerFactory.
using TaskFactory = std::function<std::unique_ptr<Task>(Worker& worker)>;

}  // namespace tern

#endif  // TERN_TERN_HANDLER_H_
