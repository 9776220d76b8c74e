#!/usr/bin/python3
"""The pure rooms have no clock, no entropy, no system call, no DPDK, no lock and no container without an order.

usage: purity.py ROOT ARCHIVE...

Sources are searched for what must not be named; archives (or objects) for undefined symbols that are not on the
allow-list beside this file, and for instructions that reach around the compiler.
"""

import fnmatch
import os
import re
import subprocess
import sys

import repo

NAMED = [
    (r"#\s*include\s*<(chrono|thread|mutex|shared_mutex|condition_variable|future|random|ctime|time\.h|stop_token"
     r"|semaphore|barrier|latch|cstdio|stdio\.h|iostream|fstream|filesystem|unistd\.h|pthread\.h|signal\.h|csignal"
     r"|unordered_map|unordered_set|sys/[^>]*|linux/[^>]*|net/[^>]*|netinet/[^>]*|arpa/[^>]*)>",
     "header of a clock, a lock, entropy, the system or an unordered container"),
    (r"#\s*include\s*[<\"]rte_|\brte_\w+", "DPDK"),
    (r"\bstd::(mutex|thread|jthread|random_device|unordered_\w+|system_clock|steady_clock)\b", "banned std name"),
    (r"\b(flat|node)_hash_(map|set)\b", "container whose order changes from run to run"),
    (r"\b(gettimeofday|clock_gettime|getenv|getrandom|getentropy|rand|srand|__rdtsc|_rdrand\w*|__builtin_ia32_rdtsc)\s*\(",
     "clock, entropy or environment"),
    (r"\bthread_local\b|\b__thread\b", "thread-local state"),
]
# Lock-free hand-over between threads is what this one header is; it is a template, so nothing of it is in an archive
# unless a pure room used it.
ATOMIC = re.compile(r"#\s*include\s*<atomic>|\bstd::atomic\w*|\b__atomic_\w+|\b__sync_\w+")
ATOMIC_HOMES = ("lib/base/spsc_ring.h",)

INSTRUCTION = re.compile(
    r"\t(lock\b.*|rdtscp?\b.*|rdrand\b.*|rdseed\b.*|rdpmc\b.*|cpuid\b.*|syscall\b.*|sysenter\b.*|int +\$0x80.*"
    r"|mfence\b.*|xchg[a-z]* +.*\(.*)$")


def check_sources(root):
    problems, looked_at = [], 0
    exceptions = repo.Exceptions(root, "purity")
    for name in repo.cpp_files(root):
        if not name.startswith(tuple("lib/%s/" % r for r in repo.PURE_ROOMS)) or repo.is_test(name):
            continue
        looked_at += 1
        text = repo.strip_comments(repo.read(root, name))
        banned = [(re.compile(pattern), what) for pattern, what in NAMED]
        if name not in ATOMIC_HOMES:
            banned.append((ATOMIC, "atomic"))
        for pattern, what in banned:
            for match in pattern.finditer(text):
                word = (match.group(1) if pattern.groups else None) or match.group(0).strip()
                if exceptions.allows("%s:%s" % (name, word)):
                    continue
                line = text.count("\n", 0, match.start()) + 1
                problems.append("%s:%d: %s: %s" % (name, line, what, match.group(0).strip()))
    return problems + exceptions.leftovers(), looked_at


def read_allow_list(path):
    """[(object name or None, pattern)]"""
    allowed = []
    with open(path, encoding="utf-8") as lines:
        for text in lines:
            text = text.split("#", 1)[0].strip()
            if text:
                where, colon, pattern = text.rpartition(":")
                allowed.append((where.strip() if colon else None, pattern.strip()))
    return allowed


def run(*command):
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


def symbols(archives, flag):
    """{(object, symbol)} of all archives; `flag` is nm's."""
    found, member = set(), "?"
    for text in run("nm", flag, "--format=posix", *archives).splitlines():
        if text.endswith(":"):
            member = re.sub(r"^.*\[(.*)\]:$|^(.*):$", lambda m: m.group(1) or m.group(2), text)
            member = re.sub(r"\.o$", "", os.path.basename(member))
        elif text.strip():
            found.add((member, text.split()[0]))
    return found


def allowed_symbol(allow_list, member, symbol):
    return any((where is None or member == where) and fnmatch.fnmatchcase(symbol, pattern)
               for where, pattern in allow_list)


def check_archives(archives, allow_path):
    problems = []
    allow_list = read_allow_list(allow_path)
    defined = {symbol for _, symbol in symbols(archives, "--defined-only")}
    for member, symbol in sorted(symbols(archives, "--undefined-only")):
        if symbol not in defined and not allowed_symbol(allow_list, member, symbol):
            problems.append("%s: undefined symbol %s is not on the allow-list" % (member, symbol))
    for archive in archives:
        function = "?"
        for text in run("objdump", "-d", "--no-show-raw-insn", archive).splitlines():
            if text.endswith(">:"):
                function = text.split("<", 1)[1][:-2]
                continue
            match = INSTRUCTION.search(text)
            if match:
                problems.append("%s: %s: instruction %s" % (os.path.basename(archive), function, match.group(1)))
    return problems


def main(argv):
    root, archives = argv[0], argv[1:]
    problems, looked_at = check_sources(root)
    if archives:
        problems += check_archives(archives, os.path.join(root, "tests/repo/purity_allow.txt"))
    return repo.finish("purity", problems, looked_at and len(archives) and looked_at + len(archives))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
