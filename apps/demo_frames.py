#!/usr/bin/python3 -I
"""Bounces Ethernet frames off a forwarder that swaps MAC addresses, from a kernel packet socket: the bare limit of a
device, to set beside what a TCP stack makes of it.

Keeps --window frames in flight for --seconds, as that many connections with one request each would be. Prints one JSON
object on stdout; exit status 1 when hardly anything came back.
"""

import argparse
import json
import select
import socket
import struct
import sys
import time

ETHERTYPE = 0x88B5  # IEEE 802, for local experiments


def frame_to(peer, own, number, size):
    head = peer + own + struct.pack("!HI", ETHERTYPE, number)
    return head + bytes(max(0, size - len(head)))


def bounce(args):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE))
    sock.bind((args.interface, ETHERTYPE))
    sock.setblocking(False)
    own = sock.getsockname()[4]
    peer = bytes.fromhex(args.peer.replace(":", ""))
    asked, latencies = {}, []
    sent = number = 0
    begin = time.monotonic()
    end = begin + args.seconds
    while (now := time.monotonic()) < end:
        while len(asked) < args.window:
            number += 1
            asked[number] = time.perf_counter_ns()
            sock.send(frame_to(peer, own, number, args.size))
            sent += 1
        if not select.select([sock], [], [], 0.1)[0]:
            asked.clear()  # lost, or the forwarder is not up yet
            continue
        for _ in range(args.window):
            try:
                frame = sock.recv(2048)
            except BlockingIOError:
                break
            at = asked.pop(struct.unpack_from("!I", frame, 14)[0], None)
            if frame[6:12] == peer and at is not None:
                latencies.append(time.perf_counter_ns() - at)
    return sent, latencies, now - begin


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interface", required=True)
    parser.add_argument("--peer", required=True, metavar="MAC", help="the forwarder's address")
    parser.add_argument("--size", type=int, default=118, help="octets of a frame (118: 64 of TCP payload over IPv4)")
    parser.add_argument("--window", type=int, default=64, help="frames in flight (64)")
    parser.add_argument("--seconds", type=float, default=2)
    args = parser.parse_args(argv)
    sent, latencies, seconds = bounce(args)
    latencies.sort()
    result = {"sent": sent, "returned": len(latencies), "seconds": round(seconds, 3),
              "frames_per_s": round(len(latencies) / seconds, 1)}
    if latencies:
        result["p50_us"] = round(latencies[len(latencies) // 2] / 1000, 1)
        result["p99_us"] = round(latencies[min(len(latencies) - 1, len(latencies) * 99 // 100)] / 1000, 1)
    print(json.dumps(result))
    return 0 if len(latencies) > 100 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
