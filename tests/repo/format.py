#!/usr/bin/python3
"""Every C++ file is as clang-format would write it.

usage: format.py ROOT [--fix]        leaves with 77 (skipped) where there is no clang-format
"""

import shutil
import subprocess
import sys

import repo


def main(argv):
    if shutil.which("clang-format") is None:
        print("format: no clang-format here; tests/setup installs it")
        return 77
    root, files = argv[0], repo.cpp_files(argv[0])
    mode = ["-i"] if "--fix" in argv[1:] else ["--dry-run", "-Werror", "-ferror-limit=1"]
    done = subprocess.run(["clang-format", "--style=file", *mode, *files], cwd=root, capture_output=True, text=True,
                          check=False)
    wrong = sorted({text.split(":", 1)[0] for text in done.stderr.splitlines() if ": error: " in text})
    if done.returncode and not wrong:
        wrong = [done.stderr.strip()]
    return repo.finish("format", ["%s: not formatted; tests/repo/format.py . --fix" % name for name in wrong], len(files))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
