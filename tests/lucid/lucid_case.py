"""What the functional tests of lucidd share: nodes in a home of their own, and HTTP to them."""

import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

BUILD = pathlib.Path(os.environ.get("PHASE_BUILD") or "build").resolve()
SOURCE = pathlib.Path(os.environ.get("PHASE_SOURCE") or pathlib.Path(__file__).resolve().parents[2])
LUCIDD, PHASE = BUILD / "bin" / "lucidd", BUILD / "bin" / "phase"
CACHE = pathlib.Path(os.environ.get("PHASE_CACHE_DIR") or pathlib.Path(
    os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "phase-build")
MODELS = CACHE / "models"
SECONDS_MAX = 120  # for anything that is waited for; a hang fails, nothing else is timed
TINY = "tiny-chat"
HELLO = "Hello! How can I help you today?"
STORY = "Tell me a long story."
# Each begins another conversation: who answered one is not asked the next for that.
TALKS = [("Hello", HELLO)] + [(f"My name is {name}.", f"Nice to meet you, {name}!")
                              for name in ("Ada", "Alan", "Grace", "Linus")]

sys.path.insert(0, str(SOURCE / "examples" / "demo"))
from ports import free_port  # noqa: E402


def poll(condition, what="a condition"):
    """The first true value of `condition()`; fails when there is none for SECONDS_MAX."""
    deadline = time.monotonic() + SECONDS_MAX
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {SECONDS_MAX} s in vain for {what}")
        time.sleep(0.02)  # tidy: allow(sleep): another process tells nobody when its state changed


class Answer:
    """A whole HTTP answer."""

    def __init__(self, status, headers, body):
        self.status, self.body = status, body
        self.headers = {name.lower(): value for name, value in headers}

    def json(self):
        return json.loads(self.body)

    def lines(self):
        return [json.loads(line) for line in self.body.splitlines()]

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:2000]!r}"


class Stream:
    """An answer of JSON lines, read as it comes."""

    def __init__(self, port, path, body, headers=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS_MAX)
        self.connection.request("POST", path, json.dumps(body), headers or {})
        self.answer = self.connection.getresponse()
        self.status = self.answer.status
        self.headers = {name.lower(): value for name, value in self.answer.getheaders()}

    def __iter__(self):
        for line in self.answer:
            yield json.loads(line)

    def close(self):
        self.answer.close()
        self.connection.close()


class Node:
    """A lucidd on loopback."""

    def __init__(self, case, *words, name="node", policy=None, network=False, limits=None,
                 environment=None, port=None):
        self.case, self.name = case, name
        self.folder = case.folder / name
        self.folder.mkdir(exist_ok=True)
        self.port = port or free_port()
        self.peer_port = free_port()
        self.policy_file = self.folder / "policy.toml"
        if policy is not None:
            self.policy_file.write_text(policy)
        self.log_path = self.folder / "lucidd.log"
        net = (["--loopback", "--no-mdns", "--libp2p-port", self.peer_port] if network
               else ["--no-network"])
        self.words = [LUCIDD, "--port", self.port, "--data", self.folder / "data",
                      "--policy-config", self.policy_file, *net, *words]
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder),
                            "LANG": "C.UTF-8"} | (environment or {})
        self.limits = limits
        self.start()
        case.addCleanup(self.kill)

    def start(self):
        """Starts it, again after it ended."""
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([str(word) for word in self.words],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.environment, cwd=self.folder,
                                            preexec_fn=self.limits)
        return self

    def ready(self):
        poll(lambda: "ready: http" in self.log() or self.process.poll() is not None, "ready")
        if self.process.poll() is not None:
            self.case.fail(f"{self.name} ended with {self.process.returncode}: {self.log()}")
        return self

    def log(self):
        return self.log_path.read_text(errors="replace")

    def peer_id(self):
        line = next(line for line in self.log().splitlines() if "ready: http" in line)
        return line.split()[-1]

    def addresses(self):
        return [f"/ip4/127.0.0.1/{transport}/p2p/{self.peer_id()}"
                for transport in (f"udp/{self.peer_port}/quic-v1", f"tcp/{self.peer_port}")]

    def told(self):
        """Words for another node that bootstraps from this one."""
        return [word for address in self.addresses() for word in ("--bootstrap-peer", address)]

    def knows(self, *others):
        """Whether it has heard what models each of these offers."""
        peers = self.ask("GET", "/api/lucid/peers").json()["peers"]
        offers = {peer["peer_id"] for peer in peers if (peer["offer"] or {}).get("models")}
        return offers >= {other.peer_id() for other in others}

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS_MAX)
        try:
            data = json.dumps(body) if isinstance(body, (dict, list)) else body
            connection.request(method, path, data, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()

    def chat(self, text, model=TINY, headers=None, **more):
        body = {"model": model, "stream": False, "options": {"temperature": 0},
                "messages": [{"role": "user", "content": text}]} | more
        return self.ask("POST", "/api/chat", body, headers)

    def stream(self, text, model=TINY, headers=None, **more):
        body = {"model": model, "options": {"temperature": 0},
                "messages": [{"role": "user", "content": text}]} | more
        return Stream(self.port, "/api/chat", body, headers)

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        return self.process.wait(SECONDS_MAX)

    def stop(self):
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()

    def workers(self):
        """Process ids of its phase-worker children, theirs included."""
        found, parents = [], {str(self.process.pid)}
        for _ in range(4):
            children = {entry.name for entry in pathlib.Path("/proc").iterdir()
                        if entry.name.isdigit() and _parent(entry) in parents}
            found += [int(child) for child in children]
            parents = children
        return found


def _parent(entry):
    try:
        return (entry / "stat").read_text().rsplit(")", 1)[1].split()[1]
    except OSError:
        return ""


class Case(unittest.TestCase):
    """A test with a folder of its own and what tools/models made."""

    longMessage = True

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="lucid-functional-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.models = self.folder / "models"
        self.models.mkdir()

    def publish(self, file="tiny-chat.f16.gguf", name=TINY):
        """A model file in this test's model folder."""
        made = MODELS / file
        if not made.exists():
            self.skipTest(f"{made} is missing; make models makes it")
        target = self.models / f"{name}.gguf"
        if not target.exists():
            shutil.copyfile(made, target)
        return target

    def tiny(self, *words, **options):
        """A node with tiny-chat, ready."""
        self.publish()
        return Node(self, "--model-dir", self.models, *words, **options).ready()

    def echo(self, *words, **options):
        return Node(self, "--worker", "echo", *words, **options).ready()

    def says(self, answer, text):
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json()["message"]["content"], text)

    def at_once(self, count, work):
        """Results of `work(number)`, run in as many threads."""
        results = [None] * count

        def one(number):
            try:
                results[number] = work(number)
            except Exception as error:  # shown where the results are looked at
                results[number] = error
        threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS_MAX)
        return results


def main():
    """Runs the tests of the calling module; 77 when one skipped and none failed."""
    result = unittest.main(module="__main__", verbosity=2, exit=False).result
    for test, why in result.skipped:
        print(f"skip: {test.id()}: {why}")
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if result.skipped else 0)
