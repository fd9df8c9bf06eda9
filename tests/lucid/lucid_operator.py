#!/usr/bin/env python3
"""The operator's side of a lucidd: verbs, what the machine says of itself, what ran for whom."""

import json
import os
import signal
import subprocess
import time

from lucid_case import HELLO, LUCIDD, SECONDS_MAX, STORY, Case, Node, free_port, main, poll

OPEN = "allow_unauthenticated_jobs = true\nmax_jobs_per_minute_per_key = 1000\n"


class Operator(Case):
    def lucidd(self, node, *words):
        port = node if isinstance(node, int) else node.port
        return subprocess.run([LUCIDD, *words, "--port", str(port)], capture_output=True, text=True,
                              timeout=SECONDS_MAX, check=False, env={"HOME": str(self.folder)})

    def status(self, node):
        return node.ask("GET", "/api/lucid/status").json()

    def pair(self, policy=OPEN, *words):
        """A provider and one who asks it, acquainted."""
        self.publish()
        provider = Node(self, "--model-dir", self.models, *words, name="provider", policy=policy,
                        network=True).ready()
        asker = Node(self, "--no-local-worker", "--mesh", *provider.told(), name="asker",
                     network=True).ready()
        return provider, asker

    def served(self, asker):
        return poll(lambda: (got := asker.chat("Hello")).status == 200 and got, "an answer")


class Verbs(Operator):
    def test_without_a_daemon_they_say_what_to_do(self):
        for verb in (["status"], ["pause"], ["resume"], ["pull", "tiny"]):
            done = self.lucidd(free_port(), *verb)
            self.assertNotEqual(done.returncode, 0, done)
            for word in ("no lucidd answers", "--port", "start one"):
                self.assertIn(word, done.stderr)

    def test_pause_and_resume_and_status(self):
        node = self.echo(policy=OPEN)
        before = self.lucidd(node, "status")
        self.assertEqual(before.returncode, 0, before)
        self.assertIn(node.peer_id(), before.stdout)
        self.assertIn("worker: echo", before.stdout)
        self.assertIn("stays off the network", before.stdout)
        done = self.lucidd(node, "pause", "--json")
        self.assertEqual(json.loads(done.stdout)["paused"], "operator paused (manual)")
        self.assertTrue(self.status(node)["manual_pause"])
        self.says(node.chat("abc", "echo"), "cba")
        told = json.loads(self.lucidd(node, "status", "--json").stdout)
        self.assertTrue(told["manual_pause"])
        self.assertEqual(told["work"], [])
        self.assertEqual(self.lucidd(node, "resume").returncode, 0)
        self.assertFalse(self.status(node)["manual_pause"])

    def test_pull_tells_why_it_cannot(self):
        node = self.echo()
        done = self.lucidd(node, "pull", "nobody/has-this")
        self.assertNotEqual(done.returncode, 0, done)
        self.assertTrue(done.stderr.strip())

    def test_what_answers_and_is_no_lucidd_is_named(self):
        server = subprocess.Popen(["python3", "-m", "http.server", "--bind", "127.0.0.1", "0"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                  cwd=self.folder, env={"PYTHONUNBUFFERED": "1"})
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        port = int(server.stdout.readline().split(" port ")[1].split()[0])
        done = self.lucidd(port, "status")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no lucidd", done.stderr)


class Machine(Operator):
    """Others wait while the machine says so; the owner is served."""

    def setUp(self):
        super().setUp()
        self.sys = self.folder / "sys"
        self.tell("class/power_supply/BAT0/type", "Battery")
        self.tell("class/power_supply/BAT0/status", "Charging")
        self.tell("class/thermal/thermal_zone0/temp", "41000")
        self.tell("class/drm/card0/device/mem_info_vram_total", "16000000000")
        self.tell("class/drm/card0/device/mem_info_vram_used", "1000000000")
        self.tell("devices/system/node/node0/meminfo",
                  "Node 0 MemTotal: 16000000 kB\nNode 0 MemFree: 8000000 kB")

    def tell(self, path, text):
        file = self.sys / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")

    def look(self, node):
        """Has the node look at its machine now."""
        before = node.log().count("is in force")
        node.signal(signal.SIGHUP)
        poll(lambda: node.log().count("is in force") > before, "SIGHUP")

    def paused(self, provider, asker, reason):
        self.look(provider)
        self.assertIn(reason, self.status(provider)["paused"])
        answer = asker.chat("Hello")
        self.assertNotEqual(answer.status, 200, answer)
        self.assertTrue(reason in answer.json()["error"] or "no peers" in answer.json()["error"],
                        answer)
        self.says(provider.chat("Hello"), HELLO)

    def test_battery_heat_and_memory(self):
        provider, asker = self.pair(OPEN + "memory_reserve_gb = 2\n", "--sys-root", self.sys)
        self.served(asker)
        self.assertEqual(self.status(provider)["machine"], {
            "on_battery": False, "temperature_c": 41.0,
            "gpu": {"total": 16000000000, "free": 15000000000},
            "memory": {"total": 16384000000, "free": 8192000000}})
        for path, bad, good, reason in (
                ("class/power_supply/BAT0/status", "Discharging", "Full", "on battery"),
                ("class/thermal/thermal_zone0/temp", "91500", "40000", "thermal limit hit (91.5"),
                ("class/drm/card0/device/mem_info_vram_used", "13000000000", "0",
                 "graphics memory reserve reached (3.0 GB"),
                ("devices/system/node/node0/meminfo",
                 "Node 0 MemTotal: 16000000 kB\nNode 0 MemFree: 1000 kB",
                 "Node 0 MemTotal: 16000000 kB\nNode 0 MemFree: 8000000 kB",
                 "memory reserve reached")):
            with self.subTest(reason=reason):
                self.tell(path, bad)
                self.paused(provider, asker, reason)
                self.tell(path, good)
                self.look(provider)
                self.assertIsNone(self.status(provider)["paused"])
                self.says(self.served(asker), HELLO)

    def test_hours_of_the_day(self):
        hour = time.localtime().tm_hour
        closed = f"{{ start_hour_local = {(hour + 2) % 24}, end_hour_local = {(hour + 3) % 24} }}"
        open_now = f"{{ start_hour_local = {hour}, end_hour_local = {(hour + 2) % 24} }}"
        provider, asker = self.pair(OPEN + f"time_of_day_window = {open_now}\n",
                                    "--sys-root", self.sys)
        self.served(asker)
        provider.policy_file.write_text(OPEN + f"time_of_day_window = {closed}\n")
        self.paused(provider, asker, "outside serving time window")

    def test_switches_of_the_policy_are_obeyed(self):
        self.tell("class/power_supply/BAT0/status", "Discharging")
        self.tell("class/thermal/thermal_zone0/temp", "91500")
        provider, asker = self.pair(
            OPEN + "auto_pause_on_battery = false\nauto_pause_on_thermal_threshold_c = 95\n",
            "--sys-root", self.sys)
        self.says(self.served(asker), HELLO)


class Work(Operator):
    def jobs(self, node):
        return node.ask("GET", "/api/lucid/jobs").json()["jobs"]

    def test_what_ran_for_whom_outlives_both_nodes(self):
        provider, asker = self.pair()
        self.served(asker)
        self.says(provider.chat("Hello"), HELLO)  # of its owner: nobody else's business
        asked, served = self.jobs(asker), self.jobs(provider)
        self.assertEqual(len(served), len(asked))
        mine, theirs = asked[0], served[0]
        self.assertEqual((mine["for"], theirs["for"]), ("this node", "others"))
        self.assertEqual(mine["job"], theirs["job"])
        self.assertEqual(mine["peer_id"], provider.peer_id())
        self.assertEqual(theirs["peer_id"], asker.peer_id())
        self.assertEqual(mine["verdict"], "verified")
        self.assertEqual(mine["model"], "tiny-chat:latest")
        self.assertGreater(mine["answer_tokens"], 3)
        self.assertGreaterEqual(mine["answer_bytes"], len(HELLO))
        self.assertEqual(mine["completion"], "exited")
        for node in (provider, asker):
            self.assertEqual(node.ask("GET", mine["receipt"]).status, 200)
            self.assertEqual(node.stop(), 0)
            node.start().ready()
        self.assertEqual(self.jobs(asker), asked)
        self.assertEqual(self.jobs(provider), served)
        told = json.loads(self.lucidd(provider, "status", "--json").stdout)
        self.assertEqual(told["work"], served)
        self.assertIn(asker.peer_id(), self.lucidd(provider, "status").stdout)
        self.assertNotIn(HELLO, json.dumps(told))

    def test_a_job_whose_provider_is_lost_is_listed_without_a_receipt(self):
        provider, asker = self.pair()
        self.served(asker)
        stream = asker.stream(STORY)
        lines = iter(stream)
        next(lines)
        for worker in provider.workers():
            os.kill(worker, signal.SIGSTOP)  # so that the answer is not over before
        provider.kill()
        list(lines)
        stream.close()
        lost = poll(lambda: [job for job in self.jobs(asker) if job["verdict"] == "none"],
                    "the lost job")[0]
        self.assertIsNone(lost["receipt"])
        self.assertEqual(lost["peer_id"], provider.peer_id())
        self.assertTrue(lost["completion"])
        self.assertEqual(asker.ask("GET", f"/api/receipts/{lost['job']}").status, 404)

    def test_who_was_lost_on_the_way_had_the_prompt_and_is_listed(self):
        self.publish()
        providers = [Node(self, "--model-dir", self.models, name=name, policy=OPEN,
                          network=True).ready() for name in ("first", "second")]
        nodes = {node.peer_id(): node for node in providers}
        told = [word for node in providers for word in node.told()]
        asker = Node(self, "--no-local-worker", "--mesh", *told, name="asker", network=True).ready()
        self.served(asker)
        poll(lambda: self.status(asker)["peers_connected"] == 2, "both providers")
        stream = asker.stream(STORY)
        lines = iter(stream)
        next(lines)
        lost = stream.headers["x-lucid-served-by"]
        for worker in nodes[lost].workers():
            os.kill(worker, signal.SIGSTOP)
        nodes[lost].kill()
        list(lines)
        stream.close()
        mine = poll(lambda: [job for job in self.jobs(asker) if job["verdict"] == "none"],
                    "the lost job")
        self.assertEqual([job["peer_id"] for job in mine], [lost])


if __name__ == "__main__":
    main()
