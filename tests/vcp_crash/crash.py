#!/usr/bin/env python3
"""Kills a coordinator and its nodes at their writes, under load, and checks from outside.

    crash.py [--rounds N] [--seconds N] [--seed S] [--keep FOLDER]

Each round a coordinator runs that dies before, during or after its n-th durable write (of the
journal, or of any of its database files), and a node that dies likewise; clients submit with
idempotency keys and repeat over every restart. In the end nothing dies any more, all tasks end, and
checker.py works out from the clients' answers and the exported ledger that none was lost, none paid
twice, each ended once, and no credit came from nowhere.
"""

import argparse
import collections
import http.client
import json
import os
import pathlib
import random
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import checker
from checker import Broken, require

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "demo"))
from ports import free_port  # noqa: E402

BUILD = pathlib.Path(os.environ.get("PHASE_BUILD") or "build").resolve()
PROGRAMS, HELLO = BUILD / "tests" / "vcp_crash", BUILD / "examples" / "hello.wasm"
WORKER = BUILD / "bin" / "phase-worker"
NODES = ("node-a", "node-b", "node-c")
USERS = ("ada", "bob", "cyd", "dee")
MOMENTS = ("before", "during", "unheard", "heard")
ROUND_SECONDS_MAX = 4     # a kill point that was not reached by then becomes a plain SIGKILL
READY_SECONDS_MAX = 30
END_SECONDS_MAX = 120     # from the last kill to the end of all tasks
UNDER_WAY_MAX = 8         # tasks of one client that are not final
ASK_SECONDS_MAX = 5
# Kill points are chosen up to these; small numbers as often as large ones.
JOURNAL_WRITES, FILE_WRITES, NODE_WRITES = 400, 1_000, 200


def pause(seconds):
    """Between looks at processes that tell nobody; whoever calls it has a deadline."""
    time.sleep(seconds)  # tidy: allow(sleep): they die by a signal at any moment


class Program:
    """A process that may die at any moment; its output goes to one log."""

    def __init__(self, command, log, environment):
        with open(log, "ab") as out:
            self.process = subprocess.Popen([str(word) for word in command], stdout=out, stderr=out,
                                            stdin=subprocess.DEVNULL, env=environment)
        self.began = time.monotonic()

    def alive(self):
        return self.process.poll() is None

    def end(self, how=signal.SIGKILL):
        if self.alive():
            self.process.send_signal(how)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class World:
    """Folders, ports and processes of one test."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="phase-crash-"))
        self.port, self.mesh_port = free_port(), free_port()
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder),
                            "JWT_EXPIRATION_HOURS": "24"}
        for tier in ("AUTH", "NODE", "TASK", "GENERAL", "READ"):
            self.environment[f"RATE_LIMIT_{tier}_RPM"] = "1000000"
            self.environment[f"RATE_LIMIT_{tier}_BURST"] = "100000"
        (self.folder / "coordinator").mkdir()
        self.coordinator, self.nodes, self.tokens = None, {}, {}
        self.deaths = collections.Counter()
        self.stopped = threading.Event()

    def write_number(self, most):
        return int(most ** self.random.random())

    def log(self, name):
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start_coordinator(self, where="journal", moment="never", write=0):
        self.coordinator = Program(
            [PROGRAMS / "crashing_coordinator", self.folder / "coordinator", self.port,
             self.mesh_port, WORKER, where, moment, write],
            self.folder / "coordinator.log", self.environment)

    def start_node(self, name, moment="never", write=0):
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        self.nodes[name] = Program(
            [PROGRAMS / "crashing_node", name, f"http://127.0.0.1:{self.port}",
             self.tokens[name], folder, WORKER, moment, write],
            self.folder / f"{name}.log", self.environment)

    def ask(self, method, path, body=None, token=None, key=None, raw=False):
        """(status, JSON) of one request; OSError when nobody answers."""
        headers = {"Content-Type": "application/json"}
        if isinstance(body, bytes):
            headers["Content-Type"] = "application/wasm"
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if key:
            headers["Idempotency-Key"] = key
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ASK_SECONDS_MAX)
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            link.request(method, "/api/v1" + path, data, headers)
            answer = link.getresponse()
            text = answer.read()
            return answer.status, text if raw else json.loads(text) if text else None
        except (http.client.HTTPException, ValueError) as error:
            raise ConnectionError(f"a broken answer: {error!r}") from error
        finally:
            link.close()

    def must(self, *args, **options):
        """The JSON of a request that succeeds, however often it takes."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        while True:
            try:
                status, answer = self.ask(*args, **options)
                require(status < 300, f"{args[:2]}: {status} {answer}")
                return answer
            except OSError as error:
                require(time.monotonic() < deadline, f"{args[:2]}: {error!r}")
                pause(0.02)

    def close(self):
        self.stopped.set()
        for program in [self.coordinator, *self.nodes.values()]:
            if program:
                program.end()


class Client(threading.Thread):
    """A user who submits, asks until the end, and writes down every answer."""

    def __init__(self, world, name, module, seed):
        super().__init__(daemon=True)
        self.world, self.user, self.module = world, name, module
        self.random = random.Random(f"{seed} {name}")
        who = {"username": name, "password": secrets.token_hex(8)}
        self.account = "user:" + world.must("POST", "/auth/register", who)["user_id"]
        self.token = world.must("POST", "/auth/login", who)["access_token"]
        self.accepted, self.ends, self.open = {}, {}, {}
        self.repeated = self.submitting = 0
        self.failure = None
        self.finishing = threading.Event()

    def run(self):
        try:
            number = 0
            while not self.world.stopped.is_set():
                if len(self.open) < UNDER_WAY_MAX and not self.finishing.is_set():
                    number += 1
                    self._submit(f"{self.user}-{number}")
                elif not self.open:
                    return
                self._look()
        except Broken as error:
            self.failure = error

    def _task(self):
        quorum = self.random.choice((1, 1, 2, 3))
        inputs = {"stdin": secrets.token_hex(8)}
        if self.random.random() < 0.1:
            inputs["limits"] = {"fuel": 10}  # not enough: fails on every node alike
        return {"task_type": "wasm_execution", "module_sha256": self.module, "inputs": inputs,
                "bid": self.random.randint(quorum, 40),
                "requirements": {"min_nodes": quorum, "max_execution_time_sec": 20,
                                 "require_gpu": False, "require_proof": False}}

    def _submit(self, key):
        body = self._task()
        known = None
        while not self.world.stopped.is_set():
            try:
                status, answer = self.world.ask("POST", "/tasks", body, self.token, key)
            except OSError:
                self.repeated += 1
                pause(0.02)
                continue
            if status == 503 or status == 429:  # no nodes yet, or it stops: nothing was taken
                pause(0.05)
                continue
            require(status == 201, f"POST /tasks: {status} {answer}")
            require(known in (None, answer["task_id"]), f"{key}: two tasks for one key")
            known = answer["task_id"]
            self.accepted[key] = (self.account, known, body["bid"])
            self.open[known] = key
            if self.random.random() < 0.1:
                continue  # as if that answer had not come: asks once more
            return

    def _look(self):
        task = self.random.choice(list(self.open)) if self.open else None
        if task is None:
            return
        try:
            if self.random.random() < 0.003:
                self.world.ask("DELETE", f"/tasks/{task}", token=self.token)
            status, answer = self.world.ask("GET", f"/tasks/{task}", token=self.token)
        except OSError:
            return pause(0.02)
        require(status == 200, f"GET /tasks/{task}: {status} {answer}")
        if answer["status"] in checker.FINAL:
            self.ends[task] = answer
            del self.open[task]
        else:
            pause(0.01)


class Crash:
    def __init__(self, world, rounds, seed):
        self.world, self.rounds, self.seed = world, rounds, seed
        self.clients, self.shown, self.admin = [], [], None
        self.node_deaths = 0

    def found(self):
        """Everything that a fleet needs once; nothing dies yet."""
        world = self.world
        world.start_coordinator()
        code = None
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not code:
            require(time.monotonic() < deadline and world.coordinator.alive(),
                    "no start: " + world.log("coordinator")[-2000:])
            code = re.search(r"code (\S+)\nready", world.log("coordinator"))
            pause(0.02)
        who = {"username": "founder", "password": secrets.token_hex(8)}
        world.must("POST", "/auth/bootstrap", {"code": code.group(1), **who})
        self.admin = world.must("POST", "/auth/login", who)["access_token"]
        module = world.must("POST", "/modules", HELLO.read_bytes(), token=self.admin)["sha256"]
        for name in NODES:
            made = world.must("POST", "/nodes", {
                "node_id": name, "region": "eu", "node_type": "compute",
                "capabilities": {"bandwidth_mbps": 100, "cpu_cores": 4, "memory_gb": 4,
                                 "gpu_available": False}}, token=self.admin)
            world.tokens[name] = made["join_token"]
            world.start_node(name)
        self.wait_online()
        self.clients = [Client(world, name, module, self.seed) for name in USERS]
        for client in self.clients:
            client.start()

    def wait_online(self):
        deadline = time.monotonic() + READY_SECONDS_MAX
        while True:
            nodes = self.world.must("GET", "/nodes", token=self.admin)
            if len(nodes) == len(NODES) and all(node["status"] == "online" for node in nodes):
                return
            require(time.monotonic() < deadline, f"nodes do not come: {nodes}")
            pause(0.05)

    def round(self, number):
        world = self.world
        where = world.random.choice(("journal", "journal", "file"))
        moment = MOMENTS[number % len(MOMENTS)]
        write = world.write_number(JOURNAL_WRITES if where == "journal" else FILE_WRITES)
        world.coordinator.end()
        world.start_coordinator(where, moment, write)
        for name, node in list(world.nodes.items()):
            if not node.alive():
                node.end()
                self.node_deaths += 1
                if world.random.random() < 0.5:
                    world.start_node(name, world.random.choice(MOMENTS),
                                     world.write_number(NODE_WRITES))
                else:
                    world.start_node(name)
        if all(node.alive() for node in world.nodes.values()) and number % 2 == 0:
            victim = world.random.choice(NODES)
            world.nodes[victim].end()
            world.start_node(victim, world.random.choice(MOMENTS),
                             world.write_number(NODE_WRITES))
        deadline = time.monotonic() + ROUND_SECONDS_MAX
        while world.coordinator.alive() and time.monotonic() < deadline:
            self.raise_failures()
            pause(0.01)
        status = world.coordinator.process.poll()
        require(status in (None, -signal.SIGKILL),
                f"the coordinator ended with {status}: {world.log('coordinator')[-2000:]}")
        if status is None:
            self.look_at_ledger()
        world.deaths[f"{where} {moment}" if status else "plain SIGKILL"] += 1
        world.coordinator.end()

    def look_at_ledger(self):
        """What is shown now must be the beginning of all that is shown later."""
        try:
            status, export = self.world.ask("GET", "/ledger/export", token=self.admin, raw=True)
        except OSError:
            return
        if status == 200 and export.endswith(b"\n"):
            self.shown.append([json.loads(line) for line in export.splitlines()])

    def raise_failures(self):
        for client in self.clients:
            if client.failure:
                raise client.failure

    def finish(self):
        """Nothing dies any more; all tasks end."""
        world = self.world
        world.start_coordinator()
        for name, node in list(world.nodes.items()):
            node.end()
            world.start_node(name)
        for client in self.clients:
            client.finishing.set()
        deadline = time.monotonic() + END_SECONDS_MAX
        for client in self.clients:
            client.join(max(0.1, deadline - time.monotonic()))
        self.raise_failures()
        left = {task for client in self.clients for task in client.open}
        require(not left, f"{len(left)} tasks never end, one is " + json.dumps(
            [world.must("GET", f"/tasks/{task}", token=self.admin) for task in list(left)[:1]]))

    def check(self):
        world = self.world
        export = world.must("GET", "/ledger/export", token=self.admin, raw=True)
        ledger = checker.Ledger(export)
        for entries in self.shown:
            ledger.continues(entries)
        accepted, ends, shown = {}, {}, {}
        for client in self.clients:
            accepted |= client.accepted
            ends |= client.ends
            for _, task, _ in client.accepted.values():
                shown[task] = world.must("GET", f"/tasks/{task}", token=client.token)
            mine = world.must("GET", "/credits", token=client.token)
            require(mine["balance"] == ledger.balances[client.account],
                    f"{client.user} is shown {mine}")
        checker.check_tasks(ledger, accepted, ends, shown)
        checker.check_nodes(ledger, world.must("GET", "/nodes", token=self.admin))
        checked = subprocess.run([BUILD / "bin" / "ambient-vcp", "ledger", "check", "-"],
                                 input=export, capture_output=True, check=False)
        require(checked.returncode == 0, f"ledger check: {checked.stderr}")
        states = collections.Counter(task["status"] for task in shown.values())
        attempts = collections.Counter(len(task["runs"]) for task in shown.values())
        print(f"{self.rounds} rounds, deaths: {dict(sorted(world.deaths.items()))}; "
              f"{self.node_deaths} nodes died")
        print(f"{len(shown)} tasks accepted: {dict(states)}; runs of a task: "
              f"{dict(sorted(attempts.items()))}")
        print(f"{sum(client.repeated for client in self.clients)} requests repeated; "
              f"{len(ledger.entries)} ledger entries, "
              f"{sum(map(len, ledger.pays.values()))} payments")

    def run(self, seconds):
        self.found()
        until = time.monotonic() + seconds
        done = 0
        while done < self.rounds and time.monotonic() < until:
            self.round(done)
            done += 1
        self.rounds = done
        self.finish()
        self.check()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=3_000, help="no new round after so long")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--keep", type=pathlib.Path, help="where logs and databases go on failure")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"seed {options.seed}", flush=True)
    world = World(options.seed)
    began = time.monotonic()
    try:
        Crash(world, options.rounds, options.seed).run(options.seconds)
        print(f"nothing lost, nothing paid twice; {time.monotonic() - began:.0f} s")
        return 0
    except (Broken, OSError) as error:
        print(f"broken: {error}")
        for name in ("coordinator", *NODES):
            print(f"── {name}\n{world.log(name)[-1500:]}")
        return 1
    finally:
        world.close()
        if options.keep and sys.exc_info()[0] is None:
            shutil.copytree(world.folder, options.keep, dirs_exist_ok=True)
        shutil.rmtree(world.folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
