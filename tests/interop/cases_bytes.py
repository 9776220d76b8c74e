"""Every octet arrives: random shapes, bulk, other people's programs, and more than the sequence numbers count."""

import hashlib
import os
import socket
import threading

from netlab import ECHO, FAMILIES, SINK, SOURCE, V4, V6, Skip, case, check, need

MIB = 1 << 20
GIB = 1 << 30


@case(over=FAMILIES, timeout=120)
def random_echo(lab, family):
    """Kernel clients of random shape against tern's echo."""
    connections = 10000
    tern, kernel = lab.pair()
    server = lab.server(tern)
    said = lab.drive(kernel, "--echo", family.at(family.tern, ECHO), "--connections", connections, "--concurrency", 500,
                     "--max-bytes", "64K", seconds=100)
    check(said["echo"] == connections, "only", said["echo"], "connections were through")
    service = server.stop()["service"]
    check(service["accepted"] == connections and service["graceful"] == connections, "the server counts", service)
    check(service["octets_in"] == said["octets_out"] == service["octets_out"] == said["octets_in"],
          "octets differ:", service, said)


@case(timeout=90)
def random_services(lab):
    """All services, both families; then again with a fifth of the streams reset half-way."""
    tern, kernel = lab.pair()
    server = lab.server(tern)
    where = []
    for family in FAMILIES:
        where += ["--echo", family.at(family.tern, ECHO), "--sink", family.at(family.tern, SINK),
                  "--source", family.at(family.tern, SOURCE)]
    said = lab.drive(kernel, *where, "--connections", 2000, "--concurrency", 400, "--max-bytes", "200K")
    summary = server.stop()
    sink = summary["sink"]
    check(summary["service"]["accepted"] == 2000, "accepted", summary["service"]["accepted"])
    check(sink["streams"] == said["sink_streams"] and sink["mismatched"] == 0, "sink:", sink, said)
    check(sink["octets"] == said["sink_octets"] and sink["hash_sum"] == said["sink_hash_sum"],
          "the sink's octets or hashes differ:", sink, said)
    server = lab.server(tern)
    said = lab.drive(kernel, *where, "--connections", 2000, "--concurrency", 400, "--max-bytes", "200K", "--abort", 0.2)
    check(said["aborted"] > 0, "nothing was reset")
    check(server.stop()["sink"]["mismatched"] == 0, "sink:", server.stop()["sink"])


@case(over=FAMILIES, timeout=120)
def tern_clients(lab, family):
    """Ten thousand connections from tern to a kernel echo server that reads and writes in random pieces."""
    tern, kernel = lab.pair()
    peer = lab.peer(kernel, "--echo", ECHO, "--random", "--seed", lab.seed)
    total = octets = 0
    for connections, size in ((4000, 1000), (3000, 3), (2000, 20000), (1000, 65536)):
        said = lab.client("tern-bulk", tern, "--connect", family.kernel, "--direction", "echo", "--connections",
                          str(connections), "--bytes", str(connections * size))
        check(said["load"]["opened"] == connections, "opened", said["load"])
        total, octets = total + connections, octets + connections * size
    said = lab.peer_summary(peer)
    check(said["accepted"] == total and said["graceful"] == total, "the kernel counts", said)
    check(said["octets_in"] == octets, "the kernel got", said["octets_in"], "of", octets, "octets")


@case(over=FAMILIES, timeout=60)
def tern_requests(lab, family):
    """tern-echo client, closed and open loop, against a kernel echo server."""
    tern, kernel = lab.pair()
    peer = lab.peer(kernel, "--echo", ECHO)
    for shape in (("--size", "1", "--connections", "16"), ("--size", "64", "--depth", "16", "--connections", "64"),
                  ("--size", "1461", "--depth", "3", "--connections", "8"),
                  ("--size", "50000", "--connections", "4"), ("--size", "64", "--rate", "1000")):
        said = lab.client("tern-echo", tern, "--connect", family.at(family.kernel, ECHO), "--duration", "1s",
                          "--patience", "10s", *shape)
        check(said["load"].get("requests", 0) > 0, "no request was answered with", shape)
    lab.peer_summary(peer)


@case(over=FAMILIES, timeout=90)
def bulk(lab, family):
    """Large streams in every direction, opened by either side."""
    tern, kernel = lab.pair()
    server = lab.server(tern)
    host = family.tern
    for service, port in (("--sink", SINK), ("--source", SOURCE), ("--echo", ECHO)):
        lab.stream(kernel, service, family.at(host, port), connections=2, octets=32 * MIB)
    said = server.stop()
    check(said["sink"]["matched"] == 2 and said["sink"]["octets"] == 64 * MIB, "sink:", said["sink"])
    peer = lab.peer(kernel, "--echo", ECHO, "--sink", SINK, "--source", SOURCE)
    lab.client("tern-bulk", tern, "--connect", family.kernel, "--direction", "both", "--connections", "2", "--bytes",
               str(64 * MIB))
    lab.client("tern-bulk", tern, "--connect", family.kernel, "--direction", "echo", "--connections", "2", "--bytes",
               str(32 * MIB))
    said = lab.peer_summary(peer)
    check(said["octets_in"] == 96 * MIB, "the kernel got", said["octets_in"])
    check(said["graceful"] == 6, "the kernel saw", said)


@case(over=((V6, "down"), (V4, "up")), timeout=900)
def over_4_gib(lab, family, direction):
    """More octets on one stream than there are sequence numbers."""
    total = 4 * GIB + 64 * MIB
    tern, kernel = lab.pair(capture=False)
    server = lab.server(tern)
    service, port = ("--source", SOURCE) if direction == "down" else ("--sink", SINK)

    def move(octets, seconds):
        return lab.stream(kernel, service, family.at(family.tern, port), connections=1, octets=octets, seconds=seconds)
    seconds = move(256 * MIB, 120)["seconds"] * total / (256 * MIB)
    patience = 75 if direction == "down" else 0
    if seconds > patience and not lab.settings.long:
        raise Skip("it would take about %.0f s here; --long runs it" % seconds)
    said = move(total, 850)
    moved = said["octets_in"] if direction == "down" else said["sink_octets"]
    check(moved >= total, "only", moved, "octets came")
    if direction == "up":
        sink = server.stop()["sink"]
        check(sink["matched"] == 2 and sink["octets"] == total + 256 * MIB, "sink:", sink)


# ---- Programs that nobody here wrote ----


def sha(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def random_file(lab, size):
    path = lab.path("file")
    with open(path, "wb") as file:
        file.write(os.urandom(size))
    return path


def through(lab, namespace, argv, path, label):
    """Runs a program with the file as its input; what it printed must be the file again."""
    with open(path, "rb") as file:
        process = lab.spawn(label, argv, namespace, stdin=file)
    status = process.wait(60)
    check(status == 0, label, "ended with status", status, process.error_text())
    check(sha(process.out) == sha(path), label, "did not get back what it sent:", os.path.getsize(process.out), "of",
          os.path.getsize(path), "octets")
    os.unlink(process.out)


@case(over=FAMILIES, waits=True)
def nc(lab, family):
    need("nc")
    tern, kernel = lab.pair()
    lab.server(tern)
    for size in (0, 1, 100000, 5000000):
        through(lab, kernel, ["nc", "-N", family.tern, str(ECHO)], random_file(lab, size), "nc")


@case(over=FAMILIES, waits=True)
def socat(lab, family):
    need("socat")
    tern, kernel = lab.pair()
    lab.server(tern)
    for size in (1, 5000000):
        target = "TCP:" + family.at(family.tern, ECHO)
        through(lab, kernel, ["socat", "-t", "30", "STDIO", target], random_file(lab, size), "socat")


@case(over=FAMILIES, waits=True)
def socat_server(lab, family):
    """tern's client against an echo server made of socat."""
    need("socat")
    tern, kernel = lab.pair()
    listen = "TCP%s-LISTEN:%d,fork,reuseaddr,backlog=64" % (family.name[1], ECHO)
    process = lab.spawn("socat", ["socat", "-d", "-d", "-t", "30", listen, "EXEC:cat"], kernel)
    process.wait_for("listening on", where=process.err)
    lab.client("tern-bulk", tern, "--connect", family.kernel, "--direction", "echo", "--connections", "16", "--bytes",
               str(8 * MIB))
    check(process.running(), "socat died:", process.error_text())


@case(over=FAMILIES, waits=True)
def python_socket(lab, family):
    """sendall on one thread, recv on another, then each side's end of the stream."""
    tern, kernel = lab.pair()
    lab.server(tern)
    data = os.urandom(8 * MIB)
    sock = lab.connect(kernel, family, ECHO)

    def send():
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    back = bytearray()
    while piece := sock.recv(1 << 16):
        back += piece
    sender.join(10)
    sock.close()
    check(bytes(back) == data, "what came back differs:", len(back), "of", len(data), "octets")


# ---- Who closes first ----


@case(over=FAMILIES, waits=True)
def kernel_server_closes_first(lab, family):
    """A kernel server that ends its stream first: tern's client gets all of it, and says what happened."""
    tern, kernel = lab.pair()
    peer = lab.peer(kernel, "--source", SOURCE, "--limit", 100003)
    said = lab.client("tern-bulk", tern, "--connect", family.kernel, "--direction", "down", "--connections", "20",
                      "--bytes", str(20 * MIB), expected=1)
    check(said["load"]["octets_in"] == 20 * 100003, "tern got", said["load"]["octets_in"])
    check(said["failures"] == {"the server ended the stream before its time": 20}, "failures:", said["failures"])
    lab.peer_summary(peer)


@case(over=FAMILIES, waits=True)
def tern_server_closes_first(lab, family):
    """A tern server that stops ends its idle connections in order: FIN, no reset."""
    tern, kernel = lab.pair()
    server = lab.server(tern)
    socks = [lab.connect(kernel, family, ECHO) for _ in range(20)]
    for number, sock in enumerate(socks):
        sock.sendall(b"%d" % number * 1000)
        want = b"%d" % number * 1000
        got = b""
        while len(got) < len(want):
            got += sock.recv(65536) or b"end"
        check(got == want, "the echo differs")

    def close_at_end():
        for sock in socks:
            ends.append(sock.recv(1))
            sock.close()
    ends = []
    closer = threading.Thread(target=close_at_end, daemon=True)
    closer.start()
    said = server.stop()
    closer.join(30)
    check(ends == [b""] * 20, "expected 20 ends of stream, got", ends)
    check(said["stack"]["resets_sent"] == 0, "tern reset", said["stack"]["resets_sent"])


@case(timeout=60)
def start_and_stop(lab):
    """Five servers one after the other on the same veth."""
    tern, kernel = lab.pair()
    for _ in range(5):
        server = lab.server(tern)
        said = lab.drive(kernel, "--echo", V4.at(V4.tern, ECHO), "--echo", V6.at(V6.tern, ECHO), "--connections", 100,
                         "--concurrency", 50, "--max-bytes", "64K")
        check(said["echo"] == 100, "only", said["echo"], "connections")
        check(server.stop()["service"]["accepted"] == 100, "the server counts", server.stop()["service"])
