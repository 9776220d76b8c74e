"""Namespaces joined by veth pairs, tern's programs in them, captures of what passes: what a case is made of.

A Lab belongs to one case, which runs in a process of its own. All that it makes carries the number of that process
and goes with it: namespaces, and processes by their ids. Needs root, iproute2, ethtool; nothing outside the
namespaces is touched.
"""

import contextlib
import ctypes
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
PYTHON = "/usr/bin/python3"
PEERS = os.path.join(HERE, "peers.py")
TWIN = os.path.join(HERE, "twin.py")
DEMO_CLIENT = os.path.join(TOP, "apps", "demo_client.py")

sys.path.insert(0, os.path.join(TOP, "apps"))
import demo_client  # noqa: E402  the known pattern, as apps/pattern.h has it

ECHO, SINK, SOURCE = 7, 9, 19

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1


class Failure(Exception):
    """A check of the case did not hold."""


class Skip(Exception):
    """The case cannot run here; the text says why."""


def check(condition, *what):
    if not condition:
        raise Failure(" ".join(str(w) for w in what))


class Family:
    """One IP version: the addresses of the two ends, and how they are written."""

    def __init__(self, name, af, tern, kernel, nobody, prefix):
        self.name, self.af, self.tern, self.kernel, self.nobody, self.prefix = name, af, tern, kernel, nobody, prefix

    def tern_address(self):
        return "%s/%d" % (self.tern, self.prefix)

    def kernel_address(self):
        return "%s/%d" % (self.kernel, self.prefix)

    @staticmethod
    def at(host, port):
        return ("[%s]:%d" if ":" in host else "%s:%d") % (host, port)


V4 = Family("v4", socket.AF_INET, "10.77.0.1", "10.77.0.2", "10.77.0.99", 24)
V6 = Family("v6", socket.AF_INET6, "fd77::1", "fd77::2", "fd77::99", 64)
FAMILIES = (V4, V6)


class Case:
    def __init__(self, function, name, arguments, timeout, waits, long):
        self.function, self.name, self.arguments = function, name, arguments
        self.timeout, self.waits, self.long = timeout, waits, long

    def run(self, lab):
        """What it returns is a remark for the report: counts, mostly."""
        return self.function(lab, *self.arguments)


CASES = []


def case(over=((),), timeout=60, waits=False, long=False):
    """Registers a function as a case, once for each item of `over`: FAMILIES, or tuples of arguments.

    `waits`: it mostly waits, and may run beside others. `long`: only with --long. `timeout`: seconds after which it
    has failed; not a measure of speed, but the end of patience.
    """
    def register(function):
        for item in over:
            arguments = item if isinstance(item, tuple) else (item,)
            words = [getattr(a, "name", str(a)) for a in arguments]
            name = function.__name__ + ("[%s]" % ",".join(words) if words else "")
            CASES.append(Case(function, name, arguments, timeout, waits, long))
        return function
    return register


@contextlib.contextmanager
def inside(namespace):
    """Puts this thread into a network namespace: sockets made here stay there."""
    def enter(path):
        fd = os.open(path, os.O_RDONLY)
        try:
            if _LIBC.setns(fd, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns " + path)
        finally:
            os.close(fd)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    enter("/run/netns/" + namespace)
    try:
        yield
    finally:
        enter("/proc/self/fd/%d" % home)
        os.close(home)


def _die_with_parent():
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def command(*argv):
    """Runs a short command; its output is returned, its failure is the case's."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
                          stdin=subprocess.DEVNULL)
    check(done.returncode == 0, "%s: status %d: %s" % (" ".join(argv), done.returncode, done.stdout.strip()))
    return done.stdout


def command_in(namespace, *argv):
    """The same in a namespace. Not by `ip netns exec`, which mounts a /sys of its own, and cannot in a chroot."""
    with inside(namespace):
        return command(*argv)


def need(program):
    if shutil.which(program) is None:
        raise Skip("%s is not installed; tests/setup installs it" % program)


class Process:
    """A program under way, its output in files."""

    def __init__(self, lab, label, argv, namespace=None, stdin=None):
        self.label, self.argv, self.lab = label, argv, lab
        self.out, self.err = lab.path(label + ".out"), lab.path(label + ".err")
        print("+ (%s, in %s) %s" % (label, namespace, " ".join(argv)), flush=True)
        place = inside(namespace) if namespace else contextlib.nullcontext()
        with open(self.out, "wb") as out, open(self.err, "wb") as err, place:
            self.popen = subprocess.Popen(argv, stdout=out, stderr=err, stdin=stdin or subprocess.DEVNULL,
                                          preexec_fn=_die_with_parent)

    def running(self):
        return self.popen.poll() is None

    def signal(self, number):
        if self.running():
            self.popen.send_signal(number)

    def wait(self, seconds):
        """Its exit status; that it does not end is a failure."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure("%s is still running after %g s" % (self.label, seconds)) from None

    def wait_for(self, text, seconds=30, where=None):
        """Waits until its output holds `text`."""
        path = where or self.out
        def there():
            with open(path, encoding="utf-8", errors="replace") as said:
                return text in said.read()
        ended = [False]
        def settled():
            ended[0] = not self.running()
            return there() or ended[0]
        self.lab.wait_until(settled, "%s to say %s" % (self.label, text), seconds)
        check(there(), "%s ended with status %s before it said %s: %s" %
              (self.label, self.popen.poll(), text, self.error_text()))

    def kill(self):
        if self.running():
            self.popen.terminate()
            try:
                self.popen.wait(5)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()

    def error_text(self, size=2000):
        with open(self.err, encoding="utf-8", errors="replace") as text:
            return text.read()[-size:].strip()

    def events(self, kind):
        """The JSON lines it printed with this "event"."""
        found = []
        with open(self.out, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("{"):
                    value = json.loads(line)
                    if value.get("event") == kind:
                        found.append(value)
        return found

    def summary(self):
        said = self.events("summary")
        check(len(said) == 1, "%s printed %d summaries: %s" % (self.label, len(said), self.error_text()))
        return said[0]


class TernProgram(Process):
    """One of tern's programs. However it ended, it must have left nothing behind."""

    def __init__(self, lab, label, argv, namespace=None):
        super().__init__(lab, label, argv, namespace)
        self.checked = None

    def check_left_nothing(self, status, expected):
        check(status == expected, "%s ended with status %d, expected %d: %s" %
              (self.label, status, expected, self.error_text()))
        said = self.summary()
        self.checked = said
        leaks = said.get("leaks", {})
        check("total" in leaks, "%s reports no leak count" % self.label)
        check(leaks["total"] == 0, "%s left behind: %s" % (self.label, json.dumps(leaks)))
        return said

    def stop(self, expected=0, seconds=20):
        """Ends it by SIGINT, and gives its summary. A second call gives the same."""
        if self.checked is None:
            self.signal(signal.SIGINT)
            self.check_left_nothing(self.wait(seconds), expected)
        return self.checked

    def snapshot(self):
        before = len(self.events("snapshot"))
        self.signal(signal.SIGUSR1)
        self.lab.wait_until(lambda: len(self.events("snapshot")) > before, "%s's snapshot" % self.label)
        return self.events("snapshot")[-1]


class Lab:
    def __init__(self, settings, directory, name):
        self.settings, self.directory, self.name = settings, directory, name
        self.namespaces, self.processes = [], []
        self.captures, self.whole = [], False  # `whole`: captures keep every octet, for an analyser
        self.seed = settings.seed
        os.makedirs(directory, exist_ok=True)

    def counts(self, condition, *what):
        """check() of what only tern itself can tell, so not asked of its twin."""
        if self.settings.twin is None:
            check(condition, *what)

    # ---- Places ----

    def path(self, name):
        return os.path.join(self.directory, name)

    def namespace(self, label):
        """A new network namespace with its loopback up; `label` within this case."""
        name = "%s%d-%s" % (self.settings.prefix, os.getpid(), label)
        command("ip", "netns", "add", name)
        self.namespaces.append(name)
        command_in(name, "ip", "link", "set", "lo", "up")
        return name

    def join(self, a, if_a, b, if_b):
        """A veth pair between two namespaces. Frames look as on a wire: checksums computed, none above the MTU."""
        command("ip", "link", "add", if_a, "netns", a, "type", "veth", "peer", "name", if_b, "netns", b)
        for namespace, interface in ((a, if_a), (b, if_b)):
            self.as_on_a_wire(namespace, interface)

    def as_on_a_wire(self, namespace, interface):
        command_in(namespace, "ethtool", "-K", interface, "tx", "off", "rx", "off", "tso", "off",
                "gso", "off", "gro", "off")
        command_in(namespace, "ip", "link", "set", interface, "up")

    def address(self, namespace, interface, *addresses):
        for address in addresses:
            nodad = ("nodad",) if ":" in address else ()
            command_in(namespace, "ip", "addr", "add", address, "dev", interface, *nodad)

    def sysctl(self, namespace, key, value):
        with inside(namespace), open("/proc/sys/" + key.replace(".", "/"), "w", encoding="ascii") as knob:
            knob.write(str(value))

    def kernel_host(self, label, other, if_other):
        """A namespace with the kernel's stack, at 10.77.0.2 and fd77::2 on k0, wired to `if_other` in `other`."""
        name = self.namespace(label)
        self.join(other, if_other, name, "k0")
        self.address(name, "k0", V4.kernel_address(), V6.kernel_address())
        self.tune(name)
        return name

    def tune(self, namespace):
        # Thousands of connections leave as many ports in TIME-WAIT.
        self.sysctl(namespace, "net.ipv4.ip_local_port_range", "10240 65000")
        if self.whole:
            # Else it sends a tail again as soon as tern waits a few milliseconds for its CPU (RFC 8985 7).
            self.sysctl(namespace, "net.ipv4.tcp_early_retrans", 0)
        # As on most machines, whatever this one is set to; a namespace may not choose all of them.
        for name in ("cubic", "reno"):
            try:
                self.sysctl(namespace, "net.ipv4.tcp_congestion_control", name)
                break
            except OSError:
                continue

    def silence(self, namespace):
        """No kernel speaks in tern's own namespace: not even router solicitations."""
        for key in ("all", "default"):
            self.sysctl(namespace, "net.ipv6.conf.%s.disable_ipv6" % key, 1)

    def pair(self, capture=True, snap=200):
        """tern's namespace with t0, the kernel's with k0: (tern, kernel)."""
        tern = self.namespace("t")
        self.silence(tern)
        kernel = self.kernel_host("k", tern, "t0")
        if capture:
            self.capture(kernel, "k0", snap=snap)
        return tern, kernel

    # ---- Programs ----

    def spawn(self, label, argv, namespace=None, stdin=None):
        process = Process(self, self.unique(label), argv, namespace, stdin)
        self.processes.append(process)
        return process

    def unique(self, label):
        taken = {p.label for p in self.processes}
        number = 1
        name = label
        while name in taken:
            number += 1
            name = "%s%d" % (label, number)
        return name

    def tern(self, program, role, namespace, device, *arguments, addresses=(V4.tern_address(), V6.tern_address()),
             label=None, cpu=0):
        """Starts one of tern's programs and does not wait."""
        label = label or program + "-" + role
        argv = self.settings.program(program) + [role, "--device", device, "--json", "--hugepages",
                                                 self.settings.hugepages, "--log_level", "debug"]
        if "--lcores" not in arguments:
            argv += ["--lcores", self.cpu(cpu)]
        for address in addresses:
            argv += ["--address", address]
        return self.tern_process(label, argv + list(arguments), namespace)

    def tern_process(self, label, argv, namespace):
        process = TernProgram(self, self.unique(label), argv, namespace)
        self.processes.append(process)
        return process

    def server(self, namespace, *arguments, device="af_packet:t0", **more):
        """tern-echo server with all three services, ready."""
        ports = [] if "--port" in arguments else ["--port", str(ECHO), "--sink", str(SINK), "--source", str(SOURCE)]
        process = self.tern("tern-echo", "server", namespace, device, *ports, *arguments, **more)
        process.wait_for('"ready"')
        return process

    def client(self, program, namespace, *arguments, device="af_packet:t0", expected=0, seconds=60, **more):
        """Runs a client of tern's to its end, and gives its summary."""
        process = self.tern(program, "client", namespace, device, *arguments, **more)
        return process.check_left_nothing(process.wait(seconds), expected)

    @staticmethod
    def cpu(index):
        cpus = sorted(os.sched_getaffinity(0))
        return str(cpus[index % len(cpus)])

    def peer(self, namespace, *arguments, label="peer"):
        """peers.py: echo, sink and source on kernel sockets, ready."""
        process = self.spawn(label, [PYTHON, "-I", PEERS, *map(str, arguments)], namespace)
        process.wait_for('"ready"')
        return process

    def peer_summary(self, process):
        """Ends a peers.py server; what it saw, which must have been right."""
        process.signal(signal.SIGINT)
        status = process.wait(20)
        said = process.summary()
        check(status == 0 and not said["failures"], "%s: %s %s" % (process.label, said["failures"],
                                                                    process.error_text()))
        return said

    def drive(self, namespace, *arguments, seconds=60, label="drive", cpu=None):
        """apps/demo_client.py: kernel sockets of random shape that check every byte. Its figures. `cpu`: kept there."""
        argv = [] if cpu is None else ["taskset", "-c", self.cpu(cpu)]
        argv += [PYTHON, "-I", DEMO_CLIENT, "--seed", str(self.seed), "--timeout", str(seconds), *map(str, arguments)]
        process = self.spawn(label, argv, namespace)
        status = process.wait(seconds + 20)
        check(status == 0, "%s: %s" % (process.label, process.error_text()))
        with open(process.out, encoding="utf-8") as text:
            return json.load(text)

    def stream(self, namespace, service, where, connections, octets, seconds=60):
        """drive(), with long streams and without tricks."""
        return self.drive(namespace, service, where, "--connections", connections, "--min-bytes", octets, "--max-bytes",
                          octets, "--half-close", 1, "--slow", 0, "--buffer", 0, seconds=seconds)

    # ---- Sockets and time ----

    def socket(self, namespace, af, kind=socket.SOCK_STREAM, protocol=0):
        with inside(namespace):
            made = socket.socket(af, kind, protocol)
        made.settimeout(30)
        return made

    def connect(self, namespace, family, port, host=None, **options):
        """A kernel socket connected to tern; `rcvbuf`, `sndbuf` are set before."""
        made = self.socket(namespace, family.af)
        for option, value in options.items():
            made.setsockopt(socket.SOL_SOCKET, {"rcvbuf": socket.SO_RCVBUF, "sndbuf": socket.SO_SNDBUF}[option], value)
        made.connect((host or family.tern, port))
        return made

    def wait_until(self, condition, what, seconds=30):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise Failure("waited %g s in vain for %s" % (seconds, what))
            time.sleep(0.02)

    # ---- Captures ----

    def capture(self, namespace, interface, snap=200, megabytes=40):
        """Captures until the end of the case; the last `megabytes` of it, so that no case can fill the disk."""
        if self.settings.no_capture or shutil.which("tcpdump") is None:
            return None
        if self.whole:
            snap, megabytes = 65535, 400
        path = self.path(interface + ".pcap")
        process = self.spawn("tcpdump-" + interface, [
            "tcpdump", "-i", interface, "-n", "-s", str(snap), "-U", "-B", "8192", "-w", path, "-C",
            str(megabytes // 2), "-W", "2", "-Z", "root"], namespace)
        process.wait_for("listening on", where=process.err)
        process.pcap = path
        self.captures.append(process)
        return process

    @staticmethod
    def end_capture(process):
        """Its files, the older first."""
        time.sleep(1.2)  # tcpdump gets blocks of frames, and the last not before a second is over; SIGINT loses it
        process.signal(signal.SIGINT)
        process.wait(20)
        return sorted(glob.glob(glob.escape(process.pcap) + "*"), key=os.path.getmtime)

    # ---- The end ----

    def finish(self):
        """What holds for each case: every tern program that still runs ends well when asked to."""
        for process in self.processes:
            if isinstance(process, TernProgram) and process.checked is None:
                process.stop()

    def clean_up(self):
        for process in reversed(self.processes):
            with contextlib.suppress(OSError):
                process.kill()
        remove_namespaces(self.namespaces)


def remove_namespaces(names):
    for name in names:
        subprocess.run(["ip", "netns", "del", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60,
                       check=False)
