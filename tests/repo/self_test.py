#!/usr/bin/python3
"""Shows that each repository check can fail: gives it a small tree with one offence, and the same tree without.

usage: self_test.py [CXX...]        the compiler that makes the offending objects (default: c++)
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

import drop_reasons  # noqa: E402
import error_messages  # noqa: E402
import layering  # noqa: E402
import paths  # noqa: E402
import purity  # noqa: E402
import rfc9293  # noqa: E402
import sizes  # noqa: E402
import tally  # noqa: E402
import words  # noqa: E402

COMPILER = ["c++"]


class CheckTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = scratch.name

    def write(self, name, text):
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        return path

    def verdict(self, function, *arguments):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            status = function(*arguments)
        return status, said.getvalue()

    def assert_fails(self, naming, function, *arguments):
        status, said = self.verdict(function, *arguments)
        self.assertEqual(status, 1, said)
        self.assertIn(naming, said)

    def assert_passes(self, function, *arguments):
        status, said = self.verdict(function, *arguments)
        self.assertEqual(status, 0, said)


class PathsTest(CheckTest):
    def test_what_is_named_has_to_be_there(self):
        self.write("lib/tcp/a.h", "")
        self.write("README.md", "See `lib/tcp/a.h`, `lib/tcp/` and `https://example.org/x`.\n")
        self.assert_passes(paths.check, self.root)
        self.write("CONTRIBUTING.md", "See `perf/micro/`.\n")
        self.assert_fails("CONTRIBUTING.md:1: there is no perf/micro/", paths.check, self.root)


class LayeringTest(CheckTest):
    def test_a_room_may_include_rooms_above_it(self):
        self.write("lib/tcp/a.h", '#include <vector>\n#include "base/b.h"\n#include "wire/w.h"\n')
        self.assert_passes(layering.check, self.root)

    def test_a_room_may_not_include_rooms_below_it(self):
        self.write("lib/wire/a.h", '#include "tcp/b.h"\n')
        self.assert_fails("lib/wire/a.h:1: includes tcp/b.h", layering.check, self.root)

    def test_a_name_without_its_room_is_refused(self):
        self.write("lib/tcp/a.cc", '#include "b.h"\n')
        self.assert_fails("includes b.h", layering.check, self.root)

    def test_pure_rooms_see_no_outside_library(self):
        self.write("lib/stack/a.h", "#include <rte_mbuf.h>\n")
        self.assert_fails("includes rte_mbuf.h", layering.check, self.root)

    def install(self, *headers):
        self.write("lib/tern/meson.build", "install_headers(%s, subdir: 'tern')\n" % ", ".join("'%s'" % h for h in headers))

    def test_public_headers_see_status_and_nothing_else_of_abseil(self):
        self.install("a.h")
        self.write("lib/tern/a.h", "#include <string>\n#include <absl/status/status.h>\n")
        self.assert_passes(layering.check, self.root)
        self.write("lib/tern/a.h", "#include <absl/strings/string_view.h>\n")
        self.assert_fails("absl/strings/string_view.h", layering.check, self.root)

    def test_public_headers_do_not_show_the_rooms(self):
        self.install("a.h")
        self.write("lib/tern/a.h", '#include "runtime/worker.h"\n')
        self.assert_fails("runtime/worker.h", layering.check, self.root)
        self.install("b.h")
        self.assert_passes(layering.check, self.root)

    def test_only_the_public_open_reaches_down_from_the_glue(self):
        self.write("drivers_glue/open_stack.cc", '#include "tern/stack.h"\n')
        self.assert_passes(layering.check, self.root)
        self.write("drivers_glue/port.cc", '#include "tern/stack.h"\n')
        self.assert_fails("drivers_glue/port.cc:1", layering.check, self.root)

    def test_an_exception_needs_a_use(self):
        self.write("lib/wire/a.h", '#include "tcp/b.h"\n')
        self.write("tests/repo/exceptions.txt", "layering lib/wire/a.h:tcp/b.h for the sake of the example\n")
        self.assert_passes(layering.check, self.root)
        self.write("lib/wire/a.h", '#include "base/b.h"\n')
        self.assert_fails("nothing needs this exception", layering.check, self.root)

    def test_an_empty_tree_is_a_failure(self):
        self.assert_fails("nothing to look at", layering.check, self.root)


class PurityTest(CheckTest):
    CLEAN = "int Twice(int n) { return 2 * n; }\n"

    def compile(self, text):
        source = self.write("lib/base/a.cc", text)
        target = os.path.join(self.root, "a.o")
        subprocess.run([*COMPILER, "-std=c++20", "-O1", "-c", source, "-o", target], check=True)
        return target

    def check(self, compiled, source=CLEAN):
        """Verdict on `source` beside the object of `compiled`."""
        target = self.compile(compiled)
        self.write("lib/base/a.cc", source)
        with open(os.path.join(HERE, "purity_allow.txt"), encoding="utf-8") as allowed:
            self.write("tests/repo/purity_allow.txt", allowed.read())
        return self.verdict(purity.main, [self.root, target])

    def test_clean_code_passes(self):
        self.assertEqual(self.check(self.CLEAN)[0], 0)

    def test_a_comment_may_name_anything(self):
        self.assertEqual(self.check(self.CLEAN, "// like <chrono> or an rte_mbuf\n" + self.CLEAN)[0], 0)

    def test_banned_names_in_the_source(self):
        for text in ("#include <chrono>\n", "#include <mutex>\n", "struct rte_mbuf;\n", "#include <atomic>\n",
                     "#include <unordered_map>\n", "absl::flat_hash_map<int, int> m;\n", "thread_local int n;\n",
                     "int f() { return rand(); }\n"):
            status, said = self.check(self.CLEAN, text)
            self.assertEqual(status, 1, text)
            self.assertIn("lib/base/a.cc:1", said)

    def test_banned_symbols_in_the_object(self):
        for call in ("extern \"C\" int clock_gettime(int, void*); int f() { return clock_gettime(0, nullptr); }\n",
                     "extern \"C\" void* malloc(unsigned long); void* f() { return malloc(8); }\n",
                     "extern \"C\" int rte_eal_cleanup(); int f() { return rte_eal_cleanup(); }\n"):
            status, said = self.check(call)
            self.assertEqual(status, 1, call)
            self.assertIn("not on the allow-list", said)

    def test_banned_instructions_in_the_object(self):
        for line in ("rdtsc", "rdrand %eax", "rdseed %eax", "lock incl (%rsp)", "syscall"):
            status, said = self.check('void f() { asm volatile("%s"); }\n' % line)
            self.assertEqual(status, 1, line)
            self.assertIn("instruction", said)


class SizesTest(CheckTest):
    @staticmethod
    def function(lines, head="int F(int n) {"):
        return head + "\n" + "  n += (n > 1);\n" * (lines - 2) + "}\n"

    def test_files(self):
        self.write("lib/base/a.cc", "\n" * 500)
        self.assert_passes(sizes.check, self.root)
        self.write("lib/base/a.cc", "\n" * 501)
        self.assert_fails("lib/base/a.cc: 501 lines", sizes.check, self.root)

    def test_test_files_may_be_longer(self):
        self.write("lib/base/a_test.cc", "\n" * 800)
        self.assert_passes(sizes.check, self.root)
        self.write("lib/base/a_test.cc", "\n" * 801)
        self.assert_fails("801 lines", sizes.check, self.root)

    def test_functions(self):
        heads = ("int F(int n) {", "void A::F(int n) const {", "A::A(int n) : n_(n), m_{n} {",
                 "auto F(int n) -> int {", "TEST(Suite, F) {", "static B* F(int n = G(1)) noexcept {")
        for head in heads:
            self.write("lib/base/a.cc", "namespace x {\nclass C {\n" + self.function(70, head) + "};\n}\n")
            self.assert_passes(sizes.check, self.root)
            self.write("lib/base/a.cc", "namespace x {\nclass C {\n" + self.function(71, head) + "};\n}\n")
            self.assert_fails("is 71 lines long", sizes.check, self.root)

    def test_braces_in_strings_and_comments_do_not_count(self):
        text = 'int F() {\n  G("}", \'}\', R"(})"); // }\n' + "  n++;\n" * 69 + "}\n"
        self.write("lib/base/a.cc", text)
        self.assert_fails("is 72 lines long", sizes.check, self.root)

    def test_namespaces_and_classes_are_no_functions(self):
        self.write("lib/base/a.h", "namespace x {\nstruct S {\n" + "  int a;\n" * 100 + "};\n}\n")
        self.assert_passes(sizes.check, self.root)

    def test_python_functions(self):
        self.write("tests/a.py", "def f():\n" + "    g()\n" * 70)
        self.assert_fails("f is 71 lines long", sizes.check, self.root)


class WordsTest(CheckTest):
    def setUp(self):
        super().setUp()
        self.write("lib/base/meson.build", "files('a.cc')\n")
        self.write("lib/base/a.cc", '#include "base/a.h"\n')
        self.write("lib/base/a.h", "\n")

    def test_a_clean_tree_passes(self):
        self.assert_passes(words.check, self.root)

    def test_words_where_work_is_missing(self):
        for word in ("TO" "DO", "FIX" "ME: later", "a st" "ub", "X" "XX"):
            self.write("lib/base/a.h", "// %s\n" % word)
            self.assert_fails("lib/base/a.h:1", words.check, self.root)

    def test_paths_of_this_machine(self):
        self.write("README.md", "see %s/lib\n" % os.path.realpath(self.root))
        self.assert_fails("README.md:1", words.check, self.root)
        self.write("README.md", "see /ho" "me/somebody/lib\n")
        self.assert_fails("README.md:1", words.check, self.root)

    def test_a_source_that_nobody_builds(self):
        self.write("lib/base/b.cc", "\n")
        self.assert_fails("lib/base/b.cc: no meson.build", words.check, self.root)

    def test_a_header_that_nobody_includes(self):
        self.write("lib/base/b.h", "\n")
        self.assert_fails("lib/base/b.h: nothing includes", words.check, self.root)


class Rfc9293Test(CheckTest):
    LAST = {"MUST": 2}
    GOOD = "MUST-1\tMUST\t3.1\tWindow\tA.B grid:rst script:a.pkt interop:echo\nMUST-2\tMUST NOT\t3.1\tSum\tA.C\n"

    def setUp(self):
        super().setUp()
        self.write("lib/tcp/a_test.cc", "TEST(A, B) {}\nTEST_P(A, C) {}\n// TEST(A, D)\n")
        self.write("lib/tcp/state_grid_table_for_test.h", "rst rst_next | CLOSED | =\n")
        self.write("tests/script/a.pkt", "\n")
        self.write("tests/interop/cases_a.py", "@case(timeout=3)\ndef echo(lab):\n    pass\n")

    def table(self, text):
        self.write("tests/repo/rfc9293.tsv", "# heading\nid\tstrength\n" + text)

    def test_a_full_table_passes(self):
        self.table(self.GOOD)
        self.assert_passes(rfc9293.check, self.root, self.LAST)

    def test_a_must_without_a_test(self):
        self.table(self.GOOD.replace("A.C", "-\tbecause"))
        self.assert_fails("MUST-2: no test holds this MUST", rfc9293.check, self.root, self.LAST)

    def test_a_test_that_is_not_there(self):
        for wrong in ("A.D", "grid:syn", "script:b.pkt", "interop:nothing", "A"):
            self.table(self.GOOD.replace("A.C", wrong))
            self.assert_fails("no such test in the tree: " + wrong, rfc9293.check, self.root, self.LAST)

    def test_an_id_that_is_missing(self):
        self.table(self.GOOD.splitlines()[0] + "\n")
        self.assert_fails("MUST-2 is missing", rfc9293.check, self.root, self.LAST)

    def test_what_is_no_must_needs_a_test_or_a_reason(self):
        self.table(self.GOOD + "MAY-1\tMAY\t3.1\tX\t-\n")
        self.assert_fails("MAY-1: neither", rfc9293.check, self.root, self.LAST)
        self.table(self.GOOD + "MAY-1\tMAY\t3.1\tX\t-\tnot wanted\n")
        self.assert_passes(rfc9293.check, self.root, self.LAST)


class DropReasonsTest(CheckTest):
    def test_a_reason_that_is_given_and_not_provoked(self):
        self.write("lib/base/drop_reason.h", '#define R(X) \\\n  X(kOne, "one", "") \\\n  X(kTwo, "two", "") \\\n  X(kNever, "never", "")\n')
        self.write("lib/tcp/a.cc", "Drop(kOne); Drop(kTwo);  // kNever\n")
        self.write("lib/tcp/a_test.cc", "DropReason::kOne\n// kTwo\n")
        self.assert_fails("no test provokes kTwo (two)", drop_reasons.check, self.root)
        self.assertNotIn("kNever", self.verdict(drop_reasons.check, self.root)[1])
        self.write("tests/interop/cases_a.py", 'drops["two"]\n')
        self.assert_passes(drop_reasons.check, self.root)


class ErrorMessagesTest(CheckTest):
    SAID = 'return absl::InvalidArgumentError(absl::StrCat("mtu = ", mtu, ": expected a width "\n  "of 68 octets"));\n'

    def test_a_message_that_no_test_quotes(self):
        self.write("lib/tern/a.cc", self.SAID)
        self.assert_fails('lib/tern/a.cc:1: no test quotes ": expected a width of 68 octets"', error_messages.check,
                          self.root)
        # Neither a word alone nor a comment is a quotation.
        for text in ('"expected"', '// a width of 68 octets', '"width"'):
            self.write("lib/tern/a_test.cc", text + "\n")
            self.assert_fails("no test quotes", error_messages.check, self.root)
        self.write("lib/tern/a_test.cc", '"mtu = 1: expected a width of 68 octets"\n')
        self.assert_passes(error_messages.check, self.root)
        self.write("lib/tern/b.cc", 'return Expected("a width of 68 octets or 69");\n')
        self.assert_fails("lib/tern/b.cc:1: no test quotes", error_messages.check, self.root)

    def test_words_of_two_messages_are_of_neither(self):
        self.write("apps/a.cc", 'Fail(s, late ? "the server did not answer" : "the server did not accept");\n')
        self.write("tests/interop/cases_a.py", 'check("the server did not")\n')
        said = self.verdict(error_messages.check, self.root)[1]
        self.assertIn('"the server did not answer"', said)
        self.assertIn('"the server did not accept"', said)
        self.write("tests/interop/cases_a.py", 'check("did not answer", "did not accept")\n')
        self.assert_passes(error_messages.check, self.root)

    def test_a_message_passed_on_is_looked_at_where_it_is_made(self):
        self.write("apps/a.cc", self.SAID + 'BadUsage(program, std::string(status.message()));\n')
        self.write("apps/a_test.py", '"expected a width of 68 octets"\n')
        self.assert_fails("no test quotes", error_messages.check, self.root)
        self.write("apps/a_test.py", 'x = "expected a width of 68 octets"\n')
        self.assert_passes(error_messages.check, self.root)

    def test_a_message_without_words_hides_from_nobody(self):
        self.write("lib/tern/a.cc", "absl::Status Odd(std::string what) {\n  return absl::InternalError(what);\n}\n")
        self.assert_fails("too few words", error_messages.check, self.root)

    def test_an_exception_names_the_literal(self):
        self.write("lib/tern/a.cc", self.SAID)
        self.write("tests/repo/exceptions.txt",
                   "error_messages lib/tern/a.cc::_expected_a_width_of_68_octets for the sake of the example\n")
        self.assert_passes(error_messages.check, self.root)


class TallyTest(CheckTest):
    CASES = "[==========] Running 2 tests\n[       OK ] A.B (0 ms)\n[  FAILED  ] A.C (1 ms)\n[  FAILED  ] A.C\n"

    def count(self, **test):
        return tally.count_meson_test({"name": "t", "stdout": "", "result": "OK", **test})

    def test_cases_of_googletest(self):
        self.assertEqual(self.count(stdout=self.CASES, result="FAIL"), [1, 1, 0])

    def test_a_crash_counts_although_no_case_said_so(self):
        crashed = "[==========] Running 2 tests\n[       OK ] A.B (0 ms)\n[ RUN      ] A.C\n"
        self.assertEqual(self.count(stdout=crashed, result="FAIL"), [1, 1, 0])
        self.assertEqual(self.count(stdout=crashed, result="TIMEOUT"), [1, 1, 0])

    def test_scripts(self):
        self.assertEqual(self.count(stdout="x\n7 passed, 0 failed, 2 skipped\n"), [7, 0, 2])
        self.assertEqual(self.count(), [1, 0, 0])
        self.assertEqual(self.count(result="SKIP"), [0, 0, 1])
        self.assertEqual(self.count(result="ERROR"), [0, 1, 0])

    def test_a_failed_script_fails_the_sum(self):
        log = self.write("log", "7 passed, 0 failed, 2 skipped\n")
        self.assertEqual(self.verdict(tally.main, ["script", "s", "1", log])[1].splitlines()[-1],
                         "7 passed, 1 failed, 2 skipped")
        failed = self.write("failed", "7 passed, 1 failed, 2 skipped\n")
        self.assertEqual(self.verdict(tally.main, ["sum", log, failed]), (1, "14 passed, 1 failed, 4 skipped\n"))
        self.assertEqual(self.verdict(tally.main, ["sum", log])[0], 0)

    def test_a_file_without_a_tally_is_a_failure(self):
        self.assertEqual(self.verdict(tally.main, ["sum", self.write("log", "killed\n")])[0], 1)

    def test_a_meson_log(self):
        log = self.write("log", "".join(json.dumps(t) + "\n" for t in (
            {"name": "a", "stdout": self.CASES, "result": "FAIL"}, {"name": "b", "stdout": "", "result": "OK"})))
        self.assertEqual(self.verdict(tally.main, ["meson", log])[1].splitlines()[-1],
                         "2 passed, 1 failed, 0 skipped")


def main(argv):
    COMPILER[:] = argv or COMPILER
    result = unittest.TextTestRunner(stream=sys.stdout).run(unittest.defaultTestLoader.loadTestsFromModule(
        sys.modules[__name__]))
    bad = len(result.failures) + len(result.errors)
    print("%d passed, %d failed, %d skipped" % (result.testsRun - bad - len(result.skipped), bad, len(result.skipped)))
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
