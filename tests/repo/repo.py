"""What the repository checks share: the files of the tree, C++ without its comments, reasoned exceptions."""

import os
import re
import subprocess
import sys

CPP = (".h", ".cc")
SOURCE_ROOTS = ("lib", "drivers_glue", "apps", "tests", "perf")
PURE_ROOMS = ("base", "wire", "tcp", "stack", "socket")


def tree_files(root):
    """Paths of the tree's own files, relative to `root`, sorted: what git would commit, or without git all but
    hidden and build directories."""
    try:
        listed = subprocess.run(
            ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            capture_output=True, check=True)
        names = {os.fsdecode(n) for n in listed.stdout.split(b"\0") if n}
    except (OSError, subprocess.CalledProcessError):
        names = set()
        for directory, subdirs, files in os.walk(root):
            subdirs[:] = [d for d in subdirs
                          if not d.startswith(("build", "__pycache__")) and (not d.startswith(".") or d == ".ci")]
            names |= {os.path.relpath(os.path.join(directory, f), root) for f in files}
    return sorted(n for n in names if os.path.isfile(os.path.join(root, n)))


def cpp_files(root):
    return [n for n in tree_files(root) if n.endswith(CPP) and n.startswith(tuple(r + "/" for r in SOURCE_ROOTS))]


def read(root, name):
    with open(os.path.join(root, name), encoding="utf-8", errors="replace") as text:
        return text.read()


def is_test(name):
    return name.startswith("tests/") or name.endswith(("_test.cc", "_test.h", "_test_util.h"))


_TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|(?<![A-Za-z0-9_])R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)"'
                    r'|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Za-z_])\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)


def strip_comments(text, strings=False):
    """`text` with comments (and string contents, when asked) blanked, every line where it was."""
    def blank(match):
        token = match.group(0)
        if token.startswith(("//", "/*")):
            return re.sub(r"[^\n]", " ", token)
        return re.sub(r"[^\n]", "_", token) if strings else token
    return _TOKEN.sub(blank, text)


class Exceptions:
    """Lines of `CHECK SUBJECT REASON...` in exceptions.txt: what a check lets pass, and why. One that is no longer
    needed is an error, so that the list only holds what is true."""

    def __init__(self, root, check):
        self.unused = {}
        path = os.path.join(root, "tests/repo/exceptions.txt")
        if not os.path.exists(path):
            return
        for number, text in enumerate(read(root, "tests/repo/exceptions.txt").splitlines(), 1):
            fields = text.split("#", 1)[0].split(None, 2)
            if not fields:
                continue
            if len(fields) < 3:
                sys.exit("%s:%d: expected CHECK SUBJECT REASON" % (path, number))
            if fields[0] == check:
                self.unused[fields[1]] = number
        self.allowed = set(self.unused)

    def allows(self, subject):
        self.unused.pop(subject, None)
        return subject in getattr(self, "allowed", ())

    def leftovers(self):
        return ["tests/repo/exceptions.txt:%d: nothing needs this exception any more: %s" % (number, subject)
                for subject, number in self.unused.items()]


def finish(check, problems, looked_at):
    """Prints the verdict and gives the exit status. Looking at nothing is a failure: the check went blind."""
    for problem in problems:
        print(problem)
    if not looked_at:
        print("%s: found nothing to look at" % check)
        return 1
    print("%s: %d looked at, %d problem(s)" % (check, looked_at, len(problems)))
    return 1 if problems else 0
