"""IPv6 addresses that come by themselves (RFC 4862): Linux as the router, and as the one who has the address already."""

import re
import socket
import struct
import threading

from netlab import ECHO, SINK, V6, Skip, case, check, command_in, inside

PREFIX, BEYOND = "fd77::", "fd78::"
ALL_NODES = "ff02::1"


class Router:
    """Advertises PREFIX/64 on a link twice a second, as radvd would; the kernel of the namespace forwards."""

    def __init__(self, lab, namespace, interface, lifetime=1800, mtu=1400):
        self.socket = lab.socket(namespace, socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        with inside(namespace):
            index = socket.if_nametoindex(interface)
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        self.message = self.advertisement(lifetime, mtu)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.speak, daemon=True)
        self.thread.start()

    @staticmethod
    def advertisement(lifetime, mtu):
        """RFC 4861 4.2; the kernel fills in the checksum."""
        prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 7200, 3600, 0) + socket.inet_pton(socket.AF_INET6, PREFIX)
        return struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, lifetime, 0, 0) + struct.pack("!BBHI", 5, 1, 0, mtu) + prefix

    def speak(self):
        while not self.over.wait(0.5):
            self.socket.sendto(self.message, (ALL_NODES, 0))

    def stop(self):
        self.over.set()
        self.thread.join()


def only_tern(lab):
    if lab.settings.twin is not None:
        raise Skip("the kernel has its own way to configure itself")


def learned(lab, server):
    """The address that the server's log says it has."""
    server.wait_for("by a router's prefix", where=server.err)
    with open(server.err, encoding="utf-8", errors="replace") as text:
        found = re.search(r"(%s[0-9a-f:]+) is an address of ours" % PREFIX, text.read())
    check(found, "no address in the log:", server.error_text())
    return found.group(1)


@case(waits=True)
def address_from_router(lab):
    """tern is given no address: it takes one by a router's prefix, and is reached from the link and from beyond."""
    only_tern(lab)
    tern, router, kernel = (lab.namespace(n) for n in "trk")
    lab.silence(tern)
    lab.sysctl(router, "net.ipv6.conf.all.forwarding", 1)
    lab.join(tern, "t0", router, "r0")
    lab.join(router, "r1", kernel, "k0")
    lab.address(router, "r0", PREFIX + "fe/64")
    lab.address(router, "r1", BEYOND + "fe/64")
    lab.address(kernel, "k0", BEYOND + "2/64")
    command_in(kernel, "ip", "-6", "route", "add", "default", "via", BEYOND + "fe")
    lab.tune(kernel)
    lab.capture(router, "r0")
    server = lab.server(tern, "--autoconf", addresses=())
    # Until then the kernel would speak from an address that no router may advertise from.
    lab.wait_until(lambda: "fe80" in command_in(router, "ip", "-6", "addr", "show", "dev", "r0", "-tentative"),
                   "the router's link-local address")
    speaker = Router(lab, router, "r0")
    address = learned(lab, server)
    for namespace in (router, kernel):
        lab.drive(namespace, "--echo", V6.at(address, ECHO), "--connections", 20, "--max-bytes", "64K")
    lab.stream(kernel, "--sink", V6.at(address, SINK), connections=2, octets=4 << 20)
    speaker.stop()
    said = server.stop()
    drops = said["drops"]
    # The kernel asks after its own addresses, too.
    check(not any(name.startswith("ndp_") and name != "ndp_not_ours" for name in drops), "drops:", drops)


@case(waits=True)
def address_that_the_kernel_has(lab):
    """An address that the kernel has already is not used, and said so; without asking it is used."""
    only_tern(lab)
    tern, kernel = lab.pair()
    lab.address(kernel, "k0", V6.tern_address())
    server = lab.server(tern, "--dad_configured")
    server.wait_for("%s is not used" % V6.tern, where=server.err)
    said = server.stop()
    check(said["drops"].get("ndp_conflict") == 1, "drops:", said["drops"])


@case(waits=True)
def kernel_that_wants_our_address(lab):
    """The kernel asks before it takes an address; tern, which has it, says so."""
    only_tern(lab)
    tern, kernel = lab.pair()
    server = lab.server(tern)
    command_in(kernel, "ip", "addr", "add", V6.tern + "/128", "dev", "k0")
    lab.wait_until(lambda: "dadfailed" in command_in(kernel, "ip", "-6", "addr", "show", "dev", "k0"),
                   "the kernel to give the address up")
    command_in(kernel, "ip", "addr", "del", V6.tern + "/128", "dev", "k0")
    lab.drive(kernel, "--echo", V6.at(V6.tern, ECHO), "--connections", 5)
    server.stop()
