#!/usr/bin/python3
"""Counts test cases and prints "N passed, N failed, N skipped".

usage: tally.py meson TESTLOG.json           cases of a `meson test` run, from what each test printed
       tally.py script NAME STATUS LOG       a script that printed its own tally and left with STATUS
       tally.py sum FILE...                  adds the last line of each FILE; exit status 1 if anything failed

A GoogleTest binary counts once per case, a script that prints the same tally line counts as it says, and anything
else counts as one. A test that crashed, timed out or left with an error always counts at least one failure.
"""

import json
import re
import sys

TALLY = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.MULTILINE)
GTEST_CASE = re.compile(r"^\[ (      OK|  FAILED | SKIPPED) \] \S.* \(\d+ ms\)$", re.MULTILINE)


def line(counts):
    return "%d passed, %d failed, %d skipped" % tuple(counts)


def count_output(text):
    """Cases that `text` reports, or None when it reports none in a form known here."""
    said = TALLY.findall(text)
    if said:
        return [int(n) for n in said[-1]]
    cases = [kind.strip() for kind in GTEST_CASE.findall(text)]
    if not cases and "[==========]" not in text:
        return None
    return [cases.count("OK"), cases.count("FAILED"), cases.count("SKIPPED")]


def count_meson_test(test):
    counts = count_output(test.get("stdout", ""))
    result = test["result"]
    if counts is None:
        counts = [int(result in ("OK", "EXPECTEDFAIL")), 0, int(result == "SKIP")]
    if result not in ("OK", "EXPECTEDFAIL", "SKIP") and counts[1] == 0:
        counts[1] = 1
    return counts


def tally_meson(path):
    total = [0, 0, 0]
    with open(path, encoding="utf-8") as log:
        for text in log:
            test = json.loads(text)
            counts = count_meson_test(test)
            total = [a + b for a, b in zip(total, counts)]
            if counts[1]:
                print("FAILED: %s (%s): %s" % (test["name"], test["result"], line(counts)))
    print(line(total))
    return 0


def tally_script(name, status, path):
    with open(path, encoding="utf-8", errors="replace") as log:
        counts = count_output(log.read())
    if counts is None:
        counts = [int(status == "0"), 0, 0]
    if status != "0" and counts[1] == 0:
        print("FAILED: %s left with status %s" % (name, status))
        counts[1] = 1
    print(line(counts))
    return 0


def tally_sum(paths):
    total = [0, 0, 0]
    for path in paths:
        with open(path, encoding="utf-8") as tally:
            said = TALLY.findall(tally.read())
        counts = [int(n) for n in said[-1]] if said else [0, 1, 0]
        total = [a + b for a, b in zip(total, counts)]
    print(line(total))
    return 1 if total[1] or not total[0] else 0


def main(argv):
    if argv[:1] == ["meson"] and len(argv) == 2:
        return tally_meson(argv[1])
    if argv[:1] == ["script"] and len(argv) == 4:
        return tally_script(*argv[1:])
    if argv[:1] == ["sum"] and len(argv) > 1:
        return tally_sum(argv[1:])
    sys.exit(__doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
