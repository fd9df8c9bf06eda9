"""lucidd on the hosts of a lab (lab.py), and how to ask it."""

import json
import pathlib
import subprocess
import sys
import time

from lab import READY_SECONDS_MAX, LabError, Node

HERE = pathlib.Path(__file__).resolve().parent
HTTP_PORT = 11434


class LucidNode(Node):
    """A running lucidd. Peers reach it at `peer_addresses()`, programs of its host at `url`."""

    def __init__(self, host, http_port, arguments, policy=""):
        self.host = host
        self.url = f"http://127.0.0.1:{http_port}"
        self.log_path = host.folder / "lucidd.log"
        policy_file = host.folder / "policy.toml"
        policy_file.write_text(policy)
        # Behind others for the processor: a small model would be done before anybody can interfere.
        words = ["nice", "-n", "19", host.lab.program("lucidd"),
                 "--port", http_port, "--data", host.folder / "data",
                 "--policy-config", policy_file, "--libp2p-port", host.port, "--no-mdns",
                 "--drain-seconds", 5, *([] if host.namespace else ["--loopback"]), *arguments]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(host.command(words), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=host.environment(),
                                            cwd=host.folder, start_new_session=True)
        host.lab.nodes[host.name] = self  # before it is waited for: Ctrl-C may come at any time
        self.peer_id = self._wait_line("ready: ").split()[-1]

    def _wait_line(self, mark):
        deadline = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < deadline:
            for line in self.log().splitlines():
                if mark in line:
                    return line
            if self.process.poll() is not None:
                raise LabError(f"{self.host.name}: lucidd ended with {self.process.returncode}:\n"
                               + self.log()[-2000:])
            time.sleep(0.05)
        raise LabError(f"{self.host.name}: lucidd was not ready in {READY_SECONDS_MAX} s:\n"
                       + self.log()[-2000:])

    def addresses(self):
        return [f"/ip4/{self.host.address}/{transport}/p2p/{self.peer_id}"
                for transport in (f"udp/{self.host.port}/quic-v1", f"tcp/{self.host.port}")]

    def _command(self, method, path, body):
        words = [sys.executable, HERE / "ask.py", method, self.url + path]
        return self.host.command(words + ([json.dumps(body)] if body is not None else []))

    def ask(self, method, path, body=None, timeout=120):
        """The whole answer: status, headers, body."""
        done = subprocess.run(self._command(method, path, body), capture_output=True,
                              timeout=timeout, env=self.host.environment(), check=False)
        lines = done.stderr.decode(errors="replace").splitlines()
        if not lines or not lines[0].startswith("{"):
            raise LabError(f"{method} {path}: {done.stderr.decode(errors='replace').strip()}")
        head = json.loads(lines[0])
        return head["status"], head["headers"], done.stdout

    def stream(self, path, body):
        """Lines of an answer as they come, each a JSON object; the first is {"headers": …}."""
        with subprocess.Popen(self._command("POST", path, body), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=self.host.environment()) as process:
            try:
                head = json.loads(process.stderr.readline() or "{}")
                yield {"headers": head.get("headers", {}), "status": head.get("status")}
                for line in process.stdout:
                    yield json.loads(line)
            finally:
                if process.poll() is None:
                    process.kill()
