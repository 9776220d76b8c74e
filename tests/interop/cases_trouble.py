"""Links of every size and with a tag, cables that are pulled, and parties that freeze or die in mid-flow."""

import re
import select
import signal
import socket
import struct
import threading
import time

import pcap
from cases_network import Routed
from netlab import ECHO, FAMILIES, SINK, SOURCE, V4, V6, Skip, case, check, command_in, inside

MIB = 1 << 20
_SOL_PACKET = 263


# ---- Links ----


def exchange_all(lab, tern, kernel):
    """Streams both ways, opened by either side, over both families."""
    server = lab.server(tern)
    for family in FAMILIES:
        lab.stream(kernel, "--echo", family.at(family.tern, ECHO), connections=2, octets=MIB)
    server.stop()
    peer = lab.peer(kernel, "--sink", SINK, "--source", SOURCE)
    for family in FAMILIES:
        lab.client("tern-bulk", tern, "--connect", family.kernel, "--direction", "both", "--connections", "2", "--bytes",
                   str(2 * MIB))
    check(lab.peer_summary(peer)["octets_in"] == 4 * MIB, "the kernel got another number of octets")


@case(over=((1280,), (1500,), (9000,)), waits=True)
def mtu(lab, octets):
    """Both ends fill the link's frames, and neither goes beyond."""
    tern, kernel = lab.pair(capture=False)
    for namespace, interface in ((tern, "t0"), (kernel, "k0")):
        command_in(namespace, "ip", "link", "set", interface, "mtu", str(octets))
    capture = lab.capture(kernel, "k0", snap=120)
    exchange_all(lab, tern, kernel)
    if capture is None:
        return
    largest = {}
    for s in pcap.segments(lab.end_capture(capture)):
        largest[s.source] = max(largest.get(s.source, 0), s.payload)
    want = {V4.tern: octets - 52, V4.kernel: octets - 52, V6.tern: octets - 72, V6.kernel: octets - 72}
    check(largest == want, "the largest payloads are", largest, "expected", want)


class AccessPort(threading.Thread):
    """A switch between `trunk`, whose frames carry a tag, and `access`, whose frames do not; what has another tag, or
    none, stays where it is. Not the kernel's, which can have been built without."""

    _AUXDATA, _VALID = 8, 1 << 4  # PACKET_AUXDATA, TP_STATUS_VLAN_VALID

    def __init__(self, namespace, trunk, access, tag):
        super().__init__(daemon=True)
        self.tag, self.untagged = tag, 0
        self.trunk, self.access = (self.open(namespace, i) for i in (trunk, access))

    def open(self, namespace, interface):
        with inside(namespace):
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        made.setsockopt(_SOL_PACKET, self._AUXDATA, 1)
        made.bind((interface, 3))
        return made

    def run(self):
        while True:
            for sock in select.select([self.trunk, self.access], [], [])[0]:
                frame, control, _, sender = sock.recvmsg(65536, 100)
                if sender[2] == socket.PACKET_OUTGOING:
                    continue
                status, tci = struct.unpack_from("=I12xH", control[0][2])
                if sock is self.access:
                    self.trunk.send(frame[:12] + struct.pack("!HH", 0x8100, self.tag) + frame[12:])
                elif status & self._VALID and tci & 0xFFF == self.tag:
                    self.access.send(frame)
                else:
                    self.untagged += 1


@case(over=((77, 77), (77, 78)), waits=True)
def vlan(lab, ours, theirs):
    """tern in a VLAN, on the trunk of a switch; in another VLAN it is not there."""
    tern, switch = lab.namespace("t"), lab.namespace("s")
    lab.silence(tern)
    lab.silence(switch)
    lab.join(tern, "t0", switch, "s0")
    kernel = lab.kernel_host("k", switch, "s1")
    lab.capture(tern, "t0")
    port = AccessPort(switch, "s0", "s1", theirs)
    port.start()
    server = lab.server(tern, "--vlan", str(ours))
    for family in FAMILIES:
        if ours == theirs:
            lab.stream(kernel, "--echo", family.at(family.tern, ECHO), connections=2, octets=MIB // 4)
            continue
        sock = lab.socket(kernel, family.af)
        sock.settimeout(1.5)
        try:
            sock.connect((family.tern, ECHO))
            check(False, "tern answers in a VLAN that it is not in")
        except OSError:
            pass
        sock.close()
    drops = server.stop()["drops"]
    check(ours != theirs or port.untagged == 0, port.untagged, "frames of tern's without its tag")
    lab.counts((drops.get("vlan_not_ours", 0) > 0) == (ours != theirs), "drops:", drops)


@case(over=FAMILIES, waits=True, timeout=90)
def mtu_shrinks_in_mid_flow(lab, family):
    """Beyond the router the link becomes smaller while the kernel sends; nothing is lost for good."""
    net = Routed(lab, 0, capture=False)
    capture = lab.capture(net.kernel, "k0", snap=120)
    server = lab.server(net.tern, *net.gateways)
    sock = lab.connect(net.kernel, family, SINK)
    sock.sendall(bytes(2 * MIB))
    command_in(net.router, "ip", "link", "set", "r1", "mtu", "1280")
    command_in(net.kernel, "ip", "link", "set", "k0", "mtu", "1280")
    sock.sendall(bytes(2 * MIB))
    sock.shutdown(socket.SHUT_WR)
    check(sock.recv(1) == b"", "tern's sink said something")
    sock.close()
    sink = server.stop()["sink"]
    check(sink["octets"] == 4 * MIB and sink["streams"] == 1, "sink:", sink)
    if capture:
        sizes = [s.payload for s in pcap.segments(lab.end_capture(capture)) if s.source == net.kernel_host(family)]
        check(max(sizes) > 1400 and 1180 < max(sizes[-20:]) <= 1240, "the kernel's segments did not shrink:",
              max(sizes), sizes[-20:])


# ---- Parties that do not answer ----


def wait_for_octets(lab, namespace, port, octets):
    """Until a kernel socket of this local port has received or sent so much."""
    def moved():
        said = command_in(namespace, "ss", "-Htin", "sport", "=", ":%d" % port)
        return max((int(n) for n in re.findall(r"bytes_(?:received|acked):(\d+)", said)), default=0) >= octets
    lab.wait_until(moved, "%d octets on port %d" % (octets, port))


@case(over=FAMILIES, waits=True, timeout=90)
def kernel_peer_frozen(lab, family):
    """The kernel's process stops for three seconds while streams go both ways: the windows shut, and open again."""
    tern, kernel = lab.pair()
    peer = lab.peer(kernel, "--sink", SINK, "--source", SOURCE)
    client = lab.tern("tern-bulk", "client", tern, "af_packet:t0", "--connect", family.kernel, "--direction", "both",
                      "--connections", "4", "--bytes", str(48 * MIB))
    wait_for_octets(lab, kernel, SINK, MIB // 2)
    peer.signal(signal.SIGSTOP)
    check(client.running(), "it was over too soon")
    time.sleep(3)
    check(client.running(), "the client ended while its peer was frozen")
    peer.signal(signal.SIGCONT)
    client.check_left_nothing(client.wait(60), 0)
    check(lab.peer_summary(peer)["octets_in"] == 48 * MIB, "the kernel got another number of octets")


@case(over=FAMILIES, waits=True, timeout=90)
def tern_frozen(lab, family):
    """tern's process stops for three seconds in mid-flow, as in a paused machine: every octet arrives all the same."""
    tern, kernel = lab.pair()
    server = lab.server(tern)
    said = []

    def drive():
        said.append(lab.stream(kernel, "--echo", family.at(family.tern, ECHO), connections=2, octets=16 * MIB))
    driver = threading.Thread(target=drive, daemon=True)
    driver.start()
    lab.wait_until(lambda: server.snapshot()["service"]["octets_in"] > MIB, "the streams to be under way")
    server.signal(signal.SIGSTOP)
    time.sleep(3)
    server.signal(signal.SIGCONT)
    driver.join(60)
    check(said and said[0]["echo"] == 2, "the streams did not come through:", said)
    check(server.stop()["service"]["graceful"] == 2, "service:", server.stop()["service"])


@case(over=FAMILIES, waits=True)
def kernel_peer_killed(lab, family):
    """The kernel's process dies in mid-flow: tern's client is told, and leaves nothing behind."""
    tern, kernel = lab.pair()
    peer = lab.peer(kernel, "--sink", SINK)
    client = lab.tern("tern-bulk", "client", tern, "af_packet:t0", "--connect", family.kernel, "--direction", "up",
                      "--connections", "4", "--bytes", "64GiB")
    wait_for_octets(lab, kernel, SINK, MIB)
    peer.signal(signal.SIGKILL)
    said = client.check_left_nothing(client.wait(30), 1)
    check(sum(said["failures"].values()) == 4, "failures:", said["failures"])
    check(set(said["failures"]) <= {"ended before its time: reset", "the server ended the stream before its time"},
          "failures:", said["failures"])


@case(over=FAMILIES, waits=True)
def tern_killed(lab, family):
    """tern dies and is started again: it knows nothing of the old connection, and says so (RFC 9293 3.5.1)."""
    lab.settings.hugepages = "off"  # a killed process cannot give them back
    tern, kernel = lab.pair()
    server = lab.server(tern)
    sock = lab.connect(kernel, family, ECHO)
    sock.sendall(b"before")
    check(sock.recv(100) == b"before", "no echo")
    server.signal(signal.SIGKILL)
    server.wait(10)
    server.checked = {}
    server = lab.server(tern)
    sock.sendall(b"after")
    try:
        check(not sock.recv(100), "an echo from a server that cannot know the connection")
        check(False, "the stream ended as if it were whole")
    except ConnectionResetError:
        pass
    stack = server.stop()["stack"]
    lab.counts(stack["resets_sent"] >= 1, "stack:", stack)


def cable(lab):
    """tern and a kernel, with a bridge between: (tern, kernel, a function that pulls the kernel's end or plugs it in)."""
    tern, bridge = lab.namespace("t"), lab.namespace("b")
    lab.silence(tern)
    lab.silence(bridge)
    lab.join(tern, "t0", bridge, "b0")
    kernel = lab.kernel_host("k", bridge, "b1")
    command_in(bridge, "ip", "link", "add", "br0", "type", "bridge", "forward_delay", "0")
    for port in ("b0", "b1"):
        command_in(bridge, "ip", "link", "set", port, "master", "br0")
    command_in(bridge, "ip", "link", "set", "br0", "up")
    lab.capture(kernel, "k0")
    return tern, kernel, lambda state: command_in(bridge, "ip", "link", "set", "b1", state)


@case(over=[(f, s) for s in (4, 30) for f in FAMILIES], waits=True, timeout=200)
def cable_pulled(lab, family, seconds):
    """No link for so long while streams go both ways: they go on by themselves."""
    if seconds > 4 and not lab.settings.long:
        raise Skip("it takes about %d s; --long runs it" % (3 * seconds))
    tern, kernel, link = cable(lab)
    peer = lab.peer(kernel, "--sink", SINK, "--source", SOURCE)
    client = lab.tern("tern-bulk", "client", tern, "af_packet:t0", "--connect", family.kernel, "--direction", "both",
                      "--connections", "2", "--bytes", str(12 * MIB), "--impairment", "rate=40mbit,seed=1")
    wait_for_octets(lab, kernel, SINK, MIB // 2)
    link("down")
    check(client.running(), "it was over too soon")
    time.sleep(seconds)
    check(client.running(), "the client ended while the cable was out:", client.error_text())
    link("up")
    client.check_left_nothing(client.wait(4 * seconds + 60), 0)
    check(lab.peer_summary(peer)["octets_in"] == 12 * MIB, "the kernel got another number of octets")
