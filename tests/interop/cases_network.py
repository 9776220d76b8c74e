"""Below and beside TCP: neighbours, echo requests, a lossy router, a bad wire, and what an analyser says."""

import json
import os
import select
import socket
import struct
import subprocess
import time

from netlab import (ECHO, FAMILIES, SINK, SOURCE, V4, V6, Failure, case, check, command, command_in, inside, need)

MIB = 1 << 20


# ---- Neighbours ----


def hardware_address(server):
    """What tern says of itself in its ready line, as six octets in text."""
    words = server.events("ready")[0]["where"].replace(",", " ").replace("(", " ").split()
    found = [w for w in words if len(w.split(":")) == 6 and all(len(p) == 2 for p in w.split(":"))]
    check(found, "no hardware address in the ready line:", words)
    return found[0].lower()


@case(over=FAMILIES, waits=True)
def neighbour_entry(lab, family):
    """The kernel resolves tern by ARP or NDP, and keeps what it learned."""
    tern, kernel = lab.pair()
    server = lab.server(tern)
    command_in(kernel, "ip", "neigh", "flush", "all")
    lab.connect(kernel, family, ECHO).close()
    entry = command_in(kernel, "ip", "neigh", "show", family.tern)
    check(hardware_address(server) in entry, "the kernel's entry is:", entry, "tern is", hardware_address(server))
    check("FAILED" not in entry and "INCOMPLETE" not in entry, "the kernel's entry is:", entry)


@case(waits=True)
def arp(lab):
    """A raw request gets one answer; one for somebody else's address gets none."""
    tern, kernel = lab.pair()
    server = lab.server(tern)
    with inside(kernel):
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
    raw.bind(("k0", 0x0806))
    mac = raw.getsockname()[4]

    def ask(target):
        request = b"\xff" * 6 + mac + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1)
        request += mac + socket.inet_aton(V4.kernel) + bytes(6) + socket.inet_aton(target)
        raw.send(request + bytes(18))
        answers, end = [], time.monotonic() + 1
        while (left := end - time.monotonic()) > 0 and select.select([raw], [], [], left)[0]:
            frame = raw.recv(2000)
            if frame[20:22] == b"\x00\x02" and frame[28:32] == socket.inet_aton(target):
                answers.append(frame)
        return answers
    answers = ask(V4.tern)
    check(len(answers) == 1, len(answers), "answers to one request")
    sender = answers[0][22:28]
    check(sender.hex(":") == hardware_address(server), "the answer names", sender.hex(":"))
    check(answers[0][:6] == mac, "the answer went to", answers[0][:6].hex(":"))
    check(not ask(V4.nobody), "tern answers for an address that it does not have")


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data[:len(data) // 2 * 2]))
    if len(data) % 2:
        total += data[-1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@case(over=FAMILIES, waits=True)
def ping(lab, family):
    """Echo requests of every kind of size come back as they went."""
    tern, kernel = lab.pair()
    lab.server(tern)
    largest = 1500 - 28 if family is V4 else 1500 - 48
    ping_sizes(lab, kernel, family, (0, 1, 2, 17, 56, 64, 511, 1000, largest - 1, largest))
    if command_exists("ping"):
        command_in(kernel, "ping", "-c", "5", "-i", "0.1", "-W", "5", family.tern)


def ping_sizes(lab, kernel, family, sizes, buffers=0):
    """Echo requests of these sizes come back as they went, one after the other."""
    v4 = family is V4
    raw = lab.socket(kernel, family.af, socket.SOCK_RAW, socket.IPPROTO_ICMP if v4 else socket.IPPROTO_ICMPV6)
    if buffers:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffers)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffers)
    raw.connect((family.tern, 0))
    for number, size in enumerate(sizes):
        data = os.urandom(size)
        head = struct.pack("!BBHHH", 8 if v4 else 128, 0, 0, 0x7465, number)
        if v4:  # the kernel fills in what stands in ICMPv6
            head = head[:2] + struct.pack("!H", checksum(head + data)) + head[4:]
        raw.send(head + data)
        want = (0 if v4 else 129, head[4:] + data)
        end = time.monotonic() + 10
        while True:
            if not select.select([raw], [], [], max(0, end - time.monotonic()))[0]:
                raise Failure("no answer to a ping of %d octets" % size)
            got = raw.recv(1 << 17)[20 if v4 else 0:]
            if (got[0], got[4:]) == want:
                break


def command_exists(program):
    return subprocess.run(["sh", "-c", "command -v " + program], stdout=subprocess.DEVNULL, check=False).returncode == 0


# ---- A router that loses packets ----


class Routed:
    """tern, a router, a kernel host behind it; the router drops `percent` of what it forwards, unseen by both ends."""

    def __init__(self, lab, percent, capture=True):
        self.lab = lab
        self.tern, self.router, self.kernel = (lab.namespace(n) for n in "trk")
        lab.silence(self.tern)
        lab.sysctl(self.router, "net.ipv4.ip_forward", 1)
        lab.sysctl(self.router, "net.ipv6.conf.all.forwarding", 1)
        lab.join(self.tern, "t0", self.router, "r0")
        lab.join(self.router, "r1", self.kernel, "k0")
        lab.address(self.router, "r0", "10.77.0.254/24", "fd77::fe/64")
        lab.address(self.router, "r1", "10.78.0.254/24", "fd78::fe/64")
        lab.address(self.kernel, "k0", "10.78.0.2/24", "fd78::2/64")
        command_in(self.kernel, "ip", "route", "add", "default", "via", "10.78.0.254")
        command_in(self.kernel, "ip", "-6", "route", "add", "default", "via", "fd78::fe")
        lab.tune(self.kernel)
        command_in(self.router, "nft",
                "table inet interop {\n counter lost { }\n chain c {\n  type filter hook forward priority 0\n"
                "  numgen random mod 1000 < %d counter name lost drop\n }\n}\n" % (percent * 10))
        if capture:
            lab.capture(self.kernel, "k0")

    gateways = ("--gateway", "10.77.0.254", "--gateway", "fd77::fe")

    @staticmethod
    def kernel_host(family):
        return "10.78.0.2" if family is V4 else "fd78::2"

    def lost(self):
        said = json.loads(command_in(self.router, "nft", "-j", "list", "counters"))
        return sum(i["counter"]["packets"] for i in said["nftables"] if "counter" in i)


@case(over=[(f, p) for p in (1, 5) for f in FAMILIES], timeout=120)
def loss_from_kernel(lab, family, percent):
    """Kernel clients against tern through a router that loses packets both ways."""
    net = Routed(lab, percent)
    server = lab.server(net.tern, *net.gateways)
    size = (16 if percent == 1 else 4) * MIB
    for service, port in (("--sink", SINK), ("--source", SOURCE), ("--echo", ECHO)):
        lab.stream(net.kernel, service, family.at(family.tern, port), connections=4, octets=size)
    lab.drive(net.kernel, "--echo", family.at(family.tern, ECHO), "--connections", 300, "--concurrency", 300,
              "--max-bytes", "64K")
    said = server.stop()
    check(net.lost() > 20, "the router lost only", net.lost(), "packets")
    check(said["stack"]["retransmitted_segments"] > 0, "tern sent nothing again")
    check(said["sink"]["matched"] == 4, "sink:", said["sink"])


@case(over=[(f, p) for p in (1, 5) for f in FAMILIES], timeout=120)
def loss_from_tern(lab, family, percent):
    """tern's clients against the kernel through the same router."""
    net = Routed(lab, percent)
    host = net.kernel_host(family)
    peer = lab.peer(net.kernel, "--echo", ECHO, "--sink", SINK, "--source", SOURCE)
    size = 32 * MIB if percent == 1 else 8 * MIB
    said = lab.client("tern-bulk", net.tern, *net.gateways, "--connect", host, "--direction", "both", "--connections",
                      "4", "--bytes", str(size), seconds=100)
    check(said["stack"]["retransmitted_segments"] > 0, "tern sent nothing again")
    lab.client("tern-bulk", net.tern, *net.gateways, "--connect", host, "--direction", "echo", "--connections", "200",
               "--bytes", str(200 * 40000), seconds=100)
    check(net.lost() > 20, "the router lost only", net.lost(), "packets")
    octets = size + 200 * 40000
    check(lab.peer_summary(peer)["octets_in"] == octets, "the kernel got another number of octets")


# ---- tern-wire ----


def wire(lab, namespace, a, b, impairment):
    argv = lab.settings.program("tern-wire") + ["--a", a, "--b", b, "--impairment", impairment, "--json",
                                                 "--hugepages", lab.settings.hugepages]
    process = lab.tern_process("tern-wire", argv, namespace)
    process.wait_for('"ready"')
    return process


def check_wire(process):
    said = process.stop()
    for way in ("ab", "ba"):
        check(said[way]["frames"] > 0 and said[way]["too_many_pieces"] == 0, way, said[way])
        check(said[way]["impairment_lost"] > 0, way, said[way])


BAD = "loss=1%,delay=2ms,jitter=1ms,reorder=1%,reorder_by=2ms,duplicate=0.5%,corrupt=0.2%,seed=7"


def drive_through(lab, kernel, family, host, connections=200):
    lab.drive(kernel, "--echo", family.at(host, ECHO), "--sink", family.at(host, SINK), "--source",
              family.at(host, SOURCE), "--connections", connections, "--concurrency", 100, "--max-bytes", "64K")
    for service, port in (("--sink", SINK), ("--source", SOURCE)):
        lab.stream(kernel, service, family.at(host, port), connections=2, octets=2 * MIB)


@case(over=FAMILIES, timeout=90, waits=True)
def wire_between_kernels(lab, family):
    """Two kernels, joined by nothing but tern-wire."""
    middle = lab.namespace("w")
    lab.silence(middle)
    one = lab.kernel_host("k", middle, "w0")
    two = lab.namespace("l")
    lab.join(middle, "w1", two, "k0")
    lab.address(two, "k0", V4.tern_address(), V6.tern_address())
    lab.capture(one, "k0")
    cable = wire(lab, middle, "af_packet:w0", "af_packet:w1", BAD)
    peer = lab.peer(two, "--echo", ECHO, "--sink", SINK, "--source", SOURCE)
    drive_through(lab, one, family, family.tern)
    lab.peer_summary(peer)
    check_wire(cable)


@case(over=FAMILIES, timeout=90, waits=True)
def wire_to_tern(lab, family):
    """A kernel and tern, joined by tern-wire: a veth at tern's end, a tap at the kernel's."""
    if not os.path.exists("/dev/net/tun"):
        raise Failure("there is no /dev/net/tun")
    tern, middle = lab.namespace("t"), lab.namespace("w")
    lab.silence(tern)
    lab.join(tern, "t0", middle, "w0")
    cable = wire(lab, middle, "tap:w1", "af_packet:w0", BAD)
    lab.as_on_a_wire(middle, "w1")
    lab.address(middle, "w1", V4.kernel_address(), V6.kernel_address())
    lab.tune(middle)
    lab.capture(middle, "w1")
    server = lab.server(tern)
    drive_through(lab, middle, family, family.tern)
    said = server.stop()
    check(said["sink"]["mismatched"] == 0, "sink:", said["sink"])
    check_wire(cable)


# ---- What an analyser says ----

COMPLAINTS = " || ".join((
    "_ws.malformed", "_ws.expert.severity >= error", 'tcp.checksum.status == "Bad"', 'ip.checksum.status == "Bad"',
    'icmpv6.checksum.status == "Bad"', "tcp.analysis.retransmission", "tcp.analysis.fast_retransmission",
    "tcp.analysis.spurious_retransmission", "tcp.analysis.ack_lost_segment", "tcp.analysis.lost_segment",
    "tcp.analysis.duplicate_ack", "tcp.analysis.out_of_order", "tcp.analysis.window_full && tcp.len == 0",
    "tcp.flags.reset == 1"))


def complaints(paths):
    """What tshark's experts find in a capture, in lines, and how many TCP segments they looked at."""
    found, looked_at = [], 0
    for path in paths:
        base = ["tshark", "-n", "-r", path, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]
        # Else it guesses at random octets, and finds what it guessed malformed.
        for port in (ECHO, SINK, SOURCE):
            base += ["-d", "tcp.port==%d,echo" % port]
        found += command(*base, "-Y", COMPLAINTS).strip().splitlines()
        looked_at += len(command(*base, "-Y", "tcp").splitlines())
    # Run as root, it complains of that too.
    return [line for line in found if line.lstrip()[:1].isdigit()], looked_at


@case(timeout=60)
def analyser(lab):
    """A clean run, captured whole: nothing malformed, no bad checksum, nothing sent twice, no ACK of the unseen."""
    need("tshark")
    need("tcpdump")
    tern, kernel = lab.pair(capture=False)
    # Else the kernel sends a tail again as soon as tern's process waits a few milliseconds for its CPU (RFC 8985 7),
    # and anything as soon as that takes a fifth of a second.
    lab.sysctl(kernel, "net.ipv4.tcp_early_retrans", 0)
    for network, metric in (("10.77.0.0/24", "0"), ("fd77::/64", "100")):
        command_in(kernel, "ip", "route", "replace", network, "dev", "k0", "metric", metric, "rto_min", "5s")
    capture = lab.capture(kernel, "k0", snap=65535)
    server = lab.server(tern)
    for family in FAMILIES:
        # On tern's CPU: on two, the ACKs that the kernel sends from its receiving half and the data that the program
        # sends overtake each other, and tern answers the older one.
        lab.drive(kernel, "--echo", family.at(family.tern, ECHO), "--sink", family.at(family.tern, SINK),
                  "--connections", 30, "--concurrency", 3, "--max-bytes", "40K", "--slow", 0, "--buffer", 0, cpu=0)
    server.stop()
    paths = lab.end_capture(capture)
    found, looked_at = complaints(paths)
    check(looked_at > 150, "the capture holds only", looked_at, "segments")
    check(not found, len(found), "of", looked_at, "frames are not as they should be:\n" + "\n".join(found[:10]))
