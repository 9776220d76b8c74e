"""Odd segments are answered as Linux answers them in the same place: flags, numbers, options, and what comes after."""

import socket
import threading

import probes
from cases_errors import nft
from cases_network import hardware_address
from netlab import FAMILIES, SINK, Skip, case, check, command_in
from probes import STAMP, STAMPED, established, half_open, once

CLOSED = 4711
FAR = 1 << 30  # beyond any window
TEXT = b"0123456789"


def s(flags, seq=0, ack=None, data=b"", **fields):
    return {"flags": flags, "seq": seq, "ack": ack, "data": data, **fields}


def a(seq, data=b"", **fields):
    return s("PA" if data else "A", seq, 1, data, **fields)


# To a listener and to a port where nobody is.
OUT_OF_NOWHERE = {
    "no flags": [s("")], "FIN": [s("F")], "SYN FIN": [s("SF")], "SYN RST": [s("SR")], "RST": [s("R", 5)],
    "RST ACK": [s("RA", 5, 7)], "ACK": [s("A", 5, 7)], "SYN ACK": [s("SA", 5, 7)], "FIN ACK": [s("FA", 5, 7)],
    "FIN PSH URG": [s("FPU", 5)], "SYN PSH": [s("SP")], "SYN URG": [s("SU", urgptr=5)], "all flags": [s("FSRPAUEC")],
    "data": [s("PA", 5, 7, TEXT)], "data without ACK": [s("P", 5, data=TEXT)],
    "SYN with data": [s("S", data=TEXT)], "SYN FIN with data": [s("SF", data=TEXT)],
    "SYN, no window": [s("S", window=0)], "SYN, reserved bits": [s("S", reserved=7)],
    "SYN with an acknowledgement number": [s("S", ack=77)],
    "SYN, bad checksum": [s("S", chksum=0x1234)], "ACK, bad checksum": [s("A", 5, 7, chksum=0x1234)],
    "SYN, header of 16 octets": [s("S", dataofs=4)], "SYN, header longer than the packet": [s("S", dataofs=15)],
}

# On a SYN.
OPTIONS = {
    "none": [], "all": STAMPED, "MSS 0": [("MSS", 0)], "MSS 1": [("MSS", 1)], "MSS 65535": [("MSS", 65535)],
    "MSS of 3 octets": [(2, b"\5")], "MSS of 6 octets": [(2, b"\5\xb4\0\0")], "MSS twice": [("MSS", 1460), ("MSS", 500)],
    "scale 14": [("WScale", 14)], "scale 15": [("WScale", 15)], "scale 255": [("WScale", 255)],
    "scale of 2 octets": [(3, b"")], "scale of 4 octets": [(3, b"\7\7")],
    "SACK permitted of 3 octets": [(4, b"\1")], "SACK permitted twice": [("SAckOK", b""), ("SAckOK", b"")],
    "timestamp of 6 octets": [(8, b"\0\0\0\1")], "timestamp 0": [("Timestamp", (0, 0))],
    "timestamp with an echo": [("Timestamp", (5, 77))], "SACK blocks": [("SAck", (1, 5))],
    "unknown": [(99, b"abc"), ("MSS", 1460), ("SAckOK", b"")], "experimental": [(254, b"\xf9\x89abcd")],
    "unknown of 255 octets": [(99, b"", 255)], "length 0": [(99, b"", 0)], "length 1": [(99, b"", 1)],
    "end, then more": [("EOL", None), ("EOL", None), ("SAckOK", b"")], "only NOPs": [("NOP", None)] * 40,
}


def option_octets(options):
    """Those that scapy would mend are written by hand: (kind, content, length that it claims)."""
    by_hand = [o for o in options if len(o) == 3]
    if not by_hand:
        return {"options": options}
    octets = b"".join(bytes((kind, length)) + content for kind, content, length in by_hand)
    octets += bytes((4, 2))  # SACK permitted, which must not be seen
    return {"dataofs": 5 + (len(octets) + 3) // 4, "data": octets + bytes(-len(octets) % 4)}


HALF_OPEN = {
    "ACK of more": [s("A", 1, 1000)], "ACK of less": [s("A", 1, 0)], "ACK, old number": [s("A", -5, 1)],
    "ACK beyond the window": [s("A", FAR, 1)], "RST": [s("R", 1)], "RST in the window": [s("R", 100)],
    "RST beyond the window": [s("R", FAR)], "RST left of the window": [s("R", -5)], "RST ACK": [s("RA", 1, 1)],
    "SYN again": [s("S", options=probes.PLAIN)], "SYN, another": [s("S", 100)], "SYN ACK": [s("SA", 1, 1)],
    "data": [a(1, TEXT)], "data out of order": [a(100, TEXT)], "FIN": [s("FA", 1, 1)], "FIN with data": [s("FA", 1, 1, TEXT)],
    "no flags": [s("", 1)], "data without ACK": [s("P", 1, data=TEXT)], "bad checksum": [s("A", 1, 1, chksum=1)],
    "no window": [s("A", 1, 1, window=0)],
}

ESTABLISHED = {
    "nothing": [], "RST": [s("R", 1)], "RST in the window": [s("R", 100)], "RST beyond the window": [s("R", FAR)],
    "RST left of the window": [s("R", -10)], "RST with data": [s("R", 1, data=TEXT)], "RST ACK": [s("RA", 1, 1)],
    "RST ACK of more": [s("RA", 1, 1000)], "RST, bad checksum": [s("R", 1, chksum=1)],
    "SYN": [s("S", 1)], "SYN in the window": [s("S", 100)], "SYN beyond the window": [s("S", FAR)],
    "SYN again": [s("S", options=probes.PLAIN)], "SYN ACK": [s("SA", 0, 1)], "SYN FIN": [s("SF", 1)],
    "SYN RST": [s("SR", 1)], "SYN with data": [s("SPA", 1, 1, TEXT)],
    "ACK of more": [s("A", 1, 1000)], "ACK of much more": [s("A", 1, FAR)], "ACK of the SYN's": [s("A", 1, 0)],
    "ACK far too old": [s("A", 1, -FAR)], "data with an ACK of more": [s("PA", 1, 1000, TEXT)],
    "data with an ACK far too old": [s("PA", 1, -FAR, TEXT)],
    "data without ACK": [s("P", 1, data=TEXT)], "no flags": [s("", 1, data=TEXT)], "URG": [s("UA", 1, 1, TEXT, urgptr=3)],
    "URG far ahead": [s("UA", 1, 1, TEXT, urgptr=65535)], "URG without data": [s("UA", 1, 1, urgptr=5)],
    "urgent pointer without URG": [a(1, TEXT, urgptr=5)],
    "old data": [a(-20, TEXT)], "data over the left edge": [a(-4, TEXT)], "data beyond the window": [a(FAR, TEXT)],
    "keep-alive": [a(0)], "keep-alive with an octet": [a(0, b"x")], "ACK beyond the window": [a(FAR)],
    "out of order": [a(21, TEXT)], "a hole, and its fill": [a(11, TEXT), a(1, TEXT)],
    "two holes": [a(11, TEXT), a(31, TEXT)], "the same twice": [a(1, TEXT), a(1, TEXT)],
    "overlaps": [a(1, TEXT), a(6, TEXT), a(3, b"xx")], "out of order, overlapping": [a(11, TEXT), a(16, TEXT), a(11, TEXT)],
    "other octets in an overlap": [a(11, TEXT), a(11, b"x" * 10), a(1, TEXT)],
    "FIN": [s("FA", 1, 1)], "FIN with data": [s("FPA", 1, 1, TEXT)], "FIN out of order": [s("FA", 11, 1)],
    "FIN out of order, and its hole": [s("FPA", 11, 1, TEXT), a(1, TEXT)],
    "FIN beyond the window": [s("FA", FAR, 1)], "FIN without ACK": [s("F", 1)],
    "FIN, then data": [s("FA", 1, 1), a(2, TEXT)], "no window": [a(1, window=0)], "no window, with data": [a(1, TEXT, window=0)],
    "bad checksum": [a(1, TEXT, chksum=1)], "header of 16 octets": [a(1, TEXT, dataofs=4)],
    "header longer than the packet": [a(1, dataofs=15)], "options with length 0": [a(1, b"\x63\0\4\2", dataofs=6)],
    "SACK of what was not sent": [a(1, options=[("SAck", (5, 10))])], "reserved bits": [a(1, TEXT, reserved=7)],
}


def stamp(value, echo=0):
    return [("Timestamp", (value & 0xFFFFFFFF, echo))]


WITH_TIMESTAMPS = {
    "old": [a(1, TEXT, options=stamp(STAMP - 1000))], "old, no data": [a(1, options=stamp(STAMP - 1000))],
    "old RST": [s("R", 1, options=stamp(STAMP - 1000))], "old FIN": [s("FA", 1, 1, options=stamp(STAMP - 1000))],
    "far ahead": [a(1, TEXT, options=stamp(STAMP + FAR))], "half a circle ahead": [a(1, TEXT, options=stamp(STAMP + (1 << 31)))],
    "the same again": [a(1, TEXT, options=stamp(STAMP + 10))], "an echo of nothing": [a(1, TEXT, options=stamp(STAMP + 10, 5))],
    "RST without": [s("R", 1)], "old, out of order": [a(21, TEXT, options=stamp(STAMP - 1000))],
    "keep-alive": [a(0, options=stamp(STAMP + 10))], "SYN": [s("S", 100, options=STAMPED)],
}


def all_probes():
    found = {}
    for name, segments in OUT_OF_NOWHERE.items():
        found["to the listener: " + name] = (SINK, once(*segments))
        found["to a closed port: " + name] = (CLOSED, once(*segments))
    for name, options in OPTIONS.items():
        found["SYN's options: " + name] = (SINK, once(s("S", **option_octets(options))))
    for name, segments in HALF_OPEN.items():
        found["half-open: " + name] = (SINK, half_open(*segments))
    for name, segments in ESTABLISHED.items():
        found["established: " + name] = (SINK, established(*segments))
    for name, segments in WITH_TIMESTAMPS.items():
        found["timestamps: " + name] = (SINK, established(*segments, options=STAMPED))
    return found


# Where tern does otherwise, and why: its answers to the odd segments and to what follows them.
OTHERWISE = {
    # RFC 9293 3.10.7.4, fourth: back to LISTEN, which takes the new SYN, where Linux resets.
    "half-open: SYN, another": [["SA seq+0 ack+101 mss"], ["A seq+1 ack+101"]],
    # RFC 9293 3.10.7.4, first: it lies left of the window, and is acknowledged, where Linux resets.
    "half-open: SYN ACK": [["A seq+1 ack+1"], ["A seq+1 ack+6"]],
    # RFC 9293 3.10.7.4, seventh: text behind a FIN is ignored, where Linux resets.
    "half-open: FIN": [["FA seq+1 ack+2"], []],
    "established: FIN": [["FA seq+1 ack+2"], []],
    "established: FIN, then data": [["FA seq+1 ack+2"], [], []],
    # RFC 5961 5.2: an old ACK is one within the largest window that the peer ever had; Linux asks for octets sent.
    "established: ACK of the SYN's": [[], ["A seq+1 ack+6"]],
    # A FIN beyond a hole is remembered; SACK is for data (RFC 2018 3), and Linux reports it nevertheless.
    "established: FIN out of order": [["A seq+1 ack+1"], ["A seq+1 ack+6"]],
    # RFC 7323 5.3, R1: what is older is answered with an ACK; Linux answers only what has data.
    "timestamps: old, no data": [["A seq+1 ack+1 stamp"], ["A seq+1 ack+6 stamp"]],
}


def wanted_of(name, linux):
    """What tern has to answer where Linux answers so."""
    other = OTHERWISE.get(name, [])
    return [plain(answers) for answers in linux[:len(linux) - len(other)]] + other


def plain(answers):
    """Without what may or may not be: an ACK beside a FIN that acknowledges as much, and duplicates that are reported
    (RFC 2883 leaves it to the receiver)."""
    answers = [a.removesuffix(" dsack") for a in answers]
    acked = {a.split()[2] for a in answers if a.startswith("FA ")}
    return [a for a in answers if not (a.startswith("A ") and len(a.split()) == 3 and a.split()[2] in acked)]


class Reader(threading.Thread):
    """Kernel sockets that read, say nothing, and close when the peer has."""

    def __init__(self, lab, namespace, family):
        super().__init__(daemon=True)
        self.listener = lab.socket(namespace, family.af)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((family.tern, SINK))
        self.listener.listen(500)
        self.listener.settimeout(None)

    def run(self):
        while True:
            threading.Thread(target=self.read, args=self.listener.accept()[:1], daemon=True).start()

    @staticmethod
    def read(sock):
        try:
            while sock.recv(1000):
                pass
        except OSError:
            pass
        sock.close()


def prober(lab, label):
    """Two namespaces, (host, prober); nothing of the prober's own kernel answers."""
    host = lab.namespace(label + "h")
    kernel = lab.kernel_host(label + "p", host, "t0")
    nft(kernel, "tcp sport { %d, %d } drop" % (SINK, CLOSED))
    return host, kernel


@case(over=FAMILIES, waits=True, timeout=120)
def odd_segments(lab, family):
    """More than a hundred and fifty: odd flags, wrong numbers, overlaps, options that lie, to every kind of port and connection."""
    try:
        import scapy  # noqa: F401
    except ImportError:
        raise Skip("scapy is not installed; tests/setup installs it") from None
    everything = all_probes()
    host, kernel = prober(lab, "l")
    lab.address(host, "t0", family.tern_address())
    Reader(lab, host, family).start()
    mac = link_address(host)
    linux = probes.run_all(probes.Wire(kernel, "k0"), family, mac, everything)
    host, kernel = prober(lab, "t")
    lab.silence(host)
    if lab.settings.keep:
        lab.capture(kernel, "k0")
    server = lab.server(host)
    want = {name: wanted_of(name, transcript) for name, transcript in linux.items()}
    tern = probes.run_all(probes.Wire(kernel, "k0"), family, hardware_address(server), everything, want)
    check(linux["established: nothing"][0] == ["SA seq+0 ack+1 mss sackok scale"], "Linux:", linux["established: nothing"])
    got = {name: [plain(answers) for answers in transcript] for name, transcript in tern.items()}
    wrong = ["%s\n    Linux: %s\n    tern:  %s" % (name, linux[name], tern[name]) for name in want
             if got[name] != want[name]]
    check(not wrong, "%d of %d are answered otherwise:\n%s" % (len(wrong), len(want), "\n".join(wrong)))
    return "%d probes, %d of them answered otherwise for a reason" % (len(want), len(OTHERWISE))


def link_address(namespace):
    words = command_in(namespace, "ip", "-o", "link", "show", "t0").split()
    return words[words.index("link/ether") + 1]
