#!/usr/bin/env python3
"""A coordinator that asks providers of the mesh.

Two nodes of plasmd that know each other, a coordinator that is told of one and finds both by the
DHT. It has no node of its own, so what is done is done by strangers, and checked.
"""

import base64
import os
import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(os.environ.get("PHASE_SOURCE") or pathlib.Path(__file__).resolve().parents[2])
sys.path[:0] = [str(ROOT / "tests" / "operate"), str(ROOT / "examples" / "demo")]

import lab  # noqa: E402
from demo_vcp import wait_until  # noqa: E402
from fleet_lab import AMBIENT, BUILD, HELLO, SECONDS_MAX, LabTest  # noqa: E402


def name_of(provider):
    return "peer-" + provider.peer_id[-10:]


class Peers(LabTest):
    def setUp(self):
        super().setUp()
        self.mesh = lab.Lab(BUILD / "bin", isolated=False)
        self.addCleanup(self.mesh.close)
        self.first = self.mesh.start("first", "--open")
        told = [word for at in self.first.addresses() for word in ("--bootstrap", at)]
        self.second = self.mesh.start("second", "--open", "--region", "eu-central", *told)

    def start(self, *words):
        told = [word for at in self.first.addresses() for word in ("--peer-bootstrap", at)]
        self.lab.start_coordinator("--peers", *told, *words)
        self.lab.first_administrator()

    def seen(self, *providers):
        """Waits until these, and they alone, are online and measured; their names."""
        names = {name_of(provider) for provider in providers}

        def there():
            nodes = self.lab.ask("GET", "/api/v1/nodes?status=online")
            measured = all(node["health"]["latency"]["value"] is not None for node in nodes)
            return nodes if measured and {node["node_id"] for node in nodes} == names else None
        return {node["node_id"]: node for node in wait_until(f"{names} online", there)}

    def work(self, text="Hello, mesh", **needs):
        inputs = {"stdin": text, "limits": {"memory_mb": 64}}
        task = self.lab.ask("POST", "/api/v1/tasks", {
            "task_type": "wasm_execution",
            "wasm_module": base64.b64encode(HELLO.read_bytes()).decode(), "inputs": inputs,
            "requirements": {"min_nodes": 1, "max_execution_time_sec": 60, "require_gpu": False,
                             "require_proof": False, "allow_peers": True, **needs}}, expected=201)
        done = self.lab.finish(task["task_id"])
        self.assertEqual(done["status"], "completed", done["reason"])
        return done

    def balance(self):
        return self.lab.ask("GET", "/api/v1/credits")["balance"]

    def check_receipt(self, entry, provider, output):
        """It is for this output and signed by that provider, as seen without the coordinator."""
        folder = self.lab.folder / f"receipt-{provider.peer_id}"
        folder.mkdir()
        (folder / "out").write_text(output)
        for part in ("receipt", "manifest"):
            (folder / f"{part}.cose").write_bytes(base64.b64decode(entry[part]))
        done = subprocess.run([BUILD / "bin" / "phase", "verify", folder / "receipt.cose",
                               "--manifest", folder / "manifest.cose", "--output",
                               folder / "out", "--provider", provider.peer_id],
                              capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_task_that_allows_peers_is_done_by_one(self):
        self.start()
        nodes = self.seen(self.first, self.second)
        self.assertEqual(nodes[name_of(self.first)]["region"], "mesh")
        self.assertEqual(nodes[name_of(self.second)]["region"], "eu-central")
        for node in nodes.values():
            self.assertEqual((node["node_type"], node["owner_id"], node["bond"]),
                             ("any", None, 0))
            self.assertIsNone(node["health"]["bandwidth"]["value"])
        before = self.balance()
        done = self.work()
        self.assertEqual(done["result"]["stdout"], "hsem ,olleH")
        run, = done["runs"]
        self.assertEqual((run["state"], run["receipt_verified"], run["paid"]),
                         ("verified", True, 0))
        entry, = self.lab.ask("GET", f"/api/v1/tasks/{done['task_id']}/receipts")
        self.assertEqual(entry["verdict"], "verified")
        by = {name_of(one): one for one in (self.first, self.second)}[run["node_id"]]
        self.check_receipt(entry, by, done["result"]["stdout"])
        self.assertIn("only peers vouch for it; running it here", self.lab.log("coordinator"))
        self.assertEqual(done["credits"]["paid"], 0)
        self.assertGreater(done["credits"]["refunded"], 0)
        self.assertEqual(self.balance(), before, "nothing is spent")

    def test_a_quorum_of_two_peers(self):
        self.start()
        self.seen(self.first, self.second)
        done = self.work(min_nodes=2)
        self.assertEqual(sorted(done["result"]["agreed_by"]),
                         sorted([name_of(self.first), name_of(self.second)]))
        self.assertEqual(done["credits"]["paid"], 0)

    def test_without_leave_it_is_refused_naming_what_is_missing(self):
        self.start()
        self.seen(self.first, self.second)
        said = self.lab.submit(expected=503)
        self.assertEqual(said["error"], "service_unavailable")
        self.assertIn("requirements.allow_peers", said["message"])

    def test_who_is_gone_is_shown_so_and_gets_nothing(self):
        self.start()
        self.seen(self.first, self.second)
        self.second.stop(kill=True)
        self.seen(self.first)
        self.assertEqual(self.lab.node(name_of(self.second))["status"], "offline")
        done = self.work()
        self.assertEqual(done["result"]["agreed_by"], [name_of(self.first)])

    def test_providers_that_are_not_open_are_left_alone(self):
        closed = self.mesh.start("closed", "--allow", "a" * 64, *[
            word for at in self.first.addresses() for word in ("--bootstrap", at)])
        self.start()
        self.seen(self.first, self.second)
        self.assertNotIn(name_of(closed), self.lab.log("coordinator"))

    def test_there_are_no_more_than_was_said(self):
        self.start("--peers-max", "1")
        wait_until("one peer", lambda: len(self.lab.ask("GET", "/api/v1/nodes")) == 1)
        self.work()

    def test_flags_that_need_peers_say_so(self):
        done = subprocess.run([AMBIENT, "coordinator", "--peers-max", "3"], capture_output=True,
                              text=True, timeout=SECONDS_MAX, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--peers", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
