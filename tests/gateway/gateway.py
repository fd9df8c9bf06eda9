"""A gateway as a process: what it relays, refuses and cuts."""

import hashlib
import http.server
import json
import os
import pathlib
import queue
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

BUILD = pathlib.Path(os.environ.get("PHASE_BUILD") or "build").resolve()
PROGRAM = BUILD / "bin" / "ambient-vcp"
SECONDS_MAX = 60
LARGE = 2 * 1024 * 1024


class Server:
    """A destination: `serve(socket)` for each connection, in a thread."""

    def __init__(self, serve):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.met = 0
        self.serve = serve
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                one, _ = self.listener.accept()
            except OSError:
                return
            self.met += 1
            threading.Thread(target=self._serve, args=(one,), daemon=True).start()

    def _serve(self, one):
        with one:
            try:
                self.serve(one)
            except OSError:
                pass

    def close(self):
        self.listener.close()


def echo(one):
    while piece := one.recv(65536):
        one.sendall(piece)


def answer_after_the_end(one):
    """Says how much came and its hash, but only once the other side has said that this is all."""
    whole = hashlib.sha256()
    count = 0
    while piece := one.recv(65536):
        whole.update(piece)
        count += len(piece)
    one.sendall(f"{count} {whole.hexdigest()}".encode())


def pace(seconds):
    """Between two bytes of a client that is slow on purpose; nothing is waited for."""
    threading.Event().wait(seconds)


def session(name, destinations=("localhost", "127.0.0.1"), seconds=3600, **more):
    return {"session_id": name, "session_token": "cs_" + name,
            "egress_profile": "allowlist_domains", "destination_policy_id": "test",
            "allowed_destinations": list(destinations),
            "expires_at_epoch_seconds": int(time.time()) + seconds, **more}


class Gateway:
    def __init__(self, folder, *flags, file=True, environment=None):
        self.file = folder / "sessions.json"
        where = ["--sessions-file", str(self.file)] if file else []
        self.lines = queue.Queue()
        self.seen = []
        for flag, value in (("--listen", "127.0.0.1:0"), ("--drain-seconds", "1")):
            if flag not in flags:
                where += [flag, value]
        self.process = subprocess.Popen(
            [PROGRAM, "gateway", *where, "--log-format", "json", *flags],
            stderr=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})})
        threading.Thread(target=self._read, daemon=True).start()
        self.port = int(self.wait(r"^ready: [\d.]+:(\d+)").group(1))

    def _read(self):
        for line in self.process.stderr:
            self.lines.put(json.loads(line)["message"])

    def wait(self, pattern):
        """The next line that fits."""
        deadline = time.monotonic() + SECONDS_MAX
        while True:
            try:
                line = self.lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {pattern}: {self.seen}") from None
            self.seen.append(line)
            if found := re.search(pattern, line):
                return found

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(SECONDS_MAX)
        self.process.stderr.close()
        return self.process.returncode


class Client:
    """One connection; `hello` says the first line and what follows at once."""

    def __init__(self, port, context=None):
        self.socket = socket.create_connection(("127.0.0.1", port), SECONDS_MAX)
        if context:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")

    def hello(self, name, destination, token=None, behind=b""):
        line = {"session_id": name, "session_token": token or "cs_" + name,
                "destination": destination}
        self.socket.sendall(json.dumps(line).encode() + b"\n" + behind)
        return self

    def line(self):
        out = b""
        while not out.endswith(b"\n"):
            piece = self.socket.recv(1)
            if not piece:
                break
            out += piece
        return out.decode()

    def read(self, count):
        out = bytearray()
        while len(out) < count:
            piece = self.socket.recv(65536)
            if not piece:
                break
            out += piece
        return bytes(out)

    def gone(self):
        """Waits until the other side has closed."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionResetError:
            pass
        return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def make_certificate(folder):
    """Paths of one for localhost, and of its key."""
    pem, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=test",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", pem],
                   check=True, capture_output=True)
    key.chmod(0o600)
    return pem, key


class GatewayCase(unittest.TestCase):
    flags = ["--allow-private"]

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="phase-gateway-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.echo = Server(echo)
        self.addCleanup(self.echo.close)

    def sessions(self, *entries):
        """Replaced whole, as any program would that others read from."""
        new = self.folder / "new"
        new.write_text(json.dumps(list(entries)))
        new.chmod(0o600)
        new.rename(self.folder / "sessions.json")

    def start(self, *flags, **more):
        gateway = Gateway(self.folder, *(flags or self.flags), **more)
        self.addCleanup(gateway.stop)
        return gateway

    def at(self, server=None, host="localhost"):
        return f"{host}:{(server or self.echo).port}"


class Relaying(GatewayCase):
    def test_two_mebibytes_both_ways(self):
        self.sessions(session("a"))
        gateway = self.start()
        data = os.urandom(LARGE)
        with Client(gateway.port) as client:
            self.assertEqual(client.hello("a", self.at()).line(), "OK\n")
            threading.Thread(target=client.socket.sendall, args=(data,), daemon=True).start()
            self.assertEqual(client.read(LARGE), data)
        ended = gateway.wait(r"relay 1 ended: session=a .*up_bytes=(\d+) down_bytes=(\d+)")
        self.assertEqual(ended.groups(), (str(LARGE), str(LARGE)))

    def test_bytes_behind_the_line_are_not_lost_and_a_half_close_is_one(self):
        self.sessions(session("a"))
        server = Server(answer_after_the_end)
        gateway = self.start()
        data = os.urandom(100_000)
        with Client(gateway.port) as client:
            client.hello("a", self.at(server), behind=data)
            client.socket.shutdown(socket.SHUT_WR)
            self.assertEqual(client.line(), "OK\n")
            said = client.read(1000).decode()
        self.assertEqual(said, f"{len(data)} {hashlib.sha256(data).hexdigest()}")
        gateway.wait(r"relay 1 ended: .*reason=closed up_bytes=100000")
        self.sessions()
        gateway.wait(r"session ended: session=a relays=1 up_bytes=100000 down_bytes=\d+")

    def test_traffic_arms_the_idle_timer_anew(self):
        self.sessions(session("a"))
        gateway = self.start("--allow-private", "--idle-timeout-seconds", "3")
        with Client(gateway.port) as client:
            self.assertEqual(client.hello("a", self.at()).line(), "OK\n")
            for _ in range(20):  # 6 s in all
                client.socket.sendall(b"x")
                self.assertEqual(client.read(1), b"x")
                pace(0.3)
            self.assertTrue(client.gone())
        gateway.wait(r"relay 1 ended: .*reason=idle up_bytes=20 down_bytes=20")

    def test_the_bandwidth_is_bounded(self):
        self.sessions(session("a", bandwidth_limit_mbps=1))
        size = 400_000
        source = Server(lambda one: one.sendall(b"x" * size))
        gateway = self.start()
        with Client(gateway.port) as client:
            self.assertEqual(client.hello("a", self.at(source)).line(), "OK\n")
            began = time.monotonic()
            self.assertEqual(len(client.read(size)), size)
            # A bound from below: no machine is so slow that it makes this fail.
            self.assertGreaterEqual(time.monotonic() - began, (size - 16_384) / 125_000 * 0.99)

    def test_many_at_once(self):
        self.sessions(*(session(f"s{i}") for i in range(10)))
        gateway = self.start()
        clients = [Client(gateway.port).hello(f"s{i % 10}", self.at()) for i in range(50)]
        for client in clients:
            self.assertEqual(client.line(), "OK\n")
        for number, client in enumerate(clients):
            client.socket.sendall(f"this is {number:04}".encode())
        for number, client in enumerate(clients):
            self.assertEqual(client.read(12), f"this is {number:04}".encode())
            client.socket.close()


class Refusing(GatewayCase):
    def refusal(self, gateway, *words, **more):
        with Client(gateway.port) as client:
            said = client.hello(*words, **more).line()
            self.assertEqual(client.read(1), b"")
        return said

    def test_what_is_wrong_with_session_or_token_is_not_told(self):
        self.sessions(session("a"), session("old", seconds=-1))
        gateway = self.start()
        told = {self.refusal(gateway, "b", self.at()), self.refusal(gateway, "old", self.at()),
                self.refusal(gateway, "a", self.at(), token="cs_b"),
                self.refusal(gateway, "a", self.at(), token="CS_A")}
        self.assertEqual(len(told), 1)
        self.assertTrue(told.pop().startswith("ERROR denied: "))
        self.assertEqual(self.echo.met, 0)

    def test_other_destinations(self):
        self.sessions(session("a", ["*.example.org"]),
                      session("named", [], egress_profile="protocol_limited"),
                      session("any", [], egress_profile="metered_general_egress"))
        gateway = self.start()
        for name, host in (("a", "localhost"), ("a", "127.0.0.1"), ("named", "127.0.0.1"),
                           ("named", "[::1]")):
            said = self.refusal(gateway, name, self.at(host=host))
            self.assertTrue(said.startswith("ERROR destination: "), said)
        self.assertEqual(self.echo.met, 0)
        for host in ("127.1", "0x7f000001", "2130706433"):
            said = self.refusal(gateway, "any", self.at(host=host))
            self.assertTrue(said.startswith("ERROR malformed: "), said)
        for name, host in (("named", "localhost"), ("any", "127.0.0.1")):
            with Client(gateway.port) as client:
                self.assertEqual(client.hello(name, self.at(host=host)).line(), "OK\n")

    def test_private_addresses(self):
        self.sessions(session("a"), session("any", [], egress_profile="metered_general_egress"))
        gateway = self.start("--drain-seconds", "2")
        for name, host in (("a", "localhost"), ("a", "127.0.0.1"), ("any", "[::1]"),
                           ("any", "[::ffff:127.0.0.1]"), ("any", "0.0.0.0"), ("any", "10.0.0.1"),
                           ("any", "169.254.169.254"), ("any", "[fe80::1]")):
            said = self.refusal(gateway, name, self.at(host=host))
            self.assertTrue(said.startswith("ERROR destination: "), (host, said))
        self.assertEqual(self.echo.met, 0)

    def test_what_is_no_handshake(self):
        self.sessions(session("a"))
        gateway = self.start()
        for first in (b"GET / HTTP/1.1\r\n", b"\n", b"{}\n", b"[]\n", b"x" * 5000,
                      b'{"session_id":"a","session_token":"cs_a","destination":"localhost"}\n'):
            with Client(gateway.port) as client:
                client.socket.sendall(first)
                self.assertTrue(client.line().startswith("ERROR malformed: "), first[:40])
        with Client(gateway.port) as client:
            self.assertEqual(client.hello("a", self.at()).line(), "OK\n")

    def test_a_line_that_does_not_come(self):
        self.sessions(session("a"))
        gateway = self.start("--handshake-timeout-seconds", "1")
        with Client(gateway.port) as client:
            client.socket.sendall(b'{"session_id":')
            self.assertTrue(client.line().startswith("ERROR timeout: "))

    def test_nobody_there(self):
        self.sessions(session("a"))
        gateway = self.start()
        with socket.socket() as one:  # bound, and nobody listens
            one.bind(("127.0.0.1", 0))
            said = self.refusal(gateway, "a", f"127.0.0.1:{one.getsockname()[1]}")
        self.assertTrue(said.startswith("ERROR unreachable: "), said)


class Cutting(GatewayCase):
    def begin(self, gateway, name):
        client = Client(gateway.port).hello(name, self.at())
        self.addCleanup(client.socket.close)
        self.assertEqual(client.line(), "OK\n")
        client.socket.sendall(b"x")
        self.assertEqual(client.read(1), b"x")
        return client

    def test_a_session_taken_out_of_the_file_ends_at_once(self):
        self.sessions(session("a"), session("b"), session("c"))
        gateway = self.start()
        gone, moved, stays = (self.begin(gateway, name) for name in "abc")
        self.sessions(session("b", ["elsewhere.example"]), session("c"))
        self.assertTrue(gone.gone())
        self.assertTrue(moved.gone())
        reasons = {gateway.wait(r"ended: session=(\w) .*reason=revoked").group(1) for _ in "ab"}
        self.assertEqual(reasons, {"a", "b"})
        stays.socket.sendall(b"y")
        self.assertEqual(stays.read(1), b"y")
        with Client(gateway.port) as client:
            self.assertTrue(client.hello("a", self.at()).line().startswith("ERROR denied: "))

    def test_a_session_that_is_over_ends(self):
        self.sessions(session("a", seconds=4))
        gateway = self.start()
        client = self.begin(gateway, "a")
        self.assertTrue(client.gone())
        gateway.wait(r"session=a .*reason=expired")
        gateway.wait(r"session ended: session=a relays=1 up_bytes=1 down_bytes=1")

    def test_a_broken_file_changes_nothing(self):
        self.sessions(session("a"))
        gateway = self.start()
        client = self.begin(gateway, "a")
        (self.folder / "sessions.json").write_text('[{"session_id": "a", ')
        gateway.wait("the sessions that were there stay: .*sessions.json: sessions: is no JSON")
        client.socket.sendall(b"y")
        self.assertEqual(client.read(1), b"y")
        (self.folder / "sessions.json").unlink()
        gateway.wait("the sessions that were there stay: ")
        self.begin(gateway, "a")
        self.sessions(session("b"))
        self.assertTrue(client.gone())
        gateway.wait("1 sessions")
        self.begin(gateway, "b")

    def test_sigterm_gives_relays_their_time_then_ends_them(self):
        self.sessions(session("a"))
        gateway = self.start("--allow-private", "--drain-seconds", "1")
        client = self.begin(gateway, "a")
        gateway.process.send_signal(signal.SIGTERM)
        gateway.wait("nobody is accepted any more")
        with self.assertRaises(OSError):
            Client(gateway.port)
        self.assertTrue(client.gone())
        gateway.wait("reason=stopped")
        self.assertEqual(gateway.process.wait(SECONDS_MAX), 0)


class Starting(GatewayCase):
    def fails(self, *flags, environment=None):
        done = subprocess.run([PROGRAM, "gateway", "--listen", "127.0.0.1:0", *flags], text=True,
                              capture_output=True, timeout=SECONDS_MAX, check=False,
                              env={**os.environ, **(environment or {})})
        self.assertNotEqual(done.returncode, 0)
        return done.stderr

    def test_says_what_is_missing(self):
        self.assertIn("--sessions-file FILE", self.fails())
        nowhere = str(self.folder / "nowhere.json")
        self.assertIn(nowhere, self.fails("--sessions-file", nowhere))
        (self.folder / "broken.json").write_text('[{"session_id": ""}]')
        self.assertIn("entry 1", self.fails("--sessions-file", str(self.folder / "broken.json")))
        self.assertIn("VCP_API_KEY", self.fails("--sessions-url", "http://127.0.0.1:1/x"))

    def test_warns_where_the_network_can_listen_in(self):
        self.sessions()
        gateway = self.start("--listen", "0.0.0.0:0")
        gateway.stop()
        while not gateway.lines.empty():
            gateway.seen.append(gateway.lines.get())
        self.assertTrue(any(line.startswith("WITHOUT TLS") for line in gateway.seen), gateway.seen)


class Asking(GatewayCase):
    def ask(self, scheme, wrap=lambda socket: socket, **environment):
        answer = {"sessions": [session("a")]}
        keys = []

        class Coordinator(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # noqa: N802
                keys.append((self.path, self.headers["X-API-Key"]))
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Coordinator) as coordinator:
            coordinator.socket = wrap(coordinator.socket)
            threading.Thread(target=coordinator.serve_forever, daemon=True).start()
            url = f"{scheme}://localhost:{coordinator.server_port}/api/v1/nodes/n/gateway-sessions"
            gateway = self.start("--allow-private", "--sessions-url", url, file=False,
                                 environment={"VCP_API_KEY": "vcp_key", **environment})
            client = Client(gateway.port).hello("a", self.at())
            self.addCleanup(client.socket.close)
            self.assertEqual(client.line(), "OK\n")
            answer["sessions"] = []
            self.assertTrue(client.gone())
            coordinator.shutdown()
        self.assertEqual(keys[0], ("/api/v1/nodes/n/gateway-sessions", "vcp_key"))
        gateway.wait("the sessions that were there stay")

    def test_sessions_from_an_address(self):
        self.ask("http")

    def test_sessions_from_an_address_with_a_certificate(self):
        pem, key = make_certificate(self.folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem, key)
        self.ask("https", lambda socket: context.wrap_socket(socket, server_side=True),
                 VCP_COORDINATOR_CA=str(pem))


class Encrypted(GatewayCase):
    def setUp(self):
        super().setUp()
        self.pem, self.key = make_certificate(self.folder)
        self.flags = ["--allow-private", "--tls-cert", str(self.pem), "--tls-key", str(self.key)]
        self.context = ssl.create_default_context(cafile=str(self.pem))

    def test_two_mebibytes_both_ways(self):
        self.sessions(session("a"))
        gateway = self.start()
        data = os.urandom(LARGE)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            self.context.maximum_version = version
            with Client(gateway.port, self.context) as client:
                self.assertEqual(client.hello("a", self.at()).line(), "OK\n")
                # One thread: TLS of this library is not for two. The echo holds what is on its way.
                got = bytearray()
                for at in range(0, LARGE, 32768):
                    client.socket.sendall(data[at:at + 32768])
                    while len(got) < at + 32768:
                        got += client.socket.recv(65536)
                self.assertEqual(bytes(got), data)

    def half_closed(self, gateway, server, then):
        """Says its end by close_notify, calls `then`, and reads to the other side's."""
        plain = socket.create_connection(("127.0.0.1", gateway.port), SECONDS_MAX)
        self.addCleanup(plain.close)
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(into, out, server_hostname="localhost")

        def drive(step):
            while True:
                try:
                    done = step()
                    plain.sendall(out.read())
                    return done
                except ssl.SSLWantReadError:
                    plain.sendall(out.read())
                    piece = plain.recv(65536)
                    if not piece:
                        into.write_eof()
                    into.write(piece)

        drive(tls.do_handshake)
        hello = {"session_id": "a", "session_token": "cs_a", "destination": self.at(server)}
        drive(lambda: tls.write(json.dumps(hello).encode() + b"\nfour"))
        self.assertEqual(drive(lambda: tls.read(3)), b"OK\n")
        with self.assertRaises(ssl.SSLWantReadError):
            tls.unwrap()  # says its end, and would wait for the other one's
        plain.sendall(out.read())
        then()
        said = bytearray()
        with self.assertRaises(ssl.SSLZeroReturnError):  # close_notify; a cut is SSLEOFError
            while True:
                said += drive(lambda: tls.read(65536))
        return bytes(said)

    def test_half_close(self):
        self.sessions(session("a"))
        gateway = self.start()
        said = self.half_closed(gateway, Server(answer_after_the_end), lambda: None)
        self.assertEqual(said.decode(), f"4 {hashlib.sha256(b'four').hexdigest()}")
        gateway.wait("relay 1 ended: .*reason=closed")

    def test_a_slow_client_gets_all_and_is_told_the_end(self):
        self.sessions(session("a"))
        gateway = self.start()
        data = os.urandom(LARGE) * 8

        def send_all(one):
            while one.recv(65536):
                pass
            one.sendall(data)

        said = self.half_closed(gateway, Server(send_all), lambda: pace(1))
        self.assertEqual(said, data)
        gateway.wait("relay 1 ended: .*reason=closed")

    def test_a_plain_client_gets_nowhere(self):
        self.sessions(session("a"))
        gateway = self.start()
        with Client(gateway.port) as client:
            client.hello("a", self.at())
            self.assertNotIn(b"OK", client.read(100))
        self.assertEqual(self.echo.met, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
