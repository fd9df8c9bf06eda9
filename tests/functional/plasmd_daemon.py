#!/usr/bin/env python3
"""plasmd start on loopback: ports, sockets, signals, the settings in force, the log."""

import grp
import json
import os
import signal
import socket
import stat
import subprocess

from plasmd_lab import BUILD, HELLO, SECONDS_MAX, Case, Home, main, poll, write_modules
from ports import free_port

PHASE = BUILD / "bin" / "phase"


class Daemon:
    """A plasmd in a test's home, off the local network unless told otherwise."""

    def __init__(self, case, *words, name="node"):
        self.case = case
        self.socket = case.home.folder / f"{name}.sock"
        self.log_path = case.home.folder / f"{name}.log"
        base = ["start", "--data", case.home.folder / name, "--identity-path",
                case.home.folder / f"{name}.key", "--control-socket", self.socket, "--no-mdns"]
        with open(self.log_path, "wb") as log:
            self.process = case.home.start(*base, *words, stdin=subprocess.DEVNULL,
                                           stdout=subprocess.PIPE, stderr=log)

    def wait_ready(self):
        """Waits for its last start-up line; fails when it ends instead."""
        poll(lambda: "ready: 12D3KooW" in self.log() or self.process.poll() is not None)
        if self.process.poll() is not None:
            self.case.fail(f"not ready: {self.process.poll()} {self.log()}")
        return self

    def log(self):
        return self.log_path.read_text(errors="replace")

    def phase(self, *words, stdin=b""):
        return subprocess.run([PHASE, "--socket", self.socket, *map(str, words)], input=stdin,
                              capture_output=True, timeout=SECONDS_MAX, check=False,
                              env=self.case.home.environment, cwd=self.case.home.folder)

    def status(self):
        done = self.phase("status", "--json")
        self.case.exits(done, 0)
        return json.loads(done.stdout)

    def wait_end(self):
        out, _ = self.process.communicate(timeout=SECONDS_MAX)
        self.case.assertEqual(out, b"", "the log belongs on stderr")
        return self.process.returncode


def loopback(port):
    return ["--listen", f"/ip4/127.0.0.1/tcp/{port}",
            "--listen", f"/ip4/127.0.0.1/udp/{port}/quic-v1"]


class Start(Case):
    def test_runs_jobs_and_drains_after_sigterm(self):
        node = Daemon(self, *loopback(0)).wait_ready()
        status = node.status()
        self.assertTrue(status["network"])
        self.assertTrue(all("/127.0.0.1/" in address for address in status["listen_addresses"]))
        self.assertEqual(len(status["listen_addresses"]), 2)
        done = node.phase("run", "--local", "--stdin", "-", HELLO, stdin=b"Hello, World")
        self.exits(done, 0)
        self.assertEqual(done.stdout, b"dlroW ,olleH")
        node.process.send_signal(signal.SIGTERM)
        self.assertEqual(node.wait_end(), 0)
        self.assertFalse(node.socket.exists())
        self.assertIn("drained", node.log())

    def test_a_taken_port_is_named_with_the_flag(self):
        port = free_port()
        Daemon(self, *loopback(port)).wait_ready()
        second = Daemon(self, *loopback(port), name="second")
        self.assertEqual(second.wait_end(), 1)
        self.assertIn(str(port), second.log())
        self.assertIn("--listen", second.log())

    def test_a_wrong_address_is_an_error(self):
        node = Daemon(self, "--listen", "localhost:4001")
        self.assertEqual(node.wait_end(), 1)
        self.assertIn("localhost:4001", node.log())

    def test_a_running_daemon_keeps_its_socket_and_a_dead_ones_is_replaced(self):
        first = Daemon(self, "--no-network").wait_ready()
        other = self.home.start("start", "--no-network", "--control-socket", first.socket,
                                "--identity-path", self.home.folder / "o.key",
                                "--data", self.home.folder / "o")
        _, said = other.communicate(timeout=SECONDS_MAX)
        self.assertEqual(other.returncode, 1, said)
        self.assertIn(str(first.socket), said.decode())
        first.status()
        first.process.kill()
        first.process.wait()
        self.assertTrue(first.socket.exists())
        Daemon(self, "--no-network").wait_ready().status()

    def test_a_data_folder_belongs_to_one_daemon(self):
        first = Daemon(self, "--no-network").wait_ready()
        other = self.home.start("start", "--no-network", "--control-socket",
                                self.home.folder / "o.sock", "--identity-path",
                                self.home.folder / "o.key", "--data", self.home.folder / "node")
        _, said = other.communicate(timeout=SECONDS_MAX)
        self.assertEqual(other.returncode, 75, said)
        first.status()

    def test_its_files_are_private(self):
        os.umask(0)
        self.addCleanup(os.umask, 0o022)
        node = Daemon(self, "--no-network").wait_ready()
        modes = {path: stat.S_IMODE((self.home.folder / path).stat().st_mode)
                 for path in ("node", "node.key", "node.sock", "node/plasmd.db")}
        self.assertEqual(modes, {"node": 0o700, "node.key": 0o600, "node.sock": 0o660,
                                 "node/plasmd.db": 0o600})
        node.status()

    def test_a_folder_that_was_there_keeps_its_mode(self):
        folder = self.home.folder / "node"
        folder.mkdir()
        folder.chmod(0o755)
        Daemon(self, "--no-network").wait_ready()
        self.assertEqual(stat.S_IMODE(folder.stat().st_mode), 0o755)


class Ways(Case):
    """Kinds of nodes and of addresses, on loopback: each has a job done by the other."""

    def run_between(self, provider_words, requester_words):
        provider = Daemon(self, "--open", *provider_words, name="provider").wait_ready()
        status = provider.status()
        told = [word for address in status["listen_addresses"]
                for word in ("--bootstrap", f"{address}/p2p/{status['peer_id']}")]
        requester = Daemon(self, *told, *requester_words, name="requester").wait_ready()
        done = requester.phase("run", "--remote", "--json", "--stdin", "-", HELLO,
                               stdin=b"Hello, World")
        self.exits(done, 0)
        self.assertEqual(json.loads(done.stdout)["provider"], status["peer_id"])
        return provider

    def test_over_ip_version_6(self):
        both = ["--listen", "/ip6/::1/tcp/0", "--listen", "/ip6/::1/udp/0/quic-v1"]
        provider = self.run_between(both, both)
        for address in provider.status()["listen_addresses"]:
            self.assertTrue(address.startswith("/ip6/::1/"), address)

    def test_by_ip_version_6_over_tcp_alone(self):
        self.run_between(["--listen", "/ip6/::1/tcp/0"], ["--listen", "/ip6/::1/tcp/0"])

    def test_a_requester_that_is_a_client_of_the_dht(self):
        self.run_between(loopback(0), ["--dht", "client", *loopback(0)])

    def test_where_no_router_answers_upnp(self):
        self.run_between([*loopback(0), "--upnp"], loopback(0))


class Signals(Case):
    @classmethod
    def setUpClass(cls):
        cls.shared = Home()
        cls.modules = write_modules(cls.shared.folder / "modules")

    @classmethod
    def tearDownClass(cls):
        cls.shared.close()

    def submit_sleeper(self, node):
        """A job that ran so far as to say so, and goes on sleeping."""
        client = subprocess.Popen([PHASE, "--socket", node.socket, "run", "--local",
                                   "--timeout", "600", self.modules / "ready_then_sleep.wasm"],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  stdin=subprocess.DEVNULL, env=self.home.environment)
        self.home.started.append(client)
        self.assertEqual(client.stdout.read(5), b"ready")
        return client

    def test_a_running_job_is_ended_with_a_receipt_when_the_time_is_up(self):
        node = Daemon(self, "--no-network", "--drain-seconds", "1").wait_ready()
        self.submit_sleeper(node)
        node.process.send_signal(signal.SIGTERM)
        self.assertEqual(node.wait_end(), 0)
        again = Daemon(self, "--no-network").wait_ready()
        jobs = json.loads(again.phase("job", "list", "--json").stdout)["jobs"]
        self.assertEqual([job["state"] for job in jobs], ["done"])
        shown = json.loads(again.phase("receipt", "show", jobs[0]["id"], "--json").stdout)
        self.assertEqual((shown["completion"]["kind"], shown["completion"]["reason"]),
                         ("failed", "shutdown"))

    def test_a_draining_node_takes_no_new_job(self):
        node = Daemon(self, "--no-network", "--drain-seconds", "600").wait_ready()
        self.submit_sleeper(node)
        node.process.send_signal(signal.SIGTERM)
        poll(lambda: "no new jobs" in node.log())
        done = node.phase("run", "--local", HELLO)
        self.assertNotEqual(done.returncode, 0)
        self.assertIsNone(node.process.poll())
        node.process.send_signal(signal.SIGTERM)
        self.assertEqual(node.wait_end(), 128 + signal.SIGTERM)
        self.assertFalse(node.socket.exists())

    def test_a_second_signal_stops_at_once(self):
        node = Daemon(self, "--no-network", "--drain-seconds", "600").wait_ready()
        self.submit_sleeper(node)
        node.process.send_signal(signal.SIGINT)
        poll(lambda: "no new jobs" in node.log())  # equal signals that wait are one
        node.process.send_signal(signal.SIGINT)
        self.assertEqual(node.wait_end(), 128 + signal.SIGINT)

    def test_more_local_jobs_than_places_wait_their_turn(self):
        node = Daemon(self, "--no-network", "--max-jobs", "2").wait_ready()
        clients = [subprocess.Popen([PHASE, "--socket", node.socket, "run", "--local", "--quiet",
                                     "--stdin", "-", HELLO], stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    env=self.home.environment) for _ in range(12)]
        self.home.started += clients
        for number, client in enumerate(clients):  # all first: who waits keeps a place
            client.stdin.write(f"{number:03}".encode())
            client.stdin.close()
            client.stdin = None
        for number, client in enumerate(clients):
            out, said = client.communicate(timeout=SECONDS_MAX)
            self.assertEqual((client.returncode, out), (0, f"{number:03}".encode()[::-1]), said)


class Settings(Case):
    def test_the_file_is_in_force(self):
        token = self.home.folder / "token"
        token.write_text("a-token-of-enough-bytes\n")
        token.chmod(0o600)
        path = self.home.folder / "c.json"
        path.write_text(json.dumps({
            "listen_addrs": ["/ip4/127.0.0.1/tcp/0"], "max_concurrent_jobs": 3, "open": True,
            "log_format": "json", "isolation": "none", "region": "here",
            "control_tcp": {"port": free_port(), "token_file": str(token)}}))
        node = Daemon(self, "--config", path).wait_ready()
        status = node.status()
        self.assertEqual(len(status["listen_addresses"]), 1)
        self.assertEqual(status["jobs"]["max"], 3)
        self.assertTrue(status["open"])
        self.assertEqual(status["isolation"], ["none"])
        for line in node.log().splitlines():
            self.assertEqual(set(json.loads(line)), {"time", "level", "message"})
        port = json.loads(path.read_text())["control_tcp"]["port"]
        self.assertEqual(self.get_status(port, ""), 401)
        bearer = "Authorization: Bearer a-token-of-enough-bytes\r\n"
        self.assertEqual(self.get_status(port, bearer), 200)

    def test_the_control_group_may_use_the_socket(self):
        if os.geteuid() != 0:
            self.skipTest("giving a file to another group needs root")
        node = Daemon(self, "--no-network", "--control-group", "nogroup").wait_ready()
        found = node.socket.stat()
        self.assertEqual((grp.getgrgid(found.st_gid).gr_name, stat.S_IMODE(found.st_mode)),
                         ("nogroup", 0o660))
        unknown = Daemon(self, "--no-network", "--control-group", "no-such-group", name="other")
        self.assertEqual(unknown.wait_end(), 2)
        self.assertIn("no-such-group", unknown.log())

    def get_status(self, port, header):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(f"GET /v1/status HTTP/1.1\r\nHost: localhost\r\n{header}"
                           "Connection: close\r\n\r\n".encode())
            return int(client.recv(64).split()[1])

    def test_open_says_what_it_means(self):
        node = Daemon(self, "--open", *loopback(0)).wait_ready()
        self.assertIn("anybody who can reach this node may run jobs here", node.log())

    def test_nobody_may_by_default_and_it_says_so(self):
        node = Daemon(self, *loopback(0)).wait_ready()
        self.assertIn("nobody is on the allowlist", node.log())
        self.assertFalse(node.status()["open"])

    def test_without_a_network_remote_jobs_have_a_clear_error(self):
        node = Daemon(self, "--no-network").wait_ready()
        done = node.phase("run", "--remote", HELLO)
        self.exits(done, 69)
        self.assertIn(b"--no-network", done.stderr)

    def test_no_secret_is_logged(self):
        node = Daemon(self, "--log-level", "trace", *loopback(0)).wait_ready()
        key = (self.home.folder / "node.key").read_bytes()
        self.assertNotIn(key.hex(), node.log().lower())


if __name__ == "__main__":
    main()
