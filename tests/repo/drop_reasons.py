#!/usr/bin/python3
"""Each drop reason that the code gives is provoked by a test: named as an enumerator in C++, or as in telemetry in a
table or a script.

usage: drop_reasons.py ROOT
"""

import re
import sys

import repo

HEADER = "lib/base/drop_reason.h"
# What tests the names themselves provokes nothing.
NAMES_ONLY = ("lib/base/drop_reason_test.cc",)
ENTRY = re.compile(r'^\s*X\((k\w+), "(\w+)"', re.MULTILINE)


def words_of(root, paths):
    words = set()
    for path in paths:
        text = repo.read(root, path)
        words |= set(re.findall(r"\w+", repo.strip_comments(text) if path.endswith(repo.CPP) else text))
    return words


def check(root):
    exceptions = repo.Exceptions(root, "drop_reasons")
    entries = ENTRY.findall(repo.read(root, HEADER))
    files = [f for f in repo.tree_files(root) if f not in NAMES_ONLY + (HEADER,) and not f.startswith("tests/repo/")]
    words = words_of(root, [f for f in files if repo.is_test(f)])
    given = words_of(root, [f for f in files if f.endswith(repo.CPP) and not repo.is_test(f)])
    problems = ["%s: no test provokes %s (%s)" % (HEADER, enumerator, name) for enumerator, name in entries
                if enumerator in given and not {enumerator, name} & words and not exceptions.allows(enumerator)]
    return repo.finish("drop_reasons", problems + exceptions.leftovers(), len(entries))


if __name__ == "__main__":
    sys.exit(check(sys.argv[1]))
