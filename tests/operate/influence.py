"""What happens to a machine or its link is seen and changes who gets work, within three heartbeats:
a link's delay, the use of the processor, heat. Nothing in the programs knows of this test: the
delay is a relay's, the sensors are files."""

import threading
import time
import unittest

from fleet_lab import HEARTBEAT_MS, SECONDS_MAX, LabTest, wait_until
from relay import Relay, Signpost

HEARTBEATS_MAX = 3
POLL_SECONDS = HEARTBEAT_MS / 1000 / 20
TASKS = 6          # that must go to one node
BOTH_TASKS_MAX = 60  # until either of two equal nodes had one


class Machine:
    """The trees that a node reads as /sys and /proc; the processor's counters go on by
    themselves."""

    def __init__(self, folder):
        self.folder, self.busy_share, self.ended = folder, 0.05, threading.Event()
        self.write("proc/meminfo", "MemTotal: 8000000 kB\nMemAvailable: 6000000 kB\n")
        self.heat(45)
        self.busy = self.idle = 10_000
        self._tick()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def write(self, path, text):
        path = self.folder / path
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(path.name + ".new")
        beside.write_text(text)
        beside.rename(path)

    def heat(self, celsius):
        self.write("sys/class/thermal/thermal_zone0/temp", str(celsius * 1000))

    def _tick(self):
        self.busy += round(1000 * self.busy_share)
        self.idle += round(1000 * (1 - self.busy_share))
        self.write("proc/stat", f"cpu  {self.busy} 0 0 {self.idle} 0 0 0 0 0 0\n")

    def _run(self):
        while True:
            self._tick()
            if self.ended.wait(POLL_SECONDS):
                return

    def close(self):
        self.ended.set()
        self.thread.join()

    def flags(self):
        return ["--sys-root", self.folder / "sys", "--proc-root", self.folder / "proc"]


class Influence(LabTest):
    def machine(self, name):
        out = Machine(self.lab.folder / f"machine-{name}")
        self.addCleanup(out.close)
        return out

    def link(self, round_trip_ms):
        """A relay to the coordinator, and the address that leads through it."""
        relay = Relay(self.lab.mesh_port, round_trip_ms)
        self.addCleanup(relay.close)
        post = Signpost(self.lab.ask("GET", "/api/v1/mesh"), relay.port)
        self.addCleanup(post.close)
        return relay, post.url

    def within_heartbeats(self, name, term, condition, what):
        """The node as it is shown once `condition` holds; a heartbeat is a newer reading of
        `term`."""
        beats, age, deadline = 0, None, time.monotonic() + SECONDS_MAX
        while True:
            seen = self.lab.node(name)
            if condition(seen["health"]):
                print(f"{what}: shown after {beats} heartbeats")
                return seen
            now = seen["health"][term]["age_ms"]
            beats += age is not None and now is not None and now < age
            age = now
            self.assertLessEqual(beats, HEARTBEATS_MAX, f"{what}: {seen['health']}")
            self.assertLess(time.monotonic(), deadline, f"no heartbeat of {name} arrives")
            time.sleep(POLL_SECONDS)  # tidy: allow(sleep): every reading of a term is to be seen

    def placed(self, **needs):
        """Who got the next task."""
        done = self.lab.finish(self.lab.submit(**needs)["task_id"])
        self.assertEqual(done["status"], "completed", done)
        # Later runs are those of a straggler's double, or after a failure.
        return min(done["runs"], key=lambda run: run["attempt"])["node_id"]

    def all_go_to(self, name, **needs):
        self.assertEqual([self.placed(**needs) for _ in range(TASKS)], [name] * TASKS)

    def nearest_gets_all(self, name):
        """Tasks go to the node that is shown as nearest; those that ran while a busy machine made
        another one the nearest do not count."""
        def nearest():
            return min(("near", "far"),
                       key=lambda node: self.lab.node(node)["health"]["latency"]["value"])
        counted = 0
        for _ in range(BOTH_TASKS_MAX):
            before, got, after = nearest(), self.placed(), nearest()
            if before == after == name:
                self.assertEqual(got, name)
                counted += 1
            if counted == TASKS:
                return
        self.fail(f"{name} was the nearest for {counted} tasks only")

    def both_get_some(self):
        seen = set()
        for _ in range(BOTH_TASKS_MAX):
            seen.add(self.placed())
            if len(seen) == 2:
                return
        self.fail(f"{BOTH_TASKS_MAX} tasks all went to {seen}")

    def breaker(self, health, name):
        return next(one for one in health["breakers"] if one["name"] == name)

    def test_the_delay_of_a_link(self):
        lab = self.lab
        lab.start_coordinator("--strategy", "latency-aware")
        lab.first_administrator()
        near, near_url = self.link(5)
        _, far_url = self.link(35)
        for name, url in (("near", near_url), ("far", far_url)):
            lab.start_agent(name, *self.machine(name).flags(), url=url, token=lab.register(name))
        lab.wait_measured("near", "far")
        wait_until("a near node", lambda: 5 <= lab.node("near")["health"]["latency"]["value"] < 35)
        self.nearest_gets_all("near")

        near.round_trip_ms = 65
        seen = self.within_heartbeats(
            "near", "latency", lambda health: health["latency"]["value"] >= 65, "65 ms")
        self.assertLessEqual(seen["health"]["latency"]["score"], 0.35)
        self.nearest_gets_all("far")

        near.round_trip_ms = 0
        self.within_heartbeats("near", "latency", lambda health: health["latency"]["value"] < 35,
                               "no delay")
        self.nearest_gets_all("near")

        lab.ask("PUT", "/api/v1/cluster/strategy", {"strategy": "weighted"})
        self.both_get_some()
        near.round_trip_ms = 150
        seen = self.within_heartbeats(
            "near", "latency", lambda health: self.breaker(health, "latency")["state"] == "open",
            "150 ms, the breaker")
        self.assertIn("opens above 100.0 ms", self.breaker(seen["health"], "latency")["detail"])
        self.assertEqual(seen["health"]["latency"]["score"], 0)
        self.all_go_to("far")

    def test_the_use_of_the_processor_and_heat(self):
        lab, names = self.lab, ("one", "two")
        lab.start_coordinator("--strategy", "weighted")
        lab.first_administrator()
        machines = {name: self.machine(name) for name in names}
        for name in names:
            lab.start_agent(name, *machines[name].flags(), token=lab.register(name))
        lab.wait_measured(*names)
        for name in names:
            self.within_heartbeats(name, "compute", lambda health: health["claimed"]["cpu_percent"]
                                   is not None, f"{name} tells of its processor")
        self.both_get_some()
        before = {name: lab.node(name)["health"]["score"] for name in names}
        busy, other = sorted(names, key=before.get)  # whatever their links were measured as

        machines[busy].busy_share = 1.0
        seen = self.within_heartbeats(
            busy, "compute", lambda health: health["claimed"]["cpu_percent"] > 95,
            "a busy processor")
        self.assertLess(seen["health"]["compute"]["score"], 0.45)
        lost = before[busy] - seen["health"]["score"]
        self.assertGreater(lost, 7)  # 0.2 of 100, halved: memory is as it was
        self.all_go_to(other, min_health_score=(before[busy] - lost / 2) / 100)

        machines[busy].busy_share = 0.05
        self.within_heartbeats(
            busy, "compute", lambda health: health["claimed"]["cpu_percent"] < 20,
            "an idle processor")
        self.both_get_some()

        machines[busy].heat(91)
        seen = self.within_heartbeats(
            busy, "compute", lambda health: self.breaker(health, "temperature")["state"] == "open",
            "91 °C, the breaker")
        self.assertEqual(seen["health"]["claimed"]["temperature_c"], 91)
        self.assertIn("opens above 85.0 °C", self.breaker(seen["health"], "temperature")["detail"])
        self.all_go_to(other)


if __name__ == "__main__":
    unittest.main(verbosity=2)
