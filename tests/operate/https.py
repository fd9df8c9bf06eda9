"""A coordinator that speaks TLS, and nodes that look it up by https."""

import os
import subprocess
import unittest

from fleet_lab import AMBIENT, LabTest, wait_until

HEALTH_SECONDS_MAX = 60


class Https(LabTest):
    def setUp(self):
        super().setUp()
        self.ca, ca_key = self.certificate("ca", "-addext", "basicConstraints=critical,CA:TRUE")
        self.other, _ = self.certificate("other")
        pem, key = self.certificate(
            "server", "-CA", self.ca, "-CAkey", ca_key,
            "-addext", "subjectAltName=IP:127.0.0.1,DNS:fleet.example.org",
            "-addext", "basicConstraints=critical,CA:FALSE")
        # The test's own requests, not those of the programs: their environment is another.
        before = os.environ.get("SSL_CERT_FILE")
        os.environ["SSL_CERT_FILE"] = str(self.ca)
        self.addCleanup(lambda: os.environ.update(SSL_CERT_FILE=before) if before
                        else os.environ.pop("SSL_CERT_FILE"))
        lab = self.lab
        lab.start("coordinator", [
            AMBIENT, "coordinator", "--listen", f"127.0.0.1:{lab.port}", "--mesh-listen",
            f"/ip4/127.0.0.1/tcp/{lab.mesh_port}/ws", "--data-dir", lab.folder / "coordinator",
            "--heartbeat-ms", "500", "--tls-cert", pem, "--tls-key", key])
        lab.url = lab.wait_log("coordinator", r"ready: .* at (https://\S+)").group(1)
        lab.first_administrator()

    def certificate(self, name, *words):
        """Paths of a certificate and its key; it signs itself unless `words` say who does."""
        pem, key = self.lab.folder / f"{name}.pem", self.lab.folder / f"{name}-key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                        "-keyout", key, "-out", pem, *map(str, words)], check=True,
                       capture_output=True)
        key.chmod(0o600)
        return pem, key

    def health(self, url, *words, **environment):
        done = subprocess.run(
            [AMBIENT, "health", "--data-dir", self.lab.folder / "health", "--coordinator-url", url,
             *map(str, words)], capture_output=True, text=True, check=False,
            timeout=HEALTH_SECONDS_MAX, env={**self.lab.environment, **environment})
        return done.returncode, done.stdout

    def test_a_node_joins_by_https_and_web_socket_and_works(self):
        lab = self.lab
        lab.start_agent("one", "--coordinator-ca", self.ca, token=lab.register("one"))
        lab.wait_measured("one")
        ended = lab.finish(lab.submit()["task_id"])
        self.assertEqual((ended["status"], ended["result"]["value"]["value"]), ("completed", 42))
        mesh = lab.ask("GET", "/api/v1/mesh")["addresses"]
        self.assertTrue(all("/ws" in address for address in mesh), mesh)
        # It comes back by itself, by the same way.
        self.assertEqual(lab.stop("one"), 0)
        lab.start_agent("one", "--coordinator-ca", self.ca)
        lab.wait_measured("one")

    def test_whom_it_does_not_believe_it_does_not_join(self):
        lab = self.lab
        lab.start_agent("one", "--coordinator-ca", self.other, token=lab.register("one"))
        lab.wait_log("one", "a certificate that nobody trusted here has signed")
        self.assertEqual(lab.node("one")["status"], "offline")
        self.assertFalse((lab.folder / "one" / "coordinator.peer").exists())
        lab.stop("one")
        lab.start_agent("one", "--coordinator-ca", lab.folder / "missing.pem")
        wait_until("it ends", lambda: lab.processes["one"].poll() is not None)
        self.assertIn("missing.pem", lab.log("one"))

    def test_health_says_what_is_wrong(self):
        url = self.lab.url
        for words, environment in ((["--coordinator-ca", self.ca], {}),
                                   ([], {"VCP_COORDINATOR_CA": str(self.ca)}),
                                   ([], {"SSL_CERT_FILE": str(self.ca)})):
            status, said = self.health(url, *words, **environment)
            self.assertEqual(status, 0, said)
            self.assertIn(f"at {url}", said)
        named = url.replace("127.0.0.1", "localhost")
        for address, words, what in ((url, [], "nobody trusted here has signed"),
                                     (url, [], "--coordinator-ca FILE"),
                                     (named, ["--coordinator-ca", self.ca], "not for localhost"),
                                     (url.replace("https", "http"), [], "answers 400")):
            status, said = self.health(address, *words)
            self.assertEqual(status, 1, said)
            self.assertIn(what, said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
