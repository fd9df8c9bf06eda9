"""A real coordinator and real nodes for tests: the processes of the demo, on ports of their own."""

import json
import os
import pathlib
import signal
import sys
import unittest

ROOT = pathlib.Path(os.environ.get("PHASE_SOURCE") or pathlib.Path(__file__).resolve().parents[2])
BUILD = pathlib.Path(os.environ.get("PHASE_BUILD") or ROOT / "build").resolve()
sys.path.insert(0, str(ROOT / "examples" / "demo"))

from demo_vcp import Fleet, sign_in, wait_until  # noqa: E402
from ports import free_port  # noqa: E402

AMBIENT = BUILD / "bin" / "ambient-vcp"
HELLO = BUILD / "examples" / "hello.wasm"
SECONDS_MAX = 60
HEARTBEAT_MS = 500
# Tests ask more often than a person.
TIERS = ("AUTH", "NODE", "TASK", "READ", "GENERAL")
RATES = {f"RATE_LIMIT_{tier}_{what}": "100000" for tier in TIERS for what in ("RPM", "BURST")}
NEEDS = {"min_nodes": 1, "max_execution_time_sec": 60, "require_gpu": False,
         "require_proof": False}


class Lab(Fleet):
    """The demo's processes, with ports that stay, stops and starts."""

    def __init__(self):
        super().__init__(BUILD / "bin", BUILD / "examples")
        self.port, self.mesh_port = free_port(), free_port()
        self.environment = {"PATH": f"{BUILD / 'bin'}:{os.environ['PATH']}",
                            "HOME": str(self.folder), **RATES}

    def start(self, name, command, env=None):
        super().start(name, [str(part) for part in command], {**self.environment, **(env or {})})

    def start_coordinator(self, *words, data="coordinator", program=AMBIENT):
        self.start("coordinator",
                   [program, "coordinator", "--listen", f"127.0.0.1:{self.port}",
                    "--mesh-listen", f"/ip4/127.0.0.1/tcp/{self.mesh_port}",
                    "--data-dir", self.folder / data, "--heartbeat-ms", HEARTBEAT_MS, *words])
        self.url = self.wait_log("coordinator", r"ready: .* at (http://\S+)").group(1)

    def first_administrator(self):
        self.code = self.wait_log("coordinator", r"One-time code: (\S+)").group(1)
        sign_in(self)

    def register(self, name, region="us-west", node_type="compute"):
        return self.ask("POST", "/api/v1/nodes", {
            "node_id": name, "region": region, "node_type": node_type,
            "capabilities": {"bandwidth_mbps": 100, "cpu_cores": 4, "memory_gb": 8,
                             "gpu_available": False}}, expected=201)["join_token"]

    def start_agent(self, name, *words, url=None, token=None, region="us-west",
                    program=AMBIENT):
        joined = ["--join-token", token] if token else []
        self.start(name, [program, "node", "--id", name, "--region", region, "--coordinator-url",
                          url or self.url, "--data-dir", self.folder / name, *joined, *words])

    def node(self, name):
        return self.ask("GET", f"/api/v1/nodes/{name}")

    def wait_measured(self, *names):
        def measured():
            nodes = [self.node(name) for name in names]
            return all(node["status"] == "online" and
                       node["health"]["latency"]["value"] is not None and
                       node["health"]["bandwidth"]["value"] is not None for node in nodes)
        wait_until(f"{names} online and measured", measured)

    def submit(self, task_type="computation", inputs=None, expected=201, **needs):
        inputs = {"expression": "6*7"} if inputs is None else inputs
        return self.ask("POST", "/api/v1/tasks", {
            "task_type": task_type, "inputs": inputs, "requirements": {**NEEDS, **needs}},
            expected=expected)

    def task(self, task_id):
        return self.ask("GET", f"/api/v1/tasks/{task_id}")

    def finish(self, task_id):
        """The task at its end."""
        def final():
            seen = self.task(task_id)
            return seen if seen["status"] in ("completed", "failed", "cancelled") else None
        return wait_until(f"the end of {task_id}", final, SECONDS_MAX)

    def stop(self, name, kind=signal.SIGTERM):
        """The exit status."""
        process = self.processes[name]
        process.send_signal(kind)
        return process.wait(SECONDS_MAX)

    def export(self):
        """The ledger, entry by entry."""
        text = self.ask("GET", "/api/v1/ledger/export", raw=True).decode()
        return [json.loads(line) for line in text.splitlines()]


class LabTest(unittest.TestCase):
    """One lab a test; when it fails the logs are shown."""

    longMessage = True

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.addCleanup(self.show_logs)

    def show_logs(self):
        outcome = self._outcome
        if outcome is None or getattr(outcome, "success", True):
            return
        for name in self.lab.processes:
            print(f"── {name}\n{self.lab.log(name)[-2000:]}", file=sys.stderr)
