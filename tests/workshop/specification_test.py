"""SPECIFICATION.md: a figure stands only where a benchmark prints its row."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| ([^|]+) \| `([^`]+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


class Specification(unittest.TestCase):
    def setUp(self):
        self.rows = ROW.findall((ROOT / "SPECIFICATION.md").read_text(encoding="utf-8"))
        self.printed = "\n".join(path.read_text(encoding="utf-8")
                                 for path in (ROOT / "tests").glob("bench*/*")
                                 if path.suffix in (".cpp", ".h", ".py"))

    def test_there_are_rows(self):
        self.assertGreater(len(self.rows), 5)

    def test_a_measured_row_is_printed_by_a_benchmark(self):
        for what, name, _, measured in self.rows:
            if measured.strip() != "open":
                self.assertTrue(f'"{name}"' in self.printed, f"nothing prints the row of: {what}")


if __name__ == "__main__":
    unittest.main()
