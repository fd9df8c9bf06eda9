#!/usr/bin/env python3
"""A fleet: one coordinator, three nodes, one of which lies, is found out and loses its bond.

    examples/demo/demo_vcp.py [--bin build/bin] [--examples build/examples] [--keep-logs FOLDER]
                              [--websocket]

Starts a coordinator and three nodes as processes on loopback; makes the first administrator with
the one-time code of the console; registers the nodes and lets them join with their tokens; runs a
WebAssembly task on all three, which commit to their results before they show them; shows that a
well signed lie is refuted by a second look, that the liar is paid nothing and slashed; checks the
ledger's chain offline. What later parts of the system bring must say so. Leaves nothing behind.
"""

import argparse
import base64
import json
import pathlib
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from lab import LabError
from show import ROOT, require, say, step

READY_SECONDS_MAX = 60
TASK_SECONDS_MAX = 60
STOP_SECONDS_MAX = 20
NODES = (("node-001", "us-west"), ("node-002", "us-east"), ("node-003", "eu-central"))
LIAR = "node-003"
BOND = 100


class Fleet:
    """Processes of the demo, in one temporary folder."""

    def __init__(self, programs, examples, websocket=False):
        self.programs, self.examples = pathlib.Path(programs), pathlib.Path(examples)
        self.mesh = "/ip4/127.0.0.1/tcp/0" + ("/ws" if websocket else "")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="phase-fleet-"))
        self.processes = {}
        self.url = self.token = self.code = None

    def start(self, name, command, env=None, stdin=subprocess.DEVNULL):
        with open(self.folder / f"{name}.log", "wb") as log:
            self.processes[name] = subprocess.Popen(
                [str(word) for word in command], stdout=log, stderr=subprocess.STDOUT, stdin=stdin,
                env=env)
        return self.processes[name]

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def wait_log(self, name, pattern):
        deadline = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < deadline:
            found = re.search(pattern, self.log(name))
            if found:
                return found
            if self.processes[name].poll() is not None:
                raise LabError(f"{name} ended: {self.log(name)[-800:]}")
            time.sleep(0.05)
        raise LabError(f"{name} did not say {pattern!r}: {self.log(name)[-800:]}")

    def start_coordinator(self):
        self.start("coordinator",
                   [self.programs / "ambient-vcp", "coordinator", "--cluster-id", "demo",
                    "--listen", "127.0.0.1:0", "--mesh-listen", self.mesh,
                    "--data-dir", self.folder / "coordinator", "--heartbeat-ms", "1000"])
        self.url = self.wait_log("coordinator", r"ready: .* at (http://\S+)").group(1)
        self.code = self.wait_log("coordinator", r"One-time code: (\S+)").group(1)

    def start_node(self, name, region, token):
        data = self.folder / name
        if name == LIAR:
            data.mkdir()
            self.start(name, [self.examples / "lying_node", name, self.url, token, data,
                              self.programs / "phase-worker"])
        else:
            self.start(name, [self.programs / "ambient-vcp", "node", "--id", name, "--region",
                              region, "--coordinator-url", self.url, "--join-token", token,
                              "--data-dir", data])

    def ask(self, method, path, body=None, expected=None, raw=False):
        """One request; its JSON. `expected`: the status it must have (default: any success)."""
        request = urllib.request.Request(self.url + path, method=method)
        if self.token:
            request.add_header("Authorization", "Bearer " + self.token)
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, data, timeout=30) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        good = status == expected if expected else 200 <= status < 300
        require(good, f"{method} {path}: status {status}: {text[:300].decode(errors='replace')}")
        return text if raw else json.loads(text) if text else None

    def close(self):
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def wait_until(what, condition, seconds=READY_SECONDS_MAX):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.2)
    raise LabError(f"{what}: not within {seconds} s")


def sign_in(fleet):
    password = secrets.token_hex(8)
    fleet.ask("POST", "/api/v1/auth/bootstrap",
              {"code": fleet.code, "username": "founder", "password": password})
    fleet.token = fleet.ask("POST", "/api/v1/auth/login",
                            {"username": "founder", "password": password})["access_token"]
    say("✓ first administrator made with the console's one-time code, signed in")


def register(fleet):
    for number, (name, region) in enumerate(NODES):
        made = fleet.ask("POST", "/api/v1/nodes", {
            "node_id": name, "region": region, "node_type": "compute",
            "capabilities": {"bandwidth_mbps": (150, 200, 100)[number],
                             "cpu_cores": (8, 16, 4)[number], "memory_gb": (16, 32, 8)[number],
                             "gpu_available": number < 2}}, expected=201)
        fleet.start_node(name, region, made["join_token"])

    def all_measured():
        nodes = fleet.ask("GET", "/api/v1/nodes")
        return nodes if len(nodes) == len(NODES) and all(
            node["status"] == "online" and node["health"]["bandwidth"]["value"] is not None and
            node["health"]["latency"]["value"] is not None for node in nodes) else None
    for node in wait_until("three nodes, measured", all_measured):
        health = node["health"]
        say(f"  {node['node_id']}  {node['region']:<11} health {health['score']:.0f}: "
            f"{health['bandwidth']['value']:.0f} Mbps, {health['latency']['value']:.2f} ms "
            f"({health['latency']['evidence']})")
    say("✓ all nodes registered, joined by their tokens, measured")


def run_quorum(fleet):
    module = (fleet.examples / "hello.wasm").read_bytes()
    task = fleet.ask("POST", "/api/v1/tasks", {
        "task_type": "wasm_execution", "wasm_module": base64.b64encode(module).decode(),
        "inputs": {"stdin": "Hello, fleet"},
        "requirements": {"min_nodes": 3, "max_execution_time_sec": 30, "require_gpu": False,
                         "require_proof": False}}, expected=201)
    say(f"task {task['task_id']}: escrow {task['credits']['escrowed']} credits")

    def final():
        seen = fleet.ask("GET", f"/api/v1/tasks/{task['task_id']}")
        return seen if seen["status"] in ("completed", "failed") else None
    done = wait_until("the task's end", final, TASK_SECONDS_MAX)
    require(done["status"] == "completed", f"the task failed: {done['reason']}")
    for run in done["runs"]:
        say(f"  {run['node_id']}  {run['state']:<9} output {run['output_commitment'][:16]}…  "
            f"paid {run['paid']}  {run['reason'] or ''}")
    say("  stdout: " + done["result"]["stdout"].strip())
    states = {run["node_id"]: run["state"] for run in done["runs"]}
    require(states[LIAR] == "refuted", f"the liar was not found out: {states}")
    require(sorted(done["result"]["agreed_by"]) == ["node-001", "node-002"],
            f"agreed by {done['result']['agreed_by']}")
    receipts = fleet.ask("GET", f"/api/v1/tasks/{task['task_id']}/receipts")
    require(len(receipts) == 3, f"{len(receipts)} receipts instead of 3")
    say("✓ two nodes agree with what the coordinator computed itself; the third is refuted")
    return done


def check_receipts(fleet, task):
    """The honest receipts verify offline, by another program, without the coordinator."""
    receipts = fleet.ask("GET", f"/api/v1/tasks/{task['task_id']}/receipts")
    for entry in receipts:
        if entry["node_id"] == LIAR:
            continue
        folder = fleet.folder / ("receipt-" + entry["node_id"])
        folder.mkdir()
        (folder / "receipt.cose").write_bytes(base64.b64decode(entry["receipt"]))
        (folder / "manifest.cose").write_bytes(base64.b64decode(entry["manifest"]))
        done = subprocess.run([fleet.programs / "phase", "verify", folder / "receipt.cose",
                               "--manifest", folder / "manifest.cose"],
                              capture_output=True, text=True)
        require(done.returncode == 0, f"phase verify: {done.stdout}{done.stderr}")
    say("✓ receipts verified offline with phase verify")


def check_credits(fleet, task):
    nodes = {node["node_id"]: node for node in fleet.ask("GET", "/api/v1/nodes")}
    liar = nodes[LIAR]
    require(liar["bond"] == 0 and liar["disputes"] == 1 and liar["earned"] == 0,
            f"the liar still has {liar['bond']} of its bond")
    for name in ("node-001", "node-002"):
        require(nodes[name]["earned"] > 0 and nodes[name]["bond"] == BOND, f"{name} was not paid")
    credits = task["credits"]
    paid = sum(run["paid"] for run in task["runs"])
    require(credits["paid"] == paid and credits["escrowed"] == 0, f"credits {credits}")
    export = fleet.folder / "ledger.jsonl"
    export.write_bytes(fleet.ask("GET", "/api/v1/ledger/export", raw=True))
    check = [fleet.programs / "ambient-vcp", "ledger", "check", export]
    done = subprocess.run(check, capture_output=True, text=True)
    require(done.returncode == 0, f"ledger check: {done.stderr}")
    say("  " + done.stdout.strip())
    export.write_text(export.read_text().replace('"amount":100,', '"amount":101,', 1))
    require(subprocess.run(check, capture_output=True).returncode != 0,
            "a changed ledger passed its check")
    say(f"✓ {LIAR} lost its bond of {BOND}, honest nodes were paid; the chain holds, a changed "
        "one is refused")


def not_yet(fleet):
    for name, inputs in (("federated_learning", {"rounds": 10, "aggregation": "fedavg"}),
                         ("zk_proof", {"computation": "factorial", "input_value": 10})):
        answer = fleet.ask("POST", "/api/v1/tasks", {
            "task_type": name, "inputs": inputs,
            "requirements": {"min_nodes": 1, "max_execution_time_sec": 60, "require_gpu": False,
                             "require_proof": True}}, expected=501)
        require("not available yet" in answer["message"], f"{name}: {answer}")
    answer = fleet.ask("POST", "/api/v1/proofs/verify", {
        "task_id": "00000000-0000-4000-8000-000000000000", "proof_data": "AAAA",
        "public_inputs": "AAAA"}, expected=501)
    require("not available yet" in answer["message"], f"proofs: {answer}")
    say("✓ federated learning, proofs and their verification say that they are not available yet")


def statistics(fleet):
    stats = fleet.ask("GET", "/api/v1/cluster/stats")
    say(json.dumps(stats, indent=2))
    require(stats["total_nodes"] == 3 and stats["completed_tasks"] >= 1, "the figures are off")
    page = fleet.ask("GET", "/", raw=True)
    require(b"<html" in page.lower(), "no dashboard")
    say(f"✓ statistics; the dashboard was at {fleet.url}/")


def scene(fleet):
    step("Step 0: coordinator")
    fleet.start_coordinator()
    say(f"✓ server started: {fleet.url}")
    sign_in(fleet)
    step("Step 1: register nodes")
    register(fleet)
    step("Step 2: a WebAssembly task over a quorum of three")
    task = run_quorum(fleet)
    check_receipts(fleet, task)
    step("Step 3: credits")
    check_credits(fleet, task)
    step("Step 4: what is not there yet")
    not_yet(fleet)
    step("Step 5: statistics")
    statistics(fleet)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default=ROOT / "build" / "bin", help="folder of the programs")
    parser.add_argument("--examples", default=ROOT / "build" / "examples",
                        help="folder of hello.wasm and lying_node")
    parser.add_argument("--keep-logs", metavar="FOLDER", type=pathlib.Path)
    parser.add_argument("--websocket", action="store_true",
                        help="nodes reach the coordinator by WebSocket only")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    fleet = Fleet(options.bin, options.examples, options.websocket)
    try:
        scene(fleet)
        say("\ndemo: every step passed")
        return 0
    except (LabError, OSError, ValueError, KeyError) as error:
        say(f"\ndemo: failed: {error if isinstance(error, LabError) else repr(error)}")
        for name in fleet.processes:
            say(f"── last lines of {name}\n{fleet.log(name)[-1500:]}")
        return 1
    except KeyboardInterrupt:
        say("\ndemo: stopped; cleaning up")
        return 130
    finally:
        if options.keep_logs:
            options.keep_logs.mkdir(parents=True, exist_ok=True)
            for path in fleet.folder.glob("*.log"):
                shutil.copy(path, options.keep_logs)
        fleet.close()


if __name__ == "__main__":
    sys.exit(main())
