"""Odd segments put to a host by hand, and its answers in a form that can be compared with another host's.

A probe is a generator: it yields lists of segments and is given the host's answers. All probes of a host run side by
side, each from a port of its own, step by step.
"""

import select
import socket
import struct
import time

import pcap
from cases_flood import tcp_options
from netlab import V4, check, inside

QUIET = 0.4      # seconds of silence after which nothing more is expected; longer than any delayed ACK
PATIENCE = 5.0   # for answers that must come
ISS = 0x10000000
STAMP = 1000000  # of our timestamps

FLAGS = "FSRPAUEC"  # from the lowest bit
KINDS = {2: "mss", 3: "scale", 4: "sackok", 8: "stamp"}


class Talker:
    """Our end of one conversation with the host."""

    def __init__(self, family, port, target_port, macs):
        from scapy.layers.inet import IP, TCP  # here, since it takes seconds to load
        from scapy.layers.inet6 import IPv6
        from scapy.layers.l2 import Ether
        self.tcp = TCP
        self.below = Ether(src=macs[0], dst=macs[1]) / (
            IP(src=family.kernel, dst=family.tern) if family is V4 else IPv6(src=family.kernel, dst=family.tern))
        self.port, self.target_port, self.host_iss = port, target_port, None
        self.seen = set()
        self.sent_syn = False  # in this step
        self.done = False      # what comes now only clears up, and is not looked at

    def segment(self, flags, seq=0, ack=None, data=b"", **fields):
        """A frame; `seq` and `ack` count from the initial sequence numbers. Other fields are as scapy names them."""
        if ack is not None:
            ack = (self.host_iss or 0) + ack & 0xFFFFFFFF
        fields = {"window": 60000, **fields}
        self.sent_syn |= "S" in flags and "A" not in flags
        return bytes(self.below / self.tcp(sport=self.port, dport=self.target_port, flags=flags,
                                           seq=ISS + seq & 0xFFFFFFFF, ack=ack or 0, **fields) / data)

    def take(self, frame, segment):
        """The answer in words; None for what was only sent again."""
        names = "".join(n for bit, n in enumerate(FLAGS) if segment.flags >> bit & 1)
        if "S" in names:
            self.host_iss = segment.seq
        nothing = "R" in names and segment.seq == 0
        words = [names, "seq zero" if nothing else "seq%+d" % signed(segment.seq - (self.host_iss or 0))]
        if "A" in names:
            words.append("ack%+d" % signed(segment.ack - ISS))
        if segment.payload:
            words.append("len %d" % segment.payload)
        if segment.window == 0:
            words.append("no window")
        options = tcp_options(frame)
        words += sorted(KINDS.get(k, "option %d" % k) for k in options if k != 5)
        words += sack_words(options.get(5, b""), segment.ack)
        said = " ".join(words)
        again = said in self.seen and (segment.payload or "F" in names or "S" in names and not self.sent_syn)
        self.seen.add(said)
        return None if again else said


def sack_words(octets, ack):
    """Of a SACK option: "sack" for what is held above a hole, "dsack" for what came twice (RFC 2883 4)."""
    blocks = [struct.unpack_from("!II", octets, at) for at in range(0, len(octets) - 7, 8)]
    twice = bool(blocks) and (signed(blocks[0][1] - ack) <= 0 or len(blocks) > 1 and
                              signed(blocks[0][0] - blocks[1][0]) >= 0 >= signed(blocks[0][1] - blocks[1][1]))
    return ["sack"] * (len(blocks) > twice) + ["dsack"] * twice


def signed(number):
    return (number + (1 << 31) & 0xFFFFFFFF) - (1 << 31)


class Wire:
    """A packet socket in the prober's namespace."""

    def __init__(self, namespace, interface):
        with inside(namespace):
            self.raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.raw.bind((interface, 3))
        self.mac = self.raw.getsockname()[4].hex(":")

    def receive(self, seconds):
        """Frames, until none has come for so long."""
        while select.select([self.raw], [], [], seconds)[0]:
            frame, (_, _, kind, _, _) = self.raw.recvfrom(65536)
            if kind != socket.PACKET_OUTGOING:
                yield frame


def run_all(wire, family, target_mac, probes, expected=None):
    """{name: [answers of each step]} of all probes, {name: (port, generator function)}, run side by side.

    With `expected`, such transcripts, it waits longer where an answer is missing.
    """
    talkers, going = {}, {}
    for number, (name, (port, function)) in enumerate(probes.items()):
        talker = Talker(family, 20000 + number, port, (wire.mac, target_mac))
        talkers[talker.port] = (name, talker)
        going[name] = function(talker)
    said = {name: [] for name in probes}
    while going:
        send_step(wire, going, talkers, said)
        step = {name: [] for name in going}
        end = time.monotonic() + PATIENCE
        while True:
            for frame in wire.receive(QUIET):
                found = pcap.parse(0, frame)
                if found and found.source == family.tern and found.target_port in talkers:
                    name, talker = talkers[found.target_port]
                    words = talker.take(frame, found)
                    if words and name in step and words not in step[name]:
                        step[name].append(words)
            if expected is None or time.monotonic() > end or all(
                    len(step[name]) >= len(said_at(expected[name], len(said[name]))) for name in step):
                break
        done = {name: talker.done for name, talker in talkers.values()}
        for name, answers in step.items():
            if not done[name]:
                said[name].append(answers)
    return said


def said_at(transcript, step):
    return transcript[step] if step < len(transcript) else []


def send_step(wire, going, talkers, said):
    for name, talker in talkers.values():
        if name not in going:
            continue
        talker.sent_syn = False
        try:
            frames = going[name].send(said[name][-1] if said[name] else None)
        except StopIteration:
            del going[name]
            continue
        for frame in frames:
            wire.raw.send(frame)


# ---- What probes are made of ----


def once(*segments):
    """Segments out of nowhere, one a step."""
    def function(talker):
        for s in segments:
            yield [talker.segment(**s)]
    return function


STAMPED = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (STAMP, 0)), ("WScale", 7)]
PLAIN = [("MSS", 1460), ("SAckOK", b""), ("WScale", 7)]


def half_open(*segments):
    """The same in answer to a SYN-ACK; then the third segment, with data, tells what is left of the connection."""
    def function(talker):
        answers = yield [talker.segment("S", options=PLAIN)]
        check(answers, "no SYN-ACK")
        for s in segments:
            yield [talker.segment(**s)]
        yield [talker.segment("PA", 1, 1, b"x" * 5)]
        talker.done = True
        yield [talker.segment("R", 6), talker.segment("R", 1)]
    return function


def established(*segments, options=None):
    """The same on an open connection; then data in order tells what is left of it."""
    def function(talker):
        answers = yield [talker.segment("S", options=options or PLAIN)]
        check(answers, "no SYN-ACK")
        stamp = {"options": [("Timestamp", (STAMP + 10, 0))]} if options else {}
        yield [talker.segment("A", 1, 1, **stamp)]
        for s in segments:
            yield [talker.segment(**s)]
        yield [talker.segment("PA", 1, 1, b"x" * 5, **stamp)]
        talker.done = True
        yield [talker.segment("R", n, **stamp) for n in (1, 6, 11, 16)]
    return function
