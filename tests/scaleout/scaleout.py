"""Several coordinators on one PostgreSQL server: one leads, each can be asked, each can die."""

import concurrent.futures
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import sys
import unittest

SOURCE = pathlib.Path(os.environ.get("PHASE_SOURCE") or pathlib.Path(__file__).resolve().parents[2])
sys.path[:0] = [str(SOURCE / "tests" / folder) for folder in ("operate", "postgres", "gateway")]

from fleet_lab import AMBIENT, HEARTBEAT_MS, LabTest, wait_until  # noqa: E402
from lab import LabError  # noqa: E402
from ports import free_port  # noqa: E402
from demo_vcp import sign_in  # noqa: E402
from session_steps import SessionSteps  # noqa: E402
import server  # noqa: E402

DEATHS = int(os.environ.get("PHASE_DEATHS", "6"))  # of leaders under load
SLOW = {"monte_carlo_pi": {"samples": 100_000_000, "seed": 1}}


def slow(seed):
    return {"monte_carlo_pi": {**SLOW["monte_carlo_pi"], "seed": seed}}


@unittest.skipIf(server.programs() is None, "PostgreSQL is not installed")
class ScaleOut(SessionSteps, LabTest):
    def setUp(self):
        super().setUp()
        self.database = server.Server()
        self.addCleanup(self.database.remove)
        secret = self.lab.folder / "fleet.secret"
        secret.write_text("0123456789abcdef0123456789abcdef\n")
        secret.chmod(0o600)
        self.ports = {}

    def start(self, name, *words, database=None, secret="fleet.secret"):
        lab = self.lab
        port = self.ports.setdefault(name, free_port())
        lab.start(name, [AMBIENT, "coordinator", "--listen", f"127.0.0.1:{port}",
                         "--mesh-listen", "/ip4/127.0.0.1/tcp/0", "--data-dir", lab.folder / name,
                         "--heartbeat-ms", HEARTBEAT_MS,
                         "--database", database or self.database.url,
                         "--fleet-secret-file", lab.folder / secret,
                         "--drain-seconds", "5", *words])

    def url(self, *names):
        return ",".join(f"http://127.0.0.1:{self.ports[name]}" for name in names)

    def leads(self, name, times=1):
        pattern = re.compile(r"this coordinator leads now \(lead (\d+)\)(?s:.*?)ready: dashboard")
        return wait_until(f"{name} leads", lambda: (
            lambda found: int(found[-1]) if len(found) >= times else None)(
                pattern.findall(self.lab.log(name))))

    def asks(self, name):
        """From now on the lab asks this one."""
        self.lab.url = self.url(name)

    def begin(self, *nodes):
        """a leads, b stands by, nodes know both."""
        lab = self.lab
        self.start("a")
        self.leads("a")
        self.start("b")
        lab.wait_log("b", r"ready: .* leads \(lead 1\); connections go on to")
        lab.code = lab.wait_log("a", r"One-time code: (\S+)").group(1)
        self.asks("b")
        sign_in(lab)
        for name in nodes:
            lab.start_agent(name, url=self.url("a", "b"), token=lab.register(name))
        lab.wait_measured(*nodes)

    def check_ledger(self, accepted):
        """Each task paid once, by a chain without a gap."""
        entries = self.lab.export()
        self.assertEqual([entry["sequence"] for entry in entries],
                         list(range(1, len(entries) + 1)))
        for before, after in zip(entries, entries[1:]):
            self.assertEqual(after["previous"], before["hash"])
        paid = [(entry["reference"], entry["to"]) for entry in entries if entry["kind"] == "pay"]
        self.assertEqual(len(paid), len(set(paid)))
        self.assertEqual({reference for reference, _ in paid}, set(accepted))
        escrowed = [entry["reference"] for entry in entries if entry["kind"] == "escrow"]
        self.assertEqual(sorted(escrowed), sorted(accepted))

    def test_any_coordinator_can_be_asked_and_the_leader_can_die(self):
        lab = self.lab
        self.begin("one", "two")
        accepted = []
        for name in ("a", "b"):
            self.asks(name)
            task = lab.submit()
            accepted.append(task["task_id"])
            self.assertEqual(lab.finish(task["task_id"])["status"], "completed")
        self.asks("b")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            made = [pool.submit(lab.submit, inputs=slow(seed), min_nodes=1 + seed % 2)
                    for seed in range(12)]
            accepted += [one.result()["task_id"] for one in made]
        open_tasks = [one for one in accepted
                      if lab.task(one)["status"] not in ("completed", "failed")]
        self.assertTrue(open_tasks)
        self.assertEqual(lab.stop("a", signal.SIGKILL), -signal.SIGKILL)
        self.assertEqual(self.leads("b"), 2)
        # The same account, tokens and nodes; nothing of what was accepted is lost.
        ends = [lab.finish(one) for one in accepted]
        self.assertEqual({end["status"] for end in ends}, {"completed"}, ends)
        lab.wait_measured("one", "two")
        self.assertTrue(all(lab.processes[name].poll() is None for name in ("one", "two")))
        self.check_ledger(accepted)
        # The dead one comes back, stands by, and leads again when the other one is stopped.
        self.start("a")
        wait_until("a stands by", lambda: re.search(r"ready: .* leads \(lead 2\)", lab.log("a")))
        self.asks("a")
        accepted.append(lab.submit()["task_id"])
        self.assertEqual(lab.stop("b"), 0)
        self.assertEqual(self.leads("a", times=1), 3)
        accepted.append(lab.submit()["task_id"])
        for one in accepted:
            self.assertEqual(lab.finish(one)["status"], "completed")
        self.check_ledger(accepted)

    def test_a_session_outlives_the_leader_that_began_it(self):
        lab = self.lab
        self.begin()
        self.add_gate("gate", url=self.url("a", "b"))
        self.allow("127.0.0.1")
        gateway = self.gateway("gate")  # asks b, whoever leads
        task = self.submit()
        started = self.start_session(task)
        client = self.relay(gateway, started)
        self.assertEqual(lab.stop("a", signal.SIGKILL), -signal.SIGKILL)
        self.assertEqual(self.leads("b"), 2)
        self.assertEqual(self.call(started)["status"], "active")
        self.talk(client)
        wait_until("its node is there, and its client",
                   lambda: self.call(started, "heartbeat")["internet_active"])
        self.assertEqual(self.call(started, "stop")["status"], "ended")
        self.assertTrue(client.gone())
        self.assertEqual(lab.task(task["task_id"])["status"], "completed")

    def test_the_leader_knows_whose_request_was_handed_on(self):
        lab = self.lab
        self.begin()
        wrong = json.dumps({"username": "nobody", "password": "wrong-password"})
        for name, source in (("a", "127.0.0.2"), ("b", "127.0.0.3")):
            link = http.client.HTTPConnection("127.0.0.1", self.ports[name], timeout=30,
                                              source_address=(source, 0))
            link.request("POST", "/api/v1/auth/login", wrong,
                         {"Content-Type": "application/json"})
            self.assertEqual(link.getresponse().status, 401)
            link.close()
        def noted():
            log = lab.ask("GET", "/api/v1/admin/audit-log?limit=50")
            return {"127.0.0.2", "127.0.0.3"} <= {entry["address"] for entry in log}
        wait_until("both are noted by their own address", noted)
        # Nobody else can say so.
        with socket.create_connection(("127.0.0.1", self.ports["a"]), timeout=30) as forged:
            forged.sendall(b"\0PHASE/1 127.0.0.9 " + b"0" * 64 + b"\n"
                           b"GET /api/v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            try:
                self.assertEqual(forged.recv(100), b"")
            except ConnectionResetError:
                pass  # as good: what it sent was not read

    def test_one_that_hangs_is_replaced_and_cannot_write_any_more(self):
        lab = self.lab
        self.begin("one")
        task = lab.submit()["task_id"]
        lab.finish(task)
        # Its machine is there, its process stands still: the other one ends its connection.
        lab.processes["a"].send_signal(signal.SIGSTOP)
        self.assertEqual(self.leads("b"), 2)
        other = lab.submit()["task_id"]
        self.assertEqual(lab.finish(other)["status"], "completed")
        lab.processes["a"].send_signal(signal.SIGCONT)
        wait_until("a knows", lambda: "this coordinator leads no more" in lab.log("a"))
        wait_until("a stands by", lambda: re.search(r"ready: .* leads \(lead 2\)", lab.log("a")))
        self.asks("a")
        third = lab.submit()["task_id"]
        self.assertEqual(lab.finish(third)["status"], "completed")
        self.check_ledger([task, other, third])

    def test_the_server_is_replaced_under_its_coordinators(self):
        lab = self.lab
        self.begin("one")
        task = lab.submit()["task_id"]
        lab.finish(task)
        self.database.stop()
        wait_until("a knows", lambda: "this coordinator leads no more" in lab.log("a"))
        self.database.start()
        wait_until("one leads", lambda: any(
            re.search(r"leads now \(lead [2-9]\)(?s:.*)ready: dashboard", lab.log(name))
            for name in ("a", "b")))
        def asked():
            try:
                return lab.submit()["task_id"]
            except (OSError, LabError):
                return None
        other = wait_until("a task is taken", asked)
        self.assertEqual(lab.finish(other)["status"], "completed")
        self.check_ledger([task, other])

    def test_wrong_beginnings_say_what_to_do(self):
        lab = self.lab
        (lab.folder / "short").write_text("short")
        (lab.folder / "short").chmod(0o600)
        (lab.folder / "other").write_text("x" * 40)
        (lab.folder / "other").chmod(0o600)
        (lab.folder / "open").write_text("x" * 40)
        (lab.folder / "open").chmod(0o644)
        self.start("a")
        self.leads("a")
        wrong = self.database.url.replace(":phase@", ":wrong@")
        cases = [({"secret": "short"}, "fewer than 32"), ({"secret": "open"}, "chmod 600"),
                 ({"secret": "missing"}, "missing"), ({"secret": "other"}, "another secret"),
                 ({"database": "http://x"}, "no URL of a PostgreSQL server")]
        for number, (kind, text) in enumerate(cases):
            name = f"wrong-{number}"
            self.start(name, **kind)
            self.assertNotEqual(lab.processes[name].wait(30), 0)
            self.assertIn(text, lab.log(name))
        self.start("password", database=wrong)
        wait_until("it says why", lambda: "password authentication failed" in lab.log("password"))
        for name in lab.processes:
            self.assertNotIn(":wrong@", lab.log(name))
            self.assertNotIn(":phase@", lab.log(name))

    def test_a_load_over_many_deaths(self):
        lab = self.lab
        self.begin("one", "two")
        names = ["a", "b"]
        accepted, stop = [], []

        def work():
            while not stop:
                try:
                    accepted.append(lab.submit()["task_id"])
                except (OSError, LabError):
                    pass  # asked while nobody led: nothing was accepted, or nobody was told
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            load = [pool.submit(work) for _ in range(2)]
            try:
                for _ in range(DEATHS):
                    leader, other = names
                    seen = len(accepted)
                    wait_until("tasks are taken", lambda: len(accepted) > seen + 5)
                    self.assertEqual(lab.stop(leader, signal.SIGKILL), -signal.SIGKILL)
                    self.leads(other, times=1)
                    self.asks(other)
                    self.start(leader)
                    wait_until("it stands by", lambda: "leads (lead" in lab.log(leader))
                    names.reverse()
            finally:
                stop.append(True)
            for one in load:
                one.result()
        for one in accepted:
            self.assertEqual(lab.finish(one)["status"], "completed")
        entries = lab.export()
        paid = [(entry["reference"], entry["to"]) for entry in entries if entry["kind"] == "pay"]
        self.assertEqual(len(paid), len(set(paid)))
        self.assertLessEqual(set(accepted), {reference for reference, _ in paid})


if __name__ == "__main__":
    unittest.main(verbosity=2)
