#!/usr/bin/python3 -I
"""Puts what apps/demo measured into one table, and holds the two sides' books against each other.

usage: demo_report.py DIRECTORY [--pair vhost|memif|none]

Exit status 1 when a server's books do not agree with its clients', or something was left behind.
"""

import argparse
import json
import os
import sys

MASK = 2**64 - 1


class Books:
    """The JSON files of one run; what is missing is empty."""

    def __init__(self, directory):
        self.directory = directory
        self.problems = []

    def __getitem__(self, name):
        path = os.path.join(self.directory, name + ".json")
        try:
            with open(path, encoding="utf-8") as text:
                return json.loads(text.readlines()[-1])
        except (OSError, ValueError, IndexError):
            return {}

    def expect_equal(self, what, server, clients):
        if server != clients:
            self.problems.append("%s: the server says %s, its clients %s" % (what, server, clients))


def number(value, digits=0):
    return "-" if value is None else "{:,.{}f}".format(value, digits)


def octets(value):
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return "%.*f %s" % (0 if unit == "B" or value >= 100 else 1, value, unit)
        value /= 1024
    return "%.2f GiB" % value


def micros(nanos):
    return None if nanos is None else nanos / 1000


def check_kernel(books):
    server, clients = books["kernel"], [books["random"], books["bulk_sink"]]
    if not server:
        books.problems.append("no summary of the server that the kernel's sockets talked to")
        return
    sink = server.get("sink", {})
    books.expect_equal("discard streams", sink.get("streams"), sum(c.get("sink_streams", 0) for c in clients))
    books.expect_equal("discard octets", sink.get("octets"), sum(c.get("sink_octets", 0) for c in clients))
    total = sum(int(c.get("sink_hash_sum", "0"), 16) for c in clients) & MASK
    books.expect_equal("sum of the discard streams' hashes", sink.get("hash_sum"), "%016x" % total)


def check_pair(books):
    server, bulk = books["tern_server"], books["pair_bulk"]
    if not server:
        return
    for direction, service in (("up", "sink"), ("down", "source")):
        books.expect_equal("hashes of the streams " + direction, server.get(service, {}).get("hash_sum"),
                           bulk.get(direction, {}).get("hash_sum"))


def check_leaks(books):
    for name in ("kernel", "tern_server", "pair_closed", "pair_open", "pair_bulk", "pair_through"):
        book = books[name]
        if book and book.get("leaks", {}).get("total") != 0:
            books.problems.append("%s: left behind: %s" % (name, book.get("leaks")))


def cycles_between(books, before, after, requests):
    """The server's busy cycles a request between two of its snapshots."""
    first, last = books[before].get("stack"), books[after].get("stack")
    if not first or not last or not requests:
        return None
    return (last["busy_cycles"] - first["busy_cycles"]) / requests


def kernel_rows(books):
    for name, title in (("random", "random shapes: echo, sink, source"), ("bulk_echo", "bulk through echo"),
                        ("bulk_sink", "bulk up to sink"), ("bulk_source", "bulk down from source")):
        book = books[name]
        if book:
            count = sum(book[kind] for kind in ("echo", "sink", "source", "aborted"))
            yield [title, number(count), octets(book["octets_in"] + book["octets_out"]),
                   number(book["mbit_per_s"]) + " Mbit/s", "-", "-", "-"]
    ping = books["ping"]
    if ping:
        requests = ping["octets_in"] // 64
        yield ["64 connections, 64 octets, one by one", number(ping["ping"]), octets(ping["octets_in"] * 2),
               number(ping.get("requests_per_s")) + " req/s", number(ping.get("p50_us"), 1), number(ping.get("p99_us"), 1),
               number(cycles_between(books, "ping_before", "ping_after", requests))]


def pair_rows(books):
    for name, title in (("pair_closed", "64 connections, 64 octets, one by one"), ("pair_open", "the same at 20,000 req/s")):
        book = books[name]
        if book:
            load, latency = book["load"], book.get("latency", {})
            cycles = cycles_between(books, "pair_before", "pair_after", load.get("requests"))
            yield [title, number(load["opened"]), octets(load["octets_in"] + load["octets_out"]),
                   number(load.get("requests_per_second")) + " req/s", number(micros(latency.get("p50_ns")), 1),
                   number(micros(latency.get("p99_ns")), 1), number(cycles if name == "pair_closed" else None)]
    for name, title in (("pair_bulk", "bulk up and down"), ("pair_through", "bulk through echo")):
        book = books[name]
        if book:
            load = book["load"]
            rate = sum(book[way]["bits_per_second"] for way in ("up", "down")) / 1e6
            yield [title, number(load["opened"]), octets(load["octets_in"] + load["octets_out"]),
                   number(rate) + " Mbit/s", "-", "-", "-"]


def forwarder_rows(books):
    book = books["forwarder"]
    if book:
        cycles = None
        path = os.path.join(books.directory, "testpmd.out")
        with open(path, encoding="utf-8", errors="replace") as text:
            for line in text:
                if "CPU cycles/packet=" in line:
                    cycles = float(line.split("=")[1].split()[0])
        yield ["64 frames in flight, MAC addresses swapped", "-", octets(book["returned"] * 2 * 118),
               number(book["frames_per_s"]) + " frames/s", number(book.get("p50_us"), 1), number(book.get("p99_us"), 1),
               number(cycles)]


def print_table(sections):
    head = ["", "connections", "octets", "rate", "p50 us", "p99 us", "cycles/req"]
    rows = [row for _, section in sections for row in section]
    widths = [max(len(row[i]) for row in [head] + rows) for i in range(len(head))]
    rule = "-" * (sum(widths) + 2 * len(widths))

    def line(row):
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        return "  " + "  ".join(cells)

    print(rule)
    print(line(head))
    for title, section in sections:
        print(rule)
        print(title)
        for row in section or [["no figure"] + [""] * (len(head) - 1)]:
            print(line(row))
    print(rule)
    print("cycles/req: busy cycles of the server's worker for each request (forwarder: for each frame), by TSC.")


def print_servers(books):
    for name, title in (("kernel", "server of the kernel's sockets"), ("tern_server", "server of tern's clients")):
        book = books[name]
        if book:
            drops = ", ".join("%s %s" % (k, number(v)) for k, v in sorted(book["drops"].items())) or "none"
            print("%s: %s connections, %s frames in, drops: %s; left behind: %s" % (
                title, number(book["service"]["accepted"]), number(book["stack"]["rx_frames"]), drops,
                number(book["leaks"]["total"])))


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory")
    parser.add_argument("--pair", default="none")
    args = parser.parse_args(argv)
    books = Books(args.directory)
    check_kernel(books)
    check_pair(books)
    check_leaks(books)
    pair = {"vhost": "vhost <-> virtio_user", "memif": "memif <-> memif"}.get(args.pair, "shared memory")
    print_table([("the kernel's sockets -> tern-echo, af_packet on a veth (Python's speed limits the rates)",
                  list(kernel_rows(books))),
                 ("tern's clients -> tern-echo, %s, two processes" % pair, list(pair_rows(books))),
                 ("the bare forwarder (dpdk-testpmd), af_packet on the same veth", list(forwarder_rows(books)))])
    print_servers(books)
    for problem in books.problems:
        print("demo: WRONG: " + problem, file=sys.stderr)
    return 1 if books.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
