#!/usr/bin/python3 -I
"""Kernel sockets that stand where tern's programs stand, with the same flags and reports, as far as the cases look.

usage: twin.py --fault FAULT PROGRAM ROLE [--key value]...

The interop suite runs against it (--twin), to show that its cases pass with a peer known to be good and fail with one
that has a fault: flip (one octet is wrong), leak, crash (at the end), deaf (does not end when asked to), ports (answers
where nobody should), none.
"""

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "apps")]
import demo_client  # noqa: E402
import peers  # noqa: E402


def flags_of(argv):
    """{key: [values]}; a flag without a value has none."""
    found = {}
    at = 0
    while at < len(argv):
        key = argv[at].removeprefix("--")
        at += 1
        found.setdefault(key, [])
        if at < len(argv) and not argv[at].startswith("--"):
            found[key].append(argv[at])
            at += 1
    return found


class Twin:
    def __init__(self, fault, role, flags):
        self.fault, self.role, self.flags = fault, role, flags
        self.interface = flags["device"][0].split(":", 1)[1].split(",")[0]

    def come_up(self):
        for address in self.flags["address"]:
            if ":" in address:
                for name in ("all", "default", self.interface):
                    with open("/proc/sys/net/ipv6/conf/%s/disable_ipv6" % name, "w", encoding="ascii") as knob:
                        knob.write("0")
            subprocess.run(["ip", "addr", "replace", address, "dev", self.interface] +
                           (["nodad"] if ":" in address else []), check=True)
        for gateway in self.flags.get("gateway", ()):
            subprocess.run(["ip", "route", "replace", "default", "via", gateway], check=True)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as raw:
            raw.bind((self.interface, 0))
            return raw.getsockname()[4].hex(":")

    def say(self, **more):
        leaks = {"total": 1 if self.fault == "leak" else 0}
        stack = dict.fromkeys(("resets_sent", "resets_received"), 0)
        stack["retransmitted_segments"] = 1
        print(json.dumps({"event": "summary", "stack": stack, "drops": {}, "leaks": leaks, **more}), flush=True)
        return 0

    def serve(self):
        mac = self.come_up()
        args = peers.parse([])
        for service, flag in (("echo", "port"), ("sink", "sink"), ("source", "source")):
            setattr(args, service, int(self.flags.get(flag, ["0"])[0]))
        args.flip = 10 if self.fault == "flip" else None
        peers.raise_file_limit()
        server = peers.Server(args)
        if self.fault == "ports":
            server.listen(4711, peers.Echo)

        def stop(*_):
            server.stopping = self.fault != "deaf"
        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)
        print(json.dumps({"event": "ready", "where": "%s (twin, %s, MTU 1500)" % (self.interface, mac), "workers": 1}),
              flush=True)
        server.run()
        service = {"accepted": server.accepted, "graceful": server.graceful, "broken": server.resets,
                   "octets_in": server.octets_in, "octets_out": server.octets_out}
        sink = {"streams": server.sink_streams, "octets": server.sink_octets, "matched": server.sink_matched,
                "mismatched": len(server.failures), "hash_sum": "%016x" % server.sink_hash_sum}
        return self.say(service=service, sink=sink)

    def drive(self, program):
        self.come_up()
        connections = int(self.flags.get("connections", ["1"])[0])
        host = self.flags["connect"][0]
        if program == "tern-echo":
            argv = ["--ping", host, "--size", self.flags.get("size", ["64"])[0], "--requests", "20"]
        else:
            size = demo_client.size(self.flags["bytes"][0]) // connections
            at = ("[%s]" if ":" in host else "%s") % host
            services = {"up": ["sink"], "down": ["source"], "both": ["sink", "source"], "echo": ["echo"]}
            ports = {"sink": "9", "source": "19", "echo": "7"}
            argv = ["--min-bytes", str(size), "--max-bytes", str(size), "--half-close", "1", "--slow", "0"]
            used = services[self.flags.get("direction", ["up"])[0]]
            for service in used:
                argv += ["--" + service, "%s:%s" % (at, self.flags.get(service, [ports[service]])[0])]
            connections *= len(used)
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            status = demo_client.main(argv + ["--connections", str(connections), "--concurrency", "5000"])
        result = json.loads(said.getvalue())
        load = {"opened": connections, "octets_in": result["octets_in"], "octets_out": result["octets_out"],
                "requests": 1}
        return self.say(load=load, failures={}) or status


def main(argv):
    fault, program, role = argv[1], argv[2], argv[3]
    if argv[0] != "--fault" or role not in ("server", "client"):
        sys.exit(__doc__)
    twin = Twin(fault, role, flags_of(argv[4:]))
    status = twin.serve() if role == "server" else twin.drive(program)
    if fault == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep(1)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
