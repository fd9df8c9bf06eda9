"""What the functional tests of plasmd share.

Programs, a home of their own, and unittest with skips that count.
"""

import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

BUILD = pathlib.Path(os.environ.get("PHASE_BUILD") or "build").resolve()
SOURCE = pathlib.Path(os.environ.get("PHASE_SOURCE") or pathlib.Path(__file__).resolve().parents[2])
PLASMD = BUILD / "bin" / "plasmd"
HELLO = BUILD / "examples" / "hello.wasm"
SECONDS_MAX = 120  # for one program to end; a hang fails, nothing else is timed

sys.path.insert(0, str(SOURCE / "examples" / "demo"))


def write_modules(folder):
    """The modules of tests/functional/write_modules.cpp, as files."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([BUILD / "tests" / "functional" / "write_modules", folder], check=True)
    return folder


class Home:
    """A home folder with nothing in it, and plasmd in it."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="phase-functional-"))
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder),
                            "XDG_RUNTIME_DIR": str(self.folder), "LANG": "C.UTF-8",
                            "PHASE_DATA_DIR": str(self.folder / "data")}
        self.started = []

    def plasmd(self, *words, stdin=b"", env=None):
        """Runs plasmd to its end."""
        return subprocess.run([PLASMD, *map(str, words)], input=stdin, capture_output=True,
                              timeout=SECONDS_MAX, env=self.environment | (env or {}),
                              cwd=self.folder, check=False)

    def start(self, *words, **options):
        """Starts plasmd; it ends with this home."""
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE,
                   "stderr": subprocess.PIPE} | options
        process = subprocess.Popen([PLASMD, *map(str, words)], env=self.environment,
                                   cwd=self.folder, **options)
        self.started.append(process)
        return process

    def close(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    pipe.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def poll(condition):
    """Returns once `condition()` holds; fails when it does not for SECONDS_MAX."""
    deadline = time.monotonic() + SECONDS_MAX
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {SECONDS_MAX} s in vain")
        time.sleep(0.02)  # tidy: allow(sleep): another process tells nobody when its log grew


def document(done):
    """The JSON document that plasmd execute-job printed."""
    return json.loads(done.stdout)


def events(output):
    """The events that plasmd execute-job --events printed."""
    return [json.loads(line) for line in output.splitlines()]


def data(event):
    return base64.b64decode(event["data"])


class Case(unittest.TestCase):
    """A test with a home of its own."""

    longMessage = True

    def setUp(self):
        self.home = Home()
        self.addCleanup(self.home.close)

    def exits(self, done, status):
        """Fails with what the program said unless it ended with `status`."""
        self.assertEqual(done.returncode, status,
                         f"stdout {done.stdout[-2000:]!r} stderr {done.stderr[-2000:]!r}")


def main():
    """Runs the tests of the calling module; 77 when one skipped and none failed."""
    result = unittest.main(module="__main__", verbosity=2, exit=False).result
    for test, why in result.skipped:
        print(f"skip: {test.id()}: {why}")
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if result.skipped else 0)
