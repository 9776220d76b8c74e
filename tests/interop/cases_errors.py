"""What is refused, silent, unreachable or reset, seen from both sides."""

import errno
import os
import socket
import struct
import time

import pcap
from netlab import ECHO, FAMILIES, SINK, SOURCE, Failure, case, check, command_in

CLOSED = 4711


def connect_error(lab, namespace, family, port, seconds=20):
    """The errno that a kernel client gets, or the exception's name."""
    sock = lab.socket(namespace, family.af)
    sock.settimeout(seconds)
    try:
        sock.connect((family.tern, port))
    except socket.timeout:
        return "timeout"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    finally:
        sock.close()
    return "connected"


def abort(sock):
    """Closes with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def expect_failures(said, text, count):
    failures = said.get("failures", {})
    check(failures == {text: count}, "expected failures", {text: count}, "got", failures)


@case(over=FAMILIES, waits=True)
def refused_by_tern(lab, family):
    tern, kernel = lab.pair()
    server = lab.server(tern)
    for _ in range(20):
        got = connect_error(lab, kernel, family, CLOSED)
        check(got == "ECONNREFUSED", "a closed port gave", got)
    check(connect_error(lab, kernel, family, ECHO) == "connected", "the open port does not answer")
    said = server.stop()
    lab.counts(said["drops"].get("tcp_no_listener", 0) >= 20, "drops:", said["drops"])
    lab.counts(said["stack"]["resets_sent"] >= 20, "resets sent:", said["stack"]["resets_sent"])


@case(over=FAMILIES, waits=True)
def silent_port(lab, family):
    """With closed_ports = silent nothing at all comes back."""
    tern, kernel = lab.pair(capture=False)
    capture = lab.capture(kernel, "k0")
    server = lab.server(tern, "--closed_ports", "silent")
    got = connect_error(lab, kernel, family, CLOSED, seconds=3.5)
    check(got == "timeout", "a silent port gave", got)
    check(connect_error(lab, kernel, family, ECHO) == "connected", "the open port does not answer")
    said = server.stop()
    lab.counts(said["drops"].get("tcp_port_silent", 0) >= 2, "drops:", said["drops"])
    if capture:
        seen = list(pcap.segments(lab.end_capture(capture)))
        check(any(s.target_port == CLOSED for s in seen), "the capture does not even show the SYN")
        answers = [s for s in seen if s.source_port == CLOSED]
        check(not answers, "the silent port answered:", answers[:3])


@case(over=FAMILIES, waits=True)
def refused_by_kernel(lab, family):
    tern, _ = lab.pair()
    said = lab.client("tern-bulk", tern, "--connect", family.kernel, "--direction", "up", "--sink", str(CLOSED),
                      "--connections", "10", "--bytes", "1MiB", expected=1)
    expect_failures(said, "could not connect: refused", 10)


@case(over=FAMILIES, waits=True)
def no_answer(lab, family):
    """A kernel that drops the SYN: tern tries again, and the client gives up in time."""
    tern, kernel = lab.pair(capture=False)
    capture = lab.capture(kernel, "k0")
    nft(kernel, "tcp dport %d drop" % CLOSED)
    said = lab.client("tern-echo", tern, "--connect", family.at(family.kernel, CLOSED), "--connections", "3",
                      "--duration", "4s", "--patience", "500ms", expected=1)
    expect_failures(said, "no answer to the attempt to connect", 3)
    if capture:
        syns = [s for s in pcap.segments(lab.end_capture(capture)) if s.target_port == CLOSED and s.flags & pcap.SYN]
        check(len(syns) >= 6, "three connections sent only", len(syns), "SYNs in four seconds")
        check(len({(s.source_port, s.seq) for s in syns}) == 3, "a SYN that is sent again must be the same one")


def nft(namespace, rule, hook="input"):
    """One rule for both families in a table of its own."""
    text = "table inet interop {\n chain c {\n  type filter hook %s priority 0\n  %s\n }\n}\n" % (hook, rule)
    command_in(namespace, "nft", text)


@case(over=FAMILIES, waits=True)
def nobody_there(lab, family):
    """An address on the link that nobody has: neighbour resolution fails, and the client says unreachable."""
    tern, _ = lab.pair()
    said = lab.client("tern-echo", tern, "--connect", family.at(family.nobody, ECHO), "--connections", "3",
                      "--duration", "15s", expected=1)
    expect_failures(said, "could not connect: unreachable", 3)


@case(over=FAMILIES, waits=True)
def no_route(lab, family):
    tern, _ = lab.pair()
    far = "192.0.2.1" if family.name == "v4" else "2001:db8::1"
    said = lab.client("tern-echo", tern, "--connect", family.at(far, ECHO), "--connections", "2", "--duration", "3s",
                      expected=1)
    expect_failures(said, "could not open: no_route", 2)


@case(over=FAMILIES, waits=True)
def rejected_by_icmp(lab, family):
    """A firewall that answers the SYN with an ICMP error: known at once, not after the last retry."""
    tern, kernel = lab.pair()
    nft(kernel, "tcp dport %d reject with icmpx type admin-prohibited" % CLOSED)
    said = lab.client("tern-echo", tern, "--connect", family.at(family.kernel, CLOSED), "--connections", "1",
                      "--duration", "8s", "--patience", "500ms", expected=1)
    expect_failures(said, "could not connect: unreachable", 1)


@case(over=FAMILIES, waits=True)
def udp_port_unreachable(lab, family):
    """A datagram to tern is answered with port unreachable, which the kernel reports as refused."""
    tern, kernel = lab.pair()
    server = lab.server(tern)
    sock = lab.socket(kernel, family.af, socket.SOCK_DGRAM)
    sock.connect((family.tern, CLOSED))
    sock.send(b"anybody?")
    sock.settimeout(10)
    try:
        raise Failure("an answer: %r" % sock.recv(100))
    except ConnectionRefusedError:
        pass
    except socket.timeout:
        raise Failure("no port unreachable came") from None
    drops = server.stop()["drops"]
    lab.counts(drops.get("udp_closed", 0) == 1, "drops:", drops)


# ---- Resets ----


@case(over=FAMILIES, waits=True)
def kernel_resets_streams(lab, family):
    """SO_LINGER 0 in the middle of each service's stream; afterwards the server is as good as new."""
    tern, kernel = lab.pair()
    server = lab.server(tern)
    for port in (ECHO, SINK, SOURCE):
        socks = [lab.connect(kernel, family, port) for _ in range(30)]
        for sock in socks:
            if port != SOURCE:
                sock.sendall(os.urandom(30000))
            if port != SINK:
                check(sock.recv(1000), "the stream ended")
            abort(sock)
    lab.drive(kernel, "--echo", family.at(family.tern, ECHO), "--connections", 50)
    said = server.stop()
    check(said["service"]["broken"] == 90, "broken:", said["service"])
    lab.counts(said["stack"]["resets_received"] == 90, "resets received:", said["stack"]["resets_received"])


@case(over=FAMILIES, waits=True)
def kernel_server_resets(lab, family):
    tern, kernel = lab.pair()
    peer = lab.peer(kernel, "--echo", ECHO, "--abort-after", 100000)
    said = lab.client("tern-bulk", tern, "--connect", family.kernel, "--direction", "echo", "--connections", "20",
                      "--bytes", "20MiB", expected=1)
    expect_failures(said, "ended before its time: reset", 20)
    check(lab.peer_summary(peer)["accepted"] == 20, "the kernel accepted another number")


@case(over=FAMILIES, waits=True)
def tern_client_resets(lab, family):
    """A client that runs out of patience resets what the server does not take."""
    tern, kernel = lab.pair()
    peer = lab.peer(kernel, "--sink", SINK, "--stall", 30, "--rcvbuf", 8192)
    said = lab.client("tern-bulk", tern, "--connect", family.kernel, "--direction", "up", "--connections", "10",
                      "--bytes", "100MiB", "--duration", "1s", "--patience", "500ms", expected=1)
    check(said["failures"].get("not through in time") == 10, "failures:", said["failures"])
    time.sleep(0.5)
    got = lab.peer_summary(peer)
    check(got["resets"] == 10, "the kernel saw", got["resets"], "resets:", got)


@case(over=FAMILIES, waits=True)
def tern_server_resets(lab, family):
    """A server that stops resets those who do not read what was promised to them."""
    tern, kernel = lab.pair()
    server = lab.server(tern)
    socks = [lab.connect(kernel, family, SOURCE, rcvbuf=8192) for _ in range(5)]
    for sock in socks:
        check(len(sock.recv(1000)) > 0, "nothing came")
    server.stop()
    for sock in socks:
        try:
            while sock.recv(65536):
                pass
            raise Failure("the endless stream ended as if it were whole")
        except ConnectionResetError:
            pass


# ---- Old connections ----


@case(over=FAMILIES, waits=True)
def same_port_again(lab, family):
    """A client that resets and comes back from the same port at once, two hundred times."""
    tern, kernel = lab.pair()
    server = lab.server(tern)
    for number in range(200):
        sock = from_port(lab, kernel, family, 40000)
        talk(sock, b"%d" % number * 100)
        abort(sock)
    check(server.stop()["service"]["accepted"] == 200, "service:", server.stop()["service"])


@case(over=FAMILIES, waits=True)
def peer_that_forgot(lab, family):
    """The kernel's reset is lost, and it connects from the same port: RFC 5961 4 has tern ask, and give way."""
    tern, kernel = lab.pair()
    server = lab.server(tern)
    sock = from_port(lab, kernel, family, 40000)
    talk(sock, b"before")
    nft(kernel, "tcp flags & rst == rst drop", hook="output")
    abort(sock)
    command_in(kernel, "nft", "delete table inet interop")
    sock = from_port(lab, kernel, family, 40000)
    talk(sock, b"after")
    sock.close()
    said = server.stop()
    check(said["service"]["accepted"] == 2 and said["service"]["broken"] == 1, "service:", said["service"])


@case(over=FAMILIES, waits=True)
def keepalive(lab, family):
    """The kernel's keep-alive probes are answered: an idle connection stays."""
    tern, kernel = lab.pair()
    lab.server(tern)
    sock = lab.connect(kernel, family, ECHO)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 2)):
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
    talk(sock, b"before")
    time.sleep(6)  # unanswered, the kernel would have given up after three
    talk(sock, b"after")
    sock.close()


@case(over=FAMILIES, waits=True)
def urgent_data(lab, family):
    """Urgent octets are octets of the stream like any other: they come back in their place."""
    tern, kernel = lab.pair()
    lab.server(tern)
    sock = lab.connect(kernel, family, ECHO)
    for number in range(20):
        sock.sendall(b"%d" % number * 50)
        sock.send(b"!", socket.MSG_OOB)
    sock.shutdown(socket.SHUT_WR)
    got = b""
    while piece := sock.recv(65536):
        got += piece
    sock.close()
    want = b"".join(b"%d" % n * 50 + b"!" for n in range(20))
    check(got == want, "got", got[:200], "expected", want[:200])


def from_port(lab, namespace, family, port):
    sock = lab.socket(namespace, family.af)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((family.kernel, port))
    sock.connect((family.tern, ECHO))
    return sock


def talk(sock, text):
    """Says it and hears it back."""
    sock.sendall(text)
    got = b""
    while len(got) < len(text):
        piece = sock.recv(65536)
        check(piece, "the stream ended")
        got += piece
    check(got == text, "said", text, "heard", got)
