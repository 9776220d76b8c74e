"""The names of the tests in the tree, read from their sources: what a table of proofs may point to."""

import re

import repo

GOOGLETEST = re.compile(r"^TEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)", re.MULTILINE)
INTEROP = re.compile(r"^@case\([^\n]*\)\ndef (\w+)\(", re.MULTILINE)
GRID = re.compile(r"(?:^|/)state_grid\w*\.(?:cc|h)$")
GRID_ROW = re.compile(r"^([a-z_0-9][a-z_0-9 ]*?)\s*\|", re.MULTILINE)


def all_cases(root):
    """{name}: Suite.Name of GoogleTest, grid:ROW of the state grid's tables, interop:NAME, script:PATH."""
    names = set()
    for path in repo.tree_files(root):
        if path.endswith("_test.cc") or GRID.search(path):
            text = repo.read(root, path)
            names |= {"%s.%s" % found for found in GOOGLETEST.findall(text)}
            if GRID.search(path):
                names |= {"grid:" + word for row in GRID_ROW.findall(text) for word in row.split()}
        elif re.match(r"tests/interop/cases_\w+\.py$", path):
            names |= {"interop:" + name for name in INTEROP.findall(repo.read(root, path))}
        elif path.startswith("tests/script/") and path.endswith(".pkt"):
            names.add("script:" + path[len("tests/script/"):])
    return names
