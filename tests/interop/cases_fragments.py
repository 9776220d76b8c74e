"""Packets in fragments: what a kernel cuts up, what a router cuts up, and what nobody would."""

import os
import select
import socket
import struct
import time

from cases_errors import nft
from cases_network import checksum, command_exists, hardware_address, ping_sizes
from netlab import ECHO, FAMILIES, SINK, V4, V6, Failure, Skip, case, check, command_in, inside

MIB = 1 << 20


def beside_tern(lab, family, *arguments):
    """A namespace of the kernel's with its link to tern, and tern's server: (namespace, link, server)."""
    if family is V4 and lab.settings.twin is None:
        return on_a_tap(lab, *arguments, addresses=(V4.kernel_address(), V6.kernel_address()))
    tern, kernel = lab.pair()
    return kernel, "k0", lab.server(tern, *arguments)


def on_a_tap(lab, *arguments, addresses):
    """As beside_tern. DPDK's af_packet driver joins a fan-out that has the kernel put IPv4 fragments together before
    tern sees any; a tap hands over what was sent."""
    if not os.path.exists("/dev/net/tun"):
        raise Skip("there is no /dev/net/tun")
    namespace = lab.namespace("t")
    server = lab.server(namespace, *arguments, device="tap:tern0")
    lab.as_on_a_wire(namespace, "tern0")
    lab.address(namespace, "tern0", *addresses)
    lab.tune(namespace)
    lab.capture(namespace, "tern0")
    return namespace, "tern0", server


@case(over=FAMILIES, waits=True)
def ping_in_fragments(lab, family):
    """Echo requests that the kernel has to cut up come back whole, up to the largest that there is."""
    kernel, _, server = beside_tern(lab, family)
    whole = 1500 - (28 if family is V4 else 48)
    largest = 65535 - (28 if family is V4 else 8)
    ping_sizes(lab, kernel, family, (whole, whole + 1, whole + 8, 2000, 2960, 4000, 8191, 20000, 40001, largest),
               buffers=4 * MIB)
    if command_exists("ping"):
        command_in(kernel, "ping", "-c", "5", "-i", "0.1", "-W", "5", "-s", "4000", family.tern)
    said = server.stop()
    no_fragment_lost(lab, said)


def no_fragment_lost(lab, said):
    drops = said["drops"]
    lab.counts(not [d for d in drops if d.startswith("ip_fragment")], "drops:", drops)


@case(timeout=240, waits=True)
def router_fragments(lab):
    """A router with a small link behind it cuts up the kernel's segments, which may be: not one of them is lost."""
    kernel = lab.namespace("k")
    if lab.settings.twin is None:
        router, link, server = on_a_tap(lab, "--gateway", "10.77.0.254", addresses=("10.77.0.254/24",))
    else:
        tern, router, link = lab.namespace("t"), lab.namespace("r"), "r0"
        lab.silence(tern)
        lab.join(tern, "t0", router, link)
        lab.address(router, link, "10.77.0.254/24")
        server = lab.server(tern, "--gateway", "10.77.0.254")
    lab.sysctl(router, "net.ipv4.ip_forward", 1)
    lab.join(router, "r1", kernel, "k0")
    lab.address(router, "r1", "10.78.0.254/24")
    lab.address(kernel, "k0", "10.78.0.2/24")
    command_in(kernel, "ip", "route", "add", "default", "via", "10.78.0.254")
    lab.tune(kernel)
    # RFC 1191's don't-fragment bit stays off, and what leaves towards tern has to be cut into three.
    lab.sysctl(kernel, "net.ipv4.ip_no_pmtu_disc", 1)
    # A small link would not take tern's own large frames either; a route may be small one way.
    command_in(router, "ip", "route", "replace", "10.77.0.0/24", "dev", link, "src", "10.77.0.254",
               "mtu", "lock", "600")
    # One connection at a time: the kernel numbers the packets of each from a start of its own, and two that come near
    # each other get fragments of equal numbers under way (RFC 4963), which no receiver can tell apart.
    for service, port in (("--sink", SINK), ("--echo", ECHO)):
        lab.stream(kernel, service, V4.at(V4.tern, port), connections=1, octets=2 * MIB)
    lab.drive(kernel, "--echo", V4.at(V4.tern, ECHO), "--connections", 50, "--concurrency", 1, "--max-bytes", "32K")
    made = fragments_made(router)
    check(made > 5000, "the router made only", made, "fragments")
    said = server.stop()
    check(said["sink"]["matched"] == 1, "sink:", said["sink"])
    no_fragment_lost(lab, said)


def fragments_made(namespace):
    with inside(namespace), open("/proc/thread-self/net/snmp", encoding="ascii") as text:
        names, values = [line.split()[1:] for line in text if line.startswith("Ip:")]
    return int(values[names.index("FragCreates")])


# ---- By hand ----


class HandMade:
    """A TCP client of raw frames, from an address and a port that the kernel's own stack keeps quiet about."""

    def __init__(self, kernel, link, server, family, port):
        self.family, self.port, self.identification = family, port, 0x7465
        self.kind = 0x0800 if family is V4 else 0x86DD
        # What comes for the port is no business of the kernel, which would reset it.
        nft(kernel, "tcp dport %d drop" % port)
        with inside(kernel):
            self.raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(self.kind))
        self.raw.bind((link, self.kind))
        mac = bytes(int(part, 16) for part in hardware_address(server).split(":"))
        self.link = mac + self.raw.getsockname()[4] + struct.pack("!H", self.kind)
        self.src = socket.inet_pton(family.af, family.kernel)
        self.dst = socket.inet_pton(family.af, family.tern)
        # tern asks for our hardware address sooner or later; the kernel answers that.
        command_in(kernel, "ip", "neigh", "replace", family.tern, "lladdr", hardware_address(server), "dev", link)

    def segment(self, flags, seq, ack, data=b"", destination=ECHO):
        head = struct.pack("!HHIIBBHHH", self.port, destination, seq, ack, 5 << 4, flags, 65535, 0, 0)
        pseudo = self.src + self.dst + struct.pack("!II", len(head + data), socket.IPPROTO_TCP)
        return head[:16] + struct.pack("!H", checksum(pseudo + head + data)) + head[18:] + data

    def packet(self, body, offset=0, more=False, fragment=True, protocol=socket.IPPROTO_TCP):
        if self.family is V4:
            field = (0x2000 if more else 0) | offset // 8
            head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), self.identification, field, 64, protocol, 0)
            head += self.src + self.dst
            return self.link + head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body
        if fragment:
            body = struct.pack("!BBHI", protocol, 0, offset | more, self.identification) + body
        return self.link + struct.pack("!IHBB", 6 << 28, len(body), 44 if fragment else protocol, 64) + \
            self.src + self.dst + body

    def send(self, body):
        self.raw.send(self.packet(body, fragment=False))

    def send_pieces(self, body, size, order=lambda pieces: pieces, **more):
        self.identification += 1
        pieces = [self.packet(body[at:at + size], at, at + size < len(body), **more)
                  for at in range(0, len(body), size)]
        for piece in order(pieces):
            self.raw.send(piece)

    def hear(self, wanted, what, seconds=10):
        """The first frame from tern of which `wanted(protocol, body)` makes something true."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and select.select([self.raw], [], [], left)[0]:
            frame = self.raw.recv(2000)
            if frame[6:12] != self.link[:6]:
                continue
            packet = frame[14:]
            length = struct.unpack("!H", packet[2:4] if self.family is V4 else packet[4:6])[0]
            body = packet[20:length] if self.family is V4 else packet[40:40 + length]
            found = wanted(packet[9] if self.family is V4 else packet[6], body)
            if found:
                return found
        raise Failure("tern did not send " + what)

    def hear_segment(self, flags, what):
        def wanted(protocol, body):
            if protocol != socket.IPPROTO_TCP or struct.unpack("!H", body[2:4])[0] != self.port:
                return None
            seq, ack = struct.unpack("!II", body[4:12])
            return (seq, ack, body[(body[12] >> 4) * 4:]) if body[13] & flags == flags else None
        return self.hear(wanted, what)


SYN, RST, PSH, ACK = 2, 4, 8, 16


@case(over=FAMILIES, waits=True)
def segments_in_fragments(lab, family):
    """Handshake and data by hand, the data in fragments that arrive backwards: it comes back in order."""
    kernel, link, server = beside_tern(lab, family)
    hand = HandMade(kernel, link, server, family, 40123)
    hand.send(hand.segment(SYN, 1000, 0))
    isn, ack, _ = hand.hear_segment(SYN | ACK, "a SYN-ACK")
    check(ack == 1001, "it acknowledges", ack)
    hand.send(hand.segment(ACK, 1001, isn + 1))
    data = os.urandom(3000)
    hand.send_pieces(hand.segment(ACK | PSH, 1001, isn + 1, data), 1000, reversed)
    got = b""
    while len(got) < len(data):
        seq, ack, part = hand.hear_segment(ACK, "the echo of what came in fragments")
        if seq == isn + 1 + len(got):
            got += part
            hand.send(hand.segment(ACK, 4001, isn + 1 + len(got)))
    check(got == data, "other octets came back than went")
    check(ack == 4001, "it acknowledges", ack)
    # A segment for a port where nobody listens, in fragments: the reset counts all of it.
    hand.send_pieces(hand.segment(SYN, 5000, 0, data, destination=99), 1000)
    _, ack, _ = hand.hear_segment(RST, "a reset")
    check(ack == 8001, "the reset acknowledges", ack)
    hand.send(hand.segment(RST | ACK, 4001, isn + 1 + len(got)))
    server.stop()


@case(over=FAMILIES, waits=True, timeout=240)
def fragments_nobody_would_send(lab, family):
    """Overlaps are dropped without a word; a first fragment that never grows up is reported after its time."""
    kernel, link, server = beside_tern(lab, family)
    hand = HandMade(kernel, link, server, family, 40124)
    body = hand.segment(SYN, 1000, 0, bytes(200))

    def overlapping(pieces):
        return [pieces[0], hand.packet(bytes(104), 48, True)] + pieces[1:]
    hand.send_pieces(body, 104, overlapping)
    hand.identification += 1
    hand.raw.send(hand.packet(body[:104], 0, True))
    time_exceeded = (socket.IPPROTO_ICMP, 11) if family is V4 else (socket.IPPROTO_ICMPV6, 3)
    hand.hear(lambda protocol, said: (protocol, said[0]) == time_exceeded and said[1] == 1, "time exceeded",
              seconds=80 if family is V4 else 140)
    drops = server.stop()["drops"]
    lab.counts(drops.get("ip_fragment_overlap", 0) == 2, "drops:", drops)
    lab.counts(drops.get("ip_fragment_timeout", 0) >= 1, "drops:", drops)
