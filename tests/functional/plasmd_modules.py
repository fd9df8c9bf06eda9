#!/usr/bin/env python3
"""Modules by their artifact id.

Added on one node, run on another that fetched it; who may have it; what is said when nobody has it.
"""

import hashlib
import json
import signal
import socket
import subprocess

from plasmd_lab import BUILD, HELLO, SECONDS_MAX, Case, main, poll
from lab import Lab

TEXT = b"Hello, World"
REVERSED = b"dlroW ,olleH"
UNKNOWN = "artifact:" + "5" * 64
UNAVAILABLE = 69
# A module that does nothing: one type, one function, exported as _start.
NOTHING = bytes.fromhex("0061736d01000000" "010401600000" "03020100" "070a01065f73746172740000"
                        "0a040102000b")


class Modules(Case):
    def setUp(self):
        super().setUp()
        self.lab = Lab(BUILD / "bin")
        self.addCleanup(self.lab.close)
        self.module = self.lab.publish(HELLO, "hello.wasm")

    def run_by_id(self, node, name):
        return node.phase("run", "--json", "--stdin", "-", name, input_bytes=TEXT)

    def ran(self, node, name):
        """Has the node itself run a module by its id."""
        done = self.run_by_id(node, name)
        self.exits(done, 0)
        result = json.loads(done.stdout)
        self.assertTrue(result["verdict"]["verified"], result["verdict"])
        self.assertEqual(result["provider"], node.peer_id)
        return result

    def nobody_has(self, node, name):
        done = self.run_by_id(node, name)
        self.exits(done, UNAVAILABLE)
        self.assertIn(b"nobody has it", done.stderr)
        return done.stderr

    def add(self, node):
        done = node.phase("artifact", "add", "--json", self.module)
        self.exits(done, 0)
        return json.loads(done.stdout)

    def holder_and_other(self):
        """Two nodes; the first lets the second in."""
        first = self.lab.start("other")
        peer_id = first.peer_id
        first.stop()
        holder = self.lab.start("holder", "--allow", peer_id)
        other = self.lab.start("other", *self.told(holder))
        self.assertEqual(other.peer_id, peer_id)
        return holder, other

    @staticmethod
    def told(node):
        return [word for address in node.addresses() for word in ("--bootstrap", address)]

    @staticmethod
    def blob(node, content=None):
        """The file in which a node keeps a module."""
        sha256 = hashlib.sha256(content or HELLO.read_bytes()).hexdigest()
        return node.host.folder / "data" / "artifacts" / "blobs" / f"sha256-{sha256}"

    def events(self, node, job):
        """All events of a finished job, as the control API gives them."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(SECONDS_MAX)
            client.connect(str(node.socket))
            client.sendall(f"GET /v1/jobs/{job}/events HTTP/1.1\r\nHost: localhost\r\n"
                           "Connection: close\r\n\r\n".encode())
            said = b""
            while piece := client.recv(65536):
                said += piece
        return said.decode()


class BetweenNodes(Modules):
    def test_added_on_one_node_and_run_by_another(self):
        holder, other = self.holder_and_other()
        added = self.add(holder)
        self.assertEqual(added["shared_with"], "allowlist")
        self.assertEqual(added["length"], HELLO.stat().st_size)
        result = self.ran(other, "artifact:" + added["artifact_id"])
        said = self.events(other, result["id"])
        self.assertIn("fetching the module", said)
        self.assertIn(f'"total":{added["length"]}', said)
        self.assertIn("fetched now, from 1 peers", other.log())
        self.assertEqual(self.blob(other).read_bytes(), HELLO.read_bytes())
        # Kept: it runs without the holder, also after a restart.
        holder.stop()
        other.stop()
        other = self.lab.start("other")
        self.ran(other, added["artifact_id"])

    def test_what_the_disk_gave_back_damaged_is_fetched_again(self):
        holder, other = self.holder_and_other()
        name = self.add(holder)["artifact_id"]
        self.ran(other, name)
        other.stop()
        damaged = bytearray(HELLO.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        self.blob(other).write_bytes(damaged)
        other = self.lab.start("other", *self.told(holder))
        self.ran(other, name)
        self.assertIn("is not what was kept there; fetching it again", other.log())
        self.assertEqual(self.blob(other).read_bytes(), HELLO.read_bytes())

    def test_by_default_nobody_is_given_anything(self):
        holder = self.lab.start("holder")
        other = self.lab.start("other", *self.told(holder))
        self.assertEqual(self.add(holder)["shared_with"], "nobody")
        done = holder.phase("artifact", "add", self.module)
        self.exits(done, 0)
        self.assertIn(b"its policy lets nobody fetch it", done.stderr)
        name = "artifact:" + done.stdout.decode().strip()
        self.ran(holder, name)
        said = self.nobody_has(other, name)
        self.assertIn(b"phase artifact add", said)
        self.assertIn(f"--allow {other.peer_id}".encode(), said)
        self.assertFalse(self.blob(other).exists())

    def test_what_others_send_is_kept_by_choice(self):
        keeper = self.lab.start("keeper", "--open", "--keep-received-modules")
        sender = self.lab.start("sender", *self.told(keeper))
        nothing = self.home.folder / "nothing.wasm"
        nothing.write_bytes(NOTHING)
        nothing = self.lab.publish(nothing)
        there = ("run", "--provider", keeper.peer_id, "--stdin", "-")
        self.exits(sender.phase(*there, "--private", nothing, input_bytes=b""), 0)
        self.exits(sender.phase(*there, self.module, input_bytes=TEXT), 0)
        poll(self.blob(keeper).exists)
        self.assertFalse(self.blob(keeper, NOTHING).exists())
        name = self.add(sender)["artifact_id"]
        sender.stop()
        third = self.lab.start("third", *self.told(keeper))
        self.ran(third, name)

    def test_what_others_send_is_not_kept_by_default(self):
        provider = self.lab.start("provider", "--open")
        sender = self.lab.start("sender", *self.told(provider))
        done = sender.phase("run", "--provider", provider.peer_id, "--stdin", "-", self.module,
                            input_bytes=TEXT)
        self.exits(done, 0)
        poll(self.blob(sender).exists)
        self.assertFalse(self.blob(provider).exists())

    def test_an_id_that_nobody_knows(self):
        _, other = self.holder_and_other()
        self.nobody_has(other, UNKNOWN)

    def test_a_fetch_is_cancelled_at_once(self):
        _, other = self.holder_and_other()
        client = subprocess.Popen(
            other.host.command([self.lab.program("phase"), "--socket", other.socket, "run",
                                "--stdin", "/dev/null", UNKNOWN]),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=other.host.environment())
        self.home.started.append(client)

        def jobs():
            return json.loads(other.phase("job", "list", "--json").stdout)["jobs"]

        poll(lambda: [job for job in jobs() if job["state"] == "queued"])
        client.send_signal(signal.SIGINT)
        _, said = client.communicate(timeout=SECONDS_MAX)
        self.assertEqual(client.returncode, 130, said)
        self.assertNotIn(b"nobody has it", said)
        self.assertEqual([job["state"] for job in jobs()], ["cancelled"])


class OnOneNode(Modules):
    def test_what_was_run_is_kept_unless_it_was_private(self):
        node = self.lab.start("alone", "--no-network")
        name = self.add(node)["artifact_id"]
        node.stop()
        self.blob(node).unlink()
        node = self.lab.start("alone", "--no-network")
        self.exits(node.phase("run", "--private", "--stdin", "-", self.module, input_bytes=TEXT), 0)
        node.stop()
        node = self.lab.start("alone", "--no-network")
        self.assertIn(b"--no-network", self.nobody_has(node, name))
        self.exits(node.phase("run", "--stdin", "-", self.module, input_bytes=TEXT), 0)
        poll(lambda: (self.blob(node).parent.parent / "modules").read_text().startswith(name))
        node.stop()
        node = self.lab.start("alone", "--no-network")
        done = node.phase("run", "--stdin", "-", "artifact:" + name, input_bytes=TEXT)
        self.exits(done, 0)
        self.assertEqual(done.stdout, REVERSED)

    def test_what_is_no_id_and_no_file(self):
        node = self.lab.start("alone", "--no-network")
        done = node.phase("run", "artifact:12")
        self.assertIn(b"not an artifact id", done.stderr)
        self.exits(done, 2)

    def test_an_id_needs_a_daemon(self):
        node = self.lab.start("alone", "--no-network")
        node.stop()
        done = node.phase("run", UNKNOWN)
        self.assertIn(b"plasmd start", done.stderr)
        self.exits(done, 69)


if __name__ == "__main__":
    main()
