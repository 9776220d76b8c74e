#!/usr/bin/python3
"""Files fit a head and functions fit a screen: 500 lines a file (tests 800), 70 lines a function.

usage: sizes.py ROOT
"""

import ast
import re
import sys

import repo

FILE_LINES = 500
TEST_FILE_LINES = 800
FUNCTION_LINES = 70

# What stands before a brace that opens no function although it may end in ")".
NOT_FUNCTION = re.compile(r"(?:^|[^A-Za-z0-9_])(if|for|while|switch|catch|do|else|try|namespace|class|struct|union"
                          r"|enum|extern|concept|requires)(?![A-Za-z0-9_])")
SIGNATURE = re.compile(r"\)\s*(const|noexcept|override|final|mutable|&&?|->\s*[^()]+|:\s*.*|requires\s.*|\s)*$", re.DOTALL)
NAME = re.compile(r"((?:[A-Za-z_~]\w*::)*(?:operator[^\s(]*|[A-Za-z_~]\w*))\s*\(([^()]*)")


def cpp_functions(text):
    """[(name, first line, lines)] of the outermost function bodies, by matching braces. A heuristic: it reads
    formatted code, not all of C++."""
    text = repo.strip_comments(text, strings=True)
    text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), text,
                  flags=re.MULTILINE)
    functions, stack, head = [], [], 0
    for match in re.finditer(r"[{};]", text):
        at, kind = match.start(), match.group(0)
        before = text[head:at]
        if kind == "{":
            # A brace that touches what is before it initialises something; blocks have a space there.
            initialiser = before[-1:].strip() != ""
            named = None if initialiser or any(name for name, _, _ in stack) else opened_function(before)
            stack.append((named, text.count("\n", 0, at - len(before.lstrip())) + 1, head if initialiser else None))
            head = at + 1
        elif kind == "}" and stack:
            name, first, resumed = stack.pop()
            if name:
                functions.append((name, first, text.count("\n", 0, at) + 2 - first))
            head = at + 1 if resumed is None else resumed
        elif before.count("(") == before.count(")"):
            head = at + 1
    return functions


def opened_function(before):
    """The name of the function whose body opens after `before`, or None."""
    if not SIGNATURE.search(before) or NOT_FUNCTION.search(before.split("(", 1)[0]):
        return None
    found = NAME.search(before)
    return function_name(found) if found else None


def function_name(found):
    name, arguments = found.groups()
    if name in ("TEST", "TEST_F", "TEST_P", "TYPED_TEST"):
        return "%s.%s" % (name, re.sub(r"\s*,\s*", ".", arguments.strip()))
    return name


def python_functions(text):
    return [(node.name, node.lineno, node.end_lineno - node.lineno + 1) for node in ast.walk(ast.parse(text))
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def functions_of(name, text):
    if name.endswith(repo.CPP):
        return cpp_functions(text)
    return python_functions(text) if name.endswith(".py") else []


def is_script(root, name):
    return "." not in name.rsplit("/", 1)[-1] and repo.read(root, name).startswith("#!")


def check(root):
    problems, looked_at = [], 0
    exceptions = repo.Exceptions(root, "sizes")
    for name in repo.tree_files(root):
        if not name.endswith(repo.CPP + (".py", ".sh")) and not is_script(root, name):
            continue
        looked_at += 1
        text = repo.read(root, name)
        lines, limit = len(text.splitlines()), TEST_FILE_LINES if repo.is_test(name) else FILE_LINES
        if lines > limit and not exceptions.allows(name):
            problems.append("%s: %d lines, at most %d" % (name, lines, limit))
        for function, first, length in functions_of(name, text):
            if length > FUNCTION_LINES and not exceptions.allows("%s:%s" % (name, function)):
                problems.append("%s:%d: %s is %d lines long, at most %d" % (name, first, function, length,
                                                                            FUNCTION_LINES))
    return repo.finish("sizes", problems + exceptions.leftovers(), looked_at)


if __name__ == "__main__":
    sys.exit(check(sys.argv[1]))
