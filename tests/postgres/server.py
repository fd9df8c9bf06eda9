#!/usr/bin/env python3
"""A PostgreSQL server of its own in a temporary folder, on a loopback port.

As a program: prints its URL and serves until standard input ends (or exits with 77 when PostgreSQL
is not installed). PostgreSQL refuses root: then the server runs as `nobody`.
"""

import glob
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "demo"))
from ports import free_port  # noqa: E402

START_SECONDS = 60
NOT_HERE = 77


def programs():
    """The folder of the newest PostgreSQL's programs, or None."""
    found = [path for path in glob.glob("/usr/lib/postgresql/*/bin")
             if os.access(os.path.join(path, "initdb"), os.X_OK)]
    if found:
        return max(found, key=lambda path: float(path.split("/")[-2]))
    there = shutil.which("initdb")
    return os.path.dirname(there) if there else None


class Server:
    def __init__(self):
        self.bin = programs()
        if self.bin is None:
            raise FileNotFoundError("PostgreSQL is not installed: apt install postgresql")
        self.folder = tempfile.mkdtemp(prefix="phase-postgres-", dir="/tmp")
        self.as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] \
            if os.geteuid() == 0 else []
        if self.as_user:
            shutil.chown(self.folder, "nobody", "nogroup")
        self.port = free_port()
        self.url = f"postgres://phase:phase@127.0.0.1:{self.port}/phase"
        self.process = None
        try:
            self._make()
            self.start()
            self._psql("postgres", "CREATE DATABASE phase")
        except BaseException:
            self.remove()
            raise

    def _run(self, *command):
        done = subprocess.run([*self.as_user, *command], cwd=self.folder, capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def _make(self):
        secret = os.path.join(self.folder, "password")
        with open(secret, "w", encoding="ascii") as file:
            file.write("phase\n")
        os.chmod(secret, 0o644)
        self._run(os.path.join(self.bin, "initdb"), "-D", os.path.join(self.folder, "data"),
                  "-U", "phase", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8",
                  "--locale=C.UTF-8")

    def start(self):
        """Also after `kill` or `stop`: what was committed is there."""
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self._spawn(log)
        self._wait()

    def _spawn(self, log):
        self.process = subprocess.Popen(
            [*self.as_user, os.path.join(self.bin, "postgres"), "-D",
             os.path.join(self.folder, "data"), "-p", str(self.port), "-h", "127.0.0.1", "-k",
             self.folder],
            cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def _wait(self):
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if self.process.poll() is not None:
                with open(os.path.join(self.folder, "log"), encoding="utf-8") as log:
                    raise RuntimeError("postgres ended: " + log.read()[-2000:])
            if self._ready():
                return
            time.sleep(0.1)  # tidy: allow(sleep): another process has no event for it
        raise RuntimeError("postgres does not answer")

    def _ready(self):
        asked = [os.path.join(self.bin, "pg_isready"), "-q", "-h", "127.0.0.1", "-p",
                 str(self.port)]
        return subprocess.run(asked, check=False).returncode == 0

    def _psql(self, database, sql):
        url = f"postgres://phase:phase@127.0.0.1:{self.port}/{database}"
        done = subprocess.run([os.path.join(self.bin, "psql"), "-XqtA", "-v", "ON_ERROR_STOP=1",
                               "-c", sql, url], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return done.stdout.strip()

    def query(self, sql):
        return self._psql("phase", sql)

    def stop(self, how=signal.SIGINT):
        """SIGINT: connections end, what is committed is written (fast shutdown)."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(timeout=START_SECONDS)

    def remove(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(timeout=START_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server = Server()
    except FileNotFoundError as missing:
        print(missing, file=sys.stderr)
        return NOT_HERE
    try:
        print(server.url, flush=True)
        sys.stdin.read()
    finally:
        server.remove()
    return 0


if __name__ == "__main__":
    sys.exit(main())
