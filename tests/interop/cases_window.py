"""A window that stays shut for ten seconds, in either direction."""

import fcntl
import select
import socket
import struct
import termios
import threading
import time

import pcap
from netlab import ECHO, FAMILIES, SINK, SOURCE, case, check, demo_client

SHUT = 10.0
MIB = 1 << 20


def longest_shut(segments, host, port):
    """The longest time that the connection `host`, `port` announced no window: (seconds, segments it got in it)."""
    longest, since, got = (0.0, 0), None, 0
    for s in segments:
        if s.flags & (pcap.RST | pcap.SYN):
            continue
        if (s.source, s.source_port) != (host, port):
            got += 1
        elif s.window == 0:
            since, got = (s.time, 0) if since is None else (since, got)
        elif since is not None:
            longest, since = max(longest, (s.time - since, got)), None
    return longest


def check_probes(lab, capture, host):
    """The window was shut for long, and the peer probed it now and then: RFC 9293 3.8.6.1 wants growing intervals."""
    if capture is None:
        return
    flows = {}
    for s in pcap.segments(lab.end_capture(capture)):
        port = s.source_port if s.source == host else s.target_port
        peer = s.target_port if s.source == host else s.source_port
        flows.setdefault((port, peer), []).append(s)
    seconds, probes = max(longest_shut(segments, host, port) for (port, _), segments in flows.items())
    check(seconds > SHUT / 2, "the window was not shut for longer than %.1f s" % seconds)
    check(2 <= probes <= 60, probes, "probes of a window that was shut for %.1f s" % seconds)


def read_pattern(pattern, sock, octets, hold=0.0):
    """Reads `octets` of the known pattern, and checks them; after the first 8, waits `hold` seconds."""
    head = b""
    while len(head) < 8:
        piece = sock.recv(8 - len(head))
        check(piece, "the stream ended")
        head += piece
    phase = pattern.phases.get(head)
    check(phase is not None, "not the known pattern")
    time.sleep(hold)
    at = 8
    while at < octets:
        piece = sock.recv(min(octets - at, demo_client.PIECE))
        check(piece, "the stream ended after", at, "octets")
        wrong = pattern.first_difference(phase, at, piece)
        check(wrong is None, "octet", at + (wrong or 0), "is wrong")
        at += len(piece)
    return phase


@case(over=FAMILIES, waits=True, timeout=90)
def kernel_window_shut(lab, family):
    """The kernel does not read for ten seconds; tern's source waits, and nothing is lost."""
    tern, kernel = lab.pair(capture=False)
    capture = lab.capture(kernel, "k0", snap=100)
    server = lab.server(tern)
    sock = lab.connect(kernel, family, SOURCE, rcvbuf=16384)
    read_pattern(demo_client.Pattern(), sock, 4 * MIB, hold=SHUT)
    sock.shutdown(socket.SHUT_WR)
    while sock.recv(1 << 16):
        pass
    sock.close()
    said = server.stop()
    check(said["service"]["graceful"] == 1, "service:", said["service"])
    check_probes(lab, capture, family.kernel)


@case(over=FAMILIES, waits=True, timeout=90)
def tern_window_shut(lab, family):
    """The kernel does not read its echo: tern's application stops reading, and tern's window shuts for ten seconds."""
    tern, kernel = lab.pair(capture=False)
    capture = lab.capture(kernel, "k0", snap=100)
    server = lab.server(tern)
    pattern = demo_client.Pattern()
    sock = lab.connect(kernel, family, ECHO, rcvbuf=16384)
    phase, sent = 4711, 0
    sock.setblocking(False)
    while select.select([], [sock], [], 3)[1]:  # until nothing more is taken for three seconds
        sent += sock.send(pattern.slice(phase, sent, 100000))
        check(sent < 64 * MIB, "tern's window does not shut")
    time.sleep(SHUT)
    check(not select.select([], [sock], [], 0)[1], "something moved although nobody read")
    sock.setblocking(True)
    sock.settimeout(30)
    total = sent + 2 * MIB

    def send_rest():
        at = sent
        while at < total:
            at += sock.send(pattern.slice(phase, at, min(100000, total - at)))
        sock.shutdown(socket.SHUT_WR)
    rest = threading.Thread(target=send_rest, daemon=True)
    rest.start()
    got = read_pattern(pattern, sock, total)
    check(got == phase, "another stream came back")
    check(sock.recv(1) == b"", "more came back than was sent")
    rest.join(10)
    sock.close()
    service = server.stop()["service"]
    check(service["octets_in"] == service["octets_out"] == total, "service:", service)
    check_probes(lab, capture, family.tern)


@case(over=FAMILIES, waits=True, timeout=90)
def kernel_sink_stalls(lab, family):
    """tern's own client sends; the kernel server stops reading for ten seconds in the middle."""
    tern, kernel = lab.pair(capture=False)
    capture = lab.capture(kernel, "k0", snap=100)
    peer = lab.peer(kernel, "--sink", SINK, "--rcvbuf", 16384, "--stall", SHUT, "--stall-after", 300000)
    lab.client("tern-bulk", tern, "--connect", family.kernel, "--direction", "up", "--connections", "2", "--bytes",
               str(4 * MIB))
    said = lab.peer_summary(peer)
    check(said["octets_in"] == 4 * MIB and said["graceful"] == 2, "the kernel got", said)
    check_probes(lab, capture, family.kernel)


def unacknowledged(sock):
    """Octets that the kernel has sent, or will send, and has no ACK for."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0\0\0\0"))[0]


@case(over=FAMILIES, waits=True, timeout=60)
def one_window_shut_other_open(lab, family):
    """While the kernel's window is shut and probed, what the kernel itself sends is taken and acknowledged."""
    tern, kernel = lab.pair()
    server = lab.server(tern)
    sock = lab.connect(kernel, family, SOURCE, rcvbuf=16384)
    time.sleep(2)  # the window shuts, the first probes go out
    for _ in range(5):
        sock.sendall(bytes(50000))
        lab.wait_until(lambda: unacknowledged(sock) == 0, "tern's ACK while the kernel's window is shut", 10)
        time.sleep(0.3)
    read_pattern(demo_client.Pattern(), sock, MIB)
    sock.shutdown(socket.SHUT_WR)
    while sock.recv(1 << 16):
        pass
    sock.close()
    service = server.stop()["service"]
    check(service["octets_in"] == 250000 and service["graceful"] == 1, "service:", service)
