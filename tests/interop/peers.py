#!/usr/bin/python3 -I
"""Echo (RFC 862), discard (RFC 863) and an endless pattern on kernel sockets: the peer of tern's own clients.

Reads and writes in pieces of random size, some sockets with small buffers, some slow. The discard service checks the
known pattern (apps/pattern.h). Prints {"event": "ready"}, and at SIGINT or SIGTERM a summary; the exit status is 0 only
when every octet was right.
"""

import argparse
import collections
import heapq
import json
import os
import random
import resource
import select
import signal
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "apps"))
from demo_client import MASK, PIECE, WORDS, Pattern, hash_of  # noqa: E402

MOST_PENDING = 1 << 18


class Stream:
    """One accepted connection."""

    def __init__(self, server, sock, rng):
        self.server, self.sock, self.rng = server, sock, rng
        self.received = self.sent = 0
        self.resume_at = 0.0
        self.ended = False  # the peer sent its FIN
        self.stalled = False
        args = server.args
        self.random = args.random
        if self.random and rng.random() < 0.3:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        if self.random:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, rng.random() < 0.5)

    def piece(self):
        return self.rng.randrange(1, 40000) if self.random and self.rng.random() < 0.7 else PIECE

    def wants_read(self):
        return not self.ended

    def wants_write(self):
        return False

    def events(self):
        reads = self.wants_read() and not self.resume_at
        return (select.EPOLLIN if reads else 0) | (select.EPOLLOUT if self.wants_write() else 0)

    def maybe_pause(self):
        args = self.server.args
        if args.stall and not self.stalled and self.received >= args.stall_after:
            self.stalled = True
            self.server.pause(self, args.stall)
        elif self.random and self.rng.random() < 0.002:
            self.server.pause(self, 0.02 + 0.1 * self.rng.random())

    def must_abort(self):
        args = self.server.args
        return args.abort_after is not None and self.received + self.sent >= args.abort_after

    def read(self):
        """False when the connection is over."""
        data = self.sock.recv(self.piece())
        if not data:
            self.ended = True
            return self.on_end()
        self.on_data(data)
        self.received += len(data)
        self.server.octets_in += len(data)
        self.maybe_pause()
        return True

    def write(self):
        return True

    def count_sent(self, octets):
        self.sent += octets
        self.server.octets_out += octets

    def on_end(self):
        return False


class Echo(Stream):
    def __init__(self, *args):
        super().__init__(*args)
        self.pending = collections.deque()
        self.octets = 0

    def wants_read(self):
        return not self.ended and self.octets < MOST_PENDING

    def wants_write(self):
        return bool(self.pending)

    def on_data(self, data):
        flip = self.server.args.flip
        if flip is not None and self.received <= flip < self.received + len(data):
            at = flip - self.received
            data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
        self.pending.append(data)
        self.octets += len(data)

    def write(self):
        data = self.pending.popleft()
        sent = self.sock.send(data[:self.piece()])
        if sent < len(data):
            self.pending.appendleft(data[sent:])
        self.octets -= sent
        self.count_sent(sent)
        return self.pending or not self.ended

    def on_end(self):
        return bool(self.pending)


class Sink(Stream):
    def __init__(self, *args):
        super().__init__(*args)
        self.head = b""
        self.phase = None
        self.hash = 1

    def on_data(self, data):
        pattern = self.server.pattern
        at = self.received
        if self.phase is None:
            at -= len(self.head)
            self.head += data
            if len(self.head) < 8:
                return
            data, self.head = self.head, b""
            self.phase = pattern.phases.get(data[:8])
            if self.phase is None:
                raise ValueError("a stream that is not of the pattern")
        for start in range(0, len(data), PIECE):
            wrong = pattern.first_difference(self.phase, at + start, data[start:start + PIECE])
            if wrong is not None:
                raise ValueError("octet %d of a stream is wrong" % (at + start + wrong))
        self.hash = hash_of(data, self.hash)

    def on_end(self):
        if self.phase is None:
            self.hash = hash_of(self.head, self.hash)
        server = self.server
        server.sink_streams += 1
        server.sink_matched += self.phase is not None
        server.sink_octets += self.received
        server.sink_hash_sum = server.sink_hash_sum + self.hash & MASK
        return False


class Source(Stream):
    """Sends until the peer's FIN, or --limit octets and then its own FIN first."""

    def __init__(self, *args):
        super().__init__(*args)
        self.phase = self.rng.randrange(WORDS)
        self.shut = False

    def left(self):
        limit = self.server.args.limit
        return PIECE if limit is None else limit - self.sent

    def wants_write(self):
        return not self.ended and not self.shut

    def on_data(self, data):
        pass

    def write(self):
        length = min(self.piece(), self.left())
        if length:
            data = self.server.pattern.slice(self.phase, self.sent, length)
            flip = self.server.args.flip
            if flip is not None and self.sent <= flip < self.sent + len(data):
                data = bytearray(data)
                data[flip - self.sent] ^= 1
            self.count_sent(self.sock.send(data))
        if self.left() == 0:
            self.shut = True
            self.sock.shutdown(socket.SHUT_WR)
        return True


SERVICES = {"echo": Echo, "sink": Sink, "source": Source}


class Server:
    def __init__(self, args):
        self.args = args
        self.pattern = Pattern()
        self.rng = random.Random(args.seed)
        self.poll = select.epoll()
        self.listeners, self.streams, self.pauses = {}, {}, []
        self.accepted = self.graceful = self.resets = self.octets_in = self.octets_out = 0
        self.sink_streams = self.sink_matched = self.sink_octets = self.sink_hash_sum = 0
        self.failures = []
        self.stopping = False
        for name, service in SERVICES.items():
            port = getattr(args, name)
            if port:
                self.listen(port, service)

    def listen(self, port, service):
        listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # both families
        if self.args.rcvbuf:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.args.rcvbuf)
        listener.bind(("::", port))
        listener.listen(4096)
        self.listeners[listener.fileno()] = (listener, service)
        self.poll.register(listener.fileno(), select.EPOLLIN)

    def accept(self, listener, service):
        for _ in range(64):
            try:
                sock, _ = listener.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                continue
            self.accepted += 1
            sock.setblocking(False)
            stream = service(self, sock, random.Random(self.rng.getrandbits(64)))
            self.streams[sock.fileno()] = stream
            stream.registered = stream.events()
            self.poll.register(sock.fileno(), stream.registered)

    def pause(self, stream, seconds):
        stream.resume_at = time.monotonic() + seconds
        heapq.heappush(self.pauses, (stream.resume_at, id(stream), stream))

    def drop(self, stream, abort=False):
        fd = stream.sock.fileno()
        self.poll.unregister(fd)
        del self.streams[fd]
        stream.resume_at = 0.0
        if abort:
            stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stream.sock.close()

    def step(self, stream, mask):
        try:
            on = True
            if mask & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR) and stream.wants_read():
                on = stream.read()
            if on and mask & select.EPOLLOUT and stream.wants_write():
                on = stream.write()
        except BlockingIOError:
            return
        except (ConnectionResetError, BrokenPipeError):
            self.resets += 1
            self.drop(stream)
            return
        except (OSError, ValueError) as error:
            self.failures.append(str(error))
            self.drop(stream, abort=True)
            return
        if stream.must_abort():
            self.drop(stream, abort=True)
        elif not on:
            self.graceful += 1
            self.drop(stream)
        else:
            self.update(stream)

    def update(self, stream):
        wanted = stream.events()
        if wanted != stream.registered:
            stream.registered = wanted
            self.poll.modify(stream.sock.fileno(), wanted)

    def wake_paused(self):
        now = time.monotonic()
        while self.pauses and self.pauses[0][0] <= now:
            stream = heapq.heappop(self.pauses)[2]
            if stream.resume_at:
                stream.resume_at = 0.0
                self.update(stream)

    def run(self):
        while not self.stopping:
            for fd, mask in self.poll.poll(0.02 if self.pauses else 0.2, 512):
                if fd in self.listeners:
                    self.accept(*self.listeners[fd])
                elif fd in self.streams:
                    self.step(self.streams[fd], mask)
            self.wake_paused()

    def summary(self):
        return {"event": "summary", "accepted": self.accepted, "graceful": self.graceful, "resets": self.resets,
                "octets_in": self.octets_in, "octets_out": self.octets_out, "open": len(self.streams),
                "sink_hash_sum": "%016x" % self.sink_hash_sum,
                "failures": self.failures[:10]}


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in SERVICES:
        parser.add_argument("--" + name, type=int, default=0, metavar="PORT")
    parser.add_argument("--random", action="store_true", help="pieces, buffers and pauses at random")
    parser.add_argument("--rcvbuf", type=int, default=0, help="SO_RCVBUF of all")
    parser.add_argument("--stall", type=float, default=0, metavar="S", help="stop reading for so long, once a stream")
    parser.add_argument("--stall-after", type=int, default=0, metavar="B", help="when so much has come")
    parser.add_argument("--abort-after", type=int, metavar="B", help="reset when so much has come and gone")
    parser.add_argument("--limit", type=int, metavar="B", help="of the source: end the stream after so much")
    parser.add_argument("--flip", type=int, metavar="B", help="damage this octet of what echo and source send")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(argv)


def raise_file_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main(argv):
    raise_file_limit()
    server = Server(parse(argv))

    def stop(*_):
        server.stopping = True
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    print(json.dumps({"event": "ready"}), flush=True)
    server.run()
    print(json.dumps(server.summary()), flush=True)
    return 1 if server.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
