"""tools/run_tests: what counts as failed, where minutes go, what stands last."""

import contextlib
import importlib.machinery
import importlib.util
import io
import os
import pathlib
import tempfile
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOADER = importlib.machinery.SourceFileLoader("run_tests", str(ROOT / "tools/run_tests"))
run_tests = importlib.util.module_from_spec(importlib.util.spec_from_loader("run_tests", LOADER))
LOADER.exec_module(run_tests)

PASSED = ('<testcase name="base_test" status="run" time="60.0">'
          '<system-out>ok</system-out></testcase>')
SKIPPED = ('<testcase name="blocked_udp" status="notrun" time="0.1"><skipped message="77"/>'
           '<system-out>starting\nskip: no network namespaces here\nbye</system-out></testcase>')
CLOSING = ["100% tests passed, 0 tests failed out of 2", "Total Test time (real) = 60.10 sec"]


class Report(unittest.TestCase):
    def report(self, cases, status, no_skip):
        """(exit status, text) of the report over these junit cases."""
        with tempfile.TemporaryDirectory() as folder:
            junit = pathlib.Path(folder, "tests.xml")
            junit.write_text(f"<testsuite>{cases}</testsuite>", encoding="utf-8")
            text = io.StringIO()
            with mock.patch.dict(os.environ, {"PHASE_NO_SKIP": no_skip}), \
                    contextlib.redirect_stdout(text):
                status = run_tests.report(run_tests.read_junit(junit), CLOSING, [("set-up", 30.0)],
                                          {"base_test": "src/base"}, status)
            return status, text.getvalue()

    def test_a_green_run_is_green(self):
        self.assertEqual(0, self.report(PASSED, 0, "1")[0])

    def test_a_failed_run_is_red(self):
        self.assertEqual(1, self.report(PASSED, 8, "")[0])

    def test_a_skip_says_why_and_is_red_only_where_told(self):
        status, text = self.report(PASSED + SKIPPED, 0, "")
        self.assertEqual(0, status)
        self.assertIn("skip: no network namespaces here", text)
        status, text = self.report(PASSED + SKIPPED, 0, "1")
        self.assertEqual(1, status)
        self.assertIn("FAILED, because it skipped: blocked_udp", text)

    def test_the_closing_lines_of_ctest_stand_last(self):
        _, text = self.report(PASSED + SKIPPED, 0, "1")
        self.assertEqual(CLOSING, text.rstrip().splitlines()[-2:])

    def test_minutes_per_suite(self):
        _, text = self.report(PASSED, 0, "")
        self.assertRegex(text, r"set-up +0\.5\n")
        self.assertRegex(text, r"unit: src +1 +1\.0\n")


class Ctest(unittest.TestCase):
    """The real ctest: a test that exits 77 is read as skipped with its reason."""

    def test_skip_is_read_from_ctest(self):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "CTestTestfile.cmake").write_text(
                'add_test(good "true")\n'
                'add_test(shy "sh" "-c" "echo skip: no such device; exit 77")\n'
                'set_tests_properties(shy PROPERTIES SKIP_RETURN_CODE 77)\n', encoding="utf-8")
            junit = pathlib.Path(folder, "tests.xml")
            with contextlib.redirect_stdout(io.StringIO()):
                status, closing = run_tests.run_ctest(folder, 1, None, junit)
            self.assertEqual(0, status)
            self.assertRegex("\n".join(closing), "% tests passed")
            cases = {case[0]: case for case in run_tests.read_junit(junit)}
            self.assertEqual("run", cases["good"][2])
            self.assertEqual("skipped", cases["shy"][2])
            self.assertEqual(["skip: no such device"], run_tests.skip_reasons(cases["shy"][3]))


if __name__ == "__main__":
    unittest.main()
