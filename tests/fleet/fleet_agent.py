"""A node's agent as a process: joins, is measured, runs its coordinator's jobs, drains."""

import json
import os
import pathlib
import queue
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request

BUILD = pathlib.Path(os.environ.get("PHASE_BUILD") or "build").resolve()
AGENT = BUILD / "bin" / "ambient-vcp"
COORDINATOR = BUILD / "tests" / "fleet" / "small_coordinator"
HELLO = BUILD / "examples" / "hello.wasm"
SECONDS_MAX = 60


class Coordinator:
    """small_coordinator, and what it told."""

    def __init__(self, folder, port=0, key="coordinator.key"):
        self.process = subprocess.Popen([COORDINATOR, folder / key, str(port)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.ready = self.wait("ready")
        self.port = self.ready["port"]
        self.url = f"http://127.0.0.1:{self.port}"

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))

    def wait(self, event, **fields):
        """The next line of that event and those fields; others are passed over."""
        deadline = time.monotonic() + SECONDS_MAX
        seen = []
        while True:
            try:
                line = self.lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {event} {fields} in {SECONDS_MAX} s: {seen}") from None
            seen.append(line)
            if line["event"] == event and fields.items() <= line.items():
                return line

    def say(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class FleetAgent(unittest.TestCase):
    longMessage = True

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="phase-fleet-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        self.feed("thermal/thermal_zone0/temp", "48500")
        self.feed("powercap/intel-rapl:0/energy_uj", "1000000")

    def feed(self, sensor, text):
        """A sensor of the node's /sys."""
        path = self.folder / "sys" / "class" / sensor
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def coordinator(self, **options):
        out = Coordinator(self.folder, **options)
        self.addCleanup(out.close)
        return out

    def command(self, url, *words, name="one"):
        return [AGENT, "node", "--id", name, "--region", "us-west", "--coordinator-url", url,
                "--data-dir", self.folder / name, "--sys-root", self.folder / "sys", *words]

    def node(self, url, *words, name="one"):
        process = subprocess.Popen(self.command(url, *words, name=name), env=self.environment,
                                   stderr=subprocess.PIPE, text=True)

        def end():
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stderr.close()

        self.addCleanup(end)
        return process

    def ends(self, *words, name="one"):
        """Runs an agent that ends by itself."""
        return subprocess.run(self.command(*words, name=name), env=self.environment,
                              capture_output=True, text=True, timeout=SECONDS_MAX, check=False)

    def test_joins_is_measured_runs_a_job_and_drains(self):
        coordinator = self.coordinator()
        node = self.node(coordinator.url, "--join-token", "jt_good", "--jobs", "3")
        joined = coordinator.wait("joined", node="one")
        self.assertEqual((joined["region"], joined["jobs_max"]), ("us-west", 3))
        told = coordinator.wait("telemetry", node="one")
        self.assertEqual(told["temperature"], 48500)
        self.assertIn("memory", told)
        self.assertGreater(coordinator.wait("latency")["ns"], 0)
        width = coordinator.wait("bandwidth")
        self.assertGreater(width["down_kbps"], 1000)
        self.assertGreater(width["up_kbps"], 1000)

        self.feed("thermal/thermal_zone0/temp", "91000")
        coordinator.wait("telemetry", temperature=91000)

        coordinator.say("run", "one", HELLO)
        coordinator.wait("accepted")
        coordinator.wait("telemetry", jobs=1)
        self.feed("powercap/intel-rapl:0/energy_uj", "3500000")
        node.send_signal(signal.SIGTERM)
        coordinator.wait("draining", node="one")
        coordinator.say("input")  # what runs is finished, and its receipt delivered
        ran = coordinator.wait("ran")
        self.assertEqual((ran.get("ok"), ran.get("output")), (True, "dlroW ,olleH"), ran)
        self.assertEqual(ran["energy_mj"], 2500)
        coordinator.wait("gone", node="one")
        self.assertEqual(node.wait(SECONDS_MAX), 0, node.stderr.read())

    def test_later_joins_need_no_token_and_a_coordinator_may_come_back(self):
        coordinator = self.coordinator()
        node = self.node(coordinator.url, "--join-token", "jt_good")
        coordinator.wait("joined", node="one")
        node.send_signal(signal.SIGTERM)
        self.assertEqual(node.wait(SECONDS_MAX), 0)
        again = self.node(coordinator.url, "--join-token", "jt_good")
        coordinator.wait("joined", node="one")
        coordinator.close()
        back = self.coordinator(port=coordinator.port)
        back.wait("joined", node="one")
        back.say("run", "one", HELLO)
        back.wait("accepted")
        back.say("input")
        self.assertTrue(back.wait("ran").get("ok"))
        self.assertIsNone(again.poll())

    def test_refusals_end_the_agent_with_the_next_step(self):
        coordinator = self.coordinator()
        none = self.ends(coordinator.url)
        self.assertNotEqual(none.returncode, 0)
        self.assertIn("token_needed", none.stderr)
        self.assertIn("--join-token", none.stderr)
        wrong = self.ends(coordinator.url, "--join-token", "jt_bad")
        self.assertIn("token_wrong", wrong.stderr)
        self.node(coordinator.url, "--join-token", "jt_good")
        coordinator.wait("joined", node="one")
        coordinator.say("dismiss", "one")
        coordinator.wait("gone", reason="dismissed")

    def test_another_coordinator_at_the_same_address_is_not_joined(self):
        first = self.coordinator()
        node = self.node(first.url, "--join-token", "jt_good")
        first.wait("joined", node="one")
        first.wait("telemetry", node="one")  # the node knows that it joined
        node.send_signal(signal.SIGTERM)
        self.assertEqual(node.wait(SECONDS_MAX), 0)
        first.close()
        other = self.coordinator(port=first.port, key="other.key")
        done = self.ends(other.url, "--join-token", "jt_good")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("coordinator.peer", done.stderr)

    def test_status_on_loopback(self):
        coordinator = self.coordinator()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.node(coordinator.url, "--join-token", "jt_good", "--observability",
                  "--observability-port", str(port))
        coordinator.wait("joined", node="one")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/node/status", timeout=10) as answer:
            status = json.load(answer)
        self.assertEqual(status["node_region"], "us-west")
        self.assertEqual(status["resources"]["temperature_c"], 48.5)
        self.assertIs(status["safe_mode"], False)
        self.assertIs(status["joined"], True)
        self.assertEqual(status["current_workload"], "idle")

    def test_health_says_what_it_found_by_its_status(self):
        coordinator = self.coordinator()
        def health(*words):
            return subprocess.run([AGENT, "health", "--data-dir", self.folder / "h", *words],
                                  env=self.environment, capture_output=True, text=True,
                                  timeout=SECONDS_MAX, check=False)
        good = health("--coordinator-url", coordinator.url, "--sys-root", self.folder / "sys")
        self.assertEqual(good.returncode, 0, good.stdout)
        self.assertIn("a test module ran", good.stdout)
        self.assertIn("temperature", good.stdout)
        coordinator.close()
        bad = health("--coordinator-url", coordinator.url)
        self.assertEqual(bad.returncode, 1, bad.stdout)
        self.assertIn("not healthy", bad.stdout)
        self.assertEqual(health("--worker-path", "/nowhere").returncode, 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
