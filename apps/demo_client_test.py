#!/usr/bin/python3 -I
"""demo_client.py against servers in this process: right ones pass, and each kind of wrong one is caught."""

import contextlib
import importlib.util
import io
import json
import os
import socket
import socketserver
import struct
import threading
import unittest

_spec = importlib.util.spec_from_file_location(
    "demo_client", os.path.join(os.path.dirname(os.path.abspath(__file__)), "demo_client.py"))
demo_client = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(demo_client)

PATTERN = demo_client.Pattern()


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


@contextlib.contextmanager
def serving(talk):
    """A server on loopback that calls talk(socket) for each connection; gives HOST:PORT."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            with contextlib.suppress(OSError):
                talk(self.request)

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield "127.0.0.1:%d" % server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def drive(*argv):
    """(exit status, summary, what was complained about)"""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = demo_client.main(list(argv))
    return status, json.loads(out.getvalue()), err.getvalue()


def echo(change=lambda data, position: data):
    def talk(sock):
        position = 0
        while data := sock.recv(65536):
            sock.sendall(change(data, position))
            position += len(data)
    return talk


def sink(sock):
    while sock.recv(65536):
        pass


def source(change=lambda data, position: data):
    def talk(sock):
        position = 0
        sock.settimeout(0.0005)
        while True:
            try:
                if not sock.recv(1):
                    return
            except TimeoutError:
                pass
            sock.settimeout(None)
            sock.sendall(change(bytes(PATTERN.slice(4711, position, 5000)), position))
            sock.settimeout(0.0005)
            position += 5000
    return talk


def flip(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


class RightServers(unittest.TestCase):
    def test_echo(self):
        with serving(echo()) as server:
            status, summary, errors = drive("--echo", server, "--connections", "100", "--concurrency", "20",
                                            "--max-bytes", "50000", "--abort", "0.1", "--slow", "0.2")
        self.assertEqual((status, errors), (0, ""))
        self.assertEqual(summary["echo"], 100)
        self.assertGreater(summary["aborted"], 0)
        self.assertGreater(summary["octets_out"], 100_000)

    def test_sink_adds_up_hashes(self):
        with serving(sink) as server:
            status, summary, errors = drive("--sink", server, "--connections", "5", "--min-bytes", "300000",
                                            "--max-bytes", "300000")
        self.assertEqual((status, errors), (0, ""))
        self.assertEqual((summary["sink_streams"], summary["sink_octets"]), (5, 1_500_000))
        self.assertNotEqual(summary["sink_hash_sum"], "0" * 16)

    def test_source(self):
        with serving(source()) as server:
            status, summary, errors = drive("--source", server, "--connections", "20", "--max-bytes", "2000000")
        self.assertEqual((status, errors), (0, ""))
        self.assertEqual(summary["source"], 20)

    def test_ping_measures(self):
        with serving(echo()) as server:
            status, summary, errors = drive("--ping", server, "--connections", "4", "--requests", "25")
        self.assertEqual((status, errors), (0, ""))
        self.assertEqual(summary["octets_in"], 4 * 25 * 64)
        self.assertGreater(summary["p99_us"], 0)


class WrongServers(unittest.TestCase):
    def caught(self, talk, what, complaint, octets="20000"):
        with serving(talk) as server:
            status, _, errors = drive(what, server, "--connections", "3", "--min-bytes", octets, "--max-bytes",
                                      octets, "--half-close", "1", "--slow", "0", "--timeout", "2")
        self.assertEqual(status, 1)
        self.assertIn(complaint, errors)
        self.assertIn("--seed", errors)

    def test_changed_byte(self):
        self.caught(echo(lambda data, position: flip(data, len(data) // 2)), "--echo", "of the stream is wrong")

    def test_lost_byte(self):
        self.caught(echo(lambda data, position: data[:-1] if len(data) > 1 else data), "--echo", "the stream ended after")

    def test_lost_tail(self):
        self.caught(lambda sock: sock.sendall(sock.recv(100, socket.MSG_WAITALL)), "--echo", "")

    def test_invented_byte(self):
        self.caught(echo(lambda data, position: data + b"x"), "--echo", "")

    def test_talking_sink(self):
        self.caught(lambda sock: sock.sendall(b"no"), "--sink", "came back")

    def test_sink_that_ends_early(self):
        def talk(sock):
            sock.shutdown(socket.SHUT_WR)
            sink(sock)
        # More than the sockets hold, or the client could be through before it looks.
        self.caught(talk, "--sink", "the server ended the stream", octets="10000000")

    def test_reset(self):
        def talk(sock):
            sock.recv(100)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
        self.caught(talk, "--echo", "reset")

    def test_silence(self):
        self.caught(sink, "--echo", "ended after 0 of 20000 octets")

    def test_source_without_pattern(self):
        self.caught(source(lambda data, position: b"x" * 5000), "--source", "does not begin")

    def test_source_that_repeats(self):
        self.caught(source(lambda data, position: bytes(PATTERN.slice(4711, max(0, position - 5000), 5000))),
                    "--source", "byte 5000 of the stream is wrong")

    def test_refused(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            status, _, errors = drive("--echo", "127.0.0.1:%d" % unused.getsockname()[1], "--connections", "1")
        self.assertEqual(status, 1)
        self.assertIn("refused", errors)


class Definitions(unittest.TestCase):
    """The same figures as in pattern_test.cc."""

    def test_pattern(self):
        self.assertEqual(bytes(PATTERN.slice(0, 0, 4)), bytes.fromhex("afcd1d7b"))
        self.assertEqual(bytes(PATTERN.slice(0, demo_client.PERIOD, 16)), bytes(PATTERN.slice(0, 0, 16)))

    def test_hash(self):
        self.assertEqual(demo_client.hash_of(b""), 1)
        self.assertEqual(demo_client.hash_of(b"a"), 0x161)
        fox = b"the quick brown fox jumps over the lazy dog"
        self.assertEqual(demo_client.hash_of(fox), 0xd8c6542ff7a4a780)
        self.assertEqual(demo_client.hash_of(fox[7:], demo_client.hash_of(fox[:7])), 0xd8c6542ff7a4a780)


if __name__ == "__main__":
    unittest.main()
