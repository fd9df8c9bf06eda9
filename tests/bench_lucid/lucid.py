#!/usr/bin/env python3
"""Rows of SPECIFICATION.md about lucidd: beside llama-server and beside a bare loop of the engine,
all three of one llama.cpp source tree, on the same model file, in turns.

    tests/bench_lucid/lucid.py --build build-baseline [--only WORD...] [--short]

Both servers answer the same bytes: POST /v1/chat/completions, streamed, temperature 0, from the
same client program, over kept connections: each request of a connection follows its last. lucidd
signs, verifies and keeps a receipt of every answer. `rate` rows are requests/s as ratios, the
median of rounds that stand beside each other; `first` is the time to the first word. Without a
llama-server (make bench-lucid builds it) its rows are left out, and that is said.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "examples" / "demo"), str(ROOT / "tests" / "bench_node")]

from ports import free_port  # noqa: E402
from nodes import percentile, tree_pss_kib  # noqa: E402

CACHE = pathlib.Path(os.environ.get("PHASE_CACHE_DIR") or pathlib.Path(
    os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "phase-build")
MODELS = CACHE / "models"
SLOTS, CONTEXT, BATCH = 32, 512, 512
CONCURRENT = (1, 8, 32)
START_SECONDS_MAX, LOAD_SECONDS_MAX = 120, 600
MARK = '"content":"'
TICKS = os.sysconf("SC_CLK_TCK")

# What is asked of each model: file, text, tokens, requests of a round by how many ask, rounds.
TINY = {"name": "tiny", "file": "tiny-chat.f16.gguf", "text": "Tell me a long story.",
        "tokens": 64, "requests": {1: 60, 8: 160, 32: 160}, "rounds": 7}
SMALL = {"name": "20m", "file": "random-20m.f16.gguf", "text": "@ Tell me a long story.",
         "tokens": 64, "requests": {1: 6, 8: 24, 32: 64}, "rounds": 5}
LARGE = {"name": "300m", "file": "random-300m.f16.gguf", "text": "@ Tell me a long story.",
         "tokens": 16, "requests": {1: 2, 8: 8, 32: 32}, "rounds": 3}

# Budgets by model and how many ask: row against llama-server, its budget, row against the loop.
RATE_ROWS = {
    ("tiny", 1): ("lucid/tiny/rate/1", ">= 1.5", "lucid/tiny/of_limit/1"),
    ("tiny", 8): ("lucid/tiny/rate/8", ">= 1.3", "lucid/tiny/of_limit/8"),
    ("tiny", 32): ("lucid/tiny/rate/32", ">= 1.3", "lucid/tiny/of_limit/32"),
    ("20m", 1): ("lucid/20m/rate/1", "stated", "lucid/20m/of_limit/1"),
    ("20m", 8): ("lucid/20m/rate/8", "stated", "lucid/20m/of_limit/8"),
    ("20m", 32): ("lucid/20m/rate/32", "stated", "lucid/20m/of_limit/32"),
    ("300m", 1): ("lucid/300m/rate/1", ">= 1.0", "lucid/300m/of_limit/1"),
    ("300m", 8): ("lucid/300m/rate/8", ">= 1.0", "lucid/300m/of_limit/8"),
    ("300m", 32): ("lucid/300m/rate/32", ">= 1.0", "lucid/300m/of_limit/32"),
}


MESH_ROUNDS, MESH_REQUESTS = 9, 20
FOUND_SECONDS_MAX = 60


class Problem(Exception):
    """Said to the person, without a traceback."""


def figure(name, value, budget):
    print(f"{name:28} {value}   budget {budget}", flush=True)


def tree_cpu_seconds(pid):
    """Processor time of a process and all below it."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    total = (int(fields[11]) + int(fields[12])) / TICKS
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            total += tree_cpu_seconds(int(child))
    return total


class Server:
    """A server on loopback, ready to answer."""

    def __init__(self, name, folder, words, port, environment=None):
        self.name, self.port, self.log = name, port, folder / f"{name}.log"
        print("$", " ".join(str(word) for word in words), flush=True)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([str(word) for word in words], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, env=environment)

    def ready(self, path):
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10):
                    return self
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)  # tidy: allow(sleep): another process tells nobody that it listens
        raise Problem(f"{self.name} did not start: {self.log.read_text(errors='replace')[-2000:]}")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


class Bench:
    def __init__(self, build, folder):
        self.build, self.folder, self.running = build, folder, []
        self.client = build / "tests" / "bench_lucid" / "load_client"
        self.loop = build / "tests" / "bench_lucid" / "plain_loop"
        self.server = build / "bin" / "llama-server"

    def start(self, name, words, port, path):
        server = Server(name, self.folder, words, port,
                        {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8"})
        self.running.append(server)
        return server.ready(path)

    def lucidd(self, name, *words):
        port = free_port()
        data = self.folder / name
        data.mkdir(exist_ok=True)
        return self.start(name, [self.build / "bin" / "lucidd", "--port", port, "--data",
                                 data / "data", "--policy-config", data / "policy.toml", *words],
                          port, "/api/version")

    def lucidd_of(self, model, name, *words):
        models = self.folder / "models"
        models.mkdir(exist_ok=True)
        target = models / f"{model['name']}.gguf"
        if not target.exists():
            target.symlink_to(MODELS / model["file"])
        return self.lucidd(name, "--model-dir", models, "--parallel", SLOTS, "--threads", 1,
                           "--llama-ctx-size", CONTEXT, "--keep-alive", "-1", *words)

    def llama_server(self, model):
        port = free_port()
        words = [self.server, "--model", MODELS / model["file"], "--alias",
                 model["name"], "--port", port, "--threads", 1, "--threads-batch", 1, "--parallel",
                 SLOTS, "--ctx-size", SLOTS * CONTEXT, "--batch-size", BATCH, "--ubatch-size",
                 BATCH, "--no-kv-unified", "--cache-type-k", "f16", "--cache-type-v", "f16",
                 "--cache-ram", 0, "--samplers", "top_k", "--top-k", 1]
        return self.start("llama-server", words, port, "/health")

    def stop_all(self):
        for server in self.running:
            server.stop()
        self.running.clear()

    def load(self, server, model, concurrent, requests, tokens=None):
        """One run of the client, with the processor time that the server's processes took."""
        body = {"model": model["name"], "stream": True, "temperature": 0,
                "max_tokens": tokens or model["tokens"],
                "messages": [{"role": "user", "content": model["text"]}]}
        before = tree_cpu_seconds(server.process.pid)
        done = subprocess.run([self.client, str(server.port), "/v1/chat/completions",
                               str(concurrent), str(requests), MARK], input=json.dumps(body),
                              capture_output=True, text=True, timeout=LOAD_SECONDS_MAX, check=False)
        if done.returncode != 0:
            raise Problem(f"{server.name}: {done.stderr}")
        out = json.loads(done.stdout)
        out["cpu_ms"] = (tree_cpu_seconds(server.process.pid) - before) * 1000 / requests
        return out

    def bare(self, model, concurrent, requests):
        prompt = f"<|im_start|>user\n{model['text']}<|im_end|>\n<|im_start|>assistant\n"
        before = os.times()
        done = subprocess.run([self.loop, MODELS / model["file"], str(concurrent), str(requests),
                               str(model["tokens"]), str(CONTEXT), str(SLOTS)], input=prompt,
                              capture_output=True, text=True, timeout=LOAD_SECONDS_MAX, check=False)
        if done.returncode != 0:
            raise Problem(f"plain_loop: {done.stderr}")
        after = os.times()
        used = (after.children_user + after.children_system - before.children_user
                - before.children_system)
        return json.loads(done.stdout) | {"cpu_ms": used * 1000 / requests}


def rate(result):
    return result["requests"] / result["seconds"]


def show(side, model, concurrent, results):
    """One line of a side: its median round, and the percentiles over all its answers."""
    first = [value for result in results for value in result["first_us"]]
    whole = [value for result in results for value in result["all_us"]]
    cpu = statistics.median(result["cpu_ms"] for result in results)
    print(f"  {model['name']:5} {side:12} at {concurrent:2}: "
          f"{statistics.median(rate(result) for result in results):8.1f} requests/s   "
          f"first p50 {percentile(first, 0.5) / 1000:8.2f} "
          f"p99 {percentile(first, 0.99) / 1000:8.2f} ms   "
          f"whole p50 {percentile(whole, 0.5) / 1000:8.2f} "
          f"p99 {percentile(whole, 0.99) / 1000:8.2f} ms   processor {cpu:7.2f} ms/request   "
          f"{results[0]['words']} pieces", flush=True)


def against(bench, model, short):
    """lucidd, llama-server and the loop in turns, at each number of askers."""
    lucid = bench.lucidd_of(model, "lucidd", "--no-network")
    sides = {"lucidd": lambda *a: bench.load(lucid, model, *a)}
    if bench.server.exists():
        other = bench.llama_server(model)
        sides["llama-server"] = lambda *a: bench.load(other, model, *a)
    else:
        print(f"no {bench.server}: make bench-lucid builds it; its rows are left out", flush=True)
    sides["bare loop"] = lambda *a: bench.bare(model, *a)
    rounds = 2 if short else model["rounds"]
    for concurrent in CONCURRENT:
        count = model["requests"][concurrent]
        for side in list(sides)[:-1]:
            sides[side](concurrent, max(concurrent, min(count, 2 * concurrent)))  # warm
        results = {side: [] for side in sides}
        for number in range(rounds):
            for side in (list(sides) if number % 2 == 0 else reversed(sides)):
                results[side].append(sides[side](concurrent, count))
        for side, got in results.items():
            show(side, model, concurrent, got)
        row, budget, limit = RATE_ROWS[model["name"], concurrent]
        for name, other_side, wanted in ((row, "llama-server", budget),
                                         (limit, "bare loop", "stated")):
            if other_side not in results:
                continue
            each = [rate(a) / rate(b) for a, b in zip(results["lucidd"], results[other_side])]
            spent = (statistics.median(a["cpu_ms"] for a in results[other_side])
                     / statistics.median(a["cpu_ms"] for a in results["lucidd"]))
            figure(name, f"{statistics.median(each):.2f}x (rounds {min(each):.2f} to "
                         f"{max(each):.2f}; by processor time {spent:.2f}x)", wanted)
    bench.stop_all()


def receipts(bench, model):
    """Signing, verifying, hashing and keeping, of all that an answer takes of the processor."""
    lucid = bench.lucidd_of(model, "lucidd", "--no-network")
    bench.load(lucid, model, 1, 2)
    got = bench.load(lucid, model, 1, model["requests"][1])
    bench.stop_all()
    done = subprocess.run([bench.build / "tests" / "bench_lucid" / "receipt_cost",
                           str(model["tokens"])], capture_output=True, text=True,
                          timeout=LOAD_SECONDS_MAX, check=True)
    cost = float(done.stdout)
    row, budget = {"tiny": ("lucid/tiny/receipt_share", "stated"),
                   "20m": ("lucid/20m/receipt_share", "stated"),
                   "300m": ("lucid/300m/receipt_share", "< 0.5 %")}[model["name"]]
    figure(row, f"{cost / 10 / got['cpu_ms']:.3f} % ({cost:.0f} us of {got['cpu_ms']:.1f} ms an "
                f"answer of {model['tokens']} tokens)", budget)


def wait_found(server, model):
    """Until a node that has not the model answers with it."""
    deadline = time.monotonic() + FOUND_SECONDS_MAX
    while time.monotonic() < deadline:
        try:
            return bench_ask(server, model)
        except urllib.error.HTTPError:
            time.sleep(0.2)  # tidy: allow(sleep): another process tells nobody what it found
    raise Problem(f"no provider was found: {server.log.read_text(errors='replace')[-2000:]}")


def bench_ask(server, model):
    body = {"model": model["name"], "prompt": "Hello", "stream": False,
            "options": {"num_predict": 1}}
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/api/generate",
                                     json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.headers["X-Lucid-Routed-Via"]


def peer_of(server):
    """Address and id of a node, from its log."""
    log = server.log.read_text()
    line = next(line for line in log.splitlines() if "ready: http" in line)
    return line.split()[-1]


def mesh(bench, model):
    """Two nodes on loopback: the first word through the one without the model, and from the one
    that has it."""
    port = free_port()
    net = ["--loopback", "--no-mdns"]
    folder = bench.folder / "holder"
    folder.mkdir()
    (folder / "policy.toml").write_text("allow_unauthenticated_jobs = true\n"
                                        "max_jobs_per_minute_per_key = 100000\n")
    holder = bench.lucidd_of(model, "holder", *net, "--libp2p-port", port)
    asker = bench.lucidd("asker", "--no-local-worker", "--mesh", *net, "--bootstrap-peer",
                         f"/ip4/127.0.0.1/udp/{port}/quic-v1/p2p/{peer_of(holder)}")
    if not wait_found(asker, model).startswith("peer:"):
        raise Problem("the asking node did not ask the other")
    sides = {"here": holder, "over the mesh": asker}
    first = {side: [] for side in sides}
    for number in range(MESH_ROUNDS + 1):
        for side in (list(sides) if number % 2 == 0 else reversed(sides)):
            got = bench.load(sides[side], model, 1, MESH_REQUESTS, tokens=1)
            if number > 0:  # the first warms up
                first[side] += got["first_us"]
    here, away = (percentile(first[side], 0.5) / 1000 for side in sides)
    figure("lucid/mesh_first_word", f"{away - here:.2f} ms more (p50 {here:.2f} ms here, "
           f"{away:.2f} over the mesh)", "< 3 ms")
    bench.stop_all()


def idle(bench):
    """A node that has models and has loaded none, on the network."""
    node = bench.lucidd_of(TINY, "idle", "--loopback", "--no-mdns")
    bench_models = urllib.request.urlopen(f"http://127.0.0.1:{node.port}/api/tags", timeout=60)
    if not json.load(bench_models)["models"]:
        raise Problem("the idle node has no model")
    figure("lucid/idle_pss", f"{tree_pss_kib(node.process.pid) / 1024:.1f} MiB", "< 60 MiB")
    bench.stop_all()


def made(models):
    """Those whose file is there; that others are left out is said."""
    for model in models:
        if not (MODELS / model["file"]).exists():
            print(f"{model['file']} is not made, its rows are left out:"
                  f" tools/models/make_models.py --only {model['file'].split('.')[0]}", flush=True)
    return [model for model in models if (MODELS / model["file"]).exists()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--only", nargs="+", metavar="WORD",
                        choices=["idle", "mesh", "receipts", "tiny", "20m", "300m"])
    parser.add_argument("--short", action="store_true", help="two rounds")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    wanted = arguments.only or ["idle", "mesh", "receipts", "tiny", "20m", "300m"]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lucid-bench-"))
    bench = Bench(build, folder)
    try:
        models = made((TINY, SMALL, LARGE))
        if "idle" in wanted:
            idle(bench)
        if "mesh" in wanted:
            mesh(bench, TINY)
        if "receipts" in wanted:
            for model in models:
                receipts(bench, model)
        for model in models:
            if model["name"] in wanted:
                against(bench, model, arguments.short)
    except (Problem, subprocess.TimeoutExpired, OSError) as problem:
        print(f"lucid: {problem}", file=sys.stderr)
        return 1
    finally:
        bench.stop_all()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
