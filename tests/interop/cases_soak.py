"""Connections opened, used and abandoned at random for a long time, with loss: nothing may be left, nothing may grow."""

import time

from cases_network import Routed
from netlab import ECHO, FAMILIES, PYTHON, SINK, SOURCE, DEMO_CLIENT, Skip, case, check

# What tables and the C library may still grow by once they have seen the busiest round.
SLACK_KIB = 1024


def resident_kib(process):
    with open("/proc/%d/status" % process.popen.pid, encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def use_and_abandon(lab, net, number):
    """One round: streams of random shape over both families, some reset half-way, and a client killed in the middle."""
    shape = ("--connections", 120, "--concurrency", 40, "--max-bytes", "60K", "--abort", 0.25, "--seed", lab.seed + number)
    family = FAMILIES[number % 2]
    targets = ("--echo", family.at(family.tern, ECHO), "--sink", family.at(family.tern, SINK))
    doomed = lab.spawn("doomed", [PYTHON, "-I", DEMO_CLIENT, "--timeout", "60", *map(str, targets + shape), "--source",
                                  family.at(family.tern, SOURCE), "--connections", "2000"], net.kernel)
    said = lab.drive(net.kernel, *targets, *shape)
    doomed.popen.kill()
    doomed.popen.wait()
    return said


@case(over=((20,), (3600,)), timeout=4200, waits=True)
def soak(lab, seconds):
    """With --long for an hour: the server's memory is flat once warm, and at the end it holds nothing."""
    if seconds > 60 and not lab.settings.long:
        raise Skip("it takes %d s; --long runs it" % seconds)
    net = Routed(lab, 1, capture=False)
    # A client that is killed says so in one segment, and that may be lost, too.
    server = lab.server(net.tern, *net.gateways, "--keepalive", "10s")
    end = time.monotonic() + seconds
    resident, aborted, octets, number = [], 0, 0, 0
    while time.monotonic() < end or number < 4:
        said = use_and_abandon(lab, net, number)
        aborted += said["aborted"]
        octets += said["octets_in"] + said["octets_out"]
        resident.append(resident_kib(server))
        number += 1
    stack = lambda: server.snapshot()["stack"]
    lab.wait_until(lambda: stack()["connections"] == stack()["half_open"] == 0, "the last connections to end", 300)
    warm = max(resident[:max(2, number // 4)])
    said = server.stop()
    check(max(resident) <= warm + SLACK_KIB or lab.settings.twin, "resident KiB grew from", warm, "to", max(resident), ":", resident)
    return "%d rounds, %d connections, %d aborted by the client, %d MB, %d segments lost; resident %d, %d, %d KiB" % (
        number, said["service"]["accepted"], aborted, octets // 10**6, net.lost(), resident[0], warm, resident[-1])
