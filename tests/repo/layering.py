#!/usr/bin/python3
"""Each room includes only the rooms above it, and only the outside libraries that are its own.

usage: layering.py ROOT
"""

import os
import re
import sys

import repo

# Include prefixes of the tree that a room may name, room by room.
ROOMS = {
    "lib/base/": ("base/",),
    "lib/wire/": ("base/", "wire/"),
    "lib/tcp/": ("base/", "wire/", "tcp/"),
    "lib/stack/": ("base/", "wire/", "tcp/", "stack/"),
    "lib/socket/": ("base/", "wire/", "tcp/", "stack/", "socket/"),
    "lib/runtime/": ("base/", "wire/", "tcp/", "stack/", "socket/", "runtime/"),
    "lib/tern/": ("base/", "wire/", "tcp/", "stack/", "socket/", "runtime/", "tern/"),
    "drivers_glue/": ("base/", "runtime/device.h", "drivers_glue/"),
    "apps/": ("tern/", "drivers_glue/", "apps/"),
}
# The implementation of the public call that opens a stack on a device lives in the glue, below the public headers.
ROOMS_OF_OPEN = ROOMS["lib/tern/"] + ("drivers_glue/",)
OPEN_FILES = re.compile(r"drivers_glue/open_[a-z_]*\.(h|cc)")

STD = re.compile(r"[a-z_0-9]+$")  # <vector>, <cstdint>: no dot, no directory
OUTSIDE = {
    "pure": re.compile(r"[a-z_0-9]+$|absl/(base|numeric|types|container/(inlined_vector|fixed_array))[a-z_/]*\.h$"),
    "public": re.compile(r"[a-z_0-9]+$|absl/status/(status|statusor)\.h$"),
    "any": re.compile(r"."),
}
# std headers that reach for what a pure room must not have, clocks and locks among them, are purity.py's business.

# Libraries from outside, in angle brackets or, as Abseil writes its own, in quotes.
THEIRS = re.compile(r"(absl|gtest|gmock|benchmark|toml\+\+|sanitizer)/|rte_")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def room_of(name):
    return next((room for room in ROOMS if name.startswith(room)), None)


def public_headers(root):
    """The headers that lib/tern/meson.build installs."""
    path = "lib/tern/meson.build"
    if not os.path.exists(os.path.join(root, path)):
        return set()
    return {"lib/tern/" + name for name in re.findall(r"'([a-z_]+\.h)'", repo.read(root, path))}


def outside_of(name, public):
    if name in public:
        return OUTSIDE["public"]
    if name.startswith(tuple("lib/%s/" % room for room in repo.PURE_ROOMS)):
        return OUTSIDE["pure"]
    return OUTSIDE["any"]


def inside_of(name, room, public):
    if OPEN_FILES.match(name):
        return ROOMS_OF_OPEN
    if name in public:
        return ("tern/",)
    return ROOMS[room]


def check(root):
    problems, looked_at = [], 0
    exceptions = repo.Exceptions(root, "layering")
    public = public_headers(root)
    for name in repo.cpp_files(root):
        room = room_of(name)
        if room is None or repo.is_test(name):
            continue
        looked_at += 1
        text = repo.strip_comments(repo.read(root, name))
        for match in INCLUDE.finditer(text):
            included = match.group(1) or match.group(2)
            if match.group(1) and not THEIRS.match(included):
                rooms = inside_of(name, room, public)
                allowed, why = included.startswith(rooms), "may include only " + ", ".join(rooms)
            else:
                allowed, why = outside_of(name, public).match(included), "may not include this from outside the tree"
            if not allowed and not exceptions.allows("%s:%s" % (name, included)):
                line = text.count("\n", 0, match.start()) + 1
                problems.append("%s:%d: includes %s, but %s" % (name, line, included, why))
    return repo.finish("layering", problems + exceptions.leftovers(), looked_at)


if __name__ == "__main__":
    sys.exit(check(sys.argv[1]))
