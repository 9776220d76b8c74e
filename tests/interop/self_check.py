"""That the cases work with a peer known to be good, and fail with one that is not: kernel sockets in tern's place."""

import os
import re

import cases_network
from netlab import ECHO, HERE, PYTHON, V4, case, check, command_in, need

TALLY = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.MULTILINE)

# What the twin does wrong, cases that must see it, and words of what they must say.
FAULTS = (
    ("flip", ("python_socket[[]v4]", "nc[[]v6]", "bulk[[]v4]"),
     ("what came back differs", "did not get back", "byte 10")),
    ("leak", ("refused_by_tern[[]v4]",), ("left behind",)),
    ("crash", ("refused_by_tern[[]v6]",), ("ended with status -11",)),
    ("deaf", ("refused_by_tern[[]v4]",), ("still running",)),
    ("ports", ("refused_by_tern[[]v4]",), ("a closed port gave",)),
)


def against_twin(lab, fault, names):
    """Runs cases of this suite against the twin: its output, and (passed, failed, skipped)."""
    argv = [PYTHON, "-I", os.path.join(HERE, "run"), "--twin", fault, "--seed", str(lab.seed), "--no-capture"]
    for name in names:
        argv += ["--only", name]
    os.environ["TERN_BUILD_DIR"] = lab.directory
    process = lab.spawn("nested", argv)
    process.wait(110)
    with open(process.out, encoding="utf-8", errors="replace") as text:
        said = text.read()
    found = TALLY.findall(said)
    check(len(found) == 1, "no tally:", said[-1000:], process.error_text())
    return said, tuple(int(n) for n in found[0])


@case(timeout=120, waits=True)
def cases_pass_with_a_good_peer(lab):
    said, tally = against_twin(lab, "none", ("python_socket[[]v?]", "ping[[]v6]", "refused_by_tern[[]v4]"))
    check(tally == (4, 0, 0), said[-2000:])


@case(over=tuple((f[0],) for f in FAULTS), timeout=120, waits=True)
def cases_fail_with_a_bad_peer(lab, fault):
    _, names, words = next(f for f in FAULTS if f[0] == fault)
    said, tally = against_twin(lab, fault, names)
    check(tally == (0, len(names), 0), "expected %d failures:" % len(names), said[-2000:])
    for word in words:
        check(word in said, "nobody said '%s':" % word, said[-2000:])


@case(timeout=60, waits=True)
def the_analyser_sees(lab):
    """The filter of `analyser` finds what a lossy router and a closed port do to two kernels."""
    need("tshark")
    need("tcpdump")
    net = cases_network.Routed(lab, 5, capture=False)
    lab.address(net.tern, "t0", V4.tern_address())
    command_in(net.tern, "ip", "route", "add", "default", "via", "10.77.0.254")
    lab.peer(net.tern, "--echo", ECHO)
    capture = lab.capture(net.kernel, "k0", snap=65535)
    lab.drive(net.kernel, "--echo", V4.at(V4.tern, ECHO), "--connections", 100, "--min-bytes", "20K", "--max-bytes",
              "64K")
    found, looked_at = cases_network.complaints(lab.end_capture(capture))
    check(looked_at > 300 and len(found) > 20, "tshark complains of", len(found), "of", looked_at)
