#!/usr/bin/env python3
"""Modules that mean harm, sent to a real plasmd.

Each ends as the table says, with a signed receipt or a refusal by name; the next honest job runs.
"""

import json
import subprocess

from plasmd_lab import HELLO, SECONDS_MAX, Case, main, write_modules
from plasmd_daemon import PHASE, Daemon

# module, flags, kind, reason; streamed: stdin stays open.
TABLE = [
    ("endless_loop", ["--fuel", "50000000"], "limited", "fuel"),
    ("memory_bomb", ["--memory", "32"], "exited", ""),
    ("memory_from_start", ["--memory", "32"], "limited", "memory"),
    ("table_bomb", [], "exited", ""),
    ("recursion", [], "trapped", "stack_overflow"),
    ("output_flood", ["--output-bytes", "1000001"], "limited", "output"),
    ("memory_fill", ["--timeout-ms", "400"], "limited", "wall"),
    ("blocked_stdin", ["--timeout-ms", "400"], "limited", "wall"),
    ("malformed", [], "invalid", "module_malformed"),
    ("compile_bomb", ["--timeout", "60"], "limited", "compile"),
    ("undefined_import", [], "invalid", "import_undefined"),
]


class Hostile(Case):
    def test_each_ends_as_the_table_says_and_the_next_job_runs(self):
        modules = write_modules(self.home.folder / "modules")
        node = Daemon(self, "--no-network", "--max-jobs", "2").wait_ready()
        for name, flags, kind, reason in TABLE:
            with self.subTest(name):
                # A pipe that stays open and empty is a stdin that blocks.
                words = ["run", "--local", "--json", *flags, modules / f"{name}.wasm"]
                result = self.run_job(node, words, blocked=name == "blocked_stdin")
                self.assertEqual((result["completion"]["kind"], result["completion"]["reason"]),
                                 (kind, reason))
                self.assertTrue(result["verdict"]["verified"], result["verdict"])
                self.assertTrue(result["receipt"])
                honest = node.phase("run", "--local", "--stdin", "-", HELLO, stdin=b"abc")
                self.exits(honest, 0)
                self.assertEqual(honest.stdout, b"cba")
        self.assertEqual(node.status()["jobs"]["running"], 0)

    def run_job(self, node, words, blocked):
        words = [PHASE, "--socket", node.socket, *map(str, words)]
        if blocked:
            words[-1:-1] = ["--stdin", "-"]
        process = subprocess.Popen(words, stdin=subprocess.PIPE if blocked else subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=self.home.environment)
        self.home.started.append(process)
        out = process.stdout.read()  # not communicate(): it would close stdin
        process.wait(SECONDS_MAX)
        self.assertTrue(out, process.stderr.read())
        return json.loads(out)


if __name__ == "__main__":
    main()
