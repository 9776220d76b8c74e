#!/usr/bin/python3 -I
"""Drives echo (RFC 862), discard (RFC 863) and pattern servers with kernel sockets and checks every byte.

Opens many connections of random shape: sizes from nothing to --max-bytes, writes cut at random, half-closed or
counted, slow readers, some reset half-way. Needs nothing but the standard library. What is sent is the known pattern
of apps/pattern.h, each stream from a phase of its own, so that a byte that strayed between connections shows.

Prints one JSON object on stdout. Exit status: 0 all right, 1 something was wrong (stderr says what, and the seed), 2
bad arguments.
"""

import argparse
import errno
import heapq
import json
import math
import os
import random
import select
import socket
import struct
import sys
import time

MASK = 2**64 - 1
WORDS = 131071
PERIOD = WORDS * 8
PIECE = 1 << 18  # most that is read, written or compared in one go
HASH_PRIME = 2**64 - 59


def mix(x):
    x ^= x >> 30
    x = x * 0xBF58476D1CE4E5B9 & MASK
    x ^= x >> 27
    x = x * 0x94D049BB133111EB & MASK
    return x ^ x >> 31


class Pattern:
    """The stream of apps/pattern.h as one table that is sliced and compared at memory speed."""

    def __init__(self):
        words = [struct.pack("<Q", mix((k + 1) * 0x9E3779B97F4A7C15 & MASK)) for k in range(WORDS)]
        self.phases = {word: k for k, word in enumerate(words)}
        table = b"".join(words)
        self.bytes = table + table[:PIECE]
        self.table = memoryview(self.bytes)

    def slice(self, phase, position, length):
        at = (phase * 8 + position) % PERIOD
        return self.table[at:at + min(length, PIECE)]

    def first_difference(self, phase, position, data):
        """Where `data` leaves the pattern, or None."""
        at = (phase * 8 + position) % PERIOD
        expected = self.bytes[at:at + len(data)]  # bytes compare as memory does, views one by one
        if data == expected:
            return None
        return next(i for i in range(len(data)) if data[i] != expected[i])


def hash_of(data, value=1):
    """The running hash of apps/pattern.h, continued from `value`."""
    return (value * pow(256, len(data), HASH_PRIME) + int.from_bytes(data, "big")) % HASH_PRIME


class Wrong(Exception):
    """Something that a correct server would not have done."""


class Connection:
    """One socket on its way through its script. Subclasses say what is wanted and what to do when it can be done."""

    kind = ""

    def __init__(self, run, target, rng):
        self.run, self.target, self.rng = run, target, rng
        self.phase = rng.randrange(WORDS)
        self.sent = self.received = 0
        self.connected = False
        self.write_open = True
        self.paused_until = 0.0
        self.registered = 0
        self.started = time.monotonic()
        self.sock = socket.socket(target[0], socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        if run.args.buffer and rng.random() < 0.5:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, run.args.buffer)
        error = self.sock.connect_ex(target[1])
        if error not in (0, errno.EINPROGRESS):
            raise OSError(error, os.strerror(error))

    def finish_connect(self):
        error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, "%s: %s port %d" % ((os.strerror(error),) + self.target[1][:2]))
        self.connected = True
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, self.rng.random() < 0.5)
        self.on_connect()

    def events(self):
        if not self.connected:
            return select.EPOLLOUT
        return (select.EPOLLOUT if self.wants_write() else 0) | (0 if self.paused_until else select.EPOLLIN)

    def handle(self, mask):
        """Acts on epoll's word; True when the script is through."""
        if not self.connected:
            self.finish_connect()
            return False
        if mask & (select.EPOLLOUT | select.EPOLLERR) and self.wants_write():
            self.write_some()
        if mask & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR) and not self.paused_until:
            return self.read_some()
        return False

    def read_some(self):
        try:
            data = self.sock.recv(PIECE)
        except BlockingIOError:
            return False
        if not data:
            return self.on_end()
        self.run.octets_in += len(data)
        return self.on_data(data)

    def check(self, phase, data):
        where = self.run.pattern.first_difference(phase, self.received, data)
        if where is not None:
            raise Wrong("%s: byte %d of the stream is wrong" % (self.kind, self.received + where))
        self.received += len(data)

    def send_pattern(self, length):
        """Sends at most `length` octets of this connection's stream."""
        try:
            done = self.sock.send(self.run.pattern.slice(self.phase, self.sent, length))
        except BlockingIOError:
            return
        self.sent += done
        self.run.octets_out += done

    def end_writing(self):
        if self.write_open:
            self.write_open = False
            self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """Has close() send RST; as the answer of handle(): through."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return True

    def on_connect(self):
        pass


class Sender(Connection):
    """What echo and sink share: a stream of random length, written in random pieces, perhaps reset half-way."""

    def __init__(self, run, target, rng):
        self.total = run.random_size(rng)
        super().__init__(run, target, rng)
        shape = rng.random()
        self.aborts_at = rng.randrange(self.total) if self.total and shape < run.args.abort else None

    def wants_write(self):
        return self.write_open

    def write_some(self):
        # Half of the writes are as large as the socket takes, half are cut at random.
        limit = PIECE if self.rng.random() < 0.5 else self.rng.randrange(1, 5000)
        end = self.total if self.aborts_at is None else self.aborts_at  # a whole stream could not be reset
        if self.sent < end:
            self.send_pattern(min(limit, end - self.sent))
        if self.sent == self.total:
            self.on_all_sent()

    def handle(self, mask):
        done = super().handle(mask)
        if self.connected and self.aborts_at is not None and self.sent >= self.aborts_at:
            self.run.counts["aborted"] += 1
            return self.reset()
        return done


class Echo(Sender):
    kind = "echo"

    def __init__(self, run, target, rng):
        super().__init__(run, target, rng)
        self.half_close = rng.random() < run.args.half_close
        self.slow = rng.random() < run.args.slow

    def on_connect(self):
        if self.slow:
            self.run.pause(self, 0.05 + 0.2 * self.rng.random())

    def on_all_sent(self):
        if self.half_close:
            self.end_writing()
        self.write_open = False

    def handle(self, mask):
        done = super().handle(mask)
        # An empty stream that is not half-closed is over as soon as it began.
        return done or self.connected and not self.write_open and not self.half_close and self.received == self.total

    def on_data(self, data):
        if self.received + len(data) > self.sent:
            raise Wrong("echo: %d octets back, %d sent" % (self.received + len(data), self.sent))
        self.check(self.phase, data)
        return not self.half_close and self.received == self.total

    def on_end(self):
        if not self.half_close or self.received != self.total:
            raise Wrong("echo: the stream ended after %d of %d octets" % (self.received, self.total))
        return True


class Sink(Sender):
    """Sends, half-closes, and expects nothing but the server's end. The run adds up what a server should report."""

    kind = "sink"

    def on_all_sent(self):
        self.end_writing()

    def on_data(self, data):
        raise Wrong("sink: %d octets came back" % len(data))

    def on_end(self):
        if self.sent != self.total or self.write_open:
            raise Wrong("sink: the server ended the stream after %d of %d octets" % (self.sent, self.total))
        self.run.sink_octets += self.total
        self.run.sink_streams += 1
        self.run.sink_hash_sum = (self.run.sink_hash_sum + self.run.hash_of_stream(self.phase, self.total)) & MASK
        return True


class Source(Connection):
    """Reads a random length of the endless pattern, then half-closes and reads to the end, or resets."""

    kind = "source"

    def __init__(self, run, target, rng):
        self.total = max(1, run.random_size(rng))
        super().__init__(run, target, rng)
        self.polite = rng.random() < run.args.half_close
        self.head = b""

    def wants_write(self):
        return False

    def on_data(self, data):
        if len(self.head) < 8:
            self.head += data
            if len(self.head) < 8:
                return False
            data = self.head
            self.phase = self.run.pattern.phases.get(data[:8])
            if self.phase is None:
                raise Wrong("source: does not begin with a word of the pattern")
            for at in range(0, len(data), PIECE):
                self.check(self.phase, data[at:at + PIECE])
        else:
            self.check(self.phase, data)
        if self.received < self.total:
            return False
        if not self.polite:
            return self.reset()
        self.end_writing()
        return False

    def on_end(self):
        if not self.polite or self.received < self.total:
            raise Wrong("source: the endless stream ended after %d octets" % self.received)
        return True


class Ping(Connection):
    """Sends a request, waits for its echo, sends the next: the latency of a closed loop."""

    kind = "ping"

    def __init__(self, run, target, rng):
        super().__init__(run, target, rng)
        self.left = run.args.requests
        self.due = 0  # octets of the current request still to come back

    def on_connect(self):
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.next_request()

    def wants_write(self):
        return False

    def next_request(self):
        self.asked = time.perf_counter_ns()
        before = self.sent
        self.due = self.run.args.size
        self.send_pattern(self.due)
        if self.sent - before != self.due:
            raise Wrong("ping: a request of %d octets does not fit into the socket" % self.due)

    def on_data(self, data):
        self.check(self.phase, data)
        self.due -= len(data)
        if self.due < 0:
            raise Wrong("ping: more came back than was sent")
        if self.due == 0:
            self.run.latencies.append(time.perf_counter_ns() - self.asked)
            self.left -= 1
            if self.left == 0:
                return True
            self.next_request()
        return False

    def on_end(self):
        raise Wrong("ping: the server ended the stream")


class Run:
    def __init__(self, args):
        self.args = args
        self.rng = random.Random(args.seed)
        self.pattern = Pattern()
        self.poll = select.epoll()
        self.live = {}
        self.pauses = []
        self.failures = []
        self.latencies = []
        self.counts = dict.fromkeys(("echo", "sink", "source", "ping", "aborted"), 0)
        self.octets_in = self.octets_out = self.sink_octets = self.sink_streams = self.sink_hash_sum = 0
        self.hash_cache = {}
        self.plan = [(Echo, t) for t in args.echo] + [(Sink, t) for t in args.sink]
        self.plan += [(Source, t) for t in args.source] + [(Ping, t) for t in args.ping]

    def random_size(self, rng):
        """Log-uniform, so that empty, tiny and large streams all occur often."""
        low, high = self.args.min_bytes, self.args.max_bytes
        return min(high, int(math.exp(rng.uniform(math.log(low + 1), math.log(high + 1)))) - 1 if low < high else high)

    def hash_of_stream(self, phase, length):
        value = 1
        for at in range(0, length, PIECE):
            value = hash_of(self.pattern.slice(phase, at, length - at), value)
        return value

    def pause(self, connection, seconds):
        connection.paused_until = time.monotonic() + seconds
        heapq.heappush(self.pauses, (connection.paused_until, id(connection), connection))

    def start_one(self, index):
        cls, target = self.plan[index % len(self.plan)]
        rng = random.Random(self.rng.getrandbits(64))
        try:
            connection = cls(self, target, rng)
        except OSError as error:
            self.failures.append("connection %d (%s): %s" % (index, cls.kind, error))
            return
        connection.index = index
        self.live[connection.sock.fileno()] = connection
        connection.registered = connection.events()
        self.poll.register(connection.sock.fileno(), connection.registered)

    def finish(self, fd, connection):
        del self.live[fd]
        self.poll.unregister(fd)
        connection.sock.close()

    def step(self, fd, mask):
        connection = self.live.get(fd)
        if connection is None:
            return
        try:
            done = connection.handle(mask)
        except (Wrong, OSError) as error:
            self.failures.append("connection %d (%s): %s" % (connection.index, connection.kind, error))
            self.finish(fd, connection)
            return
        if done:
            self.counts[connection.kind] += 1
            self.finish(fd, connection)
            return
        self.update(fd, connection)

    def update(self, fd, connection):
        wanted = connection.events()
        if wanted != connection.registered:
            connection.registered = wanted
            self.poll.modify(fd, wanted)

    def wake_paused(self):
        now = time.monotonic()
        while self.pauses and self.pauses[0][0] <= now:
            connection = heapq.heappop(self.pauses)[2]
            connection.paused_until = 0.0
            fd = connection.sock.fileno()
            if self.live.get(fd) is connection:
                self.update(fd, connection)

    def all(self):
        begin = time.monotonic()
        started = 0
        while started < self.args.connections or self.live:
            while started < self.args.connections and len(self.live) < self.args.concurrency:
                self.start_one(started)
                started += 1
            for fd, mask in self.poll.poll(0.02 if self.pauses else 0.5, 512):
                self.step(fd, mask)
            self.wake_paused()
            if len(self.failures) > 20:
                break
            if time.monotonic() - begin > self.args.timeout:
                self.report_stuck()
                break
        return time.monotonic() - begin

    def report_stuck(self):
        for connection in list(self.live.values())[:10]:
            self.failures.append("connection %d (%s, local port %d): not through after %g s; sent %d, received %d, of %s" % (
                connection.index, connection.kind, connection.sock.getsockname()[1], self.args.timeout, connection.sent,
                connection.received, getattr(connection, "total", "?")))
        self.failures.append("%d connections were not through in time" % len(self.live))

    def summary(self, seconds):
        result = dict(self.counts)
        result.update(seconds=round(seconds, 3), octets_in=self.octets_in, octets_out=self.octets_out,
                      sink_streams=self.sink_streams, sink_octets=self.sink_octets,
                      sink_hash_sum="%016x" % self.sink_hash_sum, failures=len(self.failures), seed=self.args.seed,
                      mbit_per_s=round((self.octets_in + self.octets_out) * 8 / seconds / 1e6, 1))
        if self.latencies:
            ordered = sorted(self.latencies)
            for percent in (50, 99, 99.9):
                at = min(len(ordered) - 1, int(len(ordered) * percent / 100))
                result["p%g_us" % percent] = round(ordered[at] / 1000, 1)
            result["requests_per_s"] = round(len(ordered) / seconds, 1)
        return result


def endpoint(text):
    """HOST:PORT or [HOST]:PORT to (family, address)."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise argparse.ArgumentTypeError("%r: expected HOST:PORT or [HOST]:PORT" % text)
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise argparse.ArgumentTypeError("%r: %s" % (text, error)) from error
    return found[0], found[4]


def size(text):
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    number = text.upper().removesuffix("IB").removesuffix("B")
    try:
        return int(float(number[:-1]) * units[number[-1]]) if number[-1:] in units else int(number)
    except ValueError as error:
        raise argparse.ArgumentTypeError("%r: expected octets, as 4096, 64K or 1GiB" % text) from error


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, what in (("echo", "echo server"), ("sink", "discard server"), ("source", "pattern server"),
                       ("ping", "echo server, for requests of --size one after the other")):
        parser.add_argument("--" + name, type=endpoint, action="append", default=[], metavar="HOST:PORT",
                            help=what + "; may be repeated, connections take turns")
    parser.add_argument("--connections", type=int, default=1000, metavar="N", help="in all (1000)")
    parser.add_argument("--concurrency", type=int, default=500, metavar="N", help="open at the same time (500)")
    parser.add_argument("--min-bytes", type=size, default=0, metavar="B", help="shortest stream (0)")
    parser.add_argument("--max-bytes", type=size, default=100_000, metavar="B", help="longest stream (100000)")
    parser.add_argument("--half-close", type=float, default=0.5, metavar="F", help="share that half-closes (0.5)")
    parser.add_argument("--abort", type=float, default=0.0, metavar="F", help="share that is reset half-way (0)")
    parser.add_argument("--slow", type=float, default=0.05, metavar="F", help="share that reads late (0.05)")
    parser.add_argument("--buffer", type=size, default=8192, metavar="B",
                        help="SO_RCVBUF of every other socket, for small windows; 0: none (8192)")
    parser.add_argument("--size", type=size, default=64, metavar="B", help="octets of a --ping request (64)")
    parser.add_argument("--requests", type=int, default=100, metavar="N", help="of each --ping connection (100)")
    parser.add_argument("--timeout", type=float, default=120, metavar="S", help="for the whole run (120)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="the run's shape follows from it (1)")
    args = parser.parse_args(argv)
    if not (args.echo or args.sink or args.source or args.ping):
        parser.error("nothing to drive: give --echo, --sink, --source or --ping")
    if args.min_bytes > args.max_bytes:
        parser.error("--min-bytes is larger than --max-bytes")
    return args


def main(argv):
    run = Run(parse(argv))
    seconds = run.all()
    print(json.dumps(run.summary(seconds)))
    for failure in run.failures:
        print("demo_client: %s" % failure, file=sys.stderr)
    if run.failures:
        print("demo_client: again with --seed %d" % run.args.seed, file=sys.stderr)
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
