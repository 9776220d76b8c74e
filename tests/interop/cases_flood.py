"""SYN cookies and floods: kernel clients whose handshakes tern keeps nothing of, and those that get in nevertheless."""

import ipaddress
import socket
import struct
import threading
import time

import pcap
from cases_network import checksum, hardware_address
from netlab import ECHO, FAMILIES, SINK, SOURCE, V4, V6, case, check, inside

MIB = 1 << 20
FLOOD = 30000  # spoofed SYNs, in all


def tcp_options(frame):
    """{kind: value} of a captured TCP segment, the header whole in it."""
    at = 14 + ((frame[14] & 15) * 4 if frame[12:14] == b"\x08\x00" else 40)
    end = at + (frame[at + 12] >> 4) * 4
    at += 20
    found = {}
    while at < end and frame[at] != 0:
        if frame[at] == 1:
            at += 1
            continue
        length = max(frame[at + 1], 2)
        found[frame[at]] = frame[at + 2:at + length]
        at += length
    return found


def check_synacks(paths, host, timestamps):
    """What tern agreed to, and that its clock never stepped back on any connection. Gives the number of SYN-ACKs."""
    synacks, clocks = 0, {}
    for path in paths:
        for when, frame in pcap.frames(path):
            s = pcap.parse(when, frame)
            if s is None or s.source != host or s.flags & pcap.RST:
                continue
            options = tcp_options(frame)
            if s.flags & pcap.SYN:
                synacks += 1
                check(2 in options, "a SYN-ACK without an MSS")
                for kind, name in ((3, "window scale"), (4, "SACK"), (8, "timestamps")):
                    check((kind in options) == timestamps, "a SYN-ACK", "with" if kind in options else "without", name)
            if 8 not in options:
                continue
            value = struct.unpack("!I", options[8][:4])[0]
            flow = (s.source_port, s.target, s.target_port)
            back = clocks.get(flow, value) - value & 0xFFFFFFFF
            check(back == 0 or back >= 1 << 31, "tern's timestamps stepped back by", back, "ms on", flow)
            clocks[flow] = value
    return synacks


@case(over=[(f, t) for t in ("stamped", "plain") for f in FAMILIES], timeout=90)
def syn_cookies(lab, family, stamps):
    """With cookies always: every byte right, scale and SACK agreed on with timestamps, and without them not."""
    tern, kernel = lab.pair(capture=False)
    lab.sysctl(kernel, "net.ipv4.tcp_timestamps", 1 if stamps == "stamped" else 0)
    capture = lab.capture(kernel, "k0")
    server = lab.server(tern, "--syn_cookies", "always")
    lab.drive(kernel, "--echo", family.at(family.tern, ECHO), "--sink", family.at(family.tern, SINK), "--source",
              family.at(family.tern, SOURCE), "--connections", 300, "--concurrency", 50, "--max-bytes", "64K")
    for service, port in (("--sink", SINK), ("--source", SOURCE)):
        lab.stream(kernel, service, family.at(family.tern, port), connections=2, octets=4 * MIB)
    said = server.stop()
    if lab.settings.twin is None and capture is not None:
        synacks = check_synacks(lab.end_capture(capture), family.tern, stamps == "stamped")
        check(synacks > 0, "the capture holds no SYN-ACK")
    lab.counts(said["stack"]["syn_cookies_accepted"] >= 304, "stack:", said["stack"])
    lab.counts(said["stack"]["syn_cookies_accepted"] == said["stack"]["accepted"], "stack:", said["stack"])
    lab.counts("tcp_bad_cookie" not in said["drops"], "drops:", said["drops"])


def spoofed_syn(family, target_mac, source_mac, number):
    """A frame with a SYN to the echo port from an address and port that nobody has."""
    head = struct.pack("!HHIIBBHHH", 1024 + number % 60000, ECHO, number * 2654435761 & 0xFFFFFFFF, 0, 5 << 4, 2,
                       65535, 0, 0)
    to = ipaddress.ip_address(family.tern).packed
    if family is V4:
        source = struct.pack("!I", 0xC6120000 + number * 7919 % (1 << 17))  # 198.18.0.0/15
        pseudo = source + to + struct.pack("!HH", 6, len(head))
        packet = struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0x4000, 64, 6, 0) + source + to
        packet = packet[:10] + struct.pack("!H", checksum(packet)) + packet[12:]
        kind = 0x0800
    else:
        source = ipaddress.ip_address("2001:db8::").packed[:8] + struct.pack("!Q", number * 7919 + 1)
        pseudo = source + to + struct.pack("!II", len(head), 6)
        packet = struct.pack("!IHBB", 6 << 28, len(head), 6, 64) + source + to
        kind = 0x86DD
    head = head[:16] + struct.pack("!H", checksum(pseudo + head)) + head[18:]
    return target_mac + source_mac + struct.pack("!H", kind) + packet + head + bytes(6 if family is V4 else 0)


class Flood(threading.Thread):
    """Spoofed SYNs from inside the kernel's namespace, a bounded number of them, until told to stop."""

    def __init__(self, kernel, family, target_mac):
        super().__init__(daemon=True)
        with inside(kernel):
            self.raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.raw.bind(("k0", 0))
        self.family, self.target_mac = family, target_mac
        self.sent, self.enough, self.error = 0, threading.Event(), None

    def run(self):
        try:
            mac = self.raw.getsockname()[4]
            while self.sent < FLOOD and not self.enough.is_set():
                for _ in range(50):
                    self.raw.send(spoofed_syn(self.family, self.target_mac, mac, self.sent))
                    self.sent += 1
                time.sleep(0.005)
        except OSError as error:
            self.error = error

    def end(self):
        self.enough.set()
        self.join()
        self.raw.close()
        check(self.error is None, "the flood broke off:", self.error)


@case(over=FAMILIES, timeout=90)
def syn_flood(lab, family):
    """Thousands of SYNs from nowhere; kernel clients get in all the while, and not a byte of theirs is wrong."""
    tern, kernel = lab.pair(capture=False)
    server = lab.server(tern, "--backlog", "64", "--gateway", V4.kernel, "--gateway", V6.kernel)
    lab.connect(kernel, family, ECHO).close()  # both know each other's hardware address
    if lab.settings.twin is None:
        target = bytes.fromhex(hardware_address(server).replace(":", ""))
    else:
        target = b"\xff" * 6
    flood = Flood(kernel, family, target)
    flood.start()
    lab.wait_until(lambda: flood.sent >= 1000 or flood.error, "the flood")
    lab.drive(kernel, "--echo", family.at(family.tern, ECHO), "--connections", 200, "--concurrency", 20, "--max-bytes",
              "32K")
    flood.end()
    said = server.stop()
    stack, drops = said["stack"], said["drops"]
    lab.counts(stack["accepted"] >= 201, "stack:", stack)
    lab.counts(stack["syn_cookies_sent"] >= 900, "of", flood.sent, "SYNs only", stack["syn_cookies_sent"],
               "got a cookie")
    lab.counts(stack["syn_cookies_accepted"] > 0, "stack:", stack)
    lab.counts(not {"tcp_backlog_full", "half_open_table_full", "tcp_bad_cookie"} & set(drops), "drops:", drops)
