"""A link in the middle that carries less than those at the ends: routers that say so, and routers that do not."""

import threading
import time

from netlab import ECHO, FAMILIES, SINK, SOURCE, V4, case, check, command_in

MIB = 1 << 20


class NarrowLink:
    """tern, two routers with a link of a small MTU between them, a kernel host: both ends believe in 1500."""

    def __init__(self, lab, mtu, silent=False):
        self.lab = lab
        self.tern, self.near, self.far, self.kernel = (lab.namespace(n) for n in "tabk")
        lab.silence(self.tern)
        lab.join(self.tern, "t0", self.near, "a0")
        lab.join(self.near, "a1", self.far, "b1")
        lab.join(self.far, "b0", self.kernel, "k0")
        lab.address(self.near, "a0", "10.77.0.254/24", "fd77::fe/64")
        lab.address(self.near, "a1", "10.79.0.1/24", "fd79::1/64")
        lab.address(self.far, "b1", "10.79.0.2/24", "fd79::2/64")
        lab.address(self.far, "b0", "10.78.0.254/24", "fd78::fe/64")
        lab.address(self.kernel, "k0", "10.78.0.2/24", "fd78::2/64")
        for router, other in ((self.near, ("10.79.0.2", "fd79::2")), (self.far, ("10.79.0.1", "fd79::1"))):
            lab.sysctl(router, "net.ipv4.ip_forward", 1)
            lab.sysctl(router, "net.ipv6.conf.all.forwarding", 1)
            # A word for each packet, so that none is missed for the kernel's own thrift.
            lab.sysctl(router, "net.ipv4.icmp_ratelimit", 0)
            lab.sysctl(router, "net.ipv6.icmp.ratelimit", 0)
            command_in(router, "ip", "route", "add", "default", "via", other[0])
            command_in(router, "ip", "-6", "route", "add", "default", "via", other[1])
            if silent:
                command_in(router, "nft", "table inet interop {\n chain c {\n  type filter hook output priority 0\n"
                           "  icmp type destination-unreachable drop\n  icmpv6 type packet-too-big drop\n }\n}\n")
        command_in(self.kernel, "ip", "route", "add", "default", "via", "10.78.0.254")
        command_in(self.kernel, "ip", "-6", "route", "add", "default", "via", "fd78::fe")
        lab.tune(self.kernel)
        if silent:  # Linux looks for black holes only when told to
            lab.sysctl(self.kernel, "net.ipv4.tcp_mtu_probing", 1)
        self.set_mtu(mtu)
        lab.capture(self.near, "a0")

    gateways = ("--gateway", "10.77.0.254", "--gateway", "fd77::fe")

    def set_mtu(self, mtu):
        for router, interface in ((self.near, "a1"), (self.far, "b1")):
            command_in(router, "ip", "link", "set", interface, "mtu", str(mtu))

    @staticmethod
    def kernel_host(family):
        return "10.78.0.2" if family is V4 else "fd78::2"


def both_ways(lab, net, family, size):
    """Streams from the kernel's side, then from tern's; tern's counts of each."""
    server = lab.server(net.tern, *net.gateways)
    # tern's large segments go first: once the kernel knows the path, it asks for no larger ones in its SYNs.
    for service, port in (("--source", SOURCE), ("--sink", SINK), ("--echo", ECHO)):
        lab.stream(net.kernel, service, family.at(family.tern, port), connections=4, octets=size)
    lab.drive(net.kernel, "--echo", family.at(family.tern, ECHO), "--connections", 100, "--concurrency", 20,
              "--max-bytes", "64K")
    served = server.stop()
    check(served["sink"]["matched"] == 4, "sink:", served["sink"])
    command_in(net.kernel, "ip", "route", "flush", "cache")
    command_in(net.kernel, "ip", "-6", "route", "flush", "cache")
    peer = lab.peer(net.kernel, "--echo", ECHO, "--sink", SINK, "--source", SOURCE)
    host = net.kernel_host(family)
    both = lab.client("tern-bulk", net.tern, *net.gateways, "--connect", host, "--direction", "both", "--connections",
                      "4", "--bytes", str(4 * size), seconds=100)
    lab.client("tern-bulk", net.tern, *net.gateways, "--connect", host, "--direction", "echo", "--connections", "50",
               "--bytes", str(50 * 40000), seconds=100)
    check(lab.peer_summary(peer)["octets_in"] == 4 * size + 50 * 40000, "the kernel got another number of octets")
    return served["stack"], both["stack"]


@case(over=[(f, m) for m in (1280, 1400, 1492) for f in FAMILIES], timeout=240)
def path_mtu(lab, family, mtu):
    """Routers say what their link carries, to both ends: every byte arrives, and nobody suspects a black hole."""
    for counts in both_ways(lab, NarrowLink(lab, mtu), family, 2 * MIB):
        lab.counts(counts.get("path_mtu_lowered", 0) > 0, "nobody told tern:", counts)
        lab.counts(counts.get("path_black_holes", 0) == 0, "a black hole, though routers speak:", counts)


@case(over=FAMILIES, timeout=300)
def path_black_hole(lab, family):
    """Routers that drop what is too big, and the word of it: both ends find out by themselves."""
    for counts in both_ways(lab, NarrowLink(lab, 1400, silent=True), family, 2 * MIB):
        lab.counts(counts.get("path_black_holes", 0) > 0, "no black hole:", counts)
        lab.counts(counts.get("path_mtu_raised", 0) > 0, "no probe arrived:", counts)


@case(over=FAMILIES, timeout=180)
def path_narrows(lab, family):
    """The link in the middle shrinks under streams that are under way, and grows again."""
    net = NarrowLink(lab, 1500)
    server = lab.server(net.tern, *net.gateways)

    def change():
        for mtu in (1400, 1300, 1500):
            time.sleep(0.7)
            net.set_mtu(mtu)
    changes = threading.Thread(target=change)
    changes.start()
    try:
        for _ in range(3):
            lab.stream(net.kernel, "--echo", family.at(family.tern, ECHO), connections=2, octets=12 * MIB)
    finally:
        changes.join()
    said = server.stop()
    lab.counts(said["stack"].get("path_black_holes", 0) == 0, "stack:", said["stack"])
