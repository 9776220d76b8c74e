"""What tshark's experts say of the captures of other cases: checksums checked, every segment followed."""

import re

import netlab
from cases_network import Routed
from netlab import ECHO, SINK, SOURCE, case, check, command, need

# Cases whose whole conversation is looked at, and those below. None of them sends bursts that the ring of tern's device
# cannot hold while tern waits for its CPU: that would be loss.
SUBJECTS = (
    "python_socket[v4]", "python_socket[v6]", "tern_server_closes_first[v6]", "refused_by_tern[v4]",
    "urgent_data[v4]", "keepalive[v6]", "same_port_again[v4]",
    "one_window_shut_other_open[v4]", "curl[v4]", "http_corners[v6]", "redis_benchmark[v6]", "few[tcp_timestamps]",
    "few[tcp_sack]", "few[tcp_window_scaling]", "lossy[v4]", "lossy[v6]",
)

# Of the protocol at work, not of a mistake.
NORMAL = re.compile(
    r"Connection (reset|finish|establish)|connection closing|TCP window (specified|update)|TCP Zero Window|TCP keep-alive|"
    r"ACK to a TCP keep-alive|reuses previously used ports|A new tcp session is started|"
    r"zero window probe|ACK to a TCP zero|Response (code|not found)|No response seen|HTTP/1")
# Somebody was late, or lost something.
AGAIN = re.compile(r"retransmission|Duplicate ACK|out-of-order segment|D-SACK|Previous segment")
UNSEEN = re.compile(r"ACKed segment that wasn't captured|Previous segment")


class Reading:
    """A capture as tshark reads it."""

    def __init__(self, path):
        base = ["tshark", "-n", "-r", path, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]
        # Else it guesses at random octets, and finds what it guessed malformed.
        for port in (ECHO, SINK, SOURCE, 80, 6379):
            base += ["-d", "tcp.port==%d,echo" % port]
        fields = ["ip.src", "ipv6.src", "_ws.expert.message", "frame.number", "frame.time_epoch", "tcp.nxtseq", "tcp.seq"]
        said = command(*base, "-Y", "tcp || _ws.expert.severity >= note", "-T", "fields", "-E", "separator=/t", "-E",
                       "aggregator=|", "-E", "occurrence=a", *(w for f in fields for w in ("-e", f)))
        self.remarks = []  # (source, text)
        self.segments, self.from_kernel, self.silence = 0, 0, 0.0
        asked = None
        for line in said.splitlines():
            parts = line.split("\t")
            if len(parts) != len(fields):
                continue  # run as root, it complains of that
            source, when = parts[0] or parts[1], float(parts[4])
            self.remarks += [(source, "%s (frame %s)" % (t, parts[3])) for t in parts[2].split("|") if t]
            self.segments += 1
            if not is_kernel(source):
                self.silence = max(self.silence, when - (when if asked is None else asked))
                asked = None
                continue
            self.from_kernel += 1
            if parts[5] != parts[6] and asked is None:
                asked = when


def is_kernel(address):
    return address in (netlab.V4.kernel, netlab.V6.kernel)


def lossy(lab, family):
    """Streams through a router that loses one per cent."""
    net = Routed(lab, 1, capture=False)
    lab.capture(net.kernel, "k0")
    server = lab.server(net.tern, *net.gateways)
    for service, port in (("--sink", SINK), ("--source", SOURCE), ("--echo", ECHO)):
        lab.stream(net.kernel, service, family.at(family.tern, port), connections=2, octets=1 << 20)
    server.stop()


def few(lab, option):
    """A kernel that does not offer an option, a few connections at a time, opened by either side."""
    tern, kernel = lab.pair()
    lab.sysctl(kernel, "net.ipv4." + option, 0)
    server = lab.server(tern)
    for family in netlab.FAMILIES:
        lab.drive(kernel, "--echo", family.at(family.tern, ECHO), "--connections", 30, "--concurrency", 3, "--max-bytes",
                  "40K")
    server.stop()
    lab.peer(kernel, "--echo", ECHO)
    for family in netlab.FAMILIES:
        lab.client("tern-bulk", tern, "--connect", family.kernel, "--direction", "echo", "--connections", "4", "--bytes",
                   "200K")


def run_subject(lab, subject):
    name, _, argument = subject.rstrip("]").partition("[")
    if name == "lossy":
        lossy(lab, netlab.V4 if argument == "v4" else netlab.V6)
    elif name == "few":
        few(lab, argument)
    else:
        next(c for c in netlab.CASES if c.name == subject).run(lab)


def frames_taken(lab):
    """How many frames tern's programs say that they received; None when one does not say."""
    total = 0
    for process in lab.processes:
        if isinstance(process, netlab.TernProgram):
            total += process.checked["stack"].get("rx_frames", 0)
        elif process.label.startswith("tern-"):
            return None
    return total


@case(over=[(s,) for s in SUBJECTS], timeout=120)
def expert(lab, subject):
    """Nothing malformed, no bad checksum, no ACK of the unseen; sent again only what was lost."""
    need("tshark")
    need("tcpdump")
    lab.whole = True
    run_subject(lab, subject)
    lab.finish()
    readings, missed = [], 0
    for process in lab.captures:
        readings += [Reading(path) for path in lab.end_capture(process)]
        missed += sum(map(int, re.findall(r"(\d+) packets? dropped by kernel", process.error_text())))
    total = sum(r.segments for r in readings)
    check(total > 0, "nothing was captured")
    everything = [remark for r in readings for remark in r.remarks if not (missed and UNSEEN.search(remark[1]))]
    wrong = [r for r in everything if not AGAIN.search(r[1]) and not NORMAL.search(r[1])]
    check(not wrong, len(wrong), "of", total, "segments are not as they should be:", wrong[:20])
    again = [r for r in everything if AGAIN.search(r[1])]
    taken = frames_taken(lab)
    lost = taken is not None and sum(r.from_kernel for r in readings) > taken
    # Linux sends again after 200 ms; on a machine that gives tern no CPU for as long, it is right.
    late = max(r.silence for r in readings) > 0.15
    excused = missed or lost or late or subject.startswith("lossy")
    # Two CPUs can bring frames of one flow through a veth pair in another order than they were sent in.
    check(excused or len(again) <= 3, "sent again, or out of order, though nothing was lost:", again[:20])
    return "%d segments, %d times again%s" % (total, len(again), ", starved" if again and (lost or late) else "")
