"""The same bytes over other devices, with more workers, and in other frames."""

import os
import shutil
import tempfile

from netlab import ECHO, FAMILIES, SINK, SOURCE, V4, V6, Skip, case, check, command_in

MIB = 1 << 20


def everything(lab, kernel, connections=300):
    """Kernel clients of random shape on all services and both families."""
    where = []
    for family in FAMILIES:
        where += ["--echo", family.at(family.tern, ECHO), "--sink", family.at(family.tern, SINK),
                  "--source", family.at(family.tern, SOURCE)]
    return lab.drive(kernel, *where, "--connections", connections, "--concurrency", 200, "--max-bytes", "200K")


@case(timeout=60)
def tap(lab):
    """The kernel behind a tap that tern makes."""
    if not os.path.exists("/dev/net/tun"):
        raise Skip("there is no /dev/net/tun")
    namespace = lab.namespace("t")
    server = lab.server(namespace, device="tap:tern0")
    lab.as_on_a_wire(namespace, "tern0")
    lab.address(namespace, "tern0", V4.kernel_address(), V6.kernel_address())
    lab.capture(namespace, "tern0")
    everything(lab, namespace)
    server.stop()
    peer = lab.peer(namespace, "--echo", ECHO, "--sink", SINK, "--source", SOURCE)
    # A client's tap is there only once it runs, so it has to wait for the kernel's address like for any neighbour.
    client = lab.tern("tern-bulk", "client", namespace, "tap:tern1", "--connect", "10.79.0.2", "--direction", "both",
                      "--bytes", str(4 * MIB), addresses=("10.79.0.1/24",))
    lab.wait_until(lambda: not client.running() or has_link(namespace, "tern1"), "the client's tap")
    lab.as_on_a_wire(namespace, "tern1")
    lab.address(namespace, "tern1", "10.79.0.2/24")
    client.check_left_nothing(client.wait(60), 0)
    check(lab.peer_summary(peer)["octets_in"] == 4 * MIB, "the kernel got another number of octets")


def has_link(namespace, name):
    return name in command_in(namespace, "ip", "-br", "link")


def between_two_of_tern(lab, server_device, client_device):
    """Both parties are tern, in two processes, without a kernel between them."""
    namespace = lab.namespace("t")
    server = lab.server(namespace, device=server_device)
    more = dict(device=client_device, addresses=(V4.kernel_address(), V6.kernel_address()), cpu=1)
    for family in FAMILIES:
        said = lab.client("tern-echo", namespace, "--connect", family.at(family.tern, ECHO), "--connections", "64",
                          "--duration", "1s", **more)
        check(said["load"]["requests"] > 0, "no request was answered")
        lab.client("tern-bulk", namespace, "--connect", family.tern, "--direction", "both", "--connections", "2",
                   "--bytes", str(32 * MIB), **more)
        lab.client("tern-bulk", namespace, "--connect", family.tern, "--direction", "echo", "--connections", "500",
                   "--bytes", str(8 * MIB), **more)
    sink = server.stop()["sink"]
    check(sink["matched"] == 4 and sink["octets"] == 64 * MIB, "sink:", sink)


class SocketDirectory:
    """A short path, since a socket's has a limit."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="tern-io-")
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


@case(timeout=90)
def memif(lab):
    with SocketDirectory() as directory:
        path = os.path.join(directory, "m.sock")
        between_two_of_tern(lab, "memif:%s,role=server" % path, "memif:%s,role=client" % path)


@case(timeout=90)
def vhost_user(lab):
    with SocketDirectory() as directory:
        path = os.path.join(directory, "v.sock")
        between_two_of_tern(lab, "vhost:" + path, "virtio_user:" + path)


@case(timeout=60)
def without_hugepages(lab):
    lab.settings.hugepages = "off"
    tern, kernel = lab.pair()
    server = lab.server(tern)
    everything(lab, kernel)
    server.stop()


@case(timeout=60)
def two_workers(lab):
    """The device cannot steer, so workers hand packets to the owner of the connection."""
    if lab.cpu(0) == lab.cpu(1):
        raise Skip("there is only one CPU")
    lcores = ("--lcores", "%s,%s" % (lab.cpu(0), lab.cpu(1)))
    tern, kernel = lab.pair()
    server = lab.server(tern, *lcores)
    check(server.events("ready")[0]["workers"] == 2, "ready:", server.events("ready"))
    said = everything(lab, kernel, 1000)
    summary = server.stop()
    check(summary["service"]["accepted"] == 1000, "accepted", summary["service"])
    check(summary["sink"]["hash_sum"] == said["sink_hash_sum"], "hashes differ:", summary["sink"], said)
    check(summary["stack"].get("handed_over", 0) > 0, "nothing was handed over:", summary["stack"])
    peer = lab.peer(kernel, "--echo", ECHO, "--random")
    said = lab.client("tern-bulk", tern, *lcores, "--connect", V4.kernel, "--direction", "echo", "--connections",
                      "1000", "--bytes", str(8 * MIB))
    check(said["stack"].get("handed_over", 0) > 0, "nothing was handed over:", said["stack"])
    check(lab.peer_summary(peer)["graceful"] == 1000, "the kernel saw another number of connections")


@case(timeout=60, waits=True)
def jumbo_frames(lab):
    tern, kernel = lab.pair()
    for namespace, interface in ((tern, "t0"), (kernel, "k0")):
        command_in(namespace, "ip", "link", "set", interface, "mtu", "9000")
    server = lab.server(tern)
    check("MTU 9000" in server.events("ready")[0]["where"], "ready:", server.events("ready"))
    everything(lab, kernel)
    server.stop()


@case(timeout=60, waits=True)
def pool_of_addresses(lab):
    """Every address of a pool answers, and is a source of connections."""
    tern, kernel = lab.pair()
    for prefix in ("10.77.1.0/24", "fd77:1::/64"):
        command_in(kernel, "ip", "route", "add", prefix, "dev", "k0")
    pools = ("--pool", "10.77.1.0/25", "--pool", "fd77:1::/120")
    server = lab.server(tern, *pools)
    where = []
    for last in (1, 5, 77, 126):
        where += ["--echo", "10.77.1.%d:%d" % (last, ECHO), "--echo", "[fd77:1::%x]:%d" % (last, ECHO)]
    lab.drive(kernel, *where, "--connections", 200, "--max-bytes", "64K")
    server.stop()
    peer = lab.peer(kernel, "--echo", ECHO)
    for family in FAMILIES:
        lab.client("tern-bulk", tern, *pools, "--connect", family.kernel, "--direction", "echo", "--connections", "100",
                   "--bytes", "1MiB")
    check(lab.peer_summary(peer)["graceful"] == 200, "the kernel saw another number of connections")


@case(over=(("tcp_timestamps",), ("tcp_sack",), ("tcp_window_scaling",)), timeout=60, waits=True)
def kernel_without(lab, option):
    """A kernel that does not offer an option."""
    tern, kernel = lab.pair()
    lab.sysctl(kernel, "net.ipv4." + option, 0)
    server = lab.server(tern)
    everything(lab, kernel, 200)
    server.stop()
    peer = lab.peer(kernel, "--sink", SINK, "--source", SOURCE)
    lab.client("tern-bulk", tern, "--connect", V4.kernel, "--direction", "both", "--bytes", str(4 * MIB))
    lab.peer_summary(peer)


@case(timeout=60, waits=True)
def tern_without_options(lab):
    tern, kernel = lab.pair()
    server = lab.server(tern, "--notimestamps", "--nosack", "--nowindow_scale", "--congestion", "newreno")
    everything(lab, kernel, 200)
    server.stop()
