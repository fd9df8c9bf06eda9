"""ambient-vcp as processes of a test: one coordinator, and nodes by the commands its pages show."""

import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import urllib.error
import urllib.request

import driver
from driver import Problem
from ports import free_port

START_SECONDS, STOP_SECONDS, REQUEST_SECONDS = 30, 30, 10
CODE = re.compile(r"One-time code: (\S+)")
HEARTBEAT_MS, DRAIN_SECONDS = 3000, 5
# Many pages are opened within a minute, by one person.
RATES = {f"RATE_LIMIT_{tier}_{what}": "100000" for tier in ("AUTH", "NODE", "TASK", "GENERAL")
         for what in ("RPM", "BURST")}


class Process:
    """One of ours, with its log."""

    def __init__(self, arguments, log, environment):
        self.log = log
        with open(log, "ab") as said:
            self.process = subprocess.Popen([str(part) for part in arguments], stdout=said,
                                            stderr=said, env=environment)

    def said(self):
        return self.log.read_text(errors="replace")

    def alive(self):
        return self.process.poll() is None

    def stop(self, kind=signal.SIGTERM):
        if self.alive():
            self.process.send_signal(kind)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "killed"


class Coordinator:
    """Listens on the same port each time it is started."""

    def __init__(self, program, root):
        self.program, self.root = pathlib.Path(program), root
        self.port, self.mesh = free_port(), f"/ip4/127.0.0.1/tcp/{free_port()}"
        self.url = f"http://127.0.0.1:{self.port}"
        self.process, self.nodes = None, {}
        root.mkdir()

    def environment(self):
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith(("RATE_LIMIT_", "JWT_", "VCP_"))}
        return kept | RATES | {"HOME": str(self.root), "XDG_DATA_HOME": str(self.root / "share")}

    def start(self):
        arguments = [self.program, "coordinator", "--listen", f"127.0.0.1:{self.port}",
                     "--mesh-listen", self.mesh, "--data-dir", self.root / "coordinator",
                     "--heartbeat-ms", HEARTBEAT_MS, "--drain-seconds", DRAIN_SECONDS]
        self.process = Process(arguments, self.root / "coordinator.log", self.environment())
        driver.wait_until("the coordinator", START_SECONDS, self.answers,
                          lambda: f"; it said:\n{self.process.said()[-3000:]}")

    def answers(self):
        if not self.process.alive():
            raise Problem(f"the coordinator ended:\n{self.process.said()[-3000:]}")
        with urllib.request.urlopen(f"{self.url}/api/v1/health", timeout=5) as response:
            return response.status == 200

    def code(self):
        """What it printed for the first administrator."""
        found = CODE.findall(self.process.said())
        if not found:
            raise Problem(f"no one-time code was printed:\n{self.process.said()}")
        return found[-1]

    def join(self, name, command, liar=None):
        """Runs the command as it stands on the page, with a data folder of its own."""
        words = shlex.split(command)
        if words[:2] != ["ambient-vcp", "node"]:
            raise Problem(f"this is no command of a node: {command}")
        words[0] = self.program
        folder = self.root / name
        (folder / "data").mkdir(parents=True)
        words += ["--data-dir", folder / "data"]
        if liar:
            token = words[words.index("--join-token") + 1]
            worker = self.program.with_name("phase-worker")
            words = [liar, name, self.url, token, folder / "data", worker]
        self.nodes[name] = Process(words, folder / "node.log", self.environment())

    def stop(self):
        """{who: status} of all that did not end well."""
        ended = {name: node.stop() for name, node in self.nodes.items()}
        if self.process:
            ended["coordinator"] = self.process.stop()
        return {name: status for name, status in ended.items() if status != 0}

    def said(self):
        logs = [("coordinator", self.process)] + list(self.nodes.items())
        return "\n".join(f"---- {name}\n{one.said()[-2500:]}" for name, one in logs if one)


class Api:
    """The same API as a program uses it: with a bearer token."""

    def __init__(self, url, name, password):
        self.url, self.token = url, ""
        self.token = self.ask("POST", "/auth/login",
                              {"username": name, "password": password})["access_token"]

    def ask(self, method, path, body=None):
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/v1{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as response:
                return json.loads(response.read() or "null")
        except urllib.error.HTTPError as error:
            raise Problem(f"{method} {path}: {error.code} {error.read()[:500]}") from error
