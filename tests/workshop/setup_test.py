"""tools/setup: says first what is missing and what it costs, and never half-installs.

The script runs for real; only the three commands that ask about the machine or change it
(dpkg-query, apt-get, id) are answered here, so that nothing is installed by a test.
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ["bash", "sed", "awk", "grep", "sort", "head", "dirname", "nproc", "paste", "cat", "env",
         "printf", "uname", "mktemp", "rm", "sh"]


def packages(name):
    """[(set, package)] of one distribution's list."""
    lines = (ROOT / "tools/packages" / name).read_text(encoding="utf-8").splitlines()
    return [tuple(line.split()[:2]) for line in lines if line and not line.startswith("#")]


class Setup(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.bin = pathlib.Path(self.folder.name, "bin")
        self.bin.mkdir()
        for tool in TOOLS:
            if shutil.which(tool):
                (self.bin / tool).symlink_to(shutil.which(tool))
        self.log = pathlib.Path(self.folder.name, "log")
        version = re.search(r'rust-version = "(.*)"',
                            (ROOT / "rust/Cargo.toml").read_text(encoding="utf-8")).group(1)
        self.command("rustc", f"echo rustc {version}.0")
        self.command("apt-get",
                     f'case "$*" in *--assume-no*) exit 1;; esac; echo "$*" >>{self.log}')

    def command(self, name, body):
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        path.chmod(0o755)

    def machine(self, *, installed=True, root=False):
        self.command("dpkg-query", "echo installed" if installed else
                     'case "$*" in *libsodium-dev*|*clang-19*) exit 1;; esac; echo installed')
        self.command("id", f"echo {0 if root else 1000}")

    def run_setup(self, *arguments):
        done = subprocess.run(["bash", str(ROOT / "tools/setup"), *arguments], text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False,
                              env={"PATH": str(self.bin), "CARGO_HOME": self.folder.name,
                                   "HOME": self.folder.name})
        return done.returncode, done.stdout

    def test_nothing_missing_nothing_done(self):
        self.machine()
        status, text = self.run_setup()
        self.assertEqual(0, status, text)
        self.assertIn("all there", text)
        self.assertRegex(text, r"about \d+ minutes on \d+ cores")
        self.assertRegex(text, r"\d GB in build/")
        self.assertFalse(self.log.exists())

    def test_without_root_and_sudo_the_exact_command_is_printed(self):
        self.machine(installed=False)
        status, text = self.run_setup("--set", "build")
        self.assertEqual(3, status, text)
        self.assertIn("apt-get install -y --no-install-recommends libsodium-dev\n", text)
        self.assertFalse(self.log.exists())

    def test_root_installs_what_is_missing_and_says_so_first(self):
        self.machine(installed=False, root=True)
        status, text = self.run_setup("--set", "build")
        self.assertEqual(0, status, text)
        self.assertLess(text.index("1 missing: libsodium-dev"), text.index("installing"))
        self.assertIn("libsodium-dev", self.log.read_text(encoding="utf-8"))
        self.assertNotIn("clang-19", self.log.read_text(encoding="utf-8"))

    def test_sets_grow(self):
        self.machine(installed=False)
        self.assertIn("clang-19", self.run_setup("--set", "long", "--check")[1])
        self.assertNotIn("clang-19", self.run_setup("--set", "test", "--check")[1])

    def test_an_old_rust_is_said_before_rustup_runs(self):
        self.machine()
        self.command("rustc", "echo rustc 1.63.0")
        status, text = self.run_setup("--check")
        self.assertEqual(3, status)
        self.assertIn("1.63.0 found", text)
        self.assertIn("rustup will install", text)

    def test_wrong_usage(self):
        self.assertEqual(2, self.run_setup("--bogus")[0])
        self.assertEqual(2, self.run_setup("--set", "all")[0])


class Lists(unittest.TestCase):
    def test_both_distributions_name_the_same_things(self):
        debian, ubuntu = packages("debian-12.txt"), packages("ubuntu-24.04.txt")
        # Ubuntu has Chromium as a snap only; the page's test is left out there.
        neutral = [[(group, re.sub(r"(boost(-\w+)?|php)[\d.]+", r"\1", name))
                    for group, name in entries if not name.startswith("chromium")]
                   for entries in (debian, ubuntu)]
        self.assertEqual(*neutral)
        self.assertEqual(len(set(debian)), len(debian))


if __name__ == "__main__":
    unittest.main()
