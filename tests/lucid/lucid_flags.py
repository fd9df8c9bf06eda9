#!/usr/bin/env python3
"""Every flag and variable of lucidd has a test that shows its effect; those of DNS are here."""

import os
import re
import socket
import struct
import subprocess
import sys
import threading
import unittest

from lucid_case import BUILD, LUCIDD, SECONDS_MAX, SOURCE, Case, Node, main, poll

# flag or variable: (file, what in it shows the effect)
SHOWN = {
    "--version": ("tests/lucid/lucid_flags.py", "test_the_version_is_told"),
    "--help": ("tests/lucid/lucid_flags.py", "test_every_flag_is_in_the_table"),
    "--mode": ("tests/ui/page.py", '"--mode", "relay"'),
    "--worker": ("tests/lucid/lucid_case.py", '"--worker", "echo"'),
    "--no-local-worker": ("tests/lucid/lucid_daemon.py", "--no-local-worker"),
    "--model-dir": ("tests/lucid/lucid_daemon.py", "test_a_model_folder_that_is_not_there"),
    "--ollama-models": ("tests/lucid/lucid_models.py", "OLLAMA_MODELS"),
    "--llama-server-binary": ("tests/lucid/lucid_flags.py", "test_what_is_refused_is_named"),
    "--llama-n-gpu-layers": ("tests/lucid/lucid_flags.py", "test_engine_flags_reach_the_engine"),
    "--llama-ctx-size": ("tests/lucid/lucid_flags.py", "test_engine_flags_reach_the_engine"),
    "--parallel": ("tests/lucid/lucid_mesh.py", "--parallel"),
    "--threads": ("tests/lucid/lucid_flags.py", "test_engine_flags_reach_the_engine"),
    "--keep-alive": ("tests/lucid/lucid_flags.py", "test_engine_flags_reach_the_engine"),
    "--memory": ("tests/lucid/lucid_models.py", "--memory"),
    "--mesh": ("tests/lucid/lucid_mesh.py", "test_nothing_leaves_unless_it_is_said"),
    "--mesh-model": ("tests/lucid/lucid_mesh.py", "--mesh-model"),
    "--require-verified": ("tests/lucid/lucid_daemon.py", "--require-verified"),
    "--gpu-devices": ("apps/lucidd/settings_test.cpp", "--gpu-devices"),
    "--upstream": ("tests/lucid/lucid_upstream.py", "--upstream"),
    "--hedge": ("apps/lucidd/settings_test.cpp", "--hedge"),
    "--first-token-seconds": ("tests/lucid/lucid_faults.py", "--first-token-seconds"),
    "--silence-seconds": ("tests/lucid/lucid_faults.py", "--silence-seconds"),
    "--max-queue": ("tests/lucid/lucid_faults.py", "--max-queue"),
    "--libp2p-port": ("tests/lucid/lucid_case.py", "--libp2p-port"),
    "--bootstrap-peer": ("tests/lucid/lucid_case.py", "--bootstrap-peer"),
    "--bootstrap-dns": ("tests/lucid/lucid_flags.py", "test_peers_are_found_by_txt_records"),
    "--dns-server": ("tests/lucid/lucid_flags.py", "test_peers_are_found_by_txt_records"),
    "--dns-fallback": ("tests/lucid/lucid_flags.py", "test_the_fallback_is_asked_where"),
    "--no-network": ("tests/lucid/lucid_operator.py", "stays off the network"),
    "--no-mdns": ("tests/lucid/lucid_case.py", "--no-mdns"),
    "--loopback": ("tests/lucid/lucid_flags.py", "test_loopback_listens_there_only"),
    "--host": ("tests/lucid/lucid_tls.py", "--host"),
    "--port": ("tests/lucid/lucid_daemon.py", "test_a_taken_port_is_named_with_what_to_do"),
    "--origin": ("tests/lucid/lucid_daemon.py", "--origin"),
    "--allow-host": ("tests/lucid/lucid_flags.py", "test_names_that_are_allowed"),
    "--api-keys": ("tests/lucid/lucid_daemon.py", "--api-keys"),
    "--tls-cert": ("tests/lucid/lucid_tls.py", "--tls-cert"),
    "--tls-key": ("tests/lucid/lucid_tls.py", "--tls-key"),
    "--policy-config": ("tests/lucid/lucid_case.py", "--policy-config"),
    "--sys-root": ("tests/lucid/lucid_operator.py", "--sys-root"),
    "--identity-path": ("tests/lucid/lucid_flags.py", "test_the_identity_is_the_files"),
    "--data": ("tests/lucid/lucid_daemon.py", "test_a_data_folder_belongs_to_one_node"),
    "--worker-path": ("tests/lucid/lucid_flags.py", "test_engine_flags_reach_the_engine"),
    "--isolation": ("tests/lucid/lucid_flags.py", "test_engine_flags_reach_the_engine"),
    "--drain-seconds": ("tests/lucid/lucid_daemon.py", "--drain-seconds"),
    "--log-format": ("tests/lucid/lucid_flags.py", "test_the_log_is_as_it_was_asked_for"),
    "--log-level": ("tests/lucid/lucid_flags.py", "test_the_log_is_as_it_was_asked_for"),
    "LUCIDD_HOST": ("apps/lucidd/settings_test.cpp", "LUCIDD_HOST"),
    "LUCIDD_PORT": ("apps/lucidd/settings_test.cpp", "LUCIDD_PORT"),
    "OLLAMA_MODELS": ("tests/lucid/lucid_models.py", "OLLAMA_MODELS"),
    "OLLAMA_MAX_QUEUE": ("apps/lucidd/settings_test.cpp", "OLLAMA_MAX_QUEUE"),
    "RUST_LOG": ("tests/lucid/lucid_flags.py", "test_the_log_is_as_it_was_asked_for"),
}


# key of policy.toml: the same
KEYS = {
    "authorized_submitters": ("tests/lucid/lucid_mesh.py", "authorized_submitters"),
    "allow_unauthenticated_jobs": ("tests/lucid/lucid_mesh.py", "allow_unauthenticated_jobs"),
    "serve_models": ("tests/lucid/lucid_mesh.py", "serve_models"),
    "manual_pause": ("tests/lucid/lucid_mesh.py", "manual_pause"),
    "auto_pause_on_battery": ("tests/lucid/lucid_operator.py", "auto_pause_on_battery"),
    "auto_pause_on_thermal_threshold_c":
        ("tests/lucid/lucid_operator.py", "auto_pause_on_thermal_threshold_c"),
    "time_of_day_window": ("tests/lucid/lucid_operator.py", "time_of_day_window"),
    "max_concurrent_remote_jobs": ("src/lucid/gate_test.cpp", "max_concurrent_remote_jobs"),
    "max_concurrent_jobs_per_key": ("src/lucid/gate_test.cpp", "max_concurrent_jobs_per_key"),
    "max_jobs_per_minute_per_key": ("src/lucid/gate_test.cpp", "max_jobs_per_minute_per_key"),
    "max_tokens_ceiling": ("src/lucid/gate_test.cpp", "max_tokens_ceiling"),
    "max_prompt_bytes": ("tests/lucid/lucid_mesh.py", "max_prompt_bytes"),
    "max_wall_seconds": ("src/lucid/gate_test.cpp", "max_wall_seconds"),
    "vram_reserve_gb": ("tests/lucid/lucid_operator.py", "graphics memory reserve reached"),
    "memory_reserve_gb": ("tests/lucid/lucid_operator.py", "memory_reserve_gb"),
    "share_models": ("tests/lucid/lucid_artifact.py", "share_models"),
    "share_with_anybody": ("tests/lucid/lucid_artifact.py", "share_with_anybody"),
    "share_bytes_per_second": ("tests/lucid/lucid_artifact.py", "share_bytes_per_second"),
}
# header: the same
HEADERS = {
    "X-Lucid-Local-Only": ("tests/lucid/lucid_mesh.py", "X-Lucid-Local-Only"),
    "X-Lucid-Routed-Via": ("tests/lucid/lucid_mesh.py", "x-lucid-routed-via"),
    "X-Lucid-Served-By": ("tests/lucid/lucid_mesh.py", "x-lucid-served-by"),
    "X-Lucid-Receipt-Verified": ("tests/lucid/lucid_daemon.py", "x-lucid-receipt-verified"),
    "X-Lucid-Conversation": ("tests/lucid/lucid_faults.py", "X-Lucid-Conversation"),
    "X-Lucid-Hedge": ("tests/lucid/lucid_faults.py", "X-Lucid-Hedge"),
    "X-Lucid-Job": ("tests/lucid/lucid_faults.py", "x-lucid-job"),
}


class Dns:
    """A DNS server on UDP that knows TXT records: name → list of strings, one record each."""

    def __init__(self, records, address="127.0.0.1", port=0):
        self.records, self.asked = records, []
        self.wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.wire.bind((address, port))
        self.port = self.wire.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                question, whom = self.wire.recvfrom(4096)
            except OSError:
                return
            self.wire.sendto(self.answer(question), whom)

    def answer(self, question):
        at, labels = 12, []
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        name, end = ".".join(labels), at + 5
        self.asked.append(name)
        texts = self.records.get(name)
        out = question[:2] + struct.pack(">HHHHH", 0x8180 if texts else 0x8183, 1,
                                         len(texts or ()), 0, 0) + question[12:end]
        for text in texts or ():
            data = bytes([len(text)]) + text.encode()
            out += b"\xc0\x0c" + struct.pack(">HHIH", 16, 1, 60, len(data)) + data
        return out

    def close(self):
        self.wire.close()


class Table(Case):
    def help(self):
        return subprocess.run([LUCIDD, "--help"], capture_output=True, text=True, check=True,
                              timeout=SECONDS_MAX).stdout

    def test_every_flag_is_in_the_table(self):
        text = self.help()
        flags = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text))
        variables = set(re.findall(r"\b(?:LUCIDD|OLLAMA|RUST)_[A-Z_]+\b", text)) - {"OLLAMA_HOST"}
        self.assertGreater(len(flags), 30)
        self.assertEqual(flags | variables, set(SHOWN))
        self.shown(SHOWN)

    def shown(self, table):
        for name, (file, what) in table.items():
            with self.subTest(name):
                self.assertTrue(what in (SOURCE / file).read_text(), f"{file} has no {what}")

    def test_every_key_and_header_is_in_the_table(self):
        policy = subprocess.run([LUCIDD, "policy", "show"], capture_output=True, text=True,
                                check=True, timeout=SECONDS_MAX).stdout
        self.assertEqual(set(re.findall(r"(?m)^(?:# )?([a-z_]+) = ", policy)), set(KEYS))
        face = (SOURCE / "src/api/faces/face.cpp").read_text().lower()
        self.assertEqual({name.lower() for name in HEADERS},
                         set(re.findall(r"x-lucid-[a-z-]+[a-z]", face)))
        self.shown(KEYS | HEADERS)

    def test_the_version_is_told(self):
        told = subprocess.run([LUCIDD, "--version"], capture_output=True, text=True, check=True,
                              timeout=SECONDS_MAX).stdout
        self.assertRegex(told, r"lucidd version \d+\.\d+\.\d+")

    def test_what_is_refused_is_named(self):
        for words, what in ((["--llama-server-binary", "x"], "no llama-server is started"),
                            (["--llama-serve-binary", "x"], "--llama-serve-binary"),
                            (["--dns-server", "dns.example"], "--dns-server"),
                            (["--mode", "both"], "--mode"), (["--threads", "0"], "--threads")):
            done = subprocess.run([LUCIDD, *words], capture_output=True, text=True, check=False,
                                  timeout=SECONDS_MAX, env={"HOME": str(self.folder)})
            self.assertNotEqual(done.returncode, 0, words)
            self.assertIn(what, done.stderr)


class Effects(Case):
    def test_names_that_are_allowed(self):
        node = self.echo("--allow-host", "lucid.example")
        for host, status in (("lucid.example", 200), ("lucid.example:80", 200),
                             ("evil.example", 403)):
            self.assertEqual(node.ask("GET", "/api/tags", headers={"Host": host}).status, status)

    def test_loopback_listens_there_only(self):
        node = Node(self, "--worker", "echo", network=True).ready()  # gives --loopback
        addresses = node.ask("GET", "/api/lucid/status").json()["listen_addresses"]
        self.assertTrue(addresses)
        for address in addresses:
            self.assertTrue(address.startswith("/ip4/127.0.0.1/"), address)
            self.assertIn(f"/{node.peer_port}", address)

    def test_the_identity_is_the_files(self):
        file = self.folder / "own.key"
        first = self.echo("--identity-path", file, name="first")
        peer = first.peer_id()
        self.assertEqual(first.stop(), 0)
        self.assertEqual(file.stat().st_mode & 0o077, 0)
        self.assertEqual(self.echo("--identity-path", file, name="second").peer_id(), peer)
        self.assertNotEqual(self.echo(name="third").peer_id(), peer)

    def test_the_log_is_as_it_was_asked_for(self):
        def log(*words, level=None):
            environment = {"RUST_LOG": level} if level else {}
            node = Node(self, "--worker", "echo", *words, environment=environment)
            poll(lambda: self.answers(node), "an answer")
            node.stop()
            return node.log()
        self.assertTrue(log("--log-format", "json").lstrip().startswith("{"))
        self.assertIn("ready:", log())
        self.assertNotIn("ready:", log("--log-level", "error"))
        self.assertNotIn("ready:", log(level="error"))
        self.assertNotIn("ready:", log(level="info,lucidd=warn"))
        self.assertIn("ready:", log("--log-level", "info", level="error"))

    def answers(self, node):
        try:
            return node.ask("GET", "/").status == 200
        except OSError:
            return False

    def threads_at_work(self, node):
        """The most threads a worker has while it reads long texts."""
        text = "a long text of many words " * 40
        node.ask("POST", "/api/embed", {"model": "minilm", "input": "to load it"})
        done = threading.Thread(target=node.ask, args=(
            "POST", "/api/embed", {"model": "minilm", "input": [text] * 4}))
        done.start()
        most, workers = 0, node.workers()
        while done.is_alive():
            for worker in workers:
                try:
                    most = max(most, len(os.listdir(f"/proc/{worker}/task")))
                except OSError:
                    pass  # it ended
        done.join()
        return most

    def test_engine_flags_reach_the_engine(self):
        self.publish("minilm.f16.gguf", "minilm")
        node = self.tiny("--llama-ctx-size", "512", "--llama-n-gpu-layers", "-1", "--threads", "2",
                         "--keep-alive", "-1", "--isolation", "none",
                         "--worker-path", BUILD / "bin" / "phase-worker")
        self.assertEqual(node.chat("Hello").status, 200)
        running = node.ask("GET", "/api/ps").json()["models"][0]
        self.assertEqual(running["context_length"], 512)
        self.assertGreater(running["expires_at"], "2100", "for ever")
        self.assertFalse(node.ask("GET", "/api/lucid/status").json()["isolated"])
        poll(lambda: self.threads_at_work(node) >= 2, "two threads of the engine")
        lost = Node(self, "--model-dir", self.models, "--worker-path", "/nowhere/worker",
                    name="lost")
        self.assertNotEqual(lost.wait(), 0)
        self.assertIn("/nowhere/worker", lost.log())


class Bootstrap(Case):
    """A node that meets another through DNS."""

    def known(self):
        self.publish()
        return Node(self, "--model-dir", self.models, name="known", network=True,
                    policy="allow_unauthenticated_jobs = true\n").ready()

    def connected(self, node):
        return poll(lambda: node.ask("GET", "/api/lucid/status").json()["peers_connected"],
                    "a connection")

    def test_peers_are_found_by_txt_records(self):
        known = self.known()
        tcp = known.addresses()[1]
        for name, records in (("earlier", {"first.example": ["v=spf1 -all", " " + tcp]}),
                              ("dnsaddr", {"_dnsaddr.first.example": ["dnsaddr=" + tcp]})):
            with self.subTest(name):
                server = Dns(records)
                self.addCleanup(server.close)
                node = Node(self, "--no-local-worker", "--bootstrap-dns", "none.example",
                            "--bootstrap-dns", "first.example",
                            "--dns-server", f"127.0.0.1:{server.port}", name=name,
                            network=True).ready()
                self.assertIn("1 addresses of peers", node.log())
                self.assertIn("--bootstrap-dns none.example: ", node.log())
                self.assertEqual(self.connected(node), 1)

    def test_a_server_that_is_silent_does_not_keep_the_node_from_starting(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            node = Node(self, "--worker", "echo", "--bootstrap-dns", "first.example",
                        "--dns-server", f"127.0.0.1:{silent.getsockname()[1]}",
                        network=True).ready()
            self.assertIn("--bootstrap-dns first.example: ", node.log())

    def test_the_fallback_is_asked_where_the_system_names_no_server(self):
        """In a network of its own, whose only host is 1.1.1.1, and without a resolv.conf."""
        allowed = subprocess.run(["unshare", "-rmn", "ip", "link", "set", "lo", "up"],
                                 capture_output=True, timeout=SECONDS_MAX, check=False)
        if allowed.returncode != 0:
            self.skipTest(f"namespaces are not allowed: {allowed.stderr.decode().strip()}")
        done = subprocess.run(["unshare", "-rmn", sys.executable, __file__, "--inside",
                               str(self.folder)], capture_output=True, text=True, check=False,
                              timeout=SECONDS_MAX, env=dict(os.environ))
        self.assertEqual(done.returncode, 0, done)
        self.assertIn("without: skipped", done.stdout)
        self.assertIn("with: asked first.example", done.stdout)


def inside(folder):
    """In namespaces of our own: what --dns-fallback changes."""
    for words in ("ip link set lo up", "ip address add 1.1.1.1/32 dev lo",
                  "mount --bind /dev/null /etc/resolv.conf"):
        subprocess.run(words.split(), check=True, timeout=SECONDS_MAX)
    address = "/ip4/127.0.0.1/tcp/9/p2p/12D3KooWJ6vTjo6yFgEc9YbFWp8hd3JYfpaE2CxhYKvWcPozaNJB"
    server = Dns({"first.example": [address]}, "1.1.1.1", 53)

    class Inside(Case):
        def runTest(self):
            bare = Node(self, "--worker", "echo", "--bootstrap-dns", "first.example", name="bare",
                        network=True).ready()
            self.assertIn("names no DNS server", bare.log())
            self.assertEqual(server.asked, [])
            print("without: skipped")
            node = Node(self, "--worker", "echo", "--bootstrap-dns", "first.example",
                        "--dns-fallback", name="fallback", network=True).ready()
            self.assertIn("1 addresses of peers", node.log())
            print("with: asked", *server.asked)
    os.chdir(folder)
    return 0 if unittest.TextTestRunner().run(Inside()).wasSuccessful() else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        sys.exit(inside(sys.argv[2]))
    main()
