#!/usr/bin/python3 -I
"""demo_report.py: agrees with right books, and names each way in which they can be wrong."""

import contextlib
import importlib.util
import io
import json
import os
import tempfile
import unittest

_spec = importlib.util.spec_from_file_location(
    "demo_report", os.path.join(os.path.dirname(os.path.abspath(__file__)), "demo_report.py"))
demo_report = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(demo_report)


def right_books():
    stack = {"busy_cycles": 5000, "rx_frames": 100}
    server = {"service": {"accepted": 9}, "stack": stack, "drops": {}, "leaks": {"total": 0},
              "sink": {"streams": 3, "octets": 600, "hash_sum": "%016x" % 42}}
    kernel = {"echo": 2, "sink": 1, "source": 1, "ping": 0, "aborted": 0, "octets_in": 1000, "octets_out": 2000,
              "mbit_per_s": 12.5, "sink_streams": 2, "sink_octets": 500, "sink_hash_sum": "%016x" % (2**64 - 8)}
    load = {"opened": 4, "octets_in": 10, "octets_out": 10, "requests": 100, "requests_per_second": 7}
    pair = {"load": load, "latency": {"p50_ns": 5000, "p99_ns": 9000}, "leaks": {"total": 0}}
    return {
        "kernel": server, "random": kernel,
        "bulk_sink": dict(kernel, sink_streams=1, sink_octets=100, sink_hash_sum="%016x" % 50),
        "ping": dict(kernel, ping=64, octets_in=6400, requests_per_s=9, p50_us=1, p99_us=2),
        "ping_before": {"stack": {"busy_cycles": 1000}}, "ping_after": {"stack": {"busy_cycles": 81000}},
        "tern_server": dict(server, sink={"hash_sum": "aa"}, source={"hash_sum": "bb"}),
        "pair_closed": pair,
        "pair_bulk": dict(pair, up={"hash_sum": "aa", "bits_per_second": 1e9},
                          down={"hash_sum": "bb", "bits_per_second": 2e9}),
    }


def report(books):
    """(exit status, table, complaints)"""
    out, err = io.StringIO(), io.StringIO()
    with tempfile.TemporaryDirectory() as directory:
        for name, book in books.items():
            with open(os.path.join(directory, name + ".json"), "w", encoding="utf-8") as file:
                json.dump(book, file)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = demo_report.main([directory, "--pair", "vhost"])
    return status, out.getvalue(), err.getvalue()


class Report(unittest.TestCase):
    def test_right_books(self):
        status, table, complaints = report(right_books())
        self.assertEqual((status, complaints), (0, ""))
        self.assertIn("vhost <-> virtio_user", table)
        self.assertRegex(table, r"one by one +64 .* 800\n")  # (81000 - 1000) / 100 requests
        self.assertIn("3,000 Mbit/s", table)
        self.assertIn("no figure", table)

    def wrong(self, change, complaint):
        books = right_books()
        change(books)
        status, _, complaints = report(books)
        self.assertEqual(status, 1)
        self.assertIn(complaint, complaints)

    def test_lost_stream(self):
        self.wrong(lambda books: books["kernel"]["sink"].update(streams=2), "discard streams")

    def test_lost_octets(self):
        self.wrong(lambda books: books["kernel"]["sink"].update(octets=599), "discard octets")

    def test_wrong_hash(self):
        self.wrong(lambda books: books["kernel"]["sink"].update(hash_sum="0" * 16), "hashes")

    def test_pair_hash(self):
        self.wrong(lambda books: books["pair_bulk"]["down"].update(hash_sum="bc"), "streams down")

    def test_leak(self):
        self.wrong(lambda books: books["pair_closed"].update(leaks={"total": 1}), "pair_closed: left behind")

    def test_no_summary(self):
        self.wrong(lambda books: books.pop("kernel"), "no summary")


if __name__ == "__main__":
    unittest.main()
