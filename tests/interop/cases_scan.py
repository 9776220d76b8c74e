"""What nmap makes of tern, beside what it makes of Linux in the same place."""

import re

from cases_errors import nft
from netlab import ECHO, FAMILIES, V4, case, check, need

CLOSED, SILENT = 4711, 4712
SCANS = ("sS", "sT", "sA", "sN", "sF", "sX", "sW", "sM")


def linux_host(lab, label):
    """Linux where tern would be, with an open, a closed and a silent port: (its namespace, the scanner's)."""
    host = lab.namespace(label + "h")
    scanner = lab.kernel_host(label + "s", host, "t0")
    for address in ("10.77.0.1/24", "fd77::1/64"):
        lab.address(host, "t0", address)
    nft(host, "tcp dport %d drop" % SILENT)
    lab.peer(host, "--echo", ECHO)
    return host, scanner


def tern_host(lab, label, *arguments):
    """tern there: the scanner's namespace."""
    host = lab.namespace(label + "h")
    lab.silence(host)
    scanner = lab.kernel_host(label + "s", host, "t0")
    lab.server(host, *arguments)
    return scanner


def start_scan(lab, scanner, family, kind, ports):
    argv = ["nmap", "-" + kind, "-n", "-Pn", "--reason", "--max-retries", "4", "--initial-rtt-timeout", "300ms",
            "--min-rtt-timeout", "300ms", "--max-rtt-timeout", "1s", "-p", ",".join(map(str, ports)), "-oG", "-",
            family.tern]
    return lab.spawn("nmap-" + kind, argv + (["-6"] if ":" in family.tern else []), scanner)


def table(scans):
    """{kind: {port: state}} of scans under way."""
    found = {}
    for kind, process in scans.items():
        check(process.wait(60) == 0, process.label, process.error_text())
        with open(process.out, encoding="utf-8") as text:
            said = text.read()
        found[kind] = {int(port): state for port, state in re.findall(r"(\d+)/([a-z|]+)/tcp", said)}
    return found


@case(over=FAMILIES, waits=True, timeout=90)
def nmap_scans(lab, family):
    """Eight kinds of scan of an open, a closed and a silent port: the table is Linux's own."""
    need("nmap")
    _, linux = linux_host(lab, "l")
    refusing = tern_host(lab, "r")
    silent = tern_host(lab, "q", "--closed_ports", "silent")
    under_way = [{kind: start_scan(lab, scanner, family, kind, ports) for kind in SCANS}
                 for scanner, ports in ((linux, (ECHO, CLOSED, SILENT)), (refusing, (ECHO, CLOSED)),
                                        (silent, (ECHO, SILENT)))]
    want, refused, silenced = (table(scans) for scans in under_way)
    check(want["sS"] == {ECHO: "open", CLOSED: "closed", SILENT: "filtered"}, "nmap does not see Linux:", want)
    for kind in SCANS:
        for got, port in ((refused, CLOSED), (silenced, SILENT)):
            expected = {p: want[kind].get(p) for p in (ECHO, port)}
            got = {p: got[kind].get(p) for p in (ECHO, port)}
            check(got == expected, "-%s sees" % kind, got, "of tern, and of Linux", expected)
    return "%d scans, %d states equal" % (3 * len(SCANS), 4 * len(SCANS))


@case(waits=True, timeout=120)
def nmap_fingerprint(lab):
    """nmap -O: initial sequence numbers that it cannot guess, and no counter in the IPv4 identification."""
    need("nmap")
    scanner = tern_host(lab, "r")
    process = lab.spawn("nmap", ["nmap", "-O", "-v", "-n", "-Pn", "--max-retries", "2", "-p", "%d,%d" % (ECHO, CLOSED),
                                 V4.tern], scanner)
    check(process.wait(90) == 0, process.error_text())
    with open(process.out, encoding="utf-8") as text:
        said = text.read()
    found = re.search(r"TCP Sequence Prediction: Difficulty=(\d+) \((.*)\)", said)
    check(found, "nmap says nothing of sequence numbers:", said)
    check(int(found.group(1)) >= 200 and "Good luck" in found.group(2), "sequence numbers:", found.group(0))
    identification = re.search(r"IP ID Sequence Generation: (.*)", said)
    check(identification is None or "Incremental" not in identification.group(1), said)
    return "difficulty %s, IP ID: %s" % (found.group(1), identification.group(1) if identification else "-")
