#!/usr/bin/python3
"""Each MUST of RFC 9293 has a test that holds it: rfc9293.tsv names them, and what it names exists.

usage: rfc9293.py ROOT

Columns: id, strength, section, subject, tests, note. Tests are separated by spaces (cases.py says what may stand
there); "-" is none, which a MUST may have only where its note says how tern complies without one.
"""

import re
import sys

import cases
import repo

TABLE = "tests/repo/rfc9293.tsv"
# The ids of appendix B run from one to these, without a gap.
LAST = {"MUST": 69, "SHLD": 31, "MAY": 18, "REC": 1}


def rows(root):
    """[(line number, id, strength, tests, note)]"""
    found = []
    for number, line in enumerate(repo.read(root, TABLE).splitlines(), 1):
        if line and not line.startswith("#") and not line.startswith("id\t"):
            columns = (line.split("\t") + [""] * 6)[:6]
            found.append((number, columns[0], columns[1], [t for t in columns[4].split() if t != "-"], columns[5]))
    return found


def check(root, last=None):
    problems = []
    known = cases.all_cases(root)
    table = rows(root)
    for number, name, strength, tests, note in table:
        where = "%s:%d: %s" % (TABLE, number, name)
        if not re.fullmatch(r"(MUST|SHLD|MAY|REC)-\d+", name):
            problems.append(where + ": not an id of the RFC")
        if strength.startswith("MUST") and not tests:
            problems.append(where + ": no test holds this MUST")
        if not tests and not note:
            problems.append(where + ": neither a test nor a reason why there is none")
        problems += ["%s: no such test in the tree: %s" % (where, test) for test in tests if test not in known]
    ids = {name for _, name, *_ in table}
    for kind, count in (LAST if last is None else last).items():
        problems += ["%s: %s-%d is missing" % (TABLE, kind, n) for n in range(1, count + 1)
                     if "%s-%d" % (kind, n) not in ids]
    return repo.finish("rfc9293", problems, len(table))


if __name__ == "__main__":
    sys.exit(check(sys.argv[1]))
