#!/usr/bin/python3
"""What the programs say on stderr when they cannot do what was asked, each in a process of its own.

usage: programs_test.py PROGRAM...        tern-echo, tern-wire, tern-http and tern-pong, as built
"""

import os
import subprocess
import sys
import unittest

PROGRAMS = {}
# A device that is joined to itself, in ordinary memory: needs no privilege.
ALONE = ["--device", "loopback", "--hugepages", "off", "--memory_mib", "256", "--address", "10.77.0.1/24"]


def run(program, *arguments):
    """(exit status, what was said on stderr)"""
    ended = subprocess.run([PROGRAMS[program], *arguments], capture_output=True, text=True, timeout=120)
    return ended.returncode, ended.stderr


class ProgramsTest(unittest.TestCase):
    def test_a_wire_has_two_ends(self):
        status, said = run("tern-wire", "--a", "tap:x")
        self.assertEqual(status, 2)
        self.assertIn("tern-wire: --a and --b are both needed", said)

    def test_an_example_says_what_is_wrong(self):
        for example in ("tern-http", "tern-pong"):
            status, said = run(example, "--port", "web")
            self.assertEqual(status, 1)
            self.assertIn(example + ": flag --port: port = \"web\": expected a whole number, 1 to 65535", said)

    def test_a_load_that_finds_nobody_counts_what_failed(self):
        status, said = run("tern-echo", "client", *ALONE, "--connect", "10.77.0.9:7", "--connections", "3",
                           "--duration", "2s", "--patience", "0s", "--progress")
        self.assertEqual(status, 1, said)
        self.assertIn("0 of 3 connections open", said)
        self.assertIn("tern-echo: 3 failure(s), see above", said)


if __name__ == "__main__":
    PROGRAMS.update({os.path.basename(path): path for path in sys.argv[1:]})
    unittest.main(argv=sys.argv[:1])
