#!/usr/bin/env python3
"""A lucidd that speaks TLS: curl as the client, certificates of openssl."""

import signal
import socket
import ssl
import subprocess

from lucid_case import LUCIDD, SECONDS_MAX, Case, Node, main, poll


class Tls(Case):
    def certificate(self, name, *names, days=2):
        """Paths of a certificate that signs itself, and its key."""
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}-key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-keyout", key, "-out", certificate, "-days", str(days), "-subj", "/CN=test",
             "-addext", "subjectAltName=" + ",".join(names or ("IP:127.0.0.1", "DNS:localhost"))],
            check=True, capture_output=True, timeout=SECONDS_MAX)
        key.chmod(0o600)
        return certificate, key

    def secure(self, *words, names=(), **options):
        self.pem, self.key = self.certificate("server", *names)
        return self.echo("--tls-cert", self.pem, "--tls-key", self.key, *words, **options)

    def curl(self, *words):
        return subprocess.run(["curl", "-sS", "--max-time", "60", *map(str, words)],
                              capture_output=True, text=True, timeout=SECONDS_MAX, check=False)

    def url(self, node, path, host="127.0.0.1"):
        return f"https://{host}:{node.port}{path}"

    def test_curl_is_served_when_it_trusts_the_certificate_and_not_else(self):
        node = self.secure()
        self.assertIn(f"ready: https://127.0.0.1:{node.port}", node.log())
        done = self.curl("--cacert", self.pem, self.url(node, "/api/version"))
        self.assertIn('"version"', done.stdout, done)
        body = '{"model":"echo","messages":[{"role":"user","content":"abc"}]}'
        done = self.curl("--cacert", self.pem, self.url(node, "/api/chat"), "-d", body)
        self.assertEqual(done.returncode, 0, done)
        self.assertTrue(done.stdout.splitlines()[-1].startswith('{"model":"echo"'), done)
        self.assertIn('"done":true', done.stdout)
        # RFC 9112 §9.8: what ends without an alert was cut off; curl would say so.
        done = self.curl("--cacert", self.pem, "--http1.0", self.url(node, "/api/chat"), "-d", body)
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual(self.curl(self.url(node, "/")).returncode, 60)
        other, _ = self.certificate("other")
        self.assertEqual(self.curl("--cacert", other, self.url(node, "/")).returncode, 60)

    def test_old_versions_and_plain_http_are_refused(self):
        node = self.secure()
        for version in ("1.0", "1.1"):
            done = self.curl("--cacert", self.pem, "--tls-max", version, f"--tlsv{version}",
                             "--ciphers", "DEFAULT:@SECLEVEL=0", self.url(node, "/"))
            self.assertEqual(done.returncode, 35, done)
        done = self.curl("--cacert", self.pem, "--tls-max", "1.2", self.url(node, "/"))
        self.assertEqual(done.stdout, "Ollama is running", done)
        answer = node.ask("GET", "/api/version")
        self.assertEqual(answer.status, 400)
        self.assertIn("https://", answer.json()["error"])

    def test_bad_clients_cost_nobody_else_anything(self):
        node = self.secure()
        wires = [socket.create_connection(("127.0.0.1", node.port), SECONDS_MAX) for _ in range(50)]
        self.addCleanup(lambda: [wire.close() for wire in wires])
        for number, wire in enumerate(wires):
            if number % 2:
                wire.sendall(b"\x16\x03\x01\x02\x00" + bytes(range(256)))  # the rest never comes
        done = self.curl("--cacert", self.pem, self.url(node, "/"))
        self.assertEqual(done.stdout, "Ollama is running", done)
        # One that begins and falls silent is let go after the handshake's limit.
        wires[0].settimeout(SECONDS_MAX)
        self.assertEqual(wires[0].recv(1), b"")
        # One that leaves while it is answered does not keep the node from ending.
        context = ssl.create_default_context(cafile=str(self.pem))
        with context.wrap_socket(socket.create_connection(("127.0.0.1", node.port), SECONDS_MAX),
                                 server_hostname="localhost") as wire:
            wire.sendall(b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\n"
                         b"Content-Length: 9\r\n\r\n{")
        self.assertEqual(node.stop(), 0, node.log())

    def test_keys_go_with_it_and_verbs_find_it(self):
        keys = self.folder / "keys"
        keys.write_text("a-key-of-good-length\n")
        node = self.secure("--api-keys", keys)
        done = self.curl("--cacert", self.pem, "-o", "/dev/null", "-w", "%{http_code}",
                         self.url(node, "/api/tags"))
        self.assertEqual(done.stdout, "401", done)
        done = self.curl("--cacert", self.pem, "-H", "Authorization: Bearer a-key-of-good-length",
                         self.url(node, "/api/tags"))
        self.assertIn("echo:latest", done.stdout, done)
        right = ["--port", node.port, "--tls-cert", self.pem, "--api-keys", keys]
        done = self.lucidd("status", *right)
        self.assertIn(node.peer_id(), done.stdout, done)
        other, _ = self.certificate("other")
        for words, what in ((["--port", node.port], "https://"),
                            (right[:4], "--api-keys"),
                            (["--port", node.port, "--tls-cert", other], "certificate")):
            done = self.lucidd("status", *words)
            self.assertNotEqual(done.returncode, 0, words)
            self.assertIn(what, done.stderr)

    def lucidd(self, *words):
        return subprocess.run([LUCIDD, *map(str, words)], capture_output=True, text=True,
                              timeout=SECONDS_MAX, check=False, env={"HOME": str(self.folder)})

    def test_names_of_the_certificate_may_be_the_host(self):
        node = self.secure(names=("DNS:lucid.example", "IP:127.0.0.1"))
        to = ["--cacert", self.pem, "--connect-to", f"::127.0.0.1:{node.port}"]
        done = self.curl(*to, "https://lucid.example/api/version")
        self.assertIn('"version"', done.stdout, done)
        done = self.curl(*to, "-H", "Host: evil.example", "https://lucid.example/api/version")
        self.assertNotIn('"version"', done.stdout, done)

    def test_a_renewed_certificate_is_taken_at_sighup_and_a_wrong_one_is_not(self):
        node = self.secure()
        old = self.folder / "old.pem"
        old.write_bytes(self.pem.read_bytes())
        self.pem.write_text("nothing\n")
        node.signal(signal.SIGHUP)
        poll(lambda: "the last good certificate stays" in node.log(), "the refusal")
        self.assertEqual(self.curl("--cacert", old, self.url(node, "/")).returncode, 0)
        self.certificate("server")
        node.signal(signal.SIGHUP)
        poll(lambda: "the certificate is read again" in node.log(), "the new certificate")
        self.assertEqual(self.curl("--cacert", old, self.url(node, "/")).returncode, 60)
        self.assertEqual(self.curl("--cacert", self.pem, self.url(node, "/")).returncode, 0)

    def test_a_node_does_not_start_with_wrong_files(self):
        pem, key = self.certificate("good")
        _, other = self.certificate("other")
        open_key = self.folder / "open.pem"
        open_key.write_bytes(key.read_bytes())
        open_key.chmod(0o644)
        for words, what in ((["--tls-cert", pem], "--tls-key"), (["--tls-key", key], "--tls-cert"),
                            (["--tls-cert", pem, "--tls-key", other], "key"),
                            (["--tls-cert", key, "--tls-key", key], "certificate"),
                            (["--tls-cert", pem, "--tls-key", open_key], "chmod 600"),
                            (["--tls-cert", pem, "--tls-key", self.folder / "none"], "none")):
            node = Node(self, "--worker", "echo", *words)
            self.assertNotEqual(node.wait(), 0, words)
            self.assertIn(what, node.log())

    def test_what_is_open_to_others_is_said_loudly(self):
        def warnings(*words):
            node = Node(self, "--worker", "echo", "--host", "0.0.0.0", *words).ready()
            said = [line for line in node.log().splitlines() if "SECURITY" in line]
            node.stop()
            return " ".join(said)
        bare = warnings()
        self.assertIn("--api-keys", bare)
        self.assertIn("--tls-cert", bare)
        keys = self.folder / "keys"
        keys.write_text("a-key-of-good-length\n")
        pem, key = self.certificate("server")
        self.assertNotIn("--api-keys FILE asks", warnings("--api-keys", keys))
        self.assertEqual(warnings("--api-keys", keys, "--tls-cert", pem, "--tls-key", key), "")


if __name__ == "__main__":
    main()
