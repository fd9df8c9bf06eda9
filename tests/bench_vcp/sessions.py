#!/usr/bin/env python3
"""Sessions of many nodes with one coordinator: memory of each, and tasks for a hundredth of them.

    sessions.py [--build build] [--nodes N]

The crowd is real: a key, a libp2p connection and a session with signed heartbeats for each node,
in processes of their own. A hundredth are whole nodes (`ambient-vcp node`), which run what is
submitted.
Prints rows of SPECIFICATION.md.
"""

import argparse
import concurrent.futures
import http.client
import json
import os
import pathlib
import re
import secrets
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples" / "demo"))

from demo_vcp import Fleet  # noqa: E402
from lab import LabError  # noqa: E402

PER_OWNER = 900       # nodes that the first credits of an account bond
PER_PROCESS = 2500    # of a crowd; each member has three descriptors of its own
HEARTBEAT_MS = 5000
JOIN_SECONDS_MAX = 900
REGISTERING = 8
TASKS_EACH = 5
TICKS = os.sysconf("SC_CLK_TCK")


class Bench(Fleet):
    """Asks often: over one connection of each thread, with paths below /api/v1."""

    def __init__(self, build):
        super().__init__(build / "bin", build / "examples")
        self.build, self.port = build, None
        self.links = threading.local()

    def ask(self, method, path, body=None, token=None, module=None):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers["Content-Type"] = "application/wasm" if module else "application/json"
        data = module or (json.dumps(body).encode() if body is not None else None)
        for _ in range(3):  # a kept connection may be gone
            link = getattr(self.links, "link", None)
            if link is None:
                link = self.links.link = http.client.HTTPConnection("127.0.0.1", self.port,
                                                                    timeout=60)
            try:
                link.request(method, "/api/v1" + path, data, headers)
                answer = link.getresponse()
                text = answer.read()
                break
            except (http.client.HTTPException, OSError):
                self.links.link = None
        if answer.status >= 300:
            sys.exit(f"{method} {path}: {answer.status} {text[:300]}")
        return json.loads(text)


def pause(seconds):
    """Between looks at processes that tell nobody; whoever calls it has a deadline."""
    time.sleep(seconds)  # tidy: allow(sleep): a figure is of so long, and others only poll


def row(name, text):
    print(f"{name:<58} {text}", flush=True)


def pss_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1))


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def register(bench, names, region):
    """name → join token; an account for each PER_OWNER of them."""
    tokens = {}
    for first in range(0, len(names), PER_OWNER):
        who = {"username": "u" + secrets.token_hex(6), "password": secrets.token_hex(8)}
        bench.ask("POST", "/auth/register", who)
        token = bench.ask("POST", "/auth/login", who)["access_token"]

        def one(name):
            return bench.ask("POST", "/nodes", {
                "node_id": name, "region": region, "node_type": "compute",
                "capabilities": {"bandwidth_mbps": 100, "cpu_cores": 2, "memory_gb": 1,
                                 "gpu_available": False}}, token)["join_token"]
        part = names[first:first + PER_OWNER]
        with concurrent.futures.ThreadPoolExecutor(REGISTERING) as pool:
            tokens |= dict(zip(part, pool.map(one, part)))
    return tokens


def joined(bench, crowds):
    found = [re.findall(r"joined (\d+) of", bench.log(name)) for name in crowds]
    return sum(int(counts[-1]) for counts in found if counts)


def run_tasks(bench, token, busy):
    module = (bench.examples / "hello.wasm").read_bytes()
    sha = bench.ask("POST", "/modules", token=token, module=module)["sha256"]
    began = time.monotonic()
    tasks = [bench.ask("POST", "/tasks", {
        "task_type": "wasm_execution", "module_sha256": sha, "inputs": {"stdin": str(number)},
        "bid": 10, "requirements": {"min_nodes": 1, "max_execution_time_sec": 30, "region": "busy",
                                    "require_gpu": False, "require_proof": False}},
        token)["task_id"] for number in range(busy * TASKS_EACH)]
    states = []
    for task in tasks:
        while True:
            seen = bench.ask("GET", f"/tasks/{task}", token=token)
            if seen["status"] in ("completed", "failed", "cancelled"):
                states.append(seen["status"])
                break
            pause(0.02)
    return len(tasks), states.count("completed"), time.monotonic() - began


def measure(bench, nodes, busy):
    env = dict(os.environ, JWT_EXPIRATION_HOURS="24")
    for tier in ("AUTH", "NODE", "TASK", "GENERAL", "READ"):
        env[f"RATE_LIMIT_{tier}_RPM"] = env[f"RATE_LIMIT_{tier}_BURST"] = "1000000"
    coordinator = bench.start("coordinator", [
        bench.programs / "ambient-vcp", "coordinator", "--listen", "127.0.0.1:0", "--mesh-listen",
        "/ip4/127.0.0.1/tcp/0", "--data-dir", bench.folder / "coordinator", "--heartbeat-ms",
        HEARTBEAT_MS, "--log-level", "warn"], env)
    code = bench.wait_log("coordinator", r"One-time code: (\S+)").group(1)
    bench.port = int(bench.wait_log("coordinator", r"Use it on http://[\d.]+:(\d+)").group(1))
    who = {"username": "founder", "password": secrets.token_hex(8)}
    bench.ask("POST", "/auth/bootstrap", {"code": code, **who})
    token = bench.ask("POST", "/auth/login", who)["access_token"]
    address = bench.ask("GET", "/mesh")["addresses"][0]
    began = time.monotonic()
    names = [f"c{number}" for number in range(nodes - busy)]
    tokens = register(bench, names, "crowd")
    busy_tokens = register(bench, [f"b{number}" for number in range(busy)], "busy")
    print(f"{nodes} nodes registered in {time.monotonic() - began:.0f} s", flush=True)
    before = pss_kib(coordinator.pid)
    crowds = []
    began = time.monotonic()
    for first in range(0, len(names), PER_PROCESS):
        text = "".join(f"{name} {tokens[name]}\n" for name in names[first:first + PER_PROCESS])
        listing = bench.folder / f"crowd{first}.txt"
        listing.write_text(text)
        with open(listing, "rb") as lines:
            bench.start(f"crowd{first}", [bench.build / "tests" / "bench_vcp" / "crowd", address],
                        stdin=lines)
        crowds.append(f"crowd{first}")
    for name, join_token in busy_tokens.items():
        bench.start(name, [bench.programs / "ambient-vcp", "node", "--id", name, "--region", "busy",
                           "--coordinator-url", f"http://127.0.0.1:{bench.port}", "--join-token",
                           join_token, "--data-dir", bench.folder / name, "--jobs", "1",
                           "--log-level", "warn"])
    online = 0
    while online < nodes and time.monotonic() - began < JOIN_SECONDS_MAX:
        pause(2)
        online = bench.ask("GET", "/cluster/series", token=token)[-1:]
        online = online[0]["nodes_online"] if online else 0
    print(f"{online} of {nodes} online after {time.monotonic() - began:.0f} s "
          f"(the crowd says {joined(bench, crowds)})", flush=True)
    used, since = cpu_seconds(coordinator.pid), time.monotonic()
    pause(6 * HEARTBEAT_MS / 1000)
    share = (cpu_seconds(coordinator.pid) - used) / (time.monotonic() - since)
    after = pss_kib(coordinator.pid)
    submitted, completed, seconds = run_tasks(bench, token, busy)
    still = bench.ask("GET", "/cluster/series", token=token)[-1]["nodes_online"]
    row("vcp/sessions", f"{still} online with heartbeats each {HEARTBEAT_MS} ms, of {nodes}")
    row("vcp/session_memory", f"{(after - before) / max(1, online):.1f} KiB each "
        f"({before / 1024:.0f} MiB without, {after / 1024:.0f} MiB with)")
    row("vcp/session_cpu", f"{100 * share:.0f} % of one core")
    row("vcp/session_tasks",
        f"{completed} of {submitted} on {busy} nodes completed in {seconds:.1f} s")
    if still < nodes:
        for name in crowds[:1] + ["coordinator"]:
            print(f"── {name}\n{bench.log(name)[-600:]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--nodes", type=int, default=1000)
    options = parser.parse_args()
    bench = Bench(options.build.resolve())
    try:
        measure(bench, options.nodes, max(1, options.nodes // 100))
    except LabError as problem:
        sys.exit(str(problem))
    finally:
        bench.close()


if __name__ == "__main__":
    main()
