#!/usr/bin/python3
"""What a document names is there: every path in backquotes that begins with a directory of the checkout.

usage: paths.py ROOT
"""

import os
import re
import sys

import repo

NAMED = re.compile(r"`((?:%s|configs|\.ci)/[\w./-]*)`" % "|".join(repo.SOURCE_ROOTS))


def check(root):
    problems, looked_at = [], 0
    exceptions = repo.Exceptions(root, "paths")
    for name in repo.tree_files(root):
        if not name.endswith(".md"):
            continue
        looked_at += 1
        text = repo.read(root, name)
        for match in NAMED.finditer(text):
            path = match.group(1)
            if not os.path.exists(os.path.join(root, path)) and not exceptions.allows("%s:%s" % (name, path)):
                problems.append("%s:%d: there is no %s" % (name, text.count("\n", 0, match.start()) + 1, path))
    return repo.finish("paths", problems + exceptions.leftovers(), looked_at)


if __name__ == "__main__":
    sys.exit(check(sys.argv[1]))
