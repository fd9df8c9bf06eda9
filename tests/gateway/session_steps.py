"""Steps of tests with a session: what a requester, a gateway and its clients do."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "operate")]

from fleet_lab import wait_until  # noqa: E402
from gateway import Client, Gateway, Server, echo  # noqa: E402
from lab import LabError  # noqa: E402

GATE = "gate.example.org:7000"  # where a gateway says that it is
POLICY = "/api/v1/destination-policies/test"


class SessionSteps:
    """Beside a LabTest."""

    def setUp(self):
        super().setUp()
        self.echo = Server(echo)
        self.addCleanup(self.echo.close)

    def add_gate(self, name, url=None):
        """A node of open_internet."""
        token = self.lab.register(name, node_type="open_internet")
        self.lab.start_agent(name, "--node-type", "open_internet", url=url, token=token)
        wait_until(f"{name} is online", lambda: self.lab.node(name)["status"] == "online")

    def gateway(self, node):
        """The gateway beside a node, with a key of the node's owner that may read only."""
        key = self.lab.ask("POST", "/api/v1/auth/api-keys",
                           {"name": node, "scopes": ["nodes:read"]}, expected=201)["api_key"]
        url = f"{self.lab.url}/api/v1/nodes/{node}/gateway-sessions"
        gateway = Gateway(self.lab.folder, "--allow-private", "--sessions-url", url, "--announce",
                          GATE, file=False, environment={"VCP_API_KEY": key})
        self.addCleanup(gateway.stop)
        return gateway

    def submit(self, seconds=300, expected=201, **inputs):
        inputs = {"session_id": "sess_123", "requester_id": "somebody", "duration_seconds": seconds,
                  "bandwidth_limit_mbps": 100, "egress_profile": "allowlist_domains",
                  "destination_policy_id": "test", **inputs}
        return self.lab.submit("connect_only", inputs, expected=expected,
                               max_execution_time_sec=max(300, seconds))

    def allow(self, *rules):
        return self.lab.ask("PUT", POLICY, {"allowed_destinations": list(rules)})

    def start_session(self, task):
        task_id = task["task_id"]
        wait_until("a node for the task",
                   lambda: self.lab.task(task_id)["stage"] == "waiting for its session")
        return self.lab.ask("POST", "/api/v1/connect-sessions/start", {"task_id": task_id},
                            expected=201)

    def call(self, started, word="", expected=200):
        path = f"/api/v1/connect-sessions/{started['session']['session_id']}"
        return self.lab.ask("POST" if word else "GET", path + (word and "/" + word),
                            expected=expected)

    def answer(self, gateway, started, host="127.0.0.1", token=None):
        """What the gateway says, and the client it said it to."""
        client = Client(gateway.port)
        self.addCleanup(client.socket.close)
        client.hello(started["session"]["session_id"], f"{host}:{self.echo.port}",
                     token=token or started["session_token"])
        return client.line(), client

    def relay(self, gateway, started):
        """A client that talks through the gateway, as soon as that has heard of the session."""
        def let_in():
            self.call(started, "heartbeat")
            line, client = self.answer(gateway, started)
            return client if line == "OK\n" else None

        client = wait_until("the gateway knows the session", let_in)
        self.talk(client)
        return client

    def talk(self, client):
        client.socket.sendall(b"over the gateway")
        self.assertEqual(client.read(16), b"over the gateway")

    def is_over(self, started):
        """What a heartbeat says."""
        try:
            self.call(started, "heartbeat", expected=409)
        except LabError:
            return False
        return True
