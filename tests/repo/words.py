#!/usr/bin/python3
"""No words that stand where work is missing, no paths of the machine it was written on, no file nobody builds.

usage: words.py ROOT
"""

import os
import re
import sys

import layering
import repo

# Written in pieces, so that this file may be searched as well.
WORDS = ["TO" "DO", "FIX" "ME", "X" "XX", "HA" "CK", "st" "ub", "not imple" "mented", "unimple" "mented",
         r"(?:EXPECT|ASSERT)_TRUE\(tr" "ue\\)", "DIS" "ABLED_\\w+"]
WORD = re.compile(r"(?<![A-Za-z0-9_])(?:%s)(?![A-Za-z0-9_])" % "|".join(WORDS))
HOME = re.compile(r"(?<![\w.$}])/(?:home|ro" r"ot)/\w+")


def machine_paths(root):
    """The checkout's own path and its parent's, unless that is a directory everybody has."""
    top = os.path.realpath(root)
    parent = os.path.dirname(top)
    common = {"/", "/tmp", "/var/tmp", "/usr/src", "/src", "/opt", os.environ.get("TMPDIR", "/tmp").rstrip("/")}
    return [p + "/" for p in (top, parent) if p not in common]


def check_words(root, files):
    problems = []
    exceptions = repo.Exceptions(root, "words")
    for name in files:
        text = repo.read(root, name)
        if "\0" in text:
            continue
        found = [(m.start(), m.group(0)) for m in WORD.finditer(text)] + [
            (m.start(), m.group(0)) for m in HOME.finditer(text)]
        for path in machine_paths(root):
            at = text.find(path)
            if at >= 0:
                found.append((at, path))
        for at, word in found:
            if not exceptions.allows("%s:%s" % (name, word.replace(" ", "_"))):
                problems.append("%s:%d: %s" % (name, text.count("\n", 0, at) + 1, word))
    return problems + exceptions.leftovers()


# A program of its own, built by its own makefile.
FOREIGN = "tests/install/example/"


def build_file_names(root, directory):
    """The text of the meson.build files that may list what is in `directory`: its own and its ancestors'."""
    texts = []
    while True:
        path = os.path.join(root, directory, "meson.build")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as text:
                texts.append(text.read())
        if not directory:
            return "\n".join(texts)
        directory = os.path.dirname(directory)


def check_dead(root, files):
    problems = []
    sources = [f for f in files if f.endswith(repo.CPP) and f.startswith(repo.SOURCE_ROOTS)
               and not f.startswith(FOREIGN)]
    included = set()
    for name in sources:
        included |= {os.path.basename(i) for i in re.findall(r'#\s*include\s*["<]([^">]+)[">]', repo.read(root, name))}
    public = layering.public_headers(root)
    for name in sources:
        base = os.path.basename(name)
        listed = re.search(r"(?<![\w.])" + re.escape(base) + "'", build_file_names(root, os.path.dirname(name)))
        if name.endswith(".cc"):
            if not listed:
                problems.append("%s: no meson.build names this file" % name)
        elif base not in included and name not in public and not listed:  # listed: a precompiled header
            problems.append("%s: nothing includes this header" % name)
    return problems


def check(root):
    files = repo.tree_files(root)
    return repo.finish("words", check_words(root, files) + check_dead(root, files), len(files))


if __name__ == "__main__":
    sys.exit(check(sys.argv[1]))
