#!/usr/bin/python3
"""Each error message that a user can see is quoted by a test, in words that this message alone has. That the test meets
the message is for the test to show.

usage: error_messages.py ROOT

A message is made where one of MAKERS is called; its longest literal piece stands for it. A test quotes it with a run
of at least two of that piece's words and ten characters, inside one string, that is in no other message.
"""

import ast
import re
import sys

import repo

ROOTS = ("lib/", "apps/", "drivers_glue/")
TESTS = re.compile(r"(lib|apps|drivers_glue)/.*_test\.(cc|py)|tests/interop/cases_\w+\.py|tests/install/run")
# What gives an error its words, or prints it: Abseil's, then helpers, which pass on what they are given.
MAKERS = re.compile(
    r"(?<!\w)(?:absl::\w+Error|absl::Status(?=\((?:code|absl::StatusCode))|Error(?=\(absl::StatusCode)"
    r"|Bad|BadUsage|CannotRead|CountFailure|Expected|Fail|PrintError|Problem|SpecError|SpecProblem"
    r"|Print(?=\(stderr)|std::fprintf(?=\(stderr)|std::cerr)\b")
# `Type Name(` and `Class::Name(` define or declare.
DEFINES = re.compile(r"(?:\b(?!return\b)\w+[&*]? |::)$")
# The words are those of another error, which is looked at where it is made.
RELAYS = re.compile(r"(?:\.|->)(?:status|message|what|description|c_str)\(\)|\(line\)|, s$")
# A place between pieces: what printf fills in.
DIRECTIVE = re.compile(r"%[-+ #0-9.*]*[a-zA-Z]")
CPP_STRING = r'"(?:\\.|[^"\\\n])*"'
LITERAL = re.compile(r"'(?:\\.|[^'\\\n])+'|(%s(?:\s*%s)*)" % (CPP_STRING, CPP_STRING))
LEAST_WORDS, LEAST_CHARACTERS = 2, 10


def literals(code):
    """[(start, end, contents)] of the string literals of C++ without comments; adjacent ones are one."""
    found = []
    for match in LITERAL.finditer(code):
        if match.group(1):
            text = "".join(s[1:-1] for s in re.findall(CPP_STRING, match.group(1)))
            found.append((match.start(), match.end(), text.replace('\\"', '"').replace("\\n", "\n")))
    return found


def statement_end(masked, start):
    """Where what begins at `start` ends: behind its closing parenthesis, or for a stream at the semicolon."""
    if masked[start] != "(":
        return masked.index(";", start)
    depth = 0
    for at in range(start, len(masked)):
        depth += {"(": 1, ")": -1}.get(masked[at], 0)
        if depth == 0:
            return at
    return len(masked)


def head_of(code, position):
    """The line that begins the definition around `position`: the last before it that is not indented."""
    return ([""] + re.findall(r"^[A-Za-z].*$", code[:position], re.MULTILINE))[-1]


def messages_of(root, path):
    """[(line, pieces)]: a message as its literal pieces, and for each branch of a choice a message of its own."""
    code = repo.strip_comments(repo.read(root, path))
    masked = repo.strip_comments(code, strings=True)
    found = []
    for maker in MAKERS.finditer(masked):
        if DEFINES.search(masked[:maker.start()]):
            continue
        end = statement_end(masked, maker.end())
        said = code[maker.end():end]
        if re.fullmatch(r"\(\w+", said):  # a variable: what it was given last
            said = (re.findall(r"\b%s = [^;]*" % said[1:], code[:maker.start()]) or [said])[-1]
        inside = literals(said)
        formats = re.search(r"StrFormat|printf", code[maker.start():end])
        branches = [i for i in range(1, len(inside)) if said[inside[i - 1][1]:inside[i][0]].strip() == ":"]
        alternatives = [[inside[i - 1], inside[i]] for i in branches] or [[]]
        common = [l for l in inside if not any(l in pair for pair in alternatives)]
        for choice in zip(*alternatives) if branches else [()]:
            texts = [DIRECTIVE.sub("\0", l[2]) if formats else l[2] for l in common + list(choice)]
            pieces = [piece.strip() for text in texts for piece in text.split("\0")]
            spoken = any(is_phrase(p) for p in pieces)
            if spoken or not (RELAYS.search(said) or MAKERS.search(head_of(code, maker.start()))):
                found.append((code.count("\n", 0, maker.start()) + 1, [p for p in pieces if p]))
    return found


def is_phrase(text):
    return sum(bool(re.search(r"\w", word)) for word in text.split()) >= LEAST_WORDS and len(text) >= LEAST_CHARACTERS


def quoted(piece, others, strings):
    """Whether `strings` has a run of the piece's words that is a phrase and in none of `others`."""
    words = list(re.finditer(r"\S+", piece))
    for i, first in enumerate(words):
        for last in words[i:]:
            run = piece[first.start():last.end()].rstrip(",;:.")
            if is_phrase(run) and not any(run in other for other in others):
                if run in strings:
                    return True
                break  # a longer one that begins here is not there either
    return False


def strings_of_tests(root):
    found = []
    for path in filter(TESTS.fullmatch, repo.tree_files(root)):
        text = repo.read(root, path)
        if path.endswith(".cc"):
            found += [value for _, _, value in literals(repo.strip_comments(text))]
        elif path.endswith(".py"):
            tree = ast.parse(text)
            prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            found += [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)
                      and isinstance(node.value, str) and id(node) not in prose]
        else:
            found += re.findall(r'"[^"\n]*"|\'[^\'\n]*\'', re.sub(r"(?m)^\s*#.*", "", text))
    return "\n".join(found)


def check(root):
    exceptions = repo.Exceptions(root, "error_messages")
    sites = [(path, line, pieces) for path in repo.cpp_files(root)
             if path.startswith(ROOTS) and not repo.is_test(path) and "_for_test." not in path
             for line, pieces in messages_of(root, path)]
    stands_for = [max(pieces, key=lambda piece: (is_phrase(piece), len(piece)), default="") for _, _, pieces in sites]
    strings = strings_of_tests(root)
    problems = []
    for (path, line, _), longest in zip(sites, stands_for):
        others = {"\n".join(pieces) for (*place, pieces), other in zip(sites, stands_for)
                  if other != longest and not (place == [path, line] and longest in pieces)}
        if quoted(longest, others, strings) or exceptions.allows(path + ":" + longest.replace(" ", "_")):
            continue
        wrong = "no test quotes" if is_phrase(longest) else "too few words to know the message by:"
        problems.append('%s:%d: %s "%s"' % (path, line, wrong, longest))
    print("%d messages at %d places" % (len(set(stands_for)), len(sites)))
    return repo.finish("error_messages", problems + exceptions.leftovers(), len(sites))


if __name__ == "__main__":
    sys.exit(check(sys.argv[1]))
